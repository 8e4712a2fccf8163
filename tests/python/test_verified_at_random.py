"""Certificates of random parameters, issued by the real server, looked at by six programs that are not ours:
pkilint, OpenSSL with -x509_strict, GnuTLS, Python's cryptography, Go's crypto/x509 and rustls-webpki. None may find
anything that docs/divergences.md does not justify.

By default a few hundred, from a new seed each time; the seed is part of every failure. `KEYSTEAD_VERIFY=10000` makes
as many, `KEYSTEAD_SEED=N` repeats a run.
"""

import datetime
import ipaddress
import os
import random
import re

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from cryptography.x509.oid import NameOID

import authorities
import foreign_verifiers

COUNT = int(os.environ.get("KEYSTEAD_VERIFY", "300"))
SEED = int(os.environ.get("KEYSTEAD_SEED", random.SystemRandom().randrange(2**32)))
ATTEMPT = f"KEYSTEAD_SEED={SEED}"

# What verifiers complain of and we hold to: (verifier, pattern of the complaint). docs/divergences.md has the reasons,
# under "What linters say".
JUSTIFIED = [
    ("pkilint", r'pkix\.invalid_domain_name_syntax .*"\*\.'),
    ("pkilint", r'pkix\.invalid_uri_syntax .*"(urn:uuid|spiffe):'),
    ("pkilint", r"pkix\.ldap_uri_not_validated "),
    ("pkilint", r"pkix\.certificate_policies_policy_has_qualifier "),
    ("pkilint", r"pkix\.unsupported_algorithm .*at certificate\.signature$"),
]

KEYS = {
    "RSA-2048": lambda: rsa.generate_private_key(65537, 2048),
    "RSA-3072": lambda: rsa.generate_private_key(65537, 3072),
    "RSA-4096": lambda: rsa.generate_private_key(65537, 4096),
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ED25519": ed25519.Ed25519PrivateKey.generate,
    "ML-DSA-44": mldsa.MLDSA44PrivateKey.generate,
    "ML-DSA-65": mldsa.MLDSA65PrivateKey.generate,
    "ML-DSA-87": mldsa.MLDSA87PrivateKey.generate,
}
LEAVES = [
    "EndEntityCertificate",
    "EndEntityServerAuthCertificate",
    "EndEntityClientAuthCertificate",
    "CodeSigningCertificate",
    "OCSPSigningCertificate",
]
WORDS = ["Example", "Zürich Nord", "Ångström & Co.", "日本支社", "O'Neil", "a-b_c", "Тест", "1234", "x" * 60]
LABELS = ["a", "www", "host-1", "xn--bcher-kva", "0x", "db", "internal", "x" * 63]


class Dice(random.Random):
    def maybe(self, chance=0.5):
        return self.random() < chance

    def some(self, choices, most=None):
        choices = list(choices)
        return self.sample(choices, self.randint(1, min(most or len(choices), len(choices))))

    def dns(self):
        labels = [self.choice(LABELS) for _ in range(self.randint(1, 3))]
        tail = self.choice(["example.com", "svc.cluster.local", "corp", "example.internal"])
        return ".".join([*labels, tail])

    def dns_or_wildcard(self):
        return ("*." if self.maybe(0.2) else "") + self.dns()

    def address(self):
        make, bits = self.choice([(ipaddress.IPv4Address, 32), (ipaddress.IPv6Address, 128)])
        return make(self.getrandbits(bits))

    def uri(self):
        return self.choice(
            [
                f"spiffe://{self.dns()}/ns/{self.choice(LABELS)}",
                f"https://{self.dns()}:8443/a?b=c#d",
                f"https://{self.getrandbits(8)}.2.3.4/",
                f"urn:uuid:{self.getrandbits(32):08x}-1111-4111-8111-111111111111",
                f"ldap://{self.dns()}/cn=x,dc=y?certificateRevocationList",
            ]
        )

    def email(self):
        return f"{self.choice(['info', 'a.b+c', 'x_y', 'o-k'])}@{self.dns()}"


def pytest_generate_tests(metafunc):
    if "verifier" in metafunc.fixturenames:
        metafunc.parametrize("verifier", foreign_verifiers.ALL)


@pytest.fixture(scope="module")
def dice():
    return Dice(SEED)


