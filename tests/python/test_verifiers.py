"""Three verifiers that are not ours accept every certificate: OpenSSL with -x509_strict, GnuTLS, and
Python's cryptography (rustls-webpki's verdict is among the Rust tests of keystead-crypto)."""

import datetime
import subprocess

import pytest
from cryptography.x509 import DNSName, load_pem_x509_certificate
from cryptography.x509.verification import PolicyBuilder, Store

import authorities
from authorities import ALGORITHMS, bundle, issue, request

# The algorithms of Debian's OpenSSL 3.0 and GnuTLS 3.7, which have no ML-DSA; Python's cryptography verifies
# chains of RSA and ECDSA.
CLASSIC = [key for key in ALGORITHMS if not key.startswith("ML_DSA")]
DOMAIN = "verified.example.internal"


@pytest.fixture(scope="module", params=CLASSIC)
def chain(request, pca, tmp_path_factory):
    """Files of a chain root, subordinate, leaf under one key algorithm: (folder, leaf answer)."""
    key = request.param
    folder = tmp_path_factory.mktemp(key)
    top = authorities.root(pca, f"Verified Root {key}", key)
    middle = authorities.subordinate(pca, top, f"Verified Sub {key}", key=key)
    csr, _ = authorities.request(DOMAIN, alternatives=[DOMAIN])
    _, answer = issue(pca, middle, csr)
    (folder / "leaf.pem").write_text(answer["Certificate"])
    below, above = (c.public_bytes(authorities.serialization.Encoding.PEM) for c in bundle(answer["CertificateChain"]))
    (folder / "sub.pem").write_bytes(below)
    (folder / "root.pem").write_bytes(above)
    (folder / "all.pem").write_bytes(answer["Certificate"].encode().rstrip() + b"\n" + below + above)
    return folder


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_openssl(chain):
    # Security level 1: SHA-1 appears nowhere, and every key is far above the level's floor.
    ran = run(
        "openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", DOMAIN,
        "-CAfile", chain / "root.pem", "-untrusted", chain / "sub.pem", chain / "leaf.pem",
    )  # fmt: skip
    assert ran.returncode == 0 and ran.stdout.strip().endswith("OK"), ran.stdout + ran.stderr
    lone = run("openssl", "verify", "-x509_strict", "-CAfile", chain / "root.pem", chain / "root.pem")
    assert lone.returncode == 0, lone.stdout + lone.stderr


def test_gnutls(chain):
    ran = run(
        "certtool", "--verify", "--infile", chain / "all.pem", "--load-ca-certificate", chain / "root.pem",
        "--verify-hostname", DOMAIN, "--verify-purpose", "1.3.6.1.5.5.7.3.1",
    )  # fmt: skip
    assert ran.returncode == 0 and "Chain verification output: Verified." in ran.stdout, ran.stdout + ran.stderr


def test_python(chain):
    root, sub, leaf = (load_pem_x509_certificate((chain / f"{n}.pem").read_bytes()) for n in ("root", "sub", "leaf"))
    moment = datetime.datetime.now(datetime.timezone.utc)
    verifier = PolicyBuilder().store(Store([root])).time(moment).build_server_verifier(DNSName(DOMAIN))
    assert verifier.verify(leaf, [sub]) == [leaf, sub, root]


def test_a_verifier_can_say_no(chain, pca):
    """The same commands refuse a stranger: they are not always content."""
    stranger = authorities.root(pca, "Stranger")
    other = chain / "stranger.pem"
    other.write_text(pca.get_certificate_authority_certificate(CertificateAuthorityArn=stranger)["Certificate"])
    assert run("openssl", "verify", "-CAfile", other, chain / "leaf.pem").returncode != 0
    ran = run("certtool", "--verify", "--infile", chain / "all.pem", "--load-ca-certificate", other)
    assert ran.returncode != 0


def test_ml_dsa_certificates_name_their_algorithm(pca):
    """OIDs of NIST's CSOR for ML-DSA (RFC 9881 section 2), since no verifier at hand knows them."""
    for key, oid in (
        ("ML_DSA_44", "2.16.840.1.101.3.4.3.17"),
        ("ML_DSA_65", "2.16.840.1.101.3.4.3.18"),
        ("ML_DSA_87", "2.16.840.1.101.3.4.3.19"),
    ):
        top = authorities.root(pca, f"Lattice {key}", key)
        _, answer = issue(pca, top, request()[0])
        assert authorities.parse(answer["Certificate"]).signature_algorithm_oid.dotted_string == oid
