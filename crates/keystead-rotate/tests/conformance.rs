//! What every rotator promises, at real servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says why and stops"
)]

use std::time::{Duration, Instant};

use keystead_core::rotation::{Change, Deed, Engine, Heard, Job, Login, Place, Rotator, Wanted};
use keystead_rotate::{Options, Rotators};
use keystead_testkit::{ADMINISTRATOR_PASSWORD, Database, DatabaseKind};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// A server with a user `app`, who may read a table `notes`.
struct World {
    database: Database,
    engine: Engine,
    rotators: Rotators,
}

const FIRST: &str = "the-first-Password-1";
const SECOND: &str = "the-second-Password-2";
const THIRD: &str = "the-third-Password-3";

impl World {
    fn new(kind: DatabaseKind) -> Self {
        let database = Database::start(kind);
        let engine = match kind {
            DatabaseKind::MariaDb => Engine::MySql,
            DatabaseKind::PostgreSql => Engine::PostgreSql,
            DatabaseKind::Redis => Engine::Redis,
        };
        match engine {
            Engine::MySql => database.run(&format!(
                "CREATE DATABASE shop; CREATE TABLE shop.notes (text VARCHAR(9)); INSERT INTO shop.notes VALUES ('hello');
                 CREATE ROLE reader; GRANT SELECT ON shop.notes TO reader;
                 CREATE USER app@'%' IDENTIFIED BY '{FIRST}'; CREATE USER app@'127.0.0.1' IDENTIFIED BY '{FIRST}';
                 GRANT reader TO app@'%'; SET DEFAULT ROLE reader FOR app@'%';
                 GRANT SELECT ON shop.* TO app@'127.0.0.1'"
            )),
            Engine::PostgreSql => database.run(&format!(
                "CREATE TABLE notes (text VARCHAR(9)); INSERT INTO notes VALUES ('hello');
                 CREATE ROLE app LOGIN PASSWORD '{FIRST}'; GRANT SELECT ON notes TO app;
                 GRANT CREATE ON SCHEMA public TO app"
            )),
            Engine::Redis => database.run(&format!("ACL SETUSER app on >{FIRST} ~* +@all")),
        };
        let authorities = CertificateDer::pem_file_iter(database.authority()).unwrap();
        let rotators = Rotators::new(Options {
            authorities: authorities.map(Result::unwrap).collect(),
            ..Options::default()
        });
        Self {
            database,
            engine,
            rotators,
        }
    }

    fn administrator(&self) -> Login {
        login(self.database.administrator(), ADMINISTRATOR_PASSWORD)
    }

    async fn visit(&self, deed: Deed) -> Heard {
        let place = Place {
            host: "127.0.0.1".into(),
            port: Some(self.database.port()),
            ..Place::default()
        };
        self.visit_at(place, deed).await
    }

    async fn visit_at(&self, place: Place, deed: Deed) -> Heard {
        let rotator = Rotator::User(self.engine);
        let job = Job {
            rotator,
            place,
            deed,
        };
        self.rotators.visit(&job).await
    }

    async fn tries(&self, user: &str, password: &str) -> Change {
        self.visit(Deed::Try(login(user, password))).await.outcome
    }

    async fn sets(&self, by: Login, user: &str, password: &str, like: Option<&str>) -> Heard {
        self.visit(Deed::Set(Wanted {
            by: Some(by),
            login: login(user, password),
            like: like.map(Into::into),
            keep: None,
        }))
        .await
    }

    /// The table's text, read as this user.
    fn reads(&self, user: &str, password: &str) -> Result<String, String> {
        let statement = match self.engine {
            Engine::MySql => "SELECT text FROM shop.notes",
            Engine::PostgreSql => "SELECT text FROM notes",
            Engine::Redis => "PING hello",
        };
        self.database.ask_as(user, password, statement)
    }
}

fn login(user: &str, password: &str) -> Login {
    Login {
        user: user.into(),
        password: password.to_owned().into(),
    }
}

async fn a_login_works_or_is_refused(world: &World) {
    assert_eq!(world.tries("app", FIRST).await, Change::Done);
    assert_eq!(world.tries("app", SECOND).await, Change::NotPermitted);
    assert_eq!(world.tries("app", "").await, Change::NotPermitted);
    assert_eq!(world.tries("nobody", FIRST).await, Change::NotPermitted);
}

async fn a_user_changes_his_own_password(world: &World) {
    let heard = world.sets(login("app", SECOND), "app", THIRD, None).await;
    assert_eq!(
        heard.outcome,
        Change::NotPermitted,
        "with a wrong one, nothing"
    );
    assert_eq!(
        world.sets(login("app", FIRST), "app", SECOND, None).await,
        Heard::done()
    );
    assert_eq!(world.tries("app", SECOND).await, Change::Done);
    assert_eq!(world.tries("app", FIRST).await, Change::NotPermitted);
    assert_eq!(
        world.sets(login("app", SECOND), "app", SECOND, None).await,
        Heard::done(),
        "again"
    );
    assert_eq!(world.reads("app", SECOND).as_deref(), Ok("hello"));
}

