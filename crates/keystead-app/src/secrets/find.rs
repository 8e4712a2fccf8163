//! From what a call names to the secret's record, with the decision on it.
//!
//! A secret goes by its name, its ARN, or its ARN without the last characters. Its record is kept at hand with its policy
//! compiled, as long as no secret changes, and the sealed value that was read last beside it; a value in clear is kept
//! nowhere. So a busy secret costs no read of the store, and policies still decide on each call.

use std::num::NonZeroUsize;
use std::sync::Arc;

use keystead_core::secrets::{CURRENT, Named, Secret, USUAL_VERSIONS};
use keystead_core::{AccountId, Arn, Error, ErrorKind, Region, Result};
use keystead_policy::{Context, Kind, Policy, Source};
use keystead_store::{ChangeCount, Store, Stored, Version};
use lru::LruCache;
use parking_lot::Mutex;

use super::record::{SECRETS, SecretRecord, VALUES, ValueRecord, key_of, value_of};
use crate::Ctx;
use crate::access::{Act, Allowed, Describe, OwnPolicy, Resource};

/// A secret as it is stored, ready for decisions.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its record key.
    pub(super) at: String,
    /// The commit that wrote it.
    pub(super) version: Version,
    /// What is stored.
    pub(super) secret: Secret,
    /// Its ARN.
    pub(super) arn: String,
    /// Its policy, compiled.
    policy: Option<Source>,
}

/// What a call brings along to the decision on a secret.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    /// The action.
    pub(super) act: Act<'a>,
    /// Condition keys of this call beside those of `models/access.toml`.
    pub(super) keys: &'a [(&'static str, &'a str)],
    /// Such with several values.
    pub(super) lists: &'a [(&'static str, &'a [String])],
}

impl Ask<'_> {
    /// The call's own action.
    pub(super) const OWN: Self = Self {
        act: Act::Own,
        keys: &[],
        lists: &[],
    };
}

/// The secrets that were used last.
pub(crate) struct Known {
    changes: ChangeCount,
    secrets: Mutex<LruCache<String, (u64, Arc<Found>)>>,
    values: Mutex<LruCache<String, (Version, Arc<ValueRecord>)>>,
}

impl Known {
    /// Follows what is stored of secrets.
    pub(crate) fn new(store: &Store) -> Self {
        Self {
            changes: store.count_changes(&[SECRETS]),
            secrets: Mutex::new(LruCache::new(AT_HAND)),
            values: Mutex::new(LruCache::new(AT_HAND)),
        }
    }
}

/// The secret that a call names, if the caller may do this to it.
pub(super) async fn secret(ctx: &Ctx, id: &str, ask: Ask<'_>) -> Result<Allowed<Arc<Found>>> {
    let found = named(ctx, id).await?;
    let arn = match &found {
        Some(found) => found.arn.clone(),
        None => asked_arn(ctx, id),
    };
    let candidate = found.map(|found| Candidate { found, ctx, ask });
    let allowed = ctx.admit(ask.act, &arn, candidate, |candidate, resource| {
        candidate.resource(resource)
    })?;
    allowed
        .map(|allowed| allowed.map(|candidate| candidate.found))
        .ok_or_else(missing)
}

/// As [`secret`], where the caller would do something else with the secret as it is to be.
pub(super) fn could(ctx: &Ctx, action: &str, secret: &Secret) -> Result<bool> {
    let found = ready(Stored {
        key: String::new(),
        version: Version::default(),
        value: SecretRecord(secret.clone()),
    })?;
    let arn = found.arn.clone();
    let candidate = Candidate {
        found: Arc::new(found),
        ctx,
        ask: Ask {
            act: Act::Also(action),
            ..Ask::OWN
        },
    };
    let resource = Resource::new(&arn, secret.account.as_str());
    ctx.could(action, &candidate.resource(resource))
}

/// The secret of this name in an account and region; nothing is decided.
pub(super) async fn at_hand(
    ctx: &Ctx,
    account: &AccountId,
    region: &Region,
    name: &str,
) -> Result<Option<Arc<Found>>> {
    let known = &ctx.app.secrets;
    let as_of = known.changes.get();
    let at = key_of(account, region, name);
    if let Some((read_at, found)) = known.secrets.lock().get(&at)
        && *read_at == as_of
    {
        return Ok(Some(Arc::clone(found)));
    }
    let Some(stored) = ctx.app.store.get::<SecretRecord>(SECRETS, &at).await? else {
        return Ok(None);
    };
    let found = Arc::new(ready(stored)?);
    if found.secret.versions.len() <= USUAL_VERSIONS {
        let entry = (as_of, Arc::clone(&found));
        known.secrets.lock().put(at, entry);
    }
    Ok(Some(found))
}

/// The sealed value of a version of a secret.
pub(super) async fn value(ctx: &Ctx, found: &Found, id: &str) -> Result<Arc<ValueRecord>> {
    let known = &ctx.app.secrets;
    let at = value_of(&found.secret, id);
    // A value changes only together with its secret.
    if let Some((version, value)) = known.values.lock().get(&at)
        && *version == found.version
    {
        return Ok(Arc::clone(value));
    }
    let stored = ctx.app.store.get::<ValueRecord>(VALUES, &at).await?;
    let value = stored.ok_or_else(|| {
        Error::new(
            ErrorKind::ConcurrentModification,
            "The secret was changed at the same moment; try again.",
        )
    })?;
    let value = Arc::new(value.value);
    if value.sealed.len() <= SMALL {
        let entry = (found.version, Arc::clone(&value));
        known.values.lock().put(at, entry);
    }
    Ok(value)
}

