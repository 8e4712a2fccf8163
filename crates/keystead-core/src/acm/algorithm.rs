//! The kinds of key that ACM knows, and the two ways in which it writes their names.

use serde::{Deserialize, Serialize};

use crate::x509::KeySpec;

/// ACM's `KeyAlgorithm`. One more kind than can be requested: RSA of 1024 bits comes by import only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum KeyAlgorithm {
    Rsa1024,
    Rsa2048,
    Rsa3072,
    Rsa4096,
    EcP256,
    EcP384,
    EcP521,
}

impl KeyAlgorithm {
    /// All of them, in the model's order.
    pub const ALL: [Self; 7] = [
        Self::Rsa1024,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::EcP256,
        Self::EcP384,
        Self::EcP521,
    ];

    /// The value of the model's enumeration, which requests and filters use.
    pub fn model_name(self) -> &'static str {
        match self {
            Self::Rsa1024 => "RSA_1024",
            Self::Rsa2048 => "RSA_2048",
            Self::Rsa3072 => "RSA_3072",
            Self::Rsa4096 => "RSA_4096",
            Self::EcP256 => "EC_prime256v1",
            Self::EcP384 => "EC_secp384r1",
            Self::EcP521 => "EC_secp521r1",
        }
    }

    /// What DescribeCertificate and ListCertificates answer. The service writes a hyphen where its
    /// model writes an underscore (recorded answers say `RSA-2048`; Terraform's provider maps every
    /// value back from this form), and the SDKs accept it.
    pub fn described(self) -> &'static str {
        match self {
            Self::Rsa1024 => "RSA-1024",
            Self::Rsa2048 => "RSA-2048",
            Self::Rsa3072 => "RSA-3072",
            Self::Rsa4096 => "RSA-4096",
            Self::EcP256 => "EC-prime256v1",
            Self::EcP384 => "EC-secp384r1",
            Self::EcP521 => "EC-secp521r1",
        }
    }

    /// The kind of a model value.
    pub fn from_model_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.model_name() == name)
    }

    /// What to make when such a key is requested; `None` for kinds that only come by import
    /// (API reference, RequestCertificate, `KeyAlgorithm`).
    pub fn requestable(self) -> Option<KeySpec> {
        match self {
            Self::Rsa2048 => Some(KeySpec::Rsa2048),
            Self::EcP256 => Some(KeySpec::EcP256),
            Self::EcP384 => Some(KeySpec::EcP384),
            Self::Rsa1024 | Self::Rsa3072 | Self::Rsa4096 | Self::EcP521 => None,
        }
    }

    /// Whether a listing without a key filter shows it (API reference, `Filters.keyTypes`).
    pub fn listed_by_default(self) -> bool {
        matches!(self, Self::Rsa1024 | Self::Rsa2048)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_models_and_come_back() {
        for kind in KeyAlgorithm::ALL {
            assert_eq!(KeyAlgorithm::from_model_name(kind.model_name()), Some(kind));
            assert_eq!(kind.described().replace('-', "_"), kind.model_name());
            if let Some(spec) = kind.requestable() {
                assert_eq!(spec.pca_name(), kind.model_name());
            }
        }
        assert_eq!(KeyAlgorithm::from_model_name("RSA-2048"), None);
    }
}
