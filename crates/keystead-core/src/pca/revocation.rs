//! How an authority publishes revocation, and the record of a revoked certificate.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// ACM-PCA `RevocationConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationConfiguration {
    /// Lists of revoked certificates.
    pub crl: CrlConfiguration,
    /// Answers about single certificates.
    pub ocsp: OcspConfiguration,
}

/// ACM-PCA `CrlConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrlConfiguration {
    /// Whether lists are made.
    pub enabled: bool,
    /// For how long a list is valid.
    pub expiration_in_days: Option<i64>,
    /// The name in the certificates instead of the bucket's.
    pub custom_cname: Option<String>,
    /// Where the lists are put.
    pub s3_bucket_name: Option<String>,
    /// Who may read the lists: `PUBLIC_READ` or `BUCKET_OWNER_FULL_CONTROL`.
    pub s3_object_acl: Option<String>,
    /// Whether certificates leave out where the list is.
    pub omit_extension: Option<bool>,
    /// `COMPLETE` or `PARTITIONED`.
    pub crl_type: Option<String>,
    /// The folder in the bucket.
    pub custom_path: Option<String>,
}

/// ACM-PCA `OcspConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OcspConfiguration {
    /// Whether answers are given.
    pub enabled: bool,
    /// The name in the certificates instead of the service's.
    pub custom_cname: Option<String>,
}

impl CrlConfiguration {
    /// The configuration as AWS would take it, with its defaults filled in. The model's words on
    /// RevocationConfiguration: one that is off holds nothing else; names hold no protocol;
    /// bucket names obey S3's rules; leaving out the extension excludes a name for it.
    pub fn checked(mut self) -> Result<Self> {
        if !self.enabled {
            let off = Self::default();
            return if self == off {
                Ok(off)
            } else {
                refuse("A CRL configuration that is not enabled must not hold other parameters.")
            };
        }
        if self.expiration_in_days.is_none() {
            return refuse("A CRL configuration that is enabled needs ExpirationInDays.");
        }
        match &self.s3_bucket_name {
            None => return refuse("A CRL configuration that is enabled needs S3BucketName."),
            Some(name) => check_bucket_name(name)?,
        }
        check_cname(self.custom_cname.as_deref())?;
        if self.omit_extension == Some(true) && self.custom_cname.is_some() {
            return refuse("OmitExtension can't be true where CustomCname is set.");
        }
        // Model: "If no value is specified, the default is PUBLIC_READ."
        self.s3_object_acl
            .get_or_insert_with(|| "PUBLIC_READ".into());
        Ok(self)
    }
}

impl OcspConfiguration {
    /// The configuration as AWS would take it; see [`CrlConfiguration::checked`].
    pub fn checked(self) -> Result<Self> {
        if !self.enabled && self.custom_cname.is_some() {
            return refuse(
                "An OCSP configuration that is not enabled must not hold other parameters.",
            );
        }
        check_cname(self.custom_cname.as_deref())?;
        Ok(self)
    }
}

fn check_cname(name: Option<&str>) -> Result<()> {
    match name {
        Some(name) if name.contains("://") => refuse(&format!(
            "The custom CNAME '{name}' must not include a protocol prefix such as \"http://\" or \"https://\"."
        )),
        _ => Ok(()),
    }
}

/// Refuses what no bucket can be called.
pub(super) fn check_bucket_name(name: &str) -> Result<()> {
    if is_bucket_name(name) {
        return Ok(());
    }
    refuse(&format!("'{name}' is not a valid S3 bucket name."))
}

/// Whether a bucket can be called so. S3 user guide, "General purpose bucket naming rules": 3 to 63 lower-case letters, digits, dots and
/// hyphens, a letter or digit at both ends, no two dots together.
pub fn is_bucket_name(name: &str) -> bool {
    let edge = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name
            .chars()
            .all(|character| edge(character) || ".-".contains(character))
        && name.starts_with(edge)
        && name.ends_with(edge)
        && !name.contains("..")
}

fn refuse<T>(message: &str) -> Result<T> {
    Err(Error::new(ErrorKind::InvalidArgs, message))
}

/// That a certificate was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: RevocationReason,
}

/// ACM-PCA `RevocationReason`; the discriminant is the CRLReason of RFC 5280 section 5.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are AWS's")]
pub enum RevocationReason {
    Unspecified = 0,
    KeyCompromise = 1,
    CertificateAuthorityCompromise = 2,
    AffiliationChanged = 3,
    Superseded = 4,
    CessationOfOperation = 5,
    PrivilegeWithdrawn = 9,
    AACompromise = 10,
}

impl RevocationReason {
    /// AWS's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "UNSPECIFIED",
            Self::KeyCompromise => "KEY_COMPROMISE",
            Self::CertificateAuthorityCompromise => "CERTIFICATE_AUTHORITY_COMPROMISE",
            Self::AffiliationChanged => "AFFILIATION_CHANGED",
            Self::Superseded => "SUPERSEDED",
            Self::CessationOfOperation => "CESSATION_OF_OPERATION",
            Self::PrivilegeWithdrawn => "PRIVILEGE_WITHDRAWN",
            Self::AACompromise => "A_A_COMPROMISE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enabled() -> CrlConfiguration {
        CrlConfiguration {
            enabled: true,
            expiration_in_days: Some(7),
            s3_bucket_name: Some("my-bucket".into()),
            ..CrlConfiguration::default()
        }
    }

    #[test]
    fn defaults_are_filled_in() {
        let checked = enabled().checked().unwrap();
        assert_eq!(checked.s3_object_acl.as_deref(), Some("PUBLIC_READ"));
        let private = CrlConfiguration {
            s3_object_acl: Some("BUCKET_OWNER_FULL_CONTROL".into()),
            ..enabled()
        };
        assert_eq!(private.clone().checked(), Ok(private));
        assert!(CrlConfiguration::default().checked().is_ok());
    }

    #[test]
    fn contradictions_are_refused() {
        let cases: [CrlConfiguration; 8] = [
            CrlConfiguration {
                enabled: false,
                ..enabled()
            },
            CrlConfiguration {
                expiration_in_days: None,
                ..enabled()
            },
            CrlConfiguration {
                s3_bucket_name: None,
                ..enabled()
            },
            CrlConfiguration {
                s3_bucket_name: Some("My_Bucket".into()),
                ..enabled()
            },
            CrlConfiguration {
                s3_bucket_name: Some("a..b".into()),
                ..enabled()
            },
            CrlConfiguration {
                s3_bucket_name: Some("-ab".into()),
                ..enabled()
            },
            CrlConfiguration {
                custom_cname: Some("https://crl.test".into()),
                ..enabled()
            },
            CrlConfiguration {
                custom_cname: Some("crl.test".into()),
                omit_extension: Some(true),
                ..enabled()
            },
        ];
        for case in cases {
            let verdict = case.clone().checked().map_err(|error| error.kind);
            assert_eq!(verdict, Err(ErrorKind::InvalidArgs), "{case:?}");
        }
        let ocsp = OcspConfiguration {
            enabled: false,
            custom_cname: Some("o.test".into()),
        };
        assert!(ocsp.checked().is_err());
        let ocsp = OcspConfiguration {
            enabled: true,
            custom_cname: Some("http://o.test".into()),
        };
        assert!(ocsp.checked().is_err());
    }
}
