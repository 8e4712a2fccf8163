//! The OCSP responder (RFC 6960, RFC 5019).
//!
//! Answers without a nonce are signed once and kept for half of the time that they hold. That nothing kept outlives a
//! revocation is seen by a count: it grows, before the revocation is answered, with every entry of a list; an answer that
//! was kept under another count is only given after the certificate was read again.
//!
//! Whoever asks costs a signature at most, and only so many are made at a time: who comes when all are busy is told to try
//! later. Answers are public, and so is asking: there is no caller, no decision and no audit event.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use keystead_core::lint::{OcspSigner, lint_ocsp_data, listed};
use keystead_core::pca::Serial;
use keystead_core::x509::KeySpec;
use keystead_core::{Error, ErrorKind, Result, hex};
use keystead_crypto::CryptoError;
use keystead_crypto::ocsp::{
    CertId, HashAlgorithm, OcspAnswer, OcspData, OcspRefusal, OcspRequest, OcspStatus,
    encode_response, encode_response_data, refusal,
};
use keystead_store::{Batch, ChangeCount, Collection, Expect, Store, Stored, Versioned};
use lru::LruCache;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::record::REVOKED;
use super::signer::{self, Certified, SIGNERS, Signers};
use super::{SIGNER_QUEUE, left_behind};
use crate::App;
use crate::pca::complete::{compare_signature, issued};
use crate::pca::record::{AUTHORITIES, Authority};

/// Authorities that answer, by the hash of their key in hexadecimal: of each algorithm, one record.
pub(in super::super) const ISSUERS: Collection = Collection("pca.ocsp-issuer");

/// Whose key it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Issuer {
    /// The record key of the authority.
    authority: String,
}

impl Versioned for Issuer {
    const MARKER: &'static str = "pca.ocsp-issuer/1";
}

/// What the responder says.
#[derive(Clone, Debug)]
pub struct OcspReply {
    /// DER of the OCSPResponse.
    pub der: Bytes,
    /// From when to when it holds (Unix time), where it may be kept and given to others.
    pub holds: Option<(i64, i64)>,
}

/// What the responder keeps in memory.
pub(crate) struct Responder {
    answers: Mutex<LruCache<Vec<u8>, Kept>>,
    authorities: Mutex<LruCache<Vec<u8>, Arc<Answering>>>,
    revocations: ChangeCount,
    changes: ChangeCount,
    pub(in super::super) room: Semaphore,
}

/// An answer that was given before.
struct Kept {
    /// The counts under which it was made.
    at: (u64, u64),
    status: OcspStatus,
    reply: OcspReply,
}

/// An authority that answers.
struct Answering {
    /// The count of changes under which it was read.
    at: u64,
    key: String,
    authority: Authority,
    signer: Certified,
    /// SHA-1 of the signer's key.
    key_hash: Vec<u8>,
}

impl Responder {
    pub(crate) fn new(store: &Store) -> Self {
        Self {
            answers: Mutex::new(LruCache::new(ANSWERS)),
            authorities: Mutex::new(LruCache::new(ANSWERING)),
            revocations: store.count_changes(&[REVOKED]),
            changes: store.count_changes(&[AUTHORITIES, SIGNERS]),
            room: Semaphore::new(SIGNATURES),
        }
    }

    fn counts(&self) -> (u64, u64) {
        (self.revocations.get(), self.changes.get())
    }

    /// An answer that was kept and holds still.
    fn kept(&self, id: &CertId, now: i64) -> Option<OcspReply> {
        let mut answers = self.answers.lock();
        let kept = answers.get(&id.der)?;
        (kept.at == self.counts() && is_fresh(&kept.reply, now)).then(|| kept.reply.clone())
    }

    /// An answer that was kept under other counts, if it says the same and the signer is the same.
    fn renewed(
        &self,
        id: &CertId,
        at: (u64, u64),
        status: OcspStatus,
        now: i64,
    ) -> Option<OcspReply> {
        let mut answers = self.answers.lock();
        let kept = answers.get_mut(&id.der)?;
        let same = kept.status == status && kept.at.1 == at.1 && is_fresh(&kept.reply, now);
        same.then(|| {
            kept.at = at;
            kept.reply.clone()
        })
    }

    fn keep(&self, id: &CertId, at: (u64, u64), status: OcspStatus, reply: &OcspReply) {
        let kept = Kept {
            at,
            status,
            reply: reply.clone(),
        };
        self.answers.lock().put(id.der.clone(), kept);
    }
}

/// Whether half of the time that an answer holds is still to come.
fn is_fresh(reply: &OcspReply, now: i64) -> bool {
    reply
        .holds
        .is_some_and(|(from, until)| from <= now && now - from < until - now)
}

