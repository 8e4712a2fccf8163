"""ACM: every field of a request, and every refusal that its operations document and can be met."""

import secrets

import pytest

import authorities
import keystead_model
from refusals import refused
from server import ACCOUNT
from test_acm import describe, issued, name

TAGS = [{"Key": "team", "Value": "red"}, {"Key": "bare"}]


def tags(acm, arn):
    return acm.list_tags_for_certificate(CertificateArn=arn)["Tags"]


def test_what_a_private_request_asks_for_is_kept(acm, root):
    domain = name()
    arn = issued(
        acm,
        root,
        domain,
        SubjectAlternativeNames=[domain.upper(), f"b.{domain}"],
        KeyAlgorithm="EC_secp384r1",
        Options={"CertificateTransparencyLoggingPreference": "DISABLED"},
        Tags=TAGS,
        IdempotencyToken=secrets.token_hex(8),
    )
    found = describe(acm, arn)
    assert found["SubjectAlternativeNames"] == [domain, f"b.{domain}"]
    assert found["Options"] == {"CertificateTransparencyLoggingPreference": "DISABLED", "Export": "DISABLED"}
    assert sorted(tags(acm, arn), key=str) == sorted([{"Key": "team", "Value": "red"}, {"Key": "bare"}], key=str)
    assert "DomainValidationOptions" not in found
    assert (found["InUseBy"], found["RenewalEligibility"]) == ([], "INELIGIBLE")
    assert found["CertificateKeyPairOrigin"] == "AWS_MANAGED"
    assert "RenewalSummary" not in found and "RevokedAt" not in found and "FailureReason" not in found


def test_what_a_public_request_asks_for_is_kept(acm):
    domain = f"www.{name()}"
    above = domain.partition(".")[2]
    arn = acm.request_certificate(
        DomainName=domain,
        ValidationMethod="EMAIL",
        DomainValidationOptions=[{"DomainName": domain, "ValidationDomain": above}],
        Options={"Export": "ENABLED"},
        Tags=TAGS,
    )["CertificateArn"]
    found = describe(acm, arn)
    assert (found["Type"], found["Status"], found["Issuer"]) == ("AMAZON_ISSUED", "PENDING_VALIDATION", "Amazon")
    assert found["Options"] == {"CertificateTransparencyLoggingPreference": "ENABLED", "Export": "ENABLED"}
    (option,) = found["DomainValidationOptions"]
    assert (option["DomainName"], option["ValidationDomain"]) == (domain, above)
    assert option["ValidationMethod"] == "EMAIL"
    for operation, more in (
        ("get_certificate", {}),
        ("export_certificate", {"Passphrase": b"passphrase"}),
        ("renew_certificate", {}),
    ):
        with refused("RequestInProgressException"):
            getattr(acm, operation)(CertificateArn=arn, **more)
    with refused("InvalidStateException"):
        acm.resend_validation_email(CertificateArn=arn, Domain=domain, ValidationDomain=above)
    for wrong in ({"Domain": name(), "ValidationDomain": above}, {"Domain": domain, "ValidationDomain": name()}):
        with refused("InvalidDomainValidationOptionsException"):
            acm.resend_validation_email(CertificateArn=arn, **wrong)


REFUSALS = {
    "a name that does not fit a subject": (
        {"DomainName": "a" * 53 + ".example.com"},
        "InvalidDomainValidationOptionsException",
    ),
    "a domain that was not asked for": (
        {"DomainValidationOptions": [{"DomainName": "other.example", "ValidationDomain": "other.example"}]},
        "InvalidDomainValidationOptionsException",
    ),
    "a domain that is not above": (
        {"DomainValidationOptions": [{"DomainName": "a.example.com", "ValidationDomain": "b.example.com"}]},
        "InvalidDomainValidationOptionsException",
    ),
    "a kind of key for imports": ({"KeyAlgorithm": "RSA_4096"}, "InvalidParameterException"),
    "a service's own certificate": ({"ManagedBy": "CLOUDFRONT"}, "InvalidParameterException"),
    "validation that CloudFront uses": ({"ValidationMethod": "HTTP"}, "InvalidParameterException"),
    "a tag of AWS's": ({"Tags": [{"Key": "aws:x", "Value": "y"}]}, "ValidationException"),
    "no name at all": ({"DomainName": "-"}, "ValidationException"),
    "a token with other characters": ({"IdempotencyToken": "a-b"}, "ValidationException"),
    "an authority that is none": (
        {"CertificateAuthorityArn": authorities.NEVER_EXISTED.replace("123456789012", ACCOUNT)},
        "InvalidArnException",
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_is_not_acceptable(acm, what):
    more, code = REFUSALS[what]
    with refused(code):
        acm.request_certificate(**({"DomainName": "a.example.com"} | more))


def test_as_many_tags_as_fit(acm):
    fifty = [{"Key": f"k{number}", "Value": "v"} for number in range(50)]
    arn = acm.request_certificate(DomainName=name(), Tags=fifty)["CertificateArn"]
    with refused("TooManyTagsException"):
        acm.add_tags_to_certificate(CertificateArn=arn, Tags=[{"Key": "one-more"}])


def test_options_of_a_public_request(acm):
    arn = acm.request_certificate(DomainName=name(), ValidationMethod="DNS")["CertificateArn"]
    acm.update_certificate_options(
        CertificateArn=arn, Options={"CertificateTransparencyLoggingPreference": "DISABLED"}
    )
    assert describe(acm, arn)["Options"]["CertificateTransparencyLoggingPreference"] == "DISABLED"
    with refused("ValidationException"):
        acm.update_certificate_options(CertificateArn=arn, Options={"Export": "ENABLED"})
    with refused("InvalidStateException"):
        acm.update_certificate_options(CertificateArn=arn, Options={"ValidationMethod": "EMAIL"})


def test_who_uses_it_is_shown_and_keeps_it(server, acm, root):
    arn = issued(acm, root, KeyAlgorithm="EC_prime256v1")
    own = keystead_model.client(server)
    node = f"n{secrets.token_hex(4)}"
    own.register_node(Name=node, CertificateArns=[arn], UnixUid=0)
    found = describe(acm, arn)
    (user,) = found["InUseBy"]
    assert user.endswith(f"node/{node}")
    assert found["RenewalEligibility"] == "ELIGIBLE"
    (result,) = acm.search_certificates(FilterStatement={"Filter": {"CertificateArn": arn}})["Results"]
    assert result["CertificateMetadata"]["AcmCertificateMetadata"]["InUse"] is True
    with refused("ResourceInUseException", arn):
        acm.delete_certificate(CertificateArn=arn)
    acm.renew_certificate(CertificateArn=arn)
    summary = describe(acm, arn)["RenewalSummary"]
    assert (summary["RenewalStatus"], summary["DomainValidationOptions"]) == ("SUCCESS", [])
    own.deregister_node(NodeArn=user)
    assert describe(acm, arn)["InUseBy"] == []
    acm.delete_certificate(CertificateArn=arn)
