use proptest::prelude::*;

use super::super::testing::*;
use super::*;
use crate::kms::{KeyState, RotationType};

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind
}

fn new() -> Offer {
    Offer {
        import_type: Some(ImportType::NewKeyMaterial),
        ..Offer::default()
    }
}

fn existing(expected: Option<MaterialId>) -> Offer {
    Offer {
        import_type: Some(ImportType::ExistingKeyMaterial),
        id: expected,
        ..Offer::default()
    }
}

const UNSUPPORTED: ErrorKind = ErrorKind::Kms(Fault::UnsupportedOperation);
const INCORRECT: ErrorKind = ErrorKind::Kms(Fault::IncorrectKeyMaterial);

/// The table of the developer guide, "Select a wrapping algorithm", line by line.
#[test]
fn every_kind_of_key_material_is_wrapped_as_the_table_says() {
    use WrappingAlgorithm as W;
    let direct = [W::RsaesOaepSha1, W::RsaesOaepSha256];
    let hybrid = [W::RsaAesKeyWrapSha1, W::RsaAesKeyWrapSha256];
    let wrappings = [KeySpec::Rsa2048, KeySpec::Rsa3072, KeySpec::Rsa4096];
    for spec in KeySpec::ALL {
        let name = spec.name();
        let key = empty(*spec, Origin::External);
        for wrapping in wrappings {
            let too_long = name == "ECC_NIST_P521" && wrapping == KeySpec::Rsa2048;
            let no_pairs = name.starts_with("ML_");
            let takes_direct = !name.starts_with("RSA") && !no_pairs && !too_long;
            let takes_hybrid = name.starts_with("RSA") || name.starts_with("ECC");
            for (algorithms, taken) in [(direct, takes_direct), (hybrid, takes_hybrid)] {
                for algorithm in algorithms {
                    let result = key.check_wrapping(wrapping, algorithm);
                    assert_eq!(result.is_ok(), taken, "{name} {wrapping:?} {algorithm:?}");
                    if let Err(error) = result {
                        assert_eq!(error.kind, UNSUPPORTED);
                    }
                }
            }
        }
    }
}

#[test]
fn only_a_key_of_origin_external_takes_key_material_and_only_in_some_states() {
    for origin in Origin::ALL {
        for stage in stages() {
            let key = Key {
                stage,
                ..empty(KeySpec::SymmetricDefault, *origin)
            };
            for command in [
                Command::PrepareImport,
                Command::Import,
                Command::DeleteMaterial,
            ] {
                let result = key.check_import(command);
                if *origin != Origin::External {
                    assert_eq!(kind(result), UNSUPPORTED);
                    continue;
                }
                let allowed = match stage {
                    Stage::Enabled | Stage::Disabled | Stage::PendingImport => true,
                    Stage::PendingDeletion { .. } | Stage::PendingReplicaDeletion { .. } => {
                        command == Command::DeleteMaterial
                    }
                };
                match allowed {
                    true => result.unwrap(),
                    false => assert_eq!(kind(result), ErrorKind::InvalidState, "{stage:?}"),
                }
            }
        }
    }
}

#[test]
fn a_time_belongs_to_key_material_that_expires_and_is_within_a_year() {
    let now = at(0);
    assert_eq!(valid_to(false, None, now), Ok(None));
    assert_eq!(valid_to(true, Some(at(1)), now), Ok(Some(at(1))));
    assert_eq!(valid_to(true, Some(days(365)), now), Ok(Some(days(365))));
    let refused = [
        (true, None),
        (false, Some(at(1))),
        (true, Some(now)),
        (true, Some(at(-1))),
        (true, Some(days(365) + SignedDuration::from_secs(1))),
    ];
    for (expires, time) in refused {
        assert_eq!(
            kind(valid_to(expires, time, now)),
            ErrorKind::Validation,
            "{expires} {time:?}"
        );
    }
}

#[test]
fn the_first_key_material_stays_with_the_key() {
    for spec in [
        KeySpec::SymmetricDefault,
        KeySpec::Hmac256,
        KeySpec::Rsa2048,
        KeySpec::EccNistP256,
    ] {
        let mut key = empty(spec, Origin::External);
        key.import(id(1), &Offer::default(), at(0)).unwrap();
        assert_eq!(key.state(), KeyState::Enabled);
        assert_eq!(key.current().unwrap().id, id(1));
        key.remove_material(&id(1));
        assert_eq!(key.state(), KeyState::PendingImport);
        assert!(!key.holds(&id(1)));
        assert_eq!(
            kind(key.import(id(2), &Offer::default(), at(1))),
            INCORRECT,
            "{spec:?}"
        );
        key.import(id(1), &Offer::default(), at(1)).unwrap();
        assert_eq!(key.state(), KeyState::Enabled);
        assert_eq!(key.materials.len(), 1);
    }
}

