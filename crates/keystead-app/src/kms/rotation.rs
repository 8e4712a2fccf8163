//! Rotation of key material.

use jiff::Timestamp;
use keystead_core::kms::{
    Key, Material, MaterialId, MaterialState, Origin, RotationType, Turn, USUAL_PERIOD_DAYS,
};
use keystead_core::{Error, ErrorKind, Result};
use keystead_wire::kms as wire;

use super::change::ATTEMPTS;
use super::family::Family;
use super::find::{self, Ask, Names};
use super::record::{Held, owner};
use crate::retry::retrying;
use crate::{App, Ctx, cursor};

/// EnableKeyRotation.
pub async fn enable_key_rotation(
    ctx: &Ctx,
    input: wire::EnableKeyRotationRequest,
) -> Result<wire::EnableKeyRotationResponse> {
    let period = input.rotation_period_in_days.map(u16::try_from);
    let period = period.transpose().map_err(|_| {
        Error::new(
            ErrorKind::Validation,
            "RotationPeriodInDays is not valid: expected 90 to 2560 days.",
        )
    })?;
    // A policy that limits the period limits the usual one, too.
    let days = period.unwrap_or(USUAL_PERIOD_DAYS).to_string();
    let keys = [("kms:RotationPeriodInDays", days.as_str())];
    let ask = Ask {
        keys: &keys,
        ..Ask::OWN
    };
    let switch = |key: &mut Key| key.enable_rotation(period, ctx.now);
    set_automatic(ctx, &input.key_id, ask, switch).await?;
    Ok(wire::EnableKeyRotationResponse)
}

/// DisableKeyRotation.
pub async fn disable_key_rotation(
    ctx: &Ctx,
    input: wire::DisableKeyRotationRequest,
) -> Result<wire::DisableKeyRotationResponse> {
    set_automatic(ctx, &input.key_id, Ask::OWN, Key::disable_rotation).await?;
    Ok(wire::DisableKeyRotationResponse)
}

/// GetKeyRotationStatus.
pub async fn get_key_rotation_status(
    ctx: &Ctx,
    input: wire::GetKeyRotationStatusRequest,
) -> Result<wire::GetKeyRotationStatusResponse> {
    let found = find::key(ctx, &input.key_id, Names::Key, Ask::OWN).await?;
    let key = &found.record.key;
    let rotation = key.rotation_status();
    Ok(wire::GetKeyRotationStatusResponse {
        key_rotation_enabled: Some(rotation.is_some()),
        key_id: Some(key.id.clone()),
        rotation_period_in_days: rotation.map(|rotation| rotation.period_days.into()),
        next_rotation_date: rotation.map(|rotation| rotation.next),
        // A rotation on demand is done when its call is answered.
        on_demand_rotation_start_date: None,
    })
}

/// RotateKeyOnDemand.
pub async fn rotate_key_on_demand(
    ctx: &Ctx,
    input: wire::RotateKeyOnDemandRequest,
) -> Result<wire::RotateKeyOnDemandResponse> {
    let found = find::key(ctx, &input.key_id, Names::Key, Ask::OWN).await?;
    retrying(ATTEMPTS, || async {
        let mut family = Family::of(ctx, &found).await?;
        let key = &family.own.record.key;
        let to = key.check_on_demand(&family.replicas(), ctx.now)?;
        turn(&ctx.app, &mut family, to, RotationType::OnDemand, ctx.now).await
    })
    .await?;
    Ok(wire::RotateKeyOnDemandResponse {
        key_id: Some(found.record.key.id.clone()),
    })
}

/// ListKeyRotations.
pub async fn list_key_rotations(
    ctx: &Ctx,
    input: wire::ListKeyRotationsRequest,
) -> Result<wire::ListKeyRotationsResponse> {
    let found = find::key(ctx, &input.key_id, Names::Key, Ask::OWN).await?;
    let key = &found.record.key;
    if input.include_key_material.is_some() {
        key.check_rotates()?;
    }
    let all = input.include_key_material == Some(wire::IncludeKeyMaterial::AllKeyMaterial);
    let listed = |material: &&Material| all || material.rotation.is_some();
    let listed: Vec<_> = key.materials.iter().filter(listed).collect();
    // Key materials only ever come behind those that are there; only the last one, waiting for a rotation, can go.
    let scope = format!("ListKeyRotations {} {all}", found.arn);
    let from = match &input.marker {
        Some(marker) => resume(ctx, &scope, marker)?,
        None => 0,
    };
    let size = input.limit.and_then(|limit| usize::try_from(limit).ok());
    let size = size.unwrap_or(USUAL_PAGE);
    let to = from.saturating_add(size);
    let truncated = listed.len() > to;
    let page = listed.into_iter().skip(from).take(size);
    Ok(wire::ListKeyRotationsResponse {
        rotations: Some(page.map(|material| entry(key, material)).collect()),
        next_marker: truncated.then(|| cursor::token(ctx, &scope, &to.to_string())),
        truncated: Some(truncated),
    })
}

