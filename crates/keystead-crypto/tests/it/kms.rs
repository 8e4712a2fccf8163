//! Key material of KMS beside Python's cryptography and OpenSSL, both ways: keys that they made
//! and wrapped, signatures, ciphertexts, codes and secrets of theirs and of ours.
//!
//! Neither knows Ed25519ph or ML-KEM-512, and Debian's OpenSSL no lattices; there are known
//! answers and Wycheproof's vectors for these.

use std::fs;
use std::path::Path;

use crate::support::{foreign, foreign_verdict, ring};
use keystead_core::kms::{
    EncryptionAlgorithm, KeySpec, MessageType, SigningAlgorithm, WrappingAlgorithm,
};
use keystead_crypto::{KeyRing, StoredMaterial, digest};

const MESSAGE: &[u8] = b"a message";

fn python(folder: &Path, what: &str) {
    let python = keystead_testkit::tool("python3");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/foreign_kms.py");
    let arguments = [script.to_str().unwrap(), what];
    foreign(folder, python.to_str().unwrap(), &arguments);
}

fn openssl(folder: &Path, arguments: &str) -> String {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    foreign(folder, "openssl", &arguments)
}

/// The key of a spec, imported once for each way in which it was wrapped.
async fn imported(
    ring: &KeyRing,
    folder: &Path,
    wrapping: &StoredMaterial,
    spec: KeySpec,
) -> Option<StoredMaterial> {
    let mut seen = Vec::new();
    for algorithm in WrappingAlgorithm::ALL {
        let name = format!("{}.{}.wrapped", spec.name(), algorithm.name());
        let Ok(wrapped) = fs::read(folder.join(name)) else {
            continue;
        };
        let new = ring
            .unwrap_material(wrapping, *algorithm, &wrapped, spec, b"owner")
            .await
            .unwrap_or_else(|error| panic!("{spec:?} {algorithm:?}: {error}"));
        if let Some(public) = &new.public_key {
            let theirs = fs::read(folder.join(format!("{}.pub", spec.name()))).unwrap();
            assert_eq!(*public, theirs, "{spec:?}");
        }
        seen.push(new);
    }
    let first = seen.first()?;
    assert!(seen.iter().all(|new| new.material_id == first.material_id));
    assert!(seen.len() >= 2, "{spec:?} was not wrapped by AES");
    Some(first.material.clone())
}

/// Signs for them, and verifies what they signed.
async fn signatures(ring: &KeyRing, folder: &Path, key: &StoredMaterial, public: &[u8]) {
    let spec = key.spec();
    for algorithm in spec.signing_algorithms() {
        if *algorithm == SigningAlgorithm::Ed25519PhSha512 {
            continue;
        }
        let name = format!("{}.{}", spec.name(), algorithm.name());
        let theirs = fs::read(folder.join(format!("{name}.sig"))).unwrap();
        for message_type in MessageType::ALL {
            if !algorithm.takes(*message_type) {
                continue;
            }
            let mu = folder.join(format!("{}.mu", spec.name()));
            let (message, theirs) = match message_type {
                MessageType::Raw => (MESSAGE.to_vec(), theirs.clone()),
                MessageType::Digest => (hash(*algorithm), theirs.clone()),
                MessageType::ExternalMu => (
                    fs::read(&mu).unwrap(),
                    fs::read(mu.with_extension("mu.sig")).unwrap(),
                ),
            };
            let verified = ring
                .verify_message(spec, public, *algorithm, *message_type, &message, &theirs)
                .await;
            assert!(verified.unwrap(), "{name} {message_type:?}");
            let ours = ring
                .sign_message(key, *algorithm, *message_type, &message)
                .await
                .unwrap();
            let file = format!("{name}.{}.ours", message_type.name());
            fs::write(folder.join(file), ours).unwrap();
        }
    }
}

fn hash(algorithm: SigningAlgorithm) -> Vec<u8> {
    match algorithm.digest_len() {
        Some(32) => digest::sha256(MESSAGE).to_vec(),
        Some(48) => digest::sha384(MESSAGE).to_vec(),
        _ => digest::sha512(MESSAGE).to_vec(),
    }
}

