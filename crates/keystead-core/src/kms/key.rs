//! The record of a KMS key, apart from its key material.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::state::{self, Command, KeyState};
use super::{Fault, KeySpec, KeyUsage, Origin};
use crate::arn::{AccountId, Arn, Region};
use crate::error::Result;
use crate::hex;
use crate::tags::Tags;

/// A KMS key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// Its id: a UUID, or for a multi-Region key `mrk-` and 32 hexadecimal digits.
    pub id: String,
    /// Who owns it.
    pub account: AccountId,
    /// Where it lives.
    pub region: Region,
    /// What kind of key material it has.
    pub spec: KeySpec,
    /// What it is for.
    pub usage: KeyUsage,
    /// Where its key material comes from.
    pub origin: Origin,
    /// Who manages it.
    pub manager: Manager,
    /// What the owner says of it.
    pub description: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// How far its life has come; see [`Key::state`].
    pub stage: Stage,
    /// The key policy, as it was put.
    pub policy: String,
    /// Its tags.
    pub tags: Tags,
    /// The aliases that stand for it, with `alias/`, sorted.
    pub aliases: Vec<String>,
    /// Its brothers in other regions.
    pub multi_region: Option<MultiRegion>,
    /// Where its key material is, if not here.
    pub store: Option<InStore>,
    /// Its key materials, the oldest first; every one may be needed to decrypt.
    pub materials: Vec<Material>,
    /// Automatic rotation, where it is on.
    pub rotation: Option<Rotation>,
    /// How many grants there are on it.
    pub grants: u32,
}

/// `KeyManagerType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manager {
    /// A service's own key, `alias/aws/...`.
    Aws,
    /// The account's.
    Customer,
}

/// How far a key's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Can be used.
    Enabled,
    /// Was switched off.
    Disabled,
    /// Waits for (some of) its key material.
    PendingImport,
    /// Will be deleted.
    PendingDeletion {
        /// When.
        due: Timestamp,
        /// How many days the owner gave it.
        window_days: u16,
    },
    /// Will be deleted as soon as its replicas are; the waiting begins then.
    PendingReplicaDeletion {
        /// How many days the owner gave it.
        window_days: u16,
    },
}

/// A multi-Region key's place among its brothers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiRegion {
    /// The region of the primary.
    pub primary: Region,
    /// The regions of the replicas, sorted.
    pub replicas: Vec<Region>,
}

/// A key's place in a custom key store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InStore {
    /// The key store's id, `cks-...`.
    pub store_id: String,
    /// The id of the token, for a store of type AWS_CLOUDHSM.
    pub cluster_id: Option<String>,
    /// The external key's id, for a store of type EXTERNAL_KEY_STORE.
    pub xks_key_id: Option<String>,
}

/// A key material of a key: what is known of it beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Material {
    /// Its id.
    pub id: MaterialId,
    /// When it became (or, pending, will have become) the key's; `RotationDate` for all but the first.
    pub since: Timestamp,
    /// How it came; `None` for the first.
    pub rotation: Option<RotationType>,
    /// Whether it encrypts.
    pub state: MaterialState,
    /// What was said when it was imported; `None` for key material made here.
    pub import: Option<Import>,
}

/// `KeyMaterialState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are AWS's")]
pub enum MaterialState {
    Current,
    NonCurrent,
    PendingRotation,
    PendingMultiRegionImportAndRotation,
}

/// Imported key material.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Whether it is here, or has to be imported again.
    pub present: bool,
    /// What the owner says of it.
    pub description: Option<String>,
    /// When it is removed; `None` never.
    pub valid_to: Option<Timestamp>,
}

/// `RotationType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are AWS's")]
pub enum RotationType {
    Automatic,
    OnDemand,
}

/// Automatic rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Days between two of them.
    pub period_days: u16,
    /// When the next one is.
    pub next: Timestamp,
}

impl Key {
    /// Its ARN.
    pub fn arn(&self) -> String {
        Arn::new(
            "kms",
            &self.region,
            &self.account,
            format!("key/{}", self.id),
        )
        .to_string()
    }

    /// `KeyState`; whether a custom key store is connected lies over it.
    pub fn state(&self) -> KeyState {
        match self.stage {
            Stage::Enabled => KeyState::Enabled,
            Stage::Disabled => KeyState::Disabled,
            Stage::PendingImport => KeyState::PendingImport,
            Stage::PendingDeletion { .. } => KeyState::PendingDeletion,
            Stage::PendingReplicaDeletion { .. } => KeyState::PendingReplicaDeletion,
        }
    }

    /// `KeyState` of a key in a custom key store while that is connected, or is not: what waits for its deletion goes on
    /// waiting (developer guide, "Key states of AWS KMS keys", note 13).
    pub fn state_while(&self, connected: bool) -> KeyState {
        match self.state() {
            KeyState::Enabled | KeyState::Disabled if !connected => KeyState::Unavailable,
            state => state,
        }
    }

    /// Whether its state allows this.
    ///
    /// # Errors
    /// As [`state::check`].
    pub fn check(&self, command: Command) -> Result<()> {
        state::check(self.state(), command, &self.arn())
    }

    /// Whether it is for this.
    ///
    /// # Errors
    /// [`Fault::InvalidKeyUsage`].
    pub fn check_usage(&self, usage: KeyUsage) -> Result<()> {
        if self.usage == usage {
            return Ok(());
        }
        Err(Fault::InvalidKeyUsage.error(format!(
            "{} key usage is {} which is not valid for this operation.",
            self.arn(),
            self.usage.name()
        )))
    }

    /// The key material that encrypts.
    pub fn current(&self) -> Option<&Material> {
        self.materials
            .iter()
            .rev()
            .find(|material| material.state == MaterialState::Current)
    }

    /// Whether it is the primary of a multi-Region key.
    pub fn is_primary(&self) -> bool {
        self.multi_region
            .as_ref()
            .is_some_and(|multi| multi.primary == self.region)
    }
}

/// The id of a key material: 32 bytes, shown in hexadecimal (`KeyMaterialId`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaterialId(pub [u8; 32]);

impl MaterialId {
    /// The id of 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 32];
        if text.len() != 2 * id.len() {
            return None;
        }
        for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(id))
    }
}

impl fmt::Display for MaterialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for MaterialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for MaterialId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for MaterialId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <serde_bytes::ByteBuf as Deserialize>::deserialize(deserializer)?;
        <[u8; 32]>::try_from(bytes.as_slice())
            .map(Self)
            .map_err(|_| de::Error::invalid_length(bytes.len(), &"32 bytes"))
    }
}
