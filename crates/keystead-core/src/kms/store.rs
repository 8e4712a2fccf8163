//! Custom key stores: what they are, and how they are connected.
//!
//! Source: developer guide, "Connect and disconnect external key stores" and "Key stores"; API reference of the six
//! operations. Both types go through the same states.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Fault;
use crate::error::{Error, ErrorKind, Result};

/// A custom key store, apart from its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStore {
    /// Its id, `cks-` and 17 hexadecimal digits.
    pub id: String,
    /// Its name, which no other of the account and region has.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// How far it is connected.
    pub connection: Connection,
    /// How many KMS keys there are in it, those that wait for their deletion included.
    pub keys: u32,
    /// What keeps its keys.
    pub backing: Backing,
}

/// What keeps a store's keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backing {
    /// `AWS_CLOUDHSM`: a token.
    CloudHsm {
        /// Its id.
        cluster_id: String,
        /// The certificate that it was introduced with.
        trust_anchor: String,
    },
    /// `EXTERNAL_KEY_STORE`: a proxy.
    External {
        /// `XksProxyUriEndpoint`.
        endpoint: String,
        /// `XksProxyUriPath`.
        path: String,
        /// The public half of the credential.
        access_key_id: String,
    },
}

/// `ConnectionState`, with why it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are AWS's")]
pub enum Connection {
    Disconnected,
    Connecting,
    Connected,
    Failed(ConnectionError),
    Disconnecting,
}

/// `ConnectionErrorCode`: those that can happen here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are AWS's")]
pub enum ConnectionError {
    InvalidCredentials,
    ClusterNotFound,
    NetworkErrors,
    InternalError,
    InsufficientCloudhsmHsms,
    UserLockedOut,
    XksProxyAccessDenied,
    XksProxyNotReachable,
    XksProxyInvalidResponse,
    XksProxyInvalidConfiguration,
    XksProxyTimedOut,
    XksProxyInvalidTlsConfiguration,
}

impl ConnectionError {
    /// The value as AWS writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidCredentials => "INVALID_CREDENTIALS",
            Self::ClusterNotFound => "CLUSTER_NOT_FOUND",
            Self::NetworkErrors => "NETWORK_ERRORS",
            Self::InternalError => "INTERNAL_ERROR",
            Self::InsufficientCloudhsmHsms => "INSUFFICIENT_CLOUDHSM_HSMS",
            Self::UserLockedOut => "USER_LOCKED_OUT",
            Self::XksProxyAccessDenied => "XKS_PROXY_ACCESS_DENIED",
            Self::XksProxyNotReachable => "XKS_PROXY_NOT_REACHABLE",
            Self::XksProxyInvalidResponse => "XKS_PROXY_INVALID_RESPONSE",
            Self::XksProxyInvalidConfiguration => "XKS_PROXY_INVALID_CONFIGURATION",
            Self::XksProxyTimedOut => "XKS_PROXY_TIMED_OUT",
            Self::XksProxyInvalidTlsConfiguration => "XKS_PROXY_INVALID_TLS_CONFIGURATION",
        }
    }
}

impl Connection {
    /// The value as AWS writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disconnected => "DISCONNECTED",
            Self::Connecting => "CONNECTING",
            Self::Connected => "CONNECTED",
            Self::Failed(_) => "FAILED",
            Self::Disconnecting => "DISCONNECTING",
        }
    }
}

/// What is asked of a store, as far as its connection decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreCommand {
    /// ConnectCustomKeyStore.
    Connect,
    /// DisconnectCustomKeyStore.
    Disconnect,
    /// UpdateCustomKeyStore of its name, its proxy's path or its proxy's credential; of any part of a token's.
    Update,
    /// UpdateCustomKeyStore of where its proxy is.
    Move,
    /// DeleteCustomKeyStore.
    Delete,
    /// CreateKey in it, or the use of a key that is in it.
    Use,
}

/// How an attempt to connect or to disconnect ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreEvent {
    /// It is connected.
    Opened,
    /// It could not be connected.
    Refused(ConnectionError),
    /// It is disconnected.
    Closed,
}

/// Most custom key stores of an account in a region (developer guide, "Resource quotas": 10, of both types together).
pub const MOST_STORES: usize = 10;

impl KeyStore {
    /// Its connection after `command`.
    ///
    /// # Errors
    /// [`Fault::StoreInvalidState`]; [`Fault::StoreHasKeys`].
    pub fn after(&self, command: StoreCommand) -> Result<Connection> {
        use Connection as C;
        use StoreCommand as S;
        let now = self.connection;
        let external = matches!(self.backing, Backing::External { .. });
        match (command, now) {
            (S::Connect, C::Disconnected) => Ok(C::Connecting),
            // API reference of ConnectCustomKeyStore: valid in every state but FAILED and DISCONNECTING.
            (S::Connect, C::Connecting | C::Connected) => Ok(now),
            (S::Disconnect, C::Connecting | C::Connected | C::Failed(_)) => Ok(C::Disconnecting),
            (S::Update | S::Move, C::Disconnected) => Ok(now),
            // Developer guide, "Edit external key store properties": in any connection state.
            (S::Update, _) if external => Ok(now),
            (S::Use, C::Connected) => Ok(now),
            (S::Delete, C::Disconnected) if self.keys == 0 => Ok(now),
            (S::Delete, C::Disconnected) => Err(Fault::StoreHasKeys.error(format!(
                "The custom key store {} contains {} KMS keys. Schedule their deletion and wait for it before you delete the store.",
                self.id, self.keys
            ))),
            _ => Err(self.refusal(command)),
        }
    }

