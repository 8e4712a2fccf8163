"""`keystead trust export` and `install`: trust stores that OpenSSL, Java, GnuTLS and Python read."""

import json
import pathlib
import ssl
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

import authorities
from authorities import parse


@pytest.fixture
def trust(server):
    def run(*arguments, check=True):
        return server.run("trust", *arguments, "--data-dir", str(server.data), check=check)

    return run


@pytest.fixture
def pair(server, name):
    """An issuing authority below a root of its own: (their ARNs, the root's certificate)."""
    pca = server.client("acm-pca")
    root = authorities.root(pca, f"{name} Root é")
    issuing = authorities.subordinate(pca, root, f"{name} Issuing")
    own = pca.get_certificate_authority_certificate(CertificateAuthorityArn=root)["Certificate"]
    return root, issuing, parse(own)


def test_pem_has_the_roots_of_the_authorities_named(trust, pair):
    root, issuing, certificate = pair
    exported = authorities.bundle(trust("export", "--ca", issuing).stdout)
    assert exported == [certificate]
    both = authorities.bundle(trust("export", "--ca", issuing, "--ca", root, "--with-issuing").stdout)
    assert len(both) == 2 and certificate in both


def test_without_names_all_that_are_active_are_there(trust, server, pair):
    _, _, certificate = pair
    assert certificate in authorities.bundle(trust("export").stdout)
    pca = server.client("acm-pca")
    waiting = authorities.create(pca, "Pending")
    failed = trust("export", "--ca", waiting, check=False)
    assert failed.returncode == 1 and "ConflictException" in failed.stderr


def test_json_names_what_is_in_it(trust, pair):
    _, issuing, certificate = pair
    shown = json.loads(trust("export", "--ca", issuing, "--json").stdout)["Certificates"]
    assert [parse(one["Certificate"]) for one in shown] == [certificate]
    assert shown[0]["Alias"].startswith("keystead-t") and shown[0]["NotAfter"] > 0


@pytest.mark.parametrize("kind", ["pkcs12", "jks"])
def test_java_takes_it_for_a_trust_store(trust, pair, tmp_path, kind):
    _, issuing, certificate = pair
    store = tmp_path / "trust"
    trust("export", "--ca", issuing, "--format", kind, "--out", str(store), "--password", "sesame1")
    command = ["keytool", "-list", "-rfc", "-keystore", store, "-storetype", kind.upper(), "-storepass"]
    listed = subprocess.run([*command, "sesame1"], capture_output=True, text=True, timeout=120)
    assert listed.returncode == 0, listed
    assert "trustedCertEntry" in listed.stdout and "contains 1 entry" in listed.stdout
    begin = listed.stdout.index("-----BEGIN")
    assert parse(listed.stdout[begin : listed.stdout.index("-----END") + 25]) == certificate
    wrong = subprocess.run([*command, "wrong11"], capture_output=True, text=True, timeout=120)
    assert wrong.returncode != 0 and "ntegrity" in wrong.stdout + wrong.stderr or "password" in wrong.stdout


def test_openssl_gnutls_and_python_read_the_pkcs12(trust, pair, tmp_path):
    _, issuing, certificate = pair
    store = tmp_path / "trust.p12"
    trust("export", "--ca", issuing, "--format", "pkcs12", "--out", str(store))
    read = pkcs12.load_pkcs12(store.read_bytes(), b"changeit")
    assert [one.certificate for one in read.additional_certs] == [certificate]
    assert read.additional_certs[0].friendly_name.startswith(b"keystead-")
    command = ["openssl", "pkcs12", "-in", store, "-nokeys", "-passin"]
    opened = subprocess.run([*command, "pass:changeit"], capture_output=True, text=True)
    assert opened.returncode == 0, opened
    assert parse(opened.stdout[opened.stdout.index("-----BEGIN") :]) == certificate
    refused = subprocess.run([*command, "pass:other"], capture_output=True, text=True)
    assert refused.returncode != 0 and "mac verify" in refused.stderr.lower()
    shown = subprocess.run(
        ["certtool", "--p12-info", "--inraw", "--infile", store, "--password", "changeit"], capture_output=True, text=True
    )
    assert shown.returncode == 0, shown
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode().strip()
    assert pem in shown.stdout


