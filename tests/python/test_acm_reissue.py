"""Everything that a private CA signed, issued anew: Keystead's own operations, and `keystead acm`."""

import concurrent.futures
import json
import secrets
import subprocess
import threading

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import authorities
import keystead_model
from authorities import bundle, parse
from refusals import refused
from server import ACCOUNT, BINARY
from test_access import Caller, statement
from test_acm import describe, issued
from waiting import until

NEVER = f"arn:aws:keystead:us-east-1:{ACCOUNT}:reissue/00000000-0000-4000-8000-000000000000"
COUNTS = ("Total", "Reissued", "Failed", "LeftOut")


@pytest.fixture(scope="module")
def own(server):
    return keystead_model.client(server)


@pytest.fixture(scope="module")
def pca(server):
    return server.client("acm-pca")


def authority(pca):
    return authorities.grant(pca, authorities.root(pca, f"Reissue {secrets.token_hex(4)}"))


def filled(acm, root, count):
    return [issued(acm, root, KeyAlgorithm="EC_prime256v1") for _ in range(count)]


def leaf_of(acm, arn):
    return parse(acm.get_certificate(CertificateArn=arn)["Certificate"])


def ended(own, arn):
    def look():
        found = own.describe_reissue(ReissueArn=arn)["Reissue"]
        return found if found["Status"] in ("COMPLETED", "STOPPED") else None

    return until("the end of the re-issue", look, deadline=120)


def counts(reissue):
    return [reissue[name] for name in COUNTS]


def test_a_whole_authority_anew(acm, own, pca):
    root = authority(pca)
    arns = filled(acm, root, 5)
    before = {arn: leaf_of(acm, arn) for arn in arns}
    begun = own.start_reissue(CertificateAuthorityArn=root)["Reissue"]
    assert begun["ReissueArn"].startswith(f"arn:aws:keystead:us-east-1:{ACCOUNT}:reissue/")
    assert (begun["CertificateAuthorityArn"], begun["TargetCertificateAuthorityArn"]) == (root, root)
    assert begun["StartedAt"] == begun["UpdatedAt"] and "EndedAt" not in begun and "PerSecond" not in begun
    end = ended(own, begun["ReissueArn"])
    assert (end["Status"], counts(end)) == ("COMPLETED", [5, 5, 0, 0])
    assert end["EndedAt"] >= end["StartedAt"] == begun["StartedAt"]
    assert "FailureReason" not in end and "FailedCertificateArn" not in end
    for arn in arns:
        old, new = before[arn], leaf_of(acm, arn)
        assert old.serial_number != new.serial_number and old.public_key() != new.public_key()
        assert old.subject == new.subject
        assert describe(acm, arn)["RenewalSummary"]["RenewalStatus"] == "SUCCESS"
    listed, token = [], {}
    while True:
        page = own.list_reissues(MaxResults=1, **token)
        listed += page["Reissues"]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert end in listed


def test_a_successor(acm, own, pca):
    old, new = authority(pca), authority(pca)
    arns = filled(acm, old, 2)
    begun = own.start_reissue(CertificateAuthorityArn=old, TargetCertificateAuthorityArn=new, PerSecond=100)["Reissue"]
    assert begun["PerSecond"] == 100
    assert counts(ended(own, begun["ReissueArn"])) == [2, 2, 0, 0]
    issuer = parse(pca.get_certificate_authority_certificate(CertificateAuthorityArn=new)["Certificate"])
    for arn in arns:
        assert describe(acm, arn)["CertificateAuthorityArn"] == new
        leaf_of(acm, arn).verify_directly_issued_by(issuer)


def test_one_at_a_time_and_stopped(acm, own, pca):
    root = authority(pca)
    filled(acm, root, 3)
    begun = own.start_reissue(CertificateAuthorityArn=root, PerSecond=1)["Reissue"]
    with refused("ConflictException", begun["ReissueArn"]):
        own.start_reissue(CertificateAuthorityArn=root)
    stopped = own.stop_reissue(ReissueArn=begun["ReissueArn"])["Reissue"]
    assert stopped["Status"] == "STOPPED" and stopped["EndedAt"]
    with refused("ConflictException", "STOPPED"):
        own.stop_reissue(ReissueArn=begun["ReissueArn"])
    again = own.start_reissue(CertificateAuthorityArn=root)["Reissue"]
    assert ended(own, again["ReissueArn"])["Status"] == "COMPLETED"


