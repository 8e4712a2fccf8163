"""ACM-PCA: the end of an authority's certificate: told ahead, and what an expired authority still does."""

import datetime
import json

from authorities import ROOT_TEMPLATE, create, csr_of, grant, issue, parse, request, root, subordinate
from refusals import refused
from waiting import until

DAY = datetime.timedelta(days=1)


def told(server, arn):
    """Names and days of the events about the authority that nobody called for."""
    lines = server.run("audit", "show", "--json", "--data-dir", str(server.data)).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    ours = [event for event in events if event.get("eventType") == "AwsServiceEvent" and event.get("resources")]
    return [
        (event["eventName"], event["serviceEventDetails"]["daysToExpiry"])
        for event in ours
        if event["resources"][0]["ARN"] == arn
    ]


def restarted(server, ahead):
    server.stop()
    server.start(ahead=ahead)
    return server.client("acm-pca")


def test_an_authority_expires_and_says_so_before(own_server):
    server = own_server
    pca = server.start().client("acm-pca")
    arn = root(pca, "Ends", validity=("DAYS", 40))
    certificate, _ = issue(pca, arn, request()[0], validity=("DAYS", 39))
    # What is less than ninety days away was so when it was installed; the next to tell is thirty.
    assert told(server, arn) == []
    approaching = "CertificateAuthorityExpirationApproaching"
    restarted(server, 11 * DAY)
    until("the notice of thirty days", lambda: told(server, arn) == [(approaching, 29)])
    pca = restarted(server, 39 * DAY + DAY / 2)
    until("the notice of the last day", lambda: told(server, arn) == [(approaching, 29), (approaching, 1)])
    described = pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]
    assert described["Status"] == "ACTIVE"
    pca = restarted(server, 41 * DAY)
    until("the end", lambda: told(server, arn)[2:] == [("CertificateAuthorityExpired", 0)])
    described = pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]
    assert described["Status"] == "EXPIRED" and described["LastStateChangeAt"] == described["NotAfter"]
    expired_authority_refuses(pca, arn, certificate)
    renewed(pca, arn)
    described = pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]
    assert described["Status"] == "ACTIVE"
    issue(pca, arn, request()[0])


def expired_authority_refuses(pca, arn, certificate):
    """User guide, "CA status": nothing but a new certificate; what there is can still be read."""
    with refused("InvalidStateException", "not in a valid state for issuing"):
        issue(pca, arn, request()[0])
    serial = parse(
        pca.get_certificate(CertificateAuthorityArn=arn, CertificateArn=certificate)["Certificate"]
    ).serial_number
    with refused("InvalidStateException", "EXPIRED"):
        pca.revoke_certificate(
            CertificateAuthorityArn=arn, CertificateSerial=f"{serial:x}", RevocationReason="SUPERSEDED"
        )
    with refused("InvalidStateException", "EXPIRED"):
        pca.update_certificate_authority(CertificateAuthorityArn=arn, Status="DISABLED")
    with refused("InvalidStateException", "EXPIRED"):
        pca.create_certificate_authority_audit_report(
            CertificateAuthorityArn=arn, S3BucketName="a-bucket", AuditReportResponseFormat="CSV"
        )
    assert pca.get_certificate_authority_certificate(CertificateAuthorityArn=arn)["Certificate"]
    grant(pca, arn)


def renewed(pca, arn):
    """An expired root signs itself a new certificate."""
    _, answer = issue(pca, arn, csr_of(pca, arn), ROOT_TEMPLATE, ("YEARS", 1))
    pca.import_certificate_authority_certificate(
        CertificateAuthorityArn=arn, Certificate=answer["Certificate"].encode()
    )


def test_a_disabled_authority_that_expired_stays_disabled(own_server):
    server = own_server
    pca = server.start().client("acm-pca")
    above = root(pca, "Above")
    arn = subordinate(pca, above, "Below", validity=("DAYS", 5))
    pca.update_certificate_authority(CertificateAuthorityArn=arn, Status="DISABLED")
    deleted = create(pca, "Deleted", kind="SUBORDINATE")
    pca.delete_certificate_authority(CertificateAuthorityArn=deleted, PermanentDeletionTimeInDays=7)
    pca = restarted(server, 6 * DAY)
    status = lambda name: pca.describe_certificate_authority(CertificateAuthorityArn=name)[  # noqa: E731
        "CertificateAuthority"
    ]["Status"]
    assert status(arn) == "EXPIRED"
    template = "arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen0/V1"
    _, answer = issue(pca, above, csr_of(pca, arn), template, ("DAYS", 90))
    pca.import_certificate_authority_certificate(
        CertificateAuthorityArn=arn,
        Certificate=answer["Certificate"].encode(),
        CertificateChain=answer["CertificateChain"].encode(),
    )
    # User guide: "unless it was set to DISABLED before the certificate expired".
    assert status(arn) == "DISABLED"
    # Within its seven days, a deleted authority comes back as it was.
    pca.restore_certificate_authority(CertificateAuthorityArn=deleted)
    assert status(deleted) == "PENDING_CERTIFICATE"
    pca.delete_certificate_authority(CertificateAuthorityArn=deleted, PermanentDeletionTimeInDays=7)
    pca = restarted(server, 14 * DAY)
    with refused("ResourceNotFoundException"):
        pca.restore_certificate_authority(CertificateAuthorityArn=deleted)
