//! Certificate Manager: the record of a certificate, how it changes, and what AWS accepts.
//!
//! Record and rules only: keys and DER are kept beside it, by version (`keystead-app::acm`).

mod algorithm;
mod certificate;
pub mod facts;
mod failure;
mod hand_over;
pub mod import;
pub mod index;
pub mod issuance;
mod machine;
pub mod names;
pub mod notices;
pub mod properties;
pub mod reissue;
pub mod schedule;
pub mod search;
pub mod tags;
pub mod validation;

pub use algorithm::KeyAlgorithm;
pub use certificate::{
    Attempt, Certificate, Ineligible, Issued, Options, Origin, Renewal, RenewalStatus, State,
    Status, ValidationMethod,
};
pub use facts::Facts;
pub use failure::{Failure, FailureReason};
pub use machine::{Next, Request};

#[cfg(test)]
mod import_tests;
#[cfg(test)]
mod machine_tests;
#[cfg(test)]
mod search_tests;
