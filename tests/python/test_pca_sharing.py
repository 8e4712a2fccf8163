"""ACM-PCA: authorities that other accounts use, by resource policies."""

import json
import threading

import pytest

import authorities
import kms_callers as callers
import sessions
from authorities import TEMPLATES, issue, parse, request
from refusals import refused

SHAREABLE = [
    "DescribeCertificateAuthority",
    "GetCertificate",
    "GetCertificateAuthorityCertificate",
    "IssueCertificate",
    "ListPermissions",
    "ListTags",
    "RevokeCertificate",
]
# User guide, "Resource-based policies": the templates to which issuers of other accounts have access.
TEMPLATES_FOR_OTHERS = [
    "EndEntityCertificate",
    "EndEntityClientAuthCertificate",
    "EndEntityServerAuthCertificate",
    "BlankEndEntityCertificate_APIPassthrough",
    "BlankEndEntityCertificate_APICSRPassthrough",
    "SubordinateCACertificate_PathLen0",
]


@pytest.fixture(scope="module")
def other(server):
    """The root user of another account."""
    return callers.account(server)


@pytest.fixture(scope="module")
def theirs(server, other):
    return server.client("acm-pca", **other.keys)


@pytest.fixture
def arn(pca):
    return authorities.root(pca, "Shared")


def share(pca, arn, actions=SHAREABLE, principal="*", **more):
    statement = {
        "Sid": "1",
        "Effect": "Allow",
        "Principal": principal if principal == "*" else {"AWS": principal},
        "Action": [f"acm-pca:{action}" for action in actions],
        "Resource": arn,
    }
    pca.put_policy(ResourceArn=arn, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement | more]}))


def uses(client, arn, certificate, serial):
    """Each action that can be shared, as a call."""
    order = {"CertificateAuthorityArn": arn, "Csr": request()[0], "Validity": {"Type": "DAYS", "Value": 1}}
    return {
        "DescribeCertificateAuthority": lambda: client.describe_certificate_authority(CertificateAuthorityArn=arn),
        "GetCertificate": lambda: client.get_certificate(CertificateAuthorityArn=arn, CertificateArn=certificate),
        "GetCertificateAuthorityCertificate": lambda: client.get_certificate_authority_certificate(
            CertificateAuthorityArn=arn
        ),
        "IssueCertificate": lambda: client.issue_certificate(SigningAlgorithm="SHA256WITHECDSA", **order),
        "ListPermissions": lambda: client.list_permissions(CertificateAuthorityArn=arn),
        "ListTags": lambda: client.list_tags(CertificateAuthorityArn=arn),
        "RevokeCertificate": lambda: client.revoke_certificate(
            CertificateAuthorityArn=arn, CertificateSerial=serial, RevocationReason="SUPERSEDED"
        ),
    }


def test_each_action_is_shared_by_itself(pca, theirs, other, arn):
    for shared in SHAREABLE:
        share(pca, arn, [shared], other.number)
        certificate, answer = issue(pca, arn, request()[0])
        serial = f"{parse(answer['Certificate']).serial_number:x}"
        for action, use in uses(theirs, arn, certificate, serial).items():
            if action == shared:
                use()
            else:
                with refused("AccessDeniedException", "because no resource-based policy allows"):
                    use()
    pca.delete_policy(ResourceArn=arn)
    with refused("AccessDeniedException"):
        theirs.describe_certificate_authority(CertificateAuthorityArn=arn)


def test_a_certificate_issued_for_another_account(pca, theirs, other, arn):
    share(pca, arn, principal=f"arn:aws:iam::{other.number}:root")
    csr, key = request("theirs.example.internal")
    certificate, answer = issue(theirs, arn, csr)
    assert certificate.startswith(f"{arn}/certificate/")
    leaf = parse(answer["Certificate"])
    assert leaf.public_key() == key.public_key()
    leaf.verify_directly_issued_by(parse(answer["CertificateChain"]))
    described = theirs.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]
    assert described == pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]
    # It is the owner's, too.
    assert pca.get_certificate(CertificateAuthorityArn=arn, CertificateArn=certificate) is not None


@pytest.mark.parametrize("template", TEMPLATES_FOR_OTHERS)
def test_other_accounts_issue_by_few_templates(pca, theirs, other, arn, template):
    share(pca, arn, principal=other.number)
    api = {"Subject": {"CommonName": "theirs"}, "Extensions": {"KeyUsage": {"DigitalSignature": True}}}
    issue(theirs, arn, request()[0], f"{TEMPLATES}{template}/V1", ApiPassthrough=api)


@pytest.mark.parametrize(
    "template",
    [
        "EndEntityCertificate_CSRPassthrough",
        "CodeSigningCertificate",
        "OCSPSigningCertificate",
        "SubordinateCACertificate_PathLen1",
        "BlankSubordinateCACertificate_PathLen0_APIPassthrough",
        "RootCACertificate",
    ],
)
def test_and_by_no_others(pca, theirs, other, arn, template):
    share(pca, arn, principal=other.number)
    with refused("AccessDeniedException", "another account"):
        issue(theirs, arn, request()[0], f"{TEMPLATES}{template}/V1")


