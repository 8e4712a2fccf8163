"""KMS: every operation on a key in every state answers as the developer guide's table says ("Key states of AWS KMS keys")."""

import itertools
import os
import types

import pytest

import xks_proxy
from importing import FOREVER, bring, curve, order
from kms_helpers import make
from refusals import words_of
from server import Server
from waiting import until

# Columns: Enabled, Disabled, pending deletion (either way), PendingImport, Unavailable. "+" goes well, the numbers are
# AWS's notes, and "-" stands for what no key of that kind comes to.
COLUMNS = ["Enabled", "Disabled", "PendingDeletion", "PendingReplicaDeletion", "PendingImport", "Unavailable"]
USE = "+ 1 3 5 11"
LOOK = "+ + + + +"
DESCRIBE = "+ + 3 + +"
PAIR = "+ 1 3 5 -"
TABLE = {
    "CancelKeyDeletion": "4 4 + 4 4",
    "CreateAlias": DESCRIBE,
    "CreateGrant": "+ 1 3 5 +",
    "Decapsulate": "+ 1 3 - -",
    "Decrypt": USE,
    "DeleteAlias": LOOK,
    "DeleteImportedKeyMaterial": "+ + + + 9",
    "DeriveSharedSecret": PAIR,
    "DescribeKey": LOOK,
    "DisableKey": "+ + 3 5 +",
    "DisableKeyRotation": "+ 1 3 6 7",
    "EnableKey": "+ + 3 5 +",
    "EnableKeyRotation": "+ 1 3 6 7",
    "Encapsulate": "+ 1 3 - -",
    "Encrypt": USE,
    "GenerateDataKey": USE,
    "GenerateDataKeyPair": USE,
    "GenerateDataKeyPairWithoutPlaintext": USE,
    "GenerateDataKeyWithoutPlaintext": USE,
    "GenerateMac": PAIR,
    "GetKeyLastUsage": LOOK,
    "GetKeyPolicy": LOOK,
    "GetKeyRotationStatus": LOOK,
    "GetParametersForImport": "+ + 3 + 9",
    "GetPublicKey": PAIR,
    "ImportKeyMaterial": "+ + 3 + 9",
    "ListAliases": LOOK,
    "ListGrants": LOOK,
    "ListKeyPolicies": LOOK,
    "ListKeyRotations": LOOK,
    "ListResourceTags": LOOK,
    "PutKeyPolicy": LOOK,
    "ReEncrypt": USE,
    "ReplicateKey": "+ 1 3 5 -",
    "RetireGrant": LOOK,
    "RevokeGrant": LOOK,
    "RotateKeyOnDemand": "+ 1 3 5 7",
    "ScheduleKeyDeletion": DESCRIBE,
    "Sign": PAIR,
    "TagResource": DESCRIBE,
    "UntagResource": DESCRIBE,
    "UpdateAlias": DESCRIBE,
    "UpdateKeyDescription": DESCRIBE,
    "UpdatePrimaryRegion": "+ 1 3 5 -",
    "Verify": PAIR,
    "VerifyMac": PAIR,
}
# They use no key that is there ("Other operations, such as CreateKey and ListKeys, are omitted").
WITHOUT = {
    "ConnectCustomKeyStore",
    "CreateCustomKeyStore",
    "CreateKey",
    "DeleteCustomKeyStore",
    "DescribeCustomKeyStores",
    "DisconnectCustomKeyStore",
    "GenerateRandom",
    "ListKeys",
    "ListRetirableGrants",
    "UpdateCustomKeyStore",
}
SPECS = {
    "Decapsulate": "ML_KEM_768",
    "Encapsulate": "ML_KEM_768",
    "GenerateMac": "HMAC_256",
    "VerifyMac": "HMAC_256",
    "Sign": "ECC_NIST_P256",
    "Verify": "ECC_NIST_P256",
    "GetPublicKey": "ECC_NIST_P256",
    "DeriveSharedSecret": "ECC_NIST_P256",
}
IMPORTED = {"DeleteImportedKeyMaterial", "GetParametersForImport", "ImportKeyMaterial"}
WORDS = {"1": "disabled", "3": "pending deletion", "5": "pending import"}
AWAY = "eu-west-1"
ELSEWHERE = "eu-central-1"
NAMES = itertools.count()


