//! The machine over every pair of state and observation, and against servers that do what servers do while everything dies.

use jiff::{SignedDuration, Timestamp};

use super::machine::{Change, Label, Move, Seen, Sight, With, next};
use super::rotator::Authority;
use super::run::{CANDIDATES_AT_ONCE, Failure, Phase, Run, SETTLES_WITHIN};

const PHASES: [Phase; 4] = [Phase::Check, Phase::Create, Phase::Set, Phase::Test];
const SIGHTS: [Sight; 5] = [
    Sight::Untried,
    Sight::Absent,
    Sight::Works,
    Sight::Refused,
    Sight::Unreachable,
];
const CHANGES: [Change; 5] = [
    Change::Done,
    Change::Rejected,
    Change::NotPermitted,
    Change::Unreachable,
    Change::Unknown,
];
const AUTHORITIES: [Authority; 4] = [
    Authority::Own {
        administrator: false,
    },
    Authority::Own {
        administrator: true,
    },
    Authority::Administrator,
    Authority::Operator,
];
const WITHS: [With; 4] = [
    With::Label(Label::Current),
    With::Label(Label::Previous),
    With::Administrator,
    With::Operator,
];

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("in range")
}

fn run(phase: Phase, unsure: bool) -> Run {
    Run {
        phase,
        sent_at: Some(start()),
        unsure_at: unsure.then(start),
        ..Run::begun("v2".into(), start())
    }
}

