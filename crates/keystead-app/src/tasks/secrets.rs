//! What secrets do by themselves: rotate, and end.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use keystead_core::Result;
use keystead_store::Lease;

use super::{Outcome, Task};
use crate::{App, secrets};

pub(super) const DELETE: Task = Task {
    queue: secrets::DELETE,
    step: delete,
    quiet: false,
};

pub(super) const PURGE: Task = Task {
    queue: secrets::PURGE,
    step: purge,
    quiet: false,
};

pub(super) const ROTATE: Task = Task {
    queue: secrets::ROTATE,
    step: rotate,
    quiet: false,
};

fn delete<'a>(app: &'a Arc<App>, lease: &'a Lease) -> BoxFuture<'a, Result<Outcome>> {
    secrets::end(app, lease).boxed()
}

fn purge<'a>(app: &'a Arc<App>, lease: &'a Lease) -> BoxFuture<'a, Result<Outcome>> {
    secrets::purge(app, lease).boxed()
}

fn rotate<'a>(app: &'a Arc<App>, lease: &'a Lease) -> BoxFuture<'a, Result<Outcome>> {
    secrets::carry_on(app, lease).boxed()
}
