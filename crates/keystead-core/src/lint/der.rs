//! A strict reader of DER (X.690 section 10): what is not the one canonical encoding is refused.
//!
//! Parsers made for the wild read more than DER allows; here the point is to notice it, and to
//! look at every byte of a certificate once, without allocating.

/// What is wrong with an encoding, as the end of a sentence: "the serial number ...".
pub(super) type Fault = &'static str;

/// One element: its identifier octet, its content, and the whole with its header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tlv<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    pub(super) raw: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// A reader of what this constructed element holds.
    pub(super) fn inside(&self) -> Reader<'a> {
        Reader(self.content)
    }
}

/// A cursor over elements that follow one another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next element, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Tlv<'a>>, Fault> {
        let input = self.0;
        let Some((&tag, rest)) = input.split_first() else {
            return Ok(None);
        };
        if tag & 0x1f == 0x1f {
            return Err("has a tag number above 30, which no certificate uses");
        }
        let (length, rest) = length(rest)?;
        let (content, after) = rest
            .split_at_checked(length)
            .ok_or("is cut off: an element is longer than what holds it")?;
        let raw = input.get(..input.len() - after.len()).ok_or("is cut off")?;
        self.0 = after;
        Ok(Some(Tlv { tag, content, raw }))
    }

    /// The next element, which must have this identifier octet.
    pub(super) fn take(&mut self, tag: u8) -> Result<Tlv<'a>, Fault> {
        match self.next()? {
            Some(tlv) if tlv.tag == tag => Ok(tlv),
            Some(_) => Err("holds an element of an unexpected type"),
            None => Err("ends before all of its elements"),
        }
    }

    /// The next element if it has this identifier octet.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<Tlv<'a>>, Fault> {
        match self.0.first() {
            Some(first) if *first == tag => self.next(),
            _ => Ok(None),
        }
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses what is left.
    pub(super) fn end(self) -> Result<(), Fault> {
        if self.is_empty() {
            Ok(())
        } else {
            Err("has bytes after its last element")
        }
    }
}

/// A definite length in its shortest form (X.690 section 10.1).
fn length(input: &[u8]) -> Result<(usize, &[u8]), Fault> {
    let (&first, rest) = input.split_first().ok_or("is cut off in a length")?;
    if first < 0x80 {
        return Ok((usize::from(first), rest));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 {
        return Err("uses an indefinite length");
    }
    if count > MAX_LENGTH_OCTETS {
        return Err("has an element longer than any certificate");
    }
    let (octets, rest) = rest
        .split_at_checked(count)
        .ok_or("is cut off in a length")?;
    let value = octets
        .iter()
        .fold(0_usize, |value, octet| (value << 8) | usize::from(*octet));
    if value < 0x80 || octets.first() == Some(&0) {
        return Err("has a length that is not in its shortest form");
    }
    Ok((value, rest))
}

/// The DER of a SEQUENCE of this content.
pub(super) fn sequence(content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = length
        .iter()
        .position(|octet| *octet != 0)
        .and_then(|first| length.get(first..));
    let mut all = vec![SEQUENCE];
    match length.unwrap_or(&[0]) {
        [short @ 0..=0x7f] => all.push(*short),
        long => {
            // At most eight octets.
            all.push(0x80 | u8::try_from(long.len()).unwrap_or(8));
            all.extend(long);
        }
    }
    all.extend(content);
    all
}

/// Checks that `input` is a run of canonically encoded elements, all the way down.
pub(super) fn canonical(input: &[u8]) -> Result<(), Fault> {
    walk(Reader(input), MAX_DEPTH)
}

fn walk(mut reader: Reader<'_>, depth: usize) -> Result<(), Fault> {
    let depth = depth
        .checked_sub(1)
        .ok_or("nests deeper than any certificate")?;
    while let Some(tlv) = reader.next()? {
        let constructed = tlv.tag & 0x20 != 0;
        if tlv.tag & 0xc0 == 0 {
            universal(&tlv)?;
        }
        if constructed {
            walk(tlv.inside(), depth)?;
        }
    }
    Ok(())
}

/// The rules of the universal types that certificates use (X.690 sections 8, 10 and 11).
fn universal(tlv: &Tlv<'_>) -> Result<(), Fault> {
    let content = tlv.content;
    match tlv.tag {
        BOOLEAN if !matches!(content, [0x00] | [0xff]) => {
            Err("has a BOOLEAN that is neither 00 nor FF")
        }
        INTEGER | ENUMERATED if !minimal_integer(content) => {
            Err("has an INTEGER that is not in its shortest form")
        }
        BIT_STRING if !padded_with_zeros(content) => {
            Err("has a BIT STRING whose unused bits are not zero")
        }
        NULL if !content.is_empty() => Err("has a NULL with content"),
        OID if !valid_oid(content) => Err("has a malformed OBJECT IDENTIFIER"),
        UTF8_STRING if std::str::from_utf8(content).is_err() => {
            Err("has a UTF8String that is not UTF-8")
        }
        PRINTABLE_STRING if !content.iter().all(|byte| printable(*byte)) => {
            Err("has a PrintableString with a character outside its alphabet")
        }
        IA5_STRING if !content.is_ascii() => Err("has an IA5String that is not ASCII"),
        SET if !sorted(tlv.inside())? => Err("has a SET OF that is not in ascending order"),
        BOOLEAN | INTEGER | ENUMERATED | BIT_STRING | OCTET_STRING | NULL | OID | UTF8_STRING
        | PRINTABLE_STRING | IA5_STRING | SET | SEQUENCE | UTC_TIME | GENERALIZED_TIME
        | NUMERIC_STRING | TELETEX_STRING | VISIBLE_STRING | UNIVERSAL_STRING | BMP_STRING => {
            Ok(())
        }
        _ => Err("has an element of a type that certificates do not use"),
    }
}

fn minimal_integer(content: &[u8]) -> bool {
    match content {
        [] => false,
        [0x00, second, ..] => second & 0x80 != 0,
        [0xff, second, ..] => second & 0x80 == 0,
        _ => true,
    }
}

fn padded_with_zeros(content: &[u8]) -> bool {
    match content {
        [unused @ 0..=7, rest @ ..] => match rest.last() {
            None => *unused == 0,
            Some(last) => last & ((1 << unused) - 1) == 0,
        },
        _ => false,
    }
}

fn valid_oid(content: &[u8]) -> bool {
    let ends = content.last().is_some_and(|last| last & 0x80 == 0);
    // A subidentifier never starts with the padding octet 80 (X.690 section 8.19.2).
    let padded = std::iter::once(&0)
        .chain(content)
        .zip(content)
        .any(|(before, octet)| before & 0x80 == 0 && *octet == 0x80);
    ends && !padded
}

/// X.680 section 41.4.
pub(super) fn printable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte)
}

