//! Wakes the streams that a change concerns, and holds the limits over all streams together.
//!
//! A change costs one look-up and a mark for each stream that subscribed to the name; others do not
//! notice. Marks are sets of names, so a storm of changes to one resource is one mark until the stream
//! gets round to it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::limits::Limits;
use crate::source::{Change, PeerIdentity};

/// All open streams and what each subscribed to.
pub(crate) struct Hub {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closed: bool,
    last_stream: u64,
    names: usize,
    streams: HashMap<u64, Stream>,
    per_peer: HashMap<PeerIdentity, usize>,
    subscribers: HashMap<Arc<str>, BTreeSet<u64>>,
}

struct Stream {
    peer: PeerIdentity,
    mailbox: Arc<Mailbox>,
}

/// What waits for a stream.
#[derive(Default)]
pub(crate) struct Mailbox {
    news: Mutex<News>,
    bell: Notify,
}

/// What a stream finds when it looks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// These resources changed.
    pub(crate) changed: BTreeSet<Arc<str>>,
    /// Anything may have changed.
    pub(crate) anything: bool,
    /// The server is going away.
    pub(crate) closed: bool,
}

/// Why a stream or a subscription is turned down.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Closed,
    Streams(usize),
    StreamsOfPeer(usize),
    Names(usize),
}

impl Hub {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::default(),
        })
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many streams are open.
    pub(crate) fn streams(&self) -> usize {
        self.state.lock().streams.len()
    }

    /// Admits a stream; it leaves when the pass is dropped.
    pub(crate) fn admit(self: &Arc<Self>, peer: &PeerIdentity) -> Result<Pass, Full> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Full::Closed);
        }
        if state.streams.len() >= self.limits.streams {
            return Err(Full::Streams(self.limits.streams));
        }
        let of_peer = state.per_peer.entry(peer.clone()).or_default();
        if *of_peer >= self.limits.streams_per_peer {
            return Err(Full::StreamsOfPeer(self.limits.streams_per_peer));
        }
        *of_peer += 1;
        state.last_stream += 1;
        let stream = state.last_stream;
        let mailbox = Arc::new(Mailbox::default());
        state.streams.insert(
            stream,
            Stream {
                peer: peer.clone(),
                mailbox: mailbox.clone(),
            },
        );
        Ok(Pass {
            hub: self.clone(),
            stream,
            mailbox,
            names: BTreeSet::new(),
        })
    }

    /// Passes a change on to whom it concerns.
    pub(crate) fn tell(&self, change: &Change) {
        let state = self.state.lock();
        match change {
            Change::Resource(name) => {
                let Some((name, streams)) = state.subscribers.get_key_value(name.as_str()) else {
                    return;
                };
                for stream in streams.iter().filter_map(|id| state.streams.get(id)) {
                    stream.mailbox.put(|news| {
                        news.changed.insert(name.clone());
                    });
                }
            }
            Change::Lagged => {
                for stream in state.streams.values() {
                    stream.mailbox.put(|news| news.anything = true);
                }
            }
        }
    }

    /// Ends every stream and admits no other.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        for stream in state.streams.values() {
            stream.mailbox.put(|news| news.closed = true);
        }
    }
}

impl Mailbox {
    fn put(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.news.lock());
        self.bell.notify_one();
    }

    /// Waits until there is news and takes it; loses nothing when dropped while waiting.
    pub(crate) async fn take(&self) -> News {
        loop {
            let news = std::mem::take(&mut *self.news.lock());
            if news != News::default() {
                return news;
            }
            self.bell.notified().await;
        }
    }
}

/// A stream's place in the hub.
pub(crate) struct Pass {
    hub: Arc<Hub>,
    stream: u64,
    mailbox: Arc<Mailbox>,
    names: BTreeSet<Arc<str>>,
}

impl Pass {
    /// The stream's number.
    pub(crate) fn stream(&self) -> u64 {
        self.stream
    }

    /// Where the stream's news arrive.
    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// The limits over all streams.
    pub(crate) fn limits(&self) -> &Limits {
        self.hub.limits()
    }

