//! Work for a token's threads.

use std::time::{Duration, Instant};

use cryptoki::session::Session;
use tokio::sync::oneshot;

use super::connection::Connection;
use super::error::{Failure, TokenError};

/// What a thread has in hand while it does a job: the token, under the gate of its module.
pub(super) struct Access<'a> {
    /// The token's name in the configuration.
    pub(super) token: &'a str,
    pub(super) connection: &'a Connection,
    pub(super) session: &'a Session,
}

/// How long a caller waits, and whether the work may be done twice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) within: Duration,
    pub(super) repeatable: bool,
}

/// Something to do, and somebody who waits for it.
pub(super) trait Job: Send {
    /// Whether anybody still waits.
    fn is_wanted(&self) -> bool;
    /// When nobody will wait any more.
    fn until(&self) -> Instant;
    /// Does it; `None` when it is done and its result delivered.
    fn attempt(&mut self, access: &Access<'_>) -> Option<Failure>;
    /// Whether it may be done once more. Answers yes once.
    fn may_repeat(&mut self) -> bool;
    /// Tells the one who waits that it was not done.
    fn end(self: Box<Self>, error: TokenError);
}

/// The one kind of job.
pub(super) struct Call<T, W> {
    work: W,
    reply: Option<oneshot::Sender<Result<T, TokenError>>>,
    until: Instant,
    repeatable: bool,
}

pub(super) type Reply<T> = oneshot::Receiver<Result<T, TokenError>>;

impl<T, W> Call<T, W>
where
    T: Send + 'static,
    W: FnMut(&Access<'_>) -> Result<T, Failure> + Send + 'static,
{
    /// The job, and where its result comes out.
    pub(super) fn new(terms: Terms, work: W) -> (Box<Self>, Reply<T>) {
        let (sender, receiver) = oneshot::channel();
        let call = Self {
            work,
            reply: Some(sender),
            until: Instant::now() + terms.within,
            repeatable: terms.repeatable,
        };
        (Box::new(call), receiver)
    }
}

impl<T, W> Job for Call<T, W>
where
    T: Send + 'static,
    W: FnMut(&Access<'_>) -> Result<T, Failure> + Send + 'static,
{
    fn is_wanted(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| !reply.is_closed())
    }

    fn until(&self) -> Instant {
        self.until
    }

    fn attempt(&mut self, access: &Access<'_>) -> Option<Failure> {
        match (self.work)(access) {
            Ok(value) => {
                // The caller may have stopped waiting meanwhile.
                let _ = self.reply.take().map(|reply| reply.send(Ok(value)));
                None
            }
            Err(failure) => Some(failure),
        }
    }

    fn may_repeat(&mut self) -> bool {
        std::mem::take(&mut self.repeatable)
    }

    fn end(self: Box<Self>, error: TokenError) {
        let _ = self.reply.map(|reply| reply.send(Err(error)));
    }
}
