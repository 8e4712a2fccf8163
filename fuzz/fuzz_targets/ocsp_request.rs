//! Any bytes as an OCSP request: refused, or within the bounds that the responder counts on.
#![no_main]

use keystead_crypto::ocsp::{MOST_ASKED, OcspRequest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(request) = OcspRequest::parse(bytes) else {
        return;
    };
    assert!((1..=MOST_ASKED).contains(&request.asked.len()));
    for id in &request.asked {
        assert!(id.serial.len() <= 20);
        assert!(bytes.windows(id.der.len()).any(|part| part == id.der));
        assert_eq!(id.name_hash.len(), id.key_hash.len());
    }
    if let Some(nonce) = &request.nonce {
        assert!((1..=128).contains(&nonce.len()));
    }
});
