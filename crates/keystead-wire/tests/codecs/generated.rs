//! The generated tables and types.

use std::collections::BTreeSet;

use keystead_wire::schema::{Kind, Schema};
use keystead_wire::{FromValue, IntoValue, Operation, Shape, Value, acm, acm_pca, json, services};

#[test]
fn tables_are_sorted_and_whole() {
    for service in services() {
        let sorted = |names: &[&str]| names.is_sorted_by(|a, b| a < b);
        assert!(sorted(service.known), "{}", service.service_id);
        let served: Vec<_> = service
            .operations
            .iter()
            .map(|operation| operation.name)
            .collect();
        assert!(sorted(&served), "{}", service.service_id);
        let errors: Vec<_> = service.errors.iter().map(|error| error.name).collect();
        assert!(sorted(&errors), "{}", service.service_id);
        for operation in service.operations {
            assert!(service.knows(operation.name));
            assert!(std::ptr::eq(operation.service, *service));
            assert!(std::ptr::eq(
                service.operation(operation.name).unwrap(),
                *operation
            ));
            assert!(
                operation
                    .errors
                    .iter()
                    .all(|error| errors.contains(&error.name))
            );
            assert!(matches!(operation.input.kind, Kind::Structure(_)));
            assert!(matches!(operation.output.kind, Kind::Structure(_)));
        }
    }
    let count = |id| {
        let service = services().iter().find(|service| service.service_id == id);
        service.map(|service| (service.operations.len(), service.known.len()))
    };
    assert_eq!(count("ACM PCA"), Some((23, 23)));
    assert_eq!(count("ACM"), Some((21, 40)));
    assert_eq!(count("STS"), Some((7, 11)));
    assert_eq!(count("Keystead"), Some((37, 37)));
    assert_eq!(count("RolesAnywhere"), Some((28, 30)));
    assert_eq!(count("KMS"), Some((56, 56)));
    assert_eq!(count("KMS XKS proxy"), Some((4, 4)));
    assert_eq!(count("Secrets Manager"), Some((26, 26)));
}

/// Every pattern of every served shape compiles and takes something that its author meant.
#[test]
fn patterns_hold() {
    let mut seen = BTreeSet::new();
    let mut patterns = BTreeSet::new();
    for operation in services().iter().flat_map(|service| service.operations) {
        for schema in [operation.input, operation.output] {
            collect(schema, &mut seen, &mut |schema| {
                if let Kind::String {
                    pattern: Some(pattern),
                    ..
                } = schema.kind
                {
                    patterns.insert(schema.name);
                    let samples = [
                        "aA1",
                        "1",
                        "AB",
                        "2.5.29.17",
                        "v1",
                        "123456789012",
                        "YWJj",
                        "/",
                        "example.com",
                        "",
                        "{}",
                        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
                        "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
                        "arn:aws:acm-pca:us-east-1:1:certificate-authority/x",
                        "arn:aws:acm:us-east-1:1:certificate/x",
                        "arn:aws:iam::1:role/x",
                        "arn:aws:rolesanywhere:us-east-1:1:crl/x",
                        "arn:aws:rolesanywhere:us-east-1:1:profile/x",
                        "arn:aws:rolesanywhere:us-east-1:1:trust-anchor/x",
                        "arn:aws:rolesanywhere:us-east-1:1:alias/crl/x",
                        "arn:aws:rolesanywhere:us-east-1:1:alias/profile/x",
                        "arn:aws:rolesanywhere:us-east-1:1:alias/trust-anchor/x",
                        "00000000-0000-4000-8000-000000000000",
                        "cluster-aaaaaaaaaaa",
                        "https://xks.example.com",
                        "/kms/xks/v1",
                        "com.amazonaws.vpce.us-east-1.vpce-svc-0",
                        "alias/x",
                        "arn:aws:s3:us-east-1:123456789012:x",
                        "arn:aws:secretsmanager:us-east-1:123456789012:secret:x",
                        "us-east-1",
                        "01:02",
                        "3h",
                        "01:ff",
                        "0a:1b",
                        "0000000000000000000000000000000000000000000000000000000000000000",
                    ];
                    let taken = samples.iter().any(|sample| pattern.matches(sample));
                    assert!(taken, "{}: {}", schema.name, pattern.source);
                }
            });
        }
    }
    assert!(patterns.len() > 15, "{patterns:?}");
}

