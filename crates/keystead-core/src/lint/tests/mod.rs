//! Every rule passes a good certificate, and has an example that it alone, or among others, fails.

mod bounds;
mod build;
mod crl;
mod moduli;
mod more;
mod ocsp;
mod public;

use std::collections::BTreeSet;

use build::{Parts, ext, ia5, oid_tlv, seq, tlv};

use super::*;
use crate::x509::SignatureAlgorithm as S;

const ISSUER_KEY_ID: &[u8] = &[7; 20];
const YEAR_2035: i64 = 2_051_222_400;

fn issuer(parts: &Parts) -> Issuer<'_> {
    Issuer {
        subject_der: &parts.issuer_subject,
        key_id: ISSUER_KEY_ID,
        not_after: Some(YEAR_2035),
        path_len: Some(1),
        bounds: parts.bounds.as_ref(),
        signature: S::Sha256WithEcdsa,
    }
}

fn broken(parts: &Parts) -> Vec<&'static str> {
    match lint_tbs(&parts.tbs(), &issuer(parts)) {
        Ok(()) => Vec::new(),
        Err(findings) => findings.into_iter().map(|finding| finding.rule).collect(),
    }
}

#[test]
fn good_certificates_pass() {
    for good in [
        Parts::leaf(),
        Parts::ca(),
        Parts::rsa_leaf(),
        Parts::ml_dsa_leaf(),
        Parts::ed25519_leaf(),
        Parts::without_subject(),
        Parts::with_every_name(),
        Parts::with_every_extension(),
    ] {
        assert_eq!(lint_tbs(&good.tbs(), &issuer(&good)), Ok(()));
    }
    for good in more::good() {
        assert_eq!(lint_tbs(&good.tbs(), &issuer(&good)), Ok(()));
    }
}

#[test]
fn a_foreign_parser_reads_what_passes() {
    use x509_parser::certificate::TbsCertificate;
    use x509_parser::prelude::FromDer as _;
    for good in [Parts::leaf(), Parts::ca(), Parts::with_every_name()] {
        let der = good.tbs();
        let (rest, tbs) = TbsCertificate::from_der(&der).unwrap();
        assert!(rest.is_empty());
        assert!(
            tbs.extensions()
                .iter()
                .all(|extension| extension.parsed_extension().error().is_none())
        );
    }
}

