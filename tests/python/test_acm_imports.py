"""ACM: certificates that come from elsewhere, their listing and their tags."""

import pytest
from cryptography import x509

import authorities
from authorities import key_pem, new_key, request, self_signed
from refusals import refused
from test_acm import NEVER_EXISTED, describe, issued, name


def usage(**set_bits):
    bits = {
        "digital_signature": False,
        "content_commitment": False,
        "key_encipherment": False,
        "data_encipherment": False,
        "key_agreement": False,
        "key_cert_sign": False,
        "crl_sign": False,
        "encipher_only": False,
        "decipher_only": False,
    }
    return x509.KeyUsage(**(bits | set_bits))


def test_what_is_imported_comes_back_byte_for_byte(acm, pca, root):
    csr, key = request("imported.example.internal", alternatives=["imported.example.internal"])
    _, answer = authorities.issue(pca, root, csr)
    certificate, chain = answer["Certificate"].encode(), answer["CertificateChain"].encode()
    arn = acm.import_certificate(Certificate=certificate, PrivateKey=key_pem(key), CertificateChain=chain)[
        "CertificateArn"
    ]
    back = acm.get_certificate(CertificateArn=arn)
    assert back["Certificate"].encode() == certificate
    assert back["CertificateChain"].encode() == chain
    found = describe(acm, arn)
    assert found["Type"] == "IMPORTED" and found["Status"] == "ISSUED"
    assert found["ImportedAt"] and "IssuedAt" not in found
    assert found["DomainName"] == "imported.example.internal"
    assert found["RenewalEligibility"] == "INELIGIBLE"


def test_an_unusual_layout_is_kept_too(acm):
    key = new_key("RSA-2048")
    certificate = self_signed(key, name()).replace(b"\n", b"\r\n")
    arn = acm.import_certificate(Certificate=certificate, PrivateKey=key_pem(key))["CertificateArn"]
    assert acm.get_certificate(CertificateArn=arn)["Certificate"].encode() == certificate


def test_key_certificate_and_chain_must_belong_together(acm, pca, root):
    key = new_key()
    certificate = self_signed(key, name())
    with refused("ValidationException"):
        acm.import_certificate(Certificate=certificate, PrivateKey=key_pem(new_key()))
    with refused("ValidationException"):
        acm.import_certificate(Certificate=b"no certificate", PrivateKey=key_pem(key))
    with refused("ValidationException"):
        acm.import_certificate(Certificate=certificate, PrivateKey=b"no key")
    with refused("ValidationException"):
        acm.import_certificate(Certificate=certificate + certificate, PrivateKey=key_pem(key))
    csr, leaf_key = request()
    _, answer = authorities.issue(pca, root, csr)
    with refused("ValidationException"):
        acm.import_certificate(
            Certificate=answer["Certificate"].encode(), PrivateKey=key_pem(leaf_key), CertificateChain=certificate
        )


def test_import_in_place_keeps_the_arn(acm):
    domain, key = name(), new_key()
    arn = acm.import_certificate(Certificate=self_signed(key, domain), PrivateKey=key_pem(key))["CertificateArn"]
    first = describe(acm, arn)
    second_key = new_key()
    second = self_signed(second_key, domain, days=180)
    again = acm.import_certificate(CertificateArn=arn, Certificate=second, PrivateKey=key_pem(second_key))
    assert again["CertificateArn"] == arn
    assert acm.get_certificate(CertificateArn=arn)["Certificate"].encode() == second
    now = describe(acm, arn)
    assert now["Serial"] != first["Serial"] and now["NotAfter"] > first["NotAfter"]
    assert now["CreatedAt"] == first["CreatedAt"] and now["ImportedAt"] >= first["ImportedAt"]


def test_import_in_place_keeps_kind_and_purpose(acm, root):
    # ACM user guide, "Reimport a certificate": key type and size stay, usages are only added, and names may
    # change as long as there are some.
    domain, key = name(), new_key()
    signing = [(usage(digital_signature=True), True)]
    arn = acm.import_certificate(
        Certificate=self_signed(key, domain, usages=signing), PrivateKey=key_pem(key)
    )["CertificateArn"]

    def again(key, domain=domain, usages=signing, **more):
        acm.import_certificate(
            CertificateArn=arn, Certificate=self_signed(key, domain, usages=usages), PrivateKey=key_pem(key), **more
        )

    with refused("ValidationException"):
        again(new_key("RSA-2048"))
    with refused("ValidationException"):
        again(key, usages=[(usage(key_agreement=True), True)])
    with refused("ValidationException"):
        again(key, Tags=[{"Key": "a", "Value": "b"}])
    again(key, domain=name(), usages=[(usage(digital_signature=True, key_agreement=True), True)])
    with refused("ValidationException"):
        acm.import_certificate(
            CertificateArn=issued(acm, root), Certificate=self_signed(key, domain), PrivateKey=key_pem(key)
        )
    with refused("ResourceNotFoundException"):
        acm.import_certificate(
            CertificateArn=NEVER_EXISTED, Certificate=self_signed(key, domain), PrivateKey=key_pem(key)
        )


def tags_of(acm, arn):
    return {tag["Key"]: tag.get("Value") for tag in acm.list_tags_for_certificate(CertificateArn=arn)["Tags"]}