async fn an_administrator_changes_a_users_password(world: &World) {
    let administrator = world.administrator();
    assert_eq!(
        world.sets(administrator.clone(), "app", FIRST, None).await,
        Heard::done()
    );
    assert_eq!(world.tries("app", FIRST).await, Change::Done);
    assert_eq!(world.tries("app", SECOND).await, Change::NotPermitted);
    let wrong = login(&administrator.user, SECOND);
    assert_eq!(
        world.sets(wrong, "app", THIRD, None).await.outcome,
        Change::NotPermitted
    );
    assert_eq!(world.tries("app", FIRST).await, Change::Done);
}

async fn a_name_is_a_name_whatever_is_in_it(world: &World) {
    let name = r#"o'hara"`\; --"#;
    match world.engine {
        Engine::MySql => world.database.run(&format!(
            r#"CREATE USER 'o''hara"`\\; --'@'%' IDENTIFIED BY '{FIRST}'"#
        )),
        Engine::PostgreSql => world.database.run(&format!(
            r#"CREATE ROLE "o'hara""`\; --" LOGIN PASSWORD '{FIRST}'"#
        )),
        // It allows no space in a name.
        Engine::Redis => return,
    };
    assert_eq!(world.tries(name, FIRST).await, Change::Done);
    assert_eq!(
        world.sets(login(name, FIRST), name, SECOND, None).await,
        Heard::done()
    );
    assert_eq!(
        world.sets(world.administrator(), name, THIRD, None).await,
        Heard::done()
    );
    assert_eq!(world.tries(name, THIRD).await, Change::Done);
    let clone = format!("{name}_clone");
    assert_eq!(
        world
            .sets(world.administrator(), &clone, SECOND, Some(name))
            .await,
        Heard::done()
    );
    assert_eq!(world.tries(&clone, SECOND).await, Change::Done);
    assert_eq!(
        world.tries("app", FIRST).await,
        Change::Done,
        "nobody else is touched"
    );
}

async fn two_users_take_turns_with_the_same_rights(world: &World) {
    let administrator = || world.administrator();
    let lonely = world.sets(administrator(), "app_clone", SECOND, None).await;
    assert_eq!(
        lonely.outcome,
        Change::NotPermitted,
        "without a first one there is no second"
    );
    let made = world
        .sets(administrator(), "app_clone", SECOND, Some("app"))
        .await;
    assert_eq!(made, Heard::done());
    assert_eq!(
        world.tries("app", FIRST).await,
        Change::Done,
        "the first is not touched"
    );
    assert_eq!(world.reads("app_clone", SECOND).as_deref(), Ok("hello"));
    assert_eq!(
        world
            .sets(administrator(), "app_clone", SECOND, Some("app"))
            .await,
        Heard::done(),
        "again"
    );
    // And back, and forth once more, with what has been granted since.
    assert_eq!(
        world
            .sets(administrator(), "app", THIRD, Some("app_clone"))
            .await,
        Heard::done()
    );
    assert_eq!(world.reads("app", THIRD).as_deref(), Ok("hello"));
    assert_eq!(world.reads("app_clone", SECOND).as_deref(), Ok("hello"));
    let (grant, write) = match world.engine {
        Engine::MySql => (
            "GRANT INSERT ON shop.* TO app@'%', app@'127.0.0.1'",
            "INSERT INTO shop.notes VALUES ('x')",
        ),
        _ => (
            "GRANT INSERT ON notes TO app",
            "INSERT INTO notes VALUES ('x')",
        ),
    };
    world.database.run(grant);
    assert_eq!(
        world
            .sets(administrator(), "app_clone", FIRST, Some("app"))
            .await,
        Heard::done()
    );
    world
        .database
        .ask_as("app_clone", FIRST, write)
        .expect("it may write now");
}

async fn what_a_second_postgresql_user_makes_is_the_firsts(world: &World) {
    world
        .database
        .ask_as("app_clone", FIRST, "CREATE TABLE made (n INT)")
        .expect("it may");
    let owner = world
        .database
        .run("SELECT tableowner FROM pg_tables WHERE tablename = 'made'");
    assert_eq!(owner, "app");
    world
        .database
        .ask_as("app", THIRD, "DROP TABLE made")
        .expect("it is his");
    // Acting as the first, the second still changes its own password.
    let own = world
        .sets(login("app_clone", FIRST), "app_clone", SECOND, None)
        .await;
    assert_eq!(own, Heard::done());
    assert_eq!(world.tries("app_clone", SECOND).await, Change::Done);
    assert_eq!(world.tries("app", THIRD).await, Change::Done);
}

