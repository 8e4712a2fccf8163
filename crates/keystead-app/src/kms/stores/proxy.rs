//! The client of an external key store's proxy.
//!
//! Source: AWS KMS External Key Store Proxy API Specification, version 1.0.2. What a proxy answers is not believed: its
//! form, the lengths of its parts and the ciphertext's integrity value are checked before anything is made of it.

use std::str;

use keystead_core::kms::Fault;
use keystead_core::kms::xks::{Layer, ProxyFailure, Sealed, integrity_parts};
use keystead_core::{Region, Result};
use keystead_crypto::digest::{self, Sha256};
use keystead_wire::kms_xks_proxy as wire;
use keystead_wire::shape::{FromValue as _, IntoValue as _, Operation};
use keystead_wire::value::Blob;
use keystead_wire::{json, validate, xks};
use zeroize::Zeroizing;

use super::record::{Kept, missing};
use crate::outbound::{ExchangeError, SignedPost};
use crate::{App, Ctx, PrincipalKind};
use keystead_core::kms::Backing;

/// A proxy, as a key store names it.
pub(super) struct Proxy<'a> {
    app: &'a App,
    region: &'a Region,
    endpoint: &'a str,
    path: &'a str,
    access_key_id: &'a str,
    secret: &'a Zeroizing<String>,
}

/// Who and what is behind a call (`requestMetadata`).
#[derive(Clone)]
pub(super) struct Behind {
    principal: String,
    key: Option<String>,
    operation: String,
    request_id: String,
    via: Option<String>,
}

impl Behind {
    /// This call, whose operation of KMS is this one; where another service's was called, it is on that service's way.
    pub(super) fn of(ctx: &Ctx, operation: &str) -> Self {
        let called = ctx.access.operation();
        let own = called.filter(|called| called.service.signing_name == "kms");
        let via = called.filter(|called| called.service.signing_name != "kms");
        Self {
            // `aws:PrincipalArn` of a session is its role.
            principal: match &ctx.principal.kind {
                PrincipalKind::Role { arn, .. } => arn.clone(),
                _ => ctx.principal.arn.clone(),
            },
            key: None,
            operation: own.map_or(operation, |own| own.name).to_owned(),
            request_id: ctx.request_id.clone(),
            via: via.map(|via| via.service.signing_name.to_owned()),
        }
    }

    /// Work of KMS's own, behind which is nobody.
    pub(super) fn work(operation: &str, request_id: String) -> Self {
        Self {
            principal: String::new(),
            key: None,
            operation: operation.to_owned(),
            request_id,
            via: None,
        }
    }

    /// On the KMS key of this ARN.
    pub(super) fn on(self, key: String) -> Self {
        Self {
            key: Some(key),
            ..self
        }
    }

    fn metadata(self) -> wire::UseRequestMetadata {
        wire::UseRequestMetadata {
            aws_principal_arn: self.principal,
            aws_source_vpc: None,
            aws_source_vpce: None,
            kms_key_arn: self.key.unwrap_or_default(),
            kms_operation: self.operation,
            kms_request_id: self.request_id,
            kms_via_service: self.via,
        }
    }
}

impl<'a> Proxy<'a> {
    /// The proxy of an external key store.
    ///
    /// # Errors
    /// [`Fault::StoreNotFound`] for a store of another type.
    pub(super) fn of(app: &'a App, region: &'a Region, kept: &'a Kept) -> Result<Self> {
        match &kept.store.backing {
            Backing::External {
                endpoint,
                path,
                access_key_id,
            } => Ok(Self {
                app,
                region,
                endpoint,
                path,
                access_key_id,
                secret: &kept.secret,
            }),
            Backing::CloudHsm { .. } => Err(missing(&kept.store.id)),
        }
    }

    /// Whether it answers us, and one of its key managers can work.
    pub(super) async fn check_health(&self, behind: Behind) -> Result<(), ProxyFailure> {
        let answer = self
            .call::<wire::GetHealthStatus>(wire::GetHealthStatusRequest {
                uri_path_prefix: String::new(),
                request_metadata: wire::HealthRequestMetadata {
                    kms_operation: behind.operation,
                    kms_request_id: behind.request_id,
                },
            })
            .await?;
        let mut fleet = answer.ekm_fleet_details.iter();
        match fleet.any(|manager| manager.health_status != wire::HealthStatus::Unavailable) {
            true => Ok(()),
            false => Err(ProxyFailure::Unhealthy),
        }
    }

    /// Whether a key can be behind a KMS key ("KMS considerations" of GetKeyMetadata).
    pub(super) async fn check_key(&self, key: &str, behind: Behind) -> Result<()> {
        let answer = self
            .call::<wire::GetKeyMetadata>(wire::GetKeyMetadataRequest {
                uri_path_prefix: String::new(),
                external_key_id: key.to_owned(),
                request_metadata: wire::KeyRequestMetadata {
                    aws_principal_arn: behind.principal,
                    aws_source_vpc: None,
                    aws_source_vpce: None,
                    kms_key_arn: behind.key,
                    kms_operation: behind.operation,
                    kms_request_id: behind.request_id,
                    kms_via_service: behind.via,
                },
            })
            .await
            .map_err(ProxyFailure::in_create_key)?;
        let has = |usage: &str| answer.key_usage.iter().any(|has| has == usage);
        let fault = if answer.key_spec != "AES_256" {
            format!(
                "The key spec of the external key must be AES_256. The key spec of specified external key is {}.",
                answer.key_spec
            )
        } else if !has("ENCRYPT") || !has("DECRYPT") {
            format!(
                "The key usage of the external key must include ENCRYPT and DECRYPT. The key usage of specified external key is {}.",
                answer.key_usage.join(", ")
            )
        } else if answer.key_status != wire::KeyStatus::Enabled {
            format!(
                "The status of the external key must be ENABLED. The status of specified external key is {}.",
                answer.key_status
            )
        } else {
            return Ok(());
        };
        Err(Fault::XksKeyInvalidConfiguration.error(fault))
    }

