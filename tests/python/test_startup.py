"""Starting: what is promised, and what is refused with nothing harmed."""

import http.client
import json
import os
import pathlib
import resource
import shutil
import signal
import stat
import subprocess

import pytest

import authorities
from server import ACCOUNT, BINARY, Server, StartFailure
from signing import signed


def one_authority(server):
    arn = authorities.root(server.client("acm-pca"), "Kept")
    return arn, certificate_of(server, arn)


def certificate_of(server, arn):
    pca = server.client("acm-pca")
    return pca.get_certificate_authority_certificate(CertificateAuthorityArn=arn)["Certificate"]


def refusal(server, *arguments):
    with pytest.raises(StartFailure) as raised:
        server.start(*arguments)
    failure = raised.value
    assert failure.status not in (0, None), failure.said
    assert "panicked" not in failure.said and "backtrace" not in failure.said.lower(), failure.said
    return failure.said


def test_health_and_environment(own_server):
    own_server.start()
    connection = http.client.HTTPConnection(own_server.host, timeout=30)
    connection.request("GET", "/health")
    answer = connection.getresponse()
    assert answer.status == 200 and isinstance(json.loads(answer.read()), dict)
    printed = own_server.run("env", "--data-dir", str(own_server.data)).stdout
    shell = subprocess.run(
        ["bash", "-c", printed + '\necho "$AWS_ENDPOINT_URL $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $AWS_DEFAULT_REGION"'],
        capture_output=True, text=True, check=True, env=own_server.environment(),
    )  # fmt: skip
    assert shell.stdout.split() == [own_server.endpoint, own_server.key_id, own_server.secret, "us-east-1"]


def test_without_wishes_the_first_key_is_random(tmp_path):
    seen = set()
    for name in ("a", "b"):
        server = Server(tmp_path / name, account=None)
        server.key_id = server.secret = ""
        server.folder.mkdir()
        server.start()
        try:
            key, secret = server.variables["AWS_ACCESS_KEY_ID"], server.variables["AWS_SECRET_ACCESS_KEY"]
            assert len(secret) >= 40
            seen |= {key, secret}
            identity = server.client("sts", key_id=key, secret=secret).get_caller_identity()
            assert identity["Account"] == "000000000000"
        finally:
            server.kill()
    assert len(seen) == 4


def test_data_is_for_its_owner_alone(own_server):
    own_server.start()
    one_authority(own_server)
    for folder, _, files in os.walk(own_server.data):
        for path in [pathlib.Path(folder), *(pathlib.Path(folder) / file for file in files)]:
            mode = path.stat().st_mode
            assert not mode & (stat.S_IRWXG | stat.S_IRWXO), f"{path} {oct(mode)}"


