//! From a stored request, or a certificate that is due, to a version that is served: the steps of
//! `keystead_core::acm`'s machine, carried out.
//!
//! [`reconcile`] is the whole of it, for the first time, for a renewal and after a crash alike. Each
//! pass reads the record, does what [`Certificate::next`] says, and commits that under the condition
//! that nobody changed the record meanwhile; two reconcilers at the same time do work twice, never
//! harm.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use keystead_core::acm::issuance::{self, Evidence};
use keystead_core::acm::{Certificate, Facts, Failure, Next, State, schedule};
use keystead_core::x509::KeySpec;
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::random;
use keystead_crypto::x509::{self, pem};
use keystead_store::{Batch, Expect};

use super::expiry;
use super::reading::facts_of;
use super::record::{Loaded, MATERIAL, Material, material, material_key};
use crate::App;
use crate::pca::internal::{self, AcmRequest};

/// What [`reconcile`] found.
pub(super) enum Found {
    /// The certificate was deleted.
    Nothing,
    /// Its time had not come; nothing was done.
    Early(Box<Loaded>),
    /// What was due was done; the queue has its next time.
    Due,
}

/// Does for the certificate with this key all that is due now.
pub(super) async fn reconcile(app: &Arc<App>, key: &str) -> Result<Found> {
    for pass in 0..MAX_PASSES {
        let Some(mut found) = Loaded::read(&app.store, key).await? else {
            return Ok(Found::Nothing);
        };
        let now = app.env.now();
        let done = match found.certificate.next(now) {
            Next::Wait if pass == 0 => return Ok(Found::Early(Box::new(found))),
            Next::Wait => return Ok(Found::Due),
            Next::Elapse => {
                found.certificate.elapse(now);
                if found.certificate.state == State::Expired {
                    expiry::announce_end(app, key, &found.certificate).await?;
                }
                save(app, found, Batch::new()).await
            }
            Next::MakeKey { version } => make_key(app, found, version, now).await,
            Next::Issue { version } => issue(app, found, version, now).await,
        };
        match done {
            Err(error) if error.kind == ErrorKind::ConcurrentModification => {}
            done => done?,
        }
    }
    Err(Error::new(
        ErrorKind::Unavailable,
        format!("certificate {key} was changed by others during each of {MAX_PASSES} passes"),
    ))
}

/// As [`reconcile`], within a call that has stored already what is asked for: what can't be done now
/// is left to the due-queue.
pub(super) async fn at_once(app: &Arc<App>, key: &str) {
    if let Err(error) = reconcile(app, key).await {
        tracing::warn!(certificate = key, %error, "a certificate will be issued later");
    }
}

/// When the due-queue takes over what a call began now.
pub(super) fn after_this_call(now: Timestamp) -> Timestamp {
    schedule::after(now, CALL)
}

/// A new key of this kind.
pub(super) async fn prepare(app: &App, spec: KeySpec) -> Result<Material> {
    let new = app.keys.generate(spec).await?;
    Ok(Material {
        key: new.key,
        spki: new.spki_der,
        certificate: None,
        chain: None,
    })
}

async fn save(app: &App, found: Loaded, mut batch: Batch) -> Result<()> {
    found.save(&mut batch);
    app.store.commit(batch).await?;
    Ok(())
}

async fn make_key(app: &App, mut found: Loaded, version: u64, now: Timestamp) -> Result<()> {
    let Some(spec) = found.certificate.key_algorithm.requestable() else {
        return Err(broken(&found.certificate, "its kind of key can't be made"));
    };
    let material = match found.certificate.kept_key() {
        Some(current) => Material {
            certificate: None,
            chain: None,
            ..material(&app.store, found.key(), current).await?
        },
        None => prepare(app, spec).await?,
    };
    found.certificate.key_stored(version, now);
    let mut batch = Batch::new();
    batch.put(
        MATERIAL,
        material_key(found.key(), version),
        &material,
        Expect::Absent,
    );
    save(app, found, batch).await
}

