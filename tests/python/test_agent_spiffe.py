"""The SPIFFE Workload API of the agent, by a client of PyPI.

gRPC's C core names the path of a Unix socket, percent-encoded, as the authority of its requests, which is no authority (RFC 3986
section 3.2.2 allows it, HTTP libraries do not) and is refused by ours. gRPC in Go says "localhost"; the tests have Python say that too.
"""

import datetime
import os

import grpc
import pytest
from spiffe import WorkloadApiClient
from spiffe.workloadapi.errors import FetchJwtSvidError, FetchX509SvidError

import authorities
from machines import Machine
from waiting import until

ID = "spiffe://example.org/shop/front"
RIGHTS = ["acm-pca:IssueCertificate", "acm-pca:GetCertificate", "acm-pca:GetCertificateAuthorityCertificate"]


@pytest.fixture(autouse=True)
def authority(monkeypatch):
    plain = grpc.insecure_channel

    def channel(target, options=(), **more):
        return plain(target, options=[*(options or ()), ("grpc.default_authority", "localhost")], **more)

    monkeypatch.setattr(grpc, "insecure_channel", channel)


class World(Machine):
    """A root, an authority below it, and an agent that may issue from it."""

    def __init__(self, server, folder):
        super().__init__(server, folder)
        self.pca = server.client("acm-pca")
        self.root = authorities.root(self.pca, "Workload Root")
        self.authority = authorities.subordinate(self.pca, self.root, "Workloads")
        self.joined(*RIGHTS)
        self.socket = folder / "spiffe.sock"

    def start(self, seconds=3600, user=None):
        printed = self.run(
            f'[local.spiffe]\nsocket = "{self.socket}"\n'
            f'[[local.spiffe.workloads]]\nuser = "{user or os.getuid()}"\nid = "{ID}"\n'
            f'authority = "{self.authority}"\nvalid_seconds = {seconds}\n'
        )
        assert not printed
        return self

    def client(self):
        return WorkloadApiClient(f"unix:{self.socket}")

    def svid(self):
        """The SVID, once there is one."""

        def fetched():
            try:
                with self.client() as client:
                    return client.fetch_x509_svid()
            except FetchX509SvidError:
                return None

        return until("an SVID", fetched)


@pytest.fixture
def world(own_server, tmp_path):
    own_server.start()
    made = World(own_server, tmp_path)
    yield made
    made.kill()


def test_a_program_has_an_identity_that_the_client_accepts(world):
    svid = world.start().svid()
    assert str(svid.spiffe_id) == ID
    described = world.pca.get_certificate_authority_certificate(CertificateAuthorityArn=world.authority)
    issuer, root = authorities.parse(described["Certificate"]), authorities.parse(described["CertificateChain"])
    leaf, above = svid.cert_chain
    assert above == issuer, "what leads to the root, without it"
    leaf.verify_directly_issued_by(issuer)
    assert svid.private_key.public_key() == leaf.public_key()
    lifetime = leaf.not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(minutes=58) < lifetime <= datetime.timedelta(hours=1)
    with world.client() as client:
        (bundle,) = client.fetch_x509_bundles().bundles
        assert bundle.trust_domain.name == "example.org" and bundle.x509_authorities == {root}
        with pytest.raises(FetchJwtSvidError):
            client.fetch_jwt_svid(audience={"anybody"})


def test_a_renewal_comes_by_the_stream(world):
    world.start(seconds=10)
    world.svid()
    seen = []
    with world.client() as client:
        watching = client.stream_x509_contexts(seen.append, lambda error: seen.append(error))
        until("a renewal", lambda: len(seen) >= 2)
        watching.cancel()
    serials = {context.default_svid.leaf.serial_number for context in seen}
    keys = {context.default_svid.leaf.public_key().public_numbers() for context in seen}
    assert len(serials) == len(keys) == len(seen)


def test_who_has_no_identity_and_who_was_talked_into_asking(world):
    world.start()
    world.svid()
    with grpc.insecure_channel(f"unix:{world.socket}") as channel:
        call = channel.unary_stream("/SpiffeWorkloadAPI/FetchX509SVID")
        with pytest.raises(grpc.RpcError) as caught:
            next(call(b"", timeout=30))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    world.kill()
    world.start(user=str(os.getuid() + 1))
    with grpc.insecure_channel(f"unix:{world.socket}") as channel:
        call = channel.unary_stream("/SpiffeWorkloadAPI/FetchX509SVID")
        with pytest.raises(grpc.RpcError) as caught:
            next(call(b"", timeout=30, metadata=[("workload.spiffe.io", "true")]))
        assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
