//! Carries out what the machine says, for one placement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{sleep, timeout};

use super::config::Place;
use super::fetch::{self, Version};
use super::kept::{Kept, Shelf};
use super::machine::{Disk, Look, Machine, Old, Seen, Step};
use super::{Before, prove};
use crate::files::{self, File, Unplaced};
use crate::identity::Identity;
use crate::reload::{Placed, Reload};
use crate::report::{Address, Board, Placement, Resource, State};
use crate::{Clock, Failure};

/// What all placements have in common.
pub(super) struct Shared {
    pub(super) identity: Arc<Identity>,
    pub(super) clock: Clock,
    pub(super) board: Arc<Board>,
    pub(super) shelf: Shelf,
    /// Bounds how many read from the server at once.
    pub(super) looking: Semaphore,
    pub(super) before: Before,
}

/// One placement at work.
pub(super) struct Runner {
    pub(super) place: Place,
    pub(super) shared: Arc<Shared>,
    /// Something that it is made of changed. A change while it works is there when it rests.
    pub(super) told: Arc<Notify>,
    kept: Kept,
    /// What is being placed.
    wanted: Option<Version>,
    /// What should be in place.
    labels: BTreeMap<String, String>,
    wanted_at: Timestamp,
    /// Whether what is on the disk is the good one.
    on_disk: Which,
    addresses: Vec<Address>,
    since: Option<(State, Timestamp)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Good,
    Wanted,
}

impl Runner {
    pub(super) fn new(place: Place, shared: Arc<Shared>) -> Self {
        // What is on the disk is no worse for that, and counts as the last good version where it is valid.
        let kept = shared.shelf.read(&place.name).unwrap_or_else(|error| {
            tracing::warn!(place = place.name, %error, "what was kept can't be used");
            Kept::default()
        });
        let now = shared.clock.now();
        let labels = kept.good.as_ref().map(|good| good.labels.clone());
        let mut made = Self {
            place,
            told: Arc::default(),
            kept,
            wanted: None,
            labels: labels.unwrap_or_default(),
            wanted_at: now,
            on_disk: Which::Good,
            addresses: Vec::new(),
            since: None,
            shared,
        };
        // What is not on the board, the server is told, is gone.
        made.publish(&Machine::new(1.0), Step::Look);
        made
    }

    /// For ever.
    pub(super) async fn run(mut self) {
        let mut machine = Machine::new(super::spread());
        let disk = self.begin();
        if disk == Disk::AsKept {
            // Everything that is wanted is told of once at the beginning: one look is enough.
            let _ = timeout(FIRST_WORD, self.told.notified()).await;
        }
        let mut seen = Seen::Started(disk);
        let mut trouble = None;
        loop {
            let ends = self.kept.good.as_ref().and_then(|good| good.validity);
            machine.ends(ends.map(|(_, end)| end));
            let step = machine.next(seen, self.shared.clock.now());
            if machine.trouble() != trouble.as_deref() {
                trouble = machine.trouble().map(str::to_owned);
                if let Some(why) = &trouble {
                    tracing::warn!(
                        place = self.place.name,
                        why,
                        "not placed; it is tried again"
                    );
                }
            }
            self.publish(&machine, step);
            seen = self.carry_out(step).await;
        }
    }

    async fn carry_out(&mut self, step: Step) -> Seen {
        if let Step::Rest { until } = step {
            return self.rest(until).await;
        }
        let outcome = match (self.shared.before)(name_of(step)) {
            Err(error) => Err(Failure::Here(error.to_string())),
            Ok(()) => match step {
                Step::Look | Step::Rest { .. } => return self.look().await,
                Step::Write => return self.write().await,
                Step::PutBack => self.put_back().await,
                Step::Test => match &self.place.reload {
                    Some(reload) => within(reload.test()).await,
                    None => Ok(()),
                },
                Step::Reload => match &self.place.reload {
                    Some(reload) => self.reload(reload).await,
                    None => Ok(()),
                },
                Step::Prove => self.prove().await,
                Step::Keep => self.keep(),
            },
        };
        match outcome {
            Ok(()) => Seen::Done,
            Err(error) => Seen::Failed(error.to_string()),
        }
    }

    /// What is on the disk when the agent begins.
    fn begin(&mut self) -> Disk {
        if self.is_intact() {
            return Disk::AsKept;
        }
        match self.kept.begun.take() {
            Some(begun) if self.is_there(&begun) => {
                self.labels.clone_from(&begun.labels);
                self.wanted = Some(begun);
                self.on_disk = Which::Wanted;
                Disk::AsBegun
            }
            _ => Disk::Other,
        }
    }

