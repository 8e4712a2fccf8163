//! What each template puts into a certificate, and who outranks whom.

use super::*;
use crate::pca::StandardAttribute;
use crate::x509::GeneralName;

fn asked(oid: &str) -> Extension {
    extension(oid, true, ExtensionValue::Der(oid.as_bytes().to_vec()))
}

fn everything() -> Vec<Extension> {
    vec![
        asked(oid::SUBJECT_ALT_NAME),
        asked(oid::EXTENDED_KEY_USAGE),
        asked(oid::BASIC_CONSTRAINTS),
    ]
}

fn csr(extensions: &[Extension]) -> CsrContent<'_> {
    CsrContent {
        subject_is_empty: false,
        extensions,
        key_enciphers: true,
    }
}

fn template(name: &str) -> Template {
    Template::parse(&format!("arn:aws:acm-pca:::template/{name}/V1")).unwrap()
}

fn composed(name: &str, csr: &CsrContent<'_>, api: Option<&ApiPassthrough>) -> Composition {
    compose(template(name), csr, api, &[7; 20]).unwrap()
}

fn find<'a>(composition: &'a Composition, oid: &str) -> Option<&'a Extension> {
    let mut all = composition.extensions.iter();
    all.find(|extension| extension.oid.0 == oid)
}

/// (template, CA and path length, critical constraints, key usage bits, purposes, critical
/// purposes), from the user guide's tables.
#[test]
fn every_template_says_what_the_user_guide_says() {
    use KeyUsageBit as K;
    type Row<'a> = (
        &'a str,
        (bool, Option<u8>),
        bool,
        &'a [K],
        &'a [&'a str],
        bool,
    );
    let issuing = &[K::DigitalSignature, K::KeyCertSign, K::CrlSign][..];
    let tls = &[K::DigitalSignature, K::KeyEncipherment][..];
    let signing = &[K::DigitalSignature][..];
    let (server, client) = (purpose::SERVER_AUTH, purpose::CLIENT_AUTH);
    let rows: [Row<'_>; 13] = [
        (
            "EndEntityCertificate",
            (false, None),
            false,
            tls,
            &[server, client],
            false,
        ),
        (
            "EndEntityClientAuthCertificate",
            (false, None),
            false,
            tls,
            &[client],
            false,
        ),
        (
            "EndEntityServerAuthCertificate",
            (false, None),
            false,
            tls,
            &[server],
            false,
        ),
        (
            "CodeSigningCertificate",
            (false, None),
            false,
            signing,
            &[purpose::CODE_SIGNING],
            true,
        ),
        (
            "OCSPSigningCertificate",
            (false, None),
            false,
            signing,
            &[purpose::OCSP_SIGNING],
            true,
        ),
        ("RootCACertificate", (true, None), true, issuing, &[], false),
        (
            "SubordinateCACertificate_PathLen0",
            (true, Some(0)),
            true,
            issuing,
            &[],
            false,
        ),
        (
            "SubordinateCACertificate_PathLen1",
            (true, Some(1)),
            true,
            issuing,
            &[],
            false,
        ),
        (
            "SubordinateCACertificate_PathLen2",
            (true, Some(2)),
            true,
            issuing,
            &[],
            false,
        ),
        (
            "SubordinateCACertificate_PathLen3",
            (true, Some(3)),
            true,
            issuing,
            &[],
            false,
        ),
        (
            "BlankEndEntityCertificate_CSRPassthrough",
            (false, None),
            false,
            &[],
            &[],
            false,
        ),
        (
            "BlankEndEntityCertificate_CriticalBasicConstraints_APIPassthrough",
            (false, None),
            true,
            &[],
            &[],
            false,
        ),
        (
            "BlankRootCACertificate_PathLen1_APIPassthrough",
            (true, Some(1)),
            true,
            &[],
            &[],
            false,
        ),
    ];
    for (name, (ca, path_len), critical, bits, purposes, purposes_critical) in rows {
        let composition = composed(name, &csr(&[]), None);
        let constraints = find(&composition, oid::BASIC_CONSTRAINTS).unwrap();
        assert_eq!(
            constraints.value,
            ExtensionValue::BasicConstraints { ca, path_len },
            "{name}"
        );
        assert_eq!(constraints.critical, critical, "{name}");
        assert!(find(&composition, oid::SUBJECT_KEY_ID).is_some(), "{name}");
        let authority = find(&composition, oid::AUTHORITY_KEY_ID).unwrap();
        assert_eq!(
            authority.value,
            ExtensionValue::AuthorityKeyId(vec![7; 20]),
            "{name}"
        );
        let usage = find(&composition, oid::KEY_USAGE);
        let expected = (!bits.is_empty()).then(|| (true, ExtensionValue::KeyUsage(bits.to_vec())));
        assert_eq!(
            usage.map(|e| (e.critical, e.value.clone())),
            expected,
            "{name}"
        );
        let found = find(&composition, oid::EXTENDED_KEY_USAGE);
        let expected = (!purposes.is_empty()).then(|| {
            let oids = purposes.iter().map(|dotted| Oid::new(dotted)).collect();
            (purposes_critical, ExtensionValue::ExtendedKeyUsage(oids))
        });
        assert_eq!(
            found.map(|e| (e.critical, e.value.clone())),
            expected,
            "{name}"
        );
    }
}

