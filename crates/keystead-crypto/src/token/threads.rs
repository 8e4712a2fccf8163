//! The threads of a token: those that call into its module, and the keeper of its connection.
//!
//! A module may take its time, or never come back. So nobody else calls into it; callers wait for
//! a bounded time, and there are as many of these threads as the token has sessions, stuck ones
//! included. Once all of them are stuck, callers are told at once.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use cryptoki::session::Session;
use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use super::connection::Connection;
use super::error::{Failure, Meaning, TokenError, TokenFailure, meaning, said};
use super::job::{Access, Job};
use super::meters::Meters;
use super::{TokenIdentity, TokenOptions, TokenState};

mod keeper;

/// Most calls that wait for a token: at a millisecond each, what a network takes there and back,
/// the last of them waits a quarter of a second with four sessions.
const MAX_WAITING: usize = 1024;
/// How long connecting may take: modules of network HSMs look for each of their peers.
pub(super) const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// What a token's threads share.
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) options: TokenOptions,
    inner: Mutex<Inner>,
    /// Wakes those who call.
    work: Condvar,
    /// Wakes the keeper.
    keep: Condvar,
    /// Wakes who waits for the threads' end.
    gone: Condvar,
    /// Tells of each attempt to connect that has ended.
    pub(super) attempts: watch::Sender<u64>,
    pub(super) meters: Meters,
}

struct Inner {
    phase: Phase,
    queue: VecDeque<Box<dyn Job>>,
    /// When what each thread is doing should be done.
    seats: Vec<Option<Instant>>,
    /// What the token was when it was last seen.
    identity: Option<TokenIdentity>,
    /// The threads, and how many of them have not come to their end.
    threads: Vec<JoinHandle<()>>,
    living: usize,
}

/// How far a token is connected.
enum Phase {
    /// Being connected for the first time, or just lost: callers wait for how that ends.
    Connecting(Instant),
    Connected(Arc<Connection>),
    /// Not connected, and tried again from time to time: callers are told why.
    Failed(TokenError),
    Disconnected,
}

impl Shared {
    /// Starts a token's threads.
    ///
    /// # Errors
    /// When the system gives none.
    pub(super) fn start(name: String, options: TokenOptions) -> std::io::Result<Arc<Self>> {
        let sessions = options.sessions;
        let shared = Arc::new(Self {
            meters: Meters::new(&name),
            inner: Mutex::new(Inner {
                phase: Phase::Connecting(Instant::now()),
                queue: VecDeque::new(),
                seats: vec![None; sessions],
                identity: None,
                threads: Vec::new(),
                living: 0,
            }),
            work: Condvar::new(),
            keep: Condvar::new(),
            gone: Condvar::new(),
            attempts: watch::Sender::new(0),
            name,
            options,
        });
        let mut started = shared.spawn("keeper", |shared| shared.keep());
        for seat in 0..sessions {
            started = started
                .and_then(|()| shared.spawn(&seat.to_string(), move |shared| shared.call(seat)));
        }
        if started.is_err() {
            shared.disconnect();
        }
        started.map(|()| shared)
    }

    fn spawn(
        self: &Arc<Self>,
        role: &str,
        life: impl FnOnce(&Self) + Send + 'static,
    ) -> std::io::Result<()> {
        self.inner.lock().living += 1;
        let living = Living(Arc::clone(self));
        let thread = thread::Builder::new()
            .name(format!("keystead-token-{role}"))
            .spawn(move || life(&living.0))?;
        self.inner.lock().threads.push(thread);
        Ok(())
    }

    /// How far it is connected, for whoever asks.
    pub(super) fn state(&self) -> TokenState {
        let inner = self.inner.lock();
        match (&inner.phase, self.is_stuck(&inner)) {
            (Phase::Failed(error), _) => TokenState::Failed(error.clone()),
            (Phase::Disconnected, _) => TokenState::Disconnected,
            (_, Some(error)) => TokenState::Failed(error),
            (Phase::Connecting(_), None) => TokenState::Connecting,
            (Phase::Connected(_), None) => TokenState::Connected,
        }
    }

    /// What the token is, if it was ever seen.
    pub(super) fn identity(&self) -> Option<TokenIdentity> {
        self.inner.lock().identity.clone()
    }

    /// Threads that are still in the module long after they should be out of it.
    pub(super) fn stuck(&self) -> usize {
        let now = Instant::now();
        let seats = &self.inner.lock().seats;
        seats.iter().filter(|seat| is_overdue(seat, now)).count()
    }

    /// Why there is no use in waiting, if there is none.
    fn is_stuck(&self, inner: &Inner) -> Option<TokenError> {
        let now = Instant::now();
        let stuck = match &inner.phase {
            Phase::Connecting(since) => now.duration_since(*since) > CONNECT_DEADLINE,
            Phase::Connected(_) => inner.seats.iter().all(|seat| is_overdue(seat, now)),
            Phase::Failed(_) | Phase::Disconnected => false,
        };
        stuck.then(|| {
            let message = format!("the token {} does not answer", self.name);
            TokenError::new(TokenFailure::NotAnswering, message)
        })
    }

