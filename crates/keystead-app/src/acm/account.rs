//! The account's configuration: when notices of expiry begin.

use keystead_core::acm::schedule;
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Collection, Expect, Store, Stored, Versioned};
use keystead_wire::acm as wire;
use serde::{Deserialize, Serialize};

use crate::Ctx;
use crate::token::{self, Known};

/// Configurations, by `account/region/configuration`.
const CONFIGURATIONS: Collection = Collection("acm.account");

#[derive(Serialize, Deserialize)]
struct Configuration {
    days_before_expiry: i32,
}

impl Versioned for Configuration {
    const MARKER: &'static str = "acm.account/1";
}

/// `acm:GetAccountConfiguration`.
pub(crate) async fn get_account_configuration(
    ctx: &Ctx,
    _input: wire::GetAccountConfigurationRequest,
) -> Result<wire::GetAccountConfigurationResponse> {
    ctx.allow_own("*")?;
    let days = days_before_expiry(&ctx.app.store, &ctx.prefix()).await?;
    Ok(wire::GetAccountConfigurationResponse {
        expiry_events: Some(wire::ExpiryEventsConfiguration {
            days_before_expiry: Some(days),
        }),
    })
}

/// How many days before an end notices begin, in the region `account/region/`.
pub(super) async fn days_before_expiry(store: &Store, prefix: &str) -> Result<i32> {
    let found: Option<Stored<Configuration>> = store
        .get(CONFIGURATIONS, &format!("{prefix}{CONFIGURATION}"))
        .await?;
    Ok(found.map_or(DEFAULT_DAYS, |stored| stored.value.days_before_expiry))
}

/// `acm:PutAccountConfiguration`. A token that was used within the hour changes nothing.
pub(crate) async fn put_account_configuration(
    ctx: &Ctx,
    input: wire::PutAccountConfigurationRequest,
) -> Result<wire::PutAccountConfigurationResponse> {
    ctx.allow_own("*")?;
    let Some(days_before_expiry) = input
        .expiry_events
        .and_then(|events| events.days_before_expiry)
    else {
        return Err(Error::new(
            ErrorKind::Validation,
            "Configuration for events is empty.",
        ));
    };
    if !(1..=MAX_DAYS).contains(&days_before_expiry) {
        return Err(Error::new(
            ErrorKind::Validation,
            format!("DaysBeforeExpiry must be between 1 and {MAX_DAYS}"),
        ));
    }
    let token = input.idempotency_token.as_bytes();
    let parts = [b"PutAccountConfiguration".as_slice(), token];
    let (store, lifetime) = (&ctx.app.store, schedule::TOKEN_WINDOW);
    if let Known::New(token) =
        token::look_up(store, &ctx.prefix(), &parts, lifetime, ctx.now).await?
    {
        let mut batch = Batch::new();
        batch.put(
            CONFIGURATIONS,
            ctx.key(CONFIGURATION),
            &Configuration { days_before_expiry },
            Expect::Any,
        );
        token.settle(&mut batch, "", ctx.now);
        store.commit(batch).await?;
    }
    Ok(wire::PutAccountConfigurationResponse {})
}

/// The last part of a configuration's key.
const CONFIGURATION: &str = "configuration";

/// API reference, `ExpiryEventsConfiguration`: by default 45 days before the end.
const DEFAULT_DAYS: i32 = 45;

/// What the service accepts at most, as moto's tests have recorded it.
const MAX_DAYS: i32 = 90;
