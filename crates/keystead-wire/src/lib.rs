//! AWS wire protocols, without sockets and without a domain: bytes in, typed requests out; typed
//! responses in, bytes out.
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

pub mod error;
mod generated;
pub mod schema;
pub mod sigv4;
pub mod shape;
pub mod value;

pub use error::ErrorAnswer;
pub use generated::{acm, acm_pca, keystead, kms, secretsmanager, services, sts};
pub use shape::{FromValue, IntoValue, Operation, Shape, ShapeError};
pub use value::{Blob, Sensitive, Value};
