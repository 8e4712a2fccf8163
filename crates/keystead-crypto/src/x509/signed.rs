//! What certificates, requests and revocation lists have around them (RFC 5280 sections 4.1.1 and 5.1.1, RFC 2986
//! section 4.2): the part that is signed, how it is signed, and the signature.

use crate::CryptoError;
use crate::der::{self, Element, Reader, tag};

/// The three parts.
pub(super) struct Signed<'a> {
    pub(super) tbs: Element<'a>,
    pub(super) identifier: Element<'a>,
    pub(super) signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Takes the DER of one of them apart; nothing may stand behind it.
    pub(super) fn read(der: &'a [u8]) -> Result<Self, CryptoError> {
        let mut outer = Reader::new(der);
        let mut parts = outer.enter(tag::SEQUENCE)?;
        outer.finish()?;
        let signed = Self {
            tbs: parts.expect(tag::SEQUENCE)?,
            identifier: parts.expect(tag::SEQUENCE)?,
            signature: der::bit_string(parts.expect(tag::BIT_STRING)?.content)?,
        };
        parts.finish()?;
        Ok(signed)
    }
}
