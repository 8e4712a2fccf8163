//! KMS's use cases on a real store and key ring, with a clock that the tests set.

mod crash;
mod importing;
mod rotating;
mod world;
