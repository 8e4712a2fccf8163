"""Secrets Manager: values, versions and their staging labels, field by field."""

import datetime
import re

import pytest
from refusals import refused
from secrets_helpers import DELETED, MISSING, NOBODY, arn, labels, token


def fields(answer):
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def age(moment):
    return abs(datetime.datetime.now(datetime.timezone.utc) - moment)


def test_a_secret_is_made_and_read(sm, name):
    made = sm.create_secret(Name=f"prod/{name}", SecretString='{"password":"p"}', Description="of tests")
    assert fields(made) == {"ARN": made["ARN"], "Name": f"prod/{name}", "VersionId": made["VersionId"]}
    assert re.fullmatch(re.escape(arn(f"prod/{name}")) + "-[A-Za-z0-9]{6}", made["ARN"])
    value = sm.get_secret_value(SecretId=made["ARN"])
    created = value.pop("CreatedDate")
    assert age(created) < datetime.timedelta(hours=1)
    assert fields(value) == {
        "ARN": made["ARN"],
        "Name": f"prod/{name}",
        "VersionId": made["VersionId"],
        "SecretString": '{"password":"p"}',
        "VersionStages": ["AWSCURRENT"],
    }
    described = fields(sm.describe_secret(SecretId=f"prod/{name}"))
    assert described == {
        "ARN": made["ARN"],
        "Name": f"prod/{name}",
        "Description": "of tests",
        "CreatedDate": created,
        "LastChangedDate": created,
        "VersionIdsToStages": {made["VersionId"]: ["AWSCURRENT"]},
    }


def test_a_secret_goes_by_name_arn_and_partial_arn(sm, name):
    made = sm.create_secret(Name=name, SecretString="v")
    for known in (name, made["ARN"], arn(name)):
        assert sm.get_secret_value(SecretId=known)["SecretString"] == "v"
    for unknown in (name + "x", arn(name) + "-AAAAAA", made["ARN"][:-1], arn(name, "eu-west-1"), "with space"):
        with refused("ResourceNotFoundException", MISSING):
            sm.get_secret_value(SecretId=unknown)


def test_a_name_that_ends_like_an_arn_is_found_all_the_same(sm, name):
    made = sm.create_secret(Name=f"{name}-AbCd12", SecretString="v")
    for known in (f"{name}-AbCd12", arn(f"{name}-AbCd12"), made["ARN"]):
        assert sm.get_secret_value(SecretId=known)["ARN"] == made["ARN"]


def test_binary_values_come_back_as_they_were(sm, name):
    value = bytes(range(256)) * 256
    sm.create_secret(Name=name, SecretBinary=value)
    read = sm.get_secret_value(SecretId=name)
    assert read["SecretBinary"] == value and "SecretString" not in read
    sm.put_secret_value(SecretId=name, SecretString="text")
    read = sm.get_secret_value(SecretId=name)
    assert read["SecretString"] == "text" and "SecretBinary" not in read


def test_a_value_has_65536_bytes_at_most(sm, name):
    sm.create_secret(Name=name, SecretString="x" * 65536)
    assert len(sm.get_secret_value(SecretId=name)["SecretString"]) == 65536
    sm.put_secret_value(SecretId=name, SecretString="ä" * 32768)
    for text in ("x" * 65537, "ä" * 32769):
        with refused("ValidationException", "length less than or equal to 65536"):
            sm.put_secret_value(SecretId=name, SecretString=text)


def test_what_a_name_may_be(sm, name):
    for bad in (f"{name} a", f"{name}:", f"{name}*", f"ä{name}"):
        with refused("ValidationException", "Invalid name. Must be a valid name containing alphanumeric characters"):
            sm.create_secret(Name=bad)
    sm.create_secret(Name=f"{name}/_+=.@-!")


def test_two_values_are_none(sm, name):
    both = {"SecretString": "a", "SecretBinary": b"b"}
    sm.create_secret(Name=name)
    for call in (
        lambda: sm.create_secret(Name=name + "x", **both),
        lambda: sm.put_secret_value(SecretId=name, **both),
        lambda: sm.update_secret(SecretId=name, **both),
    ):
        with refused("InvalidParameterException", "You can't specify both a binary secret value and a string"):
            call()
    with refused("InvalidRequestException", "You must provide either SecretString or SecretBinary."):
        sm.put_secret_value(SecretId=name)


