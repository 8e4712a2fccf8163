//! A service model in botocore's format, as far as generation reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::{Outcome, models};

/// A model.
#[derive(Debug, Deserialize)]
pub(crate) struct Model {
    /// Names and protocols.
    pub(crate) metadata: Metadata,
    /// The operations by name.
    pub(crate) operations: BTreeMap<String, Operation>,
    /// The shapes by name.
    pub(crate) shapes: BTreeMap<String, Shape>,
}

/// Names and protocols of a service.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) api_version: String,
    pub(crate) endpoint_prefix: String,
    pub(crate) json_version: Option<String>,
    pub(crate) protocol: String,
    pub(crate) protocols: Option<Vec<String>>,
    pub(crate) service_id: String,
    pub(crate) service_full_name: String,
    pub(crate) signing_name: Option<String>,
    pub(crate) target_prefix: Option<String>,
    pub(crate) xml_namespace: Option<String>,
}

impl Metadata {
    /// The service's name in a SigV4 scope and in IAM actions.
    pub(crate) fn signing_name(&self) -> &str {
        self.signing_name.as_ref().unwrap_or(&self.endpoint_prefix)
    }
}

/// An operation.
#[derive(Debug, Deserialize)]
pub(crate) struct Operation {
    pub(crate) http: Option<Http>,
    pub(crate) input: Option<Target>,
    pub(crate) output: Option<Target>,
    #[serde(default)]
    pub(crate) errors: Vec<Target>,
    #[serde(default)]
    pub(crate) authtype: Option<String>,
}

impl Operation {
    /// How callers prove who they are: the variant's name.
    pub(crate) fn auth(&self) -> Outcome<&'static str> {
        match self.authtype.as_deref() {
            None => Ok("AccessKey"),
            Some("none") => Ok("Nothing"),
            // Ours: botocore knows no such kind.
            Some("x509") => Ok("Certificate"),
            Some(other) => Err(format!("no such kind of authentication: {other}").into()),
        }
    }
}

/// Where an operation is in HTTP.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Http {
    pub(crate) method: String,
    pub(crate) request_uri: String,
    pub(crate) response_code: Option<u16>,
}

/// A reference to a shape, with what the place of the reference adds.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Target {
    pub(crate) shape: String,
    pub(crate) location_name: Option<String>,
    pub(crate) result_wrapper: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) timestamp_format: Option<String>,
}

/// A shape with its constraints.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Shape {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) members: Ordered<Target>,
    #[serde(default)]
    pub(crate) required: BTreeSet<String>,
    #[serde(default, rename = "enum")]
    pub(crate) values: Vec<String>,
    pub(crate) min: Option<i64>,
    pub(crate) max: Option<i64>,
    pub(crate) pattern: Option<String>,
    #[serde(default)]
    pub(crate) sensitive: bool,
    #[serde(default)]
    pub(crate) union: bool,
    #[serde(default)]
    pub(crate) exception: bool,
    #[serde(default)]
    pub(crate) fault: bool,
    #[serde(default)]
    pub(crate) flattened: bool,
    pub(crate) payload: Option<String>,
    #[serde(rename = "timestampFormat")]
    pub(crate) timestamp_format: Option<String>,
    pub(crate) error: Option<ErrorInfo>,
    pub(crate) member: Option<Target>,
    pub(crate) key: Option<Target>,
    pub(crate) value: Option<Target>,
}

impl Shape {
    /// A structure without members: the request or response of an operation whose model has none.
    pub(crate) fn empty() -> Self {
        Self {
            kind: "structure".to_owned(),
            ..Self::default()
        }
    }
}

/// What a query service says of an error.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorInfo {
    pub(crate) code: Option<String>,
    pub(crate) http_status_code: Option<u16>,
}

impl Model {
    /// Reads the model of this name.
    pub(crate) fn load(name: &str) -> Outcome<Self> {
        let path = models::directory().join(format!("{name}.json"));
        let text =
            std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?)
    }

    /// The shape of this name.
    pub(crate) fn shape(&self, name: &str) -> Outcome<&Shape> {
        let shape = self.shapes.get(name);
        Ok(shape.ok_or_else(|| format!("the model names a shape {name} that it does not have"))?)
    }

    /// Every shape that can be reached from `roots`, the roots among them.
    pub(crate) fn reach<'a>(
        &self,
        roots: impl Iterator<Item = &'a str>,
    ) -> Outcome<BTreeSet<String>> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<String> = roots.map(str::to_owned).collect();
        while let Some(name) = open.pop() {
            if reached.contains(&name) {
                continue;
            }
            let shape = self.shape(&name)?;
            let targets = shape.members.0.iter().map(|(_, target)| target);
            let parts = [&shape.member, &shape.key, &shape.value];
            let parts = parts.into_iter().flatten();
            open.extend(targets.chain(parts).map(|target| target.shape.clone()));
            reached.insert(name);
        }
        Ok(reached)
    }

    /// Whether a value of `from` would hold a value of `to` without a list or map between.
    pub(crate) fn embeds(&self, from: &str, to: &str) -> Outcome<bool> {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(name) = open.pop() {
            if name == to {
                return Ok(true);
            }
            if seen.insert(name) {
                let members = &self.shape(name)?.members.0;
                open.extend(members.iter().map(|(_, target)| target.shape.as_str()));
            }
        }
        Ok(false)
    }
}

/// A JSON object in the order of the document, which is the order of members in Rust and in errors.
#[derive(Debug)]
pub(crate) struct Ordered<T>(pub(crate) Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Vec<(String, T)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(Entries(PhantomData)).map(Self)
    }
}
