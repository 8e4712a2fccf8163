//! The machine over every (state, command), and its invariants over random walks.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::pca::RevocationReason;

const DAY: i64 = 24 * 60 * 60;

fn at(days: i64) -> Timestamp {
    Timestamp::from_second(days * DAY).expect("in range")
}

/// Valid from day 0 on for so many days.
fn facts(until: i64) -> Facts {
    Facts {
        serial: "01".into(),
        subject: "CN=www.example.com".into(),
        common_name: Some("www.example.com".into()),
        issuer: "Example".into(),
        dns_names: vec!["www.example.com".into()],
        not_before: at(0),
        not_after: at(until),
        key_algorithm: KeyAlgorithm::EcP256,
        signature_algorithm: "SHA256WITHECDSA".into(),
        key_usages: Vec::new(),
        extended_key_usages: Vec::new(),
        subject_name: Default::default(),
        issuer_name: Default::default(),
        other_names: Vec::new(),
    }
}

fn request(origin: Origin) -> Certificate {
    let request = Request {
        arn: "arn:aws:acm:us-east-1:000000000000:certificate/x".into(),
        names: vec!["www.example.com".into()],
        key_algorithm: KeyAlgorithm::EcP256,
        options: Options {
            transparency_logging: true,
            export: false,
        },
        tags: Default::default(),
    };
    Certificate::requested(request, origin, at(0))
}

fn private() -> Certificate {
    request(Origin::Private {
        authority: "arn:aws:acm-pca:us-east-1:000000000000:certificate-authority/y".into(),
    })
}

fn public() -> Certificate {
    request(Origin::Public {
        method: ValidationMethod::Dns,
        validation_domains: BTreeMap::new(),
    })
}

fn issued() -> Certificate {
    let mut certificate = private();
    certificate
        .issued(facts(395), "pca".into(), at(0), 0)
        .expect("a version is under way");
    certificate
}

fn exported() -> Certificate {
    let mut certificate = issued();
    assert_eq!(certificate.export(at(1)), Ok(1));
    certificate
}

fn renewing() -> Certificate {
    let mut certificate = exported();
    certificate.renew(at(1)).expect("it is eligible");
    certificate
}

fn renewing_with_key() -> Certificate {
    let mut certificate = renewing();
    certificate.key_stored(2, at(1));
    certificate
}

fn imported() -> Certificate {
    Certificate::imported("arn".into(), facts(395), Default::default(), at(0))
}

fn after(mut certificate: Certificate, change: impl FnOnce(&mut Certificate)) -> Certificate {
    change(&mut certificate);
    certificate
}

const REFUSED: Failure = Failure {
    reason: FailureReason::PcaAccessDenied,
    lasting: true,
};
const UNREACHABLE: Failure = Failure {
    reason: FailureReason::PcaRequestFailed,
    lasting: false,
};

const REASON: RevocationReason = RevocationReason::KeyCompromise;

/// Every state that can be stored, by name, all at day 1.
fn states() -> Vec<(&'static str, Certificate)> {
    vec![
        ("public pending", public()),
        (
            "public timed out",
            after(public(), |c| assert!(c.elapse(at(4)))),
        ),
        ("private pending", private()),
        (
            "private failed",
            after(private(), |c| c.refused(REFUSED, at(0), 0)),
        ),
        ("private issued", issued()),
        ("private exported", exported()),
        ("private renewing", renewing()),
        ("private renewing with key", renewing_with_key()),
        (
            "private renewing refused",
            after(renewing_with_key(), |c| c.refused(REFUSED, at(1), 0)),
        ),
        (
            "private expired",
            after(exported(), |c| assert!(c.elapse(at(400)))),
        ),
        (
            "private renewal expired",
            after(renewing_with_key(), |c| assert!(c.elapse(at(400)))),
        ),
        (
            "private revoked",
            after(renewing_with_key(), |c| {
                assert_eq!(c.revoke(REASON, "account", at(1)), Ok(()));
            }),
        ),
        ("imported", imported()),
        (
            "imported expired",
            after(imported(), |c| assert!(c.elapse(at(400)))),
        ),
    ]
}

