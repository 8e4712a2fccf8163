//! Keystead as the external key store proxy that AWS's KMS, or another Keystead's, calls: who uses keys on AWS holds them
//! at home.
//!
//! A proxy is a record with a path, credentials and the keys that it exposes. Its administration is Keystead's own
//! (`models/keystead.json`); what AWS calls is `models/kms-xks-proxy.json`. A call proves a proxy's credential, which
//! is no identity of IAM, so no policy is asked: what may be done is what the proxy exposes ([`serve`]). Whoever exposes
//! a key must be allowed to use it ([`keys`]).

mod credentials;
mod keys;
mod proxies;
mod record;
mod serve;

pub(crate) use credentials::{delete_xks_proxy_credential, rotate_xks_proxy_credential};
pub(crate) use keys::{expose_xks_key, withdraw_xks_key};
pub(crate) use proxies::{
    create_xks_proxy, delete_xks_proxy, describe_xks_proxy, list_xks_proxies,
};
pub use record::Proxy;
pub(crate) use record::{KnownProxies, SERVICE};
pub(crate) use serve::{HealthKey, decrypt, encrypt, get_health_status, get_key_metadata};
