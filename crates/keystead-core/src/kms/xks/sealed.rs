//! What Keystead, as the proxy, answers to Encrypt, and takes apart for Decrypt.
//!
//! The key's material encrypts with XAES-256-GCM, whose nonce has 24 bytes: the first half derives a key for the message
//! alone, under which AES-256-GCM encrypts with the second half as its initialization vector. The specification's vector
//! has 12 bytes, so the first half travels in the metadata, beside the beginning of the key material's id, by which a
//! rotated key still opens what its older materials made:
//!
//! ```text
//! metadata   0x01  key material id, its first bytes  derivation
//!            1     7                                 12; none where a key has no such half
//! ```
//!
//! What is bound ([`authenticated`]) is as the specification computes it, with the metadata up to the derivation: an
//! altered derivation gives another key, under which no tag verifies.

use super::{IV, METADATA_BYTES, TAG};
use crate::kms::key::{Material, MaterialId};

/// The version of the metadata.
const VERSION: u8 = 1;
/// Bytes of the metadata that are bound beside the data.
const MARK: usize = 8;

/// A ciphertext in the specification's parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// `ciphertextMetadata`.
    pub metadata: Vec<u8>,
    /// `initializationVector`.
    pub iv: Vec<u8>,
    /// `ciphertext`.
    pub ciphertext: Vec<u8>,
    /// `authenticationTag`.
    pub tag: Vec<u8>,
}

/// The part of the metadata that names the key material.
pub fn marks(material: &MaterialId) -> [u8; MARK] {
    let mut mark = [VERSION; MARK];
    let named = mark.iter_mut().skip(1).zip(material.0);
    named.for_each(|(to, from)| *to = from);
    mark
}

/// What is bound to a ciphertext: the lengths keep data and metadata apart ("Encrypt", `ciphertextMetadata`). `None` for
/// data that is longer than a length can say.
pub fn authenticated(data: &[u8], mark: &[u8]) -> Option<Vec<u8>> {
    let mut bound = Vec::with_capacity(3 + data.len() + mark.len());
    bound.extend_from_slice(&u16::try_from(data.len()).ok()?.to_be_bytes());
    bound.extend_from_slice(data);
    bound.push(u8::try_from(mark.len()).ok()?);
    bound.extend_from_slice(mark);
    Some(bound)
}

/// What the ciphertext data integrity value is the hash of, in its order (appendix C).
pub fn integrity_parts<'a>(data: &'a [u8], sealed: &'a Sealed) -> [&'a [u8]; 5] {
    let Sealed {
        metadata,
        iv,
        ciphertext,
        tag,
    } = sealed;
    [data, metadata, iv, ciphertext, tag]
}

impl Sealed {
    /// The parts of what the key material made of `length` bytes: nonce, ciphertext, tag. `None` where it has no such
    /// parts.
    pub fn of(mark: [u8; MARK], payload: &[u8], length: usize) -> Option<Self> {
        let nonce = payload.len().checked_sub(length + TAG)?;
        let (nonce, rest) = payload.split_at_checked(nonce)?;
        let (derivation, iv) = nonce.split_at_checked(nonce.len().checked_sub(IV)?)?;
        let (ciphertext, tag) = rest.split_at_checked(length)?;
        let mut metadata = mark.to_vec();
        metadata.extend_from_slice(derivation);
        (metadata.len() <= METADATA_BYTES).then(|| Self {
            metadata,
            iv: iv.to_vec(),
            ciphertext: ciphertext.to_vec(),
            tag: tag.to_vec(),
        })
    }

    /// Its mark, and what the key material decrypts; `None` where it is not one of ours.
    pub fn payload(&self) -> Option<(&[u8], Vec<u8>)> {
        let (mark, derivation) = self.metadata.split_at_checked(MARK)?;
        let ours = mark.first() == Some(&VERSION) && self.metadata.len() <= METADATA_BYTES;
        if !ours || self.iv.len() != IV || self.tag.len() != TAG {
            return None;
        }
        let payload = [derivation, &self.iv, &self.ciphertext, &self.tag].concat();
        Some((mark, payload))
    }

