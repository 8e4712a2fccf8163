//! What is not opened, with which words, and that nothing is harmed by the attempt; what is damaged,
//! and how that is told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use keystead_store::{
    Batch, Collection, Expect, OpenError, Store, StoreError, StoreOptions, Versioned,
};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

const LAMPS: Collection = Collection("test.lamps");

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Lamp {
    name: String,
}

impl Versioned for Lamp {
    const MARKER: &'static str = "test.lamp/1";
}

struct World {
    scratch: TempDir,
}

impl World {
    fn new() -> Self {
        Self {
            scratch: tempfile::tempdir().unwrap(),
        }
    }

    /// With a store in which some lamps are.
    async fn with_lamps() -> Self {
        let world = Self::new();
        let store = world.open().await.unwrap();
        let mut batch = Batch::new();
        for name in ["a", "b", "c"] {
            let lamp = Lamp {
                name: name.repeat(2000),
            };
            batch.put(LAMPS, name, &lamp, Expect::Absent);
        }
        batch.enqueue("test-work", "a", jiff::Timestamp::UNIX_EPOCH, &());
        batch.enqueue("test-work", "b", jiff::Timestamp::UNIX_EPOCH, &());
        store.commit(batch).await.unwrap();
        store.close().await;
        world
    }

    fn dir(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    async fn open(&self) -> Result<Store, OpenError> {
        Store::open(StoreOptions::new(self.dir())).await
    }

    /// Changes the file behind the store's back.
    fn tamper(&self, sql: &str) {
        let connection = Connection::open(self.file("store.db")).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    /// Names and contents of what is in the directory, without what only a running server needs.
    fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fs::read_dir(self.dir())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                name != "lock" && !name.ends_with("-shm") && !name.ends_with("-wal")
            })
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect()
    }

    /// The refusal, which changes nothing.
    async fn refusal(&self) -> OpenError {
        let before = self.contents();
        let refusal = self.open().await.map(drop).unwrap_err();
        assert_eq!(self.contents(), before, "{refusal}");
        refusal
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn files_are_for_their_owner_alone() {
    let world = World::with_lamps().await;
    let store = world.open().await.unwrap();
    let snapshot = world.file("copy.db");
    store.snapshot(&snapshot).await.unwrap();
    assert_eq!(mode(&world.dir()), 0o700);
    let mut seen = 0;
    for entry in fs::read_dir(world.dir()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        seen += 1;
    }
    assert!(
        seen >= 6,
        "store, log, index, root key, lock, snapshot: {seen}"
    );
}

#[tokio::test]
async fn no_value_is_readable_in_the_files() {
    let world = World::new();
    let store = world.open().await.unwrap();
    let mut batch = Batch::new();
    let lamp = Lamp {
        name: "NOBODY-READS-THIS".into(),
    };
    batch.put(LAMPS, "a", &lamp, Expect::Absent).enqueue(
        "test-work",
        "a",
        jiff::Timestamp::UNIX_EPOCH,
        &lamp,
    );
    store.commit(batch).await.unwrap();
    for (path, content) in world.contents() {
        let found = content.windows(6).any(|window| window == b"NOBODY");
        assert!(!found, "{}", path.display());
    }
    let log = fs::read(world.file("store.db-wal")).unwrap();
    assert!(log.len() > 4096 && !log.windows(6).any(|window| window == b"NOBODY"));
}

#[tokio::test]
async fn a_second_server_is_refused() {
    let world = World::with_lamps().await;
    let first = world.open().await.unwrap();
    let refusal = world.refusal().await;
    let pid = std::process::id();
    assert_eq!(
        refusal,
        OpenError::Locked {
            dir: world.dir(),
            pid: Some(pid)
        }
    );
    assert!(
        refusal
            .to_string()
            .contains(&format!("in use by process {pid}"))
    );
    assert!(first.get::<Lamp>(LAMPS, "a").await.unwrap().is_some());
    drop(first);
    world.open().await.unwrap();
}

#[tokio::test]
async fn a_missing_root_key_is_never_replaced() {
    let world = World::with_lamps().await;
    let key = world.file("root.key");
    let away = world.scratch.path().join("away");
    fs::rename(&key, &away).unwrap();
    let refusal = world.refusal().await;
    assert!(
        matches!(refusal, OpenError::RootKeyMissing { .. }),
        "{refusal}"
    );
    assert!(!key.exists());
    assert!(
        refusal.to_string().contains("put the root key file back"),
        "{refusal}"
    );
    fs::rename(&away, &key).unwrap();
    let store = world.open().await.unwrap();
    assert!(store.get::<Lamp>(LAMPS, "a").await.unwrap().is_some());
}

#[tokio::test]
async fn the_root_key_of_another_store_is_refused() {
    let (world, other) = (World::with_lamps().await, World::with_lamps().await);
    let own = fs::read(world.file("root.key")).unwrap();
    fs::write(
        world.file("root.key"),
        fs::read(other.file("root.key")).unwrap(),
    )
    .unwrap();
    let refusal = world.refusal().await;
    assert!(matches!(refusal, OpenError::RootKey(_)), "{refusal}");
    assert!(refusal.to_string().contains("another store"), "{refusal}");

    fs::write(world.file("root.key"), &own[..own.len() - 3]).unwrap();
    let refusal = world.refusal().await;
    assert!(matches!(refusal, OpenError::RootKey(_)), "{refusal}");

    fs::write(world.file("root.key"), &own).unwrap();
    fs::set_permissions(world.file("root.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let refusal = world.refusal().await;
    assert!(refusal.to_string().contains("chmod 600"), "{refusal}");
}

#[tokio::test]
async fn the_root_key_may_be_elsewhere() {
    let world = World::new();
    let key = world.scratch.path().join("elsewhere.key");
    let options = StoreOptions::new(world.dir()).root_key_file(&key);
    drop(Store::open(options.clone()).await.unwrap());
    assert!(key.exists() && !world.file("root.key").exists());
    drop(Store::open(options).await.unwrap());
    let refusal = world.refusal().await;
    assert!(
        matches!(refusal, OpenError::RootKeyMissing { .. }),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_file_that_is_cut_short_or_overwritten_is_refused() {
    let world = World::with_lamps().await;
    let whole = fs::read(world.file("store.db")).unwrap();
    for kept in [100, 4096, whole.len() / 2, whole.len() - 4096] {
        fs::write(world.file("store.db"), &whole[..kept]).unwrap();
        let refusal = world.refusal().await;
        assert!(
            matches!(refusal, OpenError::Corrupt(_)),
            "{kept} bytes: {refusal}"
        );
        assert!(
            refusal.to_string().contains("restore a backup"),
            "{refusal}"
        );
    }
    let mut overwritten = whole.clone();
    overwritten[..64].fill(b'x');
    fs::write(world.file("store.db"), &overwritten).unwrap();
    let refusal = world.refusal().await;
    assert!(matches!(refusal, OpenError::Corrupt(_)), "{refusal}");
}

#[tokio::test]
async fn a_log_without_its_file_is_not_thrown_away() {
    let world = World::new();
    let store = world.open().await.unwrap();
    let mut batch = Batch::new();
    batch.put(LAMPS, "a", &Lamp { name: "a".into() }, Expect::Absent);
    store.commit(batch).await.unwrap();
    let log = fs::read(world.file("store.db-wal")).unwrap();
    let file = fs::read(world.file("store.db")).unwrap();
    drop(store);
    // As a crash leaves it, but without the file.
    fs::write(world.file("store.db-wal"), &log).unwrap();
    fs::remove_file(world.file("store.db")).unwrap();
    let refusal = world.refusal().await;
    assert!(
        refusal.to_string().contains("missing or empty"),
        "{refusal}"
    );
    assert_eq!(fs::read(world.file("store.db-wal")).unwrap(), log);
    // With it, everything is there.
    fs::write(world.file("store.db"), file).unwrap();
    let store = world.open().await.unwrap();
    assert!(store.get::<Lamp>(LAMPS, "a").await.unwrap().is_some());
}

/// The first format kept a list of changes, whose last one was the newest commit.
#[tokio::test]
async fn versions_go_on_in_a_store_of_the_first_format() {
    let world = World::with_lamps().await;
    let before = world.open().await.unwrap().version();
    world.tamper(&format!(
        "CREATE TABLE change (version INTEGER, ordinal INTEGER, place TEXT, key TEXT);
         INSERT INTO change VALUES ({}, 0, 'a', 'b'), ({}, 0, 'a', 'b');
         DROP TABLE head; DELETE FROM schema_version WHERE version > 1",
        before.0 - 1,
        before.0
    ));
    assert_eq!(world.open().await.unwrap().version(), before);
}

#[tokio::test]
async fn foreign_and_newer_files_are_refused() {
    let world = World::with_lamps().await;
    world.tamper("INSERT INTO schema_version (version) VALUES (1000)");
    let refusal = world.refusal().await;
    assert!(matches!(refusal, OpenError::Format(_)), "{refusal}");
    assert!(refusal.to_string().contains("format 1000"), "{refusal}");

    let world = World::with_lamps().await;
    fs::remove_file(world.file("store.db")).unwrap();
    world.tamper("CREATE TABLE addresses (name TEXT)");
    let refusal = world.refusal().await;
    assert!(matches!(refusal, OpenError::Format(_)), "{refusal}");
    assert!(refusal.to_string().contains("another program"), "{refusal}");
}

/// Each is what somebody with the disk can do without the root key.
#[tokio::test]
async fn a_touched_value_is_noticed_and_named() {
    for touch in [
        "UPDATE record SET value = zeroblob(200) WHERE key = 'b'",
        "UPDATE record SET value = substr(value, 1, 70) WHERE key = 'b'",
        "UPDATE record SET value = cast(substr(value, 1, 60) || x'00' || substr(value, 62) AS BLOB) WHERE key = 'b'",
        "UPDATE record SET value = (SELECT value FROM record WHERE key = 'a') WHERE key = 'b'",
        "UPDATE record SET version = version + 1 WHERE key = 'b'",
        "UPDATE record SET value = x'' WHERE key = 'b'",
    ] {
        let world = World::with_lamps().await;
        world.tamper(touch);
        let store = world.open().await.unwrap();
        let altered = StoreError::Altered {
            collection: LAMPS.0.into(),
            key: "b".into(),
        };
        let error = store.get::<Lamp>(LAMPS, "b").await.unwrap_err();
        assert_eq!(error, altered, "{touch}");
        assert!(error.to_string().contains("test.lamps b"));
        let error = store.scan::<Lamp>(LAMPS, "", None, 10).await.unwrap_err();
        assert_eq!(error, altered, "{touch}");
        assert!(
            store.get::<Lamp>(LAMPS, "a").await.unwrap().is_some(),
            "the others are served"
        );
    }
}

#[tokio::test]
async fn a_flipped_byte_of_a_value_is_noticed() {
    let world = World::with_lamps().await;
    let connection = Connection::open(world.file("store.db")).unwrap();
    let value: Vec<u8> = connection
        .query_row("SELECT value FROM record WHERE key = 'b'", [], |row| {
            row.get(0)
        })
        .unwrap();
    drop(connection);
    let mut file = fs::read(world.file("store.db")).unwrap();
    let at = file
        .windows(32)
        .position(|window| window == &value[..32])
        .unwrap();
    file[at + 500] ^= 1;
    fs::write(world.file("store.db"), file).unwrap();
    let store = world.open().await.unwrap();
    let error = store.get::<Lamp>(LAMPS, "b").await.unwrap_err();
    assert!(matches!(error, StoreError::Altered { .. }), "{error}");
}

#[tokio::test]
async fn a_torn_page_is_noticed_where_it_is_read() {
    let world = World::with_lamps().await;
    let mut file = fs::read(world.file("store.db")).unwrap();
    let connection = Connection::open(world.file("store.db")).unwrap();
    let page: usize = connection
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'record_key'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    drop(connection);
    file[(page - 1) * 4096..page * 4096].fill(0x5a);
    fs::write(world.file("store.db"), file).unwrap();
    let store = world.open().await.unwrap();
    let error = store.get::<Lamp>(LAMPS, "b").await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    assert!(error.to_string().contains("test.lamps b"), "{error}");
    let mut batch = Batch::new();
    batch.put(LAMPS, "b", &Lamp { name: "b".into() }, Expect::Any);
    let error = store.commit(batch).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
}

#[tokio::test]
async fn a_touched_item_does_not_stop_the_queue() {
    let world = World::with_lamps().await;
    world.tamper("UPDATE due SET payload = zeroblob(80) WHERE id = 'a'");
    let store = world.open().await.unwrap();
    let minute = std::time::Duration::from_secs(60);
    let now = jiff::Timestamp::UNIX_EPOCH;
    let leases = store.take_due("test-work", now, minute, 10).await.unwrap();
    assert_eq!(
        leases.iter().map(|lease| lease.id()).collect::<Vec<_>>(),
        ["b"]
    );
}

#[tokio::test]
async fn a_record_of_another_kind_is_named() {
    let world = World::with_lamps().await;
    let store = world.open().await.unwrap();
    let error = store.get::<()>(LAMPS, "a").await.unwrap_err();
    assert!(matches!(error, StoreError::Decode { .. }), "{error}");
    assert!(error.to_string().contains("test.lamp/1"), "{error}");
}

#[tokio::test]
async fn a_snapshot_is_a_store() {
    let world = World::with_lamps().await;
    let store = world.open().await.unwrap();
    let snapshot = world.scratch.path().join("copy.db");
    store.snapshot(&snapshot).await.unwrap();
    let version = store.version();
    let mut batch = Batch::new();
    batch.delete(LAMPS, "a", Expect::Any);
    store.commit(batch).await.unwrap();
    let again = store.snapshot(&snapshot).await.unwrap_err();
    assert!(again.to_string().contains("exists"), "{again}");

    let restored = World::new();
    fs::create_dir(restored.dir()).unwrap();
    fs::copy(&snapshot, restored.file("store.db")).unwrap();
    fs::copy(world.file("root.key"), restored.file("root.key")).unwrap();
    let store = restored.open().await.unwrap();
    assert_eq!(store.version(), version);
    assert!(store.get::<Lamp>(LAMPS, "a").await.unwrap().is_some());
}

/// The first start may be cut short anywhere: what it leaves is completed by the next.
#[tokio::test]
async fn a_first_start_that_was_cut_short_is_completed() {
    let world = World::with_lamps().await;
    let key = fs::read(world.file("root.key")).unwrap();
    for left in ["key", "key and empty file", "key and file without tables"] {
        let world = World::new();
        fs::create_dir(world.dir()).unwrap();
        fs::write(world.file("root.key"), &key).unwrap();
        fs::set_permissions(world.file("root.key"), fs::Permissions::from_mode(0o600)).unwrap();
        if left == "key and empty file" {
            fs::write(world.file("store.db"), "").unwrap();
        } else if left == "key and file without tables" {
            let connection = Connection::open(world.file("store.db")).unwrap();
            connection
                .pragma_update(None, "journal_mode", "wal")
                .unwrap();
            assert_eq!(
                connection
                    .execute("PRAGMA user_version = 0", params![])
                    .unwrap(),
                0
            );
        }
        let store = world.open().await.unwrap();
        let mut batch = Batch::new();
        batch.put(LAMPS, "a", &Lamp { name: "a".into() }, Expect::Absent);
        store.commit(batch).await.unwrap();
        assert_eq!(fs::read(world.file("root.key")).unwrap(), key, "{left}");
    }
}
