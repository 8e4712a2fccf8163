//! Sealing under a data key that somebody else keeps: KMS's, which come with their own ciphertext.
//!
//! Nonce (24 bytes), ciphertext, tag (16); XAES-256-GCM, so that a key may be used more than once.

use zeroize::Zeroizing;

use super::xaes;
use crate::{CryptoError, random};

/// Seals under this key, bound to these bytes.
///
/// # Errors
/// [`CryptoError::Internal`].
pub fn seal_under(
    key: &[u8; xaes::KEY],
    bound: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let nonce = random::bytes::<{ xaes::NONCE }>()?;
    let mut sealed = Vec::with_capacity(xaes::NONCE + plain.len() + xaes::TAG);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let (_, text) = sealed.split_at_mut(xaes::NONCE);
    let tag = xaes::Key::new(key)?.seal(&nonce, bound, text)?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens what [`seal_under`] made; `None` when it is not authentic.
///
/// # Errors
/// [`CryptoError::Internal`].
pub fn open_under(
    key: &[u8; xaes::KEY],
    bound: &[u8],
    sealed: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>, CryptoError> {
    let Some((nonce, text)) = sealed.split_first_chunk::<{ xaes::NONCE }>() else {
        return Ok(None);
    };
    let mut text = Zeroizing::new(text.to_vec());
    let opened = xaes::Key::new(key)?.open(nonce, bound, &mut text)?;
    let Some(length) = opened.map(|plain| plain.len()) else {
        return Ok(None);
    };
    text.truncate(length);
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_unaltered_alone() {
        let key = [7; xaes::KEY];
        for plain in [&b""[..], b"hunter2", &[0; 65_536]] {
            let sealed = seal_under(&key, b"here", plain).unwrap();
            assert_ne!(sealed, seal_under(&key, b"here", plain).unwrap());
            let opened = open_under(&key, b"here", &sealed).unwrap();
            assert_eq!(opened.unwrap().as_slice(), plain);
            assert_eq!(open_under(&key, b"there", &sealed).unwrap(), None);
            assert_eq!(open_under(&[8; 32], b"here", &sealed).unwrap(), None);
            for at in [0, xaes::NONCE, sealed.len() - 1] {
                let mut altered = sealed.clone();
                altered[at] ^= 1;
                assert_eq!(open_under(&key, b"here", &altered).unwrap(), None);
            }
            for short in [0, 1, xaes::NONCE, sealed.len() - 1] {
                assert_eq!(open_under(&key, b"here", &sealed[..short]).unwrap(), None);
            }
        }
    }
}
