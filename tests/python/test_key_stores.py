"""Custom key stores: created, connected, used, disconnected, deleted; external ones by a proxy that is Python's alone, and
by Keystead itself as the other side."""

import base64
import datetime
import itertools
import json
import os
import socket
import threading

import botocore.exceptions
import pytest
from cryptography.hazmat.primitives import serialization

import xks_proxy
from refusals import code_of, refused, words_of
from server import ACCOUNT, Server, StartFailure
from waiting import until
from web_issuer import certificate

REGIONS = itertools.count(1)
GONE = "cks-00000000000000000"


def patient(folder, more=""):
    """A server whose KMS waits longer for proxies than AWS's: this machine may be busy."""
    (folder / "keystead.toml").write_text(f"[xks]\ndeadline_ms = 10000\n{more}")
    return Server(folder, "--config", str(folder / "keystead.toml")).start()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    started = patient(tmp_path_factory.mktemp("cloud"))
    yield started
    started.kill()


@pytest.fixture
def kms(cloud):
    """KMS in a region of the test's own: a store with keys stays, and an account has ten in a region."""
    return cloud.client("kms", region=f"us-test-{next(REGIONS)}")


@pytest.fixture
def proxy():
    made = xks_proxy.Proxy()
    yield made
    made.close()


def code_of_nothing(call):
    """The refusal of this call; nothing where it goes well."""
    try:
        call()
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return None


def create(kms, proxy, name="external", **more):
    return kms.create_custom_key_store(CustomKeyStoreName=name, **proxy.configuration(**more))["CustomKeyStoreId"]


def state(kms, store):
    (found,) = kms.describe_custom_key_stores(CustomKeyStoreId=store)["CustomKeyStores"]
    return found["ConnectionState"], found.get("ConnectionErrorCode")


def settled(kms, store):
    def outcome():
        found = state(kms, store)
        return found if found[0] not in ("CONNECTING", "DISCONNECTING") else None

    return until(f"{store} to be settled", outcome)


def connect(kms, store):
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    return settled(kms, store)


def disconnect(kms, store):
    kms.disconnect_custom_key_store(CustomKeyStoreId=store)
    assert settled(kms, store) == ("DISCONNECTED", None)


def key_in(kms, store, external="one"):
    made = kms.create_key(Origin="EXTERNAL_KEY_STORE", CustomKeyStoreId=store, XksKeyId=external)
    return made["KeyMetadata"]


@pytest.fixture
def store(kms, proxy):
    """An external key store, connected."""
    made = create(kms, proxy, name=f"store {os.urandom(4).hex()}")
    assert connect(kms, made) == ("CONNECTED", None)
    return made


@pytest.fixture
def key(kms, store):
    return key_in(kms, store)["Arn"]


def test_a_store_is_created_told_of_and_deleted(kms, proxy):
    store = create(kms, proxy, name="Förster")
    assert store.startswith("cks-") and len(store) == 21
    asked, request = proxy.asked[-1]
    assert asked == "/health"
    assert request["requestMetadata"]["kmsOperation"] == "CreateCustomKeyStore" and request["requestMetadata"]["kmsRequestId"]
    for by in ({"CustomKeyStoreId": store}, {"CustomKeyStoreName": "Förster"}):
        (told,) = kms.describe_custom_key_stores(**by)["CustomKeyStores"]
        assert told.pop("CreationDate")
        assert told == {
            "CustomKeyStoreId": store,
            "CustomKeyStoreName": "Förster",
            "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
            "ConnectionState": "DISCONNECTED",
            "XksProxyConfiguration": {
                "Connectivity": "PUBLIC_ENDPOINT",
                "AccessKeyId": xks_proxy.ACCESS_KEY,
                "UriEndpoint": proxy.endpoint,
                "UriPath": xks_proxy.PATH,
            },
        }
    with refused("ValidationException"):
        kms.describe_custom_key_stores(CustomKeyStoreId=store, CustomKeyStoreName="Förster")
    kms.delete_custom_key_store(CustomKeyStoreId=store)
    with refused("CustomKeyStoreNotFoundException"):
        kms.describe_custom_key_stores(CustomKeyStoreId=store)


