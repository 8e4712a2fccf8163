"""Keystead as the external key store proxy that AWS's KMS calls: what the specification says of every operation, asked by
botocore, which signs by itself, and by requests that a test has spoilt.

The cases are those of AWS's own test client (aws-kms-xksproxy-test-client), and more.
"""

import base64
import datetime
import hashlib
import json
import os
import subprocess

import pytest

from kms_helpers import make
from refusals import refused, words_of
from server import REGION
from signing import Request, sign

ALICE = "arn:aws:iam::123456789012:user/Alice"
AT_AWS = "arn:aws:kms:us-east-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BEHIND = {"awsPrincipalArn": ALICE, "kmsKeyArn": AT_AWS, "kmsOperation": "Encrypt", "kmsRequestId": "r-1"}
HEALTH = {"kmsOperation": "KmsHealthCheck", "kmsRequestId": "r-1"}
DATA = b"project=nile,department=marketing"


@pytest.fixture(scope="module")
def keystead(server):
    return server.client("keystead")


class Proxy:
    """A proxy of the server, with the key `one`, and who has its credential."""

    def __init__(self, server, keystead, kms, **more):
        made = keystead.create_xks_proxy(Name="test", **more)
        self.server, self.keystead, self.arn, self.path = server, keystead, made["XksProxyArn"], made["UriPath"]
        self.take(made["Credential"])
        self.key = make(kms)
        self.expose(self.key, ExternalKeyId="one")

    def take(self, credential):
        self.key_id, self.secret = credential["AccessKeyId"], credential["RawSecretAccessKey"]

    def expose(self, key, **more):
        return self.keystead.expose_xks_key(XksProxyArn=self.arn, KeyId=key, **more)

    def client(self):
        return self.server.client("kms-xks-proxy", key_id=self.key_id, secret=self.secret)

    def labels(self, key="one"):
        return {"uriPathPrefix": self.path.removesuffix("/kms/xks/v1")[1:], "externalKeyId": key}

    def request(self, path, body, method="POST"):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Request(method, self.path + path, {"Content-Type": "application/json"}, body)

    def signed(self, path, body, method="POST", at=None, **who):
        who = {"key_id": self.key_id, "secret": self.secret, "service": "kms-xks-proxy"} | who
        return sign(self.request(path, body, method), who["service"], self.server.host, who["key_id"], who["secret"], at)

    def ask(self, path, body, **more):
        """(status, document)"""
        return shown(self.signed(path, body, **more).send(self.server.host))

    def encrypt(self, text=b"Hello World!", key="one", **more):
        return self.ask(f"/keys/{key}/encrypt", encryption(text) | more)

    def decrypt(self, sealed, key="one", **more):
        parts = {name: value for name, value in sealed.items() if name != "ciphertextDataIntegrityValue"}
        return self.ask(f"/keys/{key}/decrypt", {"requestMetadata": BEHIND, "encryptionAlgorithm": "AES_GCM"} | parts | more)


def encryption(text=b"Hello World!"):
    return {"requestMetadata": BEHIND, "plaintext": b64(text), "encryptionAlgorithm": "AES_GCM"}


def b64(data):
    return base64.b64encode(data).decode()


def shown(answer):
    status, headers, body = answer
    assert headers["Content-Type"] == "application/json"
    return status, json.loads(body)


def is_refused(answer, name, status):
    """The answer must be this refusal, in the specification's form."""
    assert answer[0] == status and answer[1]["errorName"] == name, answer
    assert set(answer[1]) == {"errorName", "errorMessage"}
    message = answer[1]["errorMessage"]
    assert len(message) < 512 and all(" " <= letter <= "~" for letter in message)
    return message


@pytest.fixture(scope="module")
def proxy(server, keystead, kms):
    return Proxy(server, keystead, kms)


