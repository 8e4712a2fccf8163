//! What an issued certificate costs here, step by step, on one thread, as a ratio to the raw P-256
//! signature of the library in the same moment (this machine's cores drift).
//!
//! `cargo bench -p keystead-crypto`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark says what it measures, and stops where it cannot"
)]

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use keystead_core::kms::{self, EncryptionAlgorithm, MacAlgorithm, MessageType};
use keystead_core::x509::{
    Extension, ExtensionValue, GeneralName, KeySpec, KeyUsageBit, Name, NameAttribute, Oid,
    SignatureAlgorithm, TbsCertificate,
};
use keystead_crypto::seal::{DataKey, RootKey, Sealer};
use keystead_crypto::{KeyRing, KeyRingOptions, x509};

/// How long each step is repeated.
const EACH: Duration = Duration::from_millis(400);
/// Steps in a batch.
const BATCH: u32 = 8;
const ALGORITHM: SignatureAlgorithm = SignatureAlgorithm::Sha256WithEcdsa;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(run());
}

async fn run() {
    let root = RootKey::generate().unwrap();
    let ring = KeyRing::open(&root, KeyRingOptions::default()).unwrap();
    let new = ring.generate(KeySpec::EcP256).await.unwrap();
    let tbs = certificate(new.spki_der.clone());
    let tbs_der = x509::encode_tbs(&tbs).unwrap();
    let signature = ring.sign(&new.key, ALGORITHM, &tbs_der).await.unwrap();
    let der = x509::assemble(&tbs_der, ALGORITHM, &signature).unwrap();
    let info = x509::encode_csr_info(&tbs.subject_der, &new.spki_der, &tbs.extensions).unwrap();
    let csr_signature = ring.sign(&new.key, ALGORITHM, &info).await.unwrap();
    let csr = x509::assemble(&info, ALGORITHM, &csr_signature).unwrap();
    let csr = x509::pem::encode("CERTIFICATE REQUEST", &csr);
    let parsed = x509::Csr::parse(csr.as_bytes()).unwrap();
    let sealer = Sealer::new(DataKey::generate().unwrap());
    let record = vec![7; 1500];
    let sealed = sealer.seal("c", "k", 1, &record).unwrap();

    println!(
        "certificate {} bytes, request {} bytes of PEM",
        der.len(),
        csr.len()
    );
    measure("encode_tbs", || x509::encode_tbs(&tbs).unwrap());
    measure("assemble", || {
        x509::assemble(&tbs_der, ALGORITHM, &signature).unwrap()
    });
    measure("Csr::parse (PEM)", || {
        x509::Csr::parse(csr.as_bytes()).unwrap()
    });
    measure("Csr::verify (P-256)", || parsed.verify().unwrap());
    measure("Certificate::from_der", || {
        x509::Certificate::from_der(&der).unwrap()
    });
    measure("seal 1500 bytes", || {
        sealer.seal("c", "k", 1, &record).unwrap()
    });
    measure("open 1500 bytes", || {
        sealer.open("c", "k", 1, &sealed).unwrap()
    });

    for spec in KeySpec::ALL {
        let key = ring.generate(spec).await.unwrap().key;
        let algorithm = spec.default_signature();
        let mut best = Duration::MAX;
        let until = Instant::now() + EACH;
        while Instant::now() < until {
            let started = Instant::now();
            black_box(ring.sign(&key, algorithm, &tbs_der).await.unwrap());
            best = best.min(started.elapsed());
        }
        report(&format!("KeyRing::sign {spec:?}"), best);
    }
    key_material(&ring).await;
    let again = measured(|| runtime_free(ring.verified_csr(csr.as_bytes())));
    report("KeyRing::verified_csr, again", again);
    let started = Instant::now();
    ring.export_encrypted(&new.key, b"passphrase")
        .await
        .unwrap();
    report("KeyRing::export_encrypted", started.elapsed());
}

