"""Requests as the SDK serializes and signs them, and sent so that a test can spoil one."""

import datetime
import functools
import http.client
import json
import pathlib
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from server import CBOR, REGION, session, speak

SAMPLES = json.loads((pathlib.Path(__file__).parent / "operations.json").read_text())
PROTOCOLS = {
    "acm-pca": ["json", CBOR],
    "acm": ["json"],
    "sts": ["query"],
    "iam": ["query"],
    "kms": ["json"],
    "secretsmanager": ["json"],
    "rolesanywhere": ["rest-json"],
    "rolesanywhere-sessions": ["rest-json"],
    "kms-xks-proxy": ["rest-json"],
    "keystead": ["json"],
}


@functools.cache
def _model(service):
    return session().get_service_model(service)


def _takes_signature(service, operation):
    """Whether it is signed with an access key: those that are not have tests of their own."""
    return _model(service).operation_model(operation).auth_type is None


EVERY_OPERATION = [
    (service, operation, protocol)
    for service, samples in SAMPLES.items()
    for operation in samples
    for protocol in PROTOCOLS[service]
    if _takes_signature(service, operation)
]


class Request:
    """One request: method, path, headers, body, as they go out."""

    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, dict(headers), body

    def send(self, host):
        """(status, headers, body); never retried, never pooled."""
        connection = http.client.HTTPConnection(host, timeout=30)
        try:
            connection.request(self.method, self.path, self.body, self.headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


@functools.cache
def _client(service, protocol):
    """What serializes; one a protocol, since making one takes its time."""
    made = session()
    speak(made, service, protocol)
    return made.create_client(
        service, REGION, endpoint_url="http://localhost", aws_access_key_id="x", aws_secret_access_key="x"
    )


def unsigned(service, operation, protocol=None, parameters=None):
    """The sample request of an operation, or one with these parameters."""
    parameters = SAMPLES[service][operation] if parameters is None else parameters
    client = _client(service, protocol or PROTOCOLS[service][0])
    model = client.meta.service_model.operation_model(operation)
    serialized = client._serializer.serialize_to_request(parameters, model)
    body = serialized["body"]
    if isinstance(body, dict):
        body = urllib.parse.urlencode(body)
    body = body.encode() if isinstance(body, str) else body
    query = urllib.parse.urlencode(serialized["query_string"], doseq=True, quote_via=urllib.parse.quote)
    path = serialized["url_path"] + ("?" + query if query else "")
    return Request(serialized["method"], path, serialized["headers"], body)


def sign(request, service, host, key_id, secret, at=None, token=None):
    """The same request with the SDK's signature; `at` is the signer's clock."""
    aws = botocore.awsrequest.AWSRequest(
        request.method, f"http://{host}{request.path}", headers=request.headers, data=request.body
    )
    credentials = botocore.credentials.Credentials(key_id, secret, token)
    _Signer(credentials, service, REGION, at).add_auth(aws)
    headers = {name: value if isinstance(value, str) else value.decode() for name, value in aws.headers.items()}
    return Request(request.method, request.path, headers, request.body)


def signed(server, service, operation, protocol=None, at=None):
    """The sample request, signed by the server's root key."""
    request = unsigned(service, operation, protocol)
    return sign(request, service, server.host, server.key_id, server.secret, at)


class _Signer(botocore.auth.SigV4Auth):
    """Signs at a time of the test's choice."""

    def __init__(self, credentials, service, region, at):
        super().__init__(credentials, service, region)
        self.at = at or datetime.datetime.now(datetime.timezone.utc)

    def add_auth(self, request):
        request.context["timestamp"] = self.at.strftime("%Y%m%dT%H%M%SZ")
        self._modify_request_before_signing(request)
        text = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(text, request))