def test_no_key_lies_on_the_disk_in_clear(own_server):
    own_server.start()
    acm = own_server.client("acm")
    key = authorities.new_key("RSA-2048")
    pem = authorities.key_pem(key)
    acm.import_certificate(Certificate=authorities.self_signed(key, "clear.example.internal"), PrivateKey=pem)
    own_server.stop()
    numbers = key.private_numbers()
    secrets = [
        number.to_bytes((number.bit_length() + 7) // 8, "big")[:24] for number in (numbers.p, numbers.q, numbers.d)
    ]
    for path in own_server.data.rglob("*"):
        if path.is_file() and path.name != "client.json":
            content = path.read_bytes()
            assert not any(secret in content for secret in secrets), path
            assert b"PRIVATE KEY" not in content, path
            assert own_server.secret.encode() not in content, path


def test_a_stop_is_clean_and_what_was_there_is_there(own_server):
    own_server.start()
    arn, certificate = one_authority(own_server)
    assert own_server.stop() == 0
    own_server.start()
    assert certificate_of(own_server, arn) == certificate


def test_the_account_stays(own_server):
    own_server.start()
    own_server.stop()
    own_server.account = "999999999999"
    assert ACCOUNT in refusal(own_server)


def test_a_second_server_on_the_same_data_is_refused(own_server):
    own_server.start()
    arn, certificate = one_authority(own_server)
    second = Server(own_server.folder)
    said = refusal(second)
    assert str(own_server.data) in said, said
    assert certificate_of(own_server, arn) == certificate
    # The refused one took nothing away: not the lock, not what clients read.
    assert json.loads(own_server.run("env", "--json", "--data-dir", str(own_server.data)).stdout) == own_server.variables
    own_server.kill()
    own_server.start()
    assert certificate_of(own_server, arn) == certificate


def spoil_and_mend(own_server, spoil, mend, expected):
    """Start, keep something, stop; spoil: refused; mend: everything is there."""
    own_server.start()
    arn, certificate = one_authority(own_server)
    own_server.stop()
    spoil()
    said = refusal(own_server)
    assert any(word in said for word in expected), said
    mend()
    own_server.start()
    assert certificate_of(own_server, arn) == certificate


def test_a_missing_root_key_is_refused_and_not_replaced(own_server):
    key, aside = own_server.data / "root.key", own_server.folder / "aside"

    def mend():
        assert not key.exists(), "a new root key was made over existing data"
        shutil.move(aside, key)

    spoil_and_mend(own_server, lambda: shutil.move(key, aside), mend, ["root.key"])


def test_another_root_key_is_refused(own_server, tmp_path_factory):
    stranger = Server(tmp_path_factory.mktemp("stranger")).start()
    stranger.stop()
    key, aside = own_server.data / "root.key", own_server.folder / "aside"

    def spoil():
        shutil.copy2(key, aside)
        shutil.copy2(stranger.data / "root.key", key)

    spoil_and_mend(own_server, spoil, lambda: shutil.copy2(aside, key), ["root key", "root.key"])


@pytest.mark.parametrize("length", [0, 10])
def test_a_torn_root_key_is_refused(own_server, length):
    key, aside = own_server.data / "root.key", own_server.folder / "aside"

    def spoil():
        shutil.copy2(key, aside)
        key.write_bytes(key.read_bytes()[:length])

    spoil_and_mend(own_server, spoil, lambda: shutil.copy2(aside, key), ["root key", "root.key"])


def test_a_root_key_that_others_can_read_is_refused(own_server):
    key = own_server.data / "root.key"
    spoil_and_mend(own_server, lambda: key.chmod(0o644), lambda: key.chmod(0o600), ["chmod", "0600", "600"])


def database(own_server):
    return own_server.data / "store.db"


@pytest.mark.parametrize("damage", ["truncated", "overwritten", "emptied"])
def test_a_torn_store_is_refused(own_server, damage):
    aside = own_server.folder / "aside"

    def spoil():
        path = database(own_server)
        shutil.copytree(own_server.data, aside)
        content = bytearray(path.read_bytes())
        if damage == "truncated":
            del content[len(content) // 2 + 100 :]
        elif damage == "emptied":
            content.clear()
        else:
            content[:4096] = os.urandom(4096)
        path.write_bytes(content)

    def mend():
        shutil.rmtree(own_server.data)
        shutil.copytree(aside, own_server.data)

    spoil_and_mend(own_server, spoil, mend, ["store"])


def test_a_record_that_was_altered_is_noticed(own_server):
    """A flipped byte deep in the store: what it belongs to is refused, never answered wrongly."""
    own_server.start()
    arn, certificate = one_authority(own_server)
    own_server.stop()
    path = database(own_server)
    content = path.read_bytes()
    answers = set()
    for offset in range(4096, len(content), max(4096, len(content) // 12)):
        path.write_bytes(content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :])
        try:
            own_server.start()
        except StartFailure as failure:
            assert "panicked" not in failure.said
            answers.add("refused")
            continue
        try:
            answers.add(certificate_of(own_server, arn))
        except Exception as error:  # whatever the code: it must not be a wrong answer
            answers.add(type(error).__name__)
        own_server.kill()
    path.write_bytes(content)
    own_server.start()
    assert certificate_of(own_server, arn) == certificate
    assert answers <= {certificate, "refused", "ClientError"}, answers


def test_a_full_disk_refuses_the_write_and_keeps_the_rest(tmp_path):
    """A file size limit stands for a full disk: every write beyond it fails, with EFBIG instead of ENOSPC."""

    def preexec():
        # Without this the kernel would end the process instead of failing the write.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))

    server = Server(tmp_path, preexec=preexec).start()
    try:
        arn, certificate = one_authority(server)
        pca = server.client("acm-pca")
        csr, _ = authorities.request()
        acknowledged, failure = [], None
        for _ in range(4000):
            try:
                acknowledged.append(authorities.issue(pca, arn, csr, signing="SHA256WITHECDSA"))
            except Exception as error:
                failure = error
                break
        assert failure is not None, "the limit was never reached"
        code = failure.response["Error"]["Code"]
        # In progress: the disk filled up between the two writes of an issuance. What was intended is stored, and
        # is completed when there is room.
        refusals = ("InternalFailure", "ServiceUnavailable", "InternalServerException", "RequestInProgressException")
        assert code in refusals, failure
        server.kill()
        server.preexec = None
        server.start()
        assert certificate_of(server, arn) == certificate
        pca = server.client("acm-pca")
        for certificate_arn, answer in acknowledged[:5] + acknowledged[-5:]:
            back = pca.get_certificate(CertificateAuthorityArn=arn, CertificateArn=certificate_arn)
            assert back["Certificate"] == answer["Certificate"]
        authorities.issue(pca, arn, csr)
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--listen", "nonsense"], "nonsense"),
        (["--account", "12"], "twelve digits"),
        (["--region", "Not A Region"], "region"),
        (["--config", "does-not-exist.toml"], "does-not-exist.toml"),
    ],
)
def test_bad_arguments_are_named(own_server, arguments, expected):
    own_server.account = None
    assert expected in refusal_of_arguments(own_server, arguments)


def refusal_of_arguments(server, arguments):
    command = [BINARY, "up", "--data-dir", str(server.data), *arguments]
    if "--listen" not in arguments:
        command += ["--listen", "127.0.0.1:0"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, env=server.environment())
    assert ran.returncode != 0
    assert "panicked" not in ran.stderr
    return ran.stderr


def test_a_port_that_is_taken_is_named(own_server, server):
    assert server.host in refusal_of_arguments(own_server, ["--listen", server.host])


def test_other_addresses_get_tls(own_server):
    own_server.start(listen="0.0.0.0:0")
    assert own_server.endpoint.startswith("https://")
    assert pathlib.Path(own_server.variables["AWS_CA_BUNDLE"]).is_file()


def test_requests_signed_before_a_restart_are_good_after_it(own_server):
    own_server.start()
    port = own_server.host.split(":")[1]
    request = signed(own_server, "sts", "GetCallerIdentity")
    own_server.kill()
    own_server.start(listen=f"127.0.0.1:{port}")
    assert request.send(own_server.host)[0] == 200
