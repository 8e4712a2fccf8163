//! What the nodes made of what they were sent: live, in memory, rebuilt as nodes reconnect.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use parking_lot::Mutex;

/// News of one stream of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The stream is open.
    Connected,
    /// The node uses this version of this resource.
    Accepted {
        /// The resource's name.
        resource: String,
        /// The version in use.
        version: u64,
    },
    /// The node refused this version and goes on with what it had.
    Rejected {
        /// The resource's name.
        resource: String,
        /// The version refused.
        version: u64,
        /// The node's reason.
        detail: String,
    },
    /// The stream ended.
    Disconnected,
}

/// The state of one resource at one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The version in use, as the node said last.
    pub acked: Option<(u64, Timestamp)>,
    /// The last refusal: version, reason, when. Gone once the node accepts a newer version.
    pub nack: Option<(u64, String, Timestamp)>,
}

/// What is known of a version's use by a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It is in use on every stream that has the resource.
    Given,
    /// A stream has an older version, or has not said yet what it has.
    Behind,
    /// It was refused.
    Refused,
    /// The node is not connected.
    Away,
}

/// All nodes' deliveries.
#[derive(Debug, Default)]
pub struct Deliveries {
    nodes: Mutex<HashMap<String, NodeState>>,
}

#[derive(Debug, Default)]
struct NodeState {
    /// The open streams, with the newest version that each accepted of each resource.
    streams: HashMap<u64, BTreeMap<String, u64>>,
    resources: BTreeMap<String, Delivery>,
}

impl Deliveries {
    /// Takes note of news of `stream` of `node` (its ARN).
    pub fn note(&self, node: &str, stream: u64, news: News, now: Timestamp) {
        let mut nodes = self.nodes.lock();
        if !nodes.contains_key(node) && nodes.len() >= MAX_NODES {
            return;
        }
        let state = nodes.entry(node.to_owned()).or_default();
        match news {
            News::Connected => {
                state.streams.entry(stream).or_default();
            }
            News::Disconnected => {
                state.streams.remove(&stream);
            }
            News::Accepted { resource, version } => {
                if let Some(accepted) = state.streams.get_mut(&stream)
                    && (accepted.len() < MAX_RESOURCES || accepted.contains_key(&resource))
                {
                    accepted.insert(resource.clone(), version);
                }
                if let Some(delivery) = state.delivery(resource) {
                    delivery.acked = Some((version, now));
                    if delivery
                        .nack
                        .as_ref()
                        .is_some_and(|(refused, ..)| *refused <= version)
                    {
                        delivery.nack = None;
                    }
                }
            }
            News::Rejected {
                resource,
                version,
                detail,
            } => {
                tracing::warn!(
                    node,
                    resource,
                    version,
                    detail,
                    "a node refused what it was sent"
                );
                if let Some(delivery) = state.delivery(resource) {
                    delivery.nack = Some((version, detail, now));
                }
            }
        }
    }

    /// Whether any stream of `node` is open.
    pub fn connected(&self, node: &str) -> bool {
        self.nodes
            .lock()
            .get(node)
            .is_some_and(|state| !state.streams.is_empty())
    }

    /// Whether `node` is known to use this version of `resource`, or a newer one, wherever it uses it:
    /// on every open stream that has it, and on one at least.
    ///
    /// A node may be several processes, and each opens streams of its own. A stream that has accepted
    /// nothing yet is about to say what it has, so it is waited for.
    pub(crate) fn proof(&self, node: &str, resource: &str, version: u64) -> Proof {
        let nodes = self.nodes.lock();
        let Some(state) = nodes.get(node).filter(|state| !state.streams.is_empty()) else {
            return Proof::Away;
        };
        let refused = state
            .resources
            .get(resource)
            .and_then(|of| of.nack.as_ref());
        if refused.is_some_and(|(refused, ..)| *refused >= version) {
            return Proof::Refused;
        }
        let mut seen = false;
        for accepted in state.streams.values() {
            match accepted.get(resource) {
                Some(has) if *has >= version => seen = true,
                Some(_) => return Proof::Behind,
                None if accepted.is_empty() => return Proof::Behind,
                None => {}
            }
        }
        if seen { Proof::Given } else { Proof::Behind }
    }

