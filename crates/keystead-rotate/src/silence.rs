//! Servers that say nothing: one secret asks at a time, so that the others of a dead host do not hold up healthy ones.
//!
//! Few rotations run at a time, and a visit at a host that swallows what is sent takes until its deadline. Were every secret of
//! such a host to wait for that, nobody else's turn would come. So who meets silence says so; for a while (longer with
//! every time, up to [`LONGEST`]) the other secrets of that server are told at once that it can't be reached, and wait as
//! their own records say. Then one of them asks again. A server that answers, if only by refusing the connection, is forgotten.
//!
//! It is kept in memory alone: after a start every server is asked anew.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use keystead_core::rotation::{Change, Deed, Heard, Job, Rotator};
use lru::LruCache;
use parking_lot::Mutex;

/// The servers that said nothing when they were last asked.
#[derive(Debug)]
pub(crate) struct Silences(Mutex<LruCache<String, Silence>>);

#[derive(Debug)]
struct Silence {
    /// The user whose secret asks.
    asker: String,
    /// When it was last asked, or found silent.
    at: Instant,
    /// For how long nobody else asks.
    until_others: Duration,
}

impl Default for Silences {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }
}

impl Silences {
    /// Whether this job is to be kept away from its server, and then what it hears.
    pub(crate) fn keeps_away(&self, job: &Job, now: Instant) -> Option<Heard> {
        let mut all = self.0.lock();
        let silence = all.get_mut(&server(job)?)?;
        let (asker, since) = (asker(job), now.saturating_duration_since(silence.at));
        if silence.asker != asker && since < silence.until_others {
            return Some(Heard::new(
                Change::Unreachable,
                "the server said nothing to the rotation of another secret just now",
            ));
        }
        // The others wait for what this one finds.
        silence.asker = asker.to_owned();
        silence.at = now;
        None
    }

    /// Notes what a visit that began then has met.
    pub(crate) fn note(&self, job: &Job, heard: &Heard, begun: Instant, now: Instant) {
        let Some(server) = server(job) else {
            return;
        };
        let mut all = self.0.lock();
        let is_silent = matches!(heard.outcome, Change::Unreachable | Change::Unknown)
            && now.saturating_duration_since(begun) >= SLOW;
        if !is_silent {
            all.pop(&server);
            return;
        }
        let asker = asker(job);
        match all.get_mut(&server) {
            Some(silence) if silence.asker == asker => {
                silence.at = now;
                silence.until_others = silence.until_others.saturating_mul(2).min(LONGEST);
            }
            // It had begun before anybody knew.
            Some(_) => {}
            None => {
                let silence = Silence {
                    asker: asker.to_owned(),
                    at: now,
                    until_others: FIRST,
                };
                all.put(server, silence);
            }
        }
    }
}

/// What the servers of a job go by, where there is one that may say nothing.
fn server(job: &Job) -> Option<String> {
    let host = job.place.host.to_ascii_lowercase();
    match &job.rotator {
        Rotator::User(engine) | Rotator::Alternating(engine) => {
            let port = job.place.port.unwrap_or(engine.port());
            Some(format!("{host}:{port}"))
        }
        // A command may know many hosts.
        Rotator::Command(name) => {
            let port = job.place.port.unwrap_or_default();
            Some(format!("{host}:{port} by {name}"))
        }
        Rotator::PasswordFile(_) | Rotator::Certificate => None,
    }
}

fn asker(job: &Job) -> &str {
    match &job.deed {
        Deed::Try(login) => &login.user,
        Deed::Set(wanted) => &wanted.login.user,
    }
}

/// A host that refuses does so at once; half of the shortest deadline.
const SLOW: Duration = Duration::from_millis(2500);

/// Twice the deadline of a login: half of the time nobody waits for that server.
const FIRST: Duration = Duration::from_secs(10);

/// A server that was away for long is found again within this, and a hundred dead ones keep no more than eight busy at a time.
const LONGEST: Duration = Duration::from_secs(60);

/// Servers that are remembered, at some hundred bytes each.
const MOST: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

#[cfg(test)]
mod tests {
    use keystead_core::rotation::{Engine, Login, Place};
    use zeroize::Zeroizing;

    use super::*;

    fn job(host: &str, user: &str) -> Job {
        Job {
            rotator: Rotator::User(Engine::MySql),
            place: Place {
                host: host.into(),
                ..Place::default()
            },
            deed: Deed::Try(Login {
                user: user.into(),
                password: Zeroizing::default(),
            }),
        }
    }

    fn nothing() -> Heard {
        Heard::new(Change::Unreachable, "no login")
    }

    #[test]
    fn one_asks_a_silent_server_and_the_others_wait() {
        let (silences, start) = (Silences::default(), Instant::now());
        let at = |secs| start + Duration::from_secs(secs);
        let (one, two) = (job("Dead", "one"), job("dead", "two"));
        assert!(silences.keeps_away(&one, at(0)).is_none());
        silences.note(&one, &nothing(), at(0), at(5));
        // Who found it so may ask again, and another server is not concerned.
        assert!(silences.keeps_away(&two, at(6)).is_some());
        assert!(silences.keeps_away(&one, at(7)).is_none());
        assert!(silences.keeps_away(&job("alive", "two"), at(7)).is_none());
        silences.note(&one, &nothing(), at(7), at(12));
        assert!(silences.keeps_away(&two, at(31)).is_some());
        // Then another one does, and only one of them.
        assert!(silences.keeps_away(&two, at(32)).is_none());
        assert!(silences.keeps_away(&one, at(33)).is_some());
        silences.note(&two, &Heard::done(), at(32), at(33));
        assert!(silences.keeps_away(&one, at(33)).is_none());
    }

    #[test]
    fn a_server_that_refuses_is_not_silent() {
        let (silences, start) = (Silences::default(), Instant::now());
        silences.note(&job("x", "one"), &nothing(), start, start);
        assert!(silences.keeps_away(&job("x", "two"), start).is_none());
    }

    #[test]
    fn many_that_met_the_same_silence_count_once() {
        let (silences, start) = (Silences::default(), Instant::now());
        let later = start + Duration::from_secs(5);
        for user in ["one", "two", "three", "four", "five", "six"] {
            silences.note(&job("x", user), &nothing(), start, later);
        }
        assert!(silences.keeps_away(&job("x", "two"), later).is_some());
        assert!(
            silences
                .keeps_away(&job("x", "two"), later + FIRST)
                .is_none()
        );
    }
}
