//! What agents report of their placements, kept and shown.
//!
//! A certificate is in use by a placement from its first report until the agent says that it has the placement no more, or
//! the agent is deleted: so it can't be deleted under a port that serves it, and DescribeCertificate tells where it is.

use std::collections::{BTreeSet, HashMap};

use keystead_core::placements::{Address, Alarm, Placement, Resource, State};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Expect, Stored};
use keystead_wire::keystead as wire;

use super::SERVICE;
use super::agents;
use super::alarms::{self, PLACEMENT_QUEUE};
use super::join::CONFLICT_TRIES;
use super::record::{AGENTS, Agent, PLACEMENTS, PlacementRecord};
use super::versions::CERTIFICATE;
use crate::retry::retrying;
use crate::{Ctx, acm, cursor};

/// `keystead:ReportPlacements`: by an agent, of its own.
pub(crate) async fn report_placements(
    ctx: &Ctx,
    input: wire::ReportPlacementsRequest,
) -> Result<wire::ReportPlacementsResponse> {
    let agent = agents::own(ctx).await?.ok_or_else(not_an_agent)?;
    let _present = agents::present(ctx, &agent).await?;
    let name = &agent.value.name;
    for reported in &input.placements {
        retrying(CONFLICT_TRIES, || report(ctx, name, reported)).await?;
    }
    if let Some(names) = &input.all_names {
        let kept: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        withdraw(ctx, name, |placement| !kept.contains(placement)).await?;
    }
    if input.software.is_some() && input.software != agent.value.software {
        retrying(CONFLICT_TRIES, || note_software(ctx, name, &input.software)).await?;
    }
    Ok(wire::ReportPlacementsResponse {})
}

async fn note_software(ctx: &Ctx, agent: &str, software: &Option<String>) -> Result<()> {
    let mut found = agent_of(ctx, agent).await?;
    found.value.software.clone_from(software);
    let mut batch = Batch::new();
    batch.put(
        AGENTS,
        found.key.as_str(),
        &found.value,
        Expect::Version(found.version),
    );
    ctx.app.store.commit(batch).await?;
    Ok(())
}

/// Keeps what is reported of one placement.
async fn report(ctx: &Ctx, agent: &str, reported: &wire::ReportedPlacement) -> Result<()> {
    let app = &ctx.app;
    let key = key_of(ctx, agent, &reported.name);
    let before: Option<Stored<PlacementRecord>> = app.store.get(PLACEMENTS, &key).await?;
    let arn = ctx.arn(SERVICE, format!("placement/{agent}/{}", reported.name));
    let last = before.as_ref().map(|before| &before.value.placement);
    let mut placement = taken(ctx, arn.to_string(), reported, last);
    let mut batch = Batch::new();
    let used = before.as_ref().map_or(&[][..], |before| &before.value.uses);
    let uses = associate(ctx, &mut batch, &placement, used).await?;
    if before.is_none() {
        let mut found = agent_of(ctx, agent).await?;
        if found.value.placements >= MOST_PLACEMENTS {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("The agent {agent} has {MOST_PLACEMENTS} placements, which is the most."),
            ));
        }
        found.value.placements += 1;
        batch.put(
            AGENTS,
            found.key.as_str(),
            &found.value,
            Expect::Version(found.version),
        );
    }
    if placement.state == State::Proven && last.is_none_or(|last| last.state != State::Proven) {
        let took = placement.since.duration_since(placement.wanted_at);
        metrics::histogram!("keystead_placement_seconds").record(took.as_secs_f64().max(0.0));
    }
    alarms::note(app, &key, &mut placement, ctx.now).await?;
    match placement.next_look(ctx.now) {
        Some(next) => batch.enqueue(PLACEMENT_QUEUE, key.as_str(), next, &()),
        None => batch.cancel(PLACEMENT_QUEUE, key.as_str()),
    };
    let expect = before.map_or(Expect::Absent, |before| Expect::Version(before.version));
    batch.put(
        PLACEMENTS,
        key,
        &PlacementRecord { placement, uses },
        expect,
    );
    app.store.commit(batch).await?;
    Ok(())
}