fn kind<T>(result: Result<T, crate::Error>) -> Result<(), ErrorKind> {
    result.map(|_| ()).map_err(|error| error.kind)
}

#[test]
fn every_command_in_every_state() {
    use ErrorKind::{InvalidState, NotFound, RequestInProgress, Validation};
    const OK: Result<(), ErrorKind> = Ok(());
    // state: what is next, then renew, export, served, reimported, issued, revoke, associate
    type Row = (&'static str, Next, [Result<(), ErrorKind>; 7]);
    let table: [Row; 14] = [
        (
            "public pending",
            Next::Wait,
            [
                Err(RequestInProgress),
                Err(Validation),
                Err(RequestInProgress),
                Err(Validation),
                Err(InvalidState),
                Err(Validation),
                OK,
            ],
        ),
        (
            "public timed out",
            Next::Wait,
            [
                Err(Validation),
                Err(Validation),
                Err(NotFound),
                Err(Validation),
                Err(InvalidState),
                Err(Validation),
                OK,
            ],
        ),
        (
            "private pending",
            Next::Issue { version: 1 },
            [
                Err(RequestInProgress),
                Err(RequestInProgress),
                Err(RequestInProgress),
                Err(Validation),
                OK,
                Err(Validation),
                OK,
            ],
        ),
        (
            "private failed",
            Next::Wait,
            [
                Err(Validation),
                Err(NotFound),
                Err(NotFound),
                Err(Validation),
                Err(InvalidState),
                Err(Validation),
                OK,
            ],
        ),
        (
            "private issued",
            Next::Wait,
            [
                Err(Validation),
                OK,
                OK,
                Err(Validation),
                Err(InvalidState),
                Err(Validation),
                OK,
            ],
        ),
        (
            "private exported",
            Next::Wait,
            [OK, OK, OK, Err(Validation), Err(InvalidState), OK, OK],
        ),
        (
            "private renewing",
            Next::MakeKey { version: 2 },
            [OK, OK, OK, Err(Validation), Err(InvalidState), OK, OK],
        ),
        (
            "private renewing with key",
            Next::Issue { version: 2 },
            [OK, OK, OK, Err(Validation), OK, OK, OK],
        ),
        (
            "private renewing refused",
            Next::Wait,
            [OK, OK, OK, Err(Validation), OK, OK, OK],
        ),
        (
            "private expired",
            Next::Wait,
            [
                Err(Validation),
                OK,
                OK,
                Err(Validation),
                Err(InvalidState),
                OK,
                OK,
            ],
        ),
        (
            "private renewal expired",
            Next::Wait,
            [
                Err(Validation),
                OK,
                OK,
                Err(Validation),
                Err(InvalidState),
                OK,
                OK,
            ],
        ),
        (
            "private revoked",
            Next::Wait,
            [
                Err(Validation),
                Err(Validation),
                OK,
                Err(Validation),
                Err(InvalidState),
                Err(Validation),
                Err(InvalidState),
            ],
        ),
        (
            "imported",
            Next::Wait,
            [
                Err(Validation),
                Err(Validation),
                OK,
                OK,
                Err(InvalidState),
                Err(Validation),
                OK,
            ],
        ),
        (
            "imported expired",
            Next::Wait,
            [
                Err(Validation),
                Err(Validation),
                OK,
                OK,
                Err(InvalidState),
                Err(Validation),
                OK,
            ],
        ),
    ];
    let states = states();
    assert_eq!(states.len(), table.len(), "a row for every state");
    for ((name, state), (row, next, expected)) in states.into_iter().zip(table) {
        assert_eq!(name, row);
        assert_eq!(state.next(at(1)), next, "{name}: next");
        let copy = || state.clone();
        let found = [
            kind(copy().renew(at(1))),
            kind(copy().export(at(1))),
            kind(copy().served(at(1))),
            kind(copy().reimported(facts(500), at(1))),
            kind(copy().issued(facts(500), "pca".into(), at(1), 0)),
            kind(copy().revoke(REASON, "account", at(1))),
            kind(copy().associate()),
        ];
        assert_eq!(
            found, expected,
            "{name}: renew, export, served, reimported, issued, revoke, associate"
        );
    }
}

#[test]
fn a_refused_command_changes_nothing() {
    let commands: [fn(&mut Certificate) -> bool; 7] = [
        |c| c.renew(at(1)).is_err(),
        |c| c.export(at(1)).is_err(),
        |c| c.reimported(facts(500), at(1)).is_err(),
        |c| c.issued(facts(500), "pca".into(), at(1), 0).is_err(),
        |c| c.revoke(REASON, "account", at(1)).is_err(),
        |c| c.associate().is_err(),
        |c| !c.elapse(at(1)),
    ];
    for (name, state) in states() {
        for (number, refused) in commands.iter().enumerate() {
            let mut copy = state.clone();
            if refused(&mut copy) {
                assert_eq!(copy, state, "{name}, command {number}");
            }
        }
    }
}

#[test]
fn a_public_request_times_out_after_72_hours_and_not_before() {
    let certificate = public();
    let end = schedule::after(at(0), SignedDuration::from_hours(72));
    assert_eq!(certificate.wake(), Some(end));
    let just_before = schedule::after(end, SignedDuration::from_secs(-1));
    assert_eq!(certificate.status(just_before), Status::PendingValidation);
    assert_eq!(certificate.next(just_before), Next::Wait);
    assert_eq!(certificate.status(end), Status::ValidationTimedOut);
    assert_eq!(certificate.next(end), Next::Elapse);
    let ended = after(certificate, |c| assert!(c.elapse(end)));
    assert_eq!((ended.state, ended.wake()), (State::TimedOut, None));
}

#[test]
fn a_first_request_fails_at_once_when_only_its_owner_can_help() {
    let failed = after(private(), |c| c.refused(REFUSED, at(0), 0));
    assert_eq!(failed.state, State::Failed(FailureReason::PcaAccessDenied));
    assert_eq!((failed.stored_versions(), failed.wake()), (vec![], None));
}

#[test]
fn a_first_request_is_retried_while_the_authority_cannot_be_reached_and_fails_in_the_end() {
    let mut certificate = private();
    let mut now = at(0);
    for _ in 0..100 {
        certificate.refused(UNREACHABLE, now, 0);
        let Some(wake) = certificate.wake() else {
            break;
        };
        assert_eq!(certificate.status(now), Status::PendingValidation);
        assert!(wake > now);
        now = wake;
    }
    assert_eq!(
        certificate.state,
        State::Failed(FailureReason::PcaRequestFailed)
    );
    let waited = now.duration_since(at(0));
    assert!(
        waited >= schedule::ISSUANCE_WINDOW && waited < schedule::ISSUANCE_WINDOW * 2,
        "{waited:?}"
    );
}

#[test]
fn eligibility_follows_awss_acceptance_tests() {
    // Issued, exported, renewed: the sequence of Terraform's tests against the service.
    let mut certificate = issued();
    assert_eq!(
        certificate.eligibility(at(1)),
        Err(Ineligible::NeitherUsedNorExported)
    );
    assert_eq!(certificate.renewal_summary(), None);
    assert_eq!(certificate.export(at(1)), Ok(1));
    assert_eq!(certificate.eligibility(at(1)), Ok(()));
    assert_eq!(certificate.renewal_summary(), None);
    certificate.renew(at(1)).expect("eligible");
    let pending = certificate.renewal_summary().expect("a renewal");
    assert_eq!(
        (pending.status, pending.reason),
        (RenewalStatus::PendingAutoRenewal, None)
    );
    certificate.key_stored(2, at(1));
    certificate.refused(REFUSED, at(1), 0);
    let refused = certificate.renewal_summary().expect("a renewal");
    assert_eq!(refused.status, RenewalStatus::PendingAutoRenewal);
    assert_eq!(refused.reason, Some(FailureReason::PcaAccessDenied));
    assert_eq!(certificate.status(at(1)), Status::Issued);
    assert_eq!(certificate.eligibility(at(1)), Ok(()));
    certificate
        .issued(facts(500), "pca".into(), at(2), 0)
        .expect("under way");
    let done = certificate.renewal_summary().expect("a renewal");
    assert_eq!(
        (done.status, done.reason, done.updated_at),
        (RenewalStatus::Success, None, at(2))
    );
    assert_eq!(
        certificate.eligibility(at(2)),
        Err(Ineligible::NeitherUsedNorExported)
    );
}

#[test]
fn renewal_begins_when_due_for_what_is_used_and_for_nothing_else() {
    let due = at(335);
    let idle = issued();
    assert_eq!(
        idle.wake(),
        Some(schedule::after(at(395), SignedDuration::from_secs(1)))
    );
    assert_eq!(idle.next(due), Next::Wait);
    let mut used = issued();
    used.uses = 1;
    assert_eq!(used.wake(), Some(due));
    assert_eq!(
        used.next(schedule::after(due, SignedDuration::from_secs(-1))),
        Next::Wait
    );
    assert_eq!(used.next(due), Next::MakeKey { version: 2 });
    used.key_stored(2, due);
    assert_eq!(used.next(due), Next::Issue { version: 2 });
    assert_eq!(used.stored_versions(), [1, 2]);
    used.issued(facts(730), "pca".into(), due, 0)
        .expect("under way");
    assert_eq!(
        used.current.as_ref().map(|current| current.version),
        Some(2)
    );
    assert_eq!(
        (used.previous, used.stored_versions()),
        (Some(1), vec![1, 2])
    );
    assert_eq!(used.wake(), Some(at(670)));
}

#[test]
fn what_is_not_what_was_asked_for_is_never_served() {
    let mut certificate = renewing_with_key();
    certificate.rejected(at(1), 0);
    let attempt = certificate.attempt.as_ref().expect("it goes on");
    assert_eq!(
        (attempt.version, attempt.reason),
        (None, Some(FailureReason::Other))
    );
    let retry = attempt.retry_at;
    assert_eq!(certificate.next(retry), Next::MakeKey { version: 3 });
    assert_eq!(
        certificate.current.as_ref().map(|current| current.version),
        Some(1)
    );
}

#[test]
fn expiry_ends_a_renewal_and_says_why() {
    let mut certificate = renewing_with_key();
    certificate.refused(REFUSED, at(1), 0);
    let end = schedule::after(at(395), SignedDuration::from_secs(1));
    assert_eq!(certificate.status(at(395)), Status::Issued);
    assert_eq!(certificate.status(end), Status::Expired);
    assert_eq!(certificate.next(end), Next::Elapse);
    assert!(certificate.elapse(end));
    let summary = certificate.renewal_summary().expect("a renewal");
    assert_eq!(summary.status, RenewalStatus::Failed);
    assert_eq!(summary.reason, Some(FailureReason::PcaAccessDenied));
    assert_eq!(
        (certificate.wake(), certificate.stored_versions()),
        (None, vec![1])
    );
}

#[test]
fn deletion_waits_for_the_last_use() {
    let mut certificate = issued();
    assert_eq!(certificate.may_be_deleted("000000000000"), Ok(()));
    certificate.uses = 1;
    assert_eq!(
        kind(certificate.may_be_deleted("000000000000")),
        Err(ErrorKind::ResourceInUse)
    );
}

#[derive(Clone, Debug)]
enum Event {
    Pass(i64),
    Succeed,
    Refuse(bool),
    Reject,
    Renew,
    Export,
    Use(bool),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (0..50 * DAY).prop_map(Event::Pass),
        Just(Event::Succeed),
        any::<bool>().prop_map(Event::Refuse),
        Just(Event::Reject),
        Just(Event::Renew),
        Just(Event::Export),
        any::<bool>().prop_map(Event::Use),
    ];
    proptest::collection::vec(event, 0..60)
}

