//! What KMS keys do by themselves: rotate, lose imported key material whose time is over, and end.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use keystead_core::Result;
use keystead_store::Lease;

use super::{Outcome, Task};
use crate::App;
use crate::kms::{deletion, upkeep};

pub(super) const ROTATE: Task = Task {
    queue: upkeep::ROTATE,
    step: rotate,
    quiet: false,
};

pub(super) const EXPIRE: Task = Task {
    queue: upkeep::EXPIRE,
    step: expire,
    quiet: false,
};

pub(super) const DELETE: Task = Task {
    queue: deletion::DELETE,
    step: delete,
    quiet: false,
};

pub(super) const SCRUB: Task = Task {
    queue: deletion::SCRUB,
    step: scrub,
    quiet: false,
};

fn rotate<'a>(app: &'a Arc<App>, lease: &'a Lease) -> BoxFuture<'a, Result<Outcome>> {
    async {
        upkeep::rotate(app, lease).await?;
        Ok(Outcome::Settled)
    }
    .boxed()
}

fn expire<'a>(app: &'a Arc<App>, lease: &'a Lease) -> BoxFuture<'a, Result<Outcome>> {
    async {
        upkeep::expire(app, lease).await?;
        Ok(Outcome::Settled)
    }
    .boxed()
}

fn delete<'a>(app: &'a Arc<App>, lease: &'a Lease) -> BoxFuture<'a, Result<Outcome>> {
    async {
        deletion::end(app, lease).await?;
        Ok(Outcome::Settled)
    }
    .boxed()
}

fn scrub<'a>(app: &'a Arc<App>, lease: &'a Lease) -> BoxFuture<'a, Result<Outcome>> {
    async {
        deletion::scrub(app, lease).await?;
        Ok(Outcome::Settled)
    }
    .boxed()
}