def test_refusals(own, pca):
    root = authority(pca)
    ungranted = authorities.root(pca, "Reissues nothing")
    with refused("AccessDeniedException", "acm.amazonaws.com"):
        own.start_reissue(CertificateAuthorityArn=ungranted)
    never = root.rpartition("/")[0] + "/00000000-0000-4000-8000-000000000000"
    with refused("ResourceNotFoundException"):
        own.start_reissue(CertificateAuthorityArn=root, TargetCertificateAuthorityArn=never)
    with refused("InvalidArnException"):
        own.start_reissue(CertificateAuthorityArn=NEVER)
    for call in (own.describe_reissue, own.stop_reissue):
        with refused("ResourceNotFoundException"):
            call(ReissueArn=NEVER)
        with refused("InvalidArnException"):
            call(ReissueArn=root)
    with refused("ValidationException"):
        own.list_reissues(NextToken="x")


def test_whoever_may_not_issue_from_the_authority(server, pca):
    root = authority(pca)
    caller = Caller(server).may(statement("Allow", "keystead:*"))
    client = keystead_model.session().create_client(
        "keystead",
        "us-east-1",
        endpoint_url=server.endpoint,
        aws_access_key_id=caller.key["key_id"],
        aws_secret_access_key=caller.key["secret"],
    )
    with refused("AccessDeniedException", "acm-pca:IssueCertificate"):
        client.start_reissue(CertificateAuthorityArn=root)


def keystead(server, *arguments):
    command = [BINARY, "acm", *arguments, "--data-dir", server.data]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_command_waits_and_says_how_it_ended(server, acm, pca):
    root = authority(pca)
    filled(acm, root, 3)
    done = keystead(server, "reissue", "--authority", root, "--json")
    assert done.returncode == 0, done.stderr
    reissue = json.loads(done.stdout)
    assert (reissue["Status"], counts(reissue)) == ("COMPLETED", [3, 3, 0, 0])
    done = keystead(server, "reissue", "--authority", root)
    assert done.returncode == 0 and "COMPLETED: 3 of 3 reissued, 0 refused, 0 left out" in done.stdout
    begun = keystead(server, "reissue", "--authority", root, "--per-second", "1", "--detach", "--json")
    arn = json.loads(begun.stdout)["ReissueArn"]
    assert arn in keystead(server, "reissues").stdout
    watched = keystead(server, "reissue", "--authority", root, "--json")
    assert json.loads(watched.stdout)["ReissueArn"] == arn, "it watches the one under way"
    failed = keystead(server, "stop-reissue", arn)
    assert failed.returncode == 1 and "COMPLETED" in failed.stderr


def test_a_server_that_dies_in_between_goes_on(own_server):
    own_server.start()
    acm, pca = own_server.client("acm"), own_server.client("acm-pca")
    root = authority(pca)
    arns = filled(acm, root, 6)
    before = [leaf_of(acm, arn).serial_number for arn in arns]
    client = keystead_model.client(own_server)
    arn = client.start_reissue(CertificateAuthorityArn=root, PerSecond=3)["Reissue"]["ReissueArn"]
    until("the first of them", lambda: any(leaf_of(acm, a).serial_number != b for a, b in zip(arns, before)))
    own_server.kill()
    own_server.start()
    acm = own_server.client("acm")
    end = ended(keystead_model.client(own_server), arn)
    assert (end["Status"], counts(end)) == ("COMPLETED", [6, 6, 0, 0])
    serials = [leaf_of(acm, arn).serial_number for arn in arns]
    assert not set(serials) & set(before)


def test_an_export_is_of_one_version_while_all_is_reissued(server, acm, own, pca):
    roots = [authority(pca) for _ in range(2)]
    issuers = {
        parse(pca.get_certificate_authority_certificate(CertificateAuthorityArn=root)["Certificate"]) for root in roots
    }
    (arn,) = filled(acm, roots[0], 1)
    over, seen, failures = threading.Event(), set(), []

    def export():
        client = server.client("acm")
        while not over.is_set():
            answer = client.export_certificate(CertificateArn=arn, Passphrase=b"passphrase")
            leaf, chain = parse(answer["Certificate"]), bundle(answer["CertificateChain"])
            key = load_pem_private_key(answer["PrivateKey"].encode(), b"passphrase")
            if key.public_key() != leaf.public_key() or chain[0] not in issuers:
                failures.append(answer["Certificate"])
            leaf.verify_directly_issued_by(chain[0])
            seen.add(leaf.serial_number)

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        exports = [pool.submit(export) for _ in range(3)]
        try:
            for turn in range(8):
                source, target = roots[turn % 2], roots[(turn + 1) % 2]
                begun = own.start_reissue(CertificateAuthorityArn=source, TargetCertificateAuthorityArn=target)
                assert counts(ended(own, begun["Reissue"]["ReissueArn"])) == [1, 1, 0, 0]
        finally:
            over.set()
        for each in exports:
            each.result()
    assert not failures and len(seen) > 1
