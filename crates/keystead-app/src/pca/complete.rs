//! Completing what is intended: sign, compare, store.
//!
//! What is intended waits in [`ISSUE_QUEUE`]. Whoever comes first completes it: who intended it, who asks for the
//! certificate ([`issued`]), or after a crash the queue's task; always the same bytes, never a second serial number.
//! Certificates of one authority that were intended at about the same time are completed together ([`Completing`]): one commit for
//! all of them costs the store a fraction of a commit for each.
//!
//! What "compare" compares: that the certificate holds exactly the bytes that were linted and
//! stored, and that the signature verifies under the authority's key. The latter is left out for
//! P-256, where verifying costs three times as much as signing: it guards against faults of the
//! machine, which for RSA give the private key away (Boneh, DeMillo, Lipton 1997) and for a curve make
//! a certificate that nobody accepts, at the price of a third of all that issuing costs.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Arc;

use futures::future::join_all;
use keystead_core::lint;
use keystead_core::x509::{KeySpec, SignatureAlgorithm};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::x509;
use keystead_store::{Batch, Expect, Haste, Lease, StoreError, Stored};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::issue::Intent;
use super::record::{Authority, CERTIFICATES, Intended, Issued};
use crate::{App, log};

/// Where intended certificates wait to be completed, should who intended them not do it.
pub(crate) const ISSUE_QUEUE: &str = "pca.issue";

/// What waits to be completed together.
pub(super) struct Completing {
    /// By the key of the authority. Where there is an entry there is a task that comes for it.
    waiting: Mutex<HashMap<String, Vec<Waiting>>>,
    /// The record keys of all that was handed over and is not done with.
    under_way: Mutex<HashSet<String>>,
    /// Counts what is done with.
    done: watch::Sender<u64>,
    /// A share for each commit that may be under way.
    commits: Arc<Semaphore>,
}

impl Default for Completing {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            under_way: Mutex::default(),
            done: watch::Sender::default(),
            commits: Arc::new(Semaphore::new(COMMITS)),
        }
    }
}

/// An intent, and its share of what may be under way.
type Waiting = (Intent, OwnedSemaphorePermit);

impl Completing {
    /// Has this intent of the authority completed, soon.
    pub(super) fn hand_over(
        &self,
        app: &Arc<App>,
        authority: &Arc<Stored<Authority>>,
        waiting: Waiting,
    ) {
        self.under_way.lock().insert(waiting.0.key.clone());
        let mut all = self.waiting.lock();
        if let Some(others) = all.get_mut(&authority.key) {
            return others.push(waiting);
        }
        all.insert(authority.key.clone(), vec![waiting]);
        let (app, authority) = (Arc::clone(app), Arc::clone(authority));
        tokio::spawn(async move {
            while let Some(group) = app.issuers.completing.take(&authority.key) {
                sign_together(&app, &authority, group).await;
            }
        });
    }

    /// Returns once nobody in this process is completing the certificate with this record key.
    async fn wait_for(&self, key: &str) {
        let mut done = self.done.subscribe();
        while self.under_way.lock().contains(key) {
            if done.changed().await.is_err() {
                return;
            }
        }
    }

    /// These are stored, or left to the queue's task.
    fn done_with(&self, group: &[String]) {
        let mut under_way = self.under_way.lock();
        for key in group {
            under_way.remove(key);
        }
        drop(under_way);
        self.done
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// What waits by now, at most [`TOGETHER`]; where nothing does, nobody comes any more.
    fn take(&self, authority: &str) -> Option<Vec<Waiting>> {
        let mut all = self.waiting.lock();
        let waiting = all.get_mut(authority)?;
        let rest = waiting.split_off(waiting.len().min(TOGETHER));
        let group = mem::replace(waiting, rest);
        if group.is_empty() {
            all.remove(authority);
            return None;
        }
        Some(group)
    }
}

/// Signs these, and has them stored while the next ones are signed.
async fn sign_together(app: &Arc<App>, authority: &Arc<Stored<Authority>>, group: Vec<Waiting>) {
    let signing = group
        .iter()
        .map(|(intent, _)| sign(app, &authority.value, intent.intended.clone()));
    let signed: Result<Vec<Issued>> = join_all(signing).await.into_iter().collect();
    // It is never closed.
    let turn = Arc::clone(&app.issuers.completing.commits)
        .acquire_owned()
        .await;
    let (app, authority) = (Arc::clone(app), Arc::clone(authority));
    let keys: Vec<String> = group.iter().map(|(intent, _)| intent.key.clone()).collect();
    tokio::spawn(async move {
        let stored = match signed {
            Ok(signed) => store_together(&app, &group, &signed).await,
            Err(error) => Err(error),
        };
        if stored.is_err() {
            complete_each(&app, &authority.value, group).await;
        }
        app.issuers.completing.done_with(&keys);
        drop(turn);
    });
}

/// Completes each in a commit of its own: something is in the way of one of them.
async fn complete_each(app: &App, authority: &Authority, group: Vec<Waiting>) {
    for (intent, _room) in group {
        let name = intent.key.clone();
        if let Err(error) = complete(app, authority, intent, Haste::Soon).await {
            tracing::warn!(certificate = name, %error, "a certificate is completed later");
        }
    }
}

async fn store_together(app: &App, group: &[Waiting], signed: &[Issued]) -> Result<()> {
    let mut batch = Batch::new();
    let mut logged = Vec::with_capacity(signed.len());
    for ((intent, _), issued) in group.iter().zip(signed) {
        batch.cancel(ISSUE_QUEUE, intent.key.as_str());
        batch.put(CERTIFICATES, intent.key.as_str(), issued, Expect::Absent);
        logged.push((intent.key.as_str(), issued.certificate.as_slice()));
    }
    log::issued(&mut batch, &logged);
    app.store.commit_with(batch, Haste::Soon).await?;
    Ok(())
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
        // Most likely it is being signed, or waits for its turn at the disk.
        app.issuers.completing.wait_for(key).await;
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
    let issued = sign(app, authority, intended).await?;
    batch.put(CERTIFICATES, key, &issued, Expect::Absent);
    log::issued(&mut batch, &[(key, &issued.certificate)]);
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

/// Signs an intended certificate, and compares.
async fn sign(app: &App, authority: &Authority, intended: Intended) -> Result<Issued> {
    let (tbs, algorithm) = (&intended.tbs, intended.signature);
    let signature = app.keys.sign(&authority.key, algorithm, tbs).await?;
    let certificate = x509::assemble(tbs, algorithm, &signature)?;
    compare(authority, algorithm, tbs, &signature, &certificate)?;
    Ok(Issued {
        certificate,
        issuer: intended.issuer,
        partition: intended.partition,
        issued_at: intended.issued_at,
        not_before: intended.not_before,
        not_after: intended.not_after,
        revocation: None,
        template: intended.template,
        requested_by: intended.requested_by,
    })
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

/// Certificates completed in one commit: two steps each, and what they have to themselves in the log, under the store's
/// bound of 1024 a commit. Where they are too large for one commit, each is completed in its own.
const TOGETHER: usize = 64;

/// Commits under way: one is made durable while another is signed for. With more of them each holds less.
const COMMITS: usize = 2;
