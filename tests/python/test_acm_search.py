"""ACM: certificates found by what they are, with boto3."""

import datetime
import secrets
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

import authorities
from authorities import parse
from refusals import refused
from test_acm import describe, issued

REGION = "eu-search-1"
NOTHING = {"Filter": {"AcmCertificateMetadataFilter": {"ManagedBy": "CLOUDFRONT"}}}


@pytest.fixture(scope="module")
def acm(server):
    """A client in a region of its own, so that everything in it is this file's."""
    return server.client("acm", REGION)


@pytest.fixture(scope="module")
def world(server, acm):
    """Certificates of several kinds: by name, their ARNs."""
    pca = server.client("acm-pca", REGION)
    root = authorities.root(
        pca,
        {"CommonName": "Search Root", "Organization": "Example", "Country": "DE", "OrganizationalUnit": "Unit"},
    )
    suffix = f"{secrets.token_hex(4)}.example.internal"
    found = {"suffix": suffix, "root": root}
    for label, algorithm in (("rsa", "RSA_2048"), ("curve", "EC_prime256v1"), ("exported", "EC_secp384r1")):
        found[label] = issued(acm, root, f"{label}.{suffix}", KeyAlgorithm=algorithm)
    acm.export_certificate(CertificateArn=found["exported"], Passphrase=b"passphrase")
    key = authorities.new_key()
    usages = [
        (x509.KeyUsage(True, *[False] * 8), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False),
    ]
    pem = authorities.self_signed(key, f"Imported.{suffix}", usages=usages)
    answer = acm.import_certificate(Certificate=pem, PrivateKey=authorities.key_pem(key))
    found["imported"] = answer["CertificateArn"]
    answer = acm.request_certificate(DomainName=f"pending.{suffix}", ValidationMethod="DNS")
    found["pending"] = answer["CertificateArn"]
    return found


LABELS = ("rsa", "curve", "exported", "imported", "pending")


def search(acm, statement=None, **more):
    more |= {"FilterStatement": statement} if statement else {}
    return acm.search_certificates(**more)["Results"]


def labels(world, results):
    names = {world[label]: label for label in LABELS}
    return {names[result["CertificateArn"]] for result in results}


def metadata(**filters):
    return {"Filter": {"AcmCertificateMetadataFilter": filters}}


def attribute(**filters):
    return {"Filter": {"X509AttributeFilter": filters}}


def common_name(value, operator="EQUALS"):
    return attribute(Subject={"CommonName": {"Value": value, "ComparisonOperator": operator}})


def dns_name(value, operator="EQUALS"):
    return attribute(SubjectAlternativeName={"DnsName": {"Value": value, "ComparisonOperator": operator}})


def test_every_filter_finds_what_it_says(acm, world):
    suffix = world["suffix"]
    serial = describe(acm, world["rsa"])["Serial"]
    now = datetime.datetime.now(datetime.timezone.utc)
    year = datetime.timedelta(days=360)
    private = {"rsa", "curve", "exported"}
    table = [
        (None, set(LABELS)),
        ({"Filter": {"CertificateArn": world["curve"]}}, {"curve"}),
        (common_name(f"RSA.{suffix}"), {"rsa"}),
        (common_name(f"sa.{suffix[:-1]}", "CONTAINS"), {"rsa"}),
        (common_name(suffix), set()),
        (dns_name(f"imported.{suffix}"), {"imported"}),
        (dns_name(f"ed.{suffix}", "CONTAINS"), {"exported", "imported"}),
        (attribute(ExtendedKeyUsage="CODE_SIGNING"), {"imported"}),
        (attribute(ExtendedKeyUsage="TLS_WEB_SERVER_AUTHENTICATION"), private),
        (attribute(KeyUsage="KEY_ENCIPHERMENT"), {"rsa"}),
        (attribute(KeyUsage="DIGITAL_SIGNATURE"), private | {"imported"}),
        (attribute(KeyAlgorithm="EC_secp384r1"), {"exported"}),
        (attribute(SerialNumber=serial), {"rsa"}),
        (attribute(NotAfter={"Start": now + year}), private),
        (attribute(NotAfter={"Start": now, "End": now + year}), {"imported"}),
        (attribute(NotBefore={"Start": now}), set()),
        (metadata(Status="PENDING_VALIDATION"), {"pending"}),
        (metadata(RenewalStatus="SUCCESS"), set()),
        (metadata(Type="PRIVATE"), private),
        (metadata(InUse=True), set()),
        (metadata(InUse=False), set(LABELS)),
        (metadata(Exported=True), {"exported"}),
        (metadata(ExportOption="ENABLED"), set()),
        (metadata(ManagedBy="CLOUDFRONT"), set()),
        (metadata(ValidationMethod="DNS"), {"pending"}),
        (metadata(CertificateKeyPairOrigin="CUSTOMER_PROVIDED"), {"imported"}),
        (metadata(AcmeEndpointArn=world["rsa"]), set()),
        (metadata(AcmeAccountId="0" * 36), set()),
        ({"And": [metadata(Type="PRIVATE"), metadata(Exported=False)]}, {"rsa", "curve"}),
        ({"Or": [metadata(Type="IMPORTED"), common_name(f"rsa.{suffix}")]}, {"imported", "rsa"}),
        ({"Not": metadata(Status="ISSUED")}, {"pending"}),
        ({"And": [{"Not": NOTHING}, {"Or": [NOTHING, metadata(Exported=True)]}]}, {"exported"}),
    ]
    for statement, expected in table:
        assert labels(world, search(acm, statement)) == expected, statement


