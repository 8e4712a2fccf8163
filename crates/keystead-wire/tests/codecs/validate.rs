//! Constraints, in the words that AWS's services were seen to use.

use keystead_wire::schema::{Kind, Member, Pattern, Range, Schema};
use keystead_wire::validate::validate;
use keystead_wire::{Operation, Shape, Value, acm, acm_pca, json};

use crate::support::*;

fn refusal<O: Operation>(document: &str) -> String {
    let schema = O::Input::schema();
    let value = json::decode(document.as_bytes(), schema).unwrap();
    let error = validate(&value, schema).expect_err(document);
    assert_eq!((error.code, error.status), ("ValidationException", 400));
    error.message
}

fn accepted<O: Operation>(document: &str) {
    let schema = O::Input::schema();
    let value = json::decode(document.as_bytes(), schema).unwrap();
    assert_eq!(validate(&value, schema), Ok(()), "{document}");
}

const CA: &str = "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/12345678-1234-1234-1234-123456789012";
const ARN_PATTERN: &str =
    r"arn:[\w+=/,.@-]+:acm-pca:[\w+=/,.@-]*:[0-9]*:[\w+=,.@-]+(/[\w+=,.@-]+)*";

#[test]
fn one_constraint() {
    type Describe = acm_pca::DescribeCertificateAuthority;
    let long = format!("{CA}{}", "a".repeat(200));
    let tag = |key: &str, value: &str| {
        format!(
            r#"{{"CertificateAuthorityArn":"{CA}","Tags":[{{"Key":"k"}},{{"Key":"{key}","Value":"{value}"}}]}}"#
        )
    };
    let (long_key, long_value) = ("k".repeat(129), "v".repeat(257));
    let cases = [
        (
            refusal::<Describe>("{}"),
            "Value null at 'certificateAuthorityArn' failed to satisfy constraint: Member must not be null".to_owned(),
        ),
        (
            refusal::<Describe>(&format!(r#"{{"CertificateAuthorityArn":"{long}"}}"#)),
            format!("Value '{long}' at 'certificateAuthorityArn' failed to satisfy constraint: Member must have length less than or equal to 200"),
        ),
        (
            refusal::<Describe>(r#"{"CertificateAuthorityArn":"not-an-arn"}"#),
            format!("Value 'not-an-arn' at 'certificateAuthorityArn' failed to satisfy constraint: Member must satisfy regular expression pattern: {ARN_PATTERN}"),
        ),
        (
            refusal::<acm_pca::ListCertificateAuthorities>(r#"{"MaxResults":0}"#),
            "Value '0' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1".to_owned(),
        ),
        (
            refusal::<acm_pca::ListCertificateAuthorities>(r#"{"MaxResults":5000000000}"#),
            "Value '5000000000' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 1000".to_owned(),
        ),
        (
            refusal::<acm_pca::ListCertificateAuthorities>(r#"{"ResourceOwner":"ME"}"#),
            "Value 'ME' at 'resourceOwner' failed to satisfy constraint: Member must satisfy enum value set: [SELF, OTHER_ACCOUNTS]".to_owned(),
        ),
        (
            refusal::<acm_pca::TagCertificateAuthority>(&tag("", "")),
            "Value '' at 'tags.2.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1".to_owned(),
        ),
        (
            refusal::<acm_pca::TagCertificateAuthority>(&tag(&long_key, "")),
            format!("Value '{long_key}' at 'tags.2.member.key' failed to satisfy constraint: Member must have length less than or equal to 128"),
        ),
        (
            refusal::<acm_pca::TagCertificateAuthority>(&tag("k", &long_value)),
            format!("Value '{long_value}' at 'tags.2.member.value' failed to satisfy constraint: Member must have length less than or equal to 256"),
        ),
        (
            refusal::<acm_pca::TagCertificateAuthority>(&tag("bad*key", "")),
            r"Value 'bad*key' at 'tags.2.member.key' failed to satisfy constraint: Member must satisfy regular expression pattern: ([\p{L}\p{Z}\p{N}_.:/=+\-@]*)".to_owned(),
        ),
        (
            refusal::<acm_pca::TagCertificateAuthority>(&format!(r#"{{"CertificateAuthorityArn":"{CA}","Tags":[]}}"#)),
            "Value '[]' at 'tags' failed to satisfy constraint: Member must have length greater than or equal to 1".to_owned(),
        ),
        (
            refusal::<acm_pca::TagCertificateAuthority>(&format!(r#"{{"CertificateAuthorityArn":"{CA}","Tags":[null]}}"#)),
            "Value null at 'tags.1.member' failed to satisfy constraint: Member must not be null".to_owned(),
        ),
        (
            refusal::<acm_pca::CreatePermission>(&format!(
                r#"{{"CertificateAuthorityArn":"{CA}","Principal":"acm.amazonaws.com","Actions":["IssueCertificate","Sing"]}}"#
            )),
            "Value '[IssueCertificate, Sing]' at 'actions' failed to satisfy constraint: Member must satisfy constraint: \
             [Member must satisfy enum value set: [IssueCertificate, GetCertificate, ListPermissions], Member must not be null]".to_owned(),
        ),
        (
            refusal::<acm_pca::ImportCertificateAuthorityCertificate>(&format!(
                r#"{{"CertificateAuthorityArn":"{CA}","Certificate":""}}"#
            )),
            "Value 'java.nio.HeapByteBuffer[pos=0 lim=0 cap=0]' at 'certificate' failed to satisfy constraint: Member must have length greater than or equal to 1".to_owned(),
        ),
    ];
    for (message, expected) in cases {
        assert_eq!(message, format!("1 validation error detected: {expected}"));
    }
}

#[test]
fn several_constraints_are_counted_and_joined() {
    // ACM's own answer to such a request was published; its list member has since got the last part.
    let pattern =
        r"(\*\.)?(((?!-)[A-Za-z0-9-]{0,62}[A-Za-z0-9])\.)+((?!-)[A-Za-z0-9-]{1,62}[A-Za-z0-9])";
    assert_eq!(
        refusal::<acm::RequestCertificate>(
            r#"{"DomainName":"ccc","SubjectAlternativeNames":["ccc"]}"#
        ),
        format!(
            "2 validation errors detected: Value 'ccc' at 'domainName' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: {pattern}; \
             Value '[ccc]' at 'subjectAlternativeNames' failed to satisfy constraint: Member must satisfy constraint: \
             [Member must have length less than or equal to 253, Member must have length greater than or equal to 1, \
             Member must satisfy regular expression pattern: {pattern}, Member must not be null]"
        )
    );
    assert_eq!(
        refusal::<acm_pca::IssueCertificate>(
            r#"{"CertificateAuthorityArn":"x","Validity":{"Value":0,"Type":"WEEKS"}}"#
        ),
        format!(
            "6 validation errors detected: \
             Value 'x' at 'certificateAuthorityArn' failed to satisfy constraint: Member must satisfy regular expression pattern: {ARN_PATTERN}; \
             Value 'x' at 'certificateAuthorityArn' failed to satisfy constraint: Member must have length greater than or equal to 5; \
             Value null at 'csr' failed to satisfy constraint: Member must not be null; \
             Value null at 'signingAlgorithm' failed to satisfy constraint: Member must not be null; \
             Value '0' at 'validity.value' failed to satisfy constraint: Member must have value greater than or equal to 1; \
             Value 'WEEKS' at 'validity.type' failed to satisfy constraint: Member must satisfy enum value set: [END_DATE, ABSOLUTE, DAYS, MONTHS, YEARS]"
        )
    );
}

#[test]
fn the_number_of_reported_errors_and_the_echo_are_bounded() {
    let tags = vec![r#"{"Value":"v"}"#; 50].join(",");
    let message = refusal::<acm_pca::TagCertificateAuthority>(&format!(
        r#"{{"CertificateAuthorityArn":"{CA}","Tags":[{tags}]}}"#
    ));
    assert!(
        message.starts_with("10 validation errors detected: "),
        "{message}"
    );
    assert_eq!(message.matches("Member must").count(), 10);

    let message = refusal::<acm_pca::DescribeCertificateAuthority>(&format!(
        r#"{{"CertificateAuthorityArn":"{}"}}"#,
        "é".repeat(1_000_000)
    ));
    assert!(message.len() < 6_000, "{}", message.len());
}

#[test]
fn secrets_are_not_repeated() {
    let message = refusal::<acm::ExportCertificate>(
        r#"{"CertificateArn":"arn:aws:acm:us-east-1:123456789012:certificate/x","Passphrase":"YWJj"}"#,
    );
    assert_eq!(
        message,
        "1 validation error detected: Value at 'passphrase' failed to satisfy constraint: Member must have length greater than or equal to 4"
    );
}

#[test]
fn sound_requests_pass() {
    accepted::<acm_pca::DescribeCertificateAuthority>(&format!(
        r#"{{"CertificateAuthorityArn":"{CA}"}}"#
    ));
    accepted::<acm_pca::ListCertificateAuthorities>("{}");
    accepted::<acm_pca::TagCertificateAuthority>(&format!(
        r#"{{"CertificateAuthorityArn":"{CA}","Tags":[{{"Key":"été 1","Value":""}}]}}"#
    ));
    for name in [
        "example.com",
        "*.example.com",
        "a.b.c.d.example",
        "xn--a.example",
        "a-b.example.com",
        "0.example",
    ] {
        accepted::<acm::RequestCertificate>(&format!(r#"{{"DomainName":"{name}"}}"#));
    }
    for name in [
        "",
        "localhost",
        "-a.example.com",
        "a-.example.com",
        "*.*.example.com",
        "a..example.com",
        "example.com\n",
        "a.b",
    ] {
        let document = serde_json::json!({ "DomainName": name }).to_string();
        let message = refusal::<acm::RequestCertificate>(&document);
        assert!(
            message.contains("regular expression pattern"),
            "{name}: {message}"
        );
    }
}

static DIGITS: Pattern = Pattern::new("[0-9]+", "^(?:[0-9]+)$");
static LIMITED: Schema = Schema {
    name: "Limited",
    sensitive: false,
    kind: Kind::String {
        length: Range {
            min: None,
            max: Some(3),
        },
        pattern: Some(&DIGITS),
        values: &[],
    },
};
static LIMITED_MAP: Schema = limited_map(&LIMITED);
static STRUCTURE_MAP: Schema = limited_map(&INNER);
static INNER: Schema = Schema {
    name: "Inner",
    sensitive: false,
    kind: Kind::Structure(&[Member {
        name: "Text",
        wire_name: "Text",
        schema: &TEXT,
        required: true,
    }]),
};
static OUTER: Schema = Schema {
    name: "Outer",
    sensitive: false,
    kind: Kind::Structure(&[
        member("Map", &LIMITED_MAP),
        member("Inners", &STRUCTURE_MAP),
    ]),
};

const fn limited_map(value: &'static Schema) -> Schema {
    Schema {
        name: "LimitedMap",
        sensitive: false,
        kind: Kind::Map {
            key: &LIMITED,
            value,
            length: Range {
                min: Some(1),
                max: Some(2),
            },
            flattened: false,
            wire_names: ("key", "value"),
        },
    }
}

#[test]
fn maps() {
    let each = "[Member must have length less than or equal to 3, Member must satisfy regular expression pattern: [0-9]+, Member must not be null]";
    let cases = [
        (structure(&OUTER, [("Map", map([("1", text("1"))]))]), None),
        (
            structure(&OUTER, [("Map", map([("x", text("1"))]))]),
            Some(format!("Value '{{x=1}}' at 'map' failed to satisfy constraint: Map keys must satisfy constraint: {each}")),
        ),
        (
            structure(&OUTER, [("Map", map([("1", Value::Null)]))]),
            Some(format!("Value '{{1=null}}' at 'map' failed to satisfy constraint: Map value must satisfy constraint: {each}")),
        ),
        (
            structure(&OUTER, [("Map", map([]))]),
            Some("Value '{}' at 'map' failed to satisfy constraint: Member must have length greater than or equal to 1".to_owned()),
        ),
        (
            structure(&OUTER, [("Inners", map([("7", structure(&INNER, []))]))]),
            Some("Value null at 'inners.7.member.text' failed to satisfy constraint: Member must not be null".to_owned()),
        ),
    ];
    for (value, expected) in cases {
        let message = validate(&value, &OUTER).err().map(|error| error.message);
        let expected = expected.map(|text| format!("1 validation error detected: {text}"));
        assert_eq!(message, expected);
    }
}
