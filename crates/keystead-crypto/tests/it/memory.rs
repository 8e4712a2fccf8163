//! What is left of a key in the memory of this process once the ring has forgotten it: nothing.
//!
//! The test reads its own memory, all of it that can be written to, and looks for keys that it
//! planted. It keeps them masked, so as not to find its own copies.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use crate::support::ring;
use keystead_core::kms::{
    EncryptionAlgorithm, KeySpec, MacAlgorithm, MessageType, SigningAlgorithm, WrappingAlgorithm,
};
use keystead_crypto::{KeyRing, StoredMaterial};
use zeroize::Zeroizing;

const MASK: u8 = 0xa5;
/// Bytes that are read at a time.
const CHUNK: usize = 1 << 13;

/// A key that is looked for.
struct Needle(Vec<u8>);

impl Needle {
    fn new(key: &[u8]) -> Self {
        Self(key.iter().map(|byte| byte ^ MASK).collect())
    }

    fn is_at(&self, memory: &[u8]) -> bool {
        let same = |reversed: bool| {
            (0..self.0.len()).all(|at| {
                let key = if reversed { self.0.len() - 1 - at } else { at };
                memory[at] ^ MASK == self.0[key]
            })
        };
        // The library keeps numbers with their least significant byte first.
        same(false) || same(true)
    }

    /// How often it is in this process's memory.
    fn count(&self) -> usize {
        let (mut buffer, zeros) = (vec![0; CHUNK], vec![0; CHUNK]);
        let own = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + CHUNK as u64;
        let memory = File::open("/proc/self/mem").unwrap();
        let mut found = 0;
        for line in fs::read_to_string("/proc/self/maps").unwrap().lines() {
            let mut words = line.split(' ');
            let (range, access) = (words.next().unwrap(), words.next().unwrap());
            if !access.starts_with("rw") {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let [mut at, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
            while at < end {
                let length = usize::try_from(end - at).unwrap().min(CHUNK);
                // Other threads may unmap what the list still has.
                let read = memory.read_at(&mut buffer[..length], at).unwrap_or(0);
                if read < self.0.len() {
                    break;
                }
                // Most of it was never written to.
                let offsets = match buffer[..read] == zeros[..read] {
                    true => 0..0,
                    false => 0..read - self.0.len() + 1,
                };
                found += offsets
                    .filter(|offset| !own.contains(&(at + *offset as u64)))
                    .filter(|offset| self.is_at(&buffer[*offset..]))
                    .count();
                // Overlapping, for a key on the border of two chunks.
                at += (read - self.0.len() + 1) as u64;
            }
        }
        buffer.fill(0);
        found
    }
}

/// Material through the door of `ImportKeyMaterial`.
async fn import(ring: &KeyRing, spec: KeySpec, material: &[u8]) -> StoredMaterial {
    let wrapping = ring.wrapping_key(KeySpec::Rsa2048).await.unwrap().material;
    let oaep = EncryptionAlgorithm::RsaesOaepSha256;
    let wrapped = ring.encrypt(&wrapping, oaep, b"", material).await.unwrap();
    let algorithm = WrappingAlgorithm::RsaesOaepSha256;
    let new = ring
        .unwrap_material(&wrapping, algorithm, &wrapped, spec, b"")
        .await;
    new.unwrap().material
}

async fn use_it(ring: &KeyRing, key: &StoredMaterial) {
    match key.spec() {
        KeySpec::SymmetricDefault => {
            let algorithm = EncryptionAlgorithm::SymmetricDefault;
            let sealed = ring
                .encrypt(key, algorithm, b"aad", b"plain")
                .await
                .unwrap();
            ring.decrypt(key, algorithm, b"aad", &sealed)
                .await
                .unwrap()
                .unwrap();
        }
        KeySpec::Hmac256 => {
            ring.mac(key, MacAlgorithm::HmacSha256, b"m").await.unwrap();
        }
        KeySpec::EccNistEdwards25519 => {
            for (algorithm, message_type) in [
                (SigningAlgorithm::Ed25519Sha512, MessageType::Raw),
                (SigningAlgorithm::Ed25519PhSha512, MessageType::Digest),
            ] {
                let signed = ring
                    .sign_message(key, algorithm, message_type, &[7; 64])
                    .await;
                signed.unwrap();
            }
        }
        KeySpec::MlKem512 => {
            let (ciphertext, _) = ring.encapsulate(key).await.unwrap();
            ring.decapsulate(key, &ciphertext).await.unwrap();
        }
        _ => {
            let algorithm = key.spec().signing_algorithms()[0];
            let signed = ring
                .sign_message(key, algorithm, MessageType::Raw, b"m")
                .await;
            signed.unwrap();
        }
    }
}

/// Material of a spec as it is imported, and which of its bytes are the secret.
async fn material(ring: &KeyRing, spec: KeySpec) -> (Zeroizing<Vec<u8>>, Needle) {
    let secret_behind = |input: &[u8], mark: &[u8], length: usize| {
        let at = input.windows(mark.len()).position(|part| part == mark);
        let at = at.unwrap() + mark.len();
        Needle::new(&input[at..at + length])
    };
    let prefix: &[u8] = match spec {
        KeySpec::SymmetricDefault | KeySpec::Hmac256 => b"",
        KeySpec::MlDsa44 => {
            b"\x30\x34\x02\x01\x00\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11\x04\x22\x80\x20"
        }
        _ => {
            let input = ring.generate_pair(spec).await.unwrap().private_key;
            let needle = match spec {
                KeySpec::MlKem512 => secret_behind(&input, b"\x80\x40", 64),
                KeySpec::EccNistEdwards25519 => secret_behind(&input, b"\x04\x22\x04\x20", 32),
                _ => secret_behind(&input, b"\x02\x01\x01\x04\x20", 32),
            };
            return (input, needle);
        }
    };
    let secret = ring.random(32).unwrap();
    let input = Zeroizing::new([prefix, &secret].concat());
    (input, Needle::new(&secret))
}

#[tokio::test]
async fn a_forgotten_key_is_nowhere_in_memory() {
    let ring = ring();
    for spec in [
        KeySpec::SymmetricDefault,
        KeySpec::Hmac256,
        KeySpec::EccNistP256,
        KeySpec::EccSecgP256k1,
        KeySpec::EccNistEdwards25519,
        KeySpec::MlDsa44,
        KeySpec::MlKem512,
    ] {
        let (input, needle) = material(&ring, spec).await;
        assert!(
            needle.count() > 0,
            "the test cannot find a key that is there"
        );
        let key = import(&ring, spec, &input).await;
        use_it(&ring, &key).await;
        drop(input);
        ring.forget(&key);
        assert_eq!(needle.count(), 0, "{spec:?} is still in memory");
    }
}

/// The first prime of an RSA key that was given away.
#[tokio::test]
async fn a_pair_that_was_given_away_is_nowhere_in_memory() {
    let ring = ring();
    let pair = ring.generate_pair(KeySpec::Rsa2048).await.unwrap();
    let key = &pair.private_key;
    // The private exponent, of 256 bytes or of one more, is followed by the prime, of 129.
    let at = key
        .windows(4)
        .position(|part| part == b"\x02\x81\x81\x00")
        .unwrap()
        + 4;
    let needle = Needle::new(&key[at..at + 128]);
    assert!(
        needle.count() > 0,
        "the test cannot find a key that is there"
    );
    drop(pair);
    assert_eq!(needle.count(), 0);
}
