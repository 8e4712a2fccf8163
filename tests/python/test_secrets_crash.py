"""The real server is killed under a load of Secrets Manager: no value that was acknowledged is lost, and labels are whole."""

import itertools
import random
import secrets
import threading
import uuid

from callers import Caller, cut_off

ROUNDS = 15
AWAY = "eu-west-1"


class Load:
    """What was acknowledged, over all rounds."""

    def __init__(self):
        self.lock = threading.Lock()
        self.current = {}  # name -> the value that was acknowledged last
        self.possible = {}  # name -> the value whose call was cut off
        self.deleted = set()

    def work(self, caller, stop):
        for step in itertools.cycle((self.create, self.put, self.put, self.update, self.create, self.delete)):
            if stop.is_set() or not step(caller):
                return

    def call(self, caller, operation, name, value, **more):
        """A call that makes this the current value, if it comes to its end."""
        with self.lock:
            self.possible[name] = value
        answer = caller.call("secretsmanager", operation, SecretString=value, ClientRequestToken=str(uuid.uuid4()), **more)
        if answer is None:
            return False
        with self.lock:
            self.current[name] = self.possible.pop(name)
        return True

    def create(self, caller):
        caller.last = secrets.token_hex(8)
        regions = [{"Region": AWAY}] if len(self.current) % 3 == 0 else None
        more = {"AddReplicaRegions": regions} if regions else {}
        return self.call(caller, "CreateSecret", caller.last, secrets.token_hex(8), Name=caller.last, **more)

    def put(self, caller):
        return self.call(caller, "PutSecretValue", caller.last, secrets.token_hex(8), SecretId=caller.last)

    def update(self, caller):
        return self.call(caller, "UpdateSecret", caller.last, secrets.token_hex(8), SecretId=caller.last, Description="d")

    def delete(self, caller):
        caller.call("secretsmanager", "RemoveRegionsFromReplication", SecretId=caller.last, RemoveReplicaRegions=[AWAY])
        answer = caller.call("secretsmanager", "DeleteSecret", SecretId=caller.last, RecoveryWindowInDays=7)
        if answer is not None:
            with self.lock:
                self.deleted.add(caller.last)
        return answer is not None


def check(server, caller, load):
    """Every secret that was acknowledged is there with its last value, or with the one that was on its way."""
    away = server.client("secretsmanager", AWAY)
    for name, value in load.current.items():
        described = caller.call("secretsmanager", "DescribeSecret", SecretId=name)
        stages = described["VersionIdsToStages"]
        flat = sorted(stage for each in stages.values() for stage in each)
        assert flat in (["AWSCURRENT"], ["AWSCURRENT", "AWSPREVIOUS"])
        if "DeletedDate" in described:
            continue
        assert name not in load.deleted
        read = caller.call("secretsmanager", "GetSecretValue", SecretId=name)
        assert read["SecretString"] in (value, load.possible.get(name))
        if "ReplicationStatus" in described:
            replica = away.get_secret_value(SecretId=name)
            assert (replica["SecretString"], replica["VersionId"]) == (read["SecretString"], read["VersionId"])
    load.possible.clear()
    for name in load.current:
        described = caller.call("secretsmanager", "DescribeSecret", SecretId=name)
        if "DeletedDate" not in described:
            load.current[name] = caller.call("secretsmanager", "GetSecretValue", SecretId=name)["SecretString"]


def test_no_acknowledged_value_is_lost(own_server):
    load, chance = Load(), random.Random(6)
    own_server.start()
    own_server.client("secretsmanager").create_secret(Name="first", SecretString="makes the service's key")
    for _ in range(ROUNDS):
        cut_off(own_server, load, chance)
        own_server.start()
        check(own_server, Caller(own_server), load)
    assert len(load.current) > ROUNDS
