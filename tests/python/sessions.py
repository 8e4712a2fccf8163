"""What the tests of sessions share: roles, trust in them, and clients with temporary credentials."""

import json
import pathlib
import subprocess
import sys

from server import ACCOUNT, REGION

ROOT = f"arn:aws:iam::{ACCOUNT}:root"


def statement(principal, actions=("sts:AssumeRole",), effect="Allow", **condition):
    made = {"Effect": effect, "Principal": principal, "Action": list(actions)}
    return made | ({"Condition": condition} if condition else {})


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions, resource="*", **condition):
    """A policy for identities."""
    made = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return policy(made | ({"Condition": condition} if condition else {}))


def trust(principal=ROOT, actions=("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"), **condition):
    return policy(statement({"AWS": principal}, actions, **condition))


def role(iam, name, trusting=None, rights=None, **more):
    """The ARN of a role that trusts the account, or as told, and may do this."""
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusting or trust(), **more)["Role"]
    if rights:
        iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=rights)
    return made["Arn"]


def user(server, iam, name, rights=None):
    """Keys of a user who may do this."""
    iam.create_user(UserName=name)
    if rights:
        iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=rights)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"key_id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


def whoami(server, **environment):
    """What the aws CLI says of itself with nothing but these variables."""
    made = server.environment() | {"AWS_ENDPOINT_URL": server.endpoint, "AWS_DEFAULT_REGION": REGION} | environment
    command = [pathlib.Path(sys.executable).parent / "aws", "sts", "get-caller-identity", "--output", "json"]
    said = subprocess.run(command, env=made, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def keys(answer):
    """The credentials of an answer as `Server.client` takes them."""
    given = answer["Credentials"]
    return {"key_id": given["AccessKeyId"], "secret": given["SecretAccessKey"], "token": given["SessionToken"]}
