"""Users and groups: what they answer, and what they refuse."""

import concurrent.futures
import datetime

import pytest

from iam_helpers import refused
from server import ACCOUNT


def test_a_user_is_made_read_and_listed(iam, name):
    tags = [{"Key": "Team", "Value": "blue"}]
    made = iam.create_user(UserName=name, Path="/a/b/", Tags=tags)
    user = made["User"]
    assert user["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/a/b/{name}"
    assert user["UserId"].startswith("AIDA") and len(user["UserId"]) == 21
    assert user["Path"] == "/a/b/" and user["Tags"] == tags
    age = datetime.datetime.now(datetime.timezone.utc) - user["CreateDate"]
    assert abs(age) < datetime.timedelta(minutes=5)
    assert iam.get_user(UserName=name)["User"] == user
    assert iam.get_user(UserName=name.lower())["User"] == user, "names are told apart without regard to case"
    listed = iam.list_users(PathPrefix="/a/")
    del user["Tags"]
    assert user in listed["Users"] and listed["IsTruncated"] is False
    assert iam.list_users(PathPrefix="/a/c")["Users"] == []


def test_a_name_is_taken_in_any_case(iam, name):
    iam.create_user(UserName=name)
    text = refused("EntityAlreadyExists", iam.create_user, UserName=name.lower())
    assert text == f"User with name {name.lower()} already exists."


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"UserName": "a" * 65}, "userName"),
        ({"UserName": "a/b"}, "userName"),
        ({"UserName": "fine", "Path": "no-slash"}, "path"),
        ({"UserName": "fine", "Path": "/half"}, "path"),
        ({"UserName": "fine", "Tags": [{"Key": "a?", "Value": ""}]}, "tags.1.member.key"),
        ({"UserName": "fine", "Tags": [{"Key": f"k{i}", "Value": ""} for i in range(51)]}, "tags"),
    ],
)
def test_a_user_that_cannot_be(iam, arguments, field):
    assert f"at '{field}' failed to satisfy constraint" in refused("ValidationError", iam.create_user, **arguments)


def test_the_root_user_describes_itself(iam):
    user = iam.get_user()["User"]
    assert user["Arn"] == f"arn:aws:iam::{ACCOUNT}:root" and user["UserId"] == ACCOUNT


def test_what_is_not_there(iam, name):
    text = f"The user with name {name} cannot be found."
    assert refused("NoSuchEntity", iam.get_user, UserName=name) == text
    assert refused("NoSuchEntity", iam.update_user, UserName=name, NewPath="/x/") == text
    assert refused("NoSuchEntity", iam.delete_user, UserName=name) == text
    assert refused("NoSuchEntity", iam.list_groups_for_user, UserName=name) == text
    text = f"The group with name {name} cannot be found."
    assert refused("NoSuchEntity", iam.get_group, GroupName=name) == text
    assert refused("NoSuchEntity", iam.update_group, GroupName=name, NewPath="/x/") == text
    assert refused("NoSuchEntity", iam.delete_group, GroupName=name) == text


def test_users_are_listed_in_pages_by_name(iam, name):
    names = [f"{name}-{at:02}" for at in range(7)]
    for one in reversed(names):
        iam.create_user(UserName=one, Path=f"/{name}/")
    first = iam.list_users(PathPrefix=f"/{name}/", MaxItems=3)
    assert [user["UserName"] for user in first["Users"]] == names[:3]
    assert first["IsTruncated"] is True
    pages = iam.get_paginator("list_users").paginate(PathPrefix=f"/{name}/", PaginationConfig={"PageSize": 3})
    assert [user["UserName"] for page in pages for user in page["Users"]] == names
    marker = first["Marker"]
    assert "Marker" in refused("ValidationError", iam.list_groups, Marker=marker), "a marker of another listing"
    assert "Marker" in refused("ValidationError", iam.list_users, Marker=marker[:-2] + "xx")


