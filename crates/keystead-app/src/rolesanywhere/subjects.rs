//! Subjects: whom certificates have named when they were used.

use keystead_core::Result;
use keystead_wire::rolesanywhere as wire;

use super::Shown;
use super::record::{self, Seen, Subject};
use crate::Ctx;

/// `rolesanywhere:ListSubjects`.
pub(crate) async fn list_subjects(
    ctx: &Ctx,
    input: wire::ListRequest,
) -> Result<wire::ListSubjectsResponse> {
    let (found, next_token) =
        record::list(ctx, input.next_token.as_deref(), input.page_size).await?;
    let summary = |subject: Subject| wire::SubjectSummary {
        subject_arn: Some(record::arn::<Subject>(ctx, &subject.id)),
        subject_id: Some(subject.id),
        enabled: Some(true),
        x509_subject: Some(subject.x509_subject),
        last_seen_at: Some(subject.last_seen),
        created_at: Some(subject.created),
        updated_at: Some(subject.last_seen),
    };
    Ok(wire::ListSubjectsResponse {
        subjects: Some(found.into_iter().map(summary).collect()),
        next_token,
    })
}

impl Shown for Subject {
    type Scalar = wire::ScalarSubjectRequest;
    type Answer = wire::SubjectDetailResponse;

    fn named(request: Self::Scalar) -> String {
        request.subject_id
    }

    fn answer(self, ctx: &Ctx, _: Option<String>) -> Self::Answer {
        let credential = |seen: Seen| wire::CredentialSummary {
            seen_at: Some(seen.at),
            serial_number: Some(seen.serial),
            issuer: Some(seen.issuer),
            enabled: Some(true),
            x509_certificate_data: Some(seen.pem),
            failed: Some(seen.failed),
        };
        let credentials = self.credentials.into_iter().map(credential);
        wire::SubjectDetailResponse {
            subject: Some(wire::SubjectDetail {
                subject_arn: Some(record::arn::<Self>(ctx, &self.id)),
                subject_id: Some(self.id),
                enabled: Some(true),
                x509_subject: Some(self.x509_subject),
                last_seen_at: Some(self.last_seen),
                created_at: Some(self.created),
                updated_at: Some(self.last_seen),
                credentials: Some(credentials.collect()),
                instance_properties: Some(Vec::new()),
            }),
        }
    }
}
