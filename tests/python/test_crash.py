"""The real server is killed a hundred times under load. What it acknowledged is there, and nothing is half done."""

import base64
import itertools
import json
import random
import secrets
import threading

from cryptography.x509 import ocsp

import authorities
import keystead_model
import revocation
from callers import Caller, cut_off
from waiting import until

ROUNDS = 100
# Certificates that are issued again and again.
KEPT = 5


class Load:
    """What was acknowledged, over all rounds."""

    def __init__(self, root, csr, reissued):
        self.root, self.csr, self.reissued = root, csr, reissued
        self.lock = threading.Lock()
        self.certificates = {}  # ARN -> the certificate as it was once read, or None
        self.authorities = {}  # ARN -> its signing request, or None
        self.tokens = {}  # idempotency token -> ARN
        self.managed = set()  # ARNs of ACM certificates
        self.unrevoked = []  # those to revoke
        self.revoked = set()  # those that were revoked
        self.reports = {}  # id of an audit report -> its authority
        self.reissues = set()  # ARNs of re-issues that began

    def work(self, caller, stop):
        steps = (self.issue, self.issue, self.issue, self.create_authority, self.issue, self.request_managed, self.revoke_managed)
        for step in itertools.cycle(steps):
            if stop.is_set() or not step(caller):
                return

    def issue(self, caller):
        token = secrets.token_hex(8)
        answer = caller.call("acm-pca", "IssueCertificate", IdempotencyToken=token, **self.issuing())
        if answer is None:
            return False
        arn = answer["CertificateArn"]
        with self.lock:
            assert arn not in self.certificates, "one serial number was given out twice"
            self.certificates[arn] = None
            self.tokens[token] = arn
        found = caller.call("acm-pca", "GetCertificate", CertificateAuthorityArn=self.root, CertificateArn=arn)
        if found is not None:
            with self.lock:
                self.certificates[arn] = found["Certificate"]
        return found is not None

    def issuing(self):
        return {
            "CertificateAuthorityArn": self.root,
            "Csr": self.csr,
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Validity": {"Type": "DAYS", "Value": 30},
        }

    def create_authority(self, caller):
        configuration = {
            "KeyAlgorithm": "EC_prime256v1",
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Subject": {"CommonName": secrets.token_hex(4)},
        }
        answer = caller.call(
            "acm-pca",
            "CreateCertificateAuthority",
            CertificateAuthorityType="ROOT",
            CertificateAuthorityConfiguration=configuration,
        )
        if answer is None:
            return False
        arn = answer["CertificateAuthorityArn"]
        with self.lock:
            self.authorities[arn] = None
        found = caller.call("acm-pca", "GetCertificateAuthorityCsr", CertificateAuthorityArn=arn)
        if found is None:
            return False
        with self.lock:
            self.authorities[arn] = found["Csr"]
        return self.report(caller, arn, found["Csr"])

    def report(self, caller, arn, csr):
        """The authority certifies itself, and is asked for an audit report, of that one certificate."""
        own = caller.call(
            "acm-pca",
            "IssueCertificate",
            **self.issuing()
            | {
                "CertificateAuthorityArn": arn,
                "Csr": base64.b64encode(csr.encode()).decode(),
                "TemplateArn": "arn:aws:acm-pca:::template/RootCACertificate/V1",
            },
        )
        if own is None:
            return False
        of_it = {"CertificateAuthorityArn": arn}
        found = caller.call("acm-pca", "GetCertificate", **of_it, CertificateArn=own["CertificateArn"])
        if found is None:
            return False
        pem = base64.b64encode(found["Certificate"].encode()).decode()
        if caller.call("acm-pca", "ImportCertificateAuthorityCertificate", **of_it, Certificate=pem) is None:
            return False
        asked = caller.call(
            "acm-pca",
            "CreateCertificateAuthorityAuditReport",
            **of_it,
            S3BucketName="audit-reports",
            AuditReportResponseFormat="JSON",
        )
        if asked is not None:
            with self.lock:
                self.reports[asked["AuditReportId"]] = arn
        return asked is not None

    def keep(self, caller):
        """Certificates of the other authority, whose re-issue is part of the load."""
        self.kept = [
            caller.call(
                "acm",
                "RequestCertificate",
                DomainName=f"kept{number}.example.internal",
                CertificateAuthorityArn=self.reissued,
                KeyAlgorithm="EC_prime256v1",
            )["CertificateArn"]
            for number in range(KEPT)
        ]

    def reissue(self, caller):
        """Everything of the other authority anew; one at a time."""
        begun = caller.call(
            "keystead", "StartReissue", ("ConflictException",), CertificateAuthorityArn=self.reissued
        )
        if begun and "Reissue" in begun:
            with self.lock:
                self.reissues.add(begun["Reissue"]["ReissueArn"])
        return begun is not None

    def request_managed(self, caller):
        answer = caller.call(
            "acm",
            "RequestCertificate",
            DomainName=f"{secrets.token_hex(4)}.example.internal",
            CertificateAuthorityArn=self.root,
            KeyAlgorithm="EC_prime256v1",
        )
        if answer is not None:
            with self.lock:
                self.managed.add(answer["CertificateArn"])
                self.unrevoked.append(answer["CertificateArn"])
        return answer is not None

    def revoke_managed(self, caller):
        """One that nobody else is about to revoke; exported first, as it has to be."""
        with self.lock:
            arn = self.unrevoked.pop() if self.unrevoked else None
        if arn is None:
            return self.reissue(caller)
        phrase = base64.b64encode(b"a passphrase").decode()
        not_yet = ("RequestInProgressException", "ValidationException")
        answer = caller.call("acm", "ExportCertificate", not_yet, CertificateArn=arn, Passphrase=phrase)
        if answer and "__type" not in answer:
            answer = caller.call("acm", "RevokeCertificate", CertificateArn=arn, RevocationReason="SUPERSEDED")
        with self.lock:
            if answer is None or answer.get("__type") == "RequestInProgressException":
                self.unrevoked.append(arn)
            else:
                # Or it was revoked before, by a call whose answer was lost.
                assert "was revoked" in answer.get("message", "was revoked"), answer
                self.revoked.add(arn)
        return answer is not None and self.reissue(caller)

    def check(self, caller, certificates, created):
        """Everything named is there; what had been read before reads the same now."""
        for arn in certificates:
            found = caller.call("acm-pca", "GetCertificate", CertificateAuthorityArn=self.root, CertificateArn=arn)
            assert self.certificates[arn] in (None, found["Certificate"]), arn
            self.certificates[arn] = found["Certificate"]
        for arn in created:
            found = caller.call("acm-pca", "GetCertificateAuthorityCsr", CertificateAuthorityArn=arn)
            assert self.authorities[arn] in (None, found["Csr"]), arn
            self.authorities[arn] = found["Csr"]


