//! The states of an authority, and what each of them allows.

use crate::error::{Error, ErrorKind, Result};

/// Where an authority stands (ACM-PCA `CertificateAuthorityStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are AWS's")]
pub enum Status {
    Creating,
    PendingCertificate,
    Active,
    Deleted,
    Disabled,
    Expired,
    Failed,
}

impl Status {
    /// All of them, in the model's order.
    pub const ALL: [Self; 7] = [
        Self::Creating,
        Self::PendingCertificate,
        Self::Active,
        Self::Deleted,
        Self::Disabled,
        Self::Expired,
        Self::Failed,
    ];

    /// AWS's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::PendingCertificate => "PENDING_CERTIFICATE",
            Self::Active => "ACTIVE",
            Self::Deleted => "DELETED",
            Self::Disabled => "DISABLED",
            Self::Expired => "EXPIRED",
            Self::Failed => "FAILED",
        }
    }
}

/// What somebody wants of an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// IssueCertificate by another template than a root's.
    Issue,
    /// IssueCertificate by a root template: the authority signs its own certificate.
    IssueOwn,
    /// GetCertificate.
    GetCertificate,
    /// GetCertificateAuthorityCsr.
    GetCsr,
    /// GetCertificateAuthorityCertificate.
    GetOwnCertificate,
    /// ImportCertificateAuthorityCertificate.
    Install,
    /// UpdateCertificateAuthority, status or revocation configuration.
    Update,
    /// DeleteCertificateAuthority.
    Delete,
    /// RestoreCertificateAuthority.
    Restore,
    /// RevokeCertificate.
    Revoke,
    /// CreateCertificateAuthorityAuditReport.
    Report,
    /// Tags, permissions, resource policies.
    Administer,
}

impl Command {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Issue,
        Self::IssueOwn,
        Self::GetCertificate,
        Self::GetCsr,
        Self::GetOwnCertificate,
        Self::Install,
        Self::Update,
        Self::Delete,
        Self::Restore,
        Self::Revoke,
        Self::Report,
        Self::Administer,
    ];
}

/// Whether an authority of this status takes the command; refuses with AWS's words where they are
/// known.
///
/// User guide, "Understand AWS Private CA CA status" (the table of capabilities) and "Delete your
/// private CA". An expired root signs itself a new certificate (same page), though it issues
/// nothing else; the older text of that page let an expired authority revoke, today's table
/// doesn't, and the table is followed.
pub(super) fn check(status: Status, command: Command, arn: &str) -> Result<()> {
    use Command as C;
    use Status as S;
    let allowed = match command {
        C::Issue => matches!(status, S::Active),
        C::IssueOwn => matches!(status, S::PendingCertificate | S::Active | S::Expired),
        C::GetCertificate | C::GetCsr => matches!(
            status,
            S::PendingCertificate | S::Active | S::Disabled | S::Expired
        ),
        C::GetOwnCertificate => matches!(status, S::Active | S::Disabled | S::Expired),
        C::Install => matches!(status, S::PendingCertificate | S::Active | S::Expired),
        C::Update | C::Revoke | C::Report => matches!(status, S::Active | S::Disabled),
        C::Delete => matches!(
            status,
            S::PendingCertificate | S::Creating | S::Expired | S::Disabled | S::Failed
        ),
        C::Restore => matches!(status, S::Deleted),
        C::Administer => !matches!(status, S::Deleted),
    };
    if allowed {
        return Ok(());
    }
    // The only thing to do about an authority in the making is to wait.
    if status == S::Creating && matches!(command, C::GetCsr | C::GetOwnCertificate) {
        return Err(Error::new(
            ErrorKind::RequestInProgress,
            format!("The certificate authority {arn} is being created; try again in a moment."),
        ));
    }
    Err(Error::new(
        ErrorKind::InvalidState,
        refusal(status, command, arn),
    ))
}