def test_a_result_says_what_describe_says(acm, world):
    (result,) = search(acm, {"Filter": {"CertificateArn": world["exported"]}})
    found, answer = describe(acm, world["exported"]), acm.get_certificate(CertificateArn=world["exported"])
    leaf = parse(answer["Certificate"])
    attributes = result["X509Attributes"]
    assert result["CertificateArn"] == world["exported"]
    assert attributes["Subject"] == {"CommonName": found["DomainName"]}
    assert attributes["Issuer"] == {
        "CommonName": "Search Root",
        "Organization": "Example",
        "Country": "DE",
        "OrganizationalUnit": "Unit",
    }
    assert attributes["SubjectAlternativeNames"] == [{"DnsName": found["DomainName"]}]
    assert attributes["KeyAlgorithm"] == "EC_secp384r1"
    assert attributes["SerialNumber"] == found["Serial"]
    assert set(attributes["KeyUsages"]) == {usage["Name"] for usage in found["KeyUsages"]}
    assert set(attributes["ExtendedKeyUsages"]) == {usage["Name"] for usage in found["ExtendedKeyUsages"]}
    assert attributes["NotBefore"] == leaf.not_valid_before_utc
    assert attributes["NotAfter"] == leaf.not_valid_after_utc
    shown = result["CertificateMetadata"]["AcmCertificateMetadata"]
    assert shown == {
        "CreatedAt": found["CreatedAt"],
        "IssuedAt": found["IssuedAt"],
        "Exported": True,
        "InUse": False,
        "RenewalEligibility": "ELIGIBLE",
        "Status": "ISSUED",
        "Type": "PRIVATE",
        "ExportOption": "DISABLED",
        "CertificateKeyPairOrigin": "AWS_MANAGED",
    }


def test_names_of_every_kind_are_shown(server):
    key = authorities.new_key()
    names = [
        x509.DNSName("a.example.internal"),
        x509.IPAddress(ip_address("192.0.2.1")),
        x509.IPAddress(ip_address("2001:db8::1")),
        x509.RFC822Name("somebody@example.internal"),
        x509.UniformResourceIdentifier("spiffe://example.internal/x"),
    ]
    other = server.client("acm", "eu-search-2")
    pem = authorities.self_signed(key, "a.example.internal", names=names)
    arn = other.import_certificate(Certificate=pem, PrivateKey=authorities.key_pem(key))["CertificateArn"]
    (result,) = search(other, {"Filter": {"CertificateArn": arn}})
    assert result["X509Attributes"]["SubjectAlternativeNames"] == [
        {"DnsName": "a.example.internal"},
        {"IpAddress": "192.0.2.1"},
        {"IpAddress": "2001:db8::1"},
        {"Rfc822Name": "somebody@example.internal"},
        {"UniformResourceIdentifier": "spiffe://example.internal/x"},
    ]


SORTS = {
    "CREATED_AT": lambda m, a: m["CreatedAt"],
    "NOT_AFTER": lambda m, a: a.get("NotAfter"),
    "NOT_BEFORE": lambda m, a: a.get("NotBefore"),
    "ISSUED_AT": lambda m, a: m.get("IssuedAt"),
    "IMPORTED_AT": lambda m, a: m.get("ImportedAt"),
    "REVOKED_AT": lambda m, a: m.get("RevokedAt"),
    "STATUS": lambda m, a: m["Status"],
    "RENEWAL_STATUS": lambda m, a: m.get("RenewalStatus"),
    "EXPORTED": lambda m, a: m["Exported"],
    "IN_USE": lambda m, a: m["InUse"],
    "KEY_ALGORITHM": lambda m, a: a["KeyAlgorithm"],
    "TYPE": lambda m, a: m["Type"],
    "COMMON_NAME": lambda m, a: a["Subject"]["CommonName"].lower(),
    "RENEWAL_ELIGIBILITY": lambda m, a: m["RenewalEligibility"],
    "EXPORT_OPTION": lambda m, a: m["ExportOption"],
    "VALIDATION_METHOD": lambda m, a: m.get("ValidationMethod"),
    "CERTIFICATE_KEY_PAIR_ORIGIN": lambda m, a: m["CertificateKeyPairOrigin"],
    "CERTIFICATE_ARN": None,
    "MANAGED_BY": None,
    "ACME_ENDPOINT_ARN": None,
    "ACME_ACCOUNT_ID": None,
}


