//! The threads on which key operations run, so that none of them runs on the async executor.
//!
//! Two lanes. *Quick* work takes microseconds to a few milliseconds (a signature, reading a key);
//! *slow* work takes tenths of seconds to seconds (generating an RSA key, stretching a passphrase).
//! Quick work goes first, and slow work never occupies all threads, so that a run of RSA key
//! generation does not hold up signing.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::CryptoError;

/// Most quick jobs that may wait: at 4 ms each, an RSA-4096 signature, two seconds of work for two
/// threads, after which a caller is better served by being told to come back.
const MAX_QUICK: usize = 1024;
/// Most slow jobs that may wait: an RSA-4096 key takes about a second, so that the last of these
/// waits half a minute, as long as AWS's SDKs wait for an answer by default (60 s) with a margin.
const MAX_SLOW: usize = 32;

/// How long a job is expected to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Quick,
    Slow,
}

type Job = Box<dyn FnOnce() + Send>;

/// A bounded pool. Dropping it ends its threads after what they are doing; what waits is refused.
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    queues: Mutex<Queues>,
    wake: Condvar,
}

struct Queues {
    quick: VecDeque<Job>,
    slow: VecDeque<Job>,
    slow_running: usize,
    max_slow_running: usize,
    closed: bool,
}

impl Pool {
    /// A pool of this many threads, at least two.
    pub(super) fn new(threads: usize) -> Result<Self, CryptoError> {
        let threads = threads.max(2);
        let shared = Arc::new(Shared {
            queues: Mutex::new(Queues {
                quick: VecDeque::new(),
                slow: VecDeque::new(),
                slow_running: 0,
                max_slow_running: threads - 1,
                closed: false,
            }),
            wake: Condvar::new(),
        });
        let pool = Self(Arc::clone(&shared));
        for number in 0..threads {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name(format!("keystead-key-{number}"))
                .spawn(move || shared.work())
                .map_err(|error| {
                    CryptoError::Internal(format!("cannot start a thread for keys: {error}"))
                })?;
        }
        Ok(pool)
    }

    /// Runs the work on one of the threads. If the caller stops waiting before its turn comes, the
    /// work is not done.
    ///
    /// # Errors
    /// [`CryptoError::Busy`] when the lane is full; otherwise the work's own.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce() -> Result<T, CryptoError> + Send + 'static,
    ) -> Result<T, CryptoError> {
        let (sender, receiver) = oneshot::channel();
        self.0.submit(
            lane,
            Box::new(move || {
                if !sender.is_closed() {
                    // The caller may have stopped waiting meanwhile.
                    let _ = sender.send(work());
                }
            }),
        )?;
        receiver.await.unwrap_or_else(|_| {
            Err(CryptoError::Internal(
                "a key operation was abandoned: the program is stopping or the operation crashed"
                    .into(),
            ))
        })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let waiting = {
            let mut queues = self.0.queues.lock();
            queues.closed = true;
            (
                std::mem::take(&mut queues.quick),
                std::mem::take(&mut queues.slow),
            )
        };
        self.0.wake.notify_all();
        drop(waiting);
    }
}

impl Shared {
    fn submit(&self, lane: Lane, job: Job) -> Result<(), CryptoError> {
        let mut queues = self.queues.lock();
        let (queue, limit) = match lane {
            Lane::Quick => (&mut queues.quick, MAX_QUICK),
            Lane::Slow => (&mut queues.slow, MAX_SLOW),
        };
        if queue.len() >= limit {
            return Err(CryptoError::Busy);
        }
        queue.push_back(job);
        drop(queues);
        self.wake.notify_one();
        Ok(())
    }

    /// A thread's life.
    fn work(&self) {
        while let Some((lane, job)) = self.next() {
            // A crash inside the library is the caller's failure, not the thread's end.
            let _ = catch_unwind(AssertUnwindSafe(job));
            if lane == Lane::Slow {
                self.queues.lock().slow_running -= 1;
                self.wake.notify_one();
            }
        }
    }

