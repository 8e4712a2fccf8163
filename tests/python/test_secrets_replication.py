"""Secrets Manager: replicas in other regions follow their primary, under keys of their own."""

import pytest
from refusals import refused
from secrets_helpers import MISSING, User, arn, labels, on, policy
from server import ACCOUNT, REGION

AWAY, FAR = "eu-west-1", "ap-south-1"
NOT_HERE = "Operation not permitted on a replica secret. Call must be made in primary secret's region."
OWN_KEY = "alias/aws/secretsmanager"


@pytest.fixture(scope="module")
def away(server):
    return server.client("secretsmanager", AWAY)


@pytest.fixture(scope="module")
def far(server):
    return server.client("secretsmanager", FAR)


def in_sync(region, key=OWN_KEY):
    return {"Region": region, "KmsKeyId": key, "Status": "InSync"}


def test_a_secret_is_made_with_its_replicas(sm, away, name):
    made = sm.create_secret(Name=name, SecretString="v", Description="d", AddReplicaRegions=[{"Region": AWAY}])
    assert made["ReplicationStatus"] == [in_sync(AWAY)]
    primary = sm.describe_secret(SecretId=name)
    assert primary["PrimaryRegion"] == REGION and primary["ReplicationStatus"] == [in_sync(AWAY)]
    other = made["ARN"].replace(REGION, AWAY)
    replica = away.describe_secret(SecretId=other)
    assert replica["ARN"] == other and replica["PrimaryRegion"] == REGION and "ReplicationStatus" not in replica
    assert replica["Description"] == "d"
    assert replica["VersionIdsToStages"] == primary["VersionIdsToStages"]
    value = away.get_secret_value(SecretId=name)
    assert (value["ARN"], value["SecretString"], value["VersionId"]) == (other, "v", made["VersionId"])
    # It can be found by where it came from.
    assert [each["Name"] for each in away.list_secrets(Filters=[{"Key": "primary-region", "Values": [REGION]}, {"Key": "name", "Values": [name]}])["SecretList"]] == [name]


def test_replicas_follow(sm, away, far, name):
    sm.create_secret(Name=name, SecretString="1", Tags=[{"Key": "a", "Value": "1"}])
    answer = sm.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": AWAY}, {"Region": FAR}])
    assert answer["ReplicationStatus"] == [in_sync(AWAY), in_sync(FAR)]
    sm.put_secret_value(SecretId=name, SecretString="2")
    sm.put_secret_value(SecretId=name, SecretBinary=b"3", VersionStages=["AWSPENDING"])
    sm.update_secret(SecretId=name, Description="new")
    sm.tag_resource(SecretId=name, Tags=[{"Key": "a", "Value": "2"}])
    text = policy({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "secretsmanager:*", "Resource": "*"})
    sm.put_resource_policy(SecretId=name, ResourcePolicy=text)
    for region in (away, far):
        described = region.describe_secret(SecretId=name)
        assert described["Description"] == "new" and described["Tags"] == [{"Key": "a", "Value": "2"}]
        assert labels(region, name) == labels(sm, name)
        assert region.get_secret_value(SecretId=name)["SecretString"] == "2"
        assert region.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")["SecretString"] == "1"
        assert region.get_secret_value(SecretId=name, VersionStage="AWSPENDING")["SecretBinary"] == b"3"
        assert region.get_resource_policy(SecretId=name)["ResourcePolicy"] == text
    pending = next(each for each, stages in labels(sm, name).items() if stages == ["AWSPENDING"])
    current = next(each for each, stages in labels(sm, name).items() if "AWSCURRENT" in stages)
    sm.update_secret_version_stage(SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=pending, RemoveFromVersionId=current)
    assert labels(away, name) == labels(sm, name)
    assert away.get_secret_value(SecretId=name)["SecretBinary"] == b"3"


