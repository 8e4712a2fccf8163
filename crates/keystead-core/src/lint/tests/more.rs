//! Failing examples of the rules on extensions beyond the usual ones.

use super::build::{self, Parts, ext, ia5, oid_tlv, seq, tlv};

const DIRECTORY_ATTRIBUTES: &[u8] = &[0x55, 0x1d, 9];
const POLICY_MAPPINGS: &[u8] = &[0x55, 0x1d, 33];
const OCSP_NO_CHECK: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 5];
const ANY_POLICY: &[u8] = &[0x55, 0x1d, 32, 0];
const ANY_PURPOSE: &[u8] = &[0x55, 0x1d, 37, 0];
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
const OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1];
const POINTER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 2, 1];
const NOTICE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 2, 2];
const MAILBOX: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 9];
const SERVICE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 7];
const PRIVATE: &[u8] = &[0x2b, 6, 1, 4, 1, 99];

/// Which rule, and the certificate that breaks it.
pub(super) fn bad() -> Vec<(&'static str, Parts)> {
    [uses(), policies(), constraints(), names(), rest()].concat()
}

/// What of all this is right, on a leaf and on a CA.
pub(super) fn good() -> [Parts; 2] {
    let mut leaf = Parts::leaf();
    leaf.names(&[
        other(MAILBOX, &tlv(0x0c, "bücher@xn--bcher-kva.test".as_bytes())),
        other(SERVICE, &tlv(0x16, b"_xmpp-client.a.test")),
        other(PRIVATE, &tlv(5, &[])),
        tlv(0xa4, &build::name(&[(3, 0x0c, b"x")])),
    ]);
    leaf.set(ext::plain(OCSP_NO_CHECK, &tlv(5, &[])));
    leaf.set(ext::critical(ext::KEY_USAGE, &[3, 2, 0, 0x89]));
    leaf.set(ext::plain(
        ext::EXTENDED_KEY_USAGE,
        &seq(&[&oid_tlv(ANY_PURPOSE)]),
    ));
    let notice = seq(&[&tlv(0x0c, "ü".repeat(200).as_bytes())]);
    let qualified = policy(
        ANY_POLICY,
        &[(POINTER, &ia5_string("http://a.test/")), (NOTICE, &notice)],
    );
    leaf.set(policies_of(&[policy(PRIVATE, &[]), qualified]));
    let mut ca = Parts::ca();
    let network = [&[10, 0, 0, 0][..], &[255, 192, 0, 0]].concat();
    ca.set(constraining(&[
        ia5(2, "a.test"),
        ia5(1, "somebody@a.test"),
        ia5(1, ".a.test"),
        ia5(6, ".a.test"),
        tlv(0x87, &network),
        tlv(0xa4, &build::name(&[(3, 0x0c, b"x")])),
    ]));
    let pair = seq(&[&oid_tlv(PRIVATE), &oid_tlv(PRIVATE)]);
    ca.set(ext::critical(POLICY_MAPPINGS, &seq(&[&pair])));
    [leaf, ca]
}

