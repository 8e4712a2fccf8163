//! Identity and Access Management: the use cases, one function an operation.
//!
//! IAM is global: whatever region a call is made to, it sees the same users, groups and roles. What is
//! stored is in [`record`]; the rules that need no store are in `keystead_core::iam`.

mod account;
mod admit;
mod boundary;
mod changes;
mod document;
pub(crate) mod effective;
mod groups;
mod identity;
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
mod tags;
mod users;

pub(crate) use account::{
    create_account_alias, delete_account_alias, get_account_summary, list_account_aliases,
};
pub(crate) use admit::admit;
pub(crate) use boundary::{
    delete_role_permissions_boundary, delete_user_permissions_boundary,
    put_role_permissions_boundary, put_user_permissions_boundary,
};
pub(crate) use groups::{
    add_user_to_group, create_group, delete_group, get_group, list_groups, list_groups_for_user,
    remove_user_from_group, update_group,
};
pub(crate) use keys::{
    create_access_key, delete_access_key, get_access_key_last_used, list_access_keys,
    update_access_key,
};
pub(crate) use linked::{
    create_service_linked_role, delete_service_linked_role, get_service_linked_role_deletion_status,
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
pub(crate) use tags::{
    list_instance_profile_tags, list_open_id_connect_provider_tags, list_role_tags, list_user_tags,
    tag_instance_profile, tag_open_id_connect_provider, tag_role, tag_user, untag_instance_profile,
    untag_open_id_connect_provider, untag_role, untag_user,
};
pub(crate) use users::{create_user, delete_user, get_user, list_users, update_user};
