//! Agents: who they are, whether they are still there, and their end.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use keystead_core::pca::RevocationReason;
use keystead_core::placements::contact::{self, Contact, Look};
use keystead_core::{AccountId, Error, ErrorKind, Region, Result};
use keystead_store::{Batch, Expect, Lease, Stored};
use keystead_wire::keystead as wire;
use parking_lot::Mutex;

use super::SERVICE;
use super::alarms::tell;
use super::join::{CONFLICT_TRIES, named};
use super::record::{AGENTS, Agent};
use super::reports;
use crate::access::Act;
use crate::retry::retrying;
use crate::tasks::Outcome;
use crate::{App, Ctx, ctx, cursor, pca};

/// Where agents wait to be looked at: each when it would be lost if it said nothing until then.
pub(crate) const AGENT_QUEUE: &str = "agent";

/// When agents were heard of last, by record key: live, in memory. What was heard before this server came does not count
/// against them.
#[derive(Debug)]
pub(crate) struct Contacts {
    since: Timestamp,
    heard: Mutex<HashMap<String, Heard>>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Timestamp,
    waiting: u32,
}

/// A call of an agent that waits; the agent is there as long as it does.
pub(super) struct Present {
    app: Arc<App>,
    key: String,
}

impl Contacts {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            since: now,
            heard: Mutex::default(),
        }
    }

    fn of(&self, key: &str, stored: Timestamp) -> Contact {
        let heard = self.heard.lock().get(key).copied();
        Contact {
            seen: heard.map_or(stored, |heard| heard.at.max(stored)),
            listening_since: self.since,
            waits: heard.is_some_and(|heard| heard.waiting > 0),
        }
    }

    fn note(&self, key: &str, now: Timestamp, change: impl FnOnce(u32) -> u32) {
        let mut heard = self.heard.lock();
        let known = heard.get(key).map_or(0, |heard| heard.waiting);
        let entry = Heard {
            at: now,
            waiting: change(known),
        };
        match heard.get_mut(key) {
            Some(known) => *known = entry,
            None => drop(heard.insert(key.to_owned(), entry)),
        }
    }

    fn forget(&self, key: &str) {
        self.heard.lock().remove(key);
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let now = self.app.env.now();
        self.app
            .contacts
            .note(&self.key, now, |waiting| waiting.saturating_sub(1));
    }
}

/// The agent that calls, if it is one: a session that was begun with its certificate, in its region.
pub(super) async fn own(ctx: &Ctx) -> Result<Option<Stored<Agent>>> {
    let Some(session) = &ctx.principal.session else {
        return Ok(None);
    };
    let Some(identity) = session.tags.get(IDENTITY_TAG) else {
        return Ok(None);
    };
    let Some((arn, _)) = identity.rsplit_once('/') else {
        return Ok(None);
    };
    let Ok((account, region, name)) = named(arn) else {
        return Ok(None);
    };
    if account != *ctx.account() || region != ctx.region {
        return Ok(None);
    }
    let found: Option<Stored<Agent>> = ctx.app.store.get(AGENTS, &ctx.key(&name)).await?;
    Ok(found.filter(|found| found.value.identity == *identity))
}

/// Notes that an agent calls, and that it is there until this is dropped.
pub(super) async fn present(ctx: &Ctx, agent: &Stored<Agent>) -> Result<Present> {
    let key = &agent.key;
    ctx.app
        .contacts
        .note(key, ctx.now, |waiting| waiting.saturating_add(1));
    let present = Present {
        app: Arc::clone(&ctx.app),
        key: key.clone(),
    };
    if agent.value.lost {
        retrying(CONFLICT_TRIES, || came_back(ctx, key)).await?;
    }
    Ok(present)
}

async fn came_back(ctx: &Ctx, key: &str) -> Result<()> {
    let store = &ctx.app.store;
    let found: Option<Stored<Agent>> = store.get(AGENTS, key).await?;
    let Some(mut found) = found.filter(|found| found.value.lost) else {
        return Ok(());
    };
    let place = (ctx.account(), &ctx.region);
    let details = serde_json::json!({ "silentSince": found.value.seen.to_string() });
    tell(&ctx.app, place, "AgentBack", &found.value.arn, details).await?;
    found.value.lost = false;
    found.value.seen = ctx.now;
    let mut batch = Batch::new();
    batch.put(AGENTS, key, &found.value, Expect::Version(found.version));
    batch.enqueue(AGENT_QUEUE, key, contact::lost_from(ctx.now), &());
    store.commit(batch).await?;
    Ok(())
}

