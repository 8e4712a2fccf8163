//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

/// How often a condition is asked again: often enough not to show in a test's time.
const PAUSE: Duration = Duration::from_millis(5);

/// Asks `condition` until it yields something; panics with `what` when `deadline` has passed.
pub fn until<T>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(
            Instant::now() < end,
            "waited {deadline:?} in vain for: {what}"
        );
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a test pauses: between two looks at a condition"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_is_returned() {
        let mut asked = 0;
        let found = until("three", Duration::from_secs(5), || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(found, 3);
    }

    #[test]
    #[should_panic(expected = "in vain for: never")]
    fn a_deadline_ends_the_wait() {
        until::<()>("never", Duration::from_millis(20), || None);
    }
}
