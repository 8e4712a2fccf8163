//! External key stores: what goes between a KMS and the proxy of an external key manager, for both sides.
//!
//! Source: AWS KMS External Key Store Proxy API Specification, version 1.0.2.

mod exposure;
mod failure;
mod layer;
mod sealed;

pub use exposure::{Caller, Exposure, check_prefix};
pub use failure::ProxyFailure;
pub use layer::Layer;
pub use sealed::{Sealed, authenticated, integrity_parts, marks};

/// What every path of a proxy ends with, before the operation.
pub const BASE: &str = "/kms/xks/v1";

/// The longest path of a proxy, [`BASE`] included (`XksProxyUriPath`).
pub const PATH_CHARS: usize = 128;

/// The most that is encrypted at once ("Encrypt": at least 4300 bytes).
pub const PLAINTEXT_BYTES: usize = 4300;

/// The most that is bound to a ciphertext at once ("Encrypt": at least 8192 bytes). It must stay below 0x4b00, so that
/// what is bound never begins as it does for KMS's own ciphertexts (see [`Sealed`]).
pub const BOUND_BYTES: usize = 8192;

/// Bytes of an authentication tag.
const TAG: usize = 16;
/// Bytes of an initialization vector.
const IV: usize = 12;
/// The most bytes of a ciphertext's metadata.
pub const METADATA_BYTES: usize = 20;
