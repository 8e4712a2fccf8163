//! Helpers of this crate's unit tests.

use keystead_core::x509::{Name, NameAttribute, Oid};

/// The bytes of a hexadecimal string.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// A name from (type, value) pairs.
pub(crate) fn name(attributes: &[(&str, &str)]) -> Name {
    Name {
        attributes: attributes
            .iter()
            .map(|(oid, value)| NameAttribute {
                oid: Oid::new(oid),
                value: (*value).into(),
            })
            .collect(),
    }
}