    /// Encrypts under the external key of this id.
    pub(super) async fn encrypt(
        &self,
        key: &str,
        behind: Behind,
        bound: &[u8],
        text: &[u8],
    ) -> Result<Layer, ProxyFailure> {
        let answer = self
            .call::<wire::Encrypt>(wire::EncryptRequest {
                uri_path_prefix: String::new(),
                external_key_id: key.to_owned(),
                request_metadata: behind.metadata(),
                additional_authenticated_data: Some(Blob::new(bound)),
                plaintext: text.to_vec().into(),
                encryption_algorithm: wire::EncryptionAlgorithm::AesGcm,
                ciphertext_data_integrity_value_algorithm: Some(
                    wire::DataIntegrityAlgorithm::Sha256,
                ),
            })
            .await?;
        let sealed = Sealed {
            metadata: answer.ciphertext_metadata.unwrap_or_default().into_inner(),
            iv: answer.initialization_vector.into_inner(),
            ciphertext: answer.ciphertext.into_inner(),
            tag: answer.authentication_tag.into_inner(),
        };
        let mut hash = Sha256::new();
        for part in integrity_parts(bound, &sealed) {
            hash.update(part);
        }
        let promised = answer.ciphertext_data_integrity_value.unwrap_or_default();
        let layer = Layer {
            iv: sealed.iv,
            metadata: sealed.metadata,
            tag: sealed.tag,
            ciphertext: sealed.ciphertext,
        };
        match layer.is_whole(text.len()) && digest::constant_time_eq(&promised, &hash.finish()) {
            true => Ok(layer),
            false => Err(ProxyFailure::Malformed),
        }
    }

    /// Decrypts under the external key of this id.
    pub(super) async fn decrypt(
        &self,
        key: &str,
        behind: Behind,
        bound: &[u8],
        layer: Layer,
    ) -> Result<Zeroizing<Vec<u8>>, ProxyFailure> {
        let length = layer.ciphertext.len();
        let metadata = (!layer.metadata.is_empty()).then(|| Blob::new(layer.metadata));
        let answer = self
            .call::<wire::Decrypt>(wire::DecryptRequest {
                uri_path_prefix: String::new(),
                external_key_id: key.to_owned(),
                request_metadata: behind.metadata(),
                additional_authenticated_data: Some(Blob::new(bound)),
                ciphertext: Blob::new(layer.ciphertext),
                ciphertext_metadata: metadata,
                encryption_algorithm: wire::EncryptionAlgorithm::AesGcm,
                initialization_vector: Blob::new(layer.iv),
                authentication_tag: Blob::new(layer.tag),
            })
            .await?;
        match answer.plaintext.expose() {
            text if text.len() == length => Ok(Zeroizing::new(text.clone())),
            _ => Err(ProxyFailure::Malformed),
        }
    }

    async fn call<O: Operation>(&self, input: O::Input) -> Result<O::Output, ProxyFailure> {
        let (path, body) = xks::request(O::DEF, self.path, &input.into_value());
        let post = SignedPost {
            endpoint: self.endpoint.to_owned(),
            path,
            body: Zeroizing::new(body),
            access_key_id: self.access_key_id.to_owned(),
            secret_access_key: self.secret.clone(),
            region: self.region.to_string(),
            service: O::DEF.service.signing_name,
            at: self.app.env.now(),
        };
        let answer = (self.app.exchange)(post).await;
        let outcome = match &answer {
            Ok(answer) if answer.status == 200 => read::<O>(&answer.body),
            Ok(answer) => Err(match xks::refusal(&answer.body) {
                Some((name, _)) => ProxyFailure::named(&name),
                None => ProxyFailure::Malformed,
            }),
            Err(ExchangeError::Unreachable(_)) => Err(ProxyFailure::Unreachable),
            Err(ExchangeError::Untrusted(_)) => Err(ProxyFailure::Tls),
            Err(ExchangeError::TimedOut) => Err(ProxyFailure::TimedOut),
            Err(ExchangeError::Broken(_)) => Err(ProxyFailure::Malformed),
        };
        if let Err(failure) = &outcome {
            // What the proxy says is for the operator; callers get AWS's words.
            let said = match &answer {
                Ok(answer) => xks::refusal(&answer.body).map_or_else(String::new, |(_, said)| said),
                Err(error) => error.to_string(),
            };
            let (proxy, operation) = (self.endpoint, O::NAME);
            tracing::warn!(
                proxy,
                operation,
                ?failure,
                said,
                "an external key store proxy failed"
            );
        }
        outcome
    }
}

fn read<O: Operation>(body: &[u8]) -> Result<O::Output, ProxyFailure> {
    let value = json::decode(body, O::DEF.output).map_err(|_| ProxyFailure::Malformed)?;
    validate::validate(&value, O::DEF.output).map_err(|_| ProxyFailure::Malformed)?;
    O::Output::from_value(value).map_err(|_| ProxyFailure::Malformed)
}
