"""What revocation costs, with many revoked already, beside what this machine can do in the same minutes.

`cargo xtask bench revocation` builds the release binary and runs this. First come figures with nearly nothing revoked, then
so many certificates are issued and revoked (100,000, or `--revoked N`, or `--million`), and with `--behind N` so many more
issued that are never revoked, then the same figures again, and what of it all could grow with what is stored: issuing, the
start, memory.

- RevokeCertificate over 1 and over 8 connections, beside fdatasync: a revocation is one commit
- OCSP, kept (no nonce) beside the bare answer of the same HTTP stack, and signed for each request (with a nonce) beside
  OpenSSL's P-256 signatures on the cores that the server got
- how long the server takes to make a list, and how long a revocation takes until it is in the list that anybody fetches
"""

import argparse
import base64
import datetime
import hashlib
import hmac
import http.client
import json
import math
import multiprocessing
import os
import pathlib
import re
import statistics
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "python")]

import authorities  # noqa: E402
import revocation  # noqa: E402
from measure import resident_mib, signatures, syncs, wrk  # noqa: E402
from server import REGION, Server  # noqa: E402
from signing import Request, sign, unsigned  # noqa: E402

# Revocations that are measured each time.
MEASURED = 2_000
# RevokeCertificate's 99th percentile, in milliseconds.
AIM = 10.0


class Caller:
    """One connection that calls acm-pca; signs by itself, since botocore takes longer than the server."""

    def __init__(self, host, key_id, secret):
        self.host, self.key_id = host, key_id
        self.day = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d")
        self.scope = f"{self.day}/{REGION}/acm-pca/aws4_request"
        key = b"AWS4" + secret.encode()
        for part in self.scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        self.key = key
        self.connection = http.client.HTTPConnection(host, timeout=60)

    def call(self, operation, parameters):
        body = json.dumps(parameters).encode()
        at = datetime.datetime.now(datetime.timezone.utc).strftime(f"{self.day}T%H%M%SZ")
        target = f"ACMPrivateCA.{operation}"
        names = "content-type;host;x-amz-date;x-amz-target"
        canonical = (
            f"POST\n/\n\ncontent-type:application/x-amz-json-1.1\nhost:{self.host}\nx-amz-date:{at}\n"
            f"x-amz-target:{target}\n\n{names}\n{hashlib.sha256(body).hexdigest()}"
        )
        text = f"AWS4-HMAC-SHA256\n{at}\n{self.scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self.key, text.encode(), "sha256").hex()
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Date": at,
            "X-Amz-Target": target,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={self.key_id}/{self.scope}, SignedHeaders={names}, Signature={signature}",
        }
        self.connection.request("POST", "/", body, headers)
        answer = self.connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            sys.exit(f"{operation} failed: {answer.status} {said[:500]}")
        return json.loads(said) if said else {}


def revoke_some(host, key_id, secret, root, csr, count, times):
    """Issues and revokes; puts the milliseconds of each revocation into `times`."""
    caller, taken = Caller(host, key_id, secret), []
    order = {
        "CertificateAuthorityArn": root,
        "Csr": csr,
        "SigningAlgorithm": "SHA256WITHECDSA",
        "Validity": {"Type": "DAYS", "Value": 30},
    }
    for _ in range(count):
        arn = caller.call("IssueCertificate", order)["CertificateArn"]
        revoke = {
            "CertificateAuthorityArn": root,
            "CertificateSerial": arn.rpartition("/")[2],
            "RevocationReason": "SUPERSEDED",
        }
        begun = time.perf_counter()
        caller.call("RevokeCertificate", revoke)
        taken.append((time.perf_counter() - begun) * 1000)
    times.put(taken)


class Bench:
    def __init__(self, folder, seconds):
        self.folder, self.seconds = folder, seconds
        self.server = Server(folder).start()
        # Before anything knows the port, which is another one after each start.
        at_rest(self, "nothing stored")
        self.pca = self.server.client("acm-pca")
        self.root = revocation.publishing(self.pca, "Bench", kind="PARTITIONED")
        self.issuer = revocation.certificate_of(self.pca, self.root)
        self.csr = authorities.request("bench.example.internal")[0]
        self.leaf = revocation.leaf(self.pca, self.root)

    def revoke(self, count, connections):
        """Revokes so many; (milliseconds of each, how many a second, issuing included)."""
        server, times = self.server, multiprocessing.Queue()
        csr = base64.b64encode(self.csr).decode()
        shared = server.host, server.key_id, server.secret, self.root, csr, math.ceil(count / connections), times
        begun = time.monotonic()
        workers = [multiprocessing.Process(target=revoke_some, args=shared) for _ in range(connections)]
        for worker in workers:
            worker.start()
        taken = [one for _ in workers for one in times.get()]
        for worker in workers:
            worker.join()
        return sorted(taken), len(taken) / (time.monotonic() - begun)

    def ocsp(self, nonce):
        body = revocation.asking(self.leaf, self.issuer, nonce)
        request = Request("POST", "/ocsp", {"Content-Type": "application/ocsp-request"}, body)
        return wrk(self.server, request, self.seconds, self.folder)

    def bare(self):
        return wrk(self.server, Request("GET", "/health", {}, None), self.seconds, self.folder)

    def issue(self, seconds=None):
        order = {
            "CertificateAuthorityArn": self.root,
            "Csr": self.csr,
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Validity": {"Type": "DAYS", "Value": 30},
        }
        request = unsigned("acm-pca", "IssueCertificate", parameters=order)
        signed = sign(request, "acm-pca", self.server.host, self.server.key_id, self.server.secret)
        return wrk(self.server, signed, seconds or self.seconds, self.folder)

    def restarted(self):
        """Seconds from the start to `ready`, after a kill."""
        self.server.kill()
        begun = time.monotonic()
        self.server.start()
        return self.server.ready_at - begun

    def lists_made(self):
        """(how many, how many seconds together)."""
        page = revocation.fetch(self.server.endpoint + "/metrics")[2].decode()
        count, total = (
            re.search(rf"^keystead_crl_seconds_{what} (\S+)$", page, re.M) for what in ("count", "sum")
        )
        return (int(count[1]), float(total[1])) if count else (0, 0.0)

    def seen(self):
        """Seconds from a revocation's answer until it is in its list, and the octets of that."""
        bad = revocation.leaf(self.pca, self.root)
        revocation.revoke(self.pca, self.root, bad)
        begun = time.monotonic()
        revocation.list_with(revocation.list_url(bad), bad)
        took = time.monotonic() - begun
        return took, len(revocation.fetch(revocation.list_url(bad))[2])


