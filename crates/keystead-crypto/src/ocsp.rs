//! OCSP (RFC 6960): what is asked, read; what is answered, written.
//!
//! An answer is [`encode_response_data`], a signature by [`crate::KeyRing::sign`], [`encode_response`]. What can't be
//! answered is [`refusal`], which nobody signs.

mod request;
mod response;

pub use request::{CertId, HashAlgorithm, MOST_ASKED, OcspRequest};
pub use response::{
    OcspAnswer, OcspData, OcspRefusal, OcspStatus, encode_response, encode_response_data, refusal,
};
