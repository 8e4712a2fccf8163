//! What is stored of agents, their tokens and their placements.

use jiff::Timestamp;
use keystead_core::placements::Placement;
use keystead_core::placements::join::JoinToken;
use keystead_store::{Collection, Versioned};
use serde::{Deserialize, Serialize};

/// Agents, by `account/region/name`.
pub(super) const AGENTS: Collection = Collection("keystead.agent");
/// Join tokens, by `account/region/id`.
pub(super) const TOKENS: Collection = Collection("keystead.join-token");
/// Placements, by `account/region/agent/name`.
pub(super) const PLACEMENTS: Collection = Collection("keystead.placement");

/// How agents log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Login {
    /// The role that they become.
    pub(super) role_arn: String,
    /// The profile that lists it.
    pub(super) profile_arn: String,
    /// The trust anchor that trusts their certificates.
    pub(super) trust_anchor_arn: String,
    /// The private CA that issues them.
    pub(super) authority_arn: String,
    /// For how many hours they are valid.
    pub(super) hours: i32,
}

/// A join token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenRecord {
    /// Its id.
    pub(super) id: String,
    /// SHA-256 of its secret, which is not kept.
    #[serde(with = "serde_bytes")]
    pub(super) digest: Vec<u8>,
    /// What it allows.
    pub(super) token: JoinToken,
    /// How its agent logs in.
    pub(super) login: Login,
    /// Who made it, by ARN.
    pub(super) created_by: String,
    /// When.
    pub(super) created_at: Timestamp,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Agent {
    /// Its ARN.
    pub(super) arn: String,
    /// Its name.
    pub(super) name: String,
    /// The URI in its certificates. No other agent has it, not even one that takes its name later.
    pub(super) identity: String,
    /// How it logs in.
    pub(super) login: Login,
    /// Its certificate; `None` while it is being issued.
    pub(super) certificate: Option<Held>,
    /// The certificate before that one, which it goes on with if it did not hear of the new one.
    pub(super) before: Option<Held>,
    /// The token that it joined with.
    pub(super) token: String,
    /// From where it joined.
    pub(super) address: Option<String>,
    /// What it says that it is.
    pub(super) software: Option<String>,
    /// When it joined.
    pub(super) joined_at: Timestamp,
    /// When it was heard of last, as far as that is written down.
    pub(super) seen: Timestamp,
    /// Whether it was told of it that it is silent.
    pub(super) lost: bool,
    /// How many placements it has.
    pub(super) placements: u32,
}

/// A certificate that an agent has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    /// Its serial number: octets in hexadecimal, between colons.
    pub(super) serial: String,
    /// The last instant of its validity.
    pub(super) not_after: Timestamp,
}

/// A placement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PlacementRecord {
    /// What was reported of it.
    pub(super) placement: Placement,
    /// The certificates (ACM) that are known to be used by it.
    pub(super) uses: Vec<String>,
}

impl Versioned for TokenRecord {
    const MARKER: &'static str = "keystead.join-token/1";
}

impl Versioned for Agent {
    const MARKER: &'static str = "keystead.agent/1";
}

impl Versioned for PlacementRecord {
    const MARKER: &'static str = "keystead.placement/1";
}
