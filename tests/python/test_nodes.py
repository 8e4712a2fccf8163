"""Our own service: which node may have which certificate."""

import os
import secrets

import pytest
from cryptography import x509

import authorities
from refusals import refused
from server import ACCOUNT
from test_acm import issued


@pytest.fixture(scope="module")
def nodes(server):
    return server.client("keystead")


@pytest.fixture(scope="module")
def certificate(server):
    pca = server.client("acm-pca")
    root = authorities.grant(pca, authorities.root(pca, "Nodes"))
    return issued(server.client("acm"), root, KeyAlgorithm="EC_prime256v1")


def name():
    return f"node-{secrets.token_hex(4)}"


def never_registered():
    return f"arn:aws:keystead:us-east-1:{ACCOUNT}:node/{name()}"


def test_a_node_known_by_its_user(nodes, certificate):
    called = name()
    answer = nodes.register_node(Name=called, CertificateArns=[certificate], UnixUid=os.getuid())
    assert answer["NodeArn"] == f"arn:aws:keystead:us-east-1:{ACCOUNT}:node/{called}"
    assert "ClientCertificate" not in answer
    found = nodes.describe_node(NodeArn=answer["NodeArn"])["Node"]
    assert found["Name"] == called
    assert found["CertificateArns"] == [certificate]
    assert found["UnixUid"] == os.getuid()
    (delivery,) = found["Deliveries"]
    assert delivery["ResourceName"] == certificate and delivery["Connected"] is False


def test_a_node_known_by_a_certificate(nodes, certificate):
    csr, key = authorities.request("ignored")
    answer = nodes.register_node(Name=name(), CertificateArns=[certificate], Csr=csr)
    mine = authorities.parse(answer["ClientCertificate"])
    assert mine.public_key() == key.public_key()
    purposes = mine.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH in purposes
    assert authorities.bundle(answer["TrustBundle"])
    found = nodes.describe_node(NodeArn=answer["NodeArn"])["Node"]
    assert int(found["ClientCertificateSerial"].replace(":", ""), 16) == mine.serial_number


def test_nodes_are_listed_by_pages(server, certificate):
    nodes = server.client("keystead", "eu-nodes-1")
    made = sorted(nodes.register_node(Name=name(), UnixUid=0)["NodeArn"] for _ in range(5))
    listed, token = [], {}
    while True:
        page = nodes.list_nodes(MaxResults=2, **token)
        assert len(page["Nodes"]) <= 2
        listed += [node["NodeArn"] for node in page["Nodes"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert listed == made
    with refused("ValidationException"):
        nodes.list_nodes(NextToken="nonsense")


def test_a_deregistered_node_is_gone(nodes, certificate):
    arn = nodes.register_node(Name=name(), CertificateArns=[certificate], UnixUid=0)["NodeArn"]
    nodes.deregister_node(NodeArn=arn)
    with refused("ResourceNotFoundException"):
        nodes.describe_node(NodeArn=arn)
    with refused("ResourceNotFoundException"):
        nodes.deregister_node(NodeArn=arn)


def test_what_a_registration_refuses(nodes):
    with refused("ResourceNotFoundException"):
        nodes.register_node(
            Name=name(),
            UnixUid=0,
            CertificateArns=[f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/00000000-0000-4000-8000-000000000000"],
        )
    with refused("ValidationException"):
        nodes.register_node(Name=name(), Csr=b"no request")
    with refused("ValidationException"):
        nodes.register_node(Name=name())
    with refused("ResourceNotFoundException"):
        nodes.describe_node(NodeArn=never_registered())
