"""`keystead ca create`: a root and an issuing authority in one command, and again where it was cut off."""

import json

import pytest
from cryptography.x509.oid import NameOID

import authorities
from authorities import parse
from test_acm import issued


@pytest.fixture
def ca(server):
    """Runs `keystead ca create` with these arguments; what it printed, read."""

    def run(*arguments):
        ran = server.run("ca", "create", *arguments, "--json", "--data-dir", str(server.data))
        return json.loads(ran.stdout)

    return run


def described(pca, arn):
    return pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]


def tags_of(pca, arn):
    return {tag["Key"]: tag["Value"] for tag in pca.list_tags(CertificateAuthorityArn=arn)["Tags"]}


def test_one_command_makes_what_acm_issues_from(ca, server, acm, name):
    pca = server.client("acm-pca")
    made = ca(name, "--organization", "Example Corp", "--country", "DE")
    root, issuing = described(pca, made["RootArn"]), described(pca, made["IssuingArn"])
    assert (root["Status"], issuing["Status"]) == ("ACTIVE", "ACTIVE")
    assert (root["Type"], issuing["Type"]) == ("ROOT", "SUBORDINATE")
    assert root["CertificateAuthorityConfiguration"]["Subject"] == {
        "CommonName": f"{name} root CA",
        "Organization": "Example Corp",
        "Country": "DE",
    }
    assert issuing["CertificateAuthorityConfiguration"]["KeyAlgorithm"] == "EC_prime256v1"
    assert issuing["UsageMode"] == "GENERAL_PURPOSE"
    assert tags_of(pca, made["IssuingArn"]) == {"keystead:ca": name, "keystead:ca-role": "issuing"}
    leaf = acm.get_certificate(CertificateArn=issued(acm, made["IssuingArn"], "web.example.internal"))
    chain = authorities.bundle(leaf["CertificateChain"])
    common_names = [
        certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value for certificate in chain
    ]
    assert common_names == [f"{name} issuing CA", f"{name} root CA"]
    parse(leaf["Certificate"]).verify_directly_issued_by(chain[0])
    chain[0].verify_directly_issued_by(chain[1])
    permissions = pca.list_permissions(CertificateAuthorityArn=made["IssuingArn"])["Permissions"]
    assert permissions[0]["Principal"] == "acm.amazonaws.com"


def test_again_is_the_same(ca, name):
    assert ca(name) == ca(name)


def test_options_are_what_is_made(ca, server, name):
    pca = server.client("acm-pca")
    made = ca(name, "--key-algorithm", "RSA_2048", "--root-validity", "20y", "--validity", "400d", "--mode", "short-lived")
    root, issuing = described(pca, made["RootArn"]), described(pca, made["IssuingArn"])
    assert issuing["UsageMode"] == "SHORT_LIVED_CERTIFICATE" and root["UsageMode"] == "GENERAL_PURPOSE"
    assert issuing["CertificateAuthorityConfiguration"]["SigningAlgorithm"] == "SHA256WITHRSA"
    assert 398 <= (issuing["NotAfter"] - issuing["NotBefore"]).days <= 401
    assert 7300 <= (root["NotAfter"] - root["NotBefore"]).days <= 7310


def test_below_a_root_that_is_there(ca, server, root, name):
    made = ca(name, "--root", root)
    assert made["RootArn"] == root
    answer = server.client("acm-pca").get_certificate_authority_certificate(CertificateAuthorityArn=made["IssuingArn"])
    assert len(authorities.bundle(answer["CertificateChain"])) == 1


@pytest.mark.parametrize("left", ["created", "issued", "installed"])
def test_what_was_cut_off_is_finished(ca, server, name, left):
    """The root as the command leaves it when it is killed after its first, second or third call that changes."""
    pca = server.client("acm-pca")
    tags = [{"Key": "keystead:ca", "Value": name}, {"Key": "keystead:ca-role", "Value": "root"}]
    arn = authorities.create(pca, f"{name} root CA", Tags=tags)
    if left != "created":
        csr = authorities.csr_of(pca, arn)
        _, answer = authorities.issue(pca, arn, csr, authorities.ROOT_TEMPLATE, ("YEARS", 10))
        if left == "installed":
            pca.import_certificate_authority_certificate(
                CertificateAuthorityArn=arn, Certificate=answer["Certificate"].encode()
            )
    made = ca(name)
    assert made["RootArn"] == arn and described(pca, arn)["Status"] == "ACTIVE"
    assert described(pca, made["IssuingArn"])["Status"] == "ACTIVE"


def test_what_does_not_fit_is_refused(ca, server, name):
    made = ca(name)

    def failure(*arguments):
        ran = server.run("ca", "create", *arguments, "--data-dir", str(server.data), check=False)
        assert ran.returncode == 1 and not ran.stdout, ran
        return ran.stderr

    assert "already, with another key algorithm" in failure(name, "--key-algorithm", "RSA_2048")
    pca = server.client("acm-pca")
    pca.update_certificate_authority(CertificateAuthorityArn=made["RootArn"], Status="DISABLED")
    assert "is DISABLED" in failure(name)
