"""examples/backend-tls: machines behind a balancer that pins their key, from the example's own files."""

import itertools
import socket
import subprocess
import threading
import urllib.error
import urllib.request

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import authorities
from envoys import Envoy, Upstream
from examples import CERTIFICATE, EXAMPLES, STATE, of_example
from machines import Machine, hexadecimal
from nginxes import NGINX, free_port
from refusals import code_of
from sessions import keys
from test_writeup import NEW
from waiting import until

EXAMPLE = EXAMPLES / "backend-tls"


class Backend(Machine):
    """A machine of an application, with stunnel or nginx in front of it."""

    def __init__(self, server, folder, kind):
        super().__init__(server, folder)
        self.kind, self.process_of_server = kind, None
        self.tls = folder / "tls"
        self.tls.mkdir(mode=0o755)
        self.port, self.pid_file = free_port(), folder / "pid"
        self.config = folder / f"{kind}.conf"

    def script(self, name, *arguments):
        surroundings = self.server.shell_environment()
        surroundings["PATH"] = f"{NEW}:{surroundings['PATH']}"
        command = ["sh", EXAMPLE / name, *arguments]
        ran = subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=120)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.split()

    def set_up(self, app, authority):
        self.certificate, self.role_arn = self.script("setup.sh", app, authority)
        said = self.join(self.join_token(self.role_arn), "--name", f"{app}-1")
        assert said.returncode == 0, said.stderr

    def pin(self):
        (pin,) = self.script("pin.sh", self.certificate)
        return pin

    def places(self):
        pid = "/run/stunnel4/backend.pid" if self.kind == "stunnel" else "/run/nginx.pid"
        return {f"/etc/{self.kind}/tls/": f"{self.tls}/", pid: self.pid_file}

    def run_agent(self):
        changes = self.places() | {STATE: "", CERTIFICATE: self.certificate, ":8443": f":{self.port}"}
        if self.kind == "nginx":
            changes["/etc/nginx/nginx.conf"] = self.config
        assert not self.run(of_example(f"backend-tls/{self.kind}.toml", changes))
        until("the pair is placed", lambda: len(list(self.tls.iterdir())) == 2)

    def serve(self, upstream):
        """Starts what terminates TLS, by the example's configuration."""
        changes = self.places() | {"0.0.0.0:8443": f"127.0.0.1:{self.port}", "127.0.0.1:8080": upstream}
        command = ["stunnel4", self.config]
        if self.kind == "nginx":
            changes |= {"/var/lib/nginx": self.folder, "/var/log/nginx": self.folder, "events": "user root;\nevents"}
            command = [NGINX, "-e", self.folder / "error.log", "-c", self.config]
        self.config.write_text(of_example(f"backend-tls/{self.kind}.conf", changes))
        self.process_of_server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until("it listens", self.listens)

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return self.pid_file.exists()

    def leaf(self):
        answer = self.server.client("acm").get_certificate(CertificateArn=self.certificate)
        return authorities.parse(answer["Certificate"])

    def proven(self, serial):
        def is_it():
            listed = self.server.client("keystead").list_placements()["Placements"]
            resources = [one["Resources"][0] for one in listed if one["Status"] == "PROVEN"]
            return {"Arn": self.certificate, "Proven": hexadecimal(serial)}.items() <= dict(*resources[:1]).items()

        until(f"{hexadecimal(serial)} is proven", is_it, 60)

    def renew(self):
        before = self.leaf().serial_number
        self.server.client("acm").renew_certificate(CertificateArn=self.certificate)
        return until("the renewal", lambda: next((n for n in [self.leaf().serial_number] if n != before), None))

    def close(self):
        self.kill()
        if self.process_of_server:
            # Not killed: workers would outlive their master.
            self.process_of_server.terminate()
            self.process_of_server.wait(30)


class Balancer(Envoy):
    """The example's Envoy with this pin."""

    number = itertools.count()

    def __init__(self, backend, pin, changes=None):
        changes = {
            "PIN": pin,
            "shop-1.example.internal, port_value: 8443": f"127.0.0.1, port_value: {backend.port}",
            "port_value: 8000": "port_value: 0",
            "port_value: 9901": "port_value: 0",
        } | (changes or {})
        super().__init__(of_example("backend-tls/envoy.yaml", changes), backend.folder, f"envoy-{next(self.number)}")
        self.host, self.front = self.serving()

    def fetch(self):
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.front}/", timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, b""


