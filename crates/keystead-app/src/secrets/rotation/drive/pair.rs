//! A certificate and its key as a secret: each version of the certificate becomes one of the secret.
//!
//! The secret's value names the certificate (`certificateArn`), one of ACM's that a private CA issued, in the same account and
//! region. Create takes out the version that is served, Set has nothing to do, Test reads what was stored and looks whether
//! key and certificate belong together and nothing newer is served, Finish moves the labels. Between rotations the
//! certificate is looked at, hourly or more often, and a newer version begins one ([`outdated`]): the schedule need not be waited for.
//!
//! The key leaves ACM as by ExportCertificate, with its event and its mark, so that the certificate goes on being renewed.
//! Whoever turned rotation on was allowed to export it.

use std::sync::Arc;

use jiff::Timestamp;
use keystead_core::rotation::{Failure, Phase, Rotator, Run};
use keystead_core::secrets::{CURRENT, Followed, PENDING, Secret, Select};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::x509::Certificate;
use keystead_store::Batch;
use keystead_wire::acm as wire;
use keystead_wire::shape::Operation as _;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::super::names::rotator;
use super::{Step, Then, text};
use crate::acm::internal::{TakenOut, served_until, take_out};
use crate::secrets::SERVICE;
use crate::secrets::internal::Work;
use crate::{App, Ctx, audit};

/// Whether the secret is that of a certificate.
pub(super) fn follows(app: &App, secret: &Secret) -> bool {
    let function = secret.rotation.function.as_deref().unwrap_or_default();
    rotator(app, &secret.account, &secret.region, function) == Some(Rotator::Certificate)
}

/// The work, where a rotation is to begin: it is due, or the certificate has a newer version than the secret. Otherwise it is
/// stored when to look again.
pub(super) async fn outdated(app: &Arc<App>, work: Work, now: Timestamp) -> Result<Option<Work>> {
    let secret = work.secret();
    let rotation = &secret.rotation;
    let (false, Some(followed), Some(arn)) = (
        rotation.begins(now),
        &rotation.followed,
        &rotation.administrator,
    ) else {
        return Ok(Some(work));
    };
    let place = (&secret.account, &secret.region);
    match served_until(app, place, arn).await {
        Ok((version, not_after)) if version == followed.version => {
            let known = Followed::known(version, not_after, now);
            work.change(Batch::new(), |secret| {
                secret.rotation.followed = Some(known);
                Ok(())
            })
            .await?;
            Ok(None)
        }
        Err(error) if is_own(&error) => Err(error),
        // The rotation says what is wrong, if anything is.
        _ => Ok(Some(work)),
    }
}

impl Step<'_> {
    /// One move of such a rotation.
    pub(super) async fn take_pair(
        &mut self,
        work: Work,
        run: &mut Run,
        now: Timestamp,
    ) -> Result<Then> {
        let asked = match Asked::read(&work).await? {
            Ok(asked) => asked,
            Err(cause) => return self.unusable(work, run, cause, now).await,
        };
        let place = (self.whose.account.clone(), self.whose.region.clone());
        let served = served_until(self.app, (&place.0, &place.1), &asked.arn).await;
        let (version, _) = match served {
            Ok(served) => served,
            Err(error) if is_own(&error) => return Err(error),
            Err(error) => return self.unusable(work, run, error.message, now).await,
        };
        match run.phase {
            Phase::Check => self.end(work, |secret, _| secret.end_run(now)).await,
            Phase::Create => self.create_pair(work, run, &asked, now).await,
            Phase::Set | Phase::Test => {
                let taken = work.secret().rotation.followed.as_ref();
                let stored = text(&work, Select::id(&run.version)).await?;
                match stored {
                    Some(text) if taken.is_some_and(|taken| taken.version == version) => {
                        match self.test(&text).await {
                            Ok(()) => self.finish(work, now).await,
                            Err(cause) => self.unusable(work, run, cause, now).await,
                        }
                    }
                    _ => self.anew(work, run).await,
                }
            }
        }
    }

    async fn create_pair(
        &mut self,
        work: Work,
        run: &mut Run,
        asked: &Asked,
        now: Timestamp,
    ) -> Result<Then> {
        let (account, region) = (self.whose.account.clone(), self.whose.region.clone());
        let ctx = Ctx::of_service(self.app, SERVICE, &account, &region)?;
        let mut batch = Batch::new();
        let taken = take_out(self.app, (&account, &region), &asked.arn, &mut batch).await;
        let (refusal, parameters) = (taken.as_ref().err(), json!({ "certificateArn": asked.arn }));
        let export = wire::ExportCertificate::DEF;
        audit::record_through(&ctx, export, SERVICE, &parameters, refusal).await?;
        let taken = match taken {
            Ok(taken) => taken,
            Err(error) if is_own(&error) => return Err(error),
            Err(error) => return self.unusable(work, run, error.message, now).await,
        };
        run.created(now);
        run.answered();
        let (stored, text) = (run.clone(), asked.with(&taken)?);
        let followed = Followed::known(taken.version, taken.not_after, now);
        let labels = [PENDING.to_owned()];
        work.put(&run.version, &text, &labels, batch, |secret| {
            secret.rotation.run = Some(stored);
            secret.rotation.followed = Some(followed);
        })
        .await?;
        Ok(Then::GoOn)
    }

    /// Whether what is stored is a key and its certificate.
    async fn test(&self, text: &str) -> Result<(), String> {
        let stored: Stored =
            serde_json::from_str(text).map_err(|_| "what was stored is not what was taken")?;
        let unfit = |error: &dyn std::fmt::Display| format!("the pair does not work: {error}");
        let key = Zeroizing::new(stored.key);
        let imported = self.app.keys.import(key.as_bytes()).await;
        let imported = imported.map_err(|error| unfit(&error))?;
        let leaf = Certificate::parse(stored.certificate.as_bytes());
        let leaf = leaf.map_err(|error| unfit(&error))?;
        leaf.certifies(&imported.spki_der)
            .map_err(|error| unfit(&error))
    }

    /// Throws away what was stored: the certificate has a newer version, or nobody knows which this was.
    async fn anew(&mut self, work: Work, run: &mut Run) -> Result<Then> {
        run.enter(Phase::Create);
        let (stored, version) = (run.clone(), run.version.clone());
        work.change(Batch::new(), |secret| {
            secret.forget_value(&version);
            secret.rotation.run = Some(stored);
            Ok(())
        })
        .await?;
        Ok(Then::GoOn)
    }

    async fn unusable(
        &mut self,
        work: Work,
        run: &mut Run,
        cause: String,
        now: Timestamp,
    ) -> Result<Then> {
        self.cause = cause;
        self.wait(work, run, Failure::Unusable, now).await
    }
}