type Examples = Vec<(&'static str, Parts)>;

fn leaf(all: &mut Examples, rule: &'static str, extension: ext::Ext) {
    let mut parts = Parts::leaf();
    parts.set(extension);
    all.push((rule, parts));
}

fn ca(all: &mut Examples, rule: &'static str, extension: ext::Ext) {
    let mut parts = Parts::ca();
    parts.set(extension);
    all.push((rule, parts));
}

fn uses() -> Examples {
    let mut all = Vec::new();
    let bits = |bits: &[u8]| ext::critical(ext::KEY_USAGE, &tlv(3, bits));
    leaf(
        &mut all,
        "x690_11_2_2_key_usage_without_trailing_zeros",
        bits(&[0, 0x80]),
    );
    // encipherOnly without keyAgreement, decipherOnly without it, both with it.
    for wrong in [&[0, 0x81][..], &[7, 0x80, 0x80], &[7, 0x89, 0x80]] {
        let rule = "rfc5280_4_2_1_3_only_bits_of_key_agreement";
        leaf(&mut all, rule, bits(wrong));
    }
    for mut parts in [Parts::ml_dsa_leaf(), Parts::ed25519_leaf()] {
        parts.set(bits(&[5, 0x20]));
        all.push(("rfc9881_5_signature_keys_sign", parts));
    }
    let purposes = |purposes: &[&[u8]]| {
        let listed: Vec<u8> = purposes.iter().flat_map(|oid| oid_tlv(oid)).collect();
        tlv(0x30, &listed)
    };
    let twice = purposes(&[CLIENT_AUTH, CLIENT_AUTH]);
    let any = purposes(&[ANY_PURPOSE]);
    let purposes = ext::EXTENDED_KEY_USAGE;
    leaf(
        &mut all,
        "rfc5280_4_2_1_12_purposes_once",
        ext::plain(purposes, &twice),
    );
    leaf(
        &mut all,
        "rfc5280_4_2_1_12_any_purpose_not_critical",
        ext::critical(purposes, &any),
    );
    let rule = "rfc6960_4_2_2_2_1_no_check";
    leaf(&mut all, rule, ext::critical(OCSP_NO_CHECK, &tlv(5, &[])));
    leaf(&mut all, rule, ext::plain(OCSP_NO_CHECK, &[]));
    all
}

fn policies() -> Examples {
    let mut all = Vec::new();
    let plain = policy(PRIVATE, &[]);
    let unqualified = seq(&[&oid_tlv(PRIVATE), &seq(&[])]);
    for wrong in [
        vec![],
        vec![plain.clone(), plain.clone()],
        vec![unqualified],
        vec![tlv(5, &[])],
    ] {
        leaf(&mut all, "rfc5280_4_2_1_4_policies", policies_of(&wrong));
    }
    let strange = policy(ANY_POLICY, &[(PRIVATE, &tlv(5, &[]))]);
    leaf(
        &mut all,
        "rfc5280_4_2_1_4_any_policy_qualifiers",
        policies_of(&[strange]),
    );
    let long = seq(&[&tlv(0x0c, &[b'x'; 201])]);
    let foreign = seq(&[&ia5_string("a notice")]);
    for (kind, value) in [
        (NOTICE, &long),
        (NOTICE, &foreign),
        (NOTICE, &tlv(5, &[])),
        (POINTER, &long),
    ] {
        let wrong = policy(PRIVATE, &[(kind, value)]);
        leaf(&mut all, "rfc6818_3_explicit_text", policies_of(&[wrong]));
    }
    let pair = |to: &[u8]| seq(&[&seq(&[&oid_tlv(PRIVATE), &oid_tlv(to)])]);
    let rule = "rfc5280_4_2_1_5_policy_mappings";
    leaf(
        &mut all,
        rule,
        ext::critical(POLICY_MAPPINGS, &pair(PRIVATE)),
    );
    ca(
        &mut all,
        rule,
        ext::critical(POLICY_MAPPINGS, &pair(ANY_POLICY)),
    );
    ca(&mut all, rule, ext::critical(POLICY_MAPPINGS, &seq(&[])));
    let rule = "rfc5280_4_2_1_11_policy_constraints_not_empty";
    ca(
        &mut all,
        rule,
        ext::critical(ext::POLICY_CONSTRAINTS, &seq(&[])),
    );
    let rule = "rfc5280_4_2_1_14_policies_of_paths_are_for_cas";
    let limit = seq(&[&tlv(0x80, &[0])]);
    leaf(
        &mut all,
        rule,
        ext::critical(ext::POLICY_CONSTRAINTS, &limit),
    );
    leaf(
        &mut all,
        rule,
        ext::critical(ext::INHIBIT_ANY_POLICY, &[2, 1, 0]),
    );
    all
}

fn constraints() -> Examples {
    let mut all = Vec::new();
    let rule = "rfc5280_4_2_1_10_constraints_not_empty";
    for wrong in [seq(&[]), seq(&[&tlv(0xa0, &[])]), tlv(5, &[])] {
        ca(&mut all, rule, ext::critical(ext::NAME_CONSTRAINTS, &wrong));
    }
    let deep = seq(&[&ia5(2, "a.test"), &tlv(0x81, &[1])]);
    let deep = seq(&[&tlv(0xa0, &deep)]);
    let rule = "rfc5280_4_2_1_10_base_distances";
    ca(&mut all, rule, ext::critical(ext::NAME_CONSTRAINTS, &deep));
    for wrong in [
        ia5(2, ".a.test"),
        ia5(2, "*.a.test"),
        ia5(1, ""),
        ia5(6, "https://a.test/"),
        tlv(0x87, &[10, 0, 0, 0]),
        tlv(0x87, &[10, 0, 0, 0, 255, 0, 255, 0]),
        tlv(0x87, &[10, 0, 0, 1, 255, 0, 0, 0]),
        tlv(0xa4, &tlv(5, &[])),
        tlv(0x88, PRIVATE),
    ] {
        ca(
            &mut all,
            "rfc5280_4_2_1_10_constraint_form",
            constraining(&[wrong]),
        );
    }
    all
}

fn names() -> Examples {
    let mut all = Vec::new();
    let mut named = |rule: &'static str, name: Vec<u8>| {
        let mut parts = Parts::leaf();
        parts.names(&[name]);
        all.push((rule, parts));
    };
    for wrong in [
        "xn--.test",
        "ab--c.test",
        "xn--99999999.test",
        "xn--abc-.test",
    ] {
        named("rfc9549_2_3_a_labels", ia5(2, wrong));
    }
    for (tag, wrong) in [
        (0x0c, "ascii@a.test"),
        (0x0c, "ü@bücher.test"),
        (0x16, "ü@a.test"),
        (0x0c, "ü"),
    ] {
        named(
            "rfc9598_3_smtp_utf8_mailbox",
            other(MAILBOX, &tlv(tag, wrong.as_bytes())),
        );
    }
    for (tag, wrong) in [
        (0x16, "xmpp.a.test"),
        (0x0c, "_xmpp.a.test"),
        (0x16, "_xmpp"),
        (0x16, "_a_b.c"),
    ] {
        named(
            "rfc4985_2_srv_name",
            other(SERVICE, &tlv(tag, wrong.as_bytes())),
        );
    }
    // In a directory name among the alternative names the same holds as in the subject.
    let nul = build::name(&[(3, 0x0c, b"a.test\0.b.test")]);
    named("rfc4518_2_2_no_control_characters", tlv(0xa4, &nul));
    named(
        "rfc5280_a_1_country_two_letters",
        tlv(0xa4, &build::name(&[(6, 0x13, b"NLD")])),
    );
    let attribute = |text: &[u8]| seq(&[&oid_tlv(&[0x55, 4, 3]), &tlv(0x0c, text)]);
    let mut parts = Parts::leaf();
    parts.subject = seq(&[&tlv(0x31, &[attribute(b"a"), attribute(b"b")].concat())]);
    all.push(("x501_9_3_attribute_once_in_a_relative_name", parts));
    all
}

