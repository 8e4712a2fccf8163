"""Custom key stores of type AWS_CLOUDHSM: a PKCS #11 token (SoftHSM2), in which keys are made and used."""

import datetime

import pytest
from cryptography.hazmat.primitives import serialization

from refusals import code_of, refused, words_of
from server import Server
from softhsm import PIN, SoftHsm
from test_key_stores import GONE, code_of_nothing, connect, disconnect, settled, state
from waiting import until
from web_issuer import certificate

CLUSTER = "cluster-aaaaaaaaaaa"
ANCHOR = certificate("Customer CA", ca=True)[0].public_bytes(serialization.Encoding.PEM).decode()


class Hsm(SoftHsm):
    """A token in a folder, and servers that have it in their configuration."""

    def server(self, folder, **more):
        """A server with this token; its cluster id is the tests' unless `more` says otherwise, or None for none."""
        said = {name: value for name, value in ({"cluster_id": CLUSTER} | more).items() if value is not None}
        configuration = folder / "keystead.toml"
        configuration.write_text(self.configured(**said))
        server = Server(folder, "--config", str(configuration))
        server.surroundings = self.environment
        return server.start()


@pytest.fixture
def hsm(tmp_path):
    return Hsm(tmp_path / "softhsm").initialize()


@pytest.fixture
def server(hsm, tmp_path):
    (tmp_path / "server").mkdir()
    started = hsm.server(tmp_path / "server")
    yield started
    started.kill()


@pytest.fixture
def kms(server):
    return server.client("kms")


def create(kms, name="hsm", **more):
    given = {"CloudHsmClusterId": CLUSTER, "KeyStorePassword": PIN, "TrustAnchorCertificate": ANCHOR} | more
    return kms.create_custom_key_store(CustomKeyStoreName=name, **given)["CustomKeyStoreId"]


@pytest.fixture
def store(kms):
    made = create(kms)
    assert connect(kms, made) == ("CONNECTED", None)
    return made


def key_in(kms, store):
    return kms.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=store)["KeyMetadata"]


def test_a_key_is_made_and_used_in_the_token(hsm, kms, store):
    (told,) = kms.describe_custom_key_stores(CustomKeyStoreId=store)["CustomKeyStores"]
    assert told.pop("CreationDate")
    assert told == {
        "CustomKeyStoreId": store,
        "CustomKeyStoreName": "hsm",
        "CustomKeyStoreType": "AWS_CLOUDHSM",
        "CloudHsmClusterId": CLUSTER,
        "TrustAnchorCertificate": ANCHOR,
        "ConnectionState": "CONNECTED",
    }
    before = hsm.objects()
    metadata = key_in(kms, store)
    assert hsm.objects() == before + 1
    assert metadata["Origin"] == "AWS_CLOUDHSM" and metadata["CustomKeyStoreId"] == store
    assert metadata["CloudHsmClusterId"] == CLUSTER and metadata["KeyState"] == "Enabled"
    key = metadata["Arn"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"hello", EncryptionContext={"a": "b"})["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "b"})["Plaintext"] == b"hello"
    assert code_of(lambda: kms.decrypt(CiphertextBlob=blob)) == "InvalidCiphertextException"
    data_key = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    assert kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"])["Plaintext"] == data_key["Plaintext"]
    one, other = (kms.generate_random(NumberOfBytes=64, CustomKeyStoreId=store)["Plaintext"] for _ in range(2))
    assert len(one) == 64 and one != other


def test_a_key_of_the_token_can_be_lent_to_aws(server, kms, store):
    key = key_in(kms, store)["Arn"]
    keystead = server.client("keystead")
    made = keystead.create_xks_proxy(Name="hsm")
    keystead.expose_xks_key(XksProxyArn=made["XksProxyArn"], KeyId=key, ExternalKeyId="one")
    client = server.client(
        "kms-xks-proxy", key_id=made["Credential"]["AccessKeyId"], secret=made["Credential"]["RawSecretAccessKey"]
    )
    behind = {"awsPrincipalArn": "x", "kmsKeyArn": "x", "kmsOperation": "x", "kmsRequestId": "x"}
    to = {
        "uriPathPrefix": made["UriPath"].removesuffix("/kms/xks/v1")[1:],
        "externalKeyId": "one",
        "requestMetadata": behind,
        "encryptionAlgorithm": "AES_GCM",
    }
    sealed = client.encrypt(plaintext=b"hello", ciphertextDataIntegrityValueAlgorithm="SHA_256", **to)
    for name in ("ResponseMetadata", "ciphertextDataIntegrityValue"):
        del sealed[name]
    assert client.decrypt(**sealed, **to)["plaintext"] == b"hello"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"CloudHsmClusterId": "cluster-bbbbbbbbbbb"}, "CloudHsmClusterNotFoundException"),
        ({"TrustAnchorCertificate": "pem"}, "IncorrectTrustAnchorException"),
    ],
)
def test_a_store_that_does_not_fit_its_token(kms, more, code):
    with refused(code):
        create(kms, **more)


