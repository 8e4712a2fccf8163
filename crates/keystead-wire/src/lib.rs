//! AWS's wire protocols, without sockets and without a domain.
//!
//! A request comes as an HTTP head and a body. [`protocol::identify`] finds the operation,
//! [`Call::decode`] turns the body into a neutral [`Value`] that keeps every constraint of the
//! model, and [`FromValue::from_value`] into the generated type; the answer goes the way back
//! through [`IntoValue::into_value`] and [`Call::encode_response`]. The shapes, their constraints
//! and the operations are generated from `models/` ([`services`] has them all); the codecs are
//! driven by those tables, so an operation is served in every protocol that its service speaks.
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

pub mod cbor;
pub mod error;
mod generated;
pub mod json;
pub mod protocol;
pub mod query;
pub mod rest_json;
mod scalar;
pub mod schema;
pub mod shape;
pub mod sigv4;
pub mod validate;
pub mod value;
pub mod xks;

pub use error::ErrorAnswer;
pub use generated::{
    acm, acm_pca, iam, keystead, kms, kms_xks_proxy, rolesanywhere, rolesanywhere_sessions,
    secretsmanager, services, sts,
};
pub use protocol::{Call, Dialect, Refusal, identify};
pub use shape::{FromValue, IntoValue, Operation, Shape, ShapeError};
pub use value::{Blob, Sensitive, Value};
