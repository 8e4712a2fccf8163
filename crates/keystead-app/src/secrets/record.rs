//! What is stored of secrets.
//!
//! A secret lies under its name. Its values lie beside it, under its ARN's last part and their version's id, so that a
//! secret that was deleted and one of the same name that was made since never share any. An index has an entry for each
//! order in which secrets are listed, whose key says it all.

use jiff::Timestamp;
use keystead_core::secrets::Secret;
use keystead_core::{AccountId, Region};
use keystead_store::{Batch, Collection, Expect, Versioned};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::deletion::DELETE;
use super::rotation::ROTATE;

/// Secrets, by `account/region/name`.
pub(super) const SECRETS: Collection = Collection("secrets.secret");

/// Values, by `account/region/name-suffix:version`.
pub(super) const VALUES: Collection = Collection("secrets.value");

/// Where secrets stand in listings, by `account/region/order/time/name`.
pub(super) const INDEX: Collection = Collection("secrets.index");

/// A secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct SecretRecord(pub(super) Secret);

impl Versioned for SecretRecord {
    const MARKER: &'static str = "secrets.secret/1";
}

/// The value of a version, which never changes but for the key that seals it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ValueRecord {
    /// Whether it was given as bytes, not as text.
    pub(super) binary: bool,
    /// The data key, encrypted by KMS.
    pub(super) key: ByteBuf,
    /// The value, sealed under the data key.
    pub(super) sealed: ByteBuf,
}

impl Versioned for ValueRecord {
    const MARKER: &'static str = "secrets.value/1";
    const SECRET: bool = true;
}

/// An order in which secrets are listed, other than that of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Created,
    Changed,
    Accessed,
}

impl Order {
    const ALL: [Self; 3] = [Self::Created, Self::Changed, Self::Accessed];

    fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Accessed => "accessed",
        }
    }

    /// What the index entries of this order begin with.
    pub(super) fn prefix(self, account_and_region: &str) -> String {
        format!("{account_and_region}{}/", self.name())
    }

    /// Where the secret stands. One that was never read stands first.
    fn place(self, secret: &Secret) -> String {
        let at = match self {
            Self::Created => Some(secret.created_at),
            Self::Changed => Some(secret.changed_at),
            Self::Accessed => secret.accessed_on,
        };
        let at = at.map_or(0, Timestamp::as_microsecond);
        let prefix = self.prefix(&format!("{}/{}/", secret.account, secret.region));
        format!("{prefix}{at:020}/{}", secret.name)
    }
}

/// The name of the secret that an entry of the index stands for.
pub(super) fn name_in<'a>(place: &'a str, prefix: &str) -> Option<&'a str> {
    let (_, name) = place.strip_prefix(prefix)?.split_once('/')?;
    Some(name)
}

/// The record key of the secret of this name.
pub(super) fn key_of(account: &AccountId, region: &Region, name: &str) -> String {
    format!("{account}/{region}/{name}")
}

/// The record key of a secret.
pub(super) fn place(secret: &Secret) -> String {
    key_of(&secret.account, &secret.region, &secret.name)
}

/// What the record keys of a secret's values begin with. No name has a colon.
pub(super) fn values_of(secret: &Secret) -> String {
    format!("{}-{}:", place(secret), secret.suffix)
}

/// The record key of a value: an id may have any character, a record key may not.
pub(super) fn value_of(secret: &Secret, id: &str) -> String {
    let mut key = values_of(secret);
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => key.push(byte.into()),
            _ => key.push_str(&format!("_{byte:02x}")),
        }
    }
    key
}

/// Adds a secret to the commit as it is after a change, with where it stands and when its end or its rotation is due.
pub(super) fn put(batch: &mut Batch, before: Option<&Secret>, after: &Secret, expect: Expect) {
    let at = place(after);
    batch.put(SECRETS, at.as_str(), &SecretRecord(after.clone()), expect);
    for order in Order::ALL {
        let (old, new) = (before.map(|one| order.place(one)), order.place(after));
        if old.as_deref() == Some(&new) {
            continue;
        }
        if let Some(old) = old {
            batch.delete(INDEX, old, Expect::Any);
        }
        batch.put(INDEX, new, &(), Expect::Any);
    }
    let ends = |secret: &Secret| secret.deletion.map(|deletion| deletion.due);
    let rotates = |secret: &Secret| match secret.deletion {
        None => secret.rotation.due(),
        Some(_) => None,
    };
    for (queue, old, new) in [
        (DELETE, before.and_then(ends), ends(after)),
        (ROTATE, before.and_then(rotates), rotates(after)),
    ] {
        match (old, new) {
            (old, Some(due)) if old != Some(due) => {
                batch.enqueue(queue, at.as_str(), due, &());
            }
            (Some(_), None) => {
                batch.cancel(queue, at.as_str());
            }
            _ => {}
        }
    }
}

/// Adds to the commit that a secret goes, its values aside.
pub(super) fn remove(batch: &mut Batch, secret: &Secret, expect: Expect) {
    let at = place(secret);
    batch.delete(SECRETS, at.as_str(), expect);
    for order in Order::ALL {
        batch.delete(INDEX, order.place(secret), Expect::Any);
    }
    batch.cancel(ROTATE, at.as_str());
    batch.cancel(DELETE, at);
}
