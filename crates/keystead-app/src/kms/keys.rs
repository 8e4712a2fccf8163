//! Keys: made, told about, listed.

use keystead_core::kms::{
    Command, Import, Key, KeyKind, Manager, Material, MaterialId, MaterialState, MultiRegion,
    Origin, Stage, Wanted,
};
use keystead_core::tags::{self, Tags};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::random;
use keystead_store::{Batch, Expect};
use keystead_wire::kms as wire;

use super::change::change;
use super::conditions;
use super::find::{self, Ask, Names};
use super::record::{Held, KEYS, KeyRecord, key_of};
use super::{elsewhere, page_size_of, policies, shown};
use crate::access::{Act, Resource};
use crate::{Ctx, cursor, ids};

/// CreateKey.
pub async fn create_key(
    ctx: &Ctx,
    input: wire::CreateKeyRequest,
) -> Result<wire::CreateKeyResponse> {
    let kind = wanted(&input).kind()?;
    let tags = asked_tags(input.tags)?;
    allow(ctx, &kind, &tags)?;
    let mut key = blank(ctx, kind, tags)?;
    key.description = input.description.unwrap_or_default();
    key.policy = match input.policy {
        Some(text) => {
            let bypass = input.bypass_policy_lockout_safety_check;
            policies::check(ctx, &text, bypass, &key).await?;
            text
        }
        None => policies::default(&key.account, &key.region),
    };
    let place = match &input.custom_key_store_id {
        Some(store) => {
            let xks_key = input.xks_key_id.as_deref();
            Some(elsewhere::place(ctx, store, &key, xks_key, &owner(&key)).await?)
        }
        None => None,
    };
    let record = filled(ctx, key, place).await?;
    let put = |batch: &mut Batch| {
        let at = key_of(ctx.account(), &ctx.region, &record.key.id);
        batch.put(KEYS, at, &record, Expect::Absent);
    };
    match &record.key.store {
        Some(store) => elsewhere::enter(ctx, &record.key, store, put).await?,
        None => {
            let mut batch = Batch::new();
            put(&mut batch);
            ctx.app.store.commit(batch).await?;
        }
    }
    Ok(wire::CreateKeyResponse {
        key_metadata: Some(shown::metadata(&record.key)),
    })
}

/// DescribeKey.
pub async fn describe_key(
    ctx: &Ctx,
    input: wire::DescribeKeyRequest,
) -> Result<wire::DescribeKeyResponse> {
    let ask = Ask {
        operation: Some("DescribeKey"),
        tokens: input.grant_tokens.as_deref().unwrap_or_default(),
        ..Ask::OWN
    };
    let found = find::key(ctx, &input.key_id, Names::KeyOrAlias, ask).await?;
    let mut metadata = shown::metadata(&found.record.key);
    elsewhere::show(ctx, &found.record.key, &mut metadata).await?;
    Ok(wire::DescribeKeyResponse {
        key_metadata: Some(metadata),
    })
}

/// ListKeys.
pub async fn list_keys(ctx: &Ctx, input: wire::ListKeysRequest) -> Result<wire::ListKeysResponse> {
    ctx.allow_own("*")?;
    // ListKeys, `Limit`.
    let size = page_size_of(input.limit, 100, 1000);
    let marker = input.marker.as_deref();
    let (found, next) = cursor::page::<KeyRecord>(ctx, "ListKeys", KEYS, marker, size).await?;
    let keys = found.iter().map(|found| wire::KeyListEntry {
        key_id: Some(found.value.key.id.clone()),
        key_arn: Some(found.value.key.arn()),
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
    change(
        ctx,
        &input.key_id,
        Ask::OWN,
        Command::Describe,
        |record, _| {
            record.key.check_customers()?;
            record.key.description.clone_from(&input.description);
            Ok(())
        },
    )
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

/// Tags that a key is made with.
pub(super) fn asked_tags(asked: Option<Vec<wire::Tag>>) -> Result<Tags> {
    let mut tags = Tags::new();
    let asked = asked.unwrap_or_default().into_iter();
    tags::add(&mut tags, asked.map(|tag| (tag.tag_key, tag.tag_value)))?;
    Ok(tags)
}

/// Whether the caller may make such a key, and give it tags ("To use the Tags parameter, you must also have kms:TagResource").
fn allow(ctx: &Ctx, kind: &KeyKind, tags: &Tags) -> Result<()> {
    let new = conditions::NewKey {
        ctx,
        spec: kind.spec,
        usage: kind.usage,
        origin: kind.origin,
        multi_region: kind.multi_region.then_some(true),
    };
    let resource = Resource {
        describe: Some(&new),
        ..Resource::new("*", ctx.account().as_str())
    };
    ctx.allow(&resource)?;
    if !tags.is_empty() {
        ctx.allow_as(Act::Also("kms:TagResource"), &resource)?;
    }
    Ok(())
}

/// A key without policy and key material.
fn blank(ctx: &Ctx, kind: KeyKind, tags: Tags) -> Result<Key> {
    let id = match kind.multi_region {
        true => multi_region_id()?,
        false => ids::uuid()?,
    };
    Ok(Key {
        id,
        account: ctx.account().clone(),
        region: ctx.region.clone(),
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
        policy: String::new(),
        tags,
        aliases: Vec::new(),
        multi_region: kind.multi_region.then(|| MultiRegion {
            primary: ctx.region.clone(),
            replicas: Vec::new(),
        }),
        store: None,
        materials: Vec::new(),
        rotation: None,
        grants: 0,
    })
}

/// The key with its material: made here, in its key store, or to be imported.
async fn filled(ctx: &Ctx, mut key: Key, place: Option<elsewhere::Placed>) -> Result<KeyRecord> {
    let made = match (key.origin, place) {
        (Origin::External, _) => None,
        (_, Some(placed)) => {
            key.store = Some(placed.store);
            Some(placed.material)
        }
        (_, None) => {
            let owner = owner(&key);
            Some(ctx.app.keys.generate_material(key.spec, &owner).await?)
        }
    };
    let Some(made) = made else {
        return Ok(KeyRecord {
            key,
            held: Vec::new(),
            public_key: None,
        });
    };
    let id = MaterialId(made.material_id);
    key.materials.push(Material {
        id,
        since: key.created_at,
        rotation: None,
        state: MaterialState::Current,
        import: None::<Import>,
    });
    Ok(KeyRecord {
        key,
        held: vec![Held {
            id,
            material: made.material,
        }],
        public_key: made.public_key.map(Into::into),
    })
}

/// Whose key material it is, for its id: the same material in another key has another id.
pub(super) fn owner(key: &Key) -> Vec<u8> {
    format!("{}/{}", key.account, key.id).into_bytes()
}

/// "Multi-Region keys have a distinctive key ID that begins with mrk-" (developer guide).
fn multi_region_id() -> Result<String> {
    let bytes = random::bytes::<16>()
        .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
    Ok(format!("mrk-{:032x}", u128::from_be_bytes(bytes)))
}
