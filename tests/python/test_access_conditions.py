"""Policies with conditions, boundaries and denies, as people write them, against the real server."""

import json
import os
import subprocess

import pytest
from authorities import request, root as make_root
from server import ACCOUNT, BINARY
from test_access import Caller, is_denial, statement

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.fixture
def caller(server):
    return Caller(server)


def allowed(outcome):
    code, text = outcome
    assert code is None, f"{code}: {text}"


def denied(outcome, because="because no identity-based policy allows"):
    code, text = outcome
    assert is_denial(code), f"{code}: {text}"
    assert because in text, text


@pytest.fixture
def tagged(acm):
    """Certificates of two teams."""
    made = {}
    for team in ("blue", "red"):
        tags = [{"Key": "team", "Value": team}]
        made[team] = acm.request_certificate(DomainName=f"{team}.example.com", Tags=tags)["CertificateArn"]
    return made


def test_a_user_is_limited_to_what_has_its_teams_tag(server, caller, tagged):
    caller.may(statement("Allow", "acm:*", Condition={"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}))
    describe = lambda team: caller.call("acm", "DescribeCertificate", {"CertificateArn": tagged[team]})  # noqa: E731
    denied(describe("blue"))
    server.client("iam").tag_user(UserName=caller.name, Tags=[{"Key": "team", "Value": "blue"}])
    allowed(describe("blue"))
    denied(describe("red"))
    server.client("acm").add_tags_to_certificate(CertificateArn=tagged["red"], Tags=[{"Key": "team", "Value": "blue"}])
    allowed(describe("red"))


def test_what_is_made_must_have_a_tag(caller):
    caller.may(statement("Allow", "acm:RequestCertificate", Condition={"StringLike": {"aws:RequestTag/team": "?*"}}))
    ask = lambda *tags: caller.call("acm", "RequestCertificate", {"DomainName": "a.example.com", **dict(tags)})  # noqa: E731
    denied(ask())
    denied(ask(("Tags", [{"Key": "owner", "Value": "me"}])))
    allowed(ask(("Tags", [{"Key": "team", "Value": "blue"}])))


def test_only_these_keys_of_tags_may_be_taken(caller, tagged):
    caller.may(
        statement("Allow", "acm:UntagResource", Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}})
    )
    untag = lambda *keys: caller.call("acm", "UntagResource", {"ResourceArn": tagged["red"], "TagKeys": list(keys)})  # noqa: E731
    allowed(untag("a", "b"))
    denied(untag("a", "team"))


def test_certificates_for_these_names_alone(caller):
    condition = {"ForAllValues:StringLike": {"acm:DomainNames": ["*.blue.example.com"]}}
    caller.may(statement("Allow", "acm:RequestCertificate", Condition=condition))
    ask = lambda name, *more: caller.call(  # noqa: E731
        "acm", "RequestCertificate", {"DomainName": name, "SubjectAlternativeNames": [name, *more]}
    )
    allowed(ask("a.blue.example.com"))
    denied(ask("a.blue.example.com", "red.example.com"))
    denied(ask("red.example.com"))


def test_an_authority_issues_by_one_template_alone(pca, caller, root):
    leaf = "arn:aws:acm-pca:::template/EndEntityCertificate/V1"
    condition = {"StringEquals": {"acm-pca:TemplateArn": leaf}}
    caller.may(statement("Allow", "acm-pca:IssueCertificate", resource=root, Condition=condition))
    csr, _ = request("leaf.example.com")
    issue = lambda authority, template: caller.call(  # noqa: E731
        "acm-pca",
        "IssueCertificate",
        {
            "CertificateAuthorityArn": authority, "Csr": csr, "SigningAlgorithm": "SHA256WITHECDSA",
            "Validity": {"Type": "DAYS", "Value": 1}, "TemplateArn": template,
        },
    )  # fmt: skip
    allowed(issue(root, leaf))
    denied(issue(root, "arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen0/V1"))
    denied(issue(make_root(pca, "Another"), leaf))


def test_a_private_certificate_needs_the_right_to_issue(caller, root):
    ask = {"DomainName": "a.internal", "CertificateAuthorityArn": root}
    caller.may(statement("Allow", "acm:RequestCertificate"))
    denied(caller.call("acm", "RequestCertificate", ask), "not authorized to perform: acm-pca:IssueCertificate")
    through = {"ForAnyValue:StringEquals": {"aws:CalledVia": "acm.amazonaws.com"}}
    caller.may(
        statement("Allow", "acm:RequestCertificate"),
        statement("Allow", "acm-pca:IssueCertificate", resource=root, Condition=through),
    )
    allowed(caller.call("acm", "RequestCertificate", ask))
    csr, _ = request("leaf.example.com")
    direct = {
        "CertificateAuthorityArn": root, "Csr": csr, "SigningAlgorithm": "SHA256WITHECDSA",
        "Validity": {"Type": "DAYS", "Value": 1},
    }  # fmt: skip
    denied(caller.call("acm-pca", "IssueCertificate", direct))


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
        ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, False),
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, True),
        ({"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"Bool": {"aws:ViaAWSService": "true"}}, False),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
        ({"DateLessThan": {"aws:EpochTime": "1577836800"}}, False),
        ({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, True),
        ({"StringEquals": {"aws:PrincipalType": "User"}}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/T*"}}, True),
        ({"StringLike": {"aws:userid": "AIDA*"}}, True),
        ({"StringLike": {"aws:username": "T*"}}, True),
        ({"Null": {"aws:MultiFactorAuthPresent": "true"}}, True),
        ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}, True),
        ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, False),
    ],
)
def test_what_is_known_of_every_call(caller, condition, holds):
    caller.may(statement("Allow", "acm:ListCertificates", Condition=condition))
    (allowed if holds else denied)(caller.call("acm", "ListCertificates", {}))


