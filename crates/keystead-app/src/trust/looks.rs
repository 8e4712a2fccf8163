//! The pages of a roll-over's passes: what is looked at, and what is done on the way.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use keystead_core::trust::{Cross, Leaf, Page, Phase, Replacement, RollOver, Stage};
use keystead_core::{ErrorKind, Result};
use keystead_crypto::digest;
use keystead_crypto::x509::pem;
use keystead_store::{Batch, Stored};

use super::bundle::{Bundle, bundle};
use super::record::place;
use crate::nodes::{NODES, Node, Proof};
use crate::pca::succession;
use crate::{App, acm};

/// Looks through the next page of the stage that the roll-over is at. What it changes is added to `batch`.
pub(super) async fn next_page(
    app: &App,
    roll_over: &mut RollOver,
    batch: &mut Batch,
    now: Timestamp,
) -> Result<Page> {
    match roll_over.stage() {
        Some(Stage::CrossSigning) => cross_sign(app, roll_over, now).await,
        Some(Stage::Trust) => trust(app, roll_over).await,
        Some(Stage::Certificates) => certificates(app, roll_over, batch, now).await,
        Some(Stage::Deliveries) => deliveries(app, roll_over, now).await,
        Some(Stage::Leaves) => leaves(app, roll_over, now).await,
        None => Ok(Page::default()),
    }
}

/// Makes what is missing of the cross-certificates: the new root's key, certified by the old. Not the other way
/// round: whoever trusts the new one would go on to trust the old one's key by it, long after its end.
async fn cross_sign(app: &App, roll_over: &mut RollOver, now: Timestamp) -> Result<Page> {
    for Replacement { old, new } in roll_over.replacements.clone() {
        if roll_over.cross.iter().any(|cross| cross.issuer == old) {
            continue;
        }
        let at = place(roll_over);
        let pem = succession::cross_sign(app, at, &old, &new, &roll_over.id, now).await?;
        roll_over.cross.push(Cross {
            subject: new,
            issuer: old,
            pem,
        });
    }
    Ok(Page::default())
}

/// The next nodes, and whether each uses what it is to trust.
async fn trust(app: &App, roll_over: &RollOver) -> Result<Page> {
    let (nodes, mut page) = nodes(app, roll_over).await?;
    let mut bundles: HashMap<String, Option<Bundle>> = HashMap::new();
    for node in &nodes {
        for arn in &node.value.trust_arns {
            if !bundles.contains_key(arn) {
                let found = bundle(app, &roll_over.account, &roll_over.region, arn).await;
                let found = match found {
                    Ok(found) => Some(found),
                    Err(error)
                        if matches!(
                            error.kind,
                            ErrorKind::NotFound | ErrorKind::InvalidState | ErrorKind::InvalidArn
                        ) =>
                    {
                        None
                    }
                    Err(error) => return Err(error),
                };
                bundles.insert(arn.clone(), found);
            }
            let Some(Some(bundle)) = bundles.get(arn) else {
                continue;
            };
            let concerned = roll_over
                .replacements
                .iter()
                .flat_map(Replacement::both)
                .any(|one| bundle.authorities.iter().any(|trusted| trusted == one));
            if concerned {
                let proof = app.deliveries.proof(&node.value.arn, arn, bundle.version);
                note(&mut page, &node.value, arn, proof);
            }
        }
    }
    Ok(page)
}

/// The next certificates of Certificate Manager: hands over those that are to come from another authority,
/// and counts those that do not yet.
async fn certificates(
    app: &App,
    roll_over: &RollOver,
    batch: &mut Batch,
    now: Timestamp,
) -> Result<Page> {
    let after = roll_over.pass.cursor.as_deref();
    let (found, next) = acm::internal::certificates(app, &prefix(roll_over), after, HANDED).await?;
    let mut page = Page {
        next,
        ..Page::default()
    };
    for mut loaded in found {
        let Some((authority, issued)) = loaded.certificate.issuer(now) else {
            // One that is still asked for goes to the new authority, and holds nothing up.
            let asked = loaded.certificate.private_authority();
            if let Some(to) = asked.and_then(|asked| roll_over.moves_to(asked))
                && loaded.certificate.hand_over(to, now)
            {
                loaded.save(batch);
            }
            continue;
        };
        let arn = &loaded.certificate.arn;
        if let Some(to) = roll_over.moves_to(authority) {
            found_open(&mut page, || {
                format!("the certificate {arn} is being issued by {to}")
            });
            if loaded.certificate.hand_over(to, now) {
                page.moved = page.moved.saturating_add(1);
                loaded.save(batch);
            }
        } else if roll_over.is_destination(authority) && !issued {
            let attempt = loaded.certificate.attempt.as_ref();
            let reason = attempt.and_then(|attempt| attempt.reason);
            let reason = reason.map(|reason| format!(" ({})", reason.as_str()));
            found_open(&mut page, || {
                format!(
                    "the certificate {arn} has not been issued by {authority} yet{}",
                    reason.unwrap_or_default()
                )
            });
        }
    }
    let orders = now.duration_since(roll_over.entered_at) < LAST_ORDERS;
    if roll_over.phase == Phase::Retiring && orders {
        found_open(&mut page, || {
            "the old authorities are finishing what they were asked for last".into()
        });
    }
    Ok(page)
}

