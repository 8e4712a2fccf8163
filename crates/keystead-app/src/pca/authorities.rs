//! Authorities: made, shown, changed, deleted, brought back.

use keystead_core::pca::{
    CertificateAuthority, Command, Kind, NewAuthority, RevocationConfiguration, UsageMode,
};
use keystead_core::tags::{self, Tags};
use keystead_core::x509::{Extension, ExtensionValue, Oid};
use keystead_core::{AccountId, Arn, Error, ErrorKind, Result};
use keystead_crypto::{StoredKey, x509};
use keystead_policy::Context;
use keystead_store::{Batch, Expect, StoreError, Stored};
use keystead_wire::acm_pca as wire;

use super::TOKEN_LIFETIME;
use super::record::{AUTHORITIES, Authority, authority_key, find, missing};
use super::{convert, shared, text};
use crate::access::{Act, Allowed, Describe, Resource, account_of};
use crate::token::{self, Known};
use crate::weak_keys::refuse_weak;
use crate::{Ctx, cursor, ids};

/// Where deleted authorities wait for their end.
pub(crate) const PURGE_QUEUE: &str = "pca.purge";

/// CreateCertificateAuthority. The key is made before the answer, so that the request for its
/// certificate can be fetched at once: the authority is PENDING_CERTIFICATE from the start.
pub async fn create_certificate_authority(
    ctx: &Ctx,
    input: wire::CreateCertificateAuthorityRequest,
) -> Result<wire::CreateCertificateAuthorityResponse> {
    ctx.allow_own("*")?;
    let asked = input
        .idempotency_token
        .clone()
        .map(|token| (token, format!("{input:?}")));
    let token = match look_up(ctx, asked.as_ref()).await? {
        None => None,
        Some(Known::Done(arn, _)) => return Ok(created(arn)),
        Some(Known::New(token)) => Some(token),
    };
    let mut ca = CertificateAuthority::create(described(ctx, input)?, ctx.now)?;
    let new = match &ctx.app.hsm.authorities {
        Some(token) => ctx.app.keys.generate_in(token, ca.key_spec).await?,
        None => ctx.app.keys.generate(ca.key_spec).await?,
    };
    let request = match refuse_weak(&ctx.app, &new.spki_der) {
        Ok(()) => own_request(ctx, &ca, &new.key, &new.spki_der).await,
        Err(why) => Err(Error::new(
            ErrorKind::Internal,
            format!(
                "the key that was made for the authority is not accepted: {why}; suspect what made it"
            ),
        )),
    };
    let csr = match request {
        Ok(csr) => csr,
        Err(error) => {
            discard(ctx, &new.key).await;
            return Err(error);
        }
    };
    ca.key_is_ready();
    let (key, arn) = (ctx.key(&ca.id), ca.arn());
    let authority = Authority {
        ca,
        key: new.key,
        spki: new.spki_der,
        csr,
    };
    let mut batch = Batch::new();
    batch.put(AUTHORITIES, key, &authority, Expect::Absent);
    if let Some(token) = &token {
        token.settle(&mut batch, &arn, ctx.now);
    }
    match ctx.app.store.commit(batch).await {
        Ok(_) => Ok(created(arn)),
        // The same request was quicker; the key made here was never stored.
        Err(StoreError::Conflict { .. }) => {
            discard(ctx, &authority.key).await;
            match look_up(ctx, asked.as_ref()).await? {
                Some(Known::Done(arn, _)) => Ok(created(arn)),
                _ => Err(contended(&arn)),
            }
        }
        // It may have been stored: the key stays.
        Err(error) => Err(error.into()),
    }
}

/// Ends a key that no record has. A token that does not hear of it keeps a key that nothing names.
async fn discard(ctx: &Ctx, key: &StoredKey) {
    if let Err(error) = ctx.app.keys.destroy(key).await {
        tracing::warn!(%error, "a key that was not needed stays in its token");
    }
}

