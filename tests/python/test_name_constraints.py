"""Name constraints of an authority's path: what Keystead refuses to issue below it is what OpenSSL would refuse to accept.

Random constraints are put on an authority of Keystead's and, by the same outsider, on a twin whose key the test has. Random
names are asked of the first, and certified by the twin for OpenSSL to judge. `KEYSTEAD_CONSTRAINTS` says for how many authorities.
"""

import ipaddress
import os
import random
import secrets
import subprocess

import botocore.exceptions
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

import revocation
from authorities import create, issue, new_key
from test_pca_outside import Outsider, install, signed_by
from waiting import until

AUTHORITIES = int(os.environ.get("KEYSTEAD_CONSTRAINTS", "8"))
LEAVES = 25
HOSTS = ("a.test", "b.a.test", "c.b.a.test", "xa.test", "b.test", "A.B.test")
BOXES = ("me@", "Me@", "you@")
NETWORKS = ("10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24", "2001:db8::/32", "2001:db8:1::/48")
ADDRESSES = ("10.1.2.3", "10.2.0.1", "192.0.2.9", "2001:db8:1::1", "2001:db8:2::1", "::1")
ORGANIZATIONS = ("Example", "eXample  ", "Other")


def directory(*parts):
    kinds = {"C": NameOID.COUNTRY_NAME, "O": NameOID.ORGANIZATION_NAME, "OU": NameOID.ORGANIZATIONAL_UNIT_NAME, "CN": NameOID.COMMON_NAME}
    return x509.Name([x509.NameAttribute(kinds[kind], value) for kind, value in parts])


def base(dice):
    dot = dice.choice(("", "."))
    return dice.choice(
        (
            lambda: x509.DNSName(dice.choice(HOSTS)),
            lambda: x509.RFC822Name(dice.choice(("", ".", "me@")) + dice.choice(HOSTS)),
            lambda: x509.UniformResourceIdentifier(dot + dice.choice(HOSTS)),
            lambda: x509.IPAddress(ipaddress.ip_network(dice.choice(NETWORKS))),
            lambda: x509.DirectoryName(
                directory(("C", "NL"), *dice.choice(((), (("O", dice.choice(ORGANIZATIONS)),))))
            ),
        )
    )()


def alternative(dice):
    host = dice.choice(HOSTS)
    return dice.choice(
        (
            lambda: x509.DNSName(dice.choice(("", "", "w.")) + host),
            lambda: x509.RFC822Name(dice.choice(BOXES) + host),
            # No user before the host: OpenSSL 3.0 takes him for a part of it.
            lambda: x509.UniformResourceIdentifier(f"https://{host}{dice.choice(('', ':8443'))}/b.test"),
            lambda: x509.IPAddress(ipaddress.ip_address(dice.choice(ADDRESSES))),
            lambda: x509.DirectoryName(subject(dice)),
        )
    )()


def subject(dice):
    organization = [("O", dice.choice(ORGANIZATIONS))] if dice.random() < 0.8 else []
    return directory(
        ("C", dice.choice(("NL", "NL", "NL", "DE"))), *organization, ("CN", dice.choice(("a leaf", "a leaf", dice.choice(HOSTS))))
    )


def some(dice, make, most):
    return [make(dice) for _ in range(dice.randint(0, most))]


def constraints(dice):
    while True:
        permitted, excluded = some(dice, base, 3), some(dice, base, 1)
        if permitted or excluded:
            return x509.NameConstraints(permitted or None, excluded or None)


