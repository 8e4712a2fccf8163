//! From what a call names to the key's record, with the decision on it.
//!
//! A key goes by its id, its ARN, an alias or an alias's ARN ("Key identifiers (KeyId)"). The record is kept at hand with
//! its policy compiled, as long as no record of a key changes: a busy key is neither read nor opened nor parsed for
//! every call.

use std::num::NonZeroUsize;
use std::sync::Arc;

use keystead_core::kms::EncryptionContext;
use keystead_core::kms::grant::Terms;
use keystead_core::{AccountId, Arn, Error, ErrorKind, Region, Result};
use keystead_policy::{Context, Kind, Policy, Rule, Source};
use keystead_store::{ChangeCount, Store, Stored, Version};
use lru::LruCache;
use parking_lot::Mutex;

use super::grants::Permit;
use super::record::{KEYS, KeyRecord, key_of};
use super::{aliases, conditions, grants};
use crate::Ctx;
use crate::access::{Act, Allowed, Describe, OwnPolicy, Resource, account_of};

/// A key as it is stored, ready for decisions.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its record key.
    pub(crate) at: String,
    /// The commit that wrote it.
    pub(crate) version: Version,
    /// What is stored.
    pub(crate) record: KeyRecord,
    /// Its ARN.
    pub(crate) arn: String,
    /// Its policy, compiled.
    policy: Source,
}

/// Which names of a key a call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Its id or ARN.
    Key,
    /// An alias, too.
    KeyOrAlias,
}

/// What a call brings along to the decision on a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    /// The action.
    pub(crate) act: Act<'a>,
    /// What a grant would have to allow (`GrantOperation`); `None` where none can.
    pub(crate) operation: Option<&'static str>,
    /// The encryption context.
    pub(crate) context: Option<&'a EncryptionContext>,
    /// Condition keys of this call beside those of `models/access.toml`.
    pub(crate) keys: &'a [(&'static str, &'a str)],
    /// Grant tokens.
    pub(crate) tokens: &'a [String],
    /// What CreateGrant is to allow to somebody else.
    pub(crate) granting: Option<&'a Terms>,
    /// The alias by which the key was named, set where it is looked up.
    pub(super) alias: Option<&'a str>,
}

impl Ask<'_> {
    /// The call's own action, which no grant can allow.
    pub(crate) const OWN: Self = Self {
        act: Act::Own,
        operation: None,
        context: None,
        keys: &[],
        tokens: &[],
        granting: None,
        alias: None,
    };
}

/// The keys that were used last, and what led to them.
pub(crate) struct Known {
    changes: ChangeCount,
    keys: Mutex<LruCache<String, (u64, Arc<Found>)>>,
    pub(super) aliases: aliases::Known,
    pub(super) grants: grants::Known,
}

impl Known {
    /// Follows what is stored of keys.
    pub(crate) fn new(store: &Store) -> Self {
        Self {
            changes: store.count_changes(&[KEYS]),
            keys: Mutex::new(LruCache::new(AT_HAND)),
            aliases: aliases::Known::new(store),
            grants: grants::Known::new(store),
        }
    }
}

/// The key that a call names, if the caller may do this to it.
pub(super) async fn key(
    ctx: &Ctx,
    name: &str,
    names: Names,
    ask: Ask<'_>,
) -> Result<Allowed<Arc<Found>>> {
    let named = match resolve(ctx, name, names).await {
        Err(error) if error.kind == ErrorKind::NotFound && is_foreign(ctx, name) => {
            // In another account nobody is told what there is not.
            ctx.allow_as(ask.act, &Resource::new(name, account_of(name)))?;
            return Err(error);
        }
        named => named?,
    };
    let ask = Ask {
        alias: named.alias.as_deref(),
        ..ask
    };
    let Named {
        account,
        region,
        id,
        ..
    } = &named;
    admit(ctx, account, region, id, ask)
        .await?
        .ok_or_else(|| missing(&arn_of(account, region, id)))
}

