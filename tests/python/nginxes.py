"""A real nginx, as a throw-away child process, and clients that count what fails."""

import os
import socket
import ssl
import subprocess
import threading

import authorities
from waiting import until

NGINX = "/usr/sbin/nginx"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nginx:
    """Serves TLS with a pair that lies at fixed places."""

    def __init__(self, folder, certificate, key):
        self.folder = folder
        folder.mkdir()
        self.port = free_port()
        self.config = folder / "nginx.conf"
        self.pid_file = folder / "nginx.pid"
        self.process = None
        self.text = (
            f"daemon off; worker_processes 2; pid {self.pid_file}; error_log {folder}/error.log;\n"
            + ("user root;\n" if os.getuid() == 0 else "")
            + "events {}\n"
            f"http {{ access_log off; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2;\n"
            f"fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;\n"
            f"server {{ listen 127.0.0.1:{self.port} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};\n"
            '  location / { return 200 "fine"; } } }\n'
        )
        self.config.write_text(self.text)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def reload(self):
        """How an agent reloads it."""
        return {"pid_file": str(self.pid_file), "binary": NGINX, "config": str(self.config)}

    @property
    def test(self):
        """The command that tests its configuration."""
        return [NGINX, "-t", "-q", "-e", str(self.folder / "error.log"), "-c", str(self.config)]

    def start(self):
        command = [NGINX, "-e", str(self.folder / "error.log"), "-c", str(self.config)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until("nginx listens", lambda: self.pid_file.exists() and self.is_up())
        return self

    def is_up(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def serial(self):
        """The serial number of what it serves."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as tls:
                return authorities.parse(ssl.DER_cert_to_PEM_cert(tls.getpeercert(True))).serial_number


class Load:
    """Requests, each on a connection of its own that is verified, until it is stopped."""

    def __init__(self, port, context, name, threads=4):
        self.port, self.context, self.name = port, context, name
        self.done, self.failures = 0, []
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while not self.ended.is_set():
            why = None
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain:
                    with self.context.wrap_socket(plain, server_hostname=self.name) as tls:
                        tls.sendall(b"GET / HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n")
                        answer = b""
                        while part := tls.recv(4096):
                            answer += part
                        why = None if answer.endswith(b"fine") else repr(answer)
            except OSError as error:
                why = repr(error)
            with self.lock:
                self.done += 1
                if why:
                    self.failures.append(why)

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()
