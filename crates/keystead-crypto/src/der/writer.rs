//! Writing: one growing buffer, contents first, their length put in front afterwards.

use keystead_core::x509::Oid;

use super::{tag, time};
use crate::CryptoError;

/// Bytes that an ordinary certificate fits into, so that writing one allocates once.
const ORDINARY: usize = 1024;

/// A DER value that is being written.
pub(crate) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self {
            out: Vec::with_capacity(ORDINARY),
        }
    }

    /// What was written.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Bytes that are DER already.
    pub(crate) fn raw(&mut self, der: &[u8]) {
        self.out.extend_from_slice(der);
    }

    /// An element with these contents.
    pub(crate) fn tlv(&mut self, tag: u8, content: &[u8]) {
        self.out.push(tag);
        let (octets, count) = length_octets(content.len());
        self.out.extend(octets.iter().take(count));
        self.out.extend_from_slice(content);
    }

    /// An element whose contents the closure writes.
    pub(crate) fn nest(
        &mut self,
        tag: u8,
        contents: impl FnOnce(&mut Self) -> Result<(), CryptoError>,
    ) -> Result<(), CryptoError> {
        self.out.push(tag);
        let start = self.out.len();
        contents(self)?;
        let (octets, count) = length_octets(self.out.len().saturating_sub(start));
        self.out
            .splice(start..start, octets.into_iter().take(count));
        Ok(())
    }

    /// A SEQUENCE whose contents the closure writes.
    pub(crate) fn sequence(
        &mut self,
        contents: impl FnOnce(&mut Self) -> Result<(), CryptoError>,
    ) -> Result<(), CryptoError> {
        self.nest(tag::SEQUENCE, contents)
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.tlv(tag::BOOLEAN, &[if value { 0xff } else { 0x00 }]);
    }

    /// An INTEGER of this big-endian magnitude.
    pub(crate) fn unsigned_integer(&mut self, magnitude: &[u8]) {
        let zeros = magnitude.iter().take_while(|octet| **octet == 0).count();
        let minimal = magnitude.get(zeros..).unwrap_or_default();
        match minimal.first() {
            Some(first) if first & 0x80 == 0 => self.tlv(tag::INTEGER, minimal),
            _ => {
                let mut padded = Vec::with_capacity(minimal.len() + 1);
                padded.push(0);
                padded.extend_from_slice(minimal);
                self.tlv(tag::INTEGER, &padded);
            }
        }
    }

    pub(crate) fn small_integer(&mut self, value: u32) {
        self.unsigned_integer(&value.to_be_bytes());
    }

    pub(crate) fn null(&mut self) {
        self.tlv(tag::NULL, &[]);
    }

    pub(crate) fn octet_string(&mut self, bytes: &[u8]) {
        self.tlv(tag::OCTET_STRING, bytes);
    }

    /// A BIT STRING of whole bytes.
    pub(crate) fn bit_string(&mut self, bytes: &[u8]) {
        self.out.push(tag::BIT_STRING);
        let (octets, count) = length_octets(bytes.len().saturating_add(1));
        self.out.extend(octets.iter().take(count));
        self.out.push(0);
        self.out.extend_from_slice(bytes);
    }

    /// A BIT STRING with these bits set and nothing behind the last (X.690 section 11.2.2).
    pub(crate) fn named_bits(&mut self, bits: impl Iterator<Item = u8>) {
        let set = bits.fold(0u32, |set, bit| {
            set | 0x8000_0000u32.checked_shr(bit.into()).unwrap_or(0)
        });
        let significant = 32 - set.trailing_zeros();
        let bytes = set.to_be_bytes();
        let count = significant.div_ceil(8);
        let unused = count * 8 - significant;
        let mut content = [0; 5];
        for (to, from) in content
            .iter_mut()
            .zip(std::iter::once(unused as u8).chain(bytes))
        {
            *to = from;
        }
        let content = content.get(..=count as usize).unwrap_or(&[0]);
        self.tlv(tag::BIT_STRING, content);
    }

    /// An OBJECT IDENTIFIER.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] when the dotted form is none.
    pub(crate) fn oid(&mut self, oid: &Oid) -> Result<(), CryptoError> {
        let start = self.out.len();
        self.out.push(tag::OID);
        self.out.push(0);
        append_oid(&mut self.out, &oid.0)?;
        // An identifier is at most 64 bytes, so that its length is one octet.
        let length = self.out.len().saturating_sub(start + 2);
        match (u8::try_from(length), self.out.get_mut(start + 1)) {
            (Ok(length @ ..0x80), Some(octet)) => *octet = length,
            _ => return Err(bad_oid(&oid.0)),
        }
        Ok(())
    }

    pub(crate) fn utf8_string(&mut self, text: &str) {
        self.tlv(tag::UTF8_STRING, text.as_bytes());
    }

    /// A PrintableString.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] when a character is outside its set (X.680 section 41.4).
    pub(crate) fn printable_string(&mut self, text: &str) -> Result<(), CryptoError> {
        let printable = |byte: u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte);
        if !text.bytes().all(printable) {
            return Err(CryptoError::Malformed(format!(
                "{text:?} contains a character that a PrintableString cannot hold"
            )));
        }
        self.tlv(tag::PRINTABLE_STRING, text.as_bytes());
        Ok(())
    }

    /// ASCII text under this tag: an IA5String, or a name form that is one implicitly.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] when the text is not ASCII.
    pub(crate) fn ascii(&mut self, tag: u8, text: &str) -> Result<(), CryptoError> {
        if !text.is_ascii() {
            return Err(CryptoError::Malformed(format!(
                "{text:?} contains characters outside ASCII; write internationalised names in \
                 their ASCII form (RFC 5280 section 7)"
            )));
        }
        self.tlv(tag, text.as_bytes());
        Ok(())
    }

    /// A Time: UTCTime until 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5).
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] for years before 1950 and after 9999.
    pub(crate) fn time(&mut self, unix_seconds: i64) -> Result<(), CryptoError> {
        let (tag, content) = time::encode(unix_seconds).ok_or_else(|| {
            CryptoError::Malformed(format!(
                "{unix_seconds} seconds since 1970 cannot be a date in a certificate"
            ))
        })?;
        self.tlv(tag, &content);
        Ok(())
    }

    /// A GeneralizedTime whatever the year (RFC 6960 section 4.2.1).
    ///
    /// # Errors
    /// As [`Writer::time`].
    pub(crate) fn generalized_time(&mut self, unix_seconds: i64) -> Result<(), CryptoError> {
        let start = self.out.len();
        self.time(unix_seconds)?;
        if self.out.get(start) == Some(&tag::UTC_TIME) {
            let digits = self.out.split_off(start + 2);
            // The two digits of a UTCTime from 50 on are of the last century (RFC 5280 section 4.1.2.5.1).
            let century: &[u8] = match digits.first() {
                Some(b'5'..) => b"19",
                _ => b"20",
            };
            self.out.truncate(start);
            self.tlv(tag::GENERALIZED_TIME, &[century, &digits].concat());
        }
        Ok(())
    }
}