async fn look_up(ctx: &Ctx, asked: Option<&(String, String)>) -> Result<Option<Known>> {
    let Some((token, asked)) = asked else {
        return Ok(None);
    };
    let parts = [
        b"CreateCertificateAuthority".as_slice(),
        token.as_bytes(),
        asked.as_bytes(),
    ];
    token::look_up(
        &ctx.app.store,
        &ctx.prefix(),
        &parts,
        TOKEN_LIFETIME,
        ctx.now,
    )
    .await
    .map(Some)
}

fn created(arn: String) -> wire::CreateCertificateAuthorityResponse {
    wire::CreateCertificateAuthorityResponse {
        certificate_authority_arn: Some(arn),
    }
}

fn described(ctx: &Ctx, input: wire::CreateCertificateAuthorityRequest) -> Result<NewAuthority> {
    let configuration = input.certificate_authority_configuration;
    let wanted = input.revocation_configuration.unwrap_or_default();
    let mut given = Tags::new();
    let pairs = input
        .tags
        .unwrap_or_default()
        .into_iter()
        .map(|tag| (tag.key, tag.value.unwrap_or_default()));
    tags::add(&mut given, pairs)?;
    let standard = input
        .key_storage_security_standard
        .unwrap_or(wire::KeyStorageSecurityStandard::Fips1402Level3OrHigher);
    Ok(NewAuthority {
        id: ids::uuid()?,
        account: ctx.account().clone(),
        region: ctx.region.clone(),
        kind: match input.certificate_authority_type {
            wire::CertificateAuthorityType::Root => Kind::Root,
            wire::CertificateAuthorityType::Subordinate => Kind::Subordinate,
        },
        key_spec: convert::key_spec(configuration.key_algorithm)?,
        signing_algorithm: convert::signature(configuration.signing_algorithm)?,
        subject: convert::subject(configuration.subject)?,
        csr_extensions: convert::csr_extensions(configuration.csr_extensions)?,
        usage: match input.usage_mode {
            Some(wire::CertificateAuthorityUsageMode::ShortLivedCertificate) => {
                UsageMode::ShortLived
            }
            Some(wire::CertificateAuthorityUsageMode::GeneralPurpose) | None => {
                UsageMode::GeneralPurpose
            }
        },
        key_storage: standard.as_str().to_owned(),
        revocation: convert::revocation(wanted, RevocationConfiguration::default())?,
        tags: given,
    })
}

/// The authority's request for its own certificate. It asks to be a CA, as AWS's do.
async fn own_request(
    ctx: &Ctx,
    ca: &CertificateAuthority,
    key: &StoredKey,
    spki: &[u8],
) -> Result<Vec<u8>> {
    let extension = |oid, critical, value| Extension {
        oid: Oid::new(oid),
        critical,
        value,
    };
    let mut extensions = vec![extension(
        "2.5.29.19",
        true,
        ExtensionValue::BasicConstraints {
            ca: true,
            path_len: None,
        },
    )];
    if let Some(bits) = &ca.csr_extensions.key_usage {
        extensions.push(extension(
            "2.5.29.15",
            true,
            ExtensionValue::KeyUsage(bits.clone()),
        ));
    }
    let accesses = &ca.csr_extensions.subject_information_access;
    if !accesses.is_empty() {
        // subjectInfoAccess has the syntax of authorityInfoAccess (RFC 5280 section 4.2.2.2).
        extensions.push(extension(
            "1.3.6.1.5.5.7.1.11",
            false,
            ExtensionValue::AuthorityInfoAccess(accesses.clone()),
        ));
    }
    let invalid = |fault| {
        convert::invalid(format!(
            "The subject or an extension is not valid: {fault}."
        ))
    };
    let subject = x509::encode_name(ca.subject.name()).map_err(invalid)?;
    let info = x509::encode_csr_info(&subject, spki, &extensions).map_err(invalid)?;
    let signature = ctx.app.keys.sign(key, ca.signing_algorithm, &info).await?;
    Ok(x509::assemble(&info, ca.signing_algorithm, &signature)?)
}

/// DescribeCertificateAuthority.
pub async fn describe_certificate_authority(
    ctx: &Ctx,
    input: wire::DescribeCertificateAuthorityRequest,
) -> Result<wire::DescribeCertificateAuthorityResponse> {
    let found = authority(ctx, &input.certificate_authority_arn).await?;
    Ok(wire::DescribeCertificateAuthorityResponse {
        certificate_authority: Some(convert::shown_authority(&found.value.ca, ctx.now)),
    })
}