def expected(operation, state):
    """The note of the table."""
    column = COLUMNS.index(state)
    # Both ways to wait for deletion share a column.
    return TABLE[operation].split()[column - (column > 2)]


def with_key(operation, **more):
    return lambda kms, key, have: kms.call(operation, KeyId=key, **more)


SIGNED = {"SigningAlgorithm": "ECDSA_SHA_256", "Message": b"x"}
CODED = {"MacAlgorithm": "HMAC_SHA_256", "Message": b"x"}
CALLS = {
    "CreateAlias": lambda kms, key, have: kms.call("CreateAlias", AliasName=f"alias/new-{next(NAMES)}", TargetKeyId=key),
    "CreateGrant": lambda kms, key, have: kms.call("CreateGrant", KeyId=key, **have.grant),
    "Decapsulate": lambda kms, key, have: kms.call(
        "Decapsulate", KeyId=key, EncapsulationAlgorithm="ML_KEM", SharedSecretCiphertextBlob=have.blob
    ),
    "Decrypt": lambda kms, key, have: kms.call("Decrypt", CiphertextBlob=have.blob),
    "DeleteAlias": lambda kms, key, have: kms.call("DeleteAlias", AliasName=have.alias),
    "DeriveSharedSecret": lambda kms, key, have: kms.call(
        "DeriveSharedSecret", KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=have.public
    ),
    "Encapsulate": with_key("Encapsulate", EncapsulationAlgorithm="ML_KEM"),
    "Encrypt": with_key("Encrypt", Plaintext=b"x"),
    "GenerateDataKey": with_key("GenerateDataKey", KeySpec="AES_256"),
    "GenerateDataKeyPair": with_key("GenerateDataKeyPair", KeyPairSpec="ECC_NIST_P256"),
    "GenerateDataKeyPairWithoutPlaintext": with_key("GenerateDataKeyPairWithoutPlaintext", KeyPairSpec="ECC_NIST_P256"),
    "GenerateDataKeyWithoutPlaintext": with_key("GenerateDataKeyWithoutPlaintext", KeySpec="AES_256"),
    "GenerateMac": with_key("GenerateMac", **CODED),
    "GetParametersForImport": with_key(
        "GetParametersForImport", WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    ),
    "ImportKeyMaterial": lambda kms, key, have: kms.call("ImportKeyMaterial", **have.order, **FOREVER),
    "PutKeyPolicy": lambda kms, key, have: kms.call("PutKeyPolicy", KeyId=key, Policy=have.policy),
    "ReEncrypt": lambda kms, key, have: kms.call("ReEncrypt", CiphertextBlob=have.blob, DestinationKeyId=key),
    "ReplicateKey": with_key("ReplicateKey", ReplicaRegion=ELSEWHERE),
    "RetireGrant": lambda kms, key, have: kms.call("RetireGrant", KeyId=key, GrantId=have.grant_id),
    "RevokeGrant": lambda kms, key, have: kms.call("RevokeGrant", KeyId=key, GrantId=have.grant_id),
    "Sign": with_key("Sign", **SIGNED),
    "TagResource": with_key("TagResource", Tags=[{"TagKey": "a", "TagValue": "b"}]),
    "UntagResource": with_key("UntagResource", TagKeys=["a"]),
    "UpdateAlias": lambda kms, key, have: kms.call("UpdateAlias", AliasName=have.other_alias, TargetKeyId=key),
    "UpdateKeyDescription": with_key("UpdateKeyDescription", Description="new"),
    "UpdatePrimaryRegion": with_key("UpdatePrimaryRegion", PrimaryRegion=AWAY),
    "Verify": lambda kms, key, have: kms.call("Verify", KeyId=key, Signature=have.signature, **SIGNED),
    "VerifyMac": lambda kms, key, have: kms.call("VerifyMac", KeyId=key, Mac=have.code, **CODED),
}