/// Looks whether the agent of this lease is still there.
pub(crate) async fn look_at_agent(app: &Arc<App>, lease: &Lease) -> Result<Outcome> {
    let found: Option<Stored<Agent>> = app.store.get(AGENTS, lease.id()).await?;
    let Some(mut found) = found.filter(|found| !found.value.lost) else {
        return Ok(Outcome::Finished);
    };
    let now = app.env.now();
    let contact = app.contacts.of(lease.id(), found.value.seen);
    let mut batch = Batch::new();
    match contact.look(now) {
        Look::There(again) => {
            batch.reschedule(lease, again, &());
        }
        Look::Lost(seen) => {
            let (account, region, _) = named(&found.value.arn)?;
            let arn = &found.value.arn;
            tracing::warn!(agent = arn, %seen, "an agent is not heard of any more: what it placed may not be renewed");
            let details = serde_json::json!({ "lastSeen": seen.to_string() });
            tell(app, (&account, &region), "AgentLost", arn, details).await?;
            found.value.lost = true;
            found.value.seen = seen;
            batch.put(
                AGENTS,
                lease.id(),
                &found.value,
                Expect::Version(found.version),
            );
            batch.finish(lease);
        }
    }
    app.store.commit(batch).await?;
    Ok(Outcome::Settled)
}

/// `keystead:ListAgents`: those of the account and region by name.
pub(crate) async fn list_agents(
    ctx: &Ctx,
    input: wire::ListAgentsRequest,
) -> Result<wire::ListAgentsResponse> {
    ctx.allow_own("*")?;
    let size = cursor::size(input.max_results, DEFAULT_PAGE);
    let after = input.next_token.as_deref();
    let (page, next_token) = cursor::page(ctx, "ListAgents", AGENTS, after, size).await?;
    Ok(wire::ListAgentsResponse {
        agents: page.into_iter().map(|agent| shown(ctx, agent)).collect(),
        next_token,
    })
}

fn shown(ctx: &Ctx, found: Stored<Agent>) -> wire::Agent {
    let Stored {
        key, value: agent, ..
    } = found;
    let contact = ctx.app.contacts.of(&key, agent.seen);
    let there = matches!(contact.look(ctx.now), Look::There(_));
    wire::Agent {
        agent_arn: agent.arn,
        name: agent.name,
        role_arn: agent.login.role_arn,
        software: agent.software,
        address: agent.address,
        certificate_serial: agent.certificate.as_ref().map(|held| held.serial.clone()),
        certificate_not_after: agent.certificate.map(|held| held.not_after),
        joined_at: agent.joined_at,
        last_seen_at: Some(contact.seen),
        in_contact: there && !agent.lost,
    }
}

/// `keystead:DeleteAgent`: its certificates are revoked, and what it alone used may be deleted. Sessions that it has go on
/// until they end.
pub(crate) async fn delete_agent(
    ctx: &Ctx,
    input: wire::DeleteAgentRequest,
) -> Result<wire::DeleteAgentResponse> {
    let arn = &input.agent_arn;
    let name = ctx.own(arn, SERVICE, "agent")?;
    let found: Option<Stored<Agent>> = ctx.app.store.get(AGENTS, &ctx.key(name)).await?;
    let found = ctx.admit(Act::Own, arn, found, |_, resource| resource)?;
    let found = found
        .ok_or_else(|| ctx::not_found(arn, ctx.account()))?
        .into_inner();
    take_back(&ctx.app, ctx.account(), &ctx.region, &found.value).await?;
    reports::withdraw_all(ctx, name).await?;
    retrying(CONFLICT_TRIES, || remove(ctx, &found)).await?;
    ctx.app.contacts.forget(&found.key);
    Ok(wire::DeleteAgentResponse {})
}

async fn remove(ctx: &Ctx, agent: &Stored<Agent>) -> Result<()> {
    let store = &ctx.app.store;
    let found: Option<Stored<Agent>> = store.get(AGENTS, &agent.key).await?;
    let Some(found) = found.filter(|found| found.value.identity == agent.value.identity) else {
        return Ok(());
    };
    let mut batch = Batch::new();
    batch.delete(AGENTS, agent.key.as_str(), Expect::Version(found.version));
    batch.cancel(AGENT_QUEUE, agent.key.as_str());
    store.commit(batch).await?;
    Ok(())
}

/// Revokes what an agent may still log in with.
pub(super) async fn take_back(
    app: &Arc<App>,
    account: &AccountId,
    region: &Region,
    agent: &Agent,
) -> Result<()> {
    let ctx = Ctx::of_service(app, SERVICE, account, region)?;
    let authority = &agent.login.authority_arn;
    let reason = RevocationReason::CessationOfOperation;
    for held in [&agent.certificate, &agent.before].into_iter().flatten() {
        match pca::internal::take_back(&ctx, authority, &held.serial, reason).await {
            Ok(()) => {}
            // It is revoked already, or its authority is gone, and with it all trust.
            Err(Error {
                kind:
                    ErrorKind::RequestAlreadyProcessed | ErrorKind::NotFound | ErrorKind::InvalidState,
                ..
            }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What Roles Anywhere calls the URI of a certificate, among the tags of its session.
const IDENTITY_TAG: &str = "x509SAN/URI";

const DEFAULT_PAGE: usize = 100;
