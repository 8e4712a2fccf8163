//! Any bytes as a certificate, a revocation list and a key: refused or judged, and what is judged twice is judged alike.
#![no_main]

use keystead_core::lint;
use keystead_crypto::x509::{Certificate, Crl};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(certificate) = Certificate::from_der(bytes) {
        assert_eq!(certificate.der(), bytes);
        let signed = lint::signed_part(bytes);
        assert_eq!(signed, Some(certificate.tbs_der()));
    }
    if let Ok(list) = Crl::parse(bytes) {
        // An entry takes a serial number and a time.
        assert!(list.revoked.len() <= bytes.len() / 15);
    }
    let judged = |found: Result<(), Vec<lint::Finding>>| found.err().map(|found| lint::listed(&found));
    assert_eq!(judged(lint::lint_foreign(bytes)), judged(lint::lint_foreign(bytes)));
    assert_eq!(judged(lint::lint_public(bytes)), judged(lint::lint_public(bytes)));
    assert_eq!(judged(lint::lint_key(bytes)), judged(lint::lint_key(bytes)));
});
