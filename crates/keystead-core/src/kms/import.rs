//! Imported key material: what may be imported how, what an import, a deletion and the end of its time make of the key.
//!
//! The first key material of a key stays with it for good, and no other key material than that can be imported again
//! after it was deleted. A symmetric encryption key also takes further ones, each by a rotation on demand; until then
//! it is not the key's for good. A key can be used when everything that is its for good is here.
//!
//! Sources: developer guide, "Importing key material for AWS KMS keys" and its pages; API reference, ImportKeyMaterial,
//! GetParametersForImport and DeleteImportedKeyMaterial.

use jiff::{SignedDuration, Timestamp};

use super::state::{self, Command, KeyState};
use super::{
    Fault, Import, Key, KeySpec, Material, MaterialId, MaterialState, Origin, Stage,
    WrappingAlgorithm,
};
use crate::error::{Error, ErrorKind, Result};

/// How long a wrapping key and its import token can be used (GetParametersForImport).
pub const PARAMETERS_VALID: SignedDuration = SignedDuration::from_hours(24);
/// Most days until imported key material expires (ImportKeyMaterial, ValidTo).
const MOST_DAYS: i64 = 365;

/// `ImportType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are AWS's")]
pub enum ImportType {
    NewKeyMaterial,
    ExistingKeyMaterial,
}

/// What a call says of the key material that it brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Whether the key has it already.
    pub import_type: Option<ImportType>,
    /// Its id, as the caller knows it.
    pub id: Option<MaterialId>,
    /// What the owner says of it; where nothing is said, what was said before stays.
    pub description: Option<String>,
    /// When it is to be removed; see [`valid_to`].
    pub valid_to: Option<Timestamp>,
}

/// When imported key material is to be removed; `None` never.
///
/// # Errors
/// [`ErrorKind::Validation`] where time and expiration model do not go together, or the time is not within a year.
pub fn valid_to(
    expires: bool,
    asked: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    let invalid = |message: String| Err(Error::new(ErrorKind::Validation, message));
    let most = now.checked_add(SignedDuration::from_hours(24 * MOST_DAYS));
    match (expires, asked) {
        (true, None) => invalid(
            "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES".into(),
        ),
        (false, Some(_)) => invalid(
            "A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE"
                .into(),
        ),
        (true, Some(time)) if time <= now => invalid(format!(
            "ValidTo is {time}: a time in the future is needed."
        )),
        (true, Some(time)) if most.is_ok_and(|most| time > most) => invalid(format!(
            "ValidTo is {time}: at most {MOST_DAYS} days from now are allowed."
        )),
        (_, asked) => Ok(asked),
    }
}

impl Key {
    /// Whether it takes imported key material, and its state allows this (the kind comes first: developer guide, "Key
    /// states of AWS KMS keys", note 9).
    ///
    /// # Errors
    /// [`Fault::UnsupportedOperation`]; as [`Key::check`].
    pub fn check_import(&self, command: Command) -> Result<()> {
        if self.origin != Origin::External {
            return Err(self.invalid_origin());
        }
        self.check(command)
    }

    /// Whether its key material can be wrapped so (GetParametersForImport; developer guide, "Select a wrapping algorithm").
    ///
    /// # Errors
    /// [`Fault::UnsupportedOperation`].
    pub fn check_wrapping(&self, wrapping: KeySpec, algorithm: WrappingAlgorithm) -> Result<()> {
        use KeySpec as S;
        let direct = matches!(
            algorithm,
            WrappingAlgorithm::RsaesOaepSha1 | WrappingAlgorithm::RsaesOaepSha256
        );
        let allowed = match self.spec {
            S::SymmetricDefault | S::Hmac224 | S::Hmac256 | S::Hmac384 | S::Hmac512 => direct,
            // Longer than any RSA key encrypts.
            S::Rsa2048 | S::Rsa3072 | S::Rsa4096 => !direct,
            S::EccNistP521 => !direct || wrapping != S::Rsa2048,
            S::EccNistP256 | S::EccNistP384 | S::EccSecgP256k1 | S::EccNistEdwards25519 => true,
            // "You can't import key material for ML-DSA KMS keys"; the table does not know ML-KEM.
            S::MlDsa44 | S::MlDsa65 | S::MlDsa87 | S::MlKem512 | S::MlKem768 | S::MlKem1024 => {
                false
            }
        };
        if allowed {
            return Ok(());
        }
        Err(Fault::UnsupportedOperation.error(format!(
            "The wrapping algorithm {} with a wrapping key of spec {} is not supported for key material of spec {}.",
            algorithm.name(),
            wrapping.name(),
            self.spec.name()
        )))
    }

