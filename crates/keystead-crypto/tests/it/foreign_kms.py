"""KMS's algorithms by Python's cryptography, in the current folder; kms.rs runs it.

`make`: keys of every kind, wrapped under wrapping.der, and what they make (signatures, ciphertexts,
codes, shared secrets). `judge`: what the other side made with the same keys, in files that end in
`.ours`, and key pairs of its own making.
"""

import glob
import os
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, hmac, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, mlkem, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

MESSAGE = b"a message"
CURVES = {
    "ECC_NIST_P256": ec.SECP256R1(),
    "ECC_NIST_P384": ec.SECP384R1(),
    "ECC_NIST_P521": ec.SECP521R1(),
    "ECC_SECG_P256K1": ec.SECP256K1(),
}
HASHES = {
    "1": hashes.SHA1(),
    "224": hashes.SHA224(),
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
LATTICES = {
    "ML_DSA_44": mldsa.MLDSA44PrivateKey,
    "ML_DSA_65": mldsa.MLDSA65PrivateKey,
    "ML_DSA_87": mldsa.MLDSA87PrivateKey,
    "ML_KEM_768": mlkem.MLKEM768PrivateKey,
    "ML_KEM_1024": mlkem.MLKEM1024PrivateKey,
}
SECRETS = {
    "SYMMETRIC_DEFAULT": 32,
    "HMAC_224": 28,
    "HMAC_256": 32,
    "HMAC_384": 128,
    "HMAC_512": 64,
}


def read(name):
    with open(name, "rb") as file:
        return file.read()


def write(name, content):
    with open(name, "wb") as file:
        file.write(content)


def pkcs8(key):
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def spki(key):
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def digest(algorithm):
    hasher = hashes.Hash(algorithm)
    hasher.update(MESSAGE)
    return hasher.finalize()


def oaep(algorithm):
    return padding.OAEP(mgf=padding.MGF1(algorithm), algorithm=algorithm, label=None)


def new_key(spec):
    if spec.startswith("RSA_"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(spec[4:]))
    if spec in CURVES:
        return ec.generate_private_key(CURVES[spec])
    if spec == "ECC_NIST_EDWARDS25519":
        return ed25519.Ed25519PrivateKey.generate()
    return LATTICES[spec].generate()


def signature_algorithms(spec, key):
    """(name, arguments of sign and verify behind the message, hash) of each algorithm."""
    if spec.startswith("RSA_"):
        for bits in ("256", "384", "512"):
            algorithm = HASHES[bits]
            yield f"RSASSA_PKCS1_V1_5_SHA_{bits}", padding.PKCS1v15(), algorithm
            salt = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
            yield f"RSASSA_PSS_SHA_{bits}", salt, algorithm
    elif spec in CURVES:
        bits = {"ECC_NIST_P384": "384", "ECC_NIST_P521": "512"}.get(spec, "256")
        yield f"ECDSA_SHA_{bits}", None, HASHES[bits]
    elif spec == "ECC_NIST_EDWARDS25519":
        yield "ED25519_SHA_512", None, None
    elif spec.startswith("ML_DSA"):
        yield "ML_DSA_SHAKE_256", None, None


def arguments(scheme, algorithm, digested):
    if algorithm is None:
        return []
    algorithm = Prehashed(algorithm) if digested else algorithm
    return [scheme, algorithm] if scheme else [ec.ECDSA(algorithm)]


def mu(public):
    hasher = mldsa.MLDSAMuHasher(public)
    hasher.update(MESSAGE)
    return hasher.finalize()


def wrap(spec, material):
    """Under every wrapping algorithm that has room."""
    wrapping = serialization.load_der_public_key(read("wrapping.der"))
    for bits in ("1", "256"):
        algorithm = HASHES[bits]
        if len(material) <= wrapping.key_size // 8 - 2 * algorithm.digest_size - 2:
            write(f"{spec}.RSAES_OAEP_SHA_{bits}.wrapped", wrapping.encrypt(material, oaep(algorithm)))
        key = os.urandom(32)
        wrapped = keywrap.aes_key_wrap_with_padding(key, material)
        wrapped = wrapping.encrypt(key, oaep(algorithm)) + wrapped
        write(f"{spec}.RSA_AES_KEY_WRAP_SHA_{bits}.wrapped", wrapped)


def make_pair(spec):
    key = new_key(spec)
    write(f"{spec}.key", pkcs8(key))
    write(f"{spec}.pub", spki(key.public_key()))
    wrap(spec, pkcs8(key))
    for name, scheme, algorithm in signature_algorithms(spec, key):
        write(f"{spec}.{name}.sig", key.sign(MESSAGE, *arguments(scheme, algorithm, False)))
    if spec.startswith("ML_DSA"):
        write(f"{spec}.mu", mu(key.public_key()))
        write(f"{spec}.mu.sig", key.sign_mu(mu(key.public_key())))
    if spec.startswith("RSA_"):
        for bits in ("1", "256"):
            ciphertext = key.public_key().encrypt(MESSAGE, oaep(HASHES[bits]))
            write(f"{spec}.RSAES_OAEP_SHA_{bits}.ct", ciphertext)
    if spec.startswith("ECC_NIST_P"):
        peer = ec.generate_private_key(CURVES[spec])
        write(f"{spec}.peer", spki(peer.public_key()))
        write(f"{spec}.shared", peer.exchange(ec.ECDH(), key.public_key()))
    if spec.startswith("ML_KEM"):
        secret, ciphertext = key.public_key().encapsulate()
        write(f"{spec}.ct", ciphertext)
        write(f"{spec}.shared", secret)


def make():
    for spec in ("RSA_2048", "RSA_3072", "RSA_4096", *CURVES, "ECC_NIST_EDWARDS25519", *LATTICES):
        make_pair(spec)
    for spec, length in SECRETS.items():
        material = os.urandom(length)
        wrap(spec, material)
        if spec.startswith("HMAC"):
            code = hmac.HMAC(material, HASHES[spec[5:]])
            code.update(MESSAGE)
            write(f"{spec}.mac", code.finalize())


def judge():
    for path in glob.glob("*.key"):
        spec = path[: -len(".key")]
        key = serialization.load_der_private_key(read(path), None)
        public = key.public_key()
        for name, scheme, algorithm in signature_algorithms(spec, key):
            public.verify(
                read(f"{spec}.{name}.RAW.ours"), MESSAGE, *arguments(scheme, algorithm, False)
            )
            if algorithm is not None:
                public.verify(
                    read(f"{spec}.{name}.DIGEST.ours"),
                    digest(algorithm),
                    *arguments(scheme, algorithm, True),
                )
            try:
                public.verify(
                    read(f"{spec}.{name}.RAW.ours"), b"another", *arguments(scheme, algorithm, False)
                )
            except InvalidSignature:
                pass
            else:
                sys.exit("the test cannot fail")
        if spec.startswith("ML_DSA"):
            public.verify_mu(read(f"{spec}.ML_DSA_SHAKE_256.EXTERNAL_MU.ours"), mu(public))
        if spec.startswith("RSA_"):
            for bits in ("1", "256"):
                ciphertext = read(f"{spec}.RSAES_OAEP_SHA_{bits}.ours")
                assert key.decrypt(ciphertext, oaep(HASHES[bits])) == MESSAGE
        if spec.startswith("ML_KEM"):
            assert key.decapsulate(read(f"{spec}.ct.ours")) == read(f"{spec}.shared.ours")
    for path in glob.glob("*.pair"):
        key = serialization.load_der_private_key(read(path), None)
        assert spki(key.public_key()) == read(path.replace(".pair", ".pair-pub")), path


{"make": make, "judge": judge}[sys.argv[1]]()
