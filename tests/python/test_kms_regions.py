"""KMS: multi-Region keys. The same key in several regions of one installation, each with a life of its own."""

import datetime

import pytest

from refusals import code_of
from waiting import until

OTHER = "eu-central-1"
THIRD = "ap-south-1"


@pytest.fixture(scope="module")
def away(server):
    return server.client("kms", region=OTHER)


def primary(kms, **more):
    return kms.create_key(MultiRegion=True, **more)["KeyMetadata"]["KeyId"]


def places(metadata):
    configuration = metadata["MultiRegionConfiguration"]
    replicas = [replica["Region"] for replica in configuration["ReplicaKeys"]]
    return configuration["MultiRegionKeyType"], configuration["PrimaryKey"]["Region"], replicas


def test_a_replica_opens_what_the_primary_sealed(kms, away):
    key = primary(kms, Description="here")
    assert key.startswith("mrk-") and len(key) == 36
    home = kms.meta.region_name
    tags = [{"TagKey": "where", "TagValue": "there"}]
    answer = kms.replicate_key(KeyId=key, ReplicaRegion=OTHER, Description="there", Tags=tags)
    replica = answer["ReplicaKeyMetadata"]
    assert (replica["KeyId"], replica["Description"]) == (key, "there")
    assert replica["Arn"].split(":")[3] == OTHER and answer["ReplicaTags"] == tags
    assert places(away.describe_key(KeyId=key)["KeyMetadata"]) == ("REPLICA", home, [OTHER])
    assert places(kms.describe_key(KeyId=key)["KeyMetadata"]) == ("PRIMARY", home, [OTHER])
    blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    opened = away.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "b"})
    assert (opened["Plaintext"], opened["KeyId"]) == (b"x", replica["Arn"])
    back = away.encrypt(KeyId=key, Plaintext=b"y")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=back)["Plaintext"] == b"y"


def test_brothers_share_their_material_and_not_their_state(kms, away):
    key = primary(kms)
    kms.replicate_key(KeyId=key, ReplicaRegion=OTHER)
    before = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    away.disable_key(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    away.enable_key(KeyId=key)
    kms.rotate_key_on_demand(KeyId=key)
    ids = {client.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] for client in (kms, away)}
    assert len(ids) == 1
    after = kms.encrypt(KeyId=key, Plaintext=b"y")["CiphertextBlob"]
    assert [away.decrypt(CiphertextBlob=blob)["Plaintext"] for blob in (before, after)] == [b"x", b"y"]
    assert code_of(lambda: away.rotate_key_on_demand(KeyId=key)) == "UnsupportedOperationException"


def test_what_cannot_be_replicated(kms, away):
    alone = kms.create_key()["KeyMetadata"]["KeyId"]
    assert code_of(lambda: kms.replicate_key(KeyId=alone, ReplicaRegion=OTHER)) == "UnsupportedOperationException"
    key = primary(kms)
    kms.replicate_key(KeyId=key, ReplicaRegion=OTHER)
    assert code_of(lambda: kms.replicate_key(KeyId=key, ReplicaRegion=OTHER)) == "AlreadyExistsException"
    assert code_of(lambda: away.replicate_key(KeyId=key, ReplicaRegion=THIRD)) == "UnsupportedOperationException"
    kms.disable_key(KeyId=key)
    assert code_of(lambda: kms.replicate_key(KeyId=key, ReplicaRegion=THIRD)) == "DisabledException"


def test_another_region_becomes_the_primary(kms, away):
    key = primary(kms)
    home = kms.meta.region_name
    kms.replicate_key(KeyId=key, ReplicaRegion=OTHER)
    kms.update_primary_region(KeyId=key, PrimaryRegion=OTHER)
    assert places(away.describe_key(KeyId=key)["KeyMetadata"]) == ("PRIMARY", OTHER, [home])
    assert places(kms.describe_key(KeyId=key)["KeyMetadata"]) == ("REPLICA", OTHER, [home])
    away.replicate_key(KeyId=key, ReplicaRegion=THIRD)
    assert code_of(lambda: kms.update_primary_region(KeyId=key, PrimaryRegion=THIRD)) == "UnsupportedOperationException"
    assert code_of(lambda: away.update_primary_region(KeyId=key, PrimaryRegion="sa-east-1")) in (
        "NotFoundException",
        "ValidationException",
    )


def test_a_primary_goes_after_its_replicas(own_server):
    own_server.start()
    kms, away = own_server.client("kms"), own_server.client("kms", region=OTHER)
    key = primary(kms)
    kms.replicate_key(KeyId=key, ReplicaRegion=OTHER)
    answer = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert answer["KeyState"] == "PendingReplicaDeletion" and "DeletionDate" not in answer
    away.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)

    def later(days):
        own_server.stop()
        own_server.start(ahead=datetime.timedelta(days=days))
        return own_server.client("kms"), own_server.client("kms", region=OTHER)

    kms, away = later(8)
    until("the replica to be deleted", lambda: code_of_describe(away, key) == "NotFoundException")
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert metadata["KeyState"] == "PendingDeletion"
    assert metadata["MultiRegionConfiguration"]["ReplicaKeys"] == []
    kms, _ = later(16)
    until("the primary to be deleted", lambda: code_of_describe(kms, key) == "NotFoundException")


def code_of_describe(kms, key):
    try:
        kms.describe_key(KeyId=key)
    except kms.exceptions.NotFoundException:
        return "NotFoundException"
    return None
