//! When a key was last used.

use jiff::Timestamp;
use keystead_core::Result;
use keystead_core::kms::Key;
use keystead_store::{Collection, Versioned};
use keystead_wire::kms as wire;
use serde::{Deserialize, Serialize};

use super::find::{self, Ask, Names};
use super::record::key_of;
use crate::Ctx;

/// Last uses, by the record key of the key.
pub(crate) const LAST_USAGES: Collection = Collection("kms.last-usage");

/// A use that went well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastUsage {
    /// When.
    at: Timestamp,
    /// The operation.
    operation: String,
    /// The id of the request.
    request: String,
    /// The id of its audit event.
    event: String,
}

impl Versioned for LastUsage {
    const MARKER: &'static str = "kms.last-usage/1";
}

/// GetKeyLastUsage.
pub async fn get_key_last_usage(
    ctx: &Ctx,
    input: wire::GetKeyLastUsageRequest,
) -> Result<wire::GetKeyLastUsageResponse> {
    let found = find::key(ctx, &input.key_id, Names::KeyOrAlias, Ask::OWN).await?;
    let key = &found.record.key;
    let last = ctx.app.last_usages.of(&ctx.app.store, &found.at).await?;
    Ok(wire::GetKeyLastUsageResponse {
        key_id: Some(found.arn.clone()),
        key_last_usage: last.map(|last| wire::KeyLastUsageData {
            operation: wire::KeyLastUsageTrackingOperation::parse(&last.operation),
            timestamp: Some(last.at),
            cloud_trail_event_id: Some(last.event),
            kms_request_id: Some(last.request),
        }),
        // Every use since the key was made is known.
        tracking_start_date: Some(key.created_at),
        key_creation_date: Some(key.created_at),
    })
}

/// Notes a use.
pub(super) fn note(ctx: &Ctx, key: &Key, operation: &'static str) {
    let at = key_of(&key.account, &key.region, &key.id);
    // Where there is no randomness for it, the call has no event either, and fails.
    let event = ctx.access.event_id().unwrap_or_default();
    ctx.app.last_usages.note(
        &at,
        |last| {
            last.at = ctx.now;
            operation.clone_into(&mut last.operation);
            last.request.clone_from(&ctx.request_id);
            event.clone_into(&mut last.event);
        },
        || LastUsage {
            at: ctx.now,
            operation: operation.to_owned(),
            request: ctx.request_id.clone(),
            event: event.to_owned(),
        },
    );
}
