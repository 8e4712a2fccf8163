"""STS: sessions of roles, of users and of those they vouch for."""

import base64
import datetime
import json
import re
import secrets

import pytest

from refusals import refused
from server import ACCOUNT
from sessions import ROOT, allow, keys, role, statement, trust, user, whoami
from sessions import policy as document

INVALID = "The security token included in the request is invalid."


def test_a_session_is_its_role(server, sts, iam, name):
    arn = role(iam, name, rights=allow("iam:ListUsers"), Path="/teams/")
    answer = sts.assume_role(RoleArn=arn, RoleSessionName="today")
    given = answer["Credentials"]
    assert re.fullmatch("ASIA[A-Z2-7]{16}", given["AccessKeyId"])
    assert len(given["SecretAccessKey"]) == 40
    hour = given["Expiration"] - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(minutes=58) < hour <= datetime.timedelta(hours=1)
    named = answer["AssumedRoleUser"]
    unique = iam.get_role(RoleName=name)["Role"]["RoleId"]
    # The path is not part of a session's name.
    assert named == {
        "AssumedRoleId": f"{unique}:today",
        "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/today",
    }
    assert answer["SessionTokenSize"] == len(given["SessionToken"]) <= 4096
    assert 0 < answer["SessionTokenUtilization"] <= 100
    assert "PackedPolicySize" not in answer and "SourceIdentity" not in answer
    identity = server.client("sts", **keys(answer)).get_caller_identity()
    assert (identity["Arn"], identity["UserId"], identity["Account"]) == (
        named["Arn"],
        named["AssumedRoleId"],
        ACCOUNT,
    )
    theirs = server.client("iam", **keys(answer))
    theirs.list_users()
    with refused("AccessDenied", named["Arn"], status=403):
        theirs.list_roles()
    with refused("ValidationError", "Must specify userName when calling with non-User credentials"):
        server.client("iam", **keys(sts.assume_role(
            RoleArn=role(iam, name + "b", rights=allow("*")), RoleSessionName="all"
        ))).get_user()


def test_the_session_is_seen_in_the_journal_without_its_token(own_server, name):
    own_server.start()
    sts, iam = own_server.client("sts"), own_server.client("iam")
    arn = role(iam, name, rights=allow("iam:GetAccountSummary"))
    answer = sts.assume_role(RoleArn=arn, RoleSessionName="seen", SourceIdentity="alice")
    own_server.client("iam", **keys(answer)).get_account_summary()
    federated = sts.get_federation_token(Name="fred", Policy=allow("acm:*"))
    own_server.client("acm", **keys(federated)).list_certificates()
    assert own_server.stop() == 0
    lines = own_server.run("audit", "show", "--json", "--data-dir", str(own_server.data)).stdout
    events = [json.loads(line) for line in lines.splitlines()]
    for secret in (*keys(answer).values(), *keys(federated).values()):
        if not secret.startswith("ASIA"):
            assert secret not in lines
    who = next(e["userIdentity"] for e in events if e["eventName"] == "GetAccountSummary")
    assert who["type"] == "AssumedRole" and who["arn"] == answer["AssumedRoleUser"]["Arn"]
    assert who["principalId"] == answer["AssumedRoleUser"]["AssumedRoleId"]
    context = who["sessionContext"]
    assert context["sessionIssuer"] == {
        "type": "Role",
        "principalId": who["principalId"].split(":")[0],
        "arn": arn,
        "accountId": ACCOUNT,
        "userName": name,
    }
    assert context["attributes"]["mfaAuthenticated"] == "false" and context["sourceIdentity"] == "alice"
    who = next(e["userIdentity"] for e in events if e["eventName"] == "ListCertificates")
    assert who["type"] == "FederatedUser" and who["sessionContext"]["sessionIssuer"]["arn"] == ROOT


