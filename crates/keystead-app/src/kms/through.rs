//! Keys that another service uses in its caller's name: Secrets Manager seals values so.
//!
//! As on AWS, the caller's permission on the key decides, with `kms:ViaService`; the key's state is asked; and the use leaves an
//! audit event of its own beside that of the call, as one that the service made.

use std::sync::Arc;

use keystead_core::kms::{EncryptionAlgorithm, EncryptionContext, Fault, Header, Manager};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::random;
use keystead_wire::kms as wire;
use keystead_wire::schema::OperationDef;
use keystead_wire::shape::Operation as _;
use serde_json::json;
use zeroize::Zeroizing;

use super::find::{self, Ask, Found, Names};
use super::{custody, managed, usable};
use crate::access::{Act, Allowed};
use crate::{Ctx, PrincipalKind, audit};

/// A service that uses a key in the name of the caller of `ctx`.
pub(crate) struct Through<'a> {
    /// The call.
    pub(crate) ctx: &'a Ctx,
    /// The service's principal, `secretsmanager.amazonaws.com`.
    pub(crate) service: &'static str,
    /// What the ciphertext is bound to.
    pub(crate) context: &'a EncryptionContext,
}

/// A data key.
pub(crate) struct DataKey {
    /// The key itself.
    pub(crate) clear: Zeroizing<[u8; 32]>,
    /// The same, encrypted.
    pub(crate) sealed: Vec<u8>,
    /// The KMS key's ARN; `None` for a service's own.
    pub(crate) key_arn: Option<String>,
}

impl Through<'_> {
    /// A new data key under the KMS key of this name. A service's own key is made on first use.
    pub(crate) async fn data_key(&self, name: &str) -> Result<DataKey> {
        let parameters = json!({
            "keyId": name,
            "keySpec": "AES_256",
            "encryptionContext": self.context,
        });
        let made = self.make(name).await;
        self.record(wire::GenerateDataKey::DEF, &parameters, &made)
            .await?;
        made
    }

    /// What was encrypted in a data key's ciphertext.
    pub(crate) async fn open(&self, sealed: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
        let parameters = json!({
            "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "encryptionContext": self.context,
        });
        let opened = self.decrypt(sealed).await;
        self.record(wire::Decrypt::DEF, &parameters, &opened)
            .await?;
        opened
    }

    async fn make(&self, name: &str) -> Result<DataKey> {
        let ask = self.ask("kms:GenerateDataKey", "GenerateDataKey");
        let found = match self.is_by_itself() {
            true => self.named(name).await?,
            false => {
                managed::on_first_use(self.ctx, name, ask.act).await?;
                usable::key(self.ctx, name, ask).await?
            }
        };
        check_symmetric(&found, self.context)?;
        let clear = Zeroizing::new(random::bytes::<32>()?);
        let sealed = custody::encrypt(self.ctx, &found, Some(self.context), &*clear).await?;
        usable::note(self.ctx, &found, "GenerateDataKey");
        let own = found.record.key.manager == Manager::Aws;
        Ok(DataKey {
            clear,
            sealed,
            key_arn: (!own).then(|| found.arn.clone()),
        })
    }

    async fn decrypt(&self, sealed: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
        let damaged = || Fault::InvalidCiphertext.error("The ciphertext is not a data key's.");
        let (header, head, payload) = Header::parse(sealed).ok_or_else(damaged)?;
        let ask = self.ask("kms:Decrypt", "Decrypt");
        let (ctx, key) = (self.ctx, &header.key_id);
        let (account, region) = (&header.account, &ctx.region);
        let found: Option<Arc<Found>> = match self.is_by_itself() {
            true => find::at_hand(ctx, account, region, key).await?,
            false => {
                let found = find::admit(ctx, account, region, key, ask).await?;
                found.map(Allowed::into_inner)
            }
        };
        let found = found.ok_or_else(|| find::missing(&find::arn_of(account, region, key)))?;
        usable::check(ctx, &found).await?;
        let parts = (&header, head, payload);
        let opened = custody::decrypt(ctx, &found, parts, Some(self.context)).await?;
        let opened = opened.ok_or_else(damaged)?;
        usable::note(ctx, &found, "Decrypt");
        let clear = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| damaged())?;
        Ok(Zeroizing::new(clear))
    }

    /// Whether the service does it by itself: what it may was decided when it was asked to.
    fn is_by_itself(&self) -> bool {
        matches!(self.ctx.principal.kind, PrincipalKind::Service(_))
    }

    /// The key of this name, in a state that allows its use.
    async fn named(&self, name: &str) -> Result<Arc<Found>> {
        let ctx = self.ctx;
        let named = find::resolve(ctx, name, Names::KeyOrAlias).await?;
        let (account, region, id) = (&named.account, &named.region, &named.id);
        let found = find::at_hand(ctx, account, region, id).await?;
        let found = found.ok_or_else(|| find::missing(&find::arn_of(account, region, id)))?;
        usable::check(ctx, &found).await?;
        Ok(found)
    }

    fn ask(&self, action: &'static str, operation: &'static str) -> Ask<'_> {
        Ask {
            act: Act::Via {
                action,
                service: self.service,
            },
            operation: Some(operation),
            context: Some(self.context),
            ..Ask::OWN
        }
    }

    async fn record<T>(
        &self,
        operation: &'static OperationDef,
        parameters: &serde_json::Value,
        outcome: &Result<T>,
    ) -> Result<()> {
        let refusal = outcome.as_ref().err();
        audit::record_through(self.ctx, operation, self.service, parameters, refusal).await
    }
}

/// A data key is made by a key that encrypts symmetrically.
fn check_symmetric(found: &Found, context: &EncryptionContext) -> Result<()> {
    let algorithm = found.record.key.encryption(None, Some(context))?;
    match algorithm {
        EncryptionAlgorithm::SymmetricDefault => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Validation,
            format!("{} is not a symmetric encryption key.", found.arn),
        )),
    }
}
