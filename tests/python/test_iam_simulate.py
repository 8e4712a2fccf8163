"""The policy simulator, and which condition keys policies look at."""

import json

import pytest

from iam_helpers import document, refused, trust
from server import ACCOUNT

KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1"
OTHER_KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/2"
FOREIGN_KEY = "arn:aws:kms:us-east-1:999999999999:key/1"


def one(answer):
    """The one result of a simulation."""
    assert answer["IsTruncated"] is False
    (result,) = answer["EvaluationResults"]
    return result


def text_entry(name, *values, kind="string"):
    return {"ContextKeyName": name, "ContextKeyValues": list(values), "ContextKeyType": kind}


def test_policies_given_as_texts_decide(iam):
    deny = document(["kms:*"], resource=OTHER_KEY).replace("Allow", "Deny")
    answer = iam.simulate_custom_policy(
        PolicyInputList=[document(), deny], ActionNames=["kms:Encrypt", "kms:Decrypt"], ResourceArns=[KEY, OTHER_KEY]
    )
    encrypt, decrypt = answer["EvaluationResults"]
    assert encrypt["EvalActionName"] == "kms:Encrypt" and encrypt["EvalDecision"] == "explicitDeny"
    first, second = encrypt["ResourceSpecificResults"]
    assert (first["EvalResourceName"], first["EvalResourceDecision"]) == (KEY, "allowed")
    assert (second["EvalResourceName"], second["EvalResourceDecision"]) == (OTHER_KEY, "explicitDeny")
    (matched,) = first["MatchedStatements"]
    text = document()
    assert matched == {
        "SourcePolicyId": "PolicyInputList.1",
        "SourcePolicyType": "IAM Policy",
        "StartPosition": {"Line": 1, "Column": text.index("[{") + 2},
        "EndPosition": {"Line": 1, "Column": text.index("}]") + 2},
    }
    assert [one["SourcePolicyId"] for one in second["MatchedStatements"]] == ["PolicyInputList.2"]
    assert encrypt["MatchedStatements"] == second["MatchedStatements"], "those that led to the decision"
    assert decrypt["EvalDecision"] == "explicitDeny"
    assert decrypt["ResourceSpecificResults"][0]["EvalResourceDecision"] == "implicitDeny"


def test_without_resources_all_of_them_are_meant(iam):
    result = one(iam.simulate_custom_policy(PolicyInputList=[document()], ActionNames=["kms:Encrypt"]))
    assert (result["EvalResourceName"], result["EvalDecision"]) == ("*", "allowed")
    assert "ResourceSpecificResults" not in result and "EvalDecisionDetails" not in result