def test_session_policies_only_take_away(server, sts, iam, name):
    arn = role(iam, name, rights=allow("iam:List*"))
    answer = sts.assume_role(
        RoleArn=arn, RoleSessionName="less", Policy=allow("iam:ListUsers", "iam:CreateUser")
    )
    assert 0 < answer["PackedPolicySize"] <= 100
    theirs = server.client("iam", **keys(answer))
    theirs.list_users()
    for call in (theirs.list_roles, lambda: theirs.create_user(UserName=name)):
        with refused("AccessDenied", status=403):
            call()
    managed = iam.create_policy(PolicyName=name, PolicyDocument=allow("iam:ListRoles"))["Policy"]["Arn"]
    answer = sts.assume_role(RoleArn=arn, RoleSessionName="less", PolicyArns=[{"arn": managed}])
    theirs = server.client("iam", **keys(answer))
    theirs.list_roles()
    with refused("AccessDenied", status=403):
        theirs.list_users()
    # What changes it holds at once, and without it nothing is allowed.
    iam.create_policy_version(PolicyArn=managed, PolicyDocument=allow("iam:ListUsers"), SetAsDefault=True)
    theirs.list_users()
    iam.delete_policy_version(PolicyArn=managed, VersionId="v1")
    iam.delete_policy(PolicyArn=managed)
    with refused("AccessDenied", status=403):
        theirs.list_users()
    for bad in ("{}", "not json", document(statement({"AWS": "*"}))):
        with refused("MalformedPolicyDocument"):
            sts.assume_role(RoleArn=arn, RoleSessionName="bad", Policy=bad)
    with refused("MalformedPolicyDocument", managed):
        sts.assume_role(RoleArn=arn, RoleSessionName="bad", PolicyArns=[{"arn": managed}])


def test_what_does_not_fit_a_token_is_refused(sts, iam, name):
    arn = role(iam, name)
    tags = [{"Key": secrets.token_hex(60), "Value": secrets.token_hex(120)} for _ in range(50)]
    with refused("PackedPolicyTooLarge", "Packed size of session tags consumes "):
        sts.assume_role(RoleArn=arn, RoleSessionName="big", Tags=tags)
    long = allow("iam:ListUsers", resource=[f"arn:aws:iam::{ACCOUNT}:user/{n:040}" for n in range(40)])
    with refused("ValidationError", "less than or equal to 2048"):
        sts.assume_role(RoleArn=arn, RoleSessionName="big", Policy=long)
    long = sts.assume_role(RoleArn=arn, RoleSessionName="padded", MinimumSessionTokenSize=4096)
    assert len(long["Credentials"]["SessionToken"]) == long["SessionTokenSize"] == 4096
    assert long["SessionTokenUtilization"] == 100


def test_tags_of_a_session_go_before_those_of_its_role(server, sts, iam, name):
    rights = allow("iam:ListUsers", StringEquals={"aws:PrincipalTag/team": "red"})
    arn = role(iam, name, rights=rights, Tags=[{"Key": "Team", "Value": "blue"}])

    def listed(**more):
        answer = sts.assume_role(RoleArn=arn, RoleSessionName="tagged", **more)
        return server.client("iam", **keys(answer)).list_users()

    with refused("AccessDenied", status=403):
        listed()
    listed(Tags=[{"Key": "TEAM", "Value": "red"}])
    with refused("InvalidParameterValue", "Duplicate tag keys"):
        listed(Tags=[{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}])
    with refused("InvalidParameterValue", "must be included in the requested tags"):
        listed(TransitiveTagKeys=["absent"])


def test_tags_and_source_identities_must_be_trusted(sts, iam, name):
    arn = role(iam, name, trust(actions=["sts:AssumeRole"]))
    sts.assume_role(RoleArn=arn, RoleSessionName="plain")
    with refused("AccessDenied", "sts:TagSession", status=403):
        sts.assume_role(RoleArn=arn, RoleSessionName="tagged", Tags=[{"Key": "a", "Value": "1"}])
    with refused("AccessDenied", "sts:SetSourceIdentity", status=403):
        sts.assume_role(RoleArn=arn, RoleSessionName="called", SourceIdentity="alice")