    /// Whether the last good version is on the disk, or nothing would be won by putting it back.
    fn is_intact(&self) -> bool {
        let Some(good) = &self.kept.good else {
            return true;
        };
        let is_missing = |file: &File| !matches!(files::read(&file.path, file.owner), Ok(Some(_)));
        let is_worth = self.is_worth(good, self.shared.clock.now());
        self.is_there(good) || !is_worth && !self.configured(good).any(is_missing)
    }

    /// Until then, or until something changes. The clock may be set meanwhile.
    async fn rest(&self, until: Timestamp) -> Seen {
        let left = until.duration_since(self.shared.clock.now());
        let left = Duration::try_from(left).unwrap_or_default();
        tokio::select! {
            () = self.told.notified() => Seen::Told,
            () = sleep(left.min(LONGEST_SLEEP)) => Seen::Rested,
        }
    }

    async fn look(&mut self) -> Seen {
        let now = self.shared.clock.now();
        let read = {
            let _turn = self.shared.looking.acquire().await;
            fetch::version(&self.shared.identity, &self.place, now).await
        };
        let version = match read {
            Ok(version) => version,
            Err(error) => {
                return Seen::Looked(Look::Nothing {
                    why: error.to_string(),
                    intact: self.is_intact(),
                });
            }
        };
        if self.labels != version.labels {
            self.labels.clone_from(&version.labels);
            self.wanted_at = now;
        }
        if self.kept.good.is_none() {
            self.kept.good = self.adopt(&version, now);
        }
        let is_there = self.is_there(&version);
        let is_good = self.kept.good.as_ref() == Some(&version);
        let good = self.kept.good.as_ref().filter(|_| !is_good);
        let old = match good.is_some_and(|good| self.is_worth(good, now)) {
            true => Old::Whole,
            false => Old::None,
        };
        self.on_disk = match is_there && !is_good {
            true => Which::Wanted,
            false => Which::Good,
        };
        self.wanted = Some(version);
        Seen::Looked(match (is_there, is_good) {
            (true, true) => Look::Unchanged,
            (true, false) => Look::Unproven(old),
            (false, _) => Look::New(old),
        })
    }

    /// What somebody else has put there before the first placement, if it is a whole set, good, and not what is wanted.
    fn adopt(&self, wanted: &Version, now: Timestamp) -> Option<Version> {
        let read = |file: &File| files::read(&file.path, file.owner).ok().flatten();
        let found: Option<Vec<File>> = wanted.files.iter().map(read).collect();
        let found = found.filter(|found| {
            let pairs = found.iter().zip(&wanted.files);
            pairs
                .into_iter()
                .any(|(old, new)| old.content != new.content)
        });
        let found = found.map(|files| Version::adopted(&self.place, files));
        found.filter(|found| self.is_worth(found, now))
    }

    /// Whether to go back to it: a certificate that is over is no better than one that passed its checks.
    fn is_worth(&self, version: &Version, now: Timestamp) -> bool {
        self.place.certificate.is_none() || version.validity.is_some_and(|(_, end)| end > now)
    }

    /// Whether the files of this version are on the disk, as far as they are still configured.
    fn is_there(&self, version: &Version) -> bool {
        self.configured(version).all(files::is_placed)
    }

    fn configured<'a>(&'a self, version: &'a Version) -> impl Iterator<Item = &'a File> {
        let files = version.files.iter();
        files.filter(|file| self.place.files.iter().any(|one| one.to == file.path))
    }

    async fn write(&mut self) -> Seen {
        self.kept.begun.clone_from(&self.wanted);
        if let Err(error) = self.shared.shelf.write(&self.place.name, &self.kept) {
            return Seen::Refused(error.to_string());
        }
        match self.place_files(self.wanted.as_ref()).await {
            Err(error) if error.untouched => Seen::Refused(error.why.to_string()),
            outcome => {
                self.on_disk = Which::Wanted;
                outcome.map_or_else(|error| Seen::Failed(error.why.to_string()), |()| Seen::Done)
            }
        }
    }

    async fn put_back(&mut self) -> Result<(), Failure> {
        let placed = self.place_files(self.kept.good.as_ref()).await;
        placed.map_err(|error| error.why)?;
        self.on_disk = Which::Good;
        self.kept.begun = None;
        self.shared.shelf.write(&self.place.name, &self.kept)
    }

    async fn place_files(&self, version: Option<&Version>) -> Result<(), Unplaced> {
        let files = version.map(|version| self.configured(version).cloned().collect::<Vec<_>>());
        let before = Arc::clone(&self.shared.before);
        let placing = tokio::task::spawn_blocking(move || {
            files::place(files.as_deref().unwrap_or_default(), &*before)
        });
        let failed = |error: tokio::task::JoinError| Unplaced {
            why: Failure::Here(error.to_string()),
            untouched: false,
        };
        placing.await.unwrap_or_else(|error| Err(failed(error)))
    }