/// Makes sure that the responder knows the authority and that somebody can sign its answers.
pub(super) async fn open(app: &App, authority: &Stored<Authority>) -> Result<()> {
    let key = authority.key.as_str();
    let issuer = Issuer {
        authority: key.to_owned(),
    };
    let mut batch = Batch::new();
    for hash in HashAlgorithm::ALL {
        let name = hex(&hash.hash_key(&authority.value.spki)?);
        batch.put(ISSUERS, name, &issuer, Expect::Any);
    }
    batch.enqueue(SIGNER_QUEUE, key, left_behind(app.env.now()), &());
    app.store.commit(batch).await?;
    if let Err(error) = signer::renew(app, key).await {
        tracing::warn!(authority = key, %error, "who signs OCSP answers is made later");
    }
    Ok(())
}

/// Takes an authority that is gone out of the responder's books.
pub(in super::super) fn close(batch: &mut Batch, authority: &Stored<Authority>) -> Result<()> {
    for hash in HashAlgorithm::ALL {
        let name = hex(&hash.hash_key(&authority.value.spki)?);
        batch.delete(ISSUERS, name, Expect::Any);
    }
    batch.delete(SIGNERS, authority.key.as_str(), Expect::Any);
    batch.cancel(SIGNER_QUEUE, authority.key.as_str());
    Ok(())
}

/// Answers a request, whatever it is.
pub async fn answer(app: &App, request: &[u8]) -> OcspReply {
    let request = match OcspRequest::parse(request) {
        Ok(request) => request,
        // An issuer that is named by a hash that is not known here is not one of ours.
        Err(CryptoError::Unsupported(_)) => return refused(OcspRefusal::Unauthorized),
        Err(_) => return refused(OcspRefusal::MalformedRequest),
    };
    let now = app.env.now().as_second();
    if let ([one], None) = (request.asked.as_slice(), &request.nonce)
        && let Some(reply) = app.responder.kept(one, now)
    {
        count("kept");
        return reply;
    }
    // Whoever is told to try later costs nothing but that.
    let Ok(_room) = app.responder.room.try_acquire() else {
        return refused(OcspRefusal::TryLater);
    };
    match look_up(app, &request, now).await {
        Ok(Some(reply)) => reply,
        Ok(None) => refused(OcspRefusal::Unauthorized),
        Err(error) if error.kind == ErrorKind::Unavailable => refused(OcspRefusal::TryLater),
        Err(error) => {
            tracing::error!(%error, "an OCSP request can't be answered");
            refused(OcspRefusal::InternalError)
        }
    }
}

/// Counts one request.
fn count(how: &'static str) {
    metrics::counter!("keystead_ocsp_total", "how" => how).increment(1);
}

fn refused(why: OcspRefusal) -> OcspReply {
    count(match why {
        OcspRefusal::MalformedRequest => "malformed",
        OcspRefusal::InternalError => "failed",
        OcspRefusal::TryLater => "try later",
        OcspRefusal::Unauthorized => "unauthorized",
    });
    OcspReply {
        der: refusal(why).into(),
        holds: None,
    }
}

/// Answers what is not kept; `None` where one of those that were asked about has an issuer for whom nobody here answers,
/// or another one than the first.
async fn look_up(app: &App, request: &OcspRequest, now: i64) -> Result<Option<OcspReply>> {
    let at = app.responder.counts();
    let Some(first) = request.asked.first() else {
        return Ok(None);
    };
    let Some(answering) = answering(app, first, at.1).await? else {
        return Ok(None);
    };
    let mut statuses = Vec::with_capacity(request.asked.len());
    for id in &request.asked {
        if !answering.is_issuer(id)? {
            return Ok(None);
        }
        statuses.push(status(app, &answering, id).await?);
    }
    // What is known of a certificate that was never issued changes when it is issued, which nothing here counts.
    let may_keep = match (
        request.asked.as_slice(),
        &request.nonce,
        statuses.as_slice(),
    ) {
        ([id], None, [status]) if *status != OcspStatus::Unknown => Some((id, *status)),
        _ => None,
    };
    if let Some((id, status)) = may_keep
        && let Some(reply) = app.responder.renewed(id, at, status, now)
    {
        count("kept");
        return Ok(Some(reply));
    }
    let mut reply = sign(app, &answering, request, &statuses, now).await?;
    count("signed");
    match may_keep {
        Some((id, status)) => app.responder.keep(id, at, status, &reply),
        None => reply.holds = None,
    }
    Ok(Some(reply))
}

