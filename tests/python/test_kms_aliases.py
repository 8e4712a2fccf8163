"""Aliases: what they may be called, which key they stand for, who may give them, and how they are listed."""

import datetime

import pytest

import sessions
from kms_callers import EVERYTHING, account, alias_arn, fresh, key, statement, user
from refusals import code_of, refused, words_of
from server import ACCOUNT, REGION

DENIED = "AccessDeniedException"


@pytest.fixture
def made(server):
    return key(server)


@pytest.fixture
def name():
    return f"alias/{fresh()}"


def aliases(kms, key):
    """What each alias of a key stands for."""
    listed = kms.list_aliases(KeyId=key)["Aliases"]
    return {entry["AliasName"]: entry["TargetKeyId"] for entry in listed}


def test_an_alias_stands_for_its_key(kms, made, name):
    kms.create_alias(AliasName=name, TargetKeyId=made)
    for named in (name, alias_arn(name)):
        assert kms.describe_key(KeyId=named)["KeyMetadata"]["Arn"] == made
        blob = kms.encrypt(KeyId=named, Plaintext=b"x")["CiphertextBlob"]
        assert kms.decrypt(KeyId=named, CiphertextBlob=blob)["KeyId"] == made
    before = datetime.datetime.now(datetime.timezone.utc)
    [entry] = kms.list_aliases(KeyId=made)["Aliases"]
    for date in (entry.pop("CreationDate"), entry.pop("LastUpdatedDate")):
        assert abs(date - before) < datetime.timedelta(minutes=5)
    assert entry == {"AliasName": name, "AliasArn": alias_arn(name), "TargetKeyId": made.split("/")[1]}


def test_an_alias_is_of_its_region(server, kms, made, name):
    kms.create_alias(AliasName=name, TargetKeyId=made)
    elsewhere = server.client("kms", region="eu-west-1")
    there = alias_arn(name).replace(REGION, "eu-west-1")
    message = f"Alias {there} is not found."
    assert words_of(lambda: elsewhere.describe_key(KeyId=name)) == ("NotFoundException", message)
    other = key(server, kms=elsewhere)
    elsewhere.create_alias(AliasName=name, TargetKeyId=other)
    assert elsewhere.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == other
    assert kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == made


NAMES = [
    ("wrong/name", "ValidationException", 'Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html'),
    ("alias/my:alias", "ValidationException", "alias/my:alias contains invalid characters for an alias"),
    ("alias/", "InvalidAliasNameException", None),
    ("alias/aws/s3", "NotAuthorizedException", ""),
    ("alias/aws/", "NotAuthorizedException", ""),
    ("alias/a!", "ValidationException", "1 validation error detected: Value 'alias/a!' at 'aliasName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"),
    ("alias/" + "a" * 251, "ValidationException", None),
]


@pytest.mark.parametrize(("wrong", "code", "message"), NAMES)
def test_a_name_that_cannot_be_is_refused(kms, made, wrong, code, message):
    for call in (kms.create_alias, kms.update_alias):
        found = words_of(lambda: call(AliasName=wrong, TargetKeyId=made))  # noqa: B023
        assert found[0] == code and (message is None or found[1] == message), found
    assert aliases(kms, made) == {}


@pytest.mark.parametrize("good", ["alias/{}", "alias/{}/a/b", "alias/{}_-/", "alias/awsome{}", "alias/" + "{:0>250}"])
def test_names_that_can_be(kms, made, good):
    name = good.format(fresh())
    kms.create_alias(AliasName=name, TargetKeyId=made)
    assert list(aliases(kms, made)) == [name]


def test_what_is_deleted_can_be_made_again(server, kms, made, name):
    kms.create_alias(AliasName=name, TargetKeyId=made)
    message = f"An alias with the name {alias_arn(name)} already exists"
    again = lambda: kms.create_alias(AliasName=name, TargetKeyId=key(server))  # noqa: E731
    assert words_of(again) == ("AlreadyExistsException", message)
    kms.delete_alias(AliasName=name)
    assert aliases(kms, made) == {}
    missing = f"Alias {alias_arn(name)} is not found."
    for call in (
        lambda: kms.describe_key(KeyId=name),
        lambda: kms.encrypt(KeyId=alias_arn(name), Plaintext=b"x"),
        lambda: kms.delete_alias(AliasName=name),
        lambda: kms.update_alias(AliasName=name, TargetKeyId=made),
    ):
        assert words_of(call) == ("NotFoundException", missing)
    again()
    assert kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] != made