    async fn reload(&self, reload: &Reload) -> Result<(), Failure> {
        let paths: Vec<_> = self
            .place
            .files
            .iter()
            .map(|file| file.to.clone())
            .collect();
        let pair = self.current().and_then(|version| version.pair.as_ref());
        let text = |bytes: &'_ [u8]| std::str::from_utf8(bytes).unwrap_or_default().to_owned();
        let certificate = pair.map(|(certificate, _)| text(certificate.expose()));
        let key = pair.map(|(_, key)| zeroize::Zeroizing::new(text(key.expose())));
        let placed = Placed {
            certificate_pem: certificate.as_deref().unwrap_or_default(),
            key_pem: key.as_ref().map_or("", |key| key.as_str()),
            paths: &paths,
        };
        within(reload.reload(&placed)).await
    }

    async fn prove(&mut self) -> Result<(), Failure> {
        let leaf = self.current().and_then(|version| version.leaf.clone());
        let leaf = leaf.as_ref().map(crate::private::Bytes::expose);
        self.addresses = prove::prove(&self.place.probes, leaf, self.place.patience).await;
        match prove::why_not(&self.addresses, leaf) {
            Some(why) => Err(Failure::Here(why)),
            None => Ok(()),
        }
    }

    fn keep(&mut self) -> Result<(), Failure> {
        let kept = Kept {
            good: self.wanted.clone(),
            begun: None,
        };
        self.shared.shelf.write(&self.place.name, &kept)?;
        self.kept = kept;
        self.wanted = None;
        self.on_disk = Which::Good;
        Ok(())
    }

    /// What is on the disk.
    fn current(&self) -> Option<&Version> {
        match self.on_disk {
            Which::Good => self.kept.good.as_ref(),
            Which::Wanted => self.wanted.as_ref(),
        }
    }

    /// Tells how it stands.
    fn publish(&mut self, machine: &Machine, step: Step) {
        let now = self.shared.clock.now();
        let good = self.kept.good.as_ref().map(|good| &good.labels);
        // What was adopted has no labels.
        let is_done = good.is_some_and(|good| !good.is_empty() && *good == self.labels)
            && self.on_disk == Which::Good;
        let proven = !self.addresses.is_empty() && self.addresses.iter().all(|one| one.proven);
        let state = match machine.trouble() {
            Some(_) => State::Failed,
            None if !is_done => State::Pending,
            None if self.place.probes.is_empty() => State::Placed,
            None if proven => State::Proven,
            None => State::Pending,
        };
        let since = match self.since {
            Some((last, since)) if last == state && since >= self.wanted_at => since,
            _ => now,
        };
        self.since = Some((state, since));
        if step == Step::Keep {
            // What follows within the moment says more.
            return;
        }
        let placed = self.current().map(|version| &version.labels);
        let resources = self.place.resources().into_iter().map(|arn| Resource {
            wanted: self.labels.get(&arn).cloned(),
            placed: placed.and_then(|labels| labels.get(&arn).cloned()),
            proven: good
                .filter(|_| !self.place.probes.is_empty())
                .and_then(|labels| labels.get(&arn).cloned()),
            arn,
        });
        self.shared.board.put(Placement {
            name: self.place.name.clone(),
            state,
            since,
            wanted_at: self.wanted_at,
            resources: resources.collect(),
            addresses: self.addresses.clone(),
            validity: self.current().and_then(|version| version.validity),
            reason: machine.trouble().map(str::to_owned),
        });
    }
}

/// Ends what has no end of its own.
async fn within(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    match timeout(LONGEST_WORK, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::Here(format!(
            "not done within {} s",
            LONGEST_WORK.as_secs()
        ))),
    }
}

fn name_of(step: Step) -> &'static str {
    match step {
        Step::Rest { .. } => "rest",
        Step::Look => "look",
        Step::Write => "write the set",
        Step::PutBack => "put back",
        Step::Test => "test",
        Step::Reload => "reload",
        Step::Prove => "prove",
        Step::Keep => "keep",
    }
}

/// Reloads have deadlines of their own; this is for those that do not keep them.
const LONGEST_WORK: Duration = Duration::from_secs(300);

/// What the server takes to tell of everything, if it is there.
const FIRST_WORD: Duration = Duration::from_secs(2);

/// The clock may be set while it rests.
const LONGEST_SLEEP: Duration = Duration::from_secs(600);