/// The key of this id, if the caller may do this to it; `None` is for who may, and finds that it is not there.
pub(super) async fn admit(
    ctx: &Ctx,
    account: &AccountId,
    region: &Region,
    id: &str,
    ask: Ask<'_>,
) -> Result<Option<Allowed<Arc<Found>>>> {
    let Some(found) = at_hand(ctx, account, region, id).await? else {
        let arn = arn_of(account, region, id);
        return ctx.admit(ask.act, &arn, None, |_, resource| resource);
    };
    let candidate = Candidate {
        grant: grants::permitting(ctx, &found, &ask).await?,
        found: Arc::clone(&found),
        ctx,
        ask,
    };
    let candidate = Some(candidate);
    let allowed = ctx.admit(ask.act, &found.arn, candidate, |candidate, resource| {
        candidate.resource(resource)
    })?;
    Ok(allowed.map(|allowed| allowed.map(|candidate| candidate.found)))
}

/// A key about which is decided.
struct Candidate<'a> {
    found: Arc<Found>,
    grant: Option<Permit>,
    ctx: &'a Ctx,
    ask: Ask<'a>,
}

impl Candidate<'_> {
    fn resource<'t>(&'t self, resource: Resource<'t>) -> Resource<'t> {
        let Found { record, policy, .. } = &*self.found;
        let resource = Resource {
            describe: Some(self),
            ..resource.tagged(&record.key.tags)
        };
        if !self.is_open() {
            return resource;
        }
        Resource {
            policy: Some(OwnPolicy::Compiled(policy)),
            rule: Rule::ResourceFirst,
            grant: self.grant.as_ref().map(Permit::as_grant),
            ..resource
        }
    }

    /// Whether a key policy or grant has a say: in another account they have it on some operations alone ("Allowing users
    /// in other accounts to use a KMS key").
    fn is_open(&self) -> bool {
        let action = conditions::action(self.ctx, self.ask.act);
        self.found.record.key.account == *self.ctx.account() || ACROSS_ACCOUNTS.contains(&action)
    }
}

impl Describe for Candidate<'_> {
    fn describe(&self, context: &mut Context) {
        conditions::describe(self.ctx, &self.found.record.key, &self.ask, context);
    }
}

/// The key of this id as it is stored now, or as it was read when no key has changed since.
pub(crate) async fn at_hand(
    ctx: &Ctx,
    account: &AccountId,
    region: &Region,
    id: &str,
) -> Result<Option<Arc<Found>>> {
    let known = &ctx.app.kms_keys;
    let as_of = known.changes.get();
    let at = key_of(account, region, id);
    if let Some((read_at, found)) = known.keys.lock().get(&at)
        && *read_at == as_of
    {
        return Ok(Some(Arc::clone(found)));
    }
    let Some(stored) = ctx.app.store.get::<KeyRecord>(KEYS, &at).await? else {
        return Ok(None);
    };
    let found = Arc::new(ready(stored)?);
    let entry = (as_of, Arc::clone(&found));
    known.keys.lock().put(at, entry);
    Ok(Some(found))
}

fn ready(stored: Stored<KeyRecord>) -> Result<Found> {
    let arn = stored.value.key.arn();
    // A policy that does not parse lets nobody in: what it was meant to deny is not known.
    let policy = Policy::parse(&stored.value.key.policy, Kind::Key).map_err(|fault| {
        let message = format!("the policy of {arn} cannot be read: {fault}");
        Error::new(ErrorKind::Internal, message)
    })?;
    Ok(Found {
        at: stored.key,
        version: stored.version,
        record: stored.value,
        policy: Source {
            label: arn.clone(),
            policy: Arc::new(policy),
        },
        arn,
    })
}

/// What a name stands for.
pub(super) struct Named {
    pub(super) account: AccountId,
    pub(super) region: Region,
    pub(super) id: String,
    /// The alias it went by, with `alias/`.
    pub(super) alias: Option<String>,
}

