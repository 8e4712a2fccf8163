"""Rotation of real passwords in real databases, whatever dies in between."""

import contextlib
import datetime
import json
import os
import subprocess
import threading
import uuid

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from databases import MariaDb, PostgreSql, Wire
from secrets_helpers import User, on
from server import ACCOUNT, REGION
from waiting import until

FIRST = "First-Password-1"
LABELS = ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS")
# Every so-manieth point of the kill matrix; KEYSTEAD_ROTATION_STEP=1 is all of them.
STEP = int(os.environ.get("KEYSTEAD_ROTATION_STEP", "3"))
# How often passwords change under a client that never rests.
HAMMERED = int(os.environ.get("KEYSTEAD_ROTATIONS", "12"))
# Longer than a lease, and than a change without an answer counts as unsettled.
LATER = datetime.timedelta(minutes=2)


def function(name):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:keystead-rotate-{name}"


def unique(prefix="u"):
    return f"{prefix}{uuid.uuid4().hex[:12]}"


def value(sm, secret, label="AWSCURRENT"):
    """The JSON with this label; `None` where there is none."""
    try:
        return json.loads(sm.get_secret_value(SecretId=secret, VersionStage=label)["SecretString"])
    except ClientError as refused:
        assert refused.response["Error"]["Code"] == "ResourceNotFoundException", refused
        return None


def pending(sm, secret):
    stages = sm.describe_secret(SecretId=secret)["VersionIdsToStages"].values()
    return any("AWSPENDING" in labels for labels in stages)


def rotate(sm, secret, name, **more):
    more = {"RotationRules": {"AutomaticallyAfterDays": 30}} | more
    return sm.rotate_secret(SecretId=secret, RotationLambdaARN=function(name), **more)["VersionId"]


def settled(sm, secret, version):
    """Waits until the rotation has ended, and answers the current value."""
    current = lambda: "AWSCURRENT" in sm.describe_secret(SecretId=secret)["VersionIdsToStages"].get(version, [])  # noqa: E731
    until("the rotation ends", current, 120)
    assert not pending(sm, secret)
    return value(sm, secret)


def kept_secret(server, password):
    """No log and no file of the server has the password."""
    assert password not in "".join(server.said)
    files = [path for path in server.data.rglob("*") if path.is_file()]
    assert files and not any(password.encode() in path.read_bytes() for path in files)


def works(database, login):
    return login is not None and database.logs_in(login["username"], login["password"])


@pytest.fixture(scope="module", params=[MariaDb, PostgreSql])
def database(request, tmp_path_factory):
    started = request.param(tmp_path_factory.mktemp("database")).start()
    yield started
    started.kill()


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory):
    started = MariaDb(tmp_path_factory.mktemp("mariadb")).start()
    yield started
    started.kill()


def user(sm, database, **more):
    """A user of the database with his secret."""
    name = unique()
    database.user(name, FIRST)
    sm.create_secret(Name=name, SecretString=json.dumps(database.secret(name, FIRST, **more)))
    return name


def administrator(sm, database):
    text = json.dumps(database.secret(database.administrator, database.password))
    return sm.create_secret(Name=unique("admin"), SecretString=text)["ARN"]


def test_a_user_gets_another_password(sm, database):
    name = user(sm, database, mine={"stays": 1})
    version = rotate(sm, name, database.functions, ClientRequestToken=str(uuid.uuid4()))
    current = settled(sm, name, version)
    assert current == database.secret(name, current["password"], mine={"stays": 1})
    assert works(database, current) and not database.logs_in(name, FIRST)
    assert value(sm, name, "AWSPREVIOUS")["password"] == FIRST
    described = sm.describe_secret(SecretId=name)
    assert described["RotationEnabled"] is True
    assert described["RotationLambdaARN"] == function(database.functions)
    assert described["RotationRules"] == {"AutomaticallyAfterDays": 30}
    due = described["LastRotatedDate"].astimezone(datetime.UTC).date() + datetime.timedelta(days=30)
    last = described["NextRotationDate"].astimezone(datetime.UTC)
    assert (last.date(), last.time()) == (due, datetime.time(23, 59, 59))
    listed = sm.list_secrets(Filters=[{"Key": "name", "Values": [name]}])["SecretList"][0]
    assert listed["RotationLambdaARN"] == function(database.functions)


