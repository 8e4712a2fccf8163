//! Identity and Access Management: the use cases, one function an operation.
//!
//! IAM is global: whatever region a call is made to, it sees the same users, groups and roles. What is
//! stored is in [`record`]; the rules that need no store are in `keystead_core::iam`.

pub(crate) mod account;
mod admit;
mod attach;
mod boundary;
mod changes;
mod details;
mod document;
pub(crate) mod effective;
mod groups;
mod identity;
mod inline;
mod keys;
pub(crate) mod last_used;
mod linked;
mod list;
pub(crate) mod managed;
mod oidc;
mod profiles;
pub(crate) mod record;
mod roles;
mod shown;
mod simulate;
mod tags;
mod users;

pub(crate) use account::{
    create_account_alias, delete_account_alias, get_account_summary, list_account_aliases,
};
pub(crate) use admit::admit;
pub(crate) use attach::{
    attach_group_policy, attach_role_policy, attach_user_policy, detach_group_policy,
    detach_role_policy, detach_user_policy, list_attached_group_policies,
    list_attached_role_policies, list_attached_user_policies,
};
pub(crate) use boundary::{
    delete_role_permissions_boundary, delete_user_permissions_boundary,
    put_role_permissions_boundary, put_user_permissions_boundary,
};
pub(crate) use details::get_account_authorization_details;
pub(crate) use groups::{
    add_user_to_group, create_group, delete_group, get_group, list_groups, list_groups_for_user,
    remove_user_from_group, update_group,
};
pub(crate) use inline::{
    delete_group_policy, delete_role_policy, delete_user_policy, get_group_policy, get_role_policy,
    get_user_policy, list_group_policies, list_role_policies, list_user_policies, put_group_policy,
    put_role_policy, put_user_policy,
};
pub(crate) use keys::{
    create_access_key, delete_access_key, get_access_key_last_used, list_access_keys,
    update_access_key,
};
pub(crate) use linked::{
    create_service_linked_role, delete_service_linked_role, get_service_linked_role_deletion_status,
};
pub(crate) use managed::{
    create_policy, create_policy_version, delete_policy, delete_policy_version, get_policy,
    get_policy_version, list_entities_for_policy, list_policies, list_policy_tags,
    list_policy_versions, set_default_policy_version, tag_policy, untag_policy,
};
pub(crate) use oidc::{
    add_client_id_to_open_id_connect_provider, create_open_id_connect_provider,
    delete_open_id_connect_provider, get_open_id_connect_provider, list_open_id_connect_providers,
    remove_client_id_from_open_id_connect_provider, update_open_id_connect_provider_thumbprint,
};
pub(crate) use profiles::{
    add_role_to_instance_profile, create_instance_profile, delete_instance_profile,
    get_instance_profile, list_instance_profiles, list_instance_profiles_for_role,
    remove_role_from_instance_profile,
};
pub(crate) use roles::{
    create_role, delete_role, get_role, list_roles, update_assume_role_policy, update_role,
    update_role_description,
};
pub(crate) use simulate::{
    get_context_keys_for_custom_policy, get_context_keys_for_principal_policy,
    simulate_custom_policy, simulate_principal_policy,
};
pub(crate) use tags::{
    list_instance_profile_tags, list_open_id_connect_provider_tags, list_role_tags, list_user_tags,
    tag_instance_profile, tag_open_id_connect_provider, tag_role, tag_user, untag_instance_profile,
    untag_open_id_connect_provider, untag_role, untag_user,
};
pub(crate) use users::{create_user, delete_user, get_user, list_users, update_user};

/// Roles, for whoever follows the change feed, by [`role_key`].
pub(crate) const ROLES: keystead_store::Collection = <record::Role as record::Resource>::COLLECTION;

/// The record key of a role.
pub(crate) fn role_key(account: &keystead_core::AccountId, name: &str) -> String {
    record::key::<record::Role>(account, name)
}
