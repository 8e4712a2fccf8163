"""From a token to a handshake at a real nginx: an agent places a certificate, has it loaded, proves it, and goes back if it can't."""

import datetime
import json
import os
import pathlib
import resource
import signal
import ssl
import subprocess
import sys

import pytest

import authorities
from databases import MariaDb, PostgreSql
from machines import NAME, Command, Shop, hexadecimal
from nginxes import Load, Nginx
from server import BINARY
from waiting import until

RIGHTS = ["acm:DescribeCertificate", "acm:ExportCertificate"]
HUP = "import os, signal, sys; os.kill(int(open(sys.argv[1]).read()), signal.SIGHUP)"
SECRET_RIGHTS = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]


class Place(Shop):
    """A shop with an nginx."""

    def __init__(self, server, folder):
        super().__init__(server, folder, *RIGHTS)
        self.tls = folder / "tls"
        self.tls.mkdir(mode=0o755)
        self.pem, self.key = self.tls / "shop.pem", self.tls / "shop.key"
        self.nginx = Nginx(folder / "nginx", self.pem, self.key)
        self.config = None

    def configure(self, reload=None, probe=True, names=(NAME,)):
        """Writes the agent's configuration."""
        reload = reload or {"nginx": self.nginx.reload}
        probes = [{"address": self.nginx.address, "sni": NAME}] if probe else []
        files = [{"write": "fullchain", "to": str(self.pem)}, {"write": "key", "to": str(self.key), "mode": "0600"}]
        lines = [
            "[[place]]",
            'name = "shop"',
            f"certificate = {json.dumps(self.certificate)}",
            f"names = {json.dumps(list(names))}",
            f"files = [{', '.join(inline(file) for file in files)}]",
            f"reload = {inline(reload)}",
            f"probe = [{', '.join(inline(one) for one in probes)}]",
            "prove_seconds = 3",
        ]
        self.config = "\n".join(lines) + "\n"

    def shell(self, script, **more):
        """A reload by a shell that knows what would reload nginx as its arguments."""
        hup = [sys.executable, "-c", HUP, str(self.nginx.pid_file)]
        return {"command": {"run": ["/bin/sh", "-c", script, "sh", *hup], "test": self.nginx.test} | more}

    def start(self, *more, ahead=datetime.timedelta(0)):
        assert not self.run(self.config, *more, ahead=ahead)

    def close(self):
        self.kill()
        self.nginx.stop()

    def first(self):
        """The first pair, with an nginx that serves it: placed before nginx has ever been there."""
        self.configure()
        self.start()
        until("the pair is placed", lambda: self.pem.exists() and self.key.exists())
        self.nginx.start()
        return self.proves(self.serial())

    def lies_there(self):
        """The serial number of the certificate on the disk, whose key is beside it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pem, self.key)
        return authorities.parse(self.pem.read_text()).serial_number


def inline(value):
    """A value as TOML has it, in one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {inline(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)


@pytest.fixture
def place(own_server, tmp_path):
    own_server.start()
    made = Place(own_server, tmp_path)
    yield made
    made.close()


def test_from_a_token_to_a_renewal_under_load_that_is_proven(place):
    place.first()
    assert place.pem.stat().st_mode & 0o777 == 0o644 and place.key.stat().st_mode & 0o777 == 0o600
    found = place.placement()
    assert [(one["Address"], one["Proven"]) for one in found["Addresses"]] == [(place.nginx.address, True)]
    acm = place.server.client("acm")
    described = acm.describe_certificate(CertificateArn=place.certificate)["Certificate"]
    assert described["InUseBy"] == [found["PlacementArn"]]
    load = Load(place.nginx.port, place.context, NAME)
    for _ in range(3):
        serial = place.renew()
        found = place.proves(serial)
        assert place.nginx.serial() == serial == place.lies_there()
        print(f"from the renewal to its proof: {(found['Since'] - found['WantedAt']).total_seconds():.2f} s at the agent")
    load.stop()
    print(f"{load.done} requests meanwhile, {len(load.failures)} failed")
    assert load.failures == [] and load.done > 100
    assert sorted(path.name for path in place.tls.iterdir()) == ["shop.key", "shop.pem"]
    said = Command(place.server)("status")
    (line,) = [line for line in said.stdout.splitlines() if " shop " in line]
    assert line.split()[0] == "web-1" and "proven" in line


def test_a_configuration_that_does_not_test_is_not_loaded(place):
    place.first()
    first = place.serial()
    place.nginx.config.write_text(place.nginx.text + "nonsense;\n")
    second = place.renew()
    found = place.reported(Status="FAILED")
    assert "nonsense" in found["Reason"], found["Reason"]
    assert place.nginx.serial() == first == place.lies_there()
    said = Command(place.server)("status", check=False)
    assert said.returncode == 1 and "nonsense" in said.stdout
    place.nginx.config.write_text(place.nginx.text)
    place.proves(second)
    assert place.nginx.serial() == second == place.lies_there()


def test_a_port_that_keeps_the_old_one_is_noticed(place):
    place.first()
    first = place.serial()
    place.kill()
    switch = place.folder / "works"
    place.configure(place.shell(f'[ ! -e {switch} ] || exec "$@"'))
    place.start()
    second = place.renew()
    found = place.reported(Status="FAILED")
    assert f"serves {hexadecimal(first)} and not {hexadecimal(second)}" in found["Reason"]
    assert place.nginx.serial() == first
    assert found["Resources"][0]["Proven"] == hexadecimal(first)
    switch.touch()
    place.proves(second)
    assert place.nginx.serial() == second == place.lies_there()


def test_a_reload_that_hangs_is_ended_and_taken_back(place):
    place.first()
    first = place.serial()
    place.kill()
    switch = place.folder / "hangs"
    switch.touch()
    place.configure(place.shell(f'[ ! -e {switch} ] || exec sleep 600; exec "$@"', timeout_seconds=1))
    place.start()
    second = place.renew()
    found = place.reported(Status="FAILED")
    assert "within 1s" in found["Reason"], found["Reason"]
    until("the old pair is back", lambda: place.nginx.serial() == first == place.lies_there())
    switch.unlink()
    place.proves(second)
    assert place.nginx.serial() == second == place.lies_there()


def test_a_directory_that_is_read_only_or_others_keeps_the_old(place):
    place.first()
    first = place.serial()
    place.tls.chmod(0o777)
    second = place.renew()
    found = place.reported(Status="FAILED")
    assert found["Reason"].endswith("can be written to by others (mode 777)")
    assert place.nginx.serial() == first == place.lies_there()
    place.tls.chmod(0o755)
    place.proves(second)


def test_a_full_disk_keeps_the_old_and_is_made_up_for(place):
    """A file size limit stands for a full disk: every write fails, that of the log too, with EFBIG instead of ENOSPC."""
    place.log = (place.folder / "log").open("w")
    # Without this the kernel would end the process instead of failing the write.
    place.preexec = lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    place.first()
    first = place.serial()
    _, hard = resource.prlimit(place.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(place.process.pid, resource.RLIMIT_FSIZE, (0, hard))
    second = place.renew()
    found = place.reported(Status="FAILED")
    assert "File too large" in found["Reason"], found["Reason"]
    assert place.nginx.serial() == first == place.lies_there()
    assert sorted(path.name for path in place.tls.iterdir()) == ["shop.key", "shop.pem"]
    resource.prlimit(place.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    place.log.close()
    place.proves(second)
    assert place.nginx.serial() == second == place.lies_there()


def test_a_certificate_for_other_names_is_not_placed(place):
    place.configure(names=[NAME, "other.example.internal"])
    place.start()
    found = place.reported(Status="FAILED")
    assert found["Reason"].endswith("is not fit to be placed: it is not for the name other.example.internal")
    assert list(place.tls.iterdir()) == []


def test_a_role_that_lost_its_permission_leaves_what_is_served(place):
    place.first()
    first = place.serial()
    place.may("acm:DescribeCertificate")
    second = place.renew()
    found = place.reported(Status="FAILED")
    assert "AccessDeniedException" in found["Reason"] and "acm:ExportCertificate" in found["Reason"]
    assert place.nginx.serial() == first == place.lies_there()
    place.may(*RIGHTS)
    place.proves(second)


def test_a_start_without_the_server_has_the_last_good_pair(place):
    place.first()
    first = place.serial()
    where = place.server.host
    place.kill()
    place.server.kill()
    place.pem.unlink()
    place.key.write_text("damaged")
    place.start()
    until("the pair is back", lambda: place.pem.exists() and place.key.read_text() != "damaged")
    assert place.lies_there() == first
    assert place.key.stat().st_mode & 0o777 == 0o600
    assert place.nginx.serial() == first
    hour = datetime.timedelta(hours=1)
    place.kill()
    # What is kept may be lost: what is on the disk counts.
    (place.state / "places" / "shop.sealed").write_bytes(b"damaged")
    place.server.start(listen=where, ahead=hour)
    place.start(ahead=hour)
    place.proves(place.renew())


def test_an_agent_that_is_killed_at_any_step_leaves_a_pair_and_goes_on(place):
    place.first()
    place.kill()
    for last in range(1, 100):
        before, wanted = place.serial(), place.renew()
        place.start("--kill-before", str(last))
        ended = until("it is proven or killed", lambda: place.process.poll() or (place.placement() and place.is_proven(wanted)))
        if ended != -signal.SIGKILL:
            break
        assert place.nginx.serial() in (before, wanted)
        place.start()
        place.proves(wanted)
        assert place.nginx.serial() == wanted == place.lies_there()
        assert sorted(path.name for path in place.tls.iterdir()) == ["shop.key", "shop.pem"]
        place.kill()
    print(f"killed before each of {last - 1} steps")
    assert last > 12


def test_secrets_and_templates_are_placed_and_follow_changes(place):
    secrets = place.server.client("secretsmanager")
    secret = secrets.create_secret(Name="db", SecretString='{"user":"shop","password":"first"}')["ARN"]
    place.may(*RIGHTS, *SECRET_RIGHTS, "acm-pca:GetCertificateAuthorityCertificate", "keystead:GetTrustBundle")
    template = place.folder / "db.conf.template"
    template.write_text(f'user={{{{ secret "{secret}" "user" }}}}\npassword={{{{secret "{secret}" "password"}}}}\n')
    log = place.folder / "log"
    # Whoever may give files away does.
    owner, group = (os.getuid() + 7, 7) if os.getuid() == 0 else (os.getuid(), os.getgid())
    files = [
        {"template": str(template), "to": str(place.tls / "db.conf"), "mode": "0640", "owner": str(owner), "group": str(group)},
        {"write": "secret", "to": str(place.tls / "db.json")},
        {"write": "bundle", "to": str(place.tls / "roots.pem")},
        {"write": "pem", "to": str(place.tls / "all.pem")},
        {"write": "chain", "to": str(place.tls / "chain.pem")},
    ]
    place.config = (
        f'[[place]]\nname = "db"\nsecret = "{secret}"\nauthority = "{place.root}"\n'
        f'certificate = "{place.certificate}"\nfiles = [{", ".join(inline(file) for file in files)}]\n'
        f'reload = {{ command = {{ run = ["/bin/sh", "-c", "cat {place.tls}/db.conf >> {log}"] }} }}\n'
    )
    place.start()
    until("it is loaded", lambda: log.exists() and log.read_text() == "user=shop\npassword=first\n")
    found = {path.name: path.stat() for path in place.tls.iterdir()}
    assert {name: oct(stat.st_mode & 0o777) for name, stat in found.items()} == {
        "db.conf": "0o640",
        "db.json": "0o600",
        "roots.pem": "0o644",
        "all.pem": "0o600",
        "chain.pem": "0o644",
    }
    assert (found["db.conf"].st_uid, found["db.conf"].st_gid) == (owner, group)
    ssl.create_default_context(cafile=place.tls / "roots.pem")
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(place.tls / "all.pem")
    assert authorities.bundle((place.tls / "chain.pem").read_text())
    version = secrets.put_secret_value(SecretId=secret, SecretString='{"user":"shop","password":"second"}')["VersionId"]
    until("the change is loaded", lambda: log.read_text().endswith("password=second\n"))
    assert json.loads((place.tls / "db.json").read_text())["password"] == "second"

    def is_placed():
        (known,) = place.server.client("keystead").list_placements()["Placements"]
        versions = {one["Arn"]: one.get("Placed") for one in known["Resources"]}
        return known["Status"] == "PLACED" and versions[secret] == version and len(versions) == 3

    until("the server knows", is_placed)
    for path in place.state.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
        assert path.is_dir() or b"second" not in path.read_bytes(), path


def test_a_pair_that_was_there_before_is_put_back_if_the_first_does_not_load(place):
    key = authorities.new_key()
    pem = authorities.self_signed(key, NAME)
    old = authorities.parse(pem)
    place.pem.write_bytes(pem)
    place.key.write_bytes(authorities.key_pem(key))
    place.pem.chmod(0o640)
    place.nginx.start()
    switch = place.folder / "works"
    place.configure(place.shell(f'[ ! -e {switch} ] || exec "$@"'))
    place.start()
    place.reported(Status="FAILED")
    assert place.nginx.serial() == old.serial_number
    until("it is put back", lambda: place.lies_there() == old.serial_number)
    assert place.pem.stat().st_mode & 0o777 == 0o640
    switch.touch()
    place.proves(place.serial())
    assert place.pem.stat().st_mode & 0o777 == 0o644


def test_the_examples_are_configurations(tmp_path):
    folder = pathlib.Path(__file__).parents[2] / "examples" / "agent"
    examples = sorted(folder.glob("*.toml"))
    assert len(examples) >= 3
    for example in examples:
        text = example.read_text().replace("/etc/keystead/", f"{folder}/")
        (tmp_path / "agent.toml").write_text(text)
        said = subprocess.run(
            [BINARY, "agent", "check", "--config", str(tmp_path / "agent.toml")], capture_output=True, text=True, timeout=60
        )
        assert said.returncode == 0 and said.stdout.endswith(": 1 placements\n"), (example, said.stderr)
    (tmp_path / "agent.toml").write_text(text.replace('mode = "0640"', 'mode = "0644"'))
    said = subprocess.run(
        [BINARY, "agent", "check", "--config", str(tmp_path / "agent.toml")], capture_output=True, text=True, timeout=60
    )
    assert said.returncode == 1 and "others could read it" in said.stderr


@pytest.mark.parametrize("kind", [PostgreSql, MariaDb])
def test_a_database_takes_what_was_placed_while_it_is_asked(place, kind):
    database = kind(place.folder / "database").start()
    owner = {"owner": "postgres", "group": "postgres"} if kind is PostgreSql and os.getuid() == 0 else {}
    files = [
        {"write": "fullchain", "to": str(database.folder / "server.pem")} | owner,
        {"write": "key", "to": str(database.folder / "server.key")} | owner,
    ]
    if kind is PostgreSql:
        reload, protocol = {"postgresql": {"data_directory": str(database.folder / "data")}}, "postgresql"
    else:
        options = database.folder / "client.cnf"
        options.write_text(f"[client]\nuser=root\npassword={database.password}\nhost=127.0.0.1\nport={database.port}\n")
        options.chmod(0o600)
        reload, protocol = {"mariadb": {"defaults_file": str(options)}}, "mysql"
    probe = {"address": f"127.0.0.1:{database.port}", "sni": NAME, "protocol": protocol}
    place.config = (
        f'[[place]]\nname = "shop"\ncertificate = "{place.certificate}"\n'
        f"files = [{', '.join(inline(file) for file in files)}]\nreload = {inline(reload)}\nprobe = [{inline(probe)}]\n"
    )
    try:
        place.start()
        place.proves(place.serial())
        serial = place.renew()
        asked = 0
        while not place.is_proven(serial):
            assert database.sql("SELECT 7").split()[-1] == "7"
            asked += 1
        found = place.placement()
        took = (found["Since"] - found["WantedAt"]).total_seconds()
        print(f"{protocol}: {took:.2f} s from the renewal to its proof, {asked} queries meanwhile, none failed")
    finally:
        database.kill()
