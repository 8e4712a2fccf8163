//! Services' own keys: made on first use, rotated every year, changed by nobody.

use keystead_core::kms::managed::{KIND, Service};
use keystead_core::kms::{Key, Manager};
use keystead_core::{Arn, ErrorKind, Result};
use keystead_policy::{Context, Kind, Rule};
use keystead_store::{Batch, StoreError};

use super::find::Ask;
use super::record::key_of;
use super::{aliases, conditions, keys, upkeep};
use crate::Ctx;
use crate::access::{Act, Describe, OwnPolicy, Resource};

/// Makes the service's own key that this name of a key stands for, `alias/aws/acm` for instance, if it is not there yet and
/// the caller could do this to it: from then on it can be named so. Other names are left alone.
///
/// Whoever uses such a key by default calls this first, with the action that it goes on with.
pub(crate) async fn on_first_use(ctx: &Ctx, name: &str, act: Act<'_>) -> Result<()> {
    let Some(alias) = alias_in(ctx, name) else {
        return Ok(());
    };
    let Some(service) = Service::of_alias(alias) else {
        return Ok(());
    };
    match aliases::target(ctx, ctx.account(), alias).await {
        Err(error) if error.kind == ErrorKind::NotFound => make(ctx, service, act).await,
        there => there.map(drop),
    }
}

async fn make(ctx: &Ctx, service: &Service, act: Act<'_>) -> Result<()> {
    let alias = service.alias();
    let mut key = keys::blank(ctx, KIND)?;
    key.enable_rotation(None, ctx.now)?;
    key.manager = Manager::Aws;
    key.description = service.description();
    key.policy = service.policy(ctx.account(), &ctx.region);
    key.aliases.push(alias.clone());
    let candidate = Candidate {
        ctx,
        key: &key,
        act,
    };
    if !candidate.could()? {
        return Ok(());
    }
    let record = keys::furnished(&ctx.app, key).await?;
    let key = &record.key;
    let mut batch = Batch::new();
    keys::put(&mut batch, &record);
    aliases::own(&mut batch, key, &alias, ctx.now);
    let at = key_of(&key.account, &key.region, &key.id);
    upkeep::queue(&mut batch, &at, key);
    let Err(error) = ctx.app.store.commit(batch).await else {
        return Ok(());
    };
    for held in &record.held {
        ctx.app.keys.forget(&held.material);
    }
    match error {
        // Another call was quicker: its key is there.
        StoreError::Conflict { .. } => Ok(()),
        error => Err(error.into()),
    }
}

/// The alias in the name of a key of the caller's account and region.
fn alias_in<'a>(ctx: &Ctx, name: &'a str) -> Option<&'a str> {
    if !name.starts_with("arn:") {
        return Some(name);
    }
    let arn = Arn::parse(name).ok()?;
    let here = (arn.account.as_str(), arn.region.as_str());
    let own = arn.service == "kms" && here == (ctx.account().as_str(), ctx.region.as_str());
    name.splitn(6, ':').nth(5).filter(|_| own)
}

/// A key that is not made yet.
struct Candidate<'a> {
    ctx: &'a Ctx,
    key: &'a Key,
    act: Act<'a>,
}

impl Candidate<'_> {
    /// Whether the caller could do this to it.
    fn could(&self) -> Result<bool> {
        let Self { ctx, key, act } = self;
        let arn = key.arn();
        let resource = Resource {
            policy: Some(OwnPolicy::Text(&key.policy, Kind::Key)),
            rule: Rule::ResourceFirst,
            describe: Some(self),
            ..Resource::new(&arn, key.account.as_str())
        };
        ctx.could(conditions::action(ctx, *act), &resource)
    }
}

impl Describe for Candidate<'_> {
    fn describe(&self, context: &mut Context) {
        let ask = Ask {
            act: self.act,
            ..Ask::OWN
        };
        conditions::describe(self.ctx, self.key, &ask, context);
    }
}
