//! Profiles: which roles certificates may become, and what limits them then.

use std::collections::BTreeSet;

use keystead_core::Result;
use keystead_core::rolesanywhere::{DEFAULT_DURATION, mapping, role};
use keystead_policy::{Kind, Policy};
use keystead_wire::rolesanywhere as wire;

use super::record::{self, Changed, Headed as _, Profile, Record as _};
use super::{Given, Shown, invalid, shown};
use crate::Ctx;
use crate::access::{Act, Resource};

/// `rolesanywhere:CreateProfile`, which takes the permission to pass each role as well.
pub(crate) async fn create_profile(
    ctx: &Ctx,
    input: wire::CreateProfileRequest,
) -> Result<wire::ProfileDetailResponse> {
    ctx.allow_own("*")?;
    pass(ctx, &input.role_arns)?;
    check_policy(input.session_policy.as_deref())?;
    let given = Given {
        name: input.name,
        enabled: input.enabled,
        alias: input.alias_name,
        tags: input.tags,
    };
    let profile = Profile {
        head: given.head(ctx)?,
        created_by: ctx.account().to_string(),
        role_arns: input.role_arns,
        session_policy: input.session_policy.filter(|text| !text.is_empty()),
        managed_policy_arns: input.managed_policy_arns.unwrap_or_default(),
        duration: input.duration_seconds.unwrap_or(DEFAULT_DURATION),
        accept_role_session_name: input.accept_role_session_name.unwrap_or(false),
        require_instance_properties: input.require_instance_properties.unwrap_or(false),
        mappings: mapping::default(),
    };
    record::create(ctx, &profile, |_| {}).await?;
    Ok(profile.answer(ctx, None))
}

/// `rolesanywhere:ListProfiles`.
pub(crate) async fn list_profiles(
    ctx: &Ctx,
    input: wire::ListRequest,
) -> Result<wire::ListProfilesResponse> {
    let (found, next_token) =
        record::list(ctx, input.next_token.as_deref(), input.page_size).await?;
    let found = found.into_iter().map(|profile| detail(ctx, profile, None));
    Ok(wire::ListProfilesResponse {
        next_token,
        profiles: Some(found.collect()),
    })
}

/// `rolesanywhere:UpdateProfile`: what is not said stays.
pub(crate) async fn update_profile(
    ctx: &Ctx,
    input: wire::UpdateProfileRequest,
) -> Result<wire::ProfileDetailResponse> {
    record::find::<Profile>(ctx, &input.profile_id).await?;
    pass(ctx, input.role_arns.as_deref().unwrap_or_default())?;
    check_policy(input.session_policy.as_deref())?;
    let changed = record::update::<Profile>(ctx, &input.profile_id, |profile| {
        let new = input.clone();
        profile
            .head_mut()
            .change(new.name.as_ref(), new.alias_name.as_ref())?;
        if let Some(policy) = new.session_policy {
            profile.session_policy = Some(policy);
        }
        if let Some(roles) = new.role_arns {
            profile.role_arns = roles;
        }
        if let Some(policies) = new.managed_policy_arns {
            profile.managed_policy_arns = policies;
        }
        if let Some(seconds) = new.duration_seconds {
            profile.duration = seconds;
        }
        if let Some(accept) = new.accept_role_session_name {
            profile.accept_role_session_name = accept;
        }
        Ok(())
    });
    Ok(shown(ctx, changed.await?))
}

/// `rolesanywhere:PutAttributeMapping`: the rules take the place of those that the field has.
pub(crate) async fn put_attribute_mapping(
    ctx: &Ctx,
    input: wire::PutAttributeMappingRequest,
) -> Result<wire::PutAttributeMappingResponse> {
    let field = input.certificate_field.as_str();
    let rules = input.mapping_rules.into_iter().map(|rule| rule.specifier);
    let rules: Vec<String> = rules.collect();
    let changed = record::update::<Profile>(ctx, &input.profile_id, |profile| {
        mapping::put(&mut profile.mappings, field, rules.clone())
    });
    let Changed { value, .. } = changed.await?;
    Ok(wire::PutAttributeMappingResponse {
        profile: detail(ctx, value, None),
    })
}

/// `rolesanywhere:DeleteAttributeMapping`.
pub(crate) async fn delete_attribute_mapping(
    ctx: &Ctx,
    input: wire::DeleteAttributeMappingRequest,
) -> Result<wire::DeleteAttributeMappingResponse> {
    let field = input.certificate_field.as_str();
    let changed = record::update::<Profile>(ctx, &input.profile_id, |profile| {
        mapping::delete(&mut profile.mappings, field, input.specifiers.as_deref())
    });
    let Changed { value, .. } = changed.await?;
    Ok(wire::DeleteAttributeMappingResponse {
        profile: detail(ctx, value, None),
    })
}

impl Shown for Profile {
    type Scalar = wire::ScalarProfileRequest;
    type Answer = wire::ProfileDetailResponse;

    fn named(request: Self::Scalar) -> String {
        request.profile_id
    }

    fn answer(self, ctx: &Ctx, previous_alias: Option<String>) -> Self::Answer {
        wire::ProfileDetailResponse {
            profile: Some(detail(ctx, self, previous_alias)),
        }
    }
}

/// Whether the caller may give these roles away (IAM user guide, "Granting a user permissions to pass a role to an AWS
/// service").
pub(crate) fn pass(ctx: &Ctx, roles: &[String]) -> Result<()> {
    let account = ctx.account().as_str();
    for arn in roles {
        role(arn, account)?;
        ctx.allow_as(Act::Also("iam:PassRole"), &Resource::new(arn, account))?;
    }
    Ok(())
}

fn check_policy(text: Option<&str>) -> Result<()> {
    match text.filter(|text| !text.is_empty()) {
        Some(text) => Policy::parse(text, Kind::Identity)
            .map(|_| ())
            .map_err(|fault| invalid(format!("The session policy is not valid: {fault}"))),
        None => Ok(()),
    }
}

fn detail(ctx: &Ctx, profile: Profile, previous_alias: Option<String>) -> wire::ProfileDetail {
    let rules = |specifiers: BTreeSet<String>| {
        let rule = |specifier| wire::MappingRule { specifier };
        specifiers.into_iter().map(rule).collect()
    };
    let mappings = profile.mappings.into_iter();
    let mappings = mappings.map(|(field, specifiers)| wire::AttributeMapping {
        certificate_field: wire::CertificateField::parse(&field),
        mapping_rules: Some(rules(specifiers)),
    });
    wire::ProfileDetail {
        profile_arn: Some(record::arn::<Profile>(ctx, &profile.head.id)),
        alias_arn: profile.head.alias_arn(ctx, Profile::NAME),
        profile_id: Some(profile.head.id),
        name: Some(profile.head.name),
        require_instance_properties: Some(profile.require_instance_properties),
        enabled: Some(profile.head.enabled),
        created_by: Some(profile.created_by),
        session_policy: profile.session_policy,
        role_arns: Some(profile.role_arns),
        managed_policy_arns: Some(profile.managed_policy_arns),
        created_at: Some(profile.head.created),
        updated_at: Some(profile.head.updated),
        duration_seconds: Some(profile.duration),
        accept_role_session_name: Some(profile.accept_role_session_name),
        attribute_mappings: Some(mappings.collect()),
        alias_name: profile.head.alias,
        previous_alias_name: previous_alias,
    }
}
