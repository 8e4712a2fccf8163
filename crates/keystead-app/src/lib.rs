//! Keystead's use cases: one folder a service, one function an operation, [`Ctx`] first.
//!
//! A use case reads records beside the identity that asks ([`Ctx`]), lets `keystead-core` decide,
//! lets `keystead-crypto` do what needs keys, and commits the outcome to `keystead-store`. It takes
//! the generated request and returns the generated response of `keystead-wire`; there is no second
//! set of types. [`dispatch`] is the only way in from the outside and writes the audit event;
//! [`fault`] is the only place that knows AWS's error codes.
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

mod access;
mod accounts;
pub mod acm;
mod app;
mod audit;
mod credentials;
mod ctx;
mod cursor;
pub mod dispatch;
mod env;
pub mod fault;
mod hsm;
mod iam;
mod ids;
pub mod kms;
mod lasts;
pub mod log;
pub mod nodes;
pub mod objects;
pub mod outbound;
pub mod pca;
mod placements;
mod retry;
mod rolesanywhere;
pub mod secrets;
mod sts;
pub mod system_ca;
pub mod tasks;
mod token;
pub mod trust;
mod weak_keys;
mod xks;

pub use access::Access;
pub use app::{App, AppOptions, JOURNAL_DIR, OpenError};
pub use credentials::{Credential, Found, Presented, RootCredential};
pub use ctx::{Ctx, Principal, PrincipalKind};
pub use env::{Env, SystemEnv};
pub use hsm::HsmOptions;
pub use placements::Changes;
pub use rolesanywhere::Workload;
pub use sts::{Session, WebIdentity};
pub use xks::Proxy;
