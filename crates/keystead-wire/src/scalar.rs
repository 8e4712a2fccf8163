//! What the codecs share: scalars in their textual and numeric forms.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;

use crate::schema::{Kind, Range, Schema};
use crate::value::{Sensitive, Value};

/// Base64 as AWS's own parsers take it: the standard alphabet, padded or not.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Text, wrapped where the schema says that it is a secret.
pub(crate) fn string(text: String, schema: &Schema) -> Value {
    if schema.sensitive {
        Value::SecretString(Sensitive::new(text))
    } else {
        Value::String(text)
    }
}

/// Bytes, wrapped where the schema says that they are a secret.
pub(crate) fn blob(bytes: Vec<u8>, schema: &Schema) -> Value {
    if schema.sensitive {
        Value::SecretBlob(Sensitive::new(bytes))
    } else {
        Value::Blob(bytes.into())
    }
}

/// A scalar of this schema from text outside of documents: a parameter, a header, a part of a path. `None` where
/// it is none, and for what is no scalar.
pub(crate) fn parse(text: &str, schema: &Schema) -> Option<Value> {
    match &schema.kind {
        Kind::String { .. } => Some(string(text.to_owned(), schema)),
        Kind::Boolean => match text {
            "true" => Some(Value::Boolean(true)),
            "false" => Some(Value::Boolean(false)),
            _ => None,
        },
        Kind::Integer(range) => {
            let number = text.parse().ok();
            let number = number.filter(|&number| fits_integer(number, *range));
            number.map(Value::Integer)
        }
        Kind::Long(_) => text.parse().ok().map(Value::Integer),
        Kind::Double => double_from_name(text)
            .or_else(|| text.parse().ok())
            .map(Value::Double),
        Kind::Blob(_) => {
            let bytes = BASE64.decode(text).ok();
            bytes.map(|bytes| blob(bytes, schema))
        }
        // RFC 3339, or seconds since the epoch, which AWS takes as well.
        Kind::Timestamp(_) => {
            let seconds = || timestamp_from_fraction(text.parse().ok()?);
            text.parse().ok().or_else(seconds).map(Value::Timestamp)
        }
        Kind::List { .. } | Kind::Map { .. } | Kind::Structure(_) => None,
    }
}

/// Whether a 32-bit member can take this number, or validation will refuse it by its range. AWS
/// reports a number beyond 32 bits by the range where there is one.
pub(crate) fn fits_integer(number: i64, range: Range) -> bool {
    i32::try_from(number).is_ok() || !range.admits(number)
}

/// A number with a fraction as a whole one; `None` beyond 64 bits.
pub(crate) fn truncate(number: f64) -> Option<i64> {
    // The largest numbers that both types have; 2^63 itself is no i64.
    const LIMIT: f64 = 9_223_372_036_854_774_784.0;
    (number.abs() <= LIMIT).then_some(number as i64)
}

/// The spelled-out numbers of awsJson, query and XML.
pub(crate) fn double_from_name(name: &str) -> Option<f64> {
    match name {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The name of a number that JSON cannot write.
pub(crate) fn double_name(number: f64) -> Option<&'static str> {
    if number.is_nan() {
        Some("NaN")
    } else if number.is_infinite() {
        Some(if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        })
    } else {
        None
    }
}

/// An instant from whole seconds; `None` outside the years -9999 to 9999.
pub(crate) fn timestamp_from_seconds(seconds: i64) -> Option<Timestamp> {
    Timestamp::from_second(seconds).ok()
}

/// An instant from seconds with a fraction, kept to the millisecond (Smithy's `epoch-seconds`).
pub(crate) fn timestamp_from_fraction(seconds: f64) -> Option<Timestamp> {
    Timestamp::from_millisecond(truncate((seconds * 1000.0).round())?).ok()
}

/// An instant in RFC 3339, to the millisecond where it has any.
pub(crate) fn date_time(at: Timestamp) -> String {
    let millisecond = Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at);
    millisecond.to_string()
}

/// An instant as whole seconds and the milliseconds after them, 0 to 999.
pub(crate) fn seconds_and_milliseconds(at: Timestamp) -> (i64, i64) {
    let milliseconds = at.as_millisecond();
    (milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000))
}