/// The failing examples: which rule, and the certificate that breaks it.
fn bad() -> Vec<(&'static str, Parts)> {
    let mut all = Vec::new();
    let mut leaf = |rule: &'static str, change: &dyn Fn(&mut Parts)| {
        let mut parts = Parts::leaf();
        change(&mut parts);
        all.push((rule, parts));
    };
    leaf("rfc5280_4_1_structure", &|p| p.key.clear());
    leaf("rfc5280_4_1_structure", &|p| p.trailing = vec![5, 0]);
    leaf("rfc5280_4_1_der_canonical", &|p| {
        p.serial = vec![0, 0, 1, 1, 1, 1, 1, 1, 1, 1];
    });
    leaf("rfc5280_4_1_der_canonical", &|p| {
        p.set(ext::raw(ext::BASIC_CONSTRAINTS, &[1, 1, 0], &seq(&[])));
    });
    leaf("rfc5280_4_1_der_canonical", &|p| {
        p.set(ext::plain(ext::BASIC_CONSTRAINTS, &seq(&[&[1, 1, 0]])));
    });
    leaf("rfc5280_4_1_der_canonical", &|p| {
        p.set(ext::plain(ext::BASIC_CONSTRAINTS, &seq(&[&[1, 1, 1]])));
    });
    leaf("rfc5280_4_1_2_1_version_3", &|p| {
        p.version = vec![0xa0, 3, 2, 1, 1]
    });
    leaf("rfc5280_4_1_2_1_version_3", &|p| p.version.clear());
    leaf("rfc5280_4_1_2_2_serial_positive", &|p| p.serial[0] = 0x80);
    leaf("rfc5280_4_1_2_2_serial_positive", &|p| p.serial = vec![0]);
    leaf("rfc5280_4_1_2_2_serial_at_most_20_octets", &|p| {
        p.serial = vec![1; 21];
    });
    leaf("cabf_br_7_1_serial_64_bits", &|p| p.serial = vec![1; 7]);
    leaf("rfc5280_4_1_2_3_signature_algorithm", &|p| {
        // sha1WithRSAEncryption
        p.signature = vec![
            0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5, 5, 0,
        ];
    });
    leaf("rfc5280_4_1_2_8_no_unique_identifiers", &|p| {
        p.unique_id = vec![0x82, 2, 0, 1];
    });

    leaf("rfc3279_2_3_key_kind", &|p| {
        // secp256k1
        let curve = tlv(6, &[0x2b, 0x81, 4, 0, 10]);
        p.key = build::spki(&[build::EC, &curve], &[&[4], [1; 64].as_slice()].concat());
    });
    leaf("rfc3279_2_3_key_kind", &|p| {
        // Ed448
        p.key = build::spki(&[&[6, 3, 0x2b, 0x65, 0x71]], &[1; 57]);
    });
    leaf("rfc3279_2_3_key_kind", &|p| {
        // RSA without its NULL
        p.key = build::spki(&[build::RSA], &build::rsa_key(&[0xc1; 256], &[1, 0, 1]));
    });
    leaf("sp800_131a_rsa_modulus_2048_bits", &|p| {
        p.key = build::rsa_spki(&[0xc1; 255], &[1, 0, 1]);
    });
    leaf("sp800_131a_rsa_modulus_2048_bits", &|p| {
        p.key = build::rsa_spki(&[0x41; 256], &[1, 0, 1]);
    });
    leaf("sp800_131a_rsa_modulus_2048_bits", &|p| {
        p.key = build::rsa_spki(&[0xc1; 1025], &[1, 0, 1]);
    });
    leaf("rfc8017_3_1_rsa_modulus_odd", &|p| {
        p.key = build::rsa_spki(&[0xc2; 256], &[1, 0, 1]);
    });
    for exponent in [[1].as_slice(), &[0], &[2], &[1, 0, 0]] {
        leaf("rfc8017_3_1_rsa_exponent_odd_from_3", &|p| {
            p.key = build::rsa_spki(&[0xc1; 256], exponent);
        });
    }
    for (rule, modulus) in [
        ("sp800_89_5_3_3_no_small_factor", moduli::BY_751),
        ("cabf_br_6_1_1_3_roca", moduli::ROCA),
        ("cabf_br_6_1_1_3_close_primes", moduli::CLOSE),
        ("cabf_br_6_1_1_3_close_primes", moduli::SIXTY_ROUNDS),
        ("cabf_br_6_1_1_3_close_primes", moduli::SQUARE),
    ] {
        leaf(rule, &|p| {
            p.key = build::rsa_spki(&moduli::octets(modulus), &[1, 0, 1]);
        });
    }
    leaf("fips186_5_a_1_1_rsa_exponent_at_most_256_bits", &|p| {
        p.key = build::rsa_spki(&moduli::octets(moduli::HONEST), &[1; 33]);
    });
    leaf("rfc5480_2_2_point", &|p| {
        // compressed
        p.key = build::spki(&[build::EC, build::P256], &[2; 33]);
    });
    leaf("rfc9881_4_key_size", &|p| {
        p.key = build::spki(&[build::ML_DSA_65], &[1; 1951]);
    });
    leaf("rfc8813_3_key_usage_fits_key", &|p| {
        p.set(ext::critical(ext::KEY_USAGE, &[3, 2, 5, 0xa0]));
    });
    leaf("rfc8813_3_key_usage_fits_key", &|p| {
        p.key = build::spki(&[build::ML_DSA_65], &[1; 1952]);
        p.set(ext::critical(ext::KEY_USAGE, &[3, 2, 3, 0x88]));
    });

    leaf("rfc5280_4_1_2_5_time_form", &|p| {
        p.not_after = tlv(0x17, b"2601010000Z");
    });
    leaf("rfc5280_4_1_2_5_utc_time_through_2049", &|p| {
        p.not_before = tlv(0x18, b"20250101000000Z");
    });
    leaf("rfc5280_4_1_2_5_order", &|p| {
        p.not_before = tlv(0x17, b"300101000000Z");
    });
    leaf("keystead_within_issuer_validity", &|p| {
        p.not_after = tlv(0x17, b"350101000001Z");
    });

    leaf("rfc5280_4_1_2_4_issuer_not_empty", &|p| {
        p.issuer_subject = seq(&[]);
        p.issuer = seq(&[]);
    });
    leaf("rfc5280_6_1_3_issuer_is_the_issuers_subject", &|p| {
        p.issuer = build::name(&[(3, 0x0c, b"somebody else")]);
    });
    leaf("rfc5280_4_1_2_6_empty_subject_needs_critical_san", &|p| {
        p.subject = seq(&[]);
    });
    leaf("rfc5280_4_1_2_6_empty_subject_needs_critical_san", &|p| {
        p.subject = seq(&[]);
        p.remove(ext::SUBJECT_ALT_NAME);
    });
    leaf("rfc5280_4_1_2_4_name_form", &|p| {
        p.subject = seq(&[&tlv(0x31, &[])])
    });
    // TeletexString for a common name, UTF8String for a country.
    leaf("rfc5280_4_1_2_4_string_types", &|p| {
        p.subject = build::name(&[(3, 0x14, b"old")]);
    });
    leaf("rfc5280_4_1_2_4_string_types", &|p| {
        p.subject = build::name(&[(6, 0x0c, b"NL")]);
    });
    leaf("rfc5280_a_1_upper_bounds", &|p| {
        p.subject = build::name(&[(3, 0x0c, &[b'x'; 65])]);
    });
    leaf("rfc5280_a_1_upper_bounds", &|p| {
        p.subject = build::name(&[(10, 0x0c, b"")]);
    });
    for country in [b"N".as_slice(), b"NLD", b"N1"] {
        leaf("rfc5280_a_1_country_two_letters", &|p| {
            p.subject = build::name(&[(6, 0x13, country)]);
        });
    }

    leaf("rfc5280_4_2_1_6_san_not_empty", &|p| p.names(&[]));
    leaf("rfc5280_4_2_1_6_san_kind", &|p| p.names(&[tlv(0x89, b"x")]));
    for name in [
        "a_b.test", "-a.test", "a-.test", "a..test", "a.test.", "", "é.test", "*.", "a b",
    ] {
        leaf("rfc5280_4_2_1_6_dns_name", &|p| p.names(&[ia5(2, name)]));
    }
    leaf("rfc5280_4_2_1_6_dns_name", &|p| {
        p.names(&[ia5(2, &format!("{}.test", "a".repeat(64)))]);
    });
    for name in ["a.*.test", "*.*.test", "w*.test", "*"] {
        leaf("rfc6125_6_4_3_wildcard_leftmost", &|p| {
            p.names(&[ia5(2, name)])
        });
    }
    for name in [
        "nobody",
        "@a.test",
        "a@",
        "a b@a.test",
        "<a@a.test>",
        "a@a_b.test",
    ] {
        leaf("rfc5280_4_2_1_6_email", &|p| p.names(&[ia5(1, name)]));
    }
    for name in [
        "/relative",
        "a.test",
        "https://",
        "https://a b/",
        "1s://a",
        "https://a_b/",
        "https://[::g]/",
        "spiffe:",
    ] {
        leaf("rfc5280_4_2_1_6_uri_absolute", &|p| {
            p.names(&[ia5(6, name)])
        });
    }
    leaf("rfc5280_4_2_1_6_ip_address", &|p| {
        p.names(&[tlv(0x87, &[10, 0, 0])])
    });

    leaf("rfc5280_4_1_2_9_extensions_not_empty", &|p| {
        p.extensions.clear()
    });
    leaf("rfc5280_4_2_no_duplicates", &|p| {
        p.extensions.push(p.extensions[0].clone());
    });
    leaf("rfc5280_4_2_1_1_authority_key_id", &|p| {
        p.remove(ext::AUTHORITY_KEY_ID)
    });
    leaf("rfc5280_4_2_1_1_authority_key_id", &|p| {
        p.set(ext::plain(ext::AUTHORITY_KEY_ID, &seq(&[])));
    });
    leaf("rfc5280_4_2_1_1_authority_key_id", &|p| {
        p.set(ext::plain(
            ext::AUTHORITY_KEY_ID,
            &seq(&[&tlv(0x80, &[8; 20])]),
        ));
    });
    leaf("rfc5280_4_2_1_2_subject_key_id", &|p| {
        p.remove(ext::SUBJECT_KEY_ID)
    });
    leaf("rfc5280_4_2_1_3_key_usage_not_zero", &|p| {
        p.set(ext::critical(ext::KEY_USAGE, &[3, 1, 0]));
    });
    leaf("rfc5280_4_2_1_12_purposes_not_empty", &|p| {
        p.set(ext::plain(ext::EXTENDED_KEY_USAGE, &seq(&[])));
    });
    leaf("rfc5280_4_2_1_12_purposes_fit_key_usage", &|p| {
        // keyAgreement alone does not sign code.
        p.set(ext::critical(ext::KEY_USAGE, &[3, 2, 3, 0x08]));
        let code_signing = oid_tlv(&[0x2b, 6, 1, 5, 5, 7, 3, 3]);
        p.set(ext::plain(ext::EXTENDED_KEY_USAGE, &seq(&[&code_signing])));
    });
    for points in [
        seq(&[]),
        seq(&[&seq(&[])]),
        seq(&[&seq(&[&tlv(0x81, &[7, 0x80])])]),
        build::crl_points("ftp://a.test/crl"),
        tlv(5, &[]),
    ] {
        leaf("rfc5280_4_2_1_13_crl_distribution_points", &|p| {
            p.set(ext::plain(ext::CRL_DISTRIBUTION_POINTS, &points));
        });
    }
    leaf("rfc5280_4_2_criticality", &|p| {
        p.set(ext::critical(ext::SUBJECT_KEY_ID, &tlv(4, &[9; 20])));
    });
    leaf("rfc5280_4_2_criticality", &|p| {
        p.set(ext::plain(ext::INHIBIT_ANY_POLICY, &[2, 1, 0]));
    });

    leaf("rfc5280_4_2_1_9_key_cert_sign_is_for_cas", &|p| {
        p.set(ext::critical(ext::KEY_USAGE, &[3, 2, 2, 0x84]));
    });
    leaf("rfc5280_4_2_1_9_path_len_is_for_cas", &|p| {
        p.set(ext::plain(ext::BASIC_CONSTRAINTS, &seq(&[&[2, 1, 0]])));
    });
    leaf("rfc5280_4_2_1_10_name_constraints", &|p| {
        p.set(ext::critical(
            ext::NAME_CONSTRAINTS,
            &build::permitted("a.test"),
        ));
    });

    let mut ca = |rule: &'static str, change: &dyn Fn(&mut Parts)| {
        let mut parts = Parts::ca();
        change(&mut parts);
        all.push((rule, parts));
    };
    ca("rfc5280_4_1_2_6_ca_subject_not_empty", &|p| {
        p.subject = seq(&[])
    });
    ca("rfc5280_4_2_1_9_ca_basic_constraints_critical", &|p| {
        p.set(ext::plain(
            ext::BASIC_CONSTRAINTS,
            &seq(&[&[1, 1, 0xff], &[2, 1, 0]]),
        ));
    });
    ca("rfc5280_4_2_1_3_ca_key_cert_sign", &|p| {
        p.set(ext::critical(ext::KEY_USAGE, &[3, 2, 1, 0x82]));
    });
    ca("rfc5280_4_2_1_3_ca_key_cert_sign", &|p| {
        p.remove(ext::KEY_USAGE)
    });
    ca("rfc5280_4_2_1_3_ca_key_usage_critical", &|p| {
        p.set(ext::plain(ext::KEY_USAGE, &[3, 2, 1, 0x86]));
    });
    for own in [&[2, 1, 1][..], &[2, 1, 7], &[]] {
        ca("rfc5280_6_1_4_path_len_fits_issuer", &|p| {
            p.set(ext::critical(
                ext::BASIC_CONSTRAINTS,
                &seq(&[&[1, 1, 0xff], own]),
            ));
        });
    }
    ca("rfc5280_4_2_1_10_name_constraints", &|p| {
        p.set(ext::plain(
            ext::NAME_CONSTRAINTS,
            &build::permitted("a.test"),
        ));
    });
    all.extend(more::bad());
    all.extend(bounds::bad());
    all
}

