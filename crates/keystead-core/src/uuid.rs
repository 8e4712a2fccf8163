//! UUIDs of version 4 (RFC 9562 section 5.4).

use crate::hex::digits;

/// The UUID with these random bits, of which six are overwritten by version and variant: lower-case
/// hexadecimal, in groups of 8, 4, 4, 4 and 12 digits.
pub fn uuid_v4(random: u128) -> String {
    let version = 0x4_u128 << 76;
    let variant = 0b10_u128 << 62;
    hyphenated(random & !(0xf << 76) & !(0b11 << 62) | version | variant)
}

/// These bits as a UUID is written. Every call makes two, so not by `format!`, which takes ten times as long.
pub(crate) fn hyphenated(bits: u128) -> String {
    let mut text = String::with_capacity(36);
    for (place, octet) in bits.to_be_bytes().into_iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.extend(digits(octet));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_and_variant_stand_where_the_rfc_wants_them() {
        assert_eq!(uuid_v4(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid_v4(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(
            uuid_v4(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
            "01234567-89ab-4def-8123-456789abcdef"
        );
    }
}
