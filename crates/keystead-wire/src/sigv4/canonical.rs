//! The canonical request and the string to sign (IAM user guide, "Create a canonical request").

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::{ALGORITHM, RequestView, Rules};

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
    /// Lower-case, ascending, each once.
    pub(super) signed_headers: &'a [String],
    /// Query parameters that are not part of what is signed: the signature itself.
    pub(super) left_out: &'a [&'a str],
}

/// The canonical request; `payload` is its last line.
pub(super) fn request(view: &RequestView<'_>, coverage: &Coverage<'_>, payload: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(view.method.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(path(view.path, coverage.rules).as_bytes());
    out.push(b'\n');
    out.extend_from_slice(query(view.query, coverage.left_out).as_bytes());
    out.push(b'\n');
    for name in coverage.signed_headers {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        header_values(view, name, &mut out);
        out.push(b'\n');
    }
    out.push(b'\n');
    out.extend_from_slice(coverage.signed_headers.join(";").as_bytes());
    out.push(b'\n');
    out.extend_from_slice(payload.as_bytes());
    out
}

/// The string that the signing key signs.
pub(super) fn string_to_sign(amz_date: &str, scope: &str, canonical_sha256: &[u8; 32]) -> String {
    let hash = hex(canonical_sha256);
    format!("{ALGORITHM}\n{amz_date}\n{scope}\n{hash}")
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| {
        char::from(if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' + nibble - 10
        })
    };
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
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

fn path(raw: &str, rules: Rules) -> String {
    let resolved: Cow<'_, str> = if rules.normalize_path {
        Cow::Owned(normalized(raw))
    } else if raw.is_empty() {
        Cow::Borrowed("/")
    } else {
        Cow::Borrowed(raw)
    };
    if rules.double_encode {
        percent_encode(resolved.as_bytes(), PATH).to_string()
    } else {
        let decoded: Cow<'_, [u8]> = percent_decode_str(&resolved).into();
        percent_encode(&decoded, PATH).to_string()
    }
}

/// Resolves `.`, `..` and repeated slashes. A slash at the very end stays.
fn normalized(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let mut out = String::with_capacity(path.len() + 1);
    for segment in &segments {
        out.push('/');
        out.push_str(segment);
    }
    if out.is_empty() || path.ends_with('/') {
        out.push('/');
    }
    out
}

/// The parameters, each decoded and encoded afresh, sorted by name, then by value, as encoded.
fn query(raw: &str, left_out: &[&str]) -> String {
    if raw.is_empty() {
        return String::new();
    }
    let mut pairs: Vec<(String, String)> = raw
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (recoded(name), recoded(value)))
        .filter(|(name, _)| !left_out.contains(&name.as_str()))
        .collect();
    pairs.sort_unstable();
    let mut out = String::with_capacity(raw.len() + 16);
    for (name, value) in &pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        out.push_str(value);
    }
    out
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

    #[test]
    fn paths_are_resolved_and_encoded_twice_but_for_s3() {
        let standard = |raw| path(raw, Rules::STANDARD);
        assert_eq!(standard(""), "/");
        assert_eq!(standard("/a//b/./c/../d/"), "/a/b/d/");
        assert_eq!(standard("/../.."), "/");
        assert_eq!(standard("/a%20b"), "/a%2520b");
        assert_eq!(path("/a%20b//../c$", Rules::S3), "/a%20b//../c%24");
        assert_eq!(path("", Rules::S3), "/");
    }

    #[test]
    fn queries_are_sorted_as_encoded() {
        assert_eq!(query("b=2&a=%2f&a=+&&c", &[]), "a=%2B&a=%2F&b=2&c=");
        assert_eq!(query("a-b=1&a=2", &[]), "a=2&a-b=1");
        assert_eq!(query("a=1&X-Amz-Signature=s", &["X-Amz-Signature"]), "a=1");
        assert_eq!(query("a=%zz&b=%", &[]), "a=%25zz&b=%25");
    }

    #[test]
    fn hexadecimal_is_64_lower_case_digits() {
        let bytes: [u8; 32] = std::array::from_fn(|n| n as u8 * 8 + 7);
        assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        assert_eq!(unhex(&hex(&bytes).to_uppercase()), None);
        assert_eq!(unhex(&hex(&[0; 31])), None);
        assert_eq!(unhex(&hex(&[0; 33])), None);
    }
}
