//! AwaitChanges: a call that is answered when something that it asks for is another than what the caller has.

use std::collections::BTreeSet;
use std::time::Duration;

use keystead_core::Result;
use keystead_core::placements::contact::LONGEST_WAIT;
use keystead_wire::keystead as wire;

use super::agents;
use super::changes::Again;
use super::versions::Awaited;
use crate::{Ctx, PrincipalKind, iam};

/// `keystead:AwaitChanges`: of everything that differs from the version that the caller names; at once where anything
/// does, else when something changes, else after so many seconds, with nothing. What the caller may not see is answered
/// as such, once.
pub(crate) async fn await_changes(
    ctx: &Ctx,
    input: wire::AwaitChangesRequest,
) -> Result<wire::AwaitChangesResponse> {
    let mut asked = Vec::with_capacity(input.resources.len());
    for resource in input.resources {
        asked.push((Awaited::of(ctx, resource.arn)?, resource.version));
    }
    let agent = agents::own(ctx).await?;
    let _present = match &agent {
        Some(agent) => Some(agents::present(ctx, agent).await?),
        None => None,
    };
    drop(agent);
    let seconds = u64::try_from(input.wait_seconds.unwrap_or(LONGEST_WAIT)).unwrap_or(0);
    let changes = wait(ctx, &asked, Duration::from_secs(seconds)).await?;
    if changes.is_empty() {
        ctx.access.leave_unrecorded();
    }
    Ok(wire::AwaitChangesResponse { changes })
}

async fn wait(
    ctx: &Ctx,
    asked: &[(Awaited, Option<String>)],
    longest: Duration,
) -> Result<Vec<wire::ResourceChange>> {
    let mut waiting = ctx.app.changes.wait();
    // Watched first, then read: what changes in between is told.
    for (slot, (awaited, _)) in (0..).zip(asked) {
        for (collection, key) in awaited.records() {
            waiting.watch(collection, key, slot)?;
        }
    }
    // The policies are those of the beginning: where the role changes, the caller is to ask anew.
    if let PrincipalKind::Role { name, .. } = &ctx.principal.kind {
        let key = iam::role_key(ctx.account(), name);
        waiting.watch(iam::ROLES, key, ITSELF)?;
    }
    let end = tokio::time::sleep(longest);
    tokio::pin!(end);
    let mut again = Again::All;
    loop {
        let changes = look(ctx, asked, &again).await?;
        let is_over = match &again {
            Again::Closed => true,
            Again::Slots(slots) => slots.contains(&ITSELF),
            Again::All => false,
        };
        if !changes.is_empty() || is_over {
            return Ok(changes);
        }
        again = tokio::select! {
            biased;
            again = waiting.again() => again,
            () = &mut end => return Ok(Vec::new()),
        };
    }
}

/// What a call calls the role that it was made with; there are not so many resources.
const ITSELF: u32 = u32::MAX;

/// What differs, among what is to be looked at.
async fn look(
    ctx: &Ctx,
    asked: &[(Awaited, Option<String>)],
    at: &Again,
) -> Result<Vec<wire::ResourceChange>> {
    let none = BTreeSet::new();
    let slots = match at {
        Again::All => None,
        Again::Slots(slots) => Some(slots),
        Again::Closed => Some(&none),
    };
    let mut changes = Vec::new();
    for (slot, (awaited, has)) in (0..).zip(asked) {
        if slots.is_some_and(|slots| !slots.contains(&slot)) {
            continue;
        }
        let seen = awaited.look(ctx).await?;
        if has.as_ref() != Some(&seen.version) {
            changes.push(wire::ResourceChange {
                arn: awaited.arn().to_owned(),
                version: seen.version,
                state: seen.state,
                reason: seen.reason,
            });
        }
    }
    Ok(changes)
}
