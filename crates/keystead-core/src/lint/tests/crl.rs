//! A list that breaks no rule, and for each rule one that breaks it.

use super::super::crl::{CrlIssuer, RULES, STRUCTURE, lint_crl_tbs};
use super::build::{ia5, name, oid_tlv, seq, tlv};
use crate::x509::SignatureAlgorithm;

const NUMBER: &[u8] = &[0x55, 0x1d, 20];
const REASON: &[u8] = &[0x55, 0x1d, 21];
const POINT: &[u8] = &[0x55, 0x1d, 28];
const KEY_ID: &[u8] = &[0x55, 0x1d, 35];
const TRUE: &[u8] = &[1, 1, 0xff];

/// The fields of a TBSCertList, each as complete DER.
#[derive(Clone)]
struct Parts {
    version: Vec<u8>,
    signature: Vec<u8>,
    issuer: Vec<u8>,
    this_update: Vec<u8>,
    next_update: Vec<u8>,
    entries: Option<Vec<Vec<u8>>>,
    extensions: Vec<Vec<u8>>,
    trailing: Vec<u8>,
    /// The address that the certificates name.
    url: Option<&'static str>,
}

fn extension(oid: &[u8], flag: &[u8], value: &[u8]) -> Vec<u8> {
    seq(&[&oid_tlv(oid), flag, &tlv(4, value)])
}

fn key_id() -> Vec<u8> {
    extension(KEY_ID, &[], &seq(&[&tlv(0x80, &[7; 20])]))
}

fn number(value: u8) -> Vec<u8> {
    extension(NUMBER, &[], &[2, 1, value])
}

fn point(flag: &[u8], url: &str) -> Vec<u8> {
    let names = tlv(0xa0, &tlv(0xa0, &ia5(6, url)));
    extension(POINT, flag, &seq(&[&names]))
}

fn entry(serial: &[u8], at: &str, extensions: &[&[u8]]) -> Vec<u8> {
    let listed = match extensions {
        [] => Vec::new(),
        all => seq(all),
    };
    seq(&[&tlv(2, serial), &tlv(0x17, at.as_bytes()), &listed])
}

fn reason(value: u8) -> Vec<u8> {
    extension(REASON, &[], &[0x0a, 1, value])
}

impl Parts {
    fn good() -> Self {
        Self {
            version: vec![2, 1, 1],
            signature: vec![0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
            issuer: name(&[(3, 0x0c, b"Test CA")]),
            this_update: tlv(0x17, b"260101000000Z"),
            next_update: tlv(0x17, b"260108000000Z"),
            entries: Some(vec![
                entry(&[1], "251231000000Z", &[]),
                entry(&[2], "260101000000Z", &[&reason(1)]),
            ]),
            extensions: vec![key_id(), number(9)],
            trailing: Vec::new(),
            url: None,
        }
    }

    fn partition() -> Self {
        let url = "http://a.test/b.crl";
        let mut parts = Self::good();
        parts.extensions.push(point(TRUE, url));
        parts.url = Some(url);
        parts
    }

    /// The ids of the rules that it breaks.
    fn broken(&self) -> Vec<&'static str> {
        let entries = self.entries.as_ref().map(|all| tlv(0x30, &all.concat()));
        let der = seq(&[
            &self.version,
            &self.signature,
            &self.issuer,
            &self.this_update,
            &self.next_update,
            &entries.unwrap_or_default(),
            &tlv(0xa0, &tlv(0x30, &self.extensions.concat())),
            &self.trailing,
        ]);
        let subject = name(&[(3, 0x0c, b"Test CA")]);
        let issuer = CrlIssuer {
            subject_der: &subject,
            key_id: &[7; 20],
            signature: SignatureAlgorithm::Sha256WithEcdsa,
            last_number: Some(8),
            distribution_point: self.url,
        };
        let findings = lint_crl_tbs(&der, &issuer).err().unwrap_or_default();
        findings.iter().map(|finding| finding.rule).collect()
    }
}

#[test]
fn good_lists_pass() {
    let mut empty = Parts::good();
    empty.entries = None;
    let mut late = Parts::good();
    late.next_update = tlv(0x18, b"20500101000000Z");
    for parts in [Parts::good(), Parts::partition(), empty, late] {
        assert_eq!(parts.broken(), Vec::<&str>::new());
    }
}

