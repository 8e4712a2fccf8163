"""What hangs on users, groups and roles: managed policies attached to them, and inline ones."""

import json
import types

import pytest

from iam_helpers import document, refused, trust
from server import ACCOUNT


# Each makes an identity of one kind, with its operations under names that do not tell the kind.


def a_user(iam, name):
    iam.create_user(UserName=name)
    return types.SimpleNamespace(
        kind="user",
        member="UserName",
        attach=lambda **more: iam.attach_user_policy(UserName=name, **more),
        detach=lambda **more: iam.detach_user_policy(UserName=name, **more),
        attached=lambda **more: iam.list_attached_user_policies(UserName=name, **more),
        put=lambda **more: iam.put_user_policy(UserName=name, **more),
        get=lambda **more: iam.get_user_policy(UserName=name, **more),
        remove=lambda **more: iam.delete_user_policy(UserName=name, **more),
        inline=lambda **more: iam.list_user_policies(UserName=name, **more),
        delete=lambda **more: iam.delete_user(UserName=name, **more),
    )


def a_group(iam, name):
    iam.create_group(GroupName=name)
    return types.SimpleNamespace(
        kind="group",
        member="GroupName",
        attach=lambda **more: iam.attach_group_policy(GroupName=name, **more),
        detach=lambda **more: iam.detach_group_policy(GroupName=name, **more),
        attached=lambda **more: iam.list_attached_group_policies(GroupName=name, **more),
        put=lambda **more: iam.put_group_policy(GroupName=name, **more),
        get=lambda **more: iam.get_group_policy(GroupName=name, **more),
        remove=lambda **more: iam.delete_group_policy(GroupName=name, **more),
        inline=lambda **more: iam.list_group_policies(GroupName=name, **more),
        delete=lambda **more: iam.delete_group(GroupName=name, **more),
    )


def a_role(iam, name):
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust())
    return types.SimpleNamespace(
        kind="role",
        member="RoleName",
        attach=lambda **more: iam.attach_role_policy(RoleName=name, **more),
        detach=lambda **more: iam.detach_role_policy(RoleName=name, **more),
        attached=lambda **more: iam.list_attached_role_policies(RoleName=name, **more),
        put=lambda **more: iam.put_role_policy(RoleName=name, **more),
        get=lambda **more: iam.get_role_policy(RoleName=name, **more),
        remove=lambda **more: iam.delete_role_policy(RoleName=name, **more),
        inline=lambda **more: iam.list_role_policies(RoleName=name, **more),
        delete=lambda **more: iam.delete_role(RoleName=name, **more),
    )


@pytest.fixture(params=[a_user, a_group, a_role])
def identity(iam, name, request):
    return request.param(iam, name)


@pytest.fixture
def arns(iam, name):
    """The ARNs of three policies on two paths."""
    paths = ["/", f"/{name}/", f"/{name}/"]
    made = [
        iam.create_policy(PolicyName=f"{name}-{at}", Path=path, PolicyDocument=document())
        for at, path in enumerate(paths)
    ]
    return [policy["Policy"]["Arn"] for policy in made]


def test_policies_are_attached_listed_and_detached(identity, name, arns):
    for arn in [*arns, arns[0]]:
        identity.attach(PolicyArn=arn)
    listed = identity.attached()
    expected = [{"PolicyName": f"{name}-{at}", "PolicyArn": arn} for at, arn in enumerate(arns)]
    assert listed["AttachedPolicies"] == expected and listed["IsTruncated"] is False
    assert identity.attached(PathPrefix=f"/{name}/")["AttachedPolicies"] == expected[1:]
    first = identity.attached(MaxItems=2)
    assert first["AttachedPolicies"] == expected[:2] and first["IsTruncated"] is True
    assert identity.attached(Marker=first["Marker"])["AttachedPolicies"] == expected[2:]
    assert refused("DeleteConflict", identity.delete) == "Cannot delete entity, must detach all policies first."
    for arn in arns:
        identity.detach(PolicyArn=arn)
    assert refused("NoSuchEntity", identity.detach, PolicyArn=arns[0]) == f"Policy {arns[0]} was not found."
    identity.delete()


def test_a_policy_of_aws_is_attached_and_counted(iam, identity):
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    before = iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"]
    identity.attach(PolicyArn=arn)
    assert identity.attached()["AttachedPolicies"] == [{"PolicyName": "AdministratorAccess", "PolicyArn": arn}]
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == before + 1
    identity.detach(PolicyArn=arn)