def test_what_is_encrypted_in_a_store_decrypts_there(kms, proxy, store):
    metadata = key_in(kms, store)
    assert metadata["Origin"] == "EXTERNAL_KEY_STORE" and metadata["CustomKeyStoreId"] == store
    assert metadata["XksKeyConfiguration"] == {"Id": "one"} and metadata["KeyState"] == "Enabled"
    made = proxy.metadata_of("metadata")
    assert made["kmsOperation"] == "CreateKey" and "kmsKeyArn" not in made
    key, context = metadata["Arn"], {"purpose": "test"}
    answer = kms.encrypt(KeyId=key, Plaintext=b"hello", EncryptionContext=context)
    sent = [request for path, request in proxy.asked if path == "/keys/one/encrypt"][-1]
    assert b"hello" not in base64.b64decode(sent["plaintext"]), "two layers: the proxy sees no plaintext"
    assert sent["requestMetadata"] == {
        "awsPrincipalArn": "arn:aws:iam::123456789012:root",
        "kmsKeyArn": key,
        "kmsOperation": "Encrypt",
        "kmsRequestId": answer["ResponseMetadata"]["RequestId"],
    }
    opened = kms.decrypt(CiphertextBlob=answer["CiphertextBlob"], EncryptionContext=context)
    assert opened["Plaintext"] == b"hello" and opened["KeyId"] == key
    assert proxy.metadata_of("decrypt")["kmsOperation"] == "Decrypt"
    data_key = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    assert kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"])["Plaintext"] == data_key["Plaintext"]
    assert proxy.metadata_of("encrypt")["kmsOperation"] == "GenerateDataKey"
    again = kms.re_encrypt(CiphertextBlob=data_key["CiphertextBlob"], DestinationKeyId=key)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=again)["Plaintext"] == data_key["Plaintext"]
    assert proxy.metadata_of("encrypt")["kmsOperation"] == "ReEncrypt"
    most = os.urandom(4096)
    assert kms.decrypt(CiphertextBlob=kms.encrypt(KeyId=key, Plaintext=most)["CiphertextBlob"])["Plaintext"] == most


def test_connections_to_the_proxy_are_kept(kms, proxy, key):
    before = proxy.connections
    for _ in range(20):
        kms.encrypt(KeyId=key, Plaintext=b"hello")
    assert proxy.connections - before <= 1


def test_a_connection_that_the_proxy_closed_meanwhile_is_replaced(kms, proxy, key):
    blob = kms.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
    for _ in range(5):
        proxy.hang_up()
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"hello"


@pytest.mark.parametrize(("iv", "metadata"), [(12, b""), (16, b""), (16, b"m" * 20)])
def test_every_form_of_answer_that_the_specification_allows(kms, iv, metadata):
    proxy = xks_proxy.Proxy(iv, metadata)
    store = create(kms, proxy)
    connect(kms, store)
    key = key_in(kms, store)["Arn"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"hello"
    proxy.close()


def test_no_bit_of_a_ciphertext_may_change(kms, key):
    blob = kms.encrypt(KeyId=key, Plaintext=b"hello", EncryptionContext={"a": "b"})["CiphertextBlob"]
    for at in range(len(blob)):
        altered = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
        code = code_of(lambda: kms.decrypt(KeyId=key, CiphertextBlob=altered, EncryptionContext={"a": "b"}))
        assert code in ("InvalidCiphertextException", "IncorrectKeyException", "KMSInvalidStateException"), at
    code, words = words_of(lambda: kms.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "c"}))
    assert code == "KMSInvalidStateException" and "encryption context is corrupted" in words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ValidationException", "cannot interpret the response"),
        ("InvalidStateException", "is not enabled in the external key manager"),
        ("InvalidKeyUsageException", "does not support the requested operation"),
        ("AuthenticationFailedException", "could not authenticate AWS KMS"),
        ("AccessDeniedException", "denied access to the operation"),
        ("KeyNotFoundException", "was not found in its external key manager"),
        ("InvalidUriPathException", "invalid URI path"),
        ("UnsupportedOperationException", "does not support the requested operation"),
        ("DependencyTimeoutException", "did not respond to the request in the time allotted"),
        ("ThrottlingException", "very high request rate"),
        ("InternalException", "cannot communicate with the external key manager"),
        ("InvalidCiphertextException", "ciphertext or encryption context is corrupted"),
        ("NobodyKnowsException", "cannot interpret the response"),
    ],
)
def test_every_refusal_of_the_proxy_has_aws_words(kms, proxy, key, name, words):
    blob = kms.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
    status = xks_proxy.STATUS.get(name, 400)
    proxy.raw = status, json.dumps({"errorName": name, "errorMessage": "not for callers"}).encode()
    for call in (lambda: kms.encrypt(KeyId=key, Plaintext=b"x"), lambda: kms.decrypt(CiphertextBlob=blob)):
        code, said = words_of(call)
        assert code == "KMSInvalidStateException" and words in said and "not for callers" not in said
    proxy.clear()
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"hello"


