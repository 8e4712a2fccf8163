//! Key material from outside.
//!
//! GetParametersForImport leaves nothing behind: the import token carries the private half of the wrapping key, and what
//! the two may be used for ([`token`]).

mod token;

use keystead_core::kms::{
    Command, Fault, ImportType, Key, KeySpec, MaterialId, Offer, PARAMETERS_VALID,
    WrappingAlgorithm, valid_to,
};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::{NewMaterial, StoredMaterial};
use keystead_wire::kms as wire;
use keystead_wire::value::Blob;

use super::change::ATTEMPTS;
use super::deletion;
use super::family::Family;
use super::find::{self, Ask, Found, Names};
use super::record::{Held, owner};
use crate::retry::retrying;
use crate::{App, Ctx};
use token::Token;

/// GetParametersForImport.
pub async fn get_parameters_for_import(
    ctx: &Ctx,
    input: wire::GetParametersForImportRequest,
) -> Result<wire::GetParametersForImportResponse> {
    let found = find::key(ctx, &input.key_id, Names::Key, Ask::OWN).await?;
    let key = &found.record.key;
    key.check_import(Command::PrepareImport)?;
    let unsupported = |name: &str| {
        Fault::UnsupportedOperation.error(format!(
            "{name} is not supported for wrapping key material."
        ))
    };
    let spec = input.wrapping_key_spec.as_str();
    let spec = KeySpec::from_name(spec).ok_or_else(|| unsupported(spec))?;
    let algorithm = input.wrapping_algorithm.as_str();
    let algorithm =
        WrappingAlgorithm::from_name(algorithm).ok_or_else(|| unsupported(algorithm))?;
    key.check_wrapping(spec, algorithm)?;
    let pair = ctx.app.keys.wrapping_key(spec).await?;
    let expires = ctx
        .now
        .checked_add(PARAMETERS_VALID)
        .map_err(|_| Error::new(ErrorKind::Internal, "the clock is at the end of time"))?;
    let token = Token::new(pair.material, algorithm, expires);
    Ok(wire::GetParametersForImportResponse {
        key_id: Some(found.arn.clone()),
        import_token: Some(Blob::new(token.seal(&ctx.app.store, &found.at)?)),
        public_key: pair.public_key.map(Into::into),
        parameters_valid_to: Some(expires),
    })
}

/// ImportKeyMaterial.
pub async fn import_key_material(
    ctx: &Ctx,
    input: wire::ImportKeyMaterialRequest,
) -> Result<wire::ImportKeyMaterialResponse> {
    let model = input.expiration_model;
    let model = model.unwrap_or(wire::ExpirationModelType::KeyMaterialExpires);
    let keys = [("kms:ExpirationModel", model.as_str())];
    let ask = Ask {
        keys: &keys,
        ..Ask::OWN
    };
    let found = find::key(ctx, &input.key_id, Names::Key, ask).await?;
    let key = &found.record.key;
    key.check_import(Command::Import)?;
    let expires = model == wire::ExpirationModelType::KeyMaterialExpires;
    let offer = Offer {
        import_type: input.import_type.map(|kind| match kind {
            wire::ImportType::NewKeyMaterial => ImportType::NewKeyMaterial,
            wire::ImportType::ExistingKeyMaterial => ImportType::ExistingKeyMaterial,
        }),
        id: input
            .key_material_id
            .as_deref()
            .map(material_id)
            .transpose()?,
        description: input.key_material_description,
        valid_to: valid_to(expires, input.valid_to, ctx.now)?,
    };
    key.check_offer(&offer)?;
    let token = Token::open(&ctx.app.store, &found.at, &input.import_token, ctx.now)?;
    let new = ctx
        .app
        .keys
        .unwrap_material(
            &token.wrapping,
            token.algorithm,
            &input.encrypted_key_material,
            key.spec,
            owner(key).as_bytes(),
        )
        .await?;
    let id = MaterialId(new.material_id);
    let taken = retrying(ATTEMPTS, || take(ctx, &found, &offer, &new)).await;
    if !matches!(taken, Ok(true)) {
        ctx.app.keys.forget(&new.material);
    }
    taken?;
    Ok(wire::ImportKeyMaterialResponse {
        key_id: Some(found.arn.clone()),
        key_material_id: shown(key, id),
    })
}