#[test]
fn each_example_breaks_its_rule() {
    for (index, (rule, parts)) in bad().iter().enumerate() {
        let broken = broken(parts);
        assert!(
            broken.contains(rule),
            "example {index} of {rule}: {broken:?}"
        );
    }
}

#[test]
fn every_rule_has_an_example() {
    let of_keys = KEY_GROUPS.iter().copied().flatten().map(|rule| rule.id);
    let of_certificates = GROUPS.iter().copied().flatten().map(|rule| rule.id);
    let ids: Vec<&str> = of_keys.chain(of_certificates).collect();
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len(), "two rules share an id");
    let shown: BTreeSet<&str> = bad().iter().map(|(rule, _)| *rule).collect();
    let known = unique
        .iter()
        .copied()
        .chain([STRUCTURE])
        .collect::<BTreeSet<&str>>();
    assert_eq!(shown, known);
}

#[test]
fn the_algorithm_beside_the_signature_must_be_the_signed_one() {
    let parts = Parts::leaf();
    let certificate = |algorithm: &[u8]| seq(&[&parts.tbs(), algorithm, &tlv(3, &[0, 1])]);
    let right = certificate(&parts.signature);
    assert_eq!(lint_certificate(&right, &issuer(&parts)), Ok(()));
    let other = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
    let rules = |der: &[u8]| {
        let findings = lint_certificate(der, &issuer(&parts)).unwrap_err();
        findings
            .iter()
            .map(|finding| finding.rule)
            .collect::<Vec<_>>()
    };
    assert_eq!(rules(&certificate(&other)), [fields::ALGORITHMS_MATCH]);
    assert_eq!(rules(&right[..right.len() - 1]), [fields::ALGORITHMS_MATCH]);
}

