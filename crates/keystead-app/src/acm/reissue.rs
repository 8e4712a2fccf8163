//! Re-issuing everything that a private CA signed (Keystead's own operations): begun, told about,
//! stopped, and done chunk by chunk by the due-queue.
//!
//! `keystead_core::acm::reissue` has the record and its rules. There is one re-issue at a time for a
//! CA, which a record under the CA's id stands for.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use keystead_core::acm::index;
use keystead_core::acm::reissue::{Planned, Reissue, Stage, Standing};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Collection, Expect, Lease, StoreError, Stored, Versioned};
use keystead_wire::keystead as wire;
use serde::{Deserialize, Serialize};

use super::record::{INDEX, Loaded, prefix_of};
use super::{CONFLICT_TRIES, issue};
use crate::access::{Act, Allowed};
use crate::tasks::Outcome;
use crate::{App, Ctx, ctx, cursor, ids, pca};

/// Re-issues, by `account/region/id`.
const REISSUES: Collection = Collection("acm.reissue");

/// The re-issue under way for a CA, by `account/region/id of the CA`.
const UNDER_WAY: Collection = Collection("acm.reissue-under-way");

/// The re-issues under way, by their record keys.
pub(crate) const REISSUE_QUEUE: &str = "acm-reissue";

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct ReissueRecord(Reissue);

impl Versioned for ReissueRecord {
    const MARKER: &'static str = "acm.reissue/1";
}

/// The ARN of the re-issue under way.
#[derive(Serialize, Deserialize)]
struct UnderWay(String);

impl Versioned for UnderWay {
    const MARKER: &'static str = "acm.reissue-under-way/1";
}

/// `keystead:StartReissue`. The CA that is to issue must be one that the caller may issue from, and must
/// have granted that to ACM, which does the work on its own account.
pub(crate) async fn start_reissue(
    ctx: &Ctx,
    input: wire::StartReissueRequest,
) -> Result<wire::StartReissueResponse> {
    ctx.allow_own(&ctx.arn("keystead", "reissue/*").to_string())?;
    let authority = input.certificate_authority_arn;
    let target = input.target_certificate_authority_arn;
    let target = target.unwrap_or_else(|| authority.clone());
    // The CA that issued may be gone; its name is enough.
    let authority_id = ctx.own(&authority, "acm-pca", "certificate-authority")?;
    pca::internal::must_exist(ctx, ISSUE, &target).await?;
    pca::internal::must_grant(&ctx.app, ctx.account(), &ctx.region, &target).await?;
    let lock = ctx.key(authority_id);
    if let Some(found) = ctx.app.store.get::<UnderWay>(UNDER_WAY, &lock).await? {
        return Err(under_way(&authority, &found.value.0));
    }
    let id = ids::uuid()?;
    let arn = ctx.arn("keystead", format!("reissue/{id}")).to_string();
    let per_second = input.per_second.and_then(|rate| u32::try_from(rate).ok());
    let reissue = Reissue::begin(arn.clone(), authority.clone(), target, per_second, ctx.now);
    let key = ctx.key(&id);
    let mut batch = Batch::new();
    let shown = shown(&reissue);
    batch.put(UNDER_WAY, lock, &UnderWay(arn), Expect::Absent);
    batch.enqueue(REISSUE_QUEUE, key.as_str(), ctx.now, &());
    batch.put(REISSUES, key, &ReissueRecord(reissue), Expect::Absent);
    match ctx.app.store.commit(batch).await {
        Ok(_) => Ok(wire::StartReissueResponse { reissue: shown }),
        Err(StoreError::Conflict { .. }) => Err(under_way(&authority, "that just began")),
        Err(error) => Err(error.into()),
    }
}

/// `keystead:DescribeReissue`.
pub(crate) async fn describe_reissue(
    ctx: &Ctx,
    input: wire::DescribeReissueRequest,
) -> Result<wire::DescribeReissueResponse> {
    let found = find(ctx, &input.reissue_arn).await?;
    Ok(wire::DescribeReissueResponse {
        reissue: shown(&found.value.0),
    })
}