def test_a_client_of_botocore_encrypts_and_decrypts(proxy):
    client, labels = proxy.client(), proxy.labels()
    text = os.urandom(32)
    sealed = client.encrypt(
        **labels,
        requestMetadata=BEHIND,
        plaintext=text,
        additionalAuthenticatedData=DATA,
        encryptionAlgorithm="AES_GCM",
        ciphertextDataIntegrityValueAlgorithm="SHA_256",
    )
    assert len(sealed["ciphertext"]) == len(text) and len(sealed["authenticationTag"]) == 16
    assert len(sealed["initializationVector"]) == 12 and len(sealed["ciphertextMetadata"]) == 20
    order = ("ciphertextMetadata", "initializationVector", "ciphertext", "authenticationTag")
    covered = DATA + b"".join(sealed[part] for part in order)
    assert sealed["ciphertextDataIntegrityValue"] == hashlib.sha256(covered).digest()
    opened = client.decrypt(
        **labels,
        requestMetadata=BEHIND | {"kmsOperation": "Decrypt"},
        additionalAuthenticatedData=DATA,
        encryptionAlgorithm="AES_GCM",
        **{part: sealed[part] for part in order},
    )
    assert opened["plaintext"] == text
    described = client.get_key_metadata(**labels, requestMetadata=BEHIND)
    del described["ResponseMetadata"]
    assert described == {"keySpec": "AES_256", "keyUsage": ["ENCRYPT", "DECRYPT"], "keyStatus": "ENABLED"}
    health = client.get_health_status(uriPathPrefix=labels["uriPathPrefix"], requestMetadata=HEALTH)
    assert health["xksProxyFleetSize"] >= 1 and health["ekmFleetDetails"][0]["healthStatus"] == "ACTIVE"
    assert {"xksProxyVendor", "xksProxyModel", "ekmVendor"} <= set(health)


def test_metadata_of_a_key_that_is_being_made_names_no_kms_key(proxy):
    being_made = {name: value for name, value in BEHIND.items() if name != "kmsKeyArn"}
    status, answer = proxy.ask("/keys/one/metadata", {"requestMetadata": being_made | {"kmsOperation": "CreateKey"}})
    assert (status, answer["keyStatus"]) == (200, "ENABLED")


def test_operations_that_aws_may_think_of_later_are_served(proxy):
    later = BEHIND | {"kmsOperation": "BulkEncrypt", "sourceIdentity": "new", "kmsRequestId": "no uuid"}
    status, sealed = proxy.encrypt(requestMetadata=later, later=[1])
    assert status == 200
    assert proxy.decrypt(sealed) == (200, {"plaintext": b64(b"Hello World!")})


@pytest.mark.parametrize("length", [0, 1, 16, 4300])
@pytest.mark.parametrize("bound", [None, b"", DATA, b"a" * 8192])
def test_every_length_that_the_specification_asks_for(proxy, length, bound):
    text = os.urandom(length)
    more = {} if bound is None else {"additionalAuthenticatedData": b64(bound)}
    status, sealed = proxy.encrypt(text, **more)
    assert status == 200 and "ciphertextDataIntegrityValue" not in sealed
    assert proxy.decrypt(sealed, **more) == (200, {"plaintext": b64(text)})


@pytest.mark.parametrize(
    "more", [{"plaintext": b64(b"a" * 4301)}, {"additionalAuthenticatedData": b64(b"a" * 8193)}, {"plaintext": "A" * 1500000}]
)
def test_more_than_that_is_not_supported(proxy, more):
    is_refused(proxy.encrypt(**more), "UnsupportedOperationException", 501)


def test_no_bit_of_any_part_may_change(proxy):
    _, sealed = proxy.encrypt(additionalAuthenticatedData=b64(DATA))
    for part in sealed:
        whole = base64.b64decode(sealed[part])
        for at in range(len(whole)):
            altered = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
            answer = proxy.decrypt(sealed | {part: b64(altered)}, additionalAuthenticatedData=b64(DATA))
            is_refused(answer, "InvalidCiphertextException", 400)
    is_refused(proxy.decrypt(sealed), "InvalidCiphertextException", 400)
    is_refused(proxy.decrypt(sealed, additionalAuthenticatedData=b64(DATA + b"!")), "InvalidCiphertextException", 400)
    without = {part: value for part, value in sealed.items() if part != "ciphertextMetadata"}
    is_refused(proxy.decrypt(without, additionalAuthenticatedData=b64(DATA)), "InvalidCiphertextException", 400)
    assert proxy.decrypt(sealed, additionalAuthenticatedData=b64(DATA))[0] == 200


