//! PKCS #11 tokens as a home of keys: made there, used there, never out of there.
//!
//! A [`Token`] is one slot's token behind one module, connected in the background and kept so: it
//! may be absent at the start, be taken away in the middle of everything, and come back. Its calls
//! run on threads of its own and have deadlines (see `threads`), modules are shared by the process
//! (see `module`), and keys are found by their CKA_ID (see `object`), so that any number of
//! programs work on one token.
//!
//! **Encryption.** AES-GCM in the token would end at 2^32 messages a key, because its nonces are
//! drawn at random (NIST SP 800-38D section 8.3); many tokens take no nonce from outside at all. So
//! a token's AES key does one thing, CMAC, with which XAES-256-GCM (C2SP) derives a key for each
//! message, and the message is encrypted here. This is good for 2^80 messages, the same bytes as
//! the ring's own keys make, and works with every token that has CKM_AES_CMAC. What passes through
//! this process is the key of one message, beside the message itself.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use keystead_core::kms::{EncryptionAlgorithm, KeySpec, KeyUsage, MacAlgorithm};
use zeroize::Zeroizing;

use crate::digest::{self, Sha256};
use crate::seal::{KeyId, xaes};

mod connection;
mod error;
mod job;
mod meters;
mod module;
mod object;
mod operate;
mod pin;
mod threads;

use error::Failure;
pub use error::{TokenError, TokenFailure};
use job::{Access, Call, Terms};
pub(crate) use operate::{Hash, Signing};
pub use pin::PinSource;
use threads::Shared;

/// How long a caller waits for the use of a key: a tenth of what AWS's SDKs wait for an answer, and
/// longer than network HSMs take to change over to a peer.
const USE: Terms = Terms {
    within: Duration::from_secs(5),
    repeatable: true,
};
/// How long a caller waits for a new key: smart cards take half a minute for one of RSA-4096. Not
/// done twice, because nobody knows what the first time has left behind.
const GENERATE: Terms = Terms {
    within: Duration::from_secs(60),
    repeatable: false,
};
/// How long the end of a token's threads is waited for: closing a session takes milliseconds.
const DISCONNECT_DEADLINE: Duration = Duration::from_secs(1);
/// Sessions of a token, where the configuration does not say: enough for a network HSM to be busy
/// while answers are under way.
pub const DEFAULT_SESSIONS: usize = 4;
/// Most sessions of a token: each is a thread.
pub const MAX_SESSIONS: usize = 64;

/// Which token, and how it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenOptions {
    /// The file of the PKCS #11 module, absolute.
    pub module: PathBuf,
    /// The token's label; `None` where the serial number is enough, or there is but one.
    pub label: Option<String>,
    /// The token's serial number; `None` where the label is enough, or there is but one.
    pub serial: Option<String>,
    /// Where the user's PIN comes from.
    pub pin: PinSource,
    /// Sessions, and so calls at the same time: 1 to [`MAX_SESSIONS`].
    pub sessions: usize,
    /// The id by which KMS's custom key stores name it; `None` for one made of the token's serial
    /// number.
    pub cluster_id: Option<String>,
}

/// What a token says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenIdentity {
    /// Its label, given when it was initialized.
    pub label: String,
    /// Its serial number, unique among its manufacturer's.
    pub serial: String,
    /// Who made it.
    pub manufacturer: String,
    /// Its model.
    pub model: String,
}

/// How far a token is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// Being connected, for the first time or after a loss.
    Connecting,
    /// Connected and logged in.
    Connected,
    /// Not connected, and why; it is tried again by itself.
    Failed(TokenError),
    /// Given up by [`Token::disconnect`].
    Disconnected,
}

/// A token as operators see it.
#[derive(Clone, Debug)]
pub struct TokenStatus {
    /// Its name in the configuration.
    pub name: String,
    /// How far it is connected.
    pub state: TokenState,
    /// The id by which custom key stores name it; `None` while neither the configuration nor the
    /// token has told it.
    pub cluster_id: Option<String>,
    /// What it was when it was last seen.
    pub identity: Option<TokenIdentity>,
    /// Its module's file.
    pub module: PathBuf,
    /// Threads that its module does not let go.
    pub stuck: usize,
    /// Calls that came back since the start.
    pub calls: u64,
    /// Those of them that failed.
    pub failures: u64,
}

/// A token; see the module. Dropping it disconnects it.
pub struct Token(Arc<Shared>);

