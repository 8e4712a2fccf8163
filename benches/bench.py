"""What Keystead does in a second, beside what this machine can do in the same seconds.

`cargo xtask bench` builds the release binary and runs this. Cores drift from minute to minute, so no figure
stands alone: in every round each limit is measured next to the figure that it limits, and the ratios are
taken within the round. The limits:

- `P-256 signatures`: OpenSSL on one core, `openssl speed -seconds 1 ecdsap256`
- `bare answer`: GET /health of the same server, so the same HTTP stack without authentication or store
- `fdatasync`: 4 KiB appended and synced, one after the other, on the same file system

IssueCertificate answers when the certificate is intended and durable; it is signed and stored right after, and
at most 64 are on the way, so that what a run of seconds answers it also stores.

wrk drives 8 connections with requests that botocore signed; a signature is good for five minutes.

`--peers` has OpenBao's CA (out of the package registry; raft on disk, audit file on) sign the same request, and store what
it signed, between two runs of ours.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "python")]

import authorities  # noqa: E402
import peers  # noqa: E402
from measure import CONNECTIONS, resident_mib, signatures, syncs, wrk  # noqa: E402
from server import BINARY, Server  # noqa: E402
from signing import Request, sign, unsigned  # noqa: E402

POLICIES = 1000


class Bench:
    def __init__(self, server, folder, seconds):
        self.server, self.folder, self.seconds = server, folder, seconds
        self.pca = server.client("acm-pca")
        self.root = authorities.root(self.pca, "Bench")
        self.csr, _ = authorities.request("bench.example.internal", alternatives=["bench.example.internal"])

    def signed(self, service, operation, parameters):
        server = self.server
        request = unsigned(service, operation, parameters=parameters)
        return sign(request, service, server.host, server.key_id, server.secret)

    def issue(self, seconds=None):
        parameters = {
            "CertificateAuthorityArn": self.root,
            "Csr": self.csr,
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Validity": {"Type": "DAYS", "Value": 30},
        }
        request = self.signed("acm-pca", "IssueCertificate", parameters)
        return wrk(self.server, request, seconds or self.seconds, self.folder)

    def identity(self):
        return wrk(self.server, self.signed("sts", "GetCallerIdentity", {}), self.seconds, self.folder)

    def allowed(self, client):
        """As small a call by a user whom a policy allows it. (The id of a session's key tells its account: nothing is read.)"""
        session = self.server.client("sts").get_session_token()["Credentials"]
        request = unsigned("sts", "GetAccessKeyInfo", parameters={"AccessKeyId": session["AccessKeyId"]})
        keys = client["AccessKeyId"], client["SecretAccessKey"]
        return wrk(self.server, sign(request, "sts", self.server.host, *keys), self.seconds, self.folder)

    def bare(self):
        return wrk(self.server, Request("GET", "/health", {}, None), self.seconds, self.folder)


def user(server, policies):
    """A user with one policy, in an account that has so many."""
    iam = server.client("iam")
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:Get*", "Resource": "*"}]}
    )
    arns = [
        iam.create_policy(PolicyName=f"bench-{number}", PolicyDocument=document)["Policy"]["Arn"]
        for number in range(policies)
    ]
    iam.create_user(UserName="bench")
    iam.attach_user_policy(UserName="bench", PolicyArn=arns[-1])
    return iam.create_access_key(UserName="bench")["AccessKey"]


def row(name, measured, limit, ratio):
    p50, p99 = f"{measured.p50:.2f}", f"{measured.p99:.2f}"
    print(f"{name:22}{measured.rate:>10,.0f}{p50:>9}{p99:>9}{measured.cores:>8.2f}  {limit}: {ratio:.2f}", flush=True)


