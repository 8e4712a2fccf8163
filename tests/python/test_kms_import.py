"""KMS: key material from outside. It comes from OpenSSL or Python's cryptography, which also tell what it does here."""

import datetime
import hashlib
import hmac
import os

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

from importing import (
    FOREVER,
    bring,
    curve,
    openssl,
    order,
    private_key,
    rsa,
    wrapped_by_openssl,
    wrapped_by_python,
)
from kms_helpers import make, public_key, verifies
from refusals import code_of, refused, words_of
from waiting import until

DAY = datetime.timedelta(days=1)
OAEP = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]
HYBRID = ["RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"]
WRAPPERS = ["RSA_2048", "RSA_3072", "RSA_4096"]


@pytest.fixture
def key(kms):
    """A symmetric encryption key that waits for its key material."""
    return make(kms, Origin="EXTERNAL")


def state(kms, key):
    return kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]


def listed(kms, key):
    return kms.list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]


def sealed(kms, key, text=b"hello"):
    return kms.encrypt(KeyId=key, Plaintext=text)["CiphertextBlob"]


def opens(kms, text):
    return kms.decrypt(CiphertextBlob=text)["Plaintext"] == b"hello"


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def restarted(own_server, ahead):
    own_server.kill()
    own_server.start(ahead=ahead)
    return own_server.client("kms")


def parameters(kms, key, algorithm, wrapping="RSA_2048"):
    return kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm=algorithm, WrappingKeySpec=wrapping)


