//! CreateSession: credentials of a role for who has the key of a certificate (user guide, "CreateSession API").
//!
//! The signature is verified before this ([`keystead_wire::sigv4::verify_holder`]); here the certificate is. Until a trust
//! anchor is found that trusts it, the caller is nobody, and learns no more than that.

use keystead_core::pca::decimal;
use keystead_core::rolesanywhere::{entrant, mapping};
use keystead_core::tags::Tags;
use keystead_core::{AccountId, Arn, Error, ErrorKind, Result, hex, uuid_v4};
use keystead_crypto::digest;
use keystead_crypto::x509::Certificate;
use keystead_store::{Batch, Expect, Stored};
use keystead_wire::rolesanywhere_sessions as wire;

use super::path::{check_revocation, to_anchor};
use super::record::{Profile, Record, Seen, Subject, TrustAnchor};
use super::workload::{Admitted, Workload};
use crate::retry::retrying;
use crate::sts::by_certificate::{Assumed, Wanted, assume};
use crate::{Ctx, PrincipalKind};

/// `POST /sessions`.
pub(crate) async fn create_session(
    ctx: &Ctx,
    input: wire::CreateSessionRequest,
) -> Result<wire::CreateSessionResponse> {
    let account = account_of(&input)?;
    let workload = trusted(ctx, &account, &input.trust_anchor_arn).await?;
    let certificate = &workload.certificate;
    let outcome = admitted(ctx, workload, &account, &input).await;
    let subject = note(ctx, &account, certificate, outcome.is_err()).await?;
    let (source_identity, assumed) = outcome?;
    let Assumed {
        user,
        credentials,
        packed,
    } = assumed;
    Ok(wire::CreateSessionResponse {
        credential_set: vec![wire::CredentialResponse {
            assumed_role_user: wire::AssumedRoleUser {
                arn: user.arn,
                assumed_role_id: user.assumed_role_id,
            },
            credentials: wire::Credentials {
                access_key_id: credentials.access_key_id,
                expiration: credentials.expiration,
                secret_access_key: credentials.secret_access_key,
                session_token: credentials.session_token.into(),
            },
            packed_policy_size: packed,
            role_arn: input.role_arn,
            source_identity,
        }],
        subject_arn: subject,
    })
}

/// Whoever calls with a certificate, if this trust anchor trusts it.
async fn trusted<'c>(ctx: &'c Ctx, account: &AccountId, anchor_arn: &str) -> Result<&'c Workload> {
    let PrincipalKind::Workload(workload) = &ctx.principal.kind else {
        return Err(Error::new(
            ErrorKind::Internal,
            "a certificate was to be judged, and the call came without one",
        ));
    };
    let certificate = &workload.certificate;
    entrant::check(entrant::Entrant {
        is_authority: certificate.is_ca(),
        key_usage: certificate.key_usage(),
        subject: &certificate.subject,
    })?;
    let anchor: TrustAnchor = enabled(ctx, account, anchor_arn).await?;
    let anchors = anchor.certificates(ctx, account).await?;
    let path = to_anchor(workload, &anchors, ctx.now.as_second())?;
    check_revocation(ctx, account, &anchor, certificate, &path).await?;
    Ok(workload)
}

/// The certificate of the caller, if this trust anchor trusts it; from then on the call has its name.
pub(crate) async fn holder<'c>(
    ctx: &'c Ctx,
    account: &AccountId,
    anchor_arn: &str,
) -> Result<&'c Certificate> {
    let workload = trusted(ctx, account, anchor_arn).await?;
    let certificate = &workload.certificate;
    workload.admit(Admitted {
        account: account.clone(),
        trust_anchor_arn: anchor_arn.to_owned(),
        source_identity: mapping::source_identity(&certificate.subject, &certificate.serial),
        session_name: hex(&certificate.serial),
        tags: Tags::new(),
    });
    Ok(certificate)
}

