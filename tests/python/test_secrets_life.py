"""Secrets Manager: secrets deleted and had back, listed, tagged, and their resource policies."""

import datetime
import json
import uuid

import pytest
from refusals import refused
from secrets_helpers import DELETED, MISSING, User, allow, arn, labels, on, policy
from server import ACCOUNT
from waiting import until

DAY = datetime.timedelta(days=1)


def fields(answer):
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def names(answer):
    return [each["Name"] for each in answer["SecretList"]]


def test_a_secret_is_deleted_and_had_back(sm, name):
    made = sm.create_secret(Name=name, SecretString="v")
    before = datetime.datetime.now(datetime.timezone.utc)
    deleted = sm.delete_secret(SecretId=name)
    assert fields(deleted) == {"ARN": made["ARN"], "Name": name, "DeletionDate": deleted["DeletionDate"]}
    assert abs(deleted["DeletionDate"] - before - 30 * DAY) < datetime.timedelta(hours=1)
    assert abs(sm.describe_secret(SecretId=name)["DeletedDate"] - before) < datetime.timedelta(hours=1)
    with refused("InvalidRequestException", "You tried to perform the operation on a secret that's currently marked deleted."):
        sm.delete_secret(SecretId=name)
    with refused("InvalidRequestException", "a secret with this name is already scheduled for deletion."):
        sm.create_secret(Name=name)
    assert fields(sm.restore_secret(SecretId=name)) == {"ARN": made["ARN"], "Name": name}
    assert sm.get_secret_value(SecretId=name)["SecretString"] == "v"
    assert "DeletedDate" not in sm.describe_secret(SecretId=name)
    sm.restore_secret(SecretId=name)  # once more is nothing


def test_how_long_it_can_be_had_back(sm, name):
    sm.create_secret(Name=name)
    for days in (-1, 0, 6, 31):
        for more in ({}, {"ForceDeleteWithoutRecovery": True}):
            with refused("InvalidParameterException", "RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."):
                sm.delete_secret(SecretId=name, RecoveryWindowInDays=days, **more)
    with refused("InvalidParameterException", "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays."):
        sm.delete_secret(SecretId=name, RecoveryWindowInDays=7, ForceDeleteWithoutRecovery=True)
    deleted = sm.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    left = deleted["DeletionDate"] - datetime.datetime.now(datetime.timezone.utc)
    assert abs(left - 7 * DAY) < datetime.timedelta(hours=1)


def test_a_secret_is_gone_at_once_where_that_is_wanted(sm, name):
    made = sm.create_secret(Name=name, SecretString="v")
    sm.delete_secret(SecretId=name)
    deleted = sm.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    assert deleted["ARN"] == made["ARN"]
    with refused("ResourceNotFoundException", MISSING):
        sm.describe_secret(SecretId=name)
    # Its name is free, and what comes by that name is another secret.
    again = sm.create_secret(Name=name)
    assert again["ARN"] != made["ARN"]
    with refused("ResourceNotFoundException", MISSING):
        sm.describe_secret(SecretId=made["ARN"])
    with refused("ResourceNotFoundException", "AWSCURRENT"):
        sm.get_secret_value(SecretId=name)
    nothing = sm.delete_secret(SecretId=name + "x", ForceDeleteWithoutRecovery=True)
    assert nothing["Name"] == name + "x" and nothing["DeletionDate"] and name in nothing["ARN"]


def test_it_goes_when_its_time_is_over(own_server):
    sm = own_server.start().client("secretsmanager")
    sm.create_secret(Name="going", SecretString="v")
    sm.create_secret(Name="staying", SecretString="v")
    sm.delete_secret(SecretId="going", RecoveryWindowInDays=7)
    sm.delete_secret(SecretId="staying", RecoveryWindowInDays=7)
    sm.restore_secret(SecretId="staying")
    own_server.stop()
    sm = own_server.start(ahead=6 * DAY).client("secretsmanager")
    assert sm.describe_secret(SecretId="going")["DeletedDate"]
    own_server.stop()
    sm = own_server.start(ahead=8 * DAY).client("secretsmanager")
    from waiting import until

    until("the deletion", lambda: names(sm.list_secrets(IncludePlannedDeletion=True)) == ["staying"])
    assert sm.get_secret_value(SecretId="staying")["SecretString"] == "v"