/// `keystead:ListReissues`: those of the account and region, over or not.
pub(crate) async fn list_reissues(
    ctx: &Ctx,
    input: wire::ListReissuesRequest,
) -> Result<wire::ListReissuesResponse> {
    ctx.allow_own("*")?;
    let limit = cursor::size(input.max_results, DEFAULT_PAGE);
    let after = input.next_token.as_deref();
    let (page, next_token) =
        cursor::page::<ReissueRecord>(ctx, SCOPE, REISSUES, after, limit).await?;
    Ok(wire::ListReissuesResponse {
        reissues: page.iter().map(|found| shown(&found.value.0)).collect(),
        next_token,
    })
}

/// `keystead:StopReissue`: what has a new version keeps it, and another re-issue goes on with the rest.
pub(crate) async fn stop_reissue(
    ctx: &Ctx,
    input: wire::StopReissueRequest,
) -> Result<wire::StopReissueResponse> {
    for _ in 0..CONFLICT_TRIES {
        let mut found = find(ctx, &input.reissue_arn).await?.into_inner();
        found.value.0.stop(ctx.now)?;
        let shown = shown(&found.value.0);
        let mut batch = Batch::new();
        batch.cancel(REISSUE_QUEUE, found.key.as_str());
        save(&mut batch, found);
        match ctx.app.store.commit(batch).await.map_err(Error::from) {
            Err(error) if error.kind == ErrorKind::ConcurrentModification => {}
            committed => {
                committed?;
                return Ok(wire::StopReissueResponse { reissue: shown });
            }
        }
    }
    Err(Error::new(
        ErrorKind::ConcurrentModification,
        format!(
            "The re-issue {} moves on all the time; try again.",
            input.reissue_arn
        ),
    ))
}

/// Does the next part of the re-issue of this lease: counts a page, or replaces the chunk in hand and
/// takes the next one.
pub(crate) async fn reissue_part(app: &Arc<App>, lease: &Lease) -> Result<Outcome> {
    let found = app.store.get::<ReissueRecord>(REISSUES, lease.id()).await?;
    let Some(mut found) = found.filter(|found| found.value.0.is_running()) else {
        return Ok(Outcome::Finished);
    };
    let place = prefix_of(&found.key).to_owned();
    match found.value.0.stage {
        Stage::Counting => count(app, &place, &mut found.value.0).await?,
        _ => replace(app, &place, &mut found.value.0).await?,
    }
    let reissue = &found.value.0;
    let mut batch = Batch::new();
    match reissue.is_running() {
        true => batch.reschedule(lease, reissue.next_at(app.env.now()), &()),
        false => batch.finish(lease),
    };
    save(&mut batch, found);
    app.store.commit(batch).await?;
    Ok(Outcome::Settled)
}

/// Counts a page of the CA's certificates.
async fn count(app: &App, place: &str, reissue: &mut Reissue) -> Result<()> {
    let ids = page(app, place, reissue, COUNTED).await?;
    let last = ids.last().filter(|_| ids.len() == COUNTED).cloned();
    let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
    reissue.counted(count, last, app.env.now());
    Ok(())
}

/// Replaces what is in hand, and takes the next chunk.
async fn replace(app: &Arc<App>, place: &str, reissue: &mut Reissue) -> Result<()> {
    let at_work = &*reissue;
    let in_hand = at_work.chunk.iter();
    let work: Vec<_> = in_hand
        .map(|planned| replace_one(app, place, at_work, planned))
        .collect();
    let ended: Vec<Result<Standing>> = stream::iter(work)
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;
    let ended = ended.into_iter().collect::<Result<Vec<_>>>()?;
    let ids = page(app, place, reissue, reissue.chunk_size()).await?;
    let mut chunk = Vec::with_capacity(ids.len());
    for id in &ids {
        let found = Loaded::read(&app.store, &format!("{place}{id}")).await?;
        let certificate = found.as_ref().map(|found| &found.certificate);
        chunk.extend(reissue.plan(id, certificate, app.env.now()));
    }
    let looked_at = u64::try_from(ids.len()).unwrap_or(u64::MAX);
    let last = ids.last().cloned();
    reissue.advance(&ended, looked_at, chunk, last, app.env.now());
    Ok(())
}