def test_two_users_take_turns(sm, database):
    name = user(sm, database, masterarn=administrator(sm, database))
    seen = []
    for _ in range(3):
        version = rotate(sm, name, f"{database.functions}-alternating")
        before = value(sm, name)
        current = settled(sm, name, version)
        seen.append(current["username"])
        assert works(database, current) and works(database, before)
        assert value(sm, name, "AWSPREVIOUS") == before
    assert seen == [f"{name}_clone", name, f"{name}_clone"]


def test_rotation_goes_over_verified_tls(own_server, database, tmp_path):
    authority = tmp_path / "ca.pem"
    authority.write_bytes((database.folder / "ca.pem").read_bytes())
    config = tmp_path / "keystead.toml"
    config.write_text(f'[rotation]\nauthorities = "{authority}"\n')
    own_server.start("--config", str(config))
    sm = own_server.client("secretsmanager")
    name = user(sm, database, host="localhost", ssl=True)
    current = settled(sm, name, rotate(sm, name, database.functions))
    assert works(database, current)
    kept_secret(own_server, current["password"])
    # A certificate that is for another name is nobody's.
    wrong = user(sm, database, ssl=True)
    rotate(sm, wrong, database.functions)
    until("it waits", lambda: "can't be reached" in "".join(own_server.said))
    assert pending(sm, wrong) and database.logs_in(wrong, FIRST)
    kept_secret(own_server, FIRST)


def test_who_rotates_must_be_able_to_read_the_administrator(server, sm, mariadb):
    master = administrator(sm, mariadb)
    name = user(sm, mariadb, masterarn=master)
    caller = User(server, on("secretsmanager:RotateSecret"))
    with pytest.raises(ClientError) as refused:
        rotate(caller.client("secretsmanager"), name, "mariadb-alternating")
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert "secretsmanager:GetSecretValue" in refused.value.response["Error"]["Message"]
    caller.may(on("secretsmanager:RotateSecret"), on("secretsmanager:GetSecretValue", resource=master))
    version = rotate(caller.client("secretsmanager"), name, "mariadb-alternating")
    assert works(mariadb, settled(sm, name, version))


def test_rules_are_checked_in_words(sm, mariadb):
    name = user(sm, mariadb)
    for rules, words in [
        ({"ScheduleExpression": "rate(3 hours)"}, "every 4 hours"),
        ({"ScheduleExpression": "cron(5 0 * * ? *)"}, "minutes must be 0"),
        ({"ScheduleExpression": "rate(1 day)", "AutomaticallyAfterDays": 1}, "not both"),
        ({"ScheduleExpression": "rate(4 hours)", "Duration": "5h"}, "into the next one"),
    ]:
        with pytest.raises(ClientError) as refused:
            rotate(sm, name, "mariadb", RotationRules=rules)
        error = refused.value.response["Error"]
        assert error["Code"] == "InvalidParameterException" and words in error["Message"]
    assert rotated_by_rate(sm, mariadb) == {"AutomaticallyAfterDays": 10, "ScheduleExpression": "rate(10 days)"}
    rules = {"ScheduleExpression": "cron(0 16 1,15 * ? *)", "Duration": "2h"}
    rotate(sm, name, "mariadb", RotationRules=rules, RotateImmediately=False)
    described = sm.describe_secret(SecretId=name)
    assert described["RotationRules"] == rules
    last = described["NextRotationDate"].astimezone(datetime.UTC)
    assert last.day in (1, 15) and last.time() == datetime.time(17, 59, 59)
    assert mariadb.logs_in(name, FIRST) and not pending(sm, name)


def rotated_by_rate(sm, mariadb):
    """The rules as they are shown after a rotation."""
    name = user(sm, mariadb)
    settled(sm, name, rotate(sm, name, "mariadb", RotationRules={"ScheduleExpression": "rate(10 days)"}))
    return sm.describe_secret(SecretId=name)["RotationRules"]


def test_what_can_not_be_rotated_is_refused(sm, mariadb):
    name = user(sm, mariadb)
    refusals = [
        (lambda: sm.rotate_secret(SecretId=unique()), "ResourceNotFoundException"),
        (lambda: sm.cancel_rotate_secret(SecretId=unique()), "ResourceNotFoundException"),
        (lambda: sm.rotate_secret(SecretId=name), "InvalidRequestException"),
        (lambda: sm.cancel_rotate_secret(SecretId=name), "InvalidRequestException"),
        (lambda: rotate(sm, name, "oracle"), "AccessDeniedException"),
        (lambda: rotate(sm, name, "command-none"), "AccessDeniedException"),
    ]
    for call, code in refusals:
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == code
    sm.delete_secret(SecretId=name)
    for call in (lambda: rotate(sm, name, "mariadb"), lambda: sm.cancel_rotate_secret(SecretId=name)):
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == "InvalidRequestException"


