//! What other parts of Keystead use of private CAs. Certificate Manager issues under the permissions
//! that an authority granted it, through the same steps as every other issuance; delivery shows what
//! to trust.

use jiff::{SignedDuration, Timestamp};
use keystead_core::pca::{
    ACM_PRINCIPAL, Action, Body, Passthrough, Serial, Status, Template, Validity, ValidityUnit,
};
use keystead_core::x509::{Extension, ExtensionValue, GeneralName, Name, NameAttribute, Oid};
use keystead_core::{AccountId, Arn, Error, ErrorKind, Region, Result, hex};
use keystead_crypto::x509;
use keystead_store::{Collection, Haste, OpenError, Peek, StoreError, Stored};

use super::authorities::{ATTEMPTS, ByTemplate, authority_as, contended};
use super::complete::{complete, issued};
use super::issue::{Order, intend, prepare};
use super::record::{self, Authority, Issued, authority_key, load, own_certificate};
use super::revocation::places::place;
use super::text;
use crate::access::Act;
use crate::token::{self, Known};
use crate::{App, Ctx};

/// A certificate that Certificate Manager wants.
#[derive(Clone, Debug)]
pub struct AcmRequest {
    /// Whose certificate it is.
    pub subject: Name,
    /// Its alternative names.
    pub sans: Vec<GeneralName>,
    /// DER of the key to certify.
    pub spki_der: Vec<u8>,
    /// For how many days from now.
    pub validity_days: i64,
    /// Whether the authority must have granted Certificate Manager to issue: it renews on its own
    /// account, while a first request is made with the rights of whoever calls (AWS's Terraform
    /// provider, acceptance test `privateCertificate_noRenewalPermission`).
    pub needs_grant: bool,
    /// The same token with the same request has the same certificate, for [`ACM_TOKEN_LIFETIME`]: who
    /// crashed before the answer asks again with it.
    pub idempotency_token: String,
}

/// A certificate that a private CA issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// The certificate, PEM, without a line feed at the end.
    pub pem: String,
    /// The issuing authority's certificate and those above it, the root last, PEM, without a line
    /// feed at the end.
    pub chain_pem: String,
    /// The serial number: octets in hexadecimal, between colons.
    pub serial: String,
    /// First second of its validity (Unix time).
    pub not_before: i64,
    /// Last second of its validity (Unix time).
    pub not_after: i64,
}

/// Issues a certificate for `account` from the private CA `ca_arn`, by the template
/// EndEntityCertificate/V1.
///
/// Kinds of refusal, with ACM's failure reasons (ACM user guide, "Private certificate exception
/// handling"): [`ErrorKind::AccessDenied`] (PCA_ACCESS_DENIED: a grant is needed, and the authority did
/// not grant IssueCertificate and GetCertificate to acm.amazonaws.com), [`ErrorKind::InvalidArn`]
/// (PCA_INVALID_ARN), [`ErrorKind::NotFound`] (PCA_RESOURCE_NOT_FOUND), [`ErrorKind::InvalidState`]
/// (PCA_INVALID_STATE), [`ErrorKind::Validation`] (PCA_INVALID_DURATION: it would outlive the
/// authority), [`ErrorKind::InvalidArgs`] and [`ErrorKind::MalformedCsr`] (PCA_INVALID_ARGS: a name
/// that no certificate may hold), [`ErrorKind::Unavailable`] and
/// [`ErrorKind::ConcurrentModification`] (worth another try).
pub async fn issue_for_acm(
    app: &App,
    account: &AccountId,
    region: &Region,
    ca_arn: &str,
    request: &AcmRequest,
) -> Result<IssuedCertificate> {
    let asked = format!("{request:?}");
    let wanted = Wanted {
        template: Template::DEFAULT,
        subject: &request.subject,
        sans: &request.sans,
        spki_der: &request.spki_der,
        validity: Validity {
            value: request.validity_days,
            unit: ValidityUnit::Days,
        },
        requested_by: ACM_PRINCIPAL,
        needs_grant: request.needs_grant,
        once: &[
            b"acm".as_slice(),
            ca_arn.as_bytes(),
            request.idempotency_token.as_bytes(),
            asked.as_bytes(),
        ],
    };
    issue_once(app, account, region, ca_arn, wanted).await
}