/// Decrypts for them and encrypts to them, and so on with everything that is no signature.
async fn other_uses(ring: &KeyRing, folder: &Path, key: &StoredMaterial) {
    let name = key.spec().name();
    let theirs = |what: &str| fs::read(folder.join(format!("{name}.{what}")));
    let ours = |what: &str, bytes: &[u8]| {
        fs::write(folder.join(format!("{name}.{what}.ours")), bytes).unwrap();
    };
    for algorithm in key.spec().encryption_algorithms() {
        if *algorithm == EncryptionAlgorithm::SymmetricDefault {
            continue;
        }
        let ciphertext = theirs(&format!("{}.ct", algorithm.name())).unwrap();
        let opened = ring.decrypt(key, *algorithm, b"", &ciphertext).await;
        assert_eq!(opened.unwrap().unwrap().as_slice(), MESSAGE);
        let sealed = ring.encrypt(key, *algorithm, b"", MESSAGE).await;
        ours(algorithm.name(), &sealed.unwrap());
    }
    if let Some(algorithm) = key.spec().mac_algorithm() {
        let mac = ring.mac(key, algorithm, MESSAGE).await.unwrap();
        assert_eq!(mac, theirs("mac").unwrap());
    }
    if let Ok(peer) = theirs("peer") {
        let secret = ring.agree(key, &peer).await.unwrap();
        assert_eq!(*secret, theirs("shared").unwrap());
    }
    if let (Ok(ciphertext), Ok(shared)) = (theirs("ct"), theirs("shared")) {
        let secret = ring.decapsulate(key, &ciphertext).await.unwrap();
        assert_eq!(*secret, shared);
        let (ciphertext, secret) = ring.encapsulate(key).await.unwrap();
        ours("ct", &ciphertext);
        ours("shared", &secret);
    }
}

#[tokio::test]
async fn keys_and_what_they_make_go_both_ways_with_python() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ring = ring();
    let wrapping = ring.wrapping_key(KeySpec::Rsa3072).await.unwrap();
    fs::write(folder.join("wrapping.der"), wrapping.public_key.unwrap()).unwrap();
    python(folder, "make");
    let mut without = Vec::new();
    for spec in KeySpec::ALL.iter().copied() {
        let Some(key) = imported(&ring, folder, &wrapping.material, spec).await else {
            without.push(spec);
            continue;
        };
        let public = fs::read(folder.join(format!("{}.pub", spec.name()))).unwrap_or_default();
        signatures(&ring, folder, &key, &public).await;
        other_uses(&ring, folder, &key).await;
    }
    assert_eq!(without, [KeySpec::MlKem512]);
    for spec in KeySpec::ALL.iter().copied() {
        let Ok(pair) = ring.generate_pair(spec).await else {
            assert!(!spec.is_asymmetric() || spec.name().starts_with("ML_DSA"));
            continue;
        };
        if spec != KeySpec::MlKem512 {
            let write = |what, bytes: &[u8]| {
                fs::write(folder.join(format!("{}.{what}", spec.name())), bytes).unwrap();
            };
            write("pair", &pair.private_key);
            write("pair-pub", &pair.public_key);
        }
    }
    python(folder, "judge");
    judged_by_openssl(folder);
}