def one_round(server, load, chance):
    """Load, and in the midst of it the end. Returns what this round acknowledged."""
    before = set(load.certificates), set(load.authorities)
    cut_off(server, load, chance)
    return set(load.certificates) - before[0], set(load.authorities) - before[1]


def everything_is_whole(server, load):
    """Over listings: each entry resolves, and none is stuck between two states."""
    pca, acm = server.client("acm-pca"), server.client("acm")
    listed = set()
    for page in pca.get_paginator("list_certificate_authorities").paginate():
        for authority in page["CertificateAuthorities"]:
            listed.add(authority["Arn"])
            assert authority["Status"] in ("PENDING_CERTIFICATE", "ACTIVE"), authority
            assert authorities.csr_of(pca, authority["Arn"])
    reports_are_whole(server, load)
    reissues_are_whole(server, load)
    assert set(load.authorities) <= listed

    def unsettled():
        summaries = []
        kinds = {"keyTypes": ["EC_prime256v1"]}
        for page in acm.get_paginator("list_certificates").paginate(Includes=kinds):
            summaries += page["CertificateSummaryList"]
        found = {summary["CertificateArn"]: summary["Status"] for summary in summaries}
        assert load.managed <= set(found)
        # What was acknowledged as revoked is; what was about to be may be either.
        assert all(found[arn] == "REVOKED" for arn in load.revoked)
        return [arn for arn, status in found.items() if status not in ("ISSUED", "REVOKED")]

    # Work that was cut off is taken up again without anybody asking.
    until("every managed certificate to be issued", lambda: not unsettled(), deadline=90)
    issuer = revocation.certificate_of(pca, load.root)
    for arn in load.managed:
        leaf = authorities.parse(acm.get_certificate(CertificateArn=arn)["Certificate"])
        revoked = acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "REVOKED"
        answer = revocation.ask(server.endpoint + "/ocsp", revocation.asking(leaf, issuer))
        said = ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD
        assert answer.certificate_status == said, arn


