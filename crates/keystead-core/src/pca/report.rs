//! Audit reports: what an authority has issued and revoked, a line a certificate.
//!
//! User guide, "Use audit reports with your private CA": the columns, the two formats, the name of the object, and that
//! there is one report in thirty minutes. A report tells of the certificates that were issued before it was asked for,
//! in the order of their serial numbers, and of revocations as they are found while it is written.

use jiff::{SignedDuration, Timestamp, civil};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::authority::CertificateAuthority;
use super::revocation::{Revocation, check_bucket_name};
use super::state::Command;
use crate::error::{Error, ErrorKind, Result};

/// A report that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// Its id, a UUID.
    pub id: String,
    /// The id of the authority.
    pub authority: String,
    /// The bucket that it is put into.
    pub bucket: String,
    /// How it is written.
    pub format: ReportFormat,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// How far it is.
    pub progress: Progress,
}

/// ACM-PCA `AuditReportResponseFormat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportFormat {
    /// An array of objects.
    Json,
    /// A heading and a line a certificate (RFC 4180).
    Csv,
}

/// How far a report is; ACM-PCA `AuditReportStatus`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// CREATING: this many bytes of it are written, with every certificate up to the one of this record key.
    Creating {
        /// The key of the last one that is written; `None` before the first.
        after: Option<String>,
        /// What is written, in bytes.
        length: u64,
    },
    /// SUCCESS.
    Success,
    /// FAILED.
    Failed,
}

/// A certificate, as a report tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Whose authority issued it.
    pub account: &'a str,
    /// The service that asked for it, where it was one.
    pub requested_by: Option<&'a str>,
    /// Its ARN.
    pub arn: String,
    /// Its serial number, between colons.
    pub serial: String,
    /// Whose it is (RFC 4514).
    pub subject: String,
    /// First second of its validity (Unix time).
    pub not_before: i64,
    /// Last second of its validity (Unix time).
    pub not_after: i64,
    /// When it was asked for.
    pub issued_at: Timestamp,
    /// That it was revoked.
    pub revocation: Option<Revocation>,
    /// The ARN of its template; `None` where nobody noted it.
    pub template: Option<&'a str>,
}

impl AuditReport {
    /// A report that nothing is written of yet. Refuses a name that no bucket can have with
    /// [`ErrorKind::InvalidArgs`].
    pub fn new(
        id: String,
        authority: String,
        bucket: String,
        format: ReportFormat,
        now: Timestamp,
    ) -> Result<Self> {
        check_bucket_name(&bucket)?;
        Ok(Self {
            id,
            authority,
            bucket,
            format,
            created_at: now,
            progress: Progress::Creating {
                after: None,
                length: 0,
            },
        })
    }

    /// The key of the object in the bucket.
    pub fn object_key(&self) -> String {
        let Self {
            authority,
            id,
            format,
            ..
        } = self;
        format!("audit-report/{authority}/{id}.{}", format.extension())
    }
}

impl ReportFormat {
    /// How its files end.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }

    /// What stands before the first certificate.
    pub fn head(self) -> String {
        match self {
            Self::Json => "[".into(),
            Self::Csv => format!("{}\n", COLUMNS.join(",")),
        }
    }

    /// One certificate.
    pub fn entry(self, entry: &Entry<'_>, is_first: bool) -> String {
        let columns = entry.columns();
        match self {
            Self::Csv => {
                let cells = columns.map(|cell| quoted(&cell.unwrap_or_default()));
                format!("{}\n", cells.join(","))
            }
            Self::Json => {
                // What is not known of one is left out, as in the user guide's example.
                let known = COLUMNS.into_iter().zip(columns);
                let object: Map<String, Value> = known
                    .filter_map(|(name, cell)| Some((name.to_owned(), Value::String(cell?))))
                    .collect();
                let comma = if is_first { "" } else { "," };
                format!("{comma}\n{}", Value::Object(object))
            }
        }
    }

    /// What stands behind the last certificate.
    pub fn tail(self) -> &'static str {
        match self {
            Self::Json => "\n]\n",
            Self::Csv => "",
        }
    }
}

impl Entry<'_> {
    /// The cells, in the order of [`COLUMNS`].
    fn columns(&self) -> [Option<String>; COLUMNS.len()] {
        [
            Some(self.account.to_owned()),
            self.requested_by.map(str::to_owned),
            Some(self.arn.clone()),
            Some(self.serial.clone()),
            Some(self.subject.clone()),
            Some(moment(self.not_before)),
            Some(moment(self.not_after)),
            Some(moment(self.issued_at.as_second())),
            self.revocation
                .map(|revocation| moment(revocation.at.as_second())),
            self.revocation
                .map(|revocation| revocation.reason.name().to_owned()),
            self.template.map(str::to_owned),
        ]
    }
}

