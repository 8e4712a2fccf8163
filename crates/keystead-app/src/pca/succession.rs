//! What a roll-over of trust does with private CAs: whether one may take another's place, what they vouch
//! for each other with, the end of the old one, and what it leaves alive.

use jiff::Timestamp;
use keystead_core::pca::{
    Action, Command, Installed, Kind, Status, Template, UsageMode, Validity, ValidityUnit, purpose,
};
use keystead_core::{AccountId, Error, ErrorKind, Region, Result};
use keystead_crypto::{digest, x509};
use keystead_store::{Batch, Expect, Haste, StoreError, Stored};

use super::authorities::{ATTEMPTS, contended};
use super::complete::complete;
use super::internal::{ACM_TOKEN_LIFETIME, owned, resume};
use super::issue::{Order, intend, prepare};
use super::record::{AUTHORITIES, Authority, CERTIFICATES, Issued};
use super::revocation::places::place;
use super::text;
use crate::App;
use crate::token::{self, Known};

/// Where an authority is.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) account: &'a AccountId,
    pub(crate) region: &'a Region,
}

/// Refuses unless `new` is ready to issue all that `old` issued for Certificate Manager.
pub(crate) async fn check_succession(
    app: &App,
    at: Place<'_>,
    old: &str,
    new: &str,
    now: Timestamp,
) -> Result<()> {
    let going = owned(app, at.account, at.region, old).await?;
    going.value.ca.working_under()?;
    let coming = owned(app, at.account, at.region, new).await?;
    let ca = &coming.value.ca;
    let refuse = |why: &str| {
        Err(Error::new(
            ErrorKind::InvalidState,
            format!("The certificate authority {new} cannot take the place of {old}: {why}."),
        ))
    };
    if ca.status(now) != Status::Active {
        return refuse("it is not ACTIVE");
    }
    if ca.usage == UsageMode::ShortLived && going.value.ca.usage == UsageMode::GeneralPurpose {
        return refuse("it issues short-lived certificates only");
    }
    let lacks = |ca: &keystead_core::pca::CertificateAuthority| {
        [Action::IssueCertificate, Action::GetCertificate]
            .iter()
            .any(|action| !ca.acm_may(*action, at.account))
    };
    if lacks(ca) && !lacks(&going.value.ca) {
        return refuse(
            "it has not granted ACM the permissions IssueCertificate and GetCertificate; grant them to acm.amazonaws.com with CreatePermission",
        );
    }
    Ok(())
}

