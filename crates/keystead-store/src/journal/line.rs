//! One line of the journal: an event, chained to the line before.
//!
//! ```text
//! {"sequence":7,"previous":"<hash of line 6>","store":42,"event":{...},"hash":"<hash>"}
//! ```
//!
//! The hash is SHA-256 over the bytes of the line before `,"hash":`. It covers the hash of the line
//! before, so that a line that is changed, removed, added or moved breaks the chain. Nothing is
//! parsed and written again to check it: the bytes are what counts.

use std::fmt;

use keystead_crypto::digest;
use serde::{Deserialize, Serialize};

use crate::{Version, Versioned};

/// The hash of a line, as the line shows it: 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LineHash([u8; LineHash::LEN]);

impl LineHash {
    const LEN: usize = 64;

    /// What the first line names as the one before.
    pub(super) const NONE: Self = Self([b'0'; Self::LEN]);

    fn of(bytes: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; Self::LEN];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(digest::sha256(bytes)) {
            let digits = [byte >> 4, byte & 15].map(|half| DIGITS.get(usize::from(half)));
            for (to, digit) in pair.iter_mut().zip(digits) {
                *to = digit.copied().unwrap_or_default();
            }
        }
        Self(hex)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let hex = <[u8; Self::LEN]>::try_from(bytes).ok()?;
        hex.iter()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
            .then_some(Self(hex))
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for LineHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for LineHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(text.as_bytes())
            .ok_or_else(|| serde::de::Error::custom("not a hash: 64 hexadecimal digits"))
    }
}

/// Where a journal stands: its last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of the line; the first is 1.
    pub sequence: u64,
    /// Its hash.
    pub hash: LineHash,
}

impl Head {
    /// Of a journal without lines.
    pub(super) const NONE: Self = Self {
        sequence: 0,
        hash: LineHash::NONE,
    };
}

impl Versioned for Head {
    const MARKER: &'static str = "journal.head/1";
}

/// A line, taken apart. Only its form was checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) sequence: u64,
    pub(super) previous: LineHash,
    /// The store's version when it was written.
    pub(super) store: Version,
    /// The event, a JSON object.
    pub(super) event: &'a [u8],
    hash: LineHash,
    /// What the hash covers.
    covered: &'a [u8],
}

const SEQUENCE: &[u8] = b"{\"sequence\":";
const PREVIOUS: &[u8] = b",\"previous\":\"";
const STORE: &[u8] = b"\",\"store\":";
const EVENT: &[u8] = b",\"event\":";
const HASH: &[u8] = b",\"hash\":\"";
const END: &[u8] = b"\"}";

impl<'a> Line<'a> {
    /// Takes a line apart; without its newline.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(SEQUENCE)?;
        let (sequence, rest) = number(rest)?;
        let rest = rest.strip_prefix(PREVIOUS)?;
        let (previous, rest) = rest.split_at_checked(LineHash::LEN)?;
        let rest = rest.strip_prefix(STORE)?;
        let (store, rest) = number(rest)?;
        let rest = rest.strip_prefix(EVENT)?;

        let tail = HASH.len() + LineHash::LEN + END.len();
        let (event, _) = rest.split_at_checked(rest.len().checked_sub(tail)?)?;
        let (covered, seal) = line.split_at_checked(line.len().checked_sub(tail)?)?;
        let hash = seal.strip_prefix(HASH)?.strip_suffix(END)?;
        Some(Self {
            sequence,
            previous: LineHash::parse(previous)?,
            store: Version(store),
            event,
            hash: LineHash::parse(hash)?,
            covered,
        })
    }

    /// Whether the line is as it was written.
    pub(super) fn is_intact(&self) -> bool {
        LineHash::of(self.covered) == self.hash
    }

    /// Where a journal stands whose last line this is.
    pub(super) fn head(&self) -> Head {
        Head {
            sequence: self.sequence,
            hash: self.hash,
        }
    }

    /// Whether this line comes right after that one.
    pub(super) fn follows(&self, head: &Head) -> bool {
        self.sequence.checked_sub(1) == Some(head.sequence) && self.previous == head.hash
    }
}

/// Appends the line of an event, with its newline, to `out`; where the journal stands then.
pub(super) fn write(out: &mut Vec<u8>, head: &Head, store: Version, event: &[u8]) -> Head {
    let start = out.len();
    let sequence = head.sequence.saturating_add(1);
    for part in [
        SEQUENCE,
        sequence.to_string().as_bytes(),
        PREVIOUS,
        &head.hash.0,
        STORE,
        store.0.to_string().as_bytes(),
        EVENT,
        event,
    ] {
        out.extend_from_slice(part);
    }
    let hash = LineHash::of(out.get(start..).unwrap_or_default());
    for part in [HASH, &hash.0, END, b"\n"] {
        out.extend_from_slice(part);
    }
    Head { sequence, hash }
}

/// Bytes that a line has around its event at most: two numbers, two hashes and their names.
pub(super) const MOST_AROUND: usize = 256;

/// No journal or store counts this far; who claims to has not, and could make versions run out.
const MOST: u64 = 1 << 62;

/// A decimal number without sign or leading zeros.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(digits)?;
    if digits.len() > 1 && digits.starts_with(b"0") {
        return None;
    }
    let value = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (value <= MOST).then_some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(events: &[&str]) -> (Vec<u8>, Head) {
        let mut out = Vec::new();
        let mut head = Head::NONE;
        for event in events {
            head = write(&mut out, &head, Version(9), event.as_bytes());
        }
        (out, head)
    }

    #[test]
    fn a_line_is_json_and_comes_back() {
        let (out, head) = lines(&[r#"{"eventName":"A"}"#, r#"{"hash":"b","n":",\"hash\":\""}"#]);
        let texts: Vec<_> = out.split(|byte| *byte == b'\n').collect();
        let json: serde_json::Value = serde_json::from_slice(texts[0]).unwrap();
        assert_eq!(json["event"]["eventName"], "A");
        assert_eq!(json["sequence"], 1);
        assert_eq!(json["store"], 9);
        assert_eq!(json["previous"], "0".repeat(64));

        let first = Line::parse(texts[0]).unwrap();
        let second = Line::parse(texts[1]).unwrap();
        assert!(first.is_intact() && first.follows(&Head::NONE));
        assert!(second.is_intact() && second.follows(&first.head()));
        assert!(!second.follows(&Head::NONE) && !first.follows(&second.head()));
        assert_eq!(second.head(), head);
        assert_eq!(second.event, br#"{"hash":"b","n":",\"hash\":\""}"#);
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let (out, _) = lines(&[r#"{"eventName":"A"}"#]);
        let line = out.strip_suffix(b"\n").unwrap();
        for at in 0..line.len() {
            for bit in [1, 2, 4, 32, 128] {
                let mut changed = line.to_vec();
                changed[at] ^= bit;
                let noticed = Line::parse(&changed).is_none_or(|line| !line.is_intact());
                assert!(noticed, "byte {at}, bit {bit}");
            }
            assert!(Line::parse(&line[..at]).is_none_or(|line| !line.is_intact()));
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let _ = Line::parse(&bytes);
        }
    }
}
