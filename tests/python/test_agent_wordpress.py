"""A WordPress behind TLS on a machine with an agent: its password and its certificate both change while pages are fetched."""

import http.client
import json
import os
import socket
import threading

import pytest
from databases import MariaDb
from examples import CERTIFICATE, SECRET, STATE, of_example
from machines import NAME, Shop
from nginxes import Nginx
from test_rotation import FIRST, administrator, rotate, settled, unique, value
from waiting import until
from wordpress import PAGE_SECONDS, WordPress

RIGHTS = ["acm:DescribeCertificate", "acm:ExportCertificate", "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
# How often both change.
TIMES = int(os.environ.get("KEYSTEAD_WORDPRESS_ROTATIONS", "4"))


class Site(Shop):
    """A machine with nginx, WordPress and an agent; the database is elsewhere."""

    def __init__(self, server, folder, secret):
        super().__init__(server, folder, *RIGHTS)
        self.secret, self.tls = secret, folder / "tls"
        self.tls.mkdir(mode=0o755)
        self.database_login = self.tls / "db.json"
        self.nginx = Nginx(folder / "nginx", self.tls / "shop.pem", self.tls / "shop.key")
        self.wordpress = None

    def start_agent(self):
        state = {STATE: ""}
        login = {f'"{SECRET}"': f'"{self.secret}"', 'to = "/etc/wordpress/db.json"': f'to = "{self.database_login}"'}
        if os.getuid():
            login['owner = "root", group = "www-data", '] = ""
        reload = ", ".join(f"{key} = {json.dumps(text)}" for key, text in self.nginx.reload.items())
        certificate = {
            CERTIFICATE: self.certificate,
            "shop.example.com": NAME,
            "/etc/nginx/tls/": f"{self.tls}/",
            'pid_file = "/run/nginx.pid"': reload,
            "127.0.0.1:443": self.nginx.address,
        }
        assert not self.run(of_example("agent/wordpress.toml", login | state) + of_example("agent/nginx.toml", certificate | state))
        until("everything is in its place", lambda: len(list(self.tls.iterdir())) == 3)

    def start(self, login):
        self.start_agent()
        self.wordpress = WordPress(self.folder, login, self.database_login)
        pages = f"proxy_pass http://127.0.0.1:{self.wordpress.port}; proxy_set_header Host 127.0.0.1:{self.wordpress.port};"
        self.nginx.config.write_text(self.nginx.text.replace('return 200 "fine";', pages))
        self.nginx.start()

    def page(self):
        """The front page over TLS, of a certificate that is valid for its name."""
        connection = http.client.HTTPSConnection(NAME, self.nginx.port, timeout=PAGE_SECONDS, context=self.context)
        # The name is looked up nowhere.
        connection._create_connection = lambda address, *more: socket.create_connection(("127.0.0.1", address[1]), *more)
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def close(self):
        self.kill()
        self.nginx.stop()
        if self.wordpress:
            self.wordpress.stop()


class Visitors:
    """Fetch the front page over and over, each on connections of its own."""

    def __init__(self, site, count=3):
        self.site, self.stop = site, threading.Event()
        self.fetched, self.failures = [0] * count, []
        self.threads = [threading.Thread(target=self.visit, args=(number,)) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def visit(self, number):
        while not self.stop.is_set():
            try:
                status, text = self.site.page()
                if status != 200 or "Hello world!" not in text:
                    self.failures.append((status, text[:500]))
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            self.fetched[number] += 1

    def all_come_back(self):
        seen = list(self.fetched)
        until("every visitor is back", lambda: all(now > then + 1 for now, then in zip(self.fetched, seen)))

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def mariadb(tmp_path):
    started = MariaDb(tmp_path / "mariadb").start()
    yield started
    started.kill()


def test_no_page_fails_while_password_and_certificate_change(own_server, mariadb, tmp_path):
    own_server.start()
    sm = own_server.client("secretsmanager")
    name, shop = unique(), unique("shop")
    mariadb.sql(f"CREATE DATABASE {shop}")
    mariadb.user(name, FIRST)
    mariadb.sql(f"GRANT ALL ON {shop}.* TO {name}@'127.0.0.1'")
    login = mariadb.secret(name, FIRST, dbname=shop, masterarn=administrator(sm, mariadb))
    secret = sm.create_secret(Name=name, SecretString=json.dumps(login))["ARN"]
    (tmp_path / "machine").mkdir()
    site = Site(own_server, tmp_path / "machine", secret)
    try:
        site.start(login)
        site.proves(site.serial())
        visitors, logins, serials = Visitors(site), {FIRST}, {site.serial()}
        try:
            for _ in range(TIMES):
                version = rotate(sm, secret, "mariadb-alternating")
                serials.add(site.renew())
                current = settled(sm, secret, version)
                logins.add(current["password"])
                site.proves(site.serial())
                until("the new login is in its place", lambda: value(sm, secret)["password"] in site.database_login.read_text())
                visitors.all_come_back()
                assert site.nginx.serial() == site.serial()
        finally:
            visitors.end()
    finally:
        site.close()
    fetched = sum(visitors.fetched)
    print(f"{len(visitors.failures)} of {fetched} pages failed over {TIMES} rotations and as many renewals")
    assert len(logins) == len(serials) == TIMES + 1
    assert visitors.failures == [] and fetched > 6 * TIMES
