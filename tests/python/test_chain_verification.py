"""Chains that RFC 5280 section 6.1 refuses, shown to what verifies chains in Keystead: Roles Anywhere, which trusts
what they lead to. NIST's PKITS (from the package cryptography_vectors) beside a table of our own.

That storing a chain asks less (ACM's ImportCertificate, which relies on nothing) is in test_acm_imports.py.
"""

import datetime
import pathlib
import re
import subprocess

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

import authorities
from test_rolesanywhere import bundle
from test_rolesanywhere_sessions import trusting
from workloads import Refused, Workload

PEM = serialization.Encoding.PEM
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
DAY = datetime.timedelta(days=1)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.9"), b"\x05\x00")


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Holder:
    """A certificate and its key; what is not said is as it should be."""

    def __init__(self, name, issuer=None, *, ca=True, path=None, signs=True, begin=-DAY, end=DAY, constraints=True,
                 issued_as=None, signer=None, issuer_id=None, more=(), key=None):  # fmt: skip
        self.name, self.key = named(name), key or authorities.new_key()
        above = issuer or self
        signer = signer or above.key
        issuer_id = issuer_id or above.key
        usage = [ca, False, False, False, False, signs and ca, signs and ca, False, False]
        usage[0] = True
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(named(issued_as) if issued_as else above.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + begin)
            .not_valid_after(NOW + end)
            .add_extension(x509.KeyUsage(*usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_id.public_key()), critical=False
            )
        )
        if constraints:
            builder = builder.add_extension(x509.BasicConstraints(ca, path), critical=True)
        for extension, critical in more:
            builder = builder.add_extension(extension, critical)
        self.certificate = builder.sign(signer, hashes.SHA256())


class Door:
    """Where chains are shown: a role of Roles Anywhere."""

    def __init__(self, server, name):
        self.server, self.name, self.anchors = server, name, 0
        iam, self.roles = server.client("iam"), server.client("rolesanywhere")
        self.role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusting())["Role"]["Arn"]
        self.profile = self.roles.create_profile(name=name, roleArns=[self.role], enabled=True)["profile"]["profileArn"]

    def anchor(self, root):
        self.anchors += 1
        source = bundle(root.public_bytes(PEM).decode())
        made = self.roles.create_trust_anchor(name=f"{self.name}{self.anchors}", source=source, enabled=True)
        return made["trustAnchor"]["trustAnchorArn"]

    def refusal(self, anchor, leaf, key, chain):
        """Why it stays closed; None where it opens."""
        where = {"profileArn": self.profile, "roleArn": self.role, "trustAnchorArn": anchor}
        try:
            Workload(self.server, leaf, key, chain).create_session(where)
        except Refused as refused:
            assert refused.status in (400, 403), refused
            return refused.message
        return None


@pytest.fixture(scope="module")
def door(server):
    return Door(server, "ChainVerification")


def chain_of(*holders):
    """Leaf first, root last, as (leaf, key, between, root)."""
    leaf, *between, root = holders
    return leaf.certificate, leaf.key, [h.certificate for h in between], root.certificate


def under(root=None, middle=None, leaf=None):
    """Root, middle and leaf, each with what is odd about it."""
    root = Holder("Root", **(root or {}))
    middle = Holder("Middle", root, **(middle or {}))
    return chain_of(Holder("Leaf", middle, **({"ca": False} | (leaf or {}))), middle, root)


def too_many_authorities():
    root = Holder("Root")
    first = Holder("First", root, path=0)
    second = Holder("Second", first)
    return chain_of(Holder("Leaf", second, ca=False), second, first, root)


def rolled_over():
    """A root of path length 0 certifies its next key: that is self-issued, and does not count."""
    root = Holder("Root", path=0)
    following = Holder("Root", root)
    return chain_of(Holder("Leaf", following, ca=False), following, root)


