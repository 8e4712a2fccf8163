//! A key as AWS tells of it (`KeyMetadata`).

use keystead_core::Region;
use keystead_core::kms::{Key, KeySpec, KeyState, Manager, MultiRegion, Origin, Stage};
use keystead_wire::kms as wire;

use super::convert::{self, Shown as _};
use super::find::arn_of;

/// The key, in this state.
pub(super) fn metadata(key: &Key, state: KeyState) -> wire::KeyMetadata {
    let algorithms = convert::algorithms(key);
    let (deletion_date, window) = match key.stage {
        Stage::PendingDeletion { due, .. } => (Some(due), None),
        Stage::PendingReplicaDeletion { window_days } => (None, Some(i32::from(window_days))),
        _ => (None, None),
    };
    let (expiration_model, valid_to) = expiry(key);
    let store = key.store.as_ref();
    wire::KeyMetadata {
        aws_account_id: Some(key.account.to_string()),
        key_id: key.id.clone(),
        arn: Some(key.arn()),
        creation_date: Some(key.created_at),
        enabled: Some(state == KeyState::Enabled),
        description: Some(key.description.clone()),
        key_usage: wire::KeyUsageType::parse(key.usage.name()),
        key_state: wire::KeyState::parse(state.name()),
        deletion_date,
        valid_to,
        origin: wire::OriginType::parse(key.origin.name()),
        custom_key_store_id: store.map(|store| store.store_id.clone()),
        cloud_hsm_cluster_id: store.and_then(|store| store.cluster_id.clone()),
        expiration_model,
        key_manager: Some(match key.manager {
            Manager::Aws => wire::KeyManagerType::Aws,
            Manager::Customer => wire::KeyManagerType::Customer,
        }),
        // The old name does not know the newer specs.
        customer_master_key_spec: wire::CustomerMasterKeySpec::parse(key.spec.name()),
        key_spec: key.spec.shown(),
        encryption_algorithms: algorithms.encryption,
        signing_algorithms: algorithms.signing,
        key_agreement_algorithms: algorithms.agreement,
        encapsulation_algorithms: algorithms.encapsulation,
        multi_region: Some(key.multi_region.is_some()),
        multi_region_configuration: key.multi_region.as_ref().map(|multi| brothers(key, multi)),
        pending_deletion_window_in_days: window,
        mac_algorithms: algorithms.mac,
        xks_key_configuration: store
            .and_then(|store| store.xks_key_id.clone())
            .map(|id| wire::XksKeyConfigurationType { id: Some(id) }),
        current_key_material_id: material_id(key),
    }
}

/// When imported key material ends; nothing where there is none. "The earliest time at which any imported key material
/// permanently associated with this KMS key expires" (KeyMetadata, ValidTo).
fn expiry(key: &Key) -> (Option<wire::ExpirationModelType>, Option<jiff::Timestamp>) {
    use wire::ExpirationModelType as Model;
    let mut here = key
        .materials
        .iter()
        .filter(|material| !material.is_pending())
        .filter_map(|material| material.import.as_ref())
        .filter(|import| import.present)
        .peekable();
    if here.peek().is_none() {
        return (None, None);
    }
    match here.filter_map(|import| import.valid_to).min() {
        Some(time) => (Some(Model::KeyMaterialExpires), Some(time)),
        None => (Some(Model::KeyMaterialDoesNotExpire), None),
    }
}

/// "Present for symmetric encryption keys" whose key material can be rotated (KeyMetadata, CurrentKeyMaterialId).
fn material_id(key: &Key) -> Option<String> {
    if key.spec != KeySpec::SymmetricDefault || key.origin.is_in_store() {
        return None;
    }
    let current = key.current()?;
    let here = key.origin == Origin::AwsKms || current.is_here();
    here.then(|| current.id.to_string())
}

fn brothers(key: &Key, multi: &MultiRegion) -> wire::MultiRegionConfiguration {
    let in_region = |region: &Region| wire::MultiRegionKey {
        arn: Some(arn_of(&key.account, region, &key.id)),
        region: Some(region.as_str().to_owned()),
    };
    wire::MultiRegionConfiguration {
        multi_region_key_type: Some(match key.is_primary() {
            true => wire::MultiRegionKeyType::Primary,
            false => wire::MultiRegionKeyType::Replica,
        }),
        primary_key: Some(in_region(&multi.primary)),
        replica_keys: Some(multi.replicas.iter().map(in_region).collect()),
    }
}