/// Has the certificate replaced unless it was; answers how it stands then. What the CA refused, or
/// what could not be done now, the certificate's own item in the queue goes on with.
async fn replace_one(
    app: &Arc<App>,
    place: &str,
    reissue: &Reissue,
    planned: &Planned,
) -> Result<Standing> {
    let key = format!("{place}{}", planned.id);
    for _ in 0..CONFLICT_TRIES {
        let (standing, found) = look(app, &key, reissue, planned).await?;
        let (Standing::Waiting(_), Some(mut found)) = (standing.clone(), found) else {
            return Ok(standing);
        };
        found.certificate.reissue(&reissue.target, app.env.now())?;
        let mut batch = Batch::new();
        found.save(&mut batch);
        match app.store.commit(batch).await.map_err(Error::from) {
            Err(error) if error.kind == ErrorKind::ConcurrentModification => continue,
            committed => drop(committed?),
        }
        issue::at_once(app, &key).await;
        return Ok(look(app, &key, reissue, planned).await?.0);
    }
    Ok(look(app, &key, reissue, planned).await?.0)
}

async fn look(
    app: &App,
    key: &str,
    reissue: &Reissue,
    planned: &Planned,
) -> Result<(Standing, Option<Loaded>)> {
    let found = Loaded::read(&app.store, key).await?;
    let certificate = found.as_ref().map(|found| &found.certificate);
    let standing = reissue.standing(planned, certificate, app.env.now());
    Ok((standing, found))
}

/// The ids of the CA's certificates behind the cursor.
async fn page(app: &App, place: &str, reissue: &Reissue, limit: usize) -> Result<Vec<String>> {
    let prefix = format!("{place}{}", index::of_authority(&reissue.authority));
    let after = reissue.cursor.as_ref().map(|id| format!("{prefix}{id}"));
    let rows: Vec<Stored<()>> = app
        .store
        .scan(INDEX, &prefix, after.as_deref(), limit)
        .await?;
    let ids = rows.iter().map(|row| index::id_of(&row.key).to_owned());
    Ok(ids.collect())
}

/// Stores it, if nobody changed it since it was read; the CA is free for another one when it is over.
fn save(batch: &mut Batch, found: Stored<ReissueRecord>) {
    let reissue = &found.value.0;
    if !reissue.is_running() {
        let place = prefix_of(&found.key);
        let lock = format!("{place}{}", index::id_of(&reissue.authority));
        batch.delete(UNDER_WAY, lock, Expect::Any);
    }
    batch.put(
        REISSUES,
        found.key,
        &found.value,
        Expect::Version(found.version),
    );
}

async fn find(ctx: &Ctx, arn: &str) -> Result<Allowed<Stored<ReissueRecord>>> {
    let id = ctx.own(arn, "keystead", "reissue")?;
    let found = ctx.app.store.get(REISSUES, &ctx.key(id)).await?;
    let found = ctx.admit(Act::Own, arn, found, |_, resource| resource)?;
    found.ok_or_else(|| ctx::not_found(arn, ctx.account()))
}

fn shown(reissue: &Reissue) -> wire::Reissue {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let failure = reissue.last_failure.as_ref();
    wire::Reissue {
        reissue_arn: reissue.arn.clone(),
        certificate_authority_arn: reissue.authority.clone(),
        target_certificate_authority_arn: reissue.target.clone(),
        status: match reissue.stage {
            Stage::Counting => wire::ReissueStatus::Counting,
            Stage::Running => wire::ReissueStatus::Running,
            Stage::Completed => wire::ReissueStatus::Completed,
            Stage::Stopped => wire::ReissueStatus::Stopped,
        },
        per_second: reissue.per_second.and_then(|rate| i32::try_from(rate).ok()),
        started_at: reissue.started_at,
        updated_at: reissue.updated_at,
        ended_at: reissue.ended_at,
        total: number(reissue.total),
        reissued: number(reissue.reissued),
        failed: number(reissue.failed),
        left_out: number(reissue.left_out),
        failed_certificate_arn: failure.map(|failure| failure.certificate.clone()),
        failure_reason: failure.map(|failure| failure.reason.as_str().into()),
    }
}

fn under_way(authority: &str, arn: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("A re-issue of what {authority} signed is under way already: {arn}."),
    )
}

/// Whoever begins a re-issue must be somebody who may issue from that CA.
const ISSUE: Act<'_> = Act::Via {
    action: "acm-pca:IssueCertificate",
    service: "acm.amazonaws.com",
};

/// Certificates that are counted in one step: a full page of the store.
const COUNTED: usize = 1000;

/// Certificates that are replaced at a time. More would only wait for the key ring's threads, in front
/// of the callers.
const AT_A_TIME: usize = 8;

/// What a listing's tokens are bound to.
const SCOPE: &str = "ListReissues";

/// A page where the caller names no size.
const DEFAULT_PAGE: usize = 100;