def test_metadata_and_data_do_not_stand_for_one_another(proxy):
    _, sealed = proxy.encrypt()
    metadata = sealed.pop("ciphertextMetadata")
    is_refused(proxy.decrypt(sealed, additionalAuthenticatedData=metadata), "InvalidCiphertextException", 400)


def test_a_ciphertext_of_kms_is_none_of_the_proxys_and_the_other_way_round(proxy, kms):
    blob = kms.encrypt(KeyId=proxy.key, Plaintext=b"Hello World!")["CiphertextBlob"]
    payload = blob[56:]
    _, sealed = proxy.encrypt()
    mark = base64.b64decode(sealed["ciphertextMetadata"])[:8]
    parts = {
        "ciphertextMetadata": b64(mark + payload[:12]),
        "initializationVector": b64(payload[12:24]),
        "ciphertext": b64(payload[24:-16]),
        "authenticationTag": b64(payload[-16:]),
    }
    for data in ({}, {"additionalAuthenticatedData": b64(blob[:56])}):
        is_refused(proxy.decrypt(parts, **data), "InvalidCiphertextException", 400)
    order = ("initializationVector", "ciphertext", "authenticationTag")
    derivation = base64.b64decode(sealed["ciphertextMetadata"])[8:]
    forged = blob[:56] + derivation + b"".join(base64.b64decode(sealed[part]) for part in order)
    assert words_of(lambda: kms.decrypt(CiphertextBlob=forged))[0] == "InvalidCiphertextException"


def test_a_rotated_key_opens_what_it_made_before(proxy, kms):
    key = make(kms)
    proxy.expose(key, ExternalKeyId="rotated")
    _, before = proxy.encrypt(key="rotated")
    kms.rotate_key_on_demand(KeyId=key)
    _, after = proxy.encrypt(key="rotated")
    marks = {base64.b64decode(sealed["ciphertextMetadata"])[:8] for sealed in (before, after)}
    assert len(marks) == 2, "the metadata names the key material"
    for sealed in (before, after):
        assert proxy.decrypt(sealed, key="rotated") == (200, {"plaintext": b64(b"Hello World!")})


@pytest.mark.parametrize("operation", ["metadata", "encrypt", "decrypt"])
def test_an_unknown_key(proxy, operation):
    body = encryption() | {"ciphertext": "", "initializationVector": "A" * 16, "authenticationTag": b64(b"a" * 16)}
    is_refused(proxy.ask(f"/keys/non_existing_key/{operation}", body), "KeyNotFoundException", 404)
    body["requestMetadata"] = {}
    is_refused(proxy.ask(f"/keys/one/{operation}", body), "ValidationException", 400)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/health", {}),
        ("/health", {"requestMetadata": {}}),
        ("/health", b""),
        ("/health", b"nonsense"),
        ("/health", b"[]"),
        ("/keys/one/metadata", {}),
        ("/keys/one/encrypt", {"requestMetadata": BEHIND, "encryptionAlgorithm": "AES_GCM"}),
        ("/keys/one/encrypt", encryption() | {"encryptionAlgorithm": "AES_CBC"}),
        ("/keys/one/encrypt", encryption() | {"plaintext": "no base64!"}),
        ("/keys/one/encrypt", encryption() | {"ciphertextDataIntegrityValueAlgorithm": "SHA_1"}),
        ("/keys/one/decrypt", {"requestMetadata": BEHIND, "encryptionAlgorithm": "AES_GCM"}),
        ("/keys/o%20ne/encrypt", encryption()),
    ],
)
def test_what_is_no_request_of_the_operation(proxy, path, body):
    is_refused(proxy.ask(path, body), "ValidationException", 400)


