//! Files made of a text with places for secrets and certificates in it.
//!
//! `{{ secret "ARN" }}`, `{{ secret "ARN" "member of its JSON" }}`, `{{ fullchain "ARN" }}`, and `certificate`, `chain`, `key`, `pem`
//! and `bundle` likewise. There is nothing else: no conditions, no loops, no escapes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::config::{Part, check_arn};
use super::fetch::Fetched;
use crate::private::Bytes;

/// A text with places in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value {
        part: Part,
        arn: String,
        member: Option<String>,
    },
}

impl Template {
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Self::parse(&text).map_err(|why| format!("{}: {why}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (inner, after) = after
                .split_once("}}")
                .ok_or_else(|| "'{{' without '}}'".to_owned())?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(piece(inner.trim())?);
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    pub(super) fn resources(&self) -> BTreeSet<String> {
        let arns = self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Value { arn, .. } => Some(arn.clone()),
        });
        arns.collect()
    }

    pub(super) fn render(&self, fetched: &BTreeMap<String, Fetched>) -> Result<Bytes, String> {
        let mut made = Bytes::default();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => made.expose_mut().extend_from_slice(text.as_bytes()),
                Piece::Value { part, arn, member } => {
                    let value = fetched.get(arn).ok_or("it was not read")?;
                    let value = value.part(*part, member.as_deref());
                    let value = value.map_err(|why| format!("{arn}: {why}"))?;
                    made.expose_mut().extend_from_slice(value.expose());
                }
            }
        }
        Ok(made)
    }
}

fn piece(inner: &str) -> Result<Piece, String> {
    let wrong = || {
        format!("'{{{{ {inner} }}}}': expected {{{{ secret \"ARN\" \"member\" }}}} for instance")
    };
    let (word, rest) = inner.split_once(char::is_whitespace).ok_or_else(wrong)?;
    let mut quoted = Vec::new();
    let mut rest = rest.trim();
    while !rest.is_empty() {
        let (text, after) = rest
            .strip_prefix('"')
            .and_then(|rest| rest.split_once('"'))
            .ok_or_else(wrong)?;
        quoted.push(text.to_owned());
        rest = after.trim();
    }
    let mut quoted = quoted.into_iter();
    let (arn, member, None) = (
        quoted.next().ok_or_else(wrong)?,
        quoted.next(),
        quoted.next(),
    ) else {
        return Err(wrong());
    };
    let (part, service) = match word {
        "certificate" => (Part::Certificate, "acm"),
        "chain" => (Part::Chain, "acm"),
        "fullchain" => (Part::Fullchain, "acm"),
        "key" => (Part::Key, "acm"),
        "pem" => (Part::Pem, "acm"),
        "bundle" => (Part::Bundle, "acm-pca"),
        "secret" => (Part::Secret, "secretsmanager"),
        _ => return Err(wrong()),
    };
    if member.is_some() && part != Part::Secret {
        return Err(wrong());
    }
    check_arn(&arn, service)?;
    Ok(Piece::Value { part, arn, member })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_text_and_values() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf";
        let secret = Fetched::Secret {
            value: Bytes::from(br#"{"password":"p w","port":5432,"none":null}"#.to_vec()),
            version: "v".into(),
        };
        let fetched = BTreeMap::from([(arn.to_owned(), secret)]);
        let text = format!(
            "p={{{{ secret \"{arn}\" \"password\" }}}};\n{{{{secret \"{arn}\" \"port\"}}}}}}\n"
        );
        let template = Template::parse(&text).unwrap();
        assert_eq!(template.resources(), BTreeSet::from([arn.to_owned()]));
        let made = template.render(&fetched).unwrap();
        assert_eq!(made.expose(), b"p=p w;\n5432}\n");
        for missing in ["none", "other"] {
            let text = format!("{{{{ secret \"{arn}\" \"{missing}\" }}}}");
            let told = Template::parse(&text)
                .unwrap()
                .render(&fetched)
                .unwrap_err();
            assert!(
                told.contains(&format!("no member '{missing}'")) && !told.contains("p w"),
                "{told}"
            );
        }
        for bad in [
            "{{",
            "{{ }}",
            "{{ secret }}",
            "{{ secret x }}",
            "{{ secret \"x\" }}",
            "{{ typo \"x\" }}",
        ] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
        assert!(Template::parse(&format!("{{{{ secret \"{arn}\" \"a\" \"b\" }}}}")).is_err());
    }
}
