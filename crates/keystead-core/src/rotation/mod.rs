//! Rotation of secrets: when (`schedule`, `cron`), by what (`rotator`), of what (`credential`), and how (`machine`).
//!
//! Nothing here talks to a server. What a rotator saw comes in, what to do next goes out; `keystead-rotate` does it, and the
//! use cases carry one to the other and write down what happened.
//!
//! Source: Secrets Manager API reference and service model (2017-10-17), and the pages of the user guide that are named
//! beside the rule that they justify.

mod credential;
mod cron;
mod job;
mod machine;
#[cfg(test)]
mod machine_tests;
mod rotator;
mod run;
mod schedule;

pub use credential::{CANDIDATE_RANDOM, Credential, candidate};
pub use cron::Cron;
pub use job::{Deed, Heard, Job, Login, Place, Wanted};
pub use machine::{Change, Label, Move, Seen, Sight, With, next};
pub use rotator::{Authority, Engine, Rotator};
pub use run::{Failure, Phase, Run};
pub use schedule::{Schedule, Window};