    /// Whether what a call says of its key material goes with the key, before the key material itself is looked at.
    ///
    /// # Errors
    /// [`Fault::UnsupportedOperation`] for what only symmetric encryption keys take and for new key material in a
    /// replica; [`ErrorKind::Validation`].
    pub fn check_offer(&self, offer: &Offer) -> Result<()> {
        let Offer {
            import_type,
            id,
            description,
            ..
        } = offer;
        let only_symmetric = import_type.is_some() || id.is_some() || description.is_some();
        if only_symmetric && self.spec != KeySpec::SymmetricDefault {
            return Err(Fault::UnsupportedOperation.error(
                "ImportType, KeyMaterialId and KeyMaterialDescription are supported for symmetric encryption keys only.",
            ));
        }
        if self.import_type(offer) == ImportType::NewKeyMaterial {
            self.check_primary()?;
            if id.is_some() {
                return Err(Error::new(
                    ErrorKind::Validation,
                    "KeyMaterialId is not valid with ImportType NEW_KEY_MATERIAL.",
                ));
            }
        }
        Ok(())
    }

    /// Takes this key material in. What it has not had before becomes current if it is the first, and else waits for a
    /// rotation. A key that has everything again is enabled.
    ///
    /// # Errors
    /// [`Fault::IncorrectKeyMaterial`] when it is not what was to be expected; [`ErrorKind::InvalidState`] when other key
    /// material waits already.
    pub fn import(&mut self, id: MaterialId, offer: &Offer, now: Timestamp) -> Result<()> {
        let import_type = self.import_type(offer);
        let arn = self.arn();
        let known = self.materials.iter_mut().find(|material| material.id == id);
        match (import_type, known) {
            (ImportType::ExistingKeyMaterial, Some(material)) => {
                if offer.id.is_some_and(|expected| expected != id) {
                    return Err(Fault::IncorrectKeyMaterial
                        .error("The key material is not the one that KeyMaterialId names."));
                }
                let import = material.import.get_or_insert_default();
                *import = Import {
                    present: true,
                    description: offer.description.clone().or(import.description.take()),
                    valid_to: offer.valid_to,
                };
            }
            (ImportType::ExistingKeyMaterial, None) => {
                return Err(Fault::IncorrectKeyMaterial.error(format!(
                    "The key material is not the same key material that was previously imported into {arn}."
                )));
            }
            (ImportType::NewKeyMaterial, Some(_)) => {
                return Err(Fault::IncorrectKeyMaterial.error(format!(
                    "New key material was expected, but this one is already associated with {arn}."
                )));
            }
            (ImportType::NewKeyMaterial, None) => self.add(id, offer, now)?,
        }
        if self.stage == Stage::PendingImport && self.is_complete() {
            self.stage = Stage::Enabled;
        }
        Ok(())
    }

    /// Makes key material that the primary takes in known to this replica, into which it has to be imported too.
    pub fn expect_material(&mut self, id: MaterialId, now: Timestamp) {
        self.materials.push(Material {
            id,
            since: now,
            rotation: None,
            state: MaterialState::PendingRotation,
            import: Some(Import::default()),
        });
    }

    /// Says of a primary's waiting key material whether it is here and in all of its replicas (RotationsListEntry,
    /// KeyMaterialState).
    pub fn settle_pending(&mut self, replicas: &[&Self]) {
        if let Some(pending) = self.materials.iter_mut().find(|one| one.is_pending()) {
            let here = pending.is_here();
            let there = replicas.iter().all(|replica| replica.holds(&pending.id));
            pending.state = match here && there {
                true => MaterialState::PendingRotation,
                false => MaterialState::PendingMultiRegionImportAndRotation,
            };
        }
    }