def test_a_chain_of_roles(server, sts, iam, name):
    second = role(iam, name + "2", rights=allow("iam:ListUsers", StringEquals={"aws:PrincipalTag/team": "red"}),
                  MaxSessionDuration=7200)
    first = role(iam, name + "1", rights=allow("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"))
    answer = sts.assume_role(
        RoleArn=first,
        RoleSessionName="first",
        SourceIdentity="alice",
        Tags=[{"Key": "team", "Value": "red"}, {"Key": "own", "Value": "x"}],
        TransitiveTagKeys=["team"],
    )
    assert answer["SourceIdentity"] == "alice"
    chained = server.client("sts", **keys(answer))
    then = chained.assume_role(RoleArn=second, RoleSessionName="second")
    assert then["SourceIdentity"] == "alice"
    server.client("iam", **keys(then)).list_users()
    text = "exceeds the 1 hour session limit for roles assumed by role chaining"
    with refused("ValidationError", text):
        chained.assume_role(RoleArn=second, RoleSessionName="second", DurationSeconds=3601)
    sts.assume_role(RoleArn=second, RoleSessionName="direct", DurationSeconds=7200)
    with refused("ValidationError", "exceeds the MaxSessionDuration set for this role"):
        sts.assume_role(RoleArn=second, RoleSessionName="direct", DurationSeconds=7201)
    with refused("AccessDenied", status=403):
        chained.assume_role(RoleArn=second, RoleSessionName="second", SourceIdentity="bob")
    with refused("InvalidParameterValue", "conflicts with a transitive tag key"):
        chained.assume_role(RoleArn=second, RoleSessionName="second", Tags=[{"Key": "Team", "Value": "x"}])
    for operation in (chained.get_session_token, lambda: chained.get_federation_token(Name="fred")):
        with refused("AccessDenied", "with session credentials", status=403):
            operation()


def test_the_trust_policy_decides(server, sts, iam, name):
    theirs = user(server, iam, name)
    me = server.client("sts", **theirs)
    arn = role(iam, name, trust(f"arn:aws:iam::{ACCOUNT}:user/{name}", StringEquals={
        "sts:ExternalId": "right", "sts:RoleSessionName": "good",
    }))
    me.assume_role(RoleArn=arn, RoleSessionName="good", ExternalId="right")
    denied = f"User: arn:aws:iam::{ACCOUNT}:user/{name} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    messages = set()
    for more in ({"ExternalId": "wrong", "RoleSessionName": "good"}, {"RoleSessionName": "good"},
                 {"ExternalId": "right", "RoleSessionName": "bad"}):
        with refused("AccessDenied", denied, status=403) as refusal:
            me.assume_role(RoleArn=arn, **more)
        messages.add(refusal.message)
    # One that is not there is refused in the same words.
    for absent in (arn + "x", arn.replace(":role/", ":role/path/"), arn.replace(ACCOUNT, "111122223333")):
        with refused("AccessDenied", status=403) as refusal:
            me.assume_role(RoleArn=absent, RoleSessionName="good")
        if ACCOUNT in absent:
            messages.add(refusal.message.replace(absent, arn))
    assert len(messages) == 1, messages
    # A role that trusts the account leaves it to the user's own policies.
    open_role = role(iam, name + "o", trust())
    with refused("AccessDenied", "no identity-based policy allows", status=403):
        me.assume_role(RoleArn=open_role, RoleSessionName="good")
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=allow("sts:AssumeRole", resource=open_role))
    me.assume_role(RoleArn=open_role, RoleSessionName="good")
    for bad in ("arn:aws:iam::123456789012:user/someone", "arn:aws:s3:::a-bucket/with/a/key", "x" * 30):
        with refused("ValidationError", f"{bad} is invalid"):
            me.assume_role(RoleArn=bad, RoleSessionName="good")


def test_a_device_that_nobody_has(sts, iam, name):
    with refused("AccessDenied", "MultiFactorAuthentication failed, unable to validate MFA code", status=403):
        sts.get_session_token(SerialNumber=f"arn:aws:iam::{ACCOUNT}:mfa/me", TokenCode="123456")
    with refused("AccessDenied", status=403):
        sts.assume_role(RoleArn=role(iam, name), RoleSessionName="mfa", TokenCode="123456")