/// A weak key breaks its own rule and no other, so that the message names the fault.
#[test]
fn weak_keys_are_judged_by_themselves() {
    let judged = |modulus, exponent: &[u8]| {
        let key = build::rsa_spki(&moduli::octets(modulus), exponent);
        let findings = lint_key(&key).err().unwrap_or_default();
        findings
            .iter()
            .map(|finding| finding.rule)
            .collect::<Vec<_>>()
    };
    let usual = &[1, 0, 1];
    assert_eq!(judged(moduli::HONEST, usual), Vec::<&str>::new());
    assert_eq!(judged(moduli::HONEST, &[3]), Vec::<&str>::new());
    assert_eq!(judged(moduli::ROCA, usual), ["cabf_br_6_1_1_3_roca"]);
    assert_eq!(
        judged(moduli::CLOSE, usual),
        ["cabf_br_6_1_1_3_close_primes"]
    );
    assert_eq!(
        judged(moduli::BY_751, usual),
        ["sp800_89_5_3_3_no_small_factor"]
    );
    assert_eq!(lint_key(b"nothing").unwrap_err()[0].rule, STRUCTURE);
}

#[test]
fn rsa_keys_are_known_by_their_algorithm() {
    assert!(is_rsa_key(&build::rsa_spki(&[0xc1; 256], &[1, 0, 1])));
    assert!(!is_rsa_key(&Parts::leaf().key));
    assert!(!is_rsa_key(b"nothing"));
}

