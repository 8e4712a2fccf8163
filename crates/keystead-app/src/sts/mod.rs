//! Security Token Service: temporary credentials, and what is known of them.
//!
//! A session is nowhere stored. Its token, which the bearer sends with every call, says all there is to say, sealed
//! ([`tokens`]): making one writes nothing, checking one reads what it stands for. So a session can't be taken
//! back by itself; it ends with its time, with its role or user, or by a policy that asks when it was issued
//! (`aws:TokenIssueTime`).

mod assume_role;
pub(crate) mod by_certificate;
mod caller;
mod federation;
mod given;
mod jwt;
pub(crate) mod message;
mod provider_keys;
mod session;
mod target;
#[cfg(test)]
mod tests;
pub(crate) mod tokens;
mod web_identity;

pub(crate) use assume_role::assume_role;
pub(crate) use caller::{get_access_key_info, get_caller_identity};
pub(crate) use federation::{get_federation_token, get_session_token};
pub(crate) use message::decode_authorization_message;
pub(crate) use provider_keys::ProviderKeys;
pub use session::{Session, WebIdentity};
pub(crate) use tokens::Sessions;
pub(crate) use web_identity::assume_role_with_web_identity;

use keystead_core::{Error, ErrorKind, Result};

use crate::{Ctx, PrincipalKind};

/// Refuses a one-time code: nobody has a device here that could have made one.
fn refuse_mfa(serial_number: Option<&String>, code: Option<&String>) -> Result<()> {
    if serial_number.is_none() && code.is_none() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::AccessDenied,
        "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.",
    ))
}

/// Refuses the sessions of GetSessionToken and GetFederationToken, which may call no operation of STS but
/// AssumeRole (the former alone) and GetCallerIdentity (API reference, GetSessionToken and GetFederationToken).
fn refuse_personal_session(ctx: &Ctx, operation: &str) -> Result<()> {
    let personal = match ctx.principal.kind {
        PrincipalKind::Root | PrincipalKind::User { .. } => ctx.principal.session.is_some(),
        PrincipalKind::FederatedUser { .. } => true,
        PrincipalKind::Role { .. }
        | PrincipalKind::WebIdentity(_)
        | PrincipalKind::Workload(_)
        | PrincipalKind::XksProxy(_)
        | PrincipalKind::Service(_) => false,
    };
    if personal {
        return Err(session_refused(operation));
    }
    Ok(())
}

/// The refusal in AWS's words.
fn session_refused(operation: &str) -> Error {
    Error::new(
        ErrorKind::AccessDenied,
        format!("Cannot call {operation} with session credentials"),
    )
}
