//! Answers of an OCSP responder (RFC 6960 section 4.2): what an answer must satisfy before it is signed.
//!
//! The rules judge the exact bytes that would be signed, and know what was asked.

use super::der::{self, Fault, Reader, Tlv};
use super::facts::Time;
use super::{Finding, found, none, one, require, time};

/// What is known of who is going to sign an answer, and of what was asked.
#[derive(Clone, Copy, Debug)]
pub struct OcspSigner<'a> {
    /// SHA-1 of its public key (RFC 6960 section 4.2.1, `KeyHash`).
    pub key_hash: &'a [u8],
    /// First second of its certificate's validity (Unix time).
    pub not_before: i64,
    /// Last second of its certificate's validity (Unix time).
    pub not_after: i64,
    /// DER of the CertIDs that were asked for, in their order.
    pub asked: &'a [&'a [u8]],
    /// The nonce of the request.
    pub nonce: Option<&'a [u8]>,
}

/// Judges the DER of a ResponseData that is about to be signed; answers every rule it breaks.
pub fn lint_ocsp_data(der: &[u8], signer: &OcspSigner<'_>) -> Result<(), Vec<Finding>> {
    let facts =
        Facts::read(der, signer).map_err(|fault| one(STRUCTURE, format!("the answer {fault}")))?;
    none(found(RULES.iter().map(|(rule, check)| (*rule, check(&facts)))).collect())
}

pub(super) type Check = fn(&Facts<'_>) -> Result<(), String>;

pub(super) const RULES: &[(&str, Check)] = &[
    ("rfc6960_4_2_1_canonical", canonical),
    ("rfc6960_4_2_1_version_left_out", version),
    ("rfc6960_4_2_1_responder_id", responder_id),
    ("rfc6960_4_2_1_times_encoded", times_encoded),
    ("rfc6960_4_2_1_what_was_asked", what_was_asked),
    ("rfc6960_4_2_1_status", status),
    ("rfc6960_4_2_2_1_order_of_times", order_of_times),
    ("rfc6960_4_2_2_2_within_signer_validity", within_signer),
    ("rfc6960_4_4_1_nonce", nonce),
];

/// RFC 6960 section 4.2.1: the bytes are a ResponseData at all.
pub(super) const STRUCTURE: &str = "rfc6960_4_2_1_structure";

/// Everything the rules look at.
pub(super) struct Facts<'a> {
    signing: &'a OcspSigner<'a>,
    data: &'a [u8],
    version: Option<Tlv<'a>>,
    responder: Tlv<'a>,
    produced_at: Tlv<'a>,
    answers: Vec<Answer<'a>>,
    extensions: Vec<Extension<'a>>,
}

/// Type, criticality and value.
type Extension<'a> = (&'a [u8], bool, &'a [u8]);

struct Answer<'a> {
    id: &'a [u8],
    status: Tlv<'a>,
    /// Of a revoked certificate.
    revoked_at: Option<Tlv<'a>>,
    /// DER of the reason.
    reason: Option<&'a [u8]>,
    this_update: Tlv<'a>,
    next_update: Option<Tlv<'a>>,
}

impl<'a> Facts<'a> {
    fn read(data: &'a [u8], signing: &'a OcspSigner<'a>) -> Result<Self, Fault> {
        let mut outer = Reader(data);
        let mut fields = outer.take(der::SEQUENCE)?.inside();
        outer.end()?;
        let version = fields.optional(der::explicit(0))?;
        let responder = fields.next()?.ok_or("names no responder")?;
        let produced_at = fields.take(der::GENERALIZED_TIME)?;
        let mut list = fields.take(der::SEQUENCE)?.inside();
        let mut answers = Vec::new();
        while !list.is_empty() {
            answers.push(answer(list.take(der::SEQUENCE)?)?);
        }
        let extensions = match fields.optional(der::explicit(1))? {
            Some(wrapped) => extensions(wrapped)?,
            None => Vec::new(),
        };
        fields.end()?;
        Ok(Self {
            signing,
            data,
            version,
            responder,
            produced_at,
            answers,
            extensions,
        })
    }
}

