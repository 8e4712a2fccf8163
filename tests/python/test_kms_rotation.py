"""KMS: rotation of key material, by itself at a chosen period and on demand. Old ciphertexts always open."""

import datetime
import json

import pytest

from importing import bring
from kms_helpers import make
from refusals import refused, words_of
from server import ACCOUNT
from waiting import until

DAY = datetime.timedelta(days=1)


@pytest.fixture
def key(kms):
    return make(kms)


def id_of(key):
    return key.split("/")[-1]


def sealed(kms, key, text=b"hello"):
    return kms.encrypt(KeyId=key, Plaintext=text)["CiphertextBlob"]


def rotations(kms, key, **more):
    return kms.list_key_rotations(KeyId=key, **more)["Rotations"]


def materials(kms, key):
    return rotations(kms, key, IncludeKeyMaterial="ALL_KEY_MATERIAL")


def restarted(own_server, ahead):
    own_server.kill()
    own_server.start(ahead=ahead)
    return own_server.client("kms")


def test_automatic_rotation_is_off_until_it_is_switched_on(kms, key):
    off = kms.get_key_rotation_status(KeyId=key)
    assert off.pop("ResponseMetadata") and off == {"KeyId": id_of(key), "KeyRotationEnabled": False}
    before = datetime.datetime.now(datetime.timezone.utc)
    kms.enable_key_rotation(KeyId=key)
    on = kms.get_key_rotation_status(KeyId=id_of(key))
    assert on["KeyRotationEnabled"] is True and on["RotationPeriodInDays"] == 365
    assert abs(on["NextRotationDate"] - before - 365 * DAY) < datetime.timedelta(minutes=5)
    assert "OnDemandRotationStartDate" not in on
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    changed = kms.get_key_rotation_status(KeyId=key)
    assert changed["RotationPeriodInDays"] == 90
    assert abs(changed["NextRotationDate"] - before - 90 * DAY) < datetime.timedelta(minutes=5)
    kms.disable_key_rotation(KeyId=key)
    kms.disable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False


@pytest.mark.parametrize("days", [89, 2561, 0, -1])
def test_a_period_out_of_bounds_is_refused(server, key, days):
    loose = server.client("kms", parameter_validation=False)
    with refused("ValidationException", "rotationPeriodInDays"):
        loose.enable_key_rotation(KeyId=key, RotationPeriodInDays=days)


@pytest.mark.parametrize("days", [90, 2560])
def test_the_longest_and_the_shortest_period_are_taken(kms, key, days):
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=days)
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == days


def test_a_rotation_on_demand_changes_what_encrypts_and_nothing_else(kms, key):
    described = kms.describe_key(KeyId=key)["KeyMetadata"]
    old = sealed(kms, key)
    answer = kms.rotate_key_on_demand(KeyId=key)
    assert answer["KeyId"] == id_of(key)
    after = kms.describe_key(KeyId=key)["KeyMetadata"]
    first, second = described.pop("CurrentKeyMaterialId"), after.pop("CurrentKeyMaterialId")
    assert first != second and described == after
    new = sealed(kms, key)
    for text, material in ((old, first), (new, second)):
        opened = kms.decrypt(CiphertextBlob=text)
        assert opened["Plaintext"] == b"hello" and opened["KeyMaterialId"] == material
    moved = kms.re_encrypt(CiphertextBlob=old, DestinationKeyId=key)
    assert moved["SourceKeyMaterialId"] == first and moved["DestinationKeyMaterialId"] == second
    entry = {"KeyId": id_of(key)}
    initial, rotated = materials(kms, key)
    assert initial == entry | {"KeyMaterialId": first, "KeyMaterialState": "NON_CURRENT"}
    date = rotated.pop("RotationDate")
    assert abs(date - datetime.datetime.now(datetime.timezone.utc)) < datetime.timedelta(minutes=5)
    assert rotated == entry | {
        "KeyMaterialId": second,
        "KeyMaterialState": "CURRENT",
        "RotationType": "ON_DEMAND",
    }
    assert [one["KeyMaterialId"] for one in rotations(kms, key)] == [second]