def test_a_replica_is_changed_by_nobody(sm, away, name):
    sm.create_secret(Name=name, SecretString="v", AddReplicaRegions=[{"Region": AWAY}])
    text = policy({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "secretsmanager:*", "Resource": "*"})
    version = sm.describe_secret(SecretId=name)["VersionIdsToStages"].popitem()[0]
    for call in (
        lambda: away.update_secret(SecretId=name, SecretString="w"),
        lambda: away.put_secret_value(SecretId=name, SecretString="w"),
        lambda: away.update_secret_version_stage(SecretId=name, VersionStage="a", MoveToVersionId=version),
        lambda: away.tag_resource(SecretId=name, Tags=[{"Key": "k", "Value": "v"}]),
        lambda: away.untag_resource(SecretId=name, TagKeys=["k"]),
        lambda: away.put_resource_policy(SecretId=name, ResourcePolicy=text),
        lambda: away.delete_resource_policy(SecretId=name),
        lambda: away.delete_secret(SecretId=name),
        lambda: away.restore_secret(SecretId=name),
        lambda: away.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": FAR}]),
        lambda: away.remove_regions_from_replication(SecretId=name, RemoveReplicaRegions=[FAR]),
    ):
        with refused("InvalidParameterException", NOT_HERE):
            call()
    with refused("ResourceExistsException"):
        away.create_secret(Name=name, SecretString="w")


def test_replicas_are_removed(sm, away, far, name):
    made = sm.create_secret(Name=name, SecretString="v", AddReplicaRegions=[{"Region": AWAY}, {"Region": FAR}])
    for force in (False, True):
        with refused("InvalidParameterException") as seen:
            sm.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=force)
        assert seen.message == f"You can't delete secret {made['ARN']} that still has replica regions [{AWAY}, {FAR}]"
    answer = sm.remove_regions_from_replication(SecretId=name, RemoveReplicaRegions=[AWAY])
    assert answer["ReplicationStatus"] == [in_sync(FAR)]
    with refused("ResourceNotFoundException", MISSING):
        away.describe_secret(SecretId=name)
    assert far.get_secret_value(SecretId=name)["SecretString"] == "v"
    sm.remove_regions_from_replication(SecretId=name, RemoveReplicaRegions=[AWAY])  # once more is nothing
    answer = sm.remove_regions_from_replication(SecretId=name, RemoveReplicaRegions=[FAR])
    assert answer["ReplicationStatus"] == []
    assert "PrimaryRegion" not in sm.describe_secret(SecretId=name)
    sm.delete_secret(SecretId=name)


def test_a_replica_goes_on_by_itself(sm, away, name):
    made = sm.create_secret(Name=name, SecretString="v", AddReplicaRegions=[{"Region": AWAY}])
    with refused("InvalidRequestException", "is not a replica"):
        sm.stop_replication_to_replica(SecretId=name)
    stopped = away.stop_replication_to_replica(SecretId=name)
    assert stopped["ARN"] == made["ARN"].replace(REGION, AWAY)
    assert "ReplicationStatus" not in sm.describe_secret(SecretId=name)
    away.put_secret_value(SecretId=name, SecretString="theirs")
    sm.put_secret_value(SecretId=name, SecretString="mine")
    assert away.get_secret_value(SecretId=name)["SecretString"] == "theirs"
    away.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    assert sm.get_secret_value(SecretId=name)["SecretString"] == "mine"


def test_regions_that_cannot_be(sm, name):
    sm.create_secret(Name=name, SecretString="v", AddReplicaRegions=[{"Region": AWAY}])
    for regions in ([{"Region": REGION}], [{"Region": FAR}, {"Region": FAR}], [{}]):
        with refused("InvalidParameterException", "Invalid replica region."):
            sm.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=regions)
        with refused("InvalidParameterException", "Invalid replica region."):
            sm.create_secret(Name=name + "x", AddReplicaRegions=regions)
    with refused("InvalidParameterException", f"already replicated to region {AWAY}"):
        sm.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": AWAY}])
    with refused("ResourceNotFoundException", MISSING):
        sm.replicate_secret_to_regions(SecretId=name + "x", AddReplicaRegions=[{"Region": AWAY}])
    with refused("ResourceNotFoundException", MISSING):
        sm.remove_regions_from_replication(SecretId=name + "x", RemoveReplicaRegions=[AWAY])


