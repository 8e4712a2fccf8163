//! Reading the whole journal to see whether it is whole.

use std::fmt;
use std::io::BufReader;
use std::path::Path;

use super::JournalError;
use super::line::{Head, Line};
use super::recover::read_line;
use super::segment::{self, Segment};

/// Breaks that a report names; more are only counted. A person reads the first few.
const NAMED_BREAKS: usize = 1000;

/// What [`verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines that are events of the chain.
    pub events: u64,
    /// The number of the first event; `None` where there is none.
    pub first: Option<u64>,
    /// The last event. What the operator keeps elsewhere to compare with.
    pub last: Option<Head>,
    /// Whether the last line has no end yet: it is being written, or a crash tore it.
    pub unfinished: bool,
    /// Where the chain is broken, in the order of the files; the first thousand.
    pub breaks: Vec<Break>,
    /// How many there are.
    pub break_count: u64,
}

impl Report {
    /// Whether every event that was ever recorded is there as it was recorded.
    pub fn is_whole(&self) -> bool {
        self.break_count == 0
    }

    fn broken(&mut self, place: &Place<'_>, problem: Problem) {
        self.break_count += 1;
        if self.breaks.len() < NAMED_BREAKS {
            self.breaks.push(Break {
                file: place.segment.name(),
                line: place.line,
                problem,
            });
        }
    }
}

/// A place where the chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The name of the file.
    pub file: String,
    /// The number of the line in it; 0 for the file as a whole.
    pub line: u64,
    /// What is wrong there.
    pub problem: Problem,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.problem),
            line => write!(f, "{} line {line}: {}", self.file, self.problem),
        }
    }
}

/// What is wrong with a place of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// It is not a line of a journal.
    NotALine,
    /// Its hash is not that of its content.
    Altered {
        /// The number that the line claims.
        sequence: u64,
    },
    /// Events are missing, or lines were moved or added.
    OutOfOrder {
        /// The number that should come here.
        expected: u64,
        /// The number that comes.
        found: u64,
    },
    /// It does not follow from the line before, although its number does: one of them was replaced.
    Unchained {
        /// The number of the line.
        sequence: u64,
    },
    /// The journal ends before the event that the store has recorded.
    CutShort {
        /// The number of the last event that is there.
        last: u64,
        /// The number of the event that the store has recorded.
        recorded: u64,
    },
    /// The event is another one than the store has recorded.
    NotAsRecorded {
        /// The number of the event.
        sequence: u64,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotALine => f.write_str("this is not a line of an audit journal"),
            Self::Altered { sequence } => write!(f, "event {sequence} was altered"),
            Self::OutOfOrder { expected, found } if found > expected => {
                let missing = found - expected;
                write!(
                    f,
                    "event {found} comes where event {expected} should: {missing} missing or moved"
                )
            }
            Self::OutOfOrder { expected, found } => {
                write!(
                    f,
                    "event {found} comes where event {expected} should: it was moved or added"
                )
            }
            Self::Unchained { sequence } => write!(
                f,
                "event {sequence} does not follow from the line before it: one of them was replaced"
            ),
            Self::CutShort { last, recorded } => write!(
                f,
                "the journal ends at event {last}, but the store has recorded event {recorded}: its \
                 end was cut off"
            ),
            Self::NotAsRecorded { sequence } => write!(
                f,
                "event {sequence} is not the one that the store has recorded: the journal was \
                 replaced"
            ),
        }
    }
}

/// Reads the whole journal in this directory and checks every line and its place in the chain, and
/// that the event which the store has recorded ([`super::pinned`]) is there. Changes nothing, and may run beside the
/// server that writes.
///
/// # Errors
/// [`JournalError::Unavailable`] when a file cannot be read. What is wrong with the content is in the
/// report.
pub fn verify(dir: &Path, pinned: Option<&Head>) -> Result<Report, JournalError> {
    let segments = segment::list(dir)?;
    let mut walk = Walk {
        report: Report::default(),
        head: Head::NONE,
        pinned: pinned.copied(),
    };
    for (segment, rest) in segments.iter().zip((0..segments.len()).rev()) {
        walk.segment(segment, rest == 0)?;
    }
    if let Some(pinned) = pinned
        && pinned.sequence > walk.head.sequence
    {
        let last = walk.head.sequence;
        let segment = segments.last().cloned().unwrap_or(Segment::new(dir, 1));
        walk.report.broken(
            &Place {
                segment: &segment,
                line: 0,
            },
            Problem::CutShort {
                last,
                recorded: pinned.sequence,
            },
        );
    }
    Ok(walk.report)
}

/// Where in the files.
struct Place<'a> {
    segment: &'a Segment,
    line: u64,
}

struct Walk {
    report: Report,
    /// The line before, whether it was as expected or not: each break is told once.
    head: Head,
    pinned: Option<Head>,
}

impl Walk {
    fn segment(&mut self, segment: &Segment, last: bool) -> Result<(), JournalError> {
        let mut reader = BufReader::with_capacity(1 << 20, segment.open()?);
        let mut text = Vec::new();
        let mut place = Place { segment, line: 0 };
        loop {
            let length = read_line(&mut reader, &mut text)
                .map_err(|error| JournalError::io("read", &segment.path, &error))?;
            if length == 0 {
                return Ok(());
            }
            place.line += 1;
            match text.strip_suffix(b"\n") {
                Some(line) => self.line(&place, line),
                None if last => self.report.unfinished = true,
                None => self.report.broken(&place, Problem::NotALine),
            }
        }
    }

    fn line(&mut self, place: &Place<'_>, text: &[u8]) {
        let Some(line) = Line::parse(text) else {
            self.report.broken(place, Problem::NotALine);
            return;
        };
        let sequence = line.sequence;
        let expected = self.head.sequence.saturating_add(1);
        if !line.is_intact() {
            self.report.broken(place, Problem::Altered { sequence });
        } else if sequence != expected {
            let found = sequence;
            self.report
                .broken(place, Problem::OutOfOrder { expected, found });
        } else if line.previous != self.head.hash {
            self.report.broken(place, Problem::Unchained { sequence });
        } else if self
            .pinned
            .is_some_and(|pin| pin.sequence == sequence && pin != line.head())
        {
            self.report
                .broken(place, Problem::NotAsRecorded { sequence });
        }
        self.report.events += 1;
        self.report.first.get_or_insert(sequence);
        self.head = line.head();
        self.report.last = Some(self.head);
    }
}
