use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn failed(why: &str) -> Seen {
    Seen::Failed(why.into())
}

fn looked(look: Look) -> Seen {
    Seen::Looked(look)
}

/// Gives the machine what it sees, and asserts what it does.
fn drive(machine: &mut Machine, course: Vec<(Seen, Step)>) {
    for (place, (seen, expected)) in course.into_iter().enumerate() {
        let step = machine.next(seen.clone(), at(0));
        let rests = matches!((step, expected), (Step::Rest { .. }, Step::Rest { .. }));
        assert!(
            rests || step == expected,
            "{place}: after {seen:?}: {step:?}"
        );
    }
}

const REST: Step = Step::Rest {
    until: Timestamp::MAX,
};

fn started() -> (Seen, Step) {
    (Seen::Started(Disk::AsKept), Step::Look)
}

#[test]
fn a_new_version_goes_all_the_way() {
    let mut machine = Machine::new(1.0);
    drive(
        &mut machine,
        vec![
            started(),
            (looked(Look::New(Old::Whole)), Step::Write),
            (Seen::Done, Step::Test),
            (Seen::Done, Step::Reload),
            (Seen::Done, Step::Prove),
            (Seen::Done, Step::Keep),
            (Seen::Done, REST),
            (Seen::Told, Step::Look),
            (looked(Look::Unchanged), Step::Prove),
            (Seen::Done, REST),
        ],
    );
    assert_eq!(machine.trouble(), None);
}

#[test]
fn what_fails_is_taken_back_as_far_as_it_came() {
    for (done, then) in [
        // Nothing has loaded it: what is served is looked at, and that is all.
        (0, vec![Step::PutBack, Step::Prove]),
        (1, vec![Step::PutBack, Step::Prove]),
        (
            2,
            vec![Step::PutBack, Step::Test, Step::Reload, Step::Prove],
        ),
        (
            3,
            vec![Step::PutBack, Step::Test, Step::Reload, Step::Prove],
        ),
    ] {
        let mut machine = Machine::new(1.0);
        machine.next(Seen::Started(Disk::AsKept), at(0));
        machine.next(looked(Look::New(Old::Whole)), at(0));
        for _ in 0..done {
            machine.next(Seen::Done, at(0));
        }
        let mut seen = failed("why");
        for step in then {
            assert_eq!(machine.next(seen, at(0)), step, "after {done}");
            seen = Seen::Done;
        }
        assert_eq!(machine.next(Seen::Done, at(0)), Step::Rest { until: at(1) });
        assert_eq!(machine.trouble(), Some("why"));
    }
}

#[test]
fn what_could_not_be_written_has_changed_nothing() {
    let mut machine = Machine::new(1.0);
    drive(
        &mut machine,
        vec![
            started(),
            (looked(Look::New(Old::Whole)), Step::Write),
            (Seen::Refused("the disk is full".into()), REST),
            (Seen::Rested, REST),
        ],
    );
    assert_eq!(machine.trouble(), Some("the disk is full"));
}

#[test]
fn without_an_old_one_what_passed_its_checks_stays() {
    let mut machine = Machine::new(1.0);
    drive(
        &mut machine,
        vec![
            started(),
            (looked(Look::New(Old::None)), Step::Write),
            (Seen::Done, Step::Test),
            (failed("no configuration yet"), REST),
            (Seen::Told, Step::Look),
            (looked(Look::Unproven(Old::None)), Step::Test),
            (Seen::Done, Step::Reload),
        ],
    );
    assert_eq!(machine.trouble(), Some("no configuration yet"));
}

#[test]
fn what_cannot_be_put_back_is_told_with_why_it_had_to_be() {
    let mut machine = Machine::new(1.0);
    drive(
        &mut machine,
        vec![
            started(),
            (looked(Look::New(Old::Whole)), Step::Write),
            (Seen::Done, Step::Test),
            (Seen::Done, Step::Reload),
            (failed("hangs"), Step::PutBack),
            (Seen::Done, Step::Test),
            (Seen::Done, Step::Reload),
            (failed("hangs again"), Step::Prove),
            (Seen::Done, REST),
        ],
    );
    assert_eq!(
        machine.trouble(),
        Some("hangs; what was there before could not be put back: hangs again")
    );
    drive(
        &mut machine,
        vec![
            (Seen::Told, Step::Look),
            (
                looked(Look::Nothing {
                    why: "server away".into(),
                    intact: false,
                }),
                Step::PutBack,
            ),
            (failed("read-only"), REST),
        ],
    );
    let told = machine.trouble().unwrap();
    assert!(
        told.contains("server away") && told.ends_with("read-only"),
        "{told}"
    );
}