def test_a_secret_without_a_value(sm, name):
    made = sm.create_secret(Name=name)
    assert set(fields(made)) == {"ARN", "Name"}
    assert set(fields(sm.describe_secret(SecretId=name))) == {"ARN", "Name", "CreatedDate", "LastChangedDate"}
    with refused("ResourceNotFoundException", "can't find the specified secret value for staging label: AWSCURRENT"):
        sm.get_secret_value(SecretId=name)
    put = sm.put_secret_value(SecretId=name, SecretString="v", VersionStages=["AWSPENDING"])
    assert put["VersionStages"] == ["AWSPENDING", "AWSCURRENT"]
    assert sm.get_secret_value(SecretId=name)["SecretString"] == "v"


def test_a_token_makes_one_secret(sm, name):
    same = {"Name": name, "SecretString": "v", "ClientRequestToken": token()}
    first = sm.create_secret(**same)
    assert first["VersionId"] == same["ClientRequestToken"]
    assert fields(sm.create_secret(**same)) == fields(first)
    with refused("ResourceExistsException") as seen:
        sm.create_secret(**same | {"SecretString": "w"})
    in_use = f"You can't use ClientRequestToken {same['ClientRequestToken']} because that value is already in use for a version of secret {first['ARN']}."
    assert seen.message == in_use
    with refused("ResourceExistsException", f"The operation failed because the secret {name} already exists."):
        sm.create_secret(**same | {"ClientRequestToken": token()})


def test_a_token_makes_one_version(sm, name):
    made = sm.create_secret(Name=name, SecretString="v0")
    same = {"SecretId": name, "SecretString": "v1", "ClientRequestToken": token()}
    first = sm.put_secret_value(**same)
    assert fields(first) == {
        "ARN": made["ARN"],
        "Name": name,
        "VersionId": same["ClientRequestToken"],
        "VersionStages": ["AWSCURRENT"],
    }
    assert fields(sm.put_secret_value(**same)) == fields(first)
    for call in (sm.put_secret_value, sm.update_secret):
        for other in ({"SecretString": "v2"}, {"SecretBinary": b"v1"}):
            with refused("ResourceExistsException", f"already in use for a version of secret {made['ARN']}."):
                call(**{"SecretId": name, "ClientRequestToken": same["ClientRequestToken"]} | other)
    assert sm.update_secret(**same)["VersionId"] == same["ClientRequestToken"]
    assert labels(sm, name) == {made["VersionId"]: ["AWSPREVIOUS"], same["ClientRequestToken"]: ["AWSCURRENT"]}


def test_labels_move_with_values(sm, name):
    first = sm.create_secret(Name=name, SecretString="1")["VersionId"]
    second = sm.put_secret_value(SecretId=name, SecretString="2")["VersionId"]
    assert labels(sm, name) == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]}
    third = sm.put_secret_value(SecretId=name, SecretString="3", VersionStages=["AWSPENDING", "mine"])
    assert third["VersionStages"] == ["AWSPENDING", "mine"]
    third = third["VersionId"]
    fourth = sm.put_secret_value(SecretId=name, SecretString="4", VersionStages=["mine"])["VersionId"]
    assert labels(sm, name) == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT"], third: ["AWSPENDING"], fourth: ["mine"]}
    for stage, expected in (("AWSPREVIOUS", "1"), ("AWSCURRENT", "2"), ("AWSPENDING", "3"), ("mine", "4")):
        assert sm.get_secret_value(SecretId=name, VersionStage=stage)["SecretString"] == expected
    assert sm.get_secret_value(SecretId=name, VersionId=third)["SecretString"] == "3"
    assert sm.get_secret_value(SecretId=name, VersionId=third, VersionStage="AWSPENDING")["SecretString"] == "3"
    with refused("InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId."):
        sm.get_secret_value(SecretId=name, VersionId=third, VersionStage="AWSCURRENT")
    with refused("ResourceNotFoundException", f"can't find the specified secret value for VersionId: {NOBODY}"):
        sm.get_secret_value(SecretId=name, VersionId=NOBODY)
    with refused("ResourceNotFoundException", "can't find the specified secret value for staging label: none"):
        sm.get_secret_value(SecretId=name, VersionStage="none")


