"""No value of a secret in clear outside the process: planted values are looked for in all that a server leaves behind."""

import base64
import resource
import secrets
import signal

from test_kms_secrecy import forms, left_behind
from waiting import until


def test_no_planted_value_is_left_behind(own_server, tmp_path, monkeypatch):
    working = tmp_path / "working"
    working.mkdir()
    monkeypatch.chdir(working)  # where a core file would be written
    monkeypatch.setenv("KEYSTEAD_LOG", "trace")
    own_server.preexec = lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
    own_server.start()
    sm = own_server.client("secretsmanager")
    planted = [secrets.token_bytes(48) for _ in range(6)]
    text = [base64.b64encode(value).decode() for value in planted]
    sm.create_secret(Name="text", SecretString=text[0])
    sm.create_secret(Name="bytes", SecretBinary=planted[1])
    sm.put_secret_value(SecretId="text", SecretString=text[2])
    sm.update_secret(SecretId="bytes", SecretBinary=planted[3])
    sm.batch_get_secret_value(SecretIdList=["text", "bytes"])
    for call, more in ((sm.create_secret, {"Name": "text"}), (sm.put_secret_value, {"SecretId": "none"})):
        try:
            call(SecretString=text[4], ClientRequestToken="x" * 32, **more)
        except sm.exceptions.ClientError as error:
            assert text[4] not in str(error)
    password = sm.get_random_password(PasswordLength=64)["RandomPassword"]
    sm.get_secret_value(SecretId="text", VersionStage="AWSPREVIOUS")
    own_server.process.send_signal(signal.SIGABRT)
    assert own_server.process.wait(60) == -signal.SIGABRT
    said = "".join(own_server.said).encode()
    looked = [("the log", said), *left_behind(own_server.data, working)]
    assert any(str(path).endswith(".jsonl") for path, _ in looked)
    wanted = {form for value in planted for form in forms(value)} | {password.encode()}
    wanted |= {value.rstrip("=")[:-1].encode() for value in text}
    for path, content in looked:
        for form in wanted:
            assert form not in content, f"a planted value is in {path}"
    own_server.process = None


def test_nothing_of_a_deleted_secret_is_in_the_files(own_server):
    own_server.start()
    sm = own_server.client("secretsmanager")
    sm.create_secret(Name="going", SecretString="v" * 3000)
    sm.create_secret(Name="staying", SecretString="w" * 3000)
    own_server.stop()
    store = own_server.data / "store.db"
    before = store.read_bytes()
    own_server.start()
    sm = own_server.client("secretsmanager")
    sm.delete_secret(SecretId="going", ForceDeleteWithoutRecovery=True)
    # Sealed values look like noise: pages of the old file that were noise and are zeros now are what was overwritten.
    page = 4096

    def overwritten():
        own_server.stop()
        after = store.read_bytes()
        own_server.start()
        pages = range(0, min(len(before), len(after)), page)
        return sum(after[at : at + page].count(0) == page and before[at : at + page].count(0) < page // 2 for at in pages)

    until("the values to be overwritten", overwritten)
    assert own_server.client("secretsmanager").get_secret_value(SecretId="staying")["SecretString"] == "w" * 3000
