"""ACM-PCA: audit reports, from the call to the file, and who may fetch it."""

import csv
import io
import json
import re
import urllib.request
import urllib.error
import uuid

import pytest

import authorities
import kms_callers as callers
import sessions
from authorities import NEVER_EXISTED, TEMPLATES, issue, parse, request
from refusals import refused
from server import ACCOUNT
from waiting import until

# User guide, "Use audit reports with your private CA".
COLUMNS = (
    "awsAccountId requestedByServicePrincipal certificateArn serial subject notBefore notAfter issuedAt revokedAt "
    "revocationReason templateArn"
).split()
MOMENT = "%Y-%m-%dT%H:%M:%S+0000"


@pytest.fixture(scope="module")
def s3(server):
    return server.client("s3")


def report(pca, arn, kind="CSV", bucket="audit-reports"):
    """A finished report: what CreateCertificateAuthorityAuditReport answered, with what Describe... did."""
    asked = pca.create_certificate_authority_audit_report(
        CertificateAuthorityArn=arn, S3BucketName=bucket, AuditReportResponseFormat=kind
    )

    def described():
        answer = pca.describe_certificate_authority_audit_report(
            CertificateAuthorityArn=arn, AuditReportId=asked["AuditReportId"]
        )
        return answer if answer["AuditReportStatus"] != "CREATING" else None

    return asked, until("the report", described)


def fetched(s3, described):
    answer = s3.get_object(Bucket=described["S3BucketName"], Key=described["S3Key"])
    return answer, answer["Body"].read().decode()


def serial_of(arn):
    digits = arn.rpartition("/")[2]
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))


def revoke(pca, authority, arn, reason="SUPERSEDED"):
    pca.revoke_certificate(
        CertificateAuthorityArn=authority, CertificateSerial=serial_of(arn), RevocationReason=reason
    )


def issue_some(pca, arn):
    """Two certificates, one of them revoked; with the root's own there are three."""
    plain, _ = issue(pca, arn, request("plain.example.internal")[0])
    subject = {"Country": "US", "Organization": "Example, Inc.", "CommonName": 'a "b"', "SerialNumber": "7"}
    other, _ = issue(
        pca,
        arn,
        request()[0],
        f"{TEMPLATES}EndEntityClientAuthCertificate_APIPassthrough/V1",
        ApiPassthrough={"Subject": subject},
    )
    revoke(pca, arn, other)
    return plain, other


def test_a_report_in_csv(pca, s3):
    arn = authorities.root(pca, "Reported")
    plain, other = issue_some(pca, arn)
    asked, described = report(pca, arn)
    authority = arn.rpartition("/")[2]
    assert str(uuid.UUID(asked["AuditReportId"])) == asked["AuditReportId"]
    assert asked["S3Key"] == f"audit-report/{authority}/{asked['AuditReportId']}.csv"
    assert described["AuditReportStatus"] == "SUCCESS"
    assert (described["S3BucketName"], described["S3Key"]) == ("audit-reports", asked["S3Key"])
    assert described["CreatedAt"]
    answer, text = fetched(s3, described)
    assert answer["ContentType"] == "text/csv" and answer["ContentLength"] == len(text.encode())
    assert text.split("\n")[0].split(",") == COLUMNS
    rows = {row["certificateArn"]: row for row in csv.DictReader(io.StringIO(text))}
    assert len(rows) == 3 and list(rows) == sorted(rows)
    leaf = parse(pca.get_certificate(CertificateAuthorityArn=arn, CertificateArn=plain)["Certificate"])
    row = rows[plain]
    issued_at = row.pop("issuedAt")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000", issued_at)
    assert row == {
        "awsAccountId": ACCOUNT,
        "requestedByServicePrincipal": "",
        "certificateArn": plain,
        "serial": serial_of(plain),
        "subject": "CN=plain.example.internal",
        "notBefore": leaf.not_valid_before_utc.strftime(MOMENT),
        "notAfter": leaf.not_valid_after_utc.strftime(MOMENT),
        "revokedAt": "",
        "revocationReason": "",
        "templateArn": f"{TEMPLATES}EndEntityCertificate/V1",
    }
    row = rows[other]
    # RFC 4514: backwards, commas escaped, and types without a short name by their number.
    assert row["subject"] == '2.5.4.5=#130137,CN=a \\"b\\",O=Example\\, Inc.,C=US'
    assert row["revocationReason"] == "SUPERSEDED" and row["revokedAt"] >= row["issuedAt"]
    assert row["templateArn"] == f"{TEMPLATES}EndEntityClientAuthCertificate_APIPassthrough/V1"


def test_a_report_in_json(pca, acm, s3):
    arn = authorities.grant(pca, authorities.root(pca, "Reported too"))
    plain, other = issue_some(pca, arn)
    acm.request_certificate(DomainName="by-acm.example.internal", CertificateAuthorityArn=arn)
    _, described = report(pca, arn, "JSON")
    assert described["S3Key"].endswith(".json")
    answer, text = fetched(s3, described)
    assert answer["ContentType"] == "application/json"
    found = {entry["certificateArn"]: entry for entry in json.loads(text)}
    assert len(found) == 4
    always = set(COLUMNS) - {"requestedByServicePrincipal", "revokedAt", "revocationReason"}
    assert set(found[plain]) == always
    assert set(found[other]) == always | {"revokedAt", "revocationReason"}
    (by_acm,) = [entry for entry in found.values() if "requestedByServicePrincipal" in entry]
    assert by_acm["requestedByServicePrincipal"] == "acm.amazonaws.com"
    assert by_acm["subject"] == "CN=by-acm.example.internal"


