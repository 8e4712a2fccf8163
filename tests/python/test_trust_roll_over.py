"""Trust roll-over: by the API, by the command, and under two Envoys that talk mutual TLS under load."""

import datetime
import json
import re

import pytest

import authorities
from envoys import Envoy, Upstream, bootstrap, fetch, served, trusting
from refusals import refused
from test_acm import issued
from test_envoy import Load
from waiting import until

INNER, OUTER = "inner.example.internal", "outer.example.internal"


@pytest.fixture
def keystead(server):
    return server.client("keystead")


def ready_root(pca, name):
    return authorities.grant(pca, authorities.root(pca, name))


def start(keystead, old, new, **more):
    pair = {"OldAuthorityArn": old, "NewAuthorityArn": new}
    return keystead.start_trust_roll_over(Replacements=[pair], SettleSeconds=0, **more)["TrustRollOver"]


def described(keystead, arn):
    return keystead.describe_trust_roll_over(TrustRollOverArn=arn)["TrustRollOver"]


def advanced(keystead, arn, deadline=60):
    """Advances as soon as it may; the new phase."""

    def attempt():
        try:
            return keystead.advance_trust_roll_over(TrustRollOverArn=arn)["TrustRollOver"]["Phase"]
        except keystead.exceptions.ConflictException:
            return None

    return until(f"the next phase ({described(keystead, arn).get('WaitsFor')})", attempt, deadline)


def surveyed(keystead, arn):
    """Waits until it is known which certificate of the old authority lives longest."""
    until("the survey", lambda: "is valid until" in described(keystead, arn).get("WaitsFor", ""), deadline=120)
    assert described(keystead, arn)["LastCertificateEndsAt"] > datetime.datetime.now(datetime.timezone.utc)


def test_it_is_an_object(server, keystead):
    pca = server.client("acm-pca")
    old, new = ready_root(pca, "Old"), ready_root(pca, "New")
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=5)
    shown = start(keystead, old, new)
    arn = shown["TrustRollOverArn"]
    assert re.fullmatch(r"arn:aws:keystead:us-east-1:\d{12}:trust-roll-over/[0-9a-f-]{36}", arn)
    assert shown["Replacements"] == [{"OldAuthorityArn": old, "NewAuthorityArn": new}]
    assert (shown["Phase"], shown["Automatic"], shown["SettleSeconds"]) == ("DISTRIBUTING", False, 0)
    assert shown["StartedAt"] == shown["PhaseBegunAt"] >= before
    assert shown["CertificatesMoved"] == 0 and shown["WaitsFor"]
    listed, token = [], {}
    while True:
        page = keystead.list_trust_roll_overs(MaxResults=1, **token)
        listed += page["TrustRollOvers"]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert arn in [one["TrustRollOverArn"] for one in listed]
    with refused("ConflictException", "takes part in the roll-over"):
        start(keystead, old, new)
    until("the cross-certificate", lambda: described(keystead, arn)["CrossCertificates"])
    for cross in described(keystead, arn)["CrossCertificates"]:
        assert (cross["IssuerAuthorityArn"], cross["SubjectAuthorityArn"]) == (old, new)
        certificate = authorities.parse(cross["Certificate"])
        issuer = pca.get_certificate_authority_certificate(CertificateAuthorityArn=cross["IssuerAuthorityArn"])
        certificate.verify_directly_issued_by(authorities.parse(issuer["Certificate"]))
        subject = pca.get_certificate_authority_certificate(CertificateAuthorityArn=cross["SubjectAuthorityArn"])
        assert certificate.public_key() == authorities.parse(subject["Certificate"]).public_key()
    aborted = keystead.abort_trust_roll_over(TrustRollOverArn=arn)["TrustRollOver"]
    assert aborted["Phase"] == "ABORTED" and "WaitsFor" not in aborted
    for operation in (keystead.abort_trust_roll_over, keystead.advance_trust_roll_over):
        with refused("ConflictException", "it is over"):
            operation(TrustRollOverArn=arn)