/// A certificate that an agent wants.
pub(crate) struct AgentRequest<'a> {
    /// What the agent is called.
    pub(crate) name: &'a str,
    /// What tells it from all others, as a URI.
    pub(crate) identity: &'a str,
    /// DER of the key to certify.
    pub(crate) spki_der: &'a [u8],
    /// The last second of its validity.
    pub(crate) not_after: Timestamp,
    /// The same has the same certificate, for [`ACM_TOKEN_LIFETIME`].
    pub(crate) once: &'a [u8],
}

/// Issues a certificate by which an agent proves who it is, from the private CA `ca_arn`.
///
/// Refuses as [`issue_for_acm`] does.
pub(crate) async fn issue_for_agent(
    app: &App,
    account: &AccountId,
    region: &Region,
    ca_arn: &str,
    request: &AgentRequest<'_>,
) -> Result<IssuedCertificate> {
    let subject = Name {
        attributes: vec![NameAttribute {
            oid: Oid::new("2.5.4.3"),
            value: request.name.to_owned(),
        }],
    };
    let wanted = Wanted {
        template: CLIENT,
        subject: &subject,
        sans: &[GeneralName::Uri(request.identity.to_owned())],
        spki_der: request.spki_der,
        validity: Validity {
            value: request.not_after.as_second(),
            unit: ValidityUnit::Absolute,
        },
        requested_by: AGENTS_PRINCIPAL,
        needs_grant: false,
        once: &[b"agent".as_slice(), ca_arn.as_bytes(), request.once],
    };
    issue_once(app, account, region, ca_arn, wanted).await
}

/// What a service wants of an authority.
struct Wanted<'a> {
    template: Template,
    subject: &'a Name,
    sans: &'a [GeneralName],
    spki_der: &'a [u8],
    validity: Validity,
    requested_by: &'static str,
    needs_grant: bool,
    /// What is the same for the same certificate.
    once: &'a [&'a [u8]],
}