class Caller:
    """A client that is told the operation's name as the model has it."""

    def __init__(self, client):
        self.client = client
        self.methods = {name: method for method, name in client.meta.method_to_api_mapping.items()}

    def __getattr__(self, name):
        return getattr(self.client, name)

    def call(self, operation, **arguments):
        return getattr(self.client, self.methods[operation])(**arguments)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    folder = tmp_path_factory.mktemp("states")
    # This machine may be busy, and the proxy with it.
    (folder / "keystead.toml").write_text("[xks]\ndeadline_ms = 10000\n")
    started = Server(folder, "--config", str(folder / "keystead.toml")).start()
    yield started
    started.kill()


@pytest.fixture(scope="module")
def kms(started):
    return Caller(started.client("kms"))


@pytest.fixture(scope="module")
def away(started):
    return started.client("kms", region=AWAY)


def prepared(kms, operation, key, key_material=None):
    """What the operation needs, got while the key can be used."""
    spec = kms.describe_key(KeyId=key)["KeyMetadata"]["KeySpec"]
    account = key.split(":")[4]
    have = types.SimpleNamespace(grant={"GranteePrincipal": f"arn:aws:iam::{account}:root", "Operations": ["DescribeKey"]})
    have.policy = kms.get_key_policy(KeyId=key)["Policy"]
    if operation in ("RetireGrant", "RevokeGrant"):
        have.grant_id = kms.create_grant(KeyId=key, **have.grant)["GrantId"]
    if operation == "DeleteAlias":
        have.alias = f"alias/old-{next(NAMES)}"
        kms.create_alias(AliasName=have.alias, TargetKeyId=key)
    if operation == "UpdateAlias":
        have.other_alias = f"alias/other-{next(NAMES)}"
        kms.create_alias(AliasName=have.other_alias, TargetKeyId=make(kms))
    if operation in ("Decrypt", "ReEncrypt"):
        have.blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    if operation == "Decapsulate":
        have.blob = kms.encapsulate(KeyId=key, EncapsulationAlgorithm="ML_KEM")["SharedSecretCiphertextBlob"]
    if operation == "VerifyMac":
        have.code = kms.generate_mac(KeyId=key, **CODED)["Mac"]
    if operation == "Verify":
        have.signature = kms.sign(KeyId=key, **SIGNED)["Signature"]
    if operation == "DeriveSharedSecret":
        peer = make(kms, spec, "KEY_AGREEMENT")
        have.public = kms.get_public_key(KeyId=peer)["PublicKey"]
    if operation == "ImportKeyMaterial":
        have.order = order(kms, key, key_material) if key_material else {
            "KeyId": key,
            "ImportToken": b"token",
            "EncryptedKeyMaterial": b"material",
        }
    return have


