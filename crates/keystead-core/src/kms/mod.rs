//! KMS: kinds of keys, the state machine of a key, its rotations, imports, replicas and grants.
//!
//! Sources: the KMS API reference and service model (2014-11-01), and the KMS developer guide, whose pages are named
//! beside the rule that they justify.

pub mod alias;
mod ciphertext;
mod create;
mod fault;
pub mod grant;
#[cfg(test)]
mod grant_tests;
mod import;
mod key;
mod life;
pub mod managed;
mod regions;
mod rotation;
mod spec;
mod state;
mod store;
#[cfg(test)]
mod testing;
mod usage;
pub mod xks;

pub use ciphertext::{EncryptionContext, Header, bound_to};
pub use create::{KeyKind, Wanted};
pub use fault::Fault;
pub use import::{ImportType, Offer, PARAMETERS_VALID, valid_to};
pub use key::{
    Import, InStore, Key, Manager, Material, MaterialId, MaterialState, MultiRegion, Rotation,
    RotationType, Stage,
};
pub use regions::Own;
pub use rotation::{Turn, USUAL_PERIOD_DAYS};
pub use spec::{
    ECDH, EncryptionAlgorithm, GrantOperation, KeySpec, KeyUsage, ML_KEM, MacAlgorithm,
    MessageType, Origin, SigningAlgorithm, WrappingAlgorithm,
};
pub use state::{Command, KeyState, check};
pub use store::{
    Backing, Connection, ConnectionError, KeyStore, MOST_STORES, StoreCommand, StoreEvent,
    check_connected,
};
pub use usage::{check_plaintext, check_shared};
