//! Versions on the wire.
//!
//! A version must mean the same on every stream, before and after a restart and on every server of a
//! group, because a node that reconnects tells the version that it has and expects not to be sent
//! that again (xDS, "ACK/NACK and resource type instance version"). So it is never counted by a
//! stream or a process: it is the version of the stored record, which the store takes from its commit
//! sequence.
//!
//! *One resource* (incremental): the record's version in 20 decimal digits, the width of the largest
//! `u64`, so that versions also sort as text in an operator's hands.
//!
//! *All of a stream's resources* (state of the world, `version_info`): the newest record's version,
//! a dash, and a hash of every name with its version. The newest alone would not do: it stays the same
//! when a name is added whose record is older, and a server may keep from re-sending on a new stream
//! only if it knows that the node did not subscribe to something new. The hash is how it knows. It
//! guards against accidents only (who forges it misses their own updates), so FNV-1a is enough.

/// The version of one resource.
pub(crate) fn of_one(version: u64) -> String {
    format!("{version:020}")
}

/// Reads what [`of_one`] wrote; nothing for what another server wrote.
pub(crate) fn parse_one(text: &str) -> Option<u64> {
    let digits = text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// The version of a set of resources, given in ascending order of name.
pub(crate) fn of_all<'a>(resources: impl Iterator<Item = (&'a str, u64)>) -> String {
    let mut newest = 0;
    let mut hash = Fnv1a::default();
    for (name, version) in resources {
        newest = newest.max(version);
        // The length first, so that no two sets write the same bytes.
        hash.update(&(name.len() as u64).to_be_bytes());
        hash.update(name.as_bytes());
        hash.update(&version.to_be_bytes());
    }
    format!("{newest:020}-{:016x}", hash.0)
}

/// FNV-1a, 64 bits (offset basis and prime of draft-eastlake-fnv).
struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv1a {
    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_resource_round_trips_and_sorts_as_text() {
        assert_eq!(of_one(7), "00000000000000000007");
        assert_eq!(parse_one(&of_one(u64::MAX)), Some(u64::MAX));
        assert!(of_one(9) < of_one(10));
    }

    #[test]
    fn what_another_server_wrote_is_not_a_version() {
        for text in [
            "",
            "7",
            "1-2",
            "+0000000000000000007",
            "99999999999999999999",
        ] {
            assert_eq!(parse_one(text), None, "{text}");
        }
    }

    #[test]
    fn a_set_is_told_by_names_and_versions() {
        let set = |pairs: &[(&str, u64)]| of_all(pairs.iter().copied());
        let same = set(&[("a", 9), ("b", 5)]);
        assert_eq!(same, set(&[("a", 9), ("b", 5)]));
        assert_ne!(same, set(&[("a", 9)]), "an older resource was added");
        assert_ne!(
            same,
            set(&[("a", 9), ("b", 6)]),
            "an older resource changed"
        );
        assert_ne!(same, set(&[("a", 9), ("c", 5)]), "another name");
        assert!(same.starts_with("00000000000000000009-"));
    }

    #[test]
    fn the_hash_is_the_published_one() {
        let mut hash = Fnv1a::default();
        hash.update(b"foobar");
        // Test vector of draft-eastlake-fnv, appendix C.
        assert_eq!(hash.0, 0x8594_4171_f739_67e8);
    }
}
