"""ACM: certificates that Keystead manages, issued by a private authority."""

import datetime
import secrets
import uuid

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import authorities
from authorities import bundle, parse
from refusals import refused
from server import ACCOUNT
from waiting import until

NEVER_EXISTED = f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/00000000-0000-4000-8000-000000000000"


def name():
    return f"{secrets.token_hex(6)}.example.internal"


def describe(acm, arn):
    return acm.describe_certificate(CertificateArn=arn)["Certificate"]


def settled(acm, arn):
    """The certificate once it is neither pending nor being issued."""
    return until(
        f"{arn} to be issued",
        lambda: next((c for c in [describe(acm, arn)] if c["Status"] != "PENDING_VALIDATION"), None),
    )


def issued(acm, root, domain=None, **more):
    arn = acm.request_certificate(DomainName=domain or name(), CertificateAuthorityArn=root, **more)["CertificateArn"]
    certificate = settled(acm, arn)
    assert certificate["Status"] == "ISSUED", certificate
    return arn


def test_a_certificate_is_issued_and_described(acm, pca, root):
    domain = name()
    arn = issued(acm, root, domain, SubjectAlternativeNames=[f"www.{domain}"])
    prefix, _, identifier = arn.partition("/")
    assert prefix == f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate"
    assert str(uuid.UUID(identifier)) == identifier
    found = describe(acm, arn)
    answer = acm.get_certificate(CertificateArn=arn)
    leaf = parse(answer["Certificate"])
    issuer = parse(pca.get_certificate_authority_certificate(CertificateAuthorityArn=root)["Certificate"])
    assert bundle(answer["CertificateChain"]) == [issuer]
    leaf.verify_directly_issued_by(issuer)
    assert found["CertificateArn"] == arn
    assert found["CertificateAuthorityArn"] == root
    assert found["DomainName"] == domain
    assert found["SubjectAlternativeNames"] == [domain, f"www.{domain}"]
    assert found["Subject"] == f"CN={domain}"
    assert found["Issuer"] == "Shared Test Root"
    assert int(found["Serial"].replace(":", ""), 16) == leaf.serial_number
    assert found["Type"] == "PRIVATE"
    assert found["KeyAlgorithm"] == "RSA-2048"
    assert found["InUseBy"] == []
    assert found["NotBefore"] == leaf.not_valid_before_utc
    assert found["NotAfter"] == leaf.not_valid_after_utc
    assert found["CreatedAt"] <= found["IssuedAt"]
    # ACM's private certificates last 13 months (ACM user guide, "Private certificates").
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    assert datetime.timedelta(days=390) <= life <= datetime.timedelta(days=400)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [domain, f"www.{domain}"]
    assert isinstance(leaf.public_key(), rsa.RSAPublicKey) and leaf.public_key().key_size == 2048
    assert {use["Name"] for use in found["KeyUsages"]} == {"DIGITAL_SIGNATURE", "KEY_ENCIPHERMENT"}
    purposes = {use["Name"] for use in found["ExtendedKeyUsages"]}
    assert purposes == {"TLS_WEB_SERVER_AUTHENTICATION", "TLS_WEB_CLIENT_AUTHENTICATION"}


@pytest.mark.parametrize(
    ("algorithm", "described", "kind"),
    [
        ("RSA_2048", "RSA-2048", rsa.RSAPublicKey),
        ("EC_prime256v1", "EC-prime256v1", ec.EllipticCurvePublicKey),
        ("EC_secp384r1", "EC-secp384r1", ec.EllipticCurvePublicKey),
    ],
)
def test_key_algorithms(acm, root, algorithm, described, kind):
    arn = issued(acm, root, KeyAlgorithm=algorithm)
    assert describe(acm, arn)["KeyAlgorithm"].replace("_", "-") == described
    assert isinstance(parse(acm.get_certificate(CertificateArn=arn)["Certificate"]).public_key(), kind)


def test_a_wildcard(acm, root):
    domain = f"*.{name()}"
    leaf = parse(acm.get_certificate(CertificateArn=issued(acm, root, domain))["Certificate"])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [domain]


def test_the_same_token_requests_once(acm, root):
    token, domain = secrets.token_hex(8), name()
    first = issued(acm, root, domain, IdempotencyToken=token)
    assert issued(acm, root, domain, IdempotencyToken=token) == first
    assert issued(acm, root, domain) != first


def test_the_first_certificate_is_the_callers_own_to_ask_for(acm, pca):
    # Only what ACM does by itself, the renewal, needs the authority's permission (test_renewal.py).
    ungranted = authorities.root(pca, "Grants nothing")
    assert issued(acm, ungranted)


def test_an_authority_that_cannot_issue(acm, pca, pending):
    authorities.grant(pca, pending)
    arn = acm.request_certificate(DomainName=name(), CertificateAuthorityArn=pending)["CertificateArn"]
    certificate = settled(acm, arn)
    assert (certificate["Status"], certificate["FailureReason"]) == ("FAILED", "PCA_INVALID_STATE")


def decrypted(answer, passphrase):
    return load_pem_private_key(answer["PrivateKey"].encode(), passphrase)