def by_openssl(*options):
    """A middle without extensions, which OpenSSL makes version 1, or signed in a way of old."""

    def make(tmp_path):
        root = Holder("Root")
        key = authorities.new_key()
        request = x509.CertificateSigningRequestBuilder().subject_name(named("Middle")).sign(key, hashes.SHA256())
        for name, text in (
            ("csr", request.public_bytes(PEM)),
            ("root", root.certificate.public_bytes(PEM)),
            ("key", authorities.key_pem(root.key)),
            ("ext", b"basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"),
        ):
            (tmp_path / name).write_bytes(text)
        command = ["openssl", "x509", "-req", "-in", "csr", "-CA", "root", "-CAkey", "key", "-days", "1", *options]
        made = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60)
        assert made.returncode == 0, made.stderr
        middle = Holder("Middle", root, key=key)
        middle.certificate = x509.load_pem_x509_certificate(made.stdout)
        return chain_of(Holder("Leaf", middle, ca=False), middle, root)

    return make


def circle():
    """Two authorities that certify each other, and nobody who certifies them."""
    one, other = Holder("One"), Holder("Other")
    first, second = Holder("One", other, key=one.key), Holder("Other", one, key=other.key)
    leaf = Holder("Leaf", one, ca=False)
    return leaf.certificate, leaf.key, [first.certificate, second.certificate], Holder("Root").certificate


