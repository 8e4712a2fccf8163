"""Nobody does anything without a policy that says so: every served operation, asked by four kinds of caller.

The operations are those of `operations.json`, which `cargo xtask tidy` keeps complete; what IAM calls them is in
`models/access.toml`. The same request is refused to a user without policies, refused where everything but its
action is allowed, and let through where nothing else is: so the action that is decided is the documented one.
"""

import json
import pathlib
import tomllib
import uuid

import botocore.exceptions
import pytest
from botocore import xform_name
from server import ACCOUNT

HERE = pathlib.Path(__file__).parent
SAMPLES = json.loads((HERE / "operations.json").read_text())
ACCESS = tomllib.loads((HERE.parents[1] / "models" / "access.toml").read_text())

# Nobody needs a permission for these (STS API reference, "No permissions are required").
FREE = {(service, name) for service in ACCESS for name, entry in ACCESS[service].items() if entry.get("action") == ""}
# These are decided by the policy of the role, and need no identity: test_sts*.py and test_rolesanywhere_sessions.py
# have their refusals.
BY_TRUST = {
    ("sts", "AssumeRole"),
    ("sts", "AssumeRoleWithWebIdentity"),
    ("rolesanywhere-sessions", "CreateSession"),
}
# These take the credential of a proxy, and no identity: test_xks.py has their refusals.
FREE -= {(service, name) for service, name in FREE if service == "kms-xks-proxy"}
BY_TRUST |= {("kms-xks-proxy", name) for name in SAMPLES["kms-xks-proxy"]}
# These take a join token or the certificate of an agent: test_agents.py has their refusals.
BY_AGENT = {("keystead", name) for name in ("JoinAgent", "RenewAgentCertificate", "ReportPlacements")}
FREE -= BY_AGENT
DECIDED = sorted(
    (service, name)
    for service in SAMPLES
    for name in SAMPLES[service]
    if (service, name) not in FREE | BY_TRUST | BY_AGENT
)

decided = pytest.mark.parametrize(("service", "operation"), DECIDED)


def action(service, operation):
    return ACCESS[service][operation].get("action", f"{service}:{operation}")


class Caller:
    """A user whose one policy the test chooses."""

    def __init__(self, server):
        self.server, self.iam, self.name = server, server.client("iam"), f"T{uuid.uuid4().hex[:16]}"
        self.iam.create_user(UserName=self.name)
        key = self.iam.create_access_key(UserName=self.name)["AccessKey"]
        self.key = {"key_id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
        self.clients = {}

    def may(self, *statements):
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self.iam.put_user_policy(UserName=self.name, PolicyName="p", PolicyDocument=document)
        return self

    def call(self, service, operation, parameters=None):
        """The error's code and text; nothing where the call succeeded."""
        if service not in self.clients:
            self.clients[service] = self.server.client(service, **self.key)
        parameters = SAMPLES[service][operation] if parameters is None else parameters
        try:
            getattr(self.clients[service], xform_name(operation))(**parameters)
        except botocore.exceptions.ClientError as error:
            return error.response["Error"]["Code"], error.response["Error"]["Message"]
        return None, ""


def statement(effect, *actions, resource="*", **more):
    return {"Effect": effect, "Action": list(actions), "Resource": resource, **more}


@pytest.fixture(scope="module")
def stranger(server):
    return Caller(server)


@pytest.fixture(scope="module")
def caller(server):
    return Caller(server)


@pytest.fixture(scope="module")
def outsider(server):
    """The root user of another account: nothing there limits it."""
    account = f"{uuid.uuid4().int % 10**12:012}"
    made = server.client("keystead").create_account(AccountId=account)
    other = object.__new__(Caller)
    other.server, other.clients = server, {}
    other.key = {"key_id": made["AccessKeyId"], "secret": made["SecretAccessKey"]}
    return other


def is_denial(code):
    return code in ("AccessDeniedException", "AccessDenied")


@decided
def test_a_user_without_policies_is_refused(stranger, service, operation):
    code, text = stranger.call(service, operation)
    assert is_denial(code), f"{code}: {text}"
    assert f":user/{stranger.name} is not authorized to perform: {action(service, operation)}" in text
    assert f"because no identity-based policy allows the {action(service, operation)} action" in text


@decided
def test_who_may_do_everything_else_is_refused(caller, service, operation):
    caller.may(statement("Allow", "*"), statement("Deny", action(service, operation)))
    code, text = caller.call(service, operation)
    assert is_denial(code), f"{code}: {text}"
    assert f"{action(service, operation)} on resource: " in text
    assert text.endswith("with an explicit deny in an identity-based policy")


# What these take beside their own action.
BESIDE = {
    "CreateJoinToken": ["iam:PassRole"],
    "AddRoleToInstanceProfile": ["iam:PassRole"],
    "GetTrustBundle": ["acm-pca:GetCertificateAuthorityCertificate"],
    "GetCertificateLogProof": ["acm-pca:GetCertificate"],
    "StartReissue": ["acm-pca:IssueCertificate"],
    "StartTrustRollOver": [
        "acm-pca:GetCertificateAuthorityCertificate",
        "acm-pca:IssueCertificate",
        "acm-pca:UpdateCertificateAuthority",
    ],
}


@decided
def test_who_may_do_this_alone_is_let_through(caller, service, operation):
    actions = [action(service, operation), *BESIDE.get(operation, [])]
    code, text = caller.may(statement("Allow", *actions)).call(service, operation)
    assert not is_denial(code), text


@pytest.mark.parametrize(
    ("service", "operation"), [each for each in DECIDED if f":{ACCOUNT}:" in json.dumps(SAMPLES[each[0]][each[1]])]
)
def test_what_belongs_to_another_account_is_refused(outsider, service, operation):
    code, text = outsider.call(service, operation)
    # IAM looks in the caller's account alone, and finds nothing there.
    expected = ("NoSuchEntity",) if service == "iam" else ("AccessDeniedException",)
    assert code in expected, f"{code}: {text}"


@pytest.mark.parametrize(("service", "operation"), sorted(FREE & {(s, o) for s in SAMPLES for o in SAMPLES[s]}))
def test_what_needs_no_permission_is_free(stranger, service, operation):
    code, text = stranger.call(service, operation)
    assert not is_denial(code), text


def test_the_table_and_the_samples_name_the_same_operations():
    table = {(service, name) for service in ACCESS for name in ACCESS[service]}
    samples = {(service, name) for service in SAMPLES for name in SAMPLES[service]}
    assert table == samples
