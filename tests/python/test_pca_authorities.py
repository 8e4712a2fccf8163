"""ACM-PCA: the life of a certificate authority, every state and the refusals of each."""

import datetime
import secrets
import uuid

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from authorities import (
    ALGORITHMS,
    NEVER_EXISTED,
    ROOT_TEMPLATE,
    bundle,
    create,
    csr_of,
    issue,
    parse,
    request,
    root,
    subordinate,
)
from refusals import refused
from server import ACCOUNT


def describe(pca, arn):
    return pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]


def disable(pca, arn):
    pca.update_certificate_authority(CertificateAuthorityArn=arn, Status="DISABLED")


def test_a_new_authority_waits_for_its_certificate(pca):
    arn = create(pca, "Fresh", Tags=[{"Key": "team", "Value": "red"}])
    prefix, _, identifier = arn.rpartition("/")
    assert prefix == f"arn:aws:acm-pca:us-east-1:{ACCOUNT}:certificate-authority"
    assert str(uuid.UUID(identifier)) == identifier
    found = describe(pca, arn)
    assert found["Arn"] == arn
    assert found["OwnerAccount"] == ACCOUNT
    assert found["Type"] == "ROOT"
    assert found["Status"] == "PENDING_CERTIFICATE"
    assert found["UsageMode"] == "GENERAL_PURPOSE"
    assert found["KeyStorageSecurityStandard"] == "FIPS_140_2_LEVEL_3_OR_HIGHER"
    assert found["CertificateAuthorityConfiguration"] == {
        "KeyAlgorithm": "EC_prime256v1",
        "SigningAlgorithm": "SHA256WITHECDSA",
        "Subject": {"CommonName": "Fresh"},
    }
    age = datetime.datetime.now(datetime.timezone.utc) - found["CreatedAt"]
    assert datetime.timedelta(seconds=-5) < age < datetime.timedelta(minutes=2)
    assert "Serial" not in found and "NotAfter" not in found and "RestorableUntil" not in found


@pytest.mark.parametrize("key", ALGORITHMS)
def test_every_key_algorithm_makes_a_root(pca, key):
    arn = root(pca, f"Root {key}", key)
    found = describe(pca, arn)
    assert found["Status"] == "ACTIVE"
    assert found["CertificateAuthorityConfiguration"]["KeyAlgorithm"] == key
    answer = pca.get_certificate_authority_certificate(CertificateAuthorityArn=arn)
    certificate = parse(answer["Certificate"])
    assert "CertificateChain" not in answer
    assert int(found["Serial"]) == certificate.serial_number
    assert found["NotBefore"] == certificate.not_valid_before_utc
    assert found["NotAfter"] == certificate.not_valid_after_utc


@pytest.mark.parametrize(
    ("key", "signing"),
    [
        ("RSA_2048", "SHA256WITHRSA"),
        ("RSA_2048", "SHA384WITHRSA"),
        ("RSA_2048", "SHA512WITHRSA"),
        ("RSA_2048", "SHA256WITHRSA_PSS"),
        ("RSA_2048", "SHA384WITHRSA_PSS"),
        ("RSA_2048", "SHA512WITHRSA_PSS"),
        ("EC_prime256v1", "SHA384WITHECDSA"),
        ("EC_secp384r1", "SHA256WITHECDSA"),
    ],
)
def test_every_signing_algorithm_signs(pca, key, signing):
    arn = root(pca, f"{key} {signing}", key, signing=signing)
    certificate = parse(pca.get_certificate_authority_certificate(CertificateAuthorityArn=arn)["Certificate"])
    digest = signing[:6].lower()
    assert certificate.signature_hash_algorithm.name == digest
    certificate.verify_directly_issued_by(certificate)
    scheme = certificate.signature_algorithm_parameters
    if signing.endswith("PSS"):
        # RFC 4055 section 3.1: the salt as long as the hash.
        assert isinstance(scheme, padding.PSS) and scheme._salt_length == int(signing[3:6]) // 8
    else:
        assert not isinstance(scheme, padding.PSS)


@pytest.mark.parametrize(("key", "signing"), [("EC_prime256v1", "SM3WITHSM2"), ("SM2", "SM3WITHSM2")])
def test_algorithms_that_are_not_served_are_named(pca, key, signing):
    with refused("InvalidArgsException", "is not supported"):
        create(pca, "Elsewhere", key, signing=signing)


