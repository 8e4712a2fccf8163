"""Accounts beside the first one: made by it, apart from each other, and joined only by policies."""

import json
import os
import subprocess

import pytest
from refusals import refused
from server import ACCOUNT, BINARY


@pytest.fixture
def keystead(server):
    return server.client("keystead")


def numbered(number):
    return f"{number:012}"


def test_an_account_is_a_namespace_with_a_root_user_of_its_own(server, keystead, root, name):
    account = numbered(int(name[1:10], 16))
    made = keystead.create_account(AccountId=account)
    theirs = {"key_id": made["AccessKeyId"], "secret": made["SecretAccessKey"]}
    identity = server.client("sts", **theirs).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{account}:root" and identity["Account"] == account
    assert server.client("acm-pca", **theirs).list_certificate_authorities()["CertificateAuthorities"] == []
    with refused("AccessDeniedException", "because no resource-based policy allows"):
        server.client("acm-pca", **theirs).describe_certificate_authority(CertificateAuthorityArn=root)
    iam = server.client("iam", **theirs)
    iam.create_user(UserName=name)
    assert iam.get_user(UserName=name)["User"]["Arn"] == f"arn:aws:iam::{account}:user/{name}"
    with refused("NoSuchEntity", status=404):
        server.client("iam").get_user(UserName=name)
    assert account in [shown["AccountId"] for shown in every_account(keystead)]
    with refused("ConflictException"):
        keystead.create_account(AccountId=account)


def test_only_the_first_account_makes_accounts(server, keystead, name):
    made = keystead.create_account(AccountId=numbered(int(name[1:10], 16)))
    theirs = server.client("keystead", key_id=made["AccessKeyId"], secret=made["SecretAccessKey"])
    with refused("AccessDeniedException"):
        theirs.create_account(AccountId="999999999998")
    with refused("AccessDeniedException"):
        theirs.list_accounts()


@pytest.mark.parametrize("bad", ["1", "12345678901a", "1234567890123"])
def test_an_account_has_twelve_digits(keystead, bad):
    with refused("ValidationException"):
        keystead.create_account(AccountId=bad)


def test_the_first_account_is_there_already(keystead):
    with refused("ConflictException"):
        keystead.create_account(AccountId=ACCOUNT)
    assert every_account(keystead)[0]["AccountId"] == ACCOUNT


def test_accounts_are_listed_a_page_at_a_time(keystead, name):
    base = int(name[1:10], 16)
    for number in range(3):
        keystead.create_account(AccountId=numbered(base + number))
    everything = [shown["AccountId"] for shown in every_account(keystead, MaxResults=2)]
    assert everything[0] == ACCOUNT and everything[1:] == sorted(everything[1:])
    assert len(set(everything)) == len(everything)
    assert {numbered(base + number) for number in range(3)} < set(everything)


def test_the_command_prints_exports_and_lists(own_server):
    own_server.start()
    run = lambda *arguments: subprocess.run(  # noqa: E731
        [BINARY, "account", *arguments, "--data-dir", own_server.data],
        capture_output=True, text=True, check=True, timeout=30, env={"PATH": os.environ["PATH"]},
    ).stdout  # fmt: skip
    exports = dict(line.removeprefix("export ").split("=", 1) for line in run("create", "222222222222").splitlines())
    key_id, secret = (exports[key].strip("'") for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    sts = own_server.client("sts", key_id=key_id, secret=secret)
    assert sts.get_caller_identity()["Account"] == "222222222222"
    assert run("list").split() == [ACCOUNT, "222222222222"]
    assert [json.loads(line)["AccountId"] for line in run("list", "--json").splitlines()][1] == "222222222222"


def every_account(keystead, **how):
    accounts, token = [], {}
    while True:
        page = keystead.list_accounts(**how, **token)
        accounts += page["Accounts"]
        if "NextToken" not in page:
            return accounts
        token = {"NextToken": page["NextToken"]}
