//! What only KMS refuses, by meaning.

use crate::{Error, ErrorKind};

/// See [`ErrorKind::Kms`]. What other services refuse too has a kind there: NotFound, InvalidState (a key's state does
/// not allow it), InvalidArn, InvalidPolicy, InvalidTag, InvalidNextToken (a marker), LimitExceeded, AlreadyExists,
/// Conflict, Validation, AccessDenied, Unavailable, Internal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The key is disabled.
    Disabled,
    /// The call would have gone well, and was to be tried only.
    DryRun,
    /// The import token is past its time.
    ExpiredImportToken,
    /// A ciphertext was made under another key than the one that is named.
    IncorrectKey,
    /// Key material is not what was imported before, or not what the key takes.
    IncorrectKeyMaterial,
    /// The name is not one of an alias.
    InvalidAliasName,
    /// The alias belongs to AWS's services.
    ReservedAlias,
    /// A ciphertext is not one of ours, altered, or made with another encryption context.
    InvalidCiphertext,
    /// There is no such grant.
    InvalidGrantId,
    /// A grant token is not one of ours.
    InvalidGrantToken,
    /// An import token is not one of ours, or of another key.
    InvalidImportToken,
    /// The key is not for this, or not by this algorithm.
    InvalidKeyUsage,
    /// A code does not verify.
    InvalidMac,
    /// A signature does not verify.
    InvalidSignature,
    /// The key cannot be used just now.
    KeyUnavailable,
    /// What the key depends on does not answer in time.
    DependencyTimeout,
    /// Exists at AWS, but not here or not for such a key.
    UnsupportedOperation,
    /// The token is the back of another key store already.
    ClusterInUse,
    /// The token does not fit the key store's configuration.
    ClusterInvalidConfiguration,
    /// The token is there, but not ready.
    ClusterNotActive,
    /// There is no such token in the configuration.
    ClusterNotFound,
    /// The token is another one than the one whose keys the store has.
    ClusterNotRelated,
    /// The trust anchor is not the token's.
    IncorrectTrustAnchor,
    /// The key store holds keys.
    StoreHasKeys,
    /// The key store is in a state that does not allow this.
    StoreInvalidState,
    /// Another key store has this name.
    StoreNameInUse,
    /// There is no such key store.
    StoreNotFound,
    /// The external key is the back of another KMS key already.
    XksKeyAlreadyInUse,
    /// The external key is not of the kind that KMS needs, or not enabled.
    XksKeyInvalidConfiguration,
    /// The proxy does not know the external key.
    XksKeyNotFound,
    /// The proxy refuses the credential.
    XksProxyIncorrectCredential,
    /// The proxy is not configured as KMS needs it.
    XksProxyInvalidConfiguration,
    /// The proxy answers what the specification does not know.
    XksProxyInvalidResponse,
    /// Another key store has this endpoint.
    XksProxyUriEndpointInUse,
    /// Another key store has this endpoint and path.
    XksProxyUriInUse,
    /// The proxy cannot be reached.
    XksProxyUriUnreachable,
    /// There is no such endpoint service of a VPC.
    XksProxyVpcEndpointServiceNotFound,
}

impl Fault {
    /// A refusal of this kind with this message.
    pub fn error(self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Kms(self), message)
    }
}
