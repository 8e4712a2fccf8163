"""Both protocols of acm-pca, spoken by the SDKs that chose them, and one set of types behind them."""

import json
import os
import pathlib
import subprocess

import pytest

from authorities import NEVER_EXISTED, create
from refusals import refused
from server import CBOR

OLD_PYTHON = pathlib.Path(os.environ["KEYSTEAD_TEST_VENV_OLD"]) / "bin/python"

# Runs under the old SDK: makes an authority, reads it back, asks for one that never was.
OLD_CLIENT = """
import boto3, json, sys
from botocore.config import Config
from botocore.exceptions import ClientError
pca = boto3.client("acm-pca", config=Config(retries={"total_max_attempts": 1}))
sent = []
pca.meta.events.register("before-send.acm-pca", lambda request, **_: sent.append(dict(request.headers)))
arn = pca.create_certificate_authority(
    CertificateAuthorityType="ROOT",
    CertificateAuthorityConfiguration={"KeyAlgorithm": "EC_prime256v1", "SigningAlgorithm": "SHA256WITHECDSA",
                                       "Subject": {"CommonName": "Old Client"}})["CertificateAuthorityArn"]
described = pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]
try:
    pca.describe_certificate_authority(CertificateAuthorityArn=sys.argv[1])
    code = None
except ClientError as error:
    code = error.response["Error"]["Code"]
headers = [{k: v if isinstance(v, str) else v.decode() for k, v in one.items()} for one in sent]
print(json.dumps({"arn": arn, "described": described, "code": code, "headers": headers}, default=str))
"""


@pytest.mark.parametrize(
    ("protocol", "content"), [("json", "application/x-amz-json-1.1"), (CBOR, "application/cbor")]
)
def test_the_newest_sdk_speaks_either(server, protocol, content):
    pca = server.client("acm-pca", protocol=protocol)
    sent = []
    pca.meta.events.register("before-send.acm-pca", lambda request, **_: sent.append(request))
    arn = create(pca, "Newest Client")
    answer = pca.describe_certificate_authority(CertificateAuthorityArn=arn)
    assert answer["CertificateAuthority"]["Arn"] == arn
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == content
    paths = {request.url.removeprefix(server.endpoint) for request in sent}
    service = "/service/ACMPrivateCA/operation/"
    cbor = {service + "CreateCertificateAuthority", service + "DescribeCertificateAuthority"}
    assert paths == (cbor if protocol == CBOR else {"/"})
    with refused("ResourceNotFoundException") as seen:
        pca.describe_certificate_authority(CertificateAuthorityArn=NEVER_EXISTED)
    assert NEVER_EXISTED in seen.message


def test_what_one_protocol_wrote_the_other_reads(server):
    json_client, cbor_client = (server.client("acm-pca", protocol=protocol) for protocol in ("json", CBOR))
    for writer, reader in ((json_client, cbor_client), (cbor_client, json_client)):
        arn = create(writer, {"CommonName": "Zweisprachig", "Organization": "Größe"})
        answers = [c.describe_certificate_authority(CertificateAuthorityArn=arn) for c in (writer, reader)]
        # JSON writes times with milliseconds, CBOR as it finds them: equal to the millisecond.
        for answer in answers:
            authority = answer["CertificateAuthority"]
            for field in ("CreatedAt", "LastStateChangeAt"):
                authority[field] = round(authority[field].timestamp(), 3)
        assert answers[0]["CertificateAuthority"] == answers[1]["CertificateAuthority"]


def test_the_older_sdk_speaks_json(server):
    ran = subprocess.run(
        [OLD_PYTHON, "-c", OLD_CLIENT, NEVER_EXISTED],
        env=server.shell_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    targets = [headers["X-Amz-Target"] for headers in seen["headers"]]
    assert targets == ["ACMPrivateCA.CreateCertificateAuthority"] + ["ACMPrivateCA.DescribeCertificateAuthority"] * 2
    assert seen["code"] == "ResourceNotFoundException"
    # What the old SDK made, the new one reads, through the other protocol, and the same.
    pca = server.client("acm-pca", protocol=CBOR)
    now = pca.describe_certificate_authority(CertificateAuthorityArn=seen["arn"])["CertificateAuthority"]
    then = seen["described"]
    assert now["Status"] == then["Status"]
    assert now["CertificateAuthorityConfiguration"] == then["CertificateAuthorityConfiguration"]
    assert set(now) == set(then)
