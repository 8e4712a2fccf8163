//! Holds keys: everything that touches private bytes, and the encodings that signatures cover.
//!
//! Nobody outside this crate sees the bytes of a private key, with two exceptions that are named
//! for it ([`KeyRing::reveal`] and [`KeyRing::export_encrypted`]), and nobody outside names the
//! cryptographic library. The parts, from the bottom:
//!
//! - [`digest`] and [`random`]: hashes, HMAC, constant-time comparison, randomness.
//! - [`seal`]: what the store keeps is sealed under data keys, which a root key wraps.
//! - [`x509`]: certificates and requests, written, read and verified; PEM.
//! - [`ocsp`]: requests, read, and answers, written.
//! - [`jws`]: signatures of web tokens, verified.
//! - [`KeyRing`]: private keys of certificates and key material of KMS, made, sealed, used.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

mod der;
pub mod digest;
mod error;
pub mod jws;
pub mod key_store;
mod keyring;
pub mod merkle;
mod native;
pub mod ocsp;
mod pkcs12;
pub mod random;
pub mod seal;
#[cfg(test)]
mod testing;
pub mod token;
pub mod trust_store;
pub mod x509;

pub use error::CryptoError;
pub use keyring::{
    DataPair, KeyRing, KeyRingOptions, NewKey, NewMaterial, PrivateKeyPem, StoredKey,
    StoredMaterial,
};