def test_a_bundle_holds_both_while_they_change(server, keystead):
    pca = server.client("acm-pca")
    old, new = ready_root(pca, "Old"), ready_root(pca, "New")

    def bundle(of):
        return keystead.get_trust_bundle(CertificateAuthorityArn=of)

    own = {
        arn: pca.get_certificate_authority_certificate(CertificateAuthorityArn=arn)["Certificate"] for arn in (old, new)
    }
    alone = bundle(old)
    assert (alone["CertificateAuthorityArns"], alone["Certificates"]) == ([old], [own[old]])
    arn = start(keystead, old, new)["TrustRollOverArn"]
    both = bundle(old)
    assert both["Certificates"] == [own[old], own[new]] and both["Version"] > alone["Version"]
    assert bundle(new)["Certificates"] == [own[new], own[old]]
    assert advanced(keystead, arn) == "ISSUING"
    assert advanced(keystead, arn) == "RETIRING"
    status = pca.describe_certificate_authority(CertificateAuthorityArn=old)["CertificateAuthority"]["Status"]
    assert status == "DISABLED"
    # It has issued nothing that lives on but the cross-certificate.
    assert advanced(keystead, arn, deadline=120) == "DONE"
    assert bundle(old)["Certificates"] == bundle(new)["Certificates"] == [own[new]]


def test_what_is_no_plan_is_refused(server, keystead):
    pca = server.client("acm-pca")
    old, new = ready_root(pca, "Old"), ready_root(pca, "New")
    with refused("ValidationException", "named twice"):
        start(keystead, old, old)
    with refused("ResourceNotFoundException"):
        start(keystead, old, authorities.NEVER_EXISTED)
    with refused("InvalidArnException"):
        start(keystead, old, "arn:aws:acm:us-east-1:123456789012:certificate/1")
    with refused("ConflictException", "has not granted ACM"):
        start(keystead, old, authorities.root(pca, "Mute"))
    with refused("ConflictException", "not ACTIVE"):
        start(keystead, old, authorities.create(pca, "Pending"))
    missing = "arn:aws:keystead:us-east-1:123456789012:trust-roll-over/00000000-0000-4000-8000-000000000000"
    for operation in (keystead.describe_trust_roll_over, keystead.advance_trust_roll_over, keystead.abort_trust_roll_over):
        with refused("ResourceNotFoundException"):
            operation(TrustRollOverArn=missing)
        with refused("InvalidArnException"):
            operation(TrustRollOverArn=new)
    with refused("ValidationException"):
        keystead.list_trust_roll_overs(NextToken="x")
    with refused("ResourceNotFoundException"):
        keystead.get_trust_bundle(CertificateAuthorityArn=authorities.NEVER_EXISTED)
    with refused("ConflictException"):
        keystead.get_trust_bundle(CertificateAuthorityArn=authorities.create(pca, "Pending"))


def test_it_goes_on_after_a_crash(own_server):
    own_server.start()
    pca, acm, keystead = (own_server.client(service) for service in ("acm-pca", "acm", "keystead"))
    old, new = ready_root(pca, "Old"), ready_root(pca, "New")
    arns = [issued(acm, old, f"{n}.example.internal", KeyAlgorithm="EC_prime256v1") for n in range(30)]
    arn = start(keystead, old, new, Automatic=True)["TrustRollOverArn"]
    until("some certificates", lambda: described(keystead, arn)["CertificatesMoved"] > 0, deadline=120)
    own_server.kill()
    own_server.start()
    keystead, acm = own_server.client("keystead"), own_server.client("acm")
    until("the end", lambda: described(keystead, arn)["Phase"] == "RETIRING", deadline=180)
    assert described(keystead, arn)["CertificatesMoved"] == 30
    for certificate in arns:
        detail = acm.describe_certificate(CertificateArn=certificate)["Certificate"]
        assert detail["CertificateAuthorityArn"] == new and detail["Status"] == "ISSUED"
    surveyed(keystead, arn)
    with refused("ConflictException", "is valid until"):
        keystead.advance_trust_roll_over(TrustRollOverArn=arn)