proptest! {
    /// Whatever happens: versions only grow and are never used twice, a served certificate never
    /// disappears or becomes an older one, and something that isn't over always has a next time.
    #[test]
    fn invariants_hold_on_every_walk(events in events()) {
        let mut certificate = private();
        let mut now = at(0);
        let mut issued_versions = Vec::new();
        for event in events {
            let before = certificate.clone();
            match event {
                Event::Pass(secs) => now = schedule::after(now, SignedDuration::from_secs(secs)),
                Event::Export => { let _ = certificate.export(now); }
                Event::Use(more) => certificate.uses = u32::from(more),
                Event::Renew => { let _ = certificate.renew(now); }
                Event::Succeed | Event::Refuse(_) | Event::Reject => match certificate.next(now) {
                    Next::Wait => {}
                    Next::Elapse => prop_assert!(certificate.elapse(now)),
                    Next::MakeKey { version } => {
                        prop_assert!(version > before.last_version);
                        certificate.key_stored(version, now);
                    }
                    Next::Issue { version } => match event {
                        Event::Succeed => {
                            let mut fresh = facts(0);
                            fresh.not_before = now;
                            fresh.not_after = schedule::after(now, SignedDuration::from_hours(395 * 24));
                            prop_assert!(certificate.issued(fresh, "pca".into(), now, 7).is_ok());
                            prop_assert!(!issued_versions.contains(&version));
                            issued_versions.push(version);
                        }
                        Event::Refuse(lasting) => {
                            let reason = FailureReason::PcaInvalidState;
                            certificate.refused(Failure { reason, lasting }, now, 7);
                        }
                        _ => certificate.rejected(now, 7),
                    },
                },
            }
            prop_assert!(certificate.last_version >= before.last_version);
            let version = |c: &Certificate| c.current.as_ref().map(|current| current.version);
            prop_assert!(version(&certificate) >= version(&before));
            prop_assert!(certificate.stored_versions().len() <= 3);
            let live = matches!(certificate.state, State::Pending | State::Issued);
            prop_assert_eq!(certificate.wake().is_some(), live);
            if certificate.next(now) != Next::Wait {
                prop_assert!(certificate.wake().is_some_and(|wake| wake <= now));
            }
        }
    }
}