@pytest.mark.parametrize("part", ["initializationVector", "authenticationTag", "ciphertextMetadata"])
def test_parts_of_other_lengths(proxy, part):
    _, sealed = proxy.encrypt()
    for length in (0, 11, 17, 21):
        if (part, length) == ("ciphertextMetadata", 21) or part != "ciphertextMetadata":
            is_refused(proxy.decrypt(sealed | {part: b64(b"a" * length)}), "ValidationException", 400)


@pytest.mark.parametrize("operation", ["/health", "/keys/one/metadata", "/keys/one/encrypt", "/keys/one/decrypt"])
class TestAuthentication:
    BODY = encryption() | {"requestMetadata": BEHIND}

    def check(self, answer):
        return is_refused(answer, "AuthenticationFailedException", 401)

    def test_unsigned(self, proxy, operation):
        self.check(shown(proxy.request(operation, self.BODY).send(proxy.server.host)))

    def test_another_secret(self, proxy, operation):
        self.check(proxy.ask(operation, self.BODY, secret="Invalid" + proxy.secret))

    def test_another_access_key(self, proxy, operation):
        self.check(proxy.ask(operation, self.BODY, key_id="INVALID" + proxy.key_id[7:]))
        self.check(proxy.ask(operation, self.BODY, key_id=proxy.key_id.lower()))

    def test_a_credential_of_iam(self, proxy, operation):
        self.check(proxy.ask(operation, self.BODY, key_id=proxy.server.key_id, secret=proxy.server.secret))

    def test_the_scope_of_another_service(self, proxy, operation):
        self.check(proxy.ask(operation, self.BODY, service="kms"))

    @pytest.mark.parametrize("minutes", [-6, 6])
    def test_another_time(self, proxy, operation, minutes):
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
        self.check(proxy.ask(operation, self.BODY, at=at))

    def test_a_body_or_a_path_changed_on_the_way(self, proxy, operation):
        for change in ("body", "path"):
            request = proxy.signed(operation, self.BODY)
            if change == "body":
                request.body += b" "
            else:
                request.path += "?x=1"
            self.check(shown(request.send(proxy.server.host)))

    def test_get_is_no_method(self, proxy, operation):
        for signed in (proxy.signed(operation, b"", method="GET"), proxy.request(operation, b"", method="GET")):
            status, _, _ = signed.send(proxy.server.host)
            assert status == 405


def test_the_credential_is_good_for_nothing_else(proxy):
    client = proxy.server.client("sts", key_id=proxy.key_id, secret=proxy.secret)
    assert words_of(client.get_caller_identity)[0] == "InvalidClientTokenId"


def test_paths_that_are_no_operation(proxy, server, keystead, kms):
    for path in ("", "/", "/nothing", "/keys/one", "/keys/one/destroy", "/keys//encrypt", "/health/more"):
        is_refused(proxy.ask(path, encryption()), "InvalidUriPathException", 404)
    other = Proxy(server, keystead, kms)
    elsewhere = sign(other.request("/health", {}), "kms-xks-proxy", server.host, proxy.key_id, proxy.secret)
    elsewhere = sign(
        other.request("/health", {"requestMetadata": HEALTH}), "kms-xks-proxy", server.host, proxy.key_id, proxy.secret
    )
    is_refused(shown(elsewhere.send(server.host)), "InvalidUriPathException", 404)
    below = proxy.request("/health", {"requestMetadata": HEALTH})
    below.path = proxy.path.replace("/kms/xks/v1", "/invalid/kms/xks/v1/health")
    below = sign(below, "kms-xks-proxy", server.host, proxy.key_id, proxy.secret)
    is_refused(shown(below.send(server.host)), "InvalidUriPathException", 404)


