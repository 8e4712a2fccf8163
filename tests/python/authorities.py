"""Certificate authorities and signing requests, as tests need them."""

import datetime
import secrets

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

TEMPLATES = "arn:aws:acm-pca:::template/"
ROOT_TEMPLATE = TEMPLATES + "RootCACertificate/V1"
LEAF_TEMPLATE = TEMPLATES + "EndEntityCertificate/V1"
NEVER_EXISTED = "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/00000000-0000-4000-8000-000000000000"

# Key algorithm -> a signing algorithm that its keys can make.
ALGORITHMS = {
    "RSA_2048": "SHA256WITHRSA",
    "RSA_3072": "SHA384WITHRSA",
    "RSA_4096": "SHA512WITHRSA",
    "EC_prime256v1": "SHA256WITHECDSA",
    "EC_secp384r1": "SHA384WITHECDSA",
    "EC_secp521r1": "SHA512WITHECDSA",
    "ML_DSA_44": "ML_DSA_44",
    "ML_DSA_65": "ML_DSA_65",
    "ML_DSA_87": "ML_DSA_87",
}


def create(pca, name, key="EC_prime256v1", kind="ROOT", signing=None, **more):
    """A new authority that waits for its certificate; its ARN."""
    configuration = {
        "KeyAlgorithm": key,
        "SigningAlgorithm": signing or ALGORITHMS[key],
        "Subject": {"CommonName": name} if isinstance(name, str) else name,
    }
    return pca.create_certificate_authority(
        CertificateAuthorityConfiguration=configuration, CertificateAuthorityType=kind, **more
    )["CertificateAuthorityArn"]


def csr_of(pca, arn):
    return pca.get_certificate_authority_csr(CertificateAuthorityArn=arn)["Csr"].encode()


def issue(pca, issuer, csr, template=LEAF_TEMPLATE, validity=("DAYS", 30), signing=None, **more):
    """Issues and fetches: (ARN of the certificate, what GetCertificate answers)."""
    arn = pca.issue_certificate(
        CertificateAuthorityArn=issuer,
        Csr=csr,
        SigningAlgorithm=signing or signing_of(pca, issuer),
        TemplateArn=template,
        Validity={"Type": validity[0], "Value": validity[1]},
        **more,
    )["CertificateArn"]
    return arn, pca.get_certificate(CertificateAuthorityArn=issuer, CertificateArn=arn)


def signing_of(pca, arn):
    described = pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]
    return described["CertificateAuthorityConfiguration"]["SigningAlgorithm"]


def root(pca, name, key="EC_prime256v1", validity=("YEARS", 10), **more):
    """An active root; its ARN."""
    arn = create(pca, name, key, **more)
    _, answer = issue(pca, arn, csr_of(pca, arn), ROOT_TEMPLATE, validity)
    pca.import_certificate_authority_certificate(
        CertificateAuthorityArn=arn, Certificate=answer["Certificate"].encode()
    )
    return arn


def subordinate(pca, issuer, name, path_length=0, key="EC_prime256v1", validity=("YEARS", 5)):
    """An active subordinate of `issuer`; its ARN."""
    arn = create(pca, name, key, kind="SUBORDINATE")
    template = f"{TEMPLATES}SubordinateCACertificate_PathLen{path_length}/V1"
    _, answer = issue(pca, issuer, csr_of(pca, arn), template, validity)
    pca.import_certificate_authority_certificate(
        CertificateAuthorityArn=arn,
        Certificate=answer["Certificate"].encode(),
        CertificateChain=answer["CertificateChain"].encode(),
    )
    return arn


def grant(pca, arn):
    """Lets ACM issue and renew from the authority, as AWS's guides do."""
    pca.create_permission(
        CertificateAuthorityArn=arn,
        Principal="acm.amazonaws.com",
        Actions=["IssueCertificate", "GetCertificate", "ListPermissions"],
    )
    return arn


def new_key(kind="P-256"):
    if kind.startswith("RSA"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.split("-")[1]))
    curves = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
    return ec.generate_private_key(curves[kind])


def request(name=None, key=None, alternatives=(), extensions=()):
    """A signing request in PEM; (the bytes, the key)."""
    key = key or new_key()
    name = name or f"{secrets.token_hex(6)}.example.internal"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if alternatives:
        names = x509.SubjectAlternativeName([x509.DNSName(n) for n in alternatives])
        builder = builder.add_extension(names, critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    signed = builder.sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM), key


def self_signed(key, domain, days=90, usages=(), names=None, ago=datetime.timedelta(hours=1)):
    """A certificate in PEM that signs itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
    begin = datetime.datetime.now(datetime.timezone.utc) - ago
    names = names or [x509.DNSName(domain)]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    for extension, critical in usages:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def key_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def parse(pem):
    return x509.load_pem_x509_certificate(pem.encode() if isinstance(pem, str) else pem)


def bundle(pem):
    return x509.load_pem_x509_certificates(pem.encode() if isinstance(pem, str) else pem)
