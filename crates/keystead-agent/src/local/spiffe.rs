//! X.509-SVIDs for programs of this machine: keys made here, certified by a private CA that the agent's role may issue from.
//!
//! A workload is a user of the machine. Its SVID is renewed when half its time is over, with a new key; while the server is away the
//! last one is served until it ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use keystead_core::x509::{Extension, ExtensionValue, GeneralName, Oid};
use keystead_core::{Arn, hex};
use keystead_crypto::random;
use keystead_crypto::x509::{Certificate, pem};
use keystead_wire::acm_pca::SERVICE;
use keystead_xds::{Svid, SvidSource};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::identity::Identity;
use crate::link::{CALL, text};
use crate::push::pause;
use crate::{Clock, Failure};

/// A user of the machine with its identity.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    pub(super) uid: u32,
    /// For instance `spiffe://example.org/shop`.
    pub(super) id: String,
    /// The private CA that issues.
    pub(super) authority: String,
    /// How long each certificate is valid.
    pub(super) lifetime: SignedDuration,
}

/// The identities of this machine's programs.
pub(super) struct Identities {
    identity: Arc<Identity>,
    clock: Clock,
    workloads: Vec<Workload>,
    /// By the number of the workload.
    issued: Mutex<HashMap<usize, (Svid, Timestamp)>>,
    changed: watch::Sender<u64>,
}

impl Identities {
    pub(super) fn new(
        identity: Arc<Identity>,
        clock: Clock,
        workloads: Vec<Workload>,
    ) -> Arc<Self> {
        Arc::new(Self {
            identity,
            clock,
            workloads,
            issued: Mutex::default(),
            changed: watch::Sender::new(0),
        })
    }

    /// Keeps every SVID fresh, for ever.
    pub(super) async fn keep_fresh(self: Arc<Self>) {
        let all = (0..self.workloads.len()).map(|number| self.keep_one(number));
        futures::future::join_all(all).await;
    }

    async fn keep_one(&self, number: usize) {
        let Some(workload) = self.workloads.get(number) else {
            return;
        };
        let mut failures = 0;
        loop {
            let wait = match self.issue(workload).await {
                Ok((svid, until)) => {
                    failures = 0;
                    self.issued.lock().insert(number, (svid, until));
                    self.changed
                        .send_modify(|count| *count = count.wrapping_add(1));
                    let half = until.duration_since(self.clock.now()) / 2;
                    Duration::try_from(half)
                        .unwrap_or(Duration::ZERO)
                        .max(LEAST_WAIT)
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!(%error, id = workload.id, "no SVID could be had; it is tried again");
                    }
                    failures += 1;
                    pause(failures)
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// A new key, certified.
    async fn issue(&self, workload: &Workload) -> Result<(Svid, Timestamp), Failure> {
        let parsed =
            Arn::parse(&workload.authority).map_err(|error| Failure::Here(error.message))?;
        let region = parsed.region.as_str();
        let which = json!({ "CertificateAuthorityArn": workload.authority });
        let call = |operation, input| async move {
            self.identity
                .call_in(region, &SERVICE, operation, &input, CALL)
                .await
        };
        let answer = call("GetCertificateAuthorityCertificate", which).await?;
        let authority =
            Certificate::parse(text(&answer, "Certificate")?.as_bytes()).map_err(unreadable)?;
        let signing = authority
            .key_spec
            .map(|spec| spec.default_signature().pca_name());
        let alternative = Extension {
            oid: Oid::new("2.5.29.17"),
            critical: false,
            value: ExtensionValue::SubjectAltName(vec![GeneralName::Uri(workload.id.clone())]),
        };
        let key = self.identity.new_key().await?;
        let until = self
            .clock
            .now()
            .checked_add(workload.lifetime)
            .unwrap_or(Timestamp::MAX);
        let token = random::bytes::<16>().map_err(|error| Failure::Here(error.to_string()))?;
        let order = json!({
            "CertificateAuthorityArn": workload.authority,
            "Csr": key.csr_base64(&workload.id, &[alternative]).await?,
            "SigningAlgorithm": signing,
            "TemplateArn": "arn:aws:acm-pca:::template/EndEntityCertificate/V1",
            "Validity": { "Type": "ABSOLUTE", "Value": until.as_second() },
            "IdempotencyToken": hex(&token),
        });
        let issued = call("IssueCertificate", order).await?;
        let which = json!({
            "CertificateAuthorityArn": workload.authority,
            "CertificateArn": text(&issued, "CertificateArn")?,
        });
        let answer = loop {
            match call("GetCertificate", which.clone()).await {
                Err(error) if error.is("RequestInProgressException") => {
                    tokio::time::sleep(BEING_ISSUED).await;
                }
                answer => break answer?,
            }
        };
        let (chain_der, bundle_der) = split(&answer)?;
        let key_der = pem::blocks(key.pem())
            .map_err(unreadable)?
            .into_iter()
            .next();
        let key_der = key_der
            .ok_or_else(|| Failure::Here("a key has no form".into()))?
            .der;
        let svid = Svid {
            id: workload.id.clone(),
            chain_der,
            key_der,
            bundle_der,
        };
        Ok((svid, until))
    }
}

/// The certificate with what leads to the root, and the root: an SVID's chain does not have it (X509-SVID, section 4.1).
fn split(answer: &Value) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let mut chain = Vec::new();
    let mut roots = Vec::new();
    let above = answer
        .get("CertificateChain")
        .and_then(Value::as_str)
        .unwrap_or_default();
    for text in [text(answer, "Certificate")?, above] {
        for der in pem::certificates(text.as_bytes()).map_err(unreadable)? {
            let parsed = Certificate::from_der(&der).map_err(unreadable)?;
            match parsed.is_self_issued() {
                true => roots.extend_from_slice(&der),
                false => chain.extend_from_slice(&der),
            }
        }
    }
    Ok((chain, roots))
}

fn unreadable(error: keystead_crypto::CryptoError) -> Failure {
    Failure::Unreachable(format!("the server's answer can't be read: {error}"))
}

#[async_trait]
impl SvidSource for Identities {
    async fn svids(&self, uid: u32) -> Vec<Svid> {
        let now = self.clock.now();
        let issued = self.issued.lock();
        let own = self
            .workloads
            .iter()
            .enumerate()
            .filter(|(_, workload)| workload.uid == uid);
        let own = own.filter_map(|(number, _)| issued.get(&number));
        own.filter(|(_, until)| *until > now)
            .map(|(svid, _)| svid.clone())
            .collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

/// Where certificates end sooner than anybody can use them.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// Signing takes milliseconds.
const BEING_ISSUED: Duration = Duration::from_millis(50);