fn rest() -> Examples {
    let mut all = Vec::new();
    let place = |name: Vec<u8>| seq(&[&seq(&[&oid_tlv(OCSP), &name])]);
    for wrong in [
        seq(&[]),
        place(ia5(6, "a.test")),
        place(ia5(6, "ldap://a.test/")),
        place(ia5(2, "a.test")),
        tlv(5, &[]),
    ] {
        let rule = "rfc5280_4_2_2_access";
        leaf(
            &mut all,
            rule,
            ext::plain(ext::AUTHORITY_INFO_ACCESS, &wrong),
        );
    }
    let rule = "rfc5280_4_2_1_1_issuer_and_serial_together";
    let alone = seq(&[&tlv(0x80, &[7; 20]), &tlv(0x82, &[1])]);
    leaf(&mut all, rule, ext::plain(ext::AUTHORITY_KEY_ID, &alone));
    let rule = "rfc5280_4_2_criticality";
    leaf(
        &mut all,
        rule,
        ext::critical(DIRECTORY_ATTRIBUTES, &seq(&[])),
    );
    let rule = "rfc5280_4_2_1_13_crl_distribution_points";
    leaf(&mut all, rule, ext::plain(ext::FRESHEST_CRL, &seq(&[])));
    let mut parts = Parts::leaf();
    parts.not_after = tlv(0x18, b"21250201000000Z");
    all.push(("keystead_validity_at_most_a_century", parts));
    all
}

fn other(kind: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(0xa0, &[oid_tlv(kind), tlv(0xa0, value)].concat())
}

fn ia5_string(text: &str) -> Vec<u8> {
    tlv(0x16, text.as_bytes())
}

fn policy(oid: &[u8], qualifiers: &[(&[u8], &[u8])]) -> Vec<u8> {
    let listed: Vec<u8> = qualifiers
        .iter()
        .flat_map(|(oid, value)| seq(&[&oid_tlv(oid), value]))
        .collect();
    match qualifiers {
        [] => seq(&[&oid_tlv(oid)]),
        _ => seq(&[&oid_tlv(oid), &tlv(0x30, &listed)]),
    }
}

fn policies_of(policies: &[Vec<u8>]) -> ext::Ext {
    ext::plain(ext::CERTIFICATE_POLICIES, &tlv(0x30, &policies.concat()))
}

/// nameConstraints that permit these.
fn constraining(names: &[Vec<u8>]) -> ext::Ext {
    let subtrees: Vec<u8> = names.iter().flat_map(|name| seq(&[name])).collect();
    ext::critical(ext::NAME_CONSTRAINTS, &seq(&[&tlv(0xa0, &subtrees)]))
}