def test_a_partner_that_is_not_reached_is_refused(sm):
    name = unique()
    sm.create_secret(Name=name, Type="SalesforceClientSecret", SecretString="{}")
    role = f"arn:aws:iam::{ACCOUNT}:role/rotation"
    metadata = [{"Key": "apiVersion", "Value": "v65.0"}]
    for more in ({"ExternalSecretRotationRoleArn": role}, {"ExternalSecretRotationMetadata": metadata}, {}):
        with pytest.raises(ClientError) as refused:
            sm.rotate_secret(SecretId=name, RotationRules={"AutomaticallyAfterDays": 1}, **more)
        assert refused.value.response["Error"]["Code"] == "InvalidRequestException"
    described = sm.describe_secret(SecretId=name)
    assert described["Type"] == "SalesforceClientSecret" and "RotationEnabled" not in described


def test_rotation_is_turned_off(sm, mariadb):
    name = user(sm, mariadb)
    settled(sm, name, rotate(sm, name, "mariadb"))
    answer = sm.cancel_rotate_secret(SecretId=name)
    assert answer["Name"] == name and "VersionId" not in answer
    described = sm.describe_secret(SecretId=name)
    assert described["RotationEnabled"] is False and "NextRotationDate" not in described
    assert described["RotationLambdaARN"] == function("mariadb")


def test_a_password_file_is_replaced(own_server, tmp_path):
    users = tmp_path / "users"
    subprocess.run(["htpasswd", "-b", "-c", "-B", str(users), "ann", FIRST], check=True, capture_output=True)
    config = tmp_path / "keystead.toml"
    config.write_text(f'[rotation.password_files]\nweb = "{users}"\n')
    own_server.start("--config", str(config))
    sm = own_server.client("secretsmanager")
    sm.create_secret(Name="web", SecretString=json.dumps({"username": "ann", "password": FIRST}))
    current = settled(sm, "web", rotate(sm, "web", "password-file-web"))

    def accepts(password):
        checked = subprocess.run(["htpasswd", "-v", "-b", str(users), "ann", password], capture_output=True)
        return checked.returncode == 0

    assert accepts(current["password"]) and not accepts(FIRST)
    kept_secret(own_server, current["password"])


def test_a_restored_database_is_repaired(own_server, mariadb, tmp_path):
    own_server.start()
    sm = own_server.client("secretsmanager")
    name = user(sm, mariadb)
    settled(sm, name, rotate(sm, name, "mariadb"))
    mariadb.sql(f"SET PASSWORD FOR {name}@'127.0.0.1' = PASSWORD('Older-Than-All-0')")
    version = rotate(sm, name, "mariadb")
    until("it is stuck", lambda: "nor AWSPREVIOUS logs in" in "".join(own_server.said))
    password = tmp_path / "root"
    password.write_text(mariadb.password + "\n")
    where = ["--data-dir", str(own_server.data)]
    repair = ["secret", "repair", name, "--administrator", "root", "--password-file", str(password), *where]
    assert "again" in own_server.run(*repair).stdout
    assert works(mariadb, settled(sm, name, version))
    assert "nothing to repair" in own_server.run(*repair).stdout


