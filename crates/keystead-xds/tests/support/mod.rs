//! A source of secrets for tests: what it holds, who may have it, and what nodes reported.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use keystead_xds::{
    Change, Changes, Event, Node, PeerIdentity, Refusal, Secret, SecretKind, SecretSource,
};
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::BroadcastStream;

/// Everything may be read by everyone unless denied.
pub(crate) struct TestSource {
    state: Mutex<State>,
    changes: Mutex<broadcast::Sender<Change>>,
}

#[derive(Default)]
struct State {
    version: u64,
    secrets: BTreeMap<String, Secret>,
    denied: HashSet<(PeerIdentity, String)>,
    unreadable: BTreeSet<String>,
    reads: usize,
    events: Vec<(Node, Event)>,
}

#[allow(dead_code, reason = "each test file uses its part")]
impl TestSource {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changes: Mutex::new(broadcast::channel(64).0),
        })
    }

    /// Stores a new version, tells of it, and returns it.
    pub(crate) fn put(&self, name: &str, kind: SecretKind) -> u64 {
        let version = self.put_silently(name, kind);
        self.tell(Change::Resource(name.to_owned()));
        version
    }

    /// Stores a new version without telling.
    pub(crate) fn put_silently(&self, name: &str, kind: SecretKind) -> u64 {
        let mut state = self.state.lock();
        state.version += 1;
        let version = state.version;
        state
            .secrets
            .insert(name.to_owned(), Secret { version, kind });
        version
    }

    pub(crate) fn put_trust(&self, name: &str, text: &str) -> u64 {
        let trust_pem = text.to_owned();
        self.put(name, SecretKind::Validation { trust_pem })
    }

    pub(crate) fn remove(&self, name: &str) {
        self.state.lock().secrets.remove(name);
        self.tell(Change::Resource(name.to_owned()));
    }

    pub(crate) fn deny(&self, peer: &PeerIdentity, name: &str) {
        let entry = (peer.clone(), name.to_owned());
        self.state.lock().denied.insert(entry);
        self.tell(Change::Resource(name.to_owned()));
    }

    pub(crate) fn allow(&self, peer: &PeerIdentity, name: &str) {
        let entry = (peer.clone(), name.to_owned());
        self.state.lock().denied.remove(&entry);
        self.tell(Change::Resource(name.to_owned()));
    }

    pub(crate) fn break_reading(&self, name: &str) {
        self.state.lock().unreadable.insert(name.to_owned());
    }

    pub(crate) fn mend_reading(&self, name: &str) {
        self.state.lock().unreadable.remove(name);
    }

    pub(crate) fn tell(&self, change: Change) {
        // Nobody listens before the service starts.
        let _ = self.changes.lock().send(change);
    }

    /// Ends every feed of changes that is open.
    pub(crate) fn end_feeds(&self) {
        *self.changes.lock() = broadcast::channel(64).0;
    }

    pub(crate) fn reads(&self) -> usize {
        self.state.lock().reads
    }

    pub(crate) fn events(&self) -> Vec<(Node, Event)> {
        self.state.lock().events.clone()
    }

    /// What was reported, without who.
    pub(crate) fn reported(&self, wanted: &Event) -> usize {
        let state = self.state.lock();
        state.events.iter().filter(|(_, e)| e == wanted).count()
    }
}

#[async_trait::async_trait]
impl SecretSource for TestSource {
    async fn secret(&self, node: &Node, resource: &str) -> Result<Secret, Refusal> {
        let mut state = self.state.lock();
        state.reads += 1;
        let entry = (node.identity.clone(), resource.to_owned());
        if state.denied.contains(&entry) {
            return Err(Refusal::Denied);
        }
        if state.unreadable.contains(resource) {
            return Err(Refusal::Unavailable("the disk is on fire".to_owned()));
        }
        state.secrets.get(resource).cloned().ok_or(Refusal::Absent)
    }

    fn changes(&self) -> Changes {
        let receiver = self.changes.lock().subscribe();
        Box::pin(BroadcastStream::new(receiver).map(|change| change.unwrap_or(Change::Lagged)))
    }

    fn report(&self, node: &Node, event: Event) {
        self.state.lock().events.push((node.clone(), event));
    }
}
