"""Roles, service-linked roles and instance profiles."""

import json
import urllib.parse

import pytest

from iam_helpers import refused, trust
from server import ACCOUNT
from signing import sign, unsigned

BOUNDARY = "arn:aws:iam::aws:policy/AdministratorAccess"


def make(iam, name, **more):
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(), **more)["Role"]


def test_a_role_is_made_read_and_listed(iam, name):
    tags = [{"Key": "Team", "Value": "blue"}]
    role = make(
        iam, name, Path="/svc/", Description="For machines", MaxSessionDuration=7200, Tags=tags, PermissionsBoundary=BOUNDARY
    )
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/svc/{name}"
    assert role["RoleId"].startswith("AROA") and len(role["RoleId"]) == 21
    assert role["AssumeRolePolicyDocument"] == json.loads(trust())
    found = iam.get_role(RoleName=name.lower())["Role"]
    assert found.pop("RoleLastUsed") == {}
    assert found == role
    assert found["MaxSessionDuration"] == 7200 and found["Description"] == "For machines"
    assert found["PermissionsBoundary"]["PermissionsBoundaryArn"] == BOUNDARY
    listed = [r for r in iam.list_roles(PathPrefix="/svc/")["Roles"] if r["RoleName"] == name]
    assert not {"Tags", "PermissionsBoundary", "RoleLastUsed"} & set(listed[0])
    assert refused("EntityAlreadyExists", make, iam=iam, name=name) == f"Role with name {name} already exists."


def test_documents_are_url_encoded_on_the_wire(server, iam, name):
    make(iam, name)
    request = unsigned("iam", "GetRole", parameters={"RoleName": name})
    status, _, body = sign(request, "iam", server.host, server.key_id, server.secret).send(server.host)
    text = body.decode().split("<AssumeRolePolicyDocument>")[1].split("</")[0]
    assert status == 200 and text.startswith("%7B%22Version%22%3A%20%222012-10-17%22%2C"), text
    assert urllib.parse.unquote(text) == trust()


@pytest.mark.parametrize(
    ("document", "code", "text"),
    [
        ("{", "MalformedPolicyDocument", "Syntax errors in policy."),
        ('{"Version": "2012-10-17"}', "MalformedPolicyDocument", "Syntax errors in policy."),
        (trust().replace("Principal", "Resource"), "MalformedPolicyDocument", ""),
        (trust().replace("2012-10-17", "2012-10-17" + "x" * 2048), "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048"),
    ],
)
def test_a_trust_policy_that_is_none(iam, name, document, code, text):
    assert text in refused(code, iam.create_role, RoleName=name, AssumeRolePolicyDocument=document)
    refused("NoSuchEntity", iam.get_role, RoleName=name)
    make(iam, name)
    assert text in refused(code, iam.update_assume_role_policy, RoleName=name, PolicyDocument=document)
    assert iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"] == json.loads(trust())


@pytest.mark.parametrize("seconds", [3599, 43201])
def test_a_session_of_one_to_twelve_hours(server, name, seconds):
    iam = server.client("iam", parameter_validation=False)
    text = refused("ValidationError", make, iam=iam, name=name, MaxSessionDuration=seconds)
    assert "at 'maxSessionDuration' failed to satisfy constraint" in text


