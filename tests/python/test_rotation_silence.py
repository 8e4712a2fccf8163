"""A database host that swallows what is sent: its secrets wait, and those of other hosts don't wait for them."""

import contextlib
import json
import socket
import threading

from databases import MariaDb
from test_rotation import FIRST, rotate, settled, unique, user, works
from waiting import until

# Many more than rotations that run at a time.
SILENT = 40


class Swallow:
    """A port that takes connections and says nothing."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=SILENT)
        self.port = self.listener.getsockname()[1]
        self.taken = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                self.taken.append(self.listener.accept()[0])

    def close(self):
        self.listener.close()
        for connection in self.taken:
            connection.close()


def test_secrets_of_a_dead_host_hold_nobody_up(own_server, tmp_path):
    own_server.start()
    sm = own_server.client("secretsmanager")
    database, dead = MariaDb(tmp_path / "mariadb").start(), Swallow()
    try:
        text = database.secret("nobody", FIRST) | {"port": dead.port}
        silent = [unique("silent") for _ in range(SILENT)]
        for name in silent:
            sm.create_secret(Name=name, SecretString=json.dumps(text | {"username": name}))
            rotate(sm, name, database.functions)
        until("the dead host is visited", lambda: dead.taken)
        healthy = user(sm, database)
        current = settled(sm, healthy, rotate(sm, healthy, database.functions))
        assert works(database, current)
        # Not one after the other of the silent ones had its turn before.
        assert len(dead.taken) < SILENT / 2, len(dead.taken)
    finally:
        dead.close()
        database.kill()
