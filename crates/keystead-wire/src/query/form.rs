//! `application/x-www-form-urlencoded` parameters, as a tree by the dots in their names.

use std::borrow::Cow;
use std::collections::BTreeMap;

use percent_encoding::percent_decode;

use crate::error::ErrorAnswer;

/// How many parameters a request may have: far beyond the largest documented request (a thousand
/// list members of a few fields each), and far below what would take noticeable time.
const MAX_PARAMETERS: usize = 10_000;

/// How deep the dots of a name may nest; the same bound as for JSON and CBOR documents.
const MAX_DEPTH: usize = 128;

/// The parameters of a request, from the query string, the body or both.
#[derive(Debug, Default)]
pub struct Form<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Form<'a> {
    /// Splits the query string of a URL and a body. Refuses what is not UTF-8 and more than ten
    /// thousand parameters.
    pub fn parse(query: Option<&'a str>, body: &'a [u8]) -> Result<Self, ErrorAnswer> {
        let query = query.unwrap_or_default().as_bytes();
        let parts = [query, body]
            .into_iter()
            .flat_map(|s| s.split(|&b| b == b'&'));
        let mut pairs = Vec::new();
        for part in parts.filter(|part| !part.is_empty()) {
            if pairs.len() == MAX_PARAMETERS {
                return Err(malformed(format!(
                    "more than {MAX_PARAMETERS} parameters in one request"
                )));
            }
            let mut halves = part.splitn(2, |&b| b == b'=');
            let name = unescape(halves.next().unwrap_or_default())?;
            let value = unescape(halves.next().unwrap_or_default())?;
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// The value of the parameter of exactly this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.pairs.iter();
        pairs.find_map(|(given, value)| (given == name).then_some(&**value))
    }

    /// The values of the parameters of exactly this name, in their order.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        let named = self.pairs.iter().filter(move |(given, _)| given == name);
        named.map(|(_, value)| &**value)
    }

    /// The parameters as a tree.
    pub(super) fn tree(&self) -> Result<Node<'_>, ErrorAnswer> {
        let mut root = Node::default();
        for (name, value) in &self.pairs {
            let mut node = &mut root;
            for (depth, segment) in name.split('.').enumerate() {
                if depth == MAX_DEPTH {
                    return Err(malformed(format!(
                        "a parameter name nests deeper than {MAX_DEPTH} levels"
                    )));
                }
                node = node.children.entry(segment).or_default();
            }
            node.value = Some(value);
        }
        Ok(root)
    }
}

/// `MalformedInput`, 400: what query services answer to a form that they cannot read.
pub(super) fn malformed(message: impl Into<String>) -> ErrorAnswer {
    ErrorAnswer::new("MalformedInput", 400, message)
}

/// What stands under a part of a name.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub(super) value: Option<&'a str>,
    pub(super) children: BTreeMap<&'a str, Node<'a>>,
}

impl<'a> Node<'a> {
    /// The numbered children in the order of their numbers; the numbers may have gaps.
    pub(super) fn numbered(&self) -> Vec<&Node<'a>> {
        let children = self.children.iter();
        let mut numbered: Vec<(u32, &Node<'a>)> = children
            .filter_map(|(segment, node)| Some((segment.parse().ok()?, node)))
            .collect();
        numbered.sort_unstable_by_key(|(number, _)| *number);
        numbered.into_iter().map(|(_, node)| node).collect()
    }
}

/// Plus signs to blanks, percent escapes to bytes; copies only where there are any.
fn unescape(raw: &[u8]) -> Result<Cow<'_, str>, ErrorAnswer> {
    let not_utf8 = |_| malformed("a parameter is not UTF-8");
    if raw.contains(&b'+') {
        let spaced: Vec<u8> = raw
            .iter()
            .map(|&b| if b == b'+' { b' ' } else { b })
            .collect();
        let text = percent_decode(&spaced).decode_utf8().map_err(not_utf8)?;
        return Ok(Cow::Owned(text.into_owned()));
    }
    percent_decode(raw).decode_utf8().map_err(not_utf8)
}
