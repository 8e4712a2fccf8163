//! Which version of a resource is the one in use, as far as a caller may know.

use keystead_core::{AccountId, Arn, Error, ErrorKind, Region, Result, hex};
use keystead_crypto::digest;
use keystead_store::Collection;
use keystead_wire::keystead as wire;

use super::SERVICE;
use crate::access::Act;
use crate::pca::internal::own_key;
use crate::{Ctx, acm, pca, secrets, trust};

/// A resource that is waited for.
pub(super) struct Awaited {
    arn: String,
    kind: Kind,
    /// In its own region.
    region: Option<Region>,
}

#[derive(Clone, Copy)]
enum Kind {
    Certificate,
    Secret,
    Authority,
}

/// What there is of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) state: wire::ChangeState,
    pub(super) version: String,
    pub(super) reason: Option<String>,
}

impl Awaited {
    /// The resource of this ARN.
    ///
    /// Refuses with [`ErrorKind::InvalidArn`] what is none of these kinds.
    pub(super) fn of(ctx: &Ctx, arn: String) -> Result<Self> {
        let parsed = Arn::parse(&arn)?;
        let (service, resource) = (parsed.service.as_str(), parsed.resource.as_str());
        let kind = match (service, resource.split(['/', ':']).next()) {
            ("acm", Some("certificate")) => Kind::Certificate,
            ("secretsmanager", Some("secret")) => Kind::Secret,
            ("acm-pca", Some("certificate-authority")) => Kind::Authority,
            _ => {
                return Err(Error::new(
                    ErrorKind::InvalidArn,
                    format!(
                        "The ARN '{arn}' is not valid: expected that of a certificate (ACM), a secret, or a private CA."
                    ),
                ));
            }
        };
        let region = Region::parse(&parsed.region)?;
        let region = (region != ctx.region).then_some(region);
        Ok(Self { arn, kind, region })
    }

    /// Its ARN.
    pub(super) fn arn(&self) -> &str {
        &self.arn
    }

    /// The records whose change may bring another version.
    pub(super) fn records(&self) -> Vec<(Collection, String)> {
        let Ok(parsed) = Arn::parse(&self.arn) else {
            return Vec::new();
        };
        let (Ok(account), Ok(region)) = (
            AccountId::parse(&parsed.account),
            Region::parse(&parsed.region),
        ) else {
            return Vec::new();
        };
        match self.kind {
            Kind::Certificate => acm::internal::record_key(&account, &region, &self.arn)
                .map(|key| (acm::internal::CERTIFICATES, key))
                .into_iter()
                .collect(),
            Kind::Secret => secrets::internal::record_keys(&self.arn)
                .into_iter()
                .map(|key| (secrets::internal::SECRETS, key))
                .collect(),
            Kind::Authority => match own_key(&account, &region, &self.arn) {
                Ok(key) => vec![
                    (pca::internal::AUTHORITIES, key.clone()),
                    (trust::STANDINGS, key),
                ],
                Err(_) => Vec::new(),
            },
        }
    }

    /// Looks at it. What may not be known, or is not there, is a state of its own: it can be waited for.
    pub(super) async fn look(&self, ctx: &Ctx) -> Result<Seen> {
        let there = self.region.as_ref().map(|region| Ctx {
            region: region.clone(),
            ..ctx.clone()
        });
        let ctx = there.as_ref().unwrap_or(ctx);
        let version = match self.kind {
            Kind::Certificate => acm::internal::version(ctx, CERTIFICATE, &self.arn)
                .await
                .map(|version| version.to_string()),
            Kind::Secret => secrets::internal::current(ctx, SECRET, &self.arn).await,
            Kind::Authority => bundle(ctx, &self.arn).await,
        };
        let without = |state, error: Error| Seen {
            state,
            version: state.as_str().to_owned(),
            reason: Some(error.message),
        };
        match version {
            Ok(version) => Ok(Seen {
                state: wire::ChangeState::Current,
                version,
                reason: None,
            }),
            Err(error) => match error.kind {
                ErrorKind::AccessDenied => Ok(without(wire::ChangeState::Refused, error)),
                ErrorKind::NotFound | ErrorKind::RequestInProgress | ErrorKind::InvalidState => {
                    Ok(without(wire::ChangeState::Absent, error))
                }
                _ => Err(error),
            },
        }
    }
}

/// What tells one bundle of trusted certificates from another.
async fn bundle(ctx: &Ctx, arn: &str) -> Result<String> {
    pca::internal::must_exist(ctx, AUTHORITY, arn).await?;
    let bundle = trust::bundle(&ctx.app, ctx.account(), &ctx.region, arn).await?;
    let digest = digest::sha256(bundle.pem().as_bytes());
    Ok(hex(&digest))
}

/// Who may read what a certificate is may know when it is another.
pub(super) const CERTIFICATE: Act<'_> = Act::Via {
    action: "acm:DescribeCertificate",
    service: SERVICE,
};

const SECRET: Act<'_> = Act::Via {
    action: "secretsmanager:DescribeSecret",
    service: SERVICE,
};

const AUTHORITY: Act<'_> = Act::Via {
    action: "acm-pca:GetCertificateAuthorityCertificate",
    service: SERVICE,
};