/// What the name of a key stands for; whether there is such a key is another matter.
///
/// A name of another region is [`ErrorKind::NotFound`], as is an alias that stands for nothing.
pub(super) async fn resolve(ctx: &Ctx, name: &str, names: Names) -> Result<Named> {
    let invalid = || {
        // AWS puts an alias without quotes here.
        let shown = match name.starts_with("alias/") {
            true => name.to_owned(),
            false => format!("'{name}'"),
        };
        Error::new(ErrorKind::NotFound, format!("Invalid keyId {shown}"))
    };
    let (account, resource) = match name.starts_with("arn:") {
        true => {
            let arn = Arn::parse(name)?;
            if arn.service != "kms" {
                return Err(invalid_arn(name));
            }
            if arn.region != ctx.region.as_str() {
                let message = format!("Invalid arn {}", arn.region);
                return Err(Error::new(ErrorKind::NotFound, message));
            }
            let account = AccountId::parse(&arn.account).map_err(|_| invalid_arn(name))?;
            (account, arn.resource)
        }
        false if name.starts_with("alias/") => (ctx.account().clone(), name.to_owned()),
        false => (ctx.account().clone(), format!("key/{name}")),
    };
    let region = ctx.region.clone();
    if resource.starts_with("alias/") {
        if names == Names::Key {
            return Err(match name.starts_with("arn:") {
                true => invalid_arn(name),
                false => invalid(),
            });
        }
        let id = aliases::target(ctx, &account, &resource).await?;
        return Ok(Named {
            account,
            region,
            id,
            alias: Some(resource),
        });
    }
    let id = resource
        .strip_prefix("key/")
        .ok_or_else(|| invalid_arn(name))?;
    if !is_key_id(id) {
        return Err(invalid());
    }
    Ok(Named {
        account,
        region,
        id: id.to_owned(),
        alias: None,
    })
}

/// Whether this is the ARN of something in another account.
/// The ARN of the key that a name stands for, for conditions of policies; `None` for a name that stands for nothing.
pub(crate) async fn arn_named(ctx: &Ctx, name: &str) -> Result<Option<String>> {
    match resolve(ctx, name, Names::KeyOrAlias).await {
        Ok(named) => Ok(Some(arn_of(&named.account, &named.region, &named.id))),
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::InvalidArn) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_foreign(ctx: &Ctx, name: &str) -> bool {
    name.starts_with("arn:") && account_of(name) != ctx.account().as_str()
}

/// Whether this can be the id of a key: a UUID, or `mrk-` and 32 hexadecimal digits.
fn is_key_id(id: &str) -> bool {
    let digits = |text: &str, count| {
        text.len() == count && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    if let Some(rest) = id.strip_prefix("mrk-") {
        return digits(rest, 32);
    }
    let lengths = [8, 4, 4, 4, 12];
    id.split('-').count() == lengths.len()
        && id
            .split('-')
            .zip(lengths)
            .all(|(part, count)| digits(part, count))
}

/// The ARN of a key.
pub(crate) fn arn_of(account: &AccountId, region: &Region, id: &str) -> String {
    Arn::new("kms", region, account, format!("key/{id}")).to_string()
}

/// The refusal for a key that is not there.
pub(crate) fn missing(arn: &str) -> Error {
    let message = format!("Key '{arn}' does not exist");
    Error::new(ErrorKind::NotFound, message)
}

fn invalid_arn(name: &str) -> Error {
    Error::new(
        ErrorKind::InvalidArn,
        format!("{name} is not a valid ARN here: expected arn:aws:kms:region:account:key/id."),
    )
}

/// A few kilobytes each with its policy; more than are busy within a minute in most installations.
const AT_HAND: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// The actions on keys of other accounts (API reference, "Cross-account use: Yes").
const ACROSS_ACCOUNTS: [&str; 22] = [
    "kms:CreateGrant",
    "kms:Decapsulate",
    "kms:Decrypt",
    "kms:DeriveSharedSecret",
    "kms:DescribeKey",
    "kms:Encapsulate",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyPair",
    "kms:GenerateDataKeyPairWithoutPlaintext",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GenerateMac",
    "kms:GetKeyRotationStatus",
    "kms:GetPublicKey",
    "kms:ListGrants",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:Sign",
    "kms:Verify",
    "kms:VerifyMac",
];
