"""Managed policies: their versions, their tags, their uses."""

import concurrent.futures
import json

import pytest

from iam_helpers import document, refused, trust
from server import ACCOUNT

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.fixture
def policy(iam, name):
    """The ARN of a policy that nothing uses."""
    return iam.create_policy(PolicyName=name, PolicyDocument=document())["Policy"]["Arn"]


def test_a_policy_is_made_and_read(iam, name):
    tags = [{"Key": "Team", "Value": "blue"}]
    text = json.dumps(json.loads(document()), indent=3)
    made = iam.create_policy(PolicyName=name, Path="/a/b/", PolicyDocument=text, Description="What for", Tags=tags)
    policy = made["Policy"]
    assert policy["Arn"] == f"arn:aws:iam::{ACCOUNT}:policy/a/b/{name}"
    assert policy["PolicyId"].startswith("ANPA") and len(policy["PolicyId"]) == 21
    assert policy["DefaultVersionId"] == "v1" and policy["IsAttachable"] is True
    assert policy["AttachmentCount"] == policy["PermissionsBoundaryUsageCount"] == 0
    assert policy["CreateDate"] == policy["UpdateDate"] and policy["Tags"] == tags
    got = iam.get_policy(PolicyArn=policy["Arn"])["Policy"]
    assert "Description" not in policy and got == policy | {"Description": "What for"}
    plain = iam.create_policy(PolicyName=f"{name}2", PolicyDocument=text)["Policy"]
    assert "Tags" not in plain and iam.get_policy(PolicyArn=plain["Arn"])["Policy"]["Tags"] == []
    version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId="v1")["PolicyVersion"]
    assert version["Document"] == json.loads(text) and version["IsDefaultVersion"] is True


def test_a_name_is_taken_in_any_case_and_on_any_path(iam, name):
    iam.create_policy(PolicyName=name, PolicyDocument=document())
    text = refused(
        "EntityAlreadyExists", iam.create_policy, PolicyName=name.lower(), Path="/x/", PolicyDocument=document()
    )
    assert text == f"A policy called {name.lower()} already exists. Duplicate names are not allowed."


def test_what_is_no_policy_is_refused(iam, name, policy):
    text = refused("MalformedPolicyDocument", iam.create_policy, PolicyName=f"{name}2", PolicyDocument="{}")
    assert text == "Syntax errors in policy."
    old = document().replace("2012-10-17", "2008-10-17")
    text = refused("MalformedPolicyDocument", iam.create_policy_version, PolicyArn=policy, PolicyDocument=old)
    assert text == "Policy document must be version 2012-10-17 or greater."


def test_where_the_fault_is_stands_beside_awss_words(iam, name):
    wrong = document().replace('"Effect"', '"Efect"')
    with pytest.raises(iam.exceptions.MalformedPolicyDocumentException) as caught:
        iam.create_policy(PolicyName=name, PolicyDocument=wrong)
    error = caught.value.response["Error"]
    assert error["Message"] == "Syntax errors in policy."
    assert "Statement" in error["Detail"] and "Efect" in error["Detail"], error["Detail"]


def test_white_space_does_not_count_towards_the_size(iam, name):
    actions = [f"kms:Action{at:04}" for at in range(350)]
    text = json.dumps(json.loads(document(actions)), indent=8)
    assert len(text) > 6144
    iam.create_policy(PolicyName=name, PolicyDocument=text)
    text = refused(
        "LimitExceeded", iam.create_policy, PolicyName=f"{name}2", PolicyDocument=document([*actions, "kms:A" * 60])
    )
    assert text == "Cannot exceed quota for PolicySize: 6144"


def test_versions_come_and_go(iam, policy):
    def ids():
        versions = iam.list_policy_versions(PolicyArn=policy)["Versions"]
        assert all("Document" not in version for version in versions)
        return [(version["VersionId"], version["IsDefaultVersion"]) for version in versions]

    second = iam.create_policy_version(PolicyArn=policy, PolicyDocument=document(["kms:Decrypt"]))["PolicyVersion"]
    assert (second["VersionId"], second["IsDefaultVersion"]) == ("v2", False)
    third = iam.create_policy_version(PolicyArn=policy, PolicyDocument=document(), SetAsDefault=True)["PolicyVersion"]
    assert (third["VersionId"], third["IsDefaultVersion"]) == ("v3", True)
    assert ids() == [("v3", True), ("v2", False), ("v1", False)]
    iam.delete_policy_version(PolicyArn=policy, VersionId="v2")
    for number in range(4, 7):
        iam.create_policy_version(PolicyArn=policy, PolicyDocument=document())
    text = refused("LimitExceeded", iam.create_policy_version, PolicyArn=policy, PolicyDocument=document())
    assert text.startswith("A managed policy can have up to 5 versions.")
    iam.set_default_policy_version(PolicyArn=policy, VersionId="v5")
    assert iam.get_policy(PolicyArn=policy)["Policy"]["DefaultVersionId"] == "v5"
    text = refused("DeleteConflict", iam.delete_policy_version, PolicyArn=policy, VersionId="v5")
    assert text == "Cannot delete the default version of a policy."
    text = refused("DeleteConflict", iam.delete_policy, PolicyArn=policy)
    assert text.startswith("This policy has more than one version.")
    for call in (iam.get_policy_version, iam.set_default_policy_version, iam.delete_policy_version):
        assert "v2" in refused("NoSuchEntity", call, PolicyArn=policy, VersionId="v2"), "never given again"
    pages = iam.get_paginator("list_policy_versions").paginate(PolicyArn=policy, PaginationConfig={"PageSize": 2})
    listed = [version["VersionId"] for page in pages for version in page["Versions"]]
    assert listed == ["v6", "v5", "v4", "v3", "v1"]


