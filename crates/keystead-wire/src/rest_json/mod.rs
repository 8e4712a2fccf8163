//! restJson1: operations by method and path, members over path, query, headers and a JSON document (Smithy, "AWS
//! restJson1 protocol").
//!
//! Where each member is, is in the operation's [`HttpDef`](crate::schema::HttpDef); documents are those of
//! [`crate::json`]. Prefixed headers and maps in the query are not served, as no served operation has them.

mod decode;
mod encode;
mod route;

pub use decode::decode;
pub use encode::{Answer, encode};
pub use route::find;
