"""Calls with little around them, for load that the SDK would slow down."""

import http.client
import json

from signing import Request, sign


class Caller:
    """awsJson calls with as little around them as the SDK's signature needs. One a thread."""

    TARGETS = {"acm-pca": "ACMPrivateCA", "acm": "CertificateManager", "kms": "TrentService"}

    def __init__(self, server):
        self.server = server
        self.connection = http.client.HTTPConnection(server.host, timeout=20)

    def call(self, service, operation, **parameters):
        """The answer; `None` where the connection broke, which acknowledges nothing."""
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"{self.TARGETS[service]}.{operation}",
        }
        request = Request("POST", "/", headers, json.dumps(parameters).encode())
        request = sign(request, service, self.server.host, self.server.key_id, self.server.secret)
        try:
            self.connection.request("POST", "/", request.body, request.headers)
            answer = self.connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        assert answer.status == 200, f"{operation}: {answer.status} {body}"
        return json.loads(body) if body else {}
