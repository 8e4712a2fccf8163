//! Terms of grants, over tables and over whatever comes.

use proptest::prelude::*;

use super::grant::{ContextConstraint, Party, Request, Terms, check_room, identity_key};
use super::testing::key;
use super::{EncryptionContext, GrantOperation as O, KeySpec as S, KeyUsage as U};
use crate::{AccountId, ErrorKind};

fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    let pairs = pairs.iter().map(|(n, v)| ((*n).into(), (*v).into()));
    pairs.collect()
}

fn terms(operations: &[O], constraint: Option<ContextConstraint>) -> Terms {
    Terms {
        operations: operations.to_vec(),
        context: constraint,
        source_arn: None,
    }
}

fn asks<'a>(operation: O, context: Option<&'a EncryptionContext>) -> Request<'a> {
    Request {
        operation,
        context,
        source_arn: None,
        granting: None,
    }
}

/// The developer guide's table "Grant operations", a row a kind of key.
#[test]
fn every_operation_is_granted_on_the_keys_that_have_it() {
    let always = [O::CreateGrant, O::RetireGrant, O::DescribeKey];
    let encrypt = [O::Encrypt, O::Decrypt, O::ReEncryptFrom, O::ReEncryptTo];
    let data_keys = [
        O::GenerateDataKey,
        O::GenerateDataKeyWithoutPlaintext,
        O::GenerateDataKeyPair,
        O::GenerateDataKeyPairWithoutPlaintext,
    ];
    let public = [O::GetPublicKey];
    let rows: [(S, U, Vec<&[O]>); 9] = [
        (
            S::SymmetricDefault,
            U::EncryptDecrypt,
            vec![&encrypt, &data_keys],
        ),
        (S::Rsa2048, U::EncryptDecrypt, vec![&encrypt, &public]),
        (
            S::Rsa2048,
            U::SignVerify,
            vec![&[O::Sign, O::Verify], &public],
        ),
        (
            S::EccNistP256,
            U::SignVerify,
            vec![&[O::Sign, O::Verify], &public],
        ),
        (
            S::EccNistP256,
            U::KeyAgreement,
            vec![&[O::DeriveSharedSecret], &public],
        ),
        (
            S::EccNistEdwards25519,
            U::SignVerify,
            vec![&[O::Sign, O::Verify], &public],
        ),
        (
            S::MlDsa65,
            U::SignVerify,
            vec![&[O::Sign, O::Verify], &public],
        ),
        (
            S::MlKem768,
            U::EncapsulateDecapsulate,
            vec![&[O::Encapsulate, O::Decapsulate], &public],
        ),
        (
            S::Hmac256,
            U::GenerateVerifyMac,
            vec![&[O::GenerateMac, O::VerifyMac]],
        ),
    ];
    for (spec, usage, fitting) in rows {
        let fitting: Vec<O> = fitting.concat();
        let key = key(spec, usage);
        for operation in O::ALL {
            let checked = terms(&[*operation, O::DescribeKey], None).check(&key);
            let expected = always.contains(operation) || fitting.contains(operation);
            assert_eq!(
                checked.is_ok(),
                expected,
                "{spec:?} {usage:?} {operation:?}"
            );
        }
    }
}

#[test]
fn terms_that_no_grant_can_have_are_refused() {
    let symmetric = key(S::SymmetricDefault, U::EncryptDecrypt);
    let refused = |terms: Terms, on: &super::Key| terms.check(on).unwrap_err();
    let only = refused(terms(&[O::CreateGrant], None), &symmetric);
    assert_eq!(
        only.message,
        "Grants must not contain only the CreateGrant operation."
    );
    assert_eq!(only.kind, ErrorKind::Validation);
    assert_eq!(
        refused(terms(&[], None), &symmetric).kind,
        ErrorKind::Validation
    );
    let constrained = Some(ContextConstraint::Subset(context(&[("a", "b")])));
    for other in [
        key(S::Rsa2048, U::EncryptDecrypt),
        key(S::Hmac256, U::GenerateVerifyMac),
    ] {
        let error = refused(terms(&[O::DescribeKey], constrained.clone()), &other);
        assert!(error.message.contains("no encryption context"), "{error}");
    }
    let both = Terms::new(
        [O::Decrypt],
        Some(context(&[("a", "b")])),
        Some(context(&[("a", "b")])),
        None,
    );
    assert_eq!(both.unwrap_err().kind, ErrorKind::Validation);
    let numbered = |count: usize| (0..count).map(|n| (n.to_string(), "v".into())).collect();
    let of = |pairs| Terms::new([O::Decrypt], None, Some(pairs), None);
    assert!(of(numbered(8)).is_ok());
    assert!(of(numbered(9)).is_err());
    assert!(of(context(&[("a", &"v".repeat(384))])).is_ok());
    assert!(of(context(&[("a", &"v".repeat(385))])).is_err());
}

