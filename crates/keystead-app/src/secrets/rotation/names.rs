//! From a `RotationLambdaARN` to what rotates.

use keystead_core::rotation::Rotator;
use keystead_core::{AccountId, Region};

use crate::App;

/// The built-in rotator of this ARN, for secrets of this account and region; `None` where there is none.
pub(super) fn rotator(
    app: &App,
    account: &AccountId,
    region: &Region,
    function: &str,
) -> Option<Rotator> {
    let prefix = format!(
        "arn:{}:lambda:{region}:{account}:function:",
        region.partition()
    );
    let rotator = Rotator::named(function.strip_prefix(&prefix)?)?;
    (app.rotators.knows)(&rotator).then_some(rotator)
}
