"""Keys for tests of KMS, and what Python's cryptography says of what comes out of them."""

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding

HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
RSA = ["RSA_2048", "RSA_3072", "RSA_4096"]
CURVES = {
    "ECC_NIST_P256": ec.SECP256R1,
    "ECC_NIST_P384": ec.SECP384R1,
    "ECC_NIST_P521": ec.SECP521R1,
    "ECC_SECG_P256K1": ec.SECP256K1,
}
MACS = {"HMAC_224": "sha224", "HMAC_256": "sha256", "HMAC_384": "sha384", "HMAC_512": "sha512"}
SIGNERS = {
    **{spec: [f"{kind}_SHA_{bits}" for kind in ("RSASSA_PSS", "RSASSA_PKCS1_V1_5") for bits in HASHES] for spec in RSA},
    "ECC_NIST_P256": ["ECDSA_SHA_256"],
    "ECC_SECG_P256K1": ["ECDSA_SHA_256"],
    "ECC_NIST_P384": ["ECDSA_SHA_384"],
    "ECC_NIST_P521": ["ECDSA_SHA_512"],
    "ECC_NIST_EDWARDS25519": ["ED25519_SHA_512"],
}


def make(kms, spec="SYMMETRIC_DEFAULT", usage=None, **more):
    """The ARN of a new key."""
    usages = {"HMAC": "GENERATE_VERIFY_MAC", "ML_DSA": "SIGN_VERIFY", "ML_KEM": "ENCAPSULATE_DECAPSULATE", "ECC": "SIGN_VERIFY"}
    default = next((value for start, value in usages.items() if spec.startswith(start)), "ENCRYPT_DECRYPT")
    answer = kms.create_key(KeySpec=spec, KeyUsage=usage or default, **more)
    return answer["KeyMetadata"]["Arn"]


def public_key(kms, key):
    return serialization.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])


def digest(message, algorithm):
    return hashlib.new(f"sha{algorithm[-3:]}", message).digest()


def verifies(public, algorithm, message, signature):
    """Whether another implementation accepts the signature."""
    if isinstance(public, ed25519.Ed25519PublicKey):
        arguments = (signature, message)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        arguments = (signature, message, ec.ECDSA(HASHES[algorithm[-3:]]))
    else:
        chosen = HASHES[algorithm[-3:]]
        scheme = padding.PKCS1v15()
        if "PSS" in algorithm:
            scheme = padding.PSS(mgf=padding.MGF1(chosen), salt_length=padding.PSS.DIGEST_LENGTH)
        arguments = (signature, message, scheme, chosen)
    try:
        public.verify(*arguments)
    except InvalidSignature:
        return False
    return True