/// Every state with everything that can have been seen.
fn every(mut check: impl FnMut(&Run, Authority, &Seen, Move)) {
    let made = WITHS
        .iter()
        .flat_map(|with| CHANGES.map(|change| Some((*with, change))));
    let changes: Vec<_> = made.chain([None]).collect();
    for phase in PHASES {
        for unsure in [false, true] {
            let run = run(phase, unsure);
            for authority in AUTHORITIES {
                for current in SIGHTS {
                    for pending in SIGHTS {
                        for previous in SIGHTS {
                            for change in &changes {
                                let seen = Seen {
                                    current,
                                    pending,
                                    previous,
                                    change: *change,
                                };
                                let step = next(&run, authority, &seen, start());
                                check(&run, authority, &seen, step);
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_current_version_becomes_only_what_has_logged_in() {
    every(|run, _, seen, step| {
        if step == Move::Finish {
            assert_eq!((run.phase, seen.pending), (Phase::Test, Sight::Works));
        }
        if step == Move::Enter(Phase::Test) {
            let done = matches!(seen.change, Some((_, Change::Done)));
            assert!(done || seen.pending == Sight::Works, "{seen:?}");
        }
    });
}

#[test]
fn a_candidate_is_discarded_only_when_the_server_cannot_have_it() {
    every(|run, _, seen, step| {
        if step == Move::Discard {
            assert!(matches!(seen.change, Some((_, Change::Rejected))));
            assert_eq!((seen.pending, run.unsure_at), (Sight::Refused, None));
        }
    });
}

#[test]
fn a_password_is_changed_only_from_where_its_candidate_is_stored_and_by_who_can_log_in() {
    every(|run, authority, seen, step| {
        let Move::Set(with) = step else { return };
        assert_eq!(run.phase, Phase::Set);
        assert_ne!(seen.pending, Sight::Absent);
        match with {
            With::Label(label) => {
                assert_eq!(seen.of(label), Sight::Works);
                assert!(matches!(authority, Authority::Own { .. }));
                assert_ne!(label, Label::Pending);
            }
            With::Administrator => assert!(authority.has_administrator()),
            With::Operator => assert_eq!(authority, Authority::Operator),
        }
    });
}

#[test]
fn nothing_is_tried_twice_and_silence_is_waited_out() {
    every(|run, _, seen, step| {
        if let Move::Try(label) = step {
            assert_eq!(seen.of(label), Sight::Untried);
        }
        let sights = [seen.current, seen.pending, seen.previous];
        if sights.contains(&Sight::Unreachable) {
            assert_eq!(step, Move::Wait(Failure::Unreachable));
        } else if run.phase == Phase::Set && seen.pending != Sight::Absent {
            let expected = match seen.change {
                Some((_, Change::Unknown)) => Some(Move::Wait(Failure::Unknown)),
                Some((_, Change::Unreachable)) => Some(Move::Wait(Failure::Unreachable)),
                _ => None,
            };
            assert!(expected.is_none_or(|expected| expected == step), "{seen:?}");
        }
    });
}

#[test]
fn a_check_changes_nothing() {
    every(|run, _, _, step| {
        if run.phase == Phase::Check {
            assert!(
                matches!(step, Move::Try(_) | Move::End | Move::Wait(_)),
                "{step:?}"
            );
        }
    });
}

#[test]
fn waiting_grows_and_an_alarm_is_repeated_daily() {
    let mut run = run(Phase::Set, false);
    let mut now = start();
    let mut alarms = Vec::new();
    let mut waits = Vec::new();
    for _ in 0..400 {
        if run.failed(Failure::Unreachable, now, 500) {
            alarms.push(now);
        }
        waits.push(run.retry_at.duration_since(now).as_secs());
        now = run.retry_at;
    }
    assert_eq!(waits[..4], [2, 4, 8, 16]);
    assert_eq!(waits.last(), Some(&600));
    assert_eq!(alarms.len(), 3, "{alarms:?}");
    for pair in alarms.windows(2) {
        assert!(pair[1].duration_since(pair[0]) >= SignedDuration::from_hours(24));
    }
}

#[test]
fn rejected_candidates_are_replaced_at_once_but_not_for_ever() {
    let mut run = run(Phase::Set, false);
    let mut waits = Vec::new();
    for made in 1..=CANDIDATES_AT_ONCE * 4 {
        run.discard(start(), 500);
        assert_eq!(run.phase, Phase::Create);
        let waiting = made.is_multiple_of(CANDIDATES_AT_ONCE);
        assert_eq!(run.failure, waiting.then_some(Failure::Rejected));
        if waiting {
            waits.push(run.retry_at.duration_since(start()).as_secs());
        }
        run.created(start());
    }
    assert_eq!(waits, [2, 4, 8, 16]);
}

#[test]
fn a_change_is_announced_before_it_is_sent() {
    let seen = Seen::default();
    let mut run = run(Phase::Set, false);
    run.resume();
    assert_eq!((run.sent_at, run.unsure_at), (None, Some(start())));
    assert_eq!(
        next(&run, Authority::Operator, &seen, start()),
        Move::Try(Label::Pending)
    );
    let seen = Seen {
        pending: Sight::Refused,
        ..seen
    };
    assert_eq!(
        next(&run, Authority::Operator, &seen, start()),
        Move::Announce
    );
    run.sending(start());
    assert_eq!(
        next(&run, Authority::Operator, &seen, start()),
        Move::Set(With::Operator)
    );
}

/// A server with one password a user, which loses answers, rejects, restarts and is restored, as a sequence of draws says.
struct Server {
    takes: u32,
    /// A change whose connection is gone, that the server carries out later.
    late: Option<(u32, Timestamp)>,
}

struct World {
    server: Server,
    /// What a start after a crash finds.
    stored: Run,
    run: Run,
    current: u32,
    pending: Option<u32>,
    previous: Option<u32>,
    made: u32,
    now: Timestamp,
    draws: Vec<u8>,
    finished: bool,
}

impl World {
    fn draw(&mut self) -> u8 {
        self.draws.pop().unwrap_or(255)
    }

    fn value(&self, label: Label) -> Option<u32> {
        match label {
            Label::Current => Some(self.current),
            Label::Pending => self.pending,
            Label::Previous => self.previous,
        }
    }

    fn settle(&mut self) {
        if let Some((password, at)) = self.server.late
            && self.now >= at
        {
            self.server.takes = password;
            self.server.late = None;
        }
    }

    fn attempt(&mut self, label: Label) -> Sight {
        self.settle();
        match (self.draw() % 8, self.value(label)) {
            (_, None) => Sight::Absent,
            (0, _) => Sight::Unreachable,
            (_, Some(value)) if value == self.server.takes => Sight::Works,
            _ => Sight::Refused,
        }
    }

    fn change(&mut self, with: With) -> Change {
        self.settle();
        let allowed = match with {
            With::Label(label) => self.value(label) == Some(self.server.takes),
            With::Administrator | With::Operator => true,
        };
        let Some(candidate) = self.pending.filter(|_| allowed) else {
            return Change::NotPermitted;
        };
        match self.draw() % 12 {
            0 => Change::Unreachable,
            1 => Change::Rejected,
            2 => Change::Unknown,
            3 => {
                self.server.takes = candidate;
                Change::Unknown
            }
            4 => {
                let at = self.now + SETTLES_WITHIN - SignedDuration::from_secs(1);
                self.server.late = Some((candidate, at));
                Change::Unknown
            }
            _ => {
                self.server.takes = candidate;
                Change::Done
            }
        }
    }

    /// One step up to its wait or end. `die` ends it behind that many moves, as a crash does: what was stored stays.
    fn step(&mut self, authority: Authority, mut die: u8) {
        let mut seen = Seen::default();
        self.run = self.stored.clone();
        self.run.resume();
        self.now = self.now.max(self.run.retry_at);
        for _ in 0..64 {
            if die == 0 {
                return;
            }
            die -= 1;
            let step = next(&self.run, authority, &seen, self.now);
            match step {
                Move::Create => {
                    self.made += 1;
                    self.pending = Some(self.made);
                    self.run.created(self.now);
                    seen = Seen::default();
                }
                Move::Try(label) => {
                    let sight = self.attempt(label);
                    seen.put(label, sight);
                }
                Move::Announce => self.run.sending(self.now),
                Move::Set(with) => {
                    let change = self.change(with);
                    if change != Change::Unknown {
                        self.run.answered();
                    }
                    seen.change = Some((with, change));
                }
                Move::Enter(phase) => {
                    self.run.enter(phase);
                    seen = Seen::default();
                }
                Move::Finish => {
                    self.previous = Some(self.current);
                    self.current = self.pending.take().expect("a candidate");
                    self.finished = true;
                    return;
                }
                Move::Discard => {
                    self.pending = None;
                    self.run.discard(self.now, 0);
                    seen = Seen::default();
                    if self.run.retry_at > self.now {
                        self.stored = self.run.clone();
                        return;
                    }
                }
                Move::Wait(failure) => {
                    self.run.failed(failure, self.now, 0);
                    self.stored = self.run.clone();
                    return;
                }
                Move::End => return,
            }
            if !matches!(step, Move::Try(_) | Move::Set(_)) {
                self.stored = self.run.clone();
            }
            self.some_label_logs_in();
        }
        panic!("a step has an end: {:?}", self.run);
    }

    fn some_label_logs_in(&self) {
        let labels = [Some(self.current), self.pending, self.previous];
        let may_take = [
            Some(self.server.takes),
            self.server.late.map(|(late, _)| late),
        ];
        for taken in may_take.into_iter().flatten() {
            assert!(
                labels.contains(&Some(taken)),
                "{taken} of {labels:?}, {:?}",
                self.run
            );
        }
    }
}

proptest::proptest! {
    #[test]
    fn whatever_dies_a_label_logs_in_and_the_rotation_ends(
        draws in proptest::collection::vec(0_u8.., 0..120),
        deaths in proptest::collection::vec(0_u8..12, 0..20),
        restored in proptest::bool::ANY,
        who in 0_usize..4,
    ) {
        let mut world = World {
            server: Server { takes: if restored { 1 } else { 2 }, late: None },
            stored: Run::begun("v3".into(), start()),
            run: Run::begun("v3".into(), start()),
            current: 2,
            pending: None,
            previous: Some(1),
            made: 2,
            now: start(),
            draws,
            finished: false,
        };
        let mut deaths = deaths.into_iter();
        for _ in 0..500 {
            let die = deaths.next().unwrap_or(u8::MAX);
            world.step(AUTHORITIES[who], die);
            world.some_label_logs_in();
            if world.finished {
                break;
            }
        }
        assert!(world.finished, "it ends by itself: {:?}", world.run);
        world.now += SETTLES_WITHIN;
        world.settle();
        assert_eq!(world.server.takes, world.current, "AWSCURRENT logs in");
        assert_eq!(world.pending, None);
    }
}