    /// Notes that this key material is not here any more. What waits for a rotation is not the key's any more then, except
    /// in a replica, where it can be imported again.
    pub fn remove_material(&mut self, id: &MaterialId) {
        if !self.is_replica() {
            self.forget_pending(id);
        }
        if let Some(material) = self.materials.iter_mut().find(|one| one.id == *id)
            && let Some(import) = &mut material.import
        {
            import.present = false;
            import.valid_to = None;
        }
        // A key that is on its way out stays there.
        if matches!(self.stage, Stage::Enabled | Stage::Disabled) && !self.is_complete() {
            self.stage = Stage::PendingImport;
        }
    }

    /// Forgets key material that waits for a rotation because its primary has.
    pub fn forget_pending(&mut self, id: &MaterialId) {
        self.materials
            .retain(|material| material.id != *id || !material.is_pending());
    }

    /// The key material that waits for a rotation.
    pub fn pending(&self) -> Option<&Material> {
        self.materials.iter().find(|material| material.is_pending())
    }

    /// Whether all that is the key's for good is here.
    pub fn is_complete(&self) -> bool {
        self.current().is_some()
            && self
                .materials
                .iter()
                .all(|material| material.is_pending() || material.is_here())
    }

    /// The imported key materials that are here and the key's for good: DescribeKey tells when the first of them expires.
    pub fn imported(&self) -> impl Iterator<Item = &Material> {
        let permanent = |one: &&Material| one.import.is_some() && !one.is_pending();
        self.materials
            .iter()
            .filter(permanent)
            .filter(|one| one.is_here())
    }

    /// Whether this key material is here.
    pub fn holds(&self, id: &MaterialId) -> bool {
        self.materials
            .iter()
            .any(|material| material.id == *id && material.is_here())
    }

    /// That nothing of what is the key's for good is past its time, which counts from that instant on, whenever the key
    /// material is removed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidState`], as for a key whose key material is gone.
    pub fn check_unexpired(&self, now: Timestamp) -> Result<()> {
        if self
            .imported()
            .any(|one| one.valid_to().is_some_and(|time| time <= now))
        {
            return state::check(KeyState::PendingImport, Command::Use, &self.arn());
        }
        Ok(())
    }

    /// The key materials whose time is over.
    pub fn expired(&self, now: Timestamp) -> Vec<MaterialId> {
        let over = self
            .materials
            .iter()
            .filter(|material| material.valid_to().is_some_and(|time| time <= now));
        over.map(|material| material.id).collect()
    }

    /// When the next key material expires.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.materials.iter().filter_map(Material::valid_to).min()
    }

    fn import_type(&self, offer: &Offer) -> ImportType {
        offer
            .import_type
            .unwrap_or(match self.materials.is_empty() {
                true => ImportType::NewKeyMaterial,
                false => ImportType::ExistingKeyMaterial,
            })
    }

    /// Adds key material that it has not had before.
    fn add(&mut self, id: MaterialId, offer: &Offer, now: Timestamp) -> Result<()> {
        if let Some(waiting) = self.pending() {
            return Err(Error::new(
                ErrorKind::InvalidState,
                format!(
                    "The key material {} of {} is pending rotation: rotate the key or delete that key material first.",
                    waiting.id,
                    self.arn()
                ),
            ));
        }
        let state = match self.materials.is_empty() {
            true => MaterialState::Current,
            false => MaterialState::PendingRotation,
        };
        self.materials.push(Material {
            id,
            since: now,
            rotation: None,
            state,
            import: Some(Import {
                present: true,
                description: offer.description.clone(),
                valid_to: offer.valid_to,
            }),
        });
        Ok(())
    }
}

impl Material {
    /// Whether it waits for a rotation, and is not the key's for good yet.
    pub fn is_pending(&self) -> bool {
        matches!(
            self.state,
            MaterialState::PendingRotation | MaterialState::PendingMultiRegionImportAndRotation
        )
    }

    /// Whether it is here; what was made here is.
    pub fn is_here(&self) -> bool {
        self.import.as_ref().is_none_or(|import| import.present)
    }

    /// When it is removed.
    pub fn valid_to(&self) -> Option<Timestamp> {
        self.import.as_ref()?.valid_to
    }
}

#[cfg(test)]
mod tests;
