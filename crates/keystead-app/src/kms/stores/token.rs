//! Key stores of type AWS_CLOUDHSM: a token of the server's configuration.
//!
//! What is a cluster at AWS is a token here, and the password of its crypto user the token's PIN. The server has the PIN
//! from its own configuration and keeps the token connected by itself; a store that is connected lets KMS use it.

use std::sync::Arc;
use std::time::Duration;

use keystead_core::kms::{ConnectionError, Fault, KeySpec, KeyUsage};
use keystead_core::{Error, Result};
use keystead_crypto::token::{Token, TokenError, TokenFailure};
use keystead_crypto::x509::Certificate;
use keystead_crypto::{CryptoError, NewMaterial};
use zeroize::Zeroizing;

use crate::App;

/// The token of a new store, which must be there and connected.
pub(super) async fn introduce(app: &App, cluster_id: &str, trust_anchor: &str) -> Result<()> {
    let token = find(app, cluster_id)?;
    // Nothing signs with it, since a token is a thing of this machine; it is shown as it was given.
    Certificate::parse(trust_anchor.as_bytes()).map_err(|_| {
        Fault::IncorrectTrustAnchor.error(
            "TrustAnchorCertificate is not a certificate: expected the content of the file customerCA.crt, in PEM.",
        )
    })?;
    let connected = token.connected(ACTIVE).await;
    connected.map_err(|error| {
        Fault::ClusterNotActive.error(format!("The cluster {cluster_id} is not active: {error}."))
    })
}

/// Whether a store whose keys are in one token may name another one.
pub(super) fn check_related(app: &App, old: &str, new: &str, keys: u32) -> Result<()> {
    find(app, new)?;
    if old == new || keys == 0 {
        return Ok(());
    }
    Err(Fault::ClusterNotRelated.error(format!(
        "The cluster {new} does not have the keys of this custom key store, which are in {old}."
    )))
}

fn find(app: &App, cluster_id: &str) -> Result<Arc<Token>> {
    app.keys.token_of_cluster(cluster_id).ok_or_else(|| {
        let states = app.keys.token_states();
        let known: Vec<_> = states.into_iter().filter_map(|it| it.cluster_id).collect();
        let known = match known.is_empty() {
            true => "has no token that was seen so far".to_owned(),
            false => format!("has {}", known.join(", ")),
        };
        Fault::ClusterNotFound.error(format!(
            "The cluster {cluster_id} does not exist: the server's configuration {known}."
        ))
    })
}

/// Tries to connect a store with this password.
pub(super) async fn open(
    app: &App,
    cluster_id: &str,
    password: &str,
) -> Result<(), ConnectionError> {
    let token = app.keys.token_of_cluster(cluster_id);
    let token = token.ok_or(ConnectionError::ClusterNotFound)?;
    match token.check_pin(password) {
        Ok(true) => {}
        Ok(false) => return Err(ConnectionError::InvalidCredentials),
        Err(error) => return Err(why(&error)),
    }
    token.connected(OPENED).await.map_err(|error| why(&error))
}

fn why(error: &TokenError) -> ConnectionError {
    tracing::warn!(%error, "a custom key store cannot be connected to its token");
    match error.failure {
        TokenFailure::Unknown => ConnectionError::ClusterNotFound,
        // Modules of networked tokens do not start where no token answers.
        TokenFailure::NotFound | TokenFailure::Lost | TokenFailure::Module => {
            ConnectionError::InsufficientCloudhsmHsms
        }
        TokenFailure::PinIncorrect => ConnectionError::InvalidCredentials,
        TokenFailure::PinLocked => ConnectionError::UserLockedOut,
        TokenFailure::NotAnswering | TokenFailure::Busy => ConnectionError::NetworkErrors,
        _ => ConnectionError::InternalError,
    }
}

/// New key material, made in the token.
pub(super) async fn generate(app: &App, cluster_id: &str, owner: &[u8]) -> Result<NewMaterial> {
    let token = find(app, cluster_id)?;
    let (spec, usage) = (KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt);
    let made = app
        .keys
        .generate_material_in(token.name(), spec, usage, owner);
    made.await.map_err(|error| away(error, cluster_id))
}

/// Bytes of the token's own randomness.
pub(super) async fn random(
    app: &App,
    cluster_id: &str,
    count: usize,
) -> Result<Zeroizing<Vec<u8>>> {
    let token = find(app, cluster_id)?;
    let random = app.keys.random_in(token.name(), count).await;
    random.map_err(|error| away(error, cluster_id))
}

/// A token that does not do what the store needs of it now.
fn away(error: CryptoError, cluster_id: &str) -> Error {
    match error {
        CryptoError::Token(error) => Fault::StoreInvalidState.error(format!(
            "The cluster {cluster_id} of this custom key store cannot be used just now: {error}."
        )),
        other => other.into(),
    }
}

/// How long the caller waits for a token that is just being connected: as long as for the use of one of its keys.
const ACTIVE: Duration = Duration::from_secs(5);

/// How long a store is connecting: within the lease of the step that does it.
const OPENED: Duration = Duration::from_secs(20);