@pytest.mark.parametrize(
    ("name", "create_store", "create_key", "error"),
    [
        ("ValidationException", "XksProxyInvalidResponseException", "CustomKeyStoreInvalidStateException", "XKS_PROXY_INVALID_RESPONSE"),
        ("InvalidStateException", "XksProxyUriUnreachableException", "XksKeyInvalidConfigurationException", "XKS_PROXY_NOT_REACHABLE"),
        (
            "AuthenticationFailedException",
            "XksProxyIncorrectAuthenticationCredentialException",
            "CustomKeyStoreInvalidStateException",
            "INVALID_CREDENTIALS",
        ),
        ("AccessDeniedException", "XksProxyInvalidResponseException", "CustomKeyStoreInvalidStateException", "XKS_PROXY_ACCESS_DENIED"),
        ("KeyNotFoundException", "XksProxyInvalidResponseException", "XksKeyNotFoundException", "XKS_PROXY_INVALID_RESPONSE"),
        ("InvalidKeyUsageException", "XksProxyInvalidResponseException", "XksKeyInvalidConfigurationException", "XKS_PROXY_INVALID_RESPONSE"),
        (
            "InvalidUriPathException",
            "XksProxyInvalidConfigurationException",
            "CustomKeyStoreInvalidStateException",
            "XKS_PROXY_INVALID_CONFIGURATION",
        ),
        ("UnsupportedOperationException", "XksProxyInvalidResponseException", "UnsupportedOperationException", "XKS_PROXY_INVALID_RESPONSE"),
        ("DependencyTimeoutException", "XksProxyUriUnreachableException", "CustomKeyStoreInvalidStateException", "XKS_PROXY_TIMED_OUT"),
        ("ThrottlingException", "XksProxyUriUnreachableException", "CustomKeyStoreInvalidStateException", "XKS_PROXY_NOT_REACHABLE"),
        ("InternalException", "XksProxyInvalidResponseException", "CustomKeyStoreInvalidStateException", "XKS_PROXY_INVALID_RESPONSE"),
    ],
)
def test_management_tells_every_refusal_apart(kms, proxy, store, name, create_store, create_key, error):
    proxy.raw = xks_proxy.STATUS[name], json.dumps({"errorName": name}).encode()
    with refused(create_store):
        create(kms, proxy, name="new", XksProxyUriPath="/new/kms/xks/v1")
    with refused(create_store):
        kms.update_custom_key_store(CustomKeyStoreId=store, XksProxyUriPath="/new/kms/xks/v1")
    with refused(create_key):
        key_in(kms, store)
    disconnect(kms, store)
    assert connect(kms, store) == ("FAILED", error)
    with refused("CustomKeyStoreInvalidStateException", "FAILED"):
        kms.connect_custom_key_store(CustomKeyStoreId=store)
    proxy.clear()
    disconnect(kms, store)
    assert connect(kms, store) == ("CONNECTED", None)


LIES = {
    "no JSON": (200, b"hello"),
    "an empty object": (200, b"{}"),
    "a list": (200, b"[]"),
    "a refusal without a name": (500, b"{}"),
    "a refusal of HTML": (502, b"<html>Bad Gateway</html>"),
    "a redirection": (302, b"{}"),
    "too much": (200, b'{"plaintext": "' + b"A" * 200_000 + b'"}'),
}