def test_context_is_asked_for_and_taken(iam):
    condition = {"StringEquals": {"aws:PrincipalTag/team": "blue"}, "Bool": {"aws:SecureTransport": "true"}}
    policies = [document(Condition=condition)]
    result = one(iam.simulate_custom_policy(PolicyInputList=policies, ActionNames=["kms:Encrypt"]))
    assert result["EvalDecision"] == "implicitDeny" and result["MatchedStatements"] == []
    assert sorted(result["MissingContextValues"]) == ["aws:PrincipalTag/team", "aws:SecureTransport"]
    entries = [text_entry("aws:principaltag/team", "blue"), text_entry("aws:SecureTransport", "true", kind="boolean")]
    result = one(
        iam.simulate_custom_policy(PolicyInputList=policies, ActionNames=["kms:Encrypt"], ContextEntries=entries)
    )
    assert result["EvalDecision"] == "allowed" and result["MissingContextValues"] == []
    several = {"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}
    result = one(
        iam.simulate_custom_policy(
            PolicyInputList=[document(Condition=several)],
            ActionNames=["kms:Encrypt"],
            ContextEntries=[text_entry("aws:TagKeys", "a", "c", kind="stringList")],
        )
    )
    assert result["EvalDecision"] == "implicitDeny"


def test_a_boundary_limits(iam):
    arguments = {"PolicyInputList": [document(["kms:*"])], "PermissionsBoundaryPolicyInputList": [document()]}
    allowed, denied = iam.simulate_custom_policy(ActionNames=["kms:Encrypt", "kms:Decrypt"], **arguments)[
        "EvaluationResults"
    ]
    assert allowed["EvalDecision"] == "allowed"
    assert [matched["SourcePolicyId"] for matched in allowed["MatchedStatements"]] == ["PolicyInputList.1"]
    assert allowed["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": True}
    assert denied["EvalDecision"] == "implicitDeny"
    assert denied["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}


def test_a_resources_policy_takes_part(iam):
    caller = f"arn:aws:iam::{ACCOUNT}:user/Bob"
    statement = {"Effect": "Allow", "Principal": {"AWS": caller}, "Action": "kms:Decrypt", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
    arguments = {"PolicyInputList": [document()], "ResourcePolicy": policy, "CallerArn": caller}
    result = one(iam.simulate_custom_policy(ActionNames=["kms:Decrypt"], ResourceArns=[KEY], **arguments))
    assert result["EvalDecision"] == "allowed" and result["EvalDecisionDetails"] == {}
    (matched,) = result["MatchedStatements"]
    assert (matched["SourcePolicyId"], matched["SourcePolicyType"]) == ("ResourcePolicy", "Resource Policy")

    across = iam.simulate_custom_policy(
        ActionNames=["kms:Decrypt", "kms:Encrypt"], ResourceArns=[FOREIGN_KEY], **arguments
    )["EvaluationResults"]
    assert [result["EvalDecision"] for result in across] == ["implicitDeny", "implicitDeny"], "both sides must allow"
    sides = [result["EvalDecisionDetails"] for result in across]
    assert sides == [
        {"IAM Policy": "implicitDeny", "Resource Policy": "allowed"},
        {"IAM Policy": "allowed", "Resource Policy": "implicitDeny"},
    ]
    bucket = one(
        iam.simulate_custom_policy(
            ActionNames=["s3:GetObject"], ResourceArns=["arn:aws:s3:::b"], ResourceOwner="999999999999", **arguments
        )
    )
    assert set(bucket["EvalDecisionDetails"].values()) == {"implicitDeny"}, "the owner is somebody else"


def test_a_principals_policies_decide(iam, name):
    arn = iam.create_user(UserName=name, Tags=[{"Key": "team", "Value": "blue"}])["User"]["Arn"]
    iam.create_group(GroupName=name)
    iam.add_user_to_group(GroupName=name, UserName=name)
    condition = {"StringEquals": {"aws:PrincipalTag/team": "blue", "aws:username": name}}
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document(Condition=condition))
    iam.put_group_policy(GroupName=name, PolicyName="shared", PolicyDocument=document(["kms:Decrypt"]))
    managed = iam.create_policy(PolicyName=name, PolicyDocument=document(["kms:Sign"]))["Policy"]["Arn"]
    iam.attach_user_policy(UserName=name, PolicyArn=managed)
    iam.attach_group_policy(GroupName=name, PolicyArn="arn:aws:iam::aws:policy/AWSCertificateManagerReadOnly")

    def sources(*actions, **more):
        answer = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=list(actions), **more)
        return [[matched["SourcePolicyId"] for matched in one["MatchedStatements"]] for one in answer["EvaluationResults"]]

    expected = [[f"user_{name}_own"], [f"group_{name}_shared"], [name], ["AWSCertificateManagerReadOnly"], []]
    actions = ["kms:Encrypt", "kms:Decrypt", "kms:Sign", "acm:ListCertificates", "kms:Verify"]
    assert sources(*actions) == expected
    assert sources("kms:Verify", PolicyInputList=[document(["kms:V*"])]) == [["PolicyInputList.1"]]

    def without(**identifier):
        return [found != [] for found in sources(*actions[:4], PolicyExclusionList=[identifier])]

    assert without(PolicyType="inline") == [False, False, True, True]
    assert without(PolicyType="user-managed") == [True, True, False, True]
    assert without(PolicyType="aws-managed") == [True, True, True, False]
    assert without(PolicyArn="arn:aws:iam::aws:policy/AWSCert*") == [True, True, True, False]
    inline = {"PolicyName": "shared", "AttachmentType": "group", "AttachmentName": name}
    assert without(InlinePolicyIdentifier=inline) == [True, False, True, True]

    group = f"arn:aws:iam::{ACCOUNT}:group/{name}"
    result = one(iam.simulate_principal_policy(PolicySourceArn=group, ActionNames=["kms:Decrypt"]))
    assert result["EvalDecision"] == "allowed"


def test_a_roles_boundary_is_part_of_it_and_can_be_left_out(iam, name):
    boundary = iam.create_policy(PolicyName=name, PolicyDocument=document())["Policy"]["Arn"]
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(), PermissionsBoundary=boundary)["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=document(["kms:*"]))

    def decision(**more):
        answer = iam.simulate_principal_policy(PolicySourceArn=role["Arn"], ActionNames=["kms:Decrypt"], **more)
        return one(answer)["EvalDecision"]

    assert decision() == "implicitDeny"
    assert decision(PermissionsBoundaryPolicyInputList=[document(["kms:Decrypt"])]) == "allowed"
    assert decision(PolicyExclusionList=[{"PolicyType": "permission-boundary"}]) == "allowed"


def test_results_come_in_pages(iam):
    actions = [f"kms:Action{at}" for at in range(5)]
    pages = iam.get_paginator("simulate_custom_policy").paginate(
        PolicyInputList=[document()], ActionNames=actions, PaginationConfig={"PageSize": 2}
    )
    pages = list(pages)
    assert [len(page["EvaluationResults"]) for page in pages] == [2, 2, 1]
    assert [result["EvalActionName"] for page in pages for result in page["EvaluationResults"]] == actions


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"PolicyInputList": ["{}"]}, "PolicyInputList.1: Syntax errors in policy. (at "),
        ({"ActionNames": ["Encrypt"]}, "Invalid Action Name: Encrypt"),
        ({"ResourceArns": ["bucket"]}, "Invalid Resource Arn: bucket"),
        ({"PermissionsBoundaryPolicyInputList": [document()] * 2}, "only one permissions boundary"),
        ({"ResourcePolicy": trust()}, "CallerArn is required"),
        ({"CallerArn": f"arn:aws:sts::{ACCOUNT}:assumed-role/R/s"}, "does not clearly define entity type and name"),
        ({"ResourceOwner": "me"}, "Invalid ResourceOwner me"),
        ({"ResourceHandlingOption": "EC2-VPC-EBS"}, "not supported"),
        ({"OrderedOrganizationPolicyInputList": [{"ServiceControlPolicyInputList": [document()]}]}, "organizations"),
        ({"ContextEntries": [text_entry("aws:username", "a", "b")]}, "needs exactly one value"),
        ({"ActionNames": ["a:b"] * 100, "ResourceArns": ["*"] * 101}, "Too many actions and resources"),
    ],
)
def test_what_cannot_be_simulated(iam, arguments, text):
    call = {"PolicyInputList": [document()], "ActionNames": ["kms:Encrypt"]} | arguments
    assert text in refused("InvalidInput", iam.simulate_custom_policy, **call)