def test_rotations_on_demand_leave_the_schedule_alone(kms, key):
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=730)
    before = kms.get_key_rotation_status(KeyId=key)["NextRotationDate"]
    kms.rotate_key_on_demand(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["NextRotationDate"] == before


def test_there_are_twenty_five_rotations_on_demand(kms, key):
    texts = []
    for _ in range(25):
        texts.append(sealed(kms, key))
        kms.rotate_key_on_demand(KeyId=key)
    with refused("LimitExceededException", "on-demand rotations limit has been reached"):
        kms.rotate_key_on_demand(KeyId=key)
    for text in texts:
        assert kms.decrypt(CiphertextBlob=text)["Plaintext"] == b"hello"
    pages = kms.get_paginator("list_key_rotations").paginate(KeyId=key, PaginationConfig={"PageSize": 10})
    pages = [page["Rotations"] for page in pages]
    assert [len(page) for page in pages] == [10, 10, 5]
    assert sum(pages, []) == rotations(kms, key)
    assert len(materials(kms, key)) == 26


def test_a_marker_belongs_to_its_listing(kms, key):
    for _ in range(2):
        kms.rotate_key_on_demand(KeyId=key)
    first = kms.list_key_rotations(KeyId=key, Limit=1)
    assert first["Truncated"] is True
    for arguments in (
        {"KeyId": key, "Marker": "nonsense"},
        {"KeyId": key, "Marker": first["NextMarker"], "IncludeKeyMaterial": "ALL_KEY_MATERIAL"},
        {"KeyId": make(kms), "Marker": first["NextMarker"]},
    ):
        with refused("InvalidMarkerException"):
            kms.list_key_rotations(**arguments)


OPERATIONS = ["enable_key_rotation", "disable_key_rotation", "rotate_key_on_demand"]


@pytest.mark.parametrize("spec", ["RSA_2048", "ECC_NIST_P256", "HMAC_256", "ML_DSA_44"])
def test_only_symmetric_keys_rotate(kms, spec):
    pair = make(kms, spec, "SIGN_VERIFY" if spec == "RSA_2048" else None)
    for operation in OPERATIONS:
        with refused("UnsupportedOperationException", spec):
            getattr(kms, operation)(KeyId=pair)
    assert kms.get_key_rotation_status(KeyId=pair)["KeyRotationEnabled"] is False
    assert rotations(kms, pair) == []
    with refused("UnsupportedOperationException"):
        materials(kms, pair)


def test_imported_key_material_does_not_rotate_by_itself(kms):
    external = make(kms, Origin="EXTERNAL")
    for ready in (False, True):
        if ready:
            bring(kms, external, bytes(32))
        for operation in OPERATIONS[:2]:
            code, text = words_of(lambda operation=operation: getattr(kms, operation)(KeyId=external))
            assert code == "UnsupportedOperationException"
            assert text == f"{external} origin is EXTERNAL which is not valid for this operation."
        assert kms.get_key_rotation_status(KeyId=external)["KeyRotationEnabled"] is False


def test_a_key_that_is_off_or_on_its_way_out_is_left_alone(kms, key):
    kms.enable_key_rotation(KeyId=key)
    kms.disable_key(KeyId=key)
    for operation in OPERATIONS:
        with refused("DisabledException", "is disabled"):
            getattr(kms, operation)(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    for operation in OPERATIONS:
        with refused("KMSInvalidStateException", "is pending deletion"):
            getattr(kms, operation)(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    assert rotations(kms, key) == []
    kms.cancel_key_deletion(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True


@pytest.mark.parametrize("operation", [*OPERATIONS, "get_key_rotation_status", "list_key_rotations"])
def test_a_key_is_named_by_its_id_or_arn(kms, operation, name):
    kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=make(kms))
    call = getattr(kms, operation)
    with refused("NotFoundException"):
        call(KeyId=f"alias/{name}")
    with refused("NotFoundException", "does not exist"):
        call(KeyId="1234abcd-12ab-34cd-56ef-1234567890ab")


def test_a_policy_can_limit_the_period_the_usual_one_too(kms):
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    statement = {"Principal": root, "Resource": "*"}
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            statement | {"Effect": "Allow", "Action": "kms:*"},
            statement
            | {
                "Effect": "Deny",
                "Action": "kms:EnableKeyRotation",
                "Condition": {"NumericGreaterThan": {"kms:RotationPeriodInDays": "180"}},
            },
        ],
    }
    key = make(kms, Policy=json.dumps(policy))
    for days in ({}, {"RotationPeriodInDays": 181}):
        with refused("AccessDeniedException"):
            kms.enable_key_rotation(KeyId=key, **days)
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=180)


def test_a_key_rotates_by_itself_period_after_period(own_server):
    own_server.start()
    kms = own_server.client("kms")
    key = make(kms)
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    due = kms.get_key_rotation_status(KeyId=key)["NextRotationDate"]
    texts = [sealed(kms, key)]
    # Right before, nobody else may rotate it.
    kms = restarted(own_server, 90 * DAY - datetime.timedelta(minutes=10))
    assert rotations(kms, key) == []
    with refused("ConflictException", "automatic rotation"):
        kms.rotate_key_on_demand(KeyId=key)
    for count in (1, 2):
        kms = restarted(own_server, count * 100 * DAY)
        made = until("a rotation", lambda: len(found := rotations(kms, key)) == count and found)
        assert {one["RotationType"] for one in made} == {"AUTOMATIC"}
        texts.append(sealed(kms, key))
        for text in texts:
            assert kms.decrypt(CiphertextBlob=text)["Plaintext"] == b"hello"
        following = kms.get_key_rotation_status(KeyId=key)["NextRotationDate"]
        assert following >= due + 90 * DAY
        due = following


def test_a_primary_rotates_its_replicas_with_it(own_server):
    own_server.start()
    kms = own_server.client("kms")
    key = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    kms.replicate_key(KeyId=key, ReplicaRegion="eu-west-1")
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=100)
    there = own_server.client("kms", region="eu-west-1")
    shared = there.get_key_rotation_status(KeyId=key)
    assert shared["RotationPeriodInDays"] == 100
    assert shared["NextRotationDate"] == kms.get_key_rotation_status(KeyId=key)["NextRotationDate"]
    for operation in OPERATIONS:
        with refused("UnsupportedOperationException", "primary key, in us-east-1"):
            getattr(there, operation)(KeyId=key)
    old = sealed(there, key)
    kms = restarted(own_server, 101 * DAY)
    there = own_server.client("kms", region="eu-west-1")
    made = until("the rotation", lambda: rotations(kms, key))
    assert rotations(there, key) == made and len(made) == 1
    for client in (kms, there):
        for text in (old, sealed(kms, key), sealed(there, key)):
            assert client.decrypt(CiphertextBlob=text)["Plaintext"] == b"hello"


def test_what_became_due_while_a_key_was_off_follows_when_it_is_on(own_server):
    own_server.start()
    kms = own_server.client("kms")
    key, other = make(kms), make(kms)
    for one in (key, other):
        kms.enable_key_rotation(KeyId=one, RotationPeriodInDays=90)
    kms.disable_key(KeyId=key)
    kms = restarted(own_server, 200 * DAY)
    until("the rotation of the other key", lambda: rotations(kms, other))
    assert rotations(kms, key) == []
    kms.enable_key(KeyId=key)
    until("the rotation that was missed", lambda: rotations(kms, key))
