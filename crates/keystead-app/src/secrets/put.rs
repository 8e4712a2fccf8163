//! PutSecretValue.

use keystead_core::secrets::Put;
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Expect};
use keystead_wire::secretsmanager as wire;

use super::change::{ATTEMPTS, commit};
use super::find::{self, Ask};
use super::record::{VALUES, value_of};
use super::seal::{self, Value};
use crate::retry::retrying;
use crate::{Ctx, ids};

/// PutSecretValue: the value of a new version, or of one that a rotation announced.
pub async fn put_secret_value(
    ctx: &Ctx,
    input: wire::PutSecretValueRequest,
) -> Result<wire::PutSecretValueResponse> {
    let value = Value::of(input.secret_string.as_ref(), input.secret_binary.as_ref())?;
    let value = value.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidRequest,
            "You must provide either SecretString or SecretBinary.",
        )
    })?;
    let id = match input.client_request_token {
        Some(token) => token,
        None => ids::uuid()?,
    };
    let labels = input.version_stages.as_deref();
    retrying(ATTEMPTS, || async {
        let found = find::secret(ctx, &input.secret_id, Ask::OWN).await?;
        let found = found.into_inner();
        found.secret.check_primary()?;
        found.secret.check_untied()?;
        found.secret.check_live()?;
        let mut after = found.secret.clone();
        if after.putting(&id) == Put::There {
            check_same(ctx, &found, &id, &value).await?;
        } else {
            let (record, key) = seal::seal(ctx, &after, &id, &value).await?;
            after.put(&id, key, labels, ctx.now)?;
            let mut batch = Batch::new();
            batch.put(VALUES, value_of(&after, &id), &record, Expect::Absent);
            let fresh = Some((id.as_str(), &value));
            commit(ctx, &found, &mut after, batch, fresh).await?;
        }
        let version = after.version(&id);
        Ok(wire::PutSecretValueResponse {
            arn: Some(found.arn.clone()),
            name: Some(after.name.clone()),
            version_id: Some(id.clone()),
            version_stages: version
                .map(|version| version.labels.clone())
                .filter(|labels| !labels.is_empty()),
        })
    })
    .await
}

/// A version that has a value keeps it: the same value is the same call again, another one a mistake.
pub(super) async fn check_same(
    ctx: &Ctx,
    found: &find::Found,
    id: &str,
    value: &Value,
) -> Result<()> {
    let stored = find::value(ctx, found, id).await?;
    let known = seal::open(ctx, &found.secret, id, &stored).await?;
    match value.is(&known) {
        true => Ok(()),
        false => Err(found.secret.token_in_use(id)),
    }
}