    /// Has one of the threads do it.
    pub(super) fn submit(&self, job: Box<dyn Job>) -> Result<(), TokenError> {
        let mut inner = self.inner.lock();
        match &inner.phase {
            Phase::Disconnected => return Err(self.disconnected()),
            Phase::Failed(error) => return Err(error.clone()),
            Phase::Connecting(_) | Phase::Connected(_) => {}
        }
        if let Some(error) = self.is_stuck(&inner) {
            return Err(error);
        }
        if inner.queue.len() >= MAX_WAITING {
            let message = format!("too many calls are waiting for the token {}", self.name);
            return Err(TokenError::new(TokenFailure::Busy, message));
        }
        inner.queue.push_back(job);
        drop(inner);
        self.work.notify_one();
        Ok(())
    }

    /// Ends the threads, as soon as they come back.
    pub(super) fn disconnect(&self) {
        let before = {
            let mut inner = self.inner.lock();
            let waiting = std::mem::take(&mut inner.queue);
            let before = std::mem::replace(&mut inner.phase, Phase::Disconnected);
            (waiting, before)
        };
        before
            .0
            .into_iter()
            .for_each(|job| job.end(self.disconnected()));
        self.meters.connected(false);
        self.work.notify_all();
        self.keep.notify_all();
    }

    /// Waits for the end of the threads, for a while: a process that ends while one of them is in the
    /// module takes the ground from under it. Answers whether they have ended.
    pub(super) fn wait(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        let mut inner = self.inner.lock();
        while inner.living > 0 {
            if self.gone.wait_until(&mut inner, until).timed_out() {
                return inner.living == 0;
            }
        }
        let threads = std::mem::take(&mut inner.threads);
        drop(inner);
        for thread in threads {
            // Each is at its very end. One that crashed has ended, too.
            let _ = thread.join();
        }
        true
    }

    fn disconnected(&self) -> TokenError {
        let message = format!("the token {} was disconnected", self.name);
        TokenError::new(TokenFailure::Disconnected, message)
    }

    /// This connection is no good any more: the keeper makes another.
    fn lose(&self, lost: &Arc<Connection>, error: &TokenError) {
        let mut inner = self.inner.lock();
        if matches!(&inner.phase, Phase::Connected(current) if Arc::ptr_eq(current, lost)) {
            tracing::warn!(token = self.name, %error, "a token was lost and is connected again");
            inner.phase = Phase::Connecting(Instant::now());
            self.meters.connected(false);
            drop(inner);
            self.keep.notify_all();
        }
    }
}

/// A thread that lives; dropped at its end, however that comes.
struct Living(Arc<Shared>);

impl Drop for Living {
    fn drop(&mut self) {
        let mut inner = self.0.inner.lock();
        inner.living = inner.living.saturating_sub(1);
        drop(inner);
        self.0.gone.notify_all();
    }
}

fn is_overdue(seat: &Option<Instant>, now: Instant) -> bool {
    seat.is_some_and(|until| now > until)
}

/// What a thread has at hand for the connection that it last used.
struct Desk {
    connection: Arc<Connection>,
    session: Option<Session>,
}

impl Desk {
    /// Closes the session, under the gate, if the module still knows of it.
    fn clear(&mut self, generation: u64) {
        let session = self.session.take();
        if let Some(session) = session.filter(|_| generation == self.connection.generation) {
            let _ = session.close();
        }
    }
}

/// How a call ended.
enum Ended {
    Done,
    Failed(TokenError),
    Lost(TokenError),
}

/// The threads that call.
impl Shared {
    /// A calling thread's life.
    fn call(&self, seat: usize) {
        let mut desk: Option<Desk> = None;
        while let Some((connection, mut job)) = self.next(seat) {
            if !desk
                .as_ref()
                .is_some_and(|desk| Arc::ptr_eq(&desk.connection, &connection))
            {
                leave(desk.take());
            }
            let desk = desk.get_or_insert_with(|| Desk {
                connection: Arc::clone(&connection),
                session: None,
            });
            let begun = Instant::now();
            let ended = self.serve(desk, job.as_mut());
            self.meters
                .called(begun.elapsed(), matches!(ended, Ended::Done));
            self.rise(seat);
            match ended {
                Ended::Done => {}
                Ended::Failed(error) => {
                    // The keeper tells of the rest.
                    if matches!(
                        error.failure,
                        TokenFailure::Refused | TokenFailure::KeyMissing
                    ) {
                        tracing::warn!(token = self.name, %error, "a token refused a call");
                    }
                    job.end(error);
                }
                Ended::Lost(error) => {
                    self.lose(&connection, &error);
                    self.again(job, error);
                }
            }
        }
        leave(desk);
    }

