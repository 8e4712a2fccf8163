"""A certificate and its key as a secret: each version of the certificate becomes one of the secret."""

import datetime
import json
import socket
import ssl
import threading

import pytest

import authorities
from envoys import trusting
from refusals import refused
from secrets_helpers import User, on
from test_acm import issued
from test_audit import named
from test_rotation import kept_secret, rotate, settled, unique, value
from waiting import until

KIND = "certificate"
NAME = "pair.example.internal"
HOURS = datetime.timedelta(hours=2)


class World:
    def __init__(self, server):
        self.server = server
        pca = server.client("acm-pca")
        self.root = authorities.grant(pca, authorities.root(pca, "Pairs"))
        self.trusted = pca.get_certificate_authority_certificate(CertificateAuthorityArn=self.root)["Certificate"]
        self.certificate = issued(self.acm, self.root, NAME, KeyAlgorithm="EC_prime256v1")
        self.secret = unique("pair")
        self.sm.create_secret(Name=self.secret, SecretString=json.dumps({"certificateArn": self.certificate, "mine": [1]}))

    @property
    def acm(self):
        return self.server.client("acm")

    @property
    def sm(self):
        return self.server.client("secretsmanager")

    def serial(self):
        return authorities.parse(self.acm.get_certificate(CertificateArn=self.certificate)["Certificate"]).serial_number

    def holds(self):
        """The serial number of the certificate in the secret."""
        return authorities.parse(value(self.sm, self.secret)["certificate"]).serial_number

    def renew(self):
        before = self.serial()
        self.acm.renew_certificate(CertificateArn=self.certificate)
        return until("the renewal", lambda: next((n for n in [self.serial()] if n != before), None))

    def restart(self, ahead):
        self.server.stop()
        self.server.start(ahead=ahead)

    def versions(self):
        return set(self.sm.describe_secret(SecretId=self.secret)["VersionIdsToStages"])


@pytest.fixture
def world(own_server):
    own_server.start()
    return World(own_server)


def serves(pair, trusted, folder):
    """A TLS server loads what the secret has, and a client that trusts the CA takes it for the name; what it was shown."""
    files = folder / "chain.pem", folder / "key.pem"
    files[0].write_text(pair["certificate"] + pair["certificateChain"])
    files[1].write_text(pair["privateKey"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) as secure:
                secure.recv(1)

        server = threading.Thread(target=answer)
        server.start()
        with socket.create_connection(listener.getsockname(), timeout=10) as plain:
            with trusting(trusted).wrap_socket(plain, server_hostname=NAME) as secure:
                shown = secure.getpeercert(binary_form=True)
                secure.sendall(b"x")
        server.join()
    return authorities.parse(ssl.DER_cert_to_PEM_cert(shown)).serial_number


def test_a_secret_has_a_pair_that_works_and_nothing_else_has_the_key(world, tmp_path):
    version = rotate(world.sm, world.secret, KIND)
    pair = settled(world.sm, world.secret, version)
    assert (pair["certificateArn"], pair["mine"]) == (world.certificate, [1])
    assert serves(pair, world.trusted, tmp_path) == world.serial()
    key = pair["privateKey"].splitlines()
    assert key[0] == "-----BEGIN PRIVATE KEY-----"
    kept_secret(world.server, key[1])
    (event,) = named(world.server, "ExportCertificate")
    assert event["requestParameters"]["certificateArn"] == world.certificate
    assert event["sourceIPAddress"] == "secretsmanager.amazonaws.com" and key[1] not in json.dumps(event)
    # What was taken out counts as exported, so that it is renewed.
    assert world.acm.describe_certificate(CertificateArn=world.certificate)["Certificate"]["RenewalEligibility"] == "ELIGIBLE"
    # By hand, there is a new version of the same pair.
    again = settled(world.sm, world.secret, rotate(world.sm, world.secret, KIND))
    assert again == pair and len(world.versions()) > 1


def test_a_renewal_is_followed_without_waiting_for_the_schedule(world):
    settled(world.sm, world.secret, rotate(world.sm, world.secret, KIND))
    before, serial = world.versions(), world.serial()
    # It is looked at, and nothing is new.
    world.restart(HOURS)
    renewed = world.renew()
    assert world.holds() == serial and world.versions() == before
    world.restart(2 * HOURS)
    until("the secret to follow", lambda: world.holds() == renewed, 60)
    assert json.loads(world.sm.get_secret_value(SecretId=world.secret, VersionStage="AWSPREVIOUS")["SecretString"])["mine"] == [1]


def test_who_rotates_must_be_able_to_export_the_certificate(world):
    everything = [on("secretsmanager:*"), on("kms:*")]
    poor = User(world.server, *everything)
    with refused("AccessDeniedException", "acm:ExportCertificate"):
        rotate(poor.client("secretsmanager"), world.secret, KIND)
    rich = User(world.server, *everything, on("acm:ExportCertificate", resource=world.certificate))
    settled(world.sm, world.secret, rotate(rich.client("secretsmanager"), world.secret, KIND))
    # What the secret names since is not what was allowed.
    other = issued(world.acm, world.root, "other.example.internal", KeyAlgorithm="EC_prime256v1")
    world.sm.put_secret_value(SecretId=world.secret, SecretString=json.dumps({"certificateArn": other}))
    world.restart(datetime.timedelta(days=31))
    until("the log says so", lambda: any("another certificate" in line for line in world.server.said), 60)
    assert value(world.sm, world.secret) == {"certificateArn": other}


def test_what_has_no_pair_is_not_made_one(world):
    imported_key = authorities.new_key()
    certificate = authorities.self_signed(imported_key, NAME)
    arn = world.acm.import_certificate(Certificate=certificate, PrivateKey=authorities.key_pem(imported_key))["CertificateArn"]
    for text, told in (
        (json.dumps({"certificateArn": arn}), "is not a private certificate"),
        ("a text", "does not name a certificate"),
    ):
        name = unique("none")
        world.sm.create_secret(Name=name, SecretString=text)
        rotate(world.sm, name, KIND)
        until("the log says so", lambda: any(name in line and told in line for line in world.server.said))
        assert world.sm.get_secret_value(SecretId=name)["SecretString"] == text
    with refused("ResourceNotFoundException"):
        gone = world.certificate[:-4] + "0000"
        name = unique("gone")
        world.sm.create_secret(Name=name, SecretString=json.dumps({"certificateArn": gone}))
        rotate(world.sm, name, KIND)


def test_a_server_that_is_killed_ends_what_it_began(world):
    for nth in range(6):
        renewed = world.renew() if nth else world.serial()
        version = rotate(world.sm, world.secret, KIND)
        world.server.kill()
        # Longer than a lease.
        world.server.start(ahead=datetime.timedelta(minutes=nth + 1))
        pair = settled(world.sm, world.secret, version)
        assert authorities.parse(pair["certificate"]).serial_number == renewed