#[test]
fn a_root_may_sign_itself() {
    let mut parts = Parts::ca();
    parts.subject = parts.issuer_subject.clone();
    parts.set(ext::critical(
        ext::BASIC_CONSTRAINTS,
        &seq(&[&[1, 1, 0xff]]),
    ));
    parts.not_after = tlv(0x18, b"20600101000000Z");
    let own = Issuer {
        not_after: None,
        path_len: None,
        ..issuer(&parts)
    };
    assert_eq!(lint_tbs(&parts.tbs(), &own), Ok(()));
    parts.set(ext::plain(ext::SUBJECT_KEY_ID, &tlv(4, ISSUER_KEY_ID)));
    parts.remove(ext::AUTHORITY_KEY_ID);
    let own = Issuer {
        not_after: None,
        path_len: None,
        ..issuer(&parts)
    };
    assert_eq!(lint_tbs(&parts.tbs(), &own), Ok(()));
}

#[test]
fn arbitrary_damage_never_panics() {
    let whole = Parts::with_every_extension().tbs();
    let parts = Parts::leaf();
    for at in 0..whole.len() {
        let _ = lint_tbs(&whole[..at], &issuer(&parts));
        for flip in [0x01, 0x20, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            let _ = lint_tbs(&damaged, &issuer(&parts));
        }
    }
}
