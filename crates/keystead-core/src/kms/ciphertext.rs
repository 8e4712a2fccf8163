//! What a symmetric ciphertext looks like from outside, and what it is bound to.
//!
//! AWS's own format is not published; ours is in `docs/formats.md`. A ciphertext names its account, key and key material,
//! so that Decrypt needs no KeyId, and a rotated key opens what its older materials made. It does not name a region:
//! what one of a multi-Region key's brothers made, another one opens.
//!
//! ```text
//! 0x4b  version  account  key id  key material id  payload
//! 1     1        6        16      32               nonce, ciphertext, tag: the key material's
//! ```
//!
//! Everything before the payload, and the encryption context in its canonical form, is authenticated with it.

use std::collections::BTreeMap;

use super::key::MaterialId;
use crate::arn::AccountId;

/// `EncryptionContext`: names and values that whoever decrypts has to know.
pub type EncryptionContext = BTreeMap<String, String>;

/// First byte: no ASN.1, JSON or PEM begins so, and a version byte follows.
const MAGIC: u8 = 0x4b;
/// The version of a key whose id is a UUID.
const PLAIN: u8 = 1;
/// The version of a multi-Region key, whose id is `mrk-` and 32 digits.
const MULTI_REGION: u8 = 2;
/// Bytes before the payload.
const HEADER: usize = 2 + 6 + 16 + 32;

/// The part before the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose key.
    pub account: AccountId,
    /// Which key.
    pub key_id: String,
    /// Which of its key materials.
    pub material: MaterialId,
}

impl Header {
    /// The bytes; `None` for an id that no key of ours has.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let (version, digits) = match self.key_id.strip_prefix("mrk-") {
            Some(digits) => (MULTI_REGION, digits.to_owned()),
            None => (PLAIN, self.key_id.replace('-', "")),
        };
        if digits.len() != 32 {
            return None;
        }
        let id = u128::from_str_radix(&digits, 16).ok()?;
        let account: u64 = self.account.as_str().parse().ok()?;
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(&[MAGIC, version]);
        // Twelve decimal digits take 40 bits.
        bytes.extend_from_slice(account.to_be_bytes().get(2..)?);
        bytes.extend_from_slice(&id.to_be_bytes());
        bytes.extend_from_slice(&self.material.0);
        Some(bytes)
    }

    /// Takes a ciphertext apart into its header, the header's bytes and the payload; `None` when it is not one of ours.
    pub fn parse(ciphertext: &[u8]) -> Option<(Self, &[u8], &[u8])> {
        let (bytes, payload) = ciphertext.split_at_checked(HEADER)?;
        let (&[magic, version], rest) = bytes.split_first_chunk::<2>()?;
        let (account, rest) = rest.split_first_chunk::<6>()?;
        let (id, material) = rest.split_first_chunk::<16>()?;
        let material = MaterialId(<[u8; 32]>::try_from(material).ok()?);
        let account = account
            .iter()
            .fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
        let account = AccountId::parse(&format!("{account:012}")).ok()?;
        let id = u128::from_be_bytes(*id);
        let key_id = match (magic, version) {
            (MAGIC, PLAIN) => crate::uuid::hyphenated(id),
            (MAGIC, MULTI_REGION) => format!("mrk-{id:032x}"),
            _ => return None,
        };
        let header = Self {
            account,
            key_id,
            material,
        };
        Some((header, bytes, payload))
    }
}

/// What a payload is bound to: the header, and the encryption context in the order of its names' bytes, each part with
/// its length before it, so that no two contexts have the same form. An empty context is the same as none (AWS:
/// "Encryption context").
pub fn bound_to(header: &[u8], context: Option<&EncryptionContext>) -> Vec<u8> {
    let mut bound = header.to_vec();
    for (name, value) in context.into_iter().flatten() {
        for part in [name, value] {
            bound.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bound.extend_from_slice(part.as_bytes());
        }
    }
    bound
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(key_id: &str) -> Header {
        Header {
            account: AccountId::parse("123456789012").unwrap(),
            key_id: key_id.into(),
            material: MaterialId([7; 32]),
        }
    }

    #[test]
    fn both_kinds_of_ids_come_back() {
        for id in [
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "mrk-1234abcd12ab34cd56ef1234567890ab",
        ] {
            let mut bytes = header(id).encode().unwrap();
            let length = bytes.len();
            bytes.extend_from_slice(b"payload");
            let (read, head, payload) = Header::parse(&bytes).unwrap();
            assert_eq!(read, header(id));
            assert_eq!((head.len(), payload), (length, &b"payload"[..]));
        }
    }

    #[test]
    fn other_bytes_are_not_ours() {
        let good = header("1234abcd-12ab-34cd-56ef-1234567890ab")
            .encode()
            .unwrap();
        assert!(Header::parse(&good[..good.len() - 1]).is_none());
        for (at, byte) in [(0, 0x30), (1, 3), (2, 0xff)] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            assert!(Header::parse(&bytes).is_none(), "byte {at}");
        }
        assert!(header("not-a-key").encode().is_none());
        assert!(
            header("é34abcd-12ab-34cd-56ef-1234567890ab")
                .encode()
                .is_none()
        );
    }

    #[test]
    fn contexts_that_run_together_stay_apart() {
        let of = |pairs: &[(&str, &str)]| {
            let context = pairs.iter().map(|(n, v)| ((*n).into(), (*v).into()));
            bound_to(b"", Some(&context.collect()))
        };
        assert_ne!(of(&[("a", "bc")]), of(&[("ab", "c")]));
        assert_ne!(of(&[("a", "b"), ("c", "d")]), of(&[("a", "bcd")]));
        assert_eq!(of(&[("b", "2"), ("a", "1")]), of(&[("a", "1"), ("b", "2")]));
        assert_eq!(of(&[]), bound_to(b"", None));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some((header, head, _)) = Header::parse(&bytes) {
                prop_assert_eq!(header.encode().unwrap(), head);
            }
        }
    }
}
