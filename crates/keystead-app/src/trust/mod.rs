//! Trust roll-over: authorities give way to others while their certificates are in use.
//!
//! What is decided is in `keystead_core::trust`; here it is carried out. A roll-over is one record. Its
//! steps are taken from the due-queue ([`reconcile`]), each a page of a pass over nodes or certificates
//! whose outcome is stored with it, so that it goes on after a crash where it was, at no size does more at
//! once, and has no repair of its own. What delivery gives to consumers ([`bundle`]) follows from a small
//! record beside each authority, which changes when a phase changes it, and with it in one commit.
//!
//! These operations are Keystead's own (`models/keystead.json`).

mod bundle;
mod looks;
mod record;
mod step;
#[cfg(test)]
mod tests;

use keystead_core::trust::{NewRollOver, Phase, Replacement, RollOver};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Expect, StoreError};
use keystead_wire::keystead as wire;

pub use bundle::{Bundle, bundle, is_known_by_other_names};
pub(crate) use record::QUEUE;
pub use record::STANDINGS;
pub(crate) use step::reconcile;

use crate::access::{Act, Allowed};
use crate::pca::internal::own_key;
use crate::pca::{self, succession};
use crate::{Ctx, ctx, cursor, ids};
use record::{Loaded, ROLL_OVERS, Record, Standing, key_of, place, put_standing};