/// A certificate for the key and the name of the root `subject`, signed by the root `issuer`: who trusts
/// the issuer alone can follow it to the subject (RFC 4210 section 4.4). The same for the same `token`.
///
/// Answers `None` where there can be none: one of them is no root, or the issuer may not or can't sign.
pub(crate) async fn cross_sign(
    app: &App,
    at: Place<'_>,
    issuer: &str,
    subject: &str,
    roll_over: &str,
    now: Timestamp,
) -> Result<Option<String>> {
    let certified = owned(app, at.account, at.region, subject).await?.value;
    let theirs = certified.ca.working_under()?.clone();
    let parts = [
        b"trust".as_slice(),
        roll_over.as_bytes(),
        issuer.as_bytes(),
        subject.as_bytes(),
    ];
    let prefix = format!("{}/{}/", at.account, at.region);
    for _ in 0..ATTEMPTS {
        let found = owned(app, at.account, at.region, issuer).await?;
        let token =
            match token::look_up(&app.store, &prefix, &parts, ACM_TOKEN_LIFETIME, now).await? {
                Known::Done(arn, _) => return Ok(Some(resume(app, &found, &arn).await?.pem)),
                Known::New(token) => token,
            };
        let ca = &found.value.ca;
        let roots = ca.kind == Kind::Root && certified.ca.kind == Kind::Root;
        if !roots || ca.check(Command::Issue, now).is_err() {
            return Ok(None);
        }
        let own = ca.working_under()?;
        let Some(template) = cross_template(own)? else {
            return Ok(None);
        };
        let order = Order {
            template,
            subject_der: &theirs.subject_der,
            extensions: &[],
            spki_der: &certified.spki,
            api: None,
            signature: ca.signing_algorithm,
            validity: Validity {
                value: theirs.not_after.min(own.not_after),
                unit: ValidityUnit::Absolute,
            },
            not_before: None,
            requested_by: None,
            published: place(app, &found).await?,
        };
        let prepared = match prepare(&found.value, order, now) {
            Ok(prepared) => prepared,
            Err(error) if is_ours(error.kind) => return Err(error),
            Err(error) => {
                tracing::warn!(issuer, subject, %error, "no cross-certificate can be made");
                return Ok(None);
            }
        };
        match intend(&app.store, &found, prepared, Some(&token), now).await {
            Ok(intent) => {
                let issued = complete(app, &found.value, intent, Haste::Now).await?;
                return Ok(Some(text::certificate(&issued.certificate)));
            }
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(contended(issuer))
}

/// As many authorities below the new root as its issuer lets it have, three at most; `None` where that lets it be none.
fn cross_template(issuer: &Installed) -> Result<Option<Template>> {
    let depth = match issuer.path_len {
        None => 3,
        Some(0) => return Ok(None),
        Some(length) => length.saturating_sub(1).min(3),
    };
    let name = format!("arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen{depth}/V1");
    Template::parse(&name).map(Some)
}

fn is_ours(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::Internal)
}

/// Adds to `batch` that the authority issues no more, if it still does. One that is gone has ended already.
pub(crate) async fn retire(
    app: &App,
    at: Place<'_>,
    batch: &mut Batch,
    arn: &str,
    now: Timestamp,
) -> Result<()> {
    let Stored {
        key,
        version,
        mut value,
    } = match owned(app, at.account, at.region, arn).await {
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if value.ca.status(now) == Status::Active {
        value.ca.set_active(false, now)?;
        batch.put(AUTHORITIES, key, &value, Expect::Version(version));
    }
    Ok(())
}

/// A certificate that somebody may still present.
pub(crate) struct Living {
    /// Its record's key.
    pub(crate) key: String,
    /// SHA-256 of its DER.
    pub(crate) fingerprint: [u8; 32],
    /// Its last second (Unix time).
    pub(crate) not_after: i64,
}

/// Those of the next certificates of the authority that are neither expired, nor revoked, nor its own, nor those
/// of who signs its OCSP answers; and where the next page begins.
pub(crate) async fn living(
    app: &App,
    arn: &str,
    after: Option<&str>,
    limit: usize,
    now: Timestamp,
) -> Result<(Vec<Living>, Option<String>)> {
    let parsed = keystead_core::Arn::parse(arn)?;
    let id = parsed.resource.rsplit('/').next().unwrap_or_default();
    let prefix = format!("{}/{}/{id}/", parsed.account, parsed.region);
    let page = app
        .store
        .scan::<Issued>(CERTIFICATES, &prefix, after, limit)
        .await?;
    let next = page.last().filter(|_| page.len() == limit);
    let next = next.map(|last| last.key.clone());
    let living = page
        .into_iter()
        .filter(|found| lives(&found.value, now))
        .map(|found| Living {
            fingerprint: digest::sha256(&found.value.certificate),
            not_after: found.value.not_after,
            key: found.key,
        });
    Ok((living.collect(), next))
}

/// Whether the certificate with this record key is still neither expired, nor revoked, nor gone.
pub(crate) async fn is_alive(app: &App, key: &str, now: Timestamp) -> Result<bool> {
    let found = app.store.get::<Issued>(CERTIFICATES, key).await?;
    Ok(found.is_some_and(|found| lives(&found.value, now)))
}

fn lives(issued: &Issued, now: Timestamp) -> bool {
    issued.issuer.is_some()
        && issued.revocation.is_none()
        && issued.not_after >= now.as_second()
        && !answers_for_it(issued)
}

/// Whether it is the certificate of who signs the authority's OCSP answers and nothing else. It tells of the
/// authority's certificates, and ends with the last of them.
fn answers_for_it(issued: &Issued) -> bool {
    x509::Certificate::from_der(&issued.certificate).is_ok_and(|certificate| {
        certificate
            .extended_key_usage()
            .is_some_and(|purposes| matches!(purposes, [one] if one.0 == purpose::OCSP_SIGNING))
    })
}

/// SHA-256 of the certificate that the authority works under; `None` where it is gone or has none.
pub(crate) async fn own_fingerprint(
    app: &App,
    at: Place<'_>,
    arn: &str,
) -> Result<Option<Vec<u8>>> {
    let found = match owned(app, at.account, at.region, arn).await {
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    let Authority { ca, .. } = found.value;
    Ok(ca.installed.map(|installed| installed.fingerprint))
}
