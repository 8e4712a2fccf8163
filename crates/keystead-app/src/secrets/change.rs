//! Changes of a secret: decided, made on what is stored, committed with what belongs to them.

use std::sync::Arc;

use keystead_core::Result;
use keystead_core::secrets::Secret;
use keystead_store::{Batch, Expect};

use super::find::{self, Ask, Found};
use super::record::{self, VALUES, value_of};
use super::replicate::Follow;
use super::seal::Value;
use crate::Ctx;
use crate::kms::deletion::scrub_then;
use crate::retry::retrying;

/// Changes the secret that a call names, and answers it as it is then. It must not wait for its end. `edit` is done again
/// where somebody else changes the secret in between.
pub(super) async fn change(
    ctx: &Ctx,
    id: &str,
    ask: Ask<'_>,
    edit: impl Fn(&mut Secret) -> Result<()>,
) -> Result<Secret> {
    retrying(ATTEMPTS, || async {
        let found = find::secret(ctx, id, ask).await?.into_inner();
        found.secret.check_primary()?;
        found.secret.check_live()?;
        let mut after = found.secret.clone();
        edit(&mut after)?;
        commit(ctx, &found, &mut after, Batch::new(), None).await?;
        Ok(after)
    })
    .await
}

/// Commits a secret as it is after a change, with what else is in the batch; `fresh` is a value that it brings along. What is
/// deprecated and no longer kept goes, and its replicas follow.
pub(super) async fn commit(
    ctx: &Ctx,
    found: &Arc<Found>,
    after: &mut Secret,
    mut batch: Batch,
    fresh: Option<(&str, &Value)>,
) -> Result<()> {
    let dropped = after.prune(ctx.now);
    for id in &dropped {
        batch.delete(VALUES, value_of(after, id), Expect::Any);
    }
    if !dropped.is_empty() {
        scrub_then(&mut batch, ctx.now);
    }
    let follow = Follow {
        fresh,
        ..Follow::default()
    };
    follow.all(ctx, Some(found), after, &mut batch).await?;
    let expect = Expect::Version(found.version);
    record::put(&mut batch, Some(&found.secret), after, expect);
    ctx.app.store.commit(batch).await?;
    Ok(())
}

/// So often a change is made anew because others were quicker; each time one of them got through.
pub(super) const ATTEMPTS: usize = 16;
