use super::super::testing::*;
use super::*;
use crate::kms::{Manager, Offer};

fn states(key: &Key) -> Vec<(u8, MaterialState)> {
    let state = |material: &Material| (material.id.0[0], material.state);
    key.materials.iter().map(state).collect()
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind
}

const UNSUPPORTED: ErrorKind = ErrorKind::Kms(Fault::UnsupportedOperation);

#[test]
fn automatic_rotation_is_counted_from_when_it_is_switched_on() {
    let mut key = made();
    key.enable_rotation(None, at(0)).unwrap();
    let usual = Rotation {
        period_days: 365,
        next: days(365),
    };
    assert_eq!(key.rotation, Some(usual));
    // On already: nothing is put off.
    key.enable_rotation(Some(365), days(10)).unwrap();
    assert_eq!(key.rotation, Some(usual));
    key.enable_rotation(Some(90), days(10)).unwrap();
    assert_eq!(key.rotation_due(), Some(days(100)));
    key.disable_rotation().unwrap();
    assert_eq!(key.rotation_due(), None);
}

#[test]
fn an_automatic_rotation_sets_the_next_one_and_one_on_demand_does_not() {
    let mut key = made();
    key.enable_rotation(Some(90), at(0)).unwrap();
    key.rotate(id(2), RotationType::OnDemand, days(40));
    assert_eq!(key.rotation_due(), Some(days(90)));
    // A day late, because the server was off.
    key.rotate(id(3), RotationType::Automatic, days(91));
    assert_eq!(key.rotation_due(), Some(days(181)));
    use MaterialState::{Current, NonCurrent};
    assert_eq!(
        states(&key),
        [(1, NonCurrent), (2, NonCurrent), (3, Current)]
    );
    assert_eq!(key.current().unwrap().id, id(3));
    let how: Vec<_> = key.materials.iter().map(|one| one.rotation).collect();
    let expected = [
        None,
        Some(RotationType::OnDemand),
        Some(RotationType::Automatic),
    ];
    assert_eq!(how, expected);
}

/// GetKeyRotationStatus, "Disabled" and "Pending deletion".
#[test]
fn only_an_enabled_key_is_rotated_by_itself() {
    let mut key = made();
    key.enable_rotation(None, at(0)).unwrap();
    for stage in stages() {
        key.stage = stage;
        let enabled = stage == Stage::Enabled;
        assert_eq!(key.rotation_due().is_some(), enabled, "{stage:?}");
        let told = matches!(
            stage,
            Stage::Enabled | Stage::Disabled | Stage::PendingImport
        );
        assert_eq!(key.rotation_status().is_some(), told, "{stage:?}");
    }
}

#[test]
fn every_kind_of_key_is_rotated_as_aws_does() {
    for spec in KeySpec::ALL {
        for origin in Origin::ALL {
            let key = empty(*spec, *origin);
            let symmetric = *spec == KeySpec::SymmetricDefault;
            let automatic = symmetric && *origin == Origin::AwsKms;
            let case = format!("{spec:?} {origin:?}");
            let enabled = key.clone().enable_rotation(None, at(0));
            let disabled = key.clone().disable_rotation();
            for result in [enabled, disabled] {
                match automatic {
                    true => result.unwrap(),
                    false => assert_eq!(kind(result), UNSUPPORTED, "{case}"),
                }
            }
            let on_demand = key.check_on_demand(&[], at(0));
            match origin {
                Origin::AwsKms if symmetric => assert_eq!(on_demand, Ok(Turn::Fresh)),
                // Without any key material it is pending import.
                Origin::External if symmetric => {
                    assert_eq!(kind(on_demand), ErrorKind::InvalidState);
                }
                _ => assert_eq!(kind(on_demand), UNSUPPORTED, "{case}"),
            }
        }
    }
}

#[test]
fn the_kind_of_a_key_is_refused_before_its_state() {
    let key = empty(KeySpec::SymmetricDefault, Origin::External);
    let refused = key.clone().enable_rotation(None, at(0)).unwrap_err();
    assert_eq!(
        refused.message,
        format!(
            "{} origin is EXTERNAL which is not valid for this operation.",
            key.arn()
        )
    );
}

#[test]
fn the_state_decides_over_every_rotation() {
    for stage in stages() {
        let key = Key { stage, ..made() };
        let expected = match stage {
            Stage::Enabled => continue,
            Stage::Disabled => ErrorKind::Kms(Fault::Disabled),
            _ => ErrorKind::InvalidState,
        };
        assert_eq!(kind(key.clone().enable_rotation(None, at(0))), expected);
        assert_eq!(kind(key.clone().disable_rotation()), expected);
        assert_eq!(kind(key.check_on_demand(&[], at(0))), expected);
    }
}

#[test]
fn a_service_owns_the_rotation_of_its_key() {
    let key = Key {
        manager: Manager::Aws,
        ..made()
    };
    assert_eq!(kind(key.clone().disable_rotation()), UNSUPPORTED);
    assert_eq!(kind(key.check_on_demand(&[], at(0))), UNSUPPORTED);
}