/// An identifier's contents octets.
///
/// # Errors
/// [`CryptoError::Malformed`] when the dotted form is none.
pub(crate) fn encode_oid(oid: &Oid) -> Result<Vec<u8>, CryptoError> {
    let mut out = Vec::with_capacity(16);
    append_oid(&mut out, &oid.0)?;
    Ok(out)
}

fn append_oid(out: &mut Vec<u8>, dotted: &str) -> Result<(), CryptoError> {
    let mut arcs = dotted.split('.').map(|arc| {
        let canonical =
            arc == "0" || (!arc.starts_with('0') && arc.bytes().all(|b| b.is_ascii_digit()));
        canonical.then(|| arc.parse::<u64>().ok()).flatten()
    });
    let refused = || bad_oid(dotted);
    let mut next = || arcs.next().map(|arc| arc.ok_or_else(refused)).transpose();
    let (first, second) = match (next()?, next()?) {
        (Some(first @ 0..=1), Some(second @ 0..=39)) => (first, second),
        (Some(2), Some(second)) => (2, second),
        _ => return Err(refused()),
    };
    append_base128(out, second.checked_add(first * 40).ok_or_else(refused)?);
    while let Some(arc) = next()? {
        append_base128(out, arc);
    }
    Ok(())
}

fn append_base128(out: &mut Vec<u8>, value: u64) {
    let groups = (64 - value.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let more = if group == 0 { 0 } else { 0x80 };
        out.push((value >> (7 * group)) as u8 & 0x7f | more);
    }
}

fn bad_oid(dotted: &str) -> CryptoError {
    CryptoError::Malformed(format!(
        "{dotted:?} is not an object identifier; write it like 1.2.840.113549"
    ))
}

