//! Documents of other servers: what is asked for here, and got by whoever owns sockets (`keystead-server`).

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

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
