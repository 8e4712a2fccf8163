//! Hearing of changes: a call that waits at the server until something is another than what the agent knows.
//!
//! Nothing is lost by being away: the agent says which versions it knows, and is told of everything that differs. Where there
//! is no such server (AWS itself), nothing is pushed, and who places things looks for himself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use keystead_crypto::random;
use keystead_wire::keystead::SERVICE;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::Failure;
use crate::identity::Identity;
use crate::link::text;

/// News of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its ARN.
    pub arn: String,
    /// What there is of it.
    pub state: State,
}

/// What there is of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// A version that the agent did not know.
    Current,
    /// It is not there, or has no version yet.
    Absent(String),
    /// The agent's role may not know of it.
    Refused(String),
}

/// Follows what is `wanted`, by ARN, and tells of changes until nobody listens. Everything that is wanted is told of once at
/// the beginning. `contact` has what keeps the agent from hearing anything, as long as something does.
pub async fn follow(
    identity: Arc<Identity>,
    mut wanted: watch::Receiver<Arc<[String]>>,
    tell: mpsc::Sender<Change>,
    contact: watch::Sender<Option<String>>,
) {
    let mut known: HashMap<String, String> = HashMap::new();
    loop {
        let arns = Arc::clone(&wanted.borrow_and_update());
        known.retain(|arn, _| arns.contains(arn));
        let mut groups = JoinSet::new();
        for group in arns.chunks(AT_ONCE) {
            let known = group
                .iter()
                .map(|arn| (arn.clone(), known.get(arn).cloned()));
            let group = Group {
                identity: Arc::clone(&identity),
                known: known.collect(),
                tell: tell.clone(),
                contact: contact.clone(),
            };
            groups.spawn(group.follow(wanted.clone()));
        }
        if arns.is_empty() && wanted.changed().await.is_err() {
            return;
        }
        while let Some(ended) = groups.join_next().await {
            for (arn, version) in ended.unwrap_or_default() {
                known.extend(version.map(|version| (arn, version)));
            }
        }
        if tell.is_closed() || wanted.has_changed().is_err() {
            return;
        }
    }
}

/// What one call waits for.
struct Group {
    identity: Arc<Identity>,
    known: Vec<(String, Option<String>)>,
    tell: mpsc::Sender<Change>,
    contact: watch::Sender<Option<String>>,
}

impl Group {
    /// Until something else is wanted; answers what is known by then.
    async fn follow(
        mut self,
        mut wanted: watch::Receiver<Arc<[String]>>,
    ) -> Vec<(String, Option<String>)> {
        let mut failures = 0;
        loop {
            let answer = tokio::select! {
                answer = self.ask() => answer,
                _ = wanted.changed() => return self.known,
            };
            match answer {
                Ok(answer) => {
                    failures = 0;
                    self.contact
                        .send_if_modified(|trouble| trouble.take().is_some());
                    if !self.take(&answer).await {
                        return self.known;
                    }
                }
                Err(error) => {
                    let text = error.to_string();
                    let news = self.contact.send_if_modified(|trouble| {
                        let news = trouble.as_deref() != Some(text.as_str());
                        *trouble = Some(text.clone());
                        news
                    });
                    if news {
                        tracing::warn!(%error, "the agent hears of no changes; it goes on with what it has, and tries again");
                    }
                    tokio::select! {
                        () = tokio::time::sleep(pause(failures)) => {}
                        _ = wanted.changed() => return self.known,
                    }
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    async fn ask(&self) -> Result<Value, Failure> {
        let resources: Vec<Value> = self
            .known
            .iter()
            .map(|(arn, version)| match version {
                Some(version) => json!({ "Arn": arn, "Version": version }),
                None => json!({ "Arn": arn }),
            })
            .collect();
        let input = json!({ "Resources": resources, "WaitSeconds": WAIT.as_secs() });
        let longest = WAIT + SPARE;
        self.identity
            .call(&SERVICE, "AwaitChanges", &input, longest)
            .await
    }

    /// Tells of what is in the answer; `false` where nobody listens any more.
    async fn take(&mut self, answer: &Value) -> bool {
        let changes = answer.get("Changes").and_then(Value::as_array);
        for change in changes.into_iter().flatten() {
            let (Ok(arn), Ok(version)) = (text(change, "Arn"), text(change, "Version")) else {
                continue;
            };
            let reason = || text(change, "Reason").unwrap_or_default().to_owned();
            let state = match change.get("State").and_then(Value::as_str) {
                Some("REFUSED") => State::Refused(reason()),
                Some("ABSENT") => State::Absent(reason()),
                _ => State::Current,
            };
            let news = Change {
                arn: arn.to_owned(),
                state,
            };
            if self.tell.send(news).await.is_err() {
                return false;
            }
            if let Some(known) = self.known.iter_mut().find(|(known, _)| known == arn) {
                known.1 = Some(version.to_owned());
            }
        }
        true
    }
}

/// A second, doubling up to a minute, and half as much again at random: ten thousand agents whose server comes back do not
/// come back all at once.
pub(crate) fn pause(failures: u32) -> Duration {
    let seconds = 1_u64 << failures.min(6);
    let base = Duration::from_secs(seconds.min(60));
    let [octet] = random::bytes::<1>().unwrap_or([128]);
    base.mul_f64(0.5 + f64::from(octet) / 256.0)
}

/// The longest that the server waits (`AwaitChanges`, `WaitSeconds`).
const WAIT: Duration = Duration::from_secs(50);

/// What the answer takes beyond that.
const SPARE: Duration = Duration::from_secs(15);

/// Resources of one call: half of what the server takes.
const AT_ONCE: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_or_so() {
        for failures in 0..100 {
            let base = (1_u64 << failures.min(6)).min(60);
            let seconds = pause(failures).as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "60 at most")]
            let base = base as f64;
            assert!(
                (base * 0.5..base * 1.5).contains(&seconds),
                "{failures}: {seconds}"
            );
        }
    }
}
