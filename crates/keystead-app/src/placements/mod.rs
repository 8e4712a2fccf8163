//! Agents, and what they place where: joining by a token that is used once, waiting for changes, reporting what is served.
//!
//! An agent is known by a certificate of a private CA of its account, which a join token let it ask for
//! ([`join_agent`]), and logs in with it by Roles Anywhere. The certificate's URI is the agent's `identity`; Roles Anywhere
//! makes a session tag of it, and by that tag its calls are known to be its own ([`agents::own`]). What it may have is
//! decided by its role alone: to wait for changes and to report take no permission of their own, since the one tells
//! nothing of what the role may not read, and the other changes what is known of the agent itself.
//!
//! The rules are `keystead_core::placements`.

mod agents;
mod alarms;
mod awaiting;
mod changes;
mod home;
mod join;
mod join_tokens;
mod record;
mod reports;
#[cfg(test)]
mod tests;
mod versions;

pub(crate) use agents::{AGENT_QUEUE, Contacts, delete_agent, list_agents, look_at_agent};
pub(crate) use alarms::{PLACEMENT_QUEUE, look_at_placement};
pub(crate) use awaiting::await_changes;
pub use changes::Changes;
pub(crate) use changes::follow;
pub(crate) use join::{join_agent, renew_agent_certificate};
pub(crate) use join_tokens::{
    TOKEN_QUEUE, create_join_token, delete_join_token, forget_token, list_join_tokens,
};
pub(crate) use reports::{list_placements, report_placements};

/// The service, as actions in the name of its callers have it.
const SERVICE: &str = "keystead";
