"""ACM: what is not imported, and why it says so."""

import datetime
import pathlib
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import authorities
from authorities import key_pem, new_key, self_signed
from refusals import refused
from test_acm import name

DAY = datetime.timedelta(days=1)


def bring(acm, certificate, key, **more):
    return acm.import_certificate(Certificate=certificate, PrivateKey=key, **more)


def test_it_must_be_valid_now(acm):
    key = new_key()
    with refused("ValidationException", "has expired"):
        bring(acm, self_signed(key, name(), days=1, ago=2 * DAY), key_pem(key))
    with refused("ValidationException", "not in effect yet"):
        bring(acm, self_signed(key, name(), days=9, ago=-DAY), key_pem(key))


def test_the_key_must_be_its_own_and_in_the_clear(acm):
    key = new_key()
    certificate = self_signed(key, name())
    with refused("ValidationException", "private key does not match"):
        bring(acm, certificate, key_pem(new_key()))
    for form in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL):
        sealed = key.private_bytes(
            serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"passphrase")
        )
        with refused("ValidationException", "encrypted"):
            bring(acm, certificate, sealed)
    with refused("ValidationException", "5120"):
        bring(acm, certificate, b"x" * 5121)
    with refused("ValidationException", "PEM"):
        bring(acm, certificate, b"x")


@pytest.mark.parametrize("kind", ["rsa:1024", "ed25519"])
def test_kinds_of_keys_that_are_not_taken(acm, tmp_path, kind):
    certificate, key = by_openssl(tmp_path, kind)
    with refused("ValidationException", "not supported"):
        bring(acm, certificate, key)


@pytest.mark.parametrize("digest", ["sha1", "md5"])
def test_weak_signatures_are_named(acm, tmp_path, digest):
    certificate, key = by_openssl(tmp_path, "rsa:2048", digest)
    with refused("ValidationException", "signed by an algorithm that is not supported"):
        bring(acm, certificate, key)


def by_openssl(folder, kind, digest="sha256"):
    """A certificate that signs itself, and its key, of a kind that the library no longer makes."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", kind, f"-{digest}", "-nodes", "-days", "9", "-subj", "/CN=weak.test"]
        + ["-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    return pathlib.Path(certificate).read_bytes(), key.read_bytes()


def test_the_chain_must_be_whole_and_in_order(acm, pca):
    root = authorities.root(pca, "Import Root")
    middle = authorities.subordinate(pca, root, "Import Middle", path_length=1)
    issuer = authorities.subordinate(pca, middle, "Import Issuer", validity=("YEARS", 4))
    csr, key = authorities.request(name())
    _, answer = authorities.issue(pca, issuer, csr, validity=("DAYS", 9))
    leaf, pem = answer["Certificate"].encode(), key_pem(key)
    chain = x509.load_pem_x509_certificates(answer["CertificateChain"].encode())
    assert len(chain) == 3

    def joined(*certificates):
        return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)

    first, second, third = chain
    for good in (joined(*chain), joined(first, second), joined(first)):
        assert bring(acm, leaf, pem, CertificateChain=good)["CertificateArn"]
    with refused("ValidationException", "index within the chain of the invalid certificate is: 1"):
        bring(acm, leaf, pem, CertificateChain=joined(first, third, second))
    with refused("ValidationException", "Could not validate the certificate with the certificate chain"):
        bring(acm, leaf, pem, CertificateChain=joined(second, first))
    with refused("ValidationException", "not a valid self signed"):
        bring(acm, leaf, pem)
    with refused("ValidationException", "PEM"):
        bring(acm, leaf, pem, CertificateChain=b"no chain")
    with refused("ValidationException", "more than one certificate"):
        bring(acm, leaf + joined(first), pem, CertificateChain=joined(first))


def test_a_certificate_that_signs_itself_needs_no_chain(acm):
    key = new_key("RSA-2048")
    assert bring(acm, self_signed(key, name()), key_pem(key))["CertificateArn"]
