use super::super::testing::{at, secret};
use super::*;

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";
const C: &str = "33333333-3333-4333-8333-333333333333";

fn put(secret: &mut Secret, id: &str, labels: Option<&[&str]>) {
    let labels = labels.map(|labels| {
        labels
            .iter()
            .map(|one| (*one).to_owned())
            .collect::<Vec<_>>()
    });
    secret.put(id, None, labels.as_deref(), at(1)).unwrap();
}

fn labels<'a>(secret: &'a Secret, id: &str) -> Vec<&'a str> {
    let version = secret.version(id).unwrap();
    version.labels.iter().map(String::as_str).collect()
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind
}

#[test]
fn current_goes_on_and_leaves_previous_behind() {
    let mut secret = secret();
    put(&mut secret, A, None);
    assert_eq!(labels(&secret, A), [CURRENT]);
    put(&mut secret, B, None);
    assert_eq!(labels(&secret, A), [PREVIOUS]);
    assert_eq!(labels(&secret, B), [CURRENT]);
    put(&mut secret, C, None);
    assert!(labels(&secret, A).is_empty());
    assert_eq!(labels(&secret, B), [PREVIOUS]);
    assert_eq!(labels(&secret, C), [CURRENT]);
    // And back: the two change places.
    secret.relabel(CURRENT, Some(C), Some(B), at(2)).unwrap();
    assert_eq!(labels(&secret, B), [CURRENT]);
    assert_eq!(labels(&secret, C), [PREVIOUS]);
}

#[test]
fn the_first_version_is_current_whatever_it_is_called() {
    let mut secret = secret();
    put(&mut secret, A, Some(&[PENDING]));
    assert_eq!(labels(&secret, A), [PENDING, CURRENT]);
    put(&mut secret, B, Some(&["x", PENDING]));
    assert_eq!(labels(&secret, A), [CURRENT]);
    assert_eq!(labels(&secret, B), ["x", PENDING]);
}

#[test]
fn a_rotation_announces_its_version_and_fills_it_later() {
    let mut secret = secret();
    put(&mut secret, A, None);
    secret.announce(B, at(2)).unwrap();
    assert_eq!(labels(&secret, B), [PENDING]);
    let pending = Select {
        label: Some(PENDING),
        ..Select::default()
    };
    assert_eq!(kind(secret.select(pending)), ErrorKind::NotFound);
    assert_eq!(secret.putting(B), Put::New);
    put(&mut secret, B, Some(&[PENDING]));
    assert_eq!(secret.select(pending).unwrap().id, B);
    assert_eq!(secret.putting(B), Put::There);
    secret.relabel(CURRENT, Some(A), Some(B), at(3)).unwrap();
    assert_eq!(labels(&secret, B), [PENDING, CURRENT]);
    secret.relabel(PENDING, Some(B), None, at(4)).unwrap();
    assert_eq!(labels(&secret, B), [CURRENT]);
}

#[test]
fn versions_are_found_by_id_and_label() {
    let mut secret = secret();
    put(&mut secret, A, None);
    put(&mut secret, B, None);
    let select = |id, label| {
        secret
            .select(Select { id, label })
            .map(|version| version.id.as_str())
    };
    assert_eq!(select(None, None), Ok(B));
    assert_eq!(select(Some(A), None), Ok(A));
    assert_eq!(select(None, Some(PREVIOUS)), Ok(A));
    assert_eq!(select(Some(A), Some(PREVIOUS)), Ok(A));
    assert_eq!(
        kind(select(Some(A), Some(CURRENT))),
        ErrorKind::InvalidRequest
    );
    assert_eq!(
        select(Some(C), None).unwrap_err().message,
        format!("Secrets Manager can't find the specified secret value for VersionId: {C}")
    );
    assert_eq!(
        select(None, Some("x")).unwrap_err().message,
        "Secrets Manager can't find the specified secret value for staging label: x"
    );
}