impl CertificateAuthority {
    /// Notes that a report was asked for. Refuses with [`ErrorKind::RequestInProgress`] as long as one that was asked for
    /// before stands in the way.
    pub fn report(&mut self, now: Timestamp) -> Result<()> {
        self.check(Command::Report, now)?;
        let last = self.reported_at;
        if last.is_some_and(|last| now.duration_since(last) < BETWEEN_REPORTS) {
            return Err(Error::new(
                ErrorKind::RequestInProgress,
                format!(
                    "An audit report of the certificate authority {} was requested less than 30 minutes ago; one report can be made every 30 minutes.",
                    self.arn()
                ),
            ));
        }
        self.reported_at = Some(now);
        Ok(())
    }
}

/// An instant as the user guide's examples write it. By civil time, since jiff's timestamps end a day before certificates
/// do (RFC 5280 section 4.1.2.5).
fn moment(second: i64) -> String {
    let epoch = civil::date(1970, 1, 1).at(0, 0, 0, 0);
    let at = epoch.saturating_add(SignedDuration::from_secs(second));
    at.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

/// RFC 4180 section 2, rules 6 and 7.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// User guide, same page; JSON has the same names.
const COLUMNS: [&str; 11] = [
    "awsAccountId",
    "requestedByServicePrincipal",
    "certificateArn",
    "serial",
    "subject",
    "notBefore",
    "notAfter",
    "issuedAt",
    "revokedAt",
    "revocationReason",
    "templateArn",
];

/// Model, CreateCertificateAuthorityAuditReport: "a maximum of one report every 30 minutes".
const BETWEEN_REPORTS: SignedDuration = SignedDuration::from_mins(30);

#[cfg(test)]
mod tests {
    use super::super::revocation::RevocationReason;
    use super::*;

    fn entry() -> Entry<'static> {
        Entry {
            account: "123456789012",
            requested_by: None,
            arn: "arn:ca/certificate/e8".into(),
            serial: "e8".into(),
            subject: "CN=a \"b\",C=US".into(),
            not_before: 1_519_670_397,
            not_after: 253_402_300_799,
            issued_at: "2018-02-26T19:39:58.5Z".parse().unwrap(),
            revocation: None,
            template: Some("arn:template"),
        }
    }

    fn revoked() -> Entry<'static> {
        Entry {
            requested_by: Some("acm.amazonaws.com"),
            revocation: Some(Revocation {
                at: "2018-02-26T20:00:36Z".parse().unwrap(),
                reason: RevocationReason::KeyCompromise,
            }),
            template: None,
            ..entry()
        }
    }

    fn whole(format: ReportFormat, entries: &[Entry<'_>]) -> String {
        let entries = entries.iter().enumerate();
        let body: String = entries
            .map(|(n, entry)| format.entry(entry, n == 0))
            .collect();
        format!("{}{body}{}", format.head(), format.tail())
    }

    #[test]
    fn csv() {
        let expected = "awsAccountId,requestedByServicePrincipal,certificateArn,serial,subject,notBefore,notAfter,issuedAt,revokedAt,revocationReason,templateArn\n\
            123456789012,,arn:ca/certificate/e8,e8,\"CN=a \"\"b\"\",C=US\",2018-02-26T18:39:57+0000,9999-12-31T23:59:59+0000,2018-02-26T19:39:58+0000,,,arn:template\n\
            123456789012,acm.amazonaws.com,arn:ca/certificate/e8,e8,\"CN=a \"\"b\"\",C=US\",2018-02-26T18:39:57+0000,9999-12-31T23:59:59+0000,2018-02-26T19:39:58+0000,2018-02-26T20:00:36+0000,KEY_COMPROMISE,\n";
        assert_eq!(whole(ReportFormat::Csv, &[entry(), revoked()]), expected);
    }

    #[test]
    fn json() {
        let text = whole(ReportFormat::Json, &[entry(), revoked()]);
        let read: Vec<Map<String, Value>> = serde_json::from_str(&text).unwrap();
        let [one, other] = read.as_slice() else {
            panic!("{text}")
        };
        assert_eq!(one["subject"], "CN=a \"b\",C=US");
        assert!(!one.contains_key("revokedAt") && !one.contains_key("requestedByServicePrincipal"));
        assert_eq!(other["revocationReason"], "KEY_COMPROMISE");
        assert_eq!(other["requestedByServicePrincipal"], "acm.amazonaws.com");
        assert!(!other.contains_key("templateArn"));
        let none: Vec<Value> = serde_json::from_str(&whole(ReportFormat::Json, &[])).unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn the_object_is_named_as_the_user_guide_says() {
        let report = |bucket: &str, format| {
            AuditReport::new(
                "ID".into(),
                "CA".into(),
                bucket.into(),
                format,
                Timestamp::UNIX_EPOCH,
            )
        };
        let key = |format| report("a-bucket", format).unwrap().object_key();
        assert_eq!(key(ReportFormat::Json), "audit-report/CA/ID.json");
        assert_eq!(key(ReportFormat::Csv), "audit-report/CA/ID.csv");
        for bucket in ["Upper", "a..b", "-ab", "..", "a/b"] {
            let refused = report(bucket, ReportFormat::Csv).map_err(|error| error.kind);
            assert_eq!(refused, Err(ErrorKind::InvalidArgs), "{bucket}");
        }
    }
}
