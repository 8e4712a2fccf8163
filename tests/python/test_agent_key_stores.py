"""PKCS #12 files that an agent places: Java, OpenSSL and Python open them, and they change only when what is in them does."""

import json
import subprocess

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

import authorities
from machines import Shop
from waiting import until

PASSWORD = "pass word 1"


class Store(Shop):
    """A shop whose certificate goes into a PKCS #12 file."""

    def __init__(self, server, folder):
        super().__init__(server, folder, "acm:DescribeCertificate", "acm:ExportCertificate")
        (folder / "tls").mkdir(mode=0o755)
        self.file, self.password = folder / "tls" / "shop.p12", folder / "password"
        self.protect(PASSWORD)

    def protect(self, password, mode=0o600):
        self.password.write_text(password + "\n")
        self.password.chmod(mode)

    def start(self):
        written = f'write = "pkcs12", to = "{self.file}", password_file = "{self.password}", alias = "Shop"'
        assert not self.run(
            f'[[place]]\nname = "shop"\ncertificate = {json.dumps(self.certificate)}\nfiles = [{{ {written} }}]\n'
        )

    def holds(self):
        """The serial number of the certificate whose key is in the file."""
        found = pkcs12.load_pkcs12(self.file.read_bytes(), PASSWORD.encode())
        leaf = found.cert.certificate
        assert found.cert.friendly_name == b"Shop"
        assert found.key.public_key() == leaf.public_key()
        assert [one.certificate.subject for one in found.additional_certs] == [leaf.issuer]
        return leaf.serial_number

    def placed(self, serial):
        until("it to be in its place", lambda: self.file.exists() and self.holds() == serial, 60)
        return self.reported(Status="PLACED")


@pytest.fixture
def store(own_server, tmp_path):
    own_server.start()
    made = Store(own_server, tmp_path)
    yield made
    made.kill()


def seen(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_java_openssl_and_python_open_it_and_a_renewal_replaces_it(store):
    store.start()
    first = store.serial()
    store.placed(first)
    assert store.file.stat().st_mode & 0o777 == 0o600
    java = seen("keytool", "-list", "-v", "-keystore", store.file, "-storepass", PASSWORD, "-alias", "shop")
    assert java.returncode == 0, java.stdout
    assert "Entry type: PrivateKeyEntry" in java.stdout and "Certificate chain length: 2" in java.stdout
    assert f"Serial number: {first:x}" in java.stdout
    signing = ("-keystore", store.file, "-storepass", PASSWORD, "-alias", "shop")
    # It takes the key to make a request.
    assert "BEGIN NEW CERTIFICATE REQUEST" in seen("keytool", "-certreq", *signing).stdout
    given = ("-passin", f"file:{store.password}", "-passout", "pass:")
    opened = seen("openssl", "pkcs12", "-in", store.file, *given, "-nodes")
    assert opened.returncode == 0, opened.stderr
    assert opened.stdout.count("BEGIN PRIVATE KEY") == 1 and opened.stdout.count("BEGIN CERTIFICATE") == 2
    wrong = seen("openssl", "pkcs12", "-in", store.file, "-passin", "pass:other", "-nodes")
    assert wrong.returncode != 0 and "PRIVATE KEY" not in wrong.stdout
    second = store.renew()
    store.placed(second)
    assert authorities.parse(seen("openssl", "pkcs12", "-in", store.file, *given, "-nokeys", "-clcerts").stdout).serial_number == second


def test_an_agent_that_starts_again_leaves_it_as_it_is(store):
    store.start()
    first = store.serial()
    store.placed(first)
    before = store.file.stat().st_ino
    store.kill()
    store.start()
    # What it says of a later version tells that it has looked at this one.
    store.may("acm:DescribeCertificate")
    store.renew()
    store.reported(Status="FAILED")
    assert store.file.stat().st_ino == before and store.holds() == first


def test_a_password_that_others_can_read_is_not_used(store):
    store.protect(PASSWORD, 0o644)
    store.start()
    found = store.reported(Status="FAILED")
    assert "everybody can read the password" in found["Reason"] and PASSWORD not in found["Reason"]
    assert not store.file.exists()
    store.protect(PASSWORD)
    store.placed(store.serial())
