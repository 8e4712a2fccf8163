//! The keeper of a token's connection: makes it, looks after it, and makes another.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::MutexGuard;

use super::{Inner, Phase, Shared, restarted};
use crate::token::connection::{self, Connection};
use crate::token::error::TokenError;

/// How long after a loss the token is first tried again; doubled until `LONGEST_PAUSE`.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
/// A token that is back is in use again after so long at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often a token that nobody uses is looked after, so that its state is told truly.
const LOOK_AFTER: Duration = Duration::from_secs(5);

impl Shared {
    /// The keeper's life: connects, looks after the connection, and connects again.
    pub(super) fn keep(&self) {
        let mut refused = None;
        let mut pause = SHORTEST_PAUSE;
        while !self.is_disconnected() {
            match connection::connect(&self.options, &mut refused) {
                Ok(connection) => {
                    pause = SHORTEST_PAUSE;
                    self.look_after(Arc::new(connection));
                }
                Err(error) => {
                    self.fail(error);
                    let mut inner = self.inner.lock();
                    if !matches!(inner.phase, Phase::Disconnected) {
                        self.keep.wait_for(&mut inner, pause);
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    fn is_disconnected(&self) -> bool {
        matches!(self.inner.lock().phase, Phase::Disconnected)
    }

    /// Tells everybody that it could not be connected.
    fn fail(&self, error: TokenError) {
        let waiting = {
            let mut inner = self.inner.lock();
            match &inner.phase {
                Phase::Disconnected => return,
                Phase::Failed(before) if before.failure == error.failure => {}
                _ => tracing::warn!(token = self.name, %error, "a token cannot be connected"),
            }
            inner.phase = Phase::Failed(error.clone());
            std::mem::take(&mut inner.queue)
        };
        waiting.into_iter().for_each(|job| job.end(error.clone()));
        self.attempts.send_modify(|count| *count += 1);
    }

    /// Hands the connection to the threads, and looks after it until it is no good any more.
    fn look_after(&self, connection: Arc<Connection>) {
        connection.module.is_used();
        {
            let mut inner = self.inner.lock();
            inner.identity = Some(connection.identity.clone());
            if !matches!(inner.phase, Phase::Disconnected) {
                inner.phase = Phase::Connected(Arc::clone(&connection));
                self.meters.connected(true);
                tracing::info!(token = self.name, "a token is connected");
            }
        }
        self.work.notify_all();
        self.attempts.send_modify(|count| *count += 1);
        let is_current = |inner: &MutexGuard<'_, Inner>| matches!(&inner.phase, Phase::Connected(current) if Arc::ptr_eq(current, &connection));
        loop {
            let mut inner = self.inner.lock();
            if is_current(&inner) {
                self.keep.wait_for(&mut inner, LOOK_AFTER);
            }
            if !is_current(&inner) {
                break;
            }
            drop(inner);
            if let Err(error) = alive(&connection) {
                self.lose(&connection, &error);
            }
        }
        connection.module.is_left();
        connection.close();
    }
}

/// Whether the token is there, in the module as it was.
fn alive(connection: &Connection) -> Result<(), TokenError> {
    let entered = connection.module.enter();
    match *entered == connection.generation {
        true => connection.is_alive(),
        false => Err(restarted()),
    }
}
