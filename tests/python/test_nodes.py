"""Keystead's own operations: which node may have which certificate."""

import os

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

import authorities
import keystead_model
from test_acm import issued

UID = os.getuid()
NOBODY = "arn:aws:keystead:us-east-1:123456789012:node/nobody"


@pytest.fixture(scope="module")
def nodes(server):
    return keystead_model.client(server)


@pytest.fixture(scope="module")
def certificate(acm, server):
    pca = server.client("acm-pca")
    root = authorities.grant(pca, authorities.root(pca, "Node Root"))
    return issued(acm, root, "node.example.internal", KeyAlgorithm="EC_prime256v1"), root


def request(name="node"):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return key, csr.public_bytes(serialization.Encoding.PEM)


def refused(call, code, *words):
    with pytest.raises(Exception) as refusal:
        call()
    error = refusal.value.response["Error"]
    assert error["Code"] == code, error
    for word in words:
        assert word in error["Message"], error


def test_a_node_lives_and_dies(nodes, acm, certificate):
    arn, root = certificate
    node = nodes.register_node(Name="lives", CertificateArns=[arn], TrustArns=[root], UnixUid=UID)["NodeArn"]
    shown = nodes.describe_node(NodeArn=node)["Node"]
    assert (shown["Name"], shown["UnixUid"]) == ("lives", UID)
    assert (shown["CertificateArns"], shown["TrustArns"]) == ([arn], [root])
    assert [(d["ResourceName"], d["Connected"]) for d in shown["Deliveries"]] == [(arn, False), (root, False)]
    assert node in acm.describe_certificate(CertificateArn=arn)["Certificate"]["InUseBy"]
    refused(lambda: acm.delete_certificate(CertificateArn=arn), "ResourceInUseException")
    nodes.deregister_node(NodeArn=node)
    refused(lambda: nodes.describe_node(NodeArn=node), "ResourceNotFoundException", node)
    refused(lambda: nodes.deregister_node(NodeArn=node), "ResourceNotFoundException", node)
    assert node not in acm.describe_certificate(CertificateArn=arn)["Certificate"]["InUseBy"]


def test_registering_again_replaces_what_was_granted(nodes, acm, certificate):
    arn, _ = certificate
    first = nodes.register_node(Name="again", CertificateArns=[arn, arn], UnixUid=UID)["NodeArn"]
    assert nodes.describe_node(NodeArn=first)["Node"]["CertificateArns"] == [arn]
    assert nodes.register_node(Name="again", UnixUid=UID)["NodeArn"] == first
    assert nodes.describe_node(NodeArn=first)["Node"]["CertificateArns"] == []
    assert first not in acm.describe_certificate(CertificateArn=arn)["Certificate"]["InUseBy"]
    nodes.deregister_node(NodeArn=first)


def test_a_client_certificate_proves_the_node_and_nothing_more(nodes):
    key, csr = request()
    answer = nodes.register_node(Name="proved", Csr=csr)
    leaf = x509.load_pem_x509_certificate(answer["ClientCertificate"].encode())
    authority = x509.load_pem_x509_certificate(answer["TrustBundle"].encode())
    leaf.verify_directly_issued_by(authority)
    assert leaf.public_key() == key.public_key()
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    identity = names.get_values_for_type(x509.UniformResourceIdentifier)
    serial = nodes.describe_node(NodeArn=answer["NodeArn"])["Node"]["ClientCertificateSerial"]
    assert int(serial, 16) == leaf.serial_number

    renewed = nodes.register_node(Name="proved", Csr=request()[1])["ClientCertificate"]
    assert identity_of(renewed) == identity, "a renewal is the same node"
    nodes.deregister_node(NodeArn=answer["NodeArn"])
    stranger = nodes.register_node(Name="proved", Csr=request()[1])
    assert identity_of(stranger["ClientCertificate"]) != identity, "the name came back, the node did not"
    nodes.deregister_node(NodeArn=stranger["NodeArn"])


def identity_of(pem):
    names = x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    return names.value.get_values_for_type(x509.UniformResourceIdentifier)


def test_listing_pages_in_order(nodes):
    names = [f"page-{number}" for number in range(5)]
    arns = [nodes.register_node(Name=name, UnixUid=UID)["NodeArn"] for name in names]
    found, token = [], None
    while True:
        page = nodes.list_nodes(MaxResults=2, **({"NextToken": token} if token else {}))
        assert len(page["Nodes"]) <= 2
        found += [node["NodeArn"] for node in page["Nodes"]]
        token = page.get("NextToken")
        if not token:
            break
    assert [arn for arn in found if arn in arns] == arns
    assert len(found) == len(set(found))
    first = nodes.list_nodes(MaxResults=1)["NextToken"]
    spoiled = first[:-1] + ("A" if first[-1] != "A" else "B")
    refused(lambda: nodes.list_nodes(NextToken=spoiled), "ValidationException", "NextToken")
    for arn in arns:
        nodes.deregister_node(NodeArn=arn)


@pytest.mark.parametrize(
    ("parameters", "code", "word"),
    [
        ({"Name": "a b", "UnixUid": 1}, "ValidationException", "'name'"),
        ({"Name": "none"}, "ValidationException", "prove who it is"),
        ({"Name": "csr", "Csr": b"-----BEGIN NONSENSE-----"}, "ValidationException", "signing request"),
        (
            {"Name": "arn", "UnixUid": 1, "CertificateArns": [NOBODY]},
            "InvalidArnException",
            NOBODY,
        ),
        (
            {
                "Name": "absent",
                "UnixUid": 1,
                "CertificateArns": [
                    "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-4000-8000-000000000000"
                ],
            },
            "ResourceNotFoundException",
            "00000000-0000-4000-8000-000000000000",
        ),
        (
            {
                "Name": "foreign",
                "UnixUid": 1,
                "TrustArns": [
                    "arn:aws:acm-pca:us-east-1:999999999999:certificate-authority/00000000-0000-4000-8000-000000000000"
                ],
            },
            "ResourceNotFoundException",
            "999999999999",
        ),
    ],
)
def test_what_no_node_can_be(nodes, parameters, code, word):
    refused(lambda: nodes.register_node(**parameters), code, word)
    known = [node["Name"] for node in nodes.list_nodes()["Nodes"]]
    assert parameters["Name"] not in known


def test_an_unknown_node_is_not_found(nodes):
    refused(lambda: nodes.describe_node(NodeArn=NOBODY), "ResourceNotFoundException", NOBODY)
    elsewhere = NOBODY.replace("us-east-1", "eu-west-1")
    refused(lambda: nodes.describe_node(NodeArn=elsewhere), "ResourceNotFoundException")
    other = "arn:aws:acm:us-east-1:123456789012:certificate/1"
    refused(lambda: nodes.describe_node(NodeArn=other), "InvalidArnException", other)
