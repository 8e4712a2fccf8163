//! Key stores under power cuts and under several callers at once. What proxies say is tested in `tests/python`.

use keystead_core::kms::xks::BASE;
use keystead_core::kms::{
    Backing, Connection, ConnectionError, Fault, InStore, Key, KeySpec, KeyStore, Manager, Origin,
    Stage,
};
use keystead_core::tags::Tags;
use keystead_core::{ErrorKind, Result};
use keystead_store::{Batch, Collection, Expect, Versioned};
use keystead_wire::kms as wire;
use serde::{Deserialize, Serialize};

use super::record::{self, Kept};
use super::{
    connect_custom_key_store, delete_custom_key_store, describe_custom_key_stores,
    disconnect_custom_key_store, enter, leave,
};
use crate::Ctx;
use crate::pca::tests::world::World;

const ID: &str = "cks-1234567890abcdef0";
const MADE: Collection = Collection("test.made");

#[derive(Serialize, Deserialize)]
struct Made;

impl Versioned for Made {
    const MARKER: &'static str = "test.made/1";
}

/// A store whose proxy nobody reaches.
async fn stored(ctx: &Ctx, connection: Connection) {
    let kept = Kept {
        store: KeyStore {
            id: ID.into(),
            name: "store".into(),
            created_at: ctx.now,
            connection,
            keys: 0,
            backing: Backing::External {
                endpoint: "https://xks.example.com".into(),
                path: BASE.into(),
                access_key_id: "A".repeat(20),
            },
        },
        secret: "s".repeat(43).into(),
    };
    let push = |stores: &mut record::Stores, _: &mut Batch| {
        stores.kept.push(kept.clone());
        Ok(())
    };
    record::edit(ctx, push).await.unwrap();
}

async fn now(ctx: &Ctx) -> KeyStore {
    let read = record::read(&ctx.app, ctx.account(), &ctx.region).await;
    read.unwrap().stores.find(ID).unwrap().store.clone()
}

async fn connect(ctx: &Ctx) -> Result<()> {
    let input = wire::ConnectCustomKeyStoreRequest {
        custom_key_store_id: ID.into(),
    };
    connect_custom_key_store(ctx, input).await.map(drop)
}

async fn disconnect(ctx: &Ctx) -> Result<()> {
    let input = wire::DisconnectCustomKeyStoreRequest {
        custom_key_store_id: ID.into(),
    };
    disconnect_custom_key_store(ctx, input).await.map(drop)
}

async fn delete(ctx: &Ctx) -> Result<()> {
    let input = wire::DeleteCustomKeyStoreRequest {
        custom_key_store_id: ID.into(),
    };
    delete_custom_key_store(ctx, input).await.map(drop)
}

fn key(ctx: &Ctx, number: u32) -> (Key, InStore) {
    let store = InStore {
        store_id: ID.into(),
        cluster_id: None,
        xks_key_id: Some(format!("external-{number}")),
    };
    let key = Key {
        id: format!("key-{number}"),
        account: ctx.account().clone(),
        region: ctx.region.clone(),
        spec: KeySpec::SymmetricDefault,
        usage: KeySpec::SymmetricDefault.usages()[0],
        origin: Origin::ExternalKeyStore,
        manager: Manager::Customer,
        description: String::new(),
        created_at: ctx.now,
        stage: Stage::Enabled,
        policy: String::new(),
        tags: Tags::default(),
        aliases: Vec::new(),
        multi_region: None,
        store: Some(store.clone()),
        materials: Vec::new(),
        rotation: None,
        grants: 0,
    };
    (key, store)
}

/// Makes a key in the store, as far as the store is concerned.
async fn made(ctx: &Ctx, number: u32, attempt: u32) -> Result<()> {
    let (key, store) = key(ctx, number);
    let put = |batch: &mut Batch| {
        batch.put(MADE, format!("{number}/{attempt}"), &Made, Expect::Absent);
    };
    enter(ctx, &key, &store, put).await
}

fn fault(outcome: Result<()>) -> Option<ErrorKind> {
    outcome.err().map(|error| error.kind)
}