const fn via(action: &'static str) -> Act<'static> {
    Act::Via {
        action,
        service: "keystead",
    }
}

/// What a roll-over does with an authority that goes, in the caller's name.
const OF_OLD: [Act<'static>; 3] = [
    via("acm-pca:GetCertificateAuthorityCertificate"),
    via("acm-pca:IssueCertificate"),
    via("acm-pca:UpdateCertificateAuthority"),
];

/// What it does with one that comes.
const OF_NEW: [Act<'static>; 2] = [
    via("acm-pca:GetCertificateAuthorityCertificate"),
    via("acm-pca:IssueCertificate"),
];

/// `keystead:StartTrustRollOver`. An authority takes part in one roll-over at a time.
pub(crate) async fn start_trust_roll_over(
    ctx: &Ctx,
    input: wire::StartTrustRollOverRequest,
) -> Result<wire::StartTrustRollOverResponse> {
    ctx.allow_own("*")?;
    let given = input.replacements.into_iter();
    let new = NewRollOver {
        id: ids::uuid()?,
        account: ctx.account().clone(),
        region: ctx.region.clone(),
        replacements: given
            .map(|pair| Replacement {
                old: pair.old_authority_arn,
                new: pair.new_authority_arn,
            })
            .collect(),
        automatic: input.automatic.unwrap_or(false),
        settle_seconds: input.settle_seconds.unwrap_or(SETTLE_SECONDS),
    };
    let roll_over = RollOver::start(new, ctx.now)?;
    for Replacement { old, new } in &roll_over.replacements {
        for act in OF_OLD {
            pca::internal::must_exist(ctx, act, old).await?;
        }
        for act in OF_NEW {
            pca::internal::must_exist(ctx, act, new).await?;
        }
        succession::check_succession(&ctx.app, place(&roll_over), old, new, ctx.now).await?;
    }
    let mut batch = Batch::new();
    for arn in roll_over.replacements.iter().flat_map(Replacement::both) {
        let key = own_key(ctx.account(), &ctx.region, arn)?;
        let found = ctx.app.store.get::<Standing>(STANDINGS, &key).await?;
        let expect = match found {
            None => Expect::Absent,
            Some(found) if found.value.over => Expect::Version(found.version),
            Some(found) => return Err(taken(arn, &found.value.roll_over)),
        };
        put_standing(&mut batch, &roll_over, arn, expect)?;
    }
    let key = key_of(&roll_over);
    let record = Record(roll_over);
    batch.put(ROLL_OVERS, key.as_str(), &record, Expect::Absent);
    batch.enqueue(QUEUE, key, ctx.now, &());
    match ctx.app.store.commit(batch).await {
        Ok(_) => Ok(wire::StartTrustRollOverResponse {
            trust_roll_over: shown(ctx, &record.0),
        }),
        Err(StoreError::Conflict { .. }) => Err(Error::new(
            ErrorKind::Conflict,
            "One of the authorities takes part in a roll-over that was just started.",
        )),
        Err(error) => Err(error.into()),
    }
}

/// `keystead:DescribeTrustRollOver`.
pub(crate) async fn describe_trust_roll_over(
    ctx: &Ctx,
    input: wire::DescribeTrustRollOverRequest,
) -> Result<wire::DescribeTrustRollOverResponse> {
    let found = find(ctx, &input.trust_roll_over_arn).await?;
    Ok(wire::DescribeTrustRollOverResponse {
        trust_roll_over: shown(ctx, &found.roll_over),
    })
}

/// `keystead:ListTrustRollOvers`: the roll-overs of the account and region, also those that are over.
pub(crate) async fn list_trust_roll_overs(
    ctx: &Ctx,
    input: wire::ListTrustRollOversRequest,
) -> Result<wire::ListTrustRollOversResponse> {
    ctx.allow_own("*")?;
    let limit = cursor::size(input.max_results, DEFAULT_PAGE);
    let after = input.next_token.as_deref();
    let (page, next_token) = cursor::page::<Record>(ctx, SCOPE, ROLL_OVERS, after, limit).await?;
    Ok(wire::ListTrustRollOversResponse {
        trust_roll_overs: page
            .iter()
            .map(|found| shown(ctx, &found.value.0))
            .collect(),
        next_token,
    })
}

/// `keystead:AdvanceTrustRollOver`: the next phase, if nothing speaks against it. Whether it is refused or
/// not, what keeps it is looked at again at once.
pub(crate) async fn advance_trust_roll_over(
    ctx: &Ctx,
    input: wire::AdvanceTrustRollOverRequest,
) -> Result<wire::AdvanceTrustRollOverResponse> {
    let arn = &input.trust_roll_over_arn;
    let roll_over = change(ctx, arn, |roll_over| roll_over.advance(ctx.now)).await;
    if let Err(error) = &roll_over
        && error.kind == ErrorKind::InvalidState
    {
        let found = find(ctx, arn).await?;
        if !found.roll_over.is_over() {
            let mut batch = Batch::new();
            batch.enqueue(QUEUE, found.key.as_str(), ctx.now, &());
            ctx.app.store.commit(batch).await?;
        }
    }
    Ok(wire::AdvanceTrustRollOverResponse {
        trust_roll_over: shown(ctx, &roll_over?),
    })
}

/// `keystead:AbortTrustRollOver`.
pub(crate) async fn abort_trust_roll_over(
    ctx: &Ctx,
    input: wire::AbortTrustRollOverRequest,
) -> Result<wire::AbortTrustRollOverResponse> {
    let arn = &input.trust_roll_over_arn;
    let roll_over = change(ctx, arn, |roll_over| roll_over.abort(ctx.now)).await?;
    Ok(wire::AbortTrustRollOverResponse {
        trust_roll_over: shown(ctx, &roll_over),
    })
}

/// `keystead:GetTrustBundle`: what peers must trust to trust what an authority issues; while it is rolled
/// over, the same that delivery gives to nodes.
pub(crate) async fn get_trust_bundle(
    ctx: &Ctx,
    input: wire::GetTrustBundleRequest,
) -> Result<wire::GetTrustBundleResponse> {
    ctx.allow_own("*")?;
    let arn = &input.certificate_authority_arn;
    let act = via("acm-pca:GetCertificateAuthorityCertificate");
    pca::internal::must_exist(ctx, act, arn).await?;
    let bundle = bundle(&ctx.app, ctx.account(), &ctx.region, arn).await?;
    Ok(wire::GetTrustBundleResponse {
        version: i64::try_from(bundle.version).unwrap_or(i64::MAX),
        certificate_authority_arns: bundle.authorities,
        certificates: bundle.certificates,
    })
}

/// Changes the caller's roll-over of this name. Starts anew when somebody else was quicker.
async fn change(
    ctx: &Ctx,
    arn: &str,
    apply: impl Fn(&mut RollOver) -> Result<()>,
) -> Result<RollOver> {
    for _ in 0..ATTEMPTS {
        let mut found = find(ctx, arn).await?.into_inner();
        apply(&mut found.roll_over)?;
        match step::store(&ctx.app, &found, ctx.now).await {
            Err(error) if error.kind == ErrorKind::ConcurrentModification => {}
            stored => return stored.map(|()| found.roll_over),
        }
    }
    Err(step::contended(arn))
}

/// The caller's roll-over of this name, if the call may touch it.
async fn find(ctx: &Ctx, arn: &str) -> Result<Allowed<Loaded>> {
    let id = ctx.own(arn, "keystead", "trust-roll-over")?;
    let found = Loaded::read(&ctx.app.store, &ctx.key(id)).await?;
    let found = ctx.admit(Act::Own, arn, found, |_, resource| resource)?;
    found.ok_or_else(|| ctx::not_found(arn, ctx.account()))
}

fn taken(arn: &str, by: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "The certificate authority {arn} takes part in the roll-over {by}, which is not over."
        ),
    )
}

