//! Records of secrets lie apart from others in the file, so that nothing of them is left where they were.
//!
//! SQLite moves small records between pages to balance them, and may leave copies behind in the pages' unused parts, which
//! `secure_delete` does not reach. What does not fit into a page goes on in pages of its own, which are never moved, and
//! are overwritten when they are freed. So zeros stand before the sealed value, as many as stay in the page with others
//! (SQLite, "Database File Format", section 1.6: the payload P, and how much of it stays).

/// Bytes of a page, SQLite's default.
const PAGE: usize = 4096;
/// Bytes of a payload in a page of its own.
const OVERFLOW: usize = PAGE - 4;
/// The least that stays of a payload that does not fit: M.
const STAYS: usize = (PAGE - 12) * 32 / 255 - 23;
/// A row's columns beside its names and its value: 7 to 19 bytes, by their lengths.
const COLUMNS: usize = 13;
/// More than [`COLUMNS`] is wrong by.
const SLACK: usize = 16;
/// Zeros in front.
const FRONT: usize = STAYS + 2 * SLACK;
/// The last of them say how long the value is.
const LENGTH: usize = size_of::<u32>();

/// The sealed value as it is stored, in a row with names of that many bytes; `None` for one that is too long to be stored.
pub(super) fn wrap(sealed: &[u8], names: usize) -> Option<Vec<u8>> {
    let length = u32::try_from(sealed.len()).ok()?;
    let mut value = vec![0; FRONT - LENGTH];
    value.extend_from_slice(&length.to_be_bytes());
    value.extend_from_slice(sealed);
    // All that does not stay fills its pages: a payload of STAYS and a bit, and whole pages.
    let payload = value.len() + names + COLUMNS;
    let over = (payload + OVERFLOW - STAYS - SLACK) % OVERFLOW;
    value.resize(value.len() + (OVERFLOW - over) % OVERFLOW, 0);
    Some(value)
}

/// The sealed value of a stored one, wrapped or not: what is sealed begins with its format's number, which is not zero.
pub(super) fn unwrap(stored: Vec<u8>) -> Vec<u8> {
    if stored.first() != Some(&0) {
        return stored;
    }
    let sealed = || {
        let (front, rest) = stored.split_at_checked(FRONT)?;
        let length = u32::from_be_bytes(*front.last_chunk()?);
        rest.get(..usize::try_from(length).ok()?)
            .map(<[u8]>::to_vec)
    };
    // Damage is told by who opens it.
    sealed().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_comes_back_and_lies_in_pages_of_its_own() {
        for length in (0..3 * PAGE).chain([64 << 10]) {
            let sealed = vec![7; length];
            for (names, columns) in [(0, 7), (90, 13), (2048, 19)] {
                let stored = wrap(&sealed, names).unwrap();
                let payload = stored.len() + names + columns;
                // The format's section 1.6.
                assert!(payload > PAGE - 35);
                let stays = STAYS + (payload - STAYS) % OVERFLOW;
                let stays = if stays <= PAGE - 35 { stays } else { STAYS };
                assert!(stays <= FRONT, "{length} {names}: {stays} stay");
                assert_eq!(unwrap(stored), sealed);
            }
        }
    }

    #[test]
    fn what_is_not_wrapped_is_left_alone_and_damage_yields_nothing() {
        assert_eq!(unwrap(vec![1, 2, 3]), [1, 2, 3]);
        assert!(unwrap(Vec::new()).is_empty());
        let mut stored = wrap(&[7; 100], 90).unwrap();
        stored[FRONT - 4] = 0xff;
        assert!(unwrap(stored).is_empty());
        assert!(unwrap(vec![0; 10]).is_empty());
    }
}
