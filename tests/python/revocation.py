"""What tests of revocation share: authorities that publish, lists and answers fetched as relying parties do."""

import http.client
import subprocess
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

import authorities
from waiting import until

# How long a list may take on a busy machine; on an idle one it is made within two seconds.
PATIENCE = 60


def configuration(kind="COMPLETE", days=7, crl=None, ocsp=None):
    """Lists of this kind, and OCSP."""
    lists = {"Enabled": True, "ExpirationInDays": days, "S3BucketName": "my-bucket", "CrlType": kind} | (crl or {})
    return {"CrlConfiguration": lists, "OcspConfiguration": {"Enabled": True} | (ocsp or {})}


def publishing(pca, name, key="EC_prime256v1", **options):
    """An active root that publishes revocation."""
    return authorities.root(pca, name, key, RevocationConfiguration=configuration(**options))


def leaf(pca, root, **more):
    """A certificate, parsed."""
    _, answer = authorities.issue(pca, root, authorities.request()[0], **more)
    return authorities.parse(answer["Certificate"])


def certificate_of(pca, root):
    answer = pca.get_certificate_authority_certificate(CertificateAuthorityArn=root)
    return authorities.parse(answer["Certificate"])


def revoke(pca, root, certificate, reason="KEY_COMPROMISE"):
    pca.revoke_certificate(
        CertificateAuthorityArn=root, CertificateSerial=f"{certificate.serial_number:x}", RevocationReason=reason
    )


def list_url(certificate):
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    (point,) = points
    (name,) = point.full_name
    return name.value


def ocsp_url(certificate):
    accesses = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    (access,) = accesses
    assert access.access_method == AuthorityInformationAccessOID.OCSP
    return access.access_location.value


def fetch(url, method="GET", body=None, headers=None):
    """(status, headers, body)."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE)
    try:
        connection.request(method, parts.path or "/", body, headers or {})
        answer = connection.getresponse()
        return answer.status, dict((name.lower(), value) for name, value in answer.getheaders()), answer.read()
    finally:
        connection.close()


def fetch_list(url):
    status, headers, body = fetch(url)
    assert status == 200 and headers["content-type"] == "application/pkix-crl", (status, headers, body)
    return x509.load_der_x509_crl(body)


def list_with(url, certificate):
    """The list as soon as it has the certificate."""
    number = certificate.serial_number

    def listed():
        found = fetch_list(url)
        return found if found.get_revoked_certificate_by_serial_number(number) is not None else None

    return until(f"{number:x} to be in {url}", listed, deadline=PATIENCE)


def asking(certificate, issuer, nonce=None, hash_algorithm=None):
    """An OCSP request in DER."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hash_algorithm or hashes.SHA1())
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(serialization.Encoding.DER)


def ask(url, request):
    """What the responder says to a request in a body, read."""
    status, headers, body = fetch(url, "POST", request, {"Content-Type": "application/ocsp-request"})
    assert status == 200 and headers["content-type"] == "application/ocsp-response", (status, headers)
    return ocsp.load_der_ocsp_response(body)


def pem(*certificates):
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
