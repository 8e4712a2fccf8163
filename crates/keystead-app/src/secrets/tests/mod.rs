//! Secrets Manager without its listeners: what a crash leaves, and what happens by itself.

mod crash;
mod ending;
pub(in crate::secrets) mod world;