    /// Its connection after an attempt ended so; `None` where nobody waits for that any more.
    pub fn on(&self, event: StoreEvent) -> Option<Connection> {
        match (self.connection, event) {
            (Connection::Connecting, StoreEvent::Opened) => Some(Connection::Connected),
            (Connection::Connecting, StoreEvent::Refused(why)) => Some(Connection::Failed(why)),
            (Connection::Disconnecting, StoreEvent::Closed) => Some(Connection::Disconnected),
            _ => None,
        }
    }

    fn refusal(&self, command: StoreCommand) -> Error {
        let (id, state) = (&self.id, self.connection.name());
        let advice = match (command, self.connection) {
            (StoreCommand::Use, _) => {
                return Fault::StoreInvalidState.error(NOT_CONNECTED);
            }
            (StoreCommand::Connect, Connection::Failed(_)) => {
                "Disconnect it before you connect it again."
            }
            (StoreCommand::Connect, _) => "Wait until it is disconnected.",
            (StoreCommand::Disconnect, _) => "It needs no disconnecting.",
            _ => "It must be DISCONNECTED for this.",
        };
        Fault::StoreInvalidState.error(format!(
            "The connection state of the custom key store {id} is {state}. {advice}"
        ))
    }
}

/// The refusal of using a key whose store is not connected (specification of the proxy API, "Error codes").
///
/// # Errors
/// [`ErrorKind::InvalidState`], unless it is connected.
pub fn check_connected(connection: Connection) -> Result<()> {
    match connection {
        Connection::Connected => Ok(()),
        _ => Err(Error::new(ErrorKind::InvalidState, NOT_CONNECTED)),
    }
}

/// The words are AWS's for external key stores; a token is no proxy, but the advice is the same.
const NOT_CONNECTED: &str = "This KMS key is in a custom key store that is not connected to its external key store proxy. Connect the external key store and try the request again.";

#[cfg(test)]
mod tests {
    use super::*;

    const WHY: ConnectionError = ConnectionError::XksProxyTimedOut;
    const STATES: [Connection; 5] = [
        Connection::Disconnected,
        Connection::Connecting,
        Connection::Connected,
        Connection::Failed(WHY),
        Connection::Disconnecting,
    ];

    fn store(connection: Connection, external: bool, keys: u32) -> KeyStore {
        let backing = match external {
            true => Backing::External {
                endpoint: "https://xks.example.com".into(),
                path: "/kms/xks/v1".into(),
                access_key_id: "A".repeat(20),
            },
            false => Backing::CloudHsm {
                cluster_id: "cluster-aaaaaaaaaaa".into(),
                trust_anchor: "pem".into(),
            },
        };
        KeyStore {
            id: "cks-1234567890abcdef0".into(),
            name: "store".into(),
            created_at: Timestamp::UNIX_EPOCH,
            connection,
            keys,
            backing,
        }
    }

    /// A row a command, a column a state in the order of [`STATES`]: what follows, or `-` for a refusal.
    #[test]
    fn every_command_in_every_state() {
        use StoreCommand as S;
        for (command, external, expected) in [
            (S::Connect, true, "CONNECTING CONNECTING CONNECTED - -"),
            (S::Connect, false, "CONNECTING CONNECTING CONNECTED - -"),
            (
                S::Disconnect,
                true,
                "- DISCONNECTING DISCONNECTING DISCONNECTING -",
            ),
            (
                S::Disconnect,
                false,
                "- DISCONNECTING DISCONNECTING DISCONNECTING -",
            ),
            (
                S::Update,
                true,
                "DISCONNECTED CONNECTING CONNECTED FAILED DISCONNECTING",
            ),
            (S::Update, false, "DISCONNECTED - - - -"),
            (S::Move, true, "DISCONNECTED - - - -"),
            (S::Delete, true, "DISCONNECTED - - - -"),
            (S::Delete, false, "DISCONNECTED - - - -"),
            (S::Use, true, "- - CONNECTED - -"),
            (S::Use, false, "- - CONNECTED - -"),
        ] {
            let got = STATES.map(|state| match store(state, external, 0).after(command) {
                Ok(next) => next.name(),
                Err(refusal) => {
                    let expected = ErrorKind::Kms(Fault::StoreInvalidState);
                    assert_eq!(refusal.kind, expected, "{command:?} {state:?}");
                    "-"
                }
            });
            assert_eq!(got.join(" "), expected, "{command:?} external {external}");
        }
    }

    #[test]
    fn only_what_is_awaited_changes_the_state() {
        use StoreEvent as E;
        for (event, expected) in [
            (E::Opened, "- CONNECTED - - -"),
            (E::Refused(WHY), "- FAILED - - -"),
            (E::Closed, "- - - - DISCONNECTED"),
        ] {
            let got = STATES.map(|state| {
                store(state, true, 0)
                    .on(event)
                    .map_or("-", Connection::name)
            });
            assert_eq!(got.join(" "), expected, "{event:?}");
        }
    }

    #[test]
    fn a_store_with_keys_is_not_deleted() {
        let refusal = store(Connection::Disconnected, true, 1).after(StoreCommand::Delete);
        assert_eq!(
            refusal.unwrap_err().kind,
            ErrorKind::Kms(Fault::StoreHasKeys)
        );
        // The state comes first: a connected store is to be disconnected whether or not it has keys.
        let refusal = store(Connection::Connected, true, 1).after(StoreCommand::Delete);
        assert_eq!(
            refusal.unwrap_err().kind,
            ErrorKind::Kms(Fault::StoreInvalidState)
        );
    }

    #[test]
    fn keys_of_a_store_are_used_while_it_is_connected() {
        for state in STATES {
            let allowed = check_connected(state).is_ok();
            assert_eq!(allowed, state == Connection::Connected, "{state:?}");
        }
    }
}
