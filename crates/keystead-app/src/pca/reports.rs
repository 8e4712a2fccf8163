//! Audit reports: asked for, looked at, and written.
//!
//! A report is a record and an item of [`REPORT_QUEUE`]. Each step of its task writes a bounded part of the file, so that
//! memory and the time under one lease do not depend on how much an authority has issued; the commit after it says how
//! long the file is and behind which certificate to go on. What a crash leaves behind that is cut off. The file gets
//! its name when it is complete, and what has the name is complete: so a step that finds it has only to say so.
//!
//! Where the object lies, and who gets it, is in [`crate::objects`].

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use keystead_core::pca::{AuditReport, Entry, Progress, ReportFormat, Serial};
use keystead_core::{AccountId, Arn, Error, ErrorKind, Region, Result};
use keystead_crypto::x509;
use keystead_store::{Batch, Collection, Expect, Lease, StoreError, Stored, Versioned};
use keystead_wire::acm_pca as wire;
use serde::{Deserialize, Serialize};

use super::authorities::{authority, change};
use super::record::{CERTIFICATES, Issued};
use crate::objects::{ObjectName, Unfinished, blocking};
use crate::tasks::Outcome;
use crate::{App, Ctx, ids};

/// Where reports wait to be written.
pub(crate) const REPORT_QUEUE: &str = "pca.report";

/// Reports, by `account/region/authority/id`.
pub(super) const REPORTS: Collection = Collection("pca.report");

/// A report as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Report(AuditReport);

impl Versioned for Report {
    const MARKER: &'static str = "pca.report/1";
}

/// CreateCertificateAuthorityAuditReport.
pub async fn create_certificate_authority_audit_report(
    ctx: &Ctx,
    input: wire::CreateCertificateAuthorityAuditReportRequest,
) -> Result<wire::CreateCertificateAuthorityAuditReportResponse> {
    let format = match input.audit_report_response_format {
        wire::AuditReportResponseFormat::Json => ReportFormat::Json,
        wire::AuditReportResponseFormat::Csv => ReportFormat::Csv,
    };
    let arn = &input.certificate_authority_arn;
    let authority = ctx.own(arn, "acm-pca", "certificate-authority")?;
    let report = AuditReport::new(
        ids::uuid()?,
        authority.to_owned(),
        input.s3_bucket_name.clone(),
        format,
        ctx.now,
    )?;
    let (id, s3_key) = (report.id.clone(), report.object_key());
    let report = Report(report);
    change(ctx, arn, |ca, batch| {
        ca.report(ctx.now)?;
        let at = ctx.key(&format!("{authority}/{id}"));
        batch.put(REPORTS, at.as_str(), &report, Expect::Absent);
        batch.enqueue(REPORT_QUEUE, at, ctx.now, &());
        Ok(())
    })
    .await?;
    Ok(wire::CreateCertificateAuthorityAuditReportResponse {
        audit_report_id: Some(id),
        s3_key: Some(s3_key),
    })
}

/// DescribeCertificateAuthorityAuditReport.
pub async fn describe_certificate_authority_audit_report(
    ctx: &Ctx,
    input: wire::DescribeCertificateAuthorityAuditReportRequest,
) -> Result<wire::DescribeCertificateAuthorityAuditReportResponse> {
    let found = authority(ctx, &input.certificate_authority_arn).await?;
    let id = &input.audit_report_id;
    let key = format!("{}/{id}", found.key);
    let report = ctx.app.store.get::<Report>(REPORTS, &key).await?;
    let report = report.map(|stored| stored.value.0).ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!(
                "Could not find audit report {id} of {}.",
                input.certificate_authority_arn
            ),
        )
    })?;
    Ok(wire::DescribeCertificateAuthorityAuditReportResponse {
        audit_report_status: Some(match report.progress {
            Progress::Creating { .. } => wire::AuditReportStatus::Creating,
            Progress::Success => wire::AuditReportStatus::Success,
            Progress::Failed => wire::AuditReportStatus::Failed,
        }),
        s3_bucket_name: Some(report.bucket.clone()),
        s3_key: Some(report.object_key()),
        created_at: Some(report.created_at),
    })
}

