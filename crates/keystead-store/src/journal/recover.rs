//! Opening: where the journal ends, and what to do about an end that is torn.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::line::{Head, Line};
use super::segment::{self, Backward, MAX_LINE, Segment};
use super::{JournalError, JournalOptions, Recovered, Torn};
use crate::{Version, dir};

/// How much of the end is checked line by line: more than was ever written and not synced
/// (`sync::MAX_UNSYNCED` and a group), so that all of what a power cut can tear is seen.
const TAIL: u64 = 16 << 20;

/// Finds the end, checks it against what the store has recorded, and mends it.
pub(super) fn open(
    options: &JournalOptions,
    pin: Option<&Head>,
    accept_rollback: bool,
) -> Result<Recovered, JournalError> {
    let path = &options.dir;
    dir::create(path).map_err(|error| JournalError::io("make", path, &error))?;
    let segments = segment::list(path)?;
    let end = survey(&segments)?;
    let rolled_back = match pin {
        Some(pin) if !holds(&segments, &end, pin)? => {
            if !accept_rollback {
                return Err(JournalError::RolledBack {
                    pinned: *pin,
                    found: end.last.is_some().then_some(end.head.sequence),
                });
            }
            Some(*pin)
        }
        _ => None,
    };
    let mut torn = None;
    for cut in &end.cuts {
        if let Some(kept_in) = cut.make(path)? {
            let bytes = torn.map_or(0, |torn: Torn| torn.bytes) + cut.bytes();
            torn = Some(Torn { bytes, kept_in });
        }
    }
    let last = match end.last {
        None => None,
        Some((path, length)) => {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .map_err(|error| JournalError::io("open", &path, &error))?;
            Some((path, file, length))
        }
    };
    Ok(Recovered {
        head: end.head,
        last,
        torn,
        rolled_back,
    })
}

/// The store's version when the last event was written; `None` where there is no event.
pub(crate) fn last_store_version(dir: &Path) -> Result<Option<Version>, JournalError> {
    for segment in segment::list(dir)?.iter().rev() {
        let fail = |error| JournalError::io("read", &segment.path, &error);
        let mut lines = Backward::new(segment.open()?).map_err(fail)?;
        while let Some((_, text)) = lines.next().map_err(fail)? {
            if let Some(line) = Line::parse(text).filter(Line::is_intact) {
                return Ok(Some(line.store));
            }
        }
    }
    Ok(None)
}

/// Where a journal ends.
struct End {
    head: Head,
    /// The file of the last event, and its length up to there.
    last: Option<(PathBuf, u64)>,
    /// What is behind it.
    cuts: Vec<Cut>,
}

/// Bytes at the end of a file that are not of the chain.
struct Cut {
    segment: Segment,
    from: u64,
    to: u64,
}

/// Looks for the last event from the end on; nothing is changed.
fn survey(segments: &[Segment]) -> Result<End, JournalError> {
    let mut cuts = Vec::new();
    for segment in segments.iter().rev() {
        let fail = |error| JournalError::io("read", &segment.path, &error);
        let length = fs::metadata(&segment.path).map_err(fail)?.len();
        let tail = length.saturating_sub(TAIL);
        let mut found = intact_lines(segment, tail).map_err(fail)?;
        if found.is_none() && tail > 0 {
            found = intact_lines(segment, 0).map_err(fail)?;
        }
        let from = found.map_or(0, |(_, end)| end);
        if from < length || found.is_none() {
            cuts.push(Cut {
                segment: segment.clone(),
                from,
                to: length,
            });
        }
        if let Some((head, end)) = found {
            return Ok(End {
                head,
                last: Some((segment.path.clone(), end)),
                cuts,
            });
        }
    }
    Ok(End {
        head: Head::NONE,
        last: None,
        cuts,
    })
}

