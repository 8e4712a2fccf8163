//! The order of a roll-over, over every phase and what may be asked in it.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::{AccountId, ErrorKind, Region};

const START: Timestamp = Timestamp::UNIX_EPOCH;

fn new(pairs: &[(&str, &str)]) -> NewRollOver {
    NewRollOver {
        id: "1".into(),
        account: AccountId::parse("123456789012").unwrap(),
        region: Region::parse("us-east-1").unwrap(),
        replacements: pairs
            .iter()
            .map(|(old, new)| Replacement {
                old: (*old).into(),
                new: (*new).into(),
            })
            .collect(),
        automatic: false,
        settle_seconds: 60,
    }
}

fn started() -> RollOver {
    RollOver::start(new(&[("old", "new"), ("old-issuer", "new-issuer")]), START).unwrap()
}

/// Looks at everything of the phase once, and finds nothing amiss.
fn all_well(roll_over: &mut RollOver, now: Timestamp) {
    roll_over.verdict = None;
    while roll_over.verdict.is_none() {
        assert!(roll_over.stage().is_some());
        roll_over.looked(Page::default(), now);
    }
}

fn in_phase(phase: Phase) -> RollOver {
    let mut roll_over = started();
    roll_over.phase = phase;
    roll_over
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

#[test]
fn a_plan_names_each_authority_once() {
    for bad in [
        &[][..],
        &[("a", "a")],
        &[("a", "b"), ("b", "c")],
        &[("a", "b"), ("c", "b")],
        &[("a", "b"); 9],
    ] {
        let refused = RollOver::start(new(bad), START).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Validation, "{bad:?}");
    }
    let endless = NewRollOver {
        settle_seconds: -1,
        ..new(&[("a", "b")])
    };
    assert!(RollOver::start(endless, START).is_err());
}

#[test]
fn phases_follow_one_another_and_nothing_else() {
    let mut roll_over = started();
    let mut seen = vec![roll_over.phase];
    while !roll_over.is_over() {
        let late = at(100);
        assert!(roll_over.advance(late).is_err(), "nobody has looked yet");
        all_well(&mut roll_over, late);
        roll_over.advance(late).unwrap();
        seen.push(roll_over.phase);
    }
    use Phase::*;
    assert_eq!(seen, [Distributing, Issuing, Retiring, Done]);
    assert_eq!(
        roll_over.advance(at(100)).unwrap_err().kind,
        ErrorKind::InvalidState
    );
}

/// For each phase: what `advance` leads to when all is well, and what `abort` leads to.
#[test]
fn every_phase_and_command() {
    use Phase::*;
    let table = [
        (Distributing, Some(Issuing), Some(Aborted)),
        (Issuing, Some(Retiring), Some(Returning)),
        (Retiring, Some(Done), None),
        (Done, None, None),
        (Returning, Some(Aborted), Some(Returning)),
        (Aborted, None, None),
    ];
    assert_eq!(table.map(|(phase, ..)| phase).len(), Phase::ALL.len());
    for (phase, advanced, aborted) in table {
        let mut roll_over = in_phase(phase);
        if !roll_over.is_over() {
            all_well(&mut roll_over, at(100));
        }
        let reached = roll_over.advance(at(100)).ok().map(|()| roll_over.phase);
        assert_eq!(reached, advanced, "{phase:?}");
        let mut roll_over = in_phase(phase);
        let reached = roll_over.abort(at(100)).ok().map(|()| roll_over.phase);
        assert_eq!(reached, aborted, "{phase:?}");
    }
}

#[test]
fn what_is_missing_keeps_a_phase_from_its_end() {
    for phase in [Phase::Distributing, Phase::Issuing, Phase::Returning] {
        let mut roll_over = in_phase(phase);
        let missing = Page {
            open: 2,
            example: Some("the node a is behind".into()),
            ..Page::default()
        };
        while roll_over.verdict.is_none() {
            roll_over.looked(missing.clone(), at(100));
        }
        let refused = roll_over.advance(at(100)).unwrap_err();
        assert!(
            refused.message.contains("the node a is behind (one of"),
            "{refused}"
        );
        all_well(&mut roll_over, at(101));
        roll_over.advance(at(101)).unwrap();
    }
}