def subject(kms, away, operation, state):
    """A key of the kind that the operation is about, in this state, and what the call needs."""
    spec = SPECS.get(operation, "SYMMETRIC_DEFAULT")
    usage = "KEY_AGREEMENT" if operation == "DeriveSharedSecret" else None
    more, key_material = {}, None
    if state == "PendingReplicaDeletion" or operation in ("ReplicateKey", "UpdatePrimaryRegion"):
        more["MultiRegion"] = True
    if state == "PendingImport" or operation in IMPORTED:
        more["Origin"] = "EXTERNAL"
        key_material = curve("P-256") if spec.startswith("ECC") else os.urandom(32)
    key = make(kms, spec, usage, **more)
    if key_material:
        bring(kms, key, key_material)
    if state == "PendingReplicaDeletion" or operation == "UpdatePrimaryRegion":
        kms.replicate_key(KeyId=key, ReplicaRegion=AWAY)
        if key_material:
            bring(away, key.replace(kms.meta.region_name, AWAY), key_material)
    have = prepared(kms, operation, key, key_material)
    if state == "Disabled":
        kms.disable_key(KeyId=key)
    if state.endswith("Deletion"):
        if operation == "UpdatePrimaryRegion" and state == "PendingDeletion":
            # A primary with a replica waits for that first: here it is the one that would take over.
            away.schedule_key_deletion(KeyId=key.replace(kms.meta.region_name, AWAY))
            return key, have
        kms.schedule_key_deletion(KeyId=key)
    if state == "PendingImport":
        kms.delete_imported_key_material(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == state
    return key, have


def check(kms, operation, state, key, have):
    note = expected(operation, state)
    call = CALLS.get(operation, with_key(operation))
    if note == "+":
        call(kms, key, have)
        return
    code, message = words_of(lambda: call(kms, key, have))
    if note in ("6", "7", "9"):
        assert code == "UnsupportedOperationException", message
        if note == "6":
            assert message == f"{key} origin is EXTERNAL which is not valid for this operation."
        return
    if note == "4":
        assert (code, message) == ("KMSInvalidStateException", f"{key} is not pending deletion.")
        return
    if note == "11":
        # In the words of the guide's troubleshooting, which say what to do.
        assert code == "KMSInvalidStateException" and "not connected" in message
        return
    words = "pending replica deletion" if state == "PendingReplicaDeletion" else WORDS[note]
    if operation == "UpdatePrimaryRegion" and state == "PendingDeletion":
        key = key.replace(kms.meta.region_name, AWAY)
    assert message == f"{key} is {words}."
    assert code == ("DisabledException" if note == "1" else "KMSInvalidStateException")


def test_the_table_has_every_operation(kms):
    assert set(TABLE) | WITHOUT == set(kms.meta.service_model.operation_names)
    assert not set(TABLE) & WITHOUT


@pytest.mark.parametrize("state", COLUMNS[:-1])
@pytest.mark.parametrize("operation", TABLE)
def test_an_operation_on_a_key_in_a_state(kms, away, operation, state):
    if expected(operation, state) != "-":
        check(kms, operation, state, *subject(kms, away, operation, state))


@pytest.fixture(scope="module")
def unavailable(started):
    """A key for each operation in an external key store, which is then disconnected."""
    proxy = xks_proxy.Proxy()
    kms = Caller(started.client("kms", region="us-store-1"))
    store = kms.create_custom_key_store(CustomKeyStoreName="s", **proxy.configuration())["CustomKeyStoreId"]

    def is_connection(state):
        (found,) = kms.describe_custom_key_stores(CustomKeyStoreId=store)["CustomKeyStores"]
        return found["ConnectionState"] == state

    kms.connect_custom_key_store(CustomKeyStoreId=store)
    until("the store to be connected", lambda: is_connection("CONNECTED"))
    subjects = {}
    for operation in TABLE:
        if expected(operation, "Unavailable") == "-":
            continue
        proxy.keys[operation] = proxy.keys["one"]
        made = kms.create_key(Origin="EXTERNAL_KEY_STORE", CustomKeyStoreId=store, XksKeyId=operation)
        key = made["KeyMetadata"]["Arn"]
        subjects[operation] = key, prepared(kms, operation, key)
    kms.disconnect_custom_key_store(CustomKeyStoreId=store)
    until("the store to be disconnected", lambda: is_connection("DISCONNECTED"))
    yield kms, subjects
    proxy.close()


@pytest.mark.parametrize("operation", TABLE)
def test_an_operation_on_a_key_that_is_unavailable(unavailable, operation):
    kms, subjects = unavailable
    if operation in subjects:
        key, have = subjects[operation]
        assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Unavailable"
        check(kms, operation, "Unavailable", key, have)


def test_an_alias_can_be_taken_from_a_key_that_is_on_its_way_out(kms):
    """Note 10."""
    key, alias = make(kms), f"alias/moved-{next(NAMES)}"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    kms.schedule_key_deletion(KeyId=key)
    kms.update_alias(AliasName=alias, TargetKeyId=make(kms))


def test_a_key_that_is_unavailable_comes_to_the_state_that_it_was_given(unavailable):
    """Notes 12 and 13; the state shows when the key store is connected again."""
    kms, subjects = unavailable
    key, _ = subjects["ScheduleKeyDeletion"]
    state = lambda: kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
    if state() == "Unavailable":
        kms.schedule_key_deletion(KeyId=key)
    assert state() == "PendingDeletion"
    kms.cancel_key_deletion(KeyId=key)
    assert state() == "Unavailable"
