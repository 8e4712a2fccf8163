//! Whether a certificate may become an authority's own (ImportCertificateAuthorityCertificate).
//!
//! That it certifies the authority's key, and all signatures, are verified by who calls; here is
//! judged what the certificates say.

use jiff::Timestamp;

use super::authority::Kind;
use crate::error::{Error, ErrorKind, Result};

/// What is asked of the certificate and of each one above it.
#[derive(Clone, Copy, Debug)]
pub struct ChainCertificate<'a> {
    /// DER of its subject's name.
    pub subject_der: &'a [u8],
    /// DER of its issuer's name.
    pub issuer_der: &'a [u8],
    /// Whether its own key signed it. A name alone does not tell: an authority may be called like the
    /// one above it.
    pub self_signed: bool,
    /// Last second of its validity (Unix time).
    pub not_after: i64,
    /// Whether basicConstraints says that it is a CA.
    pub is_ca: bool,
    /// Whether basicConstraints is critical.
    pub basic_constraints_critical: bool,
    /// How many authorities may follow.
    pub path_len: Option<u64>,
    /// Whether keyUsage allows it to sign certificates; `None` without the extension.
    pub may_sign_certificates: Option<bool>,
    /// The types of its critical extensions, dotted.
    pub critical: &'a [String],
}

/// Judges `certificate` as the own certificate of an authority of this kind, and the chain
/// above it: the issuer first, the root last.
///
/// Kinds of refusal: [`ErrorKind::CertificateMismatch`] where certificates do not belong together, [`ErrorKind::MalformedCertificate`] where a certificate says what an authority's must
/// not, [`ErrorKind::InvalidRequest`] where the request itself is contradictory (a chain beside a
/// root, none beside a subordinate).
pub fn check_import(
    kind: Kind,
    certificate: &ChainCertificate<'_>,
    chain: &[ChainCertificate<'_>],
    now: Timestamp,
) -> Result<()> {
    match (kind, certificate.self_signed, chain.is_empty()) {
        (Kind::Root, false, _) => {
            return refuse(
                ErrorKind::InvalidRequest,
                "Only a self-signed certificate can be imported as a root CA.",
            );
        }
        (Kind::Subordinate, true, _) => {
            return refuse(
                ErrorKind::InvalidRequest,
                "A self-signed certificate cannot be imported as a subordinate CA.",
            );
        }
        (Kind::Root, true, false) => {
            return refuse(
                ErrorKind::InvalidRequest,
                "When you import a root CA, there is no certificate chain.",
            );
        }
        (Kind::Subordinate, false, true) => {
            return refuse(
                ErrorKind::InvalidRequest,
                "A certificate chain must be supplied when you import a subordinate CA.",
            );
        }
        (Kind::Root, true, true) | (Kind::Subordinate, false, false) => {}
    }
    if chain.len() > MAX_CHAIN {
        return refuse(
            ErrorKind::MalformedCertificate,
            &format!(
                "The certificate chain has {} certificates; at most {MAX_CHAIN} are allowed.",
                chain.len()
            ),
        );
    }
    check_authority(certificate, "The certificate", now)?;
    for (above, issuer) in chain.iter().enumerate() {
        check_authority(
            issuer,
            &format!("Certificate {} of the chain", above + 1),
            now,
        )?;
    }
    check_links(certificate, chain)
}

/// What each certificate must say by itself.
fn check_authority(certificate: &ChainCertificate<'_>, which: &str, now: Timestamp) -> Result<()> {
    let malformed =
        |what: &str| refuse(ErrorKind::MalformedCertificate, &format!("{which} {what}."));
    if !certificate.is_ca {
        return malformed("is not that of a CA: basicConstraints lacks CA:TRUE");
    }
    if !certificate.basic_constraints_critical {
        return malformed("has basicConstraints that are not marked critical");
    }
    if certificate.may_sign_certificates == Some(false) {
        return malformed("has a keyUsage without keyCertSign");
    }
    if certificate.not_after < now.as_second() {
        return malformed("has expired");
    }
    // The model lists what may be critical; everything else must not be.
    let unknown = certificate
        .critical
        .iter()
        .find(|oid| !MAY_BE_CRITICAL.contains(&oid.as_str()));
    match unknown {
        Some(oid) => malformed(&format!(
            "has the critical extension {oid}, which is not supported"
        )),
        None => Ok(()),
    }
}

/// That each certificate names the next as its issuer, that the last is self-signed, and that no
/// path length is exceeded (RFC 5280 section 6.1.4 (l) and (m)).
fn check_links(certificate: &ChainCertificate<'_>, chain: &[ChainCertificate<'_>]) -> Result<()> {
    let mut below = certificate;
    for (above, issuer) in chain.iter().enumerate() {
        if below.issuer_der != issuer.subject_der {
            return refuse(
                ErrorKind::CertificateMismatch,
                &format!(
                    "Certificate {} of the chain is not the issuer of the one before it.",
                    above + 1
                ),
            );
        }
        // Between this issuer and the authority's own certificate stand `above` authorities, and
        // the authority's own is one more.
        if issuer
            .path_len
            .is_some_and(|limit| limit < above as u64 + 1)
        {
            return refuse(
                ErrorKind::CertificateMismatch,
                &format!(
                    "Certificate {} of the chain allows fewer authorities below it than there are.",
                    above + 1
                ),
            );
        }
        below = issuer;
    }
    if !below.self_signed {
        return refuse(
            ErrorKind::CertificateMismatch,
            "The last certificate of the chain is not a self-signed root.",
        );
    }
    Ok(())
}

