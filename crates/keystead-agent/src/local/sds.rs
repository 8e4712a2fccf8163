//! Secret discovery for Envoys of this machine, on a Unix socket: the kernel says whose process connects, the configuration
//! which certificates and authorities that user may have.
//!
//! What an Envoy accepted is proven, and reported. What can't be read anew stays as it is: an Envoy that comes while the server
//! is away, or after the role has lost its permission, is given what was read last.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use keystead_xds::{Change, Changes, Event, Node, PeerIdentity, Refusal, Secret, SecretSource};
use parking_lot::Mutex;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_stream::wrappers::BroadcastStream;

use crate::identity::Identity;
use crate::material::{self, Material};
use crate::push;
use crate::report::{Board, Placement, Resource, State};
use crate::{Clock, Failure};

/// What one user may have.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) user: String,
    pub(super) uid: u32,
    pub(super) resources: Vec<String>,
}

/// The source of secrets behind the socket.
pub(super) struct Delivery {
    identity: Arc<Identity>,
    clock: Clock,
    grants: Vec<Grant>,
    held: HashMap<String, tokio::sync::Mutex<Held>>,
    seen: Mutex<Seen>,
    changed: broadcast::Sender<String>,
    board: Arc<Board>,
}

/// What is held of one resource.
#[derive(Default)]
struct Held {
    material: Option<Material>,
    version: u64,
    read_at: Option<Timestamp>,
    /// Whether there may be a newer one.
    stale: bool,
}

/// What is known of all resources and streams, for reports.
#[derive(Default)]
struct Seen {
    resources: HashMap<String, Known>,
    /// The versions that streams accepted, by user, resource and stream.
    accepted: HashMap<(u32, String), BTreeMap<u64, u64>>,
    /// The version that a user's process refused last, and why.
    rejected: HashMap<(u32, String), (u64, String)>,
    /// What was reported last, by name.
    last: HashMap<String, Placement>,
}

#[derive(Clone, Default)]
struct Known {
    version: u64,
    label: Option<String>,
    validity: Option<(Timestamp, Timestamp)>,
    since: Timestamp,
    /// Why it can't be read.
    trouble: Option<String>,
}

impl Delivery {
    pub(super) fn new(
        identity: Arc<Identity>,
        clock: Clock,
        grants: Vec<Grant>,
        board: Arc<Board>,
    ) -> Arc<Self> {
        let resources = grants.iter().flat_map(|grant| &grant.resources);
        let held = resources.map(|arn| (arn.clone(), tokio::sync::Mutex::default()));
        let made = Self {
            identity,
            clock,
            held: held.collect(),
            grants,
            seen: Mutex::default(),
            changed: broadcast::Sender::new(CHANGES),
            board,
        };
        made.publish();
        Arc::new(made)
    }

    /// Hears of changes, for ever.
    pub(super) async fn follow(self: Arc<Self>) {
        let (tell, mut told) = mpsc::channel::<push::Change>(16);
        let arns: Vec<String> = self.held.keys().cloned().collect();
        let (_wanted, following) = watch::channel(Arc::from(arns));
        let identity = Arc::clone(&self.identity);
        let following = push::follow(identity, following, tell, watch::Sender::new(None));
        let telling = async {
            let mut reading: HashMap<String, AbortOnDrop> = HashMap::new();
            while let Some(change) = told.recv().await {
                let read = tokio::spawn(Arc::clone(&self).read(change.arn.clone()));
                reading.insert(change.arn, AbortOnDrop(read));
            }
        };
        tokio::join!(following, telling);
    }

    /// Reads a resource that changed, again and again until it can be read, and wakes who has it.
    async fn read(self: Arc<Self>, arn: String) {
        let Some(held) = self.held.get(&arn) else {
            return;
        };
        held.lock().await.stale = true;
        let mut failures = 0;
        loop {
            let outcome = self.refresh(&arn).await;
            // Nobody listens where no Envoy is connected.
            let _ = self.changed.send(arn.clone());
            let trouble = outcome.err().map(|error| error.to_string());
            let trouble = trouble.or_else(|| self.seen.lock().resources.get(&arn)?.trouble.clone());
            let Some(trouble) = trouble else {
                return;
            };
            if failures == 0 {
                tracing::warn!(
                    trouble,
                    resource = arn,
                    "what changed can't be read; what was read last stays, and it is tried again"
                );
            }
            tokio::time::sleep(push::pause(failures)).await;
            failures = failures.saturating_add(1);
        }
    }

