"""The AWS Encryption SDK with Keystead's keys: master keys, its cache, keyrings of several keys, messages both ways."""

import boto3
import pytest
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import CreateAwsKmsKeyringInput, CreateMultiKeyringInput
from aws_encryption_sdk import (
    CachingCryptoMaterialsManager,
    CommitmentPolicy,
    EncryptionSDKClient,
    LocalCryptoMaterialsCache,
    StrictAwsKmsMasterKeyProvider,
)
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError

from kms_helpers import make

CONTEXT = {"purpose": "test"}
TEXT = b"a message longer than KMS itself would take " * 200


@pytest.fixture(scope="module")
def keys(kms):
    return [make(kms), make(kms)]


@pytest.fixture
def sdk():
    return EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)


@pytest.fixture
def around(server, monkeypatch):
    """The SDK makes its own clients: they find the server as any program of AWS's does."""
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)


def provider(*keys):
    return StrictAwsKmsMasterKeyProvider(key_ids=list(keys))


def keyring(kms, *keys):
    mpl = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
    made = [mpl.create_aws_kms_keyring(CreateAwsKmsKeyringInput(kms_key_id=key, kms_client=kms)) for key in keys]
    return mpl.create_multi_keyring(CreateMultiKeyringInput(generator=made[0], child_keyrings=made[1:]))


def counted(kms):
    """How often the client calls each operation from now on."""
    calls = []
    kms.meta.events.register("before-call.kms", lambda model, **_: calls.append(model.name))
    return calls


def test_a_message_under_master_keys(around, keys, sdk):
    sealed, header = sdk.encrypt(source=TEXT, key_provider=provider(*keys), encryption_context=CONTEXT)
    assert header.encryption_context["purpose"] == "test"
    for key in keys:
        opened, _ = sdk.decrypt(source=sealed, key_provider=provider(key))
        assert opened == TEXT
    altered = sealed[:-200] + bytes([sealed[-200] ^ 1]) + sealed[-199:]
    with pytest.raises(Exception) as refusal:
        sdk.decrypt(source=altered, key_provider=provider(keys[0]))
    assert "InvalidTag" in repr(refusal.value) or isinstance(refusal.value, AWSEncryptionSDKClientError)


def test_another_key_opens_no_message(around, kms, keys, sdk):
    sealed, _ = sdk.encrypt(source=TEXT, key_provider=provider(keys[0]))
    with pytest.raises(AWSEncryptionSDKClientError):
        sdk.decrypt(source=sealed, key_provider=provider(make(kms)))


def test_messages_of_a_keyring_and_of_master_keys_open_each_other(around, kms, keys, sdk):
    sealed, _ = sdk.encrypt(source=TEXT, keyring=keyring(kms, *keys), encryption_context=CONTEXT)
    opened, _ = sdk.decrypt(source=sealed, key_provider=provider(keys[1]))
    assert opened == TEXT
    sealed, _ = sdk.encrypt(source=TEXT, key_provider=provider(*keys), encryption_context=CONTEXT)
    opened, _ = sdk.decrypt(source=sealed, keyring=keyring(kms, keys[1], keys[0]))
    assert opened == TEXT


def test_a_cache_asks_for_one_data_key(around, server, keys, sdk):
    session = boto3.Session(region_name=keys[0].split(":")[3])
    master = StrictAwsKmsMasterKeyProvider(key_ids=[keys[0]], botocore_session=session._session)
    asked = counted(master._client(keys[0]))
    manager = CachingCryptoMaterialsManager(
        master_key_provider=master, cache=LocalCryptoMaterialsCache(10), max_age=600.0, max_messages_encrypted=100
    )
    messages = [sdk.encrypt(source=TEXT, materials_manager=manager, encryption_context=CONTEXT)[0] for _ in range(5)]
    assert asked == ["GenerateDataKey"]
    opened = [sdk.decrypt(source=message, materials_manager=manager)[0] for message in messages]
    assert opened == [TEXT] * 5
    assert asked == ["GenerateDataKey", "Decrypt"]


def test_the_header_names_keystead_s_ciphertext_as_the_key_s(around, kms, keys, sdk):
    _, header = sdk.encrypt(source=TEXT, key_provider=provider(keys[0]), encryption_context=CONTEXT)
    (data_key,) = header.encrypted_data_keys
    assert data_key.key_provider.key_info.decode() == keys[0]
    context = dict(header.encryption_context)
    opened = kms.decrypt(CiphertextBlob=data_key.encrypted_data_key, EncryptionContext=context)
    assert opened["KeyId"] == keys[0] and len(opened["Plaintext"]) == 32
