//! The stored registration of a node.

use jiff::Timestamp;
use keystead_core::{AccountId, Arn, Region};
use keystead_store::{Collection, Versioned};
use serde::{Deserialize, Serialize};

/// Registrations, by `account/region/name`.
pub const NODES: Collection = Collection("keystead.node");

/// A proxy and what it may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name as an ARN; also its `node.id` towards secret discovery.
    pub arn: String,
    /// Its name, unique in the account and region.
    pub name: String,
    /// The certificates (ACM) it may have, with their keys.
    pub certificate_arns: Vec<String>,
    /// The authorities (ACM-PCA) whose certificates it may have.
    pub trust_arns: Vec<String>,
    /// The user id that its process runs under, where it comes over the Unix socket.
    pub unix_uid: Option<u32>,
    /// The name that its client certificates prove. Made at the first registration, so that a
    /// certificate of a node that was deregistered proves nothing, even when the name comes back.
    pub identity: String,
    /// The serial of the client certificate issued last, in hexadecimal.
    pub client_certificate_serial: Option<String>,
    /// When it was registered first.
    pub created_at: Timestamp,
}

impl Node {
    /// The account and region that it belongs to; whatever it is granted lies there too.
    pub fn place(&self) -> Option<(AccountId, Region)> {
        let arn = Arn::parse(&self.arn).ok()?;
        Some((
            AccountId::parse(&arn.account).ok()?,
            Region::parse(&arn.region).ok()?,
        ))
    }

    /// Everything it may have.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.certificate_arns
            .iter()
            .chain(&self.trust_arns)
            .map(String::as_str)
    }
}

impl Versioned for Node {
    const MARKER: &'static str = "keystead.node/1";
}