def test_labels_are_moved_by_hand(sm, name):
    made = sm.create_secret(Name=name, SecretString="1")
    first, move = made["VersionId"], sm.update_secret_version_stage
    second = sm.put_secret_value(SecretId=name, SecretString="2", VersionStages=["AWSPENDING"])["VersionId"]
    with refused("InvalidParameterException") as seen:
        move(SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=second)
    assert seen.message == (
        f"The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to version {first}, "
        "so you must explicitly reference that version in RemoveFromVersionId."
    )
    moved = move(SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=first)
    assert fields(moved) == {"ARN": made["ARN"], "Name": name}
    assert labels(sm, name) == {first: ["AWSPREVIOUS"], second: ["AWSPENDING", "AWSCURRENT"]}
    move(SecretId=name, VersionStage="AWSPENDING", RemoveFromVersionId=second)
    move(SecretId=name, VersionStage="mine", MoveToVersionId=first)
    assert labels(sm, name) == {first: ["AWSPREVIOUS", "mine"], second: ["AWSCURRENT"]}
    for more, code, text in (
        ({"RemoveFromVersionId": second}, "InvalidParameterException", "It can't be completely removed."),
        ({"RemoveFromVersionId": first, "MoveToVersionId": second}, "InvalidParameterException", "is not currently attached"),
        ({}, "InvalidParameterException", "You must specify RemoveFromVersionId, MoveToVersionId, or both."),
        ({"RemoveFromVersionId": second, "MoveToVersionId": NOBODY}, "ResourceNotFoundException", NOBODY),
    ):
        with refused(code, text):
            move(SecretId=name, VersionStage="AWSCURRENT", **more)


def test_a_secret_has_twenty_labels(sm, name):
    sm.create_secret(Name=name, SecretString="1")
    sm.put_secret_value(SecretId=name, SecretString="2", VersionStages=[f"l{number}" for number in range(19)])
    with refused("LimitExceededException", "at most 20 staging labels"):
        sm.put_secret_value(SecretId=name, SecretString="3")


def test_versions_are_listed(sm, name):
    made = sm.create_secret(Name=name, SecretString="0")
    ids = [made["VersionId"]]
    ids += [sm.put_secret_value(SecretId=name, SecretString=str(number))["VersionId"] for number in range(4)]
    listed = sm.list_secret_version_ids(SecretId=name)
    assert (listed["ARN"], listed["Name"], "NextToken" in listed) == (made["ARN"], name, False)
    assert [(each["VersionId"], each["VersionStages"]) for each in listed["Versions"]] == [
        (ids[3], ["AWSPREVIOUS"]),
        (ids[4], ["AWSCURRENT"]),
    ]
    assert all(each["KmsKeyIds"] == ["DefaultEncryptionKey"] and each["CreatedDate"] for each in listed["Versions"])
    found, more = [], {}
    while True:
        page = sm.list_secret_version_ids(SecretId=name, IncludeDeprecated=True, MaxResults=2, **more)
        assert len(page["Versions"]) <= 2
        found += page["Versions"]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert [each["VersionId"] for each in found] == ids
    assert "VersionStages" not in found[0]
    # What is deprecated can still be read by its id.
    assert sm.get_secret_value(SecretId=name, VersionId=ids[0]).get("VersionStages") is None
    with refused("InvalidNextTokenException"):
        sm.list_secret_version_ids(SecretId=name, NextToken=more["NextToken"])


def test_what_is_told_of_a_secret_is_changed(sm, name):
    made = sm.create_secret(Name=name, SecretString="1", Description="one")
    updated = sm.update_secret(SecretId=name, Description="two")
    assert fields(updated) == {"ARN": made["ARN"], "Name": name}
    described = sm.describe_secret(SecretId=name)
    assert described["Description"] == "two" and described["LastChangedDate"] >= described["CreatedDate"]
    assert labels(sm, name) == {made["VersionId"]: ["AWSCURRENT"]}
    updated = sm.update_secret(SecretId=name, SecretString="2")
    assert labels(sm, name) == {made["VersionId"]: ["AWSPREVIOUS"], updated["VersionId"]: ["AWSCURRENT"]}
    sm.update_secret(SecretId=name, Description="")
    assert "Description" not in sm.describe_secret(SecretId=name)


