//! Keys that nobody should rely on: refused wherever one comes in, and where one is made.
//!
//! Keystead's own generator is trusted no more than others: a token may have made the key, and tokens
//! were what CVE-2017-15361 (ROCA) was about.

use keystead_core::lint::{self, KnownKeys};
use keystead_crypto::x509;

use crate::App;

/// Refuses a key, given as DER of its SubjectPublicKeyInfo, that is malformed, weak, or known to others; the
/// message says why, and names every broken rule.
pub(crate) fn refuse_weak(app: &App, spki_der: &[u8]) -> Result<(), String> {
    lint::lint_key(spki_der).map_err(|findings| lint::listed(&findings))?;
    refuse_known(&app.known_keys, spki_der)
}

/// Refuses a key whose private half others know. For what is linted anyway.
pub(crate) fn refuse_known(known: &KnownKeys, spki_der: &[u8]) -> Result<(), String> {
    let prints = x509::key_prints(spki_der);
    known.judge(&prints).map_err(|finding| finding.to_string())
}