class Matrix:
    """A rotation through a wire on which something dies at the Nth piece, before it or after."""

    def __init__(self, server, database):
        self.server, self.database = server, database
        self.wire = Wire(database.port)
        # Ends the silence of lines that were cut without anybody's knowing.
        self.over = threading.Event()
        self.server.start()
        self.sm = server.client("secretsmanager")
        self.elapsed = datetime.timedelta(0)
        self.administrator = self.sm.create_secret(
            Name=unique("admin"),
            SecretString=json.dumps(database.secret(database.administrator, database.password, port=self.wire.port)),
        )["ARN"]

    def restart_server(self):
        """Without waiting for the lease of the dead to end."""
        self.server.kill()
        self.elapsed += LATER
        self.server.start(ahead=self.elapsed)
        self.sm = self.server.client("secretsmanager")

    def restart_database(self):
        self.database.kill()
        self.database.start()

    def some_label_works(self, name):
        """As a client finds it, who reads one label after the other while the rotation goes on, and reads again."""
        tries = (works(self.database, value(self.sm, name, label)) for _ in range(3) for label in LABELS)
        assert any(tries)

    def once(self, kind, nth, before, victim):
        """One rotation with one death; answers whether it came to that."""
        name = unique()
        self.database.user(name, FIRST)
        login = self.database.secret(name, FIRST, port=self.wire.port, masterarn=self.administrator)
        self.sm.create_secret(Name=name, SecretString=json.dumps(login))
        dead = threading.Event()

        def die():
            if victim == "server":
                self.server.process.kill()
            if victim == "database":
                self.database.kill()
            dead.set()
            if victim == "silence":
                self.over.wait()

        self.wire.arm(nth, before, die)
        version = rotate(self.sm, name, kind)
        with contextlib.suppress(ClientError, BotoCoreError):
            until("it dies, or ends", lambda: dead.is_set() or not pending(self.sm, name), 60)
        # The last piece may come when the rotation has ended already.
        assert not self.wire.disarm() or dead.wait(60)
        if dead.is_set() and victim == "server":
            self.server.process.wait()
            self.restart_server()
        if dead.is_set() and victim == "database":
            self.database.start()
        self.some_label_works(name)
        current = settled(self.sm, name, version)
        assert works(self.database, current)
        return dead.is_set()


@pytest.mark.parametrize("victim", ["wire", "server", "database"])
@pytest.mark.parametrize("kind", ["", "-alternating"])
def test_whatever_dies_a_label_logs_in_and_the_rotation_ends(own_server, database, kind, victim):
    matrix = Matrix(own_server, database)
    died = 0
    for before in (True, False):
        nth = 1
        while matrix.once(database.functions + kind, nth, before, victim):
            died += 1
            nth += STEP
    print(f"{died} deaths of the {victim}")
    assert died >= 2
    matrix.wire.close()
    assert FIRST not in "".join(own_server.said)


def test_a_line_that_goes_silent_keeps_no_locks(own_server, database):
    """Neither side hears that the other is gone, as with a cable that is cut: what the server had begun must end by itself."""
    matrix = Matrix(own_server, database)
    kind = f"{database.functions}-alternating"
    try:
        assert not matrix.once(kind, 0, True, "silence")
        pieces = matrix.wire.pieces
        # A tenth of a minute passes at each, so that STEP thins them out more.
        chosen = range(1, pieces + 1, max(1, pieces * STEP // 12))
        for nth in chosen:
            assert matrix.once(kind, nth, nth % 2 == 0, "silence")
        print(f"{len(chosen)} silences in {pieces} pieces")
    finally:
        matrix.over.set()
        matrix.wire.close()


def test_a_client_of_two_users_is_never_refused(sm, database):
    name = user(sm, database, masterarn=administrator(sm, database))
    stop, refused, tried = threading.Event(), [], [0, 0]

    def hammer(number):
        while not stop.is_set():
            login = value(sm, name)
            if not works(database, login):
                refused.append(login["username"])
            tried[number] += 1

    clients = [threading.Thread(target=hammer, args=(number,)) for number in range(2)]
    for client in clients:
        client.start()
    try:
        for _ in range(HAMMERED):
            settled(sm, name, rotate(sm, name, f"{database.functions}-alternating"))
            # What a client has read is good until the rotation after the next: nobody is slower than that.
            seen = list(tried)
            until("every client has read again", lambda: all(now > then + 1 for now, then in zip(tried, seen)))
    finally:
        stop.set()
        for client in clients:
            client.join()
    print(f"{sum(tried)} connections over {HAMMERED} rotations")
    assert sum(tried) > 2 * HAMMERED and refused == []


def test_a_client_of_one_user_finds_the_new_password(sm, mariadb):
    """As the caching libraries do: on a refusal it asks again, and for the pending one where there is one."""
    name = user(sm, mariadb)
    stop, lost = threading.Event(), []

    def hammer():
        login = value(sm, name)
        while not stop.is_set():
            if works(mariadb, login):
                continue
            for _ in range(20):
                candidates = [value(sm, name, label) for label in LABELS]
                login = next((one for one in candidates if works(mariadb, one)), None)
                if login:
                    break
            else:
                lost.append(name)
                return

    client = threading.Thread(target=hammer)
    client.start()
    try:
        for _ in range(HAMMERED):
            settled(sm, name, rotate(sm, name, "mariadb"))
    finally:
        stop.set()
        client.join()
    assert lost == []
