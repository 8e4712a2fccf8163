//! Who the agent is: a key that never leaves the machine, and a certificate for it.
//!
//! [`join`] makes both, once, by a token. [`Identity`] logs in with them (IAM Roles Anywhere), renews them before they end, and
//! signs the agent's calls with the credentials of its role. What is kept lies in one file, so that certificate and key are
//! always those that belong together.

mod file;
mod join;
pub(crate) mod key;
mod session;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keystead_crypto::x509::Certificate;
use keystead_crypto::{KeyRing, digest};
use keystead_wire::keystead::SERVICE;
use keystead_wire::schema::ServiceDef;
use keystead_wire::sigv4::{Credentials, ToSign};
use parking_lot::RwLock;
use serde_json::{Value, json};
use tokio::sync::Mutex;

pub use join::{Join, join};

use crate::link::{self, Answer, Call, Link, unsigned};
use crate::{Clock, Failure};
use file::Kept;
use key::Key;
use session::Session;

/// An agent that joined.
pub struct Identity {
    dir: PathBuf,
    clock: Clock,
    link: Arc<Link>,
    ring: Arc<KeyRing>,
    current: RwLock<Arc<Current>>,
    session: Mutex<Option<Session>>,
}

/// What it has at a time.
struct Current {
    kept: Kept,
    certificate: Certificate,
    key: Key,
}

impl Identity {
    /// The identity that is kept in this directory.
    ///
    /// # Errors
    /// [`Failure::Here`], also where nobody joined yet.
    pub async fn open(dir: &Path, clock: Clock) -> Result<Arc<Self>, Failure> {
        let kept = file::read(dir)?.ok_or_else(|| {
            Failure::Here(format!(
                "this machine is no agent yet ({} has no identity): get a token with 'keystead agent token', and give it to 'keystead agent join'",
                dir.display()
            ))
        })?;
        let ring = key::ring()?;
        let link = Link::new(&kept.endpoint, kept.roots.as_deref())?;
        let current = Current::new(&ring, kept).await?;
        Ok(Arc::new(Self {
            dir: dir.to_owned(),
            clock,
            link,
            ring,
            current: RwLock::new(Arc::new(current)),
            session: Mutex::default(),
        }))
    }

    /// The agent's ARN.
    pub fn arn(&self) -> String {
        self.current().kept.agent_arn.clone()
    }

    /// The name of the role that it becomes.
    pub fn role(&self) -> String {
        let arn = &self.current().kept.role_arn;
        arn.rsplit('/').next().unwrap_or(arn).to_owned()
    }

    /// The region that it belongs to.
    pub fn region(&self) -> String {
        self.current().kept.region.clone()
    }

    /// The URL of its server.
    pub fn endpoint(&self) -> String {
        self.current().kept.endpoint.clone()
    }

    /// What its server is known by, in PEM, where that is not what the machine trusts.
    pub fn roots(&self) -> Option<String> {
        self.current().kept.roots.clone()
    }

    /// When its certificate ends.
    pub fn not_after(&self) -> Timestamp {
        end_of(&self.current().certificate)
    }

    /// A key that was made just now, for a program of this machine.
    pub(crate) async fn new_key(&self) -> Result<Key, Failure> {
        Key::generate(&self.ring).await
    }

    /// What uses keys here.
    pub(crate) fn ring(&self) -> &Arc<KeyRing> {
        &self.ring
    }

    /// Credentials of the agent's role that are good for a few minutes at least.
    ///
    /// # Errors
    /// As the server refuses, for instance where the role does not trust it any more.
    pub async fn credentials(&self) -> Result<Credentials, Failure> {
        let given = self.credentials_until().await;
        given.map(|(credentials, _)| credentials)
    }

    /// As [`Identity::credentials`], with when they end.
    ///
    /// # Errors
    /// As there.
    pub async fn credentials_until(&self) -> Result<(Credentials, Timestamp), Failure> {
        let mut session = self.session.lock().await;
        if let Some(known) = session.as_ref()
            && known.is_fresh(self.clock.now())
        {
            return Ok((known.credentials.clone(), known.until));
        }
        let fresh = self.log_in().await?;
        let given = (fresh.credentials.clone(), fresh.until);
        *session = Some(fresh);
        Ok(given)
    }

    /// Calls an operation of an awsJson service with the agent's role, in its region.
    ///
    /// # Errors
    /// As the server refuses; [`Failure::Unreachable`].
    pub async fn call(
        &self,
        service: &ServiceDef,
        operation: &str,
        input: &Value,
        longest: Duration,
    ) -> Result<Value, Failure> {
        let region = self.region();
        self.call_in(&region, service, operation, input, longest)
            .await
    }

    /// As [`Identity::call`], in another region.
    ///
    /// # Errors
    /// As there.
    pub async fn call_in(
        &self,
        region: &str,
        service: &ServiceDef,
        operation: &str,
        input: &Value,
        longest: Duration,
    ) -> Result<Value, Failure> {
        let mut again = true;
        loop {
            let credentials = self.credentials().await?;
            let mut call = self.link.json(service, operation, input)?;
            call.sign(&credentials, (service, region), self.clock.now())?;
            let answer = self.link.send(&call, longest).await?.document();
            match answer {
                // The session ended before its time: its role was changed, or the server knows it no more.
                Err(refusal) if again && ended(&refusal) => {
                    *self.session.lock().await = None;
                    again = false;
                }
                answer => return answer,
            }
        }
    }