def rounds(bench, crowded, count):
    """Interleaved figures, and the medians of their ratios. `crowded` is a server with many policies."""
    ratios = {"identity": [], "issue": [], "one": [], "many": []}
    one, many = user(bench.server, 1), user(crowded.server, POLICIES)
    rates = []
    print(f"{'':22}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}{'cores':>8}  ratio to its limit of the same round")
    for number in range(1, count + 1):
        sign_rate, sync_rate = signatures(), syncs(bench.folder)
        print(f"-- round {number}: {sign_rate:,.0f} P-256 signatures a second a core, {sync_rate:,.0f} fdatasync a second")
        bare = bench.bare()
        row("bare answer", bare, "-", 1)
        identity = bench.identity()
        ratios["identity"].append(identity.rate / bare.rate)
        row("GetCallerIdentity", identity, "of the bare answer", ratios["identity"][-1])
        alone, among = bench.allowed(one), crowded.allowed(many)
        for name, measured, key in (("allowed, 1 policy", alone, "one"), (f"allowed, {POLICIES:,}", among, "many")):
            ratios[key].append(measured.rate / bare.rate)
            row(name, measured, "of the bare answer", ratios[key][-1])
        issue = bench.issue()
        ratios["issue"].append(issue.rate / (sign_rate * max(issue.cores, 0.01)))
        rates.append(issue.rate)
        row("IssueCertificate", issue, "of signatures on its cores", ratios["issue"][-1])
        failed = bare.failed + identity.failed + issue.failed + alone.failed + among.failed
        if failed:
            sys.exit(f"{failed} requests failed: these figures mean nothing")
    print("-- medians of the rounds")
    print(f"GetCallerIdentity / bare answer: {statistics.median(ratios['identity']):.2f} (aim: 0.50)")
    few, lots = statistics.median(ratios["one"]), statistics.median(ratios["many"])
    print(f"authenticated and allowed / bare answer: {few:.2f} with one policy (aim: 0.33), {lots:.2f} with {POLICIES:,}")
    print(f"IssueCertificate / P-256 signatures on the cores it got: {statistics.median(ratios['issue']):.2f} (aim: 0.50)")
    print(f"IssueCertificate a second, stored and durable: {statistics.median(rates):,.0f} (mark: 8,730)", flush=True)


def beside_peer(bench, count):
    """Runs of ours and of the peer's by turns, and how many times as much ours is."""
    times = []
    with contextlib.closing(peers.pki(bench.csr)(bench.folder / "openbao")) as peer:
        for number in range(1, count + 1):
            print(f"-- beside {peer.name}, round {number}")
            theirs = peer.measure("IssueCertificate", bench.seconds, CONNECTIONS)
            ours = bench.issue()
            if theirs.failed + ours.failed:
                sys.exit(f"{theirs.failed + ours.failed} requests failed: these figures mean nothing")
            times.append(ours.rate / theirs.rate)
            row(peer.name, theirs, "-", 1)
            row("IssueCertificate", ours, f"of {peer.name}'s", times[-1])
    print(f"IssueCertificate / {peer.name}'s: {statistics.median(times):.1f} (mark: 10)")


def fill(bench, target):
    """Issues until about `target` certificates are stored, or half an hour is over; how many there are."""
    stored, end = 0, time.monotonic() + 1800
    while stored < target and time.monotonic() < end:
        seconds = 10 if target - stored > 20_000 else 2
        stored += int(bench.issue(seconds).rate * seconds)
        if sys.stdout.isatty():
            print(f"\rstored about {stored:,} of {target:,}", end="", flush=True)
    if sys.stdout.isatty():
        print()
    return stored


def start_times(server, count=5):
    times = []
    for _ in range(count):
        server.kill()
        begun = time.monotonic()
        server.start()
        times.append(server.ready_at - begun)
    return times


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=5, help="length of each run of wrk")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--peers", action="store_true", help="also measure a peer")
    options.add_argument("--stored", type=int, default=100_000, help="certificates to store before the start is timed")
    options.add_argument("--million", action="store_true", help="the same as --stored 1000000")
    chosen = options.parse_args()
    stored = 1_000_000 if chosen.million else chosen.stored
    print(f"binary: {os.path.getsize(BINARY) / 1e6:.1f} MB (limit: 60)")
    with tempfile.TemporaryDirectory(dir=os.environ.get("KEYSTEAD_BENCH_DIR")) as name:
        folder = pathlib.Path(name)
        server = Server(folder).start()
        try:
            empty = statistics.median(start_times(server))
            print(f"start, empty: {empty * 1000:.0f} ms; idle memory: {resident_mib(server.process.pid):.1f} MiB (limit: 30)")
            bench = Bench(server, folder, chosen.seconds)
            crowded = Server(folder / "crowded").start()
            try:
                rounds(bench, Bench(crowded, folder, chosen.seconds), chosen.rounds)
            finally:
                crowded.kill()
            if chosen.peers:
                beside_peer(bench, chosen.rounds)
            print(f"memory after that load: {resident_mib(server.process.pid):.1f} MiB")
            if stored:
                count = fill(bench, stored)
                full = statistics.median(start_times(server))
                size = sum(file.stat().st_size for file in server.data.rglob("*") if file.is_file())
                print(
                    f"start with about {count:,} stored: {full * 1000:.0f} ms (limit: 1000);"
                    f" idle memory: {resident_mib(server.process.pid):.1f} MiB; data: {size / 1e6:,.0f} MB"
                )
        finally:
            server.kill()


if __name__ == "__main__":
    main()