impl Token {
    /// Begins to connect a token, under the name that the configuration gives it. Returns at once;
    /// [`Token::connected`] waits.
    ///
    /// # Errors
    /// [`TokenFailure::Refused`] when the options make no sense or there are no threads to be had.
    pub fn connect(
        name: impl Into<String>,
        options: TokenOptions,
    ) -> Result<Arc<Self>, TokenError> {
        let name = name.into();
        if !(1..=MAX_SESSIONS).contains(&options.sessions) {
            return Err(TokenError::new(
                TokenFailure::Refused,
                format!("the token {name} has between 1 and {MAX_SESSIONS} sessions"),
            ));
        }
        let shared = Shared::start(name, options).map_err(|error| {
            let message = format!("cannot start a thread for a token: {error}");
            TokenError::new(TokenFailure::Refused, message)
        })?;
        Ok(Arc::new(Self(shared)))
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How far it is connected.
    pub fn state(&self) -> TokenState {
        self.0.state()
    }

    /// All there is to tell about it.
    pub fn status(&self) -> TokenStatus {
        let identity = self.0.identity();
        let (calls, failures) = self.0.meters.counts();
        TokenStatus {
            name: self.0.name.clone(),
            state: self.state(),
            cluster_id: self.cluster_id(),
            module: self.0.options.module.clone(),
            stuck: self.0.stuck(),
            identity,
            calls,
            failures,
        }
    }

    /// The id by which custom key stores name it, in the form of CloudHSM's: the configuration's,
    /// or 80 bits of a hash of who the token says it is, so that every server on the token has the
    /// same. `None` as long as it was never seen.
    pub fn cluster_id(&self) -> Option<String> {
        let configured = self.0.options.cluster_id.clone();
        configured.or_else(|| self.0.identity().map(|identity| cluster_id(&identity)))
    }

    /// Waits until an attempt to connect has ended, and answers how.
    ///
    /// # Errors
    /// Why it is not connected; [`TokenFailure::NotAnswering`] when none ends within `deadline`.
    pub async fn connected(&self, deadline: Duration) -> Result<(), TokenError> {
        let mut attempts = self.0.attempts.subscribe();
        let settled = async {
            loop {
                match self.state() {
                    TokenState::Connecting => {}
                    TokenState::Connected => return Ok(()),
                    TokenState::Failed(error) => return Err(error),
                    TokenState::Disconnected => {
                        let message = format!("the token {} was disconnected", self.name());
                        return Err(TokenError::new(TokenFailure::Disconnected, message));
                    }
                }
                // Told of one that ended between the two, too.
                if attempts.changed().await.is_err() {
                    return Err(self.late());
                }
            }
        };
        let settled = tokio::time::timeout(deadline, settled).await;
        settled.unwrap_or_else(|_| Err(self.late()))
    }

    /// Waits until it is connected, for as long as another attempt may go better. May be called
    /// where nothing asynchronous runs, and nowhere else.
    ///
    /// # Errors
    /// Why it is not connected after `deadline`, or never will be as things are.
    pub fn wait_connected(&self, deadline: Duration) -> Result<(), TokenError> {
        let mut attempts = self.0.attempts.subscribe();
        let settled = async {
            loop {
                match self.connected(deadline).await {
                    Err(error) if may_pass(error.failure) => {}
                    settled => return settled,
                }
                if attempts.changed().await.is_err() {
                    return Err(self.late());
                }
            }
        };
        block_on(async {
            let settled = tokio::time::timeout(deadline, settled).await;
            settled.unwrap_or_else(|_| match self.state() {
                TokenState::Failed(error) => Err(error),
                _ => Err(self.late()),
            })
        })
        .unwrap_or_else(|error| {
            let message = format!("cannot wait for a token: {error}");
            Err(TokenError::new(TokenFailure::Refused, message))
        })
    }

    /// Whether this is the PIN that the token is opened with. Asks nothing of the token, which
    /// would count a wrong one.
    ///
    /// # Errors
    /// [`TokenFailure::PinUnusable`] when the PIN's source does not give it.
    pub fn check_pin(&self, given: &str) -> Result<bool, TokenError> {
        let pin = self.0.options.pin.read()?;
        let hash = |text: &str| digest::sha256(text.as_bytes());
        Ok(digest::constant_time_eq(&hash(&pin), &hash(given)))
    }

    /// Ends its threads and its sessions, for which it waits up to a second. What waits is refused.
    pub fn disconnect(&self) {
        self.0.disconnect();
        if !self.0.wait(DISCONNECT_DEADLINE) {
            tracing::warn!(token = self.name(), "a token's module does not let go");
        }
    }

    /// Makes a key under this id; the label is for people. Answers the SubjectPublicKeyInfo of a
    /// pair.
    pub(crate) async fn generate(
        &self,
        spec: KeySpec,
        usage: KeyUsage,
        id: KeyId,
        label: &str,
    ) -> Result<Option<Vec<u8>>, TokenError> {
        let caller = Arc::new(());
        let waits: Weak<()> = Arc::downgrade(&caller);
        let label = label.to_owned();
        let work = move |token: &Access<'_>| {
            let made = token.generate(spec, usage, id, &label);
            if waits.strong_count() == 0 || made.is_err() {
                // Nobody will ever know of it; if this fails too, it is no worse than before.
                let _ = token.destroy(id);
            }
            made
        };
        let made = self.call(GENERATE, work).await;
        drop(caller);
        made
    }

    /// The SubjectPublicKeyInfo of a pair.
    pub(crate) async fn public_key(&self, id: KeyId, spec: KeySpec) -> Result<Vec<u8>, TokenError> {
        self.call(USE, move |token| token.public_key(id, spec))
            .await
    }

