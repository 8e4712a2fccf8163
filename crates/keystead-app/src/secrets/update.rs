//! UpdateSecret: what is told of a secret, its KMS key, and its value.

use std::sync::Arc;

use keystead_core::secrets::{CURRENT, PENDING, PREVIOUS, Put, Secret};
use keystead_core::{ErrorKind, Result};
use keystead_store::{Batch, Expect};
use keystead_wire::secretsmanager as wire;

use super::change::{ATTEMPTS, commit};
use super::create;
use super::find::{self, Ask, Found};
use super::put::check_same;
use super::record::{VALUES, value_of};
use super::seal::{self, Value};
use crate::retry::retrying;
use crate::{Ctx, ids};

/// UpdateSecret.
pub async fn update_secret(
    ctx: &Ctx,
    input: wire::UpdateSecretRequest,
) -> Result<wire::UpdateSecretResponse> {
    let value = Value::of(input.secret_string.as_ref(), input.secret_binary.as_ref())?;
    let id = match &input.client_request_token {
        Some(token) => token.clone(),
        None => ids::uuid()?,
    };
    let key = seal::named_key(ctx, input.kms_key_id.as_deref()).await?;
    let keys: Vec<_> = key
        .iter()
        .map(|key| ("secretsmanager:KmsKeyArn", key.as_str()))
        .collect();
    retrying(ATTEMPTS, || async {
        let ask = Ask {
            keys: &keys,
            ..Ask::OWN
        };
        let found = find::secret(ctx, &input.secret_id, ask).await?;
        let found = found.into_inner();
        found.secret.check_primary()?;
        found.secret.check_untied()?;
        found.secret.check_live()?;
        let mut after = found.secret.clone();
        let mut batch = Batch::new();
        describe(&input, &mut after);
        if input.kms_key_id.is_some() {
            after.kms_key = create::key(input.kms_key_id.as_deref());
        }
        if after.kms_key != found.secret.kms_key {
            seal::check_key(ctx, &after).await?;
            seal_anew(ctx, &found, &mut after, &mut batch).await?;
        }
        match &value {
            Some(value) if after.putting(&id) == Put::There => {
                check_same(ctx, &found, &id, value).await?;
            }
            Some(value) => {
                let (record, key) = seal::seal(ctx, &after, &id, value).await?;
                after.put(&id, key, None, ctx.now)?;
                batch.put(VALUES, value_of(&after, &id), &record, Expect::Absent);
            }
            None => {}
        }
        after.changed_at = ctx.now;
        let fresh = value.as_ref().map(|value| (id.as_str(), value));
        commit(ctx, &found, &mut after, batch, fresh).await?;
        Ok(wire::UpdateSecretResponse {
            arn: Some(found.arn.clone()),
            name: Some(after.name),
            version_id: value.is_some().then(|| id.clone()),
        })
    })
    .await
}

fn describe(input: &wire::UpdateSecretRequest, after: &mut Secret) {
    let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if input.description.is_some() {
        after.description = said(&input.description);
    }
    if input.type_.is_some() {
        after.kind = said(&input.type_);
    }
}

/// Seals the versions that rotation works with under the secret's new key. "If you don't have kms:Encrypt permission to the
/// new key, Secrets Manager does not re-encrypt existing secret versions with the new key": nor what the caller cannot
/// decrypt.
async fn seal_anew(
    ctx: &Ctx,
    found: &Arc<Found>,
    after: &mut Secret,
    batch: &mut Batch,
) -> Result<()> {
    let worked_with = |labels: &[String]| {
        let known = [CURRENT, PENDING, PREVIOUS];
        labels.iter().any(|label| known.contains(&label.as_str()))
    };
    let target = after.clone();
    for version in &mut after.versions {
        if !version.has_value || !worked_with(&version.labels) {
            continue;
        }
        let stored = find::value(ctx, found, &version.id).await?;
        let sealed = async {
            let value = seal::open(ctx, &found.secret, &version.id, &stored).await?;
            seal::seal(ctx, &target, &version.id, &value).await
        };
        match sealed.await {
            Ok((record, key)) => {
                let at = value_of(&target, &version.id);
                batch.put(VALUES, at, &record, Expect::Any);
                version.kms_key = key;
            }
            Err(error) if error.kind == ErrorKind::AccessDenied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