@pytest.mark.parametrize("lie", LIES)
def test_answers_that_are_none(kms, proxy, key, lie):
    blob = kms.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
    proxy.raw = LIES[lie]
    for call in (lambda: kms.encrypt(KeyId=key, Plaintext=b"x"), lambda: kms.decrypt(CiphertextBlob=blob)):
        code, words = words_of(call)
        assert code == "KMSInvalidStateException" and "cannot interpret the response" in words, words


def changed(part, change):
    def spoil(operation, answer):
        if part in answer:
            answer = answer | {part: xks_proxy.b64(change(base64.b64decode(answer[part])))}
        return answer

    return spoil


@pytest.mark.parametrize("part", ["ciphertext", "initializationVector", "authenticationTag", "ciphertextMetadata", "ciphertextDataIntegrityValue"])
@pytest.mark.parametrize("change", [lambda data: bytes([data[0] ^ 1]) + data[1:], lambda data: data[:-1], lambda data: data + bytes(20)])
def test_a_proxy_that_alters_what_it_encrypted_is_caught_at_once(kms, proxy, key, part, change):
    proxy.spoil = changed(part, change)
    code, words = words_of(lambda: kms.encrypt(KeyId=key, Plaintext=b"hello"))
    assert code == "KMSInvalidStateException" and "cannot interpret the response" in words


def test_a_proxy_that_leaves_out_the_integrity_value_is_caught(kms, proxy, key):
    proxy.spoil = lambda operation, answer: {name: answer[name] for name in answer if name != "ciphertextDataIntegrityValue"}
    assert code_of(lambda: kms.encrypt(KeyId=key, Plaintext=b"hello")) == "KMSInvalidStateException"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: bytes([data[0] ^ 1]) + data[1:], "that the external key store proxy submitted for decryption"),
        (lambda data: data[:-1], "cannot interpret the response"),
    ],
)
def test_a_proxy_that_lies_about_what_it_decrypted_is_caught(kms, proxy, key, change, words):
    blob = kms.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
    proxy.spoil = changed("plaintext", change)
    code, said = words_of(lambda: kms.decrypt(CiphertextBlob=blob))
    assert code == "KMSInvalidStateException" and words in said


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ({"keySpec": "AES_128"}, "The key spec of specified external key is AES_128"),
        ({"keyUsage": ["ENCRYPT", "WRAP"]}, "The key usage of specified external key is ENCRYPT, WRAP"),
        ({"keyStatus": "DISABLED"}, "The status of specified external key is DISABLED"),
    ],
)
def test_an_external_key_that_does_not_fit(kms, proxy, store, described, words):
    proxy.described |= described
    with refused("XksKeyInvalidConfigurationException", words):
        key_in(kms, store)


def test_an_external_key_is_behind_one_kms_key(kms, proxy, store, key):
    with refused("XksKeyAlreadyInUseException"):
        key_in(kms, store)
    with refused("XksKeyNotFoundException"):
        key_in(kms, store, "unknown")
    for missing in ({"CustomKeyStoreId": store}, {"XksKeyId": "two"}):
        assert code_of(lambda: kms.create_key(Origin="EXTERNAL_KEY_STORE", **missing)) == "ValidationException"
    with refused("CustomKeyStoreNotFoundException"):
        key_in(kms, GONE, "two")
    with refused("ValidationException"):
        kms.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=store)


def test_a_key_of_a_store_that_is_not_connected_is_unavailable(kms, proxy, store, key):
    blob = kms.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
    disconnect(kms, store)
    asked = len(proxy.asked)
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (metadata["KeyState"], metadata["Enabled"]) == ("Unavailable", False)
    for call in (lambda: kms.encrypt(KeyId=key, Plaintext=b"x"), lambda: kms.decrypt(CiphertextBlob=blob)):
        code, words = words_of(call)
        assert code == "KMSInvalidStateException" and "not connected" in words
    with refused("CustomKeyStoreInvalidStateException", "not connected"):
        key_in(kms, store, "two")
    assert len(proxy.asked) == asked, "a proxy that is disconnected is not called"
    assert connect(kms, store) == ("CONNECTED", None)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"hello"