    /// A signature over a digest: PKCS #1 v1.5 or PSS for RSA, DER for ECDSA.
    pub(crate) async fn sign(
        &self,
        id: KeyId,
        spec: KeySpec,
        signing: Signing,
        digest: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        let digest = digest.to_vec();
        self.call(USE, move |token| token.sign(id, spec, signing, &digest))
            .await
    }

    /// A message authentication code.
    pub(crate) async fn mac(
        &self,
        id: KeyId,
        algorithm: MacAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        let message = message.to_vec();
        self.call(USE, move |token| token.mac(id, algorithm, &message))
            .await
    }

    /// The key of one message, of which nonce and key are told by [`xaes`].
    pub(crate) async fn message_key(
        &self,
        id: KeyId,
        nonce: [u8; xaes::NONCE],
    ) -> Result<Zeroizing<[u8; xaes::KEY]>, TokenError> {
        self.call(USE, move |token| token.message_key(id, &nonce))
            .await
    }

    /// Decrypts what was encrypted under an RSA key; `None` whatever is wrong with it.
    pub(crate) async fn decrypt(
        &self,
        id: KeyId,
        algorithm: EncryptionAlgorithm,
        ciphertext: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, TokenError> {
        let ciphertext = ciphertext.to_vec();
        self.call(USE, move |token| token.decrypt(id, algorithm, &ciphertext))
            .await
    }

    /// The raw secret that the key and a peer's point agree on.
    pub(crate) async fn agree(
        &self,
        id: KeyId,
        spec: KeySpec,
        point: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, TokenError> {
        let point = point.to_vec();
        self.call(USE, move |token| token.agree(id, spec, &point))
            .await
    }

    /// Bytes of its own randomness.
    pub(crate) async fn random(&self, count: usize) -> Result<Zeroizing<Vec<u8>>, TokenError> {
        self.call(USE, move |token| token.random(count)).await
    }

    /// Destroys a key, both halves of a pair; that it is not there is as good.
    pub(crate) async fn destroy(&self, id: KeyId) -> Result<(), TokenError> {
        self.call(USE, move |token| token.destroy(id)).await
    }

    /// Has it done on the token's threads.
    async fn call<T: Send + 'static>(
        &self,
        terms: Terms,
        work: impl FnMut(&Access<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, TokenError> {
        let (job, reply) = Call::new(terms, work);
        self.0.submit(job)?;
        match tokio::time::timeout(terms.within, reply).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => Err(TokenError::new(
                TokenFailure::Refused,
                format!("a call of the token {} crashed", self.name()),
            )),
            Err(_) => Err(self.late()),
        }
    }

    fn late(&self) -> TokenError {
        let message = format!("the token {} did not answer in time", self.name());
        TokenError::new(TokenFailure::NotAnswering, message)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.disconnect();
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}

/// Whether a token that is not connected for this reason may be connected a moment later, without
/// anybody doing anything about it: at a start of the machine, everything comes up at once.
fn may_pass(failure: TokenFailure) -> bool {
    matches!(
        failure,
        TokenFailure::NotFound | TokenFailure::Lost | TokenFailure::Module
    )
}

/// Waits for a token where nothing asynchronous runs: at the start, for the root key.
///
/// # Errors
/// When the system does not give what waiting takes.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    Ok(runtime.block_on(future))
}

/// `cluster-` and sixteen letters of base 32 (RFC 4648 section 6), in small letters as CloudHSM's.
fn cluster_id(identity: &TokenIdentity) -> String {
    let mut hash = Sha256::new();
    hash.update(b"keystead token");
    for part in [&identity.manufacturer, &identity.model, &identity.serial] {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut bits = hash
        .finish()
        .into_iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| (byte >> bit) & 1));
    let mut id = String::from("cluster-");
    for _ in 0..16 {
        let five = bits.by_ref().take(5).fold(0, |value, bit| value << 1 | bit);
        id.push(char::from(match five {
            0..26 => b'a' + five,
            _ => b'2' + five - 26,
        }));
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_id_is_made_of_who_the_token_is() {
        let identity = |serial: &str| TokenIdentity {
            label: "hsm".into(),
            serial: serial.into(),
            manufacturer: "SoftHSM project".into(),
            model: "SoftHSM v2".into(),
        };
        let id = cluster_id(&identity("0123456789abcdef"));
        // The model's pattern: cluster-[2-7a-zA-Z]{11,16}.
        let letters = id.strip_prefix("cluster-").unwrap();
        assert_eq!(letters.len(), 16);
        assert!(
            letters
                .bytes()
                .all(|letter| matches!(letter, b'2'..=b'7' | b'a'..=b'z'))
        );
        let relabelled = TokenIdentity {
            label: "other".into(),
            ..identity("0123456789abcdef")
        };
        assert_eq!(cluster_id(&relabelled), id);
        assert_ne!(cluster_id(&identity("0123456789abcdee")), id);
    }
}
