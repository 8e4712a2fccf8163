//! Trust: from one certificate authority to another without a moment in which a peer trusts too little.

mod phase;
mod roll_over;
#[cfg(test)]
mod tests;

pub use phase::{Phase, Stage};
pub use roll_over::{Cross, Leaf, NewRollOver, Page, Pass, Replacement, RollOver, Verdict};