/// X.690 section 11.6: the encodings of a SET OF ascend, compared as octet strings.
fn sorted(mut reader: Reader<'_>) -> Result<bool, Fault> {
    let mut before: &[u8] = &[];
    while let Some(tlv) = reader.next()? {
        if tlv.raw < before {
            return Ok(false);
        }
        before = tlv.raw;
    }
    Ok(true)
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OID: u8 = 0x06;
const ENUMERATED: u8 = 0x0a;
pub(super) const UTF8_STRING: u8 = 0x0c;
const NUMERIC_STRING: u8 = 0x12;
pub(super) const PRINTABLE_STRING: u8 = 0x13;
pub(super) const TELETEX_STRING: u8 = 0x14;
pub(super) const IA5_STRING: u8 = 0x16;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const VISIBLE_STRING: u8 = 0x1a;
const UNIVERSAL_STRING: u8 = 0x1c;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// Context-specific, constructed, tag `number` (X.690 section 8.1.2).
pub(super) const fn explicit(number: u8) -> u8 {
    0xa0 | number
}

/// Context-specific, primitive, tag `number` (X.690 section 8.1.2).
pub(super) const fn implicit(number: u8) -> u8 {
    0x80 | number
}

/// A list of a million revoked certificates has some 50 MB; three octets would count to 16 MiB.
const MAX_LENGTH_OCTETS: usize = 4;

/// The deepest construct of RFC 5280, a name inside a policy's notice, nests about ten deep.
const MAX_DEPTH: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_canonical_is_refused() {
        let cases: &[&[u8]] = &[
            &[0x30, 0x80, 0x00, 0x00],             // indefinite length
            &[0x04, 0x81, 0x01, 0x00],             // long form of a short length
            &[0x04, 0x85, 1, 0, 0, 0, 0],          // too many length octets
            &[0x01, 0x01, 0x01],                   // TRUE is FF
            &[0x02, 0x02, 0x00, 0x7f],             // padded INTEGER
            &[0x02, 0x02, 0xff, 0x80],             // padded negative INTEGER
            &[0x02, 0x00],                         // empty INTEGER
            &[0x03, 0x02, 0x01, 0x01],             // unused bit set
            &[0x03, 0x01, 0x01],                   // unused bits of nothing
            &[0x05, 0x01, 0x00],                   // NULL with content
            &[0x06, 0x02, 0x55, 0x80],             // OID that does not end
            &[0x06, 0x03, 0x55, 0x80, 0x01],       // OID with padding
            &[0x0c, 0x01, 0xff],                   // not UTF-8
            &[0x13, 0x01, b'@'],                   // outside PrintableString
            &[0x16, 0x01, 0xe9],                   // outside IA5String
            &[0x31, 0x06, 2, 1, 2, 2, 1, 1],       // SET OF out of order
            &[0x1f, 0x01, 0x00],                   // high tag number
            &[0x30, 0x03, 0x02, 0x02, 0x01, 0x01], // longer than its holder
        ];
        for case in cases {
            assert!(canonical(case).is_err(), "{case:02x?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let mut bytes = Vec::new();
        for _ in 0..40 {
            let mut outer = vec![0x30, u8::try_from(bytes.len()).unwrap()];
            outer.append(&mut bytes);
            bytes = outer;
        }
        assert_eq!(canonical(&bytes), Err("nests deeper than any certificate"));
    }

    #[test]
    fn the_canonical_passes() {
        let bytes = [0x30, 0x0a, 2, 1, 1, 1, 1, 0xff, 0x31, 0x02, 0x05, 0x00];
        assert_eq!(canonical(&bytes), Ok(()));
    }
}
