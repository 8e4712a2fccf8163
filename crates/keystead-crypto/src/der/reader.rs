//! Reading: a cursor over elements, never deeper than the caller goes.

use crate::CryptoError;

/// A cursor over the elements of one DER value. Reading costs nothing but the walk: contents are
/// borrowed, and nothing recurses.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// One element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    /// The identifier octet.
    pub(crate) tag: u8,
    /// The contents octets.
    pub(crate) content: &'a [u8],
    /// Identifier, length and contents.
    pub(crate) whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// A cursor over what is inside.
    pub(crate) fn reader(&self) -> Reader<'a> {
        Reader::new(self.content)
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element's identifier octet.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element, whatever it is.
    pub(crate) fn element(&mut self) -> Result<Element<'a>, CryptoError> {
        let start = self.rest;
        let (tag, rest) = start
            .split_first()
            .ok_or_else(|| bad("an element is missing"))?;
        if tag & 0x1f == 0x1f {
            return Err(bad("a tag number is above 30"));
        }
        let (length, rest) = read_length(rest)?;
        let (content, rest) = rest
            .split_at_checked(length)
            .ok_or_else(|| bad("an element is longer than what contains it"))?;
        let whole = start
            .get(..start.len().saturating_sub(rest.len()))
            .ok_or_else(|| bad("an element has no end"))?;
        self.rest = rest;
        Ok(Element {
            tag: *tag,
            content,
            whole,
        })
    }

    /// The next element, which has to have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element<'a>, CryptoError> {
        match self.peek() {
            Some(found) if found == tag => self.element(),
            Some(found) => Err(bad(format!(
                "an element has tag 0x{found:02x} where 0x{tag:02x} belongs"
            ))),
            None => Err(bad(format!("an element with tag 0x{tag:02x} is missing"))),
        }
    }

    /// A cursor into the next element, which has to have this tag.
    pub(crate) fn enter(&mut self, tag: u8) -> Result<Reader<'a>, CryptoError> {
        Ok(self.expect(tag)?.reader())
    }

    /// The next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, CryptoError> {
        match self.peek() {
            Some(found) if found == tag => self.element().map(Some),
            _ => Ok(None),
        }
    }

    /// Refuses what is left over.
    pub(crate) fn finish(self) -> Result<(), CryptoError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(bad(format!("{left} bytes too many follow an element"))),
        }
    }
}

/// X.690 section 10.1: definite, in the fewest octets.
fn read_length(bytes: &[u8]) -> Result<(usize, &[u8]), CryptoError> {
    let (first, rest) = bytes
        .split_first()
        .ok_or_else(|| bad("a length is missing"))?;
    if *first < 0x80 {
        return Ok((usize::from(*first), rest));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 {
        return Err(bad("a length is indefinite, which DER does not allow"));
    }
    if count > 4 {
        return Err(bad("a length takes more than four bytes"));
    }
    let (octets, rest) = rest
        .split_at_checked(count)
        .ok_or_else(|| bad("a length is cut short"))?;
    let length = octets
        .iter()
        .fold(0usize, |length, octet| (length << 8) | usize::from(*octet));
    if length < 0x80 || octets.first() == Some(&0) {
        return Err(bad("a length is not in its shortest form"));
    }
    Ok((length, rest))
}

/// A refusal of the encoding itself.
pub(super) fn bad(what: impl Into<String>) -> CryptoError {
    CryptoError::Malformed(format!("not valid DER: {}", what.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;

    #[test]
    fn shortest_definite_lengths_only() {
        for refused in [
            "",
            "30",
            "3080000000",
            "308100",
            "30817f",
            "30820080",
            "3084000000",
            "30850000000001",
            "3002aa",
            "1f8101",
            "3f0100",
        ] {
            assert!(Reader::new(&hex(refused)).element().is_err(), "{refused}");
        }
        let long = [hex("048180"), vec![7; 128]].concat();
        let element = Reader::new(&long).element().unwrap();
        assert_eq!(element.content, [7; 128]);
        assert_eq!(element.whole, long);
    }

    #[test]
    fn leftovers_and_wrong_tags_are_refused() {
        let bytes = hex("020101ff");
        let mut reader = Reader::new(&bytes);
        assert!(reader.optional(0x04).unwrap().is_none());
        assert!(reader.expect(0x04).is_err());
        assert_eq!(reader.expect(0x02).unwrap().content, [1]);
        assert!(reader.finish().unwrap_err().to_string().contains("1 bytes"));
    }
}
