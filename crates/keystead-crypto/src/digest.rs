//! Hashes, HMAC and constant-time comparison.

use aws_lc_rs::{constant_time, digest, hmac};

/// SHA-256 of the bytes (FIPS 180-4).
pub fn sha256(data: &[u8]) -> [u8; 32] {
    output(&digest::digest(&digest::SHA256, data))
}

/// SHA-384 of the bytes (FIPS 180-4).
pub fn sha384(data: &[u8]) -> [u8; 48] {
    output(&digest::digest(&digest::SHA384, data))
}

/// SHA-512 of the bytes (FIPS 180-4).
pub fn sha512(data: &[u8]) -> [u8; 64] {
    output(&digest::digest(&digest::SHA512, data))
}

/// SHA-1 of the bytes: for key identifiers and fingerprints only, never where somebody could gain
/// from a collision.
pub fn sha1(data: &[u8]) -> [u8; 20] {
    output(&digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, data))
}

/// HMAC-SHA-256 (RFC 2104).
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    copied(hmac::sign(&key, data).as_ref())
}

/// Whether two byte strings are equal, in time that depends on their lengths only.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// SHA-256 of bytes that come in pieces.
#[derive(Clone)]
pub struct Sha256(digest::Context);

impl Sha256 {
    /// The hash of nothing yet.
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Adds the next piece.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The hash of all pieces.
    pub fn finish(self) -> [u8; 32] {
        output(&self.0.finish())
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha256 { .. }")
    }
}

fn output<const N: usize>(digest: &digest::Digest) -> [u8; N] {
    copied(digest.as_ref())
}

/// The library's output length is a constant of the algorithm, and `N` is that constant.
fn copied<const N: usize>(bytes: &[u8]) -> [u8; N] {
    debug_assert_eq!(bytes.len(), N);
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;

    /// FIPS 180-4's one-block message, from NIST's example values.
    #[test]
    fn known_answers() {
        assert_eq!(
            sha1(b"abc").to_vec(),
            hex("a9993e364706816aba3e25717850c26c9cd0d89d")
        );
        assert_eq!(
            sha256(b"abc").to_vec(),
            hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
        assert_eq!(
            sha384(b"abc").to_vec(),
            hex(
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"
            )
        );
        assert_eq!(
            sha512(b"abc").to_vec(),
            hex(
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
            )
        );
    }

    /// RFC 4231 test case 2.
    #[test]
    fn hmac_known_answer() {
        assert_eq!(
            hmac_sha256(b"Jefe", b"what do ya want for nothing?").to_vec(),
            hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        );
    }

    #[test]
    fn pieces_hash_like_the_whole() {
        let mut pieces = Sha256::new();
        pieces.update(b"a");
        let fork = pieces.clone();
        pieces.update(b"bc");
        assert_eq!(pieces.finish(), sha256(b"abc"));
        assert_eq!(fork.finish(), sha256(b"a"));
    }

    #[test]
    fn equality_needs_equal_lengths() {
        assert!(constant_time_eq(b"same", b"same"));
        assert!(!constant_time_eq(b"same", b"sane"));
        assert!(!constant_time_eq(b"same", b"same "));
        assert!(constant_time_eq(b"", b""));
    }
}
