"""From a token to a handshake: an agent carries a certificate to a real Envoy on its machine, hears of renewals, proves them,
and tells the server."""

import datetime
import json
import os
import subprocess

import pytest

import authorities
from envoys import Envoy, Upstream, bootstrap, fetch, served, trusting
from server import BINARY
from sessions import allow
from test_acm import issued
from test_agent_identity import Machine, token
from test_agents import Command
from test_rolesanywhere_sessions import trusting as trusting_agents
from waiting import until

NAME = "shop.example.internal"
RIGHTS = [
    "acm:DescribeCertificate",
    "acm:ExportCertificate",
    "acm-pca:GetCertificateAuthorityCertificate",
    "keystead:GetTrustBundle",
]


class World(Machine):
    """A server with a certificate, and a machine with an agent and an Envoy."""

    def __init__(self, server, folder, upstream):
        super().__init__(server, folder)
        self.folder, self.upstream = folder, upstream
        pca, acm, self.iam = (server.client(name) for name in ("acm-pca", "acm", "iam"))
        self.root = authorities.grant(pca, authorities.root(pca, "Shop Root"))
        self.certificate = issued(acm, self.root, NAME, KeyAlgorithm="EC_prime256v1")
        trusted = pca.get_certificate_authority_certificate(CertificateAuthorityArn=self.root)["Certificate"]
        self.context = trusting(trusted)
        role = self.iam.create_role(RoleName="web", AssumeRolePolicyDocument=trusting_agents())["Role"]["Arn"]
        self.may(*RIGHTS)
        said = self.join(token(self, role), "--name", "web-1")
        assert said.returncode == 0, said.stderr
        # What `keystead envoy` writes for the server's own socket, for the agent's.
        self.bootstrap = bootstrap(server, "any", self.certificate, upstream.address)
        node = server.client("keystead").list_nodes()["Nodes"][0]["NodeArn"]
        server.client("keystead").deregister_node(NodeArn=node)
        with_agent = str(folder / "sds.sock")
        own = str(server.data / "xds.sock")
        assert own in self.bootstrap
        self.bootstrap = self.bootstrap.replace(own, with_agent)
        self.envoys = []

    def may(self, *actions):
        self.iam.put_role_policy(RoleName="web", PolicyName="rights", PolicyDocument=allow(*actions))

    def start(self, user=None, ahead=datetime.timedelta(0)):
        config = self.folder / "agent.toml"
        config.write_text(
            f'state = "{self.state}"\n[local.sds]\nsocket = "{self.folder}/sds.sock"\n'
            f'[[local.sds.grants]]\nuser = "{user or os.getuid()}"\n'
            f'resources = ["{self.certificate}", "{self.root}"]\n'
        )
        command = [BINARY, "agent", "run", "--config", str(config), "--clock-offset", str(int(ahead.total_seconds()))]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n", "the agent did not start"

    def stop(self):
        self.process.kill()
        self.process.wait()

    def envoy(self):
        self.envoys.append(Envoy(self.bootstrap, self.folder, f"envoy-{len(self.envoys)}"))
        return self.envoys[-1]

    def serial(self):
        answer = self.server.client("acm").get_certificate(CertificateArn=self.certificate)
        return authorities.parse(answer["Certificate"]).serial_number

    def renew(self):
        before = self.serial()
        self.server.client("acm").renew_certificate(CertificateArn=self.certificate)
        return until("the renewal", lambda: next((s for s in [self.serial()] if s != before), None))

    def serves(self, address, serial):
        until("the new one is served", lambda: served(address, self.context, NAME).serial_number == serial, 60)

    def placement(self, arn=None):
        """The placement of this resource, as the server knows it."""
        arn = arn or self.certificate
        listed = self.server.client("keystead").list_placements()["Placements"]
        return next((one for one in listed if one["Resources"][0]["Arn"] == arn), None)

    def reported(self, **expected):
        def matches():
            found = self.placement()
            return found and all(found[key] == value for key, value in expected.items()) and found

        return until(f"the server knows {expected}", matches, 60)

    def proves(self, serial):
        """Waits until the server knows that this is served."""

        def proven():
            found = self.placement()
            is_it = found and found["Status"] == "PROVEN" and found["Resources"][0]["Proven"] == hexadecimal(serial)
            return is_it and found

        return until("it is proven", proven, 60)


@pytest.fixture
def world(own_server, tmp_path):
    own_server.start()
    upstream = Upstream()
    made = World(own_server, tmp_path, upstream)
    made.start()
    yield made
    made.stop()
    for envoy in made.envoys:
        envoy.stop()
    upstream.close()


def hexadecimal(serial):
    digits = f"{serial:x}"
    digits = digits.zfill(len(digits) + len(digits) % 2)
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


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
    world.stop()
    assert served(address, world.context, NAME).serial_number == first
    hour = datetime.timedelta(hours=1)
    world.server.start(listen=where, ahead=hour)
    world.start(ahead=hour)
    second = world.renew()
    world.serves(address, second)
    world.serves(later, second)
    world.proves(second)


def test_another_user_gets_nothing(world):
    world.stop()
    world.start(user=str(os.getuid() + 1))
    envoy = world.envoy()
    placement = world.reported(Status="PENDING")
    assert str(os.getuid() + 1) in placement["Name"]
    until("Envoy asks", lambda: envoy.stat("sds.update_attempt") or envoy.stat(".update_attempt"))
    config = json.loads(envoy.get("/config_dump"))
    assert "BEGIN CERTIFICATE" not in json.dumps(config) and "inline_bytes" not in json.dumps(config)
