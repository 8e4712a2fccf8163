//! The canonical request and the string to sign (IAM user guide, "Create a canonical request").

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::{RequestView, Rules, UNSIGNED_PAYLOAD};

/// RFC 3986's unreserved characters are the only ones left as they are.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// In a path, slashes separate.
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// What a signature covers, besides method and body.
#[derive(Clone, Copy)]
pub(super) struct Coverage<'a> {
    pub(super) rules: Rules,
    /// Lower-case, ascending, each once, with `;` between.
    pub(super) signed_headers: &'a str,
    /// Query parameters that are not part of what is signed: the signature itself.
    pub(super) left_out: &'a [&'a str],
}

/// The last line of a canonical request.
#[derive(Clone, Copy)]
pub(super) enum PayloadLine {
    /// The body is not signed.
    Unsigned,
    /// The SHA-256 of the body.
    Hash([u8; 64]),
}

impl PayloadLine {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Unsigned => UNSIGNED_PAYLOAD.as_bytes(),
            Self::Hash(hash) => hash,
        }
    }
}

/// The canonical request.
pub(super) fn request(
    view: &RequestView<'_>,
    coverage: &Coverage<'_>,
    payload: &PayloadLine,
) -> Vec<u8> {
    // Most requests to awsJson and query services take about 400 bytes.
    let mut out = Vec::with_capacity(768);
    out.extend_from_slice(view.method.as_bytes());
    out.push(b'\n');
    path(view.path, coverage.rules, &mut out);
    out.push(b'\n');
    query(view.query, coverage.left_out, &mut out);
    out.push(b'\n');
    for name in coverage.signed_headers.split(';') {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        header_values(view, name, &mut out);
        out.push(b'\n');
    }
    out.push(b'\n');
    out.extend_from_slice(coverage.signed_headers.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(payload.as_bytes());
    out
}

/// The string that the signing key signs.
pub(super) fn string_to_sign(
    algorithm: &str,
    amz_date: &str,
    scope: &str,
    canonical_sha256: &[u8; 32],
) -> Vec<u8> {
    let hash = hex(canonical_sha256);
    let lines = [
        algorithm.as_bytes(),
        amz_date.as_bytes(),
        scope.as_bytes(),
        &hash,
    ];
    lines.join(&b'\n')
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8; 32]) -> [u8; 64] {
    let digit = |nibble: u8| {
        if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' + nibble - 10
        }
    };
    let mut out = [0; 64];
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        if let [high, low] = pair {
            (*high, *low) = (digit(byte >> 4), digit(byte & 15));
        }
    }
    out
}

/// The reverse of [`hex`]; upper case is refused, because AWS writes lower case only.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = text.bytes();
    let mut out = [0; 32];
    for to in &mut out {
        *to = (digit(bytes.next()?)? << 4) | digit(bytes.next()?)?;
    }
    bytes.next().is_none().then_some(out)
}

/// One name or value of the query, encoded.
pub(super) fn encode(value: &[u8]) -> Cow<'_, str> {
    percent_encode(value, VALUE).into()
}

fn path(raw: &str, rules: Rules, out: &mut Vec<u8>) {
    let raw = if raw.is_empty() { "/" } else { raw };
    if !rules.normalize_path {
        return segment(raw, rules, out);
    }
    // Resolves `.`, `..` and repeated slashes. A slash at the very end stays.
    let mut segments = Vec::new();
    for part in raw.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    for part in &segments {
        out.push(b'/');
        segment(part, rules, out);
    }
    if segments.is_empty() || raw.ends_with('/') {
        out.push(b'/');
    }
}

fn segment(raw: &str, rules: Rules, out: &mut Vec<u8>) {
    let once: Cow<'_, [u8]> = match rules.double_encode {
        true => Cow::Borrowed(raw.as_bytes()),
        false => percent_decode_str(raw).into(),
    };
    for piece in percent_encode(&once, PATH) {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// The parameters, each decoded and encoded afresh, sorted by name, then by value, as encoded.
fn query(raw: &str, left_out: &[&str], out: &mut Vec<u8>) {
    let mut pairs: Vec<(String, String)> = raw
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (recoded(name), recoded(value)))
        .filter(|(name, _)| !left_out.contains(&name.as_str()))
        .collect();
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(value.as_bytes());
    }
}

fn recoded(raw: &str) -> String {
    let decoded: Cow<'_, [u8]> = percent_decode_str(raw).into();
    percent_encode(&decoded, VALUE).to_string()
}

/// All values of one header, in order, joined by commas, each trimmed and with its runs of blanks
/// made one.
fn header_values(view: &RequestView<'_>, name: &str, out: &mut Vec<u8>) {
    let mut values = view.headers.get_all(name).iter().peekable();
    if values.peek().is_none() && name == "host" {
        out.extend_from_slice(view.authority.unwrap_or_default().as_bytes());
        return;
    }
    let mut first = true;
    for value in values {
        if !first {
            out.push(b',');
        }
        first = false;
        let words = value
            .as_bytes()
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|word| !word.is_empty());
        for (index, word) in words.enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of(raw: &str, rules: Rules) -> String {
        let mut out = Vec::new();
        path(raw, rules, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn query_of(raw: &str, left_out: &[&str]) -> String {
        let mut out = Vec::new();
        query(raw, left_out, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn paths_are_resolved_and_encoded_twice_but_for_s3() {
        let standard = |raw| path_of(raw, Rules::STANDARD);
        assert_eq!(standard(""), "/");
        assert_eq!(standard("/a//b/./c/../d/"), "/a/b/d/");
        assert_eq!(standard("/../.."), "/");
        assert_eq!(standard("/a%20b"), "/a%2520b");
        assert_eq!(path_of("/a%20b//../c$", Rules::S3), "/a%20b//../c%24");
        assert_eq!(path_of("", Rules::S3), "/");
    }

    #[test]
    fn queries_are_sorted_as_encoded() {
        assert_eq!(query_of("", &[]), "");
        assert_eq!(query_of("b=2&a=%2f&a=+&&c", &[]), "a=%2B&a=%2F&b=2&c=");
        assert_eq!(query_of("a-b=1&a=2", &[]), "a=2&a-b=1");
        assert_eq!(
            query_of("a=1&X-Amz-Signature=s", &["X-Amz-Signature"]),
            "a=1"
        );
        assert_eq!(query_of("a=%zz&b=%", &[]), "a=%25zz&b=%25");
    }

    #[test]
    fn hexadecimal_is_64_lower_case_digits() {
        let bytes: [u8; 32] = std::array::from_fn(|n| n as u8 * 8 + 7);
        let text = String::from_utf8(hex(&bytes).to_vec()).unwrap();
        assert_eq!(&text[..8], "070f171f");
        assert_eq!(unhex(&text), Some(bytes));
        assert_eq!(unhex(&text.to_uppercase()), None);
        assert_eq!(unhex(&text[2..]), None);
        assert_eq!(unhex(&format!("{text}00")), None);
    }
}
