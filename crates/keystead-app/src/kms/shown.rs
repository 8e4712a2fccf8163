//! A key as DescribeKey and others show it (`KeyMetadata`).

use keystead_core::Region;
use keystead_core::kms::{Key, Manager, Material, MultiRegion, Origin, Stage};
use keystead_wire::kms as wire;

use super::convert::{Shown as _, algorithms};
use super::find;

/// The key's metadata.
pub(super) fn metadata(key: &Key) -> wire::KeyMetadata {
    let algorithms = algorithms(key);
    let state = key.state();
    let (due, window) = match key.stage {
        Stage::PendingDeletion { due, .. } => (Some(due), None),
        Stage::PendingReplicaDeletion { window_days } => (None, Some(i32::from(window_days))),
        _ => (None, None),
    };
    let imported = key.imported().next().is_some();
    let valid_to = key.imported().filter_map(Material::valid_to).min();
    wire::KeyMetadata {
        aws_account_id: Some(key.account.to_string()),
        key_id: key.id.clone(),
        arn: Some(key.arn()),
        creation_date: Some(key.created_at),
        enabled: Some(key.stage == Stage::Enabled),
        description: Some(key.description.clone()),
        key_usage: wire::KeyUsageType::parse(key.usage.name()),
        key_state: wire::KeyState::parse(state.name()),
        deletion_date: due,
        valid_to,
        origin: wire::OriginType::parse(key.origin.name()),
        custom_key_store_id: key.store.as_ref().map(|store| store.store_id.clone()),
        cloud_hsm_cluster_id: key
            .store
            .as_ref()
            .and_then(|store| store.cluster_id.clone()),
        expiration_model: imported.then_some(match valid_to {
            Some(_) => wire::ExpirationModelType::KeyMaterialExpires,
            None => wire::ExpirationModelType::KeyMaterialDoesNotExpire,
        }),
        key_manager: Some(match key.manager {
            Manager::Aws => wire::KeyManagerType::Aws,
            Manager::Customer => wire::KeyManagerType::Customer,
        }),
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
        xks_key_configuration: key.store.as_ref().and_then(|store| {
            let id = Some(store.xks_key_id.clone()?);
            Some(wire::XksKeyConfigurationType { id })
        }),
        current_key_material_id: material_id(key),
    }
}

/// The id of the key material that encrypts: shown for symmetric encryption keys whose material is here.
fn material_id(key: &Key) -> Option<String> {
    let rotates = !key.spec.is_asymmetric() && key.spec.mac_algorithm().is_none();
    let here = matches!(key.origin, Origin::AwsKms | Origin::External);
    let current = key.current().filter(|_| rotates && here)?;
    Some(current.id.to_string())
}

/// The key's place among its brothers.
fn brothers(key: &Key, multi: &MultiRegion) -> wire::MultiRegionConfiguration {
    let one = |region: &Region| wire::MultiRegionKey {
        arn: Some(find::arn_of(&key.account, region, &key.id)),
        region: Some(region.to_string()),
    };
    wire::MultiRegionConfiguration {
        multi_region_key_type: Some(match key.is_primary() {
            true => wire::MultiRegionKeyType::Primary,
            false => wire::MultiRegionKeyType::Replica,
        }),
        primary_key: Some(one(&multi.primary)),
        replica_keys: Some(multi.replicas.iter().map(one).collect()),
    }
}
