//! Certificates and requests as data: written, read back by a foreign parser and by ourselves, and
//! refused when they are damaged.

use crate::support::{
    Holder, NOT_AFTER, NOT_BEFORE, Pki, Role, extension, issue, name, request, ring,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keystead_core::x509::{
    ExtensionValue, GeneralName, KeySpec, SignatureAlgorithm, TbsCertificate,
};
use keystead_crypto::{CryptoError, x509};
use proptest::prelude::*;
use x509_parser::prelude::FromDer;

const ECDSA: SignatureAlgorithm = SignatureAlgorithm::Sha256WithEcdsa;

async fn a_request() -> Vec<u8> {
    let keys = ring();
    let holder = issue(
        &keys,
        KeySpec::EcP256,
        ECDSA,
        "a.example",
        Role::Server,
        None,
    )
    .await;
    request(&keys, &holder, ECDSA).await
}

#[tokio::test]
async fn requests_in_every_form() {
    let der = a_request().await;
    let pem = x509::pem::encode("CERTIFICATE REQUEST", &der);
    let body = STANDARD.encode(&der);
    let in_words = pem.replace('\n', " ");
    let forms = [
        pem.clone().into_bytes(),
        der.clone(),
        STANDARD.encode(&pem).into_bytes(),
        body.clone().into_bytes(),
        pem.replace('\n', "\r\n").into_bytes(),
        pem.trim_end().as_bytes().to_vec(),
        // An unquoted shell expansion, its base64, and both with a newline at the end.
        in_words.clone().into_bytes(),
        in_words.trim_end().as_bytes().to_vec(),
        STANDARD.encode(&in_words).into_bytes(),
        format!("{}\n", in_words.trim_end()).into_bytes(),
        // base64(1) breaks lines after 76 characters.
        wrapped(&STANDARD.encode(&in_words), 76).into_bytes(),
        // Newlines lost altogether, and lost padding.
        pem.replace('\n', "").into_bytes(),
        body.trim_end_matches('=').as_bytes().to_vec(),
        format!("some words\n{pem}and more").into_bytes(),
        pem.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
            .into_bytes(),
        format!("\n\n  {pem}\n\n").into_bytes(),
        format!("\u{feff}{pem}").into_bytes(),
    ];
    for form in forms {
        let shown = String::from_utf8_lossy(&form).into_owned();
        let csr = x509::Csr::parse(&form).unwrap_or_else(|error| panic!("{error}: {shown}"));
        assert_eq!(csr.der(), der);
        csr.verify().unwrap();
        assert_eq!(csr.to_pem(), pem);
    }
}

fn wrapped(text: &str, width: usize) -> String {
    text.as_bytes()
        .chunks(width)
        .map(|line| format!("{}\n", str::from_utf8(line).unwrap()))
        .collect()
}

#[tokio::test]
async fn requests_that_are_none() {
    let der = a_request().await;
    let pem = x509::pem::encode("CERTIFICATE REQUEST", &der);
    let trailing = [&der[..], &[0]].concat();
    for (input, why) in [
        (vec![], "neither PEM"),
        (b"hello".to_vec(), "neither PEM"),
        (b"AAAA".to_vec(), "neither PEM"),
        (vec![0xff; 100], "neither PEM"),
        (
            pem.replace("CERTIFICATE REQUEST", "CERTIFICATE")
                .into_bytes(),
            "labelled",
        ),
        (pem.repeat(2).into_bytes(), "several"),
        (pem.as_bytes()[..pem.len() / 2].to_vec(), "cut short"),
        (
            pem.replace("END CERTIFICATE", "END SOMETHING").into_bytes(),
            "another label",
        ),
        (pem.replacen('M', "!", 1).into_bytes(), "base64"),
        (trailing, "too many"),
        (der[..der.len() - 1].to_vec(), "DER"),
        (vec![b'A'; 100_000], "at most"),
    ] {
        let error = x509::Csr::parse(&input).unwrap_err();
        assert!(matches!(error, CryptoError::Malformed(_)));
        assert!(error.to_string().contains(why), "{error}: expected {why}");
    }
}

#[tokio::test]
async fn an_altered_request_does_not_verify() {
    let der = a_request().await;
    let csr = x509::Csr::parse(&der).unwrap();
    let at = der
        .windows(9)
        .position(|part| part == b"a.example")
        .unwrap();
    let mut altered = der.clone();
    altered[at] = b'b';
    let altered = x509::Csr::parse(&altered).unwrap();
    assert_ne!(altered.subject, csr.subject);
    assert!(matches!(
        altered.verify(),
        Err(CryptoError::BadSignature(_))
    ));
}

#[tokio::test]
async fn a_certificate_says_what_was_asked_for() {
    let keys = ring();
    let pki = Pki::new(&keys, KeySpec::EcP256, ECDSA).await;
    let leaf = pki.leaf.certificate();
    assert_eq!(leaf.subject, name("leaf.example"));
    assert_eq!(leaf.issuer, name("Sub"));
    assert_eq!(leaf.issuer_der, pki.sub.subject_der);
    assert_eq!((leaf.not_before, leaf.not_after), (NOT_BEFORE, NOT_AFTER));
    assert_eq!(leaf.serial.len(), 16);
    assert_eq!(leaf.key_spec, Some(KeySpec::EcP256));
    assert_eq!(leaf.signature_algorithm(), Some(ECDSA));
    assert_eq!(leaf.alt_names()[0], GeneralName::Dns("leaf.example".into()));
    assert_eq!(leaf.extended_key_usage().unwrap().len(), 2);
    assert_eq!(leaf.key_usage().unwrap().len(), 1);
    assert!(!leaf.is_ca() && pki.sub.certificate().is_ca());
    assert_eq!(
        pki.sub.certificate().basic_constraints(),
        Some((true, Some(0)))
    );
    assert_eq!(
        leaf.authority_key_id(),
        pki.sub.certificate().subject_key_id()
    );
    assert_eq!(
        leaf.subject_key_id().unwrap(),
        x509::key_identifier(&leaf.spki_der).unwrap()
    );
    assert!(pki.root.certificate().is_self_issued());
    assert_eq!(
        x509::Certificate::parse(leaf.to_pem().as_bytes()).unwrap(),
        leaf
    );

    leaf.certifies(&pki.leaf.new.spki_der).unwrap();
    assert!(matches!(
        leaf.certifies(&pki.sub.new.spki_der),
        Err(CryptoError::Mismatch(_))
    ));
    leaf.verify_issued_by(&pki.sub.new.spki_der).unwrap();
    assert!(leaf.verify_issued_by(&pki.root.new.spki_der).is_err());
}

#[tokio::test]
async fn chains_are_ordered_and_verified() {
    let keys = ring();
    let pki = Pki::new(&keys, KeySpec::EcP256, ECDSA).await;
    let [root, sub, leaf] = [&pki.root, &pki.sub, &pki.leaf].map(Holder::certificate);
    let now = NOT_BEFORE;

    let ordered = x509::order_chain(&leaf, vec![root.clone(), sub.clone()]).unwrap();
    assert_eq!(ordered, [sub.clone(), root.clone()]);
    x509::verify_chain(&leaf, &ordered, now).unwrap();
    x509::verify_chain(&leaf, std::slice::from_ref(&sub), now).unwrap();
    x509::verify_chain(&root, &[], NOT_AFTER).unwrap();

    let other = Pki::new(&keys, KeySpec::EcP256, ECDSA).await;
    let [other_root, other_sub] = [&other.root, &other.sub].map(Holder::certificate);
    // The same names, other keys.
    assert!(x509::order_chain(&leaf, vec![other_root.clone(), sub.clone()]).is_err());
    for (leaf, chain, now, why) in [
        (&leaf, vec![root.clone()], now, "did not issue"),
        (&leaf, vec![sub.clone(), other_root], now, "did not issue"),
        (&leaf, vec![other_sub], now, "did not issue"),
        (
            &leaf,
            vec![sub.clone(), root.clone()],
            NOT_BEFORE - 1,
            "not valid yet",
        ),
        (
            &leaf,
            vec![sub.clone(), root.clone()],
            NOT_AFTER + 1,
            "expired",
        ),
    ] {
        let error = x509::verify_chain(leaf, &chain, now).unwrap_err();
        assert!(error.to_string().contains(why), "{error}: expected {why}");
    }

    // A server's key that signs, and an authority below one that allows none.
    let role = Role::Server;
    let below = issue(&keys, KeySpec::EcP256, ECDSA, "x", role, Some(&pki.leaf)).await;
    let error = x509::verify_chain(&below.certificate(), &[leaf], now).unwrap_err();
    assert!(error.to_string().contains("basicConstraints"), "{error}");
    let role = Role::Authority(None);
    let deep = issue(&keys, KeySpec::EcP256, ECDSA, "deep", role, Some(&pki.sub)).await;
    let below = issue(
        &keys,
        KeySpec::EcP256,
        ECDSA,
        "x",
        Role::Server,
        Some(&deep),
    )
    .await;
    let chain = [deep.certificate(), sub, root];
    let error = x509::verify_chain(&below.certificate(), &chain, now).unwrap_err();
    assert!(error.to_string().contains("pathLenConstraint"), "{error}");
}

#[tokio::test]
async fn bundles() {
    let keys = ring();
    let pki = Pki::new(&keys, KeySpec::EcP256, ECDSA).await;
    let pem = [pki.leaf.pem(), pki.sub.pem(), pki.root.pem()].concat();
    let expected = [&pki.leaf.der, &pki.sub.der, &pki.root.der];
    for form in [
        pem.clone(),
        pem.replace('\n', "\r\n"),
        pem.replace('\n', " "),
        STANDARD.encode(&pem),
        format!("# leaf\n{pem}# end"),
    ] {
        let read = x509::pem::certificates(form.as_bytes()).unwrap();
        assert_eq!(read.iter().collect::<Vec<_>>(), expected);
    }
    assert_eq!(
        x509::pem::certificates(&pki.leaf.der).unwrap(),
        vec![pki.leaf.der.clone()]
    );
    let key = keys.reveal(&pki.leaf.new.key).await.unwrap();
    for refused in [format!("{pem}{}", key.as_pem()), String::new(), "x".into()] {
        assert!(x509::pem::certificates(refused.as_bytes()).is_err());
    }
    let block = &x509::pem::blocks(key.as_pem()).unwrap()[0];
    assert_eq!(format!("{block:?}"), "Block { label: \"PRIVATE KEY\", .. }");
    assert_eq!(format!("{key:?}"), "PrivateKeyPem(redacted)");
}

#[tokio::test]
async fn what_cannot_be_encoded_is_refused() {
    let keys = ring();
    let spki_der = keys.generate(KeySpec::EcP256).await.unwrap().spki_der;
    let good = TbsCertificate {
        serial: vec![1],
        signature: ECDSA,
        issuer_der: x509::encode_name(&name("a")).unwrap(),
        not_before: NOT_BEFORE,
        not_after: NOT_AFTER,
        subject_der: x509::encode_name(&name("b")).unwrap(),
        spki_der,
        extensions: vec![],
    };
    x509::encode_tbs(&good).unwrap();
    let refused: [fn(&mut TbsCertificate); 9] = [
        |tbs| tbs.serial = vec![],
        |tbs| tbs.serial = vec![0; 4],
        |tbs| tbs.serial = vec![1; 21],
        |tbs| tbs.serial = vec![0x80; 20],
        |tbs| tbs.not_after = i64::MAX,
        |tbs| tbs.subject_der = vec![],
        |tbs| tbs.issuer_der.push(0),
        |tbs| tbs.spki_der.truncate(10),
        |tbs| {
            let names = vec![GeneralName::Dns("ü".into())];
            let names = ExtensionValue::SubjectAltName(names);
            tbs.extensions = vec![extension("2.5.29.17", false, names)];
        },
    ];
    for spoil in refused {
        let mut tbs = good.clone();
        spoil(&mut tbs);
        assert!(matches!(
            x509::encode_tbs(&tbs),
            Err(CryptoError::Malformed(_))
        ));
    }
    assert!(x509::assemble(b"", ECDSA, b"").is_err());
}

/// A certificate whose every part varies.
fn any_tbs() -> impl Strategy<Value = TbsCertificate> {
    let text = "[A-Za-z0-9 äöü€𝄞'_*@-]{1,40}";
    let names = proptest::collection::vec(
        prop_oneof![
            "[a-z]{1,20}\\.example".prop_map(GeneralName::Dns),
            "[a-z]{1,9}@[a-z]{1,9}".prop_map(GeneralName::Email),
            "spiffe://[a-z/]{1,20}".prop_map(GeneralName::Uri),
            proptest::collection::vec(any::<u8>(), 4).prop_map(GeneralName::Ip),
            text.prop_map(|text| GeneralName::Directory(name(&text))),
        ],
        1..6,
    );
    (
        proptest::collection::vec(any::<u8>(), 1..20),
        proptest::sample::select(SignatureAlgorithm::ALL.to_vec()),
        (text, text, names),
        (0i64..2_000_000_000, 1i64..5_000_000_000),
        (any::<bool>(), proptest::option::of(any::<u8>())),
    )
        .prop_map(
            |(mut serial, signature, (issuer, subject, names), dates, constraints)| {
                serial[0] |= 1;
                let (ca, path_len) = constraints;
                TbsCertificate {
                    serial,
                    signature,
                    issuer_der: x509::encode_name(&name(&issuer)).unwrap(),
                    not_before: dates.0,
                    not_after: dates.0 + dates.1,
                    subject_der: x509::encode_name(&name(&subject)).unwrap(),
                    spki_der: SPKI.to_vec(),
                    extensions: vec![
                        extension(
                            "2.5.29.19",
                            true,
                            ExtensionValue::BasicConstraints { ca, path_len },
                        ),
                        extension("2.5.29.17", false, ExtensionValue::SubjectAltName(names)),
                        extension("2.5.29.14", false, ExtensionValue::SubjectKeyId),
                    ],
                }
            },
        )
}

/// The P-256 key of RFC 9500 section 2.3 (testECCP256).
const SPKI: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\
\x3d\x03\x01\x07\x03\x42\x00\x04\x42\x25\x48\xf8\x8f\xb7\x82\xff\xb5\xec\xa3\x74\x44\x52\xc7\x2a\
\x1e\x55\x8f\xbd\x6f\x73\xbe\x5e\x48\xe9\x32\x32\xcc\x45\xc5\xb1\x6c\x4c\xd1\x0c\x4c\xb8\xd5\xb8\
\xa1\x71\x39\xe9\x48\x82\xc8\x99\x25\x72\x99\x34\x25\xf4\x14\x19\xab\x7e\x90\xa4\x2a\x49\x42\x72";

proptest! {
    /// A foreign parser and our own read what was written.
    #[test]
    fn what_is_written_is_read(tbs in any_tbs()) {
        let der = x509::encode_tbs(&tbs).unwrap();
        let der = x509::assemble(&der, tbs.signature, b"signature").unwrap();
        let (rest, foreign) = x509_parser::certificate::X509Certificate::from_der(&der).unwrap();
        prop_assert!(rest.is_empty());
        let ours = x509::Certificate::from_der(&der).unwrap();

        let zeros = tbs.serial.iter().take_while(|byte| **byte == 0).count();
        prop_assert_eq!(&ours.serial, &tbs.serial[zeros..]);
        prop_assert_eq!(foreign.serial.to_bytes_be(), &tbs.serial[zeros..]);
        prop_assert_eq!(foreign.validity().not_before.timestamp(), tbs.not_before);
        prop_assert_eq!(foreign.validity().not_after.timestamp(), tbs.not_after);
        prop_assert_eq!(foreign.subject().as_raw(), &tbs.subject_der);
        prop_assert_eq!(foreign.issuer().as_raw(), &tbs.issuer_der);
        prop_assert_eq!(foreign.public_key().raw, &tbs.spki_der);
        prop_assert_eq!(foreign.is_ca(), ours.is_ca());
        let foreign_names = foreign.subject_alternative_name().unwrap().unwrap();
        prop_assert_eq!(foreign_names.value.general_names.len(), ours.alt_names().len());

        prop_assert_eq!((ours.not_before, ours.not_after), (tbs.not_before, tbs.not_after));
        prop_assert_eq!(ours.signature_algorithm(), Some(tbs.signature));
        prop_assert_eq!(&ours.subject, &x509::parse_name(&tbs.subject_der).unwrap());
        prop_assert_eq!(&ours.extensions[..2], &tbs.extensions[..2]);
        // What was read writes the same bytes again.
        let again = TbsCertificate { extensions: ours.extensions.clone(), ..tbs };
        prop_assert_eq!(x509::encode_tbs(&again).unwrap(), ours.tbs_der());
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = x509::Csr::parse(&bytes);
        let _ = x509::Certificate::parse(&bytes);
        let _ = x509::pem::certificates(&bytes);
        let _ = x509::parse_name(&bytes);
        let _ = x509::key_spec(&bytes);
        let _ = x509::pem::blocks(&String::from_utf8_lossy(&bytes));
    }

    /// Whatever is altered in a certificate, reading it and looking into it does no harm.
    #[test]
    fn mutations_do_no_harm(
        tbs in any_tbs(),
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<proptest::sample::Index>(),
    ) {
        let der = x509::encode_tbs(&tbs).unwrap();
        let mut der = x509::assemble(&der, tbs.signature, b"signature").unwrap();
        for (at, byte) in edits {
            let at = at.index(der.len());
            der[at] = byte;
        }
        for der in [&der[..], &der[..cut.index(der.len())]] {
            if let Ok(certificate) = x509::Certificate::from_der(der) {
                let _ = certificate.verify_issued_by(SPKI);
                let _ = certificate.subject_key_id();
                let _ = certificate.authority_key_id();
                let _ = x509::verify_chain(&certificate, std::slice::from_ref(&certificate), 0);
                let _ = certificate.certifies(SPKI);
            }
        }
    }
}

/// Every single altered byte of a request is either refused or noticed by its signature.
#[tokio::test]
async fn no_altered_byte_of_a_request_goes_unnoticed() {
    let der = a_request().await;
    for at in 0..der.len() {
        for bit in [1, 0x80] {
            let mut altered = der.clone();
            altered[at] ^= bit;
            if let Ok(csr) = x509::Csr::parse(&altered) {
                assert!(csr.verify().is_err(), "byte {at} of {}", der.len());
            }
        }
    }
}
