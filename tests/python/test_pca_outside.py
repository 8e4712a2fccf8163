"""ACM-PCA and the world outside: what an authority asks for, and certificates that somebody else signed for it."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import NameOID, ObjectIdentifier

import authorities
from authorities import bundle, create, csr_of, issue, new_key, parse, request
from refusals import refused

DAY = datetime.timedelta(days=1)
CERTIFIES = x509.KeyUsage(
    digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
)  # fmt: skip


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Outsider:
    """An authority that Keystead knows nothing of."""

    def __init__(self, text, above=None, path_length=None, key=None):
        self.key, self.subject = key or new_key(), name(text)
        self.above = above or self
        self.certificate = self.above.certify(self.subject, self.key.public_key(), path_length)

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def certify(self, subject, key, path_length=None, days=100, ca=True, more=(), usage=CERTIFIES, **how):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 200 * DAY)
            .not_valid_after(now + days * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length if ca else None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        if usage:
            builder = builder.add_extension(usage, critical=True)
        for extension, critical in more:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256(), **how)


@pytest.fixture(scope="module")
def outside():
    return Outsider("Outside Root")


def signed_by(issuer, pca, arn, **more):
    """The authority's certificate by an outsider, in PEM."""
    csr = x509.load_pem_x509_csr(csr_of(pca, arn))
    assert csr.is_signature_valid
    return issuer.certify(csr.subject, csr.public_key(), **more).public_bytes(serialization.Encoding.PEM)


def install(pca, arn, certificate, *chain):
    more = {"CertificateChain": b"".join(chain)} if chain else {}
    pca.import_certificate_authority_certificate(CertificateAuthorityArn=arn, Certificate=certificate, **more)


@pytest.mark.parametrize("key", ["EC_prime256v1", "RSA_2048", "EC_secp521r1"])
def test_an_authority_works_under_an_outsiders_certificate(pca, outside, key):
    middle = Outsider("Outside Middle", outside)
    arn = create(pca, "Inside", key, kind="SUBORDINATE")
    install(pca, arn, signed_by(middle, pca, arn, path_length=0), middle.pem, outside.pem)
    described = pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]
    assert described["Status"] == "ACTIVE"
    answer = pca.get_certificate_authority_certificate(CertificateAuthorityArn=arn)
    own = parse(answer["Certificate"])
    assert bundle(answer["CertificateChain"]) == [middle.certificate, outside.certificate]
    assert int(described["Serial"]) == own.serial_number
    _, answer = issue(pca, arn, request()[0], validity=("DAYS", 9))
    assert bundle(answer["CertificateChain"]) == [own, middle.certificate, outside.certificate]
    parse(answer["Certificate"]).verify_directly_issued_by(own)
    with refused("ValidationException", "exceeds the certificate authority validity"):
        issue(pca, arn, request()[0], validity=("DAYS", 101))


def test_an_outsider_may_sign_with_pss(pca):
    outsider = Outsider("Outside PSS", key=new_key("RSA-2048"))
    arn = create(pca, "Inside PSS", kind="SUBORDINATE")
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    install(pca, arn, signed_by(outsider, pca, arn, rsa_padding=pss), outsider.pem)
    issue(pca, arn, request()[0], validity=("DAYS", 9))


CONSTRAINED = x509.NameConstraints([x509.DNSName("example.internal")], None)
UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.55555.9"), b"\x05\x00")


@pytest.mark.parametrize(
    ("code", "text", "how"),
    [
        ("MalformedCertificateException", "CA:TRUE", {"ca": False}),
        ("MalformedCertificateException", "expired", {"days": -1}),
        ("MalformedCertificateException", "not supported", {"more": [(UNKNOWN, True)]}),
    ],
)
def test_certificates_that_make_no_authority(pca, outside, code, text, how):
    arn = create(pca, "Inside", kind="SUBORDINATE")
    with refused(code, text):
        install(pca, arn, signed_by(outside, pca, arn, **how), outside.pem)


def test_an_extension_that_may_be_critical_may(pca, outside):
    arn = create(pca, "Inside", kind="SUBORDINATE")
    install(pca, arn, signed_by(outside, pca, arn, more=[(CONSTRAINED, True), (UNKNOWN, False)]), outside.pem)
    issue(pca, arn, request()[0], validity=("DAYS", 9))