def test_a_key_that_cannot_make_the_signature_is_refused(pca):
    with refused("InvalidArgsException"):
        create(pca, "Mixed", "RSA_2048", signing="SHA256WITHECDSA")


def test_the_csr_carries_key_and_full_subject(pca):
    subject = {
        "Country": "DE",
        "Organization": "Räder & Söhne",
        "OrganizationalUnit": "PKI",
        "DistinguishedNameQualifier": "q1",
        "State": "Bayern",
        "CommonName": "All Names",
        "SerialNumber": "42",
        "Locality": "München",
        "Title": "CA",
        "Surname": "S",
        "GivenName": "G",
        "Initials": "GS",
        "Pseudonym": "P",
        "GenerationQualifier": "III",
    }
    arn = create(pca, subject, "EC_secp384r1")
    csr = x509.load_pem_x509_csr(csr_of(pca, arn))
    assert csr.is_signature_valid
    assert isinstance(csr.public_key().curve, ec.SECP384R1)
    oids = {
        "Country": NameOID.COUNTRY_NAME,
        "Organization": NameOID.ORGANIZATION_NAME,
        "OrganizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
        "DistinguishedNameQualifier": NameOID.DN_QUALIFIER,
        "State": NameOID.STATE_OR_PROVINCE_NAME,
        "CommonName": NameOID.COMMON_NAME,
        "SerialNumber": NameOID.SERIAL_NUMBER,
        "Locality": NameOID.LOCALITY_NAME,
        "Title": NameOID.TITLE,
        "Surname": NameOID.SURNAME,
        "GivenName": NameOID.GIVEN_NAME,
        "Initials": NameOID.INITIALS,
        "Pseudonym": NameOID.PSEUDONYM,
        "GenerationQualifier": NameOID.GENERATION_QUALIFIER,
    }
    for field, oid in oids.items():
        assert [a.value for a in csr.subject.get_attributes_for_oid(oid)] == [subject[field]], field
    assert describe(pca, arn)["CertificateAuthorityConfiguration"]["Subject"] == subject


def test_custom_subject_attributes(pca):
    custom = [{"ObjectIdentifier": "2.5.4.3", "Value": "Custom"}, {"ObjectIdentifier": "1.3.6.1.4.1.311.1", "Value": "x"}]
    arn = create(pca, {"CustomAttributes": custom})
    csr = x509.load_pem_x509_csr(csr_of(pca, arn))
    assert [(a.oid.dotted_string, a.value) for a in csr.subject] == [("2.5.4.3", "Custom"), ("1.3.6.1.4.1.311.1", "x")]


def test_an_rsa_key_has_the_size_asked_for(pca):
    csr = x509.load_pem_x509_csr(csr_of(pca, create(pca, "Big", "RSA_4096")))
    assert isinstance(csr.public_key(), rsa.RSAPublicKey) and csr.public_key().key_size == 4096


def test_the_same_token_makes_one_authority(pca):
    token = secrets.token_hex(8)
    first = create(pca, "Once", IdempotencyToken=token)
    assert create(pca, "Once", IdempotencyToken=token) == first
    assert create(pca, "Once", IdempotencyToken=token + "2") != first


def test_listing_pages_by_cursor(server):
    pca = server.client("acm-pca", "eu-west-9")
    made = {create(pca, f"Page {n}") for n in range(5)}
    paginator = pca.get_paginator("list_certificate_authorities")
    pages = list(paginator.paginate(PaginationConfig={"PageSize": 2}))
    listed = [authority["Arn"] for page in pages for authority in page["CertificateAuthorities"]]
    assert sorted(listed) == sorted(made)
    assert [len(page["CertificateAuthorities"]) for page in pages[:2]] == [2, 2]
    assert server.client("acm-pca", "eu-west-8").list_certificate_authorities()["CertificateAuthorities"] == []
    with refused("InvalidNextTokenException"):
        pca.list_certificate_authorities(NextToken="nonsense")


def test_import_activates_and_a_second_certificate_may_follow(pca):
    arn = create(pca, "Renewed Root")
    for years in (1, 2):
        _, answer = issue(pca, arn, csr_of(pca, arn), ROOT_TEMPLATE, ("YEARS", years))
        pca.import_certificate_authority_certificate(
            CertificateAuthorityArn=arn, Certificate=answer["Certificate"].encode()
        )
        now = pca.get_certificate_authority_certificate(CertificateAuthorityArn=arn)["Certificate"]
        assert parse(now) == parse(answer["Certificate"])


