//! Credentials of the agent's role, for a while.

use jiff::{SignedDuration, Timestamp};
use keystead_wire::sigv4::Credentials;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::Failure;
use crate::link::text;

/// What CreateSession gave.
pub(super) struct Session {
    pub(super) credentials: Credentials,
    pub(super) until: Timestamp,
}

impl Session {
    /// Reads the answer of CreateSession.
    pub(super) fn of(answer: &Value) -> Result<Self, Failure> {
        let given = answer
            .pointer("/credentialSet/0/credentials")
            .unwrap_or(&Value::Null);
        let until = text(given, "expiration")?.parse();
        Ok(Self {
            credentials: Credentials {
                access_key_id: text(given, "accessKeyId")?.to_owned(),
                secret_access_key: Zeroizing::new(text(given, "secretAccessKey")?.to_owned()),
                session_token: Some(Zeroizing::new(text(given, "sessionToken")?.to_owned())),
            },
            until: until.map_err(|_| {
                Failure::Unreachable("the server's answer names no end of the session".into())
            })?,
        })
    }

    /// Whether it is good for whatever is begun now.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        let last = self.until.checked_sub(SPARE).unwrap_or(Timestamp::MIN);
        now < last
    }
}

/// Sessions last an hour, or a quarter of one at the least; the AWS SDKs renew five minutes before the end.
const SPARE: SignedDuration = SignedDuration::from_mins(5);
