//! Permissions, tags and resource policies.

use keystead_core::pca::{self, Command, policy};
use keystead_core::{AccountId, Error, ErrorKind, Result, tags};
use keystead_policy::{Kind as PolicyKind, Policy};
use keystead_wire::acm_pca as wire;

use super::authorities::{authority, change, page_size};
use super::shared;
use crate::{Ctx, cursor};

/// CreatePermission.
pub async fn create_permission(
    ctx: &Ctx,
    input: wire::CreatePermissionRequest,
) -> Result<wire::CreatePermissionResponse> {
    let source = account(input.source_account.as_deref())?;
    let actions: Vec<pca::Action> = input
        .actions
        .iter()
        .map(|action| read_action(*action))
        .collect();
    change(ctx, &input.certificate_authority_arn, |ca, _| {
        ca.grant(&input.principal, source.clone(), actions.clone(), ctx.now)
    })
    .await?;
    Ok(wire::CreatePermissionResponse)
}

/// DeletePermission.
pub async fn delete_permission(
    ctx: &Ctx,
    input: wire::DeletePermissionRequest,
) -> Result<wire::DeletePermissionResponse> {
    let source = account(input.source_account.as_deref())?;
    change(ctx, &input.certificate_authority_arn, |ca, _| {
        ca.withdraw(&input.principal, source.as_ref(), ctx.now)
    })
    .await?;
    Ok(wire::DeletePermissionResponse)
}

/// ListPermissions.
pub async fn list_permissions(
    ctx: &Ctx,
    input: wire::ListPermissionsRequest,
) -> Result<wire::ListPermissionsResponse> {
    let arn = &input.certificate_authority_arn;
    let found = authority(ctx, arn).await?;
    let ca = &found.value.ca;
    ca.check(Command::Administer, ctx.now)?;
    let granted = ca.permissions.iter().map(|permission| {
        let shown = wire::Permission {
            certificate_authority_arn: Some(ca.arn()),
            created_at: Some(permission.created_at),
            principal: Some(permission.principal.clone()),
            source_account: Some(permission.source_account.to_string()),
            actions: Some(
                permission
                    .actions
                    .iter()
                    .map(|action| shown_action(*action))
                    .collect(),
            ),
            policy: ca.policy.clone(),
        };
        (permission.source_account.to_string(), shown)
    });
    let scope = format!("ListPermissions {arn}");
    let (permissions, next_token) = page(
        ctx,
        &scope,
        granted.collect(),
        input.max_results,
        input.next_token,
    )?;
    Ok(wire::ListPermissionsResponse {
        next_token,
        permissions: Some(permissions),
    })
}

/// TagCertificateAuthority.
pub async fn tag_certificate_authority(
    ctx: &Ctx,
    input: wire::TagCertificateAuthorityRequest,
) -> Result<wire::TagCertificateAuthorityResponse> {
    change(ctx, &input.certificate_authority_arn, |ca, _| {
        ca.check(Command::Administer, ctx.now)?;
        let added = input
            .tags
            .iter()
            .map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default()));
        tags::add(&mut ca.tags, added)
    })
    .await?;
    Ok(wire::TagCertificateAuthorityResponse)
}

/// UntagCertificateAuthority.
pub async fn untag_certificate_authority(
    ctx: &Ctx,
    input: wire::UntagCertificateAuthorityRequest,
) -> Result<wire::UntagCertificateAuthorityResponse> {
    change(ctx, &input.certificate_authority_arn, |ca, _| {
        ca.check(Command::Administer, ctx.now)?;
        let removed = input
            .tags
            .iter()
            .map(|tag| (tag.key.clone(), tag.value.clone()));
        tags::remove(&mut ca.tags, removed);
        Ok(())
    })
    .await?;
    Ok(wire::UntagCertificateAuthorityResponse)
}