    /// The key materials that its mark can mean, the newest first: seven bytes are all but unique.
    pub fn candidates<'k>(&self, materials: &'k [Material]) -> Vec<&'k Material> {
        let named = |material: &&Material| self.metadata.starts_with(&marks(&material.id));
        materials.iter().rev().filter(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MATERIAL: MaterialId = MaterialId([9; 32]);

    fn payload(nonce: usize, length: usize) -> Vec<u8> {
        (0..nonce + length + TAG).map(|byte| byte as u8).collect()
    }

    #[test]
    fn a_payload_comes_back_from_its_parts_whatever_its_nonce() {
        for (nonce, metadata) in [(24, 20), (12, 8)] {
            for length in [0, 1, 16, 4300] {
                let payload = payload(nonce, length);
                let sealed = Sealed::of(marks(&MATERIAL), &payload, length).unwrap();
                assert_eq!(sealed.iv.len(), 12);
                assert_eq!(sealed.tag.len(), 16);
                assert_eq!(sealed.ciphertext.len(), length);
                assert_eq!(sealed.metadata.len(), metadata);
                let (mark, back) = sealed.payload().unwrap();
                assert_eq!((mark, back), (&marks(&MATERIAL)[..], payload));
            }
        }
        for nonce in [0, 11, 25] {
            assert_eq!(Sealed::of(marks(&MATERIAL), &payload(nonce, 3), 3), None);
        }
    }

    #[test]
    fn what_is_not_ours_has_no_payload() {
        let good = Sealed::of(marks(&MATERIAL), &payload(24, 5), 5).unwrap();
        let with = |change: fn(&mut Sealed)| {
            let mut sealed = good.clone();
            change(&mut sealed);
            sealed.payload().map(|(_, payload)| payload)
        };
        assert!(with(|sealed| sealed.metadata[0] = 2).is_none());
        assert!(with(|sealed| sealed.metadata.truncate(7)).is_none());
        assert!(with(|sealed| sealed.metadata.push(0)).is_none());
        assert!(with(|sealed| sealed.iv.push(0)).is_none());
        assert!(with(|sealed| sealed.tag.truncate(15)).is_none());
        assert!(with(|_| ()).is_some());
    }

    /// The example of appendix C, whose hash is published.
    #[test]
    fn integrity_covers_the_parts_in_the_published_order() {
        let sealed = Sealed {
            metadata: b"key_version=1".to_vec(),
            iv: vec![1; 12],
            ciphertext: vec![2; 12],
            tag: vec![3; 16],
        };
        let parts = integrity_parts(b"project=nile", &sealed).concat();
        assert!(parts.starts_with(b"project=nilekey_version=1\x01"));
        assert_eq!(parts.len(), 12 + 13 + 12 + 12 + 16);
    }

    #[test]
    fn data_and_metadata_do_not_run_into_one_another() {
        assert_eq!(authenticated(b"ab", b"c").unwrap(), b"\x00\x02ab\x01c");
        assert_eq!(authenticated(b"", b"").unwrap(), [0, 0, 0]);
        assert_ne!(authenticated(b"", b"c"), authenticated(b"c", b""));
        assert_eq!(authenticated(&[0; 65_536], b""), None);
        // KMS binds its own ciphertexts to what begins with 0x4b.
        let most = authenticated(&[0; super::super::BOUND_BYTES], b"").unwrap();
        assert!(most[0] < 0x4b);
    }

    proptest! {
        #[test]
        fn arbitrary_parts_do_no_harm(
            metadata in proptest::collection::vec(any::<u8>(), 0..24),
            iv in proptest::collection::vec(any::<u8>(), 0..17),
            tag in proptest::collection::vec(any::<u8>(), 0..17),
        ) {
            let sealed = Sealed { metadata, iv, ciphertext: vec![1, 2], tag };
            let _ = sealed.payload();
            prop_assert!(sealed.candidates(&[]).is_empty());
        }
    }
}
