"""Managed renewal, seen by moving the server's clock."""

import datetime

import authorities
from authorities import parse
from test_acm import decrypted, describe, issued
from waiting import until


def authority(pca):
    return authorities.grant(pca, authorities.root(pca, "Renewing Root", validity=("YEARS", 20)))


def renewed(acm, arn, before):
    return until(
        "the renewed certificate",
        lambda: next((c for c in [acm.get_certificate(CertificateArn=arn)] if c["Certificate"] != before), None),
        deadline=60,
    )


def restarted(own_server, days):
    own_server.kill()
    own_server.start(ahead=datetime.timedelta(days=days))
    return own_server.client("acm")


def test_a_delivered_certificate_is_renewed_before_its_end(own_server):
    own_server.start()
    acm, pca = own_server.client("acm"), own_server.client("acm-pca")
    root = authority(pca)
    arn = issued(acm, root)
    # Only what somebody uses is renewed: export counts as use (ACM user guide, "Managed renewal").
    exported = acm.export_certificate(CertificateArn=arn, Passphrase=b"passphrase")
    assert describe(acm, arn)["RenewalEligibility"] == "ELIGIBLE"
    acm = restarted(own_server, 100)
    assert acm.get_certificate(CertificateArn=arn)["Certificate"] == exported["Certificate"]
    acm = restarted(own_server, 380)
    answer = renewed(acm, arn, exported["Certificate"])
    old, new = parse(exported["Certificate"]), parse(answer["Certificate"])
    assert new.not_valid_after_utc > old.not_valid_after_utc
    after = acm.export_certificate(CertificateArn=arn, Passphrase=b"passphrase")
    assert decrypted(after, b"passphrase").public_key() == parse(after["Certificate"]).public_key()
    found = describe(acm, arn)
    assert found["RenewalSummary"]["RenewalStatus"] == "SUCCESS"
    assert found["NotAfter"] == new.not_valid_after_utc


def test_a_certificate_nobody_uses_expires(own_server):
    own_server.start()
    acm, pca = own_server.client("acm"), own_server.client("acm-pca")
    arn = issued(acm, authority(pca))
    assert describe(acm, arn)["RenewalEligibility"] == "INELIGIBLE"
    acm = restarted(own_server, 400)
    assert until("its end", lambda: describe(acm, arn)["Status"] == "EXPIRED")


def test_a_renewal_without_permission_fails_and_the_old_one_serves(own_server):
    own_server.start()
    acm, pca = own_server.client("acm"), own_server.client("acm-pca")
    root = authority(pca)
    arn = issued(acm, root)
    before = acm.export_certificate(CertificateArn=arn, Passphrase=b"passphrase")["Certificate"]
    pca.delete_permission(CertificateAuthorityArn=root, Principal="acm.amazonaws.com")
    acm = restarted(own_server, 380)
    summary = until(
        "the failure",
        lambda: next((s for s in [describe(acm, arn).get("RenewalSummary", {})] if "RenewalStatusReason" in s), None),
    )
    assert summary["RenewalStatus"] in ("PENDING_AUTO_RENEWAL", "FAILED")
    assert summary["RenewalStatusReason"] == "PCA_ACCESS_DENIED"
    assert acm.get_certificate(CertificateArn=arn)["Certificate"] == before
    assert describe(acm, arn)["Status"] == "ISSUED"
    # The permission is back: the next attempt succeeds, without anybody asking.
    authorities.grant(own_server.client("acm-pca"), root)
    acm = restarted(own_server, 384)
    renewed(acm, arn, before)