fn refuse(kind: ErrorKind, message: &str) -> Result<()> {
    Err(Error::new(kind, message))
}

/// User guide, "Designing a CA hierarchy": five levels at most.
const MAX_CHAIN: usize = 10;

/// Model, ImportCertificateAuthorityCertificate, "Enforcement of Critical Constraints".
const MAY_BE_CRITICAL: [&str; 12] = [
    "2.5.29.35", // authority key identifier
    "2.5.29.19", // basic constraints
    "2.5.29.32", // certificate policies
    "2.5.29.37", // extended key usage
    "2.5.29.54", // inhibit anyPolicy
    "2.5.29.18", // issuer alternative name
    "2.5.29.15", // key usage
    "2.5.29.30", // name constraints
    "2.5.29.33", // policy mappings
    "2.5.29.17", // subject alternative name
    "2.5.29.9",  // subject directory attributes
    "2.5.29.14", // subject key identifier
];

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1000).unwrap()
    }

    fn certificate<'a>(subject: &'a str, issuer: &'a str) -> ChainCertificate<'a> {
        ChainCertificate {
            subject_der: subject.as_bytes(),
            issuer_der: issuer.as_bytes(),
            self_signed: subject == issuer,
            not_after: 2000,
            is_ca: true,
            basic_constraints_critical: true,
            path_len: None,
            may_sign_certificates: Some(true),
            critical: &[],
        }
    }

    fn verdict(
        kind: Kind,
        own: &ChainCertificate<'_>,
        chain: &[ChainCertificate<'_>],
    ) -> std::result::Result<(), ErrorKind> {
        check_import(kind, own, chain, now()).map_err(|error| error.kind)
    }

    #[test]
    fn a_root_stands_alone_and_a_subordinate_does_not() {
        let root = certificate("root", "root");
        let middle = certificate("middle", "root");
        let sub = certificate("sub", "middle");
        assert_eq!(verdict(Kind::Root, &root, &[]), Ok(()));
        assert_eq!(verdict(Kind::Subordinate, &sub, &[middle, root]), Ok(()));
        let contradictory = Err(ErrorKind::InvalidRequest);
        assert_eq!(verdict(Kind::Root, &root, &[root]), contradictory);
        assert_eq!(verdict(Kind::Root, &middle, &[]), contradictory);
        assert_eq!(verdict(Kind::Subordinate, &sub, &[]), contradictory);
        assert_eq!(verdict(Kind::Subordinate, &root, &[root]), contradictory);
    }

    #[test]
    fn what_does_not_belong_together_is_a_mismatch() {
        let root = certificate("root", "root");
        let middle = certificate("middle", "root");
        let sub = certificate("sub", "middle");
        let mismatch = Err(ErrorKind::CertificateMismatch);
        for chain in [&[root, middle][..], &[middle], &[root]] {
            assert_eq!(verdict(Kind::Subordinate, &sub, chain), mismatch);
        }
        let limited = |path_len| ChainCertificate {
            path_len: Some(path_len),
            ..middle
        };
        assert_eq!(
            verdict(Kind::Subordinate, &sub, &[limited(0), root]),
            mismatch
        );
        assert_eq!(
            verdict(Kind::Subordinate, &sub, &[limited(1), root]),
            Ok(())
        );
        let limited = |path_len| ChainCertificate {
            path_len: Some(path_len),
            ..root
        };
        assert_eq!(
            verdict(Kind::Subordinate, &sub, &[middle, limited(1)]),
            mismatch
        );
        assert_eq!(
            verdict(Kind::Subordinate, &sub, &[middle, limited(2)]),
            Ok(())
        );
    }

    #[test]
    fn each_certificate_must_be_an_authoritys() {
        let root = certificate("root", "root");
        let unknown = ["1.2.3".to_string()];
        let no_cdp = ["2.5.29.31".to_string()];
        let known = ["2.5.29.15".to_string(), "2.5.29.30".to_string()];
        let bad = [
            ChainCertificate {
                is_ca: false,
                ..root
            },
            ChainCertificate {
                basic_constraints_critical: false,
                ..root
            },
            ChainCertificate {
                may_sign_certificates: Some(false),
                ..root
            },
            ChainCertificate {
                not_after: 999,
                ..root
            },
            ChainCertificate {
                critical: &unknown,
                ..root
            },
            ChainCertificate {
                critical: &no_cdp,
                ..root
            },
        ];
        for bad in bad {
            let malformed = Err(ErrorKind::MalformedCertificate);
            assert_eq!(verdict(Kind::Root, &bad, &[]), malformed, "{bad:?}");
            let sub = certificate("sub", "root");
            assert_eq!(
                verdict(Kind::Subordinate, &sub, &[bad]),
                malformed,
                "{bad:?}"
            );
        }
        let good = ChainCertificate {
            critical: &known,
            may_sign_certificates: None,
            ..root
        };
        assert_eq!(verdict(Kind::Root, &good, &[]), Ok(()));
    }

    #[test]
    fn a_chain_is_bounded() {
        let sub = certificate("sub", "root");
        let root = certificate("root", "root");
        let long = vec![root; MAX_CHAIN + 1];
        assert_eq!(
            verdict(Kind::Subordinate, &sub, &long),
            Err(ErrorKind::MalformedCertificate)
        );
    }
}
