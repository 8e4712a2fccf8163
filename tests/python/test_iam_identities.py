"""Users, groups and access keys: what they answer, and what they refuse."""

import datetime
import uuid

import botocore.exceptions
import pytest

from server import ACCOUNT


@pytest.fixture(scope="session")
def iam(server):
    return server.client("iam")


@pytest.fixture
def name():
    """A name that nobody else has: tests share the server."""
    return f"T{uuid.uuid4().hex[:16]}"


def refused(code, call, **arguments):
    """The text of the refusal, which must have this code."""
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        call(**arguments)
    assert raised.value.response["Error"]["Code"] == code, raised.value
    return raised.value.response["Error"]["Message"]


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
