//! Connecting and disconnecting: work in the due-queue, by the state that a store is in.

use std::sync::Arc;

use keystead_core::kms::xks::ProxyFailure;
use keystead_core::kms::{Backing, Connection, ConnectionError, StoreEvent};
use keystead_core::{AccountId, Region, Result};
use keystead_store::Lease;

use super::proxy::{Behind, Proxy};
use super::record::{self, Kept};
use super::token;
use crate::tasks::Outcome;
use crate::{App, ids};

/// Stores that are being connected or disconnected, by `account/region/id`.
pub(crate) const QUEUE: &str = "kms.key-store";

/// Brings a store where it is to be, and says how that ended.
pub(crate) async fn settle(app: &Arc<App>, lease: &Lease) -> Result<Outcome> {
    let mut parts = lease.id().splitn(3, '/');
    let (Some(account), Some(region), Some(id)) = (parts.next(), parts.next(), parts.next()) else {
        return Ok(Outcome::Finished);
    };
    let (account, region) = (AccountId::parse(account)?, Region::parse(region)?);
    let read = record::read(app, &account, &region).await?;
    // A store that was deleted meanwhile waits for nothing.
    let Ok(kept) = read.stores.find(id) else {
        return Ok(Outcome::Finished);
    };
    let event = match kept.store.connection {
        Connection::Connecting => match open(app, &region, kept).await? {
            Ok(()) => StoreEvent::Opened,
            Err(why) => StoreEvent::Refused(why),
        },
        Connection::Disconnecting => StoreEvent::Closed,
        _ => return Ok(Outcome::Finished),
    };
    record::edit_of(app, &account, &region, |stores, batch| {
        if let Ok(kept) = stores.find_mut(id)
            && let Some(next) = kept.store.on(event)
        {
            kept.store.connection = next;
        }
        batch.finish(lease);
        Ok(())
    })
    .await?;
    Ok(Outcome::Settled)
}

/// Tries to connect; the inner error is why that failed.
async fn open(app: &App, region: &Region, kept: &Kept) -> Result<Result<(), ConnectionError>> {
    match &kept.store.backing {
        Backing::External { .. } => {
            let proxy = Proxy::of(app, region, kept)?;
            let behind = Behind::work("ConnectCustomKeyStore", ids::uuid()?);
            let mut outcome = proxy.check_health(behind.clone()).await;
            for _ in 1..ATTEMPTS {
                match outcome {
                    Err(failure) if may_pass(failure) => {
                        outcome = proxy.check_health(behind.clone()).await;
                    }
                    _ => break,
                }
            }
            Ok(outcome.map_err(ProxyFailure::in_connect))
        }
        Backing::CloudHsm { cluster_id, .. } => {
            Ok(token::open(app, cluster_id, &kept.secret).await)
        }
    }
}

/// Whether the next try may go better. A proxy that says something of substance is taken at its word.
fn may_pass(failure: ProxyFailure) -> bool {
    matches!(
        failure,
        ProxyFailure::Unreachable
            | ProxyFailure::TimedOut
            | ProxyFailure::DependencyTimeout
            | ProxyFailure::Throttling
            | ProxyFailure::Internal
    )
}

/// A first call makes the connection, with all its round trips, within the same quarter of a second; the ones after it
/// have it easier.
const ATTEMPTS: usize = 3;
