"""The real server is killed under a load of KMS: no key that was acknowledged is lost, no ciphertext becomes unreadable."""

import base64
import itertools
import random
import secrets
import threading

from callers import Caller, cut_off

ROUNDS = 25
TEXT = base64.b64encode(b"kept").decode()


class Load:
    """What was acknowledged, over all rounds."""

    def __init__(self):
        self.lock = threading.Lock()
        self.keys = {}  # id -> rotations that were acknowledged
        self.ciphertexts = []  # (key, ciphertext)
        self.aliases = {}  # name -> key
        self.disabled = set()

    def work(self, caller, stop):
        steps = (self.create, self.encrypt, self.rotate, self.encrypt, self.name, self.disable)
        for step in itertools.cycle(steps):
            if stop.is_set() or not step(caller):
                return

    def create(self, caller):
        answer = caller.call("kms", "CreateKey")
        if answer is None:
            return False
        caller.last = answer["KeyMetadata"]["KeyId"]
        with self.lock:
            self.keys[caller.last] = 0
        return True

    def encrypt(self, caller):
        answer = caller.call("kms", "Encrypt", KeyId=caller.last, Plaintext=TEXT)
        if answer is not None:
            with self.lock:
                self.ciphertexts.append((caller.last, answer["CiphertextBlob"]))
        return answer is not None

    def rotate(self, caller):
        answer = caller.call("kms", "RotateKeyOnDemand", KeyId=caller.last)
        if answer is not None:
            with self.lock:
                self.keys[caller.last] += 1
        return answer is not None

    def name(self, caller):
        name = f"alias/{secrets.token_hex(8)}"
        answer = caller.call("kms", "CreateAlias", AliasName=name, TargetKeyId=caller.last)
        if answer is not None:
            with self.lock:
                self.aliases[name] = caller.last
        return answer is not None

    def disable(self, caller):
        answer = caller.call("kms", "DisableKey", KeyId=caller.last)
        if answer is not None:
            with self.lock:
                self.disabled.add(caller.last)
        return answer is not None


def check(caller, load):
    """Every key is what it was said to be, under every name, and opens all that it sealed."""
    for name, key in load.aliases.items():
        assert caller.call("kms", "DescribeKey", KeyId=name)["KeyMetadata"]["KeyId"] == key
    for key, rotations in load.keys.items():
        described = caller.call("kms", "DescribeKey", KeyId=key)["KeyMetadata"]
        if key in load.disabled:
            assert described["KeyState"] == "Disabled"
        listed = caller.call("kms", "ListKeyRotations", KeyId=key)["Rotations"]
        # One that was not acknowledged may have been made all the same.
        assert rotations <= len(listed) <= rotations + 1
        if described["KeyState"] == "Disabled":
            caller.call("kms", "EnableKey", KeyId=key)
    load.disabled.clear()
    for key, ciphertext in load.ciphertexts:
        opened = caller.call("kms", "Decrypt", CiphertextBlob=ciphertext)
        assert opened["Plaintext"] == TEXT and opened["KeyId"].endswith(key)


def test_no_key_that_was_acknowledged_is_lost(own_server):
    own_server.start()
    load = Load()
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        cut_off(own_server, load, chance)
        own_server.start()
        check(Caller(own_server), load)
    assert len(load.ciphertexts) > 3 * ROUNDS, "the load was too light to say anything"
    verified = own_server.run("audit", "verify", "--data-dir", str(own_server.data), check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr
