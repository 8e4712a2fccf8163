//! An answer that breaks no rule, and for each rule one that breaks it.

use super::super::ocsp::{OcspSigner, RULES, STRUCTURE, lint_ocsp_data};
use super::build::{oid_tlv, seq, tlv};

/// The fields of a ResponseData, each as complete DER.
#[derive(Clone)]
struct Parts {
    version: Vec<u8>,
    responder: Vec<u8>,
    produced_at: Vec<u8>,
    answers: Vec<Answer>,
    extensions: Vec<u8>,
    trailing: Vec<u8>,
}

#[derive(Clone)]
struct Answer {
    id: Vec<u8>,
    status: Vec<u8>,
    this_update: Vec<u8>,
    next_update: Vec<u8>,
}

fn at(text: &str) -> Vec<u8> {
    tlv(0x18, text.as_bytes())
}

fn id(serial: u8) -> Vec<u8> {
    id_of(&[serial])
}

fn id_of(serial: &[u8]) -> Vec<u8> {
    let sha1 = seq(&[&oid_tlv(&[0x2b, 14, 3, 2, 26]), &[5, 0]]);
    seq(&[&sha1, &tlv(4, &[1; 20]), &tlv(4, &[2; 20]), &tlv(2, serial)])
}

fn answer(serial: u8, status: Vec<u8>) -> Answer {
    Answer {
        id: id(serial),
        status,
        this_update: at("20260101000000Z"),
        next_update: tlv(0xa0, &at("20260101010000Z")),
    }
}

fn revoked(at: &[u8], reason: &[u8]) -> Vec<u8> {
    tlv(0xa1, &[at, reason].concat())
}

fn nonce(value: &[u8]) -> Vec<u8> {
    let oid = oid_tlv(&[0x2b, 6, 1, 5, 5, 7, 48, 1, 2]);
    tlv(0xa1, &seq(&[&seq(&[&oid, &tlv(4, value)])]))
}

impl Parts {
    fn good() -> Self {
        Self {
            version: Vec::new(),
            responder: tlv(0xa2, &tlv(4, &[7; 20])),
            produced_at: at("20260101000000Z"),
            answers: vec![
                answer(1, vec![0x80, 0]),
                answer(
                    2,
                    revoked(&at("20251231000000Z"), &tlv(0xa0, &[0x0a, 1, 4])),
                ),
                answer(3, vec![0x82, 0]),
            ],
            extensions: nonce(&tlv(4, b"number used once")),
            trailing: Vec::new(),
        }
    }

    fn broken(&self) -> Vec<&'static str> {
        let answers: Vec<u8> = self
            .answers
            .iter()
            .flat_map(|one| seq(&[&one.id, &one.status, &one.this_update, &one.next_update]))
            .collect();
        let der = seq(&[
            &self.version,
            &self.responder,
            &self.produced_at,
            &tlv(0x30, &answers),
            &self.extensions,
            &self.trailing,
        ]);
        let asked = [id(1), id(2), id(3)];
        let asked: Vec<&[u8]> = asked.iter().map(Vec::as_slice).collect();
        let signer = OcspSigner {
            key_hash: &[7; 20],
            // The year 2026.
            not_before: 1_767_225_600,
            not_after: 1_798_761_599,
            asked: &asked,
            nonce: Some(b"number used once"),
        };
        let findings = lint_ocsp_data(&der, &signer).err().unwrap_or_default();
        findings.iter().map(|finding| finding.rule).collect()
    }
}

type Change = fn(&mut Parts);

const BREAKS: &[(&str, Change)] = &[
    (STRUCTURE, |p| p.trailing = vec![5, 0]),
    (STRUCTURE, |p| p.produced_at = tlv(0x17, b"260101000000Z")),
    ("rfc6960_4_2_1_canonical", |p| {
        p.answers[0].id = id_of(&[0, 1])
    }),
    ("rfc6960_4_2_1_version_left_out", |p| {
        p.version = vec![0xa0, 3, 2, 1, 0]
    }),
    ("rfc6960_4_2_1_responder_id", |p| {
        p.responder = tlv(0xa2, &tlv(4, &[8; 20]))
    }),
    ("rfc6960_4_2_1_responder_id", |p| {
        p.responder = tlv(0xa1, &seq(&[]))
    }),
    ("rfc6960_4_2_1_times_encoded", |p| {
        p.produced_at = at("20260101000000.5Z")
    }),
    ("rfc6960_4_2_1_what_was_asked", |p| p.answers.swap(0, 1)),
    ("rfc6960_4_2_1_what_was_asked", |p| p.answers.truncate(2)),
    ("rfc6960_4_2_1_status", |p| {
        p.answers[0].status = vec![0x83, 0]
    }),
    ("rfc6960_4_2_1_status", |p| {
        p.answers[1].status = revoked(&at("20251231000000Z"), &tlv(0xa0, &[0x0a, 1, 0]));
    }),
    ("rfc6960_4_2_2_1_order_of_times", |p| {
        p.answers[0].next_update.clear()
    }),
    ("rfc6960_4_2_2_1_order_of_times", |p| {
        p.answers[0].this_update = at("20260101000001Z")
    }),
    ("rfc6960_4_2_2_1_order_of_times", |p| {
        p.answers[1].status = revoked(&at("20260101000001Z"), &[]);
    }),
    ("rfc6960_4_2_2_2_within_signer_validity", |p| {
        p.answers[0].next_update = tlv(0xa0, &at("20270101000000Z"));
    }),
    ("rfc6960_4_4_1_nonce", |p| p.extensions.clear()),
    ("rfc6960_4_4_1_nonce", |p| {
        p.extensions = nonce(&tlv(4, b"number used twic"))
    }),
];

#[test]
fn every_rule_can_be_broken() {
    assert_eq!(Parts::good().broken(), Vec::<&str>::new());
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
}