class Mesh:
    """An Envoy in front of the application that asks for client certificates, and one in front of it that has one."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        self.pca, self.acm, self.keystead = (server.client(service) for service in ("acm-pca", "acm", "keystead"))
        self.old, self.new = ready_root(self.pca, "Old Root"), ready_root(self.pca, "New Root")
        self.upstream, self.envoys = Upstream(), []
        self.inner_arn = issued(self.acm, self.old, INNER, KeyAlgorithm="EC_prime256v1")
        self.outer_arn = issued(self.acm, self.old, OUTER, KeyAlgorithm="EC_prime256v1")
        host, port = self.envoy("inner", self.inner_arn, self.upstream.address, "--client-trust", self.old)
        self.inner = (host, port)
        self.outer = self.envoy(
            "outer", self.outer_arn, f"{host}:{port}", "--trust", self.old, "--server-name", INNER,
            "--client-certificate", self.outer_arn,
        )  # fmt: skip
        # The client of this test is no node: it trusts both from the start.
        roots = [self.root(arn) for arn in (self.old, self.new)]
        self.context = trusting("\n".join(roots))

    def root(self, arn):
        return self.pca.get_certificate_authority_certificate(CertificateAuthorityArn=arn)["Certificate"]

    def envoy(self, name, certificate, upstream, *more):
        self.envoys.append(Envoy(bootstrap(self.server, name, certificate, upstream, *more), self.folder, name))
        return self.envoys[-1].serving()

    def serial(self, arn):
        return authorities.parse(self.acm.get_certificate(CertificateArn=arn)["Certificate"]).serial_number

    def close(self):
        for envoy in self.envoys:
            envoy.stop()
        self.upstream.close()


class Through(Load):
    """Requests through both Envoys."""

    def run(self):
        while not self.ending.is_set():
            try:
                assert fetch(self.address, self.world.context, OUTER) == (200, b"white")
                self.done += 1
            except Exception as failure:
                self.failed.append(failure)


def test_a_root_is_rolled_over_under_two_envoys_and_no_request_fails(own_server, tmp_path):
    own_server.start()
    mesh = Mesh(own_server, tmp_path)
    try:
        roll_over(mesh)
    finally:
        mesh.close()


def roll_over(mesh):
    old_serials = [mesh.serial(arn) for arn in (mesh.inner_arn, mesh.outer_arn)]
    loads = [Through(mesh, mesh.outer) for _ in range(2)]
    for load in loads:
        load.start()

    def more():
        count = sum(load.done for load in loads)
        until("more requests", lambda: sum(load.done for load in loads) > count + 40, deadline=60)

    more()
    arn = start(mesh.keystead, mesh.old, mesh.new)["TrustRollOverArn"]
    assert advanced(mesh.keystead, arn) == "ISSUING"
    more()
    assert advanced(mesh.keystead, arn) == "RETIRING"
    leaf = served(mesh.outer, mesh.context, OUTER)
    assert leaf.serial_number == mesh.serial(mesh.outer_arn) not in old_serials
    leaf.verify_directly_issued_by(authorities.parse(mesh.root(mesh.new)))
    more()
    with refused("ConflictException"):
        mesh.keystead.advance_trust_roll_over(TrustRollOverArn=arn)
    surveyed(mesh.keystead, arn)
    with refused("ConflictException", "is valid until"):
        mesh.keystead.advance_trust_roll_over(TrustRollOverArn=arn)
    # Their owner knows that nobody uses them any more, and need not wait for a year.
    for serial in old_serials:
        mesh.pca.revoke_certificate(
            CertificateAuthorityArn=mesh.old, CertificateSerial=f"{serial:x}", RevocationReason="SUPERSEDED"
        )
    assert advanced(mesh.keystead, arn, deadline=120) == "DONE"
    root = authorities.parse(mesh.root(mesh.new)).serial_number
    for envoy in mesh.envoys:

        def trusted(envoy=envoy):
            shown = json.loads(envoy.get("/certs"))["certificates"]
            return {int(ca["serial_number"], 16) for one in shown for ca in one.get("ca_cert", [])}

        until("the old root to leave", lambda trusted=trusted: trusted() == {root}, deadline=60)
    more()
    for load in loads:
        load.finish()
    print(f"{sum(load.done for load in loads)} requests, none failed")


def test_the_command_shows_what_it_waits_for(server, keystead):
    pca = server.client("acm-pca")
    old, new = ready_root(pca, "Old"), ready_root(pca, "New")

    def trust(*arguments, check=True):
        return server.run("trust", "roll-over", *arguments, "--data-dir", str(server.data), check=check)

    started = json.loads(trust("start", f"{old}={new}", "--settle", "0", "--json").stdout)
    arn = started["TrustRollOverArn"]
    assert json.loads(trust("next", arn, "--wait", "--json").stdout)["Phase"] == "ISSUING"
    assert json.loads(trust("status", arn, "--json").stdout)["Phase"] == "ISSUING"
    assert arn in trust("status").stdout and "certificates handed over: 0" in trust("status", arn).stdout
    assert "RETURNING" in trust("abort", arn).stdout
    assert "ABORTED" in trust("next", arn, "--wait").stdout
    failed = trust("next", arn, check=False)
    assert failed.returncode == 1 and "it is over" in failed.stderr
    assert trust("start", "nonsense", check=False).returncode == 2
