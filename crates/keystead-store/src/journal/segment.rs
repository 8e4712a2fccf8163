//! The files of a journal: `<first sequence>.jsonl`, so that names are in the order of the lines.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::JournalError;

const EXTENSION: &str = "jsonl";
/// Digits of a name: every `u64` fits, and the order of names is that of numbers.
const DIGITS: usize = 20;

/// Longest line that is read: the longest event with what a line adds, and room.
pub(super) const MAX_LINE: usize = super::MAX_EVENT + 1024;

/// Bytes read at a time from the end of a file.
const BLOCK: u64 = 64 << 10;

/// One file of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// The sequence of its first line, as its name says.
    pub(super) first: u64,
}

impl Segment {
    pub(super) fn new(dir: &Path, first: u64) -> Self {
        Self {
            path: dir.join(format!("{first:0DIGITS$}.{EXTENSION}")),
            first,
        }
    }

    /// The name, for messages.
    pub(super) fn name(&self) -> String {
        self.path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    pub(super) fn open(&self) -> Result<File, JournalError> {
        File::open(&self.path).map_err(|error| JournalError::io("read", &self.path, &error))
    }
}

/// The files of the journal, the oldest first; none where there is no directory yet.
pub(super) fn list(dir: &Path) -> Result<Vec<Segment>, JournalError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| JournalError::io("read", dir, &error))?,
    };
    let mut segments = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|error| JournalError::io("read", dir, &error))?
            .path();
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .filter(|stem| stem.len() == DIGITS)
            .and_then(|stem| stem.parse().ok());
        if path.extension().is_some_and(|it| it == EXTENSION)
            && let Some(first) = number
        {
            segments.push(Segment { path, first });
        }
    }
    segments.sort_unstable_by_key(|segment| segment.first);
    Ok(segments)
}

/// The lines of a file from its end to its start. What follows the last newline is not a line yet.
pub(super) struct Backward {
    file: File,
    /// Where the buffer begins in the file.
    start: u64,
    buffer: Vec<u8>,
    /// What is before this in the buffer was not told yet; it ends with a newline, or is empty.
    end: usize,
}

impl Backward {
    pub(super) fn new(mut file: File) -> io::Result<Self> {
        let start = file.seek(SeekFrom::End(0))?;
        let mut lines = Self {
            file,
            start,
            buffer: Vec::new(),
            end: 0,
        };
        // Leave out what follows the last newline.
        lines.end = loop {
            if let Some(newline) = lines.buffer.iter().rposition(|byte| *byte == b'\n') {
                break newline + 1;
            }
            if !lines.read_block()? {
                break 0;
            }
        };
        Ok(lines)
    }

    /// The line before the ones told, without its newline, and where it begins in the file.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        loop {
            let text = self.end.checked_sub(1);
            let Some(text_end) = text else {
                if self.read_block()? {
                    continue;
                }
                return Ok(None);
            };
            let text = self.buffer.get(..text_end).unwrap_or_default();
            let begin = match text.iter().rposition(|byte| *byte == b'\n') {
                Some(newline) => newline + 1,
                None if self.start == 0 => 0,
                None => {
                    self.read_block()?;
                    continue;
                }
            };
            self.end = begin;
            let line = self.buffer.get(begin..text_end).unwrap_or_default();
            return Ok(Some((self.start + begin as u64, line)));
        }
    }

    /// Puts the block before the buffer in front of it; whether there was one.
    fn read_block(&mut self) -> io::Result<bool> {
        let length = self.start.min(BLOCK);
        if length == 0 {
            return Ok(false);
        }
        if self.end > MAX_LINE {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a line is longer than {MAX_LINE} bytes"),
            ));
        }
        self.start -= length;
        self.file.seek(SeekFrom::Start(self.start))?;
        let mut block = Vec::with_capacity(length as usize + self.end);
        Read::by_ref(&mut self.file)
            .take(length)
            .read_to_end(&mut block)?;
        let read = block.len();
        self.buffer.truncate(self.end);
        block.append(&mut self.buffer);
        self.buffer = block;
        self.end += read;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backward(text: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let mut lines = Backward::new(File::open(file.path()).unwrap()).unwrap();
        let mut found = Vec::new();
        while let Some((at, line)) = lines.next().unwrap() {
            found.push((at, line.to_vec()));
        }
        found
    }

    /// The same, by splitting.
    fn expected(text: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut at = 0;
        let mut found: Vec<_> = text
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| {
                let begin = at;
                at += line.len() as u64;
                (begin, line)
            })
            .filter_map(|(at, line)| Some((at, line.strip_suffix(b"\n")?.to_vec())))
            .collect();
        found.reverse();
        found
    }

    #[test]
    fn lines_come_from_the_end() {
        for text in [
            "",
            "\n",
            "a",
            "a\n",
            "\n\n",
            "a\nbc\n",
            "a\n\nbc\nunfinished",
        ] {
            assert_eq!(
                backward(text.as_bytes()),
                expected(text.as_bytes()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn lines_span_blocks() {
        let mut text = Vec::new();
        for length in [1, 60_000, 5, 200_000, 70_000, 0, 3] {
            text.extend(std::iter::repeat_n(b'x', length));
            text.push(b'\n');
        }
        assert_eq!(backward(&text), expected(&text));
        text.extend([b'y'; 100_000]);
        assert_eq!(backward(&text), expected(&text));
    }

    #[test]
    fn names_are_in_order_and_foreign_files_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for first in [7, 1, 100_000] {
            fs::write(Segment::new(dir.path(), first).path, "").unwrap();
        }
        fs::write(dir.path().join("notes.jsonl"), "").unwrap();
        fs::write(dir.path().join("00000000000000000001.torn"), "").unwrap();
        let found: Vec<_> = list(dir.path()).unwrap().iter().map(|s| s.first).collect();
        assert_eq!(found, [1, 7, 100_000]);
        assert!(list(&dir.path().join("none")).unwrap().is_empty());
    }
}
