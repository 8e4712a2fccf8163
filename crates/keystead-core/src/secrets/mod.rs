//! Secrets Manager's rules, as pure functions.
//!
//! A [`Secret`] is what is told of a secret: its name, its tags, its policy, and for each of its versions the staging labels,
//! but no value. Values lie elsewhere, sealed, a record each, and are never seen here. So a label moves by changing one
//! record, and everything that a label may stand for is decided in this module (AWS Secrets Manager user guide, "What's in a
//! secret": versions and staging labels).

mod deletion;
mod fault;
pub mod filter;
mod name;
pub mod password;
mod replication;
mod rotate;
mod secret;
#[cfg(test)]
mod testing;
mod tie;
mod version;

pub use deletion::{Deletion, Window};
pub use fault::Fault;
pub use name::{Named, check_name, is_suffix};
pub use replication::{Replica, Replication, Status};
pub use rotate::Turn;
pub use secret::{External, Followed, Rotation, RotationRules, Secret};
pub use tie::{Tie, Tied};
pub use version::{
    CURRENT, MAX_LABELS, MAX_VERSIONS, PENDING, PREVIOUS, Put, Select, USUAL_VERSIONS, Version,
};
