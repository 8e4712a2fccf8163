//! The end of a secret: now, or when its time to be had back is over.
//!
//! The record goes first, in one commit, and with it the secret. Its values may be too many for a commit and follow, by an
//! item of the queue; from then on nothing of them is in the store's files.

use std::sync::Arc;

use jiff::Timestamp;
use keystead_core::secrets::{Secret, Window};
use keystead_core::{ErrorKind, Result};
use keystead_store::{Batch, Expect, Lease};
use keystead_wire::secretsmanager as wire;

use super::change::{ATTEMPTS, commit};
use super::find::{self, Ask};
use super::record::{self, SECRETS, SecretRecord, VALUES, ValueRecord, values_of};
use crate::kms::deletion::scrub_then;
use crate::retry::retrying;
use crate::tasks::Outcome;
use crate::{App, Ctx};

/// Secrets whose end is due, by their record keys.
pub(crate) const DELETE: &str = "secrets.deletion";

/// Values that nobody owns any more, by what their record keys begin with.
pub(crate) const PURGE: &str = "secrets.purge";

/// DeleteSecret.
pub async fn delete_secret(
    ctx: &Ctx,
    input: wire::DeleteSecretRequest,
) -> Result<wire::DeleteSecretResponse> {
    let (days, force) = (
        input.recovery_window_in_days,
        input.force_delete_without_recovery,
    );
    let window = Window::new(days, force)?;
    let days = match window {
        Window::Days(days) => days.to_string(),
        Window::Never => String::new(),
    };
    let keys = [("secretsmanager:RecoveryWindowInDays", days.as_str())];
    let ask = Ask {
        keys: if window == Window::Never { &[] } else { &keys },
        ..Ask::OWN
    };
    let id = &input.secret_id;
    let deleted = retrying(ATTEMPTS, || delete(ctx, id, ask, window)).await;
    match deleted {
        // "If you forcibly delete an already deleted or nonexistent secret, the operation does not return
        // ResourceNotFoundException" (API reference).
        Err(error) if error.kind == ErrorKind::NotFound && window == Window::Never => {
            Ok(wire::DeleteSecretResponse {
                arn: Some(match id.starts_with("arn:") {
                    true => id.clone(),
                    false => find::arn_of(ctx, id),
                }),
                name: Some(id.clone()),
                deletion_date: Some(ctx.now),
            })
        }
        deleted => deleted,
    }
}

async fn delete(
    ctx: &Ctx,
    id: &str,
    ask: Ask<'_>,
    window: Window,
) -> Result<wire::DeleteSecretResponse> {
    let found = find::secret(ctx, id, ask).await?.into_inner();
    let mut after = found.secret.clone();
    after.check_primary()?;
    after.check_alone()?;
    after.check_not_followed()?;
    after.check_untied()?;
    let due = match window {
        Window::Never => {
            let expect = Expect::Version(found.version);
            remove(&ctx.app, &after, expect, ctx.now).await?;
            ctx.now
        }
        Window::Days(_) => {
            let due = after.delete(window, ctx.now)?;
            commit(ctx, &found, &mut after, Batch::new(), None).await?;
            due
        }
    };
    Ok(wire::DeleteSecretResponse {
        arn: Some(found.arn.clone()),
        name: Some(after.name),
        deletion_date: Some(due),
    })
}

/// RestoreSecret. A secret that is not being deleted stays as it is.
pub async fn restore_secret(
    ctx: &Ctx,
    input: wire::RestoreSecretRequest,
) -> Result<wire::RestoreSecretResponse> {
    retrying(ATTEMPTS, || async {
        let found = find::secret(ctx, &input.secret_id, Ask::OWN).await?;
        let found = found.into_inner();
        let mut after = found.secret.clone();
        after.check_primary()?;
        after.restore();
        commit(ctx, &found, &mut after, Batch::new(), None).await?;
        Ok(wire::RestoreSecretResponse {
            arn: Some(found.arn.clone()),
            name: Some(after.name),
        })
    })
    .await
}

/// Ends a secret whose time is over.
pub(crate) async fn end(app: &Arc<App>, lease: &Lease) -> Result<Outcome> {
    let now = app.env.now();
    let Some(found) = app.store.get::<SecretRecord>(SECRETS, lease.id()).await? else {
        return Ok(Outcome::Finished);
    };
    let SecretRecord(secret) = found.value;
    match secret.deletion {
        Some(deletion) if deletion.due > now => {
            let mut batch = Batch::new();
            batch.reschedule(lease, deletion.due, &());
            app.store.commit(batch).await?;
        }
        Some(_) => {
            // Its item of the queue goes with it.
            remove(app, &secret, Expect::Version(found.version), now).await?;
            tracing::info!(
                secret = secret.arn(),
                "a secret was deleted, as its owner wanted"
            );
        }
        None => return Ok(Outcome::Finished),
    }
    Ok(Outcome::Settled)
}

/// Removes some of the values that nobody owns any more, until none is left.
pub(crate) async fn purge(app: &Arc<App>, lease: &Lease) -> Result<Outcome> {
    let store = &app.store;
    loop {
        let found = store
            .scan::<ValueRecord>(VALUES, lease.id(), None, AT_ONCE)
            .await?;
        let mut batch = Batch::new();
        for value in &found {
            batch.delete(VALUES, value.key.as_str(), Expect::Any);
        }
        scrub_then(&mut batch, app.env.now());
        let done = found.len() < AT_ONCE;
        if done {
            batch.finish(lease);
        }
        store.commit(batch).await?;
        if done {
            return Ok(Outcome::Settled);
        }
    }
}

/// Removes a secret; its values follow.
async fn remove(app: &App, secret: &Secret, expect: Expect, now: Timestamp) -> Result<()> {
    let mut batch = Batch::new();
    remove_in(&mut batch, secret, expect, now);
    app.store.commit(batch).await?;
    Ok(())
}

/// Adds to a commit that a secret goes, and its values after it.
pub(super) fn remove_in(batch: &mut Batch, secret: &Secret, expect: Expect, now: Timestamp) {
    record::remove(batch, secret, expect);
    batch.enqueue(PURGE, values_of(secret), now, &());
}

/// Values that go with one commit: a few megabytes are read for it at most.
const AT_ONCE: usize = 64;