def test_a_policy_limits_the_template(pca, theirs, other, arn):
    """The user guide's policies, with acm-pca:TemplateArn; a call that names no template issues by the default one."""
    leaf = f"{TEMPLATES}EndEntityCertificate/V1"
    share(pca, arn, principal=other.number, Condition={"StringEquals": {"acm-pca:TemplateArn": leaf}})
    order = {
        "CertificateAuthorityArn": arn,
        "Csr": request()[0],
        "SigningAlgorithm": "SHA256WITHECDSA",
        "Validity": {"Type": "DAYS", "Value": 1},
    }
    theirs.issue_certificate(**order)
    theirs.issue_certificate(TemplateArn=leaf, **order)
    with refused("AccessDeniedException"):
        theirs.issue_certificate(TemplateArn=f"{TEMPLATES}EndEntityClientAuthCertificate/V1", **order)


def test_both_accounts_must_allow(server, pca, other, arn):
    share(pca, arn, principal=other.number)
    order = {"CertificateAuthorityArn": arn}
    powerless = server.client("acm-pca", **callers.user(server, iam=other.iam).keys)
    with refused("AccessDeniedException", "no identity-based policy allows"):
        powerless.describe_certificate_authority(**order)
    rights = sessions.allow("acm-pca:Describe*")
    user = server.client("acm-pca", **callers.user(server, rights, iam=other.iam).keys)
    assert user.describe_certificate_authority(**order)["CertificateAuthority"]["Arn"] == arn


def test_what_cannot_be_shared_stays_the_owners(pca, theirs, other, arn):
    share(pca, arn, principal=other.number)
    for call in (
        lambda: theirs.delete_certificate_authority(CertificateAuthorityArn=arn),
        lambda: theirs.update_certificate_authority(CertificateAuthorityArn=arn, Status="DISABLED"),
        lambda: theirs.get_certificate_authority_csr(CertificateAuthorityArn=arn),
        lambda: theirs.get_policy(ResourceArn=arn),
        lambda: theirs.delete_policy(ResourceArn=arn),
        lambda: theirs.tag_certificate_authority(CertificateAuthorityArn=arn, Tags=[{"Key": "a", "Value": "b"}]),
        lambda: theirs.create_certificate_authority_audit_report(
            CertificateAuthorityArn=arn, S3BucketName="a-bucket", AuditReportResponseFormat="CSV"
        ),
    ):
        with refused("AccessDeniedException"):
            call()
    missing = arn.rpartition("/")[0] + "/00000000-0000-4000-8000-000000000000"
    with refused("AccessDeniedException"):
        theirs.describe_certificate_authority(CertificateAuthorityArn=missing)
    elsewhere = arn.replace("us-east-1", "eu-west-1")
    with refused("AccessDeniedException"):
        theirs.describe_certificate_authority(CertificateAuthorityArn=elsewhere)
    with refused("InvalidArnException"):
        theirs.describe_certificate_authority(CertificateAuthorityArn=arn.replace("-authority/", "/"))


def listed(client, **more):
    pages = client.get_paginator("list_certificate_authorities").paginate(ResourceOwner="OTHER_ACCOUNTS", **more)
    return [ca["Arn"] for page in pages for ca in page["CertificateAuthorities"]]


def test_an_account_finds_what_is_shared_with_it(server, pca):
    other = callers.account(server)
    theirs = server.client("acm-pca", **other.keys)
    assert listed(theirs) == []
    shared = [authorities.create(pca, f"Found {n}") for n in range(3)]
    for arn in shared:
        share(pca, arn, principal=other.number)
    assert sorted(listed(theirs)) == sorted(listed(theirs, PaginationConfig={"PageSize": 2})) == sorted(shared)
    assert theirs.list_certificate_authorities()["CertificateAuthorities"] == []
    # Neither what may not be described, nor what is not shared any more, nor what is somebody else's.
    share(pca, shared[0], ["ListTags"], other.number)
    share(pca, shared[1], principal="999999999999")
    assert listed(theirs) == [shared[2]]
    pca.delete_policy(ResourceArn=shared[2])
    assert listed(theirs) == []
    with refused("InvalidNextTokenException"):
        theirs.list_certificate_authorities(ResourceOwner="OTHER_ACCOUNTS", NextToken="nonsense")


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Deny"},
        {"Action": ["acm-pca:DeleteCertificateAuthority"]},
        {"Action": "acm-pca:*"},
        {"Resource": "*"},
        {"Principal": {"AWS": []}},
        {"Condition": {"NoSuchOperator": {"acm-pca:TemplateArn": "x"}}},
    ],
)
def test_policies_of_another_form_are_refused(pca, arn, change):
    with refused("InvalidPolicyException"):
        share(pca, arn, **change)


def test_many_calls_at_once_with_one_token_issue_one_certificate(server, arn):
    csr, found = request()[0], []
    order = {
        "CertificateAuthorityArn": arn,
        "Csr": csr,
        "SigningAlgorithm": "SHA256WITHECDSA",
        "Validity": {"Type": "DAYS", "Value": 1},
        "IdempotencyToken": "once",
    }
    clients = [server.client("acm-pca") for _ in range(8)]
    begin = threading.Barrier(len(clients))

    def ask(client):
        begin.wait(60)
        found.append(client.issue_certificate(**order)["CertificateArn"])

    askers = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(60)
    assert len(found) == len(clients) and len(set(found)) == 1, found
