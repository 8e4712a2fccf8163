//! Identity and Access Management: the use cases, one function an operation.
//!
//! IAM is global: whatever region a call is made to, it sees the same users, groups and roles. What is
//! stored is in [`record`]; the rules that need no store are in `keystead_core::iam`.

mod account;
mod list;
pub(crate) mod record;
mod shown;
mod users;

pub(crate) use users::{create_user, get_user, list_users};
