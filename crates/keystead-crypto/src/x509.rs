//! X.509: the core's vocabulary into DER and back.
//!
//! Issuing is [`encode_tbs`], a signature by [`crate::KeyRing::sign`], [`assemble`]; a request is
//! [`encode_csr_info`], a signature, [`assemble`]. What comes from outside is read by
//! [`Csr::parse`] and [`Certificate::parse`], strictly where the encoding is concerned (DER only,
//! nothing left over, nothing longer than a named limit) and leniently where the armour is (see
//! [`pem`]). Reading verifies no signature: [`Csr::verify`] and
//! [`Certificate::verify_issued_by`] do.

mod algorithm;
mod certificate;
mod chain;
mod crl;
mod crl_writer;
mod csr;
mod encode;
mod extension;
mod general_name;
mod name;
pub mod pem;
mod public_key;
mod signed;

pub use certificate::{Certificate, Signing};
pub use chain::{order_chain, verify_chain};
pub use crl::Crl;
pub use crl_writer::{CrlEntries, TbsCrl, encode_crl_tbs};
pub use csr::Csr;
pub use encode::{assemble, encode_csr_info, encode_tbs};
pub use name::{encode_name, name_text, parse_name};
pub use public_key::{key_identifier, key_prints, key_spec, verify_signature};

pub(crate) use algorithm::{KeyKind, named_curve, signature_identifier};
pub(crate) use public_key::{PublicKey, bit_length, key_bits, rsa_spec};