def test_what_cannot_be_attached(iam, identity, name):
    absent = f"arn:aws:iam::{ACCOUNT}:policy/{name}-absent"
    text = refused("NoSuchEntity", identity.attach, PolicyArn=absent)
    assert text == f"Policy {absent} does not exist or is not attachable."
    for at in range(11):
        arn = iam.create_policy(PolicyName=f"{name}-{at}", PolicyDocument=document())["Policy"]["Arn"]
        if at < 10:
            identity.attach(PolicyArn=arn)
    text = refused("LimitExceeded", identity.attach, PolicyArn=arn)
    assert text == f"Cannot exceed quota for PoliciesPer{identity.kind.capitalize()}: 10"


def test_inline_policies_are_put_read_and_removed(identity, name):
    text = json.dumps(json.loads(document()), indent=2)
    identity.put(PolicyName="b", PolicyDocument=document(["kms:Decrypt"]))
    identity.put(PolicyName="a", PolicyDocument=document())
    identity.put(PolicyName="b", PolicyDocument=text)
    got = identity.get(PolicyName="b")
    assert got[identity.member] == name
    assert got["PolicyName"] == "b" and got["PolicyDocument"] == json.loads(text)
    assert identity.inline()["PolicyNames"] == ["a", "b"]
    first = identity.inline(MaxItems=1)
    assert first["PolicyNames"] == ["a"] and first["IsTruncated"] is True
    assert identity.inline(Marker=first["Marker"])["PolicyNames"] == ["b"]
    assert refused("DeleteConflict", identity.delete) == "Cannot delete entity, must delete policies first."
    identity.remove(PolicyName="a")
    identity.remove(PolicyName="b")
    text = f"The {identity.kind} policy with name a cannot be found."
    assert refused("NoSuchEntity", identity.get, PolicyName="a") == text
    assert refused("NoSuchEntity", identity.remove, PolicyName="a") == text
    identity.delete()


def test_inline_policies_share_a_quota_without_white_space(identity, name):
    quota = {"user": 2048, "group": 5120, "role": 10240}[identity.kind]
    empty = len(document([""]).replace(" ", ""))
    half = "kms:" + "A" * (quota // 2 - empty - 4)
    identity.put(PolicyName="one", PolicyDocument=json.dumps(json.loads(document([half])), indent=9))
    identity.put(PolicyName="two", PolicyDocument=document([half]))
    identity.put(PolicyName="two", PolicyDocument=document([half]))
    text = refused("LimitExceeded", identity.put, PolicyName="three", PolicyDocument=document())
    assert text == f"Maximum policy size of {quota} bytes exceeded for {identity.kind} {name}"
    assert identity.inline()["PolicyNames"] == ["one", "two"]


def test_a_bad_inline_policy_is_refused(identity):
    text = refused("MalformedPolicyDocument", identity.put, PolicyName="bad", PolicyDocument=trust())
    assert text == "Policy document should not specify a principal."


def test_identities_that_are_not_there(iam, identity, name):
    identity.delete()
    text = f"The {identity.kind} with name {name} cannot be found."
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    named, document_of = {"PolicyName": "p"}, {"PolicyDocument": document()}
    for call, arguments in [
        (identity.attach, {"PolicyArn": arn}),
        (identity.detach, {"PolicyArn": arn}),
        (identity.attached, {}),
        (identity.put, named | document_of),
        (identity.get, named),
        (identity.remove, named),
        (identity.inline, {}),
    ]:
        assert refused("NoSuchEntity", call, **arguments) == text


def test_a_service_linked_role_is_the_services(iam, name):
    role = iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com", CustomSuffix=name)["Role"]
    name, arn = role["RoleName"], "arn:aws:iam::aws:policy/AdministratorAccess"
    refused("UnmodifiableEntity", iam.attach_role_policy, RoleName=name, PolicyArn=arn)
    refused("UnmodifiableEntity", iam.detach_role_policy, RoleName=name, PolicyArn=arn)
    refused("UnmodifiableEntity", iam.put_role_policy, RoleName=name, PolicyName="p", PolicyDocument=document())
    refused("UnmodifiableEntity", iam.delete_role_policy, RoleName=name, PolicyName="p")


def test_a_policy_is_the_same_one_in_every_partition(iam, server, name):
    arn = iam.create_policy(PolicyName=name, PolicyDocument=document())["Policy"]["Arn"]
    china = server.client("iam", region="cn-north-1")
    there = china.get_policy(PolicyArn=arn)["Policy"]["Arn"]
    assert there == arn.replace("arn:aws:", "arn:aws-cn:")
    iam.create_user(UserName=name)
    iam.attach_user_policy(UserName=name, PolicyArn=arn)
    china.attach_user_policy(UserName=name, PolicyArn=there)
    assert len(iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]) == 1
    china.detach_user_policy(UserName=name, PolicyArn=there)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 0