def test_a_token_belongs_to_its_key_and_is_not_altered(server, sts, iam, name):
    arn = role(iam, name, rights=allow("*"))
    first, second = (keys(sts.assume_role(RoleArn=arn, RoleSessionName="one")) for _ in range(2))
    raw = bytearray(base64.b64decode(first["token"]))
    raw[len(raw) // 2] ^= 1
    altered = base64.b64encode(bytes(raw)).decode()
    mine = {"key_id": server.key_id, "secret": server.secret}
    for stranger in (
        {**first, "token": None},
        {**first, "token": altered},
        {**first, "token": first["token"][:-8]},
        {**first, "token": second["token"]},
        {**first, "token": "A" * 5000},
        {**mine, "token": first["token"]},
    ):
        with refused("InvalidClientTokenId", INVALID, status=403):
            server.client("sts", **stranger).get_caller_identity()
        with refused("UnrecognizedClientException", INVALID):
            server.client("acm", **stranger).list_certificates()
    with refused("SignatureDoesNotMatch", status=403):
        server.client("sts", **{**first, "secret": second["secret"]}).get_caller_identity()
    assert server.client("sts", **first).get_caller_identity()["Account"] == ACCOUNT


def test_a_session_ends_with_its_time(own_server, name):
    own_server.start()
    sts, iam = own_server.client("sts"), own_server.client("iam")
    arn = role(iam, name, rights=allow("acm:ListCertificates"))
    short = keys(sts.assume_role(RoleArn=arn, RoleSessionName="short", DurationSeconds=900))
    long = keys(sts.assume_role(RoleArn=arn, RoleSessionName="long"))
    assert own_server.stop() == 0
    # A session needs nothing but the root key: it outlives the server.
    own_server.start(ahead=datetime.timedelta(minutes=16))
    own_server.client("acm", **long).list_certificates()
    for _ in range(2):
        with refused("ExpiredTokenException", "The security token included in the request is expired"):
            own_server.client("acm", **short).list_certificates()
        with refused("ExpiredToken", "The security token included in the request is expired", status=403):
            own_server.client("sts", **short).get_caller_identity()


def test_a_session_ends_with_its_role_and_by_the_time_of_its_issue(server, sts, iam, name):
    arn = role(iam, name, rights=allow("iam:ListUsers"))
    theirs = server.client("iam", **keys(sts.assume_role(RoleArn=arn, RoleSessionName="old")))
    theirs.list_users()
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
    revoke = json.dumps({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Deny", "Action": "*", "Resource": "*",
            "Condition": {"DateLessThan": {"aws:TokenIssueTime": now.strftime("%Y-%m-%dT%H:%M:%SZ")}},
        }],
    })
    iam.put_role_policy(RoleName=name, PolicyName="AWSRevokeOlderSessions", PolicyDocument=revoke)
    with refused("AccessDenied", "explicit deny", status=403):
        theirs.list_users()
    for inline in ("AWSRevokeOlderSessions", "rights"):
        iam.delete_role_policy(RoleName=name, PolicyName=inline)
    iam.delete_role(RoleName=name)
    role(iam, name, rights=allow("iam:ListUsers"))
    with refused("InvalidClientTokenId", INVALID, status=403):
        theirs.list_users()


def test_a_users_own_session(server, sts, iam, name):
    theirs = user(server, iam, name, allow("*"))
    me = server.client("sts", **theirs)
    answer = me.get_session_token(DurationSeconds=900)
    session = keys(answer)
    mine = server.client("sts", **session)
    identity = mine.get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/{name}"
    assert identity["UserId"] == iam.get_user(UserName=name)["User"]["UserId"]
    server.client("acm", **session).list_certificates()
    # Neither IAM nor most of STS, as the operation's page says.
    with refused("InvalidClientTokenId", INVALID, status=403):
        server.client("iam", **session).get_user()
    for call in (mine.get_session_token, lambda: mine.get_federation_token(Name="fred"),
                 lambda: mine.get_access_key_info(AccessKeyId=theirs["key_id"]),
                 lambda: mine.decode_authorization_message(EncodedMessage="x")):
        with refused("AccessDenied", "with session credentials", status=403):
            call()
    mine.assume_role(RoleArn=role(iam, name), RoleSessionName="on")
    # It ends with the user, not with the key that asked for it.
    iam.delete_access_key(UserName=name, AccessKeyId=theirs["key_id"])
    assert mine.get_caller_identity()["Account"] == ACCOUNT
    iam.delete_user_policy(UserName=name, PolicyName="rights")
    iam.delete_user(UserName=name)
    with refused("InvalidClientTokenId", INVALID, status=403):
        mine.get_caller_identity()


