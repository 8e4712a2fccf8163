"""PKCS #11 tokens: the keys of authorities in them, the root key sealed by one, tokens that go and come back."""

import datetime
import json
import re
import subprocess
import threading
import time
import urllib.request

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

import authorities
from refusals import refused
from server import BINARY, Server, StartFailure
from softhsm import PIN, SoftHsm
from waiting import until


@pytest.fixture
def hsm(tmp_path):
    return SoftHsm(tmp_path / "softhsm").initialize()


@pytest.fixture
def configured(hsm, own_server):
    """The test's own server with a configuration file."""

    def configure(text):
        path = own_server.folder / "keystead.toml"
        path.write_text(text)
        own_server.arguments = ["--config", str(path)]
        own_server.surroundings = hsm.environment
        return own_server

    return configure


AUTHORITIES = '[pca]\ntoken = "hsm"\n'
ROOT_KEY = '[root_key]\ntoken = "hsm"\n'


def token(server):
    (found,) = server.client("keystead").list_tokens()["Tokens"]
    return found


def connected(server):
    until("a connected token", lambda: token(server)["State"] == "CONNECTED")


def leaf():
    """A signing request."""
    return authorities.request()[0]


def check_signature(certificate, issuer):
    x509.load_pem_x509_certificate(certificate.encode()).verify_directly_issued_by(
        x509.load_pem_x509_certificate(issuer.encode())
    )


def test_the_keys_of_authorities_are_made_and_used_in_the_token(configured, hsm):
    server = configured(hsm.configured() + AUTHORITIES).start()
    connected(server)
    pca = server.client("acm-pca")
    for number, (key, kind) in enumerate(
        [("EC_prime256v1", ec.EllipticCurvePublicKey), ("EC_secp384r1", ec.EllipticCurvePublicKey), ("RSA_2048", rsa.RSAPublicKey)], 1
    ):
        root = authorities.root(pca, f"In the token {key}", key=key)
        assert hsm.objects() == 2 * number
        certificate = pca.get_certificate_authority_certificate(CertificateAuthorityArn=root)["Certificate"]
        check_signature(certificate, certificate)
        assert isinstance(x509.load_pem_x509_certificate(certificate.encode()).public_key(), kind)
        _, issued = authorities.issue(pca, root, leaf())
        check_signature(issued["Certificate"], certificate)
    # Other keys go on living in the store, those of ACM's certificates among them.
    server.client("acm").request_certificate(
        DomainName="leaf.example.com", CertificateAuthorityArn=authorities.grant(pca, root)
    )
    assert hsm.objects() == 6
    # What PKCS #11 does not have is refused, and nothing is left behind.
    with refused("InvalidArgsException", "cannot be in a token"):
        authorities.create(pca, "Lattice", key="ML_DSA_65")
    assert hsm.objects() == 6


def test_the_key_of_a_deleted_authority_is_destroyed_when_it_cannot_be_restored_any_more(configured, hsm):
    server = configured(hsm.configured() + AUTHORITIES).start()
    connected(server)
    pca = server.client("acm-pca")
    kept, deleted = authorities.create(pca, "Kept"), authorities.create(pca, "Deleted")
    pca.delete_certificate_authority(CertificateAuthorityArn=deleted, PermanentDeletionTimeInDays=7)
    assert hsm.objects() == 4
    server.stop()
    server.start(ahead=datetime.timedelta(days=8))
    until("the end of the key", lambda: hsm.objects() == 2)
    pca = server.client("acm-pca")
    with refused("ResourceNotFoundException"):
        pca.describe_certificate_authority(CertificateAuthorityArn=deleted)
    authorities.issue(pca, kept, authorities.csr_of(pca, kept), authorities.ROOT_TEMPLATE)


def test_a_token_that_is_taken_away_is_missed_and_used_again_when_it_is_back(configured, hsm):
    server = configured(hsm.configured() + AUTHORITIES).start()
    connected(server)
    pca = server.client("acm-pca")
    root = authorities.root(pca, "Comes back")
    hsm.take_away()
    with refused("ServiceUnavailable", "is not connected. Try again later", status=503):
        authorities.create(pca, "Nowhere")
    until("a token that is missed", lambda: token(server)["State"] == "FAILED")
    assert server.run("status", "--data-dir", str(server.data), check=False).returncode == 1
    # What needs no token goes on.
    pca.describe_certificate_authority(CertificateAuthorityArn=root)
    hsm.bring_back()
    connected(server)
    authorities.issue(pca, root, leaf())


def test_two_servers_work_on_one_token(configured, hsm, tmp_path):
    one = configured(hsm.configured() + AUTHORITIES).start()
    other = Server(tmp_path / "other", *one.arguments)
    other.folder.mkdir()
    other.surroundings = hsm.environment
    try:
        other.start()
        for server in (one, other):
            connected(server)
        roots = [(server, authorities.root(server.client("acm-pca"), "Shared")) for server in (one, other)]
        assert hsm.objects() == 4
        for _ in range(3):
            for server, root in roots:
                authorities.issue(server.client("acm-pca"), root, leaf())
        # Both know it by the same name.
        assert token(one)["CloudHsmClusterId"] == token(other)["CloudHsmClusterId"]
    finally:
        other.kill()