def test_a_boundary_limits_what_a_user_may(server, caller):
    iam = server.client("iam")
    iam.attach_user_policy(UserName=caller.name, PolicyArn=ADMINISTRATOR)
    allowed(caller.call("acm-pca", "ListCertificateAuthorities", {}))
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement("Allow", "acm:*")]})
    boundary = iam.create_policy(PolicyName=caller.name, PolicyDocument=document)["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName=caller.name, PermissionsBoundary=boundary)
    allowed(caller.call("acm", "ListCertificates", {}))
    denied(caller.call("acm-pca", "ListCertificateAuthorities", {}), "because no permissions boundary allows")
    iam.delete_user_permissions_boundary(UserName=caller.name)
    allowed(caller.call("acm-pca", "ListCertificateAuthorities", {}))


def test_a_group_gives_and_takes_at_once(server, caller, name):
    iam = server.client("iam")
    iam.create_group(GroupName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement("Allow", "acm:ListCertificates")]})
    iam.put_group_policy(GroupName=name, PolicyName="p", PolicyDocument=document)
    denied(caller.call("acm", "ListCertificates", {}))
    iam.add_user_to_group(GroupName=name, UserName=caller.name)
    allowed(caller.call("acm", "ListCertificates", {}))
    iam.remove_user_from_group(GroupName=name, UserName=caller.name)
    denied(caller.call("acm", "ListCertificates", {}))


def test_a_user_that_is_gone_may_nothing(server, caller):
    caller.may(statement("Allow", "*"))
    allowed(caller.call("acm", "ListCertificates", {}))
    iam = server.client("iam")
    iam.delete_user_policy(UserName=caller.name, PolicyName="p")
    iam.delete_access_key(UserName=caller.name, AccessKeyId=caller.key["key_id"])
    iam.delete_user(UserName=caller.name)
    code, _ = caller.call("acm", "ListCertificates", {})
    assert code == "UnrecognizedClientException"


def test_a_node_is_given_nothing_that_its_registrar_could_not_export(caller, acm, root):
    private = acm.request_certificate(DomainName="node.internal", CertificateAuthorityArn=root)["CertificateArn"]
    node = {"Name": caller.name, "CertificateArns": [private], "UnixUid": os.getuid()}
    caller.may(statement("Allow", "keystead:RegisterNode"))
    denied(caller.call("keystead", "RegisterNode", node), "not authorized to perform: acm:ExportCertificate")
    caller.may(statement("Allow", "keystead:RegisterNode"), statement("Allow", "acm:ExportCertificate", resource=private))
    allowed(caller.call("keystead", "RegisterNode", node))


def test_the_journal_explains_a_refusal(own_server):
    own_server.start()
    caller = Caller(own_server)
    condition = {"StringEquals": {"aws:PrincipalTag/team": "blue"}}
    caller.may({"Sid": "OnlyBlue", **statement("Allow", "acm:ListCertificates", Condition=condition)})
    denied(caller.call("acm", "ListCertificates", {}))
    explain = lambda *more: subprocess.run(  # noqa: E731
        [BINARY, "audit", "explain", "--data-dir", own_server.data, *more],
        capture_output=True, text=True, check=True, timeout=30,
    ).stdout  # fmt: skip
    told = explain()
    assert f":user/{caller.name}" in told and "acm:ListCertificates" in told
    assert "because no identity-based policy allows the acm:ListCertificates action" in told
    assert "statement OnlyBlue" in told and "aws:PrincipalTag/team" in told
    shown = own_server.run("audit", "show", "--json", "--data-dir", str(own_server.data)).stdout.splitlines()
    event = next(e for e in map(json.loads, shown) if e.get("errorCode") == "AccessDeniedException")
    assert explain(event["eventID"]) == told == explain(event["requestID"])
    assert event["additionalEventData"]["action"] == "acm:ListCertificates"
    caller.may(statement("Allow", "*"), {"Sid": "Never", **statement("Deny", "acm:ListCertificates")})
    denied(caller.call("acm", "ListCertificates", {}), "with an explicit deny in an identity-based policy")
    assert f"statement Never of an identity-based policy inline policy p of user/{caller.name}" in explain()


def test_the_refused_carry_the_explanation_to_who_may_read_it(server, caller):
    caller.may(statement("Allow", "acm:*"))
    acm_pca = server.client("acm-pca", **caller.key)
    with pytest.raises(acm_pca.exceptions.ClientError) as refused:
        acm_pca.list_certificate_authorities()
    message = refused.value.response["ResponseMetadata"]["HTTPHeaders"]["x-keystead-authorization-message"]
    assert "acm-pca" not in message
    decode = {"EncodedMessage": message}
    denied(caller.call("sts", "DecodeAuthorizationMessage", decode))
    told = json.loads(server.client("sts").decode_authorization_message(**decode)["DecodedMessage"])
    assert told["action"] == "acm-pca:ListCertificateAuthorities" and told["resource"] == "*"
    assert told["reason"] == "because no identity-based policy allows the acm-pca:ListCertificateAuthorities action"
    assert told["wouldAllow"]