#[test]
fn new_and_existing_key_material_are_told_apart() {
    let mut key = imported();
    assert_eq!(kind(key.import(id(1), &new(), at(1))), INCORRECT);
    assert_eq!(kind(key.import(id(2), &existing(None), at(1))), INCORRECT);
    assert_eq!(
        kind(key.import(id(1), &existing(Some(id(2))), at(1))),
        INCORRECT
    );
    key.import(id(1), &existing(Some(id(1))), at(1)).unwrap();
    // Existing is what is meant where nothing is said.
    assert_eq!(kind(key.import(id(2), &Offer::default(), at(1))), INCORRECT);
    key.import(id(2), &new(), at(1)).unwrap();
    assert_eq!(key.pending().unwrap().id, id(2));
    // One at a time.
    assert_eq!(
        kind(key.import(id(3), &new(), at(1))),
        ErrorKind::InvalidState
    );
    key.remove_material(&id(2));
    assert_eq!(key.state(), KeyState::Enabled);
    assert_eq!(key.materials.len(), 1, "it was not the key's for good");
    key.import(id(3), &new(), at(1)).unwrap();
}

#[test]
fn what_only_symmetric_keys_take_is_refused_for_others() {
    let offers = [
        new(),
        existing(None),
        Offer {
            description: Some("first".into()),
            ..Offer::default()
        },
        Offer {
            id: Some(id(1)),
            ..existing(None)
        },
    ];
    for offer in &offers {
        for spec in KeySpec::ALL {
            let mut key = empty(*spec, Origin::External);
            key.import(id(1), &Offer::default(), at(0)).unwrap();
            let result = key.check_offer(offer);
            match spec {
                KeySpec::SymmetricDefault => result.unwrap(),
                _ => assert_eq!(kind(result), UNSUPPORTED),
            }
        }
    }
    let named = Offer {
        id: Some(id(2)),
        ..new()
    };
    assert_eq!(kind(imported().check_offer(&named)), ErrorKind::Validation);
    // The first one is new without saying so.
    let first = empty(KeySpec::SymmetricDefault, Origin::External);
    let named = Offer {
        id: Some(id(2)),
        ..Offer::default()
    };
    assert_eq!(kind(first.check_offer(&named)), ErrorKind::Validation);
}

#[test]
fn an_import_sets_the_time_anew_and_keeps_the_description() {
    let mut key = empty(KeySpec::SymmetricDefault, Origin::External);
    let offer = Offer {
        description: Some("from the vault".into()),
        valid_to: Some(at(100)),
        ..Offer::default()
    };
    key.import(id(1), &offer, at(0)).unwrap();
    assert_eq!(key.next_expiry(), Some(at(100)));
    key.import(id(1), &Offer::default(), at(1)).unwrap();
    let import = key.materials[0].import.clone().unwrap();
    assert_eq!(import.description.as_deref(), Some("from the vault"));
    assert_eq!((import.valid_to, key.next_expiry()), (None, None));
    let offer = Offer {
        description: Some("from the safe".into()),
        ..Offer::default()
    };
    key.import(id(1), &offer, at(2)).unwrap();
    let import = key.materials[0].import.clone().unwrap();
    assert_eq!(import.description.as_deref(), Some("from the safe"));
}

#[test]
fn every_key_material_of_a_rotated_key_is_needed() {
    let mut key = imported();
    key.import(id(2), &new(), at(1)).unwrap();
    key.rotate(id(2), RotationType::OnDemand, at(2));
    for lost in [id(1), id(2)] {
        key.remove_material(&lost);
        assert_eq!(key.state(), KeyState::PendingImport);
        assert_eq!(key.materials.len(), 2);
        key.import(lost, &Offer::default(), at(3)).unwrap();
        assert_eq!(key.state(), KeyState::Enabled);
    }
    key.remove_material(&id(1));
    key.remove_material(&id(2));
    key.import(id(2), &Offer::default(), at(3)).unwrap();
    assert_eq!(
        key.state(),
        KeyState::PendingImport,
        "the other one is missing"
    );
}

#[test]
fn what_is_over_is_found_by_its_time() {
    let mut key = imported();
    let offer = |time| Offer {
        valid_to: Some(at(time)),
        ..Offer::default()
    };
    key.import(id(1), &offer(50), at(0)).unwrap();
    key.import(
        id(2),
        &Offer {
            valid_to: Some(at(30)),
            ..new()
        },
        at(0),
    )
    .unwrap();
    assert_eq!(key.next_expiry(), Some(at(30)));
    assert!(key.expired(at(29)).is_empty());
    assert_eq!(key.expired(at(30)), [id(2)]);
    assert_eq!(key.expired(at(60)), [id(1), id(2)]);
    key.remove_material(&id(2));
    assert_eq!(key.state(), KeyState::Enabled, "it only waited");
    key.remove_material(&id(1));
    assert_eq!(key.next_expiry(), None);
    assert_eq!(key.state(), KeyState::PendingImport);
}