/// Asks the CA for the version under way, checks its answer, and serves it or takes note of why not.
async fn issue(app: &Arc<App>, mut found: Loaded, version: u64, now: Timestamp) -> Result<()> {
    let mut material = material(&app.store, found.key(), version).await?;
    let random = u64::from_le_bytes(random::bytes()?);
    let mut batch = Batch::new();
    match ask(app, &found, version, &material).await {
        Ok(answer) => match check(&found.certificate, &answer, &material, now) {
            Ok(facts) => {
                material.certificate = Some(answer.certificate);
                material.chain = Some(answer.chain);
                batch.put(
                    MATERIAL,
                    material_key(found.key(), version),
                    &material,
                    Expect::Any,
                );
                found.certificate.issued(facts, answer.arn, now, random)?;
            }
            Err(why) => {
                tracing::error!(
                    certificate = found.certificate.arn,
                    version,
                    why,
                    "an issued certificate is not what was asked for and won't be served"
                );
                found.certificate.rejected(now, random);
            }
        },
        Err(error) => {
            tracing::warn!(certificate = found.certificate.arn, version, %error, "no certificate was issued");
            let failure = Failure::of_authority(error.kind);
            found.certificate.refused(failure, now, random);
        }
    }
    save(app, found, batch).await
}

/// What a CA answered, in PEM whose every line ends in a line feed, so that the parts can be joined.
struct Answer {
    arn: String,
    certificate: String,
    chain: String,
}

/// Asks whoever issues certificates of this origin. Asked again about the same version, it answers the
/// same certificate.
async fn ask(app: &App, found: &Loaded, version: u64, material: &Material) -> Result<Answer> {
    match found.certificate.asked_authority() {
        Some(authority) => ask_private(app, found, authority, version, material).await,
        // The place of the second issuer: an ACME client, once the names are validated.
        None => Err(broken(
            &found.certificate,
            "it has a version under way that nobody issues",
        )),
    }
}

async fn ask_private(
    app: &App,
    found: &Loaded,
    authority: &str,
    version: u64,
    material: &Material,
) -> Result<Answer> {
    let certificate = &found.certificate;
    let (account, region, id) = found.place()?;
    let (subject, sans) = issuance::request(&certificate.names);
    let request = AcmRequest {
        subject,
        sans,
        spki_der: material.spki.clone(),
        validity_days: schedule::PRIVATE_VALIDITY_DAYS,
        needs_grant: certificate.current.is_some(),
        idempotency_token: format!("{id}/{version}"),
    };
    let issued = internal::issue_for_acm(app, &account, &region, authority, &request).await?;
    Ok(Answer {
        arn: format!("{authority}/certificate/{}", issued.serial.replace(':', "")),
        certificate: with_line_feed(issued.pem),
        chain: with_line_feed(issued.chain_pem),
    })
}

/// What the certificate says, if it is the one that was asked for.
fn check(
    certificate: &Certificate,
    answer: &Answer,
    material: &Material,
    now: Timestamp,
) -> Result<Facts, &'static str> {
    const UNREADABLE: &str = "it can't be read";
    let leaf = x509::Certificate::parse(answer.certificate.as_bytes()).map_err(|_| UNREADABLE)?;
    let facts = facts_of(&leaf).ok_or(UNREADABLE)?;
    let chain = pem::certificates(answer.chain.as_bytes()).map_err(|_| UNREADABLE)?;
    let chain: Result<Vec<_>, _> = chain
        .iter()
        .map(|der| x509::Certificate::from_der(der))
        .collect();
    let chain = chain.map_err(|_| UNREADABLE)?;
    let evidence = Evidence {
        key_matches: leaf.certifies(&material.spki).is_ok(),
        chain_verifies: x509::verify_chain(&leaf, &chain, now.as_second()).is_ok(),
    };
    issuance::check(certificate, &facts, evidence, now)?;
    Ok(facts)
}

fn with_line_feed(mut pem: String) -> String {
    if !pem.ends_with('\n') {
        pem.push('\n');
    }
    pem
}

fn broken(certificate: &Certificate, why: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("certificate {}: {why}", certificate.arn),
    )
}

/// A renewal takes three passes (key, certificate, nothing more to do); as many again may be lost to
/// others who change the certificate at the same time.
const MAX_PASSES: u32 = 8;

/// Longer than a call takes to issue what it asked for, so that the due-queue doesn't do the same at
/// the same time; a crash in between delays the certificate by as much.
const CALL: SignedDuration = SignedDuration::from_secs(10);