/// ListCertificateAuthorities.
pub async fn list_certificate_authorities(
    ctx: &Ctx,
    input: wire::ListCertificateAuthoritiesRequest,
) -> Result<wire::ListCertificateAuthoritiesResponse> {
    ctx.allow_own("*")?;
    let owner = input.resource_owner.unwrap_or(wire::ResourceOwner::Self_);
    let scope = format!("ListCertificateAuthorities {owner}");
    let after = input.next_token.as_deref();
    if owner == wire::ResourceOwner::OtherAccounts {
        return shared::list(ctx, &scope, after, page_size(input.max_results)).await;
    }
    let size = page_size(input.max_results);
    let (found, next_token) =
        cursor::page::<Authority>(ctx, &scope, AUTHORITIES, after, size).await?;
    let shown = found
        .iter()
        .filter(|stored| !stored.value.ca.is_to_be_purged(ctx.now))
        .map(|stored| convert::shown_authority(&stored.value.ca, ctx.now));
    Ok(wire::ListCertificateAuthoritiesResponse {
        next_token,
        certificate_authorities: Some(shown.collect()),
    })
}

/// UpdateCertificateAuthority.
pub async fn update_certificate_authority(
    ctx: &Ctx,
    input: wire::UpdateCertificateAuthorityRequest,
) -> Result<wire::UpdateCertificateAuthorityResponse> {
    let active = match input.status {
        None => None,
        Some(wire::CertificateAuthorityStatus::Active) => Some(true),
        Some(wire::CertificateAuthorityStatus::Disabled) => Some(false),
        Some(other) => {
            return Err(convert::invalid(format!(
                "The status can be set to ACTIVE or DISABLED, not to {other}."
            )));
        }
    };
    if active.is_none() && input.revocation_configuration.is_none() {
        return Err(convert::invalid(
            "Give a Status or a RevocationConfiguration to update.",
        ));
    }
    change(ctx, &input.certificate_authority_arn, |ca, _| {
        ca.check(Command::Update, ctx.now)?;
        if let Some(wanted) = input.revocation_configuration.clone() {
            let configuration = convert::revocation(wanted, ca.revocation.clone())?;
            ca.configure(configuration, ctx.now)?;
        }
        active.map_or(Ok(()), |active| ca.set_active(active, ctx.now))
    })
    .await?;
    Ok(wire::UpdateCertificateAuthorityResponse)
}

/// DeleteCertificateAuthority.
pub async fn delete_certificate_authority(
    ctx: &Ctx,
    input: wire::DeleteCertificateAuthorityRequest,
) -> Result<wire::DeleteCertificateAuthorityResponse> {
    let days = input.permanent_deletion_time_in_days.map(i64::from);
    change(ctx, &input.certificate_authority_arn, |ca, batch| {
        let purge_at = ca.delete(days, ctx.now)?;
        batch.enqueue(PURGE_QUEUE, ctx.key(&ca.id), purge_at, &());
        Ok(())
    })
    .await?;
    Ok(wire::DeleteCertificateAuthorityResponse)
}

/// RestoreCertificateAuthority.
pub async fn restore_certificate_authority(
    ctx: &Ctx,
    input: wire::RestoreCertificateAuthorityRequest,
) -> Result<wire::RestoreCertificateAuthorityResponse> {
    change(ctx, &input.certificate_authority_arn, |ca, batch| {
        ca.restore(ctx.now)?;
        batch.cancel(PURGE_QUEUE, ctx.key(&ca.id));
        Ok(())
    })
    .await?;
    Ok(wire::RestoreCertificateAuthorityResponse)
}

/// GetCertificateAuthorityCsr.
pub async fn get_certificate_authority_csr(
    ctx: &Ctx,
    input: wire::GetCertificateAuthorityCsrRequest,
) -> Result<wire::GetCertificateAuthorityCsrResponse> {
    let found = authority(ctx, &input.certificate_authority_arn).await?;
    found.value.ca.check(Command::GetCsr, ctx.now)?;
    Ok(wire::GetCertificateAuthorityCsrResponse {
        csr: Some(text::csr(&found.value.csr)),
    })
}

