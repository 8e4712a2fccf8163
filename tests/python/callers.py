"""Calls with little around them, for load that the SDK would slow down."""

import http.client
import json
import threading

from signing import Request, sign

WORKERS = 4
# How long the load runs before the power goes, at random: long enough for some dozens of answers,
# short enough to hit every stage of a request over the rounds.
LOAD_SECONDS = (0.03, 0.3)


class Caller:
    """awsJson calls with as little around them as the SDK's signature needs. One a thread."""

    TARGETS = {
        "acm-pca": "ACMPrivateCA",
        "acm": "CertificateManager",
        "kms": "TrentService",
        "secretsmanager": "secretsmanager",
        "keystead": "Keystead_20261101",
    }

    def __init__(self, server):
        self.server = server
        self.connection = http.client.HTTPConnection(server.host, timeout=20)

    def call(self, service, operation, may_refuse=(), **parameters):
        """The answer; `None` where the connection broke, which acknowledges nothing. An error whose code is in
        `may_refuse` is an answer, too."""
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
        if 400 <= answer.status < 500 and json.loads(body).get("__type") in may_refuse:
            return json.loads(body)
        assert answer.status == 200, f"{operation}: {answer.status} {body}"
        return json.loads(body) if body else {}


def cut_off(server, load, chance):
    """Lets several workers run `load.work(caller, stop)`, and in the midst of it kills the server."""
    stop, failures = threading.Event(), []

    def work():
        try:
            load.work(Caller(server), stop)
        except Exception as failure:  # told in the main thread
            failures.append(failure)

    workers = [threading.Thread(target=work) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    stop.wait(chance.uniform(*LOAD_SECONDS))
    server.kill()
    stop.set()
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive(), "a call hangs on a dead server"
    assert not failures, failures