def test_several_values_at_once(sm, name):
    for number in range(3):
        sm.create_secret(Name=f"{name}{number}", SecretString=str(number))
    sm.create_secret(Name=f"{name}empty")
    sm.create_secret(Name=f"{name}gone", SecretString="v")
    sm.delete_secret(SecretId=f"{name}gone")
    asked = [f"{name}{which}" for which in (2, 0, "empty", "gone", "missing")]
    answer = sm.batch_get_secret_value(SecretIdList=asked)
    assert [(each["Name"], each["SecretString"]) for each in answer["SecretValues"]] == [(f"{name}2", "2"), (f"{name}0", "0")]
    assert all({"ARN", "VersionId", "VersionStages", "CreatedDate"} <= set(each) for each in answer["SecretValues"])
    assert [(each["SecretId"], each["ErrorCode"]) for each in answer["Errors"]] == [
        (f"{name}empty", "ResourceNotFoundException"),
        (f"{name}gone", "InvalidRequestException"),
        (f"{name}missing", "ResourceNotFoundException"),
    ]
    assert answer["Errors"][2]["Message"] == MISSING
    found, more = [], {}
    while True:
        page = sm.batch_get_secret_value(Filters=[{"Key": "name", "Values": [name]}], MaxResults=2, **more)
        found += page["SecretValues"]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert [each["SecretString"] for each in found] == ["0", "1", "2"]
    for bad in ({}, {"SecretIdList": ["a"], "Filters": [{"Key": "name", "Values": ["a"]}]}):
        with refused("InvalidParameterException", "Either 'SecretIdList' or 'Filters' must be provided, but not both."):
            sm.batch_get_secret_value(**bad)
    with refused("InvalidParameterException", "'Filters' must also be specified when 'MaxResults' is provided."):
        sm.batch_get_secret_value(SecretIdList=["a"], MaxResults=1)
    with refused("InvalidNextTokenException"):
        sm.batch_get_secret_value(Filters=[{"Key": "name", "Values": ["other"]}], NextToken=more["NextToken"])


def test_random_passwords(sm):
    kinds = {"ExcludeLowercase": "a-z", "ExcludeUppercase": "A-Z", "ExcludeNumbers": "0-9"}
    made = sm.get_random_password()["RandomPassword"]
    assert len(made) == 32 and not re.search(r"\s", made)
    for option, letters in kinds.items():
        assert re.search(f"[{letters}]", made)
        assert not re.search(f"[{letters}]", sm.get_random_password(**{option: True})["RandomPassword"])
    plain = sm.get_random_password(ExcludePunctuation=True, PasswordLength=4096)["RandomPassword"]
    assert plain.isalnum() and len(plain) == 4096
    assert not set("abc!") & set(sm.get_random_password(ExcludeCharacters="abc!", PasswordLength=500)["RandomPassword"])
    assert " " in sm.get_random_password(IncludeSpace=True, PasswordLength=4096)["RandomPassword"]
    assert len(sm.get_random_password(PasswordLength=1, RequireEachIncludedType=False)["RandomPassword"]) == 1
    with refused("InvalidParameterException", "Password length is too short based on the required types."):
        sm.get_random_password(PasswordLength=3)
    with refused("InvalidParameterException"):
        sm.get_random_password(ExcludePunctuation=True, **dict.fromkeys(kinds, True))
    for length in (0, 4097):
        with pytest.raises(Exception, match="PasswordLength|passwordLength"):
            sm.get_random_password(PasswordLength=length)


def test_who_waits_for_its_end_is_not_used(sm, name):
    version = sm.create_secret(Name=name, SecretString="v")["VersionId"]
    sm.delete_secret(SecretId=name)
    for call in (
        lambda: sm.get_secret_value(SecretId=name),
        lambda: sm.put_secret_value(SecretId=name, SecretString="w"),
        lambda: sm.update_secret(SecretId=name, Description="d"),
        lambda: sm.update_secret_version_stage(SecretId=name, VersionStage="a", MoveToVersionId=version),
        lambda: sm.tag_resource(SecretId=name, Tags=[{"Key": "a", "Value": "b"}]),
        lambda: sm.untag_resource(SecretId=name, TagKeys=["a"]),
        lambda: sm.get_resource_policy(SecretId=name),
        lambda: sm.delete_resource_policy(SecretId=name),
        lambda: sm.list_resource_policies(SecretId=name),
    ):
        with refused("InvalidRequestException", DELETED):
            call()
    assert sm.describe_secret(SecretId=name)["DeletedDate"]
    assert sm.list_secret_version_ids(SecretId=name)["Versions"]
