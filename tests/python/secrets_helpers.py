"""Secrets for tests of Secrets Manager, and policies around them."""

import json
import uuid

from server import ACCOUNT, REGION

MISSING = "Secrets Manager can't find the specified secret."
DELETED = "You can't perform this operation on the secret because it was marked for deletion."
NOBODY = "00000000-0000-4000-8000-000000000000"


def token():
    return str(uuid.uuid4())


def labels(sm, secret):
    """The staging labels of each version that has any."""
    return sm.describe_secret(SecretId=secret).get("VersionIdsToStages", {})


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions, principal=f"arn:aws:iam::{ACCOUNT}:root", effect="Allow", **more):
    return {"Effect": effect, "Principal": principal if principal == "*" else {"AWS": principal}, "Action": list(actions), "Resource": "*", **more}


class User:
    """A user of the account with one policy, and clients that sign as it."""

    def __init__(self, server, *statements):
        self.server, self.iam, self.name = server, server.client("iam"), f"T{uuid.uuid4().hex[:16]}"
        self.arn = self.iam.create_user(UserName=self.name)["User"]["Arn"]
        key = self.iam.create_access_key(UserName=self.name)["AccessKey"]
        self.key = {"key_id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
        if statements:
            self.may(*statements)

    def may(self, *statements):
        self.iam.put_user_policy(UserName=self.name, PolicyName="p", PolicyDocument=policy(*statements))
        return self

    def client(self, service):
        return self.server.client(service, **self.key)


def on(*actions, resource="*", effect="Allow", **more):
    return {"Effect": effect, "Action": list(actions), "Resource": resource, **more}


def arn(name, region=REGION):
    return f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{name}"
