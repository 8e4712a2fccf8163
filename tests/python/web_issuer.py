"""An issuer of web identities: a small HTTPS server on this machine, with keys and a certificate of its own."""

import base64
import datetime
import hashlib
import http.server
import ipaddress
import json
import ssl
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import NameOID

LOOPBACK = "127.0.0.1"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, length=None):
    return base64url(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


class RsaKey:
    algorithm = "RS256"

    def __init__(self, kid):
        self.kid = kid
        self.key = rsa.generate_private_key(65537, 2048)

    def jwk(self):
        numbers = self.key.public_key().public_numbers()
        return {"kty": "RSA", "use": "sig", "kid": self.kid, "n": number(numbers.n), "e": number(numbers.e)}

    def sign(self, text):
        return self.key.sign(text, padding.PKCS1v15(), hashes.SHA256())


class EcKey:
    algorithm = "ES384"

    def __init__(self, kid):
        self.kid = kid
        self.key = ec.generate_private_key(ec.SECP384R1())

    def jwk(self):
        numbers = self.key.public_key().public_numbers()
        return {"kty": "EC", "kid": self.kid, "crv": "P-384", "x": number(numbers.x, 48), "y": number(numbers.y, 48)}

    def sign(self, text):
        r, s = utils.decode_dss_signature(self.key.sign(text, ec.ECDSA(hashes.SHA384())))
        return r.to_bytes(48, "big") + s.to_bytes(48, "big")


def thumbprint(certificate):
    return hashlib.sha1(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def certificate(name, issuer=None, ca=False, days=1):
    """(certificate, key), signed by `issuer`, which is such a pair, or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


class Issuer:
    """Serves its configuration and its keys until it is closed."""

    def __init__(self, folder, chain=None, keys=None):
        self.keys = keys or [RsaKey("one"), EcKey("two")]
        self.chain = chain or [certificate(LOOPBACK)]
        self.asked = []
        # A test may put (status, headers, body) in the place of a document.
        self.instead = {}
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked.append(self.path)
                status, headers, body = issuer.instead.get(self.path) or (200, {}, issuer.document(self.path))
                if body is None:
                    status, body = 404, b""
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        pem = folder / f"issuer-{id(self)}.pem"
        encoding = serialization.Encoding.PEM
        private = self.chain[0][1].private_bytes(
            encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        pem.write_bytes(private + b"".join(made.public_bytes(encoding) for made, _ in self.chain))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self.server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.host = f"{LOOPBACK}:{self.server.server_address[1]}"
        self.url = f"https://{self.host}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def document(self, path):
        if path == "/.well-known/openid-configuration":
            return json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys"}).encode()
        if path == "/keys":
            return json.dumps({"keys": [key.jwk() for key in self.keys]}).encode()
        return None

    def thumbprint(self):
        return thumbprint(self.chain[0][0])

    def claims(self, **more):
        now = int(time.time())
        made = {"iss": self.url, "sub": "alice", "aud": "app", "iat": now, "exp": now + 600} | more
        return {name: value for name, value in made.items() if value is not None}

    def token(self, key=None, header=None, signature=None, **claims):
        """A token; a claim of None is left out."""
        key = key or self.keys[0]
        header = {"alg": key.algorithm, "kid": key.kid, "typ": "JWT"} | (header or {})
        parts = (header, self.claims(**claims))
        text = ".".join(base64url(json.dumps(part).encode()) for part in parts)
        signature = key.sign(text.encode()) if signature is None else signature(text.encode())
        return f"{text}.{base64url(signature)}"