/// The authority of this name, the caller's own or one that is shared with it, if the call may touch it.
pub(super) async fn authority(ctx: &Ctx, arn: &str) -> Result<Allowed<Stored<Authority>>> {
    authority_as(ctx, Act::Own, arn, None).await
}

/// As [`authority`], for what the call does on the way, or by a template.
pub(super) async fn authority_as(
    ctx: &Ctx,
    act: Act<'_>,
    arn: &str,
    template: Option<ByTemplate<'_>>,
) -> Result<Allowed<Stored<Authority>>> {
    let found = match key_of(ctx, arn)? {
        Some(key) => find(&ctx.app.store, &key, ctx.now).await?,
        None => None,
    };
    let found = found.map(|found| (found, template));
    let found = ctx.admit(act, arn, found, |(found, template), resource| {
        describe(&found.value.ca, template.as_ref(), resource)
    })?;
    let found = found.ok_or_else(|| missing(arn))?;
    Ok(found.map(|(found, _)| found))
}

/// The record key of the authority of this name; `None` for a name of another account that can be nobody's.
pub(super) fn key_of(ctx: &Ctx, arn: &str) -> Result<Option<String>> {
    if account_of(arn) == ctx.account().as_str() {
        let id = ctx.own(arn, "acm-pca", "certificate-authority")?;
        return Ok(Some(ctx.key(id)));
    }
    let parsed = Arn::parse(arn)?;
    let id = parsed.resource.strip_prefix("certificate-authority/");
    let id = id.filter(|id| parsed.service == "acm-pca" && !id.is_empty() && !id.contains('/'));
    let id = id.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidArn,
            format!("The ARN '{arn}' is not that of a private CA."),
        )
    })?;
    let account = AccountId::parse(&parsed.account)?;
    let here = parsed.region == ctx.region.as_str();
    Ok(here.then(|| authority_key(&account, &ctx.region, id)))
}

/// The template by which a certificate is to be issued, for policies that look at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByTemplate<'a>(pub(super) &'a str);

impl Describe for ByTemplate<'_> {
    fn describe(&self, context: &mut Context) {
        context.set("acm-pca:TemplateArn", self.0);
    }
}

/// What decisions on an authority look at.
pub(super) fn describe<'a>(
    ca: &'a CertificateAuthority,
    template: Option<&'a ByTemplate<'_>>,
    resource: Resource<'a>,
) -> Resource<'a> {
    Resource {
        describe: template.map(|template| template as &dyn Describe),
        ..resource.tagged(&ca.tags).under(ca.policy.as_deref())
    }
}

/// Changes the caller's authority of this name; `apply` may add to the commit. Starts anew when
/// somebody else was quicker.
pub(super) async fn change(
    ctx: &Ctx,
    arn: &str,
    apply: impl Fn(&mut CertificateAuthority, &mut Batch) -> Result<()>,
) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let Stored {
            key,
            version,
            mut value,
        } = authority(ctx, arn).await?.into_inner();
        let mut batch = Batch::new();
        apply(&mut value.ca, &mut batch)?;
        batch.put(AUTHORITIES, key, &value, Expect::Version(version));
        match ctx.app.store.commit(batch).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(contended(arn))
}

/// The refusal where others are always quicker.
pub(super) fn contended(arn: &str) -> Error {
    Error::new(
        ErrorKind::ConcurrentModification,
        format!(
            "A previous update to the certificate authority {arn} is still ongoing; try again."
        ),
    )
}

/// Model, `MaxResults`: "the action only returns a maximum of 100 items".
pub(super) fn page_size(max_results: Option<i32>) -> usize {
    cursor::size(max_results, MAX_PAGE).clamp(1, MAX_PAGE)
}

const MAX_PAGE: usize = 100;

/// Commits follow one another in a fraction of a millisecond; who loses this often in a row competes
/// with a loop.
pub(super) const ATTEMPTS: usize = 8;