#[test]
fn a_key_has_fifty_thousand_grants_at_most() {
    let mut key = key(S::SymmetricDefault, U::EncryptDecrypt);
    key.grants = 49_999;
    assert_eq!(check_room(&key), Ok(()));
    key.grants = 50_000;
    let refused = check_room(&key).map_err(|error| error.kind);
    assert_eq!(refused, Err(ErrorKind::LimitExceeded));
}

#[test]
fn an_operation_stands_once_and_an_empty_constraint_is_none() {
    let empty = Some(EncryptionContext::new());
    let made = Terms::new(
        [O::Encrypt, O::Decrypt, O::Encrypt],
        empty.clone(),
        empty,
        None,
    );
    let made = made.unwrap();
    assert_eq!(made, terms(&[O::Encrypt, O::Decrypt], None));
}

#[test]
fn constraints_hold_as_documented() {
    let of = |pairs: &[(&str, &str)]| context(pairs);
    let it = [("Department", "IT")];
    let rows = [
        // The request's context, whether Equals holds, whether Subset does.
        (of(&it), true, true),
        (of(&[("department", "IT")]), true, true),
        (of(&[("Department", "it")]), false, false),
        (
            of(&[("Department", "IT"), ("Purpose", "Test")]),
            false,
            true,
        ),
        (of(&[("Purpose", "Test")]), false, false),
        (of(&[]), false, false),
    ];
    let (equals, subset) = (
        ContextConstraint::Equals(of(&it)),
        ContextConstraint::Subset(of(&it)),
    );
    for (given, equal, within) in rows {
        assert_eq!(equals.holds(Some(&given)), equal, "{given:?}");
        assert_eq!(subset.holds(Some(&given)), within, "{given:?}");
    }
    assert!(!equals.holds(None) && !subset.holds(None));
}

#[test]
fn constraints_hold_for_what_has_a_context_alone() {
    let constrained = terms(
        &[O::Decrypt, O::DescribeKey, O::RetireGrant],
        Some(ContextConstraint::Equals(context(&[("a", "b")]))),
    );
    assert!(!constrained.permit(&asks(O::Decrypt, None)));
    assert!(constrained.permit(&asks(O::Decrypt, Some(&context(&[("A", "b")])))));
    assert!(constrained.permit(&asks(O::DescribeKey, None)));
    assert!(constrained.permit(&asks(O::RetireGrant, None)));
    assert!(!constrained.permit(&asks(O::Encrypt, Some(&context(&[("a", "b")])))));
}

#[test]
fn a_source_must_be_the_one_that_is_named_save_to_retire() {
    let mut bound = terms(&[O::Decrypt, O::DescribeKey, O::RetireGrant], None);
    bound.source_arn = Some("arn:aws:s3:::one".into());
    let from = |operation, source_arn| Request {
        source_arn,
        ..asks(operation, None)
    };
    for operation in [O::Decrypt, O::DescribeKey] {
        assert!(bound.permit(&from(operation, Some("arn:aws:s3:::one"))));
        assert!(!bound.permit(&from(operation, Some("arn:aws:s3:::two"))));
        assert!(!bound.permit(&from(operation, None)));
    }
    assert!(bound.permit(&from(O::RetireGrant, None)));
}

#[test]
fn a_grantee_hands_on_no_more_than_it_has() {
    use ContextConstraint::{Equals, Subset};
    let a = || context(&[("a", "1")]);
    let ab = || context(&[("a", "1"), ("b", "2")]);
    let rows = [
        // The parent's constraint, the child's, whether the child is as strict.
        (None, None, true),
        (None, Some(Subset(a())), true),
        (Some(Subset(a())), None, false),
        (Some(Subset(a())), Some(Subset(a())), true),
        (Some(Subset(a())), Some(Subset(ab())), true),
        (Some(Subset(ab())), Some(Subset(a())), false),
        (Some(Subset(a())), Some(Equals(ab())), true),
        (Some(Subset(ab())), Some(Equals(a())), false),
        (Some(Equals(a())), Some(Equals(a())), true),
        (Some(Equals(a())), Some(Equals(ab())), false),
        (Some(Equals(a())), Some(Subset(a())), false),
        (Some(Equals(a())), None, false),
    ];
    for (parent, child, expected) in rows {
        let parent = terms(&[O::Decrypt, O::CreateGrant], parent);
        let child = terms(&[O::Decrypt], child);
        let request = Request {
            granting: Some(&child),
            ..asks(O::CreateGrant, None)
        };
        assert_eq!(parent.permit(&request), expected, "{parent:?} {child:?}");
    }
    let parent = terms(&[O::Decrypt, O::CreateGrant], None);
    assert!(!terms(&[O::Encrypt], None).is_within(&parent));
    assert!(!parent.permit(&asks(O::CreateGrant, None)));
    let mut bound = terms(&[O::Decrypt], None);
    bound.source_arn = Some("arn:aws:s3:::one".into());
    assert!(bound.is_within(&parent));
    assert!(!parent.is_within(&bound));
}

