"""Key material on its way into KMS: made and wrapped by OpenSSL's command or by Python's cryptography."""

import os
import pathlib
import subprocess
import tempfile

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

FOREVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}


def openssl(*arguments, text=b""):
    """What the command makes of its input."""
    done = subprocess.run(["openssl", *arguments], input=text, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def private_key(*options):
    """PKCS #8 of a key that OpenSSL makes, as the developer guide shows it."""
    pem = openssl("genpkey", *options)
    return openssl("pkcs8", "-topk8", "-outform", "der", "-nocrypt", text=pem)


def curve(name):
    return private_key("-algorithm", "ec", "-pkeyopt", f"ec_paramgen_curve:{name}")


def rsa(bits):
    return private_key("-algorithm", "rsa", "-pkeyopt", f"rsa_keygen_bits:{bits}")


def wrapped_by_openssl(public_key, algorithm, key_material):
    """The developer guide, "Encrypt the key material", with the commands that it shows."""
    digest = "sha1" if algorithm.endswith("SHA_1") else "sha256"
    options = [f"rsa_oaep_md:{digest}", f"rsa_mgf1_md:{digest}"]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "WrappingPublicKey.bin"
        path.write_bytes(public_key)

        def under_rsa(text):
            command = ["pkeyutl", "-encrypt", "-inkey", str(path), "-keyform", "DER", "-pubin"]
            command += ["-pkeyopt", "rsa_padding_mode:oaep"]
            for option in options:
                command += ["-pkeyopt", option]
            return openssl(*command, text=text)

        if not algorithm.startswith("RSA_AES"):
            return under_rsa(key_material)
        key = os.urandom(32)
        inner = openssl("enc", "-id-aes256-wrap-pad", "-K", key.hex(), "-iv", "A65959A6", text=key_material)
        return under_rsa(key) + inner


def wrapped_by_python(public_key, algorithm, key_material):
    """The same by another implementation."""
    digest = hashes.SHA1() if algorithm.endswith("SHA_1") else hashes.SHA256()
    scheme = padding.OAEP(mgf=padding.MGF1(digest), algorithm=digest, label=None)
    public = serialization.load_der_public_key(public_key)
    if not algorithm.startswith("RSA_AES"):
        return public.encrypt(key_material, scheme)
    key = os.urandom(32)
    return public.encrypt(key, scheme) + aes_key_wrap_with_padding(key, key_material)


def usual_algorithm(spec):
    return "RSA_AES_KEY_WRAP_SHA_256" if spec.startswith("RSA") else "RSAES_OAEP_SHA_256"


def order(kms, key, key_material, algorithm=None, wrapping="RSA_2048", wrap=wrapped_by_python):
    """Parameters of an ImportKeyMaterial that brings this key material."""
    if algorithm is None:
        algorithm = usual_algorithm(kms.describe_key(KeyId=key)["KeyMetadata"]["KeySpec"])
    parameters = kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm=algorithm, WrappingKeySpec=wrapping)
    return {
        "KeyId": key,
        "ImportToken": parameters["ImportToken"],
        "EncryptedKeyMaterial": wrap(parameters["PublicKey"], algorithm, key_material),
    }


def bring(kms, key, key_material, **more):
    """Imports key material, for good where nothing else is said."""
    more = more or FOREVER
    if "ValidTo" not in more:
        more = FOREVER | more
    return kms.import_key_material(**order(kms, key, key_material), **more)
