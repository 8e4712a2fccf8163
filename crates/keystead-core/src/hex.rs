//! Octets in text.

/// Two lower-case hexadecimal digits for each octet (RFC 4648 section 8, in lower case).
pub fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let halves = octets.iter().flat_map(|octet| [octet >> 4, octet & 0xf]);
    halves
        .filter_map(|half| DIGITS.get(usize::from(half)))
        .map(|digit| char::from(*digit))
        .collect()
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
