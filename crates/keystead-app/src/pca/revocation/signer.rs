//! Who signs an authority's OCSP answers: a key that the authority certified for that alone (RFC 6960 section 4.2.2.2).
//!
//! So the authority's own key, which may be in a token that signs few times a second, is asked once in a while and not for
//! each answer, and what answers strangers can sign no certificate. The signer's certificate says that nobody need ask
//! whether it is revoked (`id-pkix-ocsp-nocheck`, section 4.2.2.2.1), which is why it is short-lived; it is replaced when
//! a third of its life is left, and the old one answers until the new one is stored.
//!
//! It is issued as every certificate is: bytes and serial number, linted, are stored together with the key before the
//! authority signs; after a crash the same certificate is completed.

use jiff::{SignedDuration, Timestamp};
use keystead_core::lint::Issuer;
use keystead_core::pca::{
    Body, CertificateAuthority, Installed, Passthrough, Serial, Template, UsageMode, Window,
};
use keystead_core::x509::{
    Extension, ExtensionValue, KeySpec, KeyUsageBit, Name, NameAttribute, Oid, SignatureAlgorithm,
    TbsCertificate,
};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::{NewKey, StoredKey, x509};
use keystead_store::{Batch, Collection, Expect, StoreError, Stored, Versioned};
use serde::{Deserialize, Serialize};

use crate::App;
use crate::pca::complete::issued;
use crate::pca::issue::{Prepared, bounds, enqueue, fresh_serial, linted};
use crate::pca::record::{AUTHORITIES, Authority, find};

/// Who signs the OCSP answers of authorities, by `account/region/id`.
pub(in super::super) const SIGNERS: Collection = Collection("pca.ocsp-signer");

/// The signers of one authority.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in super::super) struct Signers {
    /// The one that signs, and its certificate.
    pub(in super::super) current: Option<Certified>,
    /// The one that comes next: its certificate is intended.
    next: Option<Signer>,
}

impl Versioned for Signers {
    const MARKER: &'static str = "pca.ocsp-signer/1";
    const SECRET: bool = true;
}

/// A signer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) struct Signer {
    /// What it signs with.
    pub(super) key: StoredKey,
    /// DER of its public key's SubjectPublicKeyInfo.
    #[serde(with = "serde_bytes")]
    pub(super) spki: Vec<u8>,
    /// The serial number of its certificate.
    serial: Serial,
    /// First second of its validity (Unix time).
    pub(super) not_before: i64,
    /// Last second of its validity (Unix time).
    pub(super) not_after: i64,
}

/// A signer that may sign.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) struct Certified {
    pub(super) signer: Signer,
    /// DER of its certificate.
    #[serde(with = "serde_bytes")]
    pub(in super::super) certificate: Vec<u8>,
}

