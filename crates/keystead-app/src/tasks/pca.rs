//! What private CAs do by themselves: complete certificates that a crash left halfway, make revocation lists, replace who
//! signs OCSP answers, write audit reports, tell ahead of time that a certificate ends, and remove authorities whose
//! restoration period is over.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use keystead_core::Result;
use keystead_store::{Batch, Lease};

use super::{Outcome, Task};
use crate::{App, pca};

/// Every issuance puts an item in and takes it out again, thousands a second at times.
pub(super) const ISSUE: Task = Task {
    queue: pca::ISSUE_QUEUE,
    step: issue,
    quiet: true,
};

pub(super) const PURGE: Task = Task {
    queue: pca::PURGE_QUEUE,
    step: purge,
    quiet: false,
};

/// Every revocation makes a list due, thousands a second at times: one look then makes it once for all of them.
pub(super) const LISTS: Task = Task {
    queue: pca::LIST_QUEUE,
    step: |app, lease| {
        async move { again(app, lease, pca::make_list(app, lease).await?).await }.boxed()
    },
    quiet: true,
};

pub(super) const SIGNERS: Task = Task {
    queue: pca::SIGNER_QUEUE,
    step: |app, lease| {
        async move { again(app, lease, pca::renew_signer(app, lease).await?).await }.boxed()
    },
    quiet: false,
};

/// The item moves on with every page.
pub(super) const RETENTION: Task = Task {
    queue: pca::RETENTION_QUEUE,
    step: |app, lease| pca::sweep_expired(app, lease).boxed(),
    quiet: false,
};

pub(super) const EXPIRE: Task = Task {
    queue: pca::EXPIRE_QUEUE,
    step: |app, lease| pca::tell(app, lease).boxed(),
    quiet: false,
};

pub(super) const REPORT: Task = Task {
    queue: pca::REPORT_QUEUE,
    step: |app, lease| pca::write_part(app, lease).boxed(),
    quiet: false,
};

fn issue<'a>(app: &'a Arc<App>, lease: &'a Lease) -> BoxFuture<'a, Result<Outcome>> {
    async {
        let settled = pca::complete_intent(app, lease).await?;
        Ok(if settled {
            Outcome::Settled
        } else {
            Outcome::Finished
        })
    }
    .boxed()
}

fn purge<'a>(app: &'a Arc<App>, lease: &'a Lease) -> BoxFuture<'a, Result<Outcome>> {
    async { again(app, lease, pca::purge_part(app, lease).await?).await }.boxed()
}

/// Puts the item back for then, or ends it.
async fn again(app: &App, lease: &Lease, then: Option<Timestamp>) -> Result<Outcome> {
    let Some(then) = then else {
        return Ok(Outcome::Finished);
    };
    let mut batch = Batch::new();
    batch.reschedule(lease, then, &());
    app.store.commit(batch).await?;
    Ok(Outcome::Settled)
}