async fn issue_once(
    app: &App,
    account: &AccountId,
    region: &Region,
    ca_arn: &str,
    wanted: Wanted<'_>,
) -> Result<IssuedCertificate> {
    let now = app.env.now();
    let subject_der = x509::encode_name(wanted.subject).map_err(|fault| {
        Error::new(
            ErrorKind::InvalidArgs,
            format!("The subject is not valid: {fault}."),
        )
    })?;
    let mut extensions = Vec::new();
    if !wanted.sans.is_empty() {
        extensions.push(Extension {
            oid: Oid::new("2.5.29.17"),
            critical: false,
            value: ExtensionValue::SubjectAltName(wanted.sans.to_vec()),
        });
    }
    for _ in 0..ATTEMPTS {
        let found = match wanted.needs_grant {
            true => granted(app, account, region, ca_arn).await?,
            false => owned(app, account, region, ca_arn).await?,
        };
        let prefix = format!("{account}/{region}/");
        let known = token::look_up(&app.store, &prefix, wanted.once, ACM_TOKEN_LIFETIME, now);
        let token = match known.await? {
            Known::Done(arn, _) => return resume(app, &found, &arn).await,
            Known::New(token) => token,
        };
        let order = Order {
            template: wanted.template,
            subject_der: &subject_der,
            extensions: &extensions,
            spki_der: wanted.spki_der,
            api: None,
            signature: found.value.ca.signing_algorithm,
            validity: wanted.validity,
            not_before: None,
            published: place(app, &found).await?,
            requested_by: Some(wanted.requested_by),
        };
        let prepared = prepare(&found.value, order, now)?;
        match intend(&app.store, &found, prepared, Some(&token), now).await {
            Ok(intent) => {
                let serial = intent.serial;
                let issued = complete(app, &found.value, intent, Haste::Now).await?;
                return shown(app, &found, &serial, &issued).await;
            }
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(contended(ca_arn))
}

/// Private CAs, for whoever follows the change feed: a change of the record with the key
/// `account/region/id` may mean that [`trust`] has a new version.
pub const AUTHORITIES: Collection = record::AUTHORITIES;

/// What peers must trust to trust what a private CA issues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Grows with every change of the authority, also one that leaves the certificates as they are.
    pub version: u64,
    /// The authority's certificate and those above it, the root last, PEM, without a line feed at the
    /// end.
    pub pem: String,
    /// The same, each apart.
    pub path: Vec<String>,
}

/// What peers must trust to trust what the private CA `ca_arn` issues.
///
/// Refuses with [`ErrorKind::InvalidArn`], [`ErrorKind::NotFound`], and [`ErrorKind::InvalidState`]
/// where there is no certificate yet.
pub async fn trust(app: &App, account: &AccountId, region: &Region, ca_arn: &str) -> Result<Trust> {
    let found = owned(app, account, region, ca_arn).await?;
    let own = own_certificate(
        &app.store,
        &found.key,
        &found.value.ca.working_under()?.fingerprint,
    )
    .await?;
    Ok(Trust {
        version: found.version.0,
        pem: text::path(&own),
        path: text::each(&own),
    })
}

/// Whether the private CA `ca_arn` has revoked the certificate with this serial number (big-endian, without leading
/// zeros). One that it did not issue it did not revoke.
pub(crate) async fn has_revoked(
    app: &App,
    account: &AccountId,
    region: &Region,
    ca_arn: &str,
    serial: &[u8],
) -> Result<bool> {
    let found = owned(app, account, region, ca_arn).await?;
    let Some(serial) = Serial::parse(&hex(serial)) else {
        return Ok(false);
    };
    let key = format!("{}/{}", found.key, serial.hex());
    let issued = issued(app, &found.value, &key).await?;
    Ok(issued.is_some_and(|issued| issued.value.revocation.is_some()))
}

pub(crate) use super::revocation::revoke::{revoke, take_back};

/// Refuses unless the private CA `ca_arn` lets Certificate Manager issue on its own account.
pub(crate) async fn must_grant(
    app: &App,
    account: &AccountId,
    region: &Region,
    ca_arn: &str,
) -> Result<()> {
    granted(app, account, region, ca_arn).await.map(|_| ())
}

/// The state of a private CA of the account and region of this call; `None` where there is none of this ARN.
pub(crate) async fn status(ctx: &Ctx, ca_arn: &str) -> Result<Option<Status>> {
    match owned(&ctx.app, ctx.account(), &ctx.region, ca_arn).await {
        Ok(found) => Ok(Some(found.value.ca.status(ctx.now))),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Refuses unless `ca_arn` names a private CA of the caller (one that another account shares is none to
/// Certificate Manager), whatever its state, by
/// [`ErrorKind::InvalidArn`] or [`ErrorKind::NotFound`], and the caller may do this with it.
pub(crate) async fn must_exist(ctx: &Ctx, act: Act<'_>, ca_arn: &str) -> Result<()> {
    ctx.own(ca_arn, "acm-pca", "certificate-authority")?;
    let template = Template::DEFAULT.arn();
    let template = ByTemplate(&template);
    let found = authority_as(ctx, act, ca_arn, Some(template)).await;
    found.map(|_| ())
}

/// The record key and the DER of the certificate of this ARN, of an authority of the caller's that the call may
/// touch.
pub(crate) async fn certificate(ctx: &Ctx, arn: &str) -> Result<(String, Vec<u8>)> {
    const READ: Act<'_> = Act::Via {
        action: "acm-pca:GetCertificate",
        service: "keystead",
    };
    let parts = arn.split_once("/certificate/");
    let serial = parts.and_then(|(_, serial)| Serial::parse(serial));
    let (Some((authority, _)), Some(serial)) = (parts, serial) else {
        return Err(Error::new(
            ErrorKind::InvalidArn,
            format!("The ARN '{arn}' is not that of a certificate of a private CA."),
        ));
    };
    let found = authority_as(ctx, READ, authority, None).await?.into_inner();
    let key = format!("{}/{}", found.key, serial.hex());
    let issued = issued(&ctx.app, &found.value, &key).await?;
    let issued = issued.ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("Could not find certificate {arn}."),
        )
    })?;
    Ok((key, issued.value.certificate))
}