@pytest.mark.parametrize("prefix", ["", "/example/uri/path/prefix"])
def test_a_prefix_of_the_owners_choice(server, keystead, kms, prefix):
    proxy = Proxy(server, keystead, kms, UriPathPrefix=prefix)
    assert proxy.path == prefix + "/kms/xks/v1"
    status, sealed = proxy.encrypt()
    assert status == 200 and proxy.decrypt(sealed)[0] == 200
    with refused("ConflictException", "has the path"):
        keystead.create_xks_proxy(Name="again", UriPathPrefix=prefix)
    keystead.delete_xks_proxy(XksProxyArn=proxy.arn)
    is_refused(proxy.encrypt(), "AuthenticationFailedException", 401)
    keystead.delete_xks_proxy(XksProxyArn=keystead.create_xks_proxy(Name="again", UriPathPrefix=prefix)["XksProxyArn"])


@pytest.mark.parametrize("prefix", ["/", "no-slash", "/a/", "/a//b", "/a.b", "/" + "a" * 117])
def test_what_is_no_prefix(keystead, prefix):
    if len(prefix) <= 117:
        with refused("ValidationException"):
            keystead.create_xks_proxy(Name="x", UriPathPrefix=prefix)


def test_a_key_that_is_disabled_or_on_its_way_out(proxy, kms):
    key = make(kms)
    proxy.expose(key, ExternalKeyId="resting")
    _, sealed = proxy.encrypt(key="resting")

    def rests():
        is_refused(proxy.encrypt(key="resting"), "InvalidStateException", 400)
        is_refused(proxy.decrypt(sealed, key="resting"), "InvalidStateException", 400)
        metadata = proxy.ask("/keys/resting/metadata", {"requestMetadata": BEHIND})
        assert metadata[1]["keyStatus"] == "DISABLED"

    kms.disable_key(KeyId=key)
    rests()
    kms.enable_key(KeyId=key)
    assert proxy.decrypt(sealed, key="resting")[0] == 200
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    rests()


def test_who_may_use_a_key_at_aws_can_be_limited(proxy, kms):
    key = make(kms)
    proxy.expose(key, ExternalKeyId="limited", AwsPrincipals=["arn:aws:iam::123456789012:*"], AwsKmsKeys=[AT_AWS])
    _, sealed = proxy.encrypt(key="limited")
    assert proxy.decrypt(sealed, key="limited")[0] == 200
    for other in ({"awsPrincipalArn": "arn:aws:iam::999999999999:user/Bob"}, {"kmsKeyArn": AT_AWS[:-1] + "c"}):
        behind = BEHIND | other
        is_refused(proxy.encrypt(key="limited", requestMetadata=behind), "AccessDeniedException", 403)
        is_refused(proxy.decrypt(sealed, key="limited", requestMetadata=behind), "AccessDeniedException", 403)
        answer = proxy.ask("/keys/limited/metadata", {"requestMetadata": behind})
        is_refused(answer, "AccessDeniedException", 403)
    proxy.expose(key, ExternalKeyId="limited")
    bob = BEHIND | {"awsPrincipalArn": "arn:aws:iam::999999999999:user/Bob"}
    assert proxy.decrypt(sealed, key="limited", requestMetadata=bob)[0] == 200


def test_what_is_exposed_is_told_and_withdrawn(proxy, keystead, kms):
    key = make(kms)
    assert proxy.expose(key)["ExternalKeyId"] == key.split("/")[1]
    alias = f"alias/{key.split('/')[1]}"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    assert proxy.expose(alias, ExternalKeyId="two")["KeyArn"] == key
    shown_keys = keystead.describe_xks_proxy(XksProxyArn=proxy.arn)["XksProxy"]["Keys"]
    assert {shown["ExternalKeyId"] for shown in shown_keys if shown["KeyArn"] == key} == {key.split("/")[1], "two"}
    with refused("ConflictException", "withdraw that first"):
        proxy.expose(make(kms), ExternalKeyId="two")
    assert proxy.encrypt(key="two")[0] == 200
    keystead.withdraw_xks_key(XksProxyArn=proxy.arn, ExternalKeyId="two")
    is_refused(proxy.encrypt(key="two"), "KeyNotFoundException", 404)
    with refused("ResourceNotFoundException"):
        keystead.withdraw_xks_key(XksProxyArn=proxy.arn, ExternalKeyId="two")


