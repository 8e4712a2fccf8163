//! UUIDs of version 4 (RFC 9562 section 5.4).

/// The UUID with these random bits, of which six are overwritten by version and variant: lower-case
/// hexadecimal, in groups of 8, 4, 4, 4 and 12 digits.
pub fn uuid_v4(random: u128) -> String {
    let version = 0x4_u128 << 76;
    let variant = 0b10_u128 << 62;
    hyphenated(random & !(0xf << 76) & !(0b11 << 62) | version | variant)
}

/// These bits as a UUID is written.
pub(crate) fn hyphenated(bits: u128) -> String {
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        bits >> 96,
        bits >> 80 & 0xffff,
        bits >> 64 & 0xffff,
        bits >> 48 & 0xffff,
        bits & 0xffff_ffff_ffff
    )
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