/// What KMS's calls cost without what is around them.
async fn key_material(ring: &KeyRing) {
    let (symmetric, aad) = (EncryptionAlgorithm::SymmetricDefault, [7; 200]);
    let key = ring
        .generate_material(kms::KeySpec::SymmetricDefault, b"")
        .await;
    let key = key.unwrap().material;
    let sealed = ring.encrypt(&key, symmetric, &aad, &[7; 32]).await.unwrap();
    measure("encrypt 32 bytes", || {
        runtime_free(ring.encrypt(&key, symmetric, &aad, &[7; 32])).unwrap()
    });
    measure("decrypt 32 bytes", || {
        runtime_free(ring.decrypt(&key, symmetric, &aad, &sealed)).unwrap()
    });
    let key = ring.generate_material(kms::KeySpec::Hmac256, b"").await;
    let key = key.unwrap().material;
    measure("mac", || {
        runtime_free(ring.mac(&key, MacAlgorithm::HmacSha256, &[7; 32])).unwrap()
    });
    for spec in kms::KeySpec::ALL.iter().copied() {
        let Some(algorithm) = spec.signing_algorithms().first().copied() else {
            continue;
        };
        let new = ring.generate_material(spec, b"").await.unwrap();
        let (raw, public) = (MessageType::Raw, new.public_key.unwrap());
        let (mut sign, mut verify) = (Duration::MAX, Duration::MAX);
        let until = Instant::now() + EACH;
        while Instant::now() < until {
            let started = Instant::now();
            let signature = ring.sign_message(&new.material, algorithm, raw, b"m").await;
            sign = sign.min(started.elapsed());
            let started = Instant::now();
            let signature = signature.unwrap();
            let verified = ring.verify_message(spec, &public, algorithm, raw, b"m", &signature);
            black_box(verified.await.unwrap());
            verify = verify.min(started.elapsed());
        }
        report(&format!("sign {}", spec.name()), sign);
        report(&format!("verify {}", spec.name()), verify);
    }
}

/// Prints the step's time and how many raw signatures it is worth.
fn measure<T>(what: &str, step: impl FnMut() -> T) {
    report(what, measured(step));
}

/// The time of one step, in the best of many short batches: what others do to the machine at the
/// same time only ever adds.
fn measured<T>(mut step: impl FnMut() -> T) -> Duration {
    let mut best = Duration::MAX;
    let until = Instant::now() + EACH;
    while Instant::now() < until {
        let started = Instant::now();
        for _ in 0..BATCH {
            black_box(step());
        }
        best = best.min(started.elapsed() / BATCH);
    }
    best
}

/// The outcome of a future that does not wait.
fn runtime_free<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => unreachable!("P-256 is served at once"),
    }
}

fn report(what: &str, each: Duration) {
    let limit = raw_signature();
    println!(
        "{what:28} {:>10.2} us = {:>8.3} raw P-256 signatures of {:.2} us",
        each.as_secs_f64() * 1e6,
        each.as_secs_f64() / limit.as_secs_f64(),
        limit.as_secs_f64() * 1e6,
    );
}

/// One signature of the library, measured now.
fn raw_signature() -> Duration {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let (random, message) = (SystemRandom::new(), [7; 600]);
    measured(|| key.sign(&random, &message).unwrap())
}

/// A server's certificate as ACM-PCA's EndEntityCertificate template makes it.
fn certificate(spki_der: Vec<u8>) -> TbsCertificate {
    let name = |common_name: &str| {
        let attributes = [
            ("2.5.4.6", "DE"),
            ("2.5.4.10", "Example"),
            ("2.5.4.3", common_name),
        ];
        let attributes = attributes
            .map(|(oid, value)| NameAttribute {
                oid: Oid::new(oid),
                value: value.into(),
            })
            .into();
        x509::encode_name(&Name { attributes }).unwrap()
    };
    let extension = |oid: &str, critical, value| Extension {
        oid: Oid::new(oid),
        critical,
        value,
    };
    use ExtensionValue as E;
    TbsCertificate {
        serial: vec![0x7f; 16],
        signature: ALGORITHM,
        issuer_der: name("Example CA"),
        not_before: 1_767_225_600,
        not_after: 1_798_761_600,
        subject_der: name("www.example.com"),
        spki_der,
        extensions: vec![
            extension(
                "2.5.29.19",
                true,
                E::BasicConstraints {
                    ca: false,
                    path_len: None,
                },
            ),
            extension("2.5.29.35", false, E::AuthorityKeyId(vec![7; 20])),
            extension("2.5.29.14", false, E::SubjectKeyId),
            extension(
                "2.5.29.15",
                true,
                E::KeyUsage(vec![
                    KeyUsageBit::DigitalSignature,
                    KeyUsageBit::KeyEncipherment,
                ]),
            ),
            extension(
                "2.5.29.37",
                false,
                E::ExtendedKeyUsage(vec![
                    Oid::new("1.3.6.1.5.5.7.3.1"),
                    Oid::new("1.3.6.1.5.5.7.3.2"),
                ]),
            ),
            extension(
                "2.5.29.17",
                false,
                E::SubjectAltName(vec![GeneralName::Dns("www.example.com".into())]),
            ),
        ],
    }
}