/// What a value asks for.
#[derive(Deserialize)]
pub(in crate::secrets::rotation) struct Asked {
    /// The certificate.
    #[serde(rename = "certificateArn")]
    pub(in crate::secrets::rotation) arn: String,
    /// Made anew with every version; named so that they are not among the rest.
    #[serde(rename = "certificate")]
    _certificate: Option<IgnoredAny>,
    #[serde(rename = "certificateChain")]
    _chain: Option<IgnoredAny>,
    #[serde(rename = "privateKey")]
    _key: Option<IgnoredAny>,
    /// What else stands in the value, and stays.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A value with a pair.
#[derive(Deserialize)]
struct Stored {
    certificate: String,
    #[serde(rename = "privateKey")]
    key: String,
}

impl Asked {
    /// What the current value asks for, if whoever turned rotation on was allowed that.
    async fn read(work: &Work) -> Result<Result<Self, String>> {
        let current = text(work, Select::label(CURRENT)).await?;
        let Some(asked) = current.as_deref().and_then(|text| Self::parse(text)) else {
            return Ok(Err(
                "the secret's value does not name a certificate: expected {\"certificateArn\":\"arn:aws:acm:...\"}"
                    .into(),
            ));
        };
        let allowed = work.secret().rotation.administrator.as_deref();
        Ok(match allowed == Some(asked.arn.as_str()) {
            true => Ok(asked),
            false => Err(
                "the secret names another certificate than when rotation was turned on: name that one, or turn rotation off and on again"
                    .into(),
            ),
        })
    }

    pub(in crate::secrets::rotation) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The value with this pair.
    fn with(&self, taken: &TakenOut) -> Result<Zeroizing<String>> {
        let mut members = self.rest.clone();
        let mut put = |name: &str, value: &str| members.insert(name.to_owned(), value.into());
        put("certificateArn", &self.arn);
        put("certificate", &taken.certificate);
        put("certificateChain", &taken.chain);
        let written = |error: serde_json::Error| Error::new(ErrorKind::Internal, error.to_string());
        let public = serde_json::to_string(&members).map_err(written)?;
        let public = public.strip_suffix('}').unwrap_or(&public);
        // In PEM there is nothing else that JSON would escape.
        let key = Zeroizing::new(taken.key.as_pem().replace('\n', "\\n"));
        // Growing would leave copies behind.
        let room = public.len().saturating_add(key.len()).saturating_add(32);
        let mut text = Zeroizing::new(String::with_capacity(room));
        for part in [public, ",\"privateKey\":\"", &key, "\"}"] {
            text.push_str(part);
        }
        Ok(text)
    }
}

/// Whether it is a fault of the installation and not of what was asked.
fn is_own(error: &Error) -> bool {
    matches!(
        error.kind,
        ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::ConcurrentModification
    )
}
