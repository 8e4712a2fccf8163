//! Keys: made, told about, listed.

use std::sync::Arc;

use keystead_core::kms::{
    Asked, Command, Key, KeySpec, KeyUsage, Kind, Manager, Material, MaterialId, MaterialState,
    MultiRegion, Origin, Stage,
};
use keystead_core::{AccountId, Error, ErrorKind, Region, Result};
use keystead_crypto::NewMaterial;
use keystead_store::{Batch, Expect};
use keystead_wire::kms as wire;

use super::change::change;
use super::conditions::{Call, NewKey};
use super::find::{self, Ask, Names};
use super::record::{Held, KEYS, KeyRecord, key_of, owner};
use super::{elsewhere, policies, shown, stores, tags};
use crate::access::Resource;
use crate::{App, Ctx, cursor, ids};

/// CreateKey.
pub async fn create_key(
    ctx: &Ctx,
    input: wire::CreateKeyRequest,
) -> Result<wire::CreateKeyResponse> {
    let kind = asked(&input)?.kind()?;
    let new = NewKey {
        ctx,
        spec: kind.spec,
        usage: kind.usage,
        origin: kind.origin,
        multi_region: kind.multi_region.then_some(true),
    };
    ctx.allow(&Resource {
        describe: Some(&new),
        ..Resource::new("*", ctx.account().as_str())
    })?;
    let mut key = Key {
        description: input.description.unwrap_or_default(),
        ..fresh(ctx.account(), &ctx.region, kind, ctx.now)?
    };
    key.tags = tags::of_new(ctx, &key, input.tags)?;
    if let Some(policy) = input.policy {
        let bypass = input.bypass_policy_lockout_safety_check;
        policies::check(ctx, &policy, bypass, &key).await?;
        key.policy = policy;
    }
    let mut batch = Batch::new();
    let record = match &input.custom_key_store_id {
        Some(store) => {
            let external = input.xks_key_id.as_deref();
            let placed = stores::place(ctx, &key, store, external, &mut batch).await?;
            key.store = Some(placed.store);
            with_material(key, placed.material)
        }
        None => furnish(&ctx.app, key).await?,
    };
    put(&mut batch, &record);
    ctx.app.store.commit(batch).await?;
    Ok(wire::CreateKeyResponse {
        key_metadata: Some(shown::metadata(&record.key, record.key.state())),
    })
}

/// DescribeKey, by any name. An alias of a service's own key makes that key: "If you specify a predefined AWS alias, KMS
/// associates the alias with an AWS managed key" (API reference).
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
    let key = &found.record.key;
    Ok(wire::DescribeKeyResponse {
        key_metadata: Some(shown::metadata(key, elsewhere::state(ctx, key).await?)),
    })
}

/// What a new key of this kind is before its owner has said anything about it.
pub(super) fn fresh(
    account: &AccountId,
    region: &Region,
    kind: Kind,
    now: jiff::Timestamp,
) -> Result<Key> {
    let id = ids::uuid()?;
    Ok(Key {
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
        created_at: now,
        stage: match kind.origin {
            Origin::External => Stage::PendingImport,
            _ => Stage::Enabled,
        },
        policy: policies::default(account, region),
        tags: Default::default(),
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
pub(super) async fn furnish(app: &Arc<App>, key: Key) -> Result<KeyRecord> {
    if key.origin != Origin::AwsKms {
        return Ok(KeyRecord {
            key,
            held: Vec::new(),
            public_key: None,
        });
    }
    let owner = owner(&key);
    let made = app.keys.generate_material(key.spec, owner.as_bytes());
    let made = made.await.map_err(Error::from)?;
    Ok(with_material(key, made))
}

/// Adds the record of a new key to the commit.
pub(super) fn put(batch: &mut Batch, record: &KeyRecord) {
    let key = &record.key;
    let at = key_of(&key.account, &key.region, &key.id);
    batch.put(KEYS, at, record, Expect::Absent);
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
    KeyRecord {
        key,
        held: vec![Held {
            id,
            material: made.material,
        }],
        public_key: made.public_key.map(serde_bytes::ByteBuf::from),
    }
}

fn asked(input: &wire::CreateKeyRequest) -> Result<Asked> {
    let old = input.customer_master_key_spec.map(|spec| spec.as_str());
    let spec = match (input.key_spec.map(|spec| spec.as_str()), old) {
        (Some(_), Some(_)) => {
            return Err(Error::new(
                ErrorKind::Validation,
                "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
            ));
        }
        (new, old) => new.or(old),
    };
    Ok(Asked {
        spec: spec.map(KeySpec::parse).transpose()?,
        usage: input
            .key_usage
            .and_then(|usage| KeyUsage::from_name(usage.as_str())),
        origin: input
            .origin
            .and_then(|origin| Origin::from_name(origin.as_str())),
        multi_region: input.multi_region == Some(true),
        in_store: input.custom_key_store_id.is_some(),
        names_external_key: input.xks_key_id.is_some(),
    })
}

/// ListKeys: those of the account in the region. No key is shared between accounts by AWS RAM here.
pub async fn list_keys(ctx: &Ctx, input: wire::ListKeysRequest) -> Result<wire::ListKeysResponse> {
    let call = Call(ctx);
    ctx.allow(&Resource {
        describe: Some(&call),
        ..Resource::new("*", ctx.account().as_str())
    })?;
    let own = wire::ResourceOwnerType::Self_;
    if input
        .resource_owners
        .is_some_and(|owners| !owners.contains(&own))
    {
        return Ok(wire::ListKeysResponse {
            keys: Some(Vec::new()),
            next_marker: None,
            truncated: Some(false),
        });
    }
    let size = input.limit.and_then(|limit| usize::try_from(limit).ok());
    let (page, next_marker) = cursor::page::<KeyRecord>(
        ctx,
        "ListKeys",
        KEYS,
        input.marker.as_deref(),
        size.unwrap_or(USUAL_PAGE),
    )
    .await?;
    let entries = page.into_iter().map(|stored| wire::KeyListEntry {
        key_arn: Some(stored.value.key.arn()),
        key_id: Some(stored.value.key.id),
    });
    Ok(wire::ListKeysResponse {
        keys: Some(entries.collect()),
        truncated: Some(next_marker.is_some()),
        next_marker,
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
            record.key.description.clone_from(&input.description);
            Ok(())
        },
    )
    .await?;
    Ok(wire::UpdateKeyDescriptionResponse)
}

/// "If you do not include a value, it defaults to 100" (API reference, ListKeys).
const USUAL_PAGE: usize = 100;