def test_the_root_users_session_is_an_hour_at_most(server, sts):
    answer = sts.get_session_token(DurationSeconds=129_600)
    left = answer["Credentials"]["Expiration"] - datetime.datetime.now(datetime.timezone.utc)
    assert left <= datetime.timedelta(hours=1)
    assert server.client("sts", **keys(answer)).get_caller_identity()["UserId"] == ACCOUNT


def test_a_federated_user_may_what_both_allow(server, sts, iam, name):
    theirs = user(server, iam, name, document(
        {"Effect": "Allow", "Action": "sts:GetFederationToken", "Resource": f"arn:aws:sts::{ACCOUNT}:federated-user/fre*"},
        {"Effect": "Allow", "Action": "acm:ListCertificates", "Resource": "*"},
    ))
    me = server.client("sts", **theirs)
    answer = me.get_federation_token(Name="fred", Policy=allow("acm:*"), DurationSeconds=900)
    assert answer["FederatedUser"] == {
        "FederatedUserId": f"{ACCOUNT}:fred",
        "Arn": f"arn:aws:sts::{ACCOUNT}:federated-user/fred",
    }
    fred = keys(answer)
    identity = server.client("sts", **fred).get_caller_identity()
    assert (identity["Arn"], identity["UserId"]) == (answer["FederatedUser"]["Arn"], f"{ACCOUNT}:fred")
    acm = server.client("acm", **fred)
    acm.list_certificates()
    with refused("AccessDeniedException"):
        acm.get_account_configuration()
    with refused("InvalidClientTokenId", INVALID, status=403):
        server.client("iam", **fred).list_users()
    with refused("AccessDenied", "with session credentials", status=403):
        server.client("sts", **fred).assume_role(RoleArn=role(iam, name), RoleSessionName="no")
    # Without policies it may do nothing.
    bare = keys(me.get_federation_token(Name="fred"))
    with refused("AccessDeniedException"):
        server.client("acm", **bare).list_certificates()
    with refused("AccessDenied", "federated-user/bob", status=403):
        me.get_federation_token(Name="bob")
    with refused("AccessDenied", "sts:TagSession", status=403):
        me.get_federation_token(Name="fred", Tags=[{"Key": "a", "Value": "1"}])


def test_the_root_users_federated_session(server, sts):
    fred = keys(sts.get_federation_token(Name="fred", Policy=allow("acm:ListCertificates")))
    acm = server.client("acm", **fred)
    acm.list_certificates()
    with refused("AccessDeniedException"):
        acm.get_account_configuration()


def test_a_profile_of_the_cli_that_assumes_two_roles_in_a_row(server, iam, name, tmp_path):
    theirs = user(server, iam, name, allow("sts:AssumeRole"))
    first = role(iam, name + "1", trust(StringEquals={"sts:ExternalId": "right"}), allow("sts:AssumeRole"))
    second = role(iam, name + "2")
    config = tmp_path / "config"
    config.write_text(f"""
[profile base]
aws_access_key_id = {theirs["key_id"]}
aws_secret_access_key = {theirs["secret"]}
[profile first]
role_arn = {first}
source_profile = base
external_id = right
[profile second]
role_arn = {second}
source_profile = first
role_session_name = chained
""")
    said = whoami(server, AWS_CONFIG_FILE=str(config), AWS_PROFILE="second")
    assert said["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}2/chained"


@pytest.mark.parametrize(("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")])
def test_names_are_of_the_partition(server, iam, name, region, partition):
    arn = role(iam, name)
    sts = server.client("sts", region)
    answer = sts.assume_role(RoleArn=arn, RoleSessionName="far")
    assert answer["AssumedRoleUser"]["Arn"].startswith(f"arn:{partition}:sts::{ACCOUNT}:assumed-role/")
    assert server.client("sts", region, **keys(answer)).get_caller_identity()["Arn"] == answer["AssumedRoleUser"]["Arn"]


def test_a_used_role_says_when(server, sts, iam, name):
    answer = sts.assume_role(RoleArn=role(iam, name), RoleSessionName="used")
    assert "LastUsedDate" not in iam.get_role(RoleName=name)["Role"]["RoleLastUsed"]
    server.client("sts", **keys(answer)).get_caller_identity()
    used = iam.get_role(RoleName=name)["Role"]["RoleLastUsed"]
    assert used["Region"] == "us-east-1" and used["LastUsedDate"]