/// The same files by OpenSSL's command line.
fn judged_by_openssl(folder: &Path) {
    fs::write(folder.join("message"), MESSAGE).unwrap();
    for (spec, bits) in [
        ("ECC_NIST_P256", 256),
        ("ECC_NIST_P384", 384),
        ("ECC_NIST_P521", 512),
        ("ECC_SECG_P256K1", 256),
    ] {
        openssl(
            folder,
            &format!(
                "dgst -sha{bits} -verify {spec}.pub -keyform DER -signature \
                 {spec}.ECDSA_SHA_{bits}.RAW.ours message"
            ),
        );
        openssl(
            folder,
            &format!("pkey -in {spec}.pair -inform DER -check -noout"),
        );
    }
    for spec in ["RSA_2048", "RSA_3072", "RSA_4096"] {
        for bits in [256, 384, 512] {
            openssl(
                folder,
                &format!(
                    "dgst -sha{bits} -verify {spec}.pub -keyform DER -signature \
                     {spec}.RSASSA_PKCS1_V1_5_SHA_{bits}.RAW.ours message"
                ),
            );
            let pss = format!(
                "-sigopt rsa_padding_mode:pss -signature {spec}.RSASSA_PSS_SHA_{bits}.DIGEST.ours"
            );
            let verify = format!("dgst -sha{bits} -verify {spec}.pub -keyform DER {pss}");
            openssl(
                folder,
                &format!("{verify} -sigopt rsa_pss_saltlen:digest message"),
            );
            let wrong = format!("{verify} -sigopt rsa_pss_saltlen:20 message");
            let wrong: Vec<&str> = wrong.split(' ').collect();
            assert!(
                !foreign_verdict(folder, "openssl", &wrong).0,
                "any salt will do"
            );
        }
        for (name, hash) in [("1", "sha1"), ("256", "sha256")] {
            let opened = openssl(
                folder,
                &format!(
                    "pkeyutl -decrypt -inkey {spec}.key -keyform DER -in \
                     {spec}.RSAES_OAEP_SHA_{name}.ours -pkeyopt rsa_padding_mode:oaep \
                     -pkeyopt rsa_oaep_md:{hash} -pkeyopt rsa_mgf1_md:{hash}"
                ),
            );
            assert_eq!(opened.as_bytes(), MESSAGE);
        }
        openssl(
            folder,
            &format!("pkey -in {spec}.pair -inform DER -check -noout"),
        );
    }
    openssl(
        folder,
        "pkeyutl -verify -pubin -inkey ECC_NIST_EDWARDS25519.pub -keyform DER -rawin -in message \
         -sigfile ECC_NIST_EDWARDS25519.ED25519_SHA_512.RAW.ours",
    );
}

/// The steps of the developer guide, "Importing key material", with OpenSSL alone.
#[tokio::test]
async fn material_that_openssl_made_and_wrapped_is_imported() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ring = ring();
    let wrapping = ring.wrapping_key(KeySpec::Rsa4096).await.unwrap();
    fs::write(folder.join("wrapping.der"), wrapping.public_key.unwrap()).unwrap();
    openssl(folder, "rand -out symmetric 32");
    for (file, options) in [
        ("p521", "ec_paramgen_curve:P-521"),
        ("k1", "ec_paramgen_curve:secp256k1"),
        (
            "explicit",
            "ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit",
        ),
    ] {
        openssl(
            folder,
            &format!("genpkey -algorithm EC -pkeyopt {options} -out {file}.pem"),
        );
        openssl(
            folder,
            &format!("pkcs8 -topk8 -nocrypt -in {file}.pem -outform DER -out {file}"),
        );
    }
    openssl(
        folder,
        "pkey -in p521.pem -traditional -outform DER -out sec1",
    );
    // Public points may be compressed.
    openssl(
        folder,
        "pkey -in k1.pem -ec_conv_form compressed -out compressed.pem",
    );
    openssl(
        folder,
        "pkcs8 -topk8 -nocrypt -in compressed.pem -outform DER -out compressed",
    );
    let length = |file| fs::read(folder.join(file)).unwrap().len();
    assert!(length("compressed") < length("k1"));
    for (file, spec, fits) in [
        ("symmetric", KeySpec::SymmetricDefault, true),
        ("symmetric", KeySpec::Hmac224, true),
        ("symmetric", KeySpec::Hmac384, false),
        ("p521", KeySpec::EccNistP521, true),
        ("p521", KeySpec::EccNistP384, false),
        ("k1", KeySpec::EccSecgP256k1, true),
        ("compressed", KeySpec::EccSecgP256k1, true),
        ("explicit", KeySpec::EccNistP256, false),
        ("sec1", KeySpec::EccNistP521, false),
    ] {
        openssl(
            folder,
            &format!(
                "pkeyutl -encrypt -in {file} -out wrapped -inkey wrapping.der -keyform DER -pubin \
                 -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt \
                 rsa_mgf1_md:sha256"
            ),
        );
        let wrapped = fs::read(folder.join("wrapped")).unwrap();
        let algorithm = WrappingAlgorithm::RsaesOaepSha256;
        let outcome = ring
            .unwrap_material(&wrapping.material, algorithm, &wrapped, spec, b"")
            .await;
        assert_eq!(outcome.is_ok(), fits, "{file} as {spec:?}: {outcome:?}");
        if let Some(public) = outcome.ok().and_then(|new| new.public_key) {
            openssl(
                folder,
                &format!(
                    "pkey -in {file} -inform DER -pubout -ec_conv_form uncompressed -outform DER \
                     -out public"
                ),
            );
            assert_eq!(public, fs::read(folder.join("public")).unwrap());
        }
    }
}
