//! Signatures of JSON Web Tokens (RFC 7515, algorithms of RFC 7518 section 3.1), verified only.
//!
//! The algorithms are those that AWS takes of an identity provider (STS API reference,
//! AssumeRoleWithWebIdentity): RSA with PKCS #1 v1.5, and ECDSA. Neither `none` nor the HMACs, whose key would be
//! public, have a name here.

use aws_lc_rs::signature::{
    self, EcdsaVerificationAlgorithm, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};

use crate::CryptoError;

/// A signature algorithm, the header parameter `alg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// ECDSA over P-384 with SHA-384.
    Es384,
    /// ECDSA over P-521 with SHA-512.
    Es512,
}

impl Algorithm {
    /// The algorithm of this name, if it is one that is taken.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            _ => return None,
        })
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Self::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Self::Es256 | Self::Es384 | Self::Es512 => return None,
        })
    }

    /// With the bytes of a coordinate and the name of the curve (RFC 7518 sections 3.4 and 6.2.1).
    fn ecdsa(self) -> Option<(&'static EcdsaVerificationAlgorithm, usize, &'static str)> {
        Some(match self {
            Self::Es256 => (&signature::ECDSA_P256_SHA256_FIXED, 32, "P-256"),
            Self::Es384 => (&signature::ECDSA_P384_SHA384_FIXED, 48, "P-384"),
            Self::Es512 => (&signature::ECDSA_P521_SHA512_FIXED, 66, "P-521"),
            Self::Rs256 | Self::Rs384 | Self::Rs512 => return None,
        })
    }
}

/// A public key as a JSON Web Key gives it (RFC 7518 section 6), its numbers decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// `kty` is `RSA`.
    Rsa {
        /// The modulus, big-endian.
        modulus: Vec<u8>,
        /// The exponent, big-endian.
        exponent: Vec<u8>,
    },
    /// `kty` is `EC`.
    Ec {
        /// The curve's name, for instance `P-256`.
        curve: String,
        /// The first coordinate, as long as the curve's field.
        x: Vec<u8>,
        /// The second.
        y: Vec<u8>,
    },
}

impl PublicKey {
    /// # Errors
    /// [`CryptoError::BadSignature`] when the signature is not one of this key over this message, or the key
    /// is none; [`CryptoError::Mismatch`] when keys of its kind do not make such signatures.
    pub fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let mismatch =
            || CryptoError::Mismatch("the signature is of another kind than the key".into());
        let verified = match self {
            Self::Rsa { modulus, exponent } => {
                let parameters = algorithm.rsa().ok_or_else(mismatch)?;
                let (n, e) = (modulus.as_slice(), exponent.as_slice());
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            Self::Ec { curve, x, y } => {
                let (algorithm, length, name) = algorithm.ecdsa().ok_or_else(mismatch)?;
                if curve != name || x.len() != length || y.len() != length {
                    return Err(mismatch());
                }
                // SEC 1 section 2.3.3: an uncompressed point.
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                UnparsedPublicKey::new(algorithm, point).verify(message, signature)
            }
        };
        verified.map_err(|_| {
            CryptoError::BadSignature("the signature does not verify under the public key".into())
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn number(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

    /// RFC 7515, appendices A.2 and A.3.
    fn vectors() -> [(Algorithm, PublicKey, String, Vec<u8>); 2] {
        let rsa = PublicKey::Rsa {
            modulus: number(concat!(
                "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL",
                "-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9",
                "e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAc",
                "o9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
            )),
            exponent: number("AQAB"),
        };
        let ec = PublicKey::Ec {
            curve: "P-256".into(),
            x: number("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
            y: number("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
        };
        let rsa_signature = number(concat!(
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9u",
            "JdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_e",
            "SN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5",
            "AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ));
        let ec_signature = number(
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        );
        let input = |header: &str| format!("{header}.{PAYLOAD}");
        [
            (
                Algorithm::Rs256,
                rsa,
                input("eyJhbGciOiJSUzI1NiJ9"),
                rsa_signature,
            ),
            (
                Algorithm::Es256,
                ec,
                input("eyJhbGciOiJFUzI1NiJ9"),
                ec_signature,
            ),
        ]
    }

    #[test]
    fn rfc_7515_signatures_verify_and_altered_ones_do_not() {
        for (algorithm, key, message, signature) in vectors() {
            assert!(
                key.verify(algorithm, message.as_bytes(), &signature)
                    .is_ok()
            );
            let mut altered = signature.clone();
            altered[7] ^= 1;
            assert!(key.verify(algorithm, message.as_bytes(), &altered).is_err());
            assert!(key.verify(algorithm, b"other", &signature).is_err());
            for other in ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"] {
                let other = Algorithm::parse(other).unwrap();
                if other != algorithm {
                    assert!(key.verify(other, message.as_bytes(), &signature).is_err());
                }
            }
        }
    }

    #[test]
    fn neither_nothing_nor_a_shared_secret_is_a_signature() {
        for name in [
            "none", "None", "HS256", "HS512", "PS256", "EdDSA", "rs256", "",
        ] {
            assert_eq!(Algorithm::parse(name), None, "{name}");
        }
    }
}