@pytest.fixture(scope="module")
def pool():
    """Keys for requests; making one for each would take longer than all else."""
    return {kind: [make() for _ in range(1 if kind.startswith("RSA") else 3)] for kind, make in KEYS.items()}


@pytest.fixture(scope="module")
def chains(server, dice):
    """Authorities of every algorithm, each below a root of another: (ARN, algorithm, algorithms of its path)."""
    pca = server.client("acm-pca")
    algorithms = list(authorities.ALGORITHMS)
    made = []
    for algorithm in algorithms:
        above = dice.choice(algorithms)
        top = authorities.root(pca, subject(dice, "Root"), above, ("YEARS", 40))
        below = authorities.subordinate(pca, top, subject(dice, "Issuing"), 1, algorithm, ("YEARS", 35))
        made += [(top, above, [above]), (below, algorithm, [algorithm, above])]
    return made


@pytest.fixture(scope="module")
def cases(server, dice, pool, chains, tmp_path_factory):
    pca = server.client("acm-pca")
    folder = tmp_path_factory.mktemp("cases")
    return [case(pca, dice, pool, chains, folder, number) for number in range(COUNT)]


def test_no_verifier_finds_anything(verifier, cases):
    complaints = {}
    for case, what in foreign_verifiers.ALL[verifier](cases):
        if not any(by == verifier and re.match(pattern, what) for by, pattern in JUSTIFIED):
            complaints.setdefault(what.split()[0], []).append(f"{what}\n  {case!r}")
    said = [f"{len(alike)} like {alike[0]}" for alike in complaints.values()]
    assert not complaints, f"{ATTEMPT}\n" + "\n".join(said)


def test_every_verifier_can_say_no(verifier, cases):
    """A chain whose links do not fit is refused by each of them."""
    tls = [case for case in cases if case.purpose != "any" and not case.ca]
    able = [case for case in tls if case.classic() and len(case.chain) == 2]
    mixed, other = next((a, b) for a in able for b in able if a.chain[0] != b.chain[0])
    wrong = foreign_verifiers.Case(
        mixed.path.parent, "wrong", mixed.leaf.public_bytes(serialization.Encoding.PEM),
        b"".join(c.public_bytes(serialization.Encoding.PEM) for c in other.chain), mixed.said,
    )  # fmt: skip
    assert list(foreign_verifiers.ALL[verifier]([wrong]))


# --- one case


def case(pca, dice, pool, chains, folder, number):
    issuer, algorithm, path = dice.choice(chains)
    kind = dice.choice(list(KEYS))
    key = dice.choice(pool[kind])
    ca = len(path) == 1 and dice.maybe(0.1) or dice.maybe(0.05)
    by_api, by_request = dice.maybe(), dice.maybe()
    if ca:
        template, blank = "SubordinateCACertificate_PathLen0", False
        extensions = dice.maybe() and [name_constraints(dice)] or []
        by_api, by_request, names = False, bool(extensions), None
    else:
        blank = dice.maybe(0.2) and (by_api or by_request)
        template = dice.choice(LEAVES)
        if blank:
            template = "BlankEndEntityCertificate" + dice.choice(["", "_CriticalBasicConstraints"])
        extensions = asked_extensions(dice, kind) if by_request else []
        names = alternative_names(dice)
        if names:
            extensions.append((x509.SubjectAlternativeName(names), dice.maybe(0.2)))
    nameless = bool(names) and dice.maybe(0.1) and not by_api
    csr = request(dice, key, nameless, extensions)
    api = passthrough(dice, kind) if by_api else None
    suffix = {(True, True): "_APICSRPassthrough", (True, False): "_APIPassthrough", (False, True): "_CSRPassthrough"}
    template += suffix.get((by_api, by_request), "")
    said = {
        "authorities": path, "key": kind, "template": template, "extensions": extensions, "api": api,
        "validity": validity(dice), "signing": signing(dice, algorithm),
    }  # fmt: skip
    more = {"ApiPassthrough": api} if api else {}
    if dice.maybe(0.1):
        hour_ago = int(datetime.datetime.now(datetime.timezone.utc).timestamp()) - dice.randrange(3600)
        more["ValidityNotBefore"] = {"Type": "ABSOLUTE", "Value": hour_ago}
    try:
        _, answer = authorities.issue(
            pca, issuer, csr, f"{authorities.TEMPLATES}{template}/V1", said["validity"], said["signing"], **more
        )
    except pca.exceptions.ClientError as error:
        raise AssertionError(f"{ATTEMPT}: {error} {said}") from None
    leaf, chain = answer["Certificate"].encode(), answer["CertificateChain"].encode()
    return foreign_verifiers.Case(folder, number, leaf, chain, said, dns_of(dice, authorities.parse(leaf)), ca)


