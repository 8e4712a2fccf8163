//! ACM's use cases on a real store and key ring, with a clock that the tests set.

mod crash;
mod delivery;
mod expiring;
mod importing;
mod listing;
mod managing;
mod reissuing;
mod renewing;
mod requesting;
mod searching;
mod world;
