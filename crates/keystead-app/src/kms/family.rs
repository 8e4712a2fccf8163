//! A key with its brothers in other regions: what a multi-Region key's primary and replicas share changes in one commit.
//!
//! Every change of key material is made on a family, which for most keys has one member. What becomes due of a member by
//! the change is queued in the same commit.

use keystead_core::Result;
use keystead_core::kms::Key;
use keystead_store::{Batch, Expect, Store, Stored};

use super::find::{self, Found};
use super::record::{KEYS, KeyRecord, key_of};
use super::upkeep;
use crate::Ctx;

/// A key and its brothers, as they were read.
pub(super) struct Family {
    /// The key itself.
    pub(super) own: Member,
    /// The others, in the order of their regions.
    pub(super) others: Vec<Member>,
}

/// One of them.
pub(super) struct Member {
    /// Its record key.
    pub(super) at: String,
    before: Expect,
    /// As it is stored; `None` for a new one.
    was: Option<Key>,
    /// Its record, to be changed.
    pub(super) record: KeyRecord,
}

impl Family {
    /// A key that was found, as it is stored now, with its brothers.
    pub(super) async fn of(ctx: &Ctx, found: &Found) -> Result<Self> {
        let read = Self::read(&ctx.app.store, &found.at).await?;
        read.ok_or_else(|| find::missing(&found.arn))
    }

    /// Reads the key with this record key and its brothers; `None` where there is no such key.
    pub(super) async fn read(store: &Store, at: &str) -> Result<Option<Self>> {
        let Some(own) = store.get::<KeyRecord>(KEYS, at).await? else {
            return Ok(None);
        };
        let own = Member::from(own);
        let mut others = Vec::new();
        for at in brothers(&own.record.key) {
            let other = store.get::<KeyRecord>(KEYS, &at).await?;
            others.extend(other.map(Member::from));
        }
        Ok(Some(Self { own, others }))
    }

    /// All of them.
    pub(super) fn members(&mut self) -> impl Iterator<Item = &mut Member> {
        std::iter::once(&mut self.own).chain(&mut self.others)
    }

    /// The replicas of the primary: the others, where this key is it.
    pub(super) fn replicas(&self) -> Vec<&Key> {
        let all = std::iter::once(&self.own).chain(&self.others);
        all.map(|member| &member.record.key)
            .filter(|key| key.is_replica())
            .collect()
    }

    /// Says of the primary's key material that waits for a rotation whether all replicas that it has have it.
    pub(super) fn settle_pending(&mut self) {
        let replicas: Vec<_> = self.replicas().into_iter().cloned().collect();
        for member in self.members() {
            let key = &mut member.record.key;
            if !key.is_replica() {
                let its = replicas
                    .iter()
                    .filter(|other| key.has_replica(&other.region));
                let its: Vec<_> = its.collect();
                key.settle_pending(&its);
            }
        }
    }

    /// A new one.
    pub(super) fn add(&mut self, record: KeyRecord) {
        let key = &record.key;
        self.others.push(Member {
            at: key_of(&key.account, &key.region, &key.id),
            before: Expect::Absent,
            was: None,
            record,
        });
    }

    /// Stores whoever has changed, with what is due of it; the others have to be as they were read.
    pub(super) async fn commit(&self, store: &Store) -> Result<()> {
        store.commit(self.batch()).await?;
        Ok(())
    }

    /// What [`Family::commit`] stores.
    pub(super) fn batch(&self) -> Batch {
        let mut batch = Batch::new();
        for member in std::iter::once(&self.own).chain(&self.others) {
            let at = member.at.as_str();
            if member.was.as_ref() == Some(&member.record.key) {
                batch.expect(KEYS, at, member.before);
            } else {
                batch.put(KEYS, at, &member.record, member.before);
                upkeep::queue(&mut batch, at, &member.record.key);
            }
        }
        batch
    }
}

/// The record keys of a key's brothers.
fn brothers(key: &Key) -> Vec<String> {
    let Some(multi) = &key.multi_region else {
        return Vec::new();
    };
    let regions = std::iter::once(&multi.primary).chain(&multi.replicas);
    regions
        .filter(|region| **region != key.region)
        .map(|region| key_of(&key.account, region, &key.id))
        .collect()
}

impl From<Stored<KeyRecord>> for Member {
    fn from(stored: Stored<KeyRecord>) -> Self {
        Self {
            at: stored.key,
            before: Expect::Version(stored.version),
            was: Some(stored.value.key.clone()),
            record: stored.value,
        }
    }
}
