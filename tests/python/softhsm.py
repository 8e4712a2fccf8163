"""SoftHSM2: PKCS #11 tokens in files, for servers that are told where they are by their environment."""

import os
import pathlib
import subprocess

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "0123456789"


class SoftHsm:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.tokens = self.folder / "tokens"
        self.tokens.mkdir(parents=True)
        configuration = self.folder / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\n")
        self.environment = {"SOFTHSM2_CONF": str(configuration)}
        self.pin_file = self.pin("pin", PIN)

    def pin(self, name, pin):
        """A file with this PIN that nobody else can read."""
        path = self.folder / name
        path.write_text(pin + "\n")
        path.chmod(0o600)
        return path

    def initialize(self, label="hsm"):
        """One more token, of this label."""
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "98765432", "--pin", PIN]
        subprocess.run(command, env=os.environ | self.environment, check=True, capture_output=True, timeout=60)
        self.whole = {path: path.read_bytes() for path in self.tokens.glob("*/token.object")}
        return self

    def mend(self):
        """Puts back what SoftHSM writes anew, in place, whenever somebody logs in: a client that is killed just
        then leaves it empty, and the token is lost."""
        for path, content in self.whole.items():
            path.write_bytes(content)

    def objects(self):
        """How many objects there are in all tokens."""
        return len([path for path in self.tokens.glob("*/*.object") if path.name != "token.object"])

    def take_away(self):
        self.tokens.rename(self.folder / "away")

    def bring_back(self):
        (self.folder / "away").rename(self.tokens)

    def configured(self, name="hsm", label="hsm", **more):
        """The token's part of a configuration file."""
        values = {"module": MODULE, "token": label, "pin_file": str(self.pin_file)} | more
        lines = [f"{key} = {value!r}" if isinstance(value, int) else f'{key} = "{value}"' for key, value in values.items()]
        return "\n".join([f"[tokens.{name}]", *lines, ""])
