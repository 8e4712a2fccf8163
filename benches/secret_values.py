"""What Secrets Manager does in a second, with signature, policy, KMS and audit on, beside what this machine can do meanwhile.

`cargo xtask bench secrets` builds the release binary and runs this. As in `bench.py` no figure stands alone: the limit of each is
measured in the same round, and the ratio is taken within it. GetSecretValue stands beside the bare answer of the same HTTP
stack. PutSecretValue, which is durable when it is answered, stands beside so many calls as there are connections for each
fdatasync of the same file system: what it would be if nothing but the disk took time, and every sync were shared by all. Listing
goes through every secret page by page; its memory is what the server has more after it than before, and its first and its last page
are timed apart. Rotations that are all due at once are those of a command that takes its time: what is told is how fast they go,
how many run at the same time, and what a reading of a secret takes meanwhile beside what it takes afterwards.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import statistics
import sys
import tempfile
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "python")]

from callers import Caller  # noqa: E402
from measure import resident_mib, syncs, wrk  # noqa: E402
from server import REGION, Server  # noqa: E402
from signing import Request, sign, unsigned  # noqa: E402

VALUE = '{"engine":"mariadb","host":"db.example.internal","username":"app","password":"' + "x" * 32 + '"}'
# What each operation aims at, as a part of its limit.
AIMS = {"GetSecretValue": 0.5, "PutSecretValue": 1 / 3}
# Secrets that values are put to in turn: each gets few of the versions that it may have.
PUT_TO = 1000


class Secrets:
    """Keystead, with secrets to read and to write."""

    def __init__(self, folder):
        self.server = Server(folder).start()
        self.folder = folder
        self.caller = Caller(self.server)
        self.caller.call("secretsmanager", "CreateSecret", Name="read", SecretString=VALUE)
        self.made = 0
        self.fill(PUT_TO)

    def signed(self, operation, parameters):
        server = self.server
        request = unsigned("secretsmanager", operation, parameters=parameters)
        return sign(request, "secretsmanager", server.host, server.key_id, server.secret)

    def read(self, seconds, connections):
        return wrk(self.server, self.signed("GetSecretValue", {"SecretId": "read"}), seconds, self.folder, connections)

    def put(self, seconds, connections):
        # Without a token each call makes a version.
        requests = [self.signed("PutSecretValue", {"SecretId": f"s{number:06}", "SecretString": VALUE}) for number in range(PUT_TO)]
        return wrk(self.server, requests, seconds, self.folder, connections)

    def bare(self, seconds, connections):
        return wrk(self.server, Request("GET", "/health", {}, None), seconds, self.folder, connections)

    def fill(self, count):
        """Makes secrets until there are so many beside the first."""
        local = threading.local()

        def make(number):
            if not hasattr(local, "caller"):
                local.caller = Caller(self.server)
            local.caller.call("secretsmanager", "CreateSecret", Name=f"s{number:06}", SecretString=VALUE)

        with concurrent.futures.ThreadPoolExecutor(8) as workers:
            for _ in workers.map(make, range(self.made, count)):
                pass
        self.made = max(self.made, count)

    def list_all(self):
        """How many secrets are listed, and the seconds that each page took."""
        # Of its own: the server has hung up on whoever was silent while the secrets were made.
        caller = Caller(self.server)
        listed, pages, more = 0, [], {}
        while True:
            begun = time.monotonic()
            page = caller.call("secretsmanager", "ListSecrets", MaxResults=100, **more)
            listed += len(page["SecretList"])
            pages.append(time.monotonic() - begun)
            if "NextToken" not in page:
                return listed, pages
            more = {"NextToken": page["NextToken"]}


def row(name, measured, beside=""):
    p50, p99 = f"{measured.p50:.2f}", f"{measured.p99:.2f}"
    print(f"{name:18}{measured.rate:>9,.0f}{p50:>9}{p99:>9}{measured.cores:>7.2f}  {beside}", flush=True)
    if measured.failed:
        sys.exit(f"{measured.failed} requests failed: these figures mean nothing")


def rounds(secrets, chosen):
    ratios = {}
    print(f"{'':18}{'a second':>9}{'p50 ms':>9}{'p99 ms':>9}{'cores':>7}  ratio to its limit of the same round")
    for number in range(1, chosen.rounds + 1):
        for connections in chosen.connections:
            bare, sync_rate = secrets.bare(chosen.seconds, connections), syncs(secrets.folder)
            print(f"-- round {number}, {connections} connections, {sync_rate:,.0f} fdatasync a second")
            row("bare answer", bare)
            limits = {"GetSecretValue": ("bare", bare.rate), "PutSecretValue": ("shared syncs", sync_rate * connections)}
            for name, call in (("GetSecretValue", secrets.read), ("PutSecretValue", secrets.put)):
                measured, (kind, limit) = call(chosen.seconds, connections), limits[name]
                ratios.setdefault((connections, name, kind), []).append(measured.rate / limit)
                row(name, measured, f"{measured.rate / limit:.2f} of {kind}")
    print("-- medians of the rounds")
    for (connections, name, kind), found in ratios.items():
        print(f"{name} / {kind}, {connections} connections: {statistics.median(found):.2f} (aim: {AIMS[name]:.2f})", flush=True)


def listing(secrets, count):
    secrets.fill(count)
    pid = secrets.server.process.pid
    before = resident_mib(pid)
    listed, pages = secrets.list_all()
    grown = resident_mib(pid) - before
    print(f"-- {listed:,} secrets listed in {len(pages):,} pages and {sum(pages):.1f} s; {before:.0f} MiB before, {grown:+.1f} MiB after")
    # Ten at each end: one alone is a matter of luck.
    first, last = (1000 * statistics.median(some) for some in (pages[:10], pages[-10:]))
    print(f"   a page of 100 took {first:.1f} ms at first and {last:.1f} ms at last")
    if listed != count + 1:
        sys.exit(f"{count + 1:,} secrets were to be listed")


# Says that nothing can be reached until the gate is open; then it takes every password, and a while for each.
ROTATOR = """#!/bin/sh
read -r question
[ -e {folder}/gate ] || {{ echo '{{"outcome":"unreachable"}}'; exit; }}
/bin/sleep 0.02
echo '{{"outcome":"done"}}'
"""
# Between two looks at how many run.
LOOK_SECONDS = 0.05
# After which the rotations that are left are told, and not waited for.
ROTATION_SECONDS = 300


class Readings:
    """Reads one secret after the other, on one connection, and keeps what each took in milliseconds."""

    def __init__(self, server):
        self.caller, self.stop, self.took = Caller(server), threading.Event(), []
        self.thread = threading.Thread(target=self.read)

    def read(self):
        while not self.stop.is_set():
            begun = time.monotonic()
            self.caller.call("secretsmanager", "GetSecretValue", SecretId="read")
            self.took.append(1000 * (time.monotonic() - begun))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def __str__(self):
        cuts = statistics.quantiles(self.took, n=100)
        return f"p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms, most {max(self.took):.1f} ms"


def children(pid):
    """How many processes that it started are running."""
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
    return sum(len(task.read_text().split()) for task in tasks)


def rotated(server):
    """How many rotations the server has ended."""
    with urllib.request.urlopen(f"{server.endpoint}/metrics") as answer:
        found = re.search(r"^keystead_rotations_total (\d+)", answer.read().decode(), re.M)
    return int(found[1]) if found else 0


def rotations(folder, count):
    """So many rotations, all due at once: as after an outage of what they go to, and of Keystead itself."""
    rotator, config = folder / "rotator", folder / "keystead.toml"
    rotator.write_text(ROTATOR.format(folder=folder))
    rotator.chmod(0o755)
    config.write_text(f'[rotation.commands.bench]\ncommand = ["{rotator}"]\n')
    server = Server(folder, "--config", str(config)).start()
    try:
        begun = time.monotonic()
        fill_due(server, count)
        filled = time.monotonic() - begun
        server.stop()
        # No wait between two attempts is longer than the attempts have been going on.
        time.sleep(filled)
        server.start()
        print(f"-- {count:,} rotations due at once")
        (folder / "gate").touch()
        most, begun = 0, time.monotonic()
        with Readings(server) as beside:
            while (ended := rotated(server)) < count and time.monotonic() - begun < ROTATION_SECONDS:
                most = max(most, children(server.process.pid))
                time.sleep(LOOK_SECONDS)
        seconds = time.monotonic() - begun
        with Readings(server) as after:
            time.sleep(3)
        print(f"   {ended:,} in {seconds:.0f} s, {ended / seconds:.0f} a second, at most {most} at a time")
        print(f"   a reading took {beside} meanwhile, and {after} afterwards")
    finally:
        server.kill()


def fill_due(server, count):
    function = f"arn:aws:lambda:{REGION}:{server.account}:function:keystead-rotate-command-bench"
    local = threading.local()

    def turn_on(number):
        if not hasattr(local, "caller"):
            local.caller = Caller(server)
        name = f"r{number:06}"
        local.caller.call("secretsmanager", "CreateSecret", Name=name, SecretString='{"username":"u","password":"p"}')
        more = {"RotationLambdaARN": function, "RotationRules": {"AutomaticallyAfterDays": 1}}
        local.caller.call("secretsmanager", "RotateSecret", SecretId=name, **more)

    Caller(server).call("secretsmanager", "CreateSecret", Name="read", SecretString=VALUE)
    with concurrent.futures.ThreadPoolExecutor(8) as workers:
        for _ in workers.map(turn_on, range(count)):
            pass


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=3, help="length of each run of wrk")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64])
    options.add_argument("--rotations", type=int, default=10_000, help="how many are due at once")
    options.add_argument("--secrets", type=int, default=100_000, help="how many are listed")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("KEYSTEAD_BENCH_DIR")) as name:
        secrets = Secrets(pathlib.Path(name))
        try:
            if chosen.rounds:
                rounds(secrets, chosen)
            listing(secrets, chosen.secrets)
        finally:
            secrets.server.kill()
    with tempfile.TemporaryDirectory(dir=os.environ.get("KEYSTEAD_BENCH_DIR")) as name:
        rotations(pathlib.Path(name), chosen.rotations)


if __name__ == "__main__":
    main()
