"""What agents and Envoys cost, on their machines and at the server.

`cargo xtask bench delivery` builds the release binary and runs this:

- one agent with few placements and with many: memory, CPU while nothing happens, time from a change to the file;
- one server at which many agents wait (a connection each): memory for each, time until the last has heard of a change;
- the same with streams of Envoys: time until the last has a renewed certificate.

The last two stand beside the bare fan-out of the same stack: as many connections, each asked for `/health` and read, by the same
client in the same process, which is one thread of Python and so the larger part of the time.

`--many 10000` is the size of one server that is spoken of; the default is 2,000.
"""

import argparse
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "python")]

import authorities  # noqa: E402
from agents import Home  # noqa: E402
from envoys import bootstrap  # noqa: E402
from machines import Machine  # noqa: E402
from measure import cpu_seconds, resident_mib  # noqa: E402
from server import BINARY, Server  # noqa: E402
from streams import Streams  # noqa: E402
from test_acm import issued  # noqa: E402
from test_placements import Crowd, waiting_calls  # noqa: E402
from waiting import until  # noqa: E402

IDLE_SECONDS = 10
PATIENCE = 300
# Streams that are there before memory is looked at: what the first of them cost is not each one's.
FIRST = 50
FIRST_USER, OF_A_USER = 60_001, 4_000