/// The last line of the unbroken chain that begins with the first line at or after `from`, and where
/// it ends.
fn intact_lines(segment: &Segment, from: u64) -> io::Result<Option<(Head, u64)>> {
    let mut file = File::open(&segment.path)?;
    let mut at = file.seek(SeekFrom::Start(from.saturating_sub(1)))?;
    let mut reader = BufReader::new(file);
    let mut text = Vec::new();
    if from > 0 {
        // The rest of the line before, at least its newline.
        at += read_line(&mut reader, &mut text)?;
    }
    let mut last = None;
    loop {
        let read = read_line(&mut reader, &mut text)?;
        let line = text.strip_suffix(b"\n").and_then(Line::parse);
        let Some(line) = line.filter(Line::is_intact) else {
            return Ok(last);
        };
        let expected = match &last {
            Some((head, _)) => line.follows(head),
            None => from > 0 || line.sequence == segment.first,
        };
        if !expected {
            return Ok(last);
        }
        at += read;
        last = Some((line.head(), at));
    }
}

/// Whether the line that the store has recorded is there.
fn holds(segments: &[Segment], end: &End, pin: &Head) -> Result<bool, JournalError> {
    if pin.sequence > end.head.sequence {
        return Ok(false);
    }
    let Some(segment) = segments.iter().rev().find(|it| it.first <= pin.sequence) else {
        return Ok(false);
    };
    let fail = |error| JournalError::io("read", &segment.path, &error);
    let mut lines = Backward::new(segment.open()?).map_err(fail)?;
    while let Some((_, text)) = lines.next().map_err(fail)? {
        if let Some(line) = Line::parse(text)
            && line.sequence <= pin.sequence
        {
            return Ok(line.head() == *pin && line.is_intact());
        }
    }
    Ok(false)
}

impl Cut {
    fn bytes(&self) -> u64 {
        self.to - self.from
    }

    /// Moves the bytes, if there are any, into a file of their own, whose name is returned; a file
    /// that holds nothing else goes.
    fn make(&self, dir: &Path) -> Result<Option<String>, JournalError> {
        let path = &self.segment.path;
        let fail = |error| JournalError::io("mend", path, &error);
        if self.bytes() == 0 {
            fs::remove_file(path).map_err(fail)?;
            return Ok(None);
        }
        let (kept, mut copy) = self.kept_file().map_err(fail)?;
        let mut source = File::open(path).map_err(fail)?;
        let moved = source
            .seek(SeekFrom::Start(self.from))
            .and_then(|_| io::copy(&mut source, &mut copy))
            .and_then(|_| copy.sync_all())
            .and_then(|()| {
                if self.from == 0 {
                    return fs::remove_file(path);
                }
                let file = OpenOptions::new().write(true).open(path)?;
                file.set_len(self.from)?;
                file.sync_all()
            })
            .and_then(|()| dir::sync(dir));
        moved.map_err(fail)?;
        tracing::warn!(
            bytes = self.bytes(),
            kept_in = kept,
            "the end of the audit journal was torn; it was moved out of the chain"
        );
        Ok(Some(kept))
    }

    /// A name that says where the bytes were; the second time the same place is torn, a number more.
    fn kept_file(&self) -> io::Result<(String, File)> {
        let mut number = 0;
        loop {
            let path = self.segment.path.with_extension(match number {
                0 => format!("{}.torn", self.from),
                _ => format!("{}-{number}.torn", self.from),
            });
            match dir::create_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                file => {
                    let name = path.file_name().unwrap_or_default();
                    return file.map(|file| (name.to_string_lossy().into_owned(), file));
                }
            }
        }
    }
}

/// Reads a line with its newline into `text`; its length, 0 at the end. One that is too long is cut.
pub(super) fn read_line(reader: &mut impl BufRead, text: &mut Vec<u8>) -> io::Result<u64> {
    text.clear();
    Read::take(reader, MAX_LINE as u64)
        .read_until(b'\n', text)
        .map(|read| read as u64)
}
