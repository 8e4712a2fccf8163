//! The file in which an identity is kept: readable by the agent's user alone, replaced as a whole.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::key::Key;
use crate::Failure;
use crate::link::text;
use crate::private;

/// What is kept of an identity.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    /// The URL of the server.
    pub(super) endpoint: String,
    /// What the server is known by (PEM); `None` for what the machine trusts.
    pub(super) roots: Option<String>,
    pub(super) region: String,
    pub(super) agent_arn: String,
    pub(super) role_arn: String,
    pub(super) profile_arn: String,
    pub(super) trust_anchor_arn: String,
    /// The certificate (PEM).
    pub(super) certificate: String,
    /// Its key (PEM).
    pub(super) key: Secret,
}

/// Text that does not print and is wiped.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(super) struct Secret(Zeroizing<String>);

impl Secret {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Kept {
    /// What the server answered (`AgentIdentity`), with the key that it certified.
    pub(super) fn of(
        identity: &Value,
        endpoint: &str,
        roots: Option<String>,
        key: &Key,
    ) -> Result<Self, Failure> {
        let of = |name: &str| text(identity, name).map(str::to_owned);
        Ok(Self {
            endpoint: endpoint.to_owned(),
            roots,
            region: of("Region")?,
            agent_arn: of("AgentArn")?,
            role_arn: of("RoleArn")?,
            profile_arn: of("ProfileArn")?,
            trust_anchor_arn: of("TrustAnchorArn")?,
            certificate: of("Certificate")?,
            key: key.pem().to_owned().into(),
        })
    }
}

/// What is kept in this directory.
pub(super) fn read(dir: &Path) -> Result<Option<Kept>, Failure> {
    let Some(text) = private::read(dir, NAME)? else {
        return Ok(None);
    };
    let kept = serde_json::from_slice(&text);
    // The error may quote what was read.
    kept.map(Some).map_err(|_| {
        Failure::Here(format!(
            "{} is damaged: join again with a new token",
            dir.join(NAME).display()
        ))
    })
}

/// Keeps an identity, in place of the one before.
pub(super) fn write(dir: &Path, kept: &Kept) -> Result<(), Failure> {
    let text = serde_json::to_vec(kept).map(Zeroizing::new);
    let text = text.map_err(|error| Failure::Here(format!("an identity has no form: {error}")))?;
    private::write(dir, NAME, &text)
}

const NAME: &str = "identity.json";
