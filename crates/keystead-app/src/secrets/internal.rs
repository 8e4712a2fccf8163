//! Secrets as the service itself works on them: for tasks, which no caller waits for.
//!
//! What a service does by itself was decided when somebody asked for it: who turns rotation on, say. No policy is asked again,
//! but the state of the KMS key is, and each of its uses leaves an audit event in the service's name.

use std::sync::Arc;

use keystead_core::secrets::{CURRENT, Named, Secret, Select};
use keystead_core::{AccountId, Region, Result};
use keystead_store::{Batch, Collection, Expect};
use serde_json::json;
use zeroize::Zeroizing;

use super::SERVICE;
use super::change::commit;
use super::find::{self, Ask, Found};
use super::record::{self, VALUES, place, value_of};
use super::seal::{self, Value};
use crate::access::Act;
use crate::{App, Ctx, audit, ids};

/// Secrets, for whoever follows the change feed: a change of the record with one of [`record_keys`] may mean that
/// [`current`] is another.
pub(crate) const SECRETS: Collection = record::SECRETS;

/// The record keys that the secret of this ARN may have; none if it names none.
pub(crate) fn record_keys(arn: &str) -> Vec<String> {
    let Some(named) = Named::parse(arn) else {
        return Vec::new();
    };
    let Some((account, region)) = &named.place else {
        return Vec::new();
    };
    let key = |(name, _): (&str, _)| format!("{account}/{region}/{name}");
    named.candidates().map(key).collect()
}

/// The id of the version of a secret that is AWSCURRENT, if the call may do this to the secret.
///
/// Refuses with [`ErrorKind::AccessDenied`] and [`ErrorKind::NotFound`], also where it has no value yet.
pub(crate) async fn current(ctx: &Ctx, act: Act<'_>, arn: &str) -> Result<String> {
    let ask = Ask { act, ..Ask::OWN };
    let found = find::secret(ctx, arn, ask).await?;
    let version = found.secret.select(Select::label(CURRENT))?;
    Ok(version.id.clone())
}

/// Writes events of one secret into the audit journal.
pub(super) struct Teller(Ctx, String);

impl Teller {
    /// Writes one: of this name, with the cause where something went wrong.
    pub(super) async fn tell(&self, name: &'static str, cause: Option<&str>) -> Result<()> {
        let mut details = json!({ "SecretId": self.1 });
        if let (Some(cause), Some(details)) = (cause, details.as_object_mut()) {
            details.insert("Cause".into(), cause.into());
        }
        let Self(ctx, arn) = self;
        let event = audit::ServiceEvent {
            service: "secretsmanager",
            name,
            account: ctx.account(),
            region: &ctx.region,
            resource: arn,
            details,
            id: &ids::uuid()?,
            at: ctx.now,
        };
        event.record(&ctx.app).await
    }
}

/// A secret that a task works on, as it is stored.
pub struct Work {
    ctx: Ctx,
    found: Arc<Found>,
}

impl Work {
    /// The secret of this name; `None` where it is not there.
    pub async fn on(
        app: &Arc<App>,
        account: &AccountId,
        region: &Region,
        name: &str,
    ) -> Result<Option<Self>> {
        let ctx = Ctx::of_service(app, SERVICE, account, region)?;
        let found = find::at_hand(&ctx, account, region, name).await?;
        Ok(found.map(|found| Self { ctx, found }))
    }

    /// The secret of this ARN, of the account and region; `None` where it is not there.
    pub async fn named(
        app: &Arc<App>,
        account: &AccountId,
        region: &Region,
        arn: &str,
    ) -> Result<Option<Self>> {
        let Some(named) = Named::parse(arn) else {
            return Ok(None);
        };
        if named.place != Some((account.clone(), region.as_str())) {
            return Ok(None);
        }
        for (name, suffix) in named.candidates() {
            let work = Self::on(app, account, region, name).await?;
            let same = |work: &Self| suffix.is_none_or(|suffix| work.secret().suffix == suffix);
            if let Some(work) = work.filter(same) {
                return Ok(Some(work));
            }
        }
        Ok(None)
    }

    /// What writes down what was done to it: at hand when this is used up by a commit.
    pub(super) fn teller(&self) -> Teller {
        Teller(self.ctx.clone(), self.found.arn.clone())
    }

    /// What is told of it.
    pub fn secret(&self) -> &Secret {
        &self.found.secret
    }

    /// The value of one of its versions, as bytes.
    ///
    /// # Errors
    /// As GetSecretValue.
    pub async fn value(&self, select: Select<'_>) -> Result<Zeroizing<Vec<u8>>> {
        let version = self.found.secret.select(select)?;
        let stored = find::value(&self.ctx, &self.found, &version.id).await?;
        let value = seal::open(&self.ctx, &self.found.secret, &version.id, &stored).await?;
        Ok(value.into_bytes())
    }

    /// Gives the version of this id a text as its value, and these labels, and commits that with what else is in the batch.
    ///
    /// # Errors
    /// As PutSecretValue, and [`keystead_core::ErrorKind::ConcurrentModification`] where somebody was quicker.
    pub async fn put(
        self,
        id: &str,
        text: &str,
        labels: &[String],
        mut batch: Batch,
        edit: impl FnOnce(&mut Secret),
    ) -> Result<()> {
        let mut after = self.found.secret.clone();
        let value = Value::text(text);
        let (record, key) = seal::seal(&self.ctx, &after, id, &value).await?;
        after.put(id, key, Some(labels), self.ctx.now)?;
        edit(&mut after);
        batch.put(VALUES, value_of(&after, id), &record, Expect::Any);
        let fresh = Some((id, &value));
        commit(&self.ctx, &self.found, &mut after, batch, fresh).await
    }

    /// Commits a change that brings no value.
    ///
    /// # Errors
    /// [`keystead_core::ErrorKind::ConcurrentModification`] where somebody was quicker.
    pub async fn change(
        self,
        batch: Batch,
        edit: impl FnOnce(&mut Secret) -> Result<()>,
    ) -> Result<()> {
        let mut after = self.found.secret.clone();
        edit(&mut after)?;
        commit(&self.ctx, &self.found, &mut after, batch, None).await
    }

    /// What names it in queues: its record key.
    pub fn place(&self) -> String {
        place(&self.found.secret)
    }
}
