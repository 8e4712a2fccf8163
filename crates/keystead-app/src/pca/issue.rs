//! Issuing: validate, lint, store serial number and to-be-signed bytes, sign, compare, store.
//!
//! The steps are types, so that none can be left out or taken twice: [`prepare`] validates and lints
//! and gives a [`Prepared`], [`intend`] consumes it, stores it and gives an [`Intent`], and
//! [`complete`](super::complete) consumes that, signs, compares and stores.

use jiff::{SignedDuration, Timestamp};
use keystead_core::lint::{self, Bounds, Issuer};
use keystead_core::pca::{
    ApiPassthrough, CsrContent, Installed, Kind, Period, Published, Serial, SubjectSource,
    Template, UsageMode, Validity, Window, compose, window,
};
use keystead_core::x509::{Extension, SignatureAlgorithm, TbsCertificate};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::{CryptoError, random, x509};
use keystead_store::{Batch, Expect, Store, StoreError, Stored};

use super::complete::ISSUE_QUEUE;
use super::record::{AUTHORITIES, Authority, CERTIFICATES, Intended};
use crate::token::Token;

/// What is asked of an authority.
pub(super) struct Order<'a> {
    pub(super) template: Template,
    /// DER of the name in the request.
    pub(super) subject_der: &'a [u8],
    /// What the request asks for.
    pub(super) extensions: &'a [Extension],
    /// DER of the key to certify; whoever asks has proved to have the private half.
    pub(super) spki_der: &'a [u8],
    pub(super) api: Option<ApiPassthrough>,
    pub(super) signature: SignatureAlgorithm,
    pub(super) validity: Validity,
    pub(super) not_before: Option<Validity>,
    /// Where its revocation is published.
    pub(super) published: Published,
    /// The principal of the service that asks, where it is one.
    pub(super) requested_by: Option<&'static str>,
}

/// A certificate that may be signed: valid and linted.
pub(super) struct Prepared {
    pub(super) serial: Serial,
    pub(super) tbs: Vec<u8>,
    pub(super) signature: SignatureAlgorithm,
    pub(super) window: Window,
    /// As [`Issued::issuer`].
    pub(super) issuer: Option<Vec<u8>>,
    /// As [`Issued::partition`].
    pub(super) partition: Option<String>,
    /// As [`Issued::template`].
    pub(super) template: Template,
    /// As [`Issued::requested_by`].
    pub(super) requested_by: Option<&'static str>,
}

/// A certificate that will be signed: its serial number and bytes are stored.
pub(super) struct Intent {
    /// The serial number.
    pub(super) serial: Serial,
    /// The record key of the certificate.
    pub(super) key: String,
    pub(super) intended: Intended,
}

/// Validates an order and lints what would be signed.
pub(super) fn prepare(authority: &Authority, order: Order<'_>, now: Timestamp) -> Result<Prepared> {
    let ca = &authority.ca;
    ca.check(order.template.command(), now)?;
    ca.check_signature(order.signature)?;
    let installed = if order.template.is_root() {
        check_own(authority, &order)?;
        None
    } else {
        Some(ca.working_under()?)
    };
    check_path_len(order.template, installed)?;
    let within = period(installed, ca.usage);
    let window = window(order.validity, order.not_before, within, now)?;
    let serial = fresh_serial(now)?;
    let key_id = match installed {
        Some(installed) => installed.key_id.clone(),
        None => x509::key_identifier(order.spki_der)?.to_vec(),
    };
    let csr = CsrContent {
        subject_is_empty: order.subject_der == EMPTY_NAME,
        extensions: order.extensions,
        key_enciphers: lint::is_rsa_key(order.spki_der),
    };
    let mut composition = compose(order.template, &csr, order.api.as_ref(), &key_id)?;
    // A root's own certificate is in no list: nothing above it could revoke it.
    let published = installed.map(|_| order.published).unwrap_or_default();
    published.add_to(&mut composition.extensions);
    let subject_der = subject_der(&composition.subject, order.subject_der)?;
    let issuer_der = installed.map_or_else(
        || subject_der.clone(),
        |installed| installed.subject_der.clone(),
    );
    let tbs = TbsCertificate {
        serial: serial.octets().to_vec(),
        signature: order.signature,
        issuer_der,
        not_before: window.not_before,
        not_after: window.not_after,
        subject_der,
        spki_der: order.spki_der.to_vec(),
        extensions: composition.extensions,
    };
    let from_api = order.api.is_some() && order.template.passthrough.api;
    let (kind, blamed): (_, fn(CryptoError) -> Error) = if from_api {
        (ErrorKind::InvalidArgs, invalid_args)
    } else {
        (ErrorKind::MalformedCsr, malformed_csr)
    };
    let der = x509::encode_tbs(&tbs).map_err(blamed)?;
    let issuer = Issuer {
        subject_der: &tbs.issuer_der,
        key_id: &key_id,
        not_after: within.issuer_not_after,
        path_len: installed.and_then(|installed| installed.path_len),
        bounds: installed.map(bounds).transpose()?,
        signature: order.signature,
    };
    linted(&der, &issuer, kind)?;
    Ok(Prepared {
        serial,
        tbs: der,
        signature: order.signature,
        window,
        issuer: installed.map(|installed| installed.fingerprint.clone()),
        partition: published.partition,
        template: order.template,
        requested_by: order.requested_by,
    })
}

