"""What ACM does with many certificates, beside what this machine can do in the same seconds.

`cargo xtask bench acm` builds the release binary and runs this. It fills a server with certificates of a private CA
(P-256), by calls over several connections, and then measures: RequestCertificate while it fills, SearchCertificates
and ListCertificates on what is stored, and the re-issue of all of it. As in `bench.py` no figure stands alone: searches
stand beside the bare answer of the same HTTP stack; requests and re-issue, which make a key, two signatures and
some commits each, beside OpenSSL's P-256 signatures on the cores that the server got and beside synced appends.

The default is 10,000 certificates; `--stored 100000` is the large one.
"""

import argparse
import os
import pathlib
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "python")]

import authorities  # noqa: E402
import keystead_model  # noqa: E402
from callers import Caller  # noqa: E402
from measure import cpu_seconds, resident_mib, signatures, syncs, wrk  # noqa: E402
from server import Server  # noqa: E402
from signing import Request, sign, unsigned  # noqa: E402

CONNECTIONS = 8


def domain(number):
    return f"n{number:07}.team{number % 100:02}.example.internal"


def filled(server, root, count):
    """Certificates requested over several connections; how many a second, and the cores that took."""
    numbers, lock = iter(range(count)), threading.Lock()

    def work():
        caller = Caller(server)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            caller.call(
                "acm",
                "RequestCertificate",
                DomainName=domain(number),
                CertificateAuthorityArn=root,
                KeyAlgorithm="EC_prime256v1",
            )
            if number % 1000 == 0 and sys.stdout.isatty():
                print(f"\r{number:,} of {count:,} stored", end="", flush=True)

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    begun, spent = time.monotonic(), cpu_seconds(server.process.pid)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - begun
    if sys.stdout.isatty():
        print("\r", end="")
    return count / took, (cpu_seconds(server.process.pid) - spent) / took


def name(value, operator="EQUALS"):
    filters = {"Subject": {"CommonName": {"Value": value, "ComparisonOperator": operator}}}
    return {"Filter": {"X509AttributeFilter": filters}}


def metadata(**filters):
    return {"Filter": {"AcmCertificateMetadataFilter": filters}}


def searches(serial):
    """Searches by what they are like."""
    return {
        "by name": {"FilterStatement": name(domain(77))},
        "by serial": {"FilterStatement": {"Filter": {"X509AttributeFilter": {"SerialNumber": serial}}}},
        "by rare state": {"FilterStatement": metadata(Status="FAILED")},
        "AND of two": {"FilterStatement": {"And": [name(domain(77)), metadata(Status="ISSUED")]}},
        "page by end": {"FilterStatement": metadata(Status="ISSUED"), "SortBy": "NOT_AFTER"},
        "page by type": {"SortBy": "TYPE", "SortOrder": "DESCENDING"},
        "part of a name": {"FilterStatement": name("team42", "CONTAINS")},
    }


def measured(server, operation, parameters, seconds, folder):
    request = unsigned("acm", operation, parameters=parameters)
    return wrk(server, sign(request, "acm", server.host, server.key_id, server.secret), seconds, folder)


def row(what, figure, bare):
    if figure.failed:
        sys.exit(f"{figure.failed} requests failed: these figures mean nothing")
    ratio = figure.rate / bare
    print(f"{what:24}{figure.rate:>10,.0f}{figure.p50:>9.2f}{figure.p99:>9.2f}  {ratio:.3f} of the bare answer", flush=True)


def listed(acm):
    """All certificates by cursor; how many a second."""
    begun, count = time.monotonic(), 0
    pages = acm.get_paginator("list_certificates").paginate(
        Includes={"keyTypes": ["EC_prime256v1"]}, PaginationConfig={"PageSize": 1000}
    )
    for page in pages:
        count += len(page["CertificateSummaryList"])
    return count, time.monotonic() - begun


def reissued(server, root):
    """Everything anew; the re-issue at its end, its seconds, and the cores that it took."""
    own = keystead_model.client(server)
    begun, spent = time.monotonic(), cpu_seconds(server.process.pid)
    arn = own.start_reissue(CertificateAuthorityArn=root)["Reissue"]["ReissueArn"]
    while True:
        found = own.describe_reissue(ReissueArn=arn)["Reissue"]
        if found["Status"] not in ("COUNTING", "RUNNING"):
            break
        if sys.stdout.isatty():
            print(f"\r{found['Reissued']:,} of {found['Total']:,} reissued", end="", flush=True)
        time.sleep(0.2)
    if sys.stdout.isatty():
        print("\r", end="")
    took = time.monotonic() - begun
    return found, took, (cpu_seconds(server.process.pid) - spent) / took


def beside(what, rate, cores, folder):
    """A rate beside the machine's own, measured right now."""
    signed, synced = signatures() * max(cores, 0.01), syncs(folder)
    print(
        f"{what}: {rate:,.0f} a second on {cores:.2f} cores; {rate / signed:.3f} of the P-256 signatures of those cores,"
        f" {rate / synced:.2f} of {synced:,.0f} fdatasync a second",
        flush=True,
    )


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=3, help="length of each run of wrk")
    options.add_argument("--stored", type=int, default=10_000, help="certificates to store, and to re-issue")
    options.add_argument("--large", action="store_true", help="the same as --stored 100000")
    chosen = options.parse_args()
    stored = 100_000 if chosen.large else chosen.stored
    with tempfile.TemporaryDirectory(dir=os.environ.get("KEYSTEAD_BENCH_DIR")) as place:
        folder = pathlib.Path(place)
        server = Server(folder).start()
        try:
            acm, pca = server.client("acm"), server.client("acm-pca")
            root = authorities.grant(pca, authorities.root(pca, "Bench"))
            rate, cores = filled(server, root, stored)
            beside(f"RequestCertificate, P-256, {stored:,} of them", rate, cores, folder)
            size = sum(file.stat().st_size for file in server.data.rglob("*") if file.is_file())
            print(f"a certificate takes {size / stored / 1024:.1f} KiB of disk; memory: {resident_mib(server.process.pid):.0f} MiB")
            found = acm.search_certificates(FilterStatement=name(domain(5)))["Results"]
            serial = found[0]["X509Attributes"]["SerialNumber"]
            bare = wrk(server, Request("GET", "/health", {}, None), chosen.seconds, folder).rate
            print(f"{'':24}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}  the bare answer: {bare:,.0f} a second")
            for what, parameters in searches(serial).items():
                row(what, measured(server, "SearchCertificates", parameters, chosen.seconds, folder), bare)
            page = {"MaxItems": 100, "Includes": {"keyTypes": ["EC_prime256v1"]}}
            row("ListCertificates, 100", measured(server, "ListCertificates", page, chosen.seconds, folder), bare)
            count, took = listed(acm)
            print(f"all {count:,} listed by cursor, 1000 a page, boto3: {took:.1f} s, {count / took:,.0f} a second")
            end, took, cores = reissued(server, root)
            if (end["Status"], end["Reissued"]) != ("COMPLETED", stored):
                sys.exit(f"the re-issue ended in {end}: these figures mean nothing")
            beside(f"re-issue of {stored:,}: {took:.0f} s", stored / took, cores, folder)
            print(f"memory after that: {resident_mib(server.process.pid):.0f} MiB")
        finally:
            server.kill()


if __name__ == "__main__":
    main()
