"""The server is killed again and again while certificates are revoked. No revocation that was acknowledged is forgotten."""

import base64
import itertools
import random
import secrets
import threading
import urllib.parse

from cryptography import x509
from cryptography.x509 import ocsp

import authorities
import revocation
from callers import cut_off
from refusals import code_of
from waiting import until

ROUNDS = 20


class Load:
    """What was acknowledged, over all rounds."""

    def __init__(self, root, csr):
        self.root, self.csr = root, csr
        self.lock = threading.Lock()
        self.revoked = set()
        self.good = []

    def work(self, caller, stop):
        for number in itertools.count():
            if stop.is_set() or not self.step(caller, number):
                return

    def step(self, caller, number):
        issuing = {"CertificateAuthorityArn": self.root, "Csr": self.csr, "SigningAlgorithm": "SHA256WITHECDSA"}
        issued = caller.call("acm-pca", "IssueCertificate", Validity={"Type": "DAYS", "Value": 30}, **issuing)
        if issued is None:
            return False
        arn = issued["CertificateArn"]
        found = caller.call("acm-pca", "GetCertificate", CertificateAuthorityArn=self.root, CertificateArn=arn)
        if found is None:
            return False
        certificate = authorities.parse(found["Certificate"])
        if number % 4 == 0:
            with self.lock:
                self.good.append(certificate)
            return True
        revoked = caller.call(
            "acm-pca",
            "RevokeCertificate",
            CertificateAuthorityArn=self.root,
            CertificateSerial=arn.rpartition("/")[2],
            RevocationReason="SUPERSEDED",
        )
        if revoked is not None:
            with self.lock:
                self.revoked.add(certificate)
        return revoked is not None


def test_no_revocation_is_lost(own_server):
    own_server.start()
    pca = own_server.client("acm-pca")
    names = {"crl": {"CustomCname": "lists.example.com"}, "ocsp": {"OcspCustomCname": "ocsp.example.com"}}
    root = revocation.publishing(pca, "Unforgetting", kind="PARTITIONED", **names)
    issuer = revocation.certificate_of(pca, root)
    load = Load(root, base64.b64encode(authorities.request()[0]).decode())
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    numbers = {}

    def listed(certificate):
        """The certificate's list, of which no number ever comes back."""
        path = urllib.parse.urlsplit(revocation.list_url(certificate)).path
        found = revocation.fetch_list(own_server.endpoint + path)
        assert found.is_signature_valid(issuer.public_key())
        number = found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        last, at = numbers.get(path, (0, None))
        assert number > last or (number, found.last_update_utc) == (last, at)
        numbers[path] = number, found.last_update_utc
        return found.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None

    def told(certificate):
        return revocation.ask(own_server.endpoint + "/ocsp", revocation.asking(certificate, issuer)).certificate_status

    for _ in range(ROUNDS):
        before = set(load.revoked)
        cut_off(own_server, load, chance)
        own_server.start()
        for certificate in set(load.revoked) - before:
            assert told(certificate) == ocsp.OCSPCertStatus.REVOKED
            listed(certificate)
    assert len(load.revoked) > 2 * ROUNDS, "the load was too light to say anything"
    for certificate in load.revoked:
        until("a revocation to be listed", lambda certificate=certificate: listed(certificate), deadline=90)
    for certificate in load.good:
        assert told(certificate) == ocsp.OCSPCertStatus.GOOD and not listed(certificate)
    # Whoever asks again is told that it is done.
    again = next(iter(load.revoked))
    revoke = {"CertificateAuthorityArn": root, "CertificateSerial": f"{again.serial_number:x}"}
    code = code_of(lambda: own_server.client("acm-pca").revoke_certificate(**revoke, RevocationReason="SUPERSEDED"))
    assert code == "RequestAlreadyProcessedException"
