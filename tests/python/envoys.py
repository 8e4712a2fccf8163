"""A real Envoy, set up by `keystead envoy`, and clients of the port it serves."""

import http.server
import json
import os
import pathlib
import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request

from cryptography import x509

from waiting import until

ENVOY = pathlib.Path(os.environ["KEYSTEAD_TEST_VENV"]) / "bin/envoy"


class Upstream:
    """A small web application on a free port."""

    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", "5")
                self.end_headers()
                self.wfile.write(b"white")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()


def bootstrap(server, node, certificate, upstream, *more):
    """What `keystead envoy` prints for this node."""
    arguments = ["envoy", "--data-dir", str(server.data), "--node", node, "--certificate", certificate]
    arguments += ["--listen", "127.0.0.1:0", "--upstream", upstream, "--admin", "127.0.0.1:0", *more]
    return server.run(*arguments).stdout


class Envoy:
    def __init__(self, text, folder, name="envoy"):
        folder = pathlib.Path(folder)
        config, admin = folder / f"{name}.yaml", folder / f"{name}.admin"
        config.write_text(text)
        self.log = (folder / f"{name}.log").open("w+")
        command = [ENVOY, "--config-path", config, "--admin-address-path", admin]
        command += ["--use-dynamic-base-id", "--concurrency", "1"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.admin = until("Envoy's admin port", lambda: self._alive() and admin.exists() and admin.read_text().strip())

    def _alive(self):
        assert self.process.poll() is None, self.output()
        return True

    def output(self):
        self.log.seek(0)
        return self.log.read()

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=10) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError:
            return None

    def ready(self):
        return self._alive() and self.get("/ready") is not None

    def serving(self):
        """(host, port) of its listener, once it serves."""
        until("Envoy to serve", self.ready)
        listeners = json.loads(self.get("/listeners?format=json"))["listener_statuses"]
        address = listeners[0]["local_address"]["socket_address"]
        return address["address"], address["port_value"]

    def stat(self, suffix):
        lines = (line.split(": ") for line in self.get("/stats").splitlines() if ": " in line)
        return sum(int(value) for name, value in lines if name.endswith(suffix) and value.isdigit())

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


def trusting(authority_pem):
    """A client context that trusts this CA alone and checks names."""
    return ssl.create_default_context(cadata=authority_pem)


def served(address, context, name):
    """The certificate that a fresh handshake is shown."""
    with socket.create_connection(address, timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname=name) as secure:
            return x509.load_der_x509_certificate(secure.getpeercert(binary_form=True))


def fetch(address, context, name):
    """Status and body of GET / over a fresh TLS connection."""
    with socket.create_connection(address, timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname=name) as secure:
            secure.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: secure.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body
