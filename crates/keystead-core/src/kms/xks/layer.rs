//! The outer layer of a ciphertext under a key in an external key store: what the proxy answered to Encrypt.
//!
//! It is the payload of a ciphertext (see [`crate::kms::Header`]); inside is what the key's own material made, so that
//! neither KMS nor the external key manager can read a plaintext alone (developer guide, "How encryption works with
//! external key stores").
//!
//! ```text
//! version  length  iv        length  metadata  tag  ciphertext
//! 1        1       12 or 16  1       0 to 20   16
//! ```

use super::{METADATA_BYTES, TAG};

/// The version byte.
const VERSION: u8 = 1;

/// The parts of the proxy's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// `initializationVector`: 12 or 16 bytes.
    pub iv: Vec<u8>,
    /// `ciphertextMetadata`; empty where the proxy gave none.
    pub metadata: Vec<u8>,
    /// `authenticationTag`: 16 bytes.
    pub tag: Vec<u8>,
    /// `ciphertext`: as long as what was encrypted.
    pub ciphertext: Vec<u8>,
}

impl Layer {
    /// Whether its parts are as long as the specification says, for what `length` bytes were made into.
    pub fn is_whole(&self, length: usize) -> bool {
        matches!(self.iv.len(), 12 | 16)
            && self.metadata.len() <= METADATA_BYTES
            && self.tag.len() == TAG
            && self.ciphertext.len() == length
    }

    /// The bytes; `None` where a part is too long for its length.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let length = |part: &[u8]| u8::try_from(part.len()).ok();
        let mut bytes = vec![VERSION, length(&self.iv)?];
        bytes.extend_from_slice(&self.iv);
        bytes.push(length(&self.metadata)?);
        bytes.extend_from_slice(&self.metadata);
        bytes.extend_from_slice(&self.tag);
        bytes.extend_from_slice(&self.ciphertext);
        Some(bytes)
    }

    /// The parts; `None` for what is not such a layer.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&[VERSION])?;
        let (iv, rest) = part(rest)?;
        let (metadata, rest) = part(rest)?;
        let (tag, ciphertext) = rest.split_at_checked(TAG)?;
        let layer = Self {
            iv: iv.to_vec(),
            metadata: metadata.to_vec(),
            tag: tag.to_vec(),
            ciphertext: ciphertext.to_vec(),
        };
        layer.is_whole(ciphertext.len()).then_some(layer)
    }
}

/// A part behind its length, and the rest.
fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn layer(iv: usize, metadata: usize, ciphertext: usize) -> Layer {
        Layer {
            iv: vec![1; iv],
            metadata: vec![2; metadata],
            tag: vec![3; 16],
            ciphertext: vec![4; ciphertext],
        }
    }

    #[test]
    fn every_layer_that_the_specification_allows_comes_back() {
        for iv in [12, 16] {
            for metadata in [0, 1, 20] {
                for ciphertext in [0, 1, 4300] {
                    let layer = layer(iv, metadata, ciphertext);
                    assert!(layer.is_whole(ciphertext));
                    let bytes = layer.encode().unwrap();
                    assert_eq!(Layer::parse(&bytes), Some(layer));
                }
            }
        }
    }

    #[test]
    fn other_lengths_are_not_whole() {
        for bad in [layer(11, 0, 1), layer(13, 0, 1), layer(12, 21, 1)] {
            assert!(!bad.is_whole(1));
            assert_eq!(Layer::parse(&bad.encode().unwrap()), None);
        }
        assert!(!layer(12, 0, 2).is_whole(1));
        let cut = Layer {
            tag: vec![3; 15],
            ..layer(12, 0, 1)
        };
        assert!(!cut.is_whole(1));
        let bytes = layer(12, 0, 0).encode().unwrap();
        assert_eq!(Layer::parse(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Layer::parse(&[&[2], &bytes[1..]].concat()), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(layer) = Layer::parse(&bytes) {
                prop_assert_eq!(layer.encode().unwrap(), bytes);
            }
        }
    }
}