def test_a_user_moves_with_all_that_hangs_on_it(server, iam, name):
    new = f"{name}-new"
    iam.create_group(GroupName=name)
    user = iam.create_user(UserName=name)["User"]
    iam.add_user_to_group(GroupName=name, UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    theirs = {"key_id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    sts = server.client("sts", **theirs)
    assert sts.get_caller_identity()["Arn"].endswith(f":user/{name}")
    iam.update_user(UserName=name, NewUserName=new, NewPath="/moved/")
    refused("NoSuchEntity", iam.get_user, UserName=name)
    moved = iam.get_user(UserName=new)["User"]
    assert moved["UserId"] == user["UserId"] and moved["Arn"].endswith(f":user/moved/{new}")
    assert [u["UserName"] for u in iam.get_group(GroupName=name)["Users"]] == [new]
    assert [g["GroupName"] for g in iam.list_groups_for_user(UserName=new)["Groups"]] == [name]
    assert iam.list_access_keys(UserName=new)["AccessKeyMetadata"][0]["UserName"] == new
    identity = sts.get_caller_identity()
    assert identity["Arn"] == moved["Arn"] and identity["UserId"] == user["UserId"]
    iam.create_user(UserName=name)
    text = refused("EntityAlreadyExists", iam.update_user, UserName=new, NewUserName=name.upper())
    assert text == f"User with name {name.upper()} already exists."


def test_a_user_is_deleted_once_nothing_hangs_on_it(iam, name):
    iam.create_user(UserName=name)
    iam.create_group(GroupName=name)
    iam.add_user_to_group(GroupName=name, UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
    text = refused("DeleteConflict", iam.delete_user, UserName=name)
    assert text == "Cannot delete entity, must delete access keys first."
    iam.delete_access_key(UserName=name, AccessKeyId=key)
    text = refused("DeleteConflict", iam.delete_user, UserName=name)
    assert text == "Cannot delete entity, must remove users from group first."
    assert refused("DeleteConflict", iam.delete_group, GroupName=name) == text
    iam.remove_user_from_group(GroupName=name, UserName=name)
    iam.delete_user(UserName=name)
    iam.delete_group(GroupName=name)
    refused("NoSuchEntity", iam.get_user, UserName=name)
    assert iam.create_user(UserName=name)["User"]["UserName"] == name, "the name is free again"


def test_groups_keep_their_users_under_a_new_name(iam, name):
    group = iam.create_group(GroupName=name, Path="/teams/")["Group"]
    assert group["Arn"] == f"arn:aws:iam::{ACCOUNT}:group/teams/{name}"
    assert group["GroupId"].startswith("AGPA") and len(group["GroupId"]) == 21
    assert group in iam.list_groups(PathPrefix="/teams/")["Groups"]
    text = refused("EntityAlreadyExists", iam.create_group, GroupName=name.upper())
    assert text == f"Group with name {name.upper()} already exists."
    users = [f"{name}-{at}" for at in range(3)]
    for user in users:
        iam.create_user(UserName=user)
        iam.add_user_to_group(GroupName=name, UserName=user)
        iam.add_user_to_group(GroupName=name, UserName=user)
    new = f"{name}-new"
    iam.update_group(GroupName=name, NewGroupName=new, NewPath="/")
    found = iam.get_group(GroupName=new, MaxItems=2)
    assert found["Group"]["GroupId"] == group["GroupId"] and found["IsTruncated"] is True
    rest = iam.get_group(GroupName=new, Marker=found["Marker"])
    assert [user["UserName"] for user in found["Users"] + rest["Users"]] == users
    assert [g["GroupName"] for g in iam.list_groups_for_user(UserName=users[0])["Groups"]] == [new]
    refused("NoSuchEntity", iam.get_group, GroupName=name)
    iam.remove_user_from_group(GroupName=new, UserName=users[0])
    assert iam.list_groups_for_user(UserName=users[0])["Groups"] == []
    text = refused("NoSuchEntity", iam.remove_user_from_group, GroupName=new, UserName=users[0])
    assert users[0] in text and new in text


def test_a_user_is_in_ten_groups_at_most(iam, name):
    iam.create_user(UserName=name)
    for at in range(11):
        iam.create_group(GroupName=f"{name}-{at:02}")
    for at in range(10):
        iam.add_user_to_group(GroupName=f"{name}-{at:02}", UserName=name)
    text = refused("LimitExceeded", iam.add_user_to_group, GroupName=f"{name}-10", UserName=name)
    assert text == "Cannot exceed quota for GroupsPerUser: 10"
    page = iam.list_groups_for_user(UserName=name, MaxItems=4)
    assert [group["GroupName"][-2:] for group in page["Groups"]] == ["00", "01", "02", "03"]
    page = iam.list_groups_for_user(UserName=name, MaxItems=10, Marker=page["Marker"])
    assert len(page["Groups"]) == 6 and page["IsTruncated"] is False


def test_tags_of_a_user(iam, name):
    iam.create_user(UserName=name)
    iam.tag_user(UserName=name, Tags=[{"Key": "b", "Value": "1"}, {"Key": "a", "Value": ""}])
    iam.tag_user(UserName=name, Tags=[{"Key": "B", "Value": "2"}])
    tags = iam.list_user_tags(UserName=name)
    assert tags["Tags"] == [{"Key": "B", "Value": "2"}, {"Key": "a", "Value": ""}] and not tags["IsTruncated"]
    page = iam.list_user_tags(UserName=name, MaxItems=1)
    rest = iam.list_user_tags(UserName=name, Marker=page["Marker"])
    assert page["Tags"] + rest["Tags"] == tags["Tags"]
    duplicate = [{"Key": "x", "Value": "1"}, {"Key": "X", "Value": "2"}]
    text = refused("InvalidInput", iam.tag_user, UserName=name, Tags=duplicate)
    assert text == "Duplicate tag keys found. Please note that Tag keys are case insensitive."
    refused("InvalidInput", iam.tag_user, UserName=name, Tags=[{"Key": "aws:x", "Value": "1"}])
    many = [{"Key": f"k{at}", "Value": ""} for at in range(49)]
    refused("LimitExceeded", iam.tag_user, UserName=name, Tags=many)
    iam.untag_user(UserName=name, TagKeys=["A", "absent"])
    assert iam.list_user_tags(UserName=name)["Tags"] == [{"Key": "B", "Value": "2"}]
    refused("NoSuchEntity", iam.tag_user, UserName=f"{name}x", Tags=many)
    refused("NoSuchEntity", iam.untag_user, UserName=f"{name}x", TagKeys=["a"])
    refused("NoSuchEntity", iam.list_user_tags, UserName=f"{name}x")


def test_a_boundary_of_a_user(iam, name):
    iam.create_user(UserName=name)
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=arn)
    boundary = iam.get_user(UserName=name)["User"]["PermissionsBoundary"]
    assert boundary == {"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": arn}
    iam.delete_user_permissions_boundary(UserName=name)
    assert "PermissionsBoundary" not in iam.get_user(UserName=name)["User"]
    for wrong in (f"arn:aws:iam::{ACCOUNT}:user/{name}", f"arn:aws:iam::{ACCOUNT}:policy/{name}", "x" * 20):
        text = refused("NoSuchEntity", iam.put_user_permissions_boundary, UserName=name, PermissionsBoundary=wrong)
        assert text == f"Scope ARN: {wrong} does not exist or is not attachable."
    refused("NoSuchEntity", iam.create_user, UserName=f"{name}x", PermissionsBoundary=wrong)
    refused("NoSuchEntity", iam.delete_user_permissions_boundary, UserName=f"{name}x")


def test_whoever_comes_at_the_same_time_is_served(server, iam, name):
    def make(at):
        return server.client("iam").create_user(UserName=f"{name}-{at}")["User"]["UserName"]

    before = iam.get_account_summary()["SummaryMap"]["Users"]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        made = list(pool.map(make, range(16)))
    assert len(set(made)) == 16
    assert iam.get_account_summary()["SummaryMap"]["Users"] == before + 16
