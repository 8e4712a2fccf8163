//! RequestCertificate.

use keystead_core::acm::{
    Certificate, KeyAlgorithm, Options, Origin, Request, ValidationMethod, names, schedule, tags,
    validation,
};
use keystead_core::x509::KeySpec;
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Expect};
use keystead_wire::acm as wire;

use super::record::{Loaded, MATERIAL, material_key};
use super::{CONFLICT_TRIES, expiry, issue};
use crate::access::Act;
use crate::token::{self, Known, Token};
use crate::{Ctx, ids, pca};

/// `acm:RequestCertificate`.
///
/// The request is stored first, with the key of a private certificate; then, for a private one, the
/// CA is asked at once, so that the very next DescribeCertificate shows what came of it. Whatever
/// prevents that, the due-queue goes on from what is stored.
pub(crate) async fn request_certificate(
    ctx: &Ctx,
    input: wire::RequestCertificateRequest,
) -> Result<wire::RequestCertificateResponse> {
    ctx.allow_own(&ctx.arn("acm", "certificate/*").to_string())?;
    let wanted = Wanted::check(ctx, &input).await?;
    for _ in 0..CONFLICT_TRIES {
        let token = match input.idempotency_token.as_deref() {
            Some(token) => match look_up(ctx, &wanted, token).await? {
                Known::Done(arn, _) => return Ok(answer(arn)),
                Known::New(token) => Some(token),
            },
            None => None,
        };
        match store_request(ctx, &wanted, token.as_ref()).await {
            // Somebody else used the token in between; look what he got.
            Err(error) if error.kind == ErrorKind::ConcurrentModification => {}
            stored => {
                let (key, arn) = stored?;
                if wanted.spec.is_some() {
                    issue::at_once(&ctx.app, &key).await;
                }
                return Ok(answer(arn));
            }
        }
    }
    Err(Error::new(
        ErrorKind::Unavailable,
        "Too many requests used this idempotency token at the same time; try again.",
    ))
}

/// Certificate Manager issues in the caller's name the first time.
const ISSUE: Act<'_> = Act::Via {
    action: "acm-pca:IssueCertificate",
    service: "acm.amazonaws.com",
};

/// What a request asks for, checked.
#[derive(Debug)]
struct Wanted {
    names: Vec<String>,
    key_algorithm: KeyAlgorithm,
    /// The key to make; `None` for public certificates, whose key is made once they are validated.
    spec: Option<KeySpec>,
    options: Options,
    origin: Origin,
    tags: tags::CertificateTags,
}

impl Wanted {
    async fn check(ctx: &Ctx, input: &wire::RequestCertificateRequest) -> Result<Self> {
        let alternatives = input
            .subject_alternative_names
            .as_deref()
            .unwrap_or_default();
        let names = names::requested(&input.domain_name, alternatives)?;
        let key_algorithm = match input.key_algorithm {
            Some(asked) => KeyAlgorithm::from_model_name(asked.as_str()),
            None => Some(KeyAlgorithm::Rsa2048),
        };
        let requestable = key_algorithm.and_then(|kind| Some((kind, kind.requestable()?)));
        let Some((key_algorithm, spec)) = requestable else {
            return Err(invalid(
                "The key algorithm can't be requested: expected RSA_2048, EC_prime256v1 or EC_secp384r1; others can be imported.",
            ));
        };
        let mut own_tags = tags::CertificateTags::new();
        tags::add(&mut own_tags, super::tags::pairs(input.tags.clone()))?;
        if input.managed_by.is_some() {
            return Err(invalid(
                "ManagedBy names a service of AWS that requests certificates for itself; none does here. Leave it out.",
            ));
        }
        let origin = match &input.certificate_authority_arn {
            Some(arn) => private_origin(ctx, arn).await?,
            None => public_origin(&names, input)?,
        };
        Ok(Self {
            spec: matches!(origin, Origin::Private { .. }).then_some(spec),
            names,
            key_algorithm,
            options: options(input.options.as_ref()),
            origin,
            tags: own_tags,
        })
    }
}

