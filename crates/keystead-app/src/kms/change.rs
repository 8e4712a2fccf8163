//! Changes of a key: decided, made on what is stored, committed with what belongs to them.

use keystead_core::Result;
use keystead_core::kms::{self as rules, Command, Key};
use keystead_store::{Batch, Expect};

use super::find::{self, Ask, Names};
use super::record::{KEYS, KeyRecord};
use super::{elsewhere, upkeep};
use crate::Ctx;
use crate::retry::retrying;

/// Changes the key that a call names by its id or ARN, if its state allows `command`, and answers it as it is then.
/// `edit` may add to the commit; it is done again where somebody else changes the key in between.
pub(super) async fn change(
    ctx: &Ctx,
    name: &str,
    ask: Ask<'_>,
    command: Command,
    edit: impl Fn(&mut KeyRecord, &mut Batch) -> Result<()>,
) -> Result<Key> {
    retrying(ATTEMPTS, || async {
        let found = find::key(ctx, name, Names::Key, ask).await?.into_inner();
        let before = &found.record.key;
        rules::check(elsewhere::state(ctx, before).await?, command, &found.arn)?;
        let mut record = found.record.clone();
        let mut batch = Batch::new();
        edit(&mut record, &mut batch)?;
        let at = found.at.as_str();
        batch.put(KEYS, at, &record, Expect::Version(found.version));
        if record.key.stage != before.stage {
            upkeep::queue(&mut batch, at, &record.key);
        }
        ctx.app.store.commit(batch).await?;
        Ok(record.key)
    })
    .await
}

/// So often a change is made anew because others were quicker; each time one of them got through.
pub(super) const ATTEMPTS: usize = 16;