/// Sees to it that the authority with this key has a signer for a while. Answers when to look again; `None` where there
/// is no authority that could certify one.
pub(crate) async fn renew(app: &App, key: &str) -> Result<Option<Timestamp>> {
    for _ in 0..ATTEMPTS {
        let now = app.env.now();
        let Some(authority) = find(&app.store, key, now).await? else {
            return Ok(None);
        };
        let (signers, expect) = match app.store.get::<Signers>(SIGNERS, key).await? {
            Some(found) => (found.value, Expect::Version(found.version)),
            None => (Signers::default(), Expect::Absent),
        };
        let step = match (&signers.next, &signers.current) {
            (Some(next), _) => certify(app, &authority, next.clone()).await?,
            (None, Some(current)) if now < renew_at(&current.signer) => {
                return Ok(Some(renew_at(&current.signer)));
            }
            (None, _) => match intend(app, &authority, signers, now).await? {
                Some(step) => step,
                None => return Ok(None),
            },
        };
        let Step { signers, mut batch } = step;
        batch.put(SIGNERS, key, &signers, expect);
        match app.store.commit(batch).await {
            // Another server was quicker: see what it has left.
            Ok(_) | Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(app.env.now()))
}

/// How the signers stand next, and what is stored together with that.
struct Step {
    signers: Signers,
    batch: Batch,
}

/// Intends a certificate for a new key; `None` where the authority's own leaves no time for one.
async fn intend(
    app: &App,
    authority: &Stored<Authority>,
    signers: Signers,
    now: Timestamp,
) -> Result<Option<Step>> {
    let ca = &authority.value.ca;
    let Some(installed) = &ca.installed else {
        return Ok(None);
    };
    let now_at = now.as_second();
    let not_after = now_at
        .saturating_add(lifetime(ca.usage).as_secs())
        .min(installed.not_after);
    if not_after <= now_at {
        return Ok(None);
    }
    let new = app.keys.generate(spec(ca.key_spec)).await?;
    let serial = fresh_serial(now)?;
    let not_before = now_at.saturating_sub(BACKDATED).max(installed.not_before);
    let tbs = certificate(ca, installed, &new, &serial, (not_before, not_after))?;
    let prepared = Prepared {
        serial,
        tbs,
        signature: ca.signing_algorithm,
        window: Window {
            not_before,
            not_after,
        },
        issuer: Some(installed.fingerprint.clone()),
        partition: None,
        template: Template {
            body: Body::OcspSigning,
            passthrough: Passthrough::default(),
        },
        requested_by: None,
    };
    let mut batch = Batch::new();
    let version = Expect::Version(authority.version);
    batch.expect(AUTHORITIES, authority.key.as_str(), version);
    enqueue(&mut batch, &authority.key, prepared, now);
    let next = Signer {
        key: new.key,
        spki: new.spki_der,
        serial,
        not_before,
        not_after,
    };
    let signers = Signers {
        next: Some(next),
        ..signers
    };
    Ok(Some(Step { signers, batch }))
}

/// Completes the certificate that was intended for `next`, and puts it in its place.
async fn certify(app: &App, authority: &Stored<Authority>, next: Signer) -> Result<Step> {
    let key = format!("{}/{}", authority.key, next.serial.hex());
    let found = issued(app, &authority.value, &key).await?;
    let found = found.ok_or_else(|| {
        let text = format!("the certificate {key} of an OCSP signer is missing from the store");
        Error::new(ErrorKind::Internal, text)
    })?;
    let signers = Signers {
        current: Some(Certified {
            signer: next,
            certificate: found.value.certificate,
        }),
        next: None,
    };
    let batch = Batch::new();
    Ok(Step { signers, batch })
}

/// The to-be-signed certificate, linted.
fn certificate(
    ca: &CertificateAuthority,
    installed: &Installed,
    key: &NewKey,
    serial: &Serial,
    (not_before, not_after): (i64, i64),
) -> Result<Vec<u8>> {
    let subject = Name {
        attributes: vec![NameAttribute {
            oid: Oid::new("2.5.4.3"),
            value: format!("OCSP signer of {}", ca.id),
        }],
    };
    let bounds = bounds(installed)?;
    let tbs = TbsCertificate {
        serial: serial.octets().to_vec(),
        signature: ca.signing_algorithm,
        issuer_der: installed.subject_der.clone(),
        not_before,
        not_after,
        subject_der: bounds.below(&x509::encode_name(&subject)?).into_owned(),
        spki_der: key.spki_der.clone(),
        extensions: extensions(&installed.key_id),
    };
    let der = x509::encode_tbs(&tbs)?;
    let issuer = Issuer {
        subject_der: &tbs.issuer_der,
        key_id: &installed.key_id,
        not_after: Some(installed.not_after),
        path_len: installed.path_len,
        bounds: Some(bounds),
        signature: ca.signing_algorithm,
    };
    linted(&der, &issuer, ErrorKind::Internal)?;
    Ok(der)
}

/// As the template OCSPSigningCertificate has them, and that nobody need ask about the certificate itself.
fn extensions(authority_key_id: &[u8]) -> Vec<Extension> {
    let extension = |oid, critical, value| Extension {
        oid: Oid::new(oid),
        critical,
        value,
    };
    let constraints = ExtensionValue::BasicConstraints {
        ca: false,
        path_len: None,
    };
    let usage = ExtensionValue::KeyUsage(vec![KeyUsageBit::DigitalSignature]);
    let purpose = ExtensionValue::ExtendedKeyUsage(vec![Oid::new(OCSP_SIGNING)]);
    let issuer = ExtensionValue::AuthorityKeyId(authority_key_id.to_vec());
    vec![
        extension("2.5.29.19", false, constraints),
        extension("2.5.29.35", false, issuer),
        extension("2.5.29.14", false, ExtensionValue::SubjectKeyId),
        extension("2.5.29.15", true, usage),
        extension("2.5.29.37", true, purpose),
        // NULL
        extension(NO_CHECK, false, ExtensionValue::Der(vec![5, 0])),
    ]
}

/// The kind of its key: P-256 signs fastest and every client knows it; but answers about certificates that withstand
/// quantum computers withstand them too.
fn spec(authority: KeySpec) -> KeySpec {
    match authority {
        KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => authority,
        _ => KeySpec::EcP256,
    }
}

impl Signer {
    /// How it signs.
    pub(super) fn algorithm(&self) -> SignatureAlgorithm {
        self.key.spec().default_signature()
    }
}

/// When it is replaced: when a third of its life is left.
fn renew_at(signer: &Signer) -> Timestamp {
    let life = signer.not_after.saturating_sub(signer.not_before);
    let at = signer.not_before.saturating_add(life / 3 * 2);
    Timestamp::from_second(at).unwrap_or(Timestamp::MAX)
}

/// Long enough to outlast a server that is down for days, short enough for a certificate that can't be revoked; and no
/// longer than the certificates of a short-lived authority may be (seven days).
fn lifetime(usage: UsageMode) -> SignedDuration {
    let days = match usage {
        UsageMode::GeneralPurpose => 30,
        UsageMode::ShortLived => 7,
    };
    SignedDuration::from_hours(24 * days)
}

/// Seconds by which its validity begins before now, for clocks that lag, as other certificates' does.
const BACKDATED: i64 = 3600;

/// id-kp-OCSPSigning (RFC 6960 section 4.2.2.2).
const OCSP_SIGNING: &str = "1.3.6.1.5.5.7.3.9";

/// id-pkix-ocsp-nocheck (RFC 6960 section 4.2.2.2.1).
const NO_CHECK: &str = "1.3.6.1.5.5.7.48.1.5";

/// Intending, certifying and looking once more, and each of them once again where another server is quicker.
const ATTEMPTS: usize = 6;
