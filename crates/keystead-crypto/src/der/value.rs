//! Contents octets of the universal types, decoded strictly.

use keystead_core::x509::Oid;

use super::reader::bad;
use super::{Element, tag};
use crate::CryptoError;

/// Longest contents of an object identifier that is accepted: far above any that is assigned.
const MAX_OID_LEN: usize = 64;

/// The value of a BOOLEAN (X.690 section 11.1: true is 0xff).
pub(crate) fn boolean(content: &[u8]) -> Result<bool, CryptoError> {
    match content {
        [0x00] => Ok(false),
        [0xff] => Ok(true),
        _ => Err(bad("a boolean is neither 00 nor ff")),
    }
}

/// The magnitude of an INTEGER that is not negative, without a leading zero (zero itself: one).
pub(crate) fn unsigned_integer(content: &[u8]) -> Result<&[u8], CryptoError> {
    match content {
        [] => Err(bad("an integer is empty")),
        [first, ..] if first & 0x80 != 0 => Err(bad("an integer is negative")),
        [0, second, ..] if second & 0x80 == 0 => Err(bad("an integer has a superfluous zero")),
        [0, rest @ ..] if !rest.is_empty() => Ok(rest),
        _ => Ok(content),
    }
}

/// The value of an INTEGER between 0 and 2^32 - 1.
pub(crate) fn small_integer(content: &[u8]) -> Result<u32, CryptoError> {
    let magnitude = unsigned_integer(content)?;
    if magnitude.len() > 4 {
        return Err(bad("an integer is too large"));
    }
    Ok(magnitude
        .iter()
        .fold(0, |value, octet| (value << 8) | u32::from(*octet)))
}

/// The bytes of a BIT STRING of whole bytes.
pub(crate) fn bit_string(content: &[u8]) -> Result<&[u8], CryptoError> {
    match content {
        [0, bytes @ ..] => Ok(bytes),
        _ => Err(bad("a bit string does not consist of whole bytes")),
    }
}

/// The numbers of the bits that are set in a BIT STRING with named bits.
pub(crate) fn named_bits(content: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let (unused, bytes) = content
        .split_first()
        .ok_or_else(|| bad("a bit string is empty"))?;
    if bytes.len() > 4 || *unused > 7 || (bytes.is_empty() && *unused != 0) {
        return Err(bad("named bits have an impossible length"));
    }
    if bytes
        .last()
        .is_some_and(|last| last.trailing_zeros() < u32::from(*unused))
    {
        return Err(bad("unused bits of a bit string are set"));
    }
    Ok((0u8..)
        .zip(bytes)
        .flat_map(|(at, byte)| {
            (0..8u8)
                .filter(move |bit| byte & (0x80 >> bit) != 0)
                .map(move |bit| at * 8 + bit)
        })
        .collect())
}

/// The dotted form of an OBJECT IDENTIFIER.
pub(crate) fn oid(content: &[u8]) -> Result<Oid, CryptoError> {
    if content.is_empty() || content.len() > MAX_OID_LEN {
        return Err(bad("an object identifier is empty or too long"));
    }
    let mut dotted = String::with_capacity(24);
    let mut arc: u64 = 0;
    let mut started = false;
    for octet in content {
        if !started && *octet == 0x80 {
            return Err(bad("an arc of an object identifier has a superfluous zero"));
        }
        if arc >> 57 != 0 {
            return Err(bad("an arc of an object identifier is too large"));
        }
        arc = (arc << 7) | u64::from(octet & 0x7f);
        started = octet & 0x80 != 0;
        if !started {
            if dotted.is_empty() {
                // X.690 section 8.19.4: the first subidentifier holds the first two arcs.
                let first = (arc / 40).min(2);
                dotted = format!("{first}.{}", arc - 40 * first);
            } else {
                dotted.push('.');
                dotted.push_str(&arc.to_string());
            }
            arc = 0;
        }
    }
    if started {
        return Err(bad("an object identifier is cut short"));
    }
    Ok(Oid(dotted))
}

