"""The journal: one event a call, chained, without secrets; and what happens when it is touched."""

import base64
import json

import pytest

import authorities
from refusals import refused
from server import ACCOUNT
from test_acm import issued


def events(server):
    shown = server.run("audit", "show", "--json", "--data-dir", str(server.data)).stdout
    return [json.loads(line) for line in shown.splitlines()]


def named(server, name):
    return [event for event in events(server) if event["eventName"] == name]


def verify(server):
    return server.run("audit", "verify", "--data-dir", str(server.data), check=False)


def test_every_call_leaves_one_event(own_server):
    own_server.start()
    pca = own_server.client("acm-pca", "eu-west-1")
    answer = pca.create_certificate_authority(
        CertificateAuthorityType="ROOT",
        CertificateAuthorityConfiguration={
            "KeyAlgorithm": "EC_prime256v1",
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Subject": {"CommonName": "Audited"},
        },
    )
    (event,) = named(own_server, "CreateCertificateAuthority")
    assert event["eventSource"] == "acm-pca.amazonaws.com"
    assert event["awsRegion"] == "eu-west-1"
    assert event["recipientAccountId"] == ACCOUNT
    assert event["userIdentity"]["accessKeyId"] == own_server.key_id
    assert event["userIdentity"]["arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert event["requestID"] == answer["ResponseMetadata"]["RequestId"]
    assert event["sourceIPAddress"] == "127.0.0.1"
    assert "Boto3" in event["userAgent"]
    subject = event["requestParameters"]["certificateAuthorityConfiguration"]["subject"]
    assert subject == {"commonName": "Audited"}
    assert event["responseElements"]["certificateAuthorityArn"] == answer["CertificateAuthorityArn"]
    assert event["readOnly"] is False and "errorCode" not in event
    own_server.client("sts").get_caller_identity()
    (event,) = named(own_server, "GetCallerIdentity")
    assert event["readOnly"] is True


def test_a_refused_call_leaves_its_error(own_server):
    own_server.start()
    with refused("ResourceNotFoundException"):
        own_server.client("acm-pca").describe_certificate_authority(CertificateAuthorityArn=authorities.NEVER_EXISTED)
    (event,) = named(own_server, "DescribeCertificateAuthority")
    assert event["errorCode"] == "ResourceNotFoundException" and event["errorMessage"]


def test_no_secret_is_written_down(own_server):
    own_server.start()
    acm, pca = own_server.client("acm"), own_server.client("acm-pca")
    root = authorities.grant(pca, authorities.root(pca, "Quiet"))
    arn = issued(acm, root)
    acm.export_certificate(CertificateArn=arn, Passphrase=b"do not write this down")
    key = authorities.new_key()
    pem = authorities.key_pem(key)
    acm.import_certificate(Certificate=authorities.self_signed(key, "quiet.example.internal"), PrivateKey=pem)
    shown = json.dumps(events(own_server))
    assert len(named(own_server, "ExportCertificate")) == 1 and len(named(own_server, "ImportCertificate")) == 1
    for secret in (b"do not write this down", pem.split(b"\n")[1], own_server.secret.encode()):
        assert secret.decode() not in shown
        assert base64.b64encode(secret).decode().rstrip("=") not in shown
    assert "PRIVATE KEY" not in shown
    assert own_server.secret not in "".join(own_server.said)


def test_the_chain_verifies_while_it_grows_and_after_a_power_cut(own_server):
    own_server.start()
    sts = own_server.client("sts")
    for _ in range(20):
        sts.get_caller_identity()
    assert verify(own_server).returncode == 0, verify(own_server).stderr
    own_server.kill()
    own_server.start()
    own_server.client("sts").get_caller_identity()
    assert verify(own_server).returncode == 0, verify(own_server).stderr
    assert len(named(own_server, "GetCallerIdentity")) == 21


def journal_files(server):
    files = sorted(path for path in (server.data / "audit").rglob("*") if path.is_file() and path.stat().st_size)
    return [path for path in files if b"GetCallerIdentity" in path.read_bytes()]


@pytest.mark.parametrize("touch", ["edited", "shortened", "a line removed", "two lines swapped"])
def test_a_touched_journal_is_noticed(own_server, touch):
    own_server.start()
    sts = own_server.client("sts")
    for _ in range(5):
        sts.get_caller_identity()
    own_server.stop()
    assert verify(own_server).returncode == 0
    (path,) = journal_files(own_server)
    lines = path.read_bytes().splitlines(keepends=True)
    where = next(n for n, line in enumerate(lines) if b"GetCallerIdentity" in line)
    if touch == "edited":
        lines[where] = lines[where].replace(b"GetCallerIdentity", b"GetCallerIdentitx")
    elif touch == "shortened":
        lines = lines[:-2]
    elif touch == "a line removed":
        del lines[where + 1]
    else:
        lines[where], lines[where + 1] = lines[where + 1], lines[where]
    path.write_bytes(b"".join(lines))
    said = verify(own_server)
    assert said.returncode != 0, said.stdout
    assert "panicked" not in said.stderr
