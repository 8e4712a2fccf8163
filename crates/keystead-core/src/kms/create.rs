//! Which keys can be made: the combinations of spec, usage, origin and place (API reference, "CreateKey").

use super::{Fault, KeySpec, KeyUsage, Origin};
use crate::error::{Error, ErrorKind, Result};

/// What is asked of CreateKey, as far as it decides what kind of key comes of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// `KeySpec`.
    pub spec: Option<&'a str>,
    /// `CustomerMasterKeySpec`, its old name.
    pub old_spec: Option<&'a str>,
    /// `KeyUsage`.
    pub usage: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `MultiRegion`.
    pub multi_region: bool,
    /// `CustomKeyStoreId`.
    pub store: Option<&'a str>,
    /// `XksKeyId`.
    pub xks_key: Option<&'a str>,
}

/// The kind of a key that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyKind {
    /// What key material it has.
    pub spec: KeySpec,
    /// What it is for.
    pub usage: KeyUsage,
    /// Where its key material comes from.
    pub origin: Origin,
    /// Whether it may have brothers in other regions.
    pub multi_region: bool,
}

impl Wanted<'_> {
    /// The kind of key that this makes.
    ///
    /// # Errors
    /// [`ErrorKind::Validation`], [`Fault::UnsupportedOperation`].
    pub fn kind(&self) -> Result<KeyKind> {
        let spec = match (self.spec, self.old_spec) {
            (Some(_), Some(_)) => {
                return Err(invalid(
                    "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
                ));
            }
            (Some(name), None) | (None, Some(name)) => KeySpec::parse(name)?,
            (None, None) => KeySpec::SymmetricDefault,
        };
        let usage = match self.usage {
            Some(name) => KeyUsage::from_name(name)
                .ok_or_else(|| invalid(format!("KeyUsage {name} is not valid.")))?,
            None if spec == KeySpec::SymmetricDefault => KeyUsage::EncryptDecrypt,
            None => {
                return Err(invalid(
                    "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
                ));
            }
        };
        if !spec.usages().contains(&usage) {
            return Err(invalid(format!(
                "KeyUsage {} is not compatible with KeySpec {}",
                usage.name(),
                spec.name()
            )));
        }
        let kind = KeyKind {
            spec,
            usage,
            origin: self.origin()?,
            multi_region: self.multi_region,
        };
        self.check_place(&kind)?;
        Ok(kind)
    }

    fn origin(&self) -> Result<Origin> {
        let name = self.origin.unwrap_or(Origin::AwsKms.name());
        Origin::from_name(name).ok_or_else(|| invalid(format!("Origin {name} is not valid.")))
    }

    /// A key in a custom key store is a symmetric encryption key of one region; its origin and what else it needs
    /// belong to the store's type.
    fn check_place(&self, kind: &KeyKind) -> Result<()> {
        let in_store = matches!(kind.origin, Origin::AwsCloudHsm | Origin::ExternalKeyStore);
        let origin = kind.origin.name();
        if self.store.is_some() != in_store {
            return Err(invalid(match in_store {
                true => format!("Origin {origin} needs a CustomKeyStoreId."),
                false => format!("CustomKeyStoreId is not valid with Origin {origin}."),
            }));
        }
        if self.xks_key.is_some() != (kind.origin == Origin::ExternalKeyStore) {
            return Err(invalid(match self.xks_key {
                None => format!("Origin {origin} needs an XksKeyId."),
                Some(_) => format!("XksKeyId is not valid with Origin {origin}."),
            }));
        }
        if kind.origin == Origin::External && !kind.spec.is_importable() {
            return Err(Fault::UnsupportedOperation.error(format!(
                "KeySpec {} is not supported with Origin {origin}: key material of ML-DSA and ML-KEM is not imported.",
                kind.spec.name()
            )));
        }
        if !in_store {
            return Ok(());
        }
        if kind.spec != KeySpec::SymmetricDefault {
            return Err(Fault::UnsupportedOperation
                .error("A custom key store holds symmetric encryption KMS keys only."));
        }
        if kind.multi_region {
            return Err(Fault::UnsupportedOperation
                .error("A custom key store cannot hold multi-Region keys."));
        }
        Ok(())
    }
}