/// The text of a string type, or `None` when the element is not a string.
///
/// TeletexString is read as Latin-1, as everybody does.
pub(crate) fn text(element: &Element<'_>) -> Result<Option<String>, CryptoError> {
    let content = element.content;
    let text = match element.tag {
        tag::UTF8_STRING => String::from_utf8(content.to_vec()).ok(),
        tag::PRINTABLE_STRING | tag::IA5_STRING | tag::NUMERIC_STRING | tag::VISIBLE_STRING => {
            content
                .is_ascii()
                .then(|| content.iter().copied().map(char::from).collect())
        }
        tag::TELETEX_STRING => Some(content.iter().copied().map(char::from).collect()),
        tag::BMP_STRING => {
            let units = content.chunks_exact(2).map(|pair| match pair {
                [high, low] => u16::from_be_bytes([*high, *low]),
                _ => 0,
            });
            content
                .len()
                .is_multiple_of(2)
                .then(|| {
                    char::decode_utf16(units)
                        .collect::<Result<String, _>>()
                        .ok()
                })
                .flatten()
        }
        tag::UNIVERSAL_STRING => {
            let units = content.chunks_exact(4).map(|quad| {
                char::from_u32(
                    quad.iter()
                        .fold(0, |unit, octet| (unit << 8) | u32::from(*octet)),
                )
            });
            content
                .len()
                .is_multiple_of(4)
                .then(|| units.collect::<Option<String>>())
                .flatten()
        }
        _ => return Ok(None),
    };
    text.map(Some)
        .ok_or_else(|| bad("a string contains bytes that its type does not allow"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::der::Reader;
    use crate::testing::hex;

    #[test]
    fn integers_are_minimal_and_not_negative() {
        assert_eq!(unsigned_integer(&[0]).unwrap(), [0]);
        assert_eq!(unsigned_integer(&[0, 0x80]).unwrap(), [0x80]);
        for refused in [&[][..], &[0x80], &[0, 0x7f], &[0, 0]] {
            assert!(unsigned_integer(refused).is_err());
        }
        assert_eq!(small_integer(&[1, 0]).unwrap(), 256);
        assert!(small_integer(&[1, 0, 0, 0, 0]).is_err());
    }

    #[test]
    fn oids() {
        for (der, dotted) in [
            ("550403", "2.5.4.3"),
            ("2a864886f70d010101", "1.2.840.113549.1.1.1"),
            ("8837", "2.999"),
            ("00", "0.0"),
        ] {
            assert_eq!(oid(&hex(der)).unwrap().0, dotted);
        }
        for refused in ["", "80", "558003", "5584", "55ffffffffffffffffff7f"] {
            assert!(oid(&hex(refused)).is_err(), "{refused}");
        }
    }

    #[test]
    fn bits() {
        assert_eq!(named_bits(&[1, 0x06]).unwrap(), [5, 6]);
        assert_eq!(named_bits(&[7, 0x00, 0x80]).unwrap(), [8]);
        assert!(named_bits(&[0]).unwrap().is_empty());
        for refused in [&[][..], &[1, 0x01], &[8, 0x00], &[1], &[0, 0, 0, 0, 0, 1]] {
            assert!(named_bits(refused).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn strings_of_every_type() {
        for (bytes, expected) in [
            ("0c02c3bc", Some("ü")),
            ("1401fc", Some("ü")),
            ("1e0400fc0041", Some("üA")),
            ("1c04000000fc", Some("ü")),
            ("130141", Some("A")),
            ("0401fc", None),
        ] {
            let bytes = hex(bytes);
            let element = Reader::new(&bytes).element().unwrap();
            assert_eq!(text(&element).unwrap().as_deref(), expected);
        }
        for refused in ["0c01fc", "1301fc", "1e03000000", "1c0400110000"] {
            let bytes = hex(refused);
            assert!(text(&Reader::new(&bytes).element().unwrap()).is_err());
        }
    }
}
