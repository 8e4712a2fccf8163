//! Keys: made, told about, listed.

use std::sync::Arc;

use keystead_core::Result;
use keystead_core::kms::{
    Command, Key, KeyKind, Manager, Material, MaterialId, MaterialState, MultiRegion, Origin,
    Stage, Wanted,
};
use keystead_core::tags::Tags;
use keystead_crypto::NewMaterial;
use keystead_store::{Batch, Expect};
use keystead_wire::kms as wire;

use super::change::change;
use super::conditions::{Call, NewKey};
use super::find::{self, Ask, Names};
use super::record::{Held, KEYS, KeyRecord, key_of, owner};
use super::{elsewhere, managed, page_size_of, policies, shown, tags};
use crate::access::{Act, Resource};
use crate::{App, Ctx, cursor, ids};

/// CreateKey.
pub async fn create_key(
    ctx: &Ctx,
    input: wire::CreateKeyRequest,
) -> Result<wire::CreateKeyResponse> {
    let kind = wanted(&input).kind()?;
    let mut key = Key {
        tags: tags::of_new(input.tags)?,
        description: input.description.unwrap_or_default(),
        ..blank(ctx, kind)?
    };
    allow(ctx, Act::Own, &key)?;
    if let Some(policy) = input.policy {
        let bypass = input.bypass_policy_lockout_safety_check;
        policies::check(ctx, &policy, bypass, &key).await?;
        key.policy = policy;
    }
    let record = match &input.custom_key_store_id {
        Some(store) => {
            let external = input.xks_key_id.as_deref();
            let owner = owner(&key).into_bytes();
            let placed = elsewhere::place(ctx, store, &key, external, &owner).await?;
            key.store = Some(placed.store);
            with_material(key, placed.material)
        }
        None => furnished(&ctx.app, key).await?,
    };
    match &record.key.store {
        Some(store) => {
            elsewhere::enter(ctx, &record.key, store, |batch| put(batch, &record)).await?;
        }
        None => {
            let mut batch = Batch::new();
            put(&mut batch, &record);
            ctx.app.store.commit(batch).await?;
        }
    }
    Ok(wire::CreateKeyResponse {
        key_metadata: Some(shown::metadata(&record.key)),
    })
}

/// DescribeKey. The alias of a service's own key makes that key: "If you specify a predefined AWS alias (an AWS alias with
/// no key ID), AWS KMS associates the alias with an AWS managed key" (API reference).
pub async fn describe_key(
    ctx: &Ctx,
    input: wire::DescribeKeyRequest,
) -> Result<wire::DescribeKeyResponse> {
    let ask = Ask {
        operation: Some("DescribeKey"),
        tokens: input.grant_tokens.as_deref().unwrap_or_default(),
        ..Ask::OWN
    };
    managed::on_first_use(ctx, &input.key_id, Act::Own).await?;
    let found = find::key(ctx, &input.key_id, Names::KeyOrAlias, ask).await?;
    let mut metadata = shown::metadata(&found.record.key);
    elsewhere::show(ctx, &found.record.key, &mut metadata).await?;
    Ok(wire::DescribeKeyResponse {
        key_metadata: Some(metadata),
    })
}

/// ListKeys: those of the account in the region. No key of another account is shared by AWS RAM here.
pub async fn list_keys(ctx: &Ctx, input: wire::ListKeysRequest) -> Result<wire::ListKeysResponse> {
    let call = Call(ctx);
    ctx.allow(&Resource {
        describe: Some(&call),
        ..Resource::new("*", ctx.account().as_str())
    })?;
    let marker = input.marker.as_deref();
    let size = page_size_of(input.limit, 100, 1000);
    let (mut found, mut next) =
        cursor::page::<KeyRecord>(ctx, "ListKeys", KEYS, marker, size).await?;
    let owners = input.resource_owners.unwrap_or_default();
    if !owners.is_empty() && !owners.contains(&wire::ResourceOwnerType::Self_) {
        found.clear();
        next = None;
    }
    let keys = found.into_iter().map(|found| wire::KeyListEntry {
        key_arn: Some(found.value.key.arn()),
        key_id: Some(found.value.key.id),
    });
    Ok(wire::ListKeysResponse {
        keys: Some(keys.collect()),
        truncated: Some(next.is_some()),
        next_marker: next,
    })
}

