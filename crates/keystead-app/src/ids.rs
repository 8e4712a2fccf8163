//! Fresh identifiers.

use keystead_core::iam::id;
use keystead_core::{Error, ErrorKind, Result, uuid_v4};

/// A random UUID, version 4 (RFC 9562 section 5.4), in lower case.
pub(crate) fn uuid() -> Result<String> {
    let bytes = keystead_crypto::random::bytes()
        .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
    Ok(uuid_v4(u128::from_be_bytes(bytes)))
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
