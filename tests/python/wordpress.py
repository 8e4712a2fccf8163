"""A WordPress of Debian's on PHP's own web server, whose login to the database stands in one file that is replaced by rename."""

import contextlib
import http.client
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import urllib.parse

from databases import free_port
from waiting import until

PACKAGE = pathlib.Path("/usr/share/wordpress")
# WordPress calls itself while it is installed, and more than one page is fetched at a time.
WORKERS = "4"
PAGE_SECONDS = 60


class WordPress:
    """A site of its own, with `login` as AWS's JSON; it stands at `placed` already, if that is given."""

    def __init__(self, folder, login, placed=None):
        self.folder = pathlib.Path(folder)
        self.site, self.login = self.folder / "site", placed or self.folder / "login.json"
        shutil.copytree(PACKAGE, self.site)
        self.port = free_port()
        if not placed:
            self.take(login)
        (self.site / "wp-config.php").write_text(self.configuration(login))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                ["php", "-d", "display_errors=0", "-S", f"127.0.0.1:{self.port}", "-t", self.site],
                env=environment | {"PHP_CLI_SERVER_WORKERS": WORKERS},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # The workers outlive the one that is started: they end as a group.
                start_new_session=True,
            )
        until("it serves", lambda: self.fetch("/wp-admin/install.php"), PAGE_SECONDS)
        answers = {"weblog_title": "Shop", "user_name": "owner", "admin_email": "owner@example.org", "blog_public": "0"}
        answers |= dict.fromkeys(("admin_password", "admin_password2"), secrets.token_urlsafe(16))
        status, page = self.fetch("/wp-admin/install.php?step=2", answers)
        assert status == 200 and "Success!" in page, page
        assert self.works()

    def take(self, login):
        """Gives it this login: the file is whole at every moment."""
        made = self.login.with_suffix(".new")
        made.touch(0o600)
        made.write_text(json.dumps(login))
        made.rename(self.login)

    def fetch(self, path, form=None):
        """Status and text; `None` where nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PAGE_SECONDS)
        try:
            if form is None:
                connection.request("GET", path)
            else:
                body = urllib.parse.urlencode(form)
                connection.request("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def works(self):
        """Whether the front page comes, with the post that is read from the database."""
        page = self.fetch("/")
        return page is not None and page[0] == 200 and "Hello world!" in page[1]

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def configuration(self, login):
        salts = ("AUTH_KEY", "SECURE_AUTH_KEY", "LOGGED_IN_KEY", "NONCE_KEY", "AUTH_SALT", "SECURE_AUTH_SALT", "LOGGED_IN_SALT", "NONCE_SALT")
        defined = {name: secrets.token_urlsafe(32) for name in salts}
        defined |= {"DB_NAME": login["dbname"], "DB_HOST": f"{login['host']}:{login['port']}", "DB_CHARSET": "utf8mb4", "DB_COLLATE": ""}
        # It is to reach for nothing outside.
        defined |= dict.fromkeys(("WP_HTTP_BLOCK_EXTERNAL", "DISABLE_WP_CRON", "AUTOMATIC_UPDATER_DISABLED"), True)
        lines = [f"define({name!r}, {json.dumps(value)});" for name, value in defined.items()]
        return "\n".join([
            "<?php",
            f"$login = json_decode(file_get_contents({str(self.login)!r}), true);",
            "define('DB_USER', $login['username']);",
            "define('DB_PASSWORD', $login['password']);",
            *lines,
            "$table_prefix = 'wp_';",
            "if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');",
            "require_once ABSPATH . 'wp-settings.php';",
        ])  # fmt: skip
