//! Policy documents: checked before they are kept.

use keystead_core::iam::quota::Quota;
use keystead_core::{Error, ErrorKind, Result};
use keystead_policy::{Kind, Policy};

/// Refuses what is no policy of this kind, and what is longer than the quota; "IAM doesn't count white
/// space when calculating the size" (IAM user guide, quotas).
pub(super) fn check(document: &str, kind: Kind, quota: Quota) -> Result<Policy> {
    quota.admits(keystead_policy::size(document))?;
    parse(document, kind)
}

/// Refuses what is no policy of this kind.
///
/// The refusal has AWS's text, which clients compare; where the fault is stands beside it.
pub(super) fn parse(document: &str, kind: Kind) -> Result<Policy> {
    Policy::parse(document, kind).map_err(|malformed| {
        Error::new(ErrorKind::InvalidPolicy, malformed.message).at(malformed.place)
    })
}