#[test]
fn nothing_is_issued_while_somebody_does_not_trust_it() {
    let mut roll_over = in_phase(Phase::Issuing);
    assert_eq!(roll_over.stage(), Some(Stage::Trust));
    let missing = Page {
        open: 1,
        example: Some("a".into()),
        ..Page::default()
    };
    roll_over.looked(missing, at(1));
    assert_eq!(roll_over.stage(), Some(Stage::Trust), "from the beginning");
    assert_eq!(
        roll_over.verdict.as_ref().map(|verdict| verdict.open),
        Some(1)
    );
}

#[test]
fn the_trust_lies_out_for_its_time() {
    let mut roll_over = started();
    all_well(&mut roll_over, at(10));
    let refused = roll_over.advance(at(59)).unwrap_err();
    assert!(refused.message.contains("must lie out until"), "{refused}");
    roll_over.advance(at(60)).unwrap();
}

#[test]
fn an_old_verdict_ends_nothing() {
    let mut roll_over = started();
    all_well(&mut roll_over, at(10));
    let refused = roll_over.advance(at(10 + 3 * 3600)).unwrap_err();
    assert!(refused.message.contains("too old"), "{refused}");
}

#[test]
fn trust_in_the_old_outlives_its_last_certificate() {
    let mut roll_over = in_phase(Phase::Retiring);
    let leaf = |key: &str, not_after| {
        Some(Leaf {
            key: key.into(),
            not_after,
        })
    };
    roll_over.looked(Page::default(), at(100));
    assert_eq!(roll_over.stage(), Some(Stage::Leaves));
    let page = |leaf, next: Option<&str>| Page {
        leaf,
        next: next.map(Into::into),
        ..Page::default()
    };
    roll_over.looked(page(leaf("a", 5000), Some("a")), at(100));
    assert_eq!(roll_over.pass.cursor.as_deref(), Some("a"));
    roll_over.looked(page(leaf("b", 9000), None), at(100));
    assert_eq!(roll_over.replacement().unwrap().old, "old-issuer");
    roll_over.looked(page(leaf("c", 7000), None), at(100));
    let refused = roll_over.advance(at(101)).unwrap_err();
    assert!(
        refused
            .message
            .contains("valid until 1970-01-01T02:30:00Z: b"),
        "{refused}"
    );
    roll_over.look_again();
    assert!(
        roll_over.advance(at(9001)).is_err(),
        "it is looked at again first"
    );
    all_well(&mut roll_over, at(101));
    roll_over.advance(at(101)).unwrap();
    assert_eq!(roll_over.phase, Phase::Done);
}

#[test]
fn who_is_trusted_as_whom() {
    for phase in Phase::ALL {
        let roll_over = in_phase(phase);
        let (old, new) = (roll_over.trusted_as("old"), roll_over.trusted_as("new"));
        let expected: (&[&str], &[&str]) = match phase {
            Phase::Done => (&["new"], &["new"]),
            Phase::Aborted => (&["old"], &["new"]),
            _ => (&["old", "new"], &["new", "old"]),
        };
        assert_eq!(
            (old.as_slice(), new.as_slice()),
            (
                &expected
                    .0
                    .iter()
                    .map(|s| (*s).to_owned())
                    .collect::<Vec<_>>()[..],
                &expected
                    .1
                    .iter()
                    .map(|s| (*s).to_owned())
                    .collect::<Vec<_>>()[..]
            ),
            "{phase:?}"
        );
        assert_eq!(roll_over.trusted_as("other"), ["other"]);
    }
}

#[test]
fn certificates_move_only_while_they_should() {
    for phase in Phase::ALL {
        let roll_over = in_phase(phase);
        let expected = match phase {
            Phase::Issuing | Phase::Retiring => (Some("new"), None),
            Phase::Returning => (None, Some("old")),
            _ => (None, None),
        };
        assert_eq!(
            (roll_over.moves_to("old"), roll_over.moves_to("new")),
            expected,
            "{phase:?}"
        );
    }
}

#[test]
fn there_is_a_next_time_until_it_is_over() {
    for phase in Phase::ALL {
        let mut roll_over = in_phase(phase);
        let over = matches!(phase, Phase::Done | Phase::Aborted);
        assert_eq!(roll_over.wake(at(5)), (!over).then(|| at(5)), "{phase:?}");
        if !over {
            all_well(&mut roll_over, at(5));
            let wake = roll_over.wake(at(5)).unwrap();
            assert!(wake > at(5) && wake.duration_since(at(5)) <= SignedDuration::from_mins(60));
        }
    }
}
