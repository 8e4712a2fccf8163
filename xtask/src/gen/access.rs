//! `models/access.toml`: what IAM calls the served operations.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Outcome, models};

/// The whole file: services, by the file names of their models, with their operations.
#[derive(Debug, Deserialize)]
pub(crate) struct Access(BTreeMap<String, BTreeMap<String, Entry>>);

/// What IAM calls one operation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The action; empty where none is needed.
    action: Option<String>,
    /// The type of resource.
    resource: String,
    /// Members of the request, by the condition key that they fill.
    #[serde(default)]
    keys: BTreeMap<String, Vec<String>>,
}

impl Access {
    pub(crate) fn load() -> Outcome<Self> {
        let path = models::directory().join("access.toml");
        let text = std::fs::read_to_string(&path)?;
        Ok(toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?)
    }

    /// The value of an `AccessDef`, in Rust.
    pub(crate) fn expression(
        &self,
        model: &str,
        service: &str,
        operation: &str,
    ) -> Outcome<String> {
        let entry = self.0.get(model).and_then(|service| service.get(operation));
        let Some(entry) = entry else {
            return Err(format!("access.toml has no entry for {model}.{operation}").into());
        };
        let action = match entry.action.as_deref() {
            Some("") => None,
            Some(action) => Some(action.to_owned()),
            None => Some(format!("{service}:{operation}")),
        };
        let keys: String = entry
            .keys
            .iter()
            .map(|(key, members)| format!("({key:?}, &{members:?}),"))
            .collect();
        let resource = &entry.resource;
        Ok(format!(
            "AccessDef {{ action: {action:?}, resource: {resource:?}, keys: &[{keys}] }}"
        ))
    }
}