/// DeleteImportedKeyMaterial.
pub async fn delete_imported_key_material(
    ctx: &Ctx,
    input: wire::DeleteImportedKeyMaterialRequest,
) -> Result<wire::DeleteImportedKeyMaterialResponse> {
    let found = find::key(ctx, &input.key_id, Names::Key, Ask::OWN).await?;
    let asked = input
        .key_material_id
        .as_deref()
        .map(material_id)
        .transpose()?;
    let deleted = retrying(ATTEMPTS, || async {
        let mut family = Family::of(ctx, &found).await?;
        let key = &family.own.record.key;
        key.check_import(Command::DeleteMaterial)?;
        let id = match asked {
            Some(id) => Some(named(key, id)?),
            None => key.current().map(|current| current.id),
        };
        remove(&ctx.app, &mut family, id.as_slice()).await?;
        Ok(id)
    })
    .await?;
    Ok(wire::DeleteImportedKeyMaterialResponse {
        key_id: Some(found.arn.clone()),
        key_material_id: deleted.and_then(|id| shown(&found.record.key, id)),
    })
}

/// Removes these key materials from a key, which is one commit, and from memory. What a primary's brothers have of one that
/// waited for a rotation goes with it (DeleteImportedKeyMaterial, "Considerations for multi-Region symmetric encryption
/// keys").
pub(super) async fn remove(app: &App, family: &mut Family, ids: &[MaterialId]) -> Result<()> {
    let mut gone = Vec::new();
    for id in ids {
        family.own.record.key.remove_material(id);
        gone.extend(drop_held(&mut family.own.record.held, id));
        let key = &family.own.record.key;
        let forgotten = !key.materials.iter().any(|material| material.id == *id);
        for other in family.others.iter_mut().filter(|_| forgotten) {
            other.record.key.forget_pending(id);
            gone.extend(drop_held(&mut other.record.held, id));
        }
    }
    let mut batch = family.batch();
    if !gone.is_empty() {
        deletion::scrub_then(&mut batch, app.env.now());
    }
    app.store.commit(batch).await?;
    for material in &gone {
        app.keys.forget(material);
    }
    Ok(())
}

fn drop_held(held: &mut Vec<Held>, id: &MaterialId) -> Option<StoredMaterial> {
    let at = held.iter().position(|held| held.id == *id)?;
    Some(held.remove(at).material)
}

/// Makes the key material the key's; `false` where the key has it already and goes on with what it has.
async fn take(ctx: &Ctx, found: &Found, offer: &Offer, new: &NewMaterial) -> Result<bool> {
    let id = MaterialId(new.material_id);
    let mut family = Family::of(ctx, found).await?;
    let own = &mut family.own.record;
    own.key.check_import(Command::Import)?;
    own.key.check_offer(offer)?;
    let known = own.key.materials.iter().any(|material| material.id == id);
    own.key.import(id, offer, ctx.now)?;
    let held = own.material(&id).is_some();
    if !held {
        own.held.push(Held {
            id,
            material: new.material.clone(),
        });
        own.public_key = new.public_key.clone().map(Into::into);
    }
    // What the primary takes in to turn to is awaited in all regions.
    let waits = own.key.pending().is_some_and(|pending| pending.id == id);
    if waits {
        for other in family.others.iter_mut().filter(|_| !known) {
            other.record.key.expect_material(id, ctx.now);
        }
        family.settle_pending();
    }
    family.commit(&ctx.app.store).await?;
    Ok(!held)
}

/// The id of a key material, as the model's pattern has it.
fn material_id(text: &str) -> Result<MaterialId> {
    MaterialId::parse(text).ok_or_else(|| {
        Error::new(
            ErrorKind::Validation,
            "KeyMaterialId is not valid: expected 64 hexadecimal digits.",
        )
    })
}

/// The key's key material with this id.
fn named(key: &Key, id: MaterialId) -> Result<MaterialId> {
    if key.materials.iter().any(|material| material.id == id) {
        return Ok(id);
    }
    let message = format!("{} has no key material {id}.", key.arn());
    Err(Error::new(ErrorKind::NotFound, message))
}

/// The id as answers tell it: that of a symmetric encryption key's.
fn shown(key: &Key, id: MaterialId) -> Option<String> {
    (key.spec == KeySpec::SymmetricDefault).then(|| id.to_string())
}
