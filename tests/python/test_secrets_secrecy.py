"""No value of a secret in clear outside the process: planted values are looked for in all that a server leaves behind."""

import base64
import json
import resource
import secrets
import signal
import subprocess

import pytest
from databases import MariaDb
from test_kms_secrecy import forms, left_behind
from test_rotation import FIRST, administrator, rotate, settled, user
from waiting import until


@pytest.fixture
def talkative(own_server, tmp_path, monkeypatch):
    """A server that is not started yet, logs all that it can, and leaves a core file in `working` where it is let to."""
    own_server.working = tmp_path / "working"
    own_server.working.mkdir()
    monkeypatch.chdir(own_server.working)
    monkeypatch.setenv("KEYSTEAD_LOG", "trace")
    own_server.preexec = lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
    return own_server


def nothing_left(server, wanted):
    """Lets the server crash, and looks for these bytes in all that is left of it."""
    server.process.send_signal(signal.SIGABRT)
    assert server.process.wait(60) == -signal.SIGABRT
    server.process = None
    looked = [("the log", "".join(server.said).encode()), *left_behind(server.data, server.working)]
    assert any(str(path).endswith(".jsonl") for path, _ in looked)
    for path, content in looked:
        for form in wanted:
            assert form not in content, f"a planted value is in {path}"


def test_no_planted_value_is_left_behind(talkative):
    talkative.start()
    sm = talkative.client("secretsmanager")
    planted = [secrets.token_bytes(48) for _ in range(6)]
    text = [base64.b64encode(value).decode() for value in planted]
    sm.create_secret(Name="text", SecretString=text[0])
    sm.create_secret(Name="bytes", SecretBinary=planted[1])
    sm.put_secret_value(SecretId="text", SecretString=text[2])
    sm.update_secret(SecretId="bytes", SecretBinary=planted[3])
    sm.batch_get_secret_value(SecretIdList=["text", "bytes"])
    for call, more in ((sm.create_secret, {"Name": "text"}), (sm.put_secret_value, {"SecretId": "none"})):
        try:
            call(SecretString=text[4], ClientRequestToken="x" * 32, **more)
        except sm.exceptions.ClientError as error:
            assert text[4] not in str(error)
    password = sm.get_random_password(PasswordLength=64)["RandomPassword"]
    sm.get_secret_value(SecretId="text", VersionStage="AWSPREVIOUS")
    wanted = {form for value in planted for form in forms(value)} | {password.encode()}
    nothing_left(talkative, wanted | {value.rstrip("=")[:-1].encode() for value in text})


# A rotator of the operator's own, that knows a password when it was told to take it.
COMMAND = """#!/bin/sh
read -r question
password=${{question#*'"password":"'}}
case $question in
    *'"action":"set"'*) echo "$question" >> {heard} ;;
esac
case $(/bin/cat {heard}) in
    *"${{password%%'"'*}}"*) echo '{{"outcome":"done"}}' ;;
    *) echo '{{"outcome":"refused"}}' ;;
esac
"""


def test_no_rotated_password_is_left_behind(talkative, tmp_path):
    """Of users, of the administrator, of files and commands, old and new; also where the database refuses."""
    database = MariaDb(tmp_path / "database").start()
    users, command, heard, config = (tmp_path / name for name in ("users", "command", "heard", "keystead.toml"))
    subprocess.run(["htpasswd", "-b", "-c", "-B", str(users), "ann", FIRST], check=True, capture_output=True)
    command.write_text(COMMAND.format(heard=heard))
    command.chmod(0o755)
    heard.write_text(FIRST + "\n")
    config.write_text(f'[rotation.password_files]\nweb = "{users}"\n[rotation.commands.own]\ncommand = ["{command}"]\n')
    talkative.start("--config", str(config))
    sm = talkative.client("secretsmanager")
    known = {FIRST, database.password}
    try:
        turned = [("mariadb", user(sm, database)), ("mariadb-alternating", user(sm, database, masterarn=administrator(sm, database)))]
        for name, kind in (("ann", "password-file-web"), ("bob", "command-own")):
            sm.create_secret(Name=name, SecretString=json.dumps({"username": name, "password": FIRST}))
            turned.append((kind, name))
        for kind, name in turned:
            for _ in range(2):
                known.add(settled(sm, name, rotate(sm, name, kind))["password"])
        refused = user(sm, database)
        database.sql(f"DROP USER {refused}@'127.0.0.1'")
        rotate(sm, refused, "mariadb")
        until("it is refused", lambda: "a rotation waits" in "".join(talkative.said))
    finally:
        database.kill()
    assert len(known) == 2 + 2 * len(turned)
    assert sum(password in heard.read_text() for password in known) == 3, "the command was told"
    nothing_left(talkative, {password.encode() for password in known})


def test_nothing_of_a_deleted_secret_is_in_the_files(own_server):
    own_server.start()
    sm = own_server.client("secretsmanager")
    sm.create_secret(Name="going", SecretString="v" * 3000)
    sm.create_secret(Name="staying", SecretString="w" * 3000)
    own_server.stop()
    store = own_server.data / "store.db"
    before = store.read_bytes()
    own_server.start()
    sm = own_server.client("secretsmanager")
    sm.delete_secret(SecretId="going", ForceDeleteWithoutRecovery=True)
    # Sealed values look like noise: pages of the old file that were noise and are zeros now are what was overwritten.
    page = 4096

    def overwritten():
        own_server.stop()
        after = store.read_bytes()
        own_server.start()
        pages = range(0, min(len(before), len(after)), page)
        return sum(after[at : at + page].count(0) == page and before[at : at + page].count(0) < page // 2 for at in pages)

    until("the values to be overwritten", overwritten)
    assert own_server.client("secretsmanager").get_secret_value(SecretId="staying")["SecretString"] == "w" * 3000
