"""Fixtures: the real server, clients of it, and certificate authorities that are ready to issue."""

import pathlib
import sys
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import authorities  # noqa: E402
from server import CBOR, Server  # noqa: E402


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for every test that does not need its own. Tests share it: count nothing globally."""
    started = Server(tmp_path_factory.mktemp("keystead")).start()
    yield started
    started.kill()


@pytest.fixture
def own_server(tmp_path):
    """A server for one test alone, not started yet."""
    own = Server(tmp_path)
    yield own
    own.kill()


@pytest.fixture(scope="session", params=["json", CBOR])
def pca(server, request):
    """A client of acm-pca in each of the service's protocols: what uses it runs twice."""
    return server.client("acm-pca", protocol=request.param)


@pytest.fixture(scope="session")
def acm(server):
    return server.client("acm")


@pytest.fixture(scope="session")
def sts(server):
    return server.client("sts")


@pytest.fixture(scope="session")
def iam(server):
    return server.client("iam")


@pytest.fixture(scope="session")
def kms(server):
    return server.client("kms")


@pytest.fixture(scope="session")
def sm(server):
    return server.client("secretsmanager")


@pytest.fixture(scope="session")
def rolesanywhere(server):
    return server.client("rolesanywhere")


@pytest.fixture
def name():
    """A name that nobody else has: tests share the server."""
    return f"T{uuid.uuid4().hex[:16]}"


@pytest.fixture(scope="session")
def root(pca):
    """An active P-256 root that grants ACM its permissions."""
    return authorities.grant(pca, authorities.root(pca, "Shared Test Root"))


@pytest.fixture
def pending(pca):
    """An authority that waits for its certificate."""
    return authorities.create(pca, "Pending")
