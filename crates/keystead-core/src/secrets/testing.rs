//! What tests of this module share.

use jiff::Timestamp;

use super::replication::Replication;
use super::secret::{Rotation, Secret};
use super::tie::Tie;
use crate::arn::{AccountId, Region};

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// A secret without a value.
pub(super) fn secret() -> Secret {
    Secret {
        name: "s".into(),
        suffix: "AbCd12".into(),
        account: AccountId::parse("123456789012").unwrap(),
        region: Region::parse("us-east-1").unwrap(),
        description: None,
        kms_key: None,
        created_at: at(0),
        changed_at: at(0),
        accessed_on: None,
        deletion: None,
        tags: None,
        policy: None,
        versions: Vec::new(),
        rotation: Rotation::default(),
        kind: None,
        external: None,
        owning_service: None,
        replication: Replication::default(),
        tie: Tie::default(),
    }
}
