//! From an operation's name to its use case: the table of what is served, and the one way in.
//!
//! [`call`] runs the use case and writes the audit event before the answer leaves
//! (`docs/adding-an-operation.md`: a new operation is one line of [`handler`]).

use std::pin::Pin;

use keystead_core::{Error, ErrorKind};
use keystead_wire::error::ErrorAnswer;
use keystead_wire::schema::OperationDef;
use keystead_wire::shape::{FromValue as _, IntoValue as _, Operation};
use keystead_wire::value::Value;
use keystead_wire::{
    acm as acm_wire, acm_pca as pca_wire, iam as iam_wire, keystead as nodes_wire, kms as kms_wire,
    kms_xks_proxy as xks_wire, rolesanywhere as ra_wire, rolesanywhere_sessions as session_wire,
    secretsmanager as secrets_wire, sts as sts_wire,
};

use crate::audit::{self, Ending};
use crate::{
    Access, Ctx, accounts, acm, fault, hsm, iam, kms, log, nodes, pca, placements, rolesanywhere,
    secrets, sts, trust, xks,
};

/// Carries out `operation` for the verified caller of `ctx`. `input` has been decoded and checked
/// against the model.
///
/// Every way to end is written to the journal first; when that can't be done the call is refused,
/// though what it did stays done, as the answer says.
pub async fn call(
    mut ctx: Ctx,
    operation: &'static OperationDef,
    input: Value,
) -> Result<Value, ErrorAnswer> {
    let Some(handler) = handler(operation.service.signing_name, operation.name) else {
        return Err(ErrorAnswer::unknown_operation(
            400,
            format!(
                "{} is not served by this version of Keystead; docs/coverage.md lists what is.",
                operation.name
            ),
        ));
    };
    if let Some(used) = ctx.principal.used() {
        let (service, region) = (operation.service.signing_name, ctx.region.as_str());
        iam::last_used::note(&ctx.app.last_uses, used, ctx.now, service, region);
    }
    let parameters = audit::shown(&input, operation.input);
    let outcome = carry_out(&mut ctx, operation, handler, input).await;
    let outcome = outcome.map_err(|error| answer(&ctx, operation, &error));
    let ending = match &outcome {
        Ok(value) => Ending::Answer(value),
        Err(refusal) => Ending::Refusal(refusal.code, &refusal.message),
    };
    // Who proves nothing leaves no event, so that a flood of nonsense cannot fill the journal; nor does who was told nothing.
    if !ctx.principal.is_proven() || !ctx.access.is_recorded() {
        return outcome;
    }
    record(&ctx, operation, parameters.as_deref(), &ending)
        .await
        .map_err(|error| answer(&ctx, operation, &error))?;
    outcome
}

/// Runs the use case under the caller's policies. An answer about which nothing was decided is withheld: it is a
/// mistake of ours, and must not become a way in.
async fn carry_out(
    ctx: &mut Ctx,
    operation: &'static OperationDef,
    handler: Handler,
    input: Value,
) -> Result<Value, Error> {
    ctx.access = Access::of(&ctx.app, &ctx.principal, operation, &input).await?;
    if operation.service.signing_name == "iam" {
        iam::admit(ctx, operation, &input).await?;
    }
    let value = handler(ctx, input).await?;
    if !ctx.access.was_decided() {
        return Err(Error::new(
            ErrorKind::Internal,
            format!("{} came to its end without a decision", operation.name),
        ));
    }
    Ok(value)
}

async fn record(
    ctx: &Ctx,
    operation: &'static OperationDef,
    parameters: Option<&serde_json::value::RawValue>,
    ending: &Ending<'_>,
) -> Result<(), Error> {
    let id = ctx.access.event_id()?;
    let event = audit::event(ctx, operation, parameters, ending, id);
    audit::append(ctx, event.map_err(audit::unwritable)?).await
}

/// The refusal as the caller sees it; what concerns the operator alone goes to the log.
fn answer(ctx: &Ctx, operation: &'static OperationDef, error: &Error) -> ErrorAnswer {
    if error.kind == ErrorKind::Internal {
        tracing::error!(
            request_id = ctx.request_id,
            operation = operation.name,
            error = error.message,
            "a call failed inside the server"
        );
    }
    ErrorAnswer {
        detail: error.place.clone(),
        sealed_explanation: sts::message::sealed_explanation(ctx, error),
        ..fault::answer(operation, error)
    }
}