/// A placement as it is reported, with what is known of it from before.
fn taken(
    ctx: &Ctx,
    arn: String,
    reported: &wire::ReportedPlacement,
    last: Option<&Placement>,
) -> Placement {
    let state = match reported.state {
        wire::PlacementState::Pending => State::Pending,
        wire::PlacementState::Placed => State::Placed,
        wire::PlacementState::Proven => State::Proven,
        wire::PlacementState::Failed => State::Failed,
    };
    let resources: Vec<Resource> = reported.resources.iter().map(resource).collect();
    let same = last
        .filter(|last| last.state == state)
        .map(|last| last.since);
    let wanted = |placement: &Placement| {
        let wanted = |resources: &[Resource]| -> Vec<_> {
            resources
                .iter()
                .map(|one| (one.arn.clone(), one.wanted.clone()))
                .collect()
        };
        wanted(&placement.resources) == wanted(&resources)
    };
    let wanted_at = last.filter(|last| wanted(last)).map(|last| last.wanted_at);
    // An agent's clock may be ahead; nothing is told to have happened later than now.
    let at = |given: Option<jiff::Timestamp>| given.map(|given| given.min(ctx.now));
    Placement {
        arn,
        name: reported.name.clone(),
        state,
        since: at(reported.since).or(same).unwrap_or(ctx.now),
        wanted_at: at(reported.wanted_at).or(wanted_at).unwrap_or(ctx.now),
        resources,
        addresses: reported.addresses.iter().flatten().map(address).collect(),
        not_before: reported.not_before,
        not_after: reported.not_after,
        reason: reported.reason.clone(),
        reported_at: ctx.now,
        told: last.and_then(|last| last.told),
    }
}

/// Adds to `batch` what the placement uses from now on, and what no longer; answers what that is. A certificate that the
/// agent may not see is not kept for it, and one that is gone can't be.
async fn associate(
    ctx: &Ctx,
    batch: &mut Batch,
    placement: &Placement,
    used: &[String],
) -> Result<Vec<String>> {
    let certificates = placement
        .resources
        .iter()
        .map(|resource| resource.arn.as_str());
    let certificates: BTreeSet<&str> = certificates
        .filter(|arn| arn.split(':').nth(2) == Some("acm"))
        .collect();
    let mut uses = Vec::with_capacity(certificates.len());
    for arn in &certificates {
        if used.iter().any(|used| used == arn) {
            uses.push((*arn).to_owned());
            continue;
        }
        let there = of_region(ctx, arn)?;
        let associated =
            acm::internal::associate(&there, CERTIFICATE, batch, arn, &placement.arn).await;
        match associated {
            Ok(()) => uses.push((*arn).to_owned()),
            Err(error) if is_out_of_reach(&error) => {}
            Err(error) => return Err(error),
        }
    }
    for dropped in used
        .iter()
        .filter(|used| !certificates.contains(used.as_str()))
    {
        release(ctx, batch, dropped, &placement.arn).await?;
    }
    Ok(uses)
}

async fn release(ctx: &Ctx, batch: &mut Batch, arn: &str, user: &str) -> Result<()> {
    let there = of_region(ctx, arn)?;
    match acm::internal::release(&there, batch, arn, user).await {
        Err(error) if is_out_of_reach(&error) => Ok(()),
        released => released,
    }
}

fn is_out_of_reach(error: &Error) -> bool {
    matches!(
        error.kind,
        ErrorKind::AccessDenied | ErrorKind::NotFound | ErrorKind::InvalidArn
    )
}

/// The same call in the region of this ARN.
fn of_region(ctx: &Ctx, arn: &str) -> Result<Ctx> {
    let region = keystead_core::Arn::parse(arn)?.region;
    Ok(Ctx {
        region: keystead_core::Region::parse(&region)?,
        ..ctx.clone()
    })
}

/// Ends every placement of an agent.
pub(super) async fn withdraw_all(ctx: &Ctx, agent: &str) -> Result<()> {
    withdraw(ctx, agent, |_| true).await
}

/// Ends the placements of an agent that have such names.
async fn withdraw(ctx: &Ctx, agent: &str, which: impl Fn(&str) -> bool) -> Result<()> {
    let prefix = key_of(ctx, agent, "");
    let mut after: Option<String> = None;
    loop {
        let page: Vec<Stored<PlacementRecord>> = ctx
            .app
            .store
            .scan(PLACEMENTS, &prefix, after.as_deref(), PAGE)
            .await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.key.clone());
        for found in page
            .iter()
            .filter(|found| which(&found.value.placement.name))
        {
            retrying(CONFLICT_TRIES, || end(ctx, agent, &found.key)).await?;
        }
    }
}

async fn end(ctx: &Ctx, agent: &str, key: &str) -> Result<()> {
    let store = &ctx.app.store;
    let found: Option<Stored<PlacementRecord>> = store.get(PLACEMENTS, key).await?;
    let Some(found) = found else {
        return Ok(());
    };
    let mut batch = Batch::new();
    for arn in &found.value.uses {
        release(ctx, &mut batch, arn, &found.value.placement.arn).await?;
    }
    let mut agent = agent_of(ctx, agent).await?;
    agent.value.placements = agent.value.placements.saturating_sub(1);
    batch.put(
        AGENTS,
        agent.key.as_str(),
        &agent.value,
        Expect::Version(agent.version),
    );
    batch.delete(PLACEMENTS, key, Expect::Version(found.version));
    batch.cancel(PLACEMENT_QUEUE, key);
    store.commit(batch).await?;
    Ok(())
}

