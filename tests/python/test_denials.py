"""Every served operation refuses who is not who they say they are, before it looks at anything else.

`operations.json` has a sample request for each; `cargo xtask tidy` fails when one is missing.
"""

import datetime
import json

import pytest

from signing import EVERY_OPERATION, PROTOCOLS, sign, signed, unsigned

# The codes of the awsJson and CBOR services, and of the query services, for the same refusal
# (each service's API reference, "Common Errors").
MISSING = ("MissingAuthenticationTokenException", 400), ("MissingAuthenticationToken", 403)
MISMATCH = ("InvalidSignatureException", 400), ("SignatureDoesNotMatch", 403)
UNKNOWN_KEY = ("UnrecognizedClientException", 400), ("InvalidClientTokenId", 403)
INCOMPLETE = ("IncompleteSignatureException", 400), ("IncompleteSignature", 400)

every_operation = pytest.mark.parametrize(("service", "operation", "protocol"), EVERY_OPERATION)


def expect(answer, service, codes):
    """The answer must be this refusal, in the protocol of the request. Its text is returned."""
    status, headers, body = answer
    query, rest = (PROTOCOLS[service] == [protocol] for protocol in ("query", "rest-json"))
    code, expected = codes[query]
    if service == "kms-xks-proxy":
        # One name for all (specification of the proxy API, "Error codes").
        refusal = json.loads(body)
        assert (status, refusal["errorName"]) == (401, "AuthenticationFailedException"), body
        return refusal["errorMessage"]
    if rest:
        # The codes of awsJson, as 403 (Roles Anywhere API reference, "Common Errors").
        expected = 403
    assert status == expected, body
    text = body.decode("utf-8", "replace")
    if query:
        assert headers["Content-Type"].startswith("text/xml") and f"<Code>{code}</Code>" in text
    elif headers["Content-Type"] == "application/cbor":
        assert headers["smithy-protocol"] == "rpc-v2-cbor" and code in text
    elif rest:
        assert headers["x-amzn-errortype"] == code and list(json.loads(text)) == ["message"], text
    else:
        assert json.loads(text)["__type"].endswith(code), text
    return text


@every_operation
def test_unsigned(server, service, operation, protocol):
    expect(unsigned(service, operation, protocol).send(server.host), service, MISSING)


@every_operation
def test_signed_with_another_secret(server, service, operation, protocol):
    request = unsigned(service, operation, protocol)
    wrong = sign(request, service, server.host, server.key_id, "not the secret")
    text = expect(wrong.send(server.host), service, MISMATCH)
    right = sign(request, service, server.host, server.key_id, server.secret)
    signature = right.headers["Authorization"].split("Signature=")[1]
    assert signature not in text, "the refusal gives the right signature away"


@every_operation
def test_signed_by_an_unknown_key(server, service, operation, protocol):
    request = unsigned(service, operation, protocol)
    stranger = sign(request, service, server.host, "AKIAUNKNOWNUNKNOWN00", server.secret)
    expect(stranger.send(server.host), service, UNKNOWN_KEY)


@every_operation
@pytest.mark.parametrize("minutes", [-6, 6])
def test_signed_too_long_ago_or_ahead(server, service, operation, protocol, minutes):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    text = expect(signed(server, service, operation, protocol, at).send(server.host), service, MISMATCH)
    assert ("Signature expired" if minutes < 0 else "Signature not yet current") in text


@every_operation
def test_a_body_changed_after_signing(server, service, operation, protocol):
    request = signed(server, service, operation, protocol)
    # Still well-formed: a field more in a form, a blank elsewhere.
    request.body += b"&More=1" if protocol == "query" else b" "
    expect(request.send(server.host), service, MISMATCH)


@every_operation
def test_signed_for_another_service(server, service, operation, protocol):
    request = unsigned(service, operation, protocol)
    other = sign(request, "s3", server.host, server.key_id, server.secret)
    status, _, body = other.send(server.host)
    assert 400 <= status < 500, body


@every_operation
def test_an_authorization_that_lacks_its_signature(server, service, operation, protocol):
    request = signed(server, service, operation, protocol)
    request.headers["Authorization"] = request.headers["Authorization"].split(", Signature=")[0]
    expect(request.send(server.host), service, INCOMPLETE)


@pytest.mark.parametrize(("service", "operation", "protocol"), [("sts", "GetCallerIdentity", "query")])
@pytest.mark.parametrize("minutes", [-4, 4])
def test_a_clock_a_few_minutes_off_is_forgiven(server, service, operation, protocol, minutes):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    status, _, body = signed(server, service, operation, protocol, at).send(server.host)
    assert status == 200, body


def test_a_session_token_that_nobody_issued(server):
    request = unsigned("sts", "GetCallerIdentity")
    request = sign(request, "sts", server.host, server.key_id, server.secret, token="made-up")
    status, _, body = request.send(server.host)
    assert status == 403 and b"<Code>InvalidClientTokenId</Code>" in body, body


def test_a_header_that_must_be_signed_but_is_not(server):
    request = signed(server, "acm", "ListCertificates")
    request.headers["Authorization"] = request.headers["Authorization"].replace("host;", "")
    status, _, body = request.send(server.host)
    assert status == 400 and b"Signature" in body, body