fn shown(ctx: &Ctx, roll_over: &RollOver) -> wire::TrustRollOver {
    use wire::TrustRollOverPhase as Shown;
    let pairs = roll_over.replacements.iter();
    let cross = roll_over.cross.iter().filter(|cross| cross.pem.is_some());
    let verdict = roll_over.verdict.as_ref();
    let leaf = roll_over.last_leaf.as_ref();
    wire::TrustRollOver {
        trust_roll_over_arn: roll_over.arn(),
        replacements: pairs
            .map(|pair| wire::AuthorityReplacement {
                old_authority_arn: pair.old.clone(),
                new_authority_arn: pair.new.clone(),
            })
            .collect(),
        phase: match roll_over.phase {
            Phase::Distributing => Shown::Distributing,
            Phase::Issuing => Shown::Issuing,
            Phase::Retiring => Shown::Retiring,
            Phase::Done => Shown::Done,
            Phase::Returning => Shown::Returning,
            Phase::Aborted => Shown::Aborted,
        },
        automatic: roll_over.automatic,
        settle_seconds: roll_over.settle_seconds,
        started_at: roll_over.started_at,
        phase_begun_at: roll_over.entered_at,
        looked_at: verdict.map(|verdict| verdict.at),
        waits_for: roll_over.waits_for(ctx.now),
        open: verdict.map(|verdict| i64::try_from(verdict.open).unwrap_or(i64::MAX)),
        certificates_moved: i64::try_from(roll_over.moved).unwrap_or(i64::MAX),
        last_certificate_ends_at: leaf
            .and_then(|leaf| jiff::Timestamp::from_second(leaf.not_after).ok()),
        cross_certificates: cross
            .map(|cross| wire::CrossCertificate {
                subject_authority_arn: cross.subject.clone(),
                issuer_authority_arn: cross.issuer.clone(),
                certificate: cross.pem.clone(),
            })
            .collect(),
    }
}

/// Time for consumers that are switched off for a while, where the caller names none: an hour.
const SETTLE_SECONDS: i64 = 3600;

/// What a listing's tokens are bound to.
const SCOPE: &str = "ListTrustRollOvers";

/// A page where the caller names no size.
const DEFAULT_PAGE: usize = 100;

/// A roll-over's step takes milliseconds; who loses this often in a row competes with a loop.
const ATTEMPTS: usize = 8;