def test_what_it_trusts_is_trusted(trust, server, acm, pair):
    """A handshake whose client knows nothing but the export."""
    root, issuing, _ = pair
    pca = server.client("acm-pca")
    csr, key = authorities.request("web.example.internal", alternatives=["web.example.internal"])
    _, answer = authorities.issue(pca, issuing, csr)
    folder = pathlib.Path(server.folder)
    (folder / "leaf.pem").write_text(answer["Certificate"] + "\n" + answer["CertificateChain"])
    (folder / "leaf.key").write_bytes(authorities.key_pem(key))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "leaf.pem", folder / "leaf.key")
    asking = ssl.create_default_context(cadata=trust("export", "--ca", root).stdout)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = serving.wrap_bio(incoming, outgoing, server_side=True)
    client_in, client_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = asking.wrap_bio(client_in, client_out, server_hostname="web.example.internal")
    for _ in range(10):
        for side, into, out in ((client_side, incoming, client_out), (server_side, client_in, outgoing)):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            into.write(out.read())
    assert client_side.getpeercert()["subject"]


DIRECTORIES = ["usr/local/share/ca-certificates", "etc/pki/ca-trust/source/anchors", "etc/pki/trust/anchors"]


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_install_needs_consent_and_uninstall_takes_only_its_own(trust, pair, tmp_path, directory):
    _, issuing, certificate = pair
    store = tmp_path / directory
    store.mkdir(parents=True)
    foreign = store / "other.crt"
    foreign.write_text("x")
    there = ["--ca", issuing, "--prefix", str(tmp_path)]
    asked = trust("install", *there, check=False)
    assert asked.returncode == 1 and "would write" in asked.stdout and "--yes" in asked.stdout
    assert list(store.iterdir()) == [foreign]
    for _ in range(2):
        installed = json.loads(trust("install", *there, "--yes", "--json").stdout)
    assert installed["Done"] is True
    files = [pathlib.Path(path) for path in installed["Files"]]
    assert sorted(store.iterdir()) == sorted([foreign, *files])
    assert [parse(path.read_text()) for path in files] == [certificate]
    asked = trust("uninstall", "--prefix", str(tmp_path), check=False)
    assert asked.returncode == 1 and str(files[0]) in asked.stdout
    trust("uninstall", "--prefix", str(tmp_path), "--yes")
    assert list(store.iterdir()) == [foreign]


def test_a_machine_without_a_known_store_is_told(trust, tmp_path, pair):
    failed = trust("install", "--prefix", str(tmp_path), "--yes", check=False)
    assert failed.returncode == 1 and "trust export" in failed.stderr


def test_debians_own_program_reads_what_was_installed(trust, pair, tmp_path):
    """update-ca-certificates over a directory of ours: OpenSSL then finds the root by its hash."""
    _, issuing, certificate = pair
    store, result = tmp_path / DIRECTORIES[0], tmp_path / "etc/ssl/certs"
    store.mkdir(parents=True)
    result.mkdir(parents=True)
    (tmp_path / "ca-certificates.conf").write_text("")
    (tmp_path / "mozilla").mkdir()
    (tmp_path / "hooks").mkdir()
    trust("install", "--ca", issuing, "--prefix", str(tmp_path), "--yes")
    ran = subprocess.run(
        ["update-ca-certificates", "--certsconf", tmp_path / "ca-certificates.conf", "--certsdir", tmp_path / "mozilla",
         "--localcertsdir", store, "--etccertsdir", result, "--hooksdir", tmp_path / "hooks"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran
    assert certificate in authorities.bundle((result / "ca-certificates.crt").read_text())