fn collect(
    schema: &'static Schema,
    seen: &mut BTreeSet<usize>,
    visit: &mut dyn FnMut(&'static Schema),
) {
    if !seen.insert(std::ptr::from_ref(schema).addr()) {
        return;
    }
    visit(schema);
    match schema.kind {
        Kind::List { member, .. } => collect(member, seen, visit),
        Kind::Map { key, value, .. } => {
            collect(key, seen, visit);
            collect(value, seen, visit);
        }
        Kind::Structure(members) => {
            members
                .iter()
                .for_each(|member| collect(member.schema, seen, visit));
        }
        _ => {}
    }
}

#[test]
fn a_request_becomes_its_type_and_itself_again() {
    let document = r#"{"CertificateAuthorityConfiguration":{"KeyAlgorithm":"EC_prime256v1","SigningAlgorithm":"SHA256WITHECDSA","Subject":{"Country":"US","CommonName":"root"},"CsrExtensions":{"KeyUsage":{"CRLSign":true},"SubjectInformationAccess":[{"AccessMethod":{"AccessMethodType":"CA_REPOSITORY"},"AccessLocation":{"DirectoryName":{"CommonName":"x"}}}]}},"RevocationConfiguration":{"CrlConfiguration":{"Enabled":true,"ExpirationInDays":7}},"CertificateAuthorityType":"ROOT","Tags":[{"Key":"k","Value":"v"}]}"#;
    type Request = <acm_pca::CreateCertificateAuthority as Operation>::Input;
    let value = json::decode(document.as_bytes(), Request::schema()).unwrap();
    let request = Request::from_value(value).unwrap();
    let configuration = &request.certificate_authority_configuration;
    assert_eq!(
        configuration.key_algorithm,
        acm_pca::KeyAlgorithm::EcPrime256v1
    );
    assert_eq!(configuration.subject.common_name.as_deref(), Some("root"));
    assert_eq!(request.tags.as_ref().unwrap()[0].key, "k");
    assert_eq!(request.usage_mode, None);
    let again = json::encode(&request.into_value(), Request::schema());
    assert_eq!(String::from_utf8(again).unwrap(), document);
}

#[test]
fn a_tree_that_does_not_fit_is_an_error() {
    type Request = acm_pca::DescribeCertificateAuthorityRequest;
    let missing = Request::from_value(Value::Structure(vec![None])).unwrap_err();
    assert_eq!(missing.shape, "DescribeCertificateAuthorityRequest");
    for tree in [
        Value::Boolean(true),
        Value::Structure(vec![]),
        Value::Structure(vec![Some(Value::Integer(1))]),
    ] {
        assert!(Request::from_value(tree).is_err());
    }
    let unknown = acm::KeyAlgorithm::from_value(Value::String("RSA_1".to_owned()));
    assert!(unknown.is_err());
}

#[test]
fn enumerations_know_their_names() {
    for algorithm in acm_pca::KeyAlgorithm::ALL {
        assert_eq!(
            acm_pca::KeyAlgorithm::parse(algorithm.as_str()),
            Some(*algorithm)
        );
        assert_eq!(algorithm.to_string(), algorithm.as_str());
    }
    assert_eq!(acm_pca::KeyAlgorithm::parse("rsa_2048"), None);
}

#[test]
fn secrets_of_generated_types_do_not_print() {
    let document = br#"{"CertificateArn":"arn:aws:acm:us-east-1:123456789012:certificate/x","Passphrase":"aHVudGVyMg=="}"#;
    let value = json::decode(document, acm::ExportCertificateRequest::schema()).unwrap();
    let request = acm::ExportCertificateRequest::from_value(value).unwrap();
    assert_eq!(request.passphrase.expose(), b"hunter2");
    assert!(
        format!("{request:?}").contains("passphrase: Sensitive(redacted)"),
        "{request:?}"
    );
}
