//! `models/served.toml`: what Keystead serves.

use serde::Deserialize;

use crate::r#gen::model::Model;
use crate::{Outcome, models};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Served {
    /// The services, in the order of the documentation.
    pub(crate) service: Vec<ServedService>,
    /// Patterns translated by hand.
    #[serde(default)]
    pub(crate) pattern: Vec<HandTranslated>,
    /// Members that the service fills otherwise than its model says.
    #[serde(default)]
    pub(crate) member: Vec<CorrectedMember>,
}

/// A service, and which of its operations are served.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServedService {
    /// The model's file name without its ending.
    pub(crate) model: String,
    /// The Rust module.
    pub(crate) module: String,
    /// The Smithy namespace, which error types of rpc-v2-cbor carry and botocore leaves out.
    pub(crate) namespace: String,
    /// Whether the model is our own rather than botocore's.
    #[serde(default)]
    pub(crate) ours: bool,
    /// The served operations.
    pub(crate) operations: Vec<String>,
}

/// A pattern that cannot be translated mechanically, with its equivalent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HandTranslated {
    /// The pattern in the model.
    pub(crate) source: String,
    /// The same language in the syntax of the `regex` crate, without anchors.
    pub(crate) translated: String,
    /// Why this is the same language.
    pub(crate) reason: String,
}

/// A member whose values on the wire are not those of the shape that the model gives it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CorrectedMember {
    /// The model.
    pub(crate) model: String,
    /// The structure.
    pub(crate) shape: String,
    /// The member.
    pub(crate) member: String,
    /// The shape of its values on the wire.
    pub(crate) target: String,
    /// Where that is seen.
    pub(crate) reason: String,
}

impl CorrectedMember {
    /// Corrects the model; fails where there is nothing to correct.
    pub(crate) fn apply(&self, model: &mut Model) -> Outcome {
        let member = model.shapes.get_mut(&self.shape).and_then(|shape| {
            shape
                .members
                .0
                .iter_mut()
                .find(|(name, _)| *name == self.member)
        });
        let Some((_, target)) = member.filter(|_| !self.reason.is_empty()) else {
            let Self { shape, member, .. } = self;
            return Err(
                format!("served.toml: {shape}.{member} is not there or has no reason").into(),
            );
        };
        target.shape.clone_from(&self.target);
        Ok(())
    }
}

impl Served {
    /// Reads the file.
    pub(crate) fn load() -> Outcome<Self> {
        let path = models::directory().join("served.toml");
        let served: Self = toml::from_str(&std::fs::read_to_string(path)?)?;
        for pattern in &served.pattern {
            if pattern.reason.is_empty() {
                return Err(format!("served.toml: {} needs a reason", pattern.source).into());
            }
        }
        Ok(served)
    }
}
