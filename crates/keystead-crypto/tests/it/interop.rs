//! Certificates, requests and exported keys of every kind, judged by programs that are not ours:
//! OpenSSL with `-x509_strict`, GnuTLS, Python's cryptography and rustls-webpki.
//!
//! Debian's OpenSSL and GnuTLS do not know ML-DSA; Python's cryptography and rustls-webpki do.

use std::fs;
use std::path::Path;

use crate::support::{
    Holder, NOT_BEFORE, Pki, combinations, foreign, foreign_verdict, is_ml_dsa, request, ring,
};
use keystead_core::x509::{KeySpec, SignatureAlgorithm};
use keystead_crypto::{KeyRing, x509};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

const PASSPHRASE: &str = "correct horse battery staple";

/// Everything that is judged, as files.
fn write_world(folder: &Path, pki: &Pki, csr: &[u8]) {
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("root.pem", &pki.root.pem());
    write("sub.pem", &pki.sub.pem());
    write("leaf.pem", &pki.leaf.pem());
    write(
        "chain.pem",
        &[pki.leaf.pem(), pki.sub.pem(), pki.root.pem()].concat(),
    );
    write("csr.pem", &x509::pem::encode("CERTIFICATE REQUEST", csr));
}

/// The leaf's key, as files. Stretching the passphrase takes all of them long.
async fn write_key(folder: &Path, leaf: &Holder, keys: &KeyRing) {
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    let key = &leaf.new.key;
    let exported = keys.export_encrypted(key, PASSPHRASE.as_bytes()).await;
    write("exported.pem", &exported.unwrap());
    write("clear.pem", keys.reveal(key).await.unwrap().as_pem());
    write(
        "public.pem",
        &x509::pem::encode("PUBLIC KEY", &leaf.new.spki_der),
    );
}

#[tokio::test]
async fn foreign_programs_accept_every_kind() {
    let keys = ring();
    let python = keystead_testkit::tool("python3");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/foreign.py");
    for (spec, algorithm) in combinations() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let pki = Pki::new(&keys, spec, algorithm).await;
        let csr = request(&keys, &pki.leaf, algorithm).await;
        write_world(folder, &pki, &csr);
        let with_key = algorithm == spec.default_signature();
        if with_key {
            write_key(folder, &pki.leaf, &keys).await;
        }

        let parsed = x509::Csr::parse(&csr).unwrap();
        parsed.verify().unwrap();
        assert_eq!(parsed.key_spec, Some(spec));
        // rustls-webpki knows no P-256 with SHA-512, because TLS has no code point for it.
        if (spec, algorithm) != (KeySpec::EcP256, SignatureAlgorithm::Sha512WithEcdsa) {
            verified_by_webpki(&pki);
        }
        let arguments = [script.to_str().unwrap(), PASSPHRASE];
        foreign(folder, python.to_str().unwrap(), &arguments);
        if !is_ml_dsa(spec) {
            verified_by_openssl(folder);
            verified_by_gnutls(folder);
            if with_key {
                key_read_by_openssl(folder);
                let arguments = [
                    "--key-info",
                    "--password",
                    PASSPHRASE,
                    "--infile",
                    "exported.pem",
                ];
                foreign(folder, "certtool", &arguments);
            }
        }
    }
}

fn verified_by_openssl(folder: &Path) {
    let openssl = |arguments: &str| {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        foreign(folder, "openssl", &arguments)
    };
    let verdict = openssl(
        "verify -x509_strict -check_ss_sig -purpose sslserver -verify_hostname leaf.example \
         -CAfile root.pem -untrusted sub.pem leaf.pem",
    );
    assert!(verdict.contains("leaf.pem: OK"), "{verdict}");
    let (accepted, _) = foreign_verdict(
        folder,
        "openssl",
        &["verify", "-x509_strict", "-CAfile", "root.pem", "leaf.pem"],
    );
    assert!(!accepted, "the test cannot fail");
    let verdict = openssl("req -verify -noout -in csr.pem");
    assert!(verdict.contains("verify OK"), "{verdict}");
}

fn key_read_by_openssl(folder: &Path) {
    let openssl = |arguments: &[&str]| foreign(folder, "openssl", arguments);
    let public = fs::read_to_string(folder.join("public.pem")).unwrap();
    let passphrase = format!("pass:{PASSPHRASE}");
    let exported = [
        "pkey",
        "-in",
        "exported.pem",
        "-passin",
        &passphrase,
        "-pubout",
    ];
    assert_eq!(openssl(&exported), public);
    assert_eq!(openssl(&["pkey", "-in", "clear.pem", "-pubout"]), public);
    openssl(&["pkey", "-in", "clear.pem", "-check", "-noout"]);
    let (accepted, _) = foreign_verdict(
        folder,
        "openssl",
        &[
            "pkey",
            "-in",
            "exported.pem",
            "-passin",
            "pass:wrong",
            "-noout",
        ],
    );
    assert!(!accepted, "any passphrase opens the exported key");
}

fn verified_by_gnutls(folder: &Path) {
    let certtool = |arguments: &[&str]| foreign(folder, "certtool", arguments);
    let verdict = certtool(&[
        "--verify",
        "--load-ca-certificate",
        "root.pem",
        "--infile",
        "chain.pem",
        "--verify-hostname",
        "leaf.example",
    ]);
    assert!(verdict.contains("The certificate is trusted"), "{verdict}");
    let verdict = certtool(&["--crq-info", "--infile", "csr.pem"]);
    assert!(verdict.contains("Self signature: verified"), "{verdict}");
}

fn verified_by_webpki(pki: &Pki) {
    let root = CertificateDer::from(pki.root.der.as_slice());
    let anchors = [webpki::anchor_from_trusted_cert(&root).unwrap()];
    let sub = [CertificateDer::from(pki.sub.der.as_slice())];
    let leaf = CertificateDer::from(pki.leaf.der.as_slice());
    let leaf = webpki::EndEntityCert::try_from(&leaf).unwrap();
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOT_BEFORE as u64 + 1));
    let verify = |sub: &[CertificateDer<'_>]| {
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            sub,
            at,
            webpki::KeyUsage::server_auth(),
            None,
            None,
        )
        .map(drop)
    };
    verify(&sub).unwrap();
    assert!(verify(&[]).is_err(), "the test cannot fail");
    for name in ["leaf.example", "a.leaf.example"] {
        let name = ServerName::try_from(name).unwrap();
        leaf.verify_is_valid_for_subject_name(&name).unwrap();
    }
}