    /// Renews the certificate if it is time to; answers when it will be.
    ///
    /// # Errors
    /// As the server refuses; [`Failure::Here`] where the new one can't be kept.
    pub async fn renew(&self) -> Result<Timestamp, Failure> {
        let current = self.current();
        let due = renewal_of(&current.certificate);
        if self.clock.now() < due {
            return Ok(due);
        }
        let key = Key::generate(&self.ring).await?;
        let input = json!({
            "AgentArn": current.kept.agent_arn,
            "Csr": key.csr_base64(&current.kept.agent_arn, &[]).await?,
            "Software": SOFTWARE,
        });
        let call = self.link.json(&SERVICE, "RenewAgentCertificate", &input)?;
        let answer = self
            .holding(&current, call, SERVICE.signing_name)
            .await?
            .document()?;
        let identity = answer.get("Identity").unwrap_or(&Value::Null);
        let kept = Kept::of(
            identity,
            &current.kept.endpoint,
            current.kept.roots.clone(),
            &key,
        )?;
        let fresh = Current::new(&self.ring, kept).await?;
        file::write(&self.dir, &fresh.kept)?;
        let due = renewal_of(&fresh.certificate);
        tracing::info!(agent = fresh.kept.agent_arn, until = %end_of(&fresh.certificate), "the agent's certificate was renewed");
        *self.current.write() = Arc::new(fresh);
        Ok(due)
    }

    /// Renews the certificate whenever it is time to, for ever. What fails is tried again, more and more seldom, up to every
    /// hour: a third of the certificate's time is left for that.
    pub async fn keep_renewed(self: Arc<Self>) {
        let mut failures = 0_u32;
        loop {
            let wait = match self.renew().await {
                Ok(due) => {
                    failures = 0;
                    let wait = due.duration_since(self.clock.now());
                    Duration::try_from(wait)
                        .unwrap_or(Duration::ZERO)
                        .min(LONGEST_SLEEP)
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(%error, until = %self.not_after(), "the agent's certificate could not be renewed; it is tried again");
                    RETRY
                        .saturating_mul(1 << failures.min(6))
                        .min(LONGEST_SLEEP)
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read())
    }

    async fn log_in(&self) -> Result<Session, Failure> {
        let current = self.current();
        let input = json!({
            "profileArn": current.kept.profile_arn,
            "roleArn": current.kept.role_arn,
            "trustAnchorArn": current.kept.trust_anchor_arn,
        });
        let call = self.link.rest("/sessions", &input)?;
        let answer = self.holding(&current, call, "rolesanywhere").await?;
        Session::of(&answer.document()?)
    }

    /// Sends a call that is signed with the key of the certificate.
    async fn holding(
        &self,
        current: &Current,
        mut call: Call,
        service: &str,
    ) -> Result<Answer, Failure> {
        let payload = digest::sha256(&call.body);
        let place = (service, current.kept.region.as_str());
        let now = self.clock.now();
        let to_sign = ToSign::new(&current.certificate, &call.view(), &payload, place, now);
        let to_sign = to_sign.map_err(unsigned)?;
        let signature = current.key.sign(to_sign.text()).await?;
        call.headers
            .extend(to_sign.signed(&signature).map_err(unsigned)?);
        self.link.send(&call, link::CALL).await
    }
}

impl Current {
    async fn new(ring: &Arc<KeyRing>, kept: Kept) -> Result<Self, Failure> {
        let certificate = Certificate::parse(kept.certificate.as_bytes()).map_err(|error| {
            Failure::Here(format!("the agent's certificate is damaged: {error}"))
        })?;
        let key = Key::read(ring, kept.key.expose().as_bytes()).await?;
        let fits = certificate.certifies(key.spki_der());
        fits.map_err(|_| Failure::Here("the agent's certificate is not one for its key".into()))?;
        Ok(Self {
            kept,
            certificate,
            key,
        })
    }
}

/// When two thirds of its time are over.
fn renewal_of(certificate: &Certificate) -> Timestamp {
    let end = end_of(certificate);
    let begin = Timestamp::from_second(certificate.not_before).unwrap_or(end);
    let third = SignedDuration::from_secs(end.duration_since(begin).as_secs() / 3);
    end.checked_sub(third).unwrap_or(Timestamp::MIN)
}

fn end_of(certificate: &Certificate) -> Timestamp {
    Timestamp::from_second(certificate.not_after).unwrap_or(Timestamp::MAX)
}

fn ended(refusal: &Failure) -> bool {
    [
        "ExpiredTokenException",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
    ]
    .iter()
    .any(|code| refusal.is(code))
}

/// What the agent says that it is.
pub const SOFTWARE: &str = concat!("keystead agent ", env!("CARGO_PKG_VERSION"));

/// The clock may be set while it sleeps.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// The first try after a failure comes twice as much later.
const RETRY: Duration = Duration::from_secs(30);