def test_a_store_with_keys_is_not_deleted(kms, store, key):
    with refused("CustomKeyStoreInvalidStateException", "DISCONNECTED"):
        kms.delete_custom_key_store(CustomKeyStoreId=store)
    disconnect(kms, store)
    with refused("CustomKeyStoreHasCMKsException"):
        kms.delete_custom_key_store(CustomKeyStoreId=store)


def test_names_and_endpoints_are_unique(kms, proxy):
    store = create(kms, proxy, name="first")
    with refused("CustomKeyStoreNameInUseException"):
        create(kms, proxy, name="first", XksProxyUriPath="/other/kms/xks/v1")
    with refused("XksProxyUriInUseException"):
        create(kms, proxy, name="second")
    proxy.raw = 200, json.dumps(healthy()).encode()
    second = create(kms, proxy, name="second", XksProxyUriPath="/other/kms/xks/v1")
    with refused("CustomKeyStoreNameInUseException"):
        kms.update_custom_key_store(CustomKeyStoreId=second, NewCustomKeyStoreName="first")
    with refused("XksProxyUriInUseException"):
        kms.update_custom_key_store(CustomKeyStoreId=second, XksProxyUriPath=xks_proxy.PATH)
    kms.update_custom_key_store(CustomKeyStoreId=store, NewCustomKeyStoreName="first")
    kms.delete_custom_key_store(CustomKeyStoreId=store)
    kms.update_custom_key_store(CustomKeyStoreId=second, NewCustomKeyStoreName="first", XksProxyUriPath=xks_proxy.PATH)


def healthy(status="ACTIVE"):
    fleet = [{"id": "1", "model": "m", "healthStatus": status}]
    return {"xksProxyFleetSize": 1, "xksProxyVendor": "v", "xksProxyModel": "m", "ekmVendor": "v", "ekmFleetDetails": fleet}


def test_an_account_has_ten_stores_in_a_region(kms, proxy):
    proxy.raw = 200, json.dumps(healthy()).encode()
    for number in range(10):
        create(kms, proxy, name=f"store {number}", XksProxyUriPath=f"/{number}/kms/xks/v1")
    with refused("LimitExceededException"):
        create(kms, proxy, name="one more", XksProxyUriPath="/more/kms/xks/v1")
    names, marker = [], {}
    while True:
        page = kms.describe_custom_key_stores(Limit=3, **marker)
        names += [store["CustomKeyStoreName"] for store in page["CustomKeyStores"]]
        if not page["Truncated"]:
            break
        marker = {"Marker": page["NextMarker"]}
    assert sorted(names) == [f"store {number}" for number in range(10)]
    with refused("InvalidMarkerException"):
        kms.describe_custom_key_stores(Marker="nonsense")


@pytest.mark.parametrize("lacks", ["XksProxyConnectivity", "XksProxyUriEndpoint", "XksProxyUriPath", "XksProxyAuthenticationCredential"])
def test_an_external_store_needs_all_of_its_proxy(kms, proxy, lacks):
    given = {name: value for name, value in proxy.configuration().items() if name != lacks}
    with refused("ValidationException", lacks):
        kms.create_custom_key_store(CustomKeyStoreName="x", **given)


def test_members_of_the_other_type_are_refused(kms, proxy):
    with refused("ValidationException", "KeyStorePassword"):
        create(kms, proxy, KeyStorePassword="password")
    hsm = {"CloudHsmClusterId": "cluster-aaaaaaaaaaa", "KeyStorePassword": "password", "TrustAnchorCertificate": "pem"}
    with refused("ValidationException", "XksProxyUriPath"):
        kms.create_custom_key_store(CustomKeyStoreName="x", XksProxyUriPath=xks_proxy.PATH, **hsm)
    with refused("CloudHsmClusterNotFoundException"):
        kms.create_custom_key_store(CustomKeyStoreName="x", **hsm)
    with refused("ValidationException", "TrustAnchorCertificate"):
        kms.create_custom_key_store(CustomKeyStoreName="x", CloudHsmClusterId="cluster-aaaaaaaaaaa")
    store = create(kms, proxy)
    with refused("ValidationException", "CloudHsmClusterId"):
        kms.update_custom_key_store(CustomKeyStoreId=store, CloudHsmClusterId="cluster-aaaaaaaaaaa")


