"""Who calls KMS in tests: users, sessions of roles, other accounts, each with the client that speaks for them."""

import json
import uuid

import sessions
from server import ACCOUNT, REGION

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
EVERYTHING = sessions.allow("*")


class Somebody:
    """A principal and its client of KMS."""

    def __init__(self, server, arn, keys):
        self.arn, self.keys = arn, keys
        self.kms = server.client("kms", **keys)


def fresh(prefix="T"):
    return f"{prefix}{uuid.uuid4().hex[:16]}"


def user(server, rights=None, iam=None):
    """A user, by default one who may nothing."""
    iam = iam or server.client("iam")
    name = fresh()
    keys = sessions.user(server, iam, name, rights)
    return Somebody(server, iam.get_user(UserName=name)["User"]["Arn"], keys)


def role(server, rights=None, session="s1", **more):
    """A session of a role, which is what its `role` names."""
    arn = sessions.role(server.client("iam"), fresh(), rights=rights)
    answer = server.client("sts", **user(server, sessions.allow("sts:*")).keys).assume_role(
        RoleArn=arn, RoleSessionName=session, **more
    )
    made = Somebody(server, answer["AssumedRoleUser"]["Arn"], sessions.keys(answer))
    made.role = arn
    return made


def account(server):
    """The root user of another account; its `number`, and its `iam` to make users of it."""
    number = f"{uuid.uuid4().int % 10**12:012}"
    made = server.client("keystead").create_account(AccountId=number)
    keys = {"key_id": made["AccessKeyId"], "secret": made["SecretAccessKey"]}
    other = Somebody(server, f"arn:aws:iam::{number}:root", keys)
    other.number, other.iam = number, server.client("iam", **keys)
    return other


def statement(*actions, principal=ROOT, effect="Allow", **more):
    """A statement of a key policy."""
    made = {"Effect": effect, "Principal": {"AWS": principal}, "Action": list(actions or ["kms:*"]), "Resource": "*"}
    return made | more


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements or [statement()])})


def key(server, *statements, kms=None, **more):
    """The ARN of a key, under these statements beside the one that lets the account decide."""
    if statements:
        more["Policy"] = policy(statement(), *statements)
    return (kms or server.client("kms")).create_key(**more)["KeyMetadata"]["Arn"]


def closed(server, *statements, **more):
    """The ARN of a key under these statements alone."""
    made = server.client("kms").create_key(Policy=policy(*statements), BypassPolicyLockoutSafetyCheck=True, **more)
    return made["KeyMetadata"]["Arn"]


def alias_arn(name, account=ACCOUNT):
    return f"arn:aws:kms:{REGION}:{account}:{name}"