def dns_of(dice, leaf):
    """A name that the certificate is good for."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    names = names.get_values_for_type(x509.DNSName)
    return dice.choice(names).replace("*", "any") if names else None


def signing(dice, algorithm):
    if algorithm.startswith("ML"):
        return algorithm
    return f"SHA{dice.choice([256, 384, 512])}WITH{'RSA' if algorithm.startswith('RSA') else 'ECDSA'}"


def validity(dice):
    years = dice.choice([1, 2, 30])
    now = datetime.datetime.now(datetime.timezone.utc)
    end = now + datetime.timedelta(days=dice.randrange(2, 10_000))
    return dice.choice(
        [
            ("DAYS", dice.randrange(2, 3000)),
            ("MONTHS", dice.randrange(1, 100)),
            ("YEARS", years),
            ("ABSOLUTE", int(end.timestamp())),
            ("END_DATE", int(end.strftime("%Y%m%d%H%M%S"))),
        ]
    )


def subject(dice, name):
    """An ASN1Subject."""
    made = {"CommonName": f"{name} {dice.getrandbits(32):08x}"}
    more = {
        "Country": dice.choice(["NL", "DE", "JP"]),
        "Organization": dice.choice(WORDS),
        "OrganizationalUnit": dice.choice(WORDS),
        "State": dice.choice(WORDS),
        "Locality": dice.choice(WORDS),
        "SerialNumber": f"SN {dice.getrandbits(32)}",
        "Title": dice.choice(WORDS),
        "Surname": "Müller",
        "GivenName": "Zoë",
        "Initials": "ZM",
        "Pseudonym": "nobody",
        "GenerationQualifier": "3rd",
        "DistinguishedNameQualifier": "q 1",
    }
    for member in dice.some(more):
        made[member] = more[member]
    return made


def custom_subject(dice):
    return {
        "CustomAttributes": [
            {"ObjectIdentifier": oid, "Value": value}
            for oid, value in (
                ("0.9.2342.19200300.100.1.25", "com"),
                ("0.9.2342.19200300.100.1.25", "example"),
                ("2.5.4.10", dice.choice(WORDS)),
                ("0.9.2342.19200300.100.1.1", "uid-1"),
                ("2.5.4.3", f"custom {dice.getrandbits(32):08x}"),
            )
        ]
    }


def request(dice, key, nameless, extensions):
    attributes = []
    if not nameless:
        attributes = [(NameOID.COMMON_NAME, f"cn {dice.getrandbits(32):08x}")]
        if dice.maybe():
            attributes = [(NameOID.COUNTRY_NAME, "FR"), (NameOID.ORGANIZATION_NAME, dice.choice(WORDS)), *attributes]
        if dice.maybe(0.2):
            attributes += [(NameOID.USER_ID, "u1"), (NameOID.STREET_ADDRESS, dice.choice(WORDS))]
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    hashed = isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey))
    signed = builder.sign(key, dice.choice([hashes.SHA256(), hashes.SHA384()]) if hashed else None)
    return signed.public_bytes(serialization.Encoding.PEM)


def alternative_names(dice):
    if dice.maybe(0.15):
        return []
    relative = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, dice.choice(WORDS))])
    makers = [
        lambda: x509.DNSName(dice.dns_or_wildcard()),
        lambda: x509.IPAddress(dice.address()),
        lambda: x509.RFC822Name(dice.email()),
        lambda: x509.UniformResourceIdentifier(dice.uri()),
        lambda: x509.DirectoryName(x509.Name([relative])),
        lambda: x509.RegisteredID(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")),
        lambda: x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x05u@a.b"),
    ]
    makers = [makers[0]] * 3 + dice.some(makers)
    return [make() for make in dice.sample(makers, dice.randint(1, len(makers)))]


def usages(dice, kind):
    """keyUsage bits that such a key can serve, always with a signature."""
    bits = {"digital_signature"}
    if dice.maybe(0.3):
        bits.add("content_commitment")
    if kind.startswith("RSA"):
        bits.update(b for b in ("key_encipherment", "data_encipherment") if dice.maybe(0.4))
    if kind.startswith("P-") and dice.maybe(0.3):
        bits.add("key_agreement")
    return bits


def asked_extensions(dice, kind):
    """Extensions for a request."""
    bits = usages(dice, kind)
    all_bits = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
        "encipher_only decipher_only"
    ).split()
    notice = x509.UserNotice(None, "A notice: ü")
    possible = [
        (x509.KeyUsage(**{bit: bit in bits for bit in all_bits}), True),
        (x509.ExtendedKeyUsage(dice.some([Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH])), False),
        (
            x509.CertificatePolicies(
                [
                    x509.PolicyInformation(x509.ObjectIdentifier("1.3.6.1.4.1.99999.2"), None),
                    x509.PolicyInformation(
                        x509.ObjectIdentifier("1.3.6.1.4.1.99999.3"), ["http://cps.example.com/", notice]
                    ),
                ]
            ),
            False,
        ),
        (
            x509.CRLDistributionPoints(
                [x509.DistributionPoint([x509.UniformResourceIdentifier("http://crl.example.com/1")], None, None, None)]
            ),
            False,
        ),
        (
            x509.AuthorityInformationAccess(
                [
                    x509.AccessDescription(
                        x509.AuthorityInformationAccessOID.OCSP,
                        x509.UniformResourceIdentifier("http://ocsp.example.com"),
                    ),
                    x509.AccessDescription(
                        x509.AuthorityInformationAccessOID.CA_ISSUERS,
                        x509.UniformResourceIdentifier("http://ca.example.com/ca.cer"),
                    ),
                ]
            ),
            False,
        ),
        (x509.TLSFeature([x509.TLSFeatureType.status_request]), False),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.4"), b"\x0c\x02hi"), False),
    ]
    return dice.some(possible, 4)


def name_constraints(dice):
    permitted = [x509.DNSName("example.com"), x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))]
    excluded = [x509.DNSName("bad.example.com"), x509.RFC822Name("bad.example.com")]
    return x509.NameConstraints(dice.some(permitted), dice.maybe() and dice.some(excluded) or None), True


def passthrough(dice, kind):
    """An ApiPassthrough."""
    bits = {
        "digital_signature": "DigitalSignature", "content_commitment": "NonRepudiation", "key_agreement": "KeyAgreement",
        "key_encipherment": "KeyEncipherment", "data_encipherment": "DataEncipherment",
    }  # fmt: skip
    policies = [
        {"CertPolicyId": "1.3.6.1.4.1.99999.5"},
        {
            "CertPolicyId": "1.3.6.1.4.1.99999.6",
            "PolicyQualifiers": [{"PolicyQualifierId": "CPS", "Qualifier": {"CpsUri": "http://cps.example.com/"}}],
        },
    ]
    names = [
        lambda: {"DnsName": dice.dns_or_wildcard()},
        lambda: {"IpAddress": str(dice.address())},
        lambda: {"Rfc822Name": dice.email()},
        lambda: {"UniformResourceIdentifier": dice.uri()},
        lambda: {"RegisteredId": "1.3.6.1.4.1.99999.1"},
        lambda: {"DirectoryName": subject(dice, "Directory")},
        lambda: {"OtherName": {"TypeId": "1.3.6.1.4.1.311.20.2.3", "Value": "0c057540612e62"}},
    ]
    named = {"DnsName": dice.dns()}
    makers = {
        "KeyUsage": lambda: {bits[bit]: True for bit in usages(dice, kind)},
        "ExtendedKeyUsage": lambda: [
            {"ExtendedKeyUsageType": kind} for kind in dice.some(["SERVER_AUTH", "CLIENT_AUTH"])
        ],
        "CertificatePolicies": lambda: policies[: dice.randint(1, 2)],
        "SubjectAlternativeNames": lambda: [named, *(make() for make in dice.some(names))],
        "CustomExtensions": lambda: [
            {"ObjectIdentifier": "1.3.6.1.4.1.99999.7", "Value": "BQA=", "Critical": False}
        ],
    }
    made = {}
    if dice.maybe(0.8):
        made["Extensions"] = {name: makers[name]() for name in dice.some(makers)}
    if dice.maybe() or not made:
        made["Subject"] = custom_subject(dice) if dice.maybe(0.3) else subject(dice, "Api")
    return made
