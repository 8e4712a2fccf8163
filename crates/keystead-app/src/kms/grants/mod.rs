//! Grants: what a principal may do with a key without any policy saying so.
//!
//! A grant is a record under its key. Its id begins with a digest of its grantee, and goes on with one of what it asks of
//! the encryption context, so that the grants that may allow a call lie together: neither a listing nor a decision reads
//! those of others ([`record`]). A grant is effective as soon as it is stored; a grant token says which one it is, and
//! nothing more.

mod create;
mod end;
mod list;
mod permit;
mod record;
mod token;

pub use create::create_grant;
pub use end::{retire_grant, revoke_grant};
pub use list::{list_grants, list_retirable_grants};

pub(super) use end::purge;
pub(super) use permit::{Known, Permit, permitting};

#[cfg(test)]
mod tests;