def test_one_report_in_thirty_minutes(pca):
    arn = authorities.root(pca, "Hasty")
    report(pca, arn)
    with refused("RequestInProgressException", "30 minutes"):
        report(pca, arn)


def test_what_can_have_no_report(pca, pending):
    with refused("InvalidStateException"):
        report(pca, pending)
    with refused("ResourceNotFoundException"):
        report(pca, NEVER_EXISTED)
    arn = authorities.root(pca, "Unreported")
    with refused("InvalidArgsException", "bucket"):
        report(pca, arn, bucket="No_Bucket")
    with refused("InvalidArnException"):
        report(pca, "arn:aws:acm-pca:us-east-1:123456789012:certificate/x")
    with refused("ResourceNotFoundException", "audit report"):
        pca.describe_certificate_authority_audit_report(CertificateAuthorityArn=arn, AuditReportId=str(uuid.uuid4()))
    with refused("ResourceNotFoundException"):
        pca.describe_certificate_authority_audit_report(
            CertificateAuthorityArn=NEVER_EXISTED, AuditReportId=str(uuid.uuid4())
        )
    pca.update_certificate_authority(CertificateAuthorityArn=arn, Status="DISABLED")
    _, described = report(pca, arn)
    assert described["AuditReportStatus"] == "SUCCESS"


@pytest.fixture(scope="module")
def described(server):
    """A report of one certificate."""
    pca = server.client("acm-pca")
    return report(pca, authorities.root(pca, "Fetched"))[1]


def test_an_object_in_parts(s3, described):
    name = {"Bucket": described["S3BucketName"], "Key": described["S3Key"]}
    _, text = fetched(s3, described)
    head = s3.head_object(**name)
    assert head["ContentLength"] == len(text) and head["AcceptRanges"] == "bytes"
    assert head["ETag"] == s3.get_object(**name)["ETag"]
    for asked, expected in (("bytes=0-6", text[:7]), ("bytes=7-", text[7:]), ("bytes=-5", text[-5:])):
        answer = s3.get_object(Range=asked, **name)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert answer["Body"].read().decode() == expected
        assert answer["ContentRange"].endswith(f"/{len(text)}")
    with refused("InvalidRange", status=416):
        s3.get_object(Range=f"bytes={len(text)}-", **name)


def test_a_presigned_address_fetches_it(server, s3, described):
    name = {"Bucket": described["S3BucketName"], "Key": described["S3Key"]}
    signer = server.client("s3", signature_version="s3v4")
    address = signer.generate_presigned_url("get_object", Params=name)
    with urllib.request.urlopen(address) as answer:
        assert answer.read().decode() == fetched(s3, described)[1]
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(address[:-1] + ("0" if address[-1] != "0" else "1"))
    assert error.value.code == 403 and b"<Code>SignatureDoesNotMatch</Code>" in error.value.read()


def test_who_may_not_fetch_it(server, s3, described):
    key = {"Bucket": described["S3BucketName"], "Key": described["S3Key"]}
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{server.endpoint}/{key['Bucket']}/{key['Key']}")
    assert error.value.code == 403 and b"<Code>AccessDenied</Code>" in error.value.read()
    resource = f"arn:aws:s3:::{key['Bucket']}/*"
    for rights, may in (
        (sessions.allow("acm-pca:*"), False),
        (sessions.allow("s3:GetObject", resource="arn:aws:s3:::another-bucket/*"), False),
        (sessions.allow("s3:GetObject", resource=resource), True),
    ):
        user = server.client("s3", **callers.user(server, rights).keys)
        if may:
            assert user.get_object(**key)["Body"].read()
        else:
            with refused("AccessDenied", status=403):
                user.get_object(**key)
    # Another account's bucket of this name is another one.
    with refused("NoSuchKey", status=404):
        server.client("s3", **callers.account(server).keys).get_object(**key)
    missing = {**key, "Key": f"audit-report/{uuid.uuid4()}/{uuid.uuid4()}.csv"}
    with refused("NoSuchKey", status=404):
        s3.get_object(**missing)
    with refused("NotImplemented", status=501):
        s3.get_object_tagging(**key)


def test_reports_outlive_a_restart_and_a_crash_before_they_are_written(own_server):
    pca = own_server.start().client("acm-pca")
    arn = authorities.root(pca, "Crashed")
    first = report(pca, arn)[1]
    other = authorities.root(pca, "Crashed too")
    asked = pca.create_certificate_authority_audit_report(
        CertificateAuthorityArn=other, S3BucketName="audit-reports", AuditReportResponseFormat="JSON"
    )
    own_server.kill()
    own_server.start()
    pca, s3 = own_server.client("acm-pca"), own_server.client("s3")

    def described():
        answer = pca.describe_certificate_authority_audit_report(
            CertificateAuthorityArn=other, AuditReportId=asked["AuditReportId"]
        )
        return answer if answer["AuditReportStatus"] == "SUCCESS" else None

    assert len(json.loads(fetched(s3, until("the report", described))[1])) == 1
    assert len(fetched(s3, first)[1].splitlines()) == 2