def test_principals_that_cannot_be_simulated(iam, name):
    absent = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    text = f"The role with name {name} cannot be found."
    call = {"PolicySourceArn": absent, "ActionNames": ["kms:Encrypt"]}
    assert refused("NoSuchEntity", iam.simulate_principal_policy, **call) == text
    assert refused("NoSuchEntity", iam.get_context_keys_for_principal_policy, PolicySourceArn=absent) == text
    root = {"PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:root"}
    refused("InvalidInput", iam.simulate_principal_policy, **call | root)
    user = iam.create_user(UserName=name)["User"]["Arn"]
    for identifier, text in [
        ({"PolicyArn": "arn:aws:iam::*:policy/x"}, "Invalid policy ARN"),
        ({"PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/a*b*"}, "At most one *"),
    ]:
        arguments = {"PolicySourceArn": user, "ActionNames": ["kms:Encrypt"], "PolicyExclusionList": [identifier]}
        assert text in refused("InvalidInput", iam.simulate_principal_policy, **arguments)


def test_context_keys_are_named_once(iam, name):
    condition = {"StringEquals": {"aws:username": "x", "kms:ViaService": "y"}}
    texts = [document(Condition=condition), document(resource="arn:aws:s3:::${aws:UserName}/${aws:userid}")]
    keys = iam.get_context_keys_for_custom_policy(PolicyInputList=texts)["ContextKeyNames"]
    assert keys == ["aws:username", "kms:ViaService", "aws:userid"]
    user = iam.create_user(UserName=name)["User"]["Arn"]
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=texts[1])
    keys = iam.get_context_keys_for_principal_policy(PolicySourceArn=user, PolicyInputList=texts[:1])
    assert keys["ContextKeyNames"] == ["aws:UserName", "aws:userid", "kms:ViaService"]
    refused("InvalidInput", iam.get_context_keys_for_custom_policy, PolicyInputList=["no"])
