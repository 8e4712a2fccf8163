//! Records as bytes: a version marker, then the record.
//!
//! The marker names the kind and its version (`pca.ca/2`). A record of an older version is read by
//! a chain of pure functions, each from one version to its successor; it is written in its newest
//! version at the next commit. Nothing is ever rewritten in bulk.
//!
//! ```
//! # use serde::{Serialize, Deserialize};
//! # use keystead_store::{DecodeError, Older, Versioned};
//! #[derive(Serialize, Deserialize)]
//! struct ColourV1 { name: String }
//! impl Versioned for ColourV1 {
//!     const MARKER: &'static str = "colour/1";
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Colour { name: String, shade: u8 }
//! impl Versioned for Colour {
//!     const MARKER: &'static str = "colour/2";
//!     fn from_older(older: Older<'_>) -> Result<Self, DecodeError> {
//!         older.migrate(|old: ColourV1| Self { name: old.name, shade: 0 })
//!     }
//! }
//! ```

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// Room for a usual record, so that its buffer need not grow (growing leaves copies behind).
const USUAL_RECORD: usize = 2048;

/// A record that can be stored: how its version is marked, and how its predecessor is read.
///
/// Fields may be added to a version with `#[serde(default)]`: records carry their field names.
/// Anything else is a new version.
pub trait Versioned: Serialize + DeserializeOwned + Send + 'static {
    /// Kind and version, as `kind/number`; at most 255 bytes. Never reused.
    const MARKER: &'static str;

    /// Reads a record whose marker is another one, by [`Older::migrate`] from the predecessor.
    ///
    /// # Errors
    /// [`DecodeError`], always, for a first version.
    fn from_older(older: Older<'_>) -> Result<Self, DecodeError> {
        Err(older.unknown::<Self>())
    }
}

/// Nothing: the payload of a queued item whose id says everything.
impl Versioned for () {
    const MARKER: &'static str = "none/1";
}

/// A stored record with a marker that is not the newest.
#[derive(Clone, Copy)]
pub struct Older<'a> {
    marker: &'a [u8],
    body: &'a [u8],
}

impl Older<'_> {
    /// Reads it as the predecessor (or what the predecessor migrates from), then applies the pure
    /// function to the successor.
    ///
    /// # Errors
    /// [`DecodeError`] when it is no version of this kind that is known here.
    pub fn migrate<P: Versioned, T>(
        self,
        successor: impl FnOnce(P) -> T,
    ) -> Result<T, DecodeError> {
        decode_parts::<P>(self).map(successor)
    }

    fn unknown<T: Versioned>(self) -> DecodeError {
        DecodeError(format!(
            "it is marked \"{}\", which is neither \"{}\" nor a known predecessor; a newer version of \
             Keystead may have written it",
            self.marker.escape_ascii(),
            T::MARKER
        ))
    }
}

impl fmt::Debug for Older<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Older")
            .field("marker", &self.marker.escape_ascii().to_string())
            .finish_non_exhaustive()
    }
}

/// Why bytes are not the record expected: what was found, what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError(pub(crate) String);

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DecodeError {}

/// A record's bytes, for who seals and keeps them elsewhere: marker length, marker, record (MessagePack with field names).
///
/// # Errors
/// [`DecodeError`] when the value has no such form.
pub fn encode<T: Versioned>(value: &T) -> Result<Zeroizing<Vec<u8>>, DecodeError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(USUAL_RECORD));
    let length = u8::try_from(T::MARKER.len())
        .map_err(|_| DecodeError(format!("the marker {} is too long", T::MARKER)))?;
    bytes.push(length);
    bytes.extend_from_slice(T::MARKER.as_bytes());
    rmp_serde::encode::write_named(&mut *bytes, value)
        .map_err(|error| DecodeError(format!("{} cannot be encoded: {error}", T::MARKER)))?;
    Ok(bytes)
}

/// The inverse of [`encode`], for this version and its predecessors.
///
/// # Errors
/// [`DecodeError`] when they are not such a record.
pub fn decode<T: Versioned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let parts = bytes
        .split_first()
        .and_then(|(length, rest)| rest.split_at_checked(usize::from(*length)));
    let (marker, body) =
        parts.ok_or_else(|| DecodeError("it is too short to have a version marker".into()))?;
    decode_parts(Older { marker, body })
}

fn decode_parts<T: Versioned>(parts: Older<'_>) -> Result<T, DecodeError> {
    if parts.marker != T::MARKER.as_bytes() {
        return T::from_older(parts);
    }
    rmp_serde::from_slice(parts.body).map_err(|error| {
        DecodeError(format!(
            "it is marked \"{}\" but is not one: {error}",
            T::MARKER
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct V1 {
        name: String,
    }
    impl Versioned for V1 {
        const MARKER: &'static str = "lamp/1";
    }

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct V2 {
        name: String,
        watts: u32,
    }
    impl Versioned for V2 {
        const MARKER: &'static str = "lamp/2";
        fn from_older(older: Older<'_>) -> Result<Self, DecodeError> {
            older.migrate(|old: V1| Self {
                name: old.name,
                watts: 40,
            })
        }
    }

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct V3 {
        name: String,
        milliwatts: u64,
        #[serde(default)]
        note: Option<String>,
    }
    impl Versioned for V3 {
        const MARKER: &'static str = "lamp/3";
        fn from_older(older: Older<'_>) -> Result<Self, DecodeError> {
            older.migrate(|old: V2| Self {
                name: old.name,
                milliwatts: u64::from(old.watts) * 1000,
                note: None,
            })
        }
    }

    fn v3(milliwatts: u64) -> V3 {
        V3 {
            name: "desk".into(),
            milliwatts,
            note: None,
        }
    }

    #[test]
    fn every_older_version_migrates_step_by_step() {
        let name = || "desk".to_string();
        let first = encode(&V1 { name: name() }).unwrap();
        let second = encode(&V2 {
            name: name(),
            watts: 60,
        })
        .unwrap();
        assert_eq!(decode::<V3>(&first).unwrap(), v3(40_000));
        assert_eq!(decode::<V3>(&second).unwrap(), v3(60_000));
        assert_eq!(
            decode::<V3>(&encode(&v3(7)).unwrap()).unwrap(),
            v3(7),
            "the newest is read as it is"
        );
    }

    #[test]
    fn a_newer_or_foreign_version_is_named_not_guessed() {
        let newer = encode(&v3(1)).unwrap();
        let error = decode::<V2>(&newer).unwrap_err().to_string();
        assert!(error.contains("\"lamp/3\""), "{error}");
        assert!(error.contains("newer version"), "{error}");
        assert!(decode::<V3>(&encode(&()).unwrap()).is_err());
    }

    #[test]
    fn a_field_with_a_default_may_be_added() {
        #[derive(Serialize, Deserialize)]
        struct Before {
            name: String,
            milliwatts: u64,
        }
        impl Versioned for Before {
            const MARKER: &'static str = "lamp/3";
        }
        let bytes = encode(&Before {
            name: "desk".into(),
            milliwatts: 5,
        })
        .unwrap();
        assert_eq!(decode::<V3>(&bytes).unwrap(), v3(5));
    }

    #[test]
    fn every_cut_is_an_error() {
        let bytes = encode(&v3(1)).unwrap();
        for length in 0..bytes.len() {
            assert!(decode::<V3>(&bytes[..length]).is_err(), "cut at {length}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = decode::<V3>(&bytes);
        }
    }
}
