//! Starting, serving, draining: who is still at work, and when the server may go.

use std::time::Duration;

use tokio::sync::watch;

/// Where the server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not everything is open yet; `/health` answers 503.
    Starting,
    /// Serving.
    Ready,
    /// Finishing what is under way; `/health` answers 503 and nothing new is begun.
    Draining,
    /// Done; connections that are still open are cut.
    Stopped,
}

/// The phase, shared, with a count of those who are at work.
#[derive(Debug)]
pub struct Lifecycle {
    phase: watch::Sender<Phase>,
    work: watch::Sender<()>,
}

/// Held while a connection is open or a call under way; draining waits for it.
#[derive(Clone, Debug)]
pub(crate) struct AtWork {
    _held: watch::Receiver<()>,
}

impl Lifecycle {
    /// A server that starts.
    pub fn new() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Starting),
            work: watch::Sender::new(()),
        }
    }

    /// Where the server stands now.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Everything is open: serve.
    pub fn ready(&self) {
        self.advance(Phase::Ready);
    }

    /// Resolves when the server has come to `phase` or beyond: the moment for others to let go.
    pub async fn reached(&self, phase: Phase) {
        let mut watched = self.phase.subscribe();
        // The sender lives in self, so it can't be gone.
        let _ = watched.wait_for(|now| *now >= phase).await;
    }

    /// Lets what is under way finish, for `deadline` at most, then stops. Answers whether everything
    /// finished in time.
    pub async fn drain(&self, deadline: Duration) -> bool {
        self.advance(Phase::Draining);
        let finished = tokio::time::timeout(deadline, self.work.closed())
            .await
            .is_ok();
        self.advance(Phase::Stopped);
        finished
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(crate) fn at_work(&self) -> AtWork {
        AtWork {
            _held: self.work.subscribe(),
        }
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|now| {
            let forward = to > *now;
            *now = to.max(*now);
            forward
        });
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn draining_waits_for_work_but_not_for_ever() {
        let lifecycle = Lifecycle::new();
        lifecycle.ready();
        assert!(lifecycle.drain(Duration::from_secs(1)).await);
        assert_eq!(lifecycle.phase(), Phase::Stopped);

        let lifecycle = Lifecycle::new();
        let held = lifecycle.at_work();
        assert!(!lifecycle.drain(Duration::from_secs(1)).await);
        drop(held);
    }

    #[tokio::test]
    async fn a_phase_never_comes_back() {
        let lifecycle = Lifecycle::new();
        lifecycle.drain(Duration::ZERO).await;
        lifecycle.ready();
        assert_eq!(lifecycle.phase(), Phase::Stopped);
        lifecycle.reached(Phase::Ready).await;
    }
}