/// `keystead:ListPlacements`: those of the account and region, or of one agent, by agent and name.
pub(crate) async fn list_placements(
    ctx: &Ctx,
    input: wire::ListPlacementsRequest,
) -> Result<wire::ListPlacementsResponse> {
    ctx.allow_own("*")?;
    let size = cursor::size(input.max_results, DEFAULT_PAGE);
    let after = input.next_token.as_deref();
    let prefix = match &input.agent_arn {
        Some(arn) => key_of(ctx, ctx.own(arn, SERVICE, "agent")?, ""),
        None => ctx.prefix(),
    };
    let scope = format!("ListPlacements {prefix}");
    let (page, next_token) =
        cursor::page_under::<PlacementRecord>(ctx, &scope, PLACEMENTS, &prefix, after, size)
            .await?;
    let mut lost = HashMap::new();
    let mut placements = Vec::with_capacity(page.len());
    for Stored { key, value, .. } in page {
        let agent = key.split('/').nth(2).unwrap_or_default().to_owned();
        let is_lost = match lost.get(&agent) {
            Some(lost) => *lost,
            None => {
                let found: Option<Stored<Agent>> =
                    ctx.app.store.get(AGENTS, &ctx.key(&agent)).await?;
                let is_lost = found.is_none_or(|found| found.value.lost);
                lost.insert(agent.clone(), is_lost);
                is_lost
            }
        };
        placements.push(shown(ctx, &agent, value.placement, is_lost));
    }
    Ok(wire::ListPlacementsResponse {
        placements,
        next_token,
    })
}

fn shown(ctx: &Ctx, agent: &str, placement: Placement, is_lost: bool) -> wire::Placement {
    let (state, usual) = match placement.state {
        State::Pending => (
            wire::PlacementState::Pending,
            wire::PlacementStatus::Pending,
        ),
        State::Placed => (wire::PlacementState::Placed, wire::PlacementStatus::Placed),
        State::Proven => (wire::PlacementState::Proven, wire::PlacementStatus::Proven),
        State::Failed => (wire::PlacementState::Failed, wire::PlacementStatus::Failed),
    };
    let status = match placement.alarm(ctx.now) {
        Some(Alarm::Expiring) => wire::PlacementStatus::Expiring,
        _ if is_lost => wire::PlacementStatus::Lost,
        Some(Alarm::Failed) => wire::PlacementStatus::Failed,
        Some(Alarm::Late) => wire::PlacementStatus::Late,
        None => usual,
    };
    let resources = placement
        .resources
        .into_iter()
        .map(|one| wire::PlacedResource {
            arn: one.arn,
            wanted: one.wanted,
            placed: one.placed,
            proven: one.proven,
        });
    let addresses = placement
        .addresses
        .into_iter()
        .map(|one| wire::PlacementAddress {
            address: one.address,
            proven: one.proven,
            served: one.served,
            reason: one.reason,
        });
    wire::Placement {
        placement_arn: placement.arn,
        agent_arn: ctx.arn(SERVICE, format!("agent/{agent}")).to_string(),
        status,
        name: placement.name,
        state,
        since: placement.since,
        wanted_at: placement.wanted_at,
        resources: resources.collect(),
        addresses: addresses.collect(),
        not_before: placement.not_before,
        not_after: placement.not_after,
        reason: placement.reason,
        reported_at: placement.reported_at,
    }
}

fn resource(given: &wire::PlacedResource) -> Resource {
    Resource {
        arn: given.arn.clone(),
        wanted: given.wanted.clone(),
        placed: given.placed.clone(),
        proven: given.proven.clone(),
    }
}

fn address(given: &wire::PlacementAddress) -> Address {
    Address {
        address: given.address.clone(),
        proven: given.proven,
        served: given.served.clone(),
        reason: given.reason.clone(),
    }
}

async fn agent_of(ctx: &Ctx, name: &str) -> Result<Stored<Agent>> {
    let found: Option<Stored<Agent>> = ctx.app.store.get(AGENTS, &ctx.key(name)).await?;
    found.ok_or_else(not_an_agent)
}

fn key_of(ctx: &Ctx, agent: &str, placement: &str) -> String {
    ctx.key(&format!("{agent}/{placement}"))
}

fn not_an_agent() -> Error {
    Error::new(
        ErrorKind::AccessDenied,
        "The caller is no agent: expected credentials that CreateSession (IAM Roles Anywhere) gave for the certificate of JoinAgent, in the agent's region; if the agent was removed, join again with a new token.",
    )
}

/// The most of one agent: twice what one machine was tested with.
const MOST_PLACEMENTS: u32 = 2000;

/// Placements of one step.
const PAGE: usize = 100;

const DEFAULT_PAGE: usize = 100;