#[test]
fn a_label_is_moved_by_who_knows_where_it_is() {
    for (label, from, to, expected) in [
        (CURRENT, Some(B), Some(A), Ok(())),
        ("new", None, Some(A), Ok(())),
        (PREVIOUS, Some(A), None, Ok(())),
        (CURRENT, None, Some(B), Ok(())),
        ("new", None, None, Err(ErrorKind::InvalidParameter)),
        (CURRENT, None, Some(A), Err(ErrorKind::InvalidParameter)),
        (CURRENT, Some(A), Some(B), Err(ErrorKind::InvalidParameter)),
        (CURRENT, Some(B), None, Err(ErrorKind::InvalidParameter)),
        ("new", Some(A), None, Err(ErrorKind::InvalidParameter)),
        ("new", None, Some(C), Err(ErrorKind::NotFound)),
        (CURRENT, Some(C), Some(A), Err(ErrorKind::NotFound)),
    ] {
        let mut secret = secret();
        put(&mut secret, A, None);
        put(&mut secret, B, None);
        let before = secret.clone();
        let outcome = secret.relabel(label, from, to, at(9));
        assert_eq!(
            outcome.map_err(|error| error.kind),
            expected,
            "{label} {from:?} {to:?}"
        );
        if expected.is_err() {
            assert_eq!(secret, before);
        }
    }
}

#[test]
fn a_secret_has_twenty_labels_and_no_more() {
    let mut secret = secret();
    let most: Vec<String> = (1..MAX_LABELS).map(|number| format!("l{number}")).collect();
    secret.put(A, None, Some(&most), at(1)).unwrap();
    assert_eq!(secret.version(A).unwrap().labels.len(), MAX_LABELS);
    let before = secret.clone();
    assert_eq!(
        kind(secret.put(B, None, Some(&["x".into()]), at(2))),
        ErrorKind::LimitExceeded
    );
    // AWSPREVIOUS would be the twenty-first.
    assert_eq!(
        kind(secret.put(B, None, None, at(2))),
        ErrorKind::LimitExceeded
    );
    assert_eq!(secret, before);
    put(&mut secret, B, Some(&["l1"]));
    let twice = ["l1".to_owned(), "l1".to_owned()];
    assert_eq!(
        kind(secret.put(C, None, Some(&twice), at(2))),
        ErrorKind::InvalidParameter
    );
}

#[test]
fn old_versions_without_labels_go_beyond_a_hundred() {
    let day = 24 * 60 * 60;
    let mut secret = secret();
    for number in 0..110_i64 {
        let labels = (number == 3).then(|| vec!["kept".to_owned(), CURRENT.to_owned()]);
        let id = format!("{number:032}");
        secret
            .put(&id, None, labels.as_deref(), at(number))
            .unwrap();
    }
    // Nothing is older than a day yet.
    assert!(secret.prune(at(day)).is_empty());
    assert_eq!(secret.versions.len(), 110);
    // Only those of the first five seconds are; the fourth has a label.
    let dropped = secret.prune(at(day + 5));
    let expected: Vec<_> = [0, 1, 2, 4]
        .map(|number: i64| format!("{number:032}"))
        .into();
    assert_eq!(dropped, expected);
    let dropped = secret.prune(at(2 * day));
    assert_eq!(dropped.len(), 6);
    assert_eq!(secret.versions.len(), USUAL_VERSIONS);
    assert!(secret.prune(at(9 * day)).is_empty());
}

#[test]
fn a_version_without_label_and_value_goes_at_once() {
    let mut secret = secret();
    put(&mut secret, A, None);
    secret.announce(B, at(2)).unwrap();
    assert!(secret.prune(at(2)).is_empty());
    assert!(secret.version(B).is_some());
    secret.relabel(PENDING, Some(B), None, at(3)).unwrap();
    assert!(secret.prune(at(3)).is_empty());
    assert!(secret.version(B).is_none());
}

#[test]
fn a_secret_has_a_limit_of_versions() {
    let mut secret = secret();
    for number in 0..MAX_VERSIONS {
        secret.versions.push(Version {
            id: format!("{number:032}"),
            created_at: at(0),
            labels: Vec::new(),
            kms_key: None,
            has_value: true,
            accessed_on: None,
        });
    }
    assert_eq!(
        kind(secret.put(A, None, None, at(1))),
        ErrorKind::LimitExceeded
    );
}