def percentiles(times):
    return times[len(times) // 2], times[len(times) * 99 // 100]


def figures(bench, title):
    print(f"-- {title}")
    sync_rate = syncs(bench.folder)
    for connections in (1, 8):
        times, _ = bench.revoke(MEASURED, connections)
        p50, p99 = percentiles(times)
        print(
            f"RevokeCertificate, {connections} connections: p50 {p50:.2f} ms, p99 {p99:.2f} ms (aim: p99 < {AIM:.0f});"
            f" one fdatasync: {1000 / sync_rate:.2f} ms",
            flush=True,
        )
    bare, kept, signed = bench.bare(), bench.ocsp(None), bench.ocsp(b"0123456789abcdef")
    issued, one_core = bench.issue(), signatures()
    limit = one_core * max(signed.cores, 0.01)
    share = issued.rate / (one_core * max(issued.cores, 0.01))
    for name, measured, beside in (
        ("bare answer", bare, ""),
        ("IssueCertificate", issued, f"{share:.2f} of P-256 signatures on its cores"),
        ("OCSP, kept", kept, f"{kept.rate / bare.rate:.2f} of the bare answer"),
        ("OCSP, signed", signed, f"{signed.rate / limit:.2f} of P-256 signatures on its cores"),
    ):
        print(
            f"{name}: {measured.rate:,.0f} a second, p50 {measured.p50:.2f} ms, p99 {measured.p99:.2f} ms,"
            f" {measured.cores:.2f} cores  {beside}",
            flush=True,
        )
        if measured.failed:
            sys.exit(f"{measured.failed} requests failed: these figures mean nothing")
    before = bench.lists_made()
    seen = [bench.seen() for _ in range(5)]
    after = bench.lists_made()
    made = (after[1] - before[1]) / max(after[0] - before[0], 1)
    print(
        f"a list: {seen[-1][1]:,} octets, made in {made * 1000:.0f} ms; a revocation is in it after"
        f" {statistics.median(took for took, _ in seen):.1f} s",
        flush=True,
    )


def fill(bench, count):
    """Revokes so many more, and tells how it goes on."""
    done, begun = 0, time.monotonic()
    while done < count:
        part = min(20_000, count - done)
        times, rate = bench.revoke(part, 4)
        done += len(times)
        p50, p99 = percentiles(times)
        if sys.stdout.isatty() or done % 100_000 < part:
            left = (count - done) / rate
            print(f"{done:,} revoked ({rate:,.0f} a second, p50 {p50:.2f} ms, p99 {p99:.2f} ms); {left:,.0f} s to go", flush=True)
    print(f"{done:,} issued and revoked in {time.monotonic() - begun:,.0f} s")


def issue_many(bench, count):
    """Issues about so many more, none of which is revoked."""
    done, begun = 0, time.monotonic()
    while done < count:
        measured = bench.issue(10)
        if measured.failed:
            sys.exit(f"{measured.failed} requests failed: these figures mean nothing")
        done += int(measured.rate * 10)
    print(f"{done:,} issued in {time.monotonic() - begun:,.0f} s", flush=True)


def at_rest(bench, title):
    before = resident_mib(bench.server.process.pid)
    times = [bench.restarted() for _ in range(3)]
    after = resident_mib(bench.server.process.pid)
    print(
        f"{title}: memory {before:.1f} MiB, after a new start {after:.1f} MiB;"
        f" a start takes {statistics.median(times) * 1000:.0f} ms",
        flush=True,
    )


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=3, help="length of each run of wrk")
    options.add_argument("--revoked", type=int, default=100_000, help="certificates that are revoked before the second figures")
    options.add_argument("--behind", type=int, default=0, help="certificates that are only issued before the second figures")
    options.add_argument("--million", action="store_true", help="the same as --revoked 1000000")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("KEYSTEAD_BENCH_DIR")) as name:
        bench = Bench(pathlib.Path(name), chosen.seconds)
        try:
            figures(bench, "nearly nothing revoked")
            fill(bench, 1_000_000 if chosen.million else chosen.revoked)
            issue_many(bench, chosen.behind)
            figures(bench, "with those behind")
            at_rest(bench, "with all that stored")
        finally:
            bench.server.kill()


if __name__ == "__main__":
    main()
