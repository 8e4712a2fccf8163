"""Input that no SDK sends: the proper refusal for each, never a 500, never a hang, and the server goes on."""

import http.client
import json
import socket
import time

import pytest

from signing import Request, sign, signed, unsigned

JSON = {"Content-Type": "application/x-amz-json-1.1"}


def send(server, service, headers, body, path="/", method="POST"):
    request = sign(Request(method, path, headers, body), service, server.host, server.key_id, server.secret)
    status, headers, body = request.send(server.host)
    return status, body.decode("utf-8", "replace")


@pytest.fixture(autouse=True)
def the_server_goes_on(server):
    yield
    status, _, body = signed(server, "sts", "GetCallerIdentity").send(server.host)
    assert status == 200, body


@pytest.mark.parametrize(
    ("service", "target"),
    [
        ("acm", "CertificateManager.NoSuchOperation"),
        ("acm-pca", "ACMPrivateCA.NoSuchOperation"),
        ("acm", "NoSuchService.DescribeCertificate"),
        ("acm", "CertificateManager"),
    ],
)
def test_an_unknown_json_operation(server, service, target):
    status, body = send(server, service, JSON | {"X-Amz-Target": target}, b"{}")
    assert status == 400 and json.loads(body)["__type"].endswith("UnknownOperationException"), body


def test_an_unknown_cbor_operation(server):
    headers = {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor", "Accept": "application/cbor"}
    status, body = send(server, "acm-pca", headers, b"\xa0", "/service/ACMPrivateCA/operation/NoSuchOperation")
    assert status == 404 and "UnknownOperationException" in body, body


def test_an_unknown_query_action(server):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for action in (b"Action=NoSuch&Version=2011-06-15", b"Version=2011-06-15"):
        status, body = send(server, "sts", form, action)
        assert status in (400, 404) and "<Code>" in body, body


BROKEN_JSON = [
    b"",
    b"{",
    b"[]",
    b'"x"',
    b"null",
    b'{"CertificateArn": 5}',
    b'{"CertificateArn": {"a": []}}',
    b'{"CertificateArn": "\xff\xfe"}',
    b'{"CertificateArn": "\\ud800"}',
    b"{" * 100_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"CertificateArn": 1e999}',
]


@pytest.mark.parametrize("body", BROKEN_JSON, ids=range(len(BROKEN_JSON)))
def test_json_that_is_broken_or_of_another_shape(server, body):
    headers = JSON | {"X-Amz-Target": "CertificateManager.DescribeCertificate"}
    status, text = send(server, "acm", headers, body)
    code = json.loads(text)["__type"].rpartition("#")[2]
    assert status == 400 and code in ("SerializationException", "ValidationException"), text


BROKEN_CBOR = [
    b"",
    b"\xff",
    b"\x80",
    b"\xa1\x77CertificateAuthorityArn\x05",
    b"\xa1\x77CertificateAuthorityArn\x7a\xff\xff\xff\xff",
    b"\xbf\x77CertificateAuthorityArn",
    b"\x9f" * 50_000,
    b"\x81" * 50_000 + b"\x00",
    b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
]


@pytest.mark.parametrize("body", BROKEN_CBOR, ids=range(len(BROKEN_CBOR)))
def test_cbor_that_is_broken_or_of_another_shape(server, body):
    headers = {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}
    path = "/service/ACMPrivateCA/operation/DescribeCertificateAuthority"
    status, text = send(server, "acm-pca", headers, body, path)
    assert status == 400, text
    assert "SerializationException" in text or "ValidationException" in text, text


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/json; charset=utf-16", ""])
def test_another_content_type(server, kind):
    headers = {"Content-Type": kind, "X-Amz-Target": "CertificateManager.ListCertificates"}
    status, text = send(server, "acm", headers, b"<x/>")
    assert 400 <= status < 500, text


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method(server, method):
    headers = JSON | {"X-Amz-Target": "CertificateManager.ListCertificates"}
    status, text = send(server, "acm", headers, b"{}", method=method)
    assert 400 <= status < 500, text


@pytest.mark.parametrize("path", ["/no/such/path", "/service/ACMPrivateCA", "/%zz", "/../../etc/passwd", "/" + "a" * 5000])
def test_another_path(server, path):
    connection = http.client.HTTPConnection(server.host, timeout=30)
    connection.request("GET", path)
    assert 400 <= connection.getresponse().status < 500
    connection.close()


def test_a_body_beyond_every_limit(server):
    # Announced as more than any request may have: refused before it is sent.
    with socket.create_connection(address(server), timeout=30) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: CertificateManager.ListCertificates\r\n")
        raw.sendall(b"Content-Type: application/x-amz-json-1.1\r\nContent-Length: 99999999999\r\n\r\n")
        assert status_of(raw) == 413


def test_a_body_that_grows_beyond_every_limit(server):
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with socket.create_connection(address(server), timeout=30) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: CertificateManager.ListCertificates\r\n")
        raw.sendall(b"Content-Type: application/x-amz-json-1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(64):
                raw.sendall(chunk)
        except OSError:
            pass  # it hung up on us, which is an answer too
        assert status_of(raw) in (413, None)


def test_headers_beyond_every_limit(server):
    with socket.create_connection(address(server), timeout=30) as raw:
        try:
            raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Filler: " + b"a" * 2_000_000 + b"\r\n\r\n")
        except OSError:
            pass
        assert status_of(raw) in (400, 431, None)


@pytest.mark.parametrize("text", [b"\x00\x01\x02\x03\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00"])
def test_what_is_no_http(server, text):
    with socket.create_connection(address(server), timeout=30) as raw:
        raw.sendall(text)
        raw.shutdown(socket.SHUT_WR)
        assert status_of(raw) in (400, 505, None)


def test_slow_bodies_are_given_up_and_delay_nobody(server):
    """Connections that send one byte and stall: others are served, and the stalled are answered in the end."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: CertificateManager.ListCertificates\r\n"
    head += b"Content-Type: application/x-amz-json-1.1\r\nContent-Length: 100\r\n\r\n{"
    stalled = [socket.create_connection(address(server), timeout=90) for _ in range(50)]
    try:
        for raw in stalled:
            raw.sendall(head)
        begun = time.monotonic()
        assert signed(server, "sts", "GetCallerIdentity").send(server.host)[0] == 200
        assert time.monotonic() - begun < 5
        assert status_of(stalled[0]) in (408, 400, None)
    finally:
        for raw in stalled:
            raw.close()


def test_signature_headers_that_are_nonsense(server):
    request = unsigned("acm", "ListCertificates")
    for value in (
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 ,,,===",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=zz",
        "AWS4-HMAC-SHA256 Credential=////, SignedHeaders=;;;, Signature=" + "0" * 64,
        "Basic dXNlcjpwYXNz",
        "Bearer x",
        "\x7f",
        "a" * 10_000,
    ):
        request.headers["Authorization"] = value
        status, _, body = request.send(server.host)
        assert 400 <= status < 500, (value, body)


def address(server):
    host, port = server.host.split(":")
    return host, int(port)


def status_of(raw):
    """The status of the answer, or None where the other side just hangs up."""
    try:
        line = raw.makefile("rb").readline()
    except OSError:
        return None
    return int(line.split()[1]) if line.startswith(b"HTTP/") else None