async fn private_origin(ctx: &Ctx, arn: &str) -> Result<Origin> {
    match pca::internal::must_exist(ctx, ISSUE, arn).await {
        // API reference, InvalidArnException: the name "does not refer to an existing resource".
        Err(error) if error.kind == ErrorKind::NotFound => Err(Error::new(
            ErrorKind::InvalidArn,
            format!(
                "Could not find the certificate authority {arn} in account {} and this region.",
                ctx.account()
            ),
        )),
        // Whether it can issue shows in what becomes of the request (FailureReason).
        Err(error) if error.kind != ErrorKind::InvalidState => Err(error),
        _ => Ok(Origin::Private {
            authority: arn.to_owned(),
        }),
    }
}

fn public_origin(names: &[String], input: &wire::RequestCertificateRequest) -> Result<Origin> {
    let method = match input.validation_method {
        Some(wire::ValidationMethod::Dns) => ValidationMethod::Dns,
        // Recorded answers: without a method, mail it is.
        Some(wire::ValidationMethod::Email) | None => ValidationMethod::Email,
        Some(wire::ValidationMethod::Http) => {
            return Err(invalid(
                "HTTP validation is for certificates that CloudFront manages: use DNS or EMAIL.",
            ));
        }
    };
    let options = input.domain_validation_options.iter().flatten();
    let pairs =
        options.map(|option| (option.domain_name.clone(), option.validation_domain.clone()));
    Ok(Origin::Public {
        method,
        validation_domains: validation::domains(names, pairs)?,
    })
}

fn options(input: Option<&wire::CertificateOptions>) -> Options {
    use wire::CertificateTransparencyLoggingPreference as Logging;
    let logging = input.and_then(|options| options.certificate_transparency_logging_preference);
    Options {
        transparency_logging: logging != Some(Logging::Disabled),
        export: input.and_then(|options| options.export) == Some(wire::CertificateExport::Enabled),
    }
}

/// What is known of this request with this token. The same token with another request is another
/// request; and what was deleted meanwhile is requested anew.
async fn look_up(ctx: &Ctx, wanted: &Wanted, token: &str) -> Result<Known> {
    let asked = format!("{wanted:?}");
    let parts = [
        b"RequestCertificate".as_slice(),
        token.as_bytes(),
        asked.as_bytes(),
    ];
    let (store, lifetime) = (&ctx.app.store, schedule::TOKEN_WINDOW);
    match token::look_up(store, &ctx.prefix(), &parts, lifetime, ctx.now).await? {
        Known::Done(arn, token) => match super::find(ctx, &arn).await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Known::New(token)),
            found => found.map(|_| Known::Done(arn, token)),
        },
        new => Ok(new),
    }
}

/// Stores the request, its key and what the token is answered with, in one commit; answers the
/// certificate's record key and ARN.
async fn store_request(
    ctx: &Ctx,
    wanted: &Wanted,
    token: Option<&Token>,
) -> Result<(String, String)> {
    let id = ids::uuid()?;
    let (key, arn) = (
        ctx.key(&id),
        ctx.arn("acm", format!("certificate/{id}")).to_string(),
    );
    let request = Request {
        arn: arn.clone(),
        names: wanted.names.clone(),
        key_algorithm: wanted.key_algorithm,
        options: wanted.options,
        tags: wanted.tags.clone(),
    };
    let certificate = Certificate::requested(request, wanted.origin.clone(), ctx.now);
    let mut batch = Batch::new();
    expiry::watch(ctx, &mut batch).await?;
    let mut wake = certificate.wake();
    if let Some(spec) = wanted.spec {
        let material = issue::prepare(&ctx.app, spec).await?;
        batch.put(
            MATERIAL,
            material_key(&key, certificate.last_version),
            &material,
            Expect::Absent,
        );
        wake = Some(issue::after_this_call(ctx.now));
    }
    Loaded::new(key.clone(), certificate).save_and_wake(&mut batch, wake);
    if let Some(token) = token {
        token.settle(&mut batch, &arn, ctx.now);
    }
    ctx.app.store.commit(batch).await?;
    Ok((key, arn))
}

fn answer(arn: String) -> wire::RequestCertificateResponse {
    wire::RequestCertificateResponse {
        certificate_arn: Some(arn),
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidParameter, message)
}
