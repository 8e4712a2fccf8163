//! Which certificates a statement is true of, and that the index leads to every one of them.

use jiff::Timestamp;
use proptest::prelude::*;

use super::index::{Family, SortBy, Source, of_class, position, rows, sources};
use super::properties::{Class, NONE, Property, flag};
use super::search::{Filter, Range, Statement, Text};
use super::*;
use crate::x509::{KeyUsageBit, Oid};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(secs).expect("in range")
}

fn certificate(key_algorithm: KeyAlgorithm) -> Certificate {
    let facts = Facts {
        serial: "01:02".into(),
        subject: "CN=a.example.com".into(),
        common_name: Some("A.example.com".into()),
        issuer: "Example".into(),
        dns_names: vec!["b.example.com".into()],
        not_before: at(100),
        not_after: at(200),
        key_algorithm,
        signature_algorithm: "SHA256WITHRSA".into(),
        key_usages: vec![KeyUsageBit::DigitalSignature],
        extended_key_usages: vec![Oid::new("1.3.6.1.5.5.7.3.1"), Oid::new("1.2.3")],
        subject_name: Default::default(),
        issuer_name: Default::default(),
        other_names: Vec::new(),
    };
    let arn = "arn:aws:acm:us-east-1:000000000000:certificate/id".into();
    Certificate::imported(arn, facts, Default::default(), at(150))
}

fn is(filter: Filter) -> Statement {
    Statement::Is(filter)
}

fn text(value: &str, part: bool) -> Text {
    Text::new(value, part)
}

#[test]
fn each_filter_tells_its_certificates_from_others() {
    let shown = certificate(KeyAlgorithm::Rsa2048);
    let holds = |filter| is(filter).holds(&shown, at(150));
    let range = |start: Option<i64>, end: Option<i64>| Range {
        start: start.map(at),
        end: end.map(at),
    };
    for (filter, expected) in [
        (Filter::Arn(shown.arn.clone()), true),
        (Filter::Arn("arn".into()), false),
        (Filter::CommonName(text("a.EXAMPLE.com", false)), true),
        (Filter::CommonName(text("example", true)), true),
        (Filter::CommonName(text("example", false)), false),
        (Filter::CommonName(text("b.example.com", false)), false),
        (Filter::DnsName(text("b.example.com", false)), true),
        (Filter::DnsName(text("B.ex", true)), true),
        (Filter::DnsName(text("a.example.com", false)), false),
        (Filter::ExtendedKeyUsage("CUSTOM".into()), true),
        (Filter::ExtendedKeyUsage("NONE".into()), false),
        (Filter::ExtendedKeyUsage("OCSP_SIGNING".into()), false),
        (Filter::KeyUsage("DIGITAL_SIGNATURE".into()), true),
        (Filter::KeyUsage("CRL_SIGNING".into()), false),
        (Filter::KeyUsage("ANY".into()), false),
        (Filter::Serial("01:02".into()), true),
        (Filter::Serial("01".into()), false),
        (Filter::NotAfter(range(Some(200), Some(200))), true),
        (Filter::NotAfter(range(Some(201), None)), false),
        (Filter::NotAfter(range(None, Some(199))), false),
        (Filter::NotBefore(range(None, Some(100))), true),
        (Filter::NotBefore(range(Some(101), None)), false),
        (Filter::Named, true),
        (Filter::Never, false),
    ] {
        assert_eq!(holds(filter.clone()), expected, "{filter:?}");
    }
    for (property, value) in [
        (Property::Status, "ISSUED"),
        (Property::RenewalStatus, NONE),
        (Property::Exported, flag(false)),
        (Property::InUse, flag(false)),
        (Property::KeyAlgorithm, "RSA_2048"),
        (Property::Type, "IMPORTED"),
        (Property::RenewalEligibility, "INELIGIBLE"),
        (Property::ExportOption, "DISABLED"),
        (Property::ValidationMethod, NONE),
        (Property::KeyPairOrigin, "CUSTOMER_PROVIDED"),
    ] {
        assert!(
            holds(Filter::Property(property, value.into())),
            "{property:?}"
        );
        assert!(
            !holds(Filter::Property(property, "OTHER".into())),
            "{property:?}"
        );
    }
    let expired = is(Filter::Property(Property::Status, "EXPIRED".into()));
    assert!(expired.holds(&shown, at(201)), "by the clock");
}

#[test]
fn statements_join_as_in_logic() {
    let shown = certificate(KeyAlgorithm::Rsa2048);
    let (yes, no) = (is(Filter::Named), is(Filter::Never));
    let holds = |statement: Statement| statement.holds(&shown, at(150));
    assert!(holds(Statement::All(vec![yes.clone(), yes.clone()])));
    assert!(!holds(Statement::All(vec![yes.clone(), no.clone()])));
    assert!(holds(Statement::Any(vec![no.clone(), yes.clone()])));
    assert!(!holds(Statement::Any(vec![no.clone(), no.clone()])));
    assert!(!holds(Statement::Not(Box::new(yes))));
    assert!(holds(Statement::Not(Box::new(no))));
}