def tampered():
    leaf, key, between, root = under()
    der = bytearray(leaf.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_certificate(bytes(der)), key, between, root


EXCLUDED = x509.NameConstraints(None, [x509.DirectoryName(named("Leaf"))])
# What is wrong -> (the clause of RFC 5280, the chain). The first rows are right.
CHAINS = {
    "nothing": (None, under),
    "nothing, and a root rolls over": ("6.1.4 (l)", rolled_over),
    "nothing, and the path is as long as it may be": ("6.1.4 (m)", lambda: under(root={"path": 1}, middle={"path": 0})),
    "the middle is no authority": ("6.1.4 (k)", lambda: under(middle={"ca": False})),
    "the middle does not say whether it is": ("6.1.4 (k)", lambda: under(middle={"constraints": False})),
    "the middle is of version 1": ("6.1.4 (k)", by_openssl()),
    "the middle may not sign certificates": ("6.1.4 (n)", lambda: under(middle={"signs": False})),
    "the root allows no authority below it": ("6.1.4 (m)", lambda: under(root={"path": 0})),
    "the first allows no authority below it": ("6.1.4 (m)", too_many_authorities),
    "the leaf has expired": ("6.1.3 (a)(2)", lambda: under(leaf={"begin": -2 * DAY, "end": -DAY})),
    "the leaf is not valid yet": ("6.1.3 (a)(2)", lambda: under(leaf={"begin": DAY, "end": 2 * DAY})),
    "the middle has expired": ("6.1.3 (a)(2)", lambda: under(middle={"begin": -2 * DAY, "end": -DAY})),
    "the middle is not valid yet": ("6.1.3 (a)(2)", lambda: under(middle={"begin": DAY, "end": 2 * DAY})),
    "the root has expired": ("6.1.3 (a)(2)", lambda: under(root={"begin": -2 * DAY, "end": -DAY})),
    "another key signed the leaf": ("6.1.3 (a)(1)", lambda: under(leaf={"signer": authorities.new_key()})),
    "another key signed the middle": ("6.1.3 (a)(1)", lambda: under(middle={"signer": authorities.new_key()})),
    "the leaf was changed": ("6.1.3 (a)(1)", tampered),
    "the leaf names another issuer": ("6.1.3 (a)(4)", lambda: under(leaf={"issued_as": "Somebody"})),
    "the leaf names another key": ("4.2.1.1", lambda: under(leaf={"issuer_id": authorities.new_key()})),
    "the leaf has an unknown critical extension": ("6.1.5 (e)", lambda: under(leaf={"more": [(UNKNOWN, True)]})),
    "the middle has one": ("6.1.4 (o)", lambda: under(middle={"more": [(UNKNOWN, True)]})),
    "the middle excludes the leaf's name": ("6.1.3 (c)", lambda: under(middle={"more": [(EXCLUDED, True)]})),
    "the middle is signed with SHA-1": ("4.1.1.2", by_openssl("-sha1", "-extfile", "ext")),
    "authorities certify each other": ("6.1.3 (a)(4)", circle),
}  # fmt: skip


@pytest.mark.parametrize("wrong", CHAINS)
def test_a_chain_with(wrong, door, tmp_path):
    clause, make = CHAINS[wrong]
    leaf, key, between, root = make(tmp_path) if make.__code__.co_argcount == 1 else make()
    why = door.refusal(door.anchor(root), leaf, key, between)
    assert (why is None) == wrong.startswith("nothing"), (clause, why)


# --- PKITS

VECTORS = pathlib.Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
ROOT = VECTORS / "certs" / "TrustAnchorRootCertificate.crt"


def read(path):
    return x509.load_der_x509_certificate(path.read_bytes())


ROOT_NAME = read(ROOT).subject


@pytest.fixture(scope="module")
def pkits(door):
    by_name = {}
    for path in sorted((VECTORS / "certs").glob("*.crt")):
        if not path.name.endswith("EE.crt"):
            try:
                certificate = read(path)
                by_name.setdefault(certificate.subject.public_bytes(), []).append(certificate)
            except ValueError:
                pass  # a key or name that Python can't read
    return door.anchor(read(ROOT)), by_name


# The cases about what is verified: signatures, dates, names, self-issued certificates, basic constraints, key usage, name
# constraints, unknown extensions (PKITS 4.1 to 4.3, 4.5 to 4.7, 4.13, 4.16). Not the ones about revocation lists, policies
# and DSA.
ASKED = re.compile(
    r"(In)?[Vv]alid(CertificatePath|CASignature|EESignature|CAnot|EEnot|pre2000UTC|GeneralizedTimenot|Name|RFC3280|Rollover|UTF8"
    r"|pathLen|SelfIssuedpathLen|[Mm]issingbasic|basicConstraints|cAFalse|keyUsageNotCriticalTest|keyUsage.*keyCertSign"
    r"|Unknown(Not)?CriticalCert|.*nameConstraints)"
)
# Valid, and refused: names are compared octet by octet, as they are in rustls-webpki; what constrains names is not
# weighed; and an authority (the last two) is no workload.
STRICTER = re.compile(
    r"Valid(NameChaining(Whitespace|Capitalization)|UTF8StringCaseInsensitive|Rollover|.*nameConstraints"
    r"|pathLenConstraintTest(8|14)EE)"
)
# The key of each certificate lies beside it under this password, which PKITS publishes.
PASSWORD = b"password"


def pkits_cases():
    paths = sorted((VECTORS / "certs").glob("*EE.crt"))
    return [path.stem for path in paths if ASKED.match(path.stem)]


@pytest.mark.parametrize("case", pkits_cases())
def test_pkits(case, door, pkits):
    anchor, by_name = pkits
    key, leaf, _ = pkcs12.load_key_and_certificates((VECTORS / "pkcs12" / f"{case}.p12").read_bytes(), PASSWORD)
    above, names = [], [leaf.issuer.public_bytes()]
    for name in names:
        for issuer in by_name.get(name, ()):
            if issuer not in above:
                above.append(issuer)
                names.append(issuer.issuer.public_bytes())
    # The root alone is behind the anchor; others that are self-issued are part of a path.
    chain = [issuer for issuer in above if issuer.subject != ROOT_NAME]
    why = door.refusal(anchor, leaf, key, chain)
    accepted = case.startswith("Valid") and not STRICTER.match(case)
    assert (why is None) == accepted, why
