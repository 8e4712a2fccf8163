//! Which certificates which filters show.

use super::listing::Filter;
use super::*;
use crate::x509::{KeyUsageBit, Oid};
use jiff::Timestamp;

fn certificate(key_algorithm: KeyAlgorithm) -> Certificate {
    let facts = Facts {
        serial: "01".into(),
        subject: "CN=a.example.com".into(),
        common_name: Some("a.example.com".into()),
        issuer: "Example".into(),
        dns_names: Vec::new(),
        not_before: Timestamp::MIN,
        not_after: Timestamp::MAX,
        key_algorithm,
        signature_algorithm: "SHA256WITHRSA".into(),
        key_usages: vec![KeyUsageBit::DigitalSignature],
        extended_key_usages: vec![Oid::new("1.3.6.1.5.5.7.3.1"), Oid::new("1.2.3")],
    };
    Certificate::imported(
        "arn".into(),
        facts,
        Default::default(),
        Timestamp::UNIX_EPOCH,
    )
}

fn shows(filter: Filter, certificate: &Certificate) -> bool {
    filter.shows(certificate, Timestamp::UNIX_EPOCH)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).into()).collect()
}

#[test]
fn without_a_key_filter_only_two_kinds_show_and_only_with_a_name() {
    for kind in KeyAlgorithm::ALL {
        let mut shown = certificate(kind);
        assert_eq!(
            shows(Filter::default(), &shown),
            kind.listed_by_default(),
            "{kind:?}"
        );
        let asked = Filter {
            key_types: vec![kind],
            ..Filter::default()
        };
        assert!(shows(asked.clone(), &shown), "{kind:?}");
        shown.names.clear();
        assert!(!shows(Filter::default(), &shown), "{kind:?}");
        assert!(shows(asked, &shown), "{kind:?}");
    }
}

#[test]
fn each_filter_lets_through_what_has_one_of_its_values() {
    let shown = certificate(KeyAlgorithm::Rsa2048);
    let with = |change: fn(&mut Filter)| {
        let mut filter = Filter::default();
        change(&mut filter);
        shows(filter, &shown)
    };
    assert!(with(|f| f.statuses = words(&["EXPIRED", "ISSUED"])));
    assert!(!with(
        |f| f.statuses = words(&["EXPIRED", "INACTIVE", "REVOKED"])
    ));
    assert!(with(
        |f| f.key_usages = words(&["DIGITAL_SIGNATURE", "CRL_SIGNING"])
    ));
    assert!(!with(|f| f.key_usages = words(&["CRL_SIGNING"])));
    assert!(with(|f| f.extended_key_usages = words(&["CUSTOM"])));
    assert!(!with(|f| f.extended_key_usages = words(&["OCSP_SIGNING"])));
    assert!(with(|f| f.key_pair_origins = words(&["CUSTOMER_PROVIDED"])));
    assert!(!with(
        |f| f.key_pair_origins = words(&["AWS_MANAGED", "ACME"])
    ));
    assert!(with(|f| f.export = Some(false)));
    assert!(!with(|f| f.export = Some(true)));
    assert!(!with(|f| f.managed_by = Some("CLOUDFRONT".into())));
}