def openssl_accepts(folder, root, above, leaf):
    for name, certificate in (("root", root), ("above", above), ("leaf", leaf)):
        (folder / name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files = ["-CAfile", folder / "root", "-untrusted", folder / "above", folder / "leaf"]
    ran = subprocess.run(["openssl", "verify", *files], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0 or "subtree violation" in ran.stderr or "name constraint" in ran.stderr, ran.stderr
    return ran.returncode == 0


def request(dice_subject, names, key):
    builder = x509.CertificateSigningRequestBuilder().subject_name(dice_subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def issued(pca, arn, csr):
    """The certificate; `None` where the constraints of the path refuse it."""
    try:
        return issue(pca, arn, csr, validity=("DAYS", 7), signing="SHA256WITHECDSA")[1]["Certificate"]
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "MalformedCSRException", error
        assert "rfc5280_6_1_3_" in str(error), error
        return None


def test_what_is_refused_is_what_openssl_would_refuse(server, tmp_path):
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    dice, pca = random.Random(seed), server.client("acm-pca")
    root, key = Outsider("Outside Constraining"), new_key()
    verdicts = []
    for _ in range(AUTHORITIES):
        limits = constraints(dice)
        arn, twin = create(pca, "Constrained", kind="SUBORDINATE"), Outsider("Twin", root)
        more = [(limits, True)]
        twin.certificate = root.certify(twin.subject, twin.key.public_key(), more=more)
        install(pca, arn, signed_by(root, pca, arn, more=more), root.pem)
        for _ in range(LEAVES):
            names, named = some(dice, alternative, 2), subject(dice)
            sans = [(x509.SubjectAlternativeName(names), False)] if names else []
            leaf = twin.certify(named, key.public_key(), days=7, ca=False, usage=None, more=sans)
            expected = openssl_accepts(tmp_path, root.certificate, twin.certificate, leaf)
            found = issued(pca, arn, request(named, names, key))
            assert (found is not None) == expected, (limits, named, names)
            verdicts.append(expected)
    assert len(set(verdicts)) == 2, "the names were all good or all bad, which says nothing"


@pytest.mark.parametrize("where", ["own", "above"])
def test_constraints_bind_wherever_in_the_path_they_are(server, where):
    pca = server.client("acm-pca")
    limits = [(x509.NameConstraints([x509.DNSName("a.test")], None), True)]
    root = Outsider("Outside ACM")
    arn = create(pca, "Constrained", kind="SUBORDINATE")
    if where == "own":
        install(pca, arn, signed_by(root, pca, arn, more=limits), root.pem)
    else:
        middle = Outsider("Middle", root)
        middle.certificate = root.certify(middle.subject, middle.key.public_key(), more=limits)
        install(pca, arn, signed_by(middle, pca, arn), middle.pem, root.pem)
    assert issued(pca, arn, request(directory(("CN", "b.a.test")), [], new_key()))
    assert not issued(pca, arn, request(directory(("CN", "b.test")), [], new_key()))
    assert not issued(pca, arn, request(directory(("CN", "b.a.test")), [x509.DNSName("*.test")], new_key()))


def test_an_ocsp_signer_has_a_name_that_is_permitted(server):
    """Its name is nobody's choice: it lies below what the authority may name."""
    pca = server.client("acm-pca")
    limits = [(x509.NameConstraints([x509.DirectoryName(directory(("C", "NL"), ("O", "Example")))], None), True)]
    root = Outsider("Outside OCSP")
    arn = create(
        pca,
        "Constrained",
        kind="SUBORDINATE",
        RevocationConfiguration={"OcspConfiguration": {"Enabled": True}},
    )
    own = signed_by(root, pca, arn, more=limits)
    install(pca, arn, own, root.pem)
    permitted = directory(("C", "NL"), ("O", "Example"), ("CN", "leaf"))
    leaf = x509.load_pem_x509_certificate(issued(pca, arn, request(permitted, [], new_key())).encode())
    asking = revocation.asking(leaf, x509.load_pem_x509_certificate(own))

    def answered():
        answer = revocation.ask(revocation.ocsp_url(leaf), asking)
        return answer if answer.response_status == ocsp.OCSPResponseStatus.SUCCESSFUL else None

    answer = until("an OCSP answer", answered)
    assert answer.certificates[0].subject.rfc4514_string().endswith("O=Example,C=NL")
