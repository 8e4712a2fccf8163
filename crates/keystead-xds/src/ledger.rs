//! What one node has, what it rejected and what is on the way to it: the protocol, without I/O.
//!
//! The stream asks [`Ledger::next_due`] which resource to look at, reads it, lets [`Ledger::weigh`]
//! decide whether the node needs it, and sends what came together as one response, which
//! [`Ledger::dispatch`] writes down. One response is on the way at a time: until the node answers,
//! changes only mark names as due, so any number of them coalesce, a slow node costs nothing, and an
//! answer never leaves open what it is about.
//!
//! After a rejection the version is not offered again on this stream. When a response of several
//! secrets is rejected, which of them is at fault is not said; each is then sent alone once, so that
//! one broken certificate does not hold up its neighbours.
//!
//! A node that asks for what is not there, or not for it, hears nothing until that changes. The
//! incremental variant has a word for "does not exist" (xDS, "Knowing When a Requested Resource Does
//! Not Exist"), but Envoy takes it for the end of its wait: it says that it is ready and opens a port
//! without a certificate (seen in 1.40). So it is said only of what the node has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::dialect::{Answer, Subscription};
use crate::limits::NAME_BYTES;
use crate::source::{Refusal, Secret};
use crate::version;

/// The state of one stream.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: BTreeMap<Arc<str>, Entry>,
    due: BTreeSet<Arc<str>>,
    later: BTreeSet<Arc<str>>,
    on_the_way: Option<Dispatch>,
    nonces: u64,
    claim: Option<String>,
}

/// What is known of one subscription.
struct Entry {
    held: Held,
    /// Whether what it holds is its own word, on a new stream, that nobody has taken note of yet.
    claimed: bool,
    refused: Option<u64>,
    alone: bool,
    refusal_told: bool,
}

/// What the node has of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// Nothing that we know of.
    Nothing,
    /// This version.
    Version(u64),
    /// Something that another server gave it.
    Foreign,
}

/// A response that awaits its answer.
struct Dispatch {
    nonce: String,
    secrets: Vec<(Arc<str>, u64)>,
}

/// What to do with a resource that was just read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Weighed {
    /// The node has it or rejected it.
    Nothing,
    /// The node came back with it, which is as good as accepting it; told once.
    Has,
    /// The node needs it.
    Send,
    /// The node has what it should not have any more, and is to be told where the dialect can.
    Remove,
}

/// Which names a request added and which it dropped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) added: Vec<Arc<str>>,
    pub(crate) dropped: Vec<Arc<str>>,
}

/// What an answer says of each secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The node uses these from now on.
    Accepted(Vec<(Arc<str>, u64)>),
    /// The node rejected this one.
    Rejected(Arc<str>, u64),
    /// The node rejected one of several; each goes alone now.
    Split,
    /// The answer is to no response that awaits one.
    Stale,
}

/// A request that breaks a rule; the stream is closed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    Wildcard,
    Name,
    TooManyNames(usize),
}

impl Ledger {
    /// The nonce that a request must carry to speak of the newest response; empty before the first.
    pub(crate) fn newest_nonce(&self) -> String {
        match self.nonces {
            0 => String::new(),
            count => count.to_string(),
        }
    }

    /// Whether a response awaits its answer.
    pub(crate) fn awaits_answer(&self) -> bool {
        self.on_the_way.is_some()
    }

