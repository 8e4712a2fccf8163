//! Records as the API shows them.

use keystead_core::iam::Kind;
use keystead_core::tags::Tags;
use keystead_wire::iam as wire;

use super::record::User;
use crate::Ctx;

/// How much of a record is shown: listings leave out tags and permissions boundary (IAM API reference,
/// ListUsers and ListRoles: "return a subset of the available attributes").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// All.
    Full,
    /// What listings show.
    Listed,
}

/// A user.
pub(crate) fn user(ctx: &Ctx, user: User, detail: Detail) -> wire::User {
    let entity = user.entity;
    let full = detail == Detail::Full;
    wire::User {
        arn: entity.arn(ctx.account(), Kind::User),
        path: entity.path,
        user_name: entity.name,
        user_id: entity.id,
        create_date: entity.created,
        password_last_used: None,
        permissions_boundary: entity.boundary.filter(|_| full).map(boundary),
        tags: full.then(|| tags(entity.tags)).flatten(),
    }
}

/// A permissions boundary.
pub(crate) fn boundary(arn: String) -> wire::AttachedPermissionsBoundary {
    wire::AttachedPermissionsBoundary {
        permissions_boundary_type: Some(
            wire::PermissionsBoundaryAttachmentType::PermissionsBoundaryPolicy,
        ),
        permissions_boundary_arn: Some(arn),
    }
}

/// Tags where a record shows them: left out where there are none.
pub(crate) fn tags(tags: Tags) -> Option<Vec<wire::Tag>> {
    (!tags.is_empty()).then(|| tag_list(tags))
}

/// Tags by key.
pub(crate) fn tag_list(tags: Tags) -> Vec<wire::Tag> {
    let tag = |(key, value)| wire::Tag { key, value };
    tags.into_iter().map(tag).collect()
}

/// Tags of a request.
pub(crate) fn pairs(tags: Option<Vec<wire::Tag>>) -> impl Iterator<Item = (String, String)> {
    let tags = tags.unwrap_or_default();
    tags.into_iter().map(|tag| (tag.key, tag.value))
}
