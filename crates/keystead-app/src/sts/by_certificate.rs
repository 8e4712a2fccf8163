//! Becoming a role by a certificate: what Roles Anywhere asks of this service.

use keystead_core::Result;
use keystead_core::tags::Tags;
use keystead_wire::sts as wire;

use super::given::Given;
use super::target::{Target, Terms};
use crate::access::Act;
use crate::{Ctx, rolesanywhere};

/// A role that is to be assumed for who has the key of a certificate.
pub(crate) struct Wanted {
    /// The role.
    pub(crate) role_arn: String,
    /// The session's name.
    pub(crate) session: String,
    /// How long it lasts, in seconds; refused where the role allows less.
    pub(crate) seconds: i32,
    /// The session's tags.
    pub(crate) tags: Tags,
    /// Who began it.
    pub(crate) source_identity: String,
    /// A policy that limits it.
    pub(crate) policy: Option<String>,
    /// Managed policies that limit it.
    pub(crate) policy_arns: Vec<String>,
}

/// Credentials with the names of their session.
pub(crate) struct Assumed {
    /// The names.
    pub(crate) user: wire::AssumedRoleUser,
    /// The credentials.
    pub(crate) credentials: wire::Credentials,
    /// What policies and tags take of the room for them, in per cent.
    pub(crate) packed: Option<i32>,
}

/// Makes the session, if the role trusts the caller of this call with all that it takes: to assume it, to tag the
/// session, and to name its source.
pub(crate) async fn assume(ctx: &Ctx, wanted: Wanted) -> Result<Assumed> {
    let target = Target::find(ctx, wanted.role_arn).await?;
    ctx.allow(&target.resource())?;
    let mut also = vec![SET_SOURCE];
    also.extend((!wanted.tags.is_empty()).then_some(TAG));
    for action in also {
        ctx.allow_as(Act::Also(action), &target.resource())?;
    }
    let arn = |arn| wire::PolicyDescriptorType { arn: Some(arn) };
    let arns = wanted.policy_arns.into_iter().map(arn).collect();
    let given = Given::default()
        .tagged(None, wanted.tags, Vec::new())?
        .called(None, Some(wanted.source_identity))?;
    let terms = Terms {
        session: wanted.session,
        seconds: Some(wanted.seconds),
        given,
        limits: (wanted.policy, Some(arns)),
        ..Terms::default()
    };
    let begun = target.begin(ctx, terms).await?;
    Ok(Assumed {
        user: begun.user,
        credentials: begun.issued.credentials,
        packed: begun.issued.packed,
    })
}

/// What the role does not let Roles Anywhere do of all that a session takes, by whatever certificate.
pub(crate) async fn untrusted(ctx: &Ctx, role_arn: &str) -> Result<Vec<&'static str>> {
    let there = Ctx::of_service(&ctx.app, rolesanywhere::SERVICE, ctx.account(), &ctx.region)?;
    let target = Target::find(&there, role_arn.to_owned()).await?;
    let mut lacking = Vec::new();
    for action in ["sts:AssumeRole", TAG, SET_SOURCE] {
        if !there.could(action, &target.resource())? {
            lacking.push(action);
        }
    }
    Ok(lacking)
}

const TAG: &str = "sts:TagSession";
const SET_SOURCE: &str = "sts:SetSourceIdentity";
