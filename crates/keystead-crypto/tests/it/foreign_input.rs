//! What foreign programs write, read by us: private keys and requests in every form.

use std::fs;
use std::path::Path;

use crate::support::{foreign, ring};
use keystead_core::x509::{ExtensionValue, GeneralName, KeySpec};
use keystead_crypto::{CryptoError, KeyRing, x509};

fn openssl(folder: &Path, arguments: &str) {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    foreign(folder, "openssl", &arguments);
}

async fn imports(keys: &KeyRing, folder: &Path, file: &str, spec: KeySpec, public: &str) {
    let input = fs::read(folder.join(file)).unwrap();
    let imported = keys.import(&input).await;
    let imported = imported.unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_eq!(imported.key.spec(), spec, "{file}");
    assert_eq!(
        imported.spki_der,
        fs::read(folder.join(public)).unwrap(),
        "{file}"
    );
    let algorithm = spec.default_signature();
    let signature = keys.sign(&imported.key, algorithm, b"m").await.unwrap();
    x509::verify_signature(&imported.spki_der, algorithm, b"m", &signature).unwrap();
}

async fn refuses(keys: &KeyRing, folder: &Path, file: &str, why: &str) {
    let input = fs::read(folder.join(file)).unwrap();
    let error = keys.import(&input).await.unwrap_err();
    assert!(
        matches!(error, CryptoError::Unsupported(_)),
        "{file}: {error:?}"
    );
    assert!(error.to_string().contains(why), "{file}: {error}");
}

#[tokio::test]
async fn private_keys_of_openssl() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let keys = ring();
    for (spec, generate) in [
        (KeySpec::Rsa2048, "RSA -pkeyopt rsa_keygen_bits:2048"),
        (KeySpec::Rsa3072, "RSA -pkeyopt rsa_keygen_bits:3072"),
        (KeySpec::EcP256, "EC -pkeyopt ec_paramgen_curve:P-256"),
        (KeySpec::EcP384, "EC -pkeyopt ec_paramgen_curve:P-384"),
        (KeySpec::EcP521, "EC -pkeyopt ec_paramgen_curve:P-521"),
    ] {
        openssl(
            folder,
            &format!("genpkey -algorithm {generate} -out pkcs8.pem"),
        );
        openssl(
            folder,
            "pkey -in pkcs8.pem -outform DER -out traditional.der",
        );
        openssl(
            folder,
            "pkey -in pkcs8.pem -traditional -out traditional.pem",
        );
        openssl(
            folder,
            "pkcs8 -topk8 -nocrypt -in pkcs8.pem -outform DER -out pkcs8.der",
        );
        openssl(folder, "base64 -in pkcs8.pem -out pkcs8.base64");
        openssl(
            folder,
            "pkey -in pkcs8.pem -pubout -outform DER -out public.der",
        );
        let pem = fs::read_to_string(folder.join("pkcs8.pem")).unwrap();
        fs::write(folder.join("blanks.pem"), pem.trim_end().replace('\n', " ")).unwrap();
        fs::write(folder.join("crlf.pem"), pem.replace('\n', "\r\n")).unwrap();
        for file in [
            "pkcs8.pem",
            "pkcs8.der",
            "pkcs8.base64",
            "traditional.pem",
            "traditional.der",
            "blanks.pem",
            "crlf.pem",
        ] {
            imports(&keys, folder, file, spec, "public.der").await;
        }
    }
    // With its EC PARAMETERS block before it.
    openssl(folder, "ecparam -name prime256v1 -genkey -out ec.pem");
    openssl(
        folder,
        "pkey -in ec.pem -pubout -outform DER -out public.der",
    );
    imports(&keys, folder, "ec.pem", KeySpec::EcP256, "public.der").await;
}

#[tokio::test]
async fn private_keys_that_are_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let keys = ring();
    openssl(folder, "genrsa -out good.pem 2048");
    openssl(folder, "genrsa -out 1024.pem 1024");
    openssl(folder, "genrsa -traditional -out 1024t.pem 1024");
    openssl(folder, "genrsa -out 2304.pem 2304");
    openssl(folder, "genpkey -algorithm ED25519 -out ed25519.pem");
    openssl(folder, "genpkey -algorithm X25519 -out x25519.pem");
    openssl(folder, "ecparam -name secp256k1 -genkey -noout -out k1.pem");
    openssl(
        folder,
        "ecparam -name prime256v1 -param_enc explicit -genkey -noout -out explicit.pem",
    );
    openssl(folder, "genpkey -algorithm RSA-PSS -out pss.pem");
    openssl(
        folder,
        "pkcs8 -topk8 -in good.pem -passout pass:secret -out encrypted.pem",
    );
    openssl(
        folder,
        "pkcs8 -topk8 -in good.pem -passout pass:secret -outform DER -out encrypted.der",
    );
    openssl(
        folder,
        "rsa -in good.pem -aes256 -passout pass:secret -traditional -out rfc1421.pem",
    );
    for (file, why) in [
        ("1024.pem", "1024 bits"),
        ("1024t.pem", "1024 bits"),
        ("2304.pem", "2304 bits"),
        ("ed25519.pem", "Ed25519"),
        ("x25519.pem", "kind of key"),
        ("k1.pem", "P-256"),
        ("explicit.pem", "curve"),
        ("pss.pem", "PSS"),
        ("encrypted.pem", "encrypted"),
        ("encrypted.der", "encrypted"),
        ("rfc1421.pem", "encrypted"),
    ] {
        refuses(&keys, folder, file, why).await;
    }
}