    /// The deliveries of `node`, by resource.
    pub fn of(&self, node: &str) -> BTreeMap<String, Delivery> {
        self.nodes
            .lock()
            .get(node)
            .map(|state| state.resources.clone())
            .unwrap_or_default()
    }

    /// Forgets a node that is registered no more.
    pub(crate) fn forget(&self, node: &str) {
        self.nodes.lock().remove(node);
    }
}

impl NodeState {
    fn delivery(&mut self, resource: String) -> Option<&mut Delivery> {
        if !self.resources.contains_key(&resource) && self.resources.len() >= MAX_RESOURCES {
            return None;
        }
        Some(self.resources.entry(resource).or_default())
    }
}

/// Far above what one Keystead serves; a bound on memory, not a feature. Nodes beyond it are served
/// but not shown.
const MAX_NODES: usize = 100_000;

/// A node is granted at most 100 certificates and 100 authorities (`RegisterNode`); twice that leaves
/// room for grants that changed while it was connected.
const MAX_RESOURCES: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_proven_when_every_stream_has_it() {
        let deliveries = Deliveries::default();
        let note = |stream, news| deliveries.note("n", stream, news, Timestamp::UNIX_EPOCH);
        let accepted = |resource: &str, version| News::Accepted {
            resource: resource.to_owned(),
            version,
        };
        let proof = |version| deliveries.proof("n", "r", version);
        assert_eq!(proof(1), Proof::Away);
        note(1, News::Connected);
        assert_eq!(proof(1), Proof::Behind, "it has said nothing yet");
        note(1, accepted("r", 1));
        assert_eq!(proof(1), Proof::Given);
        assert_eq!(proof(2), Proof::Behind);
        note(2, News::Connected);
        assert_eq!(proof(1), Proof::Behind, "a second process came");
        note(2, accepted("other", 7));
        assert_eq!(
            proof(1),
            Proof::Given,
            "the second stream has another resource"
        );
        note(3, News::Connected);
        note(3, accepted("r", 2));
        assert_eq!(proof(2), Proof::Behind, "the first stream is behind");
        note(1, accepted("r", 3));
        assert_eq!(proof(2), Proof::Given);
        let refusal = News::Rejected {
            resource: "r".into(),
            version: 4,
            detail: "no".into(),
        };
        note(3, refusal);
        assert_eq!(proof(4), Proof::Refused);
        assert_eq!(
            proof(2),
            Proof::Refused,
            "nobody knows what that process goes on with"
        );
        for stream in 1..=3 {
            note(stream, News::Disconnected);
        }
        assert_eq!(proof(2), Proof::Away);
    }

    #[test]
    fn a_refusal_shows_until_a_newer_version_is_accepted() {
        let deliveries = Deliveries::default();
        let note = |news| deliveries.note("n", 1, news, Timestamp::UNIX_EPOCH);
        let resource = || "r".to_owned();
        note(News::Connected);
        note(News::Accepted {
            resource: resource(),
            version: 1,
        });
        note(News::Rejected {
            resource: resource(),
            version: 2,
            detail: "bad key".into(),
        });
        let seen = deliveries.of("n");
        assert_eq!(
            seen["r"].acked.as_ref().map(|(version, _)| *version),
            Some(1)
        );
        assert_eq!(
            seen["r"].nack.as_ref().map(|(version, ..)| *version),
            Some(2)
        );
        note(News::Accepted {
            resource: resource(),
            version: 3,
        });
        assert_eq!(deliveries.of("n")["r"].nack, None);
        assert!(deliveries.connected("n"));
        note(News::Disconnected);
        assert!(!deliveries.connected("n"));
    }
}