def test_subordinates_hang_below_their_issuer(pca, root):
    first = subordinate(pca, root, "Sub 1", path_length=1)
    second = subordinate(pca, first, "Sub 0", path_length=0, validity=("YEARS", 4))
    answer = pca.get_certificate_authority_certificate(CertificateAuthorityArn=second)
    chain = [parse(answer["Certificate"]), *bundle(answer["CertificateChain"])]
    assert len(chain) == 3
    for below, above in zip(chain, chain[1:]):
        below.verify_directly_issued_by(above)
    constraints = [c.extensions.get_extension_for_class(x509.BasicConstraints).value for c in chain]
    assert [(c.ca, c.path_length) for c in constraints] == [(True, 0), (True, 1), (True, None)]
    assert describe(pca, second)["Type"] == "SUBORDINATE"


def test_import_refuses_what_does_not_belong(pca, root, pending):
    answer = pca.get_certificate_authority_certificate(CertificateAuthorityArn=root)
    foreign = answer["Certificate"].encode()
    with refused("CertificateMismatchException"):
        pca.import_certificate_authority_certificate(CertificateAuthorityArn=pending, Certificate=foreign)
    with refused("MalformedCertificateException"):
        pca.import_certificate_authority_certificate(CertificateAuthorityArn=pending, Certificate=b"no certificate")
    assert describe(pca, pending)["Status"] == "PENDING_CERTIFICATE"


def test_a_subordinate_needs_the_chain_that_signed_it(pca, root):
    arn = create(pca, "Chainless", kind="SUBORDINATE")
    template = "arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen0/V1"
    _, answer = issue(pca, root, csr_of(pca, arn), template, ("YEARS", 1))
    certificate = answer["Certificate"].encode()
    with refused("InvalidRequestException"):
        pca.import_certificate_authority_certificate(CertificateAuthorityArn=arn, Certificate=certificate)
    stranger = create(pca, "Stranger")
    _, other = issue(pca, stranger, csr_of(pca, stranger), ROOT_TEMPLATE, ("YEARS", 1))
    with refused("CertificateMismatchException"):
        pca.import_certificate_authority_certificate(
            CertificateAuthorityArn=arn, Certificate=certificate, CertificateChain=other["Certificate"].encode()
        )


def test_an_end_entity_certificate_makes_no_authority(pca, root):
    pending = create(pca, "No authority", kind="SUBORDINATE")
    _, answer = issue(pca, root, csr_of(pca, pending))
    with refused("MalformedCertificateException"):
        pca.import_certificate_authority_certificate(
            CertificateAuthorityArn=pending,
            Certificate=answer["Certificate"].encode(),
            CertificateChain=answer["CertificateChain"].encode(),
        )


def test_what_a_pending_authority_refuses(pca, pending):
    with refused("InvalidStateException"):
        pca.get_certificate_authority_certificate(CertificateAuthorityArn=pending)
    with refused("InvalidStateException"):
        issue(pca, pending, request()[0])
    with refused("InvalidStateException"):
        disable(pca, pending)
    with refused("InvalidStateException"):
        pca.restore_certificate_authority(CertificateAuthorityArn=pending)


def test_disabled_and_active_again(pca):
    arn = root(pca, "Switch")
    before = describe(pca, arn)
    disable(pca, arn)
    assert describe(pca, arn)["Status"] == "DISABLED"
    assert describe(pca, arn)["LastStateChangeAt"] >= before["LastStateChangeAt"]
    with refused("InvalidStateException"):
        issue(pca, arn, request()[0], signing="SHA256WITHECDSA")
    # What was issued stays readable.
    assert pca.get_certificate_authority_certificate(CertificateAuthorityArn=arn)["Certificate"]
    pca.update_certificate_authority(CertificateAuthorityArn=arn, Status="ACTIVE")
    assert describe(pca, arn)["Status"] == "ACTIVE"
    issue(pca, arn, request()[0])