def test_what_is_deleted_must_be_the_accounts_own(kms):
    assert words_of(lambda: kms.delete_alias(AliasName="wrong/name")) == ("ValidationException", "Invalid identifier")
    assert words_of(lambda: kms.delete_alias(AliasName="alias/aws/s3")) == ("NotAuthorizedException", "")


def test_the_target_is_a_key_that_is_there(server, kms, made, name):
    kms.create_alias(AliasName=name, TargetKeyId=made.split("/")[1])
    gone = made[:-12] + "0" * 12
    other = f"alias/{fresh()}"
    for call in (
        lambda target: kms.create_alias(AliasName=other, TargetKeyId=target),
        lambda target: kms.update_alias(AliasName=name, TargetKeyId=target),
    ):
        for alias in (name, alias_arn(name)):
            assert words_of(lambda: call(alias)) == ("ValidationException", "Aliases must refer to keys. Not aliases")
        assert words_of(lambda: call(gone)) == ("NotFoundException", f"Key '{gone}' does not exist")
        assert words_of(lambda: call("nonsense")) == ("NotFoundException", "Invalid keyId 'nonsense'")
        assert code_of(lambda: call(made.replace(REGION, "eu-west-1"))) == "NotFoundException"


def test_an_alias_goes_over_to_a_key_of_its_kind(server, kms, made, name):
    kms.create_alias(AliasName=name, TargetKeyId=made)
    blob = kms.encrypt(KeyId=name, Plaintext=b"x")["CiphertextBlob"]
    [before] = kms.list_aliases(KeyId=made)["Aliases"]
    other = key(server)
    kms.update_alias(AliasName=name, TargetKeyId=other)
    assert aliases(kms, made) == {} and aliases(kms, other) == {name: other.split("/")[1]}
    [after] = kms.list_aliases(KeyId=other)["Aliases"]
    assert after["CreationDate"] == before["CreationDate"] and after["LastUpdatedDate"] >= before["LastUpdatedDate"]
    assert kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == other
    # What was encrypted under the alias was encrypted under its key.
    assert kms.decrypt(CiphertextBlob=blob)["KeyId"] == made
    with refused("IncorrectKeyException"):
        kms.decrypt(KeyId=name, CiphertextBlob=blob)
    kms.update_alias(AliasName=name, TargetKeyId=other)
    for spec, usage in (("RSA_2048", "ENCRYPT_DECRYPT"), ("ECC_NIST_P256", "SIGN_VERIFY"), ("HMAC_256", "GENERATE_VERIFY_MAC")):
        with refused("ValidationException", "both must be the same"):
            kms.update_alias(AliasName=name, TargetKeyId=key(server, KeySpec=spec, KeyUsage=usage))
    assert list(aliases(kms, other)) == [name]


