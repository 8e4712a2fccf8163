"""Writes requests and private keys of kinds that OpenSSL's command line here cannot make."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa, padding, rsa
from cryptography.x509.oid import NameOID

SUBJECT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "python.example")])


def write(name, der):
    with open(name, "wb") as file:
        file.write(der)


def request(name, key, algorithm, **options):
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(SUBJECT)
        .add_attribute(x509.ObjectIdentifier("1.2.840.113549.1.9.7"), b"challenge")
        .add_extension(x509.BasicConstraints(ca=True, path_length=2), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("python.example")]), critical=False
        )
        .sign(key, algorithm, **options)
    )
    write(name, csr.public_bytes(serialization.Encoding.DER))


rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
for bits, algorithm in ((256, hashes.SHA256()), (384, hashes.SHA384()), (512, hashes.SHA512())):
    request(
        f"pss{bits}.csr",
        rsa_key,
        algorithm,
        rsa_padding=padding.PSS(padding.MGF1(algorithm), padding.PSS.DIGEST_LENGTH),
    )
request("ed25519.csr", ed25519.Ed25519PrivateKey.generate(), None)
for size, kind in (
    (44, mldsa.MLDSA44PrivateKey),
    (65, mldsa.MLDSA65PrivateKey),
    (87, mldsa.MLDSA87PrivateKey),
):
    key = kind.generate()
    request(f"mldsa{size}.csr", key, None)
    write(
        f"mldsa{size}.key",
        key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    write(
        f"mldsa{size}.pub",
        key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )
