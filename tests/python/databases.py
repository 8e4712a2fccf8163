"""MariaDB and PostgreSQL as throw-away servers with TLS, and a wire in front of them that a test can cut."""

import contextlib
import glob
import os
import pathlib
import secrets
import socket
import subprocess
import threading

from waiting import until

# A server starts in a second or two; a busy machine takes its time.
START_SECONDS = 120
ROOT = os.geteuid() == 0


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=START_SECONDS, **more).stdout.strip()


def certificate(folder):
    """An authority, and a certificate of it for `localhost`."""
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("openssl", "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Authority", cwd=folder)
    run("openssl", "req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost", cwd=folder)
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"]
    run("openssl", "x509", "-req", "-in", "server.csr", "-out", "server.pem", *signed, cwd=folder)


class Database:
    """A server with its own data. `start` again after `kill` goes on with the same data."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.password = "Root-1" + secrets.token_hex(8)
        self.process = None
        certificate(self.folder)
        self.make()

    def start(self):
        try:
            until("the database serves", self.serves, START_SECONDS)
        except AssertionError as late:
            raise AssertionError((self.folder / "log").read_text()) from late
        return self

    def serves(self):
        # What a killed one leaves may keep the next from starting for a moment.
        if self.process is None or self.process.poll() is not None:
            with (self.folder / "log").open("a") as log:
                self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        return self.logs_in(self.administrator, self.password)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def logs_in(self, user, password):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.ask(user, password, "SELECT 1")
            return True
        return False

    def sql(self, statements):
        return self.ask(self.administrator, self.password, statements)

    def secret(self, user, password, **more):
        """The secret's JSON."""
        return {
            "engine": self.engine,
            "host": "127.0.0.1",
            "port": self.port,
            "username": user,
            "password": password,
        } | more


class MariaDb(Database):
    engine, administrator, functions = "mariadb", "root", "mariadb"

    def make(self):
        user = ["--user=root"] if ROOT else []
        options = ["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        run("mariadb-install-db", *options, *user, f"--datadir={self.folder / 'data'}")
        (self.folder / "init.sql").write_text(
            "CREATE USER IF NOT EXISTS root@'127.0.0.1';\n"
            f"ALTER USER root@'127.0.0.1' IDENTIFIED BY '{self.password}';\n"
            "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
        )

    def command(self):
        files = {
            "datadir": "data",
            "socket": "sock",
            "init-file": "init.sql",
            "ssl-ca": "ca.pem",
            "ssl-cert": "server.pem",
            "ssl-key": "server.key",
        }
        return [
            "mariadbd",
            "--no-defaults",
            *(["--user=root"] if ROOT else []),
            "--skip-name-resolve",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--innodb-log-file-size=8M",
            *[f"--{option}={self.folder / name}" for option, name in files.items()],
        ]

    def ask(self, user, password, statement):
        options = ["--no-defaults", "--host=127.0.0.1", f"--port={self.port}", f"--user={user}"]
        environment = os.environ | {"MYSQL_PWD": password}
        return run("mariadb", *options, "--batch", "--skip-column-names", "--execute", statement, env=environment)

    def user(self, name, password):
        self.sql(f"CREATE USER {name}@'127.0.0.1' IDENTIFIED BY '{password}'")


class PostgreSql(Database):
    engine, administrator, functions = "postgres", "postgres", "postgresql"

    @property
    def programs(self):
        return sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]

    def as_postgres(self, program):
        other = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL"]
        return [*(other if ROOT else []), f"{self.programs}/{program}"]

    def make(self):
        password = self.folder / "password"
        password.write_text(self.password)
        if ROOT:
            # It refuses to run as root, and must be able to come to its folder.
            for parent in self.folder.parents:
                if parent.stat().st_mode & 0o001 == 0:
                    parent.chmod(parent.stat().st_mode | 0o011)
            run("chown", "-R", "postgres:postgres", self.folder)
        options = ["--no-sync", "--username=postgres", "--auth=scram-sha-256", f"--pwfile={password}"]
        run(*self.as_postgres("initdb"), *options, "--pgdata", self.folder / "data")

    def command(self):
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "ssl": "on",
            "ssl_cert_file": self.folder / "server.pem",
            "ssl_key_file": self.folder / "server.key",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [*self.as_postgres("postgres"), "-D", str(self.folder / "data"), *options]

    def ask(self, user, password, statement):
        options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
        where = ["--host=127.0.0.1", f"--port={self.port}", "--dbname=postgres", f"--username={user}"]
        environment = os.environ | {"PGPASSWORD": password}
        return run("psql", *options, *where, "--command", statement, env=environment)

    def user(self, name, password):
        self.sql(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")


def hang_up(connection):
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class Wire:
    """Carries connections to a port. What the client sends comes in pieces, counted over all connections; when a test has
    armed the wire, the Nth piece is followed, or preceded, by what the test does, and the connection ends there."""

    def __init__(self, port):
        self.to = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.arm(0, False, None)
        threading.Thread(target=self.serve, daemon=True).start()

    def arm(self, nth, before, deed):
        with self.lock:
            self.pieces, self.nth, self.before, self.deed, self.hit = 0, nth, before, deed, False

    def disarm(self):
        """Nothing happens from now on; whether it has, or is about to."""
        with self.lock:
            self.nth = 0
            return self.hit

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.to)) as server:
            try:
                self.forward(client, server)
            finally:
                # `back` reads from it, and a socket that is read from stays open when it is closed: a transaction under way
                # would keep its locks for ever.
                hang_up(server)

    def forward(self, client, server):
        muted = threading.Event()
        back = threading.Thread(target=self.back, args=(server, client, muted), daemon=True)
        back.start()
        while piece := client.recv(65536):
            with self.lock:
                self.pieces += 1
                hit = self.pieces == self.nth
                self.hit = self.hit or hit
            if hit:
                muted.set()
                if not self.before:
                    server.sendall(piece)
                    # The server has it when it answers; the answer goes nowhere.
                    server.settimeout(1)
                    back.join(1)
                self.deed()
                return
            server.sendall(piece)

    def back(self, server, client, muted):
        with contextlib.suppress(OSError):
            while piece := server.recv(65536):
                if muted.is_set():
                    return
                client.sendall(piece)
        hang_up(client)

    def close(self):
        self.listener.close()
