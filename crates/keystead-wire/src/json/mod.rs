//! awsJson 1.0 and 1.1: JSON documents, read and written by schema.
//!
//! Reading is one pass from bytes to [`Value`](crate::Value), with no tree in between. Timestamps
//! are numbers of seconds, blobs are base64, `null` is absence, unknown members are passed over
//! (Smithy, "AWS JSON 1.1 protocol"). What does not fit is refused in the words that AWS uses.

mod decode;
mod encode;

pub use decode::decode;
pub use encode::{encode, encode_error, encode_message};
