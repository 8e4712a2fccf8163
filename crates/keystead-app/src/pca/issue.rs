//! Issuing: validate, lint, store serial number and to-be-signed bytes, sign, compare, store.
//!
//! The steps are types, so that none can be left out or taken twice: [`prepare`] validates and lints
//! and gives a [`Prepared`], [`intend`] consumes it, stores it and gives an [`Intent`], [`complete`]
//! consumes that, signs, compares and stores. What is intended waits in [`ISSUE_QUEUE`]. Whoever comes
//! first completes it: who intended it, who asks for the certificate ([`issued`]), or after a crash
//! the queue's task; always the same bytes, never a second serial number.
//!
//! What "compare" compares: that the certificate holds exactly the bytes that were linted and
//! stored, and that the signature verifies under the authority's key. The latter is left out for
//! P-256, where verifying costs three times as much as signing: it guards against faults of the
//! machine, which for RSA give the private key away (Boneh, DeMillo, Lipton 1997) and for a curve make
//! a certificate that nobody accepts, at the price of a third of all that issuing costs.

use jiff::{SignedDuration, Timestamp};
use keystead_core::lint::{self, Bounds, Issuer};
use keystead_core::pca::{
    ApiPassthrough, CsrContent, Installed, Kind, Period, Published, Serial, SubjectSource,
    Template, UsageMode, Validity, Window, compose, window,
};
use keystead_core::x509::{Extension, KeySpec, SignatureAlgorithm, TbsCertificate};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::{CryptoError, random, x509};
use keystead_store::{Batch, Expect, Haste, Lease, Store, StoreError, Stored};

use super::record::{AUTHORITIES, Authority, CERTIFICATES, Intended, Issued};
use crate::token::Token;
use crate::{App, log};

/// Where intended certificates wait to be completed, should who intended them not do it.
pub(crate) const ISSUE_QUEUE: &str = "pca.issue";

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
    key: String,
    intended: Intended,
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
    let serial = fresh_serial()?;
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

pub(super) fn fresh_serial() -> Result<Serial> {
    Serial::from_random(random::bytes()?).ok_or_else(|| {
        Error::new(
            ErrorKind::Internal,
            "the random generator gave nothing but zeros",
        )
    })
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
    // Also of a certificate that is no longer kept.
    batch.expect(log::PLACES, key.as_str(), Expect::Absent);
    batch.enqueue(ISSUE_QUEUE, key.as_str(), due, &intended);
    Intent {
        serial: prepared.serial,
        key,
        intended,
    }
}

/// Signs what was intended, compares, stores, in this haste.
pub(super) async fn complete(
    app: &App,
    authority: &Authority,
    intent: Intent,
    haste: Haste,
) -> Result<Issued> {
    let mut batch = Batch::new();
    batch.cancel(ISSUE_QUEUE, intent.key.as_str());
    sign_and_store(app, authority, &intent.key, intent.intended, (batch, haste)).await
}

/// Completes what the item of this lease intends, and settles the lease with it.
pub(super) async fn complete_leased(app: &App, authority: &Authority, lease: &Lease) -> Result<()> {
    let mut batch = Batch::new();
    batch.finish(lease);
    let with = (batch, Haste::Now);
    sign_and_store(app, authority, lease.id(), lease.payload()?, with).await?;
    Ok(())
}

/// The certificate with this record key. One that was only intended is completed first: whoever asks
/// for it has been told its name.
pub(super) async fn issued(
    app: &App,
    authority: &Authority,
    key: &str,
) -> Result<Option<Stored<Issued>>> {
    if let Some(found) = app.store.get(CERTIFICATES, key).await? {
        return Ok(Some(found));
    }
    if let Some(intended) = app.store.queued::<Intended>(ISSUE_QUEUE, key).await? {
        // Most likely it is signed, and waits for its turn at the disk.
        app.store.flush().await?;
        if let Some(found) = app.store.get(CERTIFICATES, key).await? {
            return Ok(Some(found));
        }
        let mut batch = Batch::new();
        batch.cancel(ISSUE_QUEUE, key);
        sign_and_store(app, authority, key, intended.value, (batch, Haste::Now)).await?;
    }
    // Whoever was issuing may have completed it between the looks.
    Ok(app.store.get(CERTIFICATES, key).await?)
}

/// Signs an intended certificate and stores it under `key`, together with `batch`. Where somebody else
/// was quicker, theirs is the certificate.
async fn sign_and_store(
    app: &App,
    authority: &Authority,
    key: &str,
    intended: Intended,
    (mut batch, haste): (Batch, Haste),
) -> Result<Issued> {
    let (tbs, algorithm) = (&intended.tbs, intended.signature);
    let signature = app.keys.sign(&authority.key, algorithm, tbs).await?;
    let certificate = x509::assemble(tbs, algorithm, &signature)?;
    compare(authority, algorithm, tbs, &signature, &certificate)?;
    let issued = Issued {
        certificate,
        issuer: intended.issuer,
        partition: intended.partition,
        issued_at: intended.issued_at,
        not_before: intended.not_before,
        not_after: intended.not_after,
        revocation: None,
        template: intended.template,
        requested_by: intended.requested_by,
    };
    batch.put(CERTIFICATES, key, &issued, Expect::Absent);
    log::issued(&mut batch, key, &issued.certificate);
    match app.store.commit_with(batch, haste).await {
        Ok(_) => Ok(issued),
        Err(StoreError::Conflict { .. } | StoreError::LeaseLost { .. }) => {
            let theirs = app.store.get::<Issued>(CERTIFICATES, key).await?;
            theirs.map(|stored| stored.value).ok_or_else(|| {
                Error::new(
                    ErrorKind::ConcurrentModification,
                    "The certificate was changed while it was issued.",
                )
            })
        }
        Err(error) => Err(error.into()),
    }
}

fn compare(
    authority: &Authority,
    algorithm: SignatureAlgorithm,
    tbs: &[u8],
    signature: &[u8],
    certificate: &[u8],
) -> Result<()> {
    if lint::signed_part(certificate) != Some(tbs) {
        return Err(Error::new(
            ErrorKind::Internal,
            "the assembled certificate does not hold the bytes that were to be signed",
        ));
    }
    if authority.key.spec() == KeySpec::EcP256 {
        return Ok(());
    }
    compare_signature(
        &authority.spki,
        algorithm,
        tbs,
        signature,
        "a new certificate",
    )
}

/// Refuses a signature that was just made, of `what`, and does not verify.
pub(super) fn compare_signature(
    spki: &[u8],
    algorithm: SignatureAlgorithm,
    signed: &[u8],
    signature: &[u8],
    what: &str,
) -> Result<()> {
    x509::verify_signature(spki, algorithm, signed, signature).map_err(|fault| {
        Error::new(
            ErrorKind::Internal,
            format!("the signature of {what} does not verify ({fault}); suspect the machine's memory or processor"),
        )
    })
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