/// UpdateKeyDescription.
pub async fn update_key_description(
    ctx: &Ctx,
    input: wire::UpdateKeyDescriptionRequest,
) -> Result<wire::UpdateKeyDescriptionResponse> {
    let (name, command) = (&input.key_id, Command::Describe);
    change(ctx, name, Ask::OWN, command, |record, _| {
        record.key.check_customers()?;
        record.key.description.clone_from(&input.description);
        Ok(())
    })
    .await?;
    Ok(wire::UpdateKeyDescriptionResponse)
}

fn wanted(input: &wire::CreateKeyRequest) -> Wanted<'_> {
    Wanted {
        spec: input.key_spec.map(wire::KeySpec::as_str),
        old_spec: input
            .customer_master_key_spec
            .map(wire::CustomerMasterKeySpec::as_str),
        usage: input.key_usage.map(wire::KeyUsageType::as_str),
        origin: input.origin.map(wire::OriginType::as_str),
        multi_region: input.multi_region.unwrap_or_default(),
        store: input.custom_key_store_id.as_deref(),
        xks_key: input.xks_key_id.as_deref(),
    }
}

/// Whether the caller may make this key, as `act` says, and give it its tags: "To use the Tags parameter, you must also
/// have kms:TagResource" (CreateKey), on the key that is being made.
pub(super) fn allow(ctx: &Ctx, act: Act<'_>, key: &Key) -> Result<()> {
    let new = NewKey {
        ctx,
        spec: key.spec,
        usage: key.usage,
        origin: key.origin,
        multi_region: key.multi_region.is_some().then(|| key.is_primary()),
    };
    let arn = key.arn();
    let on = |arn| Resource {
        describe: Some(&new),
        ..Resource::new(arn, ctx.account().as_str())
    };
    ctx.allow_as(act, &on("*"))?;
    if !key.tags.is_empty() {
        ctx.allow_as(Act::Also("kms:TagResource"), &on(&arn))?;
    }
    Ok(())
}

/// A new key of the caller's account and region without key material, under the default policy.
pub(super) fn blank(ctx: &Ctx, kind: KeyKind) -> Result<Key> {
    let (account, region) = (ctx.account(), &ctx.region);
    let id = ids::uuid()?;
    Ok(Key {
        // "Multi-Region keys have a distinctive key ID that begins with mrk-" (developer guide).
        id: match kind.multi_region {
            true => format!("mrk-{}", id.replace('-', "")),
            false => id,
        },
        account: account.clone(),
        region: region.clone(),
        spec: kind.spec,
        usage: kind.usage,
        origin: kind.origin,
        manager: Manager::Customer,
        description: String::new(),
        created_at: ctx.now,
        stage: match kind.origin {
            Origin::External => Stage::PendingImport,
            _ => Stage::Enabled,
        },
        policy: policies::default(account, region),
        tags: Tags::new(),
        aliases: Vec::new(),
        multi_region: kind.multi_region.then(|| MultiRegion {
            primary: region.clone(),
            replicas: Vec::new(),
        }),
        store: None,
        materials: Vec::new(),
        rotation: None,
        grants: 0,
    })
}

/// The record of a new key, with its key material if that is made here.
pub(super) async fn furnished(app: &Arc<App>, key: Key) -> Result<KeyRecord> {
    if key.origin != Origin::AwsKms {
        return Ok(KeyRecord {
            key,
            held: Vec::new(),
            public_key: None,
        });
    }
    let owner = owner(&key);
    let made = app.keys.generate_material(key.spec, owner.as_bytes());
    let made = made.await?;
    Ok(with_material(key, made))
}

fn with_material(mut key: Key, made: NewMaterial) -> KeyRecord {
    let id = MaterialId(made.material_id);
    key.materials.push(Material {
        id,
        since: key.created_at,
        rotation: None,
        state: MaterialState::Current,
        import: None,
    });
    let held = Held {
        id,
        material: made.material,
    };
    KeyRecord {
        key,
        held: vec![held],
        public_key: made.public_key.map(Into::into),
    }
}

/// Adds the record of a new key to the commit.
pub(super) fn put(batch: &mut Batch, record: &KeyRecord) {
    let key = &record.key;
    let at = key_of(&key.account, &key.region, &key.id);
    batch.put(KEYS, at, record, Expect::Absent);
}