def key_material(spec):
    """Key material as OpenSSL makes it."""
    if spec == "SYMMETRIC_DEFAULT":
        return os.urandom(32)
    if spec.startswith("HMAC"):
        return os.urandom(int(spec[-3:]) // 8)
    if spec.startswith("RSA"):
        return rsa(spec[-4:])
    if spec == "ECC_NIST_EDWARDS25519":
        return private_key("-algorithm", "ed25519")
    return curve("secp256k1" if spec == "ECC_SECG_P256K1" else f"P-{spec[-3:]}")


# Parameters


@pytest.mark.parametrize("wrapping", WRAPPERS)
def test_parameters_are_a_fresh_wrapping_key_for_a_day(kms, key, wrapping):
    answer = parameters(kms, key, "RSAES_OAEP_SHA_256", wrapping)
    assert answer["KeyId"] == key and len(answer["ImportToken"]) <= 6144
    assert abs(answer["ParametersValidTo"] - now() - DAY) < datetime.timedelta(minutes=5)
    public = serialization.load_der_public_key(answer["PublicKey"])
    assert public.key_size == int(wrapping[-4:])
    again = parameters(kms, key, "RSAES_OAEP_SHA_256", wrapping)
    assert again["PublicKey"] != answer["PublicKey"] and again["ImportToken"] != answer["ImportToken"]


@pytest.mark.parametrize(
    ("spec", "algorithms"),
    [
        ("SYMMETRIC_DEFAULT", OAEP),
        ("HMAC_384", OAEP),
        ("RSA_2048", HYBRID),
        ("ECC_NIST_P256", OAEP + HYBRID),
        ("ECC_NIST_P521", HYBRID),
        ("ECC_SECG_P256K1", OAEP + HYBRID),
        ("ECC_NIST_EDWARDS25519", OAEP + HYBRID),
    ],
)
def test_every_pair_that_a_key_takes_and_no_other(kms, spec, algorithms):
    external = make(kms, spec, Origin="EXTERNAL")
    for algorithm in [*OAEP, *HYBRID, "RSAES_PKCS1_V1_5", "SM2PKE"]:
        if algorithm in algorithms:
            parameters(kms, external, algorithm)
            continue
        with refused("UnsupportedOperationException", algorithm):
            parameters(kms, external, algorithm)
    with refused("UnsupportedOperationException", "SM2"):
        parameters(kms, external, algorithms[0], "SM2")


def test_a_longer_wrapping_key_takes_p521_directly(kms):
    external = make(kms, "ECC_NIST_P521", Origin="EXTERNAL")
    arguments = order(kms, external, curve("P-521"), "RSAES_OAEP_SHA_256", "RSA_3072")
    kms.import_key_material(**arguments, **FOREVER)
    assert state(kms, external) == "Enabled"


def test_a_key_that_was_made_here_takes_no_key_material(kms, key):
    made = make(kms)
    arguments = order(kms, key, bytes(32)) | {"KeyId": made}
    for call in (
        lambda: parameters(kms, made, "RSAES_OAEP_SHA_256"),
        lambda: kms.import_key_material(**arguments, **FOREVER),
        lambda: kms.delete_imported_key_material(KeyId=made),
    ):
        expected = f"{made} origin is AWS_KMS which is not valid for this operation."
        assert words_of(call) == ("UnsupportedOperationException", expected)


# What comes in is what was meant


@pytest.mark.parametrize("wrap", [wrapped_by_openssl, wrapped_by_python])
@pytest.mark.parametrize("algorithm", [*OAEP, *HYBRID])
def test_others_wrap_and_keystead_unwraps(kms, algorithm, wrap):
    external = make(kms, "ECC_NIST_P256", Origin="EXTERNAL")
    pair = curve("P-256")
    answer = kms.import_key_material(**order(kms, external, pair, algorithm, wrap=wrap), **FOREVER)
    assert answer["KeyId"] == external and "KeyMaterialId" not in answer
    expected = serialization.load_der_private_key(pair, None).public_key()
    assert public_key(kms, external) == expected


def test_an_rsa_key_from_openssl_opens_what_others_encrypted(kms, tmp_path):
    pair = rsa(2048)
    external = make(kms, "RSA_2048", Origin="EXTERNAL")
    bring(kms, external, pair)
    path = tmp_path / "public.der"
    path.write_bytes(openssl("pkey", "-inform", "der", "-pubout", "-outform", "der", text=pair))
    public = serialization.load_der_private_key(pair, None).public_key()
    for digest, chosen in (("sha1", hashes.SHA1()), ("sha256", hashes.SHA256())):
        options = ("rsa_padding_mode:oaep", f"rsa_oaep_md:{digest}", f"rsa_mgf1_md:{digest}")
        options = [part for option in options for part in ("-pkeyopt", option)]
        command = ("pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", str(path))
        scheme = padding.OAEP(mgf=padding.MGF1(chosen), algorithm=chosen, label=None)
        for text in (openssl(*command, *options, text=b"hello"), public.encrypt(b"hello", scheme)):
            opened = kms.decrypt(
                KeyId=external, CiphertextBlob=text, EncryptionAlgorithm=f"RSAES_OAEP_{chosen.name[:3].upper()}_{digest[3:]}"
            )
            assert opened["Plaintext"] == b"hello"
    # And the other way: who has the private key elsewhere opens what is encrypted here.
    sealed_here = kms.encrypt(KeyId=external, Plaintext=b"hello", EncryptionAlgorithm="RSAES_OAEP_SHA_256")
    private = serialization.load_der_private_key(pair, None)
    scheme = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    assert private.decrypt(sealed_here["CiphertextBlob"], scheme) == b"hello"


@pytest.mark.parametrize("name", ["P-256", "P-384", "P-521", "secp256k1"])
def test_openssl_verifies_what_a_key_of_its_own_signs_here(kms, name, tmp_path):
    spec = "ECC_SECG_P256K1" if name == "secp256k1" else f"ECC_NIST_{name.replace('-', '')}"
    algorithm = {"P-384": "ECDSA_SHA_384", "P-521": "ECDSA_SHA_512"}.get(name, "ECDSA_SHA_256")
    pair = curve(name)
    external = make(kms, spec, Origin="EXTERNAL")
    arguments = order(kms, external, pair, "RSA_AES_KEY_WRAP_SHA_256", wrap=wrapped_by_openssl)
    kms.import_key_material(**arguments, **FOREVER)
    signature = kms.sign(KeyId=external, Message=b"hello", SigningAlgorithm=algorithm)["Signature"]
    (tmp_path / "signature").write_bytes(signature)
    (tmp_path / "public.pem").write_bytes(openssl("pkey", "-inform", "der", "-pubout", text=pair))
    command = ["dgst", f"-sha{algorithm[-3:]}", "-verify", str(tmp_path / "public.pem")]
    said = openssl(*command, "-signature", str(tmp_path / "signature"), text=b"hello")
    assert said.strip() == b"Verified OK"


def test_an_ed25519_key_signs(kms):
    pair = private_key("-algorithm", "ed25519")
    external = make(kms, "ECC_NIST_EDWARDS25519", Origin="EXTERNAL")
    bring(kms, external, pair)
    signature = kms.sign(KeyId=external, Message=b"hello", SigningAlgorithm="ED25519_SHA_512")["Signature"]
    public = serialization.load_der_private_key(pair, None).public_key()
    assert verifies(public, "ED25519_SHA_512", b"hello", signature)


@pytest.mark.parametrize("spec", ["HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512"])
def test_an_imported_hmac_key_makes_the_codes_of_its_bytes(kms, spec):
    secret = key_material(spec)
    external = make(kms, spec, Origin="EXTERNAL")
    bring(kms, external, secret)
    bits = spec[-3:]
    mac = kms.generate_mac(KeyId=external, Message=b"hello", MacAlgorithm=f"HMAC_SHA_{bits}")["Mac"]
    assert mac == hmac.new(secret, b"hello", f"sha{bits}").digest()


def test_an_imported_key_agrees_with_the_other_side(kms):
    pair = curve("P-256")
    external = make(kms, "ECC_NIST_P256", "KEY_AGREEMENT", Origin="EXTERNAL")
    bring(kms, external, pair)
    peer = ec.generate_private_key(ec.SECP256R1())
    encoding = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    shared = kms.derive_shared_secret(
        KeyId=external, KeyAgreementAlgorithm="ECDH", PublicKey=peer.public_key().public_bytes(*encoding)
    )["SharedSecret"]
    ours = serialization.load_der_private_key(pair, None).public_key()
    assert shared == peer.exchange(ec.ECDH(), ours)


# Tokens


def test_a_token_is_of_its_key_and_whole(kms, key):
    arguments = order(kms, key, bytes(32))
    other = make(kms, Origin="EXTERNAL")
    with refused("InvalidImportTokenException"):
        kms.import_key_material(**arguments | {"KeyId": other}, **FOREVER)
    token = arguments["ImportToken"]
    for altered in (token[:-1], token + b"x", bytes([token[0] ^ 1]) + token[1:], token[:-1] + bytes([token[-1] ^ 1]), b"x"):
        with refused("InvalidImportTokenException"):
            kms.import_key_material(**arguments | {"ImportToken": altered}, **FOREVER)
    mixed = order(kms, key, bytes(32))
    with refused("InvalidCiphertextException"):
        kms.import_key_material(**arguments | {"ImportToken": mixed["ImportToken"]}, **FOREVER)
    with refused("InvalidCiphertextException"):
        kms.import_key_material(**arguments | {"EncryptedKeyMaterial": bytes(256)}, **FOREVER)
    assert state(kms, key) == "PendingImport"
    kms.import_key_material(**arguments, **FOREVER)


def test_a_token_lasts_a_day(own_server):
    own_server.start()
    kms = own_server.client("kms")
    key = make(kms, Origin="EXTERNAL")
    arguments = order(kms, key, bytes(32))
    kms = restarted(own_server, 23 * DAY / 24)
    kms.import_key_material(**arguments, **FOREVER)
    kms = restarted(own_server, 25 * DAY / 24)
    with refused("ExpiredImportTokenException"):
        kms.import_key_material(**arguments, **FOREVER)


# The life of imported key material


def test_a_key_waits_for_its_key_material(kms, key):
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert metadata["KeyState"] == "PendingImport" and metadata["Enabled"] is False
    assert not {"ValidTo", "ExpirationModel", "CurrentKeyMaterialId"} & set(metadata)
    with refused("KMSInvalidStateException", "is pending import"):
        sealed(kms, key)
    with refused("KMSInvalidStateException", "is pending import"):
        kms.rotate_key_on_demand(KeyId=key)
    assert listed(kms, key) == []
    answer = kms.delete_imported_key_material(KeyId=key)
    assert answer["KeyId"] == key and "KeyMaterialId" not in answer
    answer = bring(kms, key, bytes(32), KeyMaterialDescription="zeros")
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert metadata["KeyState"] == "Enabled" and metadata["Enabled"] is True
    assert metadata["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE" and "ValidTo" not in metadata
    assert metadata["CurrentKeyMaterialId"] == answer["KeyMaterialId"]
    assert listed(kms, key) == [
        {
            "KeyId": key.split("/")[-1],
            "KeyMaterialId": answer["KeyMaterialId"],
            "KeyMaterialDescription": "zeros",
            "ImportState": "IMPORTED",
            "KeyMaterialState": "CURRENT",
            "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
        }
    ]


def test_deleted_key_material_comes_back_and_no_other(kms, key):
    secret = os.urandom(32)
    material = bring(kms, key, secret)["KeyMaterialId"]
    text = sealed(kms, key)
    answer = kms.delete_imported_key_material(KeyId=key)
    assert answer["KeyId"] == key and answer["KeyMaterialId"] == material
    assert state(kms, key) == "PendingImport"
    with refused("KMSInvalidStateException"):
        opens(kms, text)
    for other in (os.urandom(32), bytes(32)):
        with refused("IncorrectKeyMaterialException"):
            bring(kms, key, other)
    with refused("IncorrectKeyMaterialException"):
        bring(kms, key, secret, KeyMaterialId="0" * 64)
    assert bring(kms, key, secret, KeyMaterialId=material)["KeyMaterialId"] == material
    assert opens(kms, text)


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_key_material_of_another_length_is_refused(kms, key, length):
    with refused("IncorrectKeyMaterialException"):
        bring(kms, key, bytes(length))


def test_key_material_of_another_kind_is_refused(kms):
    external = make(kms, "ECC_NIST_P256", Origin="EXTERNAL")
    for other in (curve("P-384"), private_key("-algorithm", "ed25519"), os.urandom(32)):
        with refused("IncorrectKeyMaterialException"):
            bring(kms, external, other)
    external = make(kms, "RSA_2048", Origin="EXTERNAL")
    with refused("IncorrectKeyMaterialException"):
        bring(kms, external, rsa(3072))


def test_the_end_of_key_material_is_told_and_checked(kms, key):
    secret = os.urandom(32)
    arguments = order(kms, key, secret)
    expires = {"ExpirationModel": "KEY_MATERIAL_EXPIRES"}
    for wrong in (
        {},
        expires,
        FOREVER | {"ValidTo": now() + DAY},
        {"ValidTo": now() - DAY},
        expires | {"ValidTo": now() + 366 * DAY},
    ):
        with refused("ValidationException"):
            kms.import_key_material(**arguments, **wrong)
    until_then = (now() + 30 * DAY).replace(microsecond=0)
    kms.import_key_material(**arguments, ValidTo=until_then)
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert metadata["ExpirationModel"] == "KEY_MATERIAL_EXPIRES" and metadata["ValidTo"] == until_then
    entry = listed(kms, key)[0]
    assert entry["ExpirationModel"] == "KEY_MATERIAL_EXPIRES" and entry["ValidTo"] == until_then
    kms.import_key_material(**arguments, **FOREVER)
    assert "ValidTo" not in kms.describe_key(KeyId=key)["KeyMetadata"]


def test_key_material_expires_and_can_be_imported_again(own_server):
    own_server.start()
    kms = own_server.client("kms")
    keys = {spec: make(kms, spec, Origin="EXTERNAL") for spec in ("SYMMETRIC_DEFAULT", "ECC_NIST_P256")}
    secrets = {spec: key_material(spec) for spec in keys}
    for spec, key in keys.items():
        bring(kms, key, secrets[spec], ValidTo=now() + 10 * DAY)
    key, pair = keys.values()
    text = sealed(kms, key)
    kms = restarted(own_server, 9 * DAY)
    assert opens(kms, text) and state(kms, pair) == "Enabled"
    kms = restarted(own_server, 11 * DAY)
    until("the end of the key material", lambda: {state(kms, one) for one in keys.values()} == {"PendingImport"})
    with refused("KMSInvalidStateException", "is pending import"):
        opens(kms, text)
    with refused("KMSInvalidStateException", "is pending import"):
        kms.get_public_key(KeyId=pair)
    assert listed(kms, key)[0]["ImportState"] == "PENDING_IMPORT"
    for spec, key in keys.items():
        bring(kms, key, secrets[spec])
    assert opens(kms, text)
    assert public_key(kms, pair) == serialization.load_der_private_key(secrets["ECC_NIST_P256"], None).public_key()


def test_parameters_for_symmetric_keys_only(kms):
    external = make(kms, "HMAC_256", Origin="EXTERNAL")
    for more in (
        {"ImportType": "NEW_KEY_MATERIAL"},
        {"KeyMaterialDescription": "a secret"},
        {"ImportType": "EXISTING_KEY_MATERIAL", "KeyMaterialId": "0" * 64},
    ):
        with refused("UnsupportedOperationException", "symmetric encryption keys only"):
            bring(kms, external, bytes(32), **more)


# Several key materials


def test_imported_key_material_is_rotated_on_demand(kms, key):
    first, second = os.urandom(32), os.urandom(32)
    one = bring(kms, key, first)["KeyMaterialId"]
    old = sealed(kms, key)
    with refused("KMSInvalidStateException", "pending rotation"):
        kms.rotate_key_on_demand(KeyId=key)
    with refused("IncorrectKeyMaterialException", "previously imported"):
        bring(kms, key, second)
    with refused("IncorrectKeyMaterialException", "already associated"):
        bring(kms, key, first, ImportType="NEW_KEY_MATERIAL")
    with refused("ValidationException", "KeyMaterialId"):
        bring(kms, key, second, ImportType="NEW_KEY_MATERIAL", KeyMaterialId="0" * 64)
    two = bring(kms, key, second, ImportType="NEW_KEY_MATERIAL", KeyMaterialDescription="second")["KeyMaterialId"]
    waiting = listed(kms, key)[1]
    assert waiting["KeyMaterialState"] == "PENDING_ROTATION" and waiting["ImportState"] == "IMPORTED"
    assert not {"RotationDate", "RotationType"} & set(waiting)
    assert kms.list_key_rotations(KeyId=key)["Rotations"] == []
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] == one
    with refused("KMSInvalidStateException", "pending rotation"):
        bring(kms, key, os.urandom(32), ImportType="NEW_KEY_MATERIAL")
    kms.rotate_key_on_demand(KeyId=key)
    states = [(entry["KeyMaterialId"], entry["KeyMaterialState"]) for entry in listed(kms, key)]
    assert states == [(one, "NON_CURRENT"), (two, "CURRENT")]
    rotation = kms.list_key_rotations(KeyId=key)["Rotations"][0]
    assert rotation["RotationType"] == "ON_DEMAND" and rotation["KeyMaterialDescription"] == "second"
    new = sealed(kms, key)
    assert kms.decrypt(CiphertextBlob=new)["KeyMaterialId"] == two
    assert kms.decrypt(CiphertextBlob=old)["KeyMaterialId"] == one
    # All of it is needed, whichever is lost.
    for lost, secret in ((one, first), (two, second)):
        kms.delete_imported_key_material(KeyId=key, KeyMaterialId=lost)
        assert state(kms, key) == "PendingImport"
        for text in (old, new):
            with refused("KMSInvalidStateException"):
                opens(kms, text)
        bring(kms, key, secret)
        assert opens(kms, old) and opens(kms, new)
    with refused("NotFoundException"):
        kms.delete_imported_key_material(KeyId=key, KeyMaterialId="0" * 64)


def test_what_waits_for_a_rotation_can_be_deleted(kms, key):
    bring(kms, key, os.urandom(32))
    two = bring(kms, key, os.urandom(32), ImportType="NEW_KEY_MATERIAL")["KeyMaterialId"]
    answer = kms.delete_imported_key_material(KeyId=key, KeyMaterialId=two)
    assert answer["KeyMaterialId"] == two
    assert len(listed(kms, key)) == 1 and state(kms, key) == "Enabled"
    bring(kms, key, os.urandom(32), ImportType="NEW_KEY_MATERIAL")
    kms.rotate_key_on_demand(KeyId=key)


def test_a_key_on_its_way_out_takes_nothing_in(kms, key):
    secret = os.urandom(32)
    arguments = order(kms, key, secret)
    kms.import_key_material(**arguments, **FOREVER)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    for call in (
        lambda: parameters(kms, key, "RSAES_OAEP_SHA_256"),
        lambda: kms.import_key_material(**arguments, **FOREVER),
    ):
        assert code_of(call) == "KMSInvalidStateException"
    kms.delete_imported_key_material(KeyId=key)
    assert state(kms, key) == "PendingDeletion"
    kms.cancel_key_deletion(KeyId=key)
    assert state(kms, key) == "PendingImport"
    bring(kms, key, secret)
    assert state(kms, key) == "Enabled"


def test_a_key_that_is_off_stays_off(kms, key):
    secret = os.urandom(32)
    bring(kms, key, secret)
    kms.disable_key(KeyId=key)
    bring(kms, key, secret)
    assert state(kms, key) == "Disabled"


# Several regions


def test_imported_key_material_turns_when_every_region_has_it(server, kms):
    there = server.client("kms", region="eu-west-1")
    first, second = os.urandom(32), os.urandom(32)
    key = kms.create_key(MultiRegion=True, Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    one = bring(kms, key, first)["KeyMaterialId"]
    kms.replicate_key(KeyId=key, ReplicaRegion="eu-west-1")
    assert state(there, key) == "PendingImport" and listed(there, key)[0]["ImportState"] == "PENDING_IMPORT"
    with refused("IncorrectKeyMaterialException"):
        bring(there, key, second)
    assert bring(there, key, first)["KeyMaterialId"] == one
    old = sealed(kms, key)
    assert opens(there, old)

    with refused("UnsupportedOperationException", "primary key, in us-east-1"):
        bring(there, key, second, ImportType="NEW_KEY_MATERIAL")
    two = bring(kms, key, second, ImportType="NEW_KEY_MATERIAL")["KeyMaterialId"]
    assert listed(kms, key)[1]["KeyMaterialState"] == "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
    waiting = listed(there, key)[1]
    assert (waiting["KeyMaterialId"], waiting["ImportState"]) == (two, "PENDING_IMPORT")
    with refused("KMSInvalidStateException", "eu-west-1"):
        kms.rotate_key_on_demand(KeyId=key)
    bring(there, key, second, ImportType="EXISTING_KEY_MATERIAL", KeyMaterialId=two)
    assert listed(kms, key)[1]["KeyMaterialState"] == "PENDING_ROTATION"
    with refused("UnsupportedOperationException", "primary key, in us-east-1"):
        there.rotate_key_on_demand(KeyId=key)
    kms.rotate_key_on_demand(KeyId=key)
    for client, other in ((kms, there), (there, kms)):
        assert client.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] == two
        assert opens(other, sealed(client, key)) and opens(client, old)
    # Each region loses its own.
    there.delete_imported_key_material(KeyId=key, KeyMaterialId=one)
    assert state(there, key) == "PendingImport" and state(kms, key) == "Enabled"
    assert opens(kms, old)
    # What waits goes in all regions when it goes in the primary.
    three = bring(kms, key, os.urandom(32), ImportType="NEW_KEY_MATERIAL")["KeyMaterialId"]
    assert len(listed(there, key)) == 3
    kms.delete_imported_key_material(KeyId=key, KeyMaterialId=three)
    assert len(listed(there, key)) == len(listed(kms, key)) == 2


# What is left on the disk


def test_no_file_holds_imported_key_material(own_server):
    own_server.start()
    kms = own_server.client("kms")
    symmetric = make(kms, Origin="EXTERNAL")
    planted = hashlib.sha256(b"planted").digest()
    bring(kms, symmetric, planted)
    pair = make(kms, "ECC_NIST_P256", Origin="EXTERNAL")
    private = curve("P-256")
    bring(kms, pair, private)
    number = serialization.load_der_private_key(private, None).private_numbers().private_value
    sealed(kms, symmetric)
    own_server.kill()
    searched = 0
    for path in own_server.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            searched += len(content)
            assert planted not in content and number.to_bytes(32, "big") not in content, path
    assert searched > 10_000
