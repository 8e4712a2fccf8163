//! What is stored of revocation.

use keystead_core::pca::{RevocationReason, Serial};
use keystead_core::x509::SignatureAlgorithm;
use keystead_store::{Collection, Versioned};
use serde::{Deserialize, Serialize};

/// Entries of lists, by `account/region/id/list/serial`: the list is the name of a partition, or [`COMPLETE`] for a
/// certificate that belongs to none.
pub(in super::super) const REVOKED: Collection = Collection("pca.revoked");

/// Stands for the complete list where a partition's name would stand: not a UUID, so never one of them.
pub(super) const COMPLETE: &str = "complete";

/// One entry of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Revoked {
    /// When it was revoked (Unix time).
    pub(super) at: i64,
    /// Why.
    pub(super) reason: RevocationReason,
    /// Last second of the certificate's validity (Unix time).
    pub(super) not_after: i64,
}

impl Versioned for Revoked {
    const MARKER: &'static str = "pca.revoked/1";
}

/// The record key of an entry.
pub(super) fn entry_key(authority: &str, partition: Option<&str>, serial: &Serial) -> String {
    let list = partition.unwrap_or(COMPLETE);
    format!("{authority}/{list}/{}", serial.hex())
}

/// The record key of a list; of the complete one where `partition` is `None`.
pub(super) fn list_key(authority: &str, partition: Option<&str>) -> String {
    let id = authority.rsplit('/').next().unwrap_or(authority);
    format!("{authority}/{}", partition.unwrap_or(id))
}

/// Lists, by `account/region/id/name`. The name is a UUID: a partition's own, or the authority's id for its complete
/// list.
pub(in super::super) const LISTS: Collection = Collection("pca.crl");

/// What lists are signed over, in parts, by `account/region/id/name/edition/part`.
pub(in super::super) const PARTS: Collection = Collection("pca.crl-part");

/// Whose list a name is, by the name: an address says no more.
pub(in super::super) const NAMES: Collection = Collection("pca.crl-name");

/// The partition to which an authority's next certificates belong, by `account/region/id`.
pub(in super::super) const PARTITIONS: Collection = Collection("pca.crl-partition");

/// A list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct List {
    /// The address that its certificates name, for a partition; `None` for the complete list.
    pub(super) url: Option<String>,
    /// For how many days it is valid, while the configuration says nothing.
    pub(super) days: i64,
    /// The last number that was given out.
    pub(super) number: u64,
    /// The edition that is going to be signed: its parts are stored.
    pub(super) intended: Option<Edition>,
    /// The edition that is served.
    pub(super) published: Option<Published>,
}

impl Versioned for List {
    const MARKER: &'static str = "pca.crl/1";
}

/// One making of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Edition {
    /// Its own id, by which its parts are found: whoever makes the same list at the same time writes others.
    pub(super) id: String,
    /// Its number.
    pub(super) number: u64,
    /// When it was made (Unix time).
    pub(super) this_update: i64,
    /// Until when it is valid (Unix time).
    pub(super) next_update: i64,
    /// How it is signed.
    pub(super) signature: SignatureAlgorithm,
    /// How many parts its to-be-signed bytes have.
    pub(super) parts: u32,
    /// How long making it took, in milliseconds.
    pub(super) took_ms: i64,
}

/// An edition with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Published {
    pub(super) edition: Edition,
    /// The signature over its parts.
    #[serde(with = "serde_bytes")]
    pub(super) signature: Vec<u8>,
}

/// A part of what a list is signed over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) struct Part {
    #[serde(with = "serde_bytes")]
    pub(super) der: Vec<u8>,
}

impl Versioned for Part {
    const MARKER: &'static str = "pca.crl-part/1";
}

/// Whose list it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Named {
    /// The record key of the authority.
    pub(super) authority: String,
}

impl Versioned for Named {
    const MARKER: &'static str = "pca.crl-name/1";
}

/// The partition that takes certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Partition {
    /// Its name.
    pub(in super::super) name: String,
    /// Its address.
    pub(in super::super) url: String,
    /// How many places in it were given to servers.
    pub(in super::super) given: u32,
}

impl Versioned for Partition {
    const MARKER: &'static str = "pca.crl-partition/1";
}

/// The record key of a part.
pub(super) fn part_key(list: &str, edition: &str, part: u32) -> String {
    format!("{}{part:08x}", parts_of(list, edition))
}

/// What the record keys of an edition's parts begin with.
pub(super) fn parts_of(list: &str, edition: &str) -> String {
    format!("{list}/{edition}/")
}

/// The record key of a list's authority, and the list's name.
pub(super) fn owner(list: &str) -> (&str, &str) {
    list.rsplit_once('/').unwrap_or((list, ""))
}

/// The partition that a list of this key is; `None` for the complete one.
pub(super) fn partition(list: &str) -> Option<&str> {
    let (authority, name) = owner(list);
    (owner(authority).1 != name).then_some(name)
}