def test_what_cannot_be_exposed(proxy, kms):
    for key in (make(kms, "RSA_2048"), make(kms, "HMAC_256")):
        with refused("ValidationException", "cannot be exposed"):
            proxy.expose(key)
    with refused("ResourceNotFoundException"):
        proxy.expose("1234abcd-12ab-34cd-56ef-1234567890ab")


def test_who_exposes_a_key_must_be_allowed_to_use_it(server, proxy, kms, name):
    iam = server.client("iam")
    iam.create_user(UserName=name)
    access = iam.create_access_key(UserName=name)["AccessKey"]
    mine = server.client("keystead", key_id=access["AccessKeyId"], secret=access["SecretAccessKey"])
    key = make(kms)

    def may(*actions):
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)

    for actions in (["keystead:*"], ["keystead:*", "kms:Encrypt"], ["keystead:*", "kms:Decrypt"]):
        may(*actions)
        with refused("AccessDeniedException", "kms:"):
            mine.expose_xks_key(XksProxyArn=proxy.arn, KeyId=key, ExternalKeyId=name)
    may("keystead:*", "kms:Encrypt", "kms:Decrypt")
    mine.expose_xks_key(XksProxyArn=proxy.arn, KeyId=key, ExternalKeyId=name)
    assert proxy.encrypt(key=name)[0] == 200


def test_credentials_are_exchanged_without_a_gap(server, keystead, kms):
    proxy = Proxy(server, keystead, kms)
    old = {"key_id": proxy.key_id, "secret": proxy.secret}
    rotated = keystead.rotate_xks_proxy_credential(XksProxyArn=proxy.arn)
    assert rotated["UriPath"] == proxy.path
    new = {"key_id": rotated["Credential"]["AccessKeyId"], "secret": rotated["Credential"]["RawSecretAccessKey"]}
    health = {"requestMetadata": HEALTH}
    for credential in (old, new):
        assert proxy.ask("/health", health, **credential)[0] == 200
    is_refused(proxy.ask("/health", health, key_id=old["key_id"], secret=new["secret"]), "AuthenticationFailedException", 401)
    with refused("ConflictException", old["key_id"]):
        keystead.rotate_xks_proxy_credential(XksProxyArn=proxy.arn)
    keystead.delete_xks_proxy_credential(XksProxyArn=proxy.arn, AccessKeyId=old["key_id"])
    is_refused(proxy.ask("/health", health, **old), "AuthenticationFailedException", 401)
    assert proxy.ask("/health", health, **new)[0] == 200
    with refused("ResourceNotFoundException"):
        keystead.delete_xks_proxy_credential(XksProxyArn=proxy.arn, AccessKeyId=old["key_id"])
    with refused("ConflictException", "only credential"):
        keystead.delete_xks_proxy_credential(XksProxyArn=proxy.arn, AccessKeyId=new["key_id"])
    shown_proxy = keystead.describe_xks_proxy(XksProxyArn=proxy.arn)
    assert [one["AccessKeyId"] for one in shown_proxy["XksProxy"]["Credentials"]] == [new["key_id"]]
    assert new["secret"] not in json.dumps(shown_proxy, default=str)


def test_proxies_are_listed_by_page_in_their_account_and_region(server, keystead, kms):
    made = {Proxy(server, keystead, kms).arn for _ in range(3)}
    found, token = [], None
    while True:
        page = keystead.list_xks_proxies(MaxResults=2, **({"NextToken": token} if token else {}))
        found += [proxy["XksProxyArn"] for proxy in page["XksProxies"]]
        token = page.get("NextToken")
        if token is None:
            break
    assert made <= set(found) and len(found) == len(set(found))
    elsewhere = server.client("keystead", region="eu-west-1")
    assert elsewhere.list_xks_proxies()["XksProxies"] == []
    with refused("ResourceNotFoundException"):
        keystead.describe_xks_proxy(XksProxyArn=next(iter(made))[:-1] + "x")