def test_export_gives_the_key_under_the_passphrase(acm, root):
    arn = issued(acm, root)
    answer = acm.export_certificate(CertificateArn=arn, Passphrase=b"correct horse")
    assert answer["PrivateKey"].startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    leaf = parse(answer["Certificate"])
    assert decrypted(answer, b"correct horse").public_key() == leaf.public_key()
    assert bundle(answer["CertificateChain"])
    with pytest.raises(ValueError):
        decrypted(answer, b"wrong horse")
    assert acm.get_certificate(CertificateArn=arn)["Certificate"] == answer["Certificate"]


def test_what_cannot_be_exported(acm, imported):
    with refused("ValidationException"):
        acm.export_certificate(CertificateArn=imported, Passphrase=b"passphrase")


@pytest.fixture(scope="module")
def imported(acm):
    """An imported certificate that signs itself."""
    key = authorities.new_key()
    return acm.import_certificate(Certificate=authorities.self_signed(key, name()), PrivateKey=authorities.key_pem(key))[
        "CertificateArn"
    ]


def test_renewal_replaces_certificate_and_key(acm, root):
    arn = issued(acm, root)
    before = acm.export_certificate(CertificateArn=arn, Passphrase=b"passphrase")
    acm.renew_certificate(CertificateArn=arn)
    renewed = until(
        "the renewed certificate",
        lambda: next(
            (c for c in [acm.get_certificate(CertificateArn=arn)] if c["Certificate"] != before["Certificate"]), None
        ),
    )
    old, new = parse(before["Certificate"]), parse(renewed["Certificate"])
    assert old.serial_number != new.serial_number
    assert old.subject == new.subject
    assert new.not_valid_after_utc >= old.not_valid_after_utc
    after = acm.export_certificate(CertificateArn=arn, Passphrase=b"passphrase")
    assert decrypted(after, b"passphrase").public_key() == new.public_key()
    summary = describe(acm, arn)["RenewalSummary"]
    assert summary["RenewalStatus"] == "SUCCESS"


def test_renewal_is_for_what_was_delivered(acm, root, imported):
    with refused("ValidationException"):
        acm.renew_certificate(CertificateArn=issued(acm, root))
    with refused("ValidationException"):
        acm.renew_certificate(CertificateArn=imported)


def test_deletion(acm, root):
    arn = issued(acm, root)
    acm.delete_certificate(CertificateArn=arn)
    with refused("ResourceNotFoundException"):
        acm.describe_certificate(CertificateArn=arn)
    with refused("ResourceNotFoundException"):
        acm.delete_certificate(CertificateArn=arn)


BY_ARN = [
    ("describe_certificate", {}),
    ("get_certificate", {}),
    ("delete_certificate", {}),
    ("renew_certificate", {}),
    ("export_certificate", {"Passphrase": b"passphrase"}),
    ("list_tags_for_certificate", {}),
    ("add_tags_to_certificate", {"Tags": [{"Key": "a"}]}),
    ("remove_tags_from_certificate", {"Tags": [{"Key": "a"}]}),
    ("update_certificate_options", {"Options": {"CertificateTransparencyLoggingPreference": "DISABLED"}}),
    ("resend_validation_email", {"Domain": "a.example", "ValidationDomain": "a.example"}),
]


@pytest.mark.parametrize(("call", "more"), BY_ARN)
def test_an_unknown_certificate_is_not_found(acm, call, more):
    with refused("ResourceNotFoundException", NEVER_EXISTED):
        getattr(acm, call)(CertificateArn=NEVER_EXISTED, **more)


@pytest.mark.parametrize(("call", "more"), BY_ARN)
def test_an_arn_of_something_else_is_invalid(acm, call, more):
    with refused("InvalidArnException"):
        getattr(acm, call)(CertificateArn=f"arn:aws:acm:us-east-1:{ACCOUNT}:other/thing", **more)


def test_an_authority_that_never_was(acm):
    with refused("InvalidArnException"):
        acm.request_certificate(DomainName=name(), CertificateAuthorityArn=NEVER_EXISTED.replace(":acm:", ":acm-pca:"))


def test_options_of_a_private_certificate(acm, root):
    arn = issued(acm, root)
    with refused("InvalidStateException"):
        acm.update_certificate_options(
            CertificateArn=arn, Options={"CertificateTransparencyLoggingPreference": "DISABLED"}
        )


def test_no_mail_validates_a_private_certificate(acm, root):
    arn = issued(acm, root, "mail.example.internal")
    with refused("InvalidStateException"):
        acm.resend_validation_email(
            CertificateArn=arn, Domain="mail.example.internal", ValidationDomain="example.internal"
        )


def test_the_account_keeps_its_warning_time(server):
    acm = server.client("acm", "eu-north-5")
    assert acm.get_account_configuration()["ExpiryEvents"]["DaysBeforeExpiry"] == 45
    acm.put_account_configuration(ExpiryEvents={"DaysBeforeExpiry": 30}, IdempotencyToken="t1")
    assert acm.get_account_configuration()["ExpiryEvents"]["DaysBeforeExpiry"] == 30
