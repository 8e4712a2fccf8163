"""A workload with a certificate: signs CreateSession as AWS documents it (Roles Anywhere user guide, "The IAM Roles
Anywhere authentication signing process")."""

import base64
import datetime
import hashlib
import http.client
import json
import urllib.parse

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from server import REGION


class Refused(Exception):
    """An answer that is no session."""

    def __init__(self, status, code, message):
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message


def der(certificate):
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()


class Workload:
    """A certificate with its key."""

    def __init__(self, server, certificate, key, chain=()):
        self.server, self.certificate, self.key, self.chain = server, certificate, key, list(chain)

    @property
    def algorithm(self):
        return "AWS4-X509-RSA-SHA256" if isinstance(self.key, rsa.RSAPrivateKey) else "AWS4-X509-ECDSA-SHA256"

    def sign(self, text):
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(text, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(text, ec.ECDSA(hashes.SHA256()))

    def request(self, path, body, at=None, region=REGION, service="rolesanywhere", serial=None, leave_out=(), more=()):
        """The headers of the request, signed, with `more`; `leave_out` names headers that are sent but not signed."""
        at = (at or datetime.datetime.now(datetime.timezone.utc) + self.server.ahead).strftime("%Y%m%dT%H%M%SZ")
        headers = {
            "content-type": "application/json",
            "host": self.server.host,
            "x-amz-date": at,
            "x-amz-x509": der(self.certificate),
        } | dict(more)
        if self.chain:
            headers["x-amz-x509-chain"] = ",".join(der(certificate) for certificate in self.chain)
        signed = {name: value for name, value in headers.items() if name not in leave_out}
        names = ";".join(sorted(signed))
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        route, _, query = path.partition("?")
        canonical = "\n".join(["POST", route, query, lines, names, hashlib.sha256(body).hexdigest()])
        scope = f"{at[:8]}/{region}/{service}/aws4_request"
        text = "\n".join([self.algorithm, at, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        serial = self.certificate.serial_number if serial is None else serial
        signature = self.sign(text.encode()).hex()
        headers["authorization"] = (
            f"{self.algorithm} Credential={serial}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return headers

    def create_session(self, where, in_query=True, spoil=None, **more):
        """The answer's document. `where` is the ARNs; `more` goes to the body, or to `request`."""
        signing = {name: more.pop(name) for name in ("at", "region", "service", "serial", "leave_out") if name in more}
        path = "/sessions"
        if in_query:
            path += "?" + urllib.parse.urlencode(sorted(where.items()), quote_via=urllib.parse.quote, safe="")
        body = json.dumps(more if in_query else where | more).encode()
        headers = self.request(path, body, **signing)
        if spoil:
            path, headers, body = spoil(path, headers, body)
        connection = http.client.HTTPConnection(self.server.host, timeout=30)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != 201:
            message = json.loads(text)["message"]
            raise Refused(answer.status, answer.headers["x-amzn-errortype"], message)
        assert answer.headers["content-type"] == "application/json"
        return json.loads(text)
