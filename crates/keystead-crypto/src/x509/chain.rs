//! Chains: put in order, and checked as RFC 5280 section 6.1 asks, apart from what it needs a
//! relying party's policy for.
//!
//! Names compare byte for byte, as they do in rustls-webpki: an authority copies its own subject
//! into what it issues. Not checked, because storing a chain is not relying on it: revocation,
//! policies, name constraints, and critical extensions that are not known here. Whoever relies on
//! the chain checks those.

use keystead_core::x509::KeyUsageBit;

use super::Certificate;
use crate::CryptoError;

/// Most certificates in a chain. ACM's own limit is the chain's length in bytes (2 MiB); verifiers
/// stop far below: OpenSSL's default depth is 100, rustls-webpki's budget is 100 signatures.
const MAX_CHAIN: usize = 100;

/// Puts a leaf's issuers in order, each one certifying the one before it.
///
/// # Errors
/// [`CryptoError::Mismatch`] when one of them is not part of the leaf's chain.
pub fn order_chain(
    leaf: &Certificate,
    mut issuers: Vec<Certificate>,
) -> Result<Vec<Certificate>, CryptoError> {
    too_many(issuers.len())?;
    let mut ordered: Vec<Certificate> = Vec::with_capacity(issuers.len());
    while !issuers.is_empty() {
        let last = ordered.last().unwrap_or(leaf);
        let next = issuers
            .iter()
            .position(|candidate| is_issuer(candidate, last));
        match next {
            Some(next) => ordered.push(issuers.swap_remove(next)),
            None => {
                return Err(CryptoError::Mismatch(
                    "the certificate chain contains a certificate that does not belong to it"
                        .into(),
                ));
            }
        }
    }
    Ok(ordered)
}

/// Checks that each certificate is certified by the one after it, that all of them are valid at
/// `now` (Unix seconds), and that each issuer may issue: it is an authority, its key may sign
/// certificates, and its path length limit is kept. Whether the last one is trusted is the caller's
/// to say.
///
/// # Errors
/// [`CryptoError::Mismatch`] and [`CryptoError::BadSignature`], naming the place in the chain.
pub fn verify_chain(
    leaf: &Certificate,
    issuers: &[Certificate],
    now: i64,
) -> Result<(), CryptoError> {
    too_many(issuers.len())?;
    let mut subject = leaf;
    // How many authorities that are not self-issued stand between an issuer and the leaf.
    let mut below = 0usize;
    check_dates(leaf, 0, now)?;
    for (place, issuer) in (1..).zip(issuers) {
        check_dates(issuer, place, now)?;
        check_link(subject, issuer, place)?;
        check_authority(issuer, place, below)?;
        if !issuer.is_self_issued() {
            below += 1;
        }
        subject = issuer;
    }
    // A root's own signature proves nothing; it is checked, where possible, to notice damage.
    if subject.is_self_issued() && subject.is_verifiable() {
        subject
            .verify_issued_by(&subject.spki_der)
            .map_err(|error| at(issuers.len(), error))?;
    }
    Ok(())
}

/// Whether names and key identifiers let the one be the other's issuer.
fn is_issuer(candidate: &Certificate, subject: &Certificate) -> bool {
    let ids_fit = match (subject.authority_key_id(), candidate.subject_key_id()) {
        (Some(wanted), Some(found)) => wanted == found,
        _ => true,
    };
    candidate.subject_der == subject.issuer_der && ids_fit && candidate != subject
}

/// RFC 5280 section 6.1.3 (a) (1) and (4).
fn check_link(
    subject: &Certificate,
    issuer: &Certificate,
    place: usize,
) -> Result<(), CryptoError> {
    if !is_issuer(issuer, subject) {
        return Err(CryptoError::Mismatch(format!(
            "{} did not issue {}: its name or key identifier is another",
            position(place),
            position(place - 1)
        )));
    }
    subject
        .verify_issued_by(&issuer.spki_der)
        .map_err(|error| at(place - 1, error))
}

/// RFC 5280 section 6.1.4 (k) to (n).
fn check_authority(issuer: &Certificate, place: usize, below: usize) -> Result<(), CryptoError> {
    let refused = |why: &str| Err(CryptoError::Mismatch(format!("{} {why}", position(place))));
    match issuer.basic_constraints() {
        Some((true, None)) => {}
        Some((true, Some(limit))) if below <= usize::from(limit) => {}
        Some((true, Some(_))) => {
            return refused("allows fewer authorities below it than there are (pathLenConstraint)");
        }
        _ => return refused("is not the certificate of an authority (basicConstraints)"),
    }
    match issuer.key_usage() {
        Some(bits) if !bits.contains(&KeyUsageBit::KeyCertSign) => {
            refused("has a key that may not sign certificates (keyUsage)")
        }
        _ => Ok(()),
    }
}

/// RFC 5280 section 6.1.3 (a) (2).
fn check_dates(certificate: &Certificate, place: usize, now: i64) -> Result<(), CryptoError> {
    let why = if now < certificate.not_before {
        "is not valid yet"
    } else if now > certificate.not_after {
        "has expired"
    } else {
        return Ok(());
    };
    Err(CryptoError::Mismatch(format!("{} {why}", position(place))))
}

fn too_many(issuers: usize) -> Result<(), CryptoError> {
    if issuers > MAX_CHAIN {
        return Err(CryptoError::Malformed(format!(
            "the certificate chain has {issuers} certificates; at most {MAX_CHAIN} are read"
        )));
    }
    Ok(())
}

fn at(place: usize, error: CryptoError) -> CryptoError {
    let text = format!("{}: {error}", position(place));
    match error {
        CryptoError::BadSignature(_) => CryptoError::BadSignature(text),
        _ => CryptoError::Mismatch(text),
    }
}

fn position(place: usize) -> String {
    match place {
        0 => "the certificate".into(),
        place => format!("certificate {place} of the chain"),
    }
}