#[test]
fn a_key_is_not_used_past_the_time_of_its_key_material() {
    let mut key = imported();
    let offer = |time, new: Offer| Offer {
        valid_to: Some(at(time)),
        ..new
    };
    key.import(id(1), &offer(50, Offer::default()), at(0))
        .unwrap();
    // What only waits does not count.
    key.import(id(2), &offer(10, new()), at(0)).unwrap();
    key.check_unexpired(at(49)).unwrap();
    let refused = key.check_unexpired(at(50)).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InvalidState);
    assert!(refused.message.ends_with("is pending import."));
    key.remove_material(&id(1));
    key.check_unexpired(at(50)).unwrap();
}

#[test]
fn a_key_that_is_switched_off_or_on_its_way_out_stays_so() {
    for stage in stages() {
        let mut key = Key {
            stage,
            ..imported()
        };
        key.import(id(1), &Offer::default(), at(1)).unwrap();
        let after_import = match stage {
            Stage::PendingImport => Stage::Enabled,
            other => other,
        };
        assert_eq!(key.stage, after_import);
        key.stage = stage;
        key.remove_material(&id(1));
        let after_removal = match stage {
            Stage::Enabled | Stage::Disabled => Stage::PendingImport,
            other => other,
        };
        assert_eq!(key.stage, after_removal);
    }
}

#[test]
fn a_replica_takes_what_its_primary_has_and_nothing_else() {
    let (mut primary, mut replicas) = replicated(imported(), &["eu-west-1"]);
    let mut replica = replicas.remove(0);
    assert_eq!(kind(replica.check_offer(&new())), UNSUPPORTED);
    primary.check_offer(&new()).unwrap();
    primary.import(id(2), &new(), at(1)).unwrap();
    replica.expect_material(id(2), at(1));
    assert!(!replica.holds(&id(2)));
    assert_eq!(replica.state(), KeyState::Enabled, "it only waits");
    assert_eq!(
        kind(replica.import(id(3), &existing(None), at(1))),
        INCORRECT
    );
    replica
        .import(id(2), &existing(Some(id(2))), at(1))
        .unwrap();
    assert!(replica.holds(&id(2)));
    // Deleted in a replica it can come again; deleted in the primary it is forgotten.
    replica.remove_material(&id(2));
    assert_eq!(replica.materials.len(), 2);
    assert_eq!(replica.state(), KeyState::Enabled);
    primary.remove_material(&id(2));
    assert_eq!(primary.materials.len(), 1);
}

#[derive(Clone, Debug)]
enum Step {
    Import(u8, Option<ImportType>, Option<i64>),
    Delete(u8),
    Rotate,
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let types = prop_oneof![
        Just(None),
        Just(Some(ImportType::NewKeyMaterial)),
        Just(Some(ImportType::ExistingKeyMaterial)),
    ];
    prop_oneof![
        (0..4_u8, types, proptest::option::of(1..50_i64))
            .prop_map(|(id, kind, time)| Step::Import(id, kind, time)),
        (0..4_u8).prop_map(Step::Delete),
        Just(Step::Rotate),
        (1..60_i64).prop_map(Step::Pass),
    ]
}

proptest! {
    /// Whatever is called in whatever order: what encrypts is one key material, what waits is at most one, nothing that
    /// is the key's for good is ever forgotten, and the key is enabled exactly when it has all of it.
    #[test]
    fn a_key_is_whole_or_waits(steps in proptest::collection::vec(step(), 0..40)) {
        let mut key = empty(KeySpec::SymmetricDefault, Origin::External);
        let mut for_good: Vec<MaterialId> = Vec::new();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Import(byte, import_type, time) => {
                    let offer = Offer {
                        import_type,
                        valid_to: time.map(|time| at(now + time)),
                        ..Offer::default()
                    };
                    let before = key.clone();
                    if key.import(id(byte), &offer, at(now)).is_err() {
                        prop_assert_eq!(&before, &key);
                    }
                }
                Step::Delete(byte) => key.remove_material(&id(byte)),
                Step::Rotate => {
                    if let Ok(crate::kms::Turn::Imported(to)) = key.check_on_demand(&[], at(now)) {
                        key.rotate(to, RotationType::OnDemand, at(now));
                    }
                }
                Step::Pass(seconds) => {
                    now += seconds;
                    for over in key.expired(at(now)) {
                        key.remove_material(&over);
                    }
                }
            }
            let permanent: Vec<_> = key.materials.iter().filter(|one| !one.is_pending()).collect();
            let current = permanent.iter().filter(|one| one.state == MaterialState::Current);
            prop_assert_eq!(current.count(), usize::from(!permanent.is_empty()));
            prop_assert!(key.materials.len() - permanent.len() <= 1);
            prop_assert!(for_good.iter().all(|id| permanent.iter().any(|one| one.id == *id)));
            for_good = permanent.iter().map(|one| one.id).collect();
            let whole = !permanent.is_empty() && permanent.iter().all(|one| one.is_here());
            prop_assert_eq!(key.stage == Stage::Enabled, whole);
            prop_assert!(key.next_expiry().is_none_or(|next| next > at(now)));
        }
    }
}