def reports_are_whole(server, load):
    """Each that was begun comes to its end, and names the one certificate of its authority."""
    pca, s3 = server.client("acm-pca"), server.client("s3")

    def described(report, arn):
        answer = pca.describe_certificate_authority_audit_report(CertificateAuthorityArn=arn, AuditReportId=report)
        assert answer["AuditReportStatus"] in ("CREATING", "SUCCESS"), answer
        return answer if answer["AuditReportStatus"] == "SUCCESS" else None

    for report, arn in load.reports.items():
        found = until("the report", lambda: described(report, arn), deadline=90)
        body = s3.get_object(Bucket=found["S3BucketName"], Key=found["S3Key"])["Body"].read()
        assert len(json.loads(body)) == 1, body


def reissues_are_whole(server, load):
    """Each comes to its end; no certificate was replaced less often than they say, and none was left behind."""
    own, acm = keystead_model.client(server), server.client("acm")

    def ended(arn):
        found = own.describe_reissue(ReissueArn=arn)["Reissue"]
        assert found["Status"] in ("COUNTING", "RUNNING", "COMPLETED"), found
        return found if found["Status"] == "COMPLETED" else None

    assert load.reissues
    for arn in load.reissues:
        found = until("the re-issue", lambda: ended(arn), deadline=90)
        assert found["Total"] == found["Reissued"] == KEPT, found
        assert (found["Failed"], found["LeftOut"]) == (0, 0), found
    serials = set()
    for number in range(KEPT):
        leaf = authorities.parse(acm.get_certificate(CertificateArn=load.kept[number])["Certificate"])
        serials.add(leaf.serial_number)
    assert len(serials) == KEPT


def test_nothing_acknowledged_is_lost(own_server):
    own_server.start()
    pca = own_server.client("acm-pca")
    root = authorities.grant(pca, revocation.publishing(pca, "Unsinkable"))
    reissued = authorities.grant(pca, authorities.root(pca, "Anew"))
    load = Load(root, base64.b64encode(authorities.request()[0]).decode(), reissued)
    load.keep(Caller(own_server))
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        certificates, created = one_round(own_server, load, chance)
        own_server.start()
        load.check(Caller(own_server), certificates, created)
    caller = Caller(own_server)
    load.check(caller, load.certificates, load.authorities)
    # None may have been answered in time on a slow machine.
    until("a re-issue", lambda: load.reissue(caller) and load.reissues, deadline=90)
    everything_is_whole(own_server, load)
    # A token outlives the crash: what it made is what it names.
    for token, arn in random.Random(seed).sample(sorted(load.tokens.items()), 20):
        again = caller.call("acm-pca", "IssueCertificate", IdempotencyToken=token, **load.issuing())
        assert again["CertificateArn"] == arn
    serials = {authorities.parse(pem).serial_number for pem in load.certificates.values()}
    assert len(serials) == len(load.certificates)
    assert len(serials) > 5 * ROUNDS, "the load was too light to say anything"
    verified = own_server.run("audit", "verify", "--data-dir", str(own_server.data), check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr
