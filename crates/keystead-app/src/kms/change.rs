//! Changes of a key: decided, made on what is stored, committed with what belongs to them.

use std::sync::Arc;

use keystead_core::Result;
use keystead_core::kms::{self as rules, Command};
use keystead_store::{Batch, Expect, StoreError};

use super::elsewhere;
use super::find::{self, Ask, Found, Names};
use super::record::{KEYS, KeyRecord};
use crate::Ctx;

/// Changes the key that a call names by its id or ARN, if its state allows `command`, and answers it as it was before.
/// `edit` may add to the commit; it is done again where somebody else changes the key in between.
pub(super) async fn change(
    ctx: &Ctx,
    name: &str,
    ask: Ask<'_>,
    command: Command,
    edit: impl Fn(&mut KeyRecord, &mut Batch) -> Result<()>,
) -> Result<Arc<Found>> {
    let mut attempts = ATTEMPTS;
    loop {
        attempts -= 1;
        let found = find::key(ctx, name, Names::Key, ask).await?.into_inner();
        let key = &found.record.key;
        rules::check(elsewhere::state(ctx, key).await?, command, &found.arn)?;
        let mut record = found.record.clone();
        let mut batch = Batch::new();
        edit(&mut record, &mut batch)?;
        batch.put(
            KEYS,
            found.at.as_str(),
            &record,
            Expect::Version(found.version),
        );
        match ctx.app.store.commit(batch).await {
            Ok(_) => return Ok(found),
            Err(StoreError::Conflict { .. }) if attempts > 0 => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// So often a change is made anew because others were quicker; each time one of them got through.
pub(super) const ATTEMPTS: usize = 16;
