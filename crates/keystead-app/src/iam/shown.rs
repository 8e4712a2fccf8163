//! Records as the API shows them.

use keystead_core::Arn;
use keystead_core::iam::{self, Kind};
use keystead_core::tags::Tags;
use keystead_wire::iam as wire;

use super::record::{Group, Role, User};
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

/// A name in IAM, in the account and partition of the call; `path` begins and ends with a slash.
pub(crate) fn arn(ctx: &Ctx, kind: &str, path: &str, name: &str) -> String {
    let partition = ctx.region.partition().into();
    let arn = iam::arn(ctx.account(), kind, path, name);
    Arn { partition, ..arn }.to_string()
}

/// A user.
pub(crate) fn user(ctx: &Ctx, user: User, detail: Detail) -> wire::User {
    let entity = user.entity;
    let full = detail == Detail::Full;
    wire::User {
        arn: arn(ctx, Kind::User.as_str(), &entity.path, &entity.name),
        path: entity.path,
        user_name: entity.name,
        user_id: entity.id,
        create_date: entity.created,
        password_last_used: None,
        permissions_boundary: entity.boundary.filter(|_| full).map(boundary),
        tags: full.then(|| tags(entity.tags)).flatten(),
    }
}

/// A group.
pub(crate) fn group(ctx: &Ctx, group: Group) -> wire::Group {
    let entity = group.entity;
    wire::Group {
        arn: arn(ctx, Kind::Group.as_str(), &entity.path, &entity.name),
        path: entity.path,
        group_name: entity.name,
        group_id: entity.id,
        create_date: entity.created,
    }
}

/// A role; with `used`, when and where it was last used.
pub(crate) fn role(
    ctx: &Ctx,
    role: Role,
    detail: Detail,
    used: Option<wire::RoleLastUsed>,
) -> wire::Role {
    let entity = role.entity;
    let full = detail == Detail::Full;
    wire::Role {
        arn: arn(ctx, Kind::Role.as_str(), &entity.path, &entity.name),
        path: entity.path,
        role_name: entity.name,
        role_id: entity.id,
        create_date: entity.created,
        assume_role_policy_document: Some(document(&role.trust)),
        description: role.description,
        max_session_duration: Some(role.max_session),
        permissions_boundary: entity.boundary.filter(|_| full).map(boundary),
        tags: full.then(|| tags(entity.tags)).flatten(),
        role_last_used: used,
        source_role_template: None,
    }
}

/// A policy document: "URL-encoded compliant with RFC 3986" (model), that is, every octet but the
/// unreserved characters of its section 2.3.
pub(crate) fn document(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for octet in text.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(octet));
            }
            _ => out.push_str(&format!("%{octet:02X}")),
        }
    }
    out
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

#[cfg(test)]
mod tests {
    #[test]
    fn documents_are_encoded_but_for_unreserved_characters() {
        assert_eq!(
            super::document("{\"a\": \"~é+\"}\n"),
            "%7B%22a%22%3A%20%22~%C3%A9%2B%22%7D%0A"
        );
    }
}