fn refusal(status: Status, command: Command, arn: &str) -> String {
    use Command as C;
    let status_name = status.as_str();
    match command {
        C::Issue | C::IssueOwn => {
            "The certificate authority is not in a valid state for issuing certificates".into()
        }
        C::GetCertificate => format!(
            "The certificate authority {arn} is not in the correct state to have issued certificates."
        ),
        C::GetCsr | C::GetOwnCertificate => format!(
            "The certificate authority {arn} is not in the correct state to have a certificate signing request."
        ),
        C::Install => format!(
            "The certificate authority {arn} is {status_name} and can't take a certificate; it must be PENDING_CERTIFICATE, ACTIVE or EXPIRED."
        ),
        C::Update => format!(
            "The certificate authority {arn} is {status_name}; it must be ACTIVE or DISABLED to be updated."
        ),
        C::Delete => "The certificate authority is not in a valid state for deletion.".into(),
        C::Restore => format!(
            "The certificate authority {arn} is {status_name}; only a DELETED one can be restored."
        ),
        C::Revoke => format!(
            "The certificate authority {arn} is {status_name}; it must be ACTIVE or DISABLED to revoke certificates."
        ),
        C::Report => format!(
            "The certificate authority {arn} is {status_name}; it must be ACTIVE or DISABLED to have an audit report."
        ),
        C::Administer => {
            "The certificate authority is in the DELETED state and must be restored to complete this action."
                .into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For each command, the statuses that allow it, written down a second time from the user
    /// guide's table.
    const ALLOWED: [(Command, &[&str]); 12] = [
        (Command::Issue, &["ACTIVE"]),
        (
            Command::IssueOwn,
            &["PENDING_CERTIFICATE", "ACTIVE", "EXPIRED"],
        ),
        (
            Command::GetCertificate,
            &["PENDING_CERTIFICATE", "ACTIVE", "DISABLED", "EXPIRED"],
        ),
        (
            Command::GetCsr,
            &["PENDING_CERTIFICATE", "ACTIVE", "DISABLED", "EXPIRED"],
        ),
        (
            Command::GetOwnCertificate,
            &["ACTIVE", "DISABLED", "EXPIRED"],
        ),
        (
            Command::Install,
            &["PENDING_CERTIFICATE", "ACTIVE", "EXPIRED"],
        ),
        (Command::Update, &["ACTIVE", "DISABLED"]),
        (
            Command::Delete,
            &[
                "CREATING",
                "PENDING_CERTIFICATE",
                "DISABLED",
                "EXPIRED",
                "FAILED",
            ],
        ),
        (Command::Restore, &["DELETED"]),
        (Command::Revoke, &["ACTIVE", "DISABLED"]),
        (Command::Report, &["ACTIVE", "DISABLED"]),
        (
            Command::Administer,
            &[
                "CREATING",
                "PENDING_CERTIFICATE",
                "ACTIVE",
                "DISABLED",
                "EXPIRED",
                "FAILED",
            ],
        ),
    ];

    #[test]
    fn every_status_and_command() {
        for command in Command::ALL {
            let (_, allowed) = ALLOWED.iter().find(|(other, _)| *other == command).unwrap();
            for status in Status::ALL {
                let verdict = check(status, command, "arn");
                let expected = allowed.contains(&status.as_str());
                assert_eq!(verdict.is_ok(), expected, "{status:?} {command:?}");
                if let Err(error) = verdict {
                    assert!(
                        matches!(
                            error.kind,
                            ErrorKind::InvalidState | ErrorKind::RequestInProgress
                        ),
                        "{error:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_being_made_is_worth_waiting_for() {
        let kind = |status| check(status, Command::GetCsr, "arn").unwrap_err().kind;
        assert_eq!(kind(Status::Creating), ErrorKind::RequestInProgress);
        assert_eq!(kind(Status::Failed), ErrorKind::InvalidState);
    }
}