def test_an_alias_of_one_usage_stays_with_it(server, kms, name):
    signing = key(server, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    kms.create_alias(AliasName=name, TargetKeyId=signing)
    kms.update_alias(AliasName=name, TargetKeyId=key(server, KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY"))
    with refused("ValidationException", "KEY_AGREEMENT"):
        kms.update_alias(AliasName=name, TargetKeyId=key(server, KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT"))


def test_a_key_has_fifty_aliases_at_most(server, kms, made, name):
    for number in range(50):
        kms.create_alias(AliasName=f"{name}/{number}", TargetKeyId=made)
    with refused("LimitExceededException", "50"):
        kms.create_alias(AliasName=f"{name}/more", TargetKeyId=made)
    kms.create_alias(AliasName=f"{name}/more", TargetKeyId=key(server))
    with refused("LimitExceededException"):
        kms.update_alias(AliasName=f"{name}/more", TargetKeyId=made)
    kms.update_alias(AliasName=f"{name}/7", TargetKeyId=made)
    kms.delete_alias(AliasName=f"{name}/0")
    kms.update_alias(AliasName=f"{name}/more", TargetKeyId=made)
    assert len(aliases(kms, made)) == 50


def pages(kms, **more):
    """The names of a whole listing, and how many there were on each page."""
    names, sizes, marker = [], [], {}
    while True:
        answer = kms.list_aliases(**more, **marker)
        names += [entry["AliasName"] for entry in answer["Aliases"]]
        sizes.append(len(answer["Aliases"]))
        if not answer["Truncated"]:
            assert "NextMarker" not in answer
            return names, sizes
        marker = {"Marker": answer["NextMarker"]}


def test_listings_page(server, kms, made, name):
    names = sorted(f"{name}/{number}" for number in range(7))
    for each in names:
        kms.create_alias(AliasName=each, TargetKeyId=made)
    assert pages(kms, KeyId=made, Limit=3) == (names, [3, 3, 1])
    assert pages(kms, KeyId=made.split("/")[1]) == (names, [7])
    other = account(server)
    theirs = key(server, kms=other.kms)
    assert other.kms.list_aliases()["Aliases"] == []
    for each in names:
        other.kms.create_alias(AliasName=each, TargetKeyId=theirs)
    assert pages(other.kms, Limit=3) == (names, [3, 3, 1])
    assert pages(other.kms, Limit=1000) == (names, [7])
    [entry] = other.kms.list_aliases(Limit=1)["Aliases"]
    assert entry["AliasArn"] == alias_arn(names[0], other.number) and entry["TargetKeyId"] == theirs.split("/")[1]
    everything, sizes = pages(kms, Limit=100)
    assert set(names) <= set(everything) and max(sizes) <= 100
    marker = kms.list_aliases(KeyId=made, Limit=3)["NextMarker"]
    for wrong in ({"Marker": "nonsense"}, {"Marker": marker}, {"Marker": marker, "KeyId": key(server)}):
        with refused("InvalidMarkerException"):
            kms.list_aliases(**wrong)


def test_aliases_are_listed_of_keys_of_the_account(server, kms, made):
    gone = made[:-12] + "0" * 12
    assert words_of(lambda: kms.list_aliases(KeyId=gone)) == ("NotFoundException", f"Key '{gone}' does not exist")
    theirs = key(server, kms=account(server).kms)
    assert words_of(lambda: kms.list_aliases(KeyId=theirs)) == ("NotFoundException", f"Key '{theirs}' does not exist")
    assert code_of(lambda: kms.list_aliases(KeyId="arn:aws:s3:::bucket")) == "InvalidArnException"


def test_an_alias_takes_permission_on_itself_and_on_its_key(server, kms, made, name):
    on = lambda *resources: sessions.allow("kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias", resource=list(resources))  # noqa: E731
    other = key(server)
    alias_only, key_only = user(server, on(alias_arn("alias/*"))), user(server, on(made, other))
    both, one = user(server, on(alias_arn(name), made, other)), user(server, on(alias_arn(name), other))
    create = lambda caller: caller.kms.create_alias(AliasName=name, TargetKeyId=made)  # noqa: E731
    update = lambda caller: caller.kms.update_alias(AliasName=name, TargetKeyId=other)  # noqa: E731
    delete = lambda caller: caller.kms.delete_alias(AliasName=name)  # noqa: E731
    no = "because no identity-based policy allows the kms:{} action"
    for action, call in (("CreateAlias", create), ("UpdateAlias", update), ("DeleteAlias", delete)):
        with refused(DENIED, f"kms:{action} on resource: {alias_arn(name)} {no.format(action)}"):
            call(key_only)
        if action != "CreateAlias":
            with refused(DENIED, f"on resource: {made} "):
                call(alias_only)
            with refused(DENIED, f"on resource: {made} "):
                call(one)
        else:
            with refused(DENIED, f"on resource: {made} "):
                call(alias_only)
            call(both)
    update(both)
    delete(one)
    assert aliases(kms, made) == aliases(kms, other) == {}


def test_a_key_policy_lets_in_on_the_key_alone(server, made, name):
    caller = user(server, sessions.allow("kms:CreateAlias", resource=alias_arn("alias/*")))
    with refused(DENIED, "because no identity-based policy allows the kms:CreateAlias action"):
        caller.kms.create_alias(AliasName=name, TargetKeyId=made)
    named = key(server, statement("kms:CreateAlias", principal=caller.arn))
    caller.kms.create_alias(AliasName=name, TargetKeyId=named)
    bare = user(server)
    named = key(server, statement("kms:CreateAlias", principal=bare.arn))
    with refused(DENIED, f"on resource: {alias_arn(name)}x "):
        bare.kms.create_alias(AliasName=name + "x", TargetKeyId=named)


def test_a_condition_on_the_caller_holds_on_aliases_too(server, made, name):
    condition = {"StringEquals": {"kms:CallerAccount": ACCOUNT}}
    caller = user(server, sessions.allow("kms:*", **condition))
    caller.kms.create_alias(AliasName=name, TargetKeyId=made)
    caller.kms.list_aliases()
    caller.kms.delete_alias(AliasName=name)


def test_another_accounts_alias_leads_to_its_key_if_the_key_lets_in(server, kms, name):
    other = account(server)
    made = key(server, statement("kms:Encrypt", principal=other.arn))
    kms.create_alias(AliasName=name, TargetKeyId=made)
    assert other.kms.encrypt(KeyId=alias_arn(name), Plaintext=b"x")["KeyId"] == made
    closed = f"alias/{fresh()}"
    kms.create_alias(AliasName=closed, TargetKeyId=key(server))
    with refused(DENIED, "because no resource-based policy allows the kms:Encrypt action"):
        other.kms.encrypt(KeyId=alias_arn(closed), Plaintext=b"x")
    # Whether there is an alias of some name is not told.
    with refused(DENIED, "because no resource-based policy allows the kms:Encrypt action"):
        other.kms.encrypt(KeyId=alias_arn(f"alias/{fresh()}"), Plaintext=b"x")
    with refused("NotFoundException", f":{other.number}:{name} is not found"):
        other.kms.encrypt(KeyId=name, Plaintext=b"x")
    with refused("NotFoundException", f":{other.number}:{name} is not found"):
        other.kms.delete_alias(AliasName=name)
    mine = key(server, kms=other.kms)
    other.kms.create_alias(AliasName=name, TargetKeyId=mine)
    assert kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == made


def test_a_key_on_its_way_out_gets_no_name_and_loses_those_it_has(server, kms, made, name):
    kms.create_alias(AliasName=name, TargetKeyId=made)
    kms.disable_key(KeyId=made)
    kms.create_alias(AliasName=f"{name}/disabled", TargetKeyId=made)
    kms.schedule_key_deletion(KeyId=made)
    with refused("KMSInvalidStateException", f"{made} is pending deletion."):
        kms.create_alias(AliasName=f"{name}/more", TargetKeyId=made)
    other = key(server)
    kms.create_alias(AliasName=f"{name}/other", TargetKeyId=other)
    with refused("KMSInvalidStateException"):
        kms.update_alias(AliasName=f"{name}/other", TargetKeyId=made)
    kms.update_alias(AliasName=name, TargetKeyId=other)
    kms.delete_alias(AliasName=f"{name}/disabled")
    assert aliases(kms, made) == {}
    assert set(aliases(kms, other)) == {name, f"{name}/other"}


def test_who_may_do_everything_may_use_any_alias(server, kms, made, name):
    kms.create_alias(AliasName=name, TargetKeyId=made)
    admin = user(server, EVERYTHING)
    assert admin.kms.encrypt(KeyId=name, Plaintext=b"x")["KeyId"] == made
    with refused(DENIED, f"on resource: {made} because no identity-based policy allows"):
        user(server).kms.encrypt(KeyId=name, Plaintext=b"x")