/// Turns a key and its brothers to other key material, in one commit.
pub(super) async fn turn(
    app: &App,
    family: &mut Family,
    to: Turn,
    how: RotationType,
    now: Timestamp,
) -> Result<()> {
    let key = &family.own.record.key;
    let (id, fresh) = match to {
        Turn::Fresh => {
            let owner = owner(key);
            let made = app.keys.generate_material(key.spec, owner.as_bytes());
            let made = made.await?;
            (MaterialId(made.material_id), Some(made.material))
        }
        Turn::Imported(id) => (id, None),
    };
    for member in family.members() {
        member.record.key.rotate(id, how, now);
        let material = fresh.clone();
        let held = material.map(|material| Held { id, material });
        member.record.held.extend(held);
    }
    let stored = family.commit(&app.store).await;
    if let (Err(_), Some(unused)) = (&stored, &fresh) {
        app.keys.forget(unused);
    }
    stored
}

/// Switches automatic rotation, which replicas share with their primary.
async fn set_automatic(
    ctx: &Ctx,
    name: &str,
    ask: Ask<'_>,
    switch: impl Fn(&mut Key) -> Result<()>,
) -> Result<()> {
    let found = find::key(ctx, name, Names::Key, ask).await?;
    retrying(ATTEMPTS, || async {
        let mut family = Family::of(ctx, &found).await?;
        switch(&mut family.own.record.key)?;
        let rotation = family.own.record.key.rotation;
        for member in family.members() {
            member.record.key.rotation = rotation;
        }
        family.commit(&ctx.app.store).await
    })
    .await
}

/// `RotationsListEntry`; what is said of imports is there for imported key material only.
fn entry(key: &Key, material: &Material) -> wire::RotationsListEntry {
    let import = material.import.as_ref();
    let import = import.filter(|_| key.origin == Origin::External);
    let here = import.filter(|import| import.present);
    wire::RotationsListEntry {
        key_id: Some(key.id.clone()),
        key_material_id: Some(material.id.to_string()),
        key_material_description: import.and_then(|import| import.description.clone()),
        import_state: import.map(|import| match import.present {
            true => wire::ImportState::Imported,
            false => wire::ImportState::PendingImport,
        }),
        key_material_state: Some(match material.state {
            MaterialState::Current => wire::KeyMaterialState::Current,
            MaterialState::NonCurrent => wire::KeyMaterialState::NonCurrent,
            MaterialState::PendingRotation => wire::KeyMaterialState::PendingRotation,
            MaterialState::PendingMultiRegionImportAndRotation => {
                wire::KeyMaterialState::PendingMultiRegionImportAndRotation
            }
        }),
        expiration_model: here.map(|import| match import.valid_to {
            Some(_) => wire::ExpirationModelType::KeyMaterialExpires,
            None => wire::ExpirationModelType::KeyMaterialDoesNotExpire,
        }),
        valid_to: here.and_then(|import| import.valid_to),
        rotation_date: material.rotation.map(|_| material.since),
        rotation_type: material.rotation.map(|how| match how {
            RotationType::Automatic => wire::RotationType::Automatic,
            RotationType::OnDemand => wire::RotationType::OnDemand,
        }),
    }
}

/// How many entries were listed before the page of this marker.
fn resume(ctx: &Ctx, scope: &str, marker: &str) -> Result<usize> {
    let from = cursor::resume(ctx, scope, marker).ok();
    from.and_then(|from| from.parse().ok()).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidNextToken,
            "The Marker is not valid: use the NextMarker of the previous answer to the same listing, unchanged.",
        )
    })
}

/// Entries of a page where no limit is given (ListKeyRotations, Limit).
const USUAL_PAGE: usize = 100;