#[tokio::test]
async fn what_a_power_cut_left_connecting_is_settled_afterwards() {
    let world = World::new().await;
    stored(&world.ctx(), Connection::Disconnected).await;
    connect(&world.ctx()).await.unwrap();
    assert_eq!(now(&world.ctx()).await.connection, Connection::Connecting);
    let world = world.restart().await;
    world.run_due().await;
    let failed = Connection::Failed(ConnectionError::XksProxyNotReachable);
    assert_eq!(now(&world.ctx()).await.connection, failed);
    disconnect(&world.ctx()).await.unwrap();
    assert_eq!(
        now(&world.ctx()).await.connection,
        Connection::Disconnecting
    );
    let world = world.restart().await;
    world.run_due().await;
    let ctx = world.ctx();
    assert_eq!(now(&ctx).await.connection, Connection::Disconnected);
    // Done once: nothing is left to do.
    world.run_due().await;
    delete(&ctx).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_is_not_wanted_any_more_does_not_come_about() {
    let world = World::new().await;
    let ctx = world.ctx();
    stored(&ctx, Connection::Disconnected).await;
    connect(&ctx).await.unwrap();
    disconnect(&ctx).await.unwrap();
    world.run_due().await;
    assert_eq!(now(&ctx).await.connection, Connection::Disconnected);
}

#[tokio::test]
async fn keys_that_are_made_and_ended_at_once_are_counted_and_a_store_outlives_them() {
    let world = World::new().await;
    let ctx = world.ctx();
    stored(&ctx, Connection::Connected).await;
    let making = (0..8).map(|number| {
        let ctx = ctx.clone();
        tokio::spawn(async move { made(&ctx, number, 0).await })
    });
    for made in making.collect::<Vec<_>>() {
        made.await.unwrap().unwrap();
    }
    assert_eq!(now(&ctx).await.keys, 8);
    disconnect(&ctx).await.unwrap();
    world.run_due().await;
    let held = Some(ErrorKind::Kms(Fault::StoreHasKeys));
    for number in 0..8 {
        assert_eq!(fault(delete(&ctx).await), held);
        let (key, _) = key(&ctx, number);
        let mut batch = Batch::new();
        leave(&ctx.app, &key, &mut batch).await.unwrap();
        ctx.app.store.commit(batch).await.unwrap();
    }
    delete(&ctx).await.unwrap();
    let all = wire::DescribeCustomKeyStoresRequest::default();
    let all = describe_custom_key_stores(&ctx, all).await.unwrap();
    assert_eq!(all.custom_key_stores.unwrap(), []);
}

#[tokio::test]
async fn of_two_who_want_one_external_key_one_gets_it() {
    let world = World::new().await;
    let ctx = world.ctx();
    stored(&ctx, Connection::Connected).await;
    let making = (0..6).map(|attempt| {
        let ctx = ctx.clone();
        tokio::spawn(async move { made(&ctx, 1, attempt).await })
    });
    let mut outcomes = Vec::new();
    for made in making.collect::<Vec<_>>() {
        outcomes.push(fault(made.await.unwrap()));
    }
    let in_use = Some(ErrorKind::Kms(Fault::XksKeyAlreadyInUse));
    let refused = outcomes.iter().filter(|outcome| **outcome == in_use);
    assert_eq!(refused.count(), 5, "{outcomes:?}");
    assert_eq!(now(&ctx).await.keys, 1);
    // Once its key is deleted, the external key may be behind another.
    let (key, _) = key(&ctx, 1);
    let mut batch = Batch::new();
    leave(&ctx.app, &key, &mut batch).await.unwrap();
    ctx.app.store.commit(batch).await.unwrap();
    made(&ctx, 1, 9).await.unwrap();
}

#[tokio::test]
async fn no_key_is_made_in_a_store_that_was_disconnected_meanwhile() {
    let world = World::new().await;
    let ctx = world.ctx();
    stored(&ctx, Connection::Connected).await;
    disconnect(&ctx).await.unwrap();
    let invalid = Some(ErrorKind::Kms(Fault::StoreInvalidState));
    assert_eq!(fault(made(&ctx, 1, 0).await), invalid);
    assert_eq!(now(&ctx).await.keys, 0);
}
