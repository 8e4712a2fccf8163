//! KMS: kinds of keys, the state machine of a key, its rotations, imports, replicas and grants.
//!
//! Sources: the KMS API reference and service model (2014-11-01), and the KMS developer guide, whose pages are named
//! beside the rule that they justify.

mod fault;
mod spec;

pub use fault::Fault;
pub use spec::{
    ECDH, EncryptionAlgorithm, KeySpec, KeyUsage, ML_KEM, MacAlgorithm, MessageType, Origin,
    SigningAlgorithm, WrappingAlgorithm,
};