/// Writes the next part of the report that this item of [`REPORT_QUEUE`] names, or gives it up when that has failed too
/// often.
pub(crate) async fn write_part(app: &Arc<App>, lease: &Lease) -> Result<Outcome> {
    let found = app.store.get::<Report>(REPORTS, lease.id()).await?;
    // Its authority was purged meanwhile, or it is done with.
    let Some(found) = found else {
        return Ok(Outcome::Finished);
    };
    let Progress::Creating { after, length } = &found.value.0.progress else {
        return Ok(Outcome::Finished);
    };
    let progress = match part(app, &found, after.as_deref(), *length).await {
        Ok(progress) => progress,
        Err(error) if lease.attempt() >= ATTEMPTS => {
            tracing::error!(report = lease.id(), %error, "an audit report is given up");
            Progress::Failed
        }
        Err(error) => return Err(error),
    };
    let mut batch = Batch::new();
    match progress {
        Progress::Creating { .. } => batch.reschedule(lease, app.env.now(), &()),
        Progress::Success | Progress::Failed => batch.finish(lease),
    };
    let report = AuditReport {
        progress,
        ..found.value.0
    };
    batch.put(
        REPORTS,
        found.key.as_str(),
        &Report(report),
        Expect::Version(found.version),
    );
    match app.store.commit(batch).await {
        // Conflict: the authority was purged in between, and its reports with it.
        Ok(_) | Err(StoreError::Conflict { .. } | StoreError::LeaseLost { .. }) => {
            Ok(Outcome::Settled)
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes the next part; answers how far the report is then.
async fn part(
    app: &Arc<App>,
    report: &Stored<Report>,
    after: Option<&str>,
    length: u64,
) -> Result<Progress> {
    let report = Arc::new(Source::of(report)?);
    let path = app.objects.path(&report.account, &report.object);
    let opened = blocking(move || Unfinished::open(path, length)).await?;
    let Some(mut file) = opened else {
        return Ok(Progress::Success);
    };
    let mut after = after.map(str::to_owned);
    if file.length() == 0 {
        after = None;
        file.push(&report.format.head());
    }
    for _ in 0..PAGES {
        let (store, prefix) = (&app.store, &report.prefix);
        let page = store.scan::<Issued>(CERTIFICATES, prefix, after.as_deref(), PAGE);
        let page = page.await?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|last| last.key.clone()).or(after);
        let source = Arc::clone(&report);
        file = blocking(move || {
            for issued in &page {
                source.tell(issued, &mut file).map_err(io::Error::other)?;
            }
            file.flush()?;
            Ok(file)
        })
        .await?;
        if is_last {
            file.push(report.format.tail());
            blocking(move || file.complete()).await?;
            return Ok(Progress::Success);
        }
    }
    let length = blocking(move || file.save()).await?;
    Ok(Progress::Creating { after, length })
}

/// What a report is made of.
struct Source {
    account: String,
    /// The ARN of the authority.
    authority: String,
    object: ObjectName,
    format: ReportFormat,
    created_at: Timestamp,
    /// What the record keys of its certificates begin with.
    prefix: String,
}

impl Source {
    fn of(report: &Stored<Report>) -> Result<Self> {
        let (key, report) = (&report.key, &report.value.0);
        let broken = || Error::new(ErrorKind::Internal, format!("{key} names no audit report"));
        let mut parts = key.split('/');
        let (Some(account), Some(region)) = (parts.next(), parts.next()) else {
            return Err(broken());
        };
        let authority = Arn::new(
            "acm-pca",
            &Region::parse(region)?,
            &AccountId::parse(account)?,
            format!("certificate-authority/{}", report.authority),
        );
        Ok(Self {
            account: account.to_owned(),
            authority: authority.to_string(),
            object: ObjectName::new(&report.bucket, &report.object_key()).ok_or_else(broken)?,
            format: report.format,
            created_at: report.created_at,
            prefix: format!("{account}/{region}/{}/", report.authority),
        })
    }

    /// Adds a certificate, unless it was asked for after the report.
    fn tell(&self, issued: &Stored<Issued>, file: &mut Unfinished) -> Result<()> {
        let Stored { key, value, .. } = issued;
        if value.issued_at > self.created_at {
            return Ok(());
        }
        let serial = key.rsplit('/').next().and_then(Serial::parse);
        let serial = serial.ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("{key} names no certificate"))
        })?;
        let certificate = x509::Certificate::from_der(&value.certificate)?;
        let entry = Entry {
            account: &self.account,
            requested_by: value.requested_by.as_deref(),
            arn: format!("{}/certificate/{}", self.authority, serial.hex()),
            serial: serial.colons(),
            subject: x509::name_text(&certificate.subject_der)?,
            not_before: value.not_before,
            not_after: value.not_after,
            issued_at: value.issued_at,
            revocation: value.revocation,
            template: value.template.as_deref(),
        };
        let is_first = file.length() == self.format.head().len() as u64;
        file.push(&self.format.entry(&entry, is_first));
        Ok(())
    }
}

/// Records of a page: some hundred kilobytes.
const PAGE: usize = 256;

/// Pages of a step: four thousand certificates, which take a fraction of a second, so that the lease is never in danger
/// and a crash costs no more than that.
const PAGES: usize = 16;

/// How often a part is tried: for several minutes, with the waits of the queue between.
const ATTEMPTS: u32 = 10;