#[test]
fn a_statement_has_bounds() {
    let mut deep = is(Filter::Named);
    for _ in 0..9 {
        deep = Statement::Not(Box::new(deep));
    }
    assert!(deep.check_size().is_ok());
    assert!(Statement::Not(Box::new(deep)).check_size().is_err());
    let wide = |count| Statement::Any(vec![is(Filter::Named); count]);
    assert!(wide(60).check_size().is_ok());
    assert!(wide(61).check_size().is_err());
}

#[test]
fn classes_come_back_from_their_text() {
    let class = Class::of(&certificate(KeyAlgorithm::EcP256));
    assert_eq!(Class::parse(&class.text()), Some(class.clone()));
    assert_eq!(class.get(Property::KeyAlgorithm), "EC_prime256v1");
    assert_eq!(Class::parse("ISSUED"), None);
}

#[test]
fn places_in_an_order_are_rows_of_it() {
    let shown = certificate(KeyAlgorithm::Rsa2048);
    let rows = rows(&shown);
    for family in [
        Family::CreatedAt,
        Family::IssuedAt,
        Family::ImportedAt,
        Family::RevokedAt,
        Family::NotBefore,
        Family::NotAfter,
        Family::CommonName,
    ] {
        let place = position(&shown, SortBy::Family(family));
        let row = format!("{}{place}", family.prefix());
        assert!(rows.contains(&row), "{row}");
    }
    assert_eq!(position(&shown, SortBy::Id), "id");
    let by_status = SortBy::Property(Property::Status);
    assert_eq!(position(&shown, by_status), "ISSUED/id");
}

fn filters() -> impl Strategy<Value = Filter> {
    let names = prop_oneof![
        Just("a.example.com"),
        Just("b.example.com"),
        Just("example"),
        Just("x")
    ];
    let texts = (names, any::<bool>()).prop_map(|(name, part)| text(name, part));
    let ranges = (
        proptest::option::of(90_i64..210),
        proptest::option::of(90_i64..210),
    )
        .prop_map(|(start, end)| Range {
            start: start.map(at),
            end: end.map(at),
        });
    let values = prop_oneof![
        Just("ISSUED"),
        Just("RSA_2048"),
        Just("EC_prime256v1"),
        Just("IMPORTED"),
        Just("true"),
        Just("DISABLED")
    ];
    let properties = prop::sample::select(Property::ALL.to_vec());
    prop_oneof![
        texts.clone().prop_map(Filter::CommonName),
        texts.prop_map(Filter::DnsName),
        Just(Filter::Serial("01:02".into())),
        Just(Filter::Serial("03:04".into())),
        Just(Filter::Arn(
            "arn:aws:acm:us-east-1:000000000000:certificate/id".into()
        )),
        ranges.clone().prop_map(Filter::NotAfter),
        ranges.prop_map(Filter::NotBefore),
        (properties, values).prop_map(|(property, value)| Filter::Property(property, value.into())),
        Just(Filter::KeyUsage("DIGITAL_SIGNATURE".into())),
        Just(Filter::Never),
    ]
}

fn statements() -> impl Strategy<Value = Statement> {
    filters()
        .prop_map(Statement::Is)
        .prop_recursive(4, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(Statement::All),
                prop::collection::vec(inner.clone(), 1..4).prop_map(Statement::Any),
                inner.prop_map(|part| Statement::Not(Box::new(part))),
            ]
        })
}

proptest! {
    #[test]
    fn what_a_statement_is_true_of_is_in_all_its_sources(
        statement in statements(),
        kind in prop::sample::select(KeyAlgorithm::ALL.to_vec()),
    ) {
        let shown = certificate(kind);
        let rows = rows(&shown);
        let holds = statement.holds(&shown, at(150));
        let class = Class::of(&shown);
        if holds {
            prop_assert!(statement.may_hold(&class));
            let span = of_class(&class);
            prop_assert!(rows.iter().any(|row| row.starts_with(&span.prefix)));
        }
        for set in sources(&statement) {
            let found = set.iter().any(|source| match source {
                Source::Id(id) => id == "id",
                Source::Span(span) => rows.iter().any(|row| {
                    row.starts_with(&span.prefix)
                        && span.after.as_ref().is_none_or(|after| row > after)
                        && span.before.as_ref().is_none_or(|before| row < before)
                }),
            });
            prop_assert!(found || !holds, "{:?}", set);
        }
    }

    #[test]
    fn names_are_ordered_as_names(left in "[a-z.-]{1,12}", right in "[a-z.-]{1,12}") {
        let place = |name: &str| {
            let mut shown = certificate(KeyAlgorithm::Rsa2048);
            if let Some(current) = &mut shown.current {
                current.facts.common_name = Some(name.into());
            }
            position(&shown, SortBy::Family(Family::CommonName))
        };
        prop_assert_eq!(place(&left).cmp(&place(&right)), left.cmp(&right));
    }
}
