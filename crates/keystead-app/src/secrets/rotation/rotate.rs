//! RotateSecret and CancelRotateSecret.

use keystead_core::rotation::{Credential, Rotator};
use keystead_core::secrets::{CURRENT, RotationRules, Secret, Select, Turn};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::Batch;
use keystead_wire::secretsmanager as wire;
use parking_lot::Mutex;

use super::drive::Asked;
use super::names::rotator;
use crate::access::Act;
use crate::acm::internal as acm;
use crate::retry::retrying;
use crate::secrets::change::{ATTEMPTS, change, commit};
use crate::secrets::find::{self, Ask, Found};
use crate::secrets::internal::Work;
use crate::{Ctx, ids};

/// RotateSecret: turns rotation on, and begins one or checks that it could be done. A task does the rest.
pub async fn rotate_secret(
    ctx: &Ctx,
    input: wire::RotateSecretRequest,
) -> Result<wire::RotateSecretResponse> {
    if input.external_secret_rotation_metadata.is_some()
        || input.external_secret_rotation_role_arn.is_some()
    {
        return Err(Error::new(
            ErrorKind::InvalidRequest,
            "Managed external secrets can't be rotated here: their partners are not reached.",
        ));
    }
    let version = match &input.client_request_token {
        Some(token) => token.clone(),
        None => ids::uuid()?,
    };
    let rules = input.rotation_rules.as_ref().map(|rules| RotationRules {
        after_days: rules.automatically_after_days,
        duration: rules.duration.clone(),
        schedule: rules.schedule_expression.clone(),
    });
    let modifies = input.rotation_rules.is_some().to_string();
    let keys = [("secretsmanager:ModifyRotationRules", modifies.as_str())];
    let secret = retrying(ATTEMPTS, || async {
        let ask = Ask {
            keys: &keys,
            ..Ask::OWN
        };
        let found = find::secret(ctx, &input.secret_id, ask).await?;
        let found = found.into_inner();
        found.secret.check_primary()?;
        found.secret.check_untied()?;
        found.secret.check_live()?;
        let function = input
            .rotation_lambda_arn
            .clone()
            .filter(|arn| !arn.is_empty());
        let named = function
            .as_ref()
            .or(found.secret.rotation.function.as_ref());
        let rotator = named.map(|function| check_function(ctx, &found.secret, function));
        let rotator = rotator.transpose()?;
        let turn = Turn {
            version: version.clone(),
            function,
            rules: rules.clone(),
            administrator: administrator(ctx, &found, rotator).await?,
            now: input.rotate_immediately != Some(false),
        };
        let mut after = found.secret.clone();
        if after.rotate(turn, ctx.now, super::draw()?)? {
            commit(ctx, &found, &mut after, Batch::new(), None).await?;
        }
        Ok(after)
    })
    .await?;
    Ok(wire::RotateSecretResponse {
        arn: Some(secret.arn()),
        name: Some(secret.name),
        version_id: Some(version),
    })
}

/// CancelRotateSecret.
pub async fn cancel_rotate_secret(
    ctx: &Ctx,
    input: wire::CancelRotateSecretRequest,
) -> Result<wire::CancelRotateSecretResponse> {
    let under_way = Mutex::new(None);
    let after = change(ctx, &input.secret_id, Ask::OWN, |secret| {
        secret.check_untied()?;
        let version = secret.cancel_rotation(ctx.now)?;
        *under_way.lock() = version;
        Ok(())
    })
    .await?;
    Ok(wire::CancelRotateSecretResponse {
        arn: Some(after.arn()),
        name: Some(after.name),
        version_id: under_way.into_inner(),
    })
}

/// What AWS says of a function that it can't call.
fn check_function(ctx: &Ctx, secret: &Secret, function: &str) -> Result<Rotator> {
    let rotator = rotator(&ctx.app, &secret.account, &secret.region, function);
    rotator.ok_or_else(|| {
        Error::new(
            ErrorKind::AccessDenied,
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com.",
        )
    })
}

/// The administrator's secret that the secret names, which the caller must be able to read, or the certificate, which he must be
/// able to export: from here on the rotation uses it in his place. A value that does not say, or is no credential, is the rotation's to complain of.
async fn administrator(
    ctx: &Ctx,
    found: &Found,
    rotator: Option<Rotator>,
) -> Result<Option<String>> {
    let secret = &found.secret;
    let work = Work::on(&ctx.app, &secret.account, &secret.region, &secret.name).await?;
    let select = Select::label(CURRENT);
    let Some(work) = work.filter(|work| work.secret().select(select).is_ok()) else {
        return Ok(None);
    };
    let value = work.value(select).await?;
    let text = std::str::from_utf8(&value).unwrap_or_default();
    if rotator == Some(Rotator::Certificate) {
        let Some(asked) = Asked::parse(text) else {
            return Ok(None);
        };
        acm::may_leave(ctx, &asked.arn).await?;
        return Ok(Some(asked.arn));
    }
    let Some(arn) = Credential::parse(text, None)
        .ok()
        .and_then(|one| one.administrator.clone())
    else {
        return Ok(None);
    };
    let ask = Ask {
        act: Act::Also("secretsmanager:GetSecretValue"),
        ..Ask::OWN
    };
    find::secret(ctx, &arn, ask).await?;
    Ok(Some(arn))
}