/// ListTags.
pub async fn list_tags(ctx: &Ctx, input: wire::ListTagsRequest) -> Result<wire::ListTagsResponse> {
    let arn = &input.certificate_authority_arn;
    let found = authority(ctx, arn).await?;
    found.value.ca.check(Command::Administer, ctx.now)?;
    let all = found
        .into_inner()
        .value
        .ca
        .tags
        .into_iter()
        .map(|(key, value)| {
            (
                key.clone(),
                wire::Tag {
                    key,
                    value: Some(value),
                },
            )
        });
    let scope = format!("ListTags {arn}");
    let (tags, next_token) = page(
        ctx,
        &scope,
        all.collect(),
        input.max_results,
        input.next_token,
    )?;
    Ok(wire::ListTagsResponse {
        next_token,
        tags: Some(tags),
    })
}

/// PutPolicy.
pub async fn put_policy(
    ctx: &Ctx,
    input: wire::PutPolicyRequest,
) -> Result<wire::PutPolicyResponse> {
    change(ctx, &input.resource_arn, |ca, batch| {
        ca.check(Command::Administer, ctx.now)?;
        policy::check(&input.policy, &ca.arn())?;
        // What can't be decided by must not be kept: it would let nobody in, its owner included.
        Policy::parse(&input.policy, PolicyKind::Resource).map_err(|fault| {
            Error::new(
                ErrorKind::InvalidPolicy,
                format!("The resource policy is invalid: {fault}."),
            )
        })?;
        shared::index(ca, Some(&input.policy), batch);
        ca.policy = Some(input.policy.clone());
        Ok(())
    })
    .await?;
    Ok(wire::PutPolicyResponse)
}

/// GetPolicy.
pub async fn get_policy(
    ctx: &Ctx,
    input: wire::GetPolicyRequest,
) -> Result<wire::GetPolicyResponse> {
    let found = authority(ctx, &input.resource_arn).await?;
    found.value.ca.check(Command::Administer, ctx.now)?;
    let policy = found.into_inner().value.ca.policy.ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!(
                "The certificate authority {} has no policy.",
                input.resource_arn
            ),
        )
    })?;
    Ok(wire::GetPolicyResponse {
        policy: Some(policy),
    })
}

/// DeletePolicy: "If there is no policy attached to the private CA, this action will return
/// successful" (model).
pub async fn delete_policy(
    ctx: &Ctx,
    input: wire::DeletePolicyRequest,
) -> Result<wire::DeletePolicyResponse> {
    change(ctx, &input.resource_arn, |ca, batch| {
        ca.check(Command::Administer, ctx.now)?;
        shared::index(ca, None, batch);
        ca.policy = None;
        Ok(())
    })
    .await?;
    Ok(wire::DeletePolicyResponse)
}

/// One page of a list that lies in a single record, ordered by its keys.
fn page<T>(
    ctx: &Ctx,
    scope: &str,
    mut all: Vec<(String, T)>,
    max_results: Option<i32>,
    next_token: Option<String>,
) -> Result<(Vec<T>, Option<String>)> {
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    if let Some(token) = next_token {
        let after = cursor::resume(ctx, scope, &token)?;
        all.retain(|(key, _)| *key > after);
    }
    let size = page_size(max_results);
    let more = all.len() > size;
    all.truncate(size);
    let next = all
        .last()
        .filter(|_| more)
        .map(|(key, _)| cursor::token(ctx, scope, key));
    Ok((all.into_iter().map(|(_, item)| item).collect(), next))
}

fn account(text: Option<&str>) -> Result<Option<AccountId>> {
    text.map(AccountId::parse).transpose()
}

fn read_action(action: wire::ActionType) -> pca::Action {
    match action {
        wire::ActionType::IssueCertificate => pca::Action::IssueCertificate,
        wire::ActionType::GetCertificate => pca::Action::GetCertificate,
        wire::ActionType::ListPermissions => pca::Action::ListPermissions,
    }
}

fn shown_action(action: pca::Action) -> wire::ActionType {
    match action {
        pca::Action::IssueCertificate => wire::ActionType::IssueCertificate,
        pca::Action::GetCertificate => wire::ActionType::GetCertificate,
        pca::Action::ListPermissions => wire::ActionType::ListPermissions,
    }
}
