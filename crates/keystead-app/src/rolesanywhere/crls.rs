//! Revocation lists: which certificates of a trust anchor are trusted no more.

use keystead_core::rolesanywhere::MOST_CRLS;
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::x509;
use keystead_store::{Expect, Stored};
use keystead_wire::Blob;
use keystead_wire::rolesanywhere as wire;

use super::record::{self, Crl, Headed as _, Record, TrustAnchor};
use super::{Given, Shown, invalid, shown};
use crate::Ctx;
use crate::access::{Resource, account_of};

/// `rolesanywhere:ImportCrl`.
pub(crate) async fn import_crl(
    ctx: &Ctx,
    input: wire::ImportCrlRequest,
) -> Result<wire::CrlDetailResponse> {
    ctx.allow_own("*")?;
    let mut anchor = anchor(ctx, &input.trust_anchor_arn).await?;
    let data = input.crl_data.into_inner();
    check(ctx, &anchor.value, &data).await?;
    if anchor.value.crls.len() >= MOST_CRLS {
        return Err(Error::new(
            ErrorKind::LimitExceeded,
            format!("The trust anchor has {MOST_CRLS} revocation lists, which is the quota."),
        ));
    }
    let given = Given {
        name: input.name,
        enabled: input.enabled,
        alias: input.alias_name,
        tags: input.tags,
    };
    let crl = Crl {
        head: given.head(ctx)?,
        trust_anchor: anchor.value.head.id.clone(),
        data,
    };
    anchor.value.crls.push(crl.head.id.clone());
    let put = |batch: &mut keystead_store::Batch| {
        let expect = Expect::Version(anchor.version);
        batch.put(TrustAnchor::COLLECTION, anchor.key, &anchor.value, expect);
    };
    record::create(ctx, &crl, put).await?;
    Ok(crl.answer(ctx, None))
}

/// `rolesanywhere:ListCrls`.
pub(crate) async fn list_crls(
    ctx: &Ctx,
    input: wire::ListRequest,
) -> Result<wire::ListCrlsResponse> {
    let (found, next_token) =
        record::list(ctx, input.next_token.as_deref(), input.page_size).await?;
    let found = found.into_iter().map(|crl| detail(ctx, crl, None));
    Ok(wire::ListCrlsResponse {
        next_token,
        crls: Some(found.collect()),
    })
}

/// `rolesanywhere:UpdateCrl`.
pub(crate) async fn update_crl(
    ctx: &Ctx,
    input: wire::UpdateCrlRequest,
) -> Result<wire::CrlDetailResponse> {
    let found = record::find::<Crl>(ctx, &input.crl_id).await?;
    if let Some(data) = &input.crl_data {
        match by_id(ctx, &found.value.trust_anchor).await? {
            Some(anchor) => check(ctx, &anchor.value, data).await?,
            None => parse(data).map(|_| ())?,
        }
    }
    let changed = record::update::<Crl>(ctx, &input.crl_id, |crl| {
        if let Some(data) = &input.crl_data {
            crl.data = data.to_vec();
        }
        crl.head_mut()
            .change(input.name.as_ref(), input.alias_name.as_ref())
    });
    Ok(shown(ctx, changed.await?))
}

/// `rolesanywhere:DeleteCrl`.
pub(crate) async fn delete_crl(
    ctx: &Ctx,
    input: wire::ScalarCrlRequest,
) -> Result<wire::CrlDetailResponse> {
    let found = record::find::<Crl>(ctx, &input.crl_id).await?;
    let anchor = by_id(ctx, &found.value.trust_anchor).await?;
    let gone = record::delete::<Crl>(ctx, &input.crl_id, |crl, batch| {
        if let Some(mut anchor) = anchor {
            anchor.value.crls.retain(|id| *id != crl.head.id);
            let expect = Expect::Version(anchor.version);
            batch.put(TrustAnchor::COLLECTION, anchor.key, &anchor.value, expect);
        }
    });
    Ok(gone.await?.answer(ctx, None))
}

impl Shown for Crl {
    type Scalar = wire::ScalarCrlRequest;
    type Answer = wire::CrlDetailResponse;

    fn named(request: Self::Scalar) -> String {
        request.crl_id
    }

    fn answer(self, ctx: &Ctx, previous_alias: Option<String>) -> Self::Answer {
        wire::CrlDetailResponse {
            crl: detail(ctx, self, previous_alias),
        }
    }
}

/// The list as it can be asked.
pub(super) fn parse(data: &[u8]) -> Result<x509::Crl> {
    x509::Crl::parse(data)
        .map_err(|error| invalid(format!("The revocation list is not valid: {error}.")))
}

/// Refuses what is no list, and one in the name of the anchor's authority that its key did not sign.
async fn check(ctx: &Ctx, anchor: &TrustAnchor, data: &[u8]) -> Result<()> {
    let crl = parse(data)?;
    let certificates = anchor.certificates(ctx, ctx.account()).await?;
    let mut issuers = certificates
        .iter()
        .filter(|certificate| certificate.subject_der == crl.issuer_der)
        .peekable();
    let signed = |issuer: &x509::Certificate| crl.verify_issued_by(&issuer.spki_der).is_ok();
    if issuers.peek().is_some() && !issuers.any(signed) {
        return Err(invalid(
            "The revocation list is not valid: the trust anchor's key did not sign it.",
        ));
    }
    Ok(())
}

/// The trust anchor of this ARN. An alias is none here (API reference, ImportCrl).
async fn anchor(ctx: &Ctx, arn: &str) -> Result<Stored<TrustAnchor>> {
    let account = account_of(arn);
    if account != ctx.account().as_str() {
        ctx.allow(&Resource::new(arn, account))?;
    }
    let prefix = record::arn::<TrustAnchor>(ctx, "");
    let id = arn.strip_prefix(&prefix);
    let found = match id {
        Some(id) => by_id(ctx, id).await?,
        None => None,
    };
    found.ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("Could not find trust-anchor {arn}."),
        )
    })
}

async fn by_id(ctx: &Ctx, id: &str) -> Result<Option<Stored<TrustAnchor>>> {
    let key = ctx.key(id);
    let found = ctx.app.store.get(TrustAnchor::COLLECTION, &key).await?;
    Ok(found)
}

fn detail(ctx: &Ctx, crl: Crl, previous_alias: Option<String>) -> wire::CrlDetail {
    wire::CrlDetail {
        crl_arn: Some(record::arn::<Crl>(ctx, &crl.head.id)),
        alias_arn: crl.head.alias_arn(ctx, Crl::NAME),
        crl_id: Some(crl.head.id),
        name: Some(crl.head.name),
        enabled: Some(crl.head.enabled),
        crl_data: Some(Blob::new(crl.data)),
        trust_anchor_arn: Some(record::arn::<TrustAnchor>(ctx, &crl.trust_anchor)),
        created_at: Some(crl.head.created),
        updated_at: Some(crl.head.updated),
        alias_name: crl.head.alias,
        previous_alias_name: previous_alias,
    }
}
