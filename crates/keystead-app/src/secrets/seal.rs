//! Values, sealed and opened: each under a data key of its own that KMS makes ("Secret encryption and decryption").
//!
//! The KMS key is used in the name of who calls, so that a value is given only to who may decrypt with its key. What KMS
//! refuses is told in Secrets Manager's words: of permissions that they lack, of everything else that it does not encrypt or
//! decrypt.

use keystead_core::kms::EncryptionContext;
use keystead_core::secrets::{Fault, Secret};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::digest;
use keystead_crypto::seal::{open_under, seal_under};
use keystead_wire::value::Sensitive;
use zeroize::Zeroizing;

use super::record::ValueRecord;
use super::{OWN_KEY, SERVICE};
use crate::Ctx;
use crate::kms;
use crate::kms::through::{DataKey, Through};

/// `SecretString` and `SecretBinary`.
pub(super) type Shown = (Option<Sensitive<String>>, Option<Sensitive<Vec<u8>>>);

/// A value in clear.
pub(super) struct Value {
    binary: bool,
    bytes: Zeroizing<Vec<u8>>,
}

impl Value {
    /// The value that a request brings, if it does.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] where it brings two, [`ErrorKind::Validation`] where it is too long.
    pub(super) fn of(
        text: Option<&Sensitive<String>>,
        bytes: Option<&Sensitive<Vec<u8>>>,
    ) -> Result<Option<Self>> {
        let (binary, bytes) = match (text, bytes) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return Err(Error::new(
                    ErrorKind::InvalidParameter,
                    "You can't specify both a binary secret value and a string secret value in the same secret.",
                ));
            }
            (Some(text), None) => (false, text.expose().as_bytes()),
            (None, Some(bytes)) => (true, bytes.expose().as_slice()),
        };
        if bytes.len() > MOST {
            return Err(Error::new(
                ErrorKind::Validation,
                format!(
                    "1 validation error detected: Value at 'secretString' failed to satisfy constraint: Member must have length less than or equal to {MOST}"
                ),
            ));
        }
        Ok(Some(Self {
            binary,
            bytes: Zeroizing::new(bytes.to_vec()),
        }))
    }

    /// A text.
    pub(super) fn text(text: &str) -> Self {
        Self {
            binary: false,
            bytes: Zeroizing::new(text.as_bytes().to_vec()),
        }
    }

    /// Its bytes.
    pub(super) fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.bytes
    }

    /// Whether it is this one.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.binary == other.binary && digest::constant_time_eq(&self.bytes, &other.bytes)
    }

    /// The text, or the bytes.
    pub(super) fn shown(self) -> Result<Shown> {
        let bytes = self.bytes.to_vec();
        if self.binary {
            return Ok((None, Some(bytes.into())));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::new(ErrorKind::Internal, "a secret's text is no text"))?;
        Ok((Some(text.into()), None))
    }
}

/// Seals a value for the version of this id; also answers the KMS key's ARN, for other keys than the service's own.
pub(super) async fn seal(
    ctx: &Ctx,
    secret: &Secret,
    id: &str,
    value: &Value,
) -> Result<(ValueRecord, Option<String>)> {
    let context = context(secret, id);
    let DataKey {
        clear,
        sealed,
        key_arn,
    } = through(ctx, &context)
        .data_key(&key_name(secret))
        .await
        .map_err(unsealed)?;
    let record = ValueRecord {
        binary: value.binary,
        key: sealed.into(),
        sealed: seal_under(&clear, bound(value.binary), &value.bytes)?.into(),
    };
    Ok((record, key_arn))
}

/// Opens the value of the version of this id.
pub(super) async fn open(
    ctx: &Ctx,
    secret: &Secret,
    id: &str,
    record: &ValueRecord,
) -> Result<Value> {
    let context = context(secret, id);
    let key = through(ctx, &context).open(&record.key).await;
    let key = key.map_err(unopened)?;
    let opened = open_under(&key, bound(record.binary), &record.sealed)?;
    let bytes = opened.ok_or_else(|| Fault::Decryption.error(UNREADABLE))?;
    Ok(Value {
        binary: record.binary,
        bytes,
    })
}

/// Whether the caller may use the secret's KMS key both ways, as AWS asks when a key is named ("Secret encryption and
/// decryption", the encryption context of that request).
pub(super) async fn check_key(ctx: &Ctx, secret: &Secret) -> Result<()> {
    let context = context(secret, "RequestToValidateKeyAccess");
    let through = through(ctx, &context);
    let made = through.data_key(&key_name(secret)).await;
    let made = made.map_err(unsealed)?;
    through.open(&made.sealed).await.map_err(unopened)?;
    Ok(())
}

/// `secretsmanager:KmsKeyArn`: the ARN of the key that a request names.
pub(super) async fn named_key(ctx: &Ctx, name: Option<&str>) -> Result<Option<String>> {
    match name.filter(|name| !name.is_empty()) {
        Some(name) => kms::arn_named(ctx, name).await,
        None => Ok(None),
    }
}

fn through<'a>(ctx: &'a Ctx, context: &'a EncryptionContext) -> Through<'a> {
    Through {
        ctx,
        service: SERVICE,
        context,
    }
}

/// The name of the secret's KMS key for whoever calls, of the secret's account or another.
fn key_name(secret: &Secret) -> String {
    let name = secret.kms_key.as_deref().unwrap_or(OWN_KEY);
    if name.starts_with("arn:") {
        return name.to_owned();
    }
    let Secret {
        account, region, ..
    } = secret;
    let kind = if name.starts_with("alias/") {
        ""
    } else {
        "key/"
    };
    format!(
        "arn:{}:kms:{region}:{account}:{kind}{name}",
        region.partition()
    )
}

fn context(secret: &Secret, id: &str) -> EncryptionContext {
    [
        ("SecretARN", secret.arn()),
        ("SecretVersionId", id.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn bound(binary: bool) -> &'static [u8] {
    if binary { b"bytes" } else { b"text" }
}

fn unsealed(error: Error) -> Error {
    told(error, Fault::Encryption, "encrypt")
}

fn unopened(error: Error) -> Error {
    told(error, Fault::Decryption, "decrypt")
}

fn told(error: Error, fault: Fault, what: &str) -> Error {
    match error.kind {
        ErrorKind::AccessDenied => Error {
            message: "Access to KMS is not allowed".into(),
            ..error
        },
        ErrorKind::Internal | ErrorKind::Unavailable => error,
        _ => fault.error(format!(
            "Secrets Manager can't {what} the protected secret text using the provided KMS key: {}",
            error.message
        )),
    }
}

const UNREADABLE: &str =
    "Secrets Manager can't decrypt the protected secret text using the provided KMS key.";

/// Bytes of a value ("Secrets Manager quotas"; the model counts the characters of a text).
const MOST: usize = 65_536;