def test_a_role_is_changed(iam, name):
    make(iam, name, MaxSessionDuration=7200)
    role = iam.update_role_description(RoleName=name, Description="one")["Role"]
    assert role["Description"] == "one" and role["MaxSessionDuration"] == 7200
    iam.update_role(RoleName=name, Description="two", MaxSessionDuration=3601)
    found = iam.get_role(RoleName=name)["Role"]
    assert found["Description"] == "two" and found["MaxSessionDuration"] == 3601
    iam.update_role(RoleName=name)
    found = iam.get_role(RoleName=name)["Role"]
    assert found["Description"] == "two" and found["MaxSessionDuration"] == 3600
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust("lambda.amazonaws.com"))
    found = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    assert found["Statement"][0]["Principal"] == {"Service": "lambda.amazonaws.com"}
    iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=BOUNDARY)
    assert "PermissionsBoundary" in iam.get_role(RoleName=name)["Role"]
    iam.delete_role_permissions_boundary(RoleName=name)
    assert "PermissionsBoundary" not in iam.get_role(RoleName=name)["Role"]
    iam.tag_role(RoleName=name, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.untag_role(RoleName=name, TagKeys=["a"])
    assert iam.list_role_tags(RoleName=name)["Tags"] == [{"Key": "b", "Value": "2"}]


def test_what_is_not_there(iam, name):
    text = f"The role with name {name} cannot be found."
    named = {"RoleName": name}
    assert refused("NoSuchEntity", iam.get_role, **named) == text
    assert refused("NoSuchEntity", iam.delete_role, **named) == text
    assert refused("NoSuchEntity", iam.update_role, **named) == text
    assert refused("NoSuchEntity", iam.update_role_description, Description="", **named) == text
    assert refused("NoSuchEntity", iam.update_assume_role_policy, PolicyDocument=trust(), **named) == text
    assert refused("NoSuchEntity", iam.put_role_permissions_boundary, PermissionsBoundary=BOUNDARY, **named) == text
    assert refused("NoSuchEntity", iam.delete_role_permissions_boundary, **named) == text
    assert refused("NoSuchEntity", iam.tag_role, Tags=[], **named) == text
    assert refused("NoSuchEntity", iam.untag_role, TagKeys=[], **named) == text
    assert refused("NoSuchEntity", iam.list_role_tags, **named) == text
    assert refused("NoSuchEntity", iam.list_instance_profiles_for_role, **named) == text
    assert refused("NoSuchEntity", iam.delete_service_linked_role, **named) == text
    named = {"InstanceProfileName": name}
    text = f"Instance Profile {name} cannot be found."
    assert refused("NoSuchEntity", iam.get_instance_profile, **named) == text
    assert refused("NoSuchEntity", iam.delete_instance_profile, **named) == text
    assert refused("NoSuchEntity", iam.add_role_to_instance_profile, RoleName=name, **named) == text
    assert refused("NoSuchEntity", iam.remove_role_from_instance_profile, RoleName=name, **named) == text
    assert refused("NoSuchEntity", iam.tag_instance_profile, Tags=[], **named) == text
    assert refused("NoSuchEntity", iam.untag_instance_profile, TagKeys=[], **named) == text
    assert refused("NoSuchEntity", iam.list_instance_profile_tags, **named) == text


def test_an_instance_profile_holds_one_role(iam, name):
    profile = iam.create_instance_profile(InstanceProfileName=name, Path="/p/")["InstanceProfile"]
    assert profile["Arn"] == f"arn:aws:iam::{ACCOUNT}:instance-profile/p/{name}" and profile["Roles"] == []
    assert profile["InstanceProfileId"].startswith("AIPA") and len(profile["InstanceProfileId"]) == 21
    text = refused("EntityAlreadyExists", iam.create_instance_profile, InstanceProfileName=name)
    assert text == f"Instance Profile {name} already exists."
    make(iam, name)
    make(iam, f"{name}-2")
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    text = refused(
        "LimitExceeded", iam.add_role_to_instance_profile, InstanceProfileName=name, RoleName=f"{name}-2"
    )
    assert text == "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1"
    found = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    assert [role["RoleName"] for role in found["Roles"]] == [name]
    of_role = iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"]
    assert found.pop("Tags") == []
    assert of_role == [found] == iam.list_instance_profiles(PathPrefix="/p/")["InstanceProfiles"]
    text = "Cannot delete entity, must remove roles from instance profile first."
    assert refused("DeleteConflict", iam.delete_role, RoleName=name) == text
    assert refused("DeleteConflict", iam.delete_instance_profile, InstanceProfileName=name) == text
    text = refused(
        "NoSuchEntity", iam.remove_role_from_instance_profile, InstanceProfileName=name, RoleName=f"{name}-2"
    )
    assert f"{name}-2" in text
    iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
    assert iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"] == []
    iam.tag_instance_profile(InstanceProfileName=name, Tags=[{"Key": "a", "Value": "1"}])
    assert iam.list_instance_profile_tags(InstanceProfileName=name)["Tags"] == [{"Key": "a", "Value": "1"}]
    iam.untag_instance_profile(InstanceProfileName=name, TagKeys=["a"])
    assert iam.list_instance_profile_tags(InstanceProfileName=name)["Tags"] == []
    iam.delete_instance_profile(InstanceProfileName=name)
    iam.delete_role(RoleName=name)
    refused("NoSuchEntity", iam.get_role, RoleName=name)


def test_a_service_linked_role_belongs_to_its_service(iam, name):
    made = iam.create_service_linked_role(
        AWSServiceName="autoscaling.amazonaws.com", CustomSuffix=name, Description="Scales"
    )["Role"]
    role = f"AWSServiceRoleForAutoScaling_{name}"
    assert made["RoleName"] == role and made["Description"] == "Scales"
    assert made["Arn"].endswith(f":role/aws-service-role/autoscaling.amazonaws.com/{role}")
    statement = made["AssumeRolePolicyDocument"]["Statement"][0]
    assert statement["Principal"] == {"Service": ["autoscaling.amazonaws.com"]}
    text = refused(
        "InvalidInput",
        iam.create_service_linked_role,
        AWSServiceName="autoscaling.amazonaws.com",
        CustomSuffix=name,
    )
    assert text == f"Service role name {role} has been taken in this account, please try a different suffix."
    protected = f"Cannot perform the operation on the protected role '{role}' - this role is only modifiable by AWS"
    named = {"RoleName": role}
    assert refused("UnmodifiableEntity", iam.delete_role, **named) == protected
    assert refused("UnmodifiableEntity", iam.update_role, MaxSessionDuration=3600, **named) == protected
    assert refused("UnmodifiableEntity", iam.update_assume_role_policy, PolicyDocument=trust(), **named) == protected
    refused("UnmodifiableEntity", iam.put_role_permissions_boundary, PermissionsBoundary=BOUNDARY, **named)
    iam.update_role(Description="Scales more", **named)
    task = iam.delete_service_linked_role(**named)["DeletionTaskId"]
    assert task.startswith(f"task/aws-service-role/autoscaling.amazonaws.com/{role}/")
    assert iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"] == "SUCCEEDED"
    refused("NoSuchEntity", iam.get_role, **named)
    refused("NoSuchEntity", iam.get_service_linked_role_deletion_status, DeletionTaskId=task[:-4] + "0000")


def test_a_service_linked_role_that_cannot_be(iam, name):
    suffix = {"AWSServiceName": "acm.amazonaws.com", "CustomSuffix": "x"}
    text = refused("InvalidInput", iam.create_service_linked_role, **suffix)
    assert text == "Custom suffix is not allowed for acm.amazonaws.com"
    refused("InvalidInput", iam.create_service_linked_role, AWSServiceName="nobody.amazonaws.com")
    make(iam, name)
    refused("NoSuchEntity", iam.delete_service_linked_role, RoleName=name)


def test_names_lie_in_the_partition_of_the_call(server, iam, name):
    make(iam, name)
    china = server.client("iam", region="cn-north-1")
    assert china.get_role(RoleName=name)["Role"]["Arn"] == f"arn:aws-cn:iam::{ACCOUNT}:role/{name}"