    /// Reads the resource anew if there may be a newer version; fails only where there is none to go on with.
    async fn refresh(&self, arn: &str) -> Result<Secret, Failure> {
        let held = self.held.get(arn);
        let held = held.ok_or_else(|| Failure::Here(format!("{arn} is granted to nobody")))?;
        let mut held = held.lock().await;
        let now = self.clock.now();
        if held.is_fresh(now) {
            return held.secret();
        }
        let outcome = material::read(&self.identity, arn).await;
        let trouble = match outcome {
            Ok(fresh) => {
                held.take(fresh, now);
                None
            }
            Err(error) => Some(error),
        };
        self.know(arn, &held, trouble.as_ref(), now);
        match (held.secret(), trouble) {
            (Ok(secret), _) => Ok(secret),
            (Err(_), Some(error)) | (Err(error), None) => Err(error),
        }
    }

    fn know(&self, arn: &str, held: &Held, trouble: Option<&Failure>, now: Timestamp) {
        let mut seen = self.seen.lock();
        let known = seen.resources.entry(arn.to_owned()).or_default();
        if known.version != held.version {
            known.since = now;
        }
        known.version = held.version;
        known.label = held
            .material
            .as_ref()
            .map(|material| material.label.clone());
        known.validity = held
            .material
            .as_ref()
            .and_then(|material| material.validity);
        known.trouble = trouble.map(ToString::to_string);
        drop(seen);
        self.publish();
    }

    /// Has the placements reported, as far as they changed.
    fn publish(&self) {
        let now = self.clock.now();
        let mut seen = self.seen.lock();
        let mut all = Vec::new();
        for grant in &self.grants {
            for arn in &grant.resources {
                let placement = seen.placement(grant, arn, now);
                seen.last.insert(placement.name.clone(), placement.clone());
                all.push(placement);
            }
        }
        drop(seen);
        for placement in all {
            self.board.put(placement);
        }
    }

    fn is_granted(&self, uid: u32, arn: &str) -> bool {
        let of_user = self.grants.iter().filter(|grant| grant.uid == uid);
        of_user
            .flat_map(|grant| &grant.resources)
            .any(|granted| granted == arn)
    }
}

impl Held {
    fn is_fresh(&self, now: Timestamp) -> bool {
        let oldest = now.checked_sub(LOOK_AGAIN).unwrap_or(Timestamp::MIN);
        !self.stale && self.material.is_some() && self.read_at.is_some_and(|at| at > oldest)
    }

    /// Takes what was read. Versions only grow, also over restarts: a new one has the time as its number.
    fn take(&mut self, fresh: Material, now: Timestamp) {
        let is_same = self
            .material
            .as_ref()
            .is_some_and(|held| held.digest == fresh.digest);
        if !is_same {
            let time = u64::try_from(now.as_millisecond()).unwrap_or_default();
            self.version = time.max(self.version.saturating_add(1));
        }
        self.material = Some(fresh);
        self.read_at = Some(now);
        self.stale = false;
    }

    fn secret(&self) -> Result<Secret, Failure> {
        let material = self.material.as_ref();
        let material =
            material.ok_or_else(|| Failure::Unreachable("nothing was read yet".into()))?;
        Ok(Secret {
            version: self.version,
            kind: material.kind.clone(),
        })
    }
}

