use super::super::testing::{at, secret};
use super::*;
use crate::rotation::Failure;

const OLD: &str = "11111111-1111-1111-1111-111111111111";
const NEW: &str = "22222222-2222-2222-2222-222222222222";
const OTHER: &str = "33333333-3333-3333-3333-333333333333";

fn turn(version: &str) -> Turn {
    Turn {
        version: version.into(),
        function: Some("f".into()),
        rules: Some(RotationRules {
            after_days: Some(1),
            ..RotationRules::default()
        }),
        administrator: None,
        now: true,
    }
}

/// With a current value.
fn valued() -> Secret {
    let mut made = secret();
    made.put(OLD, None, None, at(0)).unwrap();
    made
}

fn rotating() -> Secret {
    let mut made = valued();
    assert_eq!(made.rotate(turn(NEW), at(1), 0), Ok(true));
    made
}

fn refusal(result: Result<bool>) -> ErrorKind {
    result.unwrap_err().kind
}

#[test]
fn a_rotation_announces_its_version_and_is_due_at_once() {
    let secret = rotating();
    assert_eq!(secret.labelled(PENDING).unwrap().id, NEW);
    assert_eq!(secret.rotation.due(), Some(at(1)));
    assert_eq!(secret.rotation.enabled, Some(true));
    assert!(secret.rotation.next > Some(at(1)));
}

#[test]
fn a_certificate_is_looked_at_before_the_schedule_and_more_often_near_its_end() {
    let mut secret = rotating();
    let end = at(100 * 86_400);
    secret
        .put(NEW, None, Some(&[PENDING.to_owned()]), at(2))
        .unwrap();
    secret.rotation.followed = Some(Followed::known(1, end, at(2)));
    secret.finish_rotation(at(2), 0).unwrap();
    assert_eq!(secret.rotation.due(), Some(at(2 + 3600)));
    assert!(!secret.rotation.begins(at(2 + 3600)));
    assert_eq!(
        Followed::known(1, at(8 * 600), at(0)).look_at,
        at(600),
        "an eighth of what is left"
    );
    assert_eq!(Followed::known(1, at(0), at(5)).look_at, at(65));
    // Another schedule, and perhaps another certificate.
    secret.rotate(turn(OTHER), at(9), 0).unwrap();
    assert_eq!(secret.rotation.followed, None);
    secret.rotation.followed = Some(Followed::known(1, end, at(9)));
    secret.finish_rotation(at(9), 0).unwrap();
    secret.cancel_rotation(at(10)).unwrap();
    assert_eq!(secret.rotation.due(), None);
}

#[test]
fn the_same_call_again_changes_nothing_and_another_waits() {
    let mut secret = rotating();
    let before = secret.clone();
    assert_eq!(secret.rotate(turn(NEW), at(2), 7), Ok(false));
    assert_eq!(
        secret.rotate(turn(OLD), at(2), 7),
        Ok(false),
        "that is current"
    );
    assert_eq!(
        refusal(secret.rotate(turn(OTHER), at(2), 0)),
        ErrorKind::InvalidRequest
    );
    assert_eq!(secret, before);
}

#[test]
fn what_stands_in_the_way_is_refused_and_changes_nothing() {
    let mut empty = secret();
    assert_eq!(
        refusal(empty.rotate(turn(NEW), at(1), 0)),
        ErrorKind::InvalidRequest
    );
    let mut nameless = valued();
    let none = Turn {
        function: None,
        ..turn(NEW)
    };
    assert_eq!(
        refusal(nameless.rotate(none, at(1), 0)),
        ErrorKind::InvalidRequest
    );
    let mut used = valued();
    used.put(OTHER, None, Some(&["MINE".to_owned()]), at(0))
        .unwrap();
    assert_eq!(
        refusal(used.rotate(turn(OTHER), at(1), 0)),
        ErrorKind::InvalidRequest
    );
    let mut by_hand = valued();
    by_hand
        .put(OTHER, None, Some(&[PENDING.to_owned()]), at(0))
        .unwrap();
    assert_eq!(
        refusal(by_hand.rotate(turn(NEW), at(1), 0)),
        ErrorKind::InvalidRequest
    );
    let mut odd = valued();
    let rules = Turn {
        rules: Some(RotationRules {
            schedule: Some("daily".into()),
            ..RotationRules::default()
        }),
        ..turn(NEW)
    };
    assert_eq!(
        refusal(odd.rotate(rules, at(1), 0)),
        ErrorKind::InvalidParameter
    );
    for secret in [empty, nameless, used, by_hand, odd] {
        assert_eq!((secret.rotation.enabled, secret.rotation.run), (None, None));
    }
}

#[test]
fn a_finished_rotation_moves_its_labels_together() {
    let mut secret = rotating();
    secret
        .put(NEW, None, Some(&[PENDING.to_owned()]), at(2))
        .unwrap();
    secret.finish_rotation(at(3), 0).unwrap();
    assert_eq!(secret.labelled(CURRENT).unwrap().id, NEW);
    assert_eq!(secret.labelled("AWSPREVIOUS").unwrap().id, OLD);
    assert!(secret.labelled(PENDING).is_none());
    assert_eq!(
        (&secret.rotation.run, secret.rotation.last),
        (&None, Some(at(3)))
    );
    assert_eq!(secret.rotation.due(), secret.rotation.begin);
    assert!(secret.rotation.begin < secret.rotation.next);
    // Again it changes nothing.
    let before = secret.clone();
    secret.finish_rotation(at(4), 0).unwrap();
    assert_eq!(secret, before);
}

#[test]
fn a_cancelled_rotation_ends_unless_the_server_may_have_heard_of_it() {
    let mut early = rotating();
    assert_eq!(early.cancel_rotation(at(2)), Ok(Some(NEW.into())));
    assert_eq!((early.rotation.due(), early.rotation.next), (None, None));
    assert!(early.labelled(PENDING).is_none());
    let mut late = rotating();
    late.rotation.run.as_mut().unwrap().created(at(2));
    assert_eq!(late.cancel_rotation(at(3)), Ok(Some(NEW.into())));
    assert!(late.rotation.due().is_some() && late.labelled(PENDING).is_some());
    late.finish_rotation(at(4), 0).unwrap();
    assert_eq!(
        (late.rotation.due(), late.rotation.enabled),
        (None, Some(false))
    );
    assert_eq!(late.cancel_rotation(at(5)), Ok(None), "again");
    let never = valued().cancel_rotation(at(1)).unwrap_err();
    assert_eq!(never.kind, ErrorKind::InvalidRequest);
}

#[test]
fn a_check_gives_way_to_another_call() {
    let mut secret = valued();
    let check = Turn {
        now: false,
        ..turn(NEW)
    };
    assert_eq!(secret.rotate(check, at(1), 0), Ok(true));
    assert!(secret.labelled(PENDING).is_none());
    secret
        .rotation
        .run
        .as_mut()
        .unwrap()
        .failed(Failure::LockedOut, at(1), 0);
    assert_eq!(secret.rotate(turn(OTHER), at(2), 0), Ok(true));
    assert_eq!(secret.labelled(PENDING).unwrap().id, OTHER);
}