type Change = fn(&mut Parts);

const BREAKS: &[(&str, Change)] = &[
    (STRUCTURE, |p| p.trailing = vec![5, 0]),
    (STRUCTURE, |p| p.extensions.clear()),
    ("rfc5280_5_1_canonical", |p| {
        p.entries = Some(vec![entry(&[0, 1], "251231000000Z", &[])]);
    }),
    ("rfc5280_5_1_2_1_version_2", |p| p.version.clear()),
    ("rfc5280_5_1_2_2_signature", |p| p.signature[11] = 3),
    ("rfc5280_5_1_2_3_issuer", |p| {
        p.issuer = name(&[(3, 0x0c, b"Other CA")])
    }),
    ("rfc5280_5_1_2_4_times_encoded", |p| {
        p.next_update = tlv(0x18, b"20260108000000Z");
    }),
    ("rfc5280_5_1_2_4_times_encoded", |p| {
        p.entries = Some(vec![entry(&[1], "251331000000Z", &[])]);
    }),
    ("rfc5280_5_1_2_5_next_update", |p| p.next_update.clear()),
    ("rfc5280_5_1_2_5_next_update", |p| {
        p.next_update = p.this_update.clone()
    }),
    ("rfc5280_5_1_2_6_not_empty", |p| {
        p.entries = Some(Vec::new())
    }),
    ("rfc5280_5_1_2_6_serial_numbers", |p| {
        p.entries = Some(vec![entry(&[0x80], "251231000000Z", &[])]);
    }),
    ("rfc5280_5_1_2_6_serial_numbers", |p| {
        let one = entry(&[3], "251231000000Z", &[]);
        p.entries = Some(vec![one.clone(), entry(&[2], "251231000000Z", &[]), one]);
    }),
    ("rfc5280_5_1_2_6_revoked_before", |p| {
        p.entries = Some(vec![entry(&[1], "260101000001Z", &[])]);
    }),
    ("rfc5280_5_2_extensions", |p| p.extensions.push(number(9))),
    ("rfc5280_5_2_extensions", |p| {
        // A delta list (section 5.2.4).
        p.extensions
            .push(extension(&[0x55, 0x1d, 27], TRUE, &[2, 1, 1]));
    }),
    ("rfc5280_5_2_1_authority_key_id", |p| {
        p.extensions[0] = extension(KEY_ID, &[], &seq(&[&tlv(0x80, &[8; 20])]));
    }),
    ("rfc5280_5_2_3_number", |p| p.extensions[1] = number(8)),
    ("rfc5280_5_2_3_number", |p| p.extensions[1] = number(0x80)),
    ("rfc5280_5_2_5_distribution_point", |p| {
        p.url = Some("http://a.test/c.crl")
    }),
    ("rfc5280_5_3_entry_extensions", |p| {
        let twice = [reason(1), reason(1)];
        p.entries = Some(vec![entry(&[1], "251231000000Z", &[&twice[0], &twice[1]])]);
    }),
    ("rfc5280_5_3_1_reason", |p| {
        p.entries = Some(vec![entry(&[1], "251231000000Z", &[&reason(0)])]);
    }),
    ("rfc5280_5_3_1_reason", |p| {
        p.entries = Some(vec![entry(&[1], "251231000000Z", &[&reason(8)])]);
    }),
];

#[test]
fn every_rule_can_be_broken() {
    for (rule, change) in BREAKS {
        let mut parts = Parts::good();
        change(&mut parts);
        assert!(
            parts.broken().contains(rule),
            "{rule}: {:?}",
            parts.broken()
        );
    }
    for (rule, _) in RULES {
        assert!(BREAKS.iter().any(|(broken, _)| broken == rule), "{rule}");
    }
    let mut uncritical = Parts::partition();
    uncritical.extensions[2] = point(&[], "http://a.test/b.crl");
    assert_eq!(uncritical.broken(), ["rfc5280_5_2_extensions"]);
    let mut partial = Parts::partition();
    partial.url = None;
    assert_eq!(partial.broken(), ["rfc5280_5_2_5_distribution_point"]);
}