def test_what_does_not_belong_together(pca, outside):
    arn = create(pca, "Inside", kind="SUBORDINATE")
    middle = Outsider("Outside Middle", outside, path_length=0)
    certificate = signed_by(outside, pca, arn)
    other = Outsider("Outside Other")
    with refused("InvalidRequestException", "chain must be supplied"):
        install(pca, arn, certificate)
    with refused("CertificateMismatchException"):
        install(pca, arn, certificate, other.pem)
    with refused("CertificateMismatchException"):
        # The wrong order.
        install(pca, arn, signed_by(middle, pca, arn), outside.pem, middle.pem)
    with refused("CertificateMismatchException", "fewer authorities"):
        lower = Outsider("Outside Lower", middle)
        install(pca, arn, signed_by(lower, pca, arn), lower.pem, middle.pem, outside.pem)
    with refused("CertificateMismatchException"):
        # Somebody else's key.
        stranger = outside.certify(name("Inside"), new_key().public_key())
        install(pca, arn, stranger.public_bytes(serialization.Encoding.PEM), outside.pem)
    with refused("CertificateMismatchException"):
        install(pca, arn, outside.pem, outside.pem)
    with refused("MalformedCertificateException"):
        install(pca, arn, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", outside.pem)
    root = create(pca, "Root Inside")
    with refused("InvalidRequestException", "self-signed"):
        install(pca, root, signed_by(outside, pca, root))


def test_a_request_asks_for_what_was_configured(pca):
    """CsrExtensions: key usages, and where more is to be learnt."""
    places = [
        ({"AccessMethodType": "CA_REPOSITORY"}, "1.3.6.1.5.5.7.48.5"),
        ({"AccessMethodType": "RESOURCE_PKI_MANIFEST"}, "1.3.6.1.5.5.7.48.10"),
        ({"AccessMethodType": "RESOURCE_PKI_NOTIFY"}, "1.3.6.1.5.5.7.48.13"),
        ({"CustomObjectIdentifier": "1.3.6.1.4.1.55555.8"}, "1.3.6.1.4.1.55555.8"),
    ]
    wanted = {
        "KeyUsage": {"KeyCertSign": True, "CRLSign": True},
        "SubjectInformationAccess": [
            {"AccessMethod": method, "AccessLocation": {"UniformResourceIdentifier": f"https://ca.example.internal/{n}"}}
            for n, (method, _) in enumerate(places)
        ],
    }
    configuration = {
        "KeyAlgorithm": "EC_prime256v1",
        "SigningAlgorithm": "SHA256WITHECDSA",
        "Subject": {"CommonName": "Asks"},
        "CsrExtensions": wanted,
    }
    arn = pca.create_certificate_authority(
        CertificateAuthorityConfiguration=configuration, CertificateAuthorityType="SUBORDINATE"
    )["CertificateAuthorityArn"]
    csr = x509.load_pem_x509_csr(csr_of(pca, arn))
    usage = csr.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical and usage.value.key_cert_sign and usage.value.crl_sign
    assert not usage.value.digital_signature
    access = csr.extensions.get_extension_for_class(x509.SubjectInformationAccess).value
    found = [(place.access_method.dotted_string, place.access_location.value) for place in access]
    assert found == [(oid, f"https://ca.example.internal/{n}") for n, (_, oid) in enumerate(places)]
    described = pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]
    shown = described["CertificateAuthorityConfiguration"]["CsrExtensions"]
    assert shown["SubjectInformationAccess"] == wanted["SubjectInformationAccess"]
    assert {bit for bit, set_ in shown["KeyUsage"].items() if set_} == {"KeyCertSign", "CRLSign"}
    # A request passed through keeps what it asks for, where the template leaves room.
    template = f"{authorities.TEMPLATES}BlankSubordinateCACertificate_PathLen0_CSRPassthrough/V1"
    _, answer = issue(pca, authorities.root(pca, "Above"), csr_of(pca, arn), template, ("DAYS", 30))
    certificate = parse(answer["Certificate"])
    assert certificate.extensions.get_extension_for_class(x509.SubjectInformationAccess).value == access
    assert certificate.extensions.get_extension_for_class(x509.KeyUsage).value == usage.value


@pytest.mark.parametrize(
    "access",
    [
        {"AccessMethod": {}, "AccessLocation": {"UniformResourceIdentifier": "https://a.internal/"}},
        {
            "AccessMethod": {"AccessMethodType": "CA_REPOSITORY", "CustomObjectIdentifier": "1.2.3"},
            "AccessLocation": {"UniformResourceIdentifier": "https://a.internal/"},
        },
        {"AccessMethod": {"AccessMethodType": "CA_REPOSITORY"}, "AccessLocation": {}},
        {
            "AccessMethod": {"AccessMethodType": "CA_REPOSITORY"},
            "AccessLocation": {"UniformResourceIdentifier": "https://a.internal/", "DnsName": "a.internal"},
        },
    ],
)
def test_an_access_is_described_in_one_way(pca, access):
    configuration = {
        "KeyAlgorithm": "EC_prime256v1",
        "SigningAlgorithm": "SHA256WITHECDSA",
        "Subject": {"CommonName": "Asks"},
        "CsrExtensions": {"SubjectInformationAccess": [access]},
    }
    with refused("InvalidArgsException"):
        pca.create_certificate_authority(
            CertificateAuthorityConfiguration=configuration, CertificateAuthorityType="ROOT"
        )


REASONS = [
    "UNSPECIFIED",
    "KEY_COMPROMISE",
    "CERTIFICATE_AUTHORITY_COMPROMISE",
    "AFFILIATION_CHANGED",
    "SUPERSEDED",
    "CESSATION_OF_OPERATION",
    "PRIVILEGE_WITHDRAWN",
    "A_A_COMPROMISE",
]


@pytest.mark.parametrize("reason", REASONS)
def test_a_certificate_is_revoked_for_each_reason(pca, root, reason):
    _, answer = issue(pca, root, request()[0])
    serial = f"{parse(answer['Certificate']).serial_number:x}"
    revoke = {"CertificateAuthorityArn": root, "CertificateSerial": serial, "RevocationReason": reason}
    pca.revoke_certificate(**revoke)
    with refused("RequestAlreadyProcessedException"):
        pca.revoke_certificate(**revoke)


def test_what_cannot_be_revoked(pca):
    arn = authorities.root(pca, "Not revoked")
    own = parse(pca.get_certificate_authority_certificate(CertificateAuthorityArn=arn)["Certificate"])
    revoke = {"CertificateAuthorityArn": arn, "RevocationReason": "SUPERSEDED"}
    with refused("InvalidRequestException", "cannot revoke a root CA"):
        pca.revoke_certificate(CertificateSerial=f"{own.serial_number:x}", **revoke)
    with refused("InvalidRequestException", "not a hexadecimal number"):
        pca.revoke_certificate(CertificateSerial="nonsense", **revoke)
    with refused("ResourceNotFoundException"):
        pca.revoke_certificate(CertificateSerial="01:23", **revoke)
