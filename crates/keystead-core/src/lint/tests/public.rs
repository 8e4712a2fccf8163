//! The remarks for the public web: none about a certificate that would do, and each by its own fault.

use super::build::{self, Parts, ext, ia5, oid_tlv, seq, tlv};
use super::*;

/// What the web would take: short, public names, one of the Forum's policies.
fn public() -> Parts {
    let mut parts = Parts::leaf();
    parts.not_before = tlv(0x17, b"260601000000Z");
    parts.not_after = tlv(0x17, b"261201000000Z");
    parts.subject = build::name(&[(3, 0x0c, b"www.a.org")]);
    parts.names(&[ia5(2, "www.a.org"), tlv(0x87, &[8, 8, 8, 8])]);
    parts.set(policies(&[&[0x67, 0x81, 0x0c, 1, 2, 1]]));
    let ocsp = oid_tlv(&[0x2b, 6, 1, 5, 5, 7, 48, 1]);
    let place = seq(&[&seq(&[&ocsp, &ia5(6, "http://a.org/ocsp")])]);
    parts.set(ext::plain(ext::AUTHORITY_INFO_ACCESS, &place));
    parts
}

fn policies(all: &[&[u8]]) -> ext::Ext {
    let listed: Vec<u8> = all.iter().flat_map(|oid| seq(&[&oid_tlv(oid)])).collect();
    ext::plain(ext::CERTIFICATE_POLICIES, &tlv(0x30, &listed))
}

fn remarks(parts: &Parts) -> Vec<&'static str> {
    let certificate = seq(&[&parts.tbs(), &parts.signature, &tlv(3, &[0, 1])]);
    let found = lint_public(&certificate).err().unwrap_or_default();
    found.into_iter().map(|finding| finding.rule).collect()
}

#[test]
fn a_certificate_for_the_web_has_none() {
    assert_eq!(remarks(&public()), Vec::<&str>::new());
}

#[test]
fn each_remark_has_its_fault() {
    let mut shown = BTreeSet::new();
    let mut check = |rule: &'static str, change: &dyn Fn(&mut Parts)| {
        let mut parts = public();
        change(&mut parts);
        assert_eq!(remarks(&parts), [rule]);
        shown.insert(rule);
    };
    check("cabf_br_7_1_2_7_not_a_ca", &|p| {
        p.set(ext::critical(
            ext::BASIC_CONSTRAINTS,
            &seq(&[&[1, 1, 0xff]]),
        ));
    });
    check("cabf_br_7_1_2_7_12_names", &|p| {
        p.names(&[ia5(2, "www.a.org"), ia5(1, "x@a.org")]);
    });
    for name in ["server", "db.corp", "a.home.arpa", "x.LOCAL"] {
        check("cabf_br_4_2_2_no_internal_name", &|p| {
            p.names(&[ia5(2, "www.a.org"), ia5(2, name)]);
        });
    }
    let v6 = |first: u8, second: u8| [&[first, second, 0x0d, 0xb8][..], &[0; 12]].concat();
    for address in [
        vec![10, 0, 0, 1],
        vec![100, 64, 0, 1],
        vec![0; 4],
        v6(0xfd, 0),
        v6(0x20, 1),
    ] {
        check("cabf_br_4_2_2_no_reserved_address", &|p| {
            p.names(&[ia5(2, "www.a.org"), tlv(0x87, &address)]);
        });
    }
    check("cabf_br_7_1_4_3_common_name_is_a_name", &|p| {
        p.subject = build::name(&[(3, 0x0c, b"other.a.org")]);
    });
    check("cabf_br_6_3_2_validity", &|p| {
        p.not_after = tlv(0x17, b"270101000000Z")
    });
    check("cabf_br_6_1_5_key", &|p| p.key = Parts::ed25519_leaf().key);
    check("cabf_br_7_1_2_7_10_purposes", &|p| {
        p.remove(ext::EXTENDED_KEY_USAGE)
    });
    for wrong in [&[][..], &[&[0x55, 0x1d, 32, 0][..]]] {
        check("cabf_br_7_1_6_1_policy", &|p| match wrong {
            [] => p.remove(ext::CERTIFICATE_POLICIES),
            _ => p.set(policies(wrong)),
        });
    }
    // Where AIA is missing and a distribution point is there, only the former is missed.
    check("cabf_br_7_1_2_7_7_access_to_issuer", &|p| {
        p.remove(ext::AUTHORITY_INFO_ACCESS);
        let points = build::crl_points("http://a.org/crl");
        p.set(ext::plain(ext::CRL_DISTRIBUTION_POINTS, &points));
    });
    let mut nowhere = public();
    nowhere.remove(ext::AUTHORITY_INFO_ACCESS);
    let rule = "cabf_br_7_1_2_11_2_revocation";
    assert!(remarks(&nowhere).contains(&rule));
    shown.insert(rule);
    let known: BTreeSet<&str> = baseline::RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(shown, known);
}
