"""What `keystead up` prints of the root key, done as a user does it: with the aws CLI, command by command."""

import json
import os
import pathlib
import shlex
import subprocess

from refusals import refused

AWS = pathlib.Path(os.environ["KEYSTEAD_TEST_VENV"]) / "bin" / "aws"


def cli(server, words, key_id=None, secret=None):
    keys = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret} if key_id else {}
    ran = subprocess.run(
        [AWS, *words[1:], "--output", "json"],
        env=server.environment() | server.variables | keys,
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return json.loads(ran.stdout) if ran.stdout.strip() else None


def printed(server):
    lines = [line.strip() for line in server.said]
    return [shlex.split(line) for line in lines if line.startswith("aws ")]


def test_an_administrator_is_made_and_the_root_key_given_up(own_server):
    own_server.start()
    *making, giving_up = printed(own_server)
    assert [words[2] for words in making] == ["create-user", "attach-user-policy", "create-access-key"]
    answers = [cli(own_server, words) for words in making]
    key = answers[-1]["AccessKey"]
    admin = {"key_id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    assert cli(own_server, ["aws", "acm", "list-certificates"], **admin) == {"CertificateSummaryList": []}
    cli(own_server, giving_up)
    with refused("UnrecognizedClientException"):
        own_server.client("acm").list_certificates()
    assert own_server.client("sts", **admin).get_caller_identity()["Arn"].endswith(":user/admin")

    assert own_server.stop() == 0
    own_server.start()
    assert printed(own_server) == [], "there is no root key to give up any more"
    assert own_server.client("acm", **admin).list_certificates()["CertificateSummaryList"] == []
