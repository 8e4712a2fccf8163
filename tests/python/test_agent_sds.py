"""From a token to a handshake: an agent carries a certificate to a real Envoy on its machine, hears of renewals, proves them,
and tells the server."""

import datetime
import json
import os

import pytest

from envoys import Envoy, Upstream, bootstrap, fetch, served
from machines import NAME, Command, Shop, hexadecimal
from waiting import until

RIGHTS = [
    "acm:DescribeCertificate",
    "acm:ExportCertificate",
    "acm-pca:GetCertificateAuthorityCertificate",
    "keystead:GetTrustBundle",
]


class World(Shop):
    """A shop with Envoys."""

    def __init__(self, server, folder, upstream):
        super().__init__(server, folder, *RIGHTS)
        self.upstream = upstream
        # What `keystead envoy` writes for the server's own socket, for the agent's.
        self.bootstrap = bootstrap(server, "any", self.certificate, upstream.address)
        node = server.client("keystead").list_nodes()["Nodes"][0]["NodeArn"]
        server.client("keystead").deregister_node(NodeArn=node)
        with_agent = str(folder / "sds.sock")
        own = str(server.data / "xds.sock")
        assert own in self.bootstrap
        self.bootstrap = self.bootstrap.replace(own, with_agent)
        self.envoys = []

    def start(self, user=None, ahead=datetime.timedelta(0)):
        printed = self.run(
            f'[local.sds]\nsocket = "{self.folder}/sds.sock"\n'
            f'[[local.sds.grants]]\nuser = "{user or os.getuid()}"\n'
            f'resources = ["{self.certificate}", "{self.root}"]\n',
            ahead=ahead,
        )
        assert not printed

    def envoy(self):
        self.envoys.append(Envoy(self.bootstrap, self.folder, f"envoy-{len(self.envoys)}"))
        return self.envoys[-1]

    def serves(self, address, serial):
        until("the new one is served", lambda: served(address, self.context, NAME).serial_number == serial, 60)


@pytest.fixture
def world(own_server, tmp_path):
    own_server.start()
    upstream = Upstream()
    made = World(own_server, tmp_path, upstream)
    made.start()
    yield made
    made.kill()
    for envoy in made.envoys:
        envoy.stop()
    upstream.close()


def test_from_a_token_to_a_renewal_that_is_proven(world):
    assert world.reported(Status="PENDING")["Reason"].startswith("no process of ")
    address = world.envoy().serving()
    first = world.serial()
    world.serves(address, first)
    assert fetch(address, world.context, NAME) == (200, b"white")
    found = world.reported(Status="PROVEN")
    assert found["Resources"][0]["Proven"] == hexadecimal(first)
    acm = world.server.client("acm")
    described = acm.describe_certificate(CertificateArn=world.certificate)["Certificate"]
    assert described["InUseBy"] == [found["PlacementArn"]]
    assert found["NotAfter"] == described["NotAfter"]
    second = world.renew()
    world.serves(address, second)
    found = world.proves(second)
    print(f"from the renewal to its proof: {(found['Since'] - found['WantedAt']).total_seconds():.2f} s at the agent")
    said = Command(world.server)("status")
    (line,) = [line for line in said.stdout.splitlines() if world.certificate.split(":", 5)[5] in line]
    assert line.split()[0] == "web-1" and line.split()[2] == "proven"


def test_a_role_that_lost_its_permission_leaves_what_is_served(world):
    address = world.envoy().serving()
    first = world.serial()
    world.serves(address, first)
    world.reported(Status="PROVEN")
    world.may("acm:DescribeCertificate", "acm-pca:GetCertificateAuthorityCertificate")
    second = world.renew()
    found = world.reported(Status="FAILED")
    assert "AccessDeniedException" in found["Reason"] and "acm:ExportCertificate" in found["Reason"]
    assert served(address, world.context, NAME).serial_number == first
    said = Command(world.server)("status", check=False)
    assert said.returncode == 1 and "acm:ExportCertificate" in said.stdout
    # An Envoy that comes now has the last good one.
    later = world.envoy().serving()
    world.serves(later, first)
    world.may(*RIGHTS)
    world.serves(address, second)
    world.serves(later, second)
    world.proves(second)


def test_a_server_that_is_away_for_an_hour_is_caught_up_with(world):
    address = world.envoy().serving()
    first = world.serial()
    world.serves(address, first)
    world.reported(Status="PROVEN")
    where = world.server.host
    world.server.kill()
    assert served(address, world.context, NAME).serial_number == first
    later = world.envoy().serving()
    world.serves(later, first)
    world.kill()
    assert served(address, world.context, NAME).serial_number == first
    hour = datetime.timedelta(hours=1)
    world.server.start(listen=where, ahead=hour)
    world.start(ahead=hour)
    second = world.renew()
    world.serves(address, second)
    world.serves(later, second)
    world.proves(second)


def test_another_user_gets_nothing(world):
    world.kill()
    world.start(user=str(os.getuid() + 1))
    envoy = world.envoy()
    placement = world.reported(Status="PENDING")
    assert str(os.getuid() + 1) in placement["Name"]
    until("Envoy asks", lambda: envoy.stat("sds.update_attempt") or envoy.stat(".update_attempt"))
    config = json.loads(envoy.get("/config_dump"))
    assert "BEGIN CERTIFICATE" not in json.dumps(config) and "inline_bytes" not in json.dumps(config)
