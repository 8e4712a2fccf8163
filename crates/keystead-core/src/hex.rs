//! Octets in text.

/// Two lower-case hexadecimal digits for each octet (RFC 4648 section 8, in lower case).
pub fn hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(2 * octets.len());
    text.extend(octets.iter().flat_map(|octet| digits(*octet)));
    text
}

/// The two digits of one octet.
pub(crate) fn digits(octet: u8) -> [char; 2] {
    [octet >> 4, octet & 0xf].map(|half| {
        char::from(match half {
            0..10 => b'0' + half,
            _ => b'a' + half - 10,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::hex;

    #[test]
    fn every_octet_has_two_digits() {
        assert_eq!(hex(&[]), "");
        assert_eq!(hex(&[0x00, 0x0f, 0xa0, 0xff]), "000fa0ff");
    }
}
