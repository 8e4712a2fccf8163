"""Weak keys are refused wherever one comes in: in requests, with imported certificates and authorities, in trust
anchors. Rules on keys alone have their tables of examples among the Rust tests of keystead-core."""

import functools
import hashlib

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import authorities
import weak_keys
from server import Server, StartFailure

KINDS = {
    "roca": (weak_keys.roca, "cabf_br_6_1_1_3_roca"),
    "close_primes": (weak_keys.close_primes, "cabf_br_6_1_1_3_close_primes"),
    "published": (weak_keys.published, "cabf_br_6_1_1_3_known_key"),
}
CA_USAGES = [
    (x509.BasicConstraints(ca=True, path_length=None), True),
    (
        x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
        ),
        True,
    ),
]  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def weak(request):
    """(a weak key, the rule that it breaks)"""
    make, rule = KINDS[request.param]
    return make(), rule


def refused(code, rule, call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    assert error["Code"] == code and rule in error["Message"], error
    return error["Message"]


def test_in_a_signing_request(pca, root, weak):
    key, rule = weak
    csr, _ = authorities.request(key=key)
    refused(
        "MalformedCSRException", rule, pca.issue_certificate, CertificateAuthorityArn=root, Csr=csr,
        SigningAlgorithm="SHA256WITHECDSA", Validity={"Type": "DAYS", "Value": 3},
    )  # fmt: skip


def test_with_an_imported_certificate(acm, weak, name):
    key, rule = weak
    certificate = authorities.self_signed(key, f"{name}.example.com")
    refused(
        "ValidationException", rule, acm.import_certificate, Certificate=certificate, PrivateKey=authorities.key_pem(key)
    )


def test_above_an_authority(pca, weak, name):
    """A sound key does not help an authority that hangs on a weak one."""
    key, rule = weak
    said = refused("MalformedCertificateException", rule, sign_elsewhere(pca, name, key))
    assert "Certificate 1 of the chain" in said


def test_an_authority_that_would_break_rfc_5280(pca, name):
    """What an authority is to work under is linted, though somebody else signed it."""
    key = authorities.new_key()
    sign_elsewhere(pca, name, key)()
    rule = "rfc5280_4_2_1_2_subject_key_id"
    refused("MalformedCertificateException", rule, sign_elsewhere(pca, name, key, with_key_id=False))


def sign_elsewhere(pca, name, key, with_key_id=True):
    """Has a new authority certified by one that is not Keystead's; imports it when called."""
    subordinate = authorities.create(pca, name, kind="SUBORDINATE")
    above = authorities.parse(authorities.self_signed(key, f"Above {name}", usages=CA_USAGES))
    request = x509.load_pem_x509_csr(authorities.csr_of(pca, subordinate))
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(above.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(above.not_valid_before_utc)
        .not_valid_after(above.not_valid_after_utc)
    )
    if with_key_id:
        key_id = x509.SubjectKeyIdentifier.from_public_key(request.public_key())
        builder = builder.add_extension(key_id, critical=False)
    for extension, critical in CA_USAGES:
        builder = builder.add_extension(extension, critical)
    certificate = builder.sign(key, authorities.hashes.SHA256())
    pem = serialization.Encoding.PEM
    return functools.partial(
        pca.import_certificate_authority_certificate,
        CertificateAuthorityArn=subordinate,
        Certificate=certificate.public_bytes(pem),
        CertificateChain=above.public_bytes(pem),
    )


def test_in_a_trust_anchor(rolesanywhere, weak, name):
    key, rule = weak
    pem = authorities.self_signed(key, f"Anchor {name}", usages=CA_USAGES).decode()
    source = {"sourceType": "CERTIFICATE_BUNDLE", "sourceData": {"x509CertificateData": pem}}
    refused("ValidationException", rule, rolesanywhere.create_trust_anchor, name=name, source=source)


def test_the_operators_lists(tmp_path):
    """One in each form: SHA-256 of a SubjectPublicKeyInfo, and a line of Debian's openssl-blacklist."""
    elliptic, rsa = authorities.new_key(), authorities.new_key("RSA-2048")
    spki = elliptic.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    printed = f"Modulus={rsa.public_key().public_numbers().n:X}\n"
    leaked, debian = tmp_path / "leaked.txt", tmp_path / "blacklist.RSA-2048"
    leaked.write_text(f"# leaked\n{hashlib.sha256(spki).hexdigest()}\n")
    debian.write_text(hashlib.sha1(printed.encode()).hexdigest()[20:] + "\n")
    config = tmp_path / "keystead.toml"
    config.write_text(f'compromised_keys = ["{leaked}", "{debian}"]\n')
    server = Server(tmp_path, "--config", str(config)).start()
    try:
        pca = server.client("acm-pca")
        root = authorities.root(pca, "Careful")
        for key, rule in ((elliptic, "cabf_br_6_1_1_3_known_key"), (rsa, "cabf_br_6_1_1_3_debian_weak_key")):
            test_in_a_signing_request(pca, root, (key, rule))
        authorities.issue(pca, root, authorities.request()[0])
    finally:
        server.kill()


def test_a_list_that_is_none_stops_the_start(tmp_path):
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("# keys\nnot a fingerprint\n")
    config = tmp_path / "keystead.toml"
    config.write_text(f'compromised_keys = ["{wrong}"]\n')
    with pytest.raises(StartFailure) as failure:
        Server(tmp_path, "--config", str(config)).start()
    assert f"{wrong}: line 2 is not a fingerprint" in failure.value.said
