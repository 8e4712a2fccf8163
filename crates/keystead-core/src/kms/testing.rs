//! A key for tests.

use jiff::Timestamp;

use super::{Key, KeySpec, KeyUsage, Manager, Origin, Stage};
use crate::{AccountId, Region};

/// An enabled key of this kind.
pub(super) fn key(spec: KeySpec, usage: KeyUsage) -> Key {
    Key {
        id: "1234abcd-12ab-34cd-56ef-1234567890ab".into(),
        account: AccountId::parse("111122223333").unwrap(),
        region: Region::parse("us-east-1").unwrap(),
        spec,
        usage,
        origin: Origin::AwsKms,
        manager: Manager::Customer,
        description: String::new(),
        created_at: Timestamp::UNIX_EPOCH,
        stage: Stage::Enabled,
        policy: String::new(),
        tags: Default::default(),
        aliases: Vec::new(),
        multi_region: None,
        store: None,
        materials: Vec::new(),
        rotation: None,
        grants: 0,
    }
}
