//! Authorities that other accounts share: which ones an account may list.
//!
//! Who may use an authority is decided by its policy, whenever it is used. So that an account finds what it may use,
//! every account that a policy names has an entry, put and taken in the commit that changes the policy. An entry allows
//! nothing: a listing shows what the caller may describe.

use std::collections::BTreeSet;

use keystead_core::pca::{CertificateAuthority, policy};
use keystead_core::{AccountId, Result};
use keystead_store::{Batch, Collection, Expect, Versioned};
use keystead_wire::acm_pca as wire;
use serde::{Deserialize, Serialize};

use super::authorities::describe;
use super::convert;
use super::record::find;
use crate::access::Resource;
use crate::{Ctx, cursor};

/// Entries, by `account/region/owner/authority`: of the account with which it is shared.
const SHARED: Collection = Collection("pca.shared");

#[derive(Serialize, Deserialize)]
struct Shared {}

impl Versioned for Shared {
    const MARKER: &'static str = "pca.shared/1";
}

/// Adds to the commit that gives the authority another policy, or none, who finds it from then on.
pub(super) fn index(ca: &CertificateAuthority, policy: Option<&str>, batch: &mut Batch) {
    let before = named(ca, ca.policy.as_deref());
    let then = named(ca, policy);
    for account in before.difference(&then) {
        batch.delete(SHARED, key(account, ca), Expect::Any);
    }
    for account in then.difference(&before) {
        batch.put(SHARED, key(account, ca), &Shared {}, Expect::Any);
    }
}

fn named(ca: &CertificateAuthority, policy: Option<&str>) -> BTreeSet<AccountId> {
    let mut named = policy.map(policy::accounts).unwrap_or_default();
    named.remove(&ca.account);
    named
}

fn key(account: &AccountId, ca: &CertificateAuthority) -> String {
    format!("{account}/{}/{}/{}", ca.region, ca.account, ca.id)
}

/// A page of the authorities that other accounts share with the caller's.
pub(super) async fn list(
    ctx: &Ctx,
    scope: &str,
    after: Option<&str>,
    size: usize,
) -> Result<wire::ListCertificateAuthoritiesResponse> {
    let (entries, next_token) = cursor::page::<Shared>(ctx, scope, SHARED, after, size).await?;
    let mut shown = Vec::new();
    for entry in entries {
        let Some(place) = entry.key.strip_prefix(&ctx.prefix()) else {
            continue;
        };
        let Some((owner, id)) = place.split_once('/') else {
            continue;
        };
        let key = format!("{owner}/{}/{id}", ctx.region);
        let Some(found) = find(&ctx.app.store, &key, ctx.now).await? else {
            continue;
        };
        let ca = &found.value.ca;
        let arn = ca.arn();
        let resource = describe(ca, None, Resource::new(&arn, owner));
        if ctx.could("acm-pca:DescribeCertificateAuthority", &resource)? {
            shown.push(convert::shown_authority(ca, ctx.now));
        }
    }
    Ok(wire::ListCertificateAuthoritiesResponse {
        next_token,
        certificate_authorities: Some(shown),
    })
}
