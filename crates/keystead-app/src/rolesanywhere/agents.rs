//! What agents need of trust anchors and profiles, whoever made those.

use keystead_core::{Error, ErrorKind, Result};
use keystead_store::Stored;

use super::record::{self, Profile, Record, Source, TrustAnchor};
use super::session::enabled;
use crate::Ctx;

/// The private CA that is this trust anchor of the caller's account and region.
///
/// Refuses with [`ErrorKind::NotFound`], and [`ErrorKind::Validation`] where it is something else.
pub(crate) async fn authority_of(ctx: &Ctx, anchor_arn: &str) -> Result<String> {
    let anchor: TrustAnchor = enabled(ctx, ctx.account(), anchor_arn)
        .await
        .map_err(absent)?;
    match anchor.source {
        Source::PrivateCa(arn) => Ok(arn),
        Source::Bundle(_) => Err(Error::new(
            ErrorKind::Validation,
            format!(
                "The trust anchor {anchor_arn} is a bundle: expected one whose source is a private CA (AWS_ACM_PCA), which issues."
            ),
        )),
    }
}

/// Refuses unless this profile of the caller's account and region lists the role, by [`ErrorKind::NotFound`] and
/// [`ErrorKind::Validation`].
pub(crate) async fn must_list(ctx: &Ctx, profile_arn: &str, role_arn: &str) -> Result<()> {
    let profile: Profile = enabled(ctx, ctx.account(), profile_arn)
        .await
        .map_err(absent)?;
    if profile.role_arns.iter().any(|listed| listed == role_arn) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Validation,
        format!(
            "The profile {profile_arn} does not list the role {role_arn}: add it with UpdateProfile."
        ),
    ))
}

/// What is not there is hidden from strangers alone.
fn absent(error: Error) -> Error {
    match error.kind {
        ErrorKind::AccessDenied => Error::new(ErrorKind::NotFound, error.message),
        _ => error,
    }
}

/// Whether this trust anchor is there, and this private CA is its source.
pub(crate) async fn anchor_exists(ctx: &Ctx, arn: &str, authority: &str) -> Result<bool> {
    let found: Option<TrustAnchor> = named(ctx, arn).await?;
    Ok(found.is_some_and(|anchor| anchor.source == Source::PrivateCa(authority.to_owned())))
}

/// Whether this profile is there.
pub(crate) async fn profile_exists(ctx: &Ctx, arn: &str) -> Result<bool> {
    let found: Option<Profile> = named(ctx, arn).await?;
    Ok(found.is_some())
}

/// Sees to it that the profile lists the role.
pub(crate) async fn list_role(ctx: &Ctx, profile_arn: &str, role_arn: &str) -> Result<()> {
    let found: Option<Profile> = named(ctx, profile_arn).await?;
    let listed = |profile: &Profile| profile.role_arns.iter().any(|listed| listed == role_arn);
    if found.is_some_and(|profile| listed(&profile)) {
        return Ok(());
    }
    let changed = record::update::<Profile>(ctx, profile_arn, |profile| {
        if listed(profile) {
            return Ok(());
        }
        if profile.role_arns.len() >= MOST_ROLES {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!(
                    "The profile {profile_arn} lists {MOST_ROLES} roles, which is the most: name another profile."
                ),
            ));
        }
        profile.role_arns.push(role_arn.to_owned());
        Ok(())
    });
    changed.await.map(|_| ())
}

/// The record of this ARN, of the caller's account and region.
async fn named<K: Record>(ctx: &Ctx, arn: &str) -> Result<Option<K>> {
    let Some(id) = arn.strip_prefix(record::arn::<K>(ctx, "").as_str()) else {
        return Ok(None);
    };
    let found: Option<Stored<K>> = ctx.app.store.get(K::COLLECTION, &ctx.key(id)).await?;
    Ok(found.map(|found| found.value))
}

/// The service model's own (`RoleArnList`, 250).
const MOST_ROLES: usize = 250;