async fn tls_is_verified_for_the_hosts_name(world: &World) {
    let place = |host: &str, tls| Place {
        host: host.into(),
        port: Some(world.database.tls_port()),
        tls,
        ..Place::default()
    };
    let administrator = || Deed::Try(world.administrator());
    let heard = world
        .visit_at(place("localhost", Some(true)), administrator())
        .await;
    assert_eq!(heard, Heard::done());
    let wrong = world
        .visit_at(place("127.0.0.1", Some(true)), administrator())
        .await;
    assert_eq!(
        wrong.outcome,
        Change::Unreachable,
        "a certificate for another name"
    );
    let stranger = Rotators::default();
    let job = Job {
        rotator: Rotator::User(world.engine),
        place: place("localhost", Some(true)),
        deed: administrator(),
    };
    let heard = stranger.visit(&job).await;
    assert_eq!(heard.outcome, Change::Unreachable, "an unknown authority");
    assert!(!heard.cause.contains(ADMINISTRATOR_PASSWORD));
}

async fn a_dead_server_was_not_changed(world: &mut World) {
    world.database.kill();
    assert_eq!(world.tries("app", FIRST).await, Change::Unreachable);
    let heard = world.sets(world.administrator(), "app", FIRST, None).await;
    assert_eq!(heard.outcome, Change::Unreachable);
    world.database.resume();
    assert_eq!(
        world.visit(Deed::Try(world.administrator())).await,
        Heard::done()
    );
}

async fn a_silent_server_is_given_up(world: &World) {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place {
        host: "127.0.0.1".into(),
        port: Some(silent.local_addr().unwrap().port()),
        ..Place::default()
    };
    let begun = Instant::now();
    let heard = world.visit_at(place, Deed::Try(login("app", FIRST))).await;
    assert_eq!(heard.outcome, Change::Unreachable);
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_conforms() {
    let mut world = World::new(DatabaseKind::MariaDb);
    a_login_works_or_is_refused(&world).await;
    a_user_changes_his_own_password(&world).await;
    an_administrator_changes_a_users_password(&world).await;
    a_name_is_a_name_whatever_is_in_it(&world).await;
    two_users_take_turns_with_the_same_rights(&world).await;
    let weak = world.sets(world.administrator(), "app", "abc", None).await;
    assert_eq!(weak.outcome, Change::Rejected);
    let weak = world.sets(login("app", THIRD), "app", "abc", None).await;
    assert_eq!(weak.outcome, Change::Rejected);
    assert_eq!(world.tries("app", THIRD).await, Change::Done);
    tls_is_verified_for_the_hosts_name(&world).await;
    a_silent_server_is_given_up(&world).await;
    a_dead_server_was_not_changed(&mut world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_conforms() {
    let mut world = World::new(DatabaseKind::PostgreSql);
    a_login_works_or_is_refused(&world).await;
    a_user_changes_his_own_password(&world).await;
    an_administrator_changes_a_users_password(&world).await;
    a_name_is_a_name_whatever_is_in_it(&world).await;
    two_users_take_turns_with_the_same_rights(&world).await;
    what_a_second_postgresql_user_makes_is_the_firsts(&world).await;
    let weak = world.sets(world.administrator(), "app", "app", None).await;
    assert_eq!(weak.outcome, Change::Rejected, "{}", weak.cause);
    assert_eq!(world.tries("app", THIRD).await, Change::Done);
    let elsewhere = Place {
        host: "127.0.0.1".into(),
        port: Some(world.database.port()),
        database: Some("nowhere".into()),
        tls: None,
    };
    let heard = world
        .visit_at(elsewhere, Deed::Try(login("app", THIRD)))
        .await;
    assert_eq!(heard, Heard::done(), "it is the password that is asked for");
    tls_is_verified_for_the_hosts_name(&world).await;
    a_silent_server_is_given_up(&world).await;
    a_dead_server_was_not_changed(&mut world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_conforms() {
    let mut world = World::new(DatabaseKind::Redis);
    a_login_works_or_is_refused(&world).await;
    a_user_changes_his_own_password(&world).await;
    an_administrator_changes_a_users_password(&world).await;
    tls_is_verified_for_the_hosts_name(&world).await;
    a_silent_server_is_given_up(&world).await;
    a_dead_server_was_not_changed(&mut world).await;
    // The password in use goes on working, and a restart forgets neither.
    let set = Deed::Set(Wanted {
        by: Some(login("app", FIRST)),
        login: login("app", THIRD),
        like: None,
        keep: Some(FIRST.to_owned().into()),
    });
    assert_eq!(world.visit(set).await, Heard::done());
    for _ in 0..2 {
        assert_eq!(world.tries("app", FIRST).await, Change::Done);
        assert_eq!(world.tries("app", THIRD).await, Change::Done);
        assert_eq!(world.tries("app", SECOND).await, Change::NotPermitted);
        world.database.kill();
        world.database.resume();
    }
}