@pytest.fixture
def balancers():
    """Makes balancers, and ends them."""
    made = []

    def make(*arguments):
        made.append(Balancer(*arguments))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(params=["stunnel", "nginx"])
def backend(request, own_server, tmp_path):
    own_server.start()
    made = Backend(own_server, tmp_path, request.param)
    yield made
    made.close()


def spki(certificate):
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_a_pinned_key_is_renewed_under_load_and_a_wrong_one_is_refused(backend, balancers):
    server = backend.server
    authority = authorities.root(server.client("acm-pca"), "Backends")
    backend.set_up("shop", authority)
    upstream = Upstream()
    backend.run_agent()
    backend.serve(upstream.address)
    first = backend.leaf()
    backend.proven(first.serial_number)
    pin = backend.pin()
    balancer = balancers(backend, pin)
    assert balancer.fetch() == (200, b"white")

    stop, done, failed = threading.Event(), [], []

    def load():
        while not stop.is_set():
            answer = balancer.fetch()
            (done if answer == (200, b"white") else failed).append(answer)

    clients = [threading.Thread(target=load) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        for _ in range(2):
            seen = len(done)
            backend.proven(backend.renew())
            until("requests after that", lambda: len(done) > seen + 20)
    finally:
        stop.set()
        for client in clients:
            client.join()
    print(f"{len(done)} requests, {len(failed)} failed")
    assert failed == []
    renewed = backend.leaf()
    assert renewed.serial_number != first.serial_number and spki(renewed) == spki(first)
    assert backend.pin() == pin
    # One that has never seen the first certificate.
    assert balancers(backend, pin).fetch() == (200, b"white")

    folder = backend.folder / "other"
    folder.mkdir()
    other = Backend(server, folder, backend.kind)
    other.set_up("other", authority)
    wrong = balancers(backend, other.pin())
    assert wrong.fetch()[0] == 503
    assert wrong.stat("ssl.fail_verify_cert_hash") >= 1
    # Both, while one replaces the other.
    both = balancers(backend, f'{other.pin()}"\n            - "{pin}')
    assert both.fetch() == (200, b"white")
    # The line that the example warns of: a pin that pins nothing.
    untrusted = "validation_context:\n            trust_chain_verification: ACCEPT_UNTRUSTED"
    assert "ACCEPT_UNTRUSTED" not in (EXAMPLE / "envoy.yaml").read_text()
    assert balancers(backend, other.pin(), {"validation_context:": untrusted}).fetch()[0] == 200

    # Its role has its own key and no other.
    theirs = server.client("acm", **keys({"Credentials": other.credentials()}))
    passphrase = {"Passphrase": b"a passphrase"}
    assert code_of(lambda: theirs.export_certificate(CertificateArn=backend.certificate, **passphrase)) == "AccessDeniedException"
    assert "BEGIN ENCRYPTED" in theirs.export_certificate(CertificateArn=other.certificate, **passphrase)["PrivateKey"]
    assert (backend.tls / "backend.key").stat().st_mode & 0o777 == 0o600
    shown = server.run("audit", "show", "--event", "ExportCertificate", "--data-dir", str(server.data)).stdout
    assert "AssumedRole" in shown or "backend-shop" in shown, shown


def test_a_certificate_without_the_tag_gets_another_key(own_server):
    own_server.start()
    pca, acm = own_server.client("acm-pca"), own_server.client("acm")
    authority = authorities.grant(pca, authorities.root(pca, "Backends"))
    arn = acm.request_certificate(DomainName="a.example.internal", CertificateAuthorityArn=authority)["CertificateArn"]

    def renewed():
        acm.export_certificate(CertificateArn=arn, Passphrase=b"a passphrase")
        before = authorities.parse(acm.get_certificate(CertificateArn=arn)["Certificate"])
        acm.renew_certificate(CertificateArn=arn)
        now = lambda: authorities.parse(acm.get_certificate(CertificateArn=arn)["Certificate"])  # noqa: E731
        until("the renewal", lambda: now().serial_number != before.serial_number)
        return spki(now()) == spki(before)

    assert not renewed()
    tag = {"Key": "keystead:keep-key"}
    acm.add_tags_to_certificate(CertificateArn=arn, Tags=[tag])
    assert renewed()
    acm.remove_tags_from_certificate(CertificateArn=arn, Tags=[tag])
    assert not renewed()
