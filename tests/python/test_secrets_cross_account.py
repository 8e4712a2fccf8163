"""Secrets Manager: a replica in another account, tied by the owners of both."""

import json
import uuid

import pytest
from refusals import refused
from secrets_helpers import allow, labels, policy
from server import ACCOUNT, REGION

ACCEPT = "secretsmanager:AcceptCrossAccountReplication"


class Other:
    """Another account of the installation, with a key that the first account may seal with."""

    def __init__(self, server, home=ACCOUNT):
        self.account = f"{uuid.uuid4().int % 10**12:012}"
        made = server.client("keystead").create_account(AccountId=self.account)
        key = {"key_id": made["AccessKeyId"], "secret": made["SecretAccessKey"]}
        self.sm, self.kms = server.client("secretsmanager", **key), server.client("kms", **key)
        root = {"AWS": [f"arn:aws:iam::{self.account}:root", f"arn:aws:iam::{home}:root"]}
        text = policy({"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"})
        self.key = self.kms.create_key(Policy=text)["KeyMetadata"]["Arn"]

    def replica(self, primary, name):
        return self.sm.create_secret(Name=name, CrossAccountPrimaryARN=primary, KmsKeyId=self.key)["ARN"]


@pytest.fixture(scope="module")
def other(server):
    return Other(server)


