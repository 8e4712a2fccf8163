//! Calls that go on when their caller hangs up.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::lifecycle::AtWork;

/// A call that, once begun, is carried out to its end. Polled in place as long as somebody waits for
/// it; when that future is dropped (the client hung up, the deadline passed) the rest runs as a task
/// of its own, because between a commit and its audit event nothing may be lost.
pub(crate) struct Unbroken<T: Send + 'static> {
    rest: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    at_work: Option<AtWork>,
}

impl<T: Send + 'static> Unbroken<T> {
    /// `at_work` is held until the call has ended, so that draining waits for it.
    pub(crate) fn new(call: impl Future<Output = T> + Send + 'static, at_work: AtWork) -> Self {
        Self {
            rest: Some(Box::pin(call)),
            at_work: Some(at_work),
        }
    }
}

impl<T: Send + 'static> Future for Unbroken<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(call) = &mut self.rest else {
            // As every future that is asked again after its end.
            return Poll::Pending;
        };
        let outcome = std::task::ready!(call.as_mut().poll(context));
        self.rest = None;
        Poll::Ready(outcome)
    }
}

impl<T: Send + 'static> Drop for Unbroken<T> {
    fn drop(&mut self) {
        let Some(rest) = self.rest.take() else { return };
        let at_work = self.at_work.take();
        // Without a runtime the whole program is ending.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _at_work = at_work;
                rest.await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::Lifecycle;
    use std::time::Duration;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_any_more_still_ends() {
        let lifecycle = Lifecycle::new();
        let (go, wait) = oneshot::channel::<()>();
        let (done, seen) = oneshot::channel();
        let call = async move {
            wait.await.unwrap();
            done.send(()).unwrap();
        };
        let call = Unbroken::new(call, lifecycle.at_work());
        assert!(tokio::time::timeout(Duration::ZERO, call).await.is_err());
        go.send(()).unwrap();
        seen.await.unwrap();
        assert!(lifecycle.drain(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn a_call_that_ended_is_answered_in_place() {
        let call = Unbroken::new(async { 7 }, Lifecycle::new().at_work());
        assert_eq!(call.await, 7);
    }
}
