//! What is told of a secret, in the model's shapes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use keystead_core::secrets::{Replica, RotationRules, Secret, Status};
use keystead_core::tags::Tags;
use keystead_wire::secretsmanager as wire;

/// A secret as listings show it.
pub(super) fn entry(secret: &Secret) -> wire::SecretListEntry {
    let rotation = &secret.rotation;
    let external = secret.external.as_ref();
    wire::SecretListEntry {
        arn: Some(secret.arn()),
        name: Some(secret.name.clone()),
        type_: secret.kind.clone(),
        description: secret.description.clone(),
        kms_key_id: secret.kms_key.clone(),
        rotation_enabled: rotation.enabled,
        rotation_lambda_arn: rotation.function.clone(),
        rotation_rules: rotation
            .rules
            .as_ref()
            .map(|given| rules(given, rotation.last)),
        external_secret_rotation_metadata: external.map(|external| metadata(&external.metadata)),
        external_secret_rotation_role_arn: external.and_then(|external| external.role.clone()),
        last_rotated_date: rotation.last,
        last_changed_date: Some(secret.changed_at),
        last_accessed_date: secret.accessed_on,
        deleted_date: secret.deletion.map(|deletion| deletion.asked_at),
        next_rotation_date: rotation.next,
        tags: secret.tags.as_ref().map(tags),
        secret_versions_to_stages: labels(secret),
        owning_service: secret.owning_service.clone(),
        created_date: Some(secret.created_at),
        primary_region: secret.primary_region().map(str::to_owned),
    }
}

/// `ReplicationStatus`, of a secret that has replicas.
pub(super) fn replicas(secret: &Secret) -> Option<Vec<wire::ReplicationStatusType>> {
    let replicas = secret.replicas();
    (!replicas.is_empty()).then(|| replicas.iter().map(replica).collect())
}

/// How a replica stands.
pub(super) fn status(status: Status) -> wire::StatusType {
    match status {
        Status::InSync => wire::StatusType::InSync,
        Status::Failed => wire::StatusType::Failed,
        Status::InProgress => wire::StatusType::InProgress,
        Status::Pending => wire::StatusType::Pending,
        Status::Detached => wire::StatusType::Detached,
    }
}

fn replica(replica: &Replica) -> wire::ReplicationStatusType {
    wire::ReplicationStatusType {
        region: Some(replica.region.to_string()),
        kms_key_id: Some(
            replica
                .kms_key
                .clone()
                .unwrap_or_else(|| super::OWN_KEY.into()),
        ),
        status: Some(status(replica.status)),
        status_message: replica.message.clone(),
        last_accessed_date: None,
    }
}

fn labels(secret: &Secret) -> Option<BTreeMap<String, Vec<String>>> {
    let labelled = secret.versions.iter().filter(|one| !one.labels.is_empty());
    let all: BTreeMap<_, _> = labelled
        .map(|version| (version.id.clone(), version.labels.clone()))
        .collect();
    (!all.is_empty()).then_some(all)
}

/// `RotationRules`; after a rotation with the days of a schedule that was given otherwise (API reference,
/// `AutomaticallyAfterDays`).
fn rules(rules: &RotationRules, last: Option<Timestamp>) -> wire::RotationRulesType {
    let schedule = rules.schedule().ok().flatten();
    let days = last.and_then(|last| schedule?.days(last));
    wire::RotationRulesType {
        automatically_after_days: rules.after_days.or(days),
        duration: rules.duration.clone(),
        schedule_expression: rules.schedule.clone(),
    }
}

fn metadata(pairs: &[(String, String)]) -> Vec<wire::ExternalSecretRotationMetadataItem> {
    let item = |(key, value): &(String, String)| wire::ExternalSecretRotationMetadataItem {
        key: Some(key.clone()),
        value: Some(value.clone()),
    };
    pairs.iter().map(item).collect()
}

fn tags(tags: &Tags) -> Vec<wire::Tag> {
    let tag = |(key, value): (&String, &String)| wire::Tag {
        key: Some(key.clone()),
        value: Some(value.clone()),
    };
    tags.iter().map(tag).collect()
}
