//! Rotations of a server that is played, where everything fails once: every commit, every visit. At every moment some label
//! logs in; in the end AWSCURRENT does, nothing is pending, and nobody had to help.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use keystead_core::rotation::{Change, Credential, Deed, Heard, Job, Rotator};
use keystead_store::faults::Failure;
use keystead_wire::secretsmanager as wire;
use parking_lot::Mutex;

use crate::outbound::Rotators;
use crate::secrets::tests::world::{BOTH, HOME, Refusal, WHILE, World, token};

/// What goes wrong at a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nobody is there.
    Down,
    /// The connection ends before the server has heard anything.
    CutBefore,
    /// It ends after the server has done it.
    CutAfter,
    /// The server does not like this password.
    Rejects,
}

const FAULTS: [Fault; 4] = [
    Fault::Down,
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::Rejects,
];

/// A server with users and their passwords.
#[derive(Default)]
struct Server {
    users: BTreeMap<String, String>,
    visits: usize,
    /// Which visit goes wrong, and how.
    fault: Option<(usize, Fault)>,
}

impl Server {
    fn takes(&self, user: &str, password: &str) -> bool {
        self.users.get(user).is_some_and(|known| known == password)
    }

    fn visit(&mut self, job: &Job) -> Heard {
        self.visits += 1;
        let fault = self.fault.filter(|(nth, _)| *nth == self.visits);
        let fault = fault.map(|(_, fault)| fault);
        let sets = matches!(job.deed, Deed::Set(_));
        let silent = if sets {
            Change::Unknown
        } else {
            Change::Unreachable
        };
        match fault {
            Some(Fault::Down) => return Heard::new(Change::Unreachable, "down"),
            Some(Fault::CutBefore) => return Heard::new(silent, "cut"),
            Some(Fault::Rejects) if sets => return Heard::new(Change::Rejected, "rejected"),
            _ => {}
        }
        let outcome = self.carry_out(job);
        match fault {
            Some(Fault::CutAfter) => Heard::new(silent, "cut"),
            _ => Heard::new(outcome, "said by the server"),
        }
    }

    fn carry_out(&mut self, job: &Job) -> Change {
        match &job.deed {
            Deed::Try(login) if self.takes(&login.user, &login.password) => Change::Done,
            Deed::Try(_) => Change::NotPermitted,
            Deed::Set(wanted) => {
                let by = wanted.by.as_ref().expect("a user or an administrator");
                let user = &wanted.login.user;
                let own = by.user == *user || by.user == "root";
                let there = self.users.contains_key(user) || wanted.like.is_some();
                if !own || !there || !self.takes(&by.user, &by.password) {
                    return Change::NotPermitted;
                }
                self.users
                    .insert(user.clone(), wanted.login.password.to_string());
                Change::Done
            }
        }
    }
}

struct Scene {
    world: World,
    server: Arc<Mutex<Server>>,
}

const SINGLE: &str = "mariadb";
const ALTERNATING: &str = "mariadb-alternating";
const DAY: SignedDuration = SignedDuration::from_hours(24);

impl Scene {
    async fn new() -> Self {
        let server = Arc::new(Mutex::new(Server::default()));
        server.lock().users.insert("root".into(), "root-1".into());
        let visited = Arc::clone(&server);
        let rotators = Rotators {
            visit: Arc::new(move |job| {
                let heard = visited.lock().visit(&job);
                Box::pin(async { heard })
            }),
            knows: Arc::new(|rotator| !matches!(rotator, Rotator::Command(_))),
        };
        let world = World::with(rotators).await;
        let administrator =
            r#"{"engine":"mariadb","host":"db","username":"root","password":"root-1"}"#;
        world.create("root", Some(administrator)).await.unwrap();
        Self { world, server }
    }

    /// A secret of a user of the server.
    async fn user(&self, name: &str) {
        self.server.lock().users.insert(name.into(), "first".into());
        let administrator = self.world.stored("root").await.unwrap().arn();
        let value = format!(
            r#"{{"engine":"mariadb","host":"db","username":"{name}","password":"first","masterarn":"{administrator}"}}"#
        );
        self.world.create(name, Some(&value)).await.unwrap();
    }

