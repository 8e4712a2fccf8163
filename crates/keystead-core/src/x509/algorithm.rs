//! Kinds of keys and signatures, by AWS's names (ACM-PCA `KeyAlgorithm` and `SigningAlgorithm`).

use serde::{Deserialize, Serialize};

/// A kind of asymmetric key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum KeySpec {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    EcP256,
    EcP384,
    EcP521,
    MlDsa44,
    MlDsa65,
    MlDsa87,
}

impl KeySpec {
    /// All of them, weakest first within a family.
    pub const ALL: [Self; 9] = [
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::EcP256,
        Self::EcP384,
        Self::EcP521,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
    ];

    /// ACM-PCA's `KeyAlgorithm` value.
    pub fn pca_name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "RSA_2048",
            Self::Rsa3072 => "RSA_3072",
            Self::Rsa4096 => "RSA_4096",
            Self::EcP256 => "EC_prime256v1",
            Self::EcP384 => "EC_secp384r1",
            Self::EcP521 => "EC_secp521r1",
            Self::MlDsa44 => "ML_DSA_44",
            Self::MlDsa65 => "ML_DSA_65",
            Self::MlDsa87 => "ML_DSA_87",
        }
    }

    /// The spec of an ACM-PCA or ACM `KeyAlgorithm` value.
    pub fn from_pca_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|spec| spec.pca_name() == name)
    }

    /// Whether a key of this kind can make such a signature.
    pub fn fits(self, algorithm: SignatureAlgorithm) -> bool {
        use SignatureAlgorithm as S;
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => {
                matches!(
                    algorithm,
                    S::Sha256WithRsa
                        | S::Sha384WithRsa
                        | S::Sha512WithRsa
                        | S::Sha256WithRsaPss
                        | S::Sha384WithRsaPss
                        | S::Sha512WithRsaPss
                )
            }
            Self::EcP256 | Self::EcP384 | Self::EcP521 => {
                matches!(
                    algorithm,
                    S::Sha256WithEcdsa | S::Sha384WithEcdsa | S::Sha512WithEcdsa
                )
            }
            Self::MlDsa44 => algorithm == S::MlDsa44,
            Self::MlDsa65 => algorithm == S::MlDsa65,
            Self::MlDsa87 => algorithm == S::MlDsa87,
        }
    }

    /// The signature that such a key makes when nobody asked for one.
    pub fn default_signature(self) -> SignatureAlgorithm {
        use SignatureAlgorithm as S;
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => S::Sha256WithRsa,
            Self::EcP256 => S::Sha256WithEcdsa,
            Self::EcP384 => S::Sha384WithEcdsa,
            Self::EcP521 => S::Sha512WithEcdsa,
            Self::MlDsa44 => S::MlDsa44,
            Self::MlDsa65 => S::MlDsa65,
            Self::MlDsa87 => S::MlDsa87,
        }
    }
}

/// How a certificate or request is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum SignatureAlgorithm {
    Sha256WithRsa,
    Sha384WithRsa,
    Sha512WithRsa,
    /// RSASSA-PSS with this hash throughout and a salt as long as it, as the next two.
    Sha256WithRsaPss,
    Sha384WithRsaPss,
    Sha512WithRsaPss,
    Sha256WithEcdsa,
    Sha384WithEcdsa,
    Sha512WithEcdsa,
    MlDsa44,
    MlDsa65,
    MlDsa87,
}

impl SignatureAlgorithm {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Sha256WithRsa,
        Self::Sha384WithRsa,
        Self::Sha512WithRsa,
        Self::Sha256WithRsaPss,
        Self::Sha384WithRsaPss,
        Self::Sha512WithRsaPss,
        Self::Sha256WithEcdsa,
        Self::Sha384WithEcdsa,
        Self::Sha512WithEcdsa,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
    ];

    /// ACM-PCA's `SigningAlgorithm` value.
    pub fn pca_name(self) -> &'static str {
        match self {
            Self::Sha256WithRsa => "SHA256WITHRSA",
            Self::Sha384WithRsa => "SHA384WITHRSA",
            Self::Sha512WithRsa => "SHA512WITHRSA",
            Self::Sha256WithRsaPss => "SHA256WITHRSA_PSS",
            Self::Sha384WithRsaPss => "SHA384WITHRSA_PSS",
            Self::Sha512WithRsaPss => "SHA512WITHRSA_PSS",
            Self::Sha256WithEcdsa => "SHA256WITHECDSA",
            Self::Sha384WithEcdsa => "SHA384WITHECDSA",
            Self::Sha512WithEcdsa => "SHA512WITHECDSA",
            Self::MlDsa44 => "ML_DSA_44",
            Self::MlDsa65 => "ML_DSA_65",
            Self::MlDsa87 => "ML_DSA_87",
        }
    }

    /// The algorithm of an ACM-PCA `SigningAlgorithm` value.
    pub fn from_pca_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.pca_name() == name)
    }
}
