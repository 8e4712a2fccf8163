//! PEM (RFC 7468): written canonically, read however it arrives.
//!
//! People paste PEM into shells, JSON and web forms. What is accepted: any text before, between and
//! after blocks, CRLF, blanks or nothing where newlines should be, and the base64 of the whole once
//! more, in quotes or not. What is not: a block without its end, an end with another label, characters that are not
//! base64 inside a block.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::{Zeroize, Zeroizing};

use crate::CryptoError;

/// The labels under which certificates come (RFC 7468 section 5.1 and appendix A).
pub(crate) const CERTIFICATE_LABELS: [&str; 2] = ["CERTIFICATE", "X509 CERTIFICATE"];

/// Longest text that is searched for blocks: ACM's `CertificateChainBlob` allows 2097152 bytes, and
/// base64 of it a third more.
const MAX_TEXT: usize = 2_097_152 / 3 * 4 + 4;
/// Most blocks in one text; see [`super::verify_chain`] for how long chains can be.
const MAX_BLOCKS: usize = 128;
/// Characters a line (RFC 7468 section 2).
const LINE: usize = 64;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Base64 whose padding may be missing, because it is often lost on the way.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One block. Its contents may be a secret, so they do not print and are zeroized.
pub struct Block {
    /// What stands behind BEGIN.
    pub label: String,
    /// The decoded contents.
    pub der: Zeroizing<Vec<u8>>,
    /// Whether RFC 1421 headers say that the contents are encrypted.
    pub(crate) encrypted: bool,
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

/// A block: the label, base64 in lines of 64, a newline behind the last.
pub fn encode(label: &str, der: &[u8]) -> String {
    encode_secret(label, der).to_string()
}

/// As [`encode`], for contents that are a secret.
pub(crate) fn encode_secret(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(der));
    let mut out = Zeroizing::new(String::with_capacity(
        body.len() / LINE + body.len() + 2 * (label.len() + BEGIN.len() + DASHES.len() + 2),
    ));
    out.push_str(BEGIN);
    out.push_str(label);
    out.push_str(DASHES);
    for (at, character) in body.chars().enumerate() {
        if at % LINE == 0 {
            out.push('\n');
        }
        out.push(character);
    }
    out.push('\n');
    out.push_str(END);
    out.push_str(label);
    out.push_str(DASHES);
    out.push('\n');
    out
}

/// Every block of a text, in order.
///
/// # Errors
/// [`CryptoError::Malformed`] when a block is cut short or not base64, or the text is too long.
pub fn blocks(text: &str) -> Result<Vec<Block>, CryptoError> {
    if text.len() > MAX_TEXT {
        return Err(CryptoError::Malformed(format!(
            "the text is {} bytes long; at most {MAX_TEXT} are read",
            text.len()
        )));
    }
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once(BEGIN) {
        if blocks.len() == MAX_BLOCKS {
            return Err(CryptoError::Malformed(format!(
                "the text contains more than {MAX_BLOCKS} PEM blocks"
            )));
        }
        let cut = |what| CryptoError::Malformed(format!("a PEM block {what}"));
        let (label, body) = begun
            .split_once(DASHES)
            .filter(|(label, _)| label.len() <= LINE)
            .ok_or_else(|| cut("does not begin with -----BEGIN and a label"))?;
        let (body, ended) = body
            .split_once(END)
            .ok_or_else(|| cut("has no END line; the text seems to be cut short"))?;
        rest = ended
            .strip_prefix(label)
            .and_then(|ended| ended.strip_prefix(DASHES))
            .ok_or_else(|| cut("ends with another label than it begins with"))?;
        blocks.push(block(label, body)?);
    }
    Ok(blocks)
}

