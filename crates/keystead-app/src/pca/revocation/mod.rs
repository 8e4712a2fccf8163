//! Revocation: recorded, listed, answered.
//!
//! ```text
//! IssueCertificate  -> places     which list it belongs to, and what its certificate says of that
//! RevokeCertificate -> revoke     one commit: the certificate's record, an entry of its list, the list is due
//! the due-queue     -> build      a list: read the entries, encode, lint, store, sign, compare, publish
//!                   -> signer     who signs OCSP answers, in time before its certificate ends
//! GET *.crl         -> serve      the newest edition of a list
//! /ocsp             -> responder  how a certificate stands
//! ```
//!
//! **Lists.** Which list a certificate belongs to is decided when it is issued, and written into it. Where the
//! configuration says `PARTITIONED`, a list takes only so many certificates that it stays small, and the next ones belong
//! to a new one; each is found by its own random name. The *complete* list has the authority's id for a name and holds
//! whatever the authority revoked. To revoke costs the same however many are revoked already: the entry is a record of its
//! own, and the list is made in the background.
//!
//! **What is published does not end with the configuration.** Certificates that name a list or the responder stay in use,
//! and who can't learn whether they hold must refuse them. So lists and signers are made anew for as long as the authority
//! is there, in whatever state.

pub(super) mod build;
pub(super) mod places;
pub(super) mod record;
pub(super) mod responder;
pub(crate) mod revoke;
pub(super) mod serve;
pub(super) mod signer;

use jiff::{SignedDuration, Timestamp};

pub use responder::{OcspReply, answer};
pub use serve::{ServedList, list};

pub(crate) use build::Making;
pub(crate) use places::Places;
pub(crate) use responder::Responder;
pub(crate) use serve::ServedLists;

/// Where lists wait to be made.
pub(crate) const LIST_QUEUE: &str = "pca.crl";

/// Where signers of OCSP answers wait to be replaced.
pub(crate) const SIGNER_QUEUE: &str = "pca.ocsp-signer";

/// When what is made at once, as a rule, is looked after by its task: later than making an empty list or a signer takes, so
/// that the task finds only what was really left behind.
fn left_behind(now: Timestamp) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(10))
        .unwrap_or(Timestamp::MAX)
}
