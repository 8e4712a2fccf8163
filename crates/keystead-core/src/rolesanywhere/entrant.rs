//! Which end entity certificates may be used, apart from who issued them.
//!
//! Source: Roles Anywhere user guide, "Trust model": version 3, no authority, keyUsage with digitalSignature, a subject,
//! a signature of SHA-256 or stronger (no weaker ones are read at all).

use crate::error::{Error, ErrorKind, Result};
use crate::x509::{KeyUsageBit, Name};

/// What of a certificate decides.
#[derive(Clone, Copy, Debug)]
pub struct Entrant<'a> {
    /// Whether it is an authority's.
    pub is_authority: bool,
    /// Its keyUsage, if it has one.
    pub key_usage: Option<&'a [KeyUsageBit]>,
    /// Its subject.
    pub subject: &'a Name,
}

/// Refuses with [`ErrorKind::AccessDenied`] a certificate that may not be used.
pub fn check(entrant: Entrant<'_>) -> Result<()> {
    let signs = entrant
        .key_usage
        .is_some_and(|bits| bits.contains(&KeyUsageBit::DigitalSignature));
    let why = if entrant.is_authority {
        "it is the certificate of an authority"
    } else if !signs {
        "its keyUsage does not contain digitalSignature"
    } else if entrant.subject.attributes.is_empty() {
        "its subject is empty"
    } else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::AccessDenied,
        format!("Untrusted certificate. Insufficient certificate: {why}."),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::{NameAttribute, Oid};

    #[test]
    fn every_constraint_counts() {
        let signing = [KeyUsageBit::DigitalSignature, KeyUsageBit::KeyEncipherment];
        let other = [KeyUsageBit::KeyEncipherment];
        let nobody = Name::default();
        let subject = Name {
            attributes: vec![NameAttribute {
                oid: Oid::new("2.5.4.3"),
                value: "workload".into(),
            }],
        };
        let good = Entrant {
            is_authority: false,
            key_usage: Some(&signing),
            subject: &subject,
        };
        assert!(check(good).is_ok());
        for bad in [
            Entrant {
                is_authority: true,
                ..good
            },
            Entrant {
                key_usage: None,
                ..good
            },
            Entrant {
                key_usage: Some(&other),
                ..good
            },
            Entrant {
                subject: &nobody,
                ..good
            },
        ] {
            assert_eq!(
                check(bad).map_err(|error| error.kind),
                Err(ErrorKind::AccessDenied)
            );
        }
    }
}
