//! Secrets Manager: the use cases, one function an operation.
//!
//! A secret is one record ([`record`]) with everything but its values; each value is a record of its own, sealed under the
//! secret's KMS key in its caller's name ([`seal`]). What the operations decide is in `keystead_core::secrets`.

mod accesses;
mod batch;
mod change;
mod create;
mod cross;
mod deletion;
mod describe;
mod find;
pub mod internal;
mod list;
mod password;
mod policies;
mod put;
mod record;
mod replicate;
mod rotation;
mod seal;
mod shown;
mod tags;
#[cfg(test)]
mod tests;
mod update;
mod value;
mod versions;

pub use batch::batch_get_secret_value;
pub use create::create_secret;
pub use cross::{associate_cross_account_replica, disassociate_cross_account_replica};
pub use deletion::{delete_secret, restore_secret};
pub use describe::describe_secret;
pub use list::list_secrets;
pub use password::get_random_password;
pub use policies::{
    delete_resource_policy, get_resource_policy, list_resource_policies, put_resource_policy,
    validate_resource_policy,
};
pub use put::put_secret_value;
pub use replicate::{
    remove_regions_from_replication, replicate_secret_to_regions, stop_replication_to_replica,
};
pub use rotation::{cancel_rotate_secret, rotate_secret};
pub use tags::{tag_resource, untag_resource};
pub use update::update_secret;
pub use value::get_secret_value;
pub use versions::{list_secret_version_ids, update_secret_version_stage};

pub(crate) use accesses::{Accesses, write_down as write_accesses_down};
pub(crate) use deletion::{DELETE, PURGE, end, purge};
pub(crate) use find::Known;
pub(crate) use rotation::{ROTATE, carry_on};

/// The service's principal.
const SERVICE: &str = "secretsmanager.amazonaws.com";

/// The key that seals where the owner names none.
const OWN_KEY: &str = "alias/aws/secretsmanager";