type Handler =
    for<'a> fn(&'a Ctx, Value) -> Pin<Box<dyn Future<Output = Result<Value, Error>> + Send + 'a>>;

/// Operations with their use cases, a line each; the compiler checks that the types belong together.
macro_rules! table {
    ($($service:literal: { $($operation:path => $use_case:path,)* })*) => {
        /// The use case of a served operation.
        fn handler(service: &str, name: &str) -> Option<Handler> {
            match service {
                $($service => {
                    $(if name == <$operation as Operation>::NAME {
                        return Some(|ctx, input| Box::pin(async move {
                            let input = <$operation as Operation>::Input::from_value(input).map_err(misfit)?;
                            let output: <$operation as Operation>::Output = $use_case(ctx, input).await?;
                            Ok(output.into_value())
                        }));
                    })*
                    None
                })*
                _ => None,
            }
        }

        /// Every (signing name, operation) of the table.
        pub fn served() -> Vec<(&'static str, &'static str)> {
            vec![$($(($service, <$operation as Operation>::NAME),)*)*]
        }
    };
}

table! {
    "sts": {
        sts_wire::AssumeRole => sts::assume_role,
        sts_wire::AssumeRoleWithWebIdentity => sts::assume_role_with_web_identity,
        sts_wire::DecodeAuthorizationMessage => sts::decode_authorization_message,
        sts_wire::GetAccessKeyInfo => sts::get_access_key_info,
        sts_wire::GetCallerIdentity => sts::get_caller_identity,
        sts_wire::GetFederationToken => sts::get_federation_token,
        sts_wire::GetSessionToken => sts::get_session_token,
    }
    "iam": {
        iam_wire::CreateUser => iam::create_user,
        iam_wire::GetUser => iam::get_user,
        iam_wire::ListUsers => iam::list_users,
        iam_wire::UpdateUser => iam::update_user,
        iam_wire::DeleteUser => iam::delete_user,
        iam_wire::TagUser => iam::tag_user,
        iam_wire::UntagUser => iam::untag_user,
        iam_wire::ListUserTags => iam::list_user_tags,
        iam_wire::PutUserPermissionsBoundary => iam::put_user_permissions_boundary,
        iam_wire::DeleteUserPermissionsBoundary => iam::delete_user_permissions_boundary,
        iam_wire::CreateGroup => iam::create_group,
        iam_wire::GetGroup => iam::get_group,
        iam_wire::ListGroups => iam::list_groups,
        iam_wire::UpdateGroup => iam::update_group,
        iam_wire::DeleteGroup => iam::delete_group,
        iam_wire::AddUserToGroup => iam::add_user_to_group,
        iam_wire::RemoveUserFromGroup => iam::remove_user_from_group,
        iam_wire::ListGroupsForUser => iam::list_groups_for_user,
        iam_wire::CreateAccessKey => iam::create_access_key,
        iam_wire::ListAccessKeys => iam::list_access_keys,
        iam_wire::UpdateAccessKey => iam::update_access_key,
        iam_wire::DeleteAccessKey => iam::delete_access_key,
        iam_wire::GetAccessKeyLastUsed => iam::get_access_key_last_used,
        iam_wire::CreateRole => iam::create_role,
        iam_wire::GetRole => iam::get_role,
        iam_wire::ListRoles => iam::list_roles,
        iam_wire::UpdateRole => iam::update_role,
        iam_wire::UpdateRoleDescription => iam::update_role_description,
        iam_wire::DeleteRole => iam::delete_role,
        iam_wire::UpdateAssumeRolePolicy => iam::update_assume_role_policy,
        iam_wire::TagRole => iam::tag_role,
        iam_wire::UntagRole => iam::untag_role,
        iam_wire::ListRoleTags => iam::list_role_tags,
        iam_wire::PutRolePermissionsBoundary => iam::put_role_permissions_boundary,
        iam_wire::DeleteRolePermissionsBoundary => iam::delete_role_permissions_boundary,
        iam_wire::CreateServiceLinkedRole => iam::create_service_linked_role,
        iam_wire::DeleteServiceLinkedRole => iam::delete_service_linked_role,
        iam_wire::GetServiceLinkedRoleDeletionStatus => iam::get_service_linked_role_deletion_status,
        iam_wire::CreateInstanceProfile => iam::create_instance_profile,
        iam_wire::GetInstanceProfile => iam::get_instance_profile,
        iam_wire::ListInstanceProfiles => iam::list_instance_profiles,
        iam_wire::DeleteInstanceProfile => iam::delete_instance_profile,
        iam_wire::AddRoleToInstanceProfile => iam::add_role_to_instance_profile,
        iam_wire::RemoveRoleFromInstanceProfile => iam::remove_role_from_instance_profile,
        iam_wire::ListInstanceProfilesForRole => iam::list_instance_profiles_for_role,
        iam_wire::TagInstanceProfile => iam::tag_instance_profile,
        iam_wire::UntagInstanceProfile => iam::untag_instance_profile,
        iam_wire::ListInstanceProfileTags => iam::list_instance_profile_tags,
        iam_wire::CreateOpenIdConnectProvider => iam::create_open_id_connect_provider,
        iam_wire::GetOpenIdConnectProvider => iam::get_open_id_connect_provider,
        iam_wire::ListOpenIdConnectProviders => iam::list_open_id_connect_providers,
        iam_wire::DeleteOpenIdConnectProvider => iam::delete_open_id_connect_provider,
        iam_wire::AddClientIdToOpenIdConnectProvider => iam::add_client_id_to_open_id_connect_provider,
        iam_wire::RemoveClientIdFromOpenIdConnectProvider => iam::remove_client_id_from_open_id_connect_provider,
        iam_wire::UpdateOpenIdConnectProviderThumbprint => iam::update_open_id_connect_provider_thumbprint,
        iam_wire::TagOpenIdConnectProvider => iam::tag_open_id_connect_provider,
        iam_wire::UntagOpenIdConnectProvider => iam::untag_open_id_connect_provider,
        iam_wire::ListOpenIdConnectProviderTags => iam::list_open_id_connect_provider_tags,
        iam_wire::CreateAccountAlias => iam::create_account_alias,
        iam_wire::DeleteAccountAlias => iam::delete_account_alias,
        iam_wire::ListAccountAliases => iam::list_account_aliases,
        iam_wire::GetAccountSummary => iam::get_account_summary,
        iam_wire::CreatePolicy => iam::create_policy,
        iam_wire::GetPolicy => iam::get_policy,
        iam_wire::ListPolicies => iam::list_policies,
        iam_wire::DeletePolicy => iam::delete_policy,
        iam_wire::TagPolicy => iam::tag_policy,
        iam_wire::UntagPolicy => iam::untag_policy,
        iam_wire::ListPolicyTags => iam::list_policy_tags,
        iam_wire::ListEntitiesForPolicy => iam::list_entities_for_policy,
        iam_wire::CreatePolicyVersion => iam::create_policy_version,
        iam_wire::GetPolicyVersion => iam::get_policy_version,
        iam_wire::ListPolicyVersions => iam::list_policy_versions,
        iam_wire::SetDefaultPolicyVersion => iam::set_default_policy_version,
        iam_wire::DeletePolicyVersion => iam::delete_policy_version,
        iam_wire::PutUserPolicy => iam::put_user_policy,
        iam_wire::GetUserPolicy => iam::get_user_policy,
        iam_wire::ListUserPolicies => iam::list_user_policies,
        iam_wire::DeleteUserPolicy => iam::delete_user_policy,
        iam_wire::PutGroupPolicy => iam::put_group_policy,
        iam_wire::GetGroupPolicy => iam::get_group_policy,
        iam_wire::ListGroupPolicies => iam::list_group_policies,
        iam_wire::DeleteGroupPolicy => iam::delete_group_policy,
        iam_wire::PutRolePolicy => iam::put_role_policy,
        iam_wire::GetRolePolicy => iam::get_role_policy,
        iam_wire::ListRolePolicies => iam::list_role_policies,
        iam_wire::DeleteRolePolicy => iam::delete_role_policy,
        iam_wire::AttachUserPolicy => iam::attach_user_policy,
        iam_wire::ListAttachedUserPolicies => iam::list_attached_user_policies,
        iam_wire::DetachUserPolicy => iam::detach_user_policy,
        iam_wire::AttachGroupPolicy => iam::attach_group_policy,
        iam_wire::ListAttachedGroupPolicies => iam::list_attached_group_policies,
        iam_wire::DetachGroupPolicy => iam::detach_group_policy,
        iam_wire::AttachRolePolicy => iam::attach_role_policy,
        iam_wire::ListAttachedRolePolicies => iam::list_attached_role_policies,
        iam_wire::DetachRolePolicy => iam::detach_role_policy,
        iam_wire::GetAccountAuthorizationDetails => iam::get_account_authorization_details,
        iam_wire::GetContextKeysForCustomPolicy => iam::get_context_keys_for_custom_policy,
        iam_wire::GetContextKeysForPrincipalPolicy => iam::get_context_keys_for_principal_policy,
        iam_wire::SimulateCustomPolicy => iam::simulate_custom_policy,
        iam_wire::SimulatePrincipalPolicy => iam::simulate_principal_policy,
    }
    "rolesanywhere": {
        session_wire::CreateSession => rolesanywhere::create_session,
        ra_wire::CreateTrustAnchor => rolesanywhere::create_trust_anchor,
        ra_wire::GetTrustAnchor => rolesanywhere::get::<rolesanywhere::TrustAnchor>,
        ra_wire::ListTrustAnchors => rolesanywhere::list_trust_anchors,
        ra_wire::UpdateTrustAnchor => rolesanywhere::update_trust_anchor,
        ra_wire::EnableTrustAnchor => rolesanywhere::enable::<rolesanywhere::TrustAnchor>,
        ra_wire::DisableTrustAnchor => rolesanywhere::disable::<rolesanywhere::TrustAnchor>,
        ra_wire::DeleteTrustAnchor => rolesanywhere::delete::<rolesanywhere::TrustAnchor>,
        ra_wire::CreateProfile => rolesanywhere::create_profile,
        ra_wire::GetProfile => rolesanywhere::get::<rolesanywhere::Profile>,
        ra_wire::ListProfiles => rolesanywhere::list_profiles,
        ra_wire::UpdateProfile => rolesanywhere::update_profile,
        ra_wire::EnableProfile => rolesanywhere::enable::<rolesanywhere::Profile>,
        ra_wire::DisableProfile => rolesanywhere::disable::<rolesanywhere::Profile>,
        ra_wire::DeleteProfile => rolesanywhere::delete::<rolesanywhere::Profile>,
        ra_wire::ImportCrl => rolesanywhere::import_crl,
        ra_wire::GetCrl => rolesanywhere::get::<rolesanywhere::Crl>,
        ra_wire::ListCrls => rolesanywhere::list_crls,
        ra_wire::UpdateCrl => rolesanywhere::update_crl,
        ra_wire::EnableCrl => rolesanywhere::enable::<rolesanywhere::Crl>,
        ra_wire::DisableCrl => rolesanywhere::disable::<rolesanywhere::Crl>,
        ra_wire::DeleteCrl => rolesanywhere::delete_crl,
        ra_wire::PutAttributeMapping => rolesanywhere::put_attribute_mapping,
        ra_wire::DeleteAttributeMapping => rolesanywhere::delete_attribute_mapping,
        ra_wire::GetSubject => rolesanywhere::get::<rolesanywhere::Subject>,
        ra_wire::ListSubjects => rolesanywhere::list_subjects,
        ra_wire::TagResource => rolesanywhere::tag_resource,
        ra_wire::UntagResource => rolesanywhere::untag_resource,
        ra_wire::ListTagsForResource => rolesanywhere::list_tags_for_resource,
    }
    "keystead": {
        nodes_wire::CreateAccount => accounts::create_account,
        nodes_wire::ListAccounts => accounts::list_accounts,
        nodes_wire::ListTokens => hsm::list_tokens,
        nodes_wire::RegisterNode => nodes::register_node,
        nodes_wire::DescribeNode => nodes::describe_node,
        nodes_wire::ListNodes => nodes::list_nodes,
        nodes_wire::DeregisterNode => nodes::deregister_node,
        nodes_wire::CreateJoinToken => placements::create_join_token,
        nodes_wire::ListJoinTokens => placements::list_join_tokens,
        nodes_wire::DeleteJoinToken => placements::delete_join_token,
        nodes_wire::JoinAgent => placements::join_agent,
        nodes_wire::RenewAgentCertificate => placements::renew_agent_certificate,
        nodes_wire::ListAgents => placements::list_agents,
        nodes_wire::DeleteAgent => placements::delete_agent,
        nodes_wire::AwaitChanges => placements::await_changes,
        nodes_wire::ReportPlacements => placements::report_placements,
        nodes_wire::ListPlacements => placements::list_placements,
        nodes_wire::CreateXksProxy => xks::create_xks_proxy,
        nodes_wire::DescribeXksProxy => xks::describe_xks_proxy,
        nodes_wire::ListXksProxies => xks::list_xks_proxies,
        nodes_wire::DeleteXksProxy => xks::delete_xks_proxy,
        nodes_wire::RotateXksProxyCredential => xks::rotate_xks_proxy_credential,
        nodes_wire::DeleteXksProxyCredential => xks::delete_xks_proxy_credential,
        nodes_wire::ExposeXksKey => xks::expose_xks_key,
        nodes_wire::WithdrawXksKey => xks::withdraw_xks_key,
        nodes_wire::StartReissue => acm::start_reissue,
        nodes_wire::DescribeReissue => acm::describe_reissue,
        nodes_wire::ListReissues => acm::list_reissues,
        nodes_wire::StopReissue => acm::stop_reissue,
        nodes_wire::StartTrustRollOver => trust::start_trust_roll_over,
        nodes_wire::DescribeTrustRollOver => trust::describe_trust_roll_over,
        nodes_wire::ListTrustRollOvers => trust::list_trust_roll_overs,
        nodes_wire::AdvanceTrustRollOver => trust::advance_trust_roll_over,
        nodes_wire::AbortTrustRollOver => trust::abort_trust_roll_over,
        nodes_wire::GetTrustBundle => trust::get_trust_bundle,
        nodes_wire::GetCertificateLogHead => log::get_certificate_log_head,
        nodes_wire::GetCertificateLogProof => log::get_certificate_log_proof,
    }
    "secretsmanager": {
        secrets_wire::CreateSecret => secrets::create_secret,
        secrets_wire::DescribeSecret => secrets::describe_secret,
        secrets_wire::ListSecrets => secrets::list_secrets,
        secrets_wire::UpdateSecret => secrets::update_secret,
        secrets_wire::DeleteSecret => secrets::delete_secret,
        secrets_wire::RestoreSecret => secrets::restore_secret,
        secrets_wire::GetSecretValue => secrets::get_secret_value,
        secrets_wire::BatchGetSecretValue => secrets::batch_get_secret_value,
        secrets_wire::PutSecretValue => secrets::put_secret_value,
        secrets_wire::ListSecretVersionIds => secrets::list_secret_version_ids,
        secrets_wire::UpdateSecretVersionStage => secrets::update_secret_version_stage,
        secrets_wire::RotateSecret => secrets::rotate_secret,
        secrets_wire::CancelRotateSecret => secrets::cancel_rotate_secret,
        secrets_wire::GetRandomPassword => secrets::get_random_password,
        secrets_wire::TagResource => secrets::tag_resource,
        secrets_wire::UntagResource => secrets::untag_resource,
        secrets_wire::GetResourcePolicy => secrets::get_resource_policy,
        secrets_wire::PutResourcePolicy => secrets::put_resource_policy,
        secrets_wire::DeleteResourcePolicy => secrets::delete_resource_policy,
        secrets_wire::ValidateResourcePolicy => secrets::validate_resource_policy,
        secrets_wire::ListResourcePolicies => secrets::list_resource_policies,
        secrets_wire::ReplicateSecretToRegions => secrets::replicate_secret_to_regions,
        secrets_wire::RemoveRegionsFromReplication => secrets::remove_regions_from_replication,
        secrets_wire::AssociateCrossAccountReplica => secrets::associate_cross_account_replica,
        secrets_wire::DisassociateCrossAccountReplica => secrets::disassociate_cross_account_replica,
        secrets_wire::StopReplicationToReplica => secrets::stop_replication_to_replica,
    }
    "kms-xks-proxy": {
        xks_wire::GetHealthStatus => xks::get_health_status,
        xks_wire::GetKeyMetadata => xks::get_key_metadata,
        xks_wire::Encrypt => xks::encrypt,
        xks_wire::Decrypt => xks::decrypt,
    }
    "kms": {
        kms_wire::CreateKey => kms::create_key,
        kms_wire::DescribeKey => kms::describe_key,
        kms_wire::ListKeys => kms::list_keys,
        kms_wire::UpdateKeyDescription => kms::update_key_description,
        kms_wire::EnableKey => kms::enable_key,
        kms_wire::DisableKey => kms::disable_key,
        kms_wire::ScheduleKeyDeletion => kms::schedule_key_deletion,
        kms_wire::CancelKeyDeletion => kms::cancel_key_deletion,
        kms_wire::GetKeyLastUsage => kms::get_key_last_usage,
        kms_wire::GetKeyPolicy => kms::get_key_policy,
        kms_wire::PutKeyPolicy => kms::put_key_policy,
        kms_wire::ListKeyPolicies => kms::list_key_policies,
        kms_wire::CreateGrant => kms::create_grant,
        kms_wire::ListGrants => kms::list_grants,
        kms_wire::ListRetirableGrants => kms::list_retirable_grants,
        kms_wire::RetireGrant => kms::retire_grant,
        kms_wire::RevokeGrant => kms::revoke_grant,
        kms_wire::CreateAlias => kms::create_alias,
        kms_wire::ListAliases => kms::list_aliases,
        kms_wire::UpdateAlias => kms::update_alias,
        kms_wire::DeleteAlias => kms::delete_alias,
        kms_wire::TagResource => kms::tag_resource,
        kms_wire::UntagResource => kms::untag_resource,
        kms_wire::ListResourceTags => kms::list_resource_tags,
        kms_wire::Encrypt => kms::encrypt,
        kms_wire::Decrypt => kms::decrypt,
        kms_wire::ReEncrypt => kms::re_encrypt,
        kms_wire::GenerateDataKey => kms::generate_data_key,
        kms_wire::GenerateDataKeyWithoutPlaintext => kms::generate_data_key_without_plaintext,
        kms_wire::GenerateDataKeyPair => kms::generate_data_key_pair,
        kms_wire::GenerateDataKeyPairWithoutPlaintext => kms::generate_data_key_pair_without_plaintext,
        kms_wire::GenerateRandom => kms::generate_random,
        kms_wire::Sign => kms::sign,
        kms_wire::Verify => kms::verify,
        kms_wire::GetPublicKey => kms::get_public_key,
        kms_wire::GenerateMac => kms::generate_mac,
        kms_wire::VerifyMac => kms::verify_mac,
        kms_wire::DeriveSharedSecret => kms::derive_shared_secret,
        kms_wire::Encapsulate => kms::encapsulate,
        kms_wire::Decapsulate => kms::decapsulate,
        kms_wire::EnableKeyRotation => kms::enable_key_rotation,
        kms_wire::DisableKeyRotation => kms::disable_key_rotation,
        kms_wire::GetKeyRotationStatus => kms::get_key_rotation_status,
        kms_wire::RotateKeyOnDemand => kms::rotate_key_on_demand,
        kms_wire::ListKeyRotations => kms::list_key_rotations,
        kms_wire::GetParametersForImport => kms::get_parameters_for_import,
        kms_wire::ImportKeyMaterial => kms::import_key_material,
        kms_wire::DeleteImportedKeyMaterial => kms::delete_imported_key_material,
        kms_wire::ReplicateKey => kms::replicate_key,
        kms_wire::UpdatePrimaryRegion => kms::update_primary_region,
        kms_wire::CreateCustomKeyStore => kms::create_custom_key_store,
        kms_wire::DescribeCustomKeyStores => kms::describe_custom_key_stores,
        kms_wire::UpdateCustomKeyStore => kms::update_custom_key_store,
        kms_wire::DeleteCustomKeyStore => kms::delete_custom_key_store,
        kms_wire::ConnectCustomKeyStore => kms::connect_custom_key_store,
        kms_wire::DisconnectCustomKeyStore => kms::disconnect_custom_key_store,
    }
    "acm-pca": {
        pca_wire::CreateCertificateAuthority => pca::create_certificate_authority,
        pca_wire::DescribeCertificateAuthority => pca::describe_certificate_authority,
        pca_wire::ListCertificateAuthorities => pca::list_certificate_authorities,
        pca_wire::UpdateCertificateAuthority => pca::update_certificate_authority,
        pca_wire::DeleteCertificateAuthority => pca::delete_certificate_authority,
        pca_wire::RestoreCertificateAuthority => pca::restore_certificate_authority,
        pca_wire::GetCertificateAuthorityCsr => pca::get_certificate_authority_csr,
        pca_wire::IssueCertificate => pca::issue_certificate,
        pca_wire::GetCertificate => pca::get_certificate,
        pca_wire::ImportCertificateAuthorityCertificate => pca::import_certificate_authority_certificate,
        pca_wire::GetCertificateAuthorityCertificate => pca::get_certificate_authority_certificate,
        pca_wire::RevokeCertificate => pca::revoke_certificate,
        pca_wire::CreatePermission => pca::create_permission,
        pca_wire::ListPermissions => pca::list_permissions,
        pca_wire::DeletePermission => pca::delete_permission,
        pca_wire::TagCertificateAuthority => pca::tag_certificate_authority,
        pca_wire::UntagCertificateAuthority => pca::untag_certificate_authority,
        pca_wire::ListTags => pca::list_tags,
        pca_wire::GetPolicy => pca::get_policy,
        pca_wire::PutPolicy => pca::put_policy,
        pca_wire::DeletePolicy => pca::delete_policy,
        pca_wire::CreateCertificateAuthorityAuditReport => pca::create_certificate_authority_audit_report,
        pca_wire::DescribeCertificateAuthorityAuditReport => pca::describe_certificate_authority_audit_report,
    }
    "acm": {
        acm_wire::RequestCertificate => acm::request_certificate,
        acm_wire::DescribeCertificate => acm::describe_certificate,
        acm_wire::GetCertificate => acm::get_certificate,
        acm_wire::ListCertificates => acm::list_certificates,
        acm_wire::ExportCertificate => acm::export_certificate,
        acm_wire::ImportCertificate => acm::import_certificate,
        acm_wire::DeleteCertificate => acm::delete_certificate,
        acm_wire::RenewCertificate => acm::renew_certificate,
        acm_wire::RevokeCertificate => acm::revoke_certificate,
        acm_wire::SearchCertificates => acm::search_certificates,
        acm_wire::ListCertificateDomainValidations => acm::list_certificate_domain_validations,
        acm_wire::AddTagsToCertificate => acm::add_tags_to_certificate,
        acm_wire::RemoveTagsFromCertificate => acm::remove_tags_from_certificate,
        acm_wire::ListTagsForCertificate => acm::list_tags_for_certificate,
        acm_wire::TagResource => acm::tag_resource,
        acm_wire::UntagResource => acm::untag_resource,
        acm_wire::ListTagsForResource => acm::list_tags_for_resource,
        acm_wire::UpdateCertificateOptions => acm::update_certificate_options,
        acm_wire::GetAccountConfiguration => acm::get_account_configuration,
        acm_wire::PutAccountConfiguration => acm::put_account_configuration,
        acm_wire::ResendValidationEmail => acm::resend_validation_email,
    }
}

fn misfit(error: keystead_wire::shape::ShapeError) -> Error {
    Error::new(ErrorKind::Internal, error.to_string())
}

#[cfg(test)]
mod tests {
    /// An operation of the models that is generated but has no use case would answer "not served"
    /// while the coverage page says otherwise.
    #[test]
    fn every_generated_operation_has_a_use_case() {
        let mut generated: Vec<_> = keystead_wire::services()
            .iter()
            .flat_map(|service| {
                service
                    .operations
                    .iter()
                    .map(|op| (service.signing_name, op.name))
            })
            .collect();
        let mut served = super::served();
        generated.sort_unstable();
        served.sort_unstable();
        assert_eq!(served, generated);
    }
}