def test_a_token_is_described_to_the_first_account_and_its_operator(configured, hsm):
    server = configured(hsm.configured(sessions=2) + AUTHORITIES).start()
    connected(server)
    found = token(server)
    calls = (found.pop("Calls"), found.pop("FailedCalls"), found.pop("StuckCalls"))
    assert all(isinstance(count, int) for count in calls) and calls[1:] == (0, 0)
    assert re.fullmatch("[0-9a-f]{16}", found.pop("SerialNumber"))
    cluster = found.pop("CloudHsmClusterId")
    assert re.fullmatch("cluster-[2-7a-zA-Z]{11,16}", cluster)
    assert found == {
        "Name": "hsm",
        "State": "CONNECTED",
        "Label": "hsm",
        "Manufacturer": "SoftHSM project",
        "Model": "SoftHSM v2",
        "Module": "/usr/lib/softhsm/libsofthsm2.so",
        "Uses": ["CERTIFICATE_AUTHORITIES"],
    }
    shown = server.run("status", "--data-dir", str(server.data)).stdout
    assert "token hsm  connected" in shown and cluster in shown
    assert "has the keys of new certificate authorities" in shown
    (as_json,) = json.loads(server.run("status", "--json", "--data-dir", str(server.data)).stdout)["tokens"]
    assert as_json["CloudHsmClusterId"] == cluster
    made = server.client("keystead").create_account(AccountId="222222222222")
    theirs = server.client("keystead", key_id=made["AccessKeyId"], secret=made["SecretAccessKey"])
    with refused("AccessDeniedException", "only its first account may"):
        theirs.list_tokens()
    # Metrics tell how it is.
    authorities.create(server.client("acm-pca"), "Counted")
    page = metrics(server)
    assert 'keystead_token_connected{token="hsm"} 1' in page
    counted = re.search(r'keystead_token_calls_total\{token="hsm",outcome="done"\} (\d+)', page)
    assert counted and int(counted[1]) >= 2


def metrics(server):
    with urllib.request.urlopen(server.endpoint + "/metrics", timeout=30) as answer:
        return answer.read().decode()


def test_a_wrong_pin_does_not_keep_the_server_from_starting(configured, hsm):
    wrong = hsm.pin("wrong", "7777777")
    server = configured(hsm.configured(pin_file=wrong) + AUTHORITIES).start()
    until("a refused PIN", lambda: token(server)["State"] == "FAILED")
    assert "refuses the PIN" in token(server)["Reason"] and "7777777" not in token(server)["Reason"]
    # A caller is not told of the server's files.
    with refused("ServiceUnavailable", "is not connected", status=503) as refusal:
        authorities.create(server.client("acm-pca"), "Nowhere")
    assert str(wrong) not in refusal.message
    hsm.pin("wrong", PIN)
    connected(server)
    authorities.create(server.client("acm-pca"), "Here")
    server.stop()
    assert "7777777" not in "".join(server.said) and PIN not in "".join(server.said)


def test_a_root_key_is_sealed_from_the_first_start_on(configured, hsm):
    server = configured(hsm.configured() + ROOT_KEY).start()
    text = (server.data / "root.key").read_text()
    assert text.startswith("keystead root key v1, sealed by a token\n")
    assert token(server)["Uses"] == ["ROOT_KEY"]
    root = authorities.root(server.client("acm-pca"), "Kept")
    server.kill()
    server.start()
    authorities.issue(server.client("acm-pca"), root, leaf())
    assert (server.data / "root.key").read_text() == text
    server.kill()

    # The token comes late: the start waits for it.
    hsm.take_away()
    returning = threading.Timer(2.0, hsm.bring_back)
    returning.start()
    server.start()
    returning.join()
    server.kill()

    # The audit journal can be verified with the token alone.
    config = ["--config", server.arguments[1], "--data-dir", str(server.data)]
    assert server.run("audit", "verify", *config).returncode == 0

    # Without the token, or with another one, there is no way in.
    server.arguments = []
    with pytest.raises(StartFailure, match="is sealed by the token with the serial number"):
        server.start()
    hsm.initialize("other")
    other = hsm.configured(label="other") + ROOT_KEY
    (server.folder / "keystead.toml").write_text(other)
    with pytest.raises(StartFailure, match="has no key with the id"):
        server.start("--config", str(server.folder / "keystead.toml"))
    wrong = hsm.configured(pin_file=hsm.pin("wrong", "7777777")) + ROOT_KEY
    (server.folder / "keystead.toml").write_text(wrong)
    with pytest.raises(StartFailure, match="refuses the PIN"):
        server.start("--config", str(server.folder / "keystead.toml"))