/// A certificate as it is stored.
pub(crate) struct Peeked {
    /// Its record's key.
    pub(crate) key: String,
    /// Its DER.
    pub(crate) der: Vec<u8>,
    /// When it was asked for.
    pub(crate) issued_at: Timestamp,
}

/// The next certificates of all authorities, read beside a running server.
pub(crate) fn peek_certificates(
    peek: &Peek,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Peeked>, OpenError> {
    let page = peek.scan::<Issued>(record::CERTIFICATES, after, limit)?;
    let peeked = page.into_iter().map(|found| Peeked {
        key: found.key,
        der: found.value.certificate,
        issued_at: found.value.issued_at,
    });
    Ok(peeked.collect())
}

/// The certificate of a token that was used before, completed if it was left halfway.
pub(super) async fn resume(
    app: &App,
    found: &Stored<Authority>,
    arn: &str,
) -> Result<IssuedCertificate> {
    let serial = arn.rsplit('/').next().and_then(Serial::parse);
    let serial = serial
        .ok_or_else(|| Error::new(ErrorKind::Internal, format!("{arn} names no certificate")))?;
    let key = format!("{}/{}", found.key, serial.hex());
    let record = issued(app, &found.value, &key).await?.ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("Could not find certificate {key}."),
        )
    })?;
    shown(app, found, &serial, &record.value).await
}

async fn shown(
    app: &App,
    found: &Stored<Authority>,
    serial: &Serial,
    record: &Issued,
) -> Result<IssuedCertificate> {
    let fingerprint = record.issuer.as_ref().ok_or_else(|| {
        Error::new(
            ErrorKind::Internal,
            "an authority's own certificate was asked for as one that it issued",
        )
    })?;
    let own = own_certificate(&app.store, &found.key, fingerprint).await?;
    Ok(IssuedCertificate {
        pem: text::certificate(&record.certificate),
        chain_pem: text::path(&own),
        serial: serial.colons(),
        not_before: record.not_before,
        not_after: record.not_after,
    })
}

/// The authority, if it lets Certificate Manager issue and fetch for `account`.
async fn granted(
    app: &App,
    account: &AccountId,
    region: &Region,
    arn: &str,
) -> Result<Stored<Authority>> {
    let found = owned(app, account, region, arn).await?;
    let needed = [Action::IssueCertificate, Action::GetCertificate];
    if needed
        .iter()
        .all(|action| found.value.ca.acm_may(*action, account))
    {
        return Ok(found);
    }
    Err(Error::new(
        ErrorKind::AccessDenied,
        format!(
            "The certificate authority {arn} has not granted ACM the permissions IssueCertificate and GetCertificate; \
             grant them to acm.amazonaws.com with CreatePermission."
        ),
    ))
}

pub(in crate::pca) async fn owned(
    app: &App,
    account: &AccountId,
    region: &Region,
    arn: &str,
) -> Result<Stored<Authority>> {
    let key = own_key(account, region, arn)?;
    load(&app.store, &key, arn, app.env.now()).await
}

/// The record key of the private CA of this ARN, in this account and region.
pub(crate) fn own_key(account: &AccountId, region: &Region, arn: &str) -> Result<String> {
    let parsed = Arn::parse(arn)?;
    let id = parsed
        .resource
        .strip_prefix("certificate-authority/")
        .filter(|id| parsed.service == "acm-pca" && !id.contains('/'))
        .ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArn,
                format!("The ARN '{arn}' is not that of a private CA."),
            )
        })?;
    if parsed.account != account.as_str() || parsed.region != region.as_str() {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("Could not find Certificate Authority {arn}."),
        ));
    }
    Ok(authority_key(account, region, id))
}

/// What an agent's certificate is for: to log in.
const CLIENT: Template = Template {
    body: Body::ClientAuth,
    passthrough: Passthrough {
        api: false,
        csr: false,
    },
};

/// Who asks for agents' certificates.
const AGENTS_PRINCIPAL: &str = "keystead.amazonaws.com";

/// Longer than a server may be down before what it left halfway is no longer wanted.
pub const ACM_TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);
