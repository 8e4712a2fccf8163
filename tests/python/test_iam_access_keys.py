"""Access keys: two a user, off and gone at once, and when they were last used."""

import datetime
import json

from iam_helpers import refused
from server import ACCOUNT, REGION


def administrator(iam, name):
    """As `made`, of a user who may do everything."""
    theirs = made(iam, name)
    iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    return theirs


def made(iam, name):
    """A user with a key: what a client needs to sign as them."""
    iam.create_user(UserName=name, Path="/staff/")
    key = iam.create_access_key(UserName=name)["AccessKey"]
    assert key["UserName"] == name and key["Status"] == "Active"
    assert key["AccessKeyId"].startswith("AKIA") and len(key["AccessKeyId"]) == 20
    assert len(key["SecretAccessKey"]) == 40
    return {"key_id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


def test_a_key_proves_its_user(server, iam, name):
    theirs = administrator(iam, name)
    identity = server.client("sts", **theirs).get_caller_identity()
    user = iam.get_user(UserName=name)["User"]
    assert identity["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/staff/{name}" == user["Arn"]
    assert identity["UserId"] == user["UserId"] and identity["Account"] == ACCOUNT
    assert server.client("iam", **theirs).get_user()["User"]["UserName"] == name
    keys = server.client("iam", **theirs).list_access_keys()["AccessKeyMetadata"]
    assert [key["AccessKeyId"] for key in keys] == [theirs["key_id"]]


def test_two_keys_and_no_third(server, iam, name):
    theirs = administrator(iam, name)
    second = server.client("iam", **theirs).create_access_key()["AccessKey"]
    assert second["UserName"] == name
    text = refused("LimitExceeded", iam.create_access_key, UserName=name)
    assert text == "Cannot exceed quota for AccessKeysPerUser: 2"
    listed = iam.list_access_keys(UserName=name, MaxItems=1)
    assert listed["IsTruncated"] and listed["AccessKeyMetadata"][0]["AccessKeyId"] == theirs["key_id"]
    rest = iam.list_access_keys(UserName=name, Marker=listed["Marker"])
    assert rest["AccessKeyMetadata"][0]["AccessKeyId"] == second["AccessKeyId"]
    assert "SecretAccessKey" not in rest["AccessKeyMetadata"][0]


def test_a_key_that_is_inactive_or_gone_signs_nothing(server, iam, name):
    theirs = made(iam, name)
    sts = server.client("sts", **theirs)
    sts.get_caller_identity()
    iam.update_access_key(UserName=name, AccessKeyId=theirs["key_id"], Status="Inactive")
    refused("InvalidClientTokenId", sts.get_caller_identity)
    assert iam.list_access_keys(UserName=name)["AccessKeyMetadata"][0]["Status"] == "Inactive"
    iam.update_access_key(UserName=name, AccessKeyId=theirs["key_id"], Status="Active")
    sts.get_caller_identity()
    refused("InvalidInput", iam.update_access_key, UserName=name, AccessKeyId=theirs["key_id"], Status="Expired")
    iam.delete_access_key(UserName=name, AccessKeyId=theirs["key_id"])
    refused("InvalidClientTokenId", sts.get_caller_identity)
    text = f"The Access Key with id {theirs['key_id']} cannot be found."
    assert refused("NoSuchEntity", iam.delete_access_key, UserName=name, AccessKeyId=theirs["key_id"]) == text
    assert refused("NoSuchEntity", iam.get_access_key_last_used, AccessKeyId=theirs["key_id"]) == text
    wrong = {"UserName": name, "AccessKeyId": theirs["key_id"], "Status": "Active"}
    assert refused("NoSuchEntity", iam.update_access_key, **wrong) == text


def test_a_key_of_somebody_else_is_not_found(iam, name):
    theirs = made(iam, name)
    iam.create_user(UserName=f"{name}-other")
    refused("NoSuchEntity", iam.delete_access_key, UserName=f"{name}-other", AccessKeyId=theirs["key_id"])
    refused("NoSuchEntity", iam.delete_access_key, AccessKeyId=theirs["key_id"])
    refused("NoSuchEntity", iam.create_access_key, UserName=f"{name}-nobody")
    refused("NoSuchEntity", iam.list_access_keys, UserName=f"{name}-nobody")


def test_when_a_key_was_last_used(server, iam, name):
    theirs = made(iam, name)
    never = iam.get_access_key_last_used(AccessKeyId=theirs["key_id"])
    assert never["UserName"] == name
    assert never["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
    server.client("sts", region="eu-west-3", **theirs).get_caller_identity()
    used = iam.get_access_key_last_used(AccessKeyId=theirs["key_id"])["AccessKeyLastUsed"]
    assert used["ServiceName"] == "sts" and used["Region"] == "eu-west-3"
    age = datetime.datetime.now(datetime.timezone.utc) - used["LastUsedDate"]
    assert abs(age) < datetime.timedelta(minutes=5)


def test_last_uses_and_users_outlive_a_restart(own_server, name):
    own_server.start()
    iam = own_server.client("iam")
    theirs = administrator(iam, name)
    own_server.client("acm", **theirs).list_certificates()
    assert own_server.stop() == 0
    own_server.start()
    iam = own_server.client("iam")
    used = iam.get_access_key_last_used(AccessKeyId=theirs["key_id"])["AccessKeyLastUsed"]
    assert used["ServiceName"] == "acm" and used["Region"] == REGION
    assert own_server.client("sts", **theirs).get_caller_identity()["Arn"].endswith(name)


def test_the_root_user_gives_its_keys_up(own_server, name):
    own_server.start()
    iam = own_server.client("iam")
    assert iam.get_account_summary()["SummaryMap"]["AccountAccessKeysPresent"] == 1
    assert [k["AccessKeyId"] for k in iam.list_access_keys()["AccessKeyMetadata"]] == [own_server.key_id]
    spare = iam.create_access_key()["AccessKey"]
    refused("LimitExceeded", iam.create_access_key)
    theirs = made(iam, name)
    iam.delete_access_key(AccessKeyId=own_server.key_id)
    own_server.stop()
    own_server.start()
    assert "AWS_ACCESS_KEY_ID" not in own_server.variables
    sts = own_server.client("sts", key_id=spare["AccessKeyId"], secret=spare["SecretAccessKey"])
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    refused("InvalidClientTokenId", own_server.client("sts").get_caller_identity)
    assert own_server.client("sts", **theirs).get_caller_identity()["Arn"].endswith(name)
    # The commands of this machine sign with what the shell has for the AWS tools.
    assert "administrator" in own_server.run("status", "--data-dir", str(own_server.data), check=False).stderr


def test_events_say_which_user_it_was(own_server, name):
    own_server.start()
    theirs = made(own_server.client("iam"), name)
    own_server.client("sts", **theirs).get_caller_identity()
    own_server.stop()
    shown = own_server.run("audit", "show", "--json", "--data-dir", str(own_server.data)).stdout
    events = [json.loads(line) for line in shown.splitlines()]
    secret = theirs["secret"]
    assert secret not in shown
    made_key = next(event for event in events if event["eventName"] == "CreateAccessKey")
    assert made_key["userIdentity"]["type"] == "Root" and made_key["eventSource"] == "iam.amazonaws.com"
    identity = next(event for event in events if event["eventName"] == "GetCallerIdentity")["userIdentity"]
    assert identity["type"] == "IAMUser" and identity["userName"] == name
    assert identity["arn"] == f"arn:aws:iam::{ACCOUNT}:user/staff/{name}"
    assert identity["principalId"].startswith("AIDA") and identity["accessKeyId"] == theirs["key_id"]