/// DER of the name that the certificate is for; `asked` is the request's.
fn subject_der(source: &SubjectSource, asked: &[u8]) -> Result<Vec<u8>> {
    match source {
        SubjectSource::Csr => Ok(asked.to_vec()),
        SubjectSource::Api(subject) => x509::encode_name(subject.name()).map_err(invalid_args),
    }
}

/// What the authority's path leaves to what it signs.
pub(super) fn bounds(installed: &Installed) -> Result<&Bounds> {
    installed.bounds.as_ref().ok_or_else(|| {
        Error::new(
            ErrorKind::Internal,
            "the certificates of the authority's path can't be read, so that nobody knows what they allow",
        )
    })
}

/// How long a certificate may live under `installed`; an authority's own certificate is as long-lived as
/// it wants.
fn period(installed: Option<&Installed>, usage: UsageMode) -> Period {
    match installed {
        Some(installed) => Period {
            issuer_not_after: Some(installed.not_after),
            usage,
        },
        None => Period {
            issuer_not_after: None,
            usage: UsageMode::GeneralPurpose,
        },
    }
}

pub(super) fn fresh_serial(now: Timestamp) -> Result<Serial> {
    Ok(Serial::new(now, random::bytes()?))
}

/// Refuses, with this kind, what breaks a rule; the message names every broken rule.
pub(super) fn linted(tbs: &[u8], issuer: &Issuer<'_>, kind: ErrorKind) -> Result<()> {
    lint::lint_tbs(tbs, issuer).map_err(|findings| {
        let broken = lint::listed(&findings);
        Error::new(
            kind,
            format!("The certificate would not be valid: {broken}."),
        )
    })
}

/// A root template certifies the authority's own key, and only a root signs itself (user guide,
/// "RootCACertificate/V1 definition": self-signed).
fn check_own(authority: &Authority, order: &Order<'_>) -> Result<()> {
    if authority.ca.kind != Kind::Root {
        return Err(Error::new(
            ErrorKind::InvalidArgs,
            "A root CA certificate template can only be used by a certificate authority of type ROOT.",
        ));
    }
    if order.spki_der != authority.spki {
        return Err(Error::new(
            ErrorKind::InvalidArgs,
            "A root CA certificate template needs the CSR of the certificate authority itself, as GetCertificateAuthorityCsr returns it.",
        ));
    }
    Ok(())
}

/// A subordinate's path length must be smaller than its issuer's; re:Post, "How do I resolve errors
/// when a private CA issues a new certificate?", has the words.
fn check_path_len(template: Template, installed: Option<&Installed>) -> Result<()> {
    let limit = installed.and_then(|installed| installed.path_len);
    match (template.path_len(), limit) {
        (Some(own), Some(limit)) if own.is_none_or(|own| own >= limit) => Err(Error::new(
            ErrorKind::Validation,
            "Path length check failed for CA",
        )),
        _ => Ok(()),
    }
}

/// Stores what is going to be signed, and that it must be. Refused by the store with a conflict if
/// the authority has changed since it was read, so that nothing is issued by one that was switched
/// off in between.
pub(super) async fn intend(
    store: &Store,
    authority: &Stored<Authority>,
    prepared: Prepared,
    token: Option<&Token>,
    now: Timestamp,
) -> Result<Intent, StoreError> {
    let mut batch = Batch::new();
    batch.expect(
        AUTHORITIES,
        authority.key.as_str(),
        Expect::Version(authority.version),
    );
    let intent = enqueue(&mut batch, &authority.key, prepared, now);
    if let Some(token) = token {
        let arn = format!(
            "{}/certificate/{}",
            authority.value.ca.arn(),
            intent.serial.hex()
        );
        token.settle(&mut batch, &arn, now);
    }
    store.commit(batch).await?;
    Ok(intent)
}

/// Puts into the batch that this certificate of the authority with the key `authority` is going to be signed.
pub(super) fn enqueue(
    batch: &mut Batch,
    authority: &str,
    prepared: Prepared,
    now: Timestamp,
) -> Intent {
    let key = format!("{}/{}", authority, prepared.serial.hex());
    let intended = Intended {
        tbs: prepared.tbs,
        signature: prepared.signature,
        issuer: prepared.issuer.map(Into::into),
        partition: prepared.partition,
        issued_at: now,
        not_before: prepared.window.not_before,
        not_after: prepared.window.not_after,
        template: Some(prepared.template.arn()),
        requested_by: prepared.requested_by.map(str::to_owned),
    };
    let due = now.checked_add(GRACE).unwrap_or(Timestamp::MAX);
    batch.expect(CERTIFICATES, key.as_str(), Expect::Absent);
    batch.enqueue(ISSUE_QUEUE, key.as_str(), due, &intended);
    Intent {
        serial: prepared.serial,
        key,
        intended,
    }
}

/// A fault of the request.
pub(super) fn malformed_csr(fault: CryptoError) -> Error {
    match fault {
        CryptoError::Busy | CryptoError::Internal(_) => fault.into(),
        _ => Error::new(
            ErrorKind::MalformedCsr,
            format!("The certificate signing request is not valid: {fault}."),
        ),
    }
}

/// A fault of the arguments.
fn invalid_args(fault: CryptoError) -> Error {
    match fault {
        CryptoError::Busy | CryptoError::Internal(_) => fault.into(),
        _ => Error::new(
            ErrorKind::InvalidArgs,
            format!("An argument is not valid: {fault}."),
        ),
    }
}

/// DER of a name without attributes.
const EMPTY_NAME: &[u8] = &[0x30, 0];

/// Longer than any request may take, so that the task finds only what was really left behind.
const GRACE: SignedDuration = SignedDuration::from_secs(10);
