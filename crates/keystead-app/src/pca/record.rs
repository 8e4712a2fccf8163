//! What is stored of authorities and of the certificates that they issue.

use jiff::Timestamp;
use keystead_core::lint::Bounds;
use keystead_core::pca::{CertificateAuthority, Revocation};
use keystead_core::x509::SignatureAlgorithm;
use keystead_core::{AccountId, Error, ErrorKind, Region, Result, hex};
use keystead_crypto::StoredKey;
use keystead_store::{Batch, Collection, Expect, Store, StoreError, Stored, Versioned};
use serde::{Deserialize, Serialize};

use super::expiry;

/// Authorities, by `account/region/id`.
pub(super) const AUTHORITIES: Collection = Collection("pca.ca");

/// The certificates that authorities work or worked under, with their chains, by
/// `account/region/id/fingerprint`.
pub(super) const OWN_CERTIFICATES: Collection = Collection("pca.ca-certificate");

/// Issued certificates, by `account/region/id/serial`. They are kept as long as their authority,
/// which is what makes a serial number unique for ever.
pub(super) const CERTIFICATES: Collection = Collection("pca.certificate");

/// An authority with its key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Authority {
    /// The authority.
    pub(super) ca: CertificateAuthority,
    /// What it signs with.
    pub(super) key: StoredKey,
    /// DER of the public key's SubjectPublicKeyInfo.
    #[serde(with = "serde_bytes")]
    pub(super) spki: Vec<u8>,
    /// DER of its certificate signing request, made once with the key.
    #[serde(with = "serde_bytes")]
    pub(super) csr: Vec<u8>,
}

impl Versioned for Authority {
    const MARKER: &'static str = "pca.ca/1";
    const SECRET: bool = true;
}

/// A certificate that an authority works under.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OwnCertificate {
    /// DER of the certificate.
    #[serde(with = "serde_bytes")]
    pub(super) certificate: Vec<u8>,
    /// DER of the certificates above it, the root last; empty for a root.
    pub(super) chain: Vec<serde_bytes::ByteBuf>,
}

impl Versioned for OwnCertificate {
    const MARKER: &'static str = "pca.ca-certificate/1";
}

/// A certificate that is going to be issued: these bytes, linted, will be signed, whatever happens, and
/// no others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Intended {
    /// DER of the TBSCertificate.
    #[serde(with = "serde_bytes")]
    pub(super) tbs: Vec<u8>,
    /// How it is signed.
    pub(super) signature: SignatureAlgorithm,
    /// As [`Issued::issuer`].
    pub(super) issuer: Option<serde_bytes::ByteBuf>,
    /// As [`Issued::partition`].
    #[serde(default)]
    pub(super) partition: Option<String>,
    /// When it was asked for.
    pub(super) issued_at: Timestamp,
    /// First second of its validity (Unix time).
    pub(super) not_before: i64,
    /// Last second of its validity (Unix time).
    pub(super) not_after: i64,
    /// As [`Issued::template`].
    #[serde(default)]
    pub(super) template: Option<String>,
    /// As [`Issued::requested_by`].
    #[serde(default)]
    pub(super) requested_by: Option<String>,
}

impl Versioned for Intended {
    const MARKER: &'static str = "pca.intended/1";
}

/// An issued certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Issued {
    /// DER of the certificate.
    #[serde(with = "serde_bytes")]
    pub(super) certificate: Vec<u8>,
    /// Fingerprint of the certificate that the authority worked under; `None` where the authority
    /// signed its own.
    pub(super) issuer: Option<serde_bytes::ByteBuf>,
    /// The revocation list that it belongs to; `None` where that is the complete one.
    #[serde(default)]
    pub(super) partition: Option<String>,
    /// When it was asked for.
    pub(super) issued_at: Timestamp,
    /// First second of its validity (Unix time).
    pub(super) not_before: i64,
    /// Last second of its validity (Unix time).
    pub(super) not_after: i64,
    /// That it was revoked.
    pub(super) revocation: Option<Revocation>,
    /// The ARN of its template; nobody noted it once.
    #[serde(default)]
    pub(super) template: Option<String>,
    /// The principal of the service that asked for it, where it was one.
    #[serde(default)]
    pub(super) requested_by: Option<String>,
}

impl Versioned for Issued {
    const MARKER: &'static str = "pca.certificate/2";
}

/// The record key of an authority.
pub(super) fn authority_key(account: &AccountId, region: &Region, id: &str) -> String {
    format!("{account}/{region}/{id}")
}

/// The authority with this key, unless it is gone; `arn` names it in the refusal.
///
/// One whose restoration period is over counts as gone, even while its records are still being
/// removed.
pub(super) async fn load(
    store: &Store,
    key: &str,
    arn: &str,
    now: Timestamp,
) -> Result<Stored<Authority>> {
    find(store, key, now).await?.ok_or_else(|| missing(arn))
}

/// The authority with this key, unless it is gone.
pub(super) async fn find(
    store: &Store,
    key: &str,
    now: Timestamp,
) -> Result<Option<Stored<Authority>>> {
    let found = store.get::<Authority>(AUTHORITIES, key).await?;
    match found.filter(|stored| !stored.value.ca.is_to_be_purged(now)) {
        Some(found) => Ok(Some(completed(store, found, now).await?)),
        None => Ok(None),
    }
}

/// With what authorities had not when they were stored by an older version: the bounds of their path, and a time to tell of
/// the end of their certificate. It is stored with the first look, since nothing looks at all of them.
async fn completed(
    store: &Store,
    mut found: Stored<Authority>,
    now: Timestamp,
) -> Result<Stored<Authority>> {
    let Some(installed) = &mut found.value.ca.installed else {
        return Ok(found);
    };
    if installed.bounds.is_some() {
        return Ok(found);
    }
    let own = own_certificate(store, &found.key, &installed.fingerprint).await?;
    let above = own.chain.iter().map(|above| above.as_slice());
    match Bounds::of(std::iter::once(own.certificate.as_slice()).chain(above)) {
        Ok(bounds) => {
            installed.path_len = bounds.path_len();
            installed.bounds = Some(bounds);
        }
        Err(why) => {
            tracing::error!(authority = found.key, why, "a private CA can't issue");
            return Ok(found);
        }
    }
    let mut batch = Batch::new();
    expiry::schedule(&found.value.ca, now, &mut batch);
    let expect = Expect::Version(found.version);
    batch.put(AUTHORITIES, found.key.as_str(), &found.value, expect);
    match store.commit(batch).await {
        // Whoever was quicker has done the same, or will with the next look.
        Ok(_) | Err(StoreError::Conflict { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(store.get(AUTHORITIES, &found.key).await?.unwrap_or(found))
}

/// The refusal for an authority that is not there.
pub(super) fn missing(arn: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("Could not find Certificate Authority {arn}."),
    )
}

/// The certificate with this fingerprint that the authority of key `authority` works or worked under.
pub(super) async fn own_certificate(
    store: &Store,
    authority: &str,
    fingerprint: &[u8],
) -> Result<OwnCertificate> {
    let key = own_certificate_key(authority, fingerprint);
    let found = store.get::<OwnCertificate>(OWN_CERTIFICATES, &key).await?;
    found.map(|stored| stored.value).ok_or_else(|| {
        Error::new(
            ErrorKind::Internal,
            format!("the certificate authority's own certificate {key} is missing from the store"),
        )
    })
}

/// The record key of a certificate that an authority works under.
pub(super) fn own_certificate_key(authority: &str, fingerprint: &[u8]) -> String {
    format!("{authority}/{}", hex(fingerprint))
}