impl KeySpec {
    /// Whether key material of this spec can be imported ("Importing key material": not for ML-DSA; ML-KEM is not named).
    fn is_importable(self) -> bool {
        !matches!(
            self,
            Self::MlDsa44
                | Self::MlDsa65
                | Self::MlDsa87
                | Self::MlKem512
                | Self::MlKem768
                | Self::MlKem1024
        )
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Validation, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(spec: &str, usage: Option<&str>) -> Result<KeyKind> {
        let wanted = Wanted {
            spec: Some(spec),
            usage,
            ..Wanted::default()
        };
        wanted.kind()
    }

    #[test]
    fn every_spec_has_its_usages_and_no_others() {
        for spec in KeySpec::ALL {
            for usage in KeyUsage::ALL {
                let made = named(spec.name(), Some(usage.name()));
                assert_eq!(
                    made.is_ok(),
                    spec.usages().contains(usage),
                    "{spec:?} {usage:?}"
                );
            }
            let alone = named(spec.name(), None);
            assert_eq!(alone.is_ok(), *spec == KeySpec::SymmetricDefault);
        }
    }

    #[test]
    fn what_is_left_out_is_a_symmetric_key_made_here() {
        assert_eq!(
            Wanted::default().kind().unwrap(),
            KeyKind {
                spec: KeySpec::SymmetricDefault,
                usage: KeyUsage::EncryptDecrypt,
                origin: Origin::AwsKms,
                multi_region: false,
            }
        );
    }

    #[test]
    fn every_origin_has_its_specs_and_regions() {
        for spec in KeySpec::ALL {
            for origin in Origin::ALL {
                for multi_region in [false, true] {
                    let in_store = matches!(origin, Origin::AwsCloudHsm | Origin::ExternalKeyStore);
                    let wanted = Wanted {
                        spec: Some(spec.name()),
                        usage: Some(spec.usages()[0].name()),
                        origin: Some(origin.name()),
                        multi_region,
                        store: in_store.then_some("cks-1234567890abcdef0"),
                        xks_key: (*origin == Origin::ExternalKeyStore).then_some("key"),
                        ..Wanted::default()
                    };
                    let fits = match origin {
                        Origin::AwsKms => true,
                        Origin::External => !spec.name().starts_with("ML_"),
                        _ => *spec == KeySpec::SymmetricDefault && !multi_region,
                    };
                    match wanted.kind() {
                        Ok(kind) => {
                            assert!(fits, "{wanted:?}");
                            assert_eq!((kind.spec, kind.origin), (*spec, *origin));
                            assert_eq!(kind.multi_region, multi_region);
                        }
                        Err(error) => {
                            assert!(!fits, "{wanted:?}");
                            assert_eq!(error.kind, ErrorKind::Kms(Fault::UnsupportedOperation));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_key_store_goes_with_its_origin_and_a_symmetric_key() {
        let hsm = Wanted {
            origin: Some("AWS_CLOUDHSM"),
            store: Some("cks-1234567890abcdef0"),
            ..Wanted::default()
        };
        let xks = Wanted {
            origin: Some("EXTERNAL_KEY_STORE"),
            xks_key: Some("key"),
            ..hsm
        };
        assert!(hsm.kind().is_ok() && xks.kind().is_ok());
        let refused = [
            Wanted { store: None, ..hsm },
            Wanted {
                origin: None,
                ..hsm
            },
            Wanted {
                xks_key: Some("key"),
                ..hsm
            },
            Wanted {
                xks_key: None,
                ..xks
            },
            Wanted {
                multi_region: true,
                ..hsm
            },
            Wanted {
                spec: Some("HMAC_256"),
                usage: Some("GENERATE_VERIFY_MAC"),
                ..hsm
            },
        ];
        for wanted in refused {
            assert!(wanted.kind().is_err(), "{wanted:?}");
        }
    }

    #[test]
    fn both_names_of_the_spec_are_too_many_and_sm2_is_elsewhere() {
        let both = Wanted {
            spec: Some("RSA_2048"),
            old_spec: Some("RSA_2048"),
            ..Wanted::default()
        };
        assert_eq!(both.kind().unwrap_err().kind, ErrorKind::Validation);
        let elsewhere = named("SM2", Some("SIGN_VERIFY")).unwrap_err();
        assert_eq!(elsewhere.kind, ErrorKind::Kms(Fault::UnsupportedOperation));
    }
}