#[tokio::test]
async fn requests_of_openssl_and_gnutls() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (generate, spec) in [
        ("rsa:2048", Some(KeySpec::Rsa2048)),
        ("rsa:2304", None),
        ("ec -pkeyopt ec_paramgen_curve:P-256", Some(KeySpec::EcP256)),
        ("ec -pkeyopt ec_paramgen_curve:P-384", Some(KeySpec::EcP384)),
        ("ec -pkeyopt ec_paramgen_curve:P-521", Some(KeySpec::EcP521)),
        ("ed25519", None),
    ] {
        for form in ["PEM", "DER"] {
            openssl(
                folder,
                &format!(
                    "req -new -newkey {generate} -nodes -keyout key.pem -subj /C=DE/CN=a.example \
                     -addext subjectAltName=DNS:a.example,IP:::1 -addext keyUsage=digitalSignature \
                     -outform {form} -out csr"
                ),
            );
            let csr = x509::Csr::parse(&fs::read(folder.join("csr")).unwrap()).unwrap();
            csr.verify().unwrap();
            assert_eq!(csr.key_spec, spec, "{generate}");
            assert_eq!(csr.subject.attributes[1].value, "a.example");
            let mut address = vec![0; 16];
            address[15] = 1;
            let names = ExtensionValue::SubjectAltName(vec![
                GeneralName::Dns("a.example".into()),
                GeneralName::Ip(address),
            ]);
            assert!(csr.extensions.iter().any(|entry| entry.value == names));
        }
    }
    let template = "cn = \"b.example\"\ndns_name = \"b.example\"\nchallenge_password = \"x\"\n";
    fs::write(folder.join("template"), template).unwrap();
    for kind in [["rsa", "bits=2048"], ["ecdsa", "curve=secp256r1"]] {
        let [kind, size] = [format!("--key-type={}", kind[0]), format!("--{}", kind[1])];
        foreign(
            folder,
            "certtool",
            &["-p", &kind, &size, "--outfile", "key.pem"],
        );
        foreign(
            folder,
            "certtool",
            &[
                "-q",
                "--template",
                "template",
                "--load-privkey",
                "key.pem",
                "--outfile",
                "csr",
            ],
        );
        // GnuTLS prints the request in words before its PEM block.
        let csr = x509::Csr::parse(&fs::read(folder.join("csr")).unwrap()).unwrap();
        csr.verify().unwrap();
        assert_eq!(csr.subject.attributes[0].value, "b.example");
    }
}

#[tokio::test]
async fn requests_and_keys_of_python() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let python = keystead_testkit::tool("python3");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/foreign_keys.py");
    foreign(
        folder,
        python.to_str().unwrap(),
        &[script.to_str().unwrap()],
    );
    for (file, spec) in [
        ("pss256.csr", Some(KeySpec::Rsa2048)),
        ("pss384.csr", Some(KeySpec::Rsa2048)),
        ("pss512.csr", Some(KeySpec::Rsa2048)),
        ("ed25519.csr", None),
        ("mldsa44.csr", Some(KeySpec::MlDsa44)),
        ("mldsa65.csr", Some(KeySpec::MlDsa65)),
        ("mldsa87.csr", Some(KeySpec::MlDsa87)),
    ] {
        let der = fs::read(folder.join(file)).unwrap();
        let csr = x509::Csr::parse(&der).unwrap_or_else(|error| panic!("{file}: {error}"));
        csr.verify()
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(csr.key_spec, spec, "{file}");
        assert_eq!(csr.der(), der);
        assert_eq!(csr.extensions.len(), 2, "{file}");
        let mut altered = der.clone();
        let last = altered.len() - 20;
        altered[last] ^= 1;
        let altered = x509::Csr::parse(&altered).unwrap();
        assert!(matches!(
            altered.verify(),
            Err(CryptoError::BadSignature(_))
        ));
    }
    let keys = ring();
    for (file, spec) in [
        ("mldsa44", KeySpec::MlDsa44),
        ("mldsa65", KeySpec::MlDsa65),
        ("mldsa87", KeySpec::MlDsa87),
    ] {
        let public = format!("{file}.pub");
        imports(&keys, folder, &format!("{file}.key"), spec, &public).await;
    }
}