def test_an_existing_root_key_is_sealed_and_unsealed(configured, hsm):
    server = configured(hsm.configured()).start()
    root = authorities.root(server.client("acm-pca"), "Stays")
    clear = (server.data / "root.key").read_text()
    where = ["--config", server.arguments[1], "--data-dir", str(server.data)]

    def root_key(*arguments):
        return server.run("root-key", *arguments, *where).stdout

    copy = server.folder / "copy.key"
    root_key("copy", str(copy))
    assert copy.read_text() == clear and copy.stat().st_mode & 0o777 == 0o600
    assert "in clear" in root_key("show")
    # The server is running meanwhile.
    said = root_key("seal", "--token", "hsm")
    sealed = (server.data / "root.key").read_text()
    assert "is sealed by hsm" in said and '[root_key]\n  token = "hsm"' in said
    assert clear.splitlines()[1] not in sealed
    assert "sealed by the token with the serial number" in root_key("show")
    assert "already" in root_key("seal", "--token", "hsm")
    assert sorted(path.name for path in server.data.glob("root.key*")) == ["root.key"]
    authorities.issue(server.client("acm-pca"), root, leaf())
    server.kill()
    with pytest.raises(StartFailure, match="is sealed by the token"):
        server.start()
    config = server.folder / "keystead.toml"
    config.write_text(hsm.configured() + ROOT_KEY)
    server.start()
    authorities.issue(server.client("acm-pca"), root, leaf())
    server.kill()

    # An altered file opens nothing.
    path = server.data / "root.key"
    path.write_text(sealed[:-10] + ("0" if sealed[-10] != "0" else "1") + sealed[-9:])
    with pytest.raises(StartFailure, match="was altered"):
        server.start()
    path.write_text(sealed)

    assert "take 'token' out" in root_key("unseal")
    assert path.read_text() == clear
    with pytest.raises(StartFailure, match="is in clear, but the configuration"):
        server.start()
    config.write_text(hsm.configured())
    server.start()
    authorities.issue(server.client("acm-pca"), root, leaf())


def test_a_conversion_that_is_cut_short_leaves_the_root_key_in_one_of_its_forms(configured, hsm):
    server = configured(hsm.configured()).start()
    root = authorities.root(server.client("acm-pca"), "Stays")
    server.kill()
    where = ["--config", server.arguments[1], "--data-dir", str(server.data)]
    shown = server.run("root-key", "show", *where).stdout
    identity = re.search("id +([0-9a-f]{32})", shown)[1]
    begun = time.monotonic()
    server.run("root-key", "seal", "--token", "hsm", *where)
    step = (time.monotonic() - begun) / 20
    shown, ended, cut = "sealed", 0, 0
    while ended < 6:
        action = ["seal", "--token", "hsm"] if "clear" in shown else ["unseal"]
        process = subprocess.Popen([BINARY, "root-key", *action, *where], env=server.environment())
        try:
            assert process.wait(step * (ended + cut)) == 0
            ended += 1
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            hsm.mend()
            cut += 1
        shown = server.run("root-key", "show", *where).stdout
        assert re.search("id +([0-9a-f]{32})", shown)[1] == identity
    assert cut
    if "clear" not in shown:
        server.run("root-key", "unseal", *where)
    server.start()
    authorities.issue(server.client("acm-pca"), root, leaf())


@pytest.mark.parametrize(
    "text,words",
    [
        ('[tokens.hsm]\nmodule = "softhsm.so"\npin_file = "p"\n', "expected an absolute path"),
        ('[tokens.hsm]\nmodule = "/m.so"\npin_file = "p"\nsessions = 0\n', "expected 1 to 64"),
        ('[tokens.hsm]\nmodule = "/m.so"\npin_file = "p"\ncluster_id = "cluster-1"\n', "expected 'cluster-' and 11"),
        ('[tokens.hsm]\nmodule = "/m.so"\npin_file = "p"\npin = "1234"\n', "unknown field `pin`"),
        ('[tokens."h s"]\nmodule = "/m.so"\npin_file = "p"\n', "is not the name of a token"),
        ('[root_key]\ntoken = "hsm"\n', r"there is no \[tokens.hsm\]"),
        ('[root_key]\ntokens = "hsm"\n', "unknown field `tokens`"),
        ('[pca]\ntoken = "hsm"\n', r"\[pca\] names the token hsm"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(configured, text, words):
    with pytest.raises(StartFailure, match=words):
        configured(text).start()


def test_a_module_that_is_missing_does_not_keep_the_server_from_starting(configured, hsm):
    server = configured(hsm.configured(module="/nowhere/pkcs11.so")).start()
    until("a module that is missed", lambda: token(server)["State"] == "FAILED")
    assert "/nowhere/pkcs11.so cannot be loaded" in token(server)["Reason"]