def test_secrets_are_listed_in_every_order(server):
    account = f"{uuid.uuid4().int % 10**12:012}"
    key = server.client("keystead").create_account(AccountId=account)
    sm = server.client("secretsmanager", key_id=key["AccessKeyId"], secret=key["SecretAccessKey"])
    assert sm.list_secrets()["SecretList"] == []
    for each in ("b", "c", "a", "d"):
        sm.create_secret(Name=each, SecretString=each, Tags=[{"Key": "k", "Value": each}])
    sm.update_secret(SecretId="c", Description="changed last")
    sm.delete_secret(SecretId="d")
    orders = {"created-date": ["b", "c", "a"], "name": ["a", "b", "c"], "last-changed-date": ["b", "a", "c"]}
    for by, expected in orders.items():
        assert names(sm.list_secrets(SortBy=by)) == expected
        assert names(sm.list_secrets(SortBy=by, SortOrder="desc")) == expected[::-1]
        found, more = [], {}
        while True:
            page = sm.list_secrets(SortBy=by, SortOrder="desc", MaxResults=1, **more)
            found += names(page)
            if "NextToken" not in page:
                break
            more = {"NextToken": page["NextToken"]}
        assert found == expected[::-1]
    assert sorted(names(sm.list_secrets(SortBy="last-accessed-date"))) == ["a", "b", "c"]
    assert names(sm.list_secrets()) == ["b", "c", "a"]
    with_deleted = sm.list_secrets(IncludePlannedDeletion=True)
    assert names(with_deleted) == ["b", "c", "a", "d"] and with_deleted["SecretList"][3]["DeletedDate"]
    first = sm.list_secrets()["SecretList"][0]
    described = fields(sm.describe_secret(SecretId="b"))
    assert first.pop("SecretVersionsToStages") == described.pop("VersionIdsToStages")
    assert first == described
    for bad in ({"SortBy": "name"}, {"Filters": [{"Key": "name", "Values": ["a"]}]}):
        with refused("InvalidNextTokenException"):
            sm.list_secrets(NextToken=more["NextToken"], **bad)


def test_secrets_are_listed_by_filters(server):
    account = f"{uuid.uuid4().int % 10**12:012}"
    key = server.client("keystead").create_account(AccountId=account)
    sm = server.client("secretsmanager", key_id=key["AccessKeyId"], secret=key["SecretAccessKey"])
    sm.create_secret(Name="prod/db", Description="Of the big shop", Tags=[{"Key": "Team", "Value": "Blue"}])
    sm.create_secret(Name="prod/Mail", Description="of letters", Tags=[{"Key": "Team", "Value": "red"}])
    sm.create_secret(Name="test", Tags=[{"Key": "team", "Value": "Blue"}])

    def found(*filters):
        return names(sm.list_secrets(Filters=[{"Key": key, "Values": list(values)} for key, *values in filters]))

    assert found(("name", "prod/")) == ["prod/db", "prod/Mail"]
    assert found(("name", "Prod/")) == []
    assert found(("name", "!prod/")) == ["test"]
    assert found(("name", "prod/M", "te")) == ["prod/Mail", "test"]
    assert found(("description", "shop BIG")) == ["prod/db"]
    assert found(("tag-key", "Te")) == ["prod/db", "prod/Mail"]
    assert found(("tag-value", "Blue")) == ["prod/db", "test"]
    assert found(("tag-key", "Team"), ("tag-value", "Blue")) == ["prod/db"]
    assert found(("all", "mail")) == ["prod/Mail"]
    assert found(("all", "blue")) == ["prod/db", "test"]
    assert found(("owning-service", "rds")) == []
    assert found(("primary-region", "us-east-1")) == []
    with refused("InvalidParameterException", "Invalid filter key"):
        sm.list_secrets(Filters=[{"Values": ["a"]}])
    with refused("InvalidParameterException", "Invalid filter values for key: name"):
        sm.list_secrets(Filters=[{"Key": "name"}])
    with refused("ValidationException", "Member must satisfy enum value set"):
        sm.list_secrets(Filters=[{"Key": "nothing", "Values": ["a"]}])


