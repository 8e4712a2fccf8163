"""ACM: private certificates revoked, and what is said of validations."""

import pytest

import authorities
from authorities import parse
from refusals import refused
from server import ACCOUNT
from test_access import Caller, statement
from test_acm import NEVER_EXISTED, describe, issued, name

REASONS = {
    "UNSPECIFIED": "UNSPECIFIED",
    "KEY_COMPROMISE": "KEY_COMPROMISE",
    "CA_COMPROMISE": "CA_COMPROMISE",
    "AFFILIATION_CHANGED": "AFFILIATION_CHANGED",
    "SUPERCEDED": "SUPERSEDED",
    "SUPERSEDED": "SUPERSEDED",
    "CESSATION_OF_OPERATION": "CESSATION_OF_OPERATION",
    "PRIVILEGE_WITHDRAWN": "PRIVILEGE_WITHDRAWN",
    "A_A_COMPROMISE": "A_A_COMPROMISE",
}


def exported(acm, root):
    arn = issued(acm, root, KeyAlgorithm="EC_prime256v1")
    acm.export_certificate(CertificateArn=arn, Passphrase=b"passphrase")
    return arn


@pytest.mark.parametrize("reason", REASONS)
def test_what_was_exported_can_be_revoked(acm, pca, root, reason):
    arn = exported(acm, root)
    before = describe(acm, arn)
    assert acm.revoke_certificate(CertificateArn=arn, RevocationReason=reason)["CertificateArn"] == arn
    found = describe(acm, arn)
    assert (found["Status"], found["RevocationReason"]) == ("REVOKED", REASONS[reason])
    assert found["RevokedAt"] >= before["IssuedAt"]
    assert found["RenewalEligibility"] == "INELIGIBLE"
    serial = f"{parse(acm.get_certificate(CertificateArn=arn)['Certificate']).serial_number:x}"
    with refused("RequestAlreadyProcessedException"):
        pca.revoke_certificate(
            CertificateAuthorityArn=root, CertificateSerial=serial, RevocationReason="UNSPECIFIED"
        )
    (result,) = acm.search_certificates(FilterStatement={"Filter": {"CertificateArn": arn}})["Results"]
    shown = result["CertificateMetadata"]["AcmCertificateMetadata"]
    assert (shown["Status"], shown["RevokedAt"]) == ("REVOKED", found["RevokedAt"])


def test_what_cannot_be_revoked(acm, root):
    fresh = issued(acm, root, KeyAlgorithm="EC_prime256v1")
    with refused("ValidationException", "exported"):
        acm.revoke_certificate(CertificateArn=fresh, RevocationReason="UNSPECIFIED")
    key = authorities.new_key()
    pem = authorities.self_signed(key, name())
    imported = acm.import_certificate(Certificate=pem, PrivateKey=authorities.key_pem(key))["CertificateArn"]
    with refused("ValidationException", "imported"):
        acm.revoke_certificate(CertificateArn=imported, RevocationReason="UNSPECIFIED")
    pending = acm.request_certificate(DomainName=name())["CertificateArn"]
    with refused("ValidationException", "PENDING_VALIDATION"):
        acm.revoke_certificate(CertificateArn=pending, RevocationReason="UNSPECIFIED")
    with refused("ResourceNotFoundException"):
        acm.revoke_certificate(CertificateArn=NEVER_EXISTED, RevocationReason="UNSPECIFIED")
    other = f"arn:aws:acm:us-east-1:{ACCOUNT}:other/thing"
    with refused("InvalidArnException"):
        acm.revoke_certificate(CertificateArn=other, RevocationReason="UNSPECIFIED")
    arn = exported(acm, root)
    for reason in ("CERTIFICATE_HOLD", "REMOVE_FROM_CRL"):
        with refused("ValidationException", reason):
            acm.revoke_certificate(CertificateArn=arn, RevocationReason=reason)
    assert describe(acm, arn)["Status"] == "ISSUED"


def test_revocation_is_for_ever(acm, root):
    arn = exported(acm, root)
    acm.revoke_certificate(CertificateArn=arn, RevocationReason="KEY_COMPROMISE")
    with refused("ValidationException", "revoked already"):
        acm.revoke_certificate(CertificateArn=arn, RevocationReason="KEY_COMPROMISE")
    with refused("ValidationException", "revoked"):
        acm.renew_certificate(CertificateArn=arn)
    with refused("ValidationException", "revoked"):
        acm.export_certificate(CertificateArn=arn, Passphrase=b"passphrase")
    assert acm.get_certificate(CertificateArn=arn)["Certificate"]
    acm.delete_certificate(CertificateArn=arn)


def test_whoever_may_not_revoke_at_the_authority_may_not_here(server, acm, root):
    arn = exported(acm, root)
    caller = Caller(server).may(statement("Allow", "acm:*"))
    asked = {"CertificateArn": arn, "RevocationReason": "UNSPECIFIED"}
    code, message = caller.call("acm", "RevokeCertificate", asked)
    assert (code, "acm-pca:RevokeCertificate" in message) == ("AccessDeniedException", True)
    assert describe(acm, arn)["Status"] == "ISSUED"
    through = {"StringEquals": {"aws:CalledViaLast": "acm.amazonaws.com"}}
    caller.may(statement("Allow", "acm:*"), statement("Allow", "acm-pca:*", Condition=through))
    assert caller.call("acm", "RevokeCertificate", asked) == (None, "")


def test_validations_of_a_public_request(acm):
    domain = name()
    names = [f"{label}.{domain}" for label in "abc"]
    arn = acm.request_certificate(
        DomainName=domain, SubjectAlternativeNames=names, ValidationMethod="DNS"
    )["CertificateArn"]
    found = {option["DomainName"]: option for option in describe(acm, arn)["DomainValidationOptions"]}
    pages, token = [], {}
    while True:
        page = acm.list_certificate_domain_validations(CertificateArn=arn, MaxItems=3, **token)
        pages.append(page["DomainValidationSummaryList"])
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert [len(page) for page in pages] == [3, 1]
    for summary in sum(pages, []):
        option = found.pop(summary["DomainName"])
        assert summary["ActiveValidationConfiguration"] == {
            "ValidationMethod": "DNS",
            "ValidationStatus": option["ValidationStatus"],
            "ValidationChallenge": {"DnsValidationChallenge": {"ResourceRecord": option["ResourceRecord"]}},
        }
    assert not found
    with refused("InvalidArgsException"):
        acm.list_certificate_domain_validations(CertificateArn=arn, NextToken="x")


def test_validations_by_mail_and_of_what_is_not_validated(acm, root):
    domain = name()
    arn = acm.request_certificate(DomainName=domain, ValidationMethod="EMAIL")["CertificateArn"]
    (summary,) = acm.list_certificate_domain_validations(CertificateArn=arn)["DomainValidationSummaryList"]
    challenge = summary["ActiveValidationConfiguration"]["ValidationChallenge"]
    assert challenge == {"EmailValidationChallenge": {"ValidationEmails": [], "ValidationDomain": domain}}
    private = issued(acm, root, KeyAlgorithm="EC_prime256v1")
    answer = acm.list_certificate_domain_validations(CertificateArn=private)
    assert answer["DomainValidationSummaryList"] == []
    with refused("ResourceNotFoundException"):
        acm.list_certificate_domain_validations(CertificateArn=NEVER_EXISTED)