#[test]
fn an_agent_that_was_killed_goes_on_or_back() {
    let mut machine = Machine::new(1.0);
    drive(
        &mut machine,
        vec![
            (Seen::Started(Disk::AsBegun), Step::Test),
            (Seen::Done, Step::Reload),
            (Seen::Done, Step::Prove),
            (Seen::Done, Step::Keep),
        ],
    );
    let mut machine = Machine::new(1.0);
    drive(
        &mut machine,
        vec![
            (Seen::Started(Disk::Other), Step::PutBack),
            (Seen::Done, Step::Test),
            (Seen::Done, Step::Reload),
            (Seen::Done, Step::Prove),
            (Seen::Done, Step::Look),
        ],
    );
}

#[test]
fn a_port_that_went_back_by_itself_is_reloaded_once() {
    let mut machine = Machine::new(1.0);
    drive(
        &mut machine,
        vec![
            started(),
            (looked(Look::Unchanged), Step::Prove),
            (failed("serves another"), Step::Test),
            (Seen::Done, Step::Reload),
            (Seen::Done, Step::Prove),
            (failed("serves another"), REST),
        ],
    );
    assert_eq!(machine.trouble(), Some("serves another"));
}

#[test]
fn retries_come_more_seldom_and_before_the_end() {
    let mut machine = Machine::new(1.0);
    let nothing = || {
        looked(Look::Nothing {
            why: "away".into(),
            intact: true,
        })
    };
    let mut now = at(0);
    machine.next(Seen::Started(Disk::AsKept), now);
    let mut pauses = Vec::new();
    for _ in 0..14 {
        let Step::Rest { until } = machine.next(nothing(), now) else {
            panic!("no rest");
        };
        pauses.push(until.duration_since(now).as_secs());
        now = until;
        assert_eq!(machine.next(Seen::Rested, now), Step::Look);
    }
    assert_eq!(pauses[..4], [1, 2, 4, 8]);
    assert_eq!(pauses[12..], [3600, 3600]);
    for (left, most) in [(8_000, 1_000), (800, 100), (20, 10), (0, 10), (-5, 10)] {
        machine.ends(Some(later(now, SignedDuration::from_secs(left))));
        let Step::Rest { until } = machine.next(nothing(), now) else {
            panic!("no rest");
        };
        assert_eq!(until.duration_since(now).as_secs(), most, "{left} s left");
        now = until;
        assert_eq!(machine.next(Seen::Rested, now), Step::Look);
    }
}

fn seen() -> impl Strategy<Value = Seen> {
    prop_oneof![
        3 => Just(Seen::Done),
        2 => Just(Seen::Failed("why".into())),
        1 => Just(Seen::Told),
        1 => Just(Seen::Rested),
    ]
}

fn look() -> impl Strategy<Value = Look> {
    prop_oneof![
        Just(Look::Unchanged),
        Just(Look::Unproven(Old::Whole)),
        Just(Look::Unproven(Old::None)),
        Just(Look::New(Old::Whole)),
        Just(Look::New(Old::None)),
        any::<bool>().prop_map(|intact| Look::Nothing {
            why: "why".into(),
            intact
        }),
    ]
}

proptest! {
    /// Whatever happens, in whatever order.
    #[test]
    fn only_what_was_looked_at_and_proven_is_kept(
        course in proptest::collection::vec((seen(), look(), 0_i64..30), 1..200),
        disk in prop_oneof![Just(Disk::AsKept), Just(Disk::AsBegun), Just(Disk::Other)],
    ) {
        let mut machine = Machine::new(1.0);
        let mut clock = 0;
        let mut steps = vec![(machine.next(Seen::Started(disk), at(0)), at(0))];
        let mut had_old = disk == Disk::AsBegun;
        for (outside, found, passed) in course {
            clock += passed;
            let now = at(clock);
            let (last, _) = steps[steps.len() - 1];
            let seen = match (last, outside) {
                (Step::Look, _) => {
                    had_old = matches!(found, Look::New(Old::Whole) | Look::Unproven(Old::Whole));
                    Seen::Looked(found)
                }
                (Step::Rest { .. }, Seen::Done | Seen::Failed(_)) => Seen::Rested,
                (Step::Rest { .. }, outside) => outside,
                (_, Seen::Failed(why)) => Seen::Failed(why),
                _ => Seen::Done,
            };
            let failed = matches!(seen, Seen::Failed(_));
            let was_looked_at = matches!(seen, Seen::Looked(Look::New(_)));
            let step = machine.next(seen, now);
            match step {
                Step::Write => prop_assert!(last == Step::Look && was_looked_at),
                Step::Keep => prop_assert!(last == Step::Prove && !failed),
                // A set that was written in vain does not stay where there was one before.
                Step::Rest { .. } if failed && had_old => {
                    prop_assert!(!matches!(last, Step::Write | Step::Test | Step::Reload));
                }
                Step::Look => {
                    let minute = steps.iter().filter(|(step, at)| {
                        *step == Step::Look && later(*at, MINUTE) > now
                    });
                    prop_assert!(minute.count() < MOST_LOOKS);
                }
                _ => {}
            }
            if let Step::Rest { until } = step {
                prop_assert!(until <= later(now, LONGEST));
            }
            steps.push((step, now));
        }
    }
}
