"""`keystead agent join` and what a machine is afterwards: its own key, its role's credentials, a certificate that renews."""

import datetime
import json
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

import agents
import authorities
from machines import Command, Machine
from refusals import refused
from server import ACCOUNT, BINARY, REGION
from test_rolesanywhere_sessions import trusting


@pytest.fixture
def machine(own_server, tmp_path):
    own_server.start()
    return Machine(own_server, tmp_path)


@pytest.fixture
def role(machine):
    return machine.role()


def test_a_machine_joins_and_every_aws_tool_is_its_role(machine, role):
    text = machine.join_token(role, "--name", "web-1")
    said = machine.join(text)
    assert said.returncode == 0, said.stderr
    assert said.stdout == f"joined as arn:aws:keystead:{REGION}:{ACCOUNT}:agent/web-1\n"
    assert [path.name for path in machine.state.iterdir()] == ["identity.json"]
    assert (machine.state / "identity.json").stat().st_mode & 0o777 == 0o600
    assert machine.state.stat().st_mode & 0o777 == 0o700
    given = machine.credentials()
    until = datetime.datetime.fromisoformat(given["Expiration"])
    assert datetime.timedelta(minutes=50) < until - datetime.datetime.now(datetime.timezone.utc)
    config = machine.state.parent / "config"
    config.write_text(
        f"[default]\nregion = {REGION}\nendpoint_url = {machine.server.endpoint}\n"
        f"credential_process = {BINARY} agent credentials --state {machine.state}\n"
    )
    environment = machine.server.environment() | {"AWS_CONFIG_FILE": str(config)}
    aws = Path(sys.executable).parent / "aws"
    said = subprocess.run(
        [aws, "sts", "get-caller-identity", "--output", "json"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["Arn"].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/web/")


def test_what_a_machine_is_told_that_may_not_join(machine, role, tmp_path):
    text = machine.join_token(role)
    assert machine.join(text, "--name", "web-1").returncode == 0
    again = machine.join(text, "--name", "web-1")
    assert again.returncode == 1 and "is the agent arn:" in again.stderr and "--again" in again.stderr
    (tmp_path / "other").mkdir()
    other = Machine(machine.server, tmp_path / "other")
    said = other.join(text, "--name", "web-2")
    assert said.returncode == 1
    assert "AccessDeniedException: The join token was used already, on 2" in said.stderr
    assert text.strip() not in said.stderr and text.split(".")[4] not in said.stderr
    for bad in ["nonsense", text.strip().rpartition(".")[0]]:
        said = other.join(bad)
        assert said.returncode == 1 and "that is no join token" in said.stderr
    said = other.agent("credentials")
    assert said.returncode == 1 and "is no agent yet" in said.stderr
    (machine.state / "identity.json").chmod(0o644)
    said = machine.agent("credentials")
    assert said.returncode == 1 and "can be read by others (mode 644)" in said.stderr


def test_who_did_not_hear_the_answer_goes_on(machine, role):
    text = machine.join_token(role).strip()
    csr, key = authorities.request("ignored")
    heard = agents.Agent.join(machine.server, text.rpartition(".")[0], key=key, Name="web-1")
    machine.state.mkdir(mode=0o700)
    pending = machine.state / "joining.pem"
    pending.write_bytes(authorities.key_pem(key))
    pending.chmod(0o600)
    said = machine.join(text)
    assert said.returncode == 0, said.stderr
    assert authorities.parse(machine.kept["certificate"]) == heard.certificate
    assert not pending.exists()


def test_a_certificate_is_renewed_when_two_thirds_of_its_time_are_over(machine, role):
    assert machine.join(machine.join_token(role, "--certificate-valid", "30d"), "--name", "web-1").returncode == 0
    first = authorities.parse(machine.kept["certificate"])
    day = datetime.timedelta(days=1)
    for ahead, renewed in [(19 * day, False), (21 * day, True), (39 * day, False), (42 * day, True)]:
        before = machine.kept
        machine.restart(ahead)
        assert machine.credentials(ahead)["AccessKeyId"].startswith("ASIA")
        changed = machine.kept["certificate"] != before["certificate"]
        assert changed == renewed, ahead
        assert (machine.kept["key"] != before["key"]) == renewed
    last = authorities.parse(machine.kept["certificate"])
    assert last.subject == first.subject and last.not_valid_after_utc > first.not_valid_after_utc
    # Too late: a month after the end, nothing but a new token helps.
    machine.restart(100 * day)
    said = machine.agent("credentials", "--clock-offset", str(100 * 86400))
    assert said.returncode == 1 and "could not be renewed" in said.stderr


def test_a_removed_agent_is_told_so(machine, role):
    assert machine.join(machine.join_token(role), "--name", "web-1").returncode == 0
    Command(machine.server)("agent", "remove", "web-1")
    said = machine.agent("credentials")
    assert said.returncode == 1 and "revoked" in said.stderr
    keystead = machine.server.client("keystead")
    with refused("ResourceNotFoundException"):
        keystead.delete_agent(AgentArn=machine.kept["agent_arn"])
    assert machine.join(machine.join_token(role), "--name", "web-1", "--again").returncode == 0
    assert machine.credentials()["AccessKeyId"].startswith("ASIA")


def test_a_token_says_what_the_server_is_known_by(own_server, tmp_path):
    own_server.start(listen="0.0.0.0:0")
    machine = Machine(own_server, tmp_path)
    port = own_server.endpoint.rsplit(":")[-1]
    bundle = own_server.variables["AWS_CA_BUNDLE"]
    iam = boto3.client(
        "iam",
        endpoint_url=own_server.endpoint,
        verify=bundle,
        region_name=REGION,
        aws_access_key_id=own_server.key_id,
        aws_secret_access_key=own_server.secret,
    )
    role = iam.create_role(RoleName="web", AssumeRolePolicyDocument=trusting())["Role"]["Arn"]
    text = machine.join_token(role, "--endpoint", f"https://localhost:{port}")
    said = machine.join(text, "--name", "web-1")
    assert said.returncode == 0, said.stderr
    assert machine.kept["endpoint"] == f"https://localhost:{port}"
    assert machine.kept["roots"] == Path(bundle).read_text()
    assert machine.credentials()["AccessKeyId"].startswith("ASIA")
    # Another server there, with a certificate of its own: it hears nothing.
    foreign = machine.kept | {"roots": authorities.self_signed(authorities.new_key(), "localhost").decode()}
    (machine.state / "identity.json").write_text(json.dumps(foreign))
    said = machine.agent("credentials")
    assert said.returncode == 1 and "invalid peer certificate" in said.stderr