def test_there_are_no_vpcs(kms, proxy):
    service = "com.amazonaws.vpce.us-east-1.vpce-svc-example1"
    with refused("XksProxyVpcEndpointServiceNotFoundException", service):
        create(kms, proxy, XksProxyConnectivity="VPC_ENDPOINT_SERVICE", XksProxyVpcEndpointServiceName=service)


@pytest.mark.parametrize(
    "endpoint",
    ["http://xks.example.com", "http://192.0.2.1:80", "https://xks.example.com/path", "ftp://xks.example.com", "xks.example.com"],
)
def test_what_is_no_endpoint(kms, proxy, endpoint):
    with refused("ValidationException", "xksProxyUriEndpoint"):
        create(kms, proxy, XksProxyUriEndpoint=endpoint)


def test_nobody_listens(kms, proxy):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with refused("XksProxyUriUnreachableException", "cannot communicate"):
            create(kms, proxy, XksProxyUriEndpoint=f"http://127.0.0.1:{free.getsockname()[1]}")


def test_all_key_managers_are_unavailable(kms, proxy):
    proxy.fleet = ["UNAVAILABLE", "UNAVAILABLE"]
    with refused("XksProxyUriUnreachableException", "unhealthy"):
        create(kms, proxy)
    proxy.fleet = ["UNAVAILABLE", "DEGRADED"]
    store = create(kms, proxy)
    proxy.fleet = ["UNAVAILABLE"]
    assert connect(kms, store) == ("FAILED", "XKS_PROXY_NOT_REACHABLE")


def test_a_slow_proxy_is_given_up(server, proxy):
    """By the specification's quarter of a second: this server has no other in its configuration."""
    kms = server.client("kms")
    proxy.hold = threading.Event()
    with refused("XksProxyUriUnreachableException", "did not respond in time"):
        create(kms, proxy)
    proxy.hold.set()


def test_a_proxy_is_edited_while_it_is_connected_but_not_moved(kms, proxy, store, key):
    blob = kms.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
    kms.update_custom_key_store(CustomKeyStoreId=store, NewCustomKeyStoreName="renamed")
    proxy.secret = "b" * 43
    assert code_of(lambda: kms.decrypt(CiphertextBlob=blob)) == "KMSInvalidStateException"
    credential = {"AccessKeyId": xks_proxy.ACCESS_KEY, "RawSecretAccessKey": "c" * 43}
    with refused("XksProxyIncorrectAuthenticationCredentialException"):
        kms.update_custom_key_store(CustomKeyStoreId=store, XksProxyAuthenticationCredential=credential)
    credential["RawSecretAccessKey"] = proxy.secret
    kms.update_custom_key_store(CustomKeyStoreId=store, XksProxyAuthenticationCredential=credential)
    assert proxy.asked[-1][1]["requestMetadata"]["kmsOperation"] == "UpdateCustomKeyStore"
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"hello"
    with refused("XksProxyInvalidConfigurationException"):
        kms.update_custom_key_store(CustomKeyStoreId=store, XksProxyUriPath="/wrong/kms/xks/v1")
    moved = {"CustomKeyStoreId": store, "XksProxyUriEndpoint": proxy.endpoint.replace("127.0.0.1", "localhost")}
    with refused("CustomKeyStoreInvalidStateException", "CONNECTED"):
        kms.update_custom_key_store(**moved)
    with refused("ValidationException", "Nothing is to be updated"):
        kms.update_custom_key_store(CustomKeyStoreId=store)
    disconnect(kms, store)
    kms.update_custom_key_store(**moved)
    assert connect(kms, store) == ("CONNECTED", None)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"hello"


def test_what_keys_of_a_store_do_not_do(kms, key):
    for call in (
        lambda: kms.enable_key_rotation(KeyId=key),
        lambda: kms.rotate_key_on_demand(KeyId=key),
        lambda: kms.generate_data_key_pair(KeyId=key, KeyPairSpec="ECC_NIST_P256"),
        lambda: kms.generate_data_key_pair_without_plaintext(KeyId=key, KeyPairSpec="ECC_NIST_P256"),
    ):
        code, words = words_of(call)
        assert code == "UnsupportedOperationException", words