def test_deletion_has_a_way_back(pca):
    arn = root(pca, "Regretted")
    with refused("InvalidStateException"):
        pca.delete_certificate_authority(CertificateAuthorityArn=arn)
    disable(pca, arn)
    pca.delete_certificate_authority(CertificateAuthorityArn=arn, PermanentDeletionTimeInDays=7)
    found = describe(pca, arn)
    assert found["Status"] == "DELETED"
    left = found["RestorableUntil"] - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(days=6) < left <= datetime.timedelta(days=7, minutes=1)
    for call in (
        lambda: pca.delete_certificate_authority(CertificateAuthorityArn=arn),
        lambda: pca.update_certificate_authority(CertificateAuthorityArn=arn, Status="ACTIVE"),
        lambda: issue(pca, arn, request()[0], signing="SHA256WITHECDSA"),
        lambda: pca.get_certificate_authority_csr(CertificateAuthorityArn=arn),
    ):
        with refused("InvalidStateException"):
            call()
    pca.restore_certificate_authority(CertificateAuthorityArn=arn)
    restored = describe(pca, arn)
    assert restored["Status"] == "DISABLED" and "RestorableUntil" not in restored
    pca.update_certificate_authority(CertificateAuthorityArn=arn, Status="ACTIVE")
    issue(pca, arn, request()[0])


def test_thirty_days_are_the_default(pca, pending):
    pca.delete_certificate_authority(CertificateAuthorityArn=pending)
    left = describe(pca, pending)["RestorableUntil"] - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(days=29) < left <= datetime.timedelta(days=30, minutes=1)


def test_a_deleted_authority_is_gone_when_its_time_is_over(own_server):
    own_server.start()
    arn = root(own_server.client("acm-pca"), "Forgotten")
    pca = own_server.client("acm-pca")
    disable(pca, arn)
    pca.delete_certificate_authority(CertificateAuthorityArn=arn, PermanentDeletionTimeInDays=7)
    own_server.kill()
    pca = own_server.start(ahead=datetime.timedelta(days=8)).client("acm-pca")
    with refused("ResourceNotFoundException"):
        pca.restore_certificate_authority(CertificateAuthorityArn=arn)
    with refused("ResourceNotFoundException"):
        pca.describe_certificate_authority(CertificateAuthorityArn=arn)


def test_an_authority_expires(own_server):
    pca = own_server.start().client("acm-pca")
    arn = root(pca, "Short", validity=("DAYS", 10))
    own_server.kill()
    pca = own_server.start(ahead=datetime.timedelta(days=11)).client("acm-pca")
    assert describe(pca, arn)["Status"] == "EXPIRED"
    with refused("InvalidStateException"):
        issue(pca, arn, request()[0], signing="SHA256WITHECDSA")


BY_ARN = [
    "describe_certificate_authority",
    "get_certificate_authority_csr",
    "get_certificate_authority_certificate",
    "delete_certificate_authority",
    "restore_certificate_authority",
    "list_permissions",
    "list_tags",
]


@pytest.mark.parametrize("call", BY_ARN)
def test_an_unknown_authority_is_not_found(pca, call):
    with refused("ResourceNotFoundException"):
        getattr(pca, call)(CertificateAuthorityArn=NEVER_EXISTED)


@pytest.mark.parametrize("call", BY_ARN)
@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:acm-pca:us-east-1:{ACCOUNT}:certificate-authority",
        f"arn:aws:acm-pca:us-east-1:{ACCOUNT}:other/00000000-0000-4000-8000-000000000000",
    ],
)
def test_an_arn_of_something_else_is_invalid(pca, call, arn):
    with refused("InvalidArnException"):
        getattr(pca, call)(CertificateAuthorityArn=arn)


def test_regions_and_accounts_do_not_see_each_other(server, root):
    elsewhere = server.client("acm-pca", "ap-south-7")
    with refused("ResourceNotFoundException"):
        elsewhere.describe_certificate_authority(CertificateAuthorityArn=root)
    with refused("AccessDeniedException", "because no resource-based policy allows"):
        server.client("acm-pca").describe_certificate_authority(
            CertificateAuthorityArn=root.replace(ACCOUNT, "999999999999")
        )


def test_short_lived_authorities_issue_for_seven_days_at_most(pca):
    arn = root(pca, "Short Lived", UsageMode="SHORT_LIVED_CERTIFICATE")
    assert describe(pca, arn)["UsageMode"] == "SHORT_LIVED_CERTIFICATE"
    issue(pca, arn, request()[0], validity=("DAYS", 7))
    with refused("ValidationException"):
        issue(pca, arn, request()[0], validity=("DAYS", 8))
