"""ACM-PCA: issuing. Templates, validity, requests, serial numbers, and what is refused."""

import base64
import datetime
import secrets

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import authorities
from authorities import NEVER_EXISTED, TEMPLATES, csr_of, issue, parse, request
from refusals import refused

DAY = datetime.timedelta(days=1)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def extension(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind)


def test_a_leaf_is_what_its_template_says(pca, root):
    csr, key = request("leaf.example.internal", alternatives=["leaf.example.internal", "www.example.internal"])
    arn, answer = issue(pca, root, csr)
    assert arn.startswith(root + "/certificate/")
    leaf = parse(answer["Certificate"])
    issuer = parse(pca.get_certificate_authority_certificate(CertificateAuthorityArn=root)["Certificate"])
    assert int(arn.rpartition("/")[2], 16) == leaf.serial_number
    assert leaf.public_key() == key.public_key()
    assert leaf.issuer == issuer.subject
    assert parse(answer["CertificateChain"]) == issuer
    leaf.verify_directly_issued_by(issuer)
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "leaf.example.internal"
    names = extension(leaf, x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    assert names == ["leaf.example.internal", "www.example.internal"]
    assert extension(leaf, x509.BasicConstraints).value.ca is False
    usage = extension(leaf, x509.KeyUsage)
    # RFC 8813 section 3: an ECDSA key enciphers no keys, whatever the template says for RSA.
    assert usage.critical and usage.value.digital_signature and not usage.value.key_encipherment
    assert not usage.value.key_cert_sign
    purposes = set(extension(leaf, x509.ExtendedKeyUsage).value)
    assert purposes == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    issuer_key = extension(issuer, x509.SubjectKeyIdentifier).value.digest
    assert extension(leaf, x509.AuthorityKeyIdentifier).value.key_identifier == issuer_key
    assert extension(leaf, x509.SubjectKeyIdentifier).value.digest


@pytest.mark.parametrize(
    ("template", "purpose"),
    [
        ("EndEntityClientAuthCertificate", ExtendedKeyUsageOID.CLIENT_AUTH),
        ("EndEntityServerAuthCertificate", ExtendedKeyUsageOID.SERVER_AUTH),
        ("CodeSigningCertificate", ExtendedKeyUsageOID.CODE_SIGNING),
        ("OCSPSigningCertificate", ExtendedKeyUsageOID.OCSP_SIGNING),
    ],
)
def test_end_entity_templates_set_their_purpose(pca, root, template, purpose):
    _, answer = issue(pca, root, request()[0], f"{TEMPLATES}{template}/V1")
    assert list(extension(parse(answer["Certificate"]), x509.ExtendedKeyUsage).value) == [purpose]


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_subordinate_templates_set_their_path_length(pca, root, length):
    arn = authorities.create(pca, f"Sub {length}", kind="SUBORDINATE")
    template = f"{TEMPLATES}SubordinateCACertificate_PathLen{length}/V1"
    _, answer = issue(pca, root, csr_of(pca, arn), template, ("YEARS", 1))
    certificate = parse(answer["Certificate"])
    constraints = extension(certificate, x509.BasicConstraints)
    assert constraints.critical and (constraints.value.ca, constraints.value.path_length) == (True, length)
    usage = extension(certificate, x509.KeyUsage).value
    assert usage.key_cert_sign and usage.crl_sign


def test_a_path_length_leaves_no_room_for_another_below_zero(pca, root):
    zero = authorities.subordinate(pca, root, "Zero")
    arn = authorities.create(pca, "Below zero", kind="SUBORDINATE")
    template = f"{TEMPLATES}SubordinateCACertificate_PathLen0/V1"
    with refused("ValidationException"):
        issue(pca, zero, csr_of(pca, arn), template, ("DAYS", 30))


def test_the_default_template_is_an_end_entity(pca, root):
    arn = pca.issue_certificate(
        CertificateAuthorityArn=root,
        Csr=request()[0],
        SigningAlgorithm="SHA256WITHECDSA",
        Validity={"Type": "DAYS", "Value": 1},
    )["CertificateArn"]
    answer = pca.get_certificate(CertificateAuthorityArn=root, CertificateArn=arn)
    assert extension(parse(answer["Certificate"]), x509.BasicConstraints).value.ca is False


def test_validity_in_days_months_and_years(pca, root):
    for kind, value, low, high in (
        ("DAYS", 10, 10, 10),
        ("MONTHS", 2, 59, 62),
        ("YEARS", 1, 365, 366),
    ):
        _, answer = issue(pca, root, request()[0], validity=(kind, value))
        leaf = parse(answer["Certificate"])
        # AWS sets the start an hour back, for clocks that lag (IssueCertificate, "ValidityNotBefore").
        assert datetime.timedelta(0) <= now() - leaf.not_valid_before_utc <= datetime.timedelta(hours=1, minutes=2)
        left = leaf.not_valid_after_utc - now()
        assert low * DAY - datetime.timedelta(minutes=2) <= left <= high * DAY + datetime.timedelta(minutes=2), kind


def test_validity_until_a_moment(pca, root):
    end = (now() + 20 * DAY).replace(microsecond=0)
    _, answer = issue(pca, root, request()[0], validity=("ABSOLUTE", int(end.timestamp())))
    assert parse(answer["Certificate"]).not_valid_after_utc == end
    written = int(end.strftime("%Y%m%d%H%M%S"))
    _, answer = issue(pca, root, request()[0], validity=("END_DATE", written))
    assert parse(answer["Certificate"]).not_valid_after_utc == end


def test_validity_from_a_moment(pca, root):
    begin = (now() + 2 * DAY).replace(microsecond=0)
    _, answer = issue(
        pca, root, request()[0], ValidityNotBefore={"Type": "ABSOLUTE", "Value": int(begin.timestamp())}
    )
    assert parse(answer["Certificate"]).not_valid_before_utc == begin


def test_never_past_the_end_of_the_authority(pca):
    short = authorities.root(pca, "Ends soon", validity=("DAYS", 10))
    with refused("ValidationException"):
        issue(pca, short, request()[0], validity=("DAYS", 11))
    issue(pca, short, request()[0], validity=("DAYS", 9))


@pytest.mark.parametrize("validity", [("DAYS", 10**9), ("ABSOLUTE", 1), ("END_DATE", 20201332000000)])
def test_a_validity_that_makes_no_sense_is_refused(pca, root, validity):
    with refused("ValidationException"):
        issue(pca, root, request()[0], validity=validity)


@pytest.mark.parametrize("form", ["pem", "der", "base64 of pem", "base64 of der", "crlf", "blanks"])
def test_a_request_comes_in_many_forms(pca, root, form):
    pem, key = request()
    der = x509.load_pem_x509_csr(pem).public_bytes(serialization.Encoding.DER)
    csr = {
        "pem": pem,
        "der": der,
        "base64 of pem": base64.b64encode(pem),
        "base64 of der": base64.b64encode(der),
        "crlf": pem.replace(b"\n", b"\r\n"),
        "blanks": pem.replace(b"\n", b" "),
    }[form]
    _, answer = issue(pca, root, csr)
    assert parse(answer["Certificate"]).public_key() == key.public_key()


def test_an_rsa_key_may_encipher_keys(pca, root):
    _, answer = issue(pca, root, request(key=authorities.new_key("RSA-2048"))[0])
    usage = extension(parse(answer["Certificate"]), x509.KeyUsage).value
    assert usage.digital_signature and usage.key_encipherment


@pytest.mark.parametrize("kind", ["RSA-2048", "RSA-3072", "P-256", "P-384", "P-521"])
def test_subjects_may_have_other_keys_than_the_authority(pca, root, kind):
    csr, key = request(key=authorities.new_key(kind))
    _, answer = issue(pca, root, csr)
    assert parse(answer["Certificate"]).public_key() == key.public_key()


def test_a_request_that_is_none_is_refused(pca, root):
    good = request()[0]
    der = bytearray(x509.load_pem_x509_csr(good).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    for csr in (b"nonsense", good[: len(good) // 2], bytes(der), b"\x30\x80" + b"\x00" * 40):
        with refused("MalformedCSRException"):
            issue(pca, root, csr)


def test_a_signature_of_another_family_is_refused(pca, root):
    with refused("InvalidArgsException"):
        issue(pca, root, request()[0], signing="SHA256WITHRSA")


def test_a_template_that_nobody_knows_is_refused(pca, root):
    with refused("InvalidArgsException"):
        issue(pca, root, request()[0], f"{TEMPLATES}NoSuchCertificate/V1")


def test_a_subordinate_signs_no_root(pca, root):
    sub = authorities.subordinate(pca, root, "No root")
    with refused("InvalidArgsException"):
        issue(pca, sub, csr_of(pca, sub), authorities.ROOT_TEMPLATE)


def test_a_root_signs_itself_alone_by_the_root_template(pca, root):
    with refused("InvalidArgsException"):
        issue(pca, root, request()[0], authorities.ROOT_TEMPLATE)


def test_the_same_token_issues_once(pca, root):
    csr, token = request()[0], secrets.token_hex(8)
    first, _ = issue(pca, root, csr, IdempotencyToken=token)
    assert issue(pca, root, csr, IdempotencyToken=token)[0] == first
    assert issue(pca, root, csr)[0] != first


def test_serial_numbers_are_long_and_never_repeat(pca, root):
    csr = request()[0]
    serials = {parse(issue(pca, root, csr)[1]["Certificate"]).serial_number for _ in range(20)}
    assert len(serials) == 20
    # RFC 5280 section 4.1.2.2: positive, at most 20 octets; ours carry at least 120 random bits.
    assert all(1 << 100 < serial < 1 << 159 for serial in serials)


def test_subject_and_names_from_the_call(pca, root):
    passthrough = {
        "Subject": {"CommonName": "From The Call", "Organization": "Caller"},
        "Extensions": {
            "SubjectAlternativeNames": [{"DnsName": "call.example.internal"}, {"IpAddress": "192.0.2.7"}],
            "ExtendedKeyUsage": [{"ExtendedKeyUsageType": "CLIENT_AUTH"}],
        },
    }
    template = f"{TEMPLATES}EndEntityCertificate_APIPassthrough/V1"
    _, answer = issue(pca, root, request()[0], template, ApiPassthrough=passthrough)
    leaf = parse(answer["Certificate"])
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "From The Call"
    names = extension(leaf, x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["call.example.internal"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7"]


def test_what_cannot_be_fetched(pca, root):
    unknown = f"{root}/certificate/{secrets.token_hex(16)}"
    with refused("ResourceNotFoundException"):
        pca.get_certificate(CertificateAuthorityArn=root, CertificateArn=unknown)
    with refused("InvalidArnException"):
        pca.get_certificate(CertificateAuthorityArn=root, CertificateArn=root)
    arn, _ = issue(pca, root, request()[0])
    with refused("InvalidArnException"):
        pca.get_certificate(CertificateAuthorityArn=NEVER_EXISTED, CertificateArn=arn)
    with refused("ResourceNotFoundException"):
        pca.get_certificate(CertificateAuthorityArn=NEVER_EXISTED, CertificateArn=arn.replace(root, NEVER_EXISTED))
    with refused("ResourceNotFoundException"):
        issue(pca, NEVER_EXISTED, request()[0], signing="SHA256WITHECDSA")


def colons(serial):
    text = f"{serial:x}"
    return ":".join(text[i : i + 2] for i in range(0, len(text), 2))


def test_revocation_is_recorded_once(pca, root):
    arn, answer = issue(pca, root, request()[0])
    serial = colons(parse(answer["Certificate"]).serial_number)
    revoke = {"CertificateAuthorityArn": root, "CertificateSerial": serial, "RevocationReason": "KEY_COMPROMISE"}
    pca.revoke_certificate(**revoke)
    with refused("RequestAlreadyProcessedException"):
        pca.revoke_certificate(**revoke)
    # Revoked is not gone.
    assert pca.get_certificate(CertificateAuthorityArn=root, CertificateArn=arn)["Certificate"]
    with refused("ResourceNotFoundException"):
        pca.revoke_certificate(**(revoke | {"CertificateSerial": colons(secrets.randbits(120))}))