impl Seen {
    /// How a resource stands with the processes of a user.
    fn placement(&self, grant: &Grant, arn: &str, now: Timestamp) -> Placement {
        let known = self.resources.get(arn).cloned().unwrap_or_default();
        let key = (grant.uid, arn.to_owned());
        let accepted = self.accepted.get(&key);
        let accepted: Vec<u64> = accepted
            .into_iter()
            .flat_map(|of| of.values().copied())
            .collect();
        let rejected = self
            .rejected
            .get(&key)
            .filter(|(version, _)| *version == known.version);
        let everywhere =
            known.label.is_some() && accepted.iter().all(|version| *version >= known.version);
        let (state, reason) = match (&known.trouble, rejected) {
            (Some(trouble), _) => (State::Failed, Some(trouble.clone())),
            (None, Some((_, why))) => (
                State::Failed,
                Some(format!("refused by a process of {}: {why}", grant.user)),
            ),
            (None, None) if accepted.is_empty() => (
                State::Pending,
                Some(format!("no process of {} has asked for it", grant.user)),
            ),
            (None, None) if everywhere => (State::Proven, None),
            (None, None) => (State::Pending, None),
        };
        let name = name_of(grant, arn);
        let last = self.last.get(&name).filter(|last| last.state == state);
        let proven = everywhere && !accepted.is_empty();
        let wanted_at = match known.version {
            0 => last.map_or(now, |last| last.wanted_at),
            _ => known.since,
        };
        Placement {
            since: last.map_or(now, |last| last.since),
            wanted_at,
            resources: vec![Resource {
                arn: arn.to_owned(),
                wanted: known.label.clone(),
                placed: known.label.clone(),
                proven: known.label.filter(|_| proven),
            }],
            addresses: Vec::new(),
            validity: known.validity,
            name,
            state,
            reason,
        }
    }
}

/// A task that ends with its handle.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[async_trait]
impl SecretSource for Delivery {
    async fn secret(&self, node: &Node, resource: &str) -> Result<Secret, Refusal> {
        let PeerIdentity::UnixUser { uid } = node.identity else {
            return Err(Refusal::Denied);
        };
        if !self.is_granted(uid, resource) {
            return Err(Refusal::Denied);
        }
        self.refresh(resource).await.map_err(|error| match error {
            Failure::Refused { .. } => Refusal::Absent,
            error => Refusal::Unavailable(error.to_string()),
        })
    }

    fn changes(&self) -> Changes {
        let told = BroadcastStream::new(self.changed.subscribe());
        Box::pin(told.map(|told| told.map_or(Change::Lagged, Change::Resource)))
    }

    fn report(&self, node: &Node, event: Event) {
        let PeerIdentity::UnixUser { uid } = node.identity else {
            return;
        };
        let mut seen = self.seen.lock();
        match event {
            Event::Connected => {}
            Event::Accepted { resource, version } => {
                let key = (uid, resource);
                if seen
                    .rejected
                    .get(&key)
                    .is_some_and(|(refused, _)| *refused <= version)
                {
                    seen.rejected.remove(&key);
                }
                seen.accepted
                    .entry(key)
                    .or_default()
                    .insert(node.stream, version);
            }
            Event::Rejected {
                resource,
                version,
                detail,
            } => {
                tracing::warn!(
                    uid,
                    resource,
                    version,
                    detail,
                    "a process refused what it was given"
                );
                seen.rejected.insert((uid, resource), (version, detail));
            }
            Event::Withheld { resource, .. } => {
                tracing::warn!(
                    uid,
                    resource,
                    "a process asked for what its user is not granted, or what can't be read"
                );
            }
            Event::Disconnected => {
                for streams in seen.accepted.values_mut() {
                    streams.remove(&node.stream);
                }
            }
        }
        drop(seen);
        self.publish();
    }
}

/// What a placement of this kind is called: the user, and the last part of the ARN.
fn name_of(grant: &Grant, arn: &str) -> String {
    let id = arn.rsplit('/').next().unwrap_or(arn);
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    let text = format!("sds.{}.{id}", grant.user);
    text.chars()
        .filter(|letter| fits(*letter))
        .take(NAME)
        .collect()
}

/// How old what is held may be where nothing is told: a push that was lost is made up for.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// Changes that a stream may be behind before it reads everything again.
const CHANGES: usize = 256;

/// `PlacementName`, 64.
const NAME: usize = 64;
