//! smithy-rpc-v2-cbor: CBOR documents (RFC 8949), read and written by schema.
//!
//! Reading takes definite and indefinite lengths, every width of number, and passes over unknown
//! members; `null` and `undefined` are absence. Writing uses definite lengths and the shortest
//! heads (Smithy, "Smithy RPC v2 CBOR protocol", "Shape serialization").

mod decode;
mod encode;

pub use decode::decode;
pub use encode::{encode, encode_error};
