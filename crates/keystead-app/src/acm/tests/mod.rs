//! ACM's use cases on a real store and key ring, with a clock that the tests set.

mod crash;
mod delivery;
mod importing;
mod listing;
mod managing;
mod renewing;
mod requesting;
mod searching;
mod world;