/// Every certificate of a bundle in DER, in order: PEM blocks, or the base64 of such a text, or one
/// certificate in DER.
///
/// # Errors
/// [`CryptoError::Malformed`] when there is none, or a block is something else than a certificate.
pub fn certificates(input: &[u8]) -> Result<Vec<Vec<u8>>, CryptoError> {
    let text = match strip(input)? {
        Stripped::Der(der) => return Ok(vec![der.to_vec()]),
        Stripped::Text(text) => text,
    };
    let found = blocks(&text)?;
    if let Some(other) = found
        .iter()
        .find(|block| !CERTIFICATE_LABELS.contains(&block.label.as_str()))
    {
        return Err(CryptoError::Malformed(format!(
            "the bundle contains a block {:?} among its certificates",
            other.label
        )));
    }
    if found.is_empty() {
        return Err(nothing("certificate"));
    }
    Ok(found.into_iter().map(|block| block.der.to_vec()).collect())
}

/// The DER of the one thing in `input`, however it is wrapped; `what` names it in errors.
pub(crate) fn unarmor(
    input: &[u8],
    labels: &[&str],
    what: &str,
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let text = match strip(input)? {
        Stripped::Der(der) => return Ok(der),
        Stripped::Text(text) => text,
    };
    let mut found = blocks(&text)?.into_iter();
    match (found.next(), found.next()) {
        (None, _) => Err(nothing(what)),
        (Some(one), None) if labels.contains(&one.label.as_str()) => Ok(one.der),
        (Some(one), None) => Err(CryptoError::Malformed(format!(
            "a {what} was expected, but the PEM block is labelled {:?}",
            one.label
        ))),
        (Some(_), Some(_)) => Err(CryptoError::Malformed(format!(
            "one {what} was expected, but there are several PEM blocks"
        ))),
    }
}

/// Input without a layer of base64.
pub(crate) enum Stripped {
    /// DER, or what begins like it.
    Der(Zeroizing<Vec<u8>>),
    /// Text with at least one block.
    Text(Zeroizing<String>),
}

/// Tells DER from PEM from the base64 of either.
pub(crate) fn strip(input: &[u8]) -> Result<Stripped, CryptoError> {
    if input.len() > MAX_TEXT {
        return Err(CryptoError::Malformed(format!(
            "the input is {} bytes long; at most {MAX_TEXT} are read",
            input.len()
        )));
    }
    if let Some(stripped) = recognise(input) {
        return Ok(stripped);
    }
    let unreadable = || {
        CryptoError::Malformed(
            "the input is neither PEM (-----BEGIN ...), nor DER, nor base64 of one of them".into(),
        )
    };
    let mut text = std::str::from_utf8(input).map_err(|_| unreadable())?;
    text = text.trim_matches(['"', '\'']);
    let inner = decode(text).ok_or_else(unreadable)?;
    recognise(&inner).ok_or_else(unreadable)
}

fn recognise(input: &[u8]) -> Option<Stripped> {
    // A SEQUENCE's tag is the character 0, with which neither PEM nor base64 of DER begins.
    if input.first() == Some(&crate::der::tag::SEQUENCE) {
        return Some(Stripped::Der(Zeroizing::new(input.to_vec())));
    }
    let text = std::str::from_utf8(input).ok()?;
    text.contains(BEGIN)
        .then(|| Stripped::Text(Zeroizing::new(text.to_owned())))
}

fn block(label: &str, body: &str) -> Result<Block, CryptoError> {
    // RFC 1421 section 4.6.1.1. A colon is not of base64's alphabet.
    let encrypted = body.contains("Proc-Type:") && body.contains("ENCRYPTED");
    let der = if encrypted {
        Zeroizing::new(Vec::new())
    } else {
        decode(body)
            .filter(|der| !der.is_empty())
            .ok_or_else(|| CryptoError::Malformed(format!("a PEM block {label:?} is not base64")))?
    };
    Ok(Block {
        label: label.to_owned(),
        der,
        encrypted,
    })
}

/// Base64 with whitespace anywhere.
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut packed: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let decoded = BASE64.decode(&packed).ok().map(Zeroizing::new);
    packed.zeroize();
    decoded
}

fn nothing(what: &str) -> CryptoError {
    CryptoError::Malformed(format!("there is no PEM block with a {what} in the input"))
}