def test_a_replica_is_made_tied_and_followed(sm, other, name):
    primary = sm.create_secret(Name=name, SecretString="1", Description="mine")["ARN"]
    replica = other.replica(primary, name + "r")
    described = other.sm.describe_secret(SecretId=replica)
    assert described["CrossAccountPrimary"] == {"PrimarySecretARN": primary, "ReplicationStatus": "Pending"}
    (statement,) = json.loads(other.sm.get_resource_policy(SecretId=replica)["ResourcePolicy"])["Statement"]
    assert statement["Action"] == ACCEPT and statement["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    with refused("ResourceNotFoundException", "AWSCURRENT"):
        other.sm.get_secret_value(SecretId=replica)
    tied = {"SecretId": name, "CrossAccountReplicaARN": replica}
    for _ in range(2):  # once more repairs
        answer = sm.associate_cross_account_replica(**tied)
        assert {key: answer[key] for key in ("ARN", "CrossAccountReplicaARN", "ReplicationStatus")} == {
            "ARN": primary,
            "CrossAccountReplicaARN": replica,
            "ReplicationStatus": "InSync",
        }
    assert sm.describe_secret(SecretId=name)["CrossAccountReplicas"] == [{"ReplicaSecretARN": replica, "ReplicationStatus": "InSync"}]
    described = other.sm.describe_secret(SecretId=replica)
    assert described["CrossAccountPrimary"]["ReplicationStatus"] == "InSync" and "Description" not in described
    assert other.sm.get_secret_value(SecretId=replica)["SecretString"] == "1"
    sm.put_secret_value(SecretId=name, SecretString="2")
    assert labels(other.sm, replica) == labels(sm, name)
    assert other.sm.get_secret_value(SecretId=replica)["SecretString"] == "2"
    assert other.sm.get_secret_value(SecretId=replica, VersionStage="AWSPREVIOUS")["SecretString"] == "1"
    versions = other.sm.list_secret_version_ids(SecretId=replica)["Versions"]
    assert {each["KmsKeyIds"][0] for each in versions} == {other.key}
    other.sm.tag_resource(SecretId=replica, Tags=[{"Key": "own", "Value": "yes"}])
    version = versions[0]["VersionId"]
    for call in (
        lambda: other.sm.put_secret_value(SecretId=replica, SecretString="x"),
        lambda: other.sm.update_secret(SecretId=replica, Description="x"),
        lambda: other.sm.update_secret_version_stage(SecretId=replica, VersionStage="x", MoveToVersionId=version),
        lambda: other.sm.delete_secret(SecretId=replica),
        lambda: other.sm.replicate_secret_to_regions(SecretId=replica, AddReplicaRegions=[{"Region": "eu-west-1"}]),
    ):
        with refused("InvalidRequestException", "Call StopReplicationToReplica first."):
            call()
    with refused("InvalidRequestException", "Call DisassociateCrossAccountReplica first."):
        sm.delete_secret(SecretId=name)


def test_the_primarys_owner_unties(sm, other, name):
    primary = sm.create_secret(Name=name, SecretString="1")["ARN"]
    replica = other.replica(primary, name + "r")
    tied = {"SecretId": name, "CrossAccountReplicaARN": replica}
    sm.associate_cross_account_replica(**tied)
    answer = sm.disassociate_cross_account_replica(**tied)
    assert (answer["ARN"], answer["CrossAccountReplicaARN"]) == (primary, replica)
    assert "CrossAccountReplicas" not in sm.describe_secret(SecretId=name)
    assert other.sm.describe_secret(SecretId=replica)["CrossAccountPrimary"]["ReplicationStatus"] == "Detached"
    sm.put_secret_value(SecretId=name, SecretString="2")
    assert other.sm.get_secret_value(SecretId=replica)["SecretString"] == "1"
    with refused("InvalidRequestException", "has no cross-account replica"):
        sm.disassociate_cross_account_replica(**tied)
    sm.delete_secret(SecretId=name)
    assert other.sm.stop_replication_to_replica(SecretId=replica)["ARN"] == replica
    described = other.sm.describe_secret(SecretId=replica)
    assert "CrossAccountPrimary" not in described
    assert "ResourcePolicy" not in other.sm.get_resource_policy(SecretId=replica)
    other.sm.put_secret_value(SecretId=replica, SecretString="3")


def test_the_replicas_owner_unties(sm, other, name):
    primary = sm.create_secret(Name=name, SecretString="1")["ARN"]
    replica = other.replica(primary, name + "r")
    sm.associate_cross_account_replica(SecretId=name, CrossAccountReplicaARN=replica)
    other.sm.stop_replication_to_replica(SecretId=replica)
    assert sm.describe_secret(SecretId=name)["CrossAccountReplicas"] == [{"ReplicaSecretARN": replica, "ReplicationStatus": "Detached"}]
    sm.put_secret_value(SecretId=name, SecretString="2")
    assert other.sm.get_secret_value(SecretId=replica)["SecretString"] == "1"
    sm.delete_secret(SecretId=name)


def test_a_replica_that_cannot_follow_says_so(sm, other, name):
    primary = sm.create_secret(Name=name, SecretString="1")["ARN"]
    replica = other.replica(primary, name + "r")
    tied = {"SecretId": name, "CrossAccountReplicaARN": replica}
    other.kms.disable_key(KeyId=other.key)
    with refused("EncryptionFailure", "is disabled"):
        sm.associate_cross_account_replica(**tied)
    assert "CrossAccountReplicas" not in sm.describe_secret(SecretId=name)
    other.kms.enable_key(KeyId=other.key)
    sm.associate_cross_account_replica(**tied)
    other.kms.disable_key(KeyId=other.key)
    sm.put_secret_value(SecretId=name, SecretString="2")
    other.kms.enable_key(KeyId=other.key)
    (status,) = sm.describe_secret(SecretId=name)["CrossAccountReplicas"]
    assert status["ReplicationStatus"] == "Failed" and "is disabled" in status["StatusMessage"]
    assert other.sm.get_secret_value(SecretId=replica)["SecretString"] == "1"
    sm.associate_cross_account_replica(**tied)
    assert other.sm.get_secret_value(SecretId=replica)["SecretString"] == "2"


def test_what_cannot_be_made_or_tied(server, sm, other, name):
    primary = sm.create_secret(Name=name, SecretString="1")["ARN"]
    made = {"Name": name + "r", "CrossAccountPrimaryARN": primary, "KmsKeyId": other.key}
    for more in ({"SecretString": "x"}, {"SecretBinary": b"x"}, {"Description": "x"}, {"Type": "x"}, {"AddReplicaRegions": [{"Region": "eu-west-1"}]}):
        with refused("InvalidParameterException", f"You can't include {next(iter(more))}"):
            other.sm.create_secret(**made | more)
    with refused("InvalidParameterException", "customer managed KMS key"):
        other.sm.create_secret(**made | {"KmsKeyId": "alias/aws/secretsmanager"})
    for bad in (primary.replace(REGION, "eu-west-1"), primary.replace(ACCOUNT, other.account), "x" * 20):
        with refused("InvalidParameterException", "is not the ARN of a secret of another account"):
            other.sm.create_secret(**made | {"CrossAccountPrimaryARN": bad})
    stranger = other.sm.create_secret(Name=name + "s")["ARN"]
    root = f"arn:aws:iam::{ACCOUNT}:root"
    other.sm.put_resource_policy(SecretId=stranger, ResourcePolicy=policy(allow(ACCEPT, principal=root)))
    with refused("InvalidRequestException", "was not created as a cross-account replica"):
        sm.associate_cross_account_replica(SecretId=name, CrossAccountReplicaARN=stranger)
    first, second = other.replica(primary, name + "1"), other.replica(primary, name + "2")
    with refused("InvalidParameterException", "ReplicationRoleARN"):
        role = f"arn:aws:iam::{ACCOUNT}:role/replication"
        sm.associate_cross_account_replica(SecretId=name, CrossAccountReplicaARN=first, ReplicationRoleARN=role)
    other.sm.delete_resource_policy(SecretId=first)
    with refused("AccessDeniedException", ACCEPT):
        sm.associate_cross_account_replica(SecretId=name, CrossAccountReplicaARN=first)
    sm.associate_cross_account_replica(SecretId=name, CrossAccountReplicaARN=second)
    third = other.replica(primary, name + "3")
    with refused("LimitExceededException", "at most 1 cross-account replica"):
        sm.associate_cross_account_replica(SecretId=name, CrossAccountReplicaARN=third)
