//! A server without its listeners, as for private CAs, and what tests do with its secrets.

use std::ops::Deref;

use jiff::SignedDuration;
use keystead_core::Result;
use keystead_core::secrets::Secret;
use keystead_store::faults::Failure;
use keystead_wire::secretsmanager as wire;
use keystead_wire::shape::{FromValue as _, IntoValue as _, Operation};

use crate::dispatch;
use crate::outbound::Rotators;
use crate::pca::tests::world as pca_world;
use crate::secrets::record::{INDEX, SECRETS, SecretRecord, VALUES, ValueRecord};

pub(in crate::secrets) struct World(pca_world::World);

impl Deref for World {
    type Target = pca_world::World;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// AWS's code and message.
pub(in crate::secrets) type Refusal = (&'static str, String);

pub(in crate::secrets) const DAY: SignedDuration = SignedDuration::from_hours(24);
pub(in crate::secrets) const HOME: &str = "us-east-1";
pub(in crate::secrets) const AWAY: &str = "eu-west-1";
pub(in crate::secrets) const BOTH: [Failure; 2] = [Failure::Refused, Failure::Unheard];

/// Longer than any wait after a failure, and than a lease.
pub(in crate::secrets) const WHILE: SignedDuration = SignedDuration::from_mins(10);

impl World {
    /// With the service's own key made, so that what is counted are the commits of secrets.
    pub(in crate::secrets) async fn new() -> Self {
        Self::with(Rotators::none()).await
    }

    /// With these rotators.
    pub(in crate::secrets) async fn with(rotators: Rotators) -> Self {
        let world = Self(pca_world::World::with(rotators).await);
        world.create("first", Some("value")).await.unwrap();
        world.delete("first", None).await.unwrap();
        world.run_due().await;
        world
    }

    /// Calls an operation as a client of the account does.
    pub(in crate::secrets) async fn call<O: Operation>(
        &self,
        region: &str,
        input: O::Input,
    ) -> Result<O::Output, Refusal> {
        let ctx = self.ctx_of("123456789012", region);
        let answer = dispatch::call(ctx, O::DEF, input.into_value()).await;
        let answer = answer.map_err(|refused| (refused.code, refused.message))?;
        Ok(O::Output::from_value(answer).unwrap())
    }

    pub(in crate::secrets) async fn create(
        &self,
        name: &str,
        value: Option<&str>,
    ) -> Result<wire::CreateSecretResponse, Refusal> {
        let input = wire::CreateSecretRequest {
            name: name.into(),
            client_request_token: Some(token(name)),
            description: None,
            kms_key_id: None,
            secret_binary: None,
            secret_string: value.map(|value| value.to_owned().into()),
            tags: None,
            add_replica_regions: None,
            force_overwrite_replica_secret: None,
            type_: None,
            cross_account_primary_arn: None,
        };
        self.call::<wire::CreateSecret>(HOME, input).await
    }

    pub(in crate::secrets) async fn put(
        &self,
        name: &str,
        value: &str,
    ) -> Result<wire::PutSecretValueResponse, Refusal> {
        let input = wire::PutSecretValueRequest {
            secret_id: name.into(),
            client_request_token: Some(token(value)),
            secret_binary: None,
            secret_string: Some(value.to_owned().into()),
            version_stages: None,
            rotation_token: None,
        };
        self.call::<wire::PutSecretValue>(HOME, input).await
    }

    /// The value with this label.
    pub(in crate::secrets) async fn read(
        &self,
        name: &str,
        label: &str,
    ) -> Result<String, Refusal> {
        self.read_in(HOME, name, label).await
    }

    pub(in crate::secrets) async fn read_in(
        &self,
        region: &str,
        name: &str,
        label: &str,
    ) -> Result<String, Refusal> {
        let input = wire::GetSecretValueRequest {
            secret_id: name.into(),
            version_id: None,
            version_stage: Some(label.into()),
        };
        let answer = self.call::<wire::GetSecretValue>(region, input).await?;
        Ok(answer.secret_string.unwrap().expose().clone())
    }

    /// Deletes it after so many days, or at once.
    pub(in crate::secrets) async fn delete(
        &self,
        name: &str,
        days: Option<i64>,
    ) -> Result<wire::DeleteSecretResponse, Refusal> {
        let input = wire::DeleteSecretRequest {
            secret_id: name.into(),
            recovery_window_in_days: days,
            force_delete_without_recovery: Some(days.is_none()),
        };
        self.call::<wire::DeleteSecret>(HOME, input).await
    }

    pub(in crate::secrets) async fn stored(&self, name: &str) -> Option<Secret> {
        let at = format!("123456789012/{HOME}/{name}");
        let found = self.app.store.get::<SecretRecord>(SECRETS, &at).await;
        found.unwrap().map(|found| found.value.0)
    }

    /// How many records there are of secrets, of values and in the index.
    pub(in crate::secrets) async fn records(&self) -> (usize, usize, usize) {
        let store = &self.app.store;
        let secrets = store.scan::<SecretRecord>(SECRETS, "", None, 1000).await;
        let values = store.scan::<ValueRecord>(VALUES, "", None, 1000).await;
        let places = store.scan::<()>(INDEX, "", None, 1000).await;
        (
            secrets.unwrap().len(),
            values.unwrap().len(),
            places.unwrap().len(),
        )
    }

    /// Whether the call fails with its Nth commit; where it has fewer commits it goes well.
    pub(in crate::secrets) async fn fails<T: std::fmt::Debug>(
        &self,
        failure: Failure,
        nth: usize,
        call: impl Future<Output = Result<T, Refusal>>,
    ) -> bool {
        let store = &self.app.store;
        store.fail_commit(nth, failure);
        let result = call.await;
        let failed = !store.is_to_fail();
        store.fail_commit(0, failure);
        match failed {
            true => assert_eq!(result.unwrap_err().0, "ServiceUnavailable"),
            false => drop(result.unwrap()),
        }
        failed
    }
}

/// A token of 32 characters that this text determines.
pub(in crate::secrets) fn token(text: &str) -> String {
    format!("{text:-<32}")
}
