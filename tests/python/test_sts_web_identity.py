"""STS: roles for those whom an identity provider vouches for, with a real issuer on this machine."""

import hashlib
import hmac
import json

import botocore
import pytest
from cryptography.hazmat.primitives import serialization

from refusals import refused
from server import ACCOUNT
from sessions import allow, keys, policy, role, statement, whoami
from web_issuer import LOOPBACK, EcKey, Issuer, RsaKey, certificate, thumbprint

NO_KEY = "Couldn't retrieve verification key from your identity provider"
NOT_TRUSTED = "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    made = Issuer(tmp_path_factory.mktemp("issuer"))
    yield made
    made.close()


@pytest.fixture
def fresh(tmp_path):
    """Makes an issuer for one test alone."""
    made = []

    def make(*arguments, **named):
        made.append(Issuer(tmp_path, *arguments, **named))
        return made[-1]

    yield make
    for one in made:
        one.close()


def register(iam, issuer, *thumbprints):
    return iam.create_open_id_connect_provider(
        Url=issuer.url, ClientIDList=["app", "other"], ThumbprintList=list(thumbprints or [issuer.thumbprint()])
    )["OpenIDConnectProviderArn"]


@pytest.fixture(scope="module")
def provider(iam, issuer):
    return register(iam, issuer)


def trusting(provider, actions=("sts:AssumeRoleWithWebIdentity",), **condition):
    return policy(statement({"Federated": provider}, actions, **condition))


def provider_arn(issuer):
    return f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer.host}"


@pytest.fixture(scope="module")
def anyone(server):
    """A client that signs nothing: this call takes no signature."""
    return server.client("sts", signature_version=botocore.UNSIGNED)


def assume(client, arn, token, **more):
    return client.assume_role_with_web_identity(
        RoleArn=arn, RoleSessionName="pod", WebIdentityToken=token, **more
    )