/// A certificate with this many seconds to live from `from` on.
fn lasting(from: Timestamp, secs: i64) -> Facts {
    Facts {
        not_before: from,
        not_after: schedule::after(from, SignedDuration::from_secs(secs)),
        ..facts(395)
    }
}

proptest! {
    #[test]
    fn what_is_used_never_ends_whatever_its_life(
        life in prop_oneof![Just(6 * 60 * 60), Just(395 * DAY), 60 * 60..400 * DAY],
        refusals in 0_u32..5,
        random in any::<u64>(),
    ) {
        let mut certificate = private();
        certificate.issued(lasting(at(0), life), "pca".into(), at(0), random).expect("under way");
        certificate.associate().expect("it is issued");
        let (mut renewals, mut refused) = (0, 0);
        while renewals < 5 {
            let now = certificate.wake().expect("there is always a next time");
            prop_assert_eq!(certificate.status(now), Status::Issued);
            match certificate.next(now) {
                Next::MakeKey { version } => certificate.key_stored(version, now),
                Next::Issue { .. } if refused < refusals => {
                    certificate.refused(REFUSED, now, random);
                    refused += 1;
                }
                Next::Issue { .. } => {
                    certificate.issued(lasting(now, life), "pca".into(), now, random).expect("under way");
                    (renewals, refused) = (renewals + 1, 0);
                }
                other => prop_assert!(false, "{:?} at {}", other, now),
            }
        }
        let expected = RenewalStatus::Success;
        prop_assert_eq!(certificate.renewal_summary().map(|renewal| renewal.status), Some(expected));
    }
}

#[test]
fn another_authority_that_issues_takes_the_certificate_over() {
    let mut certificate = issued();
    assert_eq!(certificate.reissue("new", at(1)), Ok(()), "used or not");
    assert_eq!(certificate.next(at(1)), Next::MakeKey { version: 2 });
    assert_eq!(certificate.asked_authority(), Some("new"));
    let before = certificate.origin.clone();
    certificate.key_stored(2, at(1));
    certificate.refused(REFUSED, at(1), 0);
    assert_eq!(certificate.origin, before, "not yet");
    certificate
        .issued(facts(400), "pca".into(), at(2), 0)
        .expect("under way");
    let authority = "new".to_owned();
    assert_eq!(certificate.origin, Origin::Private { authority });
    for (name, state) in states() {
        let may =
            matches!(state.origin, Origin::Private { .. }) && state.status(at(1)) == Status::Issued;
        let mut copy = state.clone();
        assert_eq!(copy.reissue("new", at(1)).is_ok(), may, "{name}");
        assert!(may || copy == state, "{name}");
    }
}