fn answer(tlv: Tlv<'_>) -> Result<Answer<'_>, Fault> {
    let mut fields = tlv.inside();
    let id = fields.take(der::SEQUENCE)?.raw;
    let status = fields.next()?.ok_or("has an answer without a status")?;
    let (mut revoked_at, mut reason) = (None, None);
    if status.tag == REVOKED {
        let mut info = status.inside();
        revoked_at = Some(info.take(der::GENERALIZED_TIME)?);
        reason = info.optional(der::explicit(0))?.map(|tlv| tlv.content);
        info.end()?;
    }
    let this_update = fields.take(der::GENERALIZED_TIME)?;
    let next_update = match fields.optional(der::explicit(0))? {
        Some(wrapped) => {
            let mut inside = wrapped.inside();
            let time = inside.take(der::GENERALIZED_TIME)?;
            inside.end()?;
            Some(time)
        }
        None => None,
    };
    fields.end()?;
    Ok(Answer {
        id,
        status,
        revoked_at,
        reason,
        this_update,
        next_update,
    })
}

fn extensions(wrapped: Tlv<'_>) -> Result<Vec<Extension<'_>>, Fault> {
    let mut outer = wrapped.inside();
    let mut list = outer.take(der::SEQUENCE)?.inside();
    outer.end()?;
    let mut all = Vec::new();
    while !list.is_empty() {
        let mut fields = list.take(der::SEQUENCE)?.inside();
        let oid = fields.take(der::OID)?.content;
        let critical = fields.optional(der::BOOLEAN)?.is_some();
        let value = fields.take(der::OCTET_STRING)?.content;
        fields.end()?;
        all.push((oid, critical, value));
    }
    Ok(all)
}

fn canonical(facts: &Facts<'_>) -> Result<(), String> {
    let inner = facts.extensions.iter().map(|(_, _, value)| *value);
    for der in std::iter::once(facts.data).chain(inner) {
        der::canonical(der).map_err(|fault| format!("the answer {fault}"))?;
    }
    Ok(())
}

/// A default is not written (X.690 section 11.5).
fn version(facts: &Facts<'_>) -> Result<(), String> {
    require(facts.version.is_none(), || {
        "the version is written although it is the default".into()
    })
}

/// By the hash of the key that is going to sign: names are long, and need not be its own.
fn responder_id(facts: &Facts<'_>) -> Result<(), String> {
    let mut inside = facts.responder.inside();
    let hash = inside.take(der::OCTET_STRING).map(|tlv| tlv.content);
    let named = facts.responder.tag == der::explicit(2)
        && facts.signing.key_hash.len() == SHA1_OCTETS
        && hash == Ok(facts.signing.key_hash);
    require(named && inside.is_empty(), || {
        "the responder is not named by the hash of its key".into()
    })
}

/// RFC 6960 section 4.2.1 with RFC 5280 section 4.1.2.5.2: GeneralizedTime with seconds, without fractions, in UTC.
fn times_encoded(facts: &Facts<'_>) -> Result<(), String> {
    let answers = facts.answers.iter().flat_map(|answer| {
        let given = answer.revoked_at.iter().chain(&answer.next_update);
        given.chain([&answer.this_update])
    });
    let mut all = answers.chain([&facts.produced_at]);
    require(all.all(|tlv| seconds(tlv).is_some()), || {
        "a time is not written as YYYYMMDDHHMMSSZ".into()
    })
}

fn seconds(tlv: &Tlv<'_>) -> Option<i64> {
    time::unix(Time {
        tag: tlv.tag,
        text: tlv.content,
    })
}

/// RFC 6960 section 4.2.2.3: one answer for each certificate that was asked for.
fn what_was_asked(facts: &Facts<'_>) -> Result<(), String> {
    let answered = facts.answers.iter().map(|answer| answer.id);
    let asked = facts.signing.asked;
    require(
        !asked.is_empty() && answered.eq(asked.iter().copied()),
        || "the answers are not for the certificates that were asked for".into(),
    )
}

/// RFC 6960 section 4.2.1, `CertStatus`; RFC 5280 section 5.3.1 for reasons.
fn status(facts: &Facts<'_>) -> Result<(), String> {
    let known = |answer: &Answer<'_>| match answer.status.tag {
        GOOD | UNKNOWN => answer.status.content.is_empty(),
        REVOKED => matches!(answer.reason, None | Some([0x0a, 1, 1..=6 | 9 | 10])),
        _ => false,
    };
    require(facts.answers.iter().all(known), || {
        "a status is not good, revoked (for a reason that can be stated) or unknown".into()
    })
}

/// RFC 6960 section 4.2.2.1: what is answered is known by then, and holds for a while; and what is revoked was revoked
/// before.
fn order_of_times(facts: &Facts<'_>) -> Result<(), String> {
    let produced = seconds(&facts.produced_at);
    let ordered = |answer: &Answer<'_>| {
        let this = seconds(&answer.this_update);
        let next = answer.next_update.as_ref().and_then(seconds);
        let revoked = answer.revoked_at.as_ref().and_then(seconds);
        this <= produced && next > produced && revoked <= produced
    };
    require(facts.answers.iter().all(ordered), || {
        "an answer is for a time that has not come, or does not say until when it holds".into()
    })
}

/// An answer that outlives the certificate of who signed it is refused by whoever checks both (RFC 6960 section 4.2.2.2).
fn within_signer(facts: &Facts<'_>) -> Result<(), String> {
    let lasts = |answer: &Answer<'_>| {
        let next = answer.next_update.as_ref().and_then(seconds);
        next.is_none_or(|next| next <= facts.signing.not_after)
    };
    let begun = seconds(&facts.produced_at) >= Some(facts.signing.not_before);
    require(begun && facts.answers.iter().all(lasts), || {
        "an answer is not within the validity of the certificate of who signs it".into()
    })
}

/// RFC 6960 section 4.4.1 and RFC 9654 section 2.1: the nonce that was sent, and no other extension.
fn nonce(facts: &Facts<'_>) -> Result<(), String> {
    let sent = match facts.extensions.as_slice() {
        [] => Some(None),
        [(NONCE, false, value)] => {
            let mut inside = Reader(value);
            let sent = inside.take(der::OCTET_STRING).map(|tlv| tlv.content);
            sent.ok().filter(|_| inside.is_empty()).map(Some)
        }
        _ => None,
    };
    require(sent == Some(facts.signing.nonce), || {
        "the nonce is not the one that was sent, or there is another extension".into()
    })
}

/// CertStatus, `[0] IMPLICIT NULL`.
const GOOD: u8 = der::implicit(0);
/// CertStatus, `[1] IMPLICIT RevokedInfo`.
const REVOKED: u8 = der::explicit(1);
/// CertStatus, `[2] IMPLICIT NULL`.
const UNKNOWN: u8 = der::implicit(2);

/// id-pkix-ocsp-nonce, 1.3.6.1.5.5.7.48.1.2.
const NONCE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 2];

const SHA1_OCTETS: usize = 20;