def test_the_summary_counts_policies_and_versions(own_server, name):
    iam = own_server.start().client("iam")

    def counts():
        summary = iam.get_account_summary()["SummaryMap"]
        return summary["Policies"], summary["PolicyVersionsInUse"]

    arn = iam.create_policy(PolicyName=name, PolicyDocument=document())["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=document())
    assert counts() == (1, 2)
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    iam.delete_policy(PolicyArn=arn)
    assert counts() == (0, 0)


def test_tags(iam, policy):
    iam.tag_policy(PolicyArn=policy, Tags=[{"Key": "b", "Value": "1"}, {"Key": "A", "Value": "2"}])
    iam.tag_policy(PolicyArn=policy, Tags=[{"Key": "B", "Value": "3"}])
    listed = iam.list_policy_tags(PolicyArn=policy)
    assert listed["Tags"] == [{"Key": "A", "Value": "2"}, {"Key": "B", "Value": "3"}]
    iam.untag_policy(PolicyArn=policy, TagKeys=["a", "absent"])
    assert iam.get_policy(PolicyArn=policy)["Policy"]["Tags"] == [{"Key": "B", "Value": "3"}]
    twice = [{"Key": "x", "Value": ""}, {"Key": "X", "Value": ""}]
    refused("InvalidInput", iam.tag_policy, PolicyArn=policy, Tags=twice)
    many = [{"Key": f"k{at}", "Value": ""} for at in range(50)]
    refused("LimitExceeded", iam.tag_policy, PolicyArn=policy, Tags=many)


def test_what_is_not_there(iam, name, policy):
    others = [
        f"arn:aws:iam::{ACCOUNT}:policy/{name}x",
        f"arn:aws:iam::{ACCOUNT}:policy/path/{name}",
        "arn:aws:iam::aws:policy/NoSuchPolicyOfAws",
    ]
    for arn in others:
        calls = [
            (iam.get_policy, {}),
            (iam.delete_policy, {}),
            (iam.list_policy_versions, {}),
            (iam.list_entities_for_policy, {}),
            (iam.list_policy_tags, {}),
            (iam.tag_policy, {"Tags": []}),
            (iam.untag_policy, {"TagKeys": []}),
            (iam.create_policy_version, {"PolicyDocument": document()}),
            (iam.set_default_policy_version, {"VersionId": "v1"}),
            (iam.delete_policy_version, {"VersionId": "v1"}),
        ]
        for call, more in calls:
            assert refused("NoSuchEntity", call, PolicyArn=arn, **more) == f"Policy {arn} was not found."


def test_a_policy_of_aws_is_there_for_everybody_and_changed_by_nobody(iam):
    policy = iam.get_policy(PolicyArn=ADMINISTRATOR)["Policy"]
    assert policy["PolicyName"] == "AdministratorAccess" and policy["PolicyId"].startswith("ANPA")
    version = iam.get_policy_version(PolicyArn=ADMINISTRATOR, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    assert version["Document"]["Statement"] == [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    refused("AccessDenied", iam.delete_policy, PolicyArn=ADMINISTRATOR)
    refused("AccessDenied", iam.create_policy_version, PolicyArn=ADMINISTRATOR, PolicyDocument=document())
    refused("AccessDenied", iam.set_default_policy_version, PolicyArn=ADMINISTRATOR, VersionId="v1")
    refused("AccessDenied", iam.delete_policy_version, PolicyArn=ADMINISTRATOR, VersionId="v1")
    refused("AccessDenied", iam.tag_policy, PolicyArn=ADMINISTRATOR, Tags=[{"Key": "a", "Value": "b"}])


def test_policies_are_listed_by_scope_path_and_use(iam, name):
    path = f"/{name}/"
    arns = [
        iam.create_policy(PolicyName=f"{name}-{at}", Path=path, PolicyDocument=document())["Policy"]["Arn"]
        for at in range(5)
    ]
    attached, bounding = arns[1], arns[3]
    iam.create_user(UserName=name, PermissionsBoundary=bounding)
    iam.attach_user_policy(UserName=name, PolicyArn=attached)

    def listed(**filters):
        pages = iam.get_paginator("list_policies").paginate(**filters, PaginationConfig={"PageSize": 2})
        return [policy["Arn"] for page in pages for policy in page["Policies"]]

    assert listed(Scope="Local", PathPrefix=path) == arns == listed(PathPrefix=path)
    assert listed(Scope="AWS", PathPrefix=path) == []
    assert listed(PathPrefix=path, OnlyAttached=True) == [attached]
    assert listed(PathPrefix=path, PolicyUsageFilter="PermissionsPolicy") == [attached]
    assert listed(PathPrefix=path, PolicyUsageFilter="PermissionsBoundary") == [bounding]
    of_aws, everything = listed(Scope="AWS"), listed()
    assert ADMINISTRATOR in of_aws and set(arns) | set(of_aws) <= set(everything)
    assert len(everything) == len(set(everything))
    shown = iam.list_policies(PathPrefix=path)["Policies"][1]
    assert shown["AttachmentCount"] == 1 and "Description" not in shown and "Tags" not in shown
    marker = iam.list_policies(PathPrefix=path, MaxItems=1)["Marker"]
    refused("ValidationError", iam.list_policies, Marker=marker)


def test_who_uses_a_policy(iam, name, policy):
    iam.create_group(GroupName=name)
    iam.create_role(RoleName=name, Path="/r/", AssumeRolePolicyDocument=trust())
    iam.create_user(UserName=name, PermissionsBoundary=policy)
    iam.create_user(UserName=f"{name}-b", PermissionsBoundary=policy)
    iam.attach_group_policy(GroupName=name, PolicyArn=policy)
    iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    iam.attach_user_policy(UserName=name, PolicyArn=policy)
    shown = iam.get_policy(PolicyArn=policy)["Policy"]
    assert (shown["AttachmentCount"], shown["PermissionsBoundaryUsageCount"]) == (3, 2)

    def entities(**filters):
        pages = iam.get_paginator("list_entities_for_policy").paginate(
            PolicyArn=policy, **filters, PaginationConfig={"PageSize": 1}
        )
        found = {"Group": [], "Role": [], "User": []}
        for page in pages:
            for kind in found:
                found[kind] += [entity[f"{kind}Name"] for entity in page[f"Policy{kind}s"]]
        return found

    assert entities() == {"Group": [name], "Role": [name], "User": [name, f"{name}-b"]}
    assert entities(EntityFilter="Role") == {"Group": [], "Role": [name], "User": []}
    assert entities(PathPrefix="/r/") == {"Group": [], "Role": [name], "User": []}
    assert entities(PolicyUsageFilter="PermissionsPolicy") == {"Group": [name], "Role": [name], "User": [name]}
    bounded = entities(PolicyUsageFilter="PermissionsBoundary")
    assert bounded == {"Group": [], "Role": [], "User": [name, f"{name}-b"]}
    role = iam.list_entities_for_policy(PolicyArn=policy)["PolicyRoles"][0]
    assert role["RoleId"] == iam.get_role(RoleName=name)["Role"]["RoleId"]

    text = refused("DeleteConflict", iam.delete_policy, PolicyArn=policy)
    assert text == "Cannot delete a policy attached to entities."
    iam.detach_group_policy(GroupName=name, PolicyArn=policy)
    iam.detach_role_policy(RoleName=name, PolicyArn=policy)
    iam.detach_user_policy(UserName=name, PolicyArn=policy)
    refused("DeleteConflict", iam.delete_policy, PolicyArn=policy)
    iam.delete_user_permissions_boundary(UserName=name)
    iam.delete_user(UserName=f"{name}-b")
    iam.delete_policy(PolicyArn=policy)
    refused("NoSuchEntity", iam.get_policy, PolicyArn=policy)


def test_a_renamed_user_keeps_its_policies(iam, name, policy):
    iam.create_user(UserName=name, PermissionsBoundary=policy)
    iam.attach_user_policy(UserName=name, PolicyArn=policy)
    iam.update_user(UserName=name, NewUserName=f"{name}-new")
    users = iam.list_entities_for_policy(PolicyArn=policy)["PolicyUsers"]
    assert [user["UserName"] for user in users] == [f"{name}-new"]
    shown = iam.get_policy(PolicyArn=policy)["Policy"]
    assert (shown["AttachmentCount"], shown["PermissionsBoundaryUsageCount"]) == (1, 1)


def test_a_policy_is_not_removed_while_it_is_attached(iam, name):
    """Of an attachment and a removal at the same time exactly one goes through."""
    iam.create_user(UserName=name)

    def succeeds(call, **arguments):
        try:
            call(**arguments)
        except (iam.exceptions.NoSuchEntityException, iam.exceptions.DeleteConflictException):
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for at in range(10):
            made = iam.create_policy(PolicyName=f"{name}-{at}", PolicyDocument=document())["Policy"]["Arn"]
            attached = pool.submit(succeeds, iam.attach_user_policy, UserName=name, PolicyArn=made)
            deleted = pool.submit(succeeds, iam.delete_policy, PolicyArn=made)
            assert attached.result() != deleted.result()
            if attached.result():
                iam.detach_user_policy(UserName=name, PolicyArn=made)