#[test]
fn parties_are_told_apart_by_who_they_are() {
    let account = AccountId::parse("111122223333").unwrap();
    let user = |arn: &str, id: &str| Party::Identity {
        arn: arn.into(),
        account: account.clone(),
        id: Some(id.into()),
    };
    let bob = user("arn:aws:iam::111122223333:user/bob", "AIDA1");
    let renamed = user("arn:aws:iam::111122223333:user/robert", "AIDA1");
    assert_eq!(bob.key(), renamed.key());
    let federated = |arn| identity_key(arn, None);
    assert_eq!(
        federated("arn:aws:sts::111122223333:federated-user/x"),
        federated("arn:aws-cn:sts::111122223333:federated-user/x")
    );
    assert_ne!(
        bob.key(),
        user("arn:aws:iam::111122223333:user/bob", "AIDA2").key()
    );
    let whole = Party::Account(account.clone());
    assert_eq!(whole.shown(), "arn:aws:iam::111122223333:root");
    assert_eq!(whole.account(), Some(&account));
    let service = Party::Service("rds.amazonaws.com".into());
    assert_eq!(service.shown(), "rds.amazonaws.com");
    assert_eq!(service.account(), None);
}

fn contexts() -> impl Strategy<Value = EncryptionContext> {
    proptest::collection::btree_map("[aAb]", "[12]", 0..4)
}

fn some_terms() -> impl Strategy<Value = Terms> {
    let operations = proptest::sample::subsequence(
        vec![
            O::Decrypt,
            O::Encrypt,
            O::DescribeKey,
            O::CreateGrant,
            O::RetireGrant,
        ],
        1..=5,
    );
    let constraint = proptest::option::of((any::<bool>(), contexts()));
    let source = proptest::option::of("arn:aws:s3:::[xy]");
    (operations, constraint, source).prop_map(|(operations, constraint, source_arn)| Terms {
        operations,
        context: constraint.map(|(equals, pairs)| match equals {
            true => ContextConstraint::Equals(pairs),
            false => ContextConstraint::Subset(pairs),
        }),
        source_arn,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn who_hands_on_less_hands_on_nothing_new(
        parent in some_terms(),
        mut child in some_terms(),
        same_source in any::<bool>(),
        given in proptest::option::of(contexts()),
        source in proptest::option::of("arn:aws:s3:::[xy]"),
        grandchild in some_terms(),
    ) {
        // Nearer to the parent than chance would bring it, or there would be little to see.
        child.operations.retain(|operation| parent.operations.contains(operation));
        if same_source {
            child.source_arn = parent.source_arn.clone();
        }
        for operation in O::ALL.iter().filter(|_| child.is_within(&parent)) {
            let request = Request {
                operation: *operation,
                context: given.as_ref(),
                source_arn: source.as_deref(),
                granting: Some(&grandchild),
            };
            prop_assert!(!child.permit(&request) || parent.permit(&request), "{:?}", request);
        }
    }

    #[test]
    fn to_hand_on_the_same_is_allowed_and_transitive(
        one in some_terms(), two in some_terms(), three in some_terms(),
    ) {
        prop_assert!(one.is_within(&one));
        prop_assert!(!(one.is_within(&two) && two.is_within(&three)) || one.is_within(&three));
    }

    #[test]
    fn what_equals_is_a_subset_too(pairs in contexts(), given in contexts()) {
        let equals = ContextConstraint::Equals(pairs.clone());
        let subset = ContextConstraint::Subset(pairs);
        prop_assert!(!equals.holds(Some(&given)) || subset.holds(Some(&given)));
    }

    #[test]
    fn the_case_of_names_makes_no_difference(given in contexts(), pairs in contexts()) {
        let upper = given.iter().map(|(n, v)| (n.to_uppercase(), v.clone()));
        let upper: EncryptionContext = upper.collect();
        // Two names that are one in upper case would make it another context.
        prop_assume!(upper.len() == given.len());
        for constraint in [ContextConstraint::Equals(pairs.clone()), ContextConstraint::Subset(pairs)] {
            prop_assert_eq!(constraint.holds(Some(&given)), constraint.holds(Some(&upper)));
        }
    }
}