#[test]
fn a_key_is_rotated_twenty_five_times_on_demand() {
    let mut key = made();
    for count in 0..25 {
        assert_eq!(key.check_on_demand(&[], at(0)), Ok(Turn::Fresh));
        key.rotate(id(count + 2), RotationType::OnDemand, at(0));
        key.rotate(id(count + 100), RotationType::Automatic, at(0));
    }
    assert_eq!(
        kind(key.check_on_demand(&[], at(0))),
        ErrorKind::LimitExceeded
    );
    assert_eq!(key.materials.len(), 51);
}

#[test]
fn none_is_had_on_demand_within_twenty_minutes_of_an_automatic_one() {
    let mut key = made();
    key.enable_rotation(Some(90), at(0)).unwrap();
    let due = key.rotation_due().unwrap();
    for (seconds, expected) in [
        (-1201, Ok(Turn::Fresh)),
        (-1200, Err(ErrorKind::Conflict)),
        (0, Err(ErrorKind::Conflict)),
        (60, Err(ErrorKind::Conflict)),
    ] {
        let now = due + SignedDuration::from_secs(seconds);
        let result = key.check_on_demand(&[], now).map_err(|error| error.kind);
        assert_eq!(result, expected, "{seconds}");
    }
}

#[test]
fn a_replica_is_rotated_by_its_primary() {
    let (mut primary, replicas) = replicated(made(), &["eu-west-1", "us-west-2"]);
    primary.enable_rotation(None, at(0)).unwrap();
    assert!(primary.rotation_due().is_some());
    let replica = Key {
        rotation: primary.rotation,
        ..replicas[0].clone()
    };
    // It tells of what is shared, but its time is the primary's matter.
    assert!(replica.rotation_status().is_some());
    assert_eq!(replica.rotation_due(), None);
    assert_eq!(
        kind(replica.clone().enable_rotation(None, at(0))),
        UNSUPPORTED
    );
    let refused = replica.check_on_demand(&[], at(0)).unwrap_err();
    assert_eq!(refused.kind, UNSUPPORTED);
    assert!(
        refused.message.contains("in us-east-1"),
        "{}",
        refused.message
    );
}

#[test]
fn an_imported_key_turns_to_what_was_imported_for_it() {
    let mut key = imported();
    assert_eq!(
        kind(key.check_on_demand(&[], at(1))),
        ErrorKind::InvalidState
    );
    let new = Offer {
        import_type: Some(crate::kms::ImportType::NewKeyMaterial),
        ..Offer::default()
    };
    key.import(id(2), &new, at(1)).unwrap();
    assert_eq!(
        key.current().unwrap().id,
        id(1),
        "it waits for the rotation"
    );
    assert_eq!(key.check_on_demand(&[], at(2)), Ok(Turn::Imported(id(2))));
    key.rotate(id(2), RotationType::OnDemand, at(2));
    assert_eq!(
        states(&key),
        [(1, MaterialState::NonCurrent), (2, MaterialState::Current)]
    );
    assert_eq!(key.materials[1].since, at(2));
    assert!(key.materials[1].import.is_some());
}

#[test]
fn an_imported_multi_region_key_turns_when_all_replicas_have_the_key_material() {
    let (mut primary, mut replicas) = replicated(imported(), &["eu-west-1", "us-west-2"]);
    let new = Offer {
        import_type: Some(crate::kms::ImportType::NewKeyMaterial),
        ..Offer::default()
    };
    primary.import(id(2), &new, at(1)).unwrap();
    for replica in &mut replicas {
        replica.expect_material(id(2), at(1));
    }
    for count in 0..2 {
        let all: Vec<_> = replicas.iter().collect();
        primary.settle_pending(&all);
        let state = MaterialState::PendingMultiRegionImportAndRotation;
        assert_eq!(primary.pending().unwrap().state, state);
        let refused = primary.check_on_demand(&all, at(2)).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::InvalidState);
        assert!(refused.message.contains("us-west-2"));
        assert_eq!(refused.message.contains("eu-west-1"), count == 0);
        replicas[count]
            .import(id(2), &Offer::default(), at(2))
            .unwrap();
    }
    let all: Vec<_> = replicas.iter().collect();
    primary.settle_pending(&all);
    assert_eq!(
        primary.pending().unwrap().state,
        MaterialState::PendingRotation
    );
    assert_eq!(
        primary.check_on_demand(&all, at(3)),
        Ok(Turn::Imported(id(2)))
    );
}

#[test]
fn a_new_primary_does_not_turn_to_what_it_has_not() {
    let (mut old, mut replicas) = replicated(imported(), &["eu-west-1"]);
    let mut successor = replicas.remove(0);
    let new = Offer {
        import_type: Some(crate::kms::ImportType::NewKeyMaterial),
        ..Offer::default()
    };
    old.import(id(2), &new, at(1)).unwrap();
    successor.expect_material(id(2), at(1));
    old.hand_over(&region("eu-west-1"));
    successor.hand_over(&region("eu-west-1"));
    successor.settle_pending(&[&old]);
    let state = MaterialState::PendingMultiRegionImportAndRotation;
    assert_eq!(successor.pending().unwrap().state, state);
    let refused = successor.check_on_demand(&[&old], at(2)).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InvalidState);
    assert!(refused.message.contains("eu-west-1"));
    successor.import(id(2), &Offer::default(), at(2)).unwrap();
    successor.settle_pending(&[&old]);
    assert_eq!(
        successor.check_on_demand(&[&old], at(2)),
        Ok(Turn::Imported(id(2)))
    );
}
