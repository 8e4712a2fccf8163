//! What the rest of Keystead gives to this crate: who is asking, the secrets, and a place to tell
//! the operator what the nodes made of them.

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use futures::Stream;
use zeroize::Zeroizing;

/// Where secrets come from and where news about nodes goes; the server implements it.
///
/// Calls come from every stream at once. `secret` may take its time (each stream waits for itself
/// alone, and gives up after [`READ_DEADLINE`](crate::limits::READ_DEADLINE)); `report` must not
/// block.
#[async_trait]
pub trait SecretSource: Send + Sync + 'static {
    /// The current version of a resource for this node.
    ///
    /// One call both authorizes and reads, so that no secret can be read past the gate. It is asked
    /// again at every change, so withdrawing an access takes effect at the next change or re-read.
    ///
    /// # Errors
    /// [`Refusal::Denied`] and [`Refusal::Absent`] look the same to the node.
    async fn secret(&self, node: &Node, resource: &str) -> Result<Secret, Refusal>;

    /// News of every resource that changed from now on, including changes of who may read it.
    ///
    /// Called once at start and again should the stream end.
    fn changes(&self) -> Changes;

    /// Takes note of what happened on a stream, for the operator.
    fn report(&self, node: &Node, event: Event);
}

/// A feed of changes; see [`SecretSource::changes`].
pub type Changes = Pin<Box<dyn Stream<Item = Change> + Send>>;

/// One piece of news from the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This resource, or who may read it, changed. Naming one too many is harmless.
    Resource(String),
    /// The source lost track: anything may have changed, and every stream reads all it has again.
    Lagged,
}

/// Who opened the connection, proven before any request is read. The listener puts it into the
/// extensions of every HTTP request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PeerIdentity {
    /// A process of this user on this machine, by the peer credentials of a Unix socket.
    UnixUser {
        /// The effective user id that the kernel vouches for (`SO_PEERCRED`).
        uid: u32,
    },
    /// The holder of a client certificate that was verified in the handshake.
    Certificate {
        /// The name that the certificate proves, as the issuer of node certificates spells it.
        name: String,
    },
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnixUser { uid } => write!(f, "uid {uid}"),
            Self::Certificate { name } => write!(f, "certificate {name}"),
        }
    }
}

/// One stream's other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Proven by the connection.
    pub identity: PeerIdentity,
    /// What the node calls itself (`node.id`); its own word, so only ever narrow by it.
    pub id: String,
    /// What the node says it belongs to (`node.cluster`); may be empty.
    pub cluster: String,
    /// Tells the streams of one node apart: an Envoy opens one for each secret. Never reused while
    /// the server runs.
    pub stream: u64,
}

/// A secret as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The version of the stored record: grows with each change and is never used twice, also across
    /// restarts, so that a node that comes back with it needs nothing.
    pub version: u64,
    /// What it holds.
    pub kind: SecretKind,
}

/// What a secret holds.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretKind {
    /// A certificate to serve, with its key.
    TlsCertificate {
        /// The certificate and its intermediates, leaf first, as PEM.
        chain_pem: String,
        /// The private key as PEM; never printed, wiped when dropped.
        private_key_pem: Zeroizing<String>,
    },
    /// Authorities to trust.
    Validation {
        /// Their certificates as PEM.
        trust_pem: String,
    },
}

impl fmt::Debug for SecretKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TlsCertificate { chain_pem, .. } => f
                .debug_struct("TlsCertificate")
                .field("chain_pem", chain_pem)
                .field("private_key_pem", &"redacted")
                .finish(),
            Self::Validation { trust_pem } => f
                .debug_struct("Validation")
                .field("trust_pem", trust_pem)
                .finish(),
        }
    }
}

/// Why a node does not get a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It may not have it.
    Denied,
    /// There is no such resource, or nothing issued in it yet.
    Absent,
    /// It could not be read just now; it is tried again shortly.
    Unavailable(String),
}

/// What happened on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The stream said who it is.
    Connected,
    /// The node accepted a version (ACK), or came back with it, and uses it from now on.
    Accepted {
        /// The resource.
        resource: String,
        /// The version now in use.
        version: u64,
    },
    /// The node rejected a version (NACK) and goes on with what it had. This version is not sent
    /// again on the stream.
    Rejected {
        /// The resource.
        resource: String,
        /// The version that was rejected.
        version: u64,
        /// The node's reason, shortened and on one line.
        detail: String,
    },
    /// The node asked for what it does not get; told once a subscription.
    Withheld {
        /// The resource, as the node named it.
        resource: String,
        /// Whether it may not have it or there is none.
        denied: bool,
    },
    /// The stream ended.
    Disconnected,
}