class Running:
    """A machine whose agent is the program as users run it."""

    def __init__(self, server, folder, placements):
        self.server, self.folder, self.files = server, folder, folder / "files"
        self.files.mkdir(parents=True)
        self.machine = Machine(server, folder)
        self.machine.joined("secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue")
        sm = server.client("secretsmanager")
        self.secrets = [sm.create_secret(Name=f"bench/{n}", SecretString="first")["ARN"] for n in range(placements)]
        self.config = folder / "agent.toml"
        places = [f'[[place]]\nname = "p{n}"\nsecret = "{arn}"\nfiles = [{{ write = "secret", to = "{self.files}/{n}" }}]\n' for n, arn in enumerate(self.secrets)]
        self.config.write_text(f"state = {json.dumps(str(self.machine.state))}\n" + "".join(places))
        self.process = None

    def start(self):
        """How long it took until all files were there."""
        began = time.monotonic()
        command = [BINARY, "agent", "run", "--config", self.config]
        self.process = subprocess.Popen(command, env=self.machine.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("all files", lambda: len(os.listdir(self.files)) == len(self.secrets), PATIENCE)
        return time.monotonic() - began

    def change(self):
        """Seconds from the call with a new value to the file that has it."""
        arn, file = self.secrets[-1], self.files / str(len(self.secrets) - 1)
        sm, began = self.server.client("secretsmanager"), time.monotonic()
        sm.put_secret_value(SecretId=arn, SecretString="second")
        until("the change", lambda: file.read_text() == "second", PATIENCE)
        return time.monotonic() - began

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()


def known(own):
    """How many placements the server knows."""
    count, more = 0, {}
    while True:
        page = own.list_placements(**more)
        count += len(page["Placements"])
        if "NextToken" not in page:
            return count
        more = {"NextToken": page["NextToken"]}


def one_agent(server, folder, placements):
    running = Running(server, folder, placements)
    try:
        placed = running.start()
        own = server.client("keystead")
        until("the server to know all", lambda: known(own) == placements, PATIENCE)
        before = cpu_seconds(running.process.pid)
        # The measured span: nothing happens in it.
        time.sleep(IDLE_SECONDS)
        share = (cpu_seconds(running.process.pid) - before) / IDLE_SECONDS
        memory, changed = resident_mib(running.process.pid), running.change()
        print(
            f"an agent with {placements:,} placements: {memory:.1f} MiB, {share:.2%} of a core while idle; all placed within"
            f" {placed:.1f} s, a change within {changed * 1000:.0f} ms",
            flush=True,
        )
    finally:
        running.stop()


def bare(server, count):
    """Seconds in which so many connections are each asked for /health and read."""
    host, port = server.host.split(":")
    sockets = [socket.create_connection((host, int(port)), timeout=60) for _ in range(count)]
    began = time.monotonic()
    for one in sockets:
        one.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    for one in sockets:
        one.recv(4096)
    took = time.monotonic() - began
    for one in sockets:
        one.close()
    return took


def many_agents(server, count):
    home = Home(server, server.client("acm-pca"), "Bench")
    home.may("secretsmanager:DescribeSecret")
    client, sm = home.join(Name="bench").client("keystead"), server.client("secretsmanager")
    arn = sm.create_secret(Name="bench/fan-out", SecretString="one")["ARN"]
    (known,) = client.await_changes(Resources=[{"Arn": arn}], WaitSeconds=0)["Changes"]
    crowd = Crowd(server, client, [{"Arn": arn, "Version": known["Version"]}])
    crowd.come(FIRST)
    until("the first to wait", lambda: waiting_calls(server) == FIRST, PATIENCE)
    before = resident_mib(server.process.pid)
    crowd.come(count)
    until("all to wait", lambda: waiting_calls(server) == count + FIRST, PATIENCE)
    each = (resident_mib(server.process.pid) - before) * 1024 / count
    version = sm.put_secret_value(SecretId=arn, SecretString="two")["VersionId"]
    answers, took = crowd.answers()
    if any(answer["Changes"][0]["Version"] != version for _, answer in answers):
        sys.exit("not all were told of the change: these figures mean nothing")
    beside(f"{count:,} waiting agents", each, took, bare(server, count), count)


def node(server, user, certificate):
    """Registers this user's Envoy; its name."""
    name = f"bench-{user}"
    printed = bootstrap(server, name, certificate, "127.0.0.1:1", "--uid", str(user))
    return json.loads(printed)["node"]["id"]


def many_envoys(server, count):
    acm, pca = server.client("acm"), server.client("acm-pca")
    root = authorities.grant(pca, authorities.root(pca, "Streams"))
    certificate = issued(acm, root, "streams.example.internal", KeyAlgorithm="EC_prime256v1")
    path = json.loads((server.data / "client.json").read_text())["xds_socket"]
    # One user may have 4,096 streams: many machines' Envoys are imitated by several users of this one.
    users = [FIRST_USER + number for number in range(-(-count // OF_A_USER))]
    nodes = {user: node(server, user, certificate) for user in users}
    streams = Streams()

    def come(count, user):
        os.seteuid(user)
        try:
            streams.come(count, path, nodes[user], certificate)
        finally:
            os.seteuid(0)

    try:
        come(FIRST, users[0])
        streams.until(1, PATIENCE)
        before = resident_mib(server.process.pid)
        for user in users:
            come(count // len(users), user)
            streams.until(1, PATIENCE)
        each = (resident_mib(server.process.pid) - before) * 1024 / count
        acm.renew_certificate(CertificateArn=certificate)
        took = streams.until(2, PATIENCE)
    finally:
        streams.close()
    beside(f"{count:,} streams of Envoys", each, took, bare(server, count), count)


def beside(what, each, took, limit, count):
    print(
        f"{what}: {each:.1f} KiB of the server's memory each; the last has heard of a change after {took:.2f} s,"
        f" {count / took:,.0f} a second: {limit / took:.2f} of the bare fan-out ({limit:.2f} s)",
        flush=True,
    )


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--placements", type=int, default=1000, help="of one agent")
    options.add_argument("--many", type=int, default=2000, help="agents and streams at one server")
    chosen = options.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if os.getuid():
        sys.exit("many users' Envoys are imitated: this has to be run as root")
    with tempfile.TemporaryDirectory(dir=os.environ.get("KEYSTEAD_BENCH_DIR")) as place:
        folder = pathlib.Path(place)
        # The other users have to come to the socket; the data directories let nobody in.
        folder.chmod(0o755)
        for number, placements in enumerate((3, chosen.placements)):
            server = Server(folder / f"server{number}").start()
            one_agent(server, folder / f"machine{number}", placements)
            server.kill()
        config = folder / "keystead.toml"
        config.write_text(f'xds_socket = "{folder}/sds.sock"\n')
        server = Server(folder / "server", "--config", str(config)).start()
        try:
            many_agents(server, chosen.many)
            many_envoys(server, chosen.many)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