def test_every_call_is_one_event_without_secrets(own_server):
    own_server.start()
    proxy = Proxy(own_server, own_server.client("keystead"), own_server.client("kms"))
    text = b"a secret of sixty-four bits"
    _, sealed = proxy.encrypt(text, requestMetadata=BEHIND | {"kmsRequestId": "traced"})
    proxy.decrypt(sealed)
    proxy.ask("/health", {"requestMetadata": HEALTH})
    is_refused(proxy.encrypt(key="unknown"), "KeyNotFoundException", 404)
    is_refused(proxy.ask("/health", {}, secret="x"), "AuthenticationFailedException", 401)
    lines = own_server.run("audit", "show", "--json", "--data-dir", str(own_server.data)).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    events = [event.get("event", event) for event in events]
    ours = [event for event in events if event["eventSource"] == "kms-xks-proxy.amazonaws.com"]
    assert [event["eventName"] for event in ours] == ["Encrypt", "Decrypt", "GetHealthStatus", "Encrypt"]
    first = ours[0]
    assert first["requestParameters"]["requestMetadata"]["awsPrincipalArn"] == ALICE
    assert first["requestParameters"]["requestMetadata"]["kmsRequestId"] == "traced"
    assert first["requestParameters"]["externalKeyId"] == "one"
    assert first["userIdentity"]["identityProvider"] == proxy.arn
    assert first["userIdentity"]["accessKeyId"] == proxy.key_id
    assert ours[3]["errorCode"] == "KeyNotFoundException"
    written = "\n".join(lines)
    for secret in (proxy.secret, text.decode(), b64(text)):
        assert secret not in written


def test_a_proxy_is_there_after_a_power_cut(own_server):
    own_server.start()
    proxy = Proxy(own_server, own_server.client("keystead"), own_server.client("kms"))
    _, sealed = proxy.encrypt()
    own_server.kill()
    own_server.start()
    assert proxy.decrypt(sealed) == (200, {"plaintext": b64(b"Hello World!")})


def test_the_command_line_makes_a_proxy_and_shows_its_credential_once(own_server):
    own_server.start()
    kms = own_server.client("kms")

    def run(*arguments):
        return own_server.run("xks", *arguments, "--data-dir", str(own_server.data)).stdout

    arn, configuration = run("create", "home", "--prefix", "/ours").split("\n\n", 1)
    configuration = json.loads(configuration)
    assert configuration["XksProxyUriPath"] == "/ours/kms/xks/v1"
    credential = configuration["XksProxyAuthenticationCredential"]
    assert set(credential) == {"AccessKeyId", "RawSecretAccessKey"}
    key = make(kms)
    assert run("expose", arn, key, "--as", "payroll", "--principal", ALICE).strip() == "payroll"
    told = run("show", arn)
    assert key in told and ALICE in told and credential["AccessKeyId"] in told
    assert arn in run("list")
    rotated = json.loads(run("rotate", arn))["XksProxyAuthenticationCredential"]
    for text in (told, run("list", "--json"), run("show", arn, "--json")):
        assert credential["RawSecretAccessKey"] not in text and rotated["RawSecretAccessKey"] not in text
    run("delete-credential", arn, credential["AccessKeyId"])
    run("withdraw", arn, "payroll")
    run("delete", arn)
    assert run("list").strip() == ""


def test_curl_signs_as_the_specification_shows(proxy, tmp_path):
    """Appendix D: curl 7.75 or newer signs by itself."""
    body = tmp_path / "request.json"
    body.write_text(json.dumps(encryption()))
    answer = subprocess.run(
        [
            *("curl", "--silent", "--aws-sigv4", f"aws:amz:{REGION}:kms-xks-proxy"),
            *("--user", f"{proxy.key_id}:{proxy.secret}", "-X", "POST", "-H", "Content-Type:application/json"),
            *("--data", f"@{body}", f"{proxy.server.endpoint}{proxy.path}/keys/one/encrypt"),
        ],
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert {"ciphertext", "initializationVector", "authenticationTag"} <= set(json.loads(answer.stdout))
