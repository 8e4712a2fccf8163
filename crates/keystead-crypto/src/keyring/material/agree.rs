//! Key agreement: ECC CDH on the NIST curves.

use aws_lc_rs::agreement::{self, UnparsedPublicKey};
use keystead_core::kms::ECDH;
use zeroize::Zeroizing;

use super::ready::{Ready, Second};
use super::sign::unfit;
use crate::CryptoError;
use crate::x509::PublicKey;

impl Ready {
    /// See `KeyRing::agree`.
    pub(super) fn agree(&self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let Some(Second::Agreeing(key)) = self.second().transpose()? else {
            return Err(unfit(ECDH));
        };
        let refuse = || {
            CryptoError::Malformed(
                "the public key is not a point on the curve of the key, in the DER of a \
                 SubjectPublicKeyInfo"
                    .into(),
            )
        };
        // The library also reads bare points, which are no SubjectPublicKeyInfo.
        PublicKey::parse(peer).map_err(|_| refuse())?;
        agreement::agree(
            key,
            UnparsedPublicKey::new(key.algorithm(), peer),
            refuse(),
            |secret| Ok(Zeroizing::new(secret.to_vec())),
        )
    }
}