    async fn rotate(
        &self,
        name: &str,
        with: &str,
        at: &str,
    ) -> Result<wire::RotateSecretResponse, Refusal> {
        let mut input = wire::RotateSecretRequest {
            secret_id: name.into(),
            client_request_token: Some(token(at)),
            rotation_lambda_arn: None,
            rotation_rules: None,
            external_secret_rotation_metadata: None,
            external_secret_rotation_role_arn: None,
            rotate_immediately: None,
        };
        if !with.is_empty() {
            input.rotation_lambda_arn = Some(format!(
                "arn:aws:lambda:{HOME}:123456789012:function:keystead-rotate-{with}"
            ));
            input.rotation_rules = Some(wire::RotationRulesType {
                automatically_after_days: Some(10),
                duration: None,
                schedule_expression: None,
            });
        }
        self.world.call::<wire::RotateSecret>(HOME, input).await
    }

    /// Whether the version with this label logs in.
    async fn logs_in(&self, name: &str, label: &str) -> bool {
        let Ok(text) = self.world.read(name, label).await else {
            return false;
        };
        let read = Credential::parse(&text, None).unwrap();
        self.server.lock().takes(&read.username, &read.password)
    }

    async fn some_label_logs_in(&self, name: &str) {
        for label in ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"] {
            if self.logs_in(name, label).await {
                return;
            }
        }
        panic!("no label of {name} logs in");
    }

    /// Lets time pass until the rotation under way has ended.
    async fn settle(&self, name: &str) {
        for _ in 0..40 {
            self.world.run_due().await;
            self.some_label_logs_in(name).await;
            if self
                .world
                .stored(name)
                .await
                .unwrap()
                .rotation
                .run
                .is_none()
            {
                return;
            }
            self.world.pass(WHILE);
        }
        panic!(
            "a rotation ends: {:?}",
            self.world.stored(name).await.unwrap().rotation
        );
    }

    async fn assert_rotated(&self, name: &str, at: &str) {
        let secret = self.world.stored(name).await.unwrap();
        let current = secret.labelled("AWSCURRENT").unwrap();
        assert_eq!(current.id, token(at));
        assert!(secret.labelled("AWSPENDING").is_none());
        assert!(secret.labelled("AWSPREVIOUS").is_some());
        assert_eq!(secret.rotation.last, Some(self.world.app.env.now()));
        assert!(secret.rotation.next > secret.rotation.last);
        assert!(self.logs_in(name, "AWSCURRENT").await);
    }
}

#[tokio::test]
async fn a_rotation_changes_the_password_and_plans_the_next() {
    let scene = Scene::new().await;
    for with in [SINGLE, ALTERNATING] {
        scene.user(with).await;
        let begun = scene.rotate(with, with, "one").await.unwrap();
        assert_eq!(begun.version_id, Some(token("one")));
        let secret = scene.world.stored(with).await.unwrap();
        let pending = secret.labelled("AWSPENDING").unwrap();
        assert!(!pending.has_value && pending.id == token("one"));
        // The same call again is the same rotation; another one waits its turn.
        scene.rotate(with, with, "one").await.unwrap();
        let other = scene.rotate(with, "", "two").await.unwrap_err();
        assert_eq!(other.0, "InvalidRequestException");
        assert!(other.1.starts_with("A previous rotation isn't complete"));
        scene.settle(with).await;
        scene.assert_rotated(with, "one").await;
        scene.rotate(with, with, "one").await.unwrap();
        assert!(
            scene
                .world
                .stored(with)
                .await
                .unwrap()
                .rotation
                .run
                .is_none()
        );
        assert_eq!(
            scene.logs_in(with, "AWSPREVIOUS").await,
            with == ALTERNATING
        );
    }
}

#[tokio::test]
async fn rotations_come_with_their_days() {
    let scene = Scene::new().await;
    scene.user("app").await;
    scene.rotate("app", SINGLE, "one").await.unwrap();
    scene.settle("app").await;
    for _ in 0..3 {
        let before = scene.world.read("app", "AWSCURRENT").await.unwrap();
        scene.world.pass(DAY * 9);
        scene.world.run_due().await;
        assert_eq!(scene.world.read("app", "AWSCURRENT").await.unwrap(), before);
        // The window opens at midnight, and the rotation is within its first hour.
        scene.world.pass(DAY * 2);
        scene.settle("app").await;
        assert_eq!(
            scene.world.read("app", "AWSPREVIOUS").await.unwrap(),
            before
        );
        assert!(scene.logs_in("app", "AWSCURRENT").await);
    }
}