    /// Every name that is subscribed to.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.entries.keys()
    }

    /// Takes over what a request says about subscriptions.
    pub(crate) fn subscribe(
        &mut self,
        subscription: Subscription,
        first: bool,
        most: usize,
    ) -> Result<Changed, Violation> {
        let changed = match subscription {
            Subscription::Whole { names, version } => {
                if first && !version.is_empty() {
                    self.claim = Some(version);
                }
                self.replace(names)?
            }
            Subscription::Step {
                subscribe,
                unsubscribe,
                known,
            } => {
                let mut changed = Changed::default();
                for name in unsubscribe {
                    self.drop_name(&name, &mut changed);
                }
                for name in subscribe {
                    // What is known counts on a new stream only (xDS, "Incremental xDS").
                    let held = known
                        .get(&name)
                        .filter(|_| first)
                        .map_or(Held::Nothing, |version| {
                            version::parse_one(version).map_or(Held::Foreign, Held::Version)
                        });
                    self.add(checked(name)?, held, &mut changed);
                }
                changed
            }
        };
        if self.entries.len() > most {
            return Err(Violation::TooManyNames(most));
        }
        Ok(changed)
    }

    /// State of the world: the names are all that the node wants from now on.
    fn replace(&mut self, names: Vec<String>) -> Result<Changed, Violation> {
        let mut changed = Changed::default();
        let wanted = names
            .into_iter()
            .map(checked)
            .collect::<Result<BTreeSet<_>, _>>()?;
        let unwanted: Vec<_> = self
            .names()
            .filter(|name| !wanted.contains(*name))
            .cloned()
            .collect();
        for name in unwanted {
            self.drop_name(&name, &mut changed);
        }
        for name in wanted {
            if !self.entries.contains_key(&name) {
                self.add(name, Held::Nothing, &mut changed);
            }
        }
        Ok(changed)
    }

    /// Adds a name, or sends it once more to a node that asks again: it may have forgotten the
    /// resource (xDS, "Subscribing to Resources").
    fn add(&mut self, name: Arc<str>, held: Held, changed: &mut Changed) {
        self.due.insert(name.clone());
        if let Some(entry) = self.entries.get_mut(&name) {
            entry.held = Held::Nothing;
            return;
        }
        changed.added.push(name.clone());
        let entry = Entry {
            held,
            claimed: matches!(held, Held::Version(_)),
            refused: None,
            alone: false,
            refusal_told: false,
        };
        self.entries.insert(name, entry);
    }

    fn drop_name(&mut self, name: &str, changed: &mut Changed) {
        if let Some((name, _)) = self.entries.remove_entry(name) {
            self.due.remove(&name);
            changed.dropped.push(name);
        }
    }

    /// Marks a name to be looked at again.
    pub(crate) fn mark(&mut self, name: Arc<str>) {
        if self.entries.contains_key(&name) {
            self.due.insert(name);
        }
    }

    /// Marks every name to be looked at again.
    pub(crate) fn mark_all(&mut self) {
        self.due = self.names().cloned().collect();
    }

    /// Puts a name off until [`resume`](Self::resume), so that what cannot be read holds up nothing
    /// else.
    pub(crate) fn postpone(&mut self, name: Arc<str>) {
        self.later.insert(name);
    }

    /// Marks what was put off.
    pub(crate) fn resume(&mut self) {
        for name in std::mem::take(&mut self.later) {
            self.mark(name);
        }
    }

    /// Whether there is a name to look at.
    pub(crate) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// The next name to look at, which must have a response of its own if so said.
    pub(crate) fn next_due(&mut self) -> Option<(Arc<str>, bool)> {
        let name = self.due.pop_first()?;
        let alone = self.entries.get(&name).is_some_and(|entry| entry.alone);
        Some((name, alone))
    }

    /// Decides what the node needs of a resource that was just read.
    pub(crate) fn weigh(&mut self, name: &str, read: &Result<Secret, Refusal>) -> Weighed {
        let Some(entry) = self.entries.get_mut(name) else {
            return Weighed::Nothing;
        };
        match read {
            Ok(secret) => {
                entry.refusal_told = false;
                let version = secret.version;
                let claimed = std::mem::take(&mut entry.claimed);
                if entry.held == Held::Version(version) && claimed {
                    Weighed::Has
                } else if entry.held == Held::Version(version) || entry.refused == Some(version) {
                    Weighed::Nothing
                } else {
                    Weighed::Send
                }
            }
            // The same for both, and for one that it never had.
            Err(Refusal::Denied | Refusal::Absent) if entry.held != Held::Nothing => {
                Weighed::Remove
            }
            Err(_) => Weighed::Nothing,
        }
    }

    /// Whether the operator has yet to hear that this name is withheld; true once.
    pub(crate) fn tell_refusal(&mut self, name: &str) -> bool {
        self.entries
            .get_mut(name)
            .is_some_and(|entry| !std::mem::replace(&mut entry.refusal_told, true))
    }

    /// Writes down that these went out, and names the response.
    pub(crate) fn dispatch(
        &mut self,
        secrets: Vec<(Arc<str>, u64)>,
        removed: &[Arc<str>],
    ) -> String {
        for name in removed {
            if let Some(entry) = self.entries.get_mut(name) {
                entry.held = Held::Nothing;
            }
        }
        self.nonces += 1;
        let nonce = self.newest_nonce();
        self.on_the_way = Some(Dispatch {
            nonce: nonce.clone(),
            secrets,
        });
        nonce
    }

    /// Takes the node's answer to the response on the way.
    pub(crate) fn answer(&mut self, answer: &Answer) -> Outcome {
        let Some(dispatch) = self.on_the_way.take_if(|sent| sent.nonce == answer.nonce) else {
            return Outcome::Stale;
        };
        if answer.rejection.is_none() {
            for (name, version) in &dispatch.secrets {
                if let Some(entry) = self.entries.get_mut(name) {
                    entry.held = Held::Version(*version);
                    entry.alone = false;
                }
            }
            return Outcome::Accepted(dispatch.secrets);
        }
        if let [(name, version)] = dispatch.secrets.as_slice() {
            if let Some(entry) = self.entries.get_mut(name) {
                entry.refused = Some(*version);
                entry.alone = false;
            }
            return Outcome::Rejected(name.clone(), *version);
        }
        for (name, _) in dispatch.secrets {
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.alone = true;
                self.due.insert(name);
            }
        }
        Outcome::Split
    }

    /// State of the world: the version of everything that the node will have once it accepts these.
    pub(crate) fn version_with(&self, secrets: &[(Arc<str>, u64)]) -> String {
        let mut versions: BTreeMap<&str, u64> = self
            .entries
            .iter()
            .filter_map(|(name, entry)| match entry.held {
                Held::Version(version) => Some((name.as_ref(), version)),
                Held::Nothing | Held::Foreign => None,
            })
            .collect();
        versions.extend(
            secrets
                .iter()
                .map(|(name, version)| (name.as_ref(), *version)),
        );
        version::of_all(versions.into_iter())
    }

    /// State of the world: the version that the node says it has of everything, if not yet checked.
    pub(crate) fn take_claim(&mut self) -> Option<String> {
        self.claim.take()
    }

    /// Believes a node that has all of these already.
    pub(crate) fn believe(&mut self, versions: &[(Arc<str>, u64)]) {
        for (name, version) in versions {
            if let Some(entry) = self.entries.get_mut(name) {
                entry.held = Held::Version(*version);
            }
            self.due.remove(name);
        }
    }
}

/// Checks a name; an unknown one is no fault, but the wildcard is offered for listeners and clusters
/// only (xDS, "How the client specifies what resources to return").
fn checked(name: String) -> Result<Arc<str>, Violation> {
    match name.as_str() {
        "*" => Err(Violation::Wildcard),
        other if other.is_empty() || other.len() > NAME_BYTES => Err(Violation::Name),
        _ => Ok(name.into()),
    }
}
