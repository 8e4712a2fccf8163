"""What the service models forbid is answered in AWS's words, in both protocols.

The SDK's own check is turned off, so that the server has to make it. AWS's form of the text: KMS and
ACM-PCA API references, "ValidationException".
"""

import re

import pytest

from authorities import NEVER_EXISTED
from refusals import refused

A = {"CertificateAuthorityArn": NEVER_EXISTED}
CONFIGURATION = {
    "KeyAlgorithm": "EC_prime256v1",
    "SigningAlgorithm": "SHA256WITHECDSA",
    "Subject": {"CommonName": "x"},
}
ACM_ARN = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-4000-8000-000000000000"

# (service, call, parameters, text of the one error found)
CASES = [
    (
        "acm-pca",
        "describe_certificate_authority",
        {"CertificateAuthorityArn": "no arn"},
        "Value 'no arn' at 'certificateAuthorityArn' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: arn:",
    ),
    (
        "acm-pca",
        "describe_certificate_authority",
        {"CertificateAuthorityArn": NEVER_EXISTED + "x" * 200},
        "at 'certificateAuthorityArn' failed to satisfy constraint: "
        "Member must have length less than or equal to 200",
    ),
    (
        "acm-pca",
        "describe_certificate_authority",
        {},
        "Value null at 'certificateAuthorityArn' failed to satisfy constraint: Member must not be null",
    ),
    (
        "acm-pca",
        "update_certificate_authority",
        A | {"Status": "ASLEEP"},
        "Value 'ASLEEP' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [",
    ),
    (
        "acm-pca",
        "delete_certificate_authority",
        A | {"PermanentDeletionTimeInDays": 31},
        "Value '31' at 'permanentDeletionTimeInDays' failed to satisfy constraint: "
        "Member must have value less than or equal to 30",
    ),
    (
        "acm-pca",
        "delete_certificate_authority",
        A | {"PermanentDeletionTimeInDays": 6},
        "Value '6' at 'permanentDeletionTimeInDays' failed to satisfy constraint: "
        "Member must have value greater than or equal to 7",
    ),
    (
        "acm-pca",
        "create_certificate_authority",
        {
            "CertificateAuthorityType": "ROOT",
            "CertificateAuthorityConfiguration": CONFIGURATION | {"Subject": {"GenerationQualifier": "Senior"}},
        },
        "Value 'Senior' at 'certificateAuthorityConfiguration.subject.generationQualifier' failed to satisfy "
        "constraint: Member must have length less than or equal to 3",
    ),
    (
        "acm-pca",
        "tag_certificate_authority",
        A | {"Tags": []},
        "at 'tags' failed to satisfy constraint: Member must have length greater than or equal to 1",
    ),
    (
        "acm-pca",
        "tag_certificate_authority",
        A | {"Tags": [{"Key": "ok", "Value": ""}, {"Key": "", "Value": ""}]},
        "Value '' at 'tags.2.member.key' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1",
    ),
    (
        "acm-pca",
        "list_certificate_authorities",
        {"MaxResults": 1001},
        "Value '1001' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 1000",
    ),
    (
        "acm",
        "describe_certificate",
        {"CertificateArn": "arn:aws:acm:us-east-1:123456789012"},
        "at 'certificateArn' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:",
    ),
    (
        "acm",
        "request_certificate",
        {"DomainName": "-.example"},
        "Value '-.example' at 'domainName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: ",
    ),
    (
        "acm",
        "request_certificate",
        {"DomainName": "a.example", "IdempotencyToken": "a b"},
        r"Value 'a b' at 'idempotencyToken' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: \w+",
    ),
    (
        "acm",
        "list_certificates",
        {"MaxItems": 0},
        "Value '0' at 'maxItems' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ),
    (
        "acm",
        "renew_certificate",
        {},
        "Value null at 'certificateArn' failed to satisfy constraint: Member must not be null",
    ),
]


@pytest.mark.parametrize(("service", "call", "parameters", "text"), CASES)
def test_a_broken_constraint_is_named(server, service, call, parameters, text):
    client = server.client(service, parameter_validation=False)
    with refused("ValidationException") as seen:
        getattr(client, call)(**parameters)
    assert seen.message.startswith("1 validation error detected: "), seen.message
    assert text in seen.message, seen.message


def test_every_broken_constraint_is_counted(server):
    pca = server.client("acm-pca", parameter_validation=False)
    with refused("ValidationException") as seen:
        pca.update_certificate_authority(CertificateAuthorityArn="no arn", Status="ASLEEP")
    assert seen.message.startswith("2 validation errors detected: "), seen.message
    assert re.search(r"'certificateAuthorityArn' .*; Value 'ASLEEP' at 'status' ", seen.message), seen.message


def test_a_secret_is_not_repeated(server):
    acm = server.client("acm", parameter_validation=False)
    with refused("ValidationException") as seen:
        acm.export_certificate(CertificateArn=ACM_ARN, Passphrase=b"abc")
    assert "abc" not in seen.message and "YWJj" not in seen.message, seen.message