def test_tags(sm, name):
    sm.create_secret(Name=name, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    sm.tag_resource(SecretId=name, Tags=[{"Key": "a", "Value": "2"}, {"Key": "A", "Value": "3"}])
    tags = sm.describe_secret(SecretId=name)["Tags"]
    assert sorted((tag["Key"], tag["Value"]) for tag in tags) == [("A", "3"), ("a", "2"), ("b", "")]
    sm.untag_resource(SecretId=name, TagKeys=["A", "a", "b", "none"])
    assert sm.describe_secret(SecretId=name)["Tags"] == []
    for bad in ([{"Key": "aws:a", "Value": "1"}], [{"Key": "a", "Value": "1"}] * 2, [{"Value": "1"}]):
        with refused("InvalidParameterException"):
            sm.tag_resource(SecretId=name, Tags=bad)
    with refused("InvalidParameterException", "at most 50 tags"):
        sm.tag_resource(SecretId=name, Tags=[{"Key": str(number), "Value": ""} for number in range(51)])
    for call, more in ((sm.tag_resource, {"Tags": []}), (sm.untag_resource, {"TagKeys": []})):
        with refused("ResourceNotFoundException", MISSING):
            call(SecretId=name + "x", **more)


def test_nobody_tags_away_the_own_permission(server, sm, name):
    sm.create_secret(Name=name, Tags=[{"Key": "team", "Value": "blue"}])
    mine = {"StringEquals": {"aws:ResourceTag/team": "blue"}}
    user = User(server, on("secretsmanager:*", Condition=mine)).client("secretsmanager")
    user.tag_resource(SecretId=name, Tags=[{"Key": "other", "Value": "x"}])
    with refused("AccessDeniedException", "secretsmanager:TagResource"):
        user.tag_resource(SecretId=name, Tags=[{"Key": "team", "Value": "red"}])
    with refused("AccessDeniedException", "secretsmanager:UntagResource"):
        user.untag_resource(SecretId=name, TagKeys=["team"])
    assert {"Key": "team", "Value": "blue"} in sm.describe_secret(SecretId=name)["Tags"]


def test_a_policy_is_put_shown_and_taken_away(sm, name):
    made = sm.create_secret(Name=name)
    known = {"ARN": made["ARN"], "Name": name, "PolicyName": "default"}
    assert fields(sm.get_resource_policy(SecretId=name)) == known
    assert sm.list_resource_policies(SecretId=name)["ResourcePolicies"] == []
    text = policy(allow("secretsmanager:GetSecretValue"))
    assert fields(sm.put_resource_policy(SecretId=name, ResourcePolicy=text)) == known
    assert fields(sm.get_resource_policy(SecretId=name)) == known | {"ResourcePolicy": text}
    assert sm.list_resource_policies(SecretId=name)["ResourcePolicies"] == [{"PolicyName": "default"}]
    assert fields(sm.delete_resource_policy(SecretId=name)) == known
    assert "ResourcePolicy" not in sm.get_resource_policy(SecretId=name)
    with refused("ResourceNotFoundException", "other"):
        sm.get_resource_policy(SecretId=name, PolicyName="other")
    for call, more in ((sm.put_resource_policy, {"ResourcePolicy": text}), (sm.delete_resource_policy, {})):
        with refused("InvalidParameterException", "other"):
            call(SecretId=name, PolicyName="other", **more)
    with refused("InvalidNextTokenException"):
        sm.list_resource_policies(SecretId=name, NextToken="x")


def test_what_is_no_policy_is_refused(sm, name):
    sm.create_secret(Name=name)
    nobody = f"arn:aws:iam::{ACCOUNT}:user/nobody-of-this-name"
    for text in ("no json", "{}", policy({"Effect": "Allow"}), policy(allow("secretsmanager:*", principal=nobody))):
        for call in (sm.put_resource_policy, sm.validate_resource_policy):
            with refused("MalformedPolicyDocumentException"):
                call(SecretId=name, ResourcePolicy=text)
    deny = policy(allow("secretsmanager:*", principal="*", effect="Deny"))
    with refused("InvalidParameterException", "will not allow you to manage this secret in the future."):
        sm.put_resource_policy(SecretId=name, ResourcePolicy=deny)


@pytest.mark.parametrize(
    ("statement", "public"),
    [
        (allow("secretsmanager:GetSecretValue", principal="*"), True),
        (allow("secretsmanager:GetSecretValue", principal="*", Condition={"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}), False),
        (allow("secretsmanager:GetSecretValue", principal="*", Condition={"StringLike": {"aws:PrincipalAccount": "*"}}), True),
        (allow("secretsmanager:GetSecretValue"), False),
        (allow("secretsmanager:DeleteSecret", principal="*", effect="Deny"), False),
    ],
)
def test_a_policy_that_lets_everybody_in_is_known(sm, name, statement, public):
    sm.create_secret(Name=name)
    text = policy(statement)
    valid = sm.validate_resource_policy(SecretId=name, ResourcePolicy=text)
    assert valid["PolicyValidationPassed"] is not public
    assert [each["CheckName"] for each in valid["ValidationErrors"]] == (["BlockPublicPolicy"] if public else [])
    assert sm.validate_resource_policy(ResourcePolicy=text)["PolicyValidationPassed"] is not public
    if public:
        with refused("PublicPolicyException", "broad access"):
            sm.put_resource_policy(SecretId=name, ResourcePolicy=text, BlockPublicPolicy=True)
    sm.put_resource_policy(SecretId=name, ResourcePolicy=text, BlockPublicPolicy=not public)
    assert json.loads(sm.get_resource_policy(SecretId=name)["ResourcePolicy"]) == json.loads(text)


def test_a_policy_that_locks_its_owner_out_does_not_pass(server, sm, name):
    sm.create_secret(Name=name)
    user = User(server, on("secretsmanager:*"))
    text = policy(allow("secretsmanager:PutResourcePolicy", principal=user.arn, effect="Deny"))
    valid = user.client("secretsmanager").validate_resource_policy(SecretId=name, ResourcePolicy=text)
    assert [each["CheckName"] for each in valid["ValidationErrors"]] == ["LockoutPolicy"]
    assert sm.validate_resource_policy(SecretId=name, ResourcePolicy=text)["PolicyValidationPassed"] is True


def test_policies_of_what_is_not_there(sm, name):
    text = policy(allow("secretsmanager:GetSecretValue"))
    for call, more in (
        (sm.get_resource_policy, {}),
        (sm.delete_resource_policy, {}),
        (sm.list_resource_policies, {}),
        (sm.put_resource_policy, {"ResourcePolicy": text}),
        (sm.validate_resource_policy, {"ResourcePolicy": text}),
    ):
        with refused("ResourceNotFoundException", MISSING):
            call(SecretId=name, **more)


def test_the_labels_are_still_there_after_a_restart(own_server):
    sm = own_server.start().client("secretsmanager")
    sm.create_secret(Name="s", SecretString="1")
    sm.put_secret_value(SecretId="s", SecretString="2")
    sm.get_secret_value(SecretId="s")
    before = labels(sm, "s")
    own_server.stop()
    sm = own_server.start().client("secretsmanager")
    assert labels(sm, "s") == before
    assert sm.get_secret_value(SecretId="s", VersionStage="AWSPREVIOUS")["SecretString"] == "1"
    # What was read was written down when the server ended.
    described = sm.describe_secret(SecretId="s")
    today = datetime.datetime.now(datetime.timezone.utc).date()
    assert abs((described["LastAccessedDate"].astimezone(datetime.timezone.utc).date() - today).days) <= 1
    read = {each["VersionStages"][0]: "LastAccessedDate" in each for each in sm.list_secret_version_ids(SecretId="s")["Versions"]}
    assert read == {"AWSPREVIOUS": False, "AWSCURRENT": True}


def test_a_deleted_secret_keeps_its_words(sm, name):
    sm.create_secret(Name=name)
    sm.delete_secret(SecretId=arn(name))
    with refused("InvalidRequestException", DELETED):
        sm.put_resource_policy(SecretId=name, ResourcePolicy=policy(allow("secretsmanager:GetSecretValue")))