async fn named(ctx: &Ctx, id: &str) -> Result<Option<Arc<Found>>> {
    let Some(named) = Named::parse(id) else {
        return Ok(None);
    };
    let account = match &named.place {
        Some((_, region)) if *region != ctx.region.as_str() => return Ok(None),
        Some((account, _)) => account.clone(),
        None => ctx.account().clone(),
    };
    for (name, suffix) in named.candidates() {
        let found = at_hand(ctx, &account, &ctx.region, name).await?;
        let same = |found: &Arc<Found>| suffix.is_none_or(|suffix| found.secret.suffix == suffix);
        if let Some(found) = found.filter(same) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// What a call names that is not there, as policies see it.
fn asked_arn(ctx: &Ctx, id: &str) -> String {
    match id.starts_with("arn:") {
        true => id.to_owned(),
        false => arn_of(ctx, id),
    }
}

/// The ARN of a secret of the caller's account and region without its last characters.
pub(super) fn arn_of(ctx: &Ctx, name: &str) -> String {
    let resource = format!("secret:{name}");
    Arn::new("secretsmanager", &ctx.region, ctx.account(), resource).to_string()
}

fn ready(stored: Stored<SecretRecord>) -> Result<Found> {
    let SecretRecord(secret) = stored.value;
    let arn = secret.arn();
    // A policy that does not parse lets nobody in: what it was meant to deny is not known.
    let policy = secret.policy.as_deref();
    let policy = policy.map(|text| Policy::parse(text, Kind::Resource));
    let policy = policy.transpose().map_err(|fault| {
        let message = format!("the policy of {arn} cannot be read: {fault}");
        Error::new(ErrorKind::Internal, message)
    })?;
    Ok(Found {
        at: stored.key,
        version: stored.version,
        policy: policy.map(|policy| Source {
            label: arn.clone(),
            policy: Arc::new(policy),
        }),
        secret,
        arn,
    })
}

/// A secret about which is decided.
struct Candidate<'a> {
    found: Arc<Found>,
    ctx: &'a Ctx,
    ask: Ask<'a>,
}

impl Candidate<'_> {
    fn resource<'t>(&'t self, resource: Resource<'t>) -> Resource<'t> {
        let Found { secret, policy, .. } = &*self.found;
        Resource {
            policy: policy.as_ref().map(OwnPolicy::Compiled),
            describe: Some(self),
            ..resource.tagged(secret.tagged())
        }
    }
}

impl Describe for Candidate<'_> {
    /// "Condition keys for AWS Secrets Manager". What a request leaves out counts with its default.
    fn describe(&self, context: &mut Context) {
        let Found { secret, arn, .. } = &*self.found;
        context.set("secretsmanager:SecretId", arn.as_str());
        if let Some(function) = &secret.rotation.function {
            context.set(
                "secretsmanager:resource/AllowRotationLambdaArn",
                function.as_str(),
            );
        }
        if let Some(kind) = &secret.kind {
            context.set("secretsmanager:resource/Type", kind.as_str());
        }
        let primary = secret.primary_region().unwrap_or(secret.region.as_str());
        context.set("secretsmanager:SecretPrimaryRegion", primary);
        for (name, value) in self.ask.keys {
            context.set(*name, *value);
        }
        for (name, values) in self.ask.lists {
            context.set_all(*name, values.to_vec());
        }
        let action = match self.ask.act {
            Act::Own => self.ctx.access.action().unwrap_or_default(),
            Act::Also(action) | Act::Via { action, .. } => action,
        };
        defaults(action, context);
    }
}

fn defaults(action: &str, context: &mut Context) {
    let by_id = context.values("secretsmanager:VersionId").is_some();
    let mut default = |name: &'static str, value: &str| {
        if context.values(name).is_none() {
            context.set(name, value);
        }
    };
    match action {
        "secretsmanager:PutResourcePolicy" => default("secretsmanager:BlockPublicPolicy", "false"),
        "secretsmanager:DeleteSecret" => {
            default("secretsmanager:ForceDeleteWithoutRecovery", "false");
        }
        "secretsmanager:RotateSecret" => default("secretsmanager:RotateImmediately", "true"),
        "secretsmanager:GetSecretValue" if !by_id => {
            default("secretsmanager:VersionStage", CURRENT);
        }
        _ => {}
    }
}

/// The refusal for a secret that is not there.
pub(super) fn missing() -> Error {
    Error::new(
        ErrorKind::NotFound,
        "Secrets Manager can't find the specified secret.",
    )
}

/// A few kilobytes each, seldom some tens, and more than are read within a minute in most installations.
const AT_HAND: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Bytes of a value that is kept at hand: credentials are far smaller, and all that are kept stay below 32 MiB.
const SMALL: usize = 8 << 10;