def test_a_secret_of_the_same_name_is_in_the_way(sm, away, name):
    sm.create_secret(Name=name, SecretString="primary")
    theirs = away.create_secret(Name=name, SecretString="theirs")["ARN"]
    (status,) = sm.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": AWAY}])["ReplicationStatus"]
    assert status["Status"] == "Failed"
    assert status["StatusMessage"] == f"Replication failed: Secret name {name} already exists in region {AWAY}."
    assert away.get_secret_value(SecretId=name)["SecretString"] == "theirs"
    # What fails does not hold the primary up.
    sm.put_secret_value(SecretId=name, SecretString="primary 2")
    again = {"SecretId": name, "AddReplicaRegions": [{"Region": AWAY}], "ForceOverwriteReplicaSecret": True}
    assert sm.replicate_secret_to_regions(**again)["ReplicationStatus"] == [in_sync(AWAY)]
    assert away.get_secret_value(SecretId=name)["SecretString"] == "primary 2"
    with refused("ResourceNotFoundException", MISSING):
        away.get_secret_value(SecretId=theirs)


def test_a_replica_has_a_key_of_its_own_region(server, sm, away, name):
    kms = server.client("kms", AWAY)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    sm.create_secret(Name=name, SecretString="1", AddReplicaRegions=[{"Region": AWAY, "KmsKeyId": key}])
    assert sm.describe_secret(SecretId=name)["ReplicationStatus"] == [in_sync(AWAY, key)]
    assert away.describe_secret(SecretId=name)["KmsKeyId"] == key
    assert away.list_secret_version_ids(SecretId=name)["Versions"][0]["KmsKeyIds"] == [key]
    kms.disable_key(KeyId=key)
    sm.put_secret_value(SecretId=name, SecretString="2")
    (status,) = sm.describe_secret(SecretId=name)["ReplicationStatus"]
    assert status["Status"] == "Failed" and "is disabled" in status["StatusMessage"]
    kms.enable_key(KeyId=key)
    # It stays as it was, whole, until it can follow again.
    assert away.get_secret_value(SecretId=name)["SecretString"] == "1"
    sm.put_secret_value(SecretId=name, SecretString="3")
    assert sm.describe_secret(SecretId=name)["ReplicationStatus"] == [in_sync(AWAY, key)]
    assert away.get_secret_value(SecretId=name)["SecretString"] == "3"
    assert away.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")["SecretString"] == "2"


def test_who_may_replicate(server, sm, name):
    user = User(server, on("secretsmanager:CreateSecret"))
    mine = user.client("secretsmanager")
    with refused("AccessDeniedException", "secretsmanager:ReplicateSecretToRegions"):
        mine.create_secret(Name=name, AddReplicaRegions=[{"Region": AWAY}])
    sm.create_secret(Name=name, SecretString="v")
    only = {"ForAllValues:StringEquals": {"secretsmanager:AddReplicaRegions": [AWAY]}}
    user.may(on("secretsmanager:ReplicateSecretToRegions", Condition=only))
    with refused("AccessDeniedException"):
        mine.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": FAR}])
    mine.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": AWAY}])
    assert sm.describe_secret(SecretId=arn(name))["ReplicationStatus"] == [in_sync(AWAY)]


def test_the_primary_tells_when_its_replicas_were_read(own_server):
    sm = own_server.start().client("secretsmanager")
    sm.create_secret(Name="s", SecretString="v", AddReplicaRegions=[{"Region": AWAY}, {"Region": FAR}])
    own_server.client("secretsmanager", AWAY).get_secret_value(SecretId="s")
    # What was read is written down when the server ends.
    own_server.stop()
    described = own_server.start().client("secretsmanager").describe_secret(SecretId="s")
    assert "LastAccessedDate" not in described
    read = {each["Region"]: each.get("LastAccessedDate") for each in described["ReplicationStatus"]}
    there = own_server.client("secretsmanager", AWAY).describe_secret(SecretId="s")
    assert read == {AWAY: there["LastAccessedDate"], FAR: None}


def test_a_replica_is_refused_before_its_policy_is_read(sm, away, name):
    sm.create_secret(Name=name, AddReplicaRegions=[{"Region": AWAY}])
    with refused("InvalidParameterException", NOT_HERE):
        away.put_resource_policy(SecretId=name, ResourcePolicy="no policy")
