//! Private CA: the record of an authority, its state machine, and what goes into the certificates
//! that it issues.
//!
//! Sources: the ACM-PCA API reference and service model (2017-08-22), and the AWS Private CA user
//! guide, whose pages are named beside the rule that they justify. Where the two disagree the
//! rule says so.

mod api;
mod authority;
mod compose;
mod expiry;
mod import;
mod permission;
pub mod policy;
mod publication;
mod report;
mod revocation;
mod serial;
mod state;
mod subject;
mod template;
mod validity;

pub use api::{ApiPassthrough, purpose};
pub use authority::{
    CertificateAuthority, CsrExtensions, Installed, Kind, NewAuthority, UsageMode,
};
pub use compose::{Composition, CsrContent, SubjectSource, compose};
pub use expiry::Notice;
pub use import::{ChainCertificate, check_import};
pub use permission::{ACM_PRINCIPAL, Action, Permission};
pub use publication::{Published, again_at, has_left, next_update, refresh_at};
pub use report::{AuditReport, Entry, Progress, ReportFormat};
pub use revocation::{
    CrlConfiguration, OcspConfiguration, Revocation, RevocationConfiguration, RevocationReason,
    is_bucket_name,
};
pub use serial::{Serial, decimal};
pub use state::{Command, Status};
pub use subject::{StandardAttribute, Subject};
pub use template::{Body, Passthrough, Template};
pub use validity::{Period, Validity, ValidityUnit, Window, window};
