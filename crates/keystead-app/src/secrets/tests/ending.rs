//! What is kept, what goes, and when.

use super::super::accesses;
use super::world::*;

#[tokio::test]
async fn deprecated_versions_go_with_their_values() {
    let world = World::new().await;
    world.create("s", Some("0")).await.unwrap();
    for number in 1..=110 {
        world.put("s", &number.to_string()).await.unwrap();
    }
    assert_eq!(world.records().await.1, 111);
    world.pass(DAY * 2);
    world.put("s", "next").await.unwrap();
    assert_eq!(world.stored("s").await.unwrap().versions.len(), 100);
    assert_eq!(world.records().await.1, 100);
    assert_eq!(world.read("s", "AWSCURRENT").await.unwrap(), "next");
    assert_eq!(world.read("s", "AWSPREVIOUS").await.unwrap(), "110");
}

#[tokio::test]
async fn a_secret_that_is_had_back_does_not_go() {
    let world = World::new().await;
    for name in ["a", "b"] {
        world.create(name, Some(name)).await.unwrap();
        world.delete(name, Some(7)).await.unwrap();
    }
    world.pass(DAY * 6);
    world.run_due().await;
    let input = keystead_wire::secretsmanager::RestoreSecretRequest {
        secret_id: "b".into(),
    };
    let restore = world.call::<keystead_wire::secretsmanager::RestoreSecret>(HOME, input);
    restore.await.unwrap();
    world.pass(DAY * 30);
    world.run_due().await;
    assert!(world.stored("a").await.is_none());
    assert_eq!(world.read("b", "AWSCURRENT").await.unwrap(), "b");
    assert_eq!(world.records().await, (1, 1, 3));
}

#[tokio::test]
async fn the_day_of_the_last_reading_is_written_down_once_a_day() {
    let world = World::new().await;
    world.create("s", Some("v")).await.unwrap();
    let before = world.app.store.version();
    accesses::write_down(&world.app).await.unwrap();
    assert_eq!(world.app.store.version(), before, "nothing was read");
    for day in 1..=2 {
        for _ in 0..3 {
            world.read("s", "AWSCURRENT").await.unwrap();
        }
        accesses::write_down(&world.app).await.unwrap();
        let secret = world.stored("s").await.unwrap();
        let read = secret.accessed_on.unwrap();
        assert_eq!(read.as_second() % 86_400, 0);
        assert!(world.app.env.now().duration_since(read) < DAY, "day {day}");
        assert_eq!(secret.versions[0].accessed_on, Some(read));
        assert_eq!(secret.changed_at, secret.created_at, "it is no change");
        let written = world.app.store.version();
        world.read("s", "AWSCURRENT").await.unwrap();
        accesses::write_down(&world.app).await.unwrap();
        assert_eq!(world.app.store.version(), written);
        assert_eq!(world.records().await.2, 3);
        world.pass(DAY);
    }
}
