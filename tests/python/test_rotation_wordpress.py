"""A WordPress whose database password rotates while its pages are fetched."""

import json
import os
import threading

import pytest
from databases import MariaDb
from test_rotation import FIRST, administrator, rotate, settled, unique, value
from waiting import until
from wordpress import WordPress

# How often the password changes.
ROTATIONS = int(os.environ.get("KEYSTEAD_WORDPRESS_ROTATIONS", "6"))


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory):
    started = MariaDb(tmp_path_factory.mktemp("mariadb")).start()
    yield started
    started.kill()


class Visitors:
    """Fetch the front page over and over, and count."""

    def __init__(self, site):
        self.site, self.stop = site, threading.Event()
        self.fetched, self.failed = [0, 0], [0, 0]
        self.threads = [threading.Thread(target=self.visit, args=(number,)) for number in range(2)]

    def visit(self, number):
        while not self.stop.is_set():
            if not self.site.works():
                self.failed[number] += 1
            self.fetched[number] += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


@pytest.mark.parametrize("kind", ["mariadb-alternating", "mariadb"])
def test_pages_are_served_while_the_password_rotates(sm, mariadb, tmp_path, kind):
    name, shop = unique(), unique("shop")
    mariadb.sql(f"CREATE DATABASE {shop}")
    mariadb.user(name, FIRST)
    mariadb.sql(f"GRANT ALL ON {shop}.* TO {name}@'127.0.0.1'")
    login = mariadb.secret(name, FIRST, dbname=shop, masterarn=administrator(sm, mariadb))
    sm.create_secret(Name=name, SecretString=json.dumps(login))
    site = WordPress(tmp_path, login)
    try:
        with Visitors(site) as visitors:
            for _ in range(ROTATIONS):
                settled(sm, name, rotate(sm, name, kind))
                # What an agent does on the machine: it writes what it finds, as soon as it finds it.
                site.take(value(sm, name))
                seen = list(visitors.fetched)
                until("every visitor is back", lambda: all(now > then + 1 for now, then in zip(visitors.fetched, seen)))
        assert site.works(), "with the password of the last rotation"
    finally:
        site.stop()
    fetched, failed = sum(visitors.fetched), sum(visitors.failed)
    print(f"{kind}: {failed} of {fetched} pages failed over {ROTATIONS} rotations")
    assert fetched > 2 * ROTATIONS
    if kind.endswith("alternating"):
        assert failed == 0
