//! Reading events back, without reading everything.

use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::JournalError;
use super::line::Line;
use super::recover::read_line;
use super::segment::{self, Backward, Segment};

/// How far apart the order of events and that of their times may be: an event is recorded when its
/// call ends and says when it began. No call runs for an hour.
const DISORDER: SignedDuration = SignedDuration::from_hours(1);

/// Which events to show: those that meet everything that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Not those before this time.
    pub since: Option<Timestamp>,
    /// Only those of this name, for instance `IssueCertificate`.
    pub event_name: Option<String>,
    /// Of all that, only the last so many.
    pub tail: Option<usize>,
}

/// An event that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub sequence: u64,
    /// The event as it was recorded: a JSON object on one line.
    pub event: String,
}

/// The events of the journal in this directory, the oldest first. Starts near the first one to be
/// shown: it reads from the end for `tail`, and skips whole files for `since`. Changes nothing, and
/// may run beside the server that writes. The chain is not checked: that is [`super::verify`].
///
/// # Errors
/// [`JournalError::Unavailable`] when a file cannot be read.
pub fn show(dir: &Path, filter: Filter) -> Result<Show, JournalError> {
    let segments = segment::list(dir)?;
    let (number, offset) = match filter.tail {
        Some(tail) => start_of_tail(&segments, &filter, tail)?,
        None => (first_since(&segments, &filter)?, 0),
    };
    let mut rest = segments.into_iter().skip(number);
    let current = match rest.next() {
        Some(segment) => Some(Current::open(segment, offset)?),
        None => None,
    };
    Ok(Show {
        rest: rest.collect::<Vec<_>>().into_iter(),
        current,
        filter,
        text: Vec::new(),
    })
}

/// The events that [`show`] found. A damaged line is an error between the others.
#[derive(Debug)]
pub struct Show {
    current: Option<Current>,
    rest: std::vec::IntoIter<Segment>,
    filter: Filter,
    text: Vec<u8>,
}

#[derive(Debug)]
struct Current {
    segment: Segment,
    reader: BufReader<File>,
    offset: u64,
}

impl Current {
    fn open(segment: Segment, offset: u64) -> Result<Self, JournalError> {
        let mut file = segment.open()?;
        file.seek(SeekFrom::Start(offset))
            .map_err(|error| JournalError::io("read", &segment.path, &error))?;
        Ok(Self {
            segment,
            reader: BufReader::new(file),
            offset,
        })
    }
}

impl Iterator for Show {
    type Item = Result<Entry, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let current = self.current.as_mut()?;
            let at = current.offset;
            match read_line(&mut current.reader, &mut self.text) {
                Ok(length) => current.offset += length,
                Err(error) => {
                    let error = JournalError::io("read", &current.segment.path, &error);
                    self.current = None;
                    return Some(Err(error));
                }
            }
            let Some(text) = self.text.strip_suffix(b"\n") else {
                // The end of the file, or a line that is still being written.
                self.current = match self
                    .rest
                    .next()
                    .map(|next| Current::open(next, 0))
                    .transpose()
                {
                    Ok(next) => next,
                    Err(error) => return Some(Err(error)),
                };
                continue;
            };
            let entry = Line::parse(text)
                .and_then(|line| Some((line.sequence, std::str::from_utf8(line.event).ok()?)));
            let Some((sequence, event)) = entry else {
                return Some(Err(JournalError::Damaged(format!(
                    "{} has something at byte {at} that is not an event",
                    current.segment.name()
                ))));
            };
            if self.filter.passes(&Facts::of(event.as_bytes())) {
                return Some(Ok(Entry {
                    sequence,
                    event: event.to_owned(),
                }));
            }
        }
    }
}

/// What is asked of an event.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    #[serde(default)]
    event_name: Option<String>,
    #[serde(default)]
    event_time: Option<Timestamp>,
}

impl Facts {
    /// Of an event that has none: nothing, so that it is shown where nothing is asked.
    fn of(event: &[u8]) -> Self {
        serde_json::from_slice(event).unwrap_or_default()
    }
}

impl Filter {
    fn passes(&self, facts: &Facts) -> bool {
        let named = self
            .event_name
            .as_ref()
            .is_none_or(|name| facts.event_name.as_ref() == Some(name));
        // Without a time of its own an event is as old as its neighbours.
        let young = match (self.since, facts.event_time) {
            (Some(since), Some(time)) => time >= since,
            _ => true,
        };
        named && young
    }

    /// Whether everything before an event of this time is too old.
    fn ends_at(&self, time: Option<Timestamp>) -> bool {
        match (self.since, time) {
            (Some(since), Some(time)) => time
                .checked_add(DISORDER)
                .is_ok_and(|latest| latest < since),
            _ => false,
        }
    }
}

/// Where the last `tail` events that pass begin.
fn start_of_tail(
    segments: &[Segment],
    filter: &Filter,
    tail: usize,
) -> Result<(usize, u64), JournalError> {
    let mut start = (segments.len(), 0);
    let mut wanted = tail;
    for (number, segment) in segments.iter().enumerate().rev() {
        let fail = |error| JournalError::io("read", &segment.path, &error);
        let mut lines = Backward::new(segment.open()?).map_err(fail)?;
        while wanted > 0
            && let Some((at, text)) = lines.next().map_err(fail)?
        {
            let facts = Line::parse(text).map(|line| Facts::of(line.event));
            let facts = facts.unwrap_or_default();
            if filter.ends_at(facts.event_time) {
                return Ok(start);
            }
            if filter.passes(&facts) {
                wanted -= 1;
                start = (number, at);
            }
        }
    }
    Ok(start)
}

/// The first file that can hold an event that is young enough.
fn first_since(segments: &[Segment], filter: &Filter) -> Result<usize, JournalError> {
    if filter.since.is_none() {
        return Ok(0);
    }
    for (number, segment) in segments.iter().enumerate().rev() {
        let mut reader = BufReader::new(segment.open()?);
        let mut text = Vec::new();
        read_line(&mut reader, &mut text)
            .map_err(|error| JournalError::io("read", &segment.path, &error))?;
        let first = text.strip_suffix(b"\n").and_then(Line::parse);
        if first.is_some_and(|line| filter.ends_at(Facts::of(line.event).event_time)) {
            return Ok(number);
        }
    }
    Ok(0)
}
