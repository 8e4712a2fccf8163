//! What is stored of a KMS key.

use keystead_core::kms::{Key, MaterialId};
use keystead_core::{AccountId, Region};
use keystead_crypto::StoredMaterial;
use keystead_store::{Collection, Versioned};
use serde::{Deserialize, Serialize};

/// KMS keys, by `account/region/id`.
pub(crate) const KEYS: Collection = Collection("kms.key");

/// A key with its key material, which changes together with it: a rotation, an import or a deletion is one commit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeyRecord {
    /// The key.
    pub(crate) key: Key,
    /// Its key materials that are here. Gone for a key whose imported material was deleted or has expired; for a key
    /// in an external key store, the inner of its two layers.
    pub(crate) held: Vec<Held>,
    /// DER of the public key's SubjectPublicKeyInfo, for a key that has one.
    pub(crate) public_key: Option<serde_bytes::ByteBuf>,
}

/// A key material.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Its id.
    pub(crate) id: MaterialId,
    /// The key material, sealed or in its token.
    pub(crate) material: StoredMaterial,
}

impl Versioned for KeyRecord {
    const MARKER: &'static str = "kms.key/1";
    const SECRET: bool = true;
}

impl KeyRecord {
    /// The key material of this id, if it is here.
    pub(crate) fn material(&self, id: &MaterialId) -> Option<&StoredMaterial> {
        let held = self.held.iter().find(|held| held.id == *id)?;
        Some(&held.material)
    }

    /// The key material that encrypts, signs and so on, if it is here.
    pub(crate) fn current(&self) -> Option<(MaterialId, &StoredMaterial)> {
        let id = self.key.current()?.id;
        Some((id, self.material(&id)?))
    }
}

/// The record key of the key with this id.
pub(crate) fn key_of(account: &AccountId, region: &Region, id: &str) -> String {
    format!("{account}/{region}/{id}")
}

/// Who key material belongs to, for its id: the key, in whichever region. The same key material has the same id in all
/// brothers, and another one in every other key (ImportKeyMaterial, KeyMaterialId).
pub(super) fn owner(key: &Key) -> String {
    format!("{}/{}", key.account, key.id)
}
