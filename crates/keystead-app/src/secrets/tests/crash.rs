//! Every commit fails once, before it is stored and after: a secret is as it was or as it was to be, its labels lead to
//! values that are there, and the same call again goes well.

use keystead_store::faults::Failure;
use keystead_wire::secretsmanager as wire;

use super::world::*;

#[tokio::test]
async fn a_secret_is_made_whole_or_not_at_all() {
    let world = World::new().await;
    for failure in BOTH {
        for nth in 1.. {
            let name = format!("{failure:?}-{nth}");
            let failed = world
                .fails(failure, nth, world.create(&name, Some("v")))
                .await;
            let there = world.stored(&name).await.is_some();
            assert_eq!(there, !failed || failure == Failure::Unheard);
            // The same call again, by its token, has the answer that was lost.
            let made = world.create(&name, Some("v")).await.unwrap();
            assert_eq!(made.version_id, Some(token(&name)));
            assert_eq!(world.read(&name, "AWSCURRENT").await.unwrap(), "v");
            if !failed {
                assert_eq!(nth, 2, "it is one commit");
                break;
            }
        }
    }
    let (secrets, values, places) = world.records().await;
    assert_eq!((values, places), (secrets, 3 * secrets));
}

#[tokio::test]
async fn labels_move_together_with_the_value_or_not_at_all() {
    let world = World::new().await;
    world.create("s", Some("0")).await.unwrap();
    let mut last = "0".to_owned();
    for failure in BOTH {
        for nth in 1.. {
            let value = format!("{failure:?}-{nth}");
            let failed = world.fails(failure, nth, world.put("s", &value)).await;
            let current = world.read("s", "AWSCURRENT").await.unwrap();
            let done = !failed || failure == Failure::Unheard;
            assert_eq!(current, if done { &value } else { &last }.as_str());
            world.put("s", &value).await.unwrap();
            assert_eq!(world.read("s", "AWSCURRENT").await.unwrap(), value);
            assert_eq!(world.read("s", "AWSPREVIOUS").await.unwrap(), last);
            last = value;
            if !failed {
                assert_eq!(nth, 2, "it is one commit");
                break;
            }
        }
    }
    let (secrets, values, places) = world.records().await;
    assert_eq!((secrets, places), (1, 3));
    assert_eq!(values, world.stored("s").await.unwrap().versions.len());
}

#[tokio::test]
async fn a_secret_that_goes_takes_its_values_with_it_whatever_fails() {
    for failure in BOTH {
        for nth in 1..=6 {
            let world = World::new().await;
            world.create("s", Some("0")).await.unwrap();
            for number in 1..=100 {
                world.put("s", &number.to_string()).await.unwrap();
            }
            world.delete("s", Some(7)).await.unwrap();
            world.pass(DAY * 7);
            world.app.store.fail_commit(nth, failure);
            world.run_due().await;
            world.app.store.fail_commit(0, failure);
            for _ in 0..3 {
                world.pass(WHILE);
                world.run_due().await;
            }
            assert_eq!(world.records().await, (0, 0, 0), "{failure:?} {nth}");
            // The name is free, and its old values are another secret's.
            world.create("s", None).await.unwrap();
            assert_eq!(
                world.read("s", "AWSCURRENT").await.unwrap_err().0,
                "ResourceNotFoundException"
            );
        }
    }
}

#[tokio::test]
async fn a_deletion_at_once_is_whole_or_not_at_all() {
    let world = World::new().await;
    for failure in BOTH {
        for nth in 1.. {
            world.create("s", Some("v")).await.unwrap();
            let failed = world.fails(failure, nth, world.delete("s", None)).await;
            let gone = world.stored("s").await.is_none();
            assert_eq!(gone, !failed || failure == Failure::Unheard);
            world.delete("s", None).await.unwrap();
            world.pass(WHILE);
            world.run_due().await;
            assert_eq!(world.records().await, (0, 0, 0));
            if !failed {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_replica_is_as_its_primary_whatever_fails() {
    let world = World::new().await;
    let input = wire::ReplicateSecretToRegionsRequest {
        secret_id: "s".into(),
        add_replica_regions: vec![wire::ReplicaRegionType {
            region: Some(AWAY.into()),
            kms_key_id: None,
        }],
        force_overwrite_replica_secret: None,
    };
    world.create("s", Some("0")).await.unwrap();
    let replicate = || world.call::<wire::ReplicateSecretToRegions>(HOME, input.clone());
    // The service's key in that region is the first commit.
    for (nth, failure) in [(1, BOTH[0]), (1, BOTH[1]), (1, BOTH[0])] {
        assert!(world.fails(failure, nth, replicate()).await);
        assert!(world.stored("s").await.unwrap().replicas().is_empty());
    }
    replicate().await.unwrap();
    for failure in BOTH {
        for nth in 1.. {
            let value = format!("{failure:?}-{nth}");
            let failed = world.fails(failure, nth, world.put("s", &value)).await;
            for label in ["AWSCURRENT", "AWSPREVIOUS"] {
                let home = world.read("s", label).await;
                assert_eq!(
                    world.read_in(AWAY, "s", label).await,
                    home,
                    "{failure:?} {nth}"
                );
            }
            world.put("s", &value).await.unwrap();
            assert_eq!(world.read_in(AWAY, "s", "AWSCURRENT").await.unwrap(), value);
            if !failed {
                assert_eq!(nth, 2, "it is one commit");
                break;
            }
        }
    }
}