    /// Waits for a job that may run now; `None` when the pool is closed.
    fn next(&self) -> Option<(Lane, Job)> {
        let mut queues = self.queues.lock();
        loop {
            if queues.closed {
                return None;
            }
            if let Some(job) = queues.quick.pop_front() {
                return Some((Lane::Quick, job));
            }
            if queues.slow_running < queues.max_slow_running
                && let Some(job) = queues.slow.pop_front()
            {
                queues.slow_running += 1;
                return Some((Lane::Slow, job));
            }
            self.wake.wait(&mut queues);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Occupies a thread until the returned sender is dropped or used.
    async fn occupy(pool: &Arc<Pool>, lane: Lane) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel();
        let (started, has_started) = oneshot::channel();
        let pool = Arc::clone(pool);
        tokio::spawn(async move {
            pool.run(lane, move || {
                started.send(()).unwrap();
                let _ = released.recv();
                Ok(())
            })
            .await
        });
        has_started.await.unwrap();
        release
    }

    #[tokio::test]
    async fn slow_work_leaves_a_thread_to_quick_work() {
        let pool = Arc::new(Pool::new(2).unwrap());
        let release = occupy(&pool, Lane::Slow).await;
        let second = {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.run(Lane::Slow, || Ok("slow")).await })
        };
        for _ in 0..100 {
            assert_eq!(pool.run(Lane::Quick, || Ok(1)).await, Ok(1));
        }
        assert!(!second.is_finished());
        drop(release);
        assert_eq!(second.await.unwrap(), Ok("slow"));
    }

    #[tokio::test]
    async fn full_lanes_answer_busy() {
        let pool = Arc::new(Pool::new(2).unwrap());
        let releases = [
            occupy(&pool, Lane::Quick).await,
            occupy(&pool, Lane::Quick).await,
        ];
        let mut waiting = Vec::new();
        for _ in 0..MAX_SLOW {
            waiting.push(Box::pin(pool.run(Lane::Slow, || Ok(()))));
        }
        for future in &mut waiting {
            assert!(futures_poll(future).is_pending());
        }
        assert_eq!(
            pool.run(Lane::Slow, || Ok(())).await,
            Err(CryptoError::Busy)
        );
        drop(releases);
        for future in waiting {
            assert_eq!(future.await, Ok(()));
        }
    }

    #[tokio::test]
    async fn abandoned_work_is_not_done() {
        let pool = Arc::new(Pool::new(2).unwrap());
        let releases = [
            occupy(&pool, Lane::Quick).await,
            occupy(&pool, Lane::Quick).await,
        ];
        let (done, was_done) = mpsc::channel();
        let mut abandoned = Box::pin(pool.run(Lane::Quick, move || {
            let _ = done.send(());
            Ok(())
        }));
        assert!(futures_poll(&mut abandoned).is_pending());
        drop(abandoned);
        drop(releases);
        // Its sender is dropped unused when the job's turn comes.
        assert!(was_done.recv().is_err());
    }

    #[tokio::test]
    async fn a_crash_is_an_error_and_the_thread_lives() {
        let pool = Pool::new(2).unwrap();
        for _ in 0..4 {
            let crashed: Result<(), _> = pool.run(Lane::Slow, || panic!("on purpose")).await;
            assert!(matches!(crashed, Err(CryptoError::Internal(_))));
        }
        assert_eq!(pool.run(Lane::Slow, || Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn closing_refuses_what_waits() {
        let pool = Pool::new(2).unwrap();
        let shared = Arc::clone(&pool.0);
        drop(pool);
        assert!(shared.next().is_none());
    }

    fn futures_poll<T>(
        future: &mut std::pin::Pin<Box<impl Future<Output = T>>>,
    ) -> std::task::Poll<T> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        future.as_mut().poll(&mut context)
    }
}
