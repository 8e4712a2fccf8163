"""What KMS does in a second, with signature, policy and audit on, beside what this machine can do in the same seconds.

`cargo xtask bench kms` builds the release binary and runs this. As in `bench.py` no figure stands alone: the limit of
each is measured in the same round, and the ratio is taken within it. Symmetric operations stand beside the bare answer
of the same HTTP stack; signatures beside OpenSSL's on the cores that the server got.

`--peers` drives those peers that this machine's package registries carry by the same load: OpenBao (raft on disk, audit
file on), ministack and moto, each in a directory and an environment of its own.
"""

import argparse
import contextlib
import os
import pathlib
import statistics
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "python")]

import peers  # noqa: E402
from measure import signatures, wrk  # noqa: E402
from server import Server  # noqa: E402
from signing import Request, sign, unsigned  # noqa: E402

TEXT = b"x" * 64
# What each operation aims at, as a part of its limit.
AIMS = {
    "Encrypt": ("bare", 0.5),
    "Decrypt": ("bare", 0.5),
    "GenerateDataKey": ("bare", 0.5),
    "GenerateMac": ("bare", 0.5),
    "Sign P-256": ("ecdsap256", 0.6),
    "Sign RSA-2048": ("rsa2048", 0.8),
}


class Kms:
    """Keystead, with a key for each operation."""

    name = "Keystead"

    def __init__(self, folder):
        self.server = Server(folder).start()
        self.folder = folder
        client = self.server.client("kms")
        key = self.made(client, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
        blob = client.encrypt(KeyId=key, Plaintext=TEXT)["CiphertextBlob"]
        curve, rsa = (self.made(client, spec, "SIGN_VERIFY") for spec in ("ECC_NIST_P256", "RSA_2048"))
        mac = self.made(client, "HMAC_256", "GENERATE_VERIFY_MAC")
        rsa_by = {"SigningAlgorithm": "RSASSA_PSS_SHA_256", "Message": TEXT}
        self.calls = {
            "Encrypt": ("Encrypt", {"KeyId": key, "Plaintext": TEXT}),
            "Decrypt": ("Decrypt", {"CiphertextBlob": blob}),
            "GenerateDataKey": ("GenerateDataKey", {"KeyId": key, "KeySpec": "AES_256"}),
            "GenerateMac": ("GenerateMac", {"KeyId": mac, "MacAlgorithm": "HMAC_SHA_256", "Message": TEXT}),
            "Sign P-256": ("Sign", {"KeyId": curve, "SigningAlgorithm": "ECDSA_SHA_256", "Message": TEXT}),
            "Sign RSA-2048": ("Sign", {"KeyId": rsa, **rsa_by}),
        }

    @staticmethod
    def made(client, spec, usage):
        return client.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]

    def measure(self, name, seconds, connections):
        server, (operation, parameters) = self.server, self.calls[name]
        request = unsigned("kms", operation, parameters=parameters)
        request = sign(request, "kms", server.host, server.key_id, server.secret)
        return wrk(server, request, seconds, self.folder, connections)

    def bare(self, seconds, connections):
        return wrk(self.server, Request("GET", "/health", {}, None), seconds, self.folder, connections)

    def stop(self):
        self.server.kill()


def row(who, name, measured, beside=""):
    p50, p99 = f"{measured.p50:.2f}", f"{measured.p99:.2f}"
    print(f"{who:10}{name:18}{measured.rate:>9,.0f}{p50:>9}{p99:>9}{measured.cores:>7.2f}  {beside}", flush=True)
    if measured.failed:
        sys.exit(f"{measured.failed} requests failed: these figures mean nothing")


def limit_of(kind, bare, measured):
    """What the machine allows: for signatures, on the cores that the server got."""
    return bare if kind == "bare" else signatures(kind) * max(measured.cores, 0.01)


def rounds(kms, chosen):
    ratios = {}
    print(f"{'':28}{'a second':>9}{'p50 ms':>9}{'p99 ms':>9}{'cores':>7}  ratio to its limit of the same round")
    for number in range(1, chosen.rounds + 1):
        for connections in chosen.connections:
            bare = kms.bare(chosen.seconds, connections)
            print(f"-- round {number}, {connections} connections")
            row(kms.name, "bare answer", bare)
            for name, (kind, _) in AIMS.items():
                measured = kms.measure(name, chosen.seconds, connections)
                ratio = measured.rate / limit_of(kind, bare.rate, measured)
                ratios.setdefault((connections, name), []).append(ratio)
                row(kms.name, name, measured, f"{ratio:.2f} of {kind}")
    print("-- medians of the rounds")
    for (connections, name), found in ratios.items():
        kind, aim = AIMS[name]
        print(f"{name} / {kind}, {connections} connections: {statistics.median(found):.2f} (aim: {aim:.2f})", flush=True)


def beside_peers(kms, chosen, folder):
    """Each peer's figure right after ours, and how many times it is."""
    print("-- peers, 8 connections")
    for kind in peers.KMS:
        with contextlib.closing(kind(folder / kind.__name__)) as peer:
            for name in peer.calls:
                ours, theirs = kms.measure(name, chosen.seconds, 8), peer.measure(name, chosen.seconds, 8)
                row(kms.name, name, ours)
                row(peer.name, name, theirs, f"Keystead does {ours.rate / theirs.rate:.1f} times as much")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=3, help="length of each run of wrk")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64])
    options.add_argument("--peers", action="store_true", help="also measure the peers")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("KEYSTEAD_BENCH_DIR")) as name:
        folder = pathlib.Path(name)
        kms = Kms(folder)
        try:
            rounds(kms, chosen)
            if chosen.peers:
                beside_peers(kms, chosen, folder)
        finally:
            kms.stop()


if __name__ == "__main__":
    main()