#[test]
fn keys_that_encipher_nothing_do_not_claim_to() {
    for key_enciphers in [true, false] {
        let csr = CsrContent {
            key_enciphers,
            ..csr(&[])
        };
        let composition = composed("EndEntityCertificate", &csr, None);
        let usage = find(&composition, oid::KEY_USAGE).unwrap();
        let mut expected = vec![KeyUsageBit::DigitalSignature];
        expected.extend(key_enciphers.then_some(KeyUsageBit::KeyEncipherment));
        assert_eq!(usage.value, ExtensionValue::KeyUsage(expected));
    }
}

#[test]
fn a_base_template_takes_names_and_nothing_else_from_the_request() {
    let everything = everything();
    let composition = composed("EndEntityCertificate", &csr(&everything), None);
    let names = find(&composition, oid::SUBJECT_ALT_NAME).unwrap();
    assert_eq!(names.value, asked(oid::SUBJECT_ALT_NAME).value);
    assert!(!names.critical);
    let constraints = find(&composition, oid::BASIC_CONSTRAINTS).unwrap();
    assert!(matches!(
        constraints.value,
        ExtensionValue::BasicConstraints { ca: false, .. }
    ));
    assert_eq!(composition.extensions.len(), 6);
}

#[test]
fn the_template_outranks_the_caller_who_outranks_the_request() {
    let api = ApiPassthrough {
        subject: Some(Subject::standard([(StandardAttribute::CommonName, "api".into())]).unwrap()),
        key_usage: Some(vec![KeyUsageBit::NonRepudiation]),
        purposes: Some(vec![Oid::new("1.2.3")]),
        alternative_names: Some(vec![GeneralName::Dns("api.test".into())]),
        policies: Some(vec![(Oid::new("1.2.4"), Vec::new())]),
        custom: vec![extension("1.2.5", true, ExtensionValue::Der(vec![5, 0]))],
    };
    let everything = everything();
    let full = composed(
        "EndEntityCertificate_APICSRPassthrough",
        &csr(&everything),
        Some(&api),
    );
    assert!(matches!(&full.subject, SubjectSource::Api(_)));
    let purposes = find(&full, oid::EXTENDED_KEY_USAGE).unwrap();
    assert!(matches!(&purposes.value, ExtensionValue::ExtendedKeyUsage(oids) if oids.len() == 2));
    let names = find(&full, oid::SUBJECT_ALT_NAME).unwrap();
    assert!(matches!(&names.value, ExtensionValue::SubjectAltName(_)));
    assert!(find(&full, oid::CERTIFICATE_POLICIES).is_some());
    assert!(find(&full, "1.2.5").is_some_and(|extension| extension.critical));

    let blank = composed(
        "BlankEndEntityCertificate_APICSRPassthrough",
        &csr(&everything),
        Some(&api),
    );
    let purposes = find(&blank, oid::EXTENDED_KEY_USAGE).unwrap();
    assert_eq!(
        purposes.value,
        ExtensionValue::ExtendedKeyUsage(vec![Oid::new("1.2.3")])
    );

    let from_csr = composed(
        "BlankEndEntityCertificate_CSRPassthrough",
        &csr(&everything),
        Some(&api),
    );
    assert_eq!(from_csr.subject, SubjectSource::Csr);
    let purposes = find(&from_csr, oid::EXTENDED_KEY_USAGE).unwrap();
    assert_eq!(purposes.value, asked(oid::EXTENDED_KEY_USAGE).value);
    assert!(find(&from_csr, "1.2.5").is_none());
}

#[test]
fn a_nameless_request_needs_alternative_names_which_become_critical() {
    let everything = [asked(oid::SUBJECT_ALT_NAME)];
    let nameless = CsrContent {
        subject_is_empty: true,
        ..csr(&everything)
    };
    let composition = composed("EndEntityCertificate", &nameless, None);
    assert!(find(&composition, oid::SUBJECT_ALT_NAME).unwrap().critical);
    let nothing = CsrContent {
        subject_is_empty: true,
        ..csr(&[])
    };
    let refused = compose(Template::DEFAULT, &nothing, None, &[7; 20]);
    assert_eq!(
        refused.map_err(|error| error.kind),
        Err(ErrorKind::MalformedCsr)
    );
}
