//! What kind of key CreateKey makes: which spec, usage, origin and reach go together.
//!
//! Sources: API reference, CreateKey; developer guide, "Key spec reference", "Multi-Region keys", "Key stores" and
//! "Importing key material".

use super::{Fault, KeySpec, KeyUsage, Origin};
use crate::error::{Error, ErrorKind, Result};

/// What a call asks for; what it leaves out is decided by [`Asked::kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `KeySpec`.
    pub spec: Option<KeySpec>,
    /// `KeyUsage`.
    pub usage: Option<KeyUsage>,
    /// `Origin`.
    pub origin: Option<Origin>,
    /// `MultiRegion`.
    pub multi_region: bool,
    /// Whether it names a custom key store.
    pub in_store: bool,
    /// Whether it names a key of an external key store.
    pub names_external_key: bool,
}

/// The kind of a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// What kind of key material it has.
    pub spec: KeySpec,
    /// What it is for.
    pub usage: KeyUsage,
    /// Where its key material comes from.
    pub origin: Origin,
    /// Whether it can have brothers in other regions.
    pub multi_region: bool,
}

impl Asked {
    /// The kind of key that is asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Validation`] where members do not go together, [`Fault::UnsupportedOperation`] for what no key can be;
    /// in AWS's words where they are known.
    pub fn kind(self) -> Result<Kind> {
        let spec = self.spec.unwrap_or(KeySpec::SymmetricDefault);
        let usage = match self.usage {
            Some(usage) => usage,
            None if spec == KeySpec::SymmetricDefault => KeyUsage::EncryptDecrypt,
            None => {
                return Err(invalid(
                    "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.".into(),
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
        let kind = Kind {
            spec,
            usage,
            origin: self.origin.unwrap_or(Origin::AwsKms),
            multi_region: self.multi_region,
        };
        self.check_store(kind.origin)?;
        kind.check_origin()?;
        Ok(kind)
    }

    /// A custom key store is named where, and only where, the key material is in one.
    fn check_store(self, origin: Origin) -> Result<()> {
        let name = origin.name();
        match (origin.is_in_store(), self.in_store) {
            (true, false) => {
                return Err(invalid(format!(
                    "CustomKeyStoreId is required when Origin is {name}."
                )));
            }
            (false, true) => {
                return Err(invalid(format!(
                    "CustomKeyStoreId is not valid when Origin is {name}: it goes with AWS_CLOUDHSM and EXTERNAL_KEY_STORE."
                )));
            }
            _ => {}
        }
        match (origin == Origin::ExternalKeyStore, self.names_external_key) {
            (true, false) => Err(invalid(format!(
                "XksKeyId is required when Origin is {name}."
            ))),
            (false, true) => Err(invalid(format!(
                "XksKeyId is not valid when Origin is {name}: it goes with EXTERNAL_KEY_STORE."
            ))),
            _ => Ok(()),
        }
    }
}

impl Kind {
    /// Whether key material of this kind can come from there.
    fn check_origin(self) -> Result<()> {
        let Self { spec, origin, .. } = self;
        if origin.is_in_store() {
            // "You can create only symmetric encryption KMS keys in custom key stores", and none of several regions.
            if spec != KeySpec::SymmetricDefault {
                return Err(self.unsupported("only SYMMETRIC_DEFAULT is"));
            }
            if self.multi_region {
                return Err(Fault::UnsupportedOperation.error(format!(
                    "Multi-Region keys are not supported with origin {}.",
                    origin.name()
                )));
            }
        }
        if origin == Origin::External && !spec.is_importable() {
            return Err(self.unsupported("key material of ML-DSA and ML-KEM is not imported"));
        }
        Ok(())
    }

    fn unsupported(self, why: &str) -> Error {
        Fault::UnsupportedOperation.error(format!(
            "KeySpec {} is not supported with origin {}: {why}.",
            self.spec.name(),
            self.origin.name()
        ))
    }
}

impl Origin {
    /// Whether the key material is in a custom key store.
    pub fn is_in_store(self) -> bool {
        matches!(self, Self::AwsCloudHsm | Self::ExternalKeyStore)
    }
}

impl KeySpec {
    /// Whether key material of this spec can be imported ("Importing key material": not for ML-DSA; ML-KEM is not named).
    pub fn is_importable(self) -> bool {
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

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::Validation, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Asked = Asked {
        spec: None,
        usage: None,
        origin: None,
        multi_region: false,
        in_store: false,
        names_external_key: false,
    };

    fn refusal(asked: Asked) -> (ErrorKind, String) {
        let error = asked.kind().unwrap_err();
        (error.kind, error.message)
    }

    #[test]
    fn nothing_said_is_a_symmetric_encryption_key() {
        let made = Kind {
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: Origin::AwsKms,
            multi_region: false,
        };
        assert_eq!(NOTHING.kind(), Ok(made));
    }

    #[test]
    fn every_spec_takes_its_usages_and_no_other() {
        for spec in KeySpec::ALL.iter().copied() {
            let asked = Asked {
                spec: Some(spec),
                ..NOTHING
            };
            assert_eq!(asked.kind().is_ok(), spec == KeySpec::SymmetricDefault);
            for usage in KeyUsage::ALL.iter().copied() {
                let asked = Asked {
                    usage: Some(usage),
                    ..asked
                };
                if spec.usages().contains(&usage) {
                    let kind = asked.kind().unwrap();
                    assert_eq!((kind.spec, kind.usage), (spec, usage));
                } else {
                    let message = format!(
                        "KeyUsage {} is not compatible with KeySpec {}",
                        usage.name(),
                        spec.name()
                    );
                    assert_eq!(refusal(asked), (ErrorKind::Validation, message));
                }
            }
        }
    }

    #[test]
    fn every_origin_takes_its_specs_and_reach() {
        let unsupported = ErrorKind::Kms(Fault::UnsupportedOperation);
        for spec in KeySpec::ALL.iter().copied() {
            for origin in Origin::ALL.iter().copied() {
                for multi_region in [false, true] {
                    let asked = Asked {
                        spec: Some(spec),
                        usage: Some(spec.usages()[0]),
                        origin: Some(origin),
                        multi_region,
                        in_store: origin.is_in_store(),
                        names_external_key: origin == Origin::ExternalKeyStore,
                    };
                    let fits = match origin {
                        Origin::AwsKms => true,
                        Origin::External => !spec.name().starts_with("ML_"),
                        _ => spec == KeySpec::SymmetricDefault && !multi_region,
                    };
                    match asked.kind() {
                        Ok(kind) => {
                            assert!(fits, "{asked:?}");
                            assert_eq!((kind.origin, kind.multi_region), (origin, multi_region));
                        }
                        Err(error) => {
                            assert!(!fits, "{asked:?}");
                            assert_eq!(error.kind, unsupported);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_key_store_is_named_where_the_key_material_is_in_one() {
        for origin in Origin::ALL.iter().copied() {
            for in_store in [false, true] {
                for names_external_key in [false, true] {
                    let asked = Asked {
                        origin: Some(origin),
                        in_store,
                        names_external_key,
                        ..NOTHING
                    };
                    let fits = in_store == origin.is_in_store()
                        && names_external_key == (origin == Origin::ExternalKeyStore);
                    assert_eq!(asked.kind().is_ok(), fits, "{asked:?}");
                    if !fits {
                        assert_eq!(refusal(asked).0, ErrorKind::Validation);
                    }
                }
            }
        }
    }
}