/// The next nodes, and whether each serves what was issued anew.
async fn deliveries(app: &App, roll_over: &RollOver, now: Timestamp) -> Result<Page> {
    let (nodes, mut page) = nodes(app, roll_over).await?;
    for node in &nodes {
        for arn in &node.value.certificate_arns {
            let (account, region) = (&roll_over.account, &roll_over.region);
            let served = acm::internal::served(app, account, region, arn, now).await?;
            let Some((authority, version)) = served else {
                continue;
            };
            if roll_over.is_destination(&authority) {
                let proof = app.deliveries.proof(&node.value.arn, arn, version);
                note(&mut page, &node.value, arn, proof);
            }
        }
    }
    Ok(page)
}

/// The next certificates of the old authority that the stage is at, and which of them lives longest.
/// Certificates of authorities that go as well, and cross-certificates, keep nobody trusted.
async fn leaves(app: &App, roll_over: &RollOver, now: Timestamp) -> Result<Page> {
    let Some(Replacement { old, .. }) = roll_over.replacement() else {
        return Ok(Page::default());
    };
    let after = roll_over.pass.cursor.as_deref();
    let (living, next) = succession::living(app, old, after, LOOKED, now).await?;
    let mut ending = Vec::new();
    if !living.is_empty() {
        for replacement in &roll_over.replacements {
            let at = place(roll_over);
            ending.extend(succession::own_fingerprint(app, at, &replacement.old).await?);
        }
        for cross in &roll_over.cross {
            let certificates = cross.pem.as_deref().map(str::as_bytes);
            let certificates = certificates.map(pem::certificates).transpose();
            for der in certificates.ok().flatten().unwrap_or_default() {
                ending.push(digest::sha256(&der).to_vec());
            }
        }
    }
    let leaf = living
        .into_iter()
        .filter(|one| !ending.iter().any(|other| other == &one.fingerprint))
        .max_by_key(|one| one.not_after)
        .map(|one| Leaf {
            key: one.key,
            not_after: one.not_after,
        });
    Ok(Page {
        leaf,
        next,
        ..Page::default()
    })
}

/// The next nodes of the account and region, and the page that they are.
async fn nodes(app: &App, roll_over: &RollOver) -> Result<(Vec<Stored<Node>>, Page)> {
    let after = roll_over.pass.cursor.as_deref();
    let prefix = prefix(roll_over);
    let found = app
        .store
        .scan::<Node>(NODES, &prefix, after, LOOKED)
        .await?;
    let last = found.last().filter(|_| found.len() == LOOKED);
    let page = Page {
        next: last.map(|last| last.key.clone()),
        ..Page::default()
    };
    Ok((found, page))
}

fn note(page: &mut Page, node: &Node, resource: &str, proof: Proof) {
    let name = &node.name;
    match proof {
        Proof::Given => {}
        Proof::Behind => found_open(page, || {
            format!("the node {name} has not confirmed the newest {resource} yet")
        }),
        Proof::Refused => found_open(page, || {
            format!("the node {name} refused the newest {resource}")
        }),
        Proof::Away => found_open(page, || {
            format!(
                "the node {name}, which uses {resource}, is not connected; start it, or deregister it if it is gone"
            )
        }),
    }
}

fn found_open(page: &mut Page, say: impl FnOnce() -> String) {
    page.open = page.open.saturating_add(1);
    if page.example.is_none() {
        page.example = Some(say());
    }
}

fn prefix(roll_over: &RollOver) -> String {
    format!("{}/{}/", roll_over.account, roll_over.region)
}

/// Certificates that are handed over in one commit: each takes a key and a signature, and the next page
/// is due as soon as this one is stored, so that renewals of others find room between.
const HANDED: usize = 25;

/// Records of a page that are only looked at: some milliseconds.
const LOOKED: usize = 500;

/// What was asked of an authority before it was switched off is signed within seconds; the queue's task
/// does so after ten more (`pca::complete`) and looks every ten.
const LAST_ORDERS: SignedDuration = SignedDuration::from_secs(30);
