//! Roles Anywhere: trust anchors, profiles, revocation lists and subjects, and sessions for who has the key of a
//! certificate ([`create_session`]).
//!
//! What the kinds have in common is done once, generic over the kind ([`record`], and the operations that take nothing
//! but a name: [`get`], [`enable`], [`disable`], [`delete`]). The rules are `keystead_core::rolesanywhere`.

mod agents;
mod crls;
mod path;
mod profiles;
mod record;
mod session;
mod subjects;
mod tags;
mod trust_anchors;
mod workload;

pub(crate) use agents::{anchor_exists, authority_of, list_role, must_list, profile_exists};
pub(crate) use crls::{delete_crl, import_crl, list_crls, update_crl};
pub(crate) use profiles::{
    create_profile, delete_attribute_mapping, list_profiles, pass, put_attribute_mapping,
    update_profile,
};
pub(crate) use record::{Crl, Profile, Subject, TrustAnchor};
pub(crate) use session::{create_session, holder};
pub(crate) use subjects::list_subjects;
pub(crate) use tags::{list_tags_for_resource, tag_resource, untag_resource};
pub(crate) use trust_anchors::{create_trust_anchor, list_trust_anchors, update_trust_anchor};
pub use workload::Workload;

use keystead_core::rolesanywhere::alias;
use keystead_core::{Error, ErrorKind, Result};
use keystead_wire::rolesanywhere as wire;

use crate::{Ctx, ids};
use record::{Changed, Head, Headed, Record};

/// How a kind stands in requests and answers.
pub(crate) trait Shown: Record + Clone {
    /// The request that names one, and nothing more.
    type Scalar: Send;
    /// The answer that shows one.
    type Answer;

    /// The name in such a request.
    fn named(request: Self::Scalar) -> String;

    /// The answer; with the alias that it had before, where that was changed.
    fn answer(self, ctx: &Ctx, previous_alias: Option<String>) -> Self::Answer;
}

/// `rolesanywhere:GetTrustAnchor`, `GetProfile`, `GetCrl`, `GetSubject`.
pub(crate) async fn get<K: Shown>(ctx: &Ctx, input: K::Scalar) -> Result<K::Answer> {
    let found = record::find::<K>(ctx, &K::named(input)).await?;
    Ok(found.into_inner().value.answer(ctx, None))
}

/// `rolesanywhere:EnableTrustAnchor`, `EnableProfile`, `EnableCrl`.
pub(crate) async fn enable<K: Shown + Headed>(ctx: &Ctx, input: K::Scalar) -> Result<K::Answer> {
    switch::<K>(ctx, input, true).await
}

/// `rolesanywhere:DisableTrustAnchor`, `DisableProfile`, `DisableCrl`.
pub(crate) async fn disable<K: Shown + Headed>(ctx: &Ctx, input: K::Scalar) -> Result<K::Answer> {
    switch::<K>(ctx, input, false).await
}

/// `rolesanywhere:DeleteTrustAnchor`, `DeleteProfile`.
pub(crate) async fn delete<K: Shown + Headed>(ctx: &Ctx, input: K::Scalar) -> Result<K::Answer> {
    let gone = record::delete::<K>(ctx, &K::named(input), |_, _| {}).await?;
    Ok(gone.answer(ctx, None))
}

async fn switch<K: Shown + Headed>(
    ctx: &Ctx,
    input: K::Scalar,
    enabled: bool,
) -> Result<K::Answer> {
    let name = K::named(input);
    let changed = record::update::<K>(ctx, &name, |value| {
        value.head_mut().enabled = enabled;
        Ok(())
    });
    Ok(shown(ctx, changed.await?))
}

fn shown<K: Shown>(ctx: &Ctx, changed: Changed<K>) -> K::Answer {
    changed.value.answer(ctx, changed.previous_alias)
}

/// What a request to make something says of every kind.
struct Given {
    name: String,
    enabled: Option<bool>,
    alias: Option<String>,
    tags: Option<Vec<wire::Tag>>,
}

impl Given {
    fn head(self, ctx: &Ctx) -> Result<Head> {
        let mut given = keystead_core::tags::Tags::new();
        keystead_core::tags::add(&mut given, tags::pairs(self.tags.unwrap_or_default()))?;
        Ok(Head {
            id: ids::uuid()?,
            name: self.name,
            // The examples of the user guide say so where they want one that is.
            enabled: self.enabled.unwrap_or(false),
            alias: alias(self.alias.unwrap_or_default())?,
            tags: given,
            created: ctx.now,
            updated: ctx.now,
        })
    }
}

impl Head {
    /// Takes over what a request to change it says.
    fn change(&mut self, name: Option<&String>, new_alias: Option<&String>) -> Result<()> {
        if let Some(name) = name {
            self.name.clone_from(name);
        }
        if let Some(text) = new_alias {
            self.alias = alias(text.clone())?;
        }
        Ok(())
    }

    /// The ARN of its alias.
    fn alias_arn(&self, ctx: &Ctx, kind: &str) -> Option<String> {
        let alias = self.alias.as_ref()?;
        Some(
            ctx.arn("rolesanywhere", format!("alias/{kind}/{alias}"))
                .to_string(),
        )
    }
}

/// The service as roles trust it.
pub(crate) const SERVICE: &str = "rolesanywhere.amazonaws.com";

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Validation, message)
}
