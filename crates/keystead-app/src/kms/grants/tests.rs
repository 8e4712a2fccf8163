//! Grants over a real store: many at once, and gone with their key.

use keystead_core::kms::{Key, KeySpec, KeyUsage, Manager, Origin, Stage};
use keystead_store::{Batch, Collection, Expect};
use keystead_wire::kms as wire;

use super::record::{GRANTS, GrantRecord, RETIRABLE};
use super::*;
use crate::Ctx;
use crate::kms::policies;
use crate::kms::record::{KEYS, KeyRecord, key_of};
use crate::pca::tests::world::World;

const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

/// A key of the caller's account, as far as grants look at it.
async fn key(ctx: &Ctx) -> String {
    let key = Key {
        id: ID.into(),
        account: ctx.account().clone(),
        region: ctx.region.clone(),
        spec: KeySpec::SymmetricDefault,
        usage: KeyUsage::EncryptDecrypt,
        origin: Origin::AwsKms,
        manager: Manager::Customer,
        description: String::new(),
        created_at: ctx.now,
        stage: Stage::Enabled,
        // Calls that no client makes have no action.
        policy: policies::default(ctx.account(), &ctx.region).replace("kms:*", "*"),
        tags: Default::default(),
        aliases: Vec::new(),
        multi_region: None,
        store: None,
        materials: Vec::new(),
        rotation: None,
        grants: 0,
    };
    let record = KeyRecord {
        key,
        held: Vec::new(),
        public_key: None,
    };
    let at = key_of(ctx.account(), &ctx.region, ID);
    let mut batch = Batch::new();
    batch.put(KEYS, at.as_str(), &record, Expect::Absent);
    ctx.app.store.commit(batch).await.unwrap();
    at
}

async fn count(ctx: &Ctx, at: &str) -> u32 {
    let found = ctx.app.store.get::<KeyRecord>(KEYS, at).await.unwrap();
    found.unwrap().value.key.grants
}

fn request(ctx: &Ctx, name: Option<&str>) -> wire::CreateGrantRequest {
    let root = format!("arn:aws:iam::{}:root", ctx.account());
    wire::CreateGrantRequest {
        key_id: ID.into(),
        grantee_principal: Some(root.clone()),
        retiring_principal: Some(root),
        operations: vec![wire::GrantOperation::Decrypt],
        constraints: None,
        grant_tokens: None,
        name: name.map(Into::into),
        dry_run: None,
        grantee_service_principal: None,
        retiring_service_principal: None,
    }
}

#[tokio::test]
async fn many_who_grant_and_retire_at_once_all_get_through() {
    let world = World::new().await;
    let ctx = world.ctx();
    let at = key(&ctx).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let ctx = ctx.clone();
        tasks.spawn(async move { create_grant(&ctx, request(&ctx, None)).await.unwrap() });
    }
    let granted = tasks.join_all().await;
    assert_eq!(count(&ctx, &at).await, 40);
    let mut tasks = tokio::task::JoinSet::new();
    for grant in granted {
        let ctx = ctx.clone();
        let input = wire::RetireGrantRequest {
            grant_token: grant.grant_token,
            key_id: None,
            grant_id: None,
            dry_run: None,
        };
        tasks.spawn(async move { retire_grant(&ctx, input).await.unwrap() });
    }
    tasks.join_all().await;
    assert_eq!(count(&ctx, &at).await, 0);
}

#[tokio::test]
async fn the_same_grant_asked_for_many_times_at_once_is_one() {
    let world = World::new().await;
    let ctx = world.ctx();
    let at = key(&ctx).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let ctx = ctx.clone();
        let input = request(&ctx, Some("one"));
        tasks.spawn(async move { create_grant(&ctx, input).await.unwrap().grant_id });
    }
    let mut ids = tasks.join_all().await;
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(count(&ctx, &at).await, 1);
}

#[tokio::test]
async fn the_grants_of_a_key_that_is_gone_go_part_by_part() {
    let world = World::new().await;
    let ctx = world.ctx();
    let at = key(&ctx).await;
    for number in 0..300 {
        let name = (number % 2 == 0).then(|| number.to_string());
        create_grant(&ctx, request(&ctx, name.as_deref()))
            .await
            .unwrap();
    }
    let store = &ctx.app.store;
    let mut batch = Batch::new();
    batch.delete(KEYS, at.as_str(), Expect::Any);
    store.commit(batch).await.unwrap();
    let mut parts = 1;
    while purge(store, &at, &ctx.region).await.unwrap() {
        parts += 1;
    }
    assert_eq!(parts, 2);
    let left = store.scan::<GrantRecord>(GRANTS, "", None, 1).await;
    assert!(left.unwrap().is_empty());
    for index in [RETIRABLE, Collection("kms.grant-name")] {
        let region = format!("{}/", ctx.region);
        for prefix in [region.as_str(), &at] {
            let left = store.scan::<()>(index, prefix, None, 1).await;
            assert!(left.unwrap().is_empty(), "{index:?}");
        }
    }
    assert!(!purge(store, &at, &ctx.region).await.unwrap());
}