#[tokio::test]
async fn whatever_commit_fails_the_rotation_comes_to_its_end() {
    let scene = Scene::new().await;
    for with in [SINGLE, ALTERNATING] {
        for failure in BOTH {
            for nth in 1.. {
                let name = format!("{failure:?}-{}-{nth}", with.len());
                let new = format!("new-{name}");
                scene.user(&name).await;
                scene.rotate(&name, with, &new).await.unwrap();
                let store = &scene.world.app.store;
                store.fail_commit(nth, failure);
                scene.world.run_due().await;
                let failed = !store.is_to_fail();
                store.fail_commit(0, failure);
                scene.some_label_logs_in(&name).await;
                scene.settle(&name).await;
                scene.assert_rotated(&name, &new).await;
                if !failed {
                    assert!(nth > 3, "there is something that can fail: {nth}");
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn whatever_visit_goes_wrong_the_rotation_comes_to_its_end() {
    let scene = Scene::new().await;
    for with in [SINGLE, ALTERNATING] {
        for fault in FAULTS {
            for nth in 1.. {
                let name = format!("{fault:?}-{}-{nth}", with.len());
                let new = format!("new-{name}");
                scene.user(&name).await;
                scene.rotate(&name, with, &new).await.unwrap();
                {
                    let mut server = scene.server.lock();
                    server.visits = 0;
                    server.fault = Some((nth, fault));
                }
                scene.settle(&name).await;
                scene.assert_rotated(&name, &new).await;
                if scene.server.lock().visits < nth {
                    assert!(nth > 3, "there is something that can go wrong: {nth}");
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_visit_and_a_commit_that_fail_together_do_no_harm() {
    let scene = Scene::new().await;
    for fault in FAULTS {
        for visit in 1..=5 {
            for nth in 1..=5 {
                let name = format!("{fault:?}-{visit}-{nth}");
                let new = format!("new-{name}");
                scene.user(&name).await;
                scene.rotate(&name, SINGLE, &new).await.unwrap();
                {
                    let mut server = scene.server.lock();
                    server.visits = 0;
                    server.fault = Some((visit, fault));
                }
                scene.world.app.store.fail_commit(nth, Failure::Refused);
                scene.world.run_due().await;
                scene.world.app.store.fail_commit(0, Failure::Refused);
                scene.some_label_logs_in(&name).await;
                scene.settle(&name).await;
                scene.assert_rotated(&name, &new).await;
            }
        }
    }
}

#[tokio::test]
async fn a_restored_server_is_found_on_the_previous_password() {
    let scene = Scene::new().await;
    scene.user("app").await;
    scene.rotate("app", SINGLE, "one").await.unwrap();
    scene.settle("app").await;
    scene
        .server
        .lock()
        .users
        .insert("app".into(), "first".into());
    scene.rotate("app", "", "two").await.unwrap();
    scene.settle("app").await;
    scene.assert_rotated("app", "two").await;
}

#[tokio::test]
async fn nobody_logs_in_at_another_server_and_nobody_lends_an_administrator() {
    let scene = Scene::new().await;
    scene.user("app").await;
    scene.rotate("app", ALTERNATING, "one").await.unwrap();
    scene.settle("app").await;
    let administrator = scene.world.stored("root").await.unwrap().arn();
    let elsewhere = format!(
        r#"{{"engine":"mariadb","host":"evil","username":"app","password":"x","masterarn":"{administrator}"}}"#
    );
    scene.world.put("app", &elsewhere).await.unwrap();
    scene.server.lock().visits = 0;
    scene.rotate("app", "", "two").await.unwrap();
    for _ in 0..5 {
        scene.world.run_due().await;
        scene.world.pass(WHILE);
    }
    assert_eq!(
        scene.server.lock().visits,
        0,
        "the administrator's password goes nowhere else"
    );
    let waiting = scene
        .world
        .stored("app")
        .await
        .unwrap()
        .rotation
        .run
        .unwrap();
    assert!(waiting.tries > 3 && waiting.failure.is_some());
    // Put right by hand, it goes on.
    let right = elsewhere.replace("evil", "db");
    scene.world.put("app", &right).await.unwrap();
    scene.world.pass(WHILE);
    scene.settle("app").await;
    assert!(scene.logs_in("app", "AWSCURRENT").await);
}

#[tokio::test]
async fn a_check_changes_nothing_and_a_cancelled_rotation_ends() {
    let scene = Scene::new().await;
    scene.user("app").await;
    let mut input = wire::RotateSecretRequest {
        secret_id: "app".into(),
        client_request_token: Some(token("one")),
        rotation_lambda_arn: Some(format!(
            "arn:aws:lambda:{HOME}:123456789012:function:keystead-rotate-mariadb"
        )),
        rotation_rules: None,
        external_secret_rotation_metadata: None,
        external_secret_rotation_role_arn: None,
        rotate_immediately: Some(false),
    };
    scene
        .world
        .call::<wire::RotateSecret>(HOME, input.clone())
        .await
        .unwrap();
    scene.settle("app").await;
    let secret = scene.world.stored("app").await.unwrap();
    assert_eq!(
        (secret.versions.len(), secret.rotation.enabled),
        (1, Some(true))
    );
    assert_eq!(secret.rotation.last, None);
    // Nothing has reached the server yet: it ends at once.
    input.rotate_immediately = None;
    scene.server.lock().fault = None;
    scene
        .world
        .call::<wire::RotateSecret>(HOME, input)
        .await
        .unwrap();
    let cancel = wire::CancelRotateSecretRequest {
        secret_id: "app".into(),
    };
    let cancelled = scene
        .world
        .call::<wire::CancelRotateSecret>(HOME, cancel)
        .await
        .unwrap();
    assert_eq!(cancelled.version_id, Some(token("one")));
    let secret = scene.world.stored("app").await.unwrap();
    assert_eq!(
        (secret.rotation.enabled, secret.rotation.run.is_none()),
        (Some(false), true)
    );
    assert!(secret.labelled("AWSPENDING").is_none());
    scene.world.pass(DAY * 30);
    scene.world.run_due().await;
    assert!(scene.logs_in("app", "AWSCURRENT").await);
    assert_eq!(scene.world.stored("app").await.unwrap().versions.len(), 1);
}

#[tokio::test]
async fn what_can_not_be_rotated_is_refused() {
    let scene = Scene::new().await;
    scene.user("app").await;
    let none = scene.rotate("app", "", "one").await.unwrap_err();
    assert_eq!(none.0, "InvalidRequestException");
    assert!(none.1.contains("No Lambda rotation function ARN"));
    for unknown in ["oracle", "command-x", ""] {
        let mut input = wire::RotateSecretRequest {
            secret_id: "app".into(),
            client_request_token: Some(token("one")),
            rotation_lambda_arn: Some(format!(
                "arn:aws:lambda:{HOME}:123456789012:function:keystead-rotate-{unknown}"
            )),
            rotation_rules: None,
            external_secret_rotation_metadata: None,
            external_secret_rotation_role_arn: None,
            rotate_immediately: None,
        };
        let refused = scene
            .world
            .call::<wire::RotateSecret>(HOME, input.clone())
            .await;
        assert_eq!(refused.unwrap_err().0, "AccessDeniedException", "{unknown}");
        input.rotation_lambda_arn =
            Some("arn:aws:lambda:eu-west-1:123456789012:function:keystead-rotate-mariadb".into());
        let refused = scene.world.call::<wire::RotateSecret>(HOME, input).await;
        assert_eq!(refused.unwrap_err().0, "AccessDeniedException");
    }
    scene.world.create("empty", None).await.unwrap();
    let empty = scene.rotate("empty", SINGLE, "one").await.unwrap_err();
    assert_eq!(empty.0, "InvalidRequestException");
    scene.world.delete("app", Some(7)).await.unwrap();
    let gone = scene.rotate("app", SINGLE, "one").await.unwrap_err();
    assert_eq!(gone.0, "InvalidRequestException");
}