/// The length's octets and how many of them count.
fn length_octets(length: usize) -> ([u8; 5], usize) {
    let [a, b, c, d] = (length as u32).to_be_bytes();
    match length {
        0..0x80 => ([d, 0, 0, 0, 0], 1),
        0x80..0x100 => ([0x81, d, 0, 0, 0], 2),
        0x100..0x1_0000 => ([0x82, c, d, 0, 0], 3),
        0x1_0000..0x100_0000 => ([0x83, b, c, d, 0], 4),
        _ => ([0x84, a, b, c, d], 5),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::der::{self, Reader};
    use crate::testing::hex;

    fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::new();
        write(&mut writer);
        writer.finish()
    }

    #[test]
    fn integers() {
        for (magnitude, expected) in [
            (&[][..], "020100"),
            (&[0, 0], "020100"),
            (&[0x7f], "02017f"),
            (&[0x80], "02020080"),
            (&[0, 0, 1, 0], "02020100"),
        ] {
            assert_eq!(written(|w| w.unsigned_integer(magnitude)), hex(expected));
        }
    }

    /// keyUsage values as they stand in certificates everywhere.
    #[test]
    fn bits() {
        for (bits, expected) in [
            (&[][..], "030100"),
            (&[0], "03020780"),
            (&[5, 6], "03020106"),
            (&[0, 2], "030205a0"),
            (&[8], "0303070080"),
            (&[40], "030100"),
        ] {
            assert_eq!(
                written(|w| w.named_bits(bits.iter().copied())),
                hex(expected)
            );
        }
    }

    #[test]
    fn lengths_take_the_fewest_octets() {
        for length in [0, 127, 128, 255, 256, 65_535, 65_536, 16_777_216] {
            let contents = vec![7; length];
            let flat = written(|w| w.octet_string(&contents));
            let nested = written(|w| {
                w.nest(tag::OCTET_STRING, |w| {
                    w.raw(&contents);
                    Ok(())
                })
                .unwrap();
            });
            assert_eq!(flat, nested);
            let element = Reader::new(&flat).element().unwrap();
            assert_eq!(element.content.len(), length);
            assert_eq!(element.whole.len(), flat.len());
        }
    }

    #[test]
    fn oids_that_are_none_are_refused() {
        for refused in [
            "",
            "1",
            "3.1",
            "1.40",
            "1..2",
            "1.2.x",
            "1.2.",
            "01.2",
            "1.02",
            "1.+2",
            "1.2.18446744073709551616",
            "2.18446744073709551615",
        ] {
            assert!(encode_oid(&Oid::new(refused)).is_err(), "{refused}");
        }
        let long = Oid(format!("1.2{}", ".18446744073709551615".repeat(20)));
        assert!(Writer::new().oid(&long).is_err());
        assert_eq!(encode_oid(&Oid::new("2.999.3")).unwrap(), hex("883703"));
    }

    proptest! {
        #[test]
        fn the_reader_reads_what_was_written(
            contents in proptest::collection::vec(any::<u8>(), 0..700),
            seconds in -631_152_000i64..253_402_300_800,
            arcs in proptest::collection::vec(0u64..u64::MAX, 0..5),
            bits in proptest::collection::btree_set(0u8..32, 0..9),
        ) {
            let oid = Oid(arcs.iter().fold("2.5".into(), |oid: String, arc| format!("{oid}.{arc}")));
            let der = {
                let mut writer = Writer::new();
                writer.sequence(|w| {
                    w.octet_string(&contents);
                    w.time(seconds)?;
                    w.oid(&oid)?;
                    w.named_bits(bits.iter().copied());
                    w.unsigned_integer(&contents);
                    Ok(())
                }).unwrap();
                writer.finish()
            };
            let mut outer = Reader::new(&der);
            let mut reader = outer.enter(tag::SEQUENCE).unwrap();
            outer.finish().unwrap();
            prop_assert_eq!(reader.expect(tag::OCTET_STRING).unwrap().content, &contents);
            prop_assert_eq!(der::time(&reader.element().unwrap()).unwrap(), seconds);
            prop_assert_eq!(der::oid(reader.expect(tag::OID).unwrap().content).unwrap(), oid);
            let read = der::named_bits(reader.expect(tag::BIT_STRING).unwrap().content).unwrap();
            prop_assert_eq!(read, bits.into_iter().collect::<Vec<_>>());
            let integer = der::unsigned_integer(reader.expect(tag::INTEGER).unwrap().content).unwrap();
            let zeros = contents.iter().take_while(|b| **b == 0).count();
            let minimal = if zeros == contents.len() { &[0][..] } else { &contents[zeros..] };
            prop_assert_eq!(integer, minimal);
            reader.finish().unwrap();
        }
    }
}