def test_tags_by_the_first_operations(acm, root):
    arn = issued(acm, root, Tags=[{"Key": "team", "Value": "red"}])
    assert tags_of(acm, arn) == {"team": "red"}
    acm.add_tags_to_certificate(CertificateArn=arn, Tags=[{"Key": "team", "Value": "blue"}, {"Key": "bare"}])
    assert tags_of(acm, arn) in ({"team": "blue", "bare": None}, {"team": "blue", "bare": ""})
    # A key with another value is left alone (RemoveTagsFromCertificate).
    acm.remove_tags_from_certificate(CertificateArn=arn, Tags=[{"Key": "team", "Value": "green"}])
    assert tags_of(acm, arn)["team"] == "blue"
    acm.remove_tags_from_certificate(CertificateArn=arn, Tags=[{"Key": "team", "Value": "blue"}, {"Key": "bare"}])
    assert tags_of(acm, arn) == {}


def test_tags_by_the_later_operations(acm, root):
    arn = issued(acm, root)
    acm.tag_resource(ResourceArn=arn, Tags=[{"Key": "team", "Value": "red"}, {"Key": "env", "Value": "test"}])
    listed = acm.list_tags_for_resource(ResourceArn=arn)["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in listed} == {"team": "red", "env": "test"}
    acm.untag_resource(ResourceArn=arn, TagKeys=["team"])
    assert tags_of(acm, arn) == {"env": "test"}
    with refused("ResourceNotFoundException"):
        acm.list_tags_for_resource(ResourceArn=NEVER_EXISTED)


def test_tags_that_are_not_acceptable(acm, root):
    arn = issued(acm, root)
    with refused("ValidationException", "AWS internal tags cannot be changed with this API"):
        acm.add_tags_to_certificate(CertificateArn=arn, Tags=[{"Key": "aws:mine", "Value": "x"}])
    fifty = [{"Key": f"key-{n}", "Value": ""} for n in range(50)]
    acm.add_tags_to_certificate(CertificateArn=arn, Tags=fifty)
    with refused("TooManyTagsException"):
        acm.add_tags_to_certificate(CertificateArn=arn, Tags=[{"Key": "one-more"}])


@pytest.fixture(scope="module")
def shelf(server):
    """A region of its own with six certificates: three RSA and two P-256 from a root, one imported."""
    region = "eu-shelf-1"
    acm, pca = server.client("acm", region), server.client("acm-pca", region)
    root = authorities.grant(pca, authorities.root(pca, "Shelf"))
    kinds = ["RSA_2048"] * 3 + ["EC_prime256v1"] * 2
    arns = [(issued(acm, root, KeyAlgorithm=kind), kind) for kind in kinds]
    key = new_key()
    imported = acm.import_certificate(Certificate=self_signed(key, name()), PrivateKey=key_pem(key))["CertificateArn"]
    return acm, arns, imported


EVERY_KEY = {"keyTypes": ["RSA_2048", "EC_prime256v1"]}


def listed(acm, **filters):
    return [summary["CertificateArn"] for summary in acm.list_certificates(**filters)["CertificateSummaryList"]]


def test_a_listing_shows_rsa_unless_asked_for_more(shelf):
    # ListCertificates: without keyTypes only RSA_1024 and RSA_2048 are returned.
    acm, arns, imported = shelf
    assert sorted(listed(acm)) == sorted(arn for arn, kind in arns if kind == "RSA_2048")
    assert sorted(listed(acm, Includes=EVERY_KEY)) == sorted([arn for arn, _ in arns] + [imported])


def test_a_listing_filters_by_state_and_purpose(shelf):
    acm, arns, imported = shelf
    everything = sorted([arn for arn, _ in arns] + [imported])
    assert sorted(listed(acm, Includes=EVERY_KEY, CertificateStatuses=["ISSUED"])) == everything
    assert listed(acm, Includes=EVERY_KEY, CertificateStatuses=["FAILED", "EXPIRED"]) == []
    purpose = EVERY_KEY | {"extendedKeyUsage": ["TLS_WEB_SERVER_AUTHENTICATION"]}
    assert sorted(listed(acm, Includes=purpose)) == sorted(arn for arn, _ in arns)


def test_a_listing_pages_and_sorts(shelf):
    acm, arns, imported = shelf
    pages = acm.get_paginator("list_certificates").paginate(
        Includes=EVERY_KEY, PaginationConfig={"PageSize": 2}
    )
    pages = [[s["CertificateArn"] for s in page["CertificateSummaryList"]] for page in pages]
    assert sorted(sum(pages, [])) == sorted([arn for arn, _ in arns] + [imported])
    assert len(pages) >= 3
    by_age = listed(acm, Includes=EVERY_KEY, SortBy="CREATED_AT", SortOrder="ASCENDING")
    assert by_age == [arn for arn, _ in arns] + [imported]
    assert listed(acm, Includes=EVERY_KEY, SortBy="CREATED_AT", SortOrder="DESCENDING") == by_age[::-1]
    with refused("ValidationException"):
        acm.list_certificates(SortBy="CREATED_AT")
    with refused("ValidationException"):
        acm.list_certificates(NextToken="nonsense")


def test_a_summary_says_what_a_description_says(shelf):
    acm, arns, _ = shelf
    arn = arns[0][0]
    (summary,) = [s for s in acm.list_certificates()["CertificateSummaryList"] if s["CertificateArn"] == arn]
    found = describe(acm, arn)
    for field in ("DomainName", "Status", "Type", "NotBefore", "NotAfter", "CreatedAt", "IssuedAt"):
        assert summary[field] == found[field], field
    assert summary["KeyAlgorithm"].replace("_", "-") == found["KeyAlgorithm"]
    assert summary["InUse"] is False and summary["Exported"] is False
    assert summary["SubjectAlternativeNameSummaries"] == found["SubjectAlternativeNames"]
    assert summary["HasAdditionalSubjectAlternativeNames"] is False