def test_a_policy_can_ask_whose_account_calls(cloud, kms, name):
    iam = cloud.client("iam")
    iam.create_user(UserName=name)
    access = iam.create_access_key(UserName=name)["AccessKey"]
    mine = cloud.client("kms", key_id=access["AccessKeyId"], secret=access["SecretAccessKey"])
    for account, allowed in ((ACCOUNT, True), ("999999999999", False)):
        statement = {
            "Effect": "Allow",
            "Action": "kms:DescribeCustomKeyStores",
            "Resource": "*",
            "Condition": {"StringEquals": {"kms:CallerAccount": account}},
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
        if allowed:
            assert mine.describe_custom_key_stores()["Truncated"] is False
        else:
            with refused("AccessDeniedException"):
                mine.describe_custom_key_stores()


def test_a_deleted_key_frees_its_external_key_and_its_store(tmp_path, proxy):
    server = patient(tmp_path)
    kms = server.client("kms")
    store = create(kms, proxy)
    connect(kms, store)
    key = key_in(kms, store)["Arn"]
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    with refused("XksKeyAlreadyInUseException"):
        key_in(kms, store)
    server.kill()
    kms = server.start(ahead=datetime.timedelta(days=8)).client("kms")
    until("the key's end", lambda: code_of_nothing(lambda: kms.describe_key(KeyId=key)))
    disconnect(kms, store)
    kms.delete_custom_key_store(CustomKeyStoreId=store)
    server.kill()


def test_stores_that_are_not_there(kms):
    for call in (kms.connect_custom_key_store, kms.disconnect_custom_key_store, kms.delete_custom_key_store):
        with refused("CustomKeyStoreNotFoundException", GONE):
            call(CustomKeyStoreId=GONE)
    with refused("CustomKeyStoreNotFoundException"):
        kms.update_custom_key_store(CustomKeyStoreId=GONE, NewCustomKeyStoreName="x")


def test_connecting_twice_is_once_and_disconnecting_twice_is_refused(kms, store):
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    assert state(kms, store) == ("CONNECTED", None)
    disconnect(kms, store)
    with refused("CustomKeyStoreInvalidStateException"):
        kms.disconnect_custom_key_store(CustomKeyStoreId=store)


@pytest.fixture(scope="module")
def authority():
    return certificate("Authority of proxies", ca=True)


@pytest.fixture(scope="module")
def trusting(tmp_path_factory, authority):
    """A KMS that trusts the authority."""
    folder = tmp_path_factory.mktemp("trusting")
    (folder / "ca.pem").write_bytes(authority[0].public_bytes(serialization.Encoding.PEM))
    started = patient(folder, f"authorities = '{folder}/ca.pem'\n")
    yield started.client("kms")
    started.kill()


class TestTls:
    def test_an_authority_of_the_configuration_is_trusted(self, trusting, authority, proxy, tmp_path):
        proxy.over_tls(tmp_path, certificate("127.0.0.1", authority))
        store = create(trusting, proxy)
        assert connect(trusting, store) == ("CONNECTED", None)
        key = key_in(trusting, store)["Arn"]
        blob = trusting.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
        assert trusting.decrypt(CiphertextBlob=blob)["Plaintext"] == b"hello"

    @pytest.mark.parametrize("fault", ["nobody vouches", "another name", "expired"])
    def test_a_certificate_that_proves_nothing(self, trusting, authority, proxy, tmp_path, fault):
        made = {
            "nobody vouches": lambda: certificate("127.0.0.1"),
            "another name": lambda: certificate("127.0.0.2", authority),
            "expired": lambda: certificate("127.0.0.1", authority, days=-1),
        }
        proxy.over_tls(tmp_path, made[fault]())
        with refused("XksProxyInvalidConfigurationException", "cannot establish a TLS connection"):
            create(trusting, proxy, name=fault)
        assert proxy.asked == []

    def test_a_certificate_that_went_bad_meanwhile(self, trusting, authority, proxy, tmp_path):
        proxy.over_tls(tmp_path, certificate("127.0.0.1", authority))
        store = create(trusting, proxy, name="went bad")
        proxy.over_tls(tmp_path, certificate("127.0.0.1"))
        proxy.hang_up()
        assert connect(trusting, store) == ("FAILED", "XKS_PROXY_INVALID_TLS_CONFIGURATION")

    def test_a_file_of_no_authorities_is_refused_at_the_start(self, tmp_path):
        (tmp_path / "ca.pem").write_text("")
        (tmp_path / "keystead.toml").write_text(f"[xks]\nauthorities = '{tmp_path}/ca.pem'\n")
        with pytest.raises(StartFailure, match="has no certificate"):
            Server(tmp_path, "--config", str(tmp_path / "keystead.toml")).start()


def test_a_store_and_its_keys_are_there_after_a_power_cut(tmp_path):
    server = patient(tmp_path)
    proxy = xks_proxy.Proxy()
    kms = server.client("kms")
    store = create(kms, proxy)
    connect(kms, store)
    key = key_in(kms, store)["Arn"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
    server.kill()
    kms = server.start().client("kms")
    assert state(kms, store) == ("CONNECTED", None)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"hello"
    server.kill()
    stored = b"".join(path.read_bytes() for path in server.data.rglob("*") if path.is_file())
    assert proxy.secret.encode() not in stored
    proxy.close()


class TestKeysteadOnBothSides:
    """A key store of one server, whose proxy is another server: what a user on AWS has who holds the keys at home."""

    @pytest.fixture
    def home(self, server):
        keystead, kms = server.client("keystead"), server.client("kms")
        made = keystead.create_xks_proxy(Name="home")
        key = kms.create_key()["KeyMetadata"]["Arn"]
        keystead.expose_xks_key(XksProxyArn=made["XksProxyArn"], KeyId=key, ExternalKeyId="one")
        self.keystead, self.at_home, self.key, self.arn = keystead, kms, key, made["XksProxyArn"]
        return {
            "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
            "XksProxyConnectivity": "PUBLIC_ENDPOINT",
            "XksProxyUriEndpoint": server.endpoint,
            "XksProxyUriPath": made["UriPath"],
            "XksProxyAuthenticationCredential": made["Credential"],
        }

    def test_a_key_at_home_protects_data_in_the_cloud(self, home, kms):
        store = kms.create_custom_key_store(CustomKeyStoreName="home", **home)["CustomKeyStoreId"]
        assert connect(kms, store) == ("CONNECTED", None)
        key = key_in(kms, store)["Arn"]
        context = {"purpose": "test"}
        data_key = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=context)

        def opened():
            return kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"], EncryptionContext=context)["Plaintext"]

        assert opened() == data_key["Plaintext"]
        self.at_home.rotate_key_on_demand(KeyId=self.key)
        assert opened() == data_key["Plaintext"]
        self.at_home.disable_key(KeyId=self.key)
        code, words = words_of(opened)
        assert code == "KMSInvalidStateException" and "is not enabled in the external key manager" in words
        self.at_home.enable_key(KeyId=self.key)
        assert opened() == data_key["Plaintext"]
        self.keystead.withdraw_xks_key(XksProxyArn=self.arn, ExternalKeyId="one")
        assert "was not found in its external key manager" in words_of(opened)[1]
        self.keystead.delete_xks_proxy(XksProxyArn=self.arn)
        assert "could not authenticate AWS KMS" in words_of(opened)[1]

    def test_a_key_in_an_external_key_store_is_not_exposed_again(self, home, cloud):
        kms = cloud.client("kms")
        store = kms.create_custom_key_store(CustomKeyStoreName="home", **home)["CustomKeyStoreId"]
        connect(kms, store)
        key = key_in(kms, store)["Arn"]
        keystead = cloud.client("keystead")
        proxy = keystead.create_xks_proxy(Name="loop")["XksProxyArn"]
        with refused("ValidationException", "cannot be exposed"):
            keystead.expose_xks_key(XksProxyArn=proxy, KeyId=key)