    /// From now on changes of this name reach the stream.
    pub(crate) fn follow(&mut self, name: &Arc<str>) -> Result<(), Full> {
        if self.names.contains(name) {
            return Ok(());
        }
        let mut state = self.hub.state.lock();
        if state.names >= self.hub.limits.names {
            return Err(Full::Names(self.hub.limits.names));
        }
        state.names += 1;
        let streams = state.subscribers.entry(name.clone()).or_default();
        streams.insert(self.stream);
        self.names.insert(name.clone());
        Ok(())
    }

    /// Changes of this name no longer reach the stream.
    pub(crate) fn unfollow(&mut self, name: &Arc<str>) {
        if self.names.remove(name) {
            self.hub.state.lock().forget(name, self.stream);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.hub.state.lock();
        for name in &self.names {
            state.forget(name, self.stream);
        }
        if let Some(stream) = state.streams.remove(&self.stream)
            && let Some(count) = state.per_peer.get_mut(&stream.peer)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                state.per_peer.remove(&stream.peer);
            }
        }
    }
}

impl State {
    fn forget(&mut self, name: &Arc<str>, stream: u64) {
        let Some(streams) = self.subscribers.get_mut(name) else {
            return;
        };
        if streams.remove(&stream) {
            self.names = self.names.saturating_sub(1);
        }
        if streams.is_empty() {
            self.subscribers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(limits: Limits) -> (Arc<Hub>, PeerIdentity) {
        (Hub::new(limits), PeerIdentity::UnixUser { uid: 1 })
    }

    fn news(pass: &Pass) -> News {
        std::mem::take(&mut *pass.mailbox.news.lock())
    }

    fn changed(hub: &Hub, name: &str) {
        hub.tell(&Change::Resource(name.to_owned()));
    }

    #[test]
    fn only_subscribers_hear_of_a_change_and_a_storm_is_one_mark() {
        let (hub, peer) = hub(Limits::default());
        let (mut one, mut two) = (hub.admit(&peer).unwrap(), hub.admit(&peer).unwrap());
        one.follow(&"a".into()).unwrap();
        two.follow(&"b".into()).unwrap();
        for _ in 0..1_000 {
            changed(&hub, "a");
        }
        assert_eq!(news(&one).changed.len(), 1);
        assert_eq!(news(&two), News::default());

        one.unfollow(&"a".into());
        changed(&hub, "a");
        assert_eq!(news(&one), News::default());
    }

    #[test]
    fn a_lag_and_the_end_reach_everyone() {
        let (hub, peer) = hub(Limits::default());
        let pass = hub.admit(&peer).unwrap();
        hub.tell(&Change::Lagged);
        assert!(news(&pass).anything);
        hub.close();
        assert!(news(&pass).closed);
        assert_eq!(hub.admit(&peer).err(), Some(Full::Closed));
    }

    #[test]
    fn limits_hold_and_places_come_back() {
        let limits = Limits {
            streams: 3,
            streams_per_peer: 2,
            names: 2,
            ..Limits::default()
        };
        let (hub, peer) = hub(limits);
        let other = PeerIdentity::Certificate { name: "n".into() };
        let mut one = hub.admit(&peer).unwrap();
        let two = hub.admit(&peer).unwrap();
        assert_eq!(hub.admit(&peer).err(), Some(Full::StreamsOfPeer(2)));
        let mut three = hub.admit(&other).unwrap();
        assert_eq!(hub.admit(&other).err(), Some(Full::Streams(3)));

        one.follow(&"a".into()).unwrap();
        one.follow(&"a".into()).unwrap();
        one.follow(&"b".into()).unwrap();
        assert_eq!(three.follow(&"a".into()), Err(Full::Names(2)));
        drop((one, two));
        three.follow(&"a".into()).unwrap();
        assert_eq!(hub.streams(), 1);
        drop(three);
        let state = hub.state.lock();
        assert!(state.subscribers.is_empty() && state.per_peer.is_empty() && state.names == 0);
    }

    #[tokio::test]
    async fn news_from_before_the_wait_is_not_lost() {
        let (hub, peer) = hub(Limits::default());
        let mut pass = hub.admit(&peer).unwrap();
        pass.follow(&"a".into()).unwrap();
        changed(&hub, "a");
        let waiting = pass.mailbox().clone();
        let news = tokio::time::timeout(std::time::Duration::from_secs(5), waiting.take())
            .await
            .unwrap();
        assert!(news.changed.contains("a"));
    }
}
