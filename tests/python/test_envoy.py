"""From the API to a TLS handshake in a real Envoy, renewed while it serves."""

import json
import threading
import time

import pytest

import authorities
from envoys import Envoy, Upstream, bootstrap, fetch, served, trusting
from test_acm import issued
from waiting import until

NAME = "color.example.internal"


@pytest.fixture
def upstream():
    started = Upstream()
    yield started
    started.close()


@pytest.fixture
def world(own_server, upstream):
    """A server with a root and one certificate: what most of these tests start from."""
    own_server.start()
    return World(own_server, upstream)


class World:
    def __init__(self, server, upstream):
        self.server, self.upstream = server, upstream
        self.pca, self.acm = server.client("acm-pca"), server.client("acm")
        self.root = authorities.grant(self.pca, authorities.root(self.pca, "Mesh Root"))
        self.arn = issued(self.acm, self.root, NAME, KeyAlgorithm="EC_prime256v1")
        answer = self.pca.get_certificate_authority_certificate(CertificateAuthorityArn=self.root)
        self.context = trusting(answer["Certificate"])

    def bootstrap(self, node="color", certificate=None, *more):
        return bootstrap(self.server, node, certificate or self.arn, self.upstream.address, *more)

    def serial(self, arn=None):
        answer = self.server.client("acm").get_certificate(CertificateArn=arn or self.arn)
        return authorities.parse(answer["Certificate"]).serial_number

    def renew(self):
        """Asks for a renewal and waits until the API shows the new certificate; its serial number."""
        acm, before = self.server.client("acm"), self.serial()
        acm.export_certificate(CertificateArn=self.arn, Passphrase=b"passphrase")
        acm.renew_certificate(CertificateArn=self.arn)
        return until("the renewal", lambda: next((s for s in [self.serial()] if s != before), None))


@pytest.fixture
def start(tmp_path):
    """Starts Envoys, and ends them with the test."""
    started = []

    def begin(text, name="envoy"):
        started.append(Envoy(text, tmp_path, name))
        return started[-1]

    yield begin
    for envoy in started:
        envoy.stop()


def test_the_port_serves_what_the_api_issued(world, start):
    envoy = start(world.bootstrap())
    address = envoy.serving()
    assert fetch(address, world.context, NAME) == (200, b"white")
    assert served(address, world.context, NAME).serial_number == world.serial()
    assert envoy.stat(".ssl.handshake") >= 2


def test_no_private_key_reaches_the_disk(world, start, tmp_path):
    envoy = start(world.bootstrap())
    envoy.serving()
    assert "PRIVATE KEY" not in (tmp_path / "envoy.yaml").read_text()
    assert "PRIVATE KEY" not in envoy.output()
    assert "PRIVATE KEY" not in envoy.get("/config_dump?include_eds")


class Load(threading.Thread):
    """Requests one after another over fresh connections, counting what fails."""

    def __init__(self, world, address):
        super().__init__(daemon=True)
        self.world, self.address = world, address
        self.done, self.failed, self.ending = 0, [], threading.Event()

    def run(self):
        while not self.ending.is_set():
            try:
                assert fetch(self.address, self.world.context, NAME) == (200, b"white")
                self.done += 1
            except Exception as failure:
                self.failed.append(failure)

    def finish(self):
        self.ending.set()
        self.join(30)
        assert not self.failed, self.failed[:3]


def test_a_renewal_reaches_the_port_and_no_request_fails(world, start):
    address = start(world.bootstrap()).serving()
    loads = [Load(world, address) for _ in range(3)]
    for load in loads:
        load.start()
    until("some load", lambda: all(load.done > 5 for load in loads))
    serial = world.renew()
    begun = time.monotonic()
    until("the port to serve it", lambda: served(address, world.context, NAME).serial_number == serial)
    print(f"served {time.monotonic() - begun:.3f} s after the API showed it")
    count = sum(load.done for load in loads)
    until("load after the renewal", lambda: sum(load.done for load in loads) > count + 20)
    for load in loads:
        load.finish()


def test_what_was_delivered_is_in_use(world, start):
    envoy = start(world.bootstrap())
    envoy.serving()
    acm = world.acm

    def in_use():
        return acm.describe_certificate(CertificateArn=world.arn)["Certificate"]["InUseBy"]

    assert until("the certificate to be in use", in_use)
    try:
        acm.delete_certificate(CertificateArn=world.arn)
    except acm.exceptions.ResourceInUseException:
        pass
    else:
        raise AssertionError("a certificate that an Envoy serves was deleted")


def test_a_node_gets_nothing_that_is_not_its_own(world, start):
    other = issued(world.acm, world.root, "other.example.internal", KeyAlgorithm="EC_prime256v1")
    mine = world.bootstrap("mine")
    world.bootstrap("theirs", other)
    # The node `mine` asks for the certificate of `theirs`.
    thief = start(mine.replace(world.arn, other), "thief")
    honest = start(mine, "honest")
    honest.serving()
    # The honest one is served by the same server meanwhile, so the other had its chance.
    assert not thief.ready()
    assert thief.stat(".ssl.handshake") == 0
    assert other not in (thief.get("/certs") or "")
    assert json.loads(thief.get("/certs")).get("certificates", []) == []


def test_a_node_that_nobody_registered_gets_nothing(world, start):
    text = world.bootstrap("known")
    assert ":node/known" in text
    stranger = start(text.replace(":node/known", ":node/stranger"), "stranger")
    known = start(text, "known")
    known.serving()
    assert not stranger.ready()
    assert json.loads(stranger.get("/certs")).get("certificates", []) == []


def test_envoy_outlives_keystead_and_catches_up(world, start):
    server = world.server
    port = server.host.split(":")[1]
    address = start(world.bootstrap()).serving()
    before = world.serial()
    load = Load(world, address)
    load.start()
    server.kill()
    count = load.done
    until("load without Keystead", lambda: load.done > count + 20)
    assert served(address, world.context, NAME).serial_number == before
    server.start(listen=f"127.0.0.1:{port}")
    world.acm = server.client("acm")
    serial = world.renew()
    until("the port to serve it", lambda: served(address, world.context, NAME).serial_number == serial, deadline=60)
    load.finish()


def test_a_gateway_checks_whom_it_talks_to(world, start):
    """Two Envoys: one terminates TLS, one in front of it trusts the CA and nothing else."""
    inner = start(world.bootstrap("inner"), "inner")
    host, port = inner.serving()

    def gateway(name, trust):
        text = bootstrap(
            world.server, name, issued(world.acm, world.root, f"{name}.example.internal", KeyAlgorithm="EC_prime256v1"),
            f"{host}:{port}", "--trust", trust, "--server-name", NAME,
        )  # fmt: skip
        return start(text, name).serving()

    assert fetch(gateway("good", world.root), world.context, "good.example.internal") == (200, b"white")
    stranger = authorities.root(world.pca, "Stranger")
    status, _ = fetch(gateway("bad", stranger), world.context, "bad.example.internal")
    assert status == 503


def test_the_operator_sees_who_serves_what(world, start):
    start(world.bootstrap("seen")).serving()
    status = world.server.run("status", "--json", "--data-dir", str(world.server.data), check=False)
    assert "seen" in status.stdout and world.arn in status.stdout, status.stdout
