//! Fresh identifiers.

use keystead_core::iam::id;
use keystead_core::{Error, ErrorKind, Result, uuid_v4};

/// A random UUID, version 4 (RFC 9562 section 5.4), in lower case.
pub(crate) fn uuid() -> Result<String> {
    let bytes = keystead_crypto::random::bytes()
        .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
    Ok(uuid_v4(u128::from_be_bytes(bytes)))
}

/// A UUID made of a digest: the same for the same thing (RFC 9562 section 5.8, version 8).
pub(crate) fn uuid_of(digest: &[u8; 32]) -> String {
    let (front, _) = digest.split_at(16);
    let bytes = front.try_into().unwrap_or([0; 16]);
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62);
    let hex = format!("{:032x}", number | (0x8 << 76) | (0x2 << 62));
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    let parts = parts.map(|(from, to)| hex.get(from..to).unwrap_or_default());
    parts.join("-")
}

/// A random unique id of IAM, for instance `AIDA...`.
pub(crate) fn iam(prefix: id::Prefix) -> Result<String> {
    let random = keystead_crypto::random::bytes()
        .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
    Ok(id::unique(prefix, random))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_uuid_has_the_published_form() {
        let text = super::uuid().unwrap();
        let lengths: Vec<_> = text.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(&text[14..15], "4");
        assert!("89ab".contains(&text[19..20]), "{text}");
    }
}
