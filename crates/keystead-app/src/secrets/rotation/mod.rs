//! Rotation: the two operations that turn it on and off, and the task that does it.

mod drive;
mod names;
mod rotate;
#[cfg(test)]
mod tests;

use keystead_core::Result;
use keystead_crypto::random;

pub use rotate::{cancel_rotate_secret, rotate_secret};

pub(crate) use drive::carry_on;

/// The queue of secrets for whose rotation something is due, by their record keys.
pub(crate) const ROTATE: &str = "secrets.rotate";

/// What keeps many rotations from beginning at once.
fn draw() -> Result<u64> {
    Ok(u64::from_be_bytes(random::bytes::<8>()?))
}