/// The authority that this certificate's issuer is, if it answers.
async fn answering(app: &App, id: &CertId, at: u64) -> Result<Option<Arc<Answering>>> {
    if let Some(known) = app.responder.authorities.lock().get(&id.key_hash)
        && known.at == at
    {
        return Ok(Some(Arc::clone(known)));
    }
    let name = hex(&id.key_hash);
    let Some(issuer) = app.store.get::<Issuer>(ISSUERS, &name).await? else {
        return Ok(None);
    };
    let key = issuer.value.authority;
    let Some(authority) = app.store.get::<Authority>(AUTHORITIES, &key).await? else {
        return Ok(None);
    };
    let found = app.store.get::<Signers>(SIGNERS, &key).await?;
    let signer = found.and_then(|found| found.value.current).ok_or_else(|| {
        Error::new(
            ErrorKind::Unavailable,
            "nobody can sign OCSP answers just now",
        )
    })?;
    let answering = Arc::new(Answering {
        at,
        key,
        authority: authority.value,
        key_hash: HashAlgorithm::Sha1.hash_key(&signer.signer.spki)?,
        signer,
    });
    let mut authorities = app.responder.authorities.lock();
    authorities.put(id.key_hash.clone(), Arc::clone(&answering));
    Ok(Some(answering))
}

impl Answering {
    /// Whether this certificate's issuer is this authority, by its key and its name.
    fn is_issuer(&self, id: &CertId) -> Result<bool> {
        let subject = &self.authority.ca.working_under()?.subject_der;
        let key = id.hash.hash_key(&self.authority.spki)?;
        Ok(key == id.key_hash && id.hash.hash(subject) == id.name_hash)
    }
}

/// How a certificate stands. One that was promised is issued first.
async fn status(app: &App, answering: &Answering, id: &CertId) -> Result<OcspStatus> {
    let Some(serial) = Serial::parse(&hex(&id.serial)) else {
        return Ok(OcspStatus::Unknown);
    };
    let key = format!("{}/{}", answering.key, serial.hex());
    let found = issued(app, &answering.authority, &key).await?;
    Ok(match found.map(|found| found.value.revocation) {
        None => OcspStatus::Unknown,
        Some(None) => OcspStatus::Good,
        Some(Some(revocation)) => OcspStatus::Revoked {
            at: revocation.at.as_second(),
            reason: revocation.reason as u8,
        },
    })
}

/// Encodes, lints and signs an answer.
async fn sign(
    app: &App,
    answering: &Answering,
    request: &OcspRequest,
    statuses: &[OcspStatus],
    now: i64,
) -> Result<OcspReply> {
    let signer = &answering.signer.signer;
    // By another server's clock a certificate may have been revoked a moment from now.
    let revoked_at = statuses.iter().filter_map(|status| match status {
        OcspStatus::Revoked { at, .. } => Some(*at),
        OcspStatus::Good | OcspStatus::Unknown => None,
    });
    let this_update = revoked_at.fold(now, i64::max);
    let next_update = this_update.saturating_add(HOLDS).min(signer.not_after);
    if next_update <= this_update {
        let text = "the certificate of who signs OCSP answers has expired";
        return Err(Error::new(ErrorKind::Unavailable, text));
    }
    let asked = request.asked.iter().zip(statuses);
    let answers: Vec<_> = asked
        .map(|(id, status)| OcspAnswer {
            id: &id.der,
            status: *status,
            this_update,
            next_update,
        })
        .collect();
    let data = encode_response_data(&OcspData {
        key_hash: &answering.key_hash,
        produced_at: this_update,
        answers: &answers,
        nonce: request.nonce.as_deref(),
    })?;
    lint(answering, request, &data)?;
    let algorithm = signer.algorithm();
    let signature = app.keys.sign(&signer.key, algorithm, &data).await?;
    // As for certificates: `pca::complete` says why not for P-256.
    if signer.key.spec() != KeySpec::EcP256 {
        compare_signature(&signer.spki, algorithm, &data, &signature, "an OCSP answer")?;
    }
    let der = encode_response(&data, algorithm, &signature, &answering.signer.certificate)?;
    Ok(OcspReply {
        der: der.into(),
        holds: Some((this_update, next_update)),
    })
}

fn lint(answering: &Answering, request: &OcspRequest, data: &[u8]) -> Result<()> {
    let signer = &answering.signer.signer;
    let asked: Vec<&[u8]> = request.asked.iter().map(|id| id.der.as_slice()).collect();
    let signing = OcspSigner {
        key_hash: &answering.key_hash,
        not_before: signer.not_before,
        not_after: signer.not_after,
        asked: &asked,
        nonce: request.nonce.as_deref(),
    };
    lint_ocsp_data(data, &signing).map_err(|findings| {
        let broken = listed(&findings);
        let text = format!("an OCSP answer would not be valid: {broken}");
        Error::new(ErrorKind::Internal, text)
    })
}

/// Seconds for which an answer holds. Who staples keeps it that long (nginx for an hour at most), and so long may a revoked
/// certificate pass for good with whoever kept an answer.
const HOLDS: i64 = 3600;

/// Answers that are kept, of about a kilobyte each.
const ANSWERS: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// Authorities whose signer is kept ready, of a few kilobytes each.
const ANSWERING: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// Answers that are being made at a time: enough that neither the store nor the processor is ever idle.
const SIGNATURES: usize = 64;
