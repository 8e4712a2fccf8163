"""An external key store proxy that knows nothing of Keystead: AWS's specification in Python, AES-GCM by `cryptography`,
signatures checked by botocore. A test tells it how to misbehave, and reads what it was asked."""

import base64
import contextlib
import hashlib
import http.server
import json
import os
import re
import secrets
import socket
import ssl
import threading

import botocore.auth
import botocore.awsrequest
import botocore.credentials
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ACCESS_KEY = "EXTERNALKEYSTORE234567"
PATH = "/test/kms/xks/v1"
STATUS = {
    "ValidationException": 400,
    "InvalidStateException": 400,
    "InvalidCiphertextException": 400,
    "InvalidKeyUsageException": 400,
    "AuthenticationFailedException": 401,
    "AccessDeniedException": 403,
    "KeyNotFoundException": 404,
    "InvalidUriPathException": 404,
    "ThrottlingException": 429,
    "UnsupportedOperationException": 501,
    "DependencyTimeoutException": 503,
    "InternalException": 500,
}


def b64(data):
    return base64.b64encode(data).decode()


def integrity(*parts):
    return b64(hashlib.sha256(b"".join(parts)).digest())


class Refused(Exception):
    """The proxy's refusal, by its name."""


class Proxy:
    """A proxy on a free port, with the key `one`. `spoil(operation, answer)` may change an answer before it goes out."""

    def __init__(self, iv=12, mark=b"v1"):
        self.secret = secrets.token_urlsafe(40).replace("-", "+").replace("_", "/")
        self.keys = {"one": AESGCM(os.urandom(32))}
        self.iv, self.mark = iv, mark
        self.described = {"keySpec": "AES_256", "keyUsage": ["ENCRYPT", "DECRYPT"], "keyStatus": "ENABLED"}
        self.fleet = ["ACTIVE"]
        self.asked = []
        self.connections, self.open = 0, []
        self.scheme = "http"
        self.clear()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                proxy.connections += 1
                proxy.open.append(self.connection)

            def do_POST(self):
                proxy.serve(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def clear(self):
        """From now on it behaves."""
        self.spoil = lambda operation, answer: answer
        self.raw = None
        self.hold = None

    @property
    def endpoint(self):
        return f"{self.scheme}://127.0.0.1:{self.server.server_port}"

    def over_tls(self, folder, pair):
        """Puts TLS before it, with this certificate and key."""
        certificate, key = pair
        pem = folder / "proxy.pem"
        encoding = serialization.Encoding.PEM
        private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        pem.write_bytes(private + certificate.public_bytes(encoding))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.scheme = "https"
        return self

    def hang_up(self):
        """Closes the connections that callers keep."""
        while self.open:
            connection = self.open.pop()
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def configuration(self, **more):
        """What CreateCustomKeyStore takes."""
        return {
            "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
            "XksProxyConnectivity": "PUBLIC_ENDPOINT",
            "XksProxyUriEndpoint": self.endpoint,
            "XksProxyUriPath": PATH,
            "XksProxyAuthenticationCredential": {"AccessKeyId": ACCESS_KEY, "RawSecretAccessKey": self.secret},
        } | more

    def serve(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        if self.hold is not None:
            self.hold.wait(30)
        if self.raw is not None:
            status, answer = self.raw
        else:
            try:
                status, answer = 200, json.dumps(self.answer(handler, body)).encode()
            except Refused as refused:
                name = str(refused)
                answer = json.dumps({"errorName": name, "errorMessage": "said by the proxy"}).encode()
                status = STATUS[name]
        with contextlib.suppress(OSError):
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(answer)))
            handler.end_headers()
            handler.wfile.write(answer)

    def answer(self, handler, body):
        if not self.is_signed(handler, body):
            raise Refused("AuthenticationFailedException")
        if not handler.path.startswith(PATH + "/"):
            raise Refused("InvalidUriPathException")
        assert handler.headers["Content-Type"] == "application/json"
        request = json.loads(body)
        path = handler.path.removeprefix(PATH)
        self.asked.append((path, request))
        operation = path.rsplit("/", 1)[1]
        if operation == "health":
            answer = {
                "xksProxyFleetSize": 1,
                "xksProxyVendor": "Test",
                "xksProxyModel": "Test 1",
                "ekmVendor": "Test",
                "ekmFleetDetails": [
                    {"id": f"id-{at}", "model": "Test 1", "healthStatus": status} for at, status in enumerate(self.fleet)
                ],
            }
            return self.spoil(operation, answer)
        key = self.keys.get(re.fullmatch("/keys/([a-zA-Z0-9._-]+)/[a-z]+", path)[1])
        if key is None:
            raise Refused("KeyNotFoundException")
        return self.spoil(operation, getattr(self, operation)(key, request))

    def is_signed(self, handler, body):
        """Signs the request again, as botocore does, and compares."""
        scope = re.search(r"Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request", handler.headers["Authorization"])
        request = botocore.awsrequest.AWSRequest("POST", f"{self.endpoint}{handler.path}", data=body)
        request.headers["Host"] = handler.headers["Host"]
        request.headers["X-Amz-Date"] = handler.headers["X-Amz-Date"]
        request.context["timestamp"] = handler.headers["X-Amz-Date"]
        signer = botocore.auth.SigV4Auth(
            botocore.credentials.Credentials(ACCESS_KEY, self.secret), "kms-xks-proxy", scope[2]
        )
        text = signer.string_to_sign(request, signer.canonical_request(request))
        return (
            scope.group(1, 3) == (ACCESS_KEY, "kms-xks-proxy")
            and "SignedHeaders=host;x-amz-date," in handler.headers["Authorization"]
            and handler.headers["Authorization"].endswith("Signature=" + signer.signature(text, request))
        )

    def metadata_of(self, operation):
        """The `requestMetadata` of the last request of this operation."""
        return [request for path, request in self.asked if path.endswith("/" + operation)][-1]["requestMetadata"]

    def metadata(self, key, request):
        return self.described

    def bound(self, data, metadata):
        return len(data).to_bytes(2, "big") + data + bytes([len(metadata)]) + metadata

    def encrypt(self, key, request):
        assert request["encryptionAlgorithm"] == "AES_GCM"
        data = base64.b64decode(request.get("additionalAuthenticatedData", ""), validate=True)
        text = base64.b64decode(request["plaintext"], validate=True)
        iv = os.urandom(self.iv)
        sealed = key.encrypt(iv, text, self.bound(data, self.mark))
        ciphertext, tag = sealed[:-16], sealed[-16:]
        answer = {
            "ciphertext": b64(ciphertext),
            "initializationVector": b64(iv),
            "authenticationTag": b64(tag),
        }
        if self.mark:
            answer["ciphertextMetadata"] = b64(self.mark)
        if request.get("ciphertextDataIntegrityValueAlgorithm") == "SHA_256":
            answer["ciphertextDataIntegrityValue"] = integrity(data, self.mark, iv, ciphertext, tag)
        return answer

    def decrypt(self, key, request):
        assert request["encryptionAlgorithm"] == "AES_GCM"
        texts = {name: value for name, value in request.items() if isinstance(value, str) and name != "encryptionAlgorithm"}
        part = {name: base64.b64decode(value, validate=True) for name, value in texts.items()}
        data = part.get("additionalAuthenticatedData", b"")
        sealed = part["ciphertext"] + part["authenticationTag"]
        try:
            bound = self.bound(data, part.get("ciphertextMetadata", b""))
            return {"plaintext": b64(key.decrypt(part["initializationVector"], sealed, bound))}
        except InvalidTag:
            raise Refused("InvalidCiphertextException") from None
