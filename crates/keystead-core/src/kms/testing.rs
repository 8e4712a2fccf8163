//! Keys for tests.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::arn::{AccountId, Region};
use crate::tags::Tags;

/// 2030-01-01T00:00:00Z.
pub(super) const START: i64 = 1_893_456_000;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

pub(super) fn days(days: i64) -> Timestamp {
    at(0) + SignedDuration::from_hours(24 * days)
}

pub(super) fn id(byte: u8) -> MaterialId {
    MaterialId([byte; 32])
}

pub(super) fn region(name: &str) -> Region {
    Region::parse(name).unwrap()
}

/// A key without key material; enabled if that is made here.
pub(super) fn empty(spec: KeySpec, origin: Origin) -> Key {
    Key {
        id: "1234abcd-12ab-34cd-56ef-1234567890ab".into(),
        account: AccountId::parse("123456789012").unwrap(),
        region: region("us-east-1"),
        spec,
        usage: spec.usages()[0],
        origin,
        manager: Manager::Customer,
        description: String::new(),
        created_at: at(0),
        stage: match origin {
            Origin::External => Stage::PendingImport,
            _ => Stage::Enabled,
        },
        policy: String::new(),
        tags: Tags::default(),
        aliases: Vec::new(),
        multi_region: None,
        store: None,
        materials: Vec::new(),
        rotation: None,
        grants: 0,
    }
}

/// An enabled key of this kind, without key material.
pub(super) fn key(spec: KeySpec, usage: KeyUsage) -> Key {
    Key {
        usage,
        ..empty(spec, Origin::AwsKms)
    }
}

/// A symmetric encryption key that was made here.
pub(super) fn made() -> Key {
    let mut key = empty(KeySpec::SymmetricDefault, Origin::AwsKms);
    key.materials.push(Material {
        id: id(1),
        since: at(0),
        rotation: None,
        state: MaterialState::Current,
        import: None,
    });
    key
}

/// A symmetric encryption key whose first key material was imported.
pub(super) fn imported() -> Key {
    let mut key = empty(KeySpec::SymmetricDefault, Origin::External);
    key.import(id(1), &Offer::default(), at(0)).unwrap();
    key
}

/// The same key as a primary, and its replicas in these regions, with all that it has.
pub(super) fn replicated(primary: Key, regions: &[&str]) -> (Key, Vec<Key>) {
    let multi = MultiRegion {
        primary: primary.region.clone(),
        replicas: regions.iter().map(|name| region(name)).collect(),
    };
    let primary = Key {
        id: "mrk-1234abcd12ab34cd56ef1234567890ab".into(),
        multi_region: Some(multi.clone()),
        ..primary
    };
    let replica = |region: &Region| Key {
        region: region.clone(),
        ..primary.clone()
    };
    let replicas = multi.replicas.iter().map(replica).collect();
    (primary, replicas)
}

/// Every stage, the one that needs no time to be told first.
pub(super) fn stages() -> [Stage; 5] {
    [
        Stage::Enabled,
        Stage::Disabled,
        Stage::PendingImport,
        Stage::PendingDeletion {
            due: days(7),
            window_days: 7,
        },
        Stage::PendingReplicaDeletion { window_days: 7 },
    ]
}
