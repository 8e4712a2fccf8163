//! KMS's use cases on a real store and key ring, with a clock that the tests set.

mod crash;
mod ends;
mod importing;
mod managed;
mod regions;
mod rotating;
mod world;