def test_a_token_is_behind_one_store(kms, store):
    with refused("CloudHsmClusterInUseException"):
        create(kms, name="another")
    with refused("CustomKeyStoreNameInUseException"):
        create(kms)


def test_the_password_is_the_pin(kms):
    store = create(kms, KeyStorePassword="wrong-password")
    assert connect(kms, store) == ("FAILED", "INVALID_CREDENTIALS")
    disconnect(kms, store)
    kms.update_custom_key_store(CustomKeyStoreId=store, KeyStorePassword=PIN)
    assert connect(kms, store) == ("CONNECTED", None)
    with refused("CustomKeyStoreInvalidStateException"):
        kms.update_custom_key_store(CustomKeyStoreId=store, NewCustomKeyStoreName="while connected")


def test_another_token_does_not_have_the_keys(kms, store):
    disconnect(kms, store)
    with refused("CloudHsmClusterNotFoundException", CLUSTER):
        kms.update_custom_key_store(CustomKeyStoreId=store, CloudHsmClusterId="cluster-bbbbbbbbbbb")
    kms.update_custom_key_store(CustomKeyStoreId=store, CloudHsmClusterId=CLUSTER)


def test_a_disconnected_store_makes_and_uses_nothing(kms, store):
    key = key_in(kms, store)["Arn"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
    disconnect(kms, store)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Unavailable"
    assert code_of(lambda: kms.decrypt(CiphertextBlob=blob)) == "KMSInvalidStateException"
    for call in (lambda: key_in(kms, store), lambda: kms.generate_random(NumberOfBytes=1, CustomKeyStoreId=store)):
        assert code_of(call) == "CustomKeyStoreInvalidStateException"
    assert code_of(lambda: kms.generate_random(NumberOfBytes=1, CustomKeyStoreId=GONE)) == "CustomKeyStoreNotFoundException"
    connect(kms, store)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"hello"


def test_a_token_that_is_away_and_comes_back(hsm, server, kms, store):
    key = key_in(kms, store)["Arn"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
    server.kill()
    hsm.take_away()
    kms = server.start().client("kms")
    code, words = words_of(lambda: kms.decrypt(CiphertextBlob=blob))
    assert code == "KMSInvalidStateException" and "cannot be used just now" in words
    assert code_of(lambda: key_in(kms, store)) == "CustomKeyStoreInvalidStateException"
    disconnect(kms, store)
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    assert settled(kms, store) == ("FAILED", "INSUFFICIENT_CLOUDHSM_HSMS")
    hsm.bring_back()
    # The server finds it again by itself.
    until("the token", lambda: disconnect(kms, store) or connect(kms, store)[0] == "CONNECTED", deadline=60)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"hello"


def test_two_servers_on_one_token(hsm, kms, store, tmp_path):
    (tmp_path / "other").mkdir()
    other = hsm.server(tmp_path / "other")
    theirs = other.client("kms")
    second = create(theirs)
    assert connect(theirs, second) == ("CONNECTED", None)
    for client, home in ((kms, store), (theirs, second)):
        key = key_in(client, home)["Arn"]
        blob = client.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
        assert client.decrypt(CiphertextBlob=blob)["Plaintext"] == b"hello"
    other.kill()


def test_the_end_of_a_key_is_its_end_in_the_token(hsm, server, kms, store):
    key = key_in(kms, store)["Arn"]
    there = hsm.objects()
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    disconnect(kms, store)
    with refused("CustomKeyStoreHasCMKsException"):
        kms.delete_custom_key_store(CustomKeyStoreId=store)
    server.kill()
    kms = server.start(ahead=datetime.timedelta(days=8)).client("kms")
    until("the key's end in the token", lambda: hsm.objects() == there - 1)
    until("the key's end", lambda: code_of_nothing(lambda: kms.describe_key(KeyId=key)))
    kms.delete_custom_key_store(CustomKeyStoreId=store)


def test_a_token_without_an_id_of_the_configuration_has_one_of_its_own(hsm, tmp_path):
    (tmp_path / "server").mkdir()
    server = hsm.server(tmp_path / "server", cluster_id=None)
    kms = server.client("kms")

    def told():
        _, words = words_of(lambda: create(kms))
        return words.rsplit("has ", 1)[1].rstrip(".") if "has cluster-" in words else None

    cluster = until("the token's id", told)
    store = create(kms, CloudHsmClusterId=cluster)
    assert connect(kms, store) == ("CONNECTED", None)
    assert state(kms, store) == ("CONNECTED", None)
    server.kill()


@pytest.mark.parametrize("id", ["mine", "cluster-short", "cluster-with0and1and8"])
def test_an_id_that_clients_do_not_take_is_refused_at_the_start(hsm, tmp_path, id):
    (tmp_path / "server").mkdir()
    with pytest.raises(Exception, match="has cluster_id = .*expected 'cluster-' and 11 to 16 letters"):
        hsm.server(tmp_path / "server", cluster_id=id)
