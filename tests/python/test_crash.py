"""The real server is killed a hundred times under load. What it acknowledged is there, and nothing is half done."""

import base64
import itertools
import random
import secrets
import threading

import authorities
from callers import Caller, cut_off
from waiting import until

ROUNDS = 100


class Load:
    """What was acknowledged, over all rounds."""

    def __init__(self, root, csr):
        self.root, self.csr = root, csr
        self.lock = threading.Lock()
        self.certificates = {}  # ARN -> the certificate as it was once read, or None
        self.authorities = {}  # ARN -> its signing request, or None
        self.tokens = {}  # idempotency token -> ARN
        self.managed = set()  # ARNs of ACM certificates

    def work(self, caller, stop):
        steps = (self.issue, self.issue, self.issue, self.create_authority, self.issue, self.request_managed)
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
        if found is not None:
            with self.lock:
                self.authorities[arn] = found["Csr"]
        return found is not None

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
        return answer is not None

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
    assert set(load.authorities) <= listed

    def unsettled():
        summaries = []
        kinds = {"keyTypes": ["EC_prime256v1"]}
        for page in acm.get_paginator("list_certificates").paginate(Includes=kinds):
            summaries += page["CertificateSummaryList"]
        found = {summary["CertificateArn"]: summary["Status"] for summary in summaries}
        assert load.managed <= set(found)
        return [arn for arn, status in found.items() if status != "ISSUED"]

    # Work that was cut off is taken up again without anybody asking.
    until("every managed certificate to be issued", lambda: not unsettled(), deadline=90)
    for arn in load.managed:
        leaf = authorities.parse(acm.get_certificate(CertificateArn=arn)["Certificate"])
        assert leaf.serial_number


def test_nothing_acknowledged_is_lost(own_server):
    own_server.start()
    pca = own_server.client("acm-pca")
    root = authorities.grant(pca, authorities.root(pca, "Unsinkable"))
    load = Load(root, base64.b64encode(authorities.request()[0]).decode())
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        certificates, created = one_round(own_server, load, chance)
        own_server.start()
        load.check(Caller(own_server), certificates, created)
    caller = Caller(own_server)
    load.check(caller, load.certificates, load.authorities)
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