@pytest.mark.parametrize("by", SORTS)
def test_every_order_in_pages(acm, world, by):
    def place(result):
        value = None
        if SORTS[by]:
            value = SORTS[by](
                result["CertificateMetadata"]["AcmCertificateMetadata"],
                result["X509Attributes"],
            )
        # What has no value comes last; equals are in the order of their ARNs.
        return (value is None, value if value is not None else 0, result["CertificateArn"])

    for order in ("ASCENDING", "DESCENDING"):
        for statement in ({}, {"FilterStatement": {"Not": NOTHING}}):
            pages = acm.get_paginator("search_certificates").paginate(
                SortBy=by, SortOrder=order, PaginationConfig={"PageSize": 2}, **statement
            )
            pages = [page["Results"] for page in pages]
            assert [len(page) for page in pages] == [2, 2, 1]
            results = [result for page in pages for result in page]
            assert results == sorted(results, key=place, reverse=order == "DESCENDING"), (by, order)


def test_a_token_belongs_to_its_search(acm, world):
    token = acm.search_certificates(MaxResults=1)["NextToken"]
    for other in ({"SortBy": "STATUS"}, {"SortOrder": "DESCENDING"}, {"FilterStatement": NOTHING}):
        with refused("ValidationException"):
            acm.search_certificates(NextToken=token, **other)
    with refused("ValidationException"):
        acm.search_certificates(NextToken="x")
    assert acm.search_certificates(NextToken=token)["Results"]


def test_what_is_no_statement(server):
    acm = server.client("acm", parameter_validation=False)
    leaf = NOTHING
    deep = leaf
    for _ in range(10):
        deep = {"Not": deep}
    now = datetime.datetime.now(datetime.timezone.utc)
    backwards = {"Start": now, "End": now - datetime.timedelta(seconds=1)}
    for statement in (
        {},
        {"And": []},
        {"And": [leaf] * 16},
        {"Filter": {}},
        attribute(),
        metadata(),
        attribute(Subject={}),
        attribute(NotAfter={}),
        attribute(NotAfter=backwards),
        attribute(SerialNumber="no"),
        metadata(Status="NO"),
        common_name(""),
        common_name("a", "LIKE"),
        {"Or": [{"And": [leaf] * 15}] * 5},
        deep,
    ):
        with refused("ValidationException"):
            acm.search_certificates(FilterStatement=statement)
    with refused("ValidationException"):
        acm.search_certificates(MaxResults=501)


def test_listing_by_every_filter(acm, world):
    kinds = ["RSA_2048", "EC_prime256v1", "EC_secp384r1"]

    def listed(**more):
        answer = acm.list_certificates(**more)["CertificateSummaryList"]
        return labels(world, answer)

    everything = {"rsa", "curve", "exported", "imported", "pending"}
    assert listed() == {"rsa", "pending"}
    assert listed(Includes={"keyTypes": kinds}) == everything
    assert listed(CertificateStatuses=["PENDING_VALIDATION"]) == {"pending"}
    assert listed(CertificateStatuses=["PENDING_VALIDATION", "ISSUED"]) == {"rsa", "pending"}
    assert listed(Includes={"keyTypes": kinds, "keyUsage": ["KEY_ENCIPHERMENT"]}) == {"rsa"}
    assert listed(Includes={"keyTypes": kinds, "extendedKeyUsage": ["CODE_SIGNING"]}) == {"imported"}
    assert listed(Includes={"keyTypes": kinds, "exportOption": "ENABLED"}) == set()
    assert listed(Includes={"keyTypes": kinds, "managedBy": "CLOUDFRONT"}) == set()
    origins = {"Includes": {"keyTypes": kinds}, "CertificateKeyPairOrigins": ["CUSTOMER_PROVIDED"]}
    assert listed(**origins) == {"imported"}
    assert listed(CertificateKeyPairOrigins=["ACME"]) == set()
    for order, expected in (("ASCENDING", list), ("DESCENDING", lambda items: list(reversed(items)))):
        pages = acm.get_paginator("list_certificates").paginate(
            Includes={"keyTypes": kinds},
            SortBy="CREATED_AT",
            SortOrder=order,
            PaginationConfig={"PageSize": 2},
        )
        found = [summary["CertificateArn"] for page in pages for summary in page["CertificateSummaryList"]]
        assert found == expected([world[label] for label in LABELS])
    with refused("ValidationException"):
        acm.list_certificates(SortBy="CREATED_AT")
