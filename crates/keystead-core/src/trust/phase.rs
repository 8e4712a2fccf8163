//! The phases of a roll-over, and what has to be looked at in each.

use serde::{Deserialize, Serialize};

/// Where a roll-over stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the module says it")]
pub enum Phase {
    Distributing,
    Issuing,
    Retiring,
    Done,
    Returning,
    Aborted,
}

/// What a pass looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Makes the cross-certificates that are missing.
    CrossSigning,
    /// Whether consumers use what they are to trust.
    Trust,
    /// Hands certificates over, and looks whether they are issued.
    Certificates,
    /// Whether consumers serve the certificates that were issued anew.
    Deliveries,
    /// What the old authorities issued, and how long it lives.
    Leaves,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Distributing,
        Self::Issuing,
        Self::Retiring,
        Self::Done,
        Self::Returning,
        Self::Aborted,
    ];

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Distributing => "DISTRIBUTING",
            Self::Issuing => "ISSUING",
            Self::Retiring => "RETIRING",
            Self::Done => "DONE",
            Self::Returning => "RETURNING",
            Self::Aborted => "ABORTED",
        }
    }

    /// What a pass of this phase looks at, in this order.
    pub(super) fn stages(self) -> &'static [Stage] {
        match self {
            Self::Distributing => &[Stage::CrossSigning, Stage::Trust],
            // The trust again: a consumer that came meanwhile must not be forgotten.
            Self::Issuing | Self::Returning => {
                &[Stage::Trust, Stage::Certificates, Stage::Deliveries]
            }
            Self::Retiring => &[Stage::Certificates, Stage::Leaves],
            Self::Done | Self::Aborted => &[],
        }
    }
}
