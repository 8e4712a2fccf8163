//! What is stored of roll-overs, and what an authority's name stands for.

use jiff::Timestamp;
use keystead_core::Result;
use keystead_core::trust::{Phase, RollOver};
use keystead_store::{Batch, Collection, Expect, Store, Stored, Version, Versioned};
use serde::{Deserialize, Serialize};

use crate::pca::internal::own_key;
use crate::pca::succession::Place;

/// Roll-overs, by `account/region/id`. They are kept.
pub(super) const ROLL_OVERS: Collection = Collection("trust.roll-over");

/// What authorities that take or took part in a roll-over stand for, by the authority's
/// `account/region/id`. They are kept: consumers go on to use the names of authorities that are gone.
pub const STANDINGS: Collection = Collection("trust.standing");

/// Where roll-overs wait for their next step, by their keys.
pub(crate) const QUEUE: &str = "trust.roll-over";

/// A stored roll-over.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Record(pub(super) RollOver);

impl Versioned for Record {
    const MARKER: &'static str = "trust.roll-over/1";
}

/// What is trusted under an authority's name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Standing {
    /// The roll-over that said so last.
    pub(super) roll_over: String,
    /// Whether that one is over, so that another may take its place.
    pub(super) over: bool,
    /// The ARNs of the authorities that are trusted. One that is not the name's own stands for whatever
    /// its own standing says.
    pub(super) trusted: Vec<String>,
}

impl Versioned for Standing {
    const MARKER: &'static str = "trust.standing/1";
}

/// A roll-over as it was read, to be changed.
pub(super) struct Loaded {
    pub(super) key: String,
    pub(super) version: Version,
    /// Its phase when it was read.
    before: Phase,
    pub(super) roll_over: RollOver,
}

impl Loaded {
    pub(super) fn new(stored: Stored<Record>) -> Self {
        Self {
            key: stored.key,
            version: stored.version,
            before: stored.value.0.phase,
            roll_over: stored.value.0,
        }
    }

    pub(super) async fn read(store: &Store, key: &str) -> Result<Option<Self>> {
        let found = store.get::<Record>(ROLL_OVERS, key).await?;
        Ok(found.map(Self::new))
    }

    /// Whether it has come to another phase since it was read.
    pub(super) fn changed_phase(&self) -> bool {
        self.before != self.roll_over.phase
    }

    /// Stores it as it is now, if nobody changed it since it was read, with its next time in the queue. A
    /// lease on its item ends.
    pub(super) fn save(&self, batch: &mut Batch, now: Timestamp) {
        batch.put(
            ROLL_OVERS,
            self.key.as_str(),
            &Record(self.roll_over.clone()),
            Expect::Version(self.version),
        );
        self.requeue(batch, now);
    }

    /// Puts its item to where the record says. A lease on the item ends.
    pub(super) fn requeue(&self, batch: &mut Batch, now: Timestamp) {
        match self.roll_over.wake(now) {
            Some(wake) => batch.enqueue(QUEUE, self.key.as_str(), wake.max(now), &()),
            None => batch.cancel(QUEUE, self.key.as_str()),
        };
    }
}

/// The record key of the roll-over.
pub(super) fn key_of(roll_over: &RollOver) -> String {
    format!(
        "{}/{}/{}",
        roll_over.account, roll_over.region, roll_over.id
    )
}

/// Where the roll-over and its authorities are.
pub(super) fn place(roll_over: &RollOver) -> Place<'_> {
    Place {
        account: &roll_over.account,
        region: &roll_over.region,
    }
}

/// Adds to `batch` what the names of the roll-over's authorities stand for now. `expect` says what must be
/// there before.
pub(super) fn put_standing(
    batch: &mut Batch,
    roll_over: &RollOver,
    arn: &str,
    expect: Expect,
) -> Result<()> {
    let key = own_key(&roll_over.account, &roll_over.region, arn)?;
    let standing = Standing {
        roll_over: roll_over.arn(),
        over: roll_over.is_over(),
        trusted: roll_over.trusted_as(arn),
    };
    batch.put(STANDINGS, key, &standing, expect);
    Ok(())
}
