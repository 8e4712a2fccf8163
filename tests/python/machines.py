"""Machines with agents: a directory each, in which `keystead agent` keeps its things, and what the server knows of them."""

import datetime
import json
import os
import subprocess

import authorities
from envoys import trusting
from server import BINARY
from sessions import allow
from test_acm import issued
from test_rolesanywhere_sessions import trusting as trusting_agents
from waiting import until

NAME = "shop.example.internal"
NOW = datetime.timedelta(0)


class Command:
    """`keystead agent` and `keystead status` on a server's own data directory."""

    def __init__(self, server):
        self.server = server

    def __call__(self, *arguments, check=True):
        return self.server.run(*arguments, "--data-dir", str(self.server.data), check=check)

    def token(self, role, *more):
        made = json.loads(self("agent", "token", "--role", role, "--json", *more).stdout)
        return made["Token"].rpartition("."), made


class Machine:
    """A directory that `keystead agent` keeps its things in."""

    def __init__(self, server, folder):
        self.server, self.folder, self.state = server, folder, folder / "agent"
        self.iam = server.client("iam")
        self.process = None
        # Done in the agent's process before it begins, and where its log goes.
        self.preexec = self.log = None

    @property
    def environment(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder)}

    def agent(self, action, *arguments, given=None):
        command = [BINARY, "agent", action, *arguments, "--state", str(self.state)]
        return subprocess.run(command, input=given, env=self.environment, capture_output=True, text=True, timeout=60)

    def role(self):
        return self.iam.create_role(RoleName="web", AssumeRolePolicyDocument=trusting_agents())["Role"]["Arn"]

    def may(self, *actions):
        """Gives the role these rights and no others."""
        self.iam.put_role_policy(RoleName="web", PolicyName="rights", PolicyDocument=allow(*actions))

    def join_token(self, role, *more):
        return Command(self.server)("agent", "token", "--role", role, *more).stdout

    def join(self, token, *more):
        return self.agent("join", "-", *more, given=token)

    def joined(self, *actions):
        """Makes the machine an agent whose role has these rights."""
        role = self.role()
        self.may(*actions)
        said = self.join(self.join_token(role), "--name", "web-1")
        assert said.returncode == 0, said.stderr

    def credentials(self, ahead=NOW):
        said = self.agent("credentials", "--clock-offset", str(int(ahead.total_seconds())))
        assert said.returncode == 0, said.stderr
        return json.loads(said.stdout)

    def run(self, config, *more, ahead=NOW):
        """Starts the agent with this configuration; the lines that it prints until it is ready."""
        file = self.folder / "agent.toml"
        file.write_text(f"state = {json.dumps(str(self.state))}\n{config}")
        command = [BINARY, "agent", "run", "--config", str(file), "--clock-offset", str(int(ahead.total_seconds()))]
        what = {"stdout": subprocess.PIPE, "stderr": self.log, "preexec_fn": self.preexec}
        self.process = subprocess.Popen([*command, *more], env=self.environment, text=True, **what)
        printed = []
        for line in self.process.stdout:
            if line == "ready\n":
                return printed
            printed.append(line)
        # One that is to be killed may be so by then.
        assert "--kill-before" in more, "the agent did not start"
        return printed

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self, ahead):
        """The server again, where it was, at another time."""
        where = self.server.host
        self.server.stop()
        self.server.start(listen=where, ahead=ahead)

    @property
    def kept(self):
        return json.loads((self.state / "identity.json").read_text())


class Shop(Machine):
    """A server with a certificate, and a machine with an agent that uses it."""

    def __init__(self, server, folder, *actions):
        super().__init__(server, folder)
        pca, acm = server.client("acm-pca"), server.client("acm")
        self.root = authorities.grant(pca, authorities.root(pca, "Shop Root"))
        self.certificate = issued(acm, self.root, NAME, KeyAlgorithm="EC_prime256v1")
        trusted = pca.get_certificate_authority_certificate(CertificateAuthorityArn=self.root)["Certificate"]
        self.context = trusting(trusted)
        self.joined(*actions)

    def serial(self):
        answer = self.server.client("acm").get_certificate(CertificateArn=self.certificate)
        return authorities.parse(answer["Certificate"]).serial_number

    def renew(self):
        before = self.serial()
        self.server.client("acm").renew_certificate(CertificateArn=self.certificate)
        return until("the renewal", lambda: next((s for s in [self.serial()] if s != before), None))

    def placement(self, arn=None):
        """The placement of this resource, or of the certificate, as the server knows it."""
        arn = arn or self.certificate
        listed = self.server.client("keystead").list_placements()["Placements"]
        return next((one for one in listed if one["Resources"][0]["Arn"] == arn), None)

    def reported(self, **expected):
        def matches():
            found = self.placement()
            return found and all(found.get(key) == value for key, value in expected.items()) and found

        return until(f"the server knows {expected}", matches, 60)

    def is_proven(self, serial):
        """The placement, if the server knows that this is served."""
        found = self.placement()
        is_it = found and found["Status"] == "PROVEN" and found["Resources"][0].get("Proven") == hexadecimal(serial)
        return is_it and found

    def proves(self, serial):
        return until(f"{hexadecimal(serial)} is proven", lambda: self.is_proven(serial), 60)


def hexadecimal(serial):
    digits = f"{serial:x}"
    digits = digits.zfill(len(digits) + len(digits) % 2)
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))
