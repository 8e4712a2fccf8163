//! BatchGetSecretValue: the values of up to twenty secrets, by name or by filter.

use keystead_core::secrets::Select;
use keystead_core::{Error, ErrorKind, Result};
use keystead_wire::secretsmanager as wire;
use keystead_wire::secretsmanager::{BatchGetSecretValue, GetSecretValue};
use keystead_wire::shape::Operation as _;
use serde_json::json;

use super::SERVICE;
use super::change::ATTEMPTS;
use super::find::{self, Ask};
use super::list::{self, Listing};
use super::value;
use crate::access::Act;
use crate::retry::retrying;
use crate::{Ctx, audit, cursor, fault};

/// BatchGetSecretValue.
pub async fn batch_get_secret_value(
    ctx: &Ctx,
    input: wire::BatchGetSecretValueRequest,
) -> Result<wire::BatchGetSecretValueResponse> {
    ctx.allow_own("*")?;
    let refused = |message| Err(Error::new(ErrorKind::InvalidParameter, message));
    let (names, next_token) = match (&input.secret_id_list, &input.filters) {
        (Some(_), Some(_)) | (None, None) => {
            return refused("Either 'SecretIdList' or 'Filters' must be provided, but not both.");
        }
        (Some(_), None) if input.max_results.is_some() => {
            return refused(
                "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.",
            );
        }
        (Some(names), None) => (names.clone(), None),
        (None, Some(filters)) => {
            // "If you use filters, you must also have secretsmanager:ListSecrets" (API reference).
            let everything = crate::access::Resource::new("*", ctx.account().as_str());
            ctx.allow_as(Act::Also("secretsmanager:ListSecrets"), &everything)?;
            let listing = Listing::filtered(filters)?;
            let size = cursor::size(input.max_results, MOST);
            let after = input.next_token.as_deref();
            let (found, next) = list::page(ctx, &listing, after, size).await?;
            let names = found.into_iter().map(|secret| secret.arn());
            (names.collect(), next)
        }
    };
    let mut values = Vec::new();
    let mut errors = Vec::new();
    for name in names {
        let outcome = retrying(ATTEMPTS, || one(ctx, &name)).await;
        // "Secrets Manager generates CloudTrail GetSecretValue log entries for each secret you request" (API reference).
        let parameters = json!({ "secretId": name });
        let refusal = outcome.as_ref().err();
        audit::record_through(ctx, GetSecretValue::DEF, SERVICE, &parameters, refusal).await?;
        match outcome {
            Ok(entry) => values.push(entry),
            Err(error) => {
                let answer = fault::answer(BatchGetSecretValue::DEF, &error);
                errors.push(wire::ApiErrorType {
                    secret_id: Some(name),
                    error_code: Some(answer.code.to_owned()),
                    message: Some(answer.message),
                });
            }
        }
    }
    Ok(wire::BatchGetSecretValueResponse {
        secret_values: Some(values),
        next_token,
        errors: Some(errors),
    })
}

async fn one(ctx: &Ctx, name: &str) -> Result<wire::SecretValueEntry> {
    let ask = Ask {
        act: Act::Also("secretsmanager:GetSecretValue"),
        ..Ask::OWN
    };
    let found = find::secret(ctx, name, ask).await?;
    if found.secret.deletion.is_some() {
        return Err(Error::new(
            ErrorKind::InvalidRequest,
            "You tried to perform the operation on a secret that's currently marked deleted.",
        ));
    }
    value::read(ctx, &found, Select::default()).await
}

/// Secrets of one answer (API reference, `MaxResults`).
const MOST: usize = 20;
