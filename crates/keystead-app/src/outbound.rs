//! Other servers: what is asked of them here, and brought there by whoever owns sockets (`keystead-server`).

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;
#[cfg(test)]
use keystead_core::rotation::Change;
use keystead_core::rotation::{Heard, Job, Rotator};
use zeroize::Zeroizing;

/// Gets a document. Bounded in time and size, and answers what stands behind the URL itself: it follows no
/// redirect.
pub type Fetch = Arc<
    dyn Fn(Document) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, FetchError>> + Send>>
        + Send
        + Sync,
>;

/// Gets nothing: for tests that need no other server.
#[cfg(test)]
pub(crate) fn nothing() -> Fetch {
    Arc::new(|document| {
        let refusal = FetchError::Unreachable(format!("{} is not asked", document.url));
        Box::pin(async { Err(refusal) })
    })
}

/// A document, and whose word on it is taken.
#[derive(Clone, Debug)]
pub struct Document {
    /// Where it is: `https://HOST[:PORT][/PATH]`.
    pub url: String,
    /// SHA-1 fingerprints, in hexadecimal digits, of certificates that are trusted beside the authorities that the
    /// machine trusts: the server's own, or of an authority in the chain that it sends.
    pub thumbprints: Vec<String>,
}

/// Does one thing at a server whose passwords change.
pub type Visit = Arc<dyn Fn(Job) -> Pin<Box<dyn Future<Output = Heard> + Send>> + Send + Sync>;

/// What changes passwords in other servers (`keystead-rotate`).
#[derive(Clone)]
pub struct Rotators {
    /// Does one thing at a server, within a deadline.
    pub visit: Visit,
    /// Whether there is such a rotator.
    pub knows: Arc<dyn Fn(&Rotator) -> bool + Send + Sync>,
}

impl Rotators {
    /// Changes nothing: for tests that need no other server.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self {
            visit: Arc::new(|_| {
                let heard = Heard::new(Change::Unreachable, "nobody is visited");
                Box::pin(async { heard })
            }),
            knows: Arc::new(|_| false),
        }
    }
}

/// Makes a signed call, within a deadline, and brings its answer.
pub type Exchange = Arc<
    dyn Fn(SignedPost) -> Pin<Box<dyn Future<Output = Result<Answer, ExchangeError>> + Send>>
        + Send
        + Sync,
>;

/// Calls nobody: for tests that need no other server.
#[cfg(test)]
pub(crate) fn nobody() -> Exchange {
    Arc::new(|post| {
        let refusal = ExchangeError::Unreachable(format!("{} is not called", post.endpoint));
        Box::pin(async { Err(refusal) })
    })
}

/// A call that may be repeated, and whose signature it carries (Signature Version 4).
pub struct SignedPost {
    /// Where to: `https://HOST[:PORT]`, or plain HTTP to loopback.
    pub endpoint: String,
    /// The path.
    pub path: String,
    /// The body, JSON.
    pub body: Zeroizing<Vec<u8>>,
    /// The credential's public half.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: Zeroizing<String>,
    /// The region of the signature's scope.
    pub region: String,
    /// The service of the signature's scope.
    pub service: &'static str,
    /// When it is signed.
    pub at: Timestamp,
}

/// What was answered.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why a call had no answer.
#[derive(Debug)]
pub enum ExchangeError {
    /// There is no connection.
    Unreachable(String),
    /// There is one, but no TLS that can be trusted.
    Untrusted(String),
    /// No answer came in time.
    TimedOut,
    /// What came is no answer.
    Broken(String),
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(cause) | Self::Untrusted(cause) | Self::Broken(cause) => {
                f.write_str(cause)
            }
            Self::TimedOut => f.write_str("no answer in time"),
        }
    }
}

impl std::error::Error for ExchangeError {}

/// Why a document was not got.
#[derive(Debug)]
pub enum FetchError {
    /// Nobody answers in time.
    Unreachable(String),
    /// The server's certificate is not to be trusted.
    Untrusted(String),
    /// What it answers is not the document.
    Refused(String),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(cause) | Self::Untrusted(cause) | Self::Refused(cause) => {
                f.write_str(cause)
            }
        }
    }
}

impl std::error::Error for FetchError {}