def test_a_token_becomes_a_session(server, iam, anyone, issuer, provider, name):
    arn = role(iam, name, trusting(provider, StringEquals={
        f"{issuer.host}:sub": "alice", f"{issuer.host}:aud": "app",
    }), allow("iam:ListUsers", StringEquals={"aws:FederatedProvider": provider}))
    for key in issuer.keys:
        answer = assume(anyone, arn, issuer.token(key), DurationSeconds=900)
        assert answer["SubjectFromWebIdentityToken"] == "alice"
        assert (answer["Audience"], answer["Provider"]) == ("app", provider)
        user = answer["AssumedRoleUser"]
        assert user["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/pod"
        identity = server.client("sts", **keys(answer)).get_caller_identity()
        assert (identity["Arn"], identity["UserId"]) == (user["Arn"], user["AssumedRoleId"])
        server.client("iam", **keys(answer)).list_users()
    # Kubernetes gives a list of audiences.
    assert assume(anyone, arn, issuer.token(aud=["elsewhere", "app"]))["Audience"] == "app"
    session = assume(anyone, arn, issuer.token(), Policy=allow("acm:*"))
    with refused("AccessDenied", status=403):
        server.client("iam", **keys(session)).list_users()
    with refused("ValidationError", "MaxSessionDuration"):
        assume(anyone, arn, issuer.token(), DurationSeconds=7200)
    # The provider was asked once, for two documents.
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


def test_a_pod_needs_nothing_but_its_token(server, iam, issuer, provider, name, tmp_path):
    arn = role(iam, name, trusting(provider))
    token = tmp_path / "token"
    token.write_text(issuer.token(sub="system:serviceaccount:default:app"))
    said = whoami(
        server, AWS_ROLE_ARN=arn, AWS_WEB_IDENTITY_TOKEN_FILE=str(token), AWS_ROLE_SESSION_NAME="pod"
    )
    assert said["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/pod"


def test_the_trust_policy_asks_for_claims(iam, anyone, issuer, provider, name):
    denied = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
    arn = role(iam, name, trusting(
        provider,
        StringLike={f"{issuer.host}:sub": "al*"},
        **{"ForAnyValue:StringEquals": {f"{issuer.host}:amr": "mfa"}},
    ))
    assume(anyone, arn, issuer.token(amr=["pwd", "mfa"]))
    for claims in ({"amr": ["pwd"]}, {}, {"amr": ["mfa"], "sub": "bob"}):
        with refused("AccessDenied", denied, status=403):
            assume(anyone, arn, issuer.token(**claims))
    for other in (arn + "x", role(iam, name + "u"), role(iam, name + "o", trusting(provider + "x"))):
        with refused("AccessDenied", denied, status=403):
            assume(anyone, other, issuer.token())


def hmac_by(key):
    """The public key as a shared secret: the classic way to forge a token."""
    public = key.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return lambda text: hmac.digest(public, text, hashlib.sha256)


def test_tokens_that_prove_nothing(iam, anyone, issuer, provider, name):
    arn = role(iam, name, trusting(provider))
    stranger = RsaKey("one")
    cases = [
        (issuer.token(aud="stranger"), "Incorrect token audience"),
        (issuer.token(azp="stranger"), "Incorrect token audience"),
        (issuer.token(aud=None), "Missing a required claim: aud"),
        (issuer.token(sub=None), "Missing a required claim: sub"),
        (issuer.token(exp=None), "Missing a required claim: exp"),
        (issuer.token(iss=None), "Missing a required claim: iss"),
        (issuer.token(nbf=2**40), "not valid yet"),
        (issuer.token(iss="https://id.example.com"),
         "No OpenIDConnect provider found in your account for https://id.example.com"),
        (issuer.token(iss=issuer.url.replace("https", "http")), "Issuer must be a valid URL"),
        (issuer.token(stranger), "signature"),
        (issuer.token(signature=lambda _: b"x" * 256), "signature"),
        (issuer.token(header={"kid": "two"}), "signature"),
        (issuer.token(header={"kid": "three"}), NO_KEY),
        (issuer.token(header={"alg": "none"}, signature=lambda _: b""), "not supported"),
        (issuer.token(header={"alg": "HS256"}, signature=hmac_by(issuer.keys[0])), "not supported"),
        (issuer.token(header={"crit": ["b64"], "b64": False}), "not supported"),
        ("????", "not a valid JWT"),
        ("a.b.c", "not a valid JWT"),
    ]
    for token, text in cases:
        with refused("InvalidIdentityToken", text):
            assume(anyone, arn, token)
    with refused("ExpiredTokenException", "Token expired: current date/time "):
        assume(anyone, arn, issuer.token(exp=1))
    with refused("ValidationError", "graph.facebook.com"):
        assume(anyone, arn, issuer.token(), ProviderId="graph.facebook.com")


def test_tags_and_a_source_identity_from_the_provider(server, iam, anyone, issuer, provider, name):
    claims = {
        "https://aws.amazon.com/tags": {
            "principal_tags": {"team": ["red"]}, "transitive_tag_keys": ["team"],
        },
        "https://aws.amazon.com/source_identity": "alice",
    }
    rights = allow("iam:ListUsers", StringEquals={"aws:PrincipalTag/team": "red", "aws:SourceIdentity": "alice"})
    actions = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"]
    arn = role(iam, name, trusting(provider, actions, StringEquals={"aws:RequestTag/team": "red"}), rights)
    answer = assume(anyone, arn, issuer.token(**claims))
    assert answer["SourceIdentity"] == "alice"
    server.client("iam", **keys(answer)).list_users()
    bare = role(iam, name + "b", trusting(provider))
    with refused("AccessDenied", "Not authorized to perform sts:TagSession", status=403):
        assume(anyone, bare, issuer.token(**claims))


def test_whose_certificates_are_trusted(iam, anyone, fresh, name):
    root = certificate("A Root", ca=True)
    between = certificate("Between", root, ca=True)
    chained = fresh([certificate(LOOPBACK, between), between, root])
    other = certificate("Another Root", ca=True)
    # A chain that contains an authority, which vouches for nothing in it.
    pretended = fresh([certificate(LOOPBACK), other])
    expired = fresh([certificate(LOOPBACK, days=-1)])
    misnamed = fresh([certificate("127.0.0.2")])
    cases = [
        (chained, [thumbprint(between[0])], None),
        (chained, [thumbprint(root[0]).upper()], None),
        (chained, ["0" * 40], NOT_TRUSTED),
        (pretended, [thumbprint(other[0])], NOT_TRUSTED),
        (expired, [expired.thumbprint()], NOT_TRUSTED),
        (misnamed, [misnamed.thumbprint()], NOT_TRUSTED),
    ]
    for count, (made, thumbprints, text) in enumerate(cases):
        provider = register(iam, made, *thumbprints)
        arn = role(iam, f"{name}{count}", trusting(provider))
        if text is None:
            assume(anyone, arn, made.token())
        else:
            with refused("InvalidIdentityToken", text):
                assume(anyone, arn, made.token())
        iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider)


def test_a_provider_that_does_not_answer_as_it_should(iam, anyone, fresh, name):
    configuration = "/.well-known/openid-configuration"
    answers = [
        {configuration: (302, {"Location": "/elsewhere"}, b"")},
        {configuration: (500, {}, b"{}")},
        {configuration: (200, {}, b"<html>")},
        {configuration: (200, {}, json.dumps({"issuer": "https://x", "jwks_uri": "https://x"}).encode())},
        {"/keys": (200, {}, b'{"keys":[]}')},
        {"/keys": (200, {}, b" " * 300_000 + b'{"keys":[]}')},
    ]
    for count, instead in enumerate(answers):
        made = fresh(keys=[EcKey("one")])
        made.instead = instead
        arn = role(iam, f"{name}{count}", trusting(register(iam, made)))
        with refused("InvalidIdentityToken", NO_KEY):
            assume(anyone, arn, made.token())
    gone = fresh(keys=[EcKey("one")])
    arn = role(iam, name, trusting(register(iam, gone)))
    gone.close()
    with refused("IDPCommunicationError"):
        assume(anyone, arn, gone.token())


def test_strangers_do_not_make_the_provider_work(iam, anyone, fresh, name):
    made = fresh(keys=[EcKey("one")])
    arn = role(iam, name, trusting(register(iam, made)))
    assume(anyone, arn, made.token())
    asked = list(made.asked)
    for _ in range(3):
        with refused("InvalidIdentityToken", NO_KEY):
            assume(anyone, arn, made.token(header={"kid": "unknown"}))
    assert made.asked == asked


def test_the_journal_knows_who_was_vouched_for(own_server, fresh, name):
    own_server.start()
    iam = own_server.client("iam")
    anyone = own_server.client("sts", signature_version=botocore.UNSIGNED)
    made = fresh(keys=[EcKey("one")])
    provider = register(iam, made)
    arn = role(iam, name, trusting(provider), allow("iam:GetAccountSummary"))
    with refused("InvalidIdentityToken"):
        assume(anyone, arn, "nobody's")
    with refused("AccessDenied", status=403):
        assume(anyone, arn + "x", made.token())
    token = made.token()
    answer = assume(anyone, arn, token)
    own_server.client("iam", **keys(answer)).get_account_summary()
    assert own_server.stop() == 0
    lines = own_server.run("audit", "show", "--json", "--data-dir", str(own_server.data)).stdout
    assert token not in lines and answer["Credentials"]["SessionToken"] not in lines
    events = [json.loads(line) for line in lines.splitlines()]
    # Who proves nothing leaves nothing.
    denied, done = [e for e in events if e["eventName"] == "AssumeRoleWithWebIdentity"]
    assert denied["errorCode"] == "AccessDenied"
    for event in (denied, done):
        assert event["userIdentity"] == {
            "type": "WebIdentityUser",
            "principalId": f"{provider}:app:alice",
            "userName": "alice",
            "identityProvider": provider,
        }
        assert event["recipientAccountId"] == ACCOUNT
    who = next(e["userIdentity"] for e in events if e["eventName"] == "GetAccountSummary")
    assert who["sessionContext"]["webIdFederationData"]["federatedProvider"] == provider