/// The session of a certificate that is trusted, with the name of who begins it.
async fn admitted(
    ctx: &Ctx,
    workload: &Workload,
    account: &AccountId,
    input: &wire::CreateSessionRequest,
) -> Result<(String, Assumed)> {
    let certificate = &workload.certificate;
    let session_name = input
        .role_session_name
        .clone()
        .unwrap_or_else(|| hex(&certificate.serial));
    let mut known = Admitted {
        account: account.clone(),
        trust_anchor_arn: input.trust_anchor_arn.clone(),
        source_identity: mapping::source_identity(&certificate.subject, &certificate.serial),
        session_name,
        tags: Tags::new(),
    };
    let unable = |error: Error| match error.kind {
        ErrorKind::AccessDenied => denied(format!(
            "Unable to assume role for {}. {}",
            input.role_arn, error.message
        )),
        _ => error,
    };
    // From here on the call has a name, whatever comes of it.
    let profile: Result<Profile> = enabled(ctx, account, &input.profile_arn).await;
    let profile = match profile.and_then(|profile| {
        let (subject, issuer) = (&certificate.subject, &certificate.issuer);
        let alternatives = certificate.alt_names();
        let tags = mapping::tags(&profile.mappings, subject, issuer, alternatives);
        tags.map_err(unable).map(|tags| (profile, tags))
    }) {
        Ok((profile, tags)) => {
            known.tags = tags;
            profile
        }
        Err(error) => {
            workload.admit(known);
            return Err(error);
        }
    };
    let known = workload.admit(known);
    if !profile.role_arns.contains(&input.role_arn) {
        return Err(denied(format!(
            "The profile does not list the role {}.",
            input.role_arn
        )));
    }
    if input.role_session_name.is_some() && !profile.accept_role_session_name {
        return Err(denied("Not authorized to set roleSessionName."));
    }
    let asked = input.duration_seconds.unwrap_or(profile.duration);
    let wanted = Wanted {
        role_arn: input.role_arn.clone(),
        session: known.session_name.clone(),
        seconds: asked.min(profile.duration),
        tags: known.tags.clone(),
        source_identity: known.source_identity.clone(),
        policy: profile.session_policy,
        policy_arns: profile.managed_policy_arns,
    };
    let assumed = assume(ctx, wanted).await.map_err(unable)?;
    Ok((known.source_identity.clone(), assumed))
}

/// The account that is asked: trust anchor, profile and role are of one account, the first two of this region.
fn account_of(input: &wire::CreateSessionRequest) -> Result<AccountId> {
    let anchor = Arn::parse(&input.trust_anchor_arn)?;
    let (profile, role) = (
        Arn::parse(&input.profile_arn)?,
        Arn::parse(&input.role_arn)?,
    );
    if anchor.account != profile.account || anchor.account != role.account {
        return Err(Error::new(
            ErrorKind::Validation,
            "The trust anchor, the profile and the role are not of one account.",
        ));
    }
    AccountId::parse(&anchor.account)
}

/// The record of this ARN, if it is there and counts. To strangers both is the same.
pub(super) async fn enabled<K: super::record::Headed>(
    ctx: &Ctx,
    account: &AccountId,
    arn: &str,
) -> Result<K> {
    let here = Arn::new(
        "rolesanywhere",
        &ctx.region,
        account,
        format!("{}/", K::NAME),
    )
    .to_string();
    let found = match arn.strip_prefix(&here) {
        Some(id) => {
            let key = format!("{account}/{}/{id}", ctx.region);
            ctx.app.store.get::<K>(K::COLLECTION, &key).await?
        }
        None => None,
    };
    let found = found.map(|found| found.value);
    found.filter(|found| found.head().enabled).ok_or_else(|| {
        denied(format!(
            "The {} {arn} is not there, or not enabled.",
            K::NAME
        ))
    })
}

/// Notes that the certificate was used, and answers its subject's ARN.
async fn note(
    ctx: &Ctx,
    account: &AccountId,
    certificate: &Certificate,
    failed: bool,
) -> Result<String> {
    let place = format!("{account}/{}/", ctx.region);
    let named = [place.as_bytes(), &certificate.subject_der].concat();
    let digest = digest::sha256(&named);
    let half = digest.iter().take(16);
    let id = uuid_v4(half.fold(0, |bits, octet| (bits << 8) | u128::from(*octet)));
    let key = format!("{place}{id}");
    let seen = Seen {
        at: ctx.now,
        serial: decimal(&certificate.serial),
        issuer: mapping::text(&certificate.issuer),
        pem: certificate.to_pem(),
        failed,
    };
    let (id, key, seen) = (&id, &key, &seen);
    let noted = retrying(CONFLICT_TRIES, || async move {
        let found: Option<Stored<Subject>> = ctx.app.store.get(Subject::COLLECTION, key).await?;
        let (expect, mut subject) = match found {
            Some(found) => (Expect::Version(found.version), found.value),
            None => (
                Expect::Absent,
                Subject {
                    id: id.clone(),
                    x509_subject: mapping::text(&certificate.subject),
                    tags: Tags::new(),
                    created: ctx.now,
                    last_seen: ctx.now,
                    credentials: Vec::new(),
                },
            ),
        };
        subject.note(seen.clone());
        let mut batch = Batch::new();
        batch.put(Subject::COLLECTION, key.as_str(), &subject, expect);
        ctx.app.store.commit(batch).await?;
        Ok(())
    })
    .await;
    match noted {
        // Where others were quicker every time, they have noted the same subject.
        Err(error) if error.kind == ErrorKind::ConcurrentModification => {}
        noted => noted?,
    }
    Ok(Arn::new(
        "rolesanywhere",
        &ctx.region,
        account,
        format!("{}/{id}", Subject::NAME),
    )
    .to_string())
}

fn denied(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::AccessDenied, message)
}

/// How often a use is noted again because the same subject was used by others meanwhile.
const CONFLICT_TRIES: usize = 8;