    /// Waits for a job that can be done now; `None` when there will be none.
    fn next(&self, seat: usize) -> Option<(Arc<Connection>, Box<dyn Job>)> {
        let mut inner = self.inner.lock();
        loop {
            let connection = match &inner.phase {
                Phase::Disconnected => return None,
                Phase::Connected(connection) => Some(Arc::clone(connection)),
                Phase::Connecting(_) | Phase::Failed(_) => None,
            };
            if let Some(connection) = connection {
                while let Some(job) = inner.queue.pop_front() {
                    if job.is_wanted() {
                        if let Some(seat) = inner.seats.get_mut(seat) {
                            *seat = Some(job.until());
                        }
                        return Some((connection, job));
                    }
                }
            }
            self.work.wait(&mut inner);
        }
    }

    /// The thread is out of the module.
    fn rise(&self, seat: usize) {
        if let Some(seat) = self.inner.lock().seats.get_mut(seat) {
            *seat = None;
        }
    }

    /// Does a job once more after the token is back, if that does no harm and was not done before.
    fn again(&self, mut job: Box<dyn Job>, error: TokenError) {
        if !job.may_repeat() {
            return job.end(error);
        }
        let mut inner = self.inner.lock();
        match &inner.phase {
            Phase::Connecting(_) | Phase::Connected(_) => {
                inner.queue.push_front(job);
                drop(inner);
                self.work.notify_one();
            }
            Phase::Failed(_) | Phase::Disconnected => {
                drop(inner);
                job.end(error);
            }
        }
    }

    fn serve(&self, desk: &mut Desk, job: &mut dyn Job) -> Ended {
        let connection = Arc::clone(&desk.connection);
        let entered = connection.module.enter();
        if *entered != connection.generation {
            return Ended::Lost(restarted());
        }
        loop {
            let failure = match self.attempt(desk, job) {
                None => return Ended::Done,
                Some(failure) => failure,
            };
            let error = match failure {
                Failure::Said(error) => match error.failure {
                    TokenFailure::Lost => return Ended::Lost(error),
                    TokenFailure::KeyMissing => error,
                    _ => return Ended::Failed(error),
                },
                Failure::Module(error) => match meaning(&error) {
                    Meaning::Gone => {
                        desk.clear(*entered);
                        return Ended::Lost(self.explained(TokenFailure::Lost, &error));
                    }
                    Meaning::Unsupported => {
                        return Ended::Failed(self.explained(TokenFailure::Unsupported, &error));
                    }
                    Meaning::Stale if job.may_repeat() => {
                        connection.objects.lock().clear();
                        continue;
                    }
                    Meaning::Entangled if job.may_repeat() => {
                        desk.clear(*entered);
                        continue;
                    }
                    Meaning::Stale | Meaning::Entangled | Meaning::Unclear => {
                        desk.clear(*entered);
                        self.explained(TokenFailure::Refused, &error)
                    }
                },
            };
            return match connection.is_alive() {
                Ok(()) => Ended::Failed(error),
                Err(lost) => Ended::Lost(lost),
            };
        }
    }

    /// Does the job in the thread's session; `None` when it is done.
    fn attempt(&self, desk: &mut Desk, job: &mut dyn Job) -> Option<Failure> {
        let connection = &*desk.connection;
        let session = match desk.session.take() {
            Some(session) => session,
            None => match connection
                .module
                .pkcs11
                .open_rw_session_no_drop(connection.slot)
            {
                Ok(session) => session,
                Err(error) => return Some(error.into()),
            },
        };
        let session = desk.session.insert(session);
        let access = Access {
            token: &self.name,
            connection,
            session,
        };
        // Whoever waits is told by the job's own end; a session in the middle of something is
        // noticed by the next.
        catch_unwind(AssertUnwindSafe(|| job.attempt(&access))).unwrap_or(None)
    }

    fn explained(&self, failure: TokenFailure, error: &cryptoki::error::Error) -> TokenError {
        let what = match failure {
            TokenFailure::Lost => "is gone",
            TokenFailure::Unsupported => "does not do this",
            _ => "refused this",
        };
        let message = format!("the token {} {what}: {}", self.name, said(error));
        TokenError::new(failure, message)
    }
}

/// Closes what a thread has open.
fn leave(desk: Option<Desk>) {
    if let Some(mut desk) = desk.filter(|desk| desk.session.is_some()) {
        let connection = Arc::clone(&desk.connection);
        let entered = connection.module.enter();
        desk.clear(*entered);
    }
}

fn restarted() -> TokenError {
    TokenError::new(
        TokenFailure::Lost,
        "the module was started anew for another token",
    )
}
