//! KMS: the use cases, one function an operation.
//!
//! A key is one record with its policy, its tags, its aliases' names and its key material, so that most calls read one
//! record, which is kept at hand ([`find`]), and every change of a key is one commit. What the operations decide is in
//! `keystead_core::kms`; the bytes of a key are `keystead_crypto`'s alone.

mod agree;
mod aliases;
mod change;
mod conditions;
mod convert;
mod custody;
mod data_keys;
pub(crate) mod deletion;
mod elsewhere;
mod encrypt;
mod family;
mod find;
mod grants;
mod import;
mod keys;
mod last_usage;
pub(crate) mod lent;
mod life;
pub(crate) mod managed;
mod policies;
mod principals;
mod record;
mod regions;
mod rotation;
mod shown;
mod sign;
mod stores;
mod tags;
#[cfg(test)]
mod tests;
pub(crate) mod through;
pub(crate) mod upkeep;
mod usable;

pub use agree::{decapsulate, derive_shared_secret, encapsulate};
pub use aliases::{create_alias, delete_alias, list_aliases, update_alias};
pub use data_keys::{
    generate_data_key, generate_data_key_pair, generate_data_key_pair_without_plaintext,
    generate_data_key_without_plaintext, generate_random,
};
pub use encrypt::{decrypt, encrypt, re_encrypt};
pub use grants::{create_grant, list_grants, list_retirable_grants, retire_grant, revoke_grant};
pub use import::{delete_imported_key_material, get_parameters_for_import, import_key_material};
pub use keys::{create_key, describe_key, list_keys, update_key_description};
pub use last_usage::get_key_last_usage;
pub use life::{cancel_key_deletion, disable_key, enable_key, schedule_key_deletion};
pub use policies::{get_key_policy, list_key_policies, put_key_policy};
pub use regions::{replicate_key, update_primary_region};
pub use rotation::{
    disable_key_rotation, enable_key_rotation, get_key_rotation_status, list_key_rotations,
    rotate_key_on_demand,
};
pub use sign::{generate_mac, get_public_key, sign, verify, verify_mac};
pub use stores::{
    connect_custom_key_store, create_custom_key_store, delete_custom_key_store,
    describe_custom_key_stores, disconnect_custom_key_store, update_custom_key_store,
};
pub use tags::{list_resource_tags, tag_resource, untag_resource};

pub(crate) use find::{Known, arn_named, arn_of};
pub(crate) use last_usage::{LAST_USAGES, LastUsage};
pub(crate) use principals::exists as principal_exists;
pub(crate) use stores::{KnownStores, QUEUE as KEY_STORE_QUEUE, settle as settle_key_store};

/// How many of a listing are answered at once: "If you do not include a value, it defaults to 50" (API reference, ListGrants,
/// ListAliases), and what is over 100 is cut to it.
fn page_size(limit: Option<i32>) -> usize {
    page_size_of(limit, 50, 100)
}

/// So many as were asked for, or as usual, and at most `most`.
fn page_size_of(limit: Option<i32>, usual: usize, most: usize) -> usize {
    crate::cursor::size(limit, usual).clamp(1, most)
}
