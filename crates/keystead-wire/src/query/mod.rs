//! awsQuery: requests as form parameters, answers as XML.
//!
//! A request names members by paths, `Tags.member.1.Key`; an answer wraps its members in
//! `<XResponse><XResult>` (Smithy, "AWS query protocol").

mod decode;
mod form;
mod xml;

pub use decode::decode;
pub use form::Form;
pub use xml::{encode, encode_error};
