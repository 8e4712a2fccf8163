"""What the agent serves on localhost: secrets as AWS's Secrets Manager Agent has them, credentials as containers and instances
do, to the AWS SDK's own providers."""

import datetime
import http.client
import json
import os

import pytest

from machines import Machine
from server import ACCOUNT
from sessions import whoami
from waiting import until

# Longer than any test: what is seen to change was told, not looked at again.
TTL = 3600
HEADER = "X-Aws-Parameters-Secrets-Token"


class Running(Machine):
    """An agent that runs."""

    def start(self, *, users=None, ahead=datetime.timedelta(0)):
        users = json.dumps(users or [str(os.getuid())])
        self.token_file = self.state.parent / "token"
        printed = self.run(
            f'[local.secrets]\nlisten = "127.0.0.1:0"\ntoken_file = "{self.token_file}"\nttl_seconds = {TTL}\n'
            f'[local.container]\nlisten = "127.0.0.1:0"\ntoken_file = "{self.token_file}"\n'
            f'[local.instance]\nlisten = "127.0.0.1:0"\nusers = {users}\n',
            ahead=ahead,
        )
        self.at = dict(line.split() for line in printed)
        assert set(self.at) == {"secrets", "container", "instance"}
        return self

    def stop(self):
        self.process.terminate()
        return self.process.wait(30)

    @property
    def token(self):
        return self.token_file.read_text()

    def ask(self, name, path, method="GET", **headers):
        """(status, body)"""
        connection = http.client.HTTPConnection(self.at[name], timeout=30)
        try:
            connection.request(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def secret(self, query, **headers):
        return self.ask("secrets", f"/secretsmanager/get?{query}", **({HEADER: self.token} | headers))

    def value(self, query):
        status, body = self.secret(query)
        assert status == 200, body
        return json.loads(body)["SecretString"]


@pytest.fixture
def running(own_server, tmp_path):
    own_server.start()
    machine = Running(own_server, tmp_path)
    machine.joined("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret")
    machine.start()
    yield machine
    machine.kill()


def test_secrets_are_given_as_aws_agent_gives_them(running):
    sm = running.server.client("secretsmanager")
    made = sm.create_secret(Name="app/db", SecretString="one")
    status, body = running.secret("secretId=app%2Fdb")
    assert status == 200
    found = json.loads(body)
    assert (found["ARN"], found["Name"], found["SecretString"]) == (made["ARN"], "app/db", "one")
    assert found["VersionId"] == made["VersionId"] and found["VersionStages"] == ["AWSCURRENT"]
    second = sm.put_secret_value(SecretId="app/db", SecretString="two")["VersionId"]
    assert running.value("secretId=app/db&versionStage=AWSPREVIOUS") == "one"
    assert running.value(f"secretId={made['ARN']}&versionId={second}") == "two"
    status, body = running.ask("secrets", "/v1/app/db?refreshNow=true", **{"X-Vault-Token": running.token})
    assert status == 200 and json.loads(body)["SecretString"] == "two"
    assert running.ask("secrets", "/ping") == (200, "healthy")
    assert running.stop() == 0


def test_who_may_not_ask_for_secrets(running):
    running.server.client("secretsmanager").create_secret(Name="s", SecretString="x")
    query = "/secretsmanager/get?secretId=s"
    good = {HEADER: running.token}
    assert running.ask("secrets", query) == (403, "Bad Token")
    assert running.ask("secrets", query, **{HEADER: "0" * 64}) == (403, "Bad Token")
    assert running.ask("secrets", query, **good, X_Forwarded_For="10.0.0.1") == (400, "Forwarded")
    assert running.ask("secrets", query, "POST", **good) == (405, "Not allowed")
    assert running.ask("secrets", "/other", **good) == (404, "Not found")
    assert running.ask("secrets", "/secretsmanager/get", **good) == (400, "missing parameter secretId")
    assert running.ask("secrets", query + "&refreshNow=maybe", **good)[0] == 400
    status, body = running.ask("secrets", "/secretsmanager/get?secretId=never", **good)
    assert status == 400 and json.loads(body)["__type"] == "ResourceNotFoundException"
    assert running.token_file.stat().st_mode & 0o777 == 0o640


def test_a_new_value_is_served_as_soon_as_it_is_told(running):
    sm = running.server.client("secretsmanager")
    sm.create_secret(Name="s", SecretString="one")
    assert running.value("secretId=s") == "one"
    sm.put_secret_value(SecretId="s", SecretString="two")
    until("the new value is served", lambda: running.value("secretId=s") == "two")


def test_what_is_known_is_served_while_the_server_is_away(running):
    sm = running.server.client("secretsmanager")
    sm.create_secret(Name="s", SecretString="one")
    assert running.value("secretId=s") == "one"
    where = running.server.host
    running.server.kill()
    assert running.value("secretId=s") == "one"
    status, body = running.secret("secretId=s&refreshNow=true")
    assert status == 503 and "cannot reach the server" in body
    assert running.secret("secretId=other")[0] == 503
    assert running.value("secretId=s") == "one", "what could not be read anew stays"
    running.server.start(listen=where)
    assert running.value("secretId=s&refreshNow=true") == "one"
    running.server.client("secretsmanager").put_secret_value(SecretId="s", SecretString="two")
    until("the agent hears of changes again", lambda: running.value("secretId=s") == "two", 90)


def test_what_the_role_may_not_read_any_more_is_not_served(running):
    running.server.client("secretsmanager").create_secret(Name="s", SecretString="one")
    assert running.value("secretId=s") == "one"
    running.server.client("iam").delete_role_policy(RoleName="web", PolicyName="rights")
    status, body = running.secret("secretId=s&refreshNow=true")
    assert status == 400 and json.loads(body)["__type"] == "AccessDeniedException"
    assert running.secret("secretId=s")[0] == 400


def test_the_sdk_finds_container_credentials(running):
    uri = f"http://{running.at['container']}/v2/credentials"
    me = whoami(
        running.server,
        AWS_CONTAINER_CREDENTIALS_FULL_URI=uri,
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(running.token_file),
    )
    assert me["Arn"].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/web/")
    status, body = running.ask("container", "/v2/credentials")
    assert status == 403 and json.loads(body)["code"] == "AccessDenied"
    assert running.ask("container", "/", Authorization=running.token, X_Forwarded_For="1")[0] == 400
    assert running.ask("container", "/", "POST", Authorization=running.token)[0] == 405


def test_the_sdk_finds_instance_credentials(running):
    me = whoami(
        running.server,
        AWS_EC2_METADATA_DISABLED="false",
        AWS_EC2_METADATA_SERVICE_ENDPOINT=f"http://{running.at['instance']}/",
    )
    assert me["Arn"].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/web/")
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    status, session = running.ask("instance", "/latest/api/token", "PUT", **ttl)
    assert status == 200
    shown = {"X-aws-ec2-metadata-token": session}
    credentials = "/latest/meta-data/iam/security-credentials/"
    assert running.ask("instance", credentials, **shown) == (200, "web")
    status, body = running.ask("instance", credentials + "web", **shown)
    found = json.loads(body)
    assert status == 200 and found["Code"] == "Success" and found["Type"] == "AWS-HMAC"
    assert running.ask("instance", credentials + "other", **shown)[0] == 404
    for path, method, headers, expected in [
        (credentials, "GET", {}, 401),
        (credentials, "GET", {"X-aws-ec2-metadata-token": session[:-1] + "x"}, 401),
        (credentials, "GET", {"X-aws-ec2-metadata-token": "9" + session}, 401),
        (credentials, "POST", shown, 405),
        ("/latest/api/token", "GET", shown, 405),
        ("/latest/api/token", "PUT", {}, 400),
        ("/latest/api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": "21601"}, 400),
        ("/latest/api/token", "PUT", ttl | {"X-Forwarded-For": "10.0.0.1"}, 403),
    ]:
        assert running.ask("instance", path, method, **headers)[0] == expected, (path, method, headers)


def test_instance_credentials_are_for_the_users_that_are_named(running):
    running.stop()
    running.start(users=[str(os.getuid() + 1)])
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    assert running.ask("instance", "/latest/api/token", "PUT", **ttl)[0] == 403
