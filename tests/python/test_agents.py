"""Agents: joining by a token that is used once, a certificate that renews itself, and the end of one."""

import base64
import datetime
import json
import secrets

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import authorities
from agents import Agent, Home
from machines import Command
from refusals import refused
from server import ACCOUNT
from test_audit import named
from test_rolesanywhere_sessions import trusting
from workloads import Refused

DESCRIBE = ["acm:DescribeCertificate", "secretsmanager:DescribeSecret", "acm-pca:GetCertificateAuthorityCertificate"]


@pytest.fixture(scope="module")
def home(server):
    # Made anew where tests of other files come between.
    made = Home(server, server.client("acm-pca"), f"Agents-{secrets.token_hex(4)}")
    made.may(*DESCRIBE)
    return made


@pytest.fixture(scope="module")
def keystead(server):
    return server.client("keystead")


def summary(keystead, token):
    listed, more = [], {}
    while True:
        page = keystead.list_join_tokens(**more)
        listed += page["JoinTokens"]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    (found,) = [one for one in listed if one["JoinTokenId"] == token["JoinTokenId"]]
    return found


def shown(keystead, arn):
    return next((agent for agent in keystead.list_agents()["Agents"] if agent["AgentArn"] == arn), None)


def test_a_token_makes_an_agent_that_logs_in(server, home, keystead, name):
    token = home.token(ValidSeconds=600)
    assert token["ExpiresAt"] - datetime.datetime.now(datetime.timezone.utc) < datetime.timedelta(seconds=601)
    agent = home.join(token["Token"], Name=name, Software="a test")
    assert agent.arn == f"arn:aws:keystead:us-east-1:{ACCOUNT}:agent/{name}"
    certificate = agent.certificate
    assert certificate.public_key() == agent.key.public_key()
    assert certificate.subject.rfc4514_string() == f"CN={name}"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (identity,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    assert identity.startswith(agent.arn + "/")
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    lifetime = certificate.not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(days=29) < lifetime <= datetime.timedelta(days=30)
    me = agent.client("sts").get_caller_identity()["Arn"]
    assert me.startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/{home.name}/")
    used = summary(keystead, token)
    assert used["UsedBy"] == agent.arn and used["UsedAt"] and used["RoleArn"] == home.where["roleArn"]
    found = shown(keystead, agent.arn)
    assert found["Name"] == name and found["Software"] == "a test" and found["InContact"] is True
    assert int(found["CertificateSerial"].replace(":", ""), 16) == certificate.serial_number
    (event,) = [event for event in named(server, "AgentJoined") if event["resources"][0]["ARN"] == agent.arn]
    assert event["serviceEventDetails"]["joinTokenId"] == token["JoinTokenId"]
    journal = "".join(str(event) for event in named(server, "CreateJoinToken"))
    assert token["JoinTokenId"] in journal and token["Token"].rsplit(".")[-1] not in journal


def test_a_token_is_used_once(server, home, keystead, name):
    token = home.token()
    first = home.join(token["Token"], Name=name)
    again = home.join(token["Token"], key=first.key)
    assert again.certificate == first.certificate, "who did not hear the answer may ask again"
    with refused("AccessDeniedException", "The join token was used already, on 2") as said:
        home.join(token["Token"], Name=name + "2")
    assert f"by the agent {name}" in said.message
    told = [event["serviceEventDetails"] for event in named(server, "JoinTokenRefused")]
    assert any(said.message == details["cause"] and details["sourceIPAddress"] == "127.0.0.1" for details in told)
    assert shown(keystead, first.arn.replace(name, name + "2")) is None


def test_a_token_names_who_may_use_it_and_from_where(home, keystead, name):
    fixed = home.token(Name=name, Address="127.0.0.0/8")
    assert summary(keystead, fixed)["Address"] == "127.0.0.0/8"
    assert home.join(fixed["Token"], Name="another").arn.endswith(f":agent/{name}")
    elsewhere = home.token(Address="192.0.2.7")["Token"]
    with refused("AccessDeniedException", "is for use from 192.0.2.7, and this call comes from 127.0.0.1"):
        home.join(elsewhere, Name=name + "2")
    with refused("ValidationException", "no address and no network"):
        home.token(Address="10.0.0.0/33")


def test_a_token_has_an_end(own_server, name):
    own_server.start()
    home = Home(own_server, own_server.client("acm-pca"), name)
    token = home.token(ValidSeconds=3600)["Token"]
    own_server.stop()
    own_server.start(ahead=datetime.timedelta(hours=1, minutes=1))
    with refused("AccessDeniedException", "The join token could be used until 2"):
        Agent.join(own_server, token, Name=name)


def test_what_is_no_token(home, keystead, name):
    token = home.token()
    keystead.delete_join_token(JoinTokenId=token["JoinTokenId"])
    with refused("ResourceNotFoundException"):
        keystead.delete_join_token(JoinTokenId=token["JoinTokenId"])
    good = home.token()["Token"]
    for bad in [token["Token"], "nonsense", good[:-4] + "AAAA", good.replace("us-east-1", "us-east-2"), good + ".x"]:
        with refused("AccessDeniedException", "The join token is not valid"):
            home.join(bad, Name=name)
    with refused("ValidationException", "give a Name"):
        home.join(good)
    with refused("ValidationException", "The certificate signing request is not acceptable"):
        keystead.join_agent(Token=good, Name=name, Csr=b"nonsense")
    home.join(good, Name=name)


def test_what_a_token_needs(server, home, keystead, name):
    never = "00000000-0000-4000-8000-000000000000"
    where = {"RoleArn": home.where["roleArn"], "ProfileArn": home.where["profileArn"]}
    anchor = home.where["trustAnchorArn"]
    with refused("ResourceNotFoundException", "is not there, or not enabled"):
        keystead.create_join_token(TrustAnchorArn=anchor[:-36] + never, **where)
    with refused("ResourceNotFoundException", "is not there, or not enabled"):
        keystead.create_join_token(TrustAnchorArn=anchor, **(where | {"ProfileArn": where["ProfileArn"][:-36] + never}))
    other = home.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusting())["Role"]["Arn"]
    with refused("ValidationException", "does not list the role"):
        keystead.create_join_token(TrustAnchorArn=anchor, **(where | {"RoleArn": other}))
    pem = server.client("acm-pca").get_certificate_authority_certificate(CertificateAuthorityArn=home.ca)["Certificate"]
    source = {"sourceType": "CERTIFICATE_BUNDLE", "sourceData": {"x509CertificateData": pem}}
    bundle = home.roles.create_trust_anchor(name=name, source=source, enabled=True)["trustAnchor"]["trustAnchorArn"]
    with refused("ValidationException", "is a bundle: expected one whose source is a private CA"):
        keystead.create_join_token(TrustAnchorArn=bundle, **where)


def test_a_name_is_taken_over_by_a_token_for_it_alone(home, keystead, name):
    first = home.join(Name=name)
    with refused("ConflictException", f"There is an agent {name} already"):
        home.join(Name=name)
    second = home.join(home.token(Name=name)["Token"])
    assert second.arn == first.arn
    assert second.client("sts").get_caller_identity()
    with pytest.raises(Refused) as caught:
        first.client("sts")
    assert "revoked" in caught.value.message
    with pytest.raises(Refused) as caught:
        first.renew()
    assert caught.value.code == "AccessDeniedException"


def test_an_agent_renews_its_certificate_with_the_key_of_the_one_before(home, keystead, name):
    first = home.join(Name=name)
    second = first.renew()
    assert second.arn == first.arn and second.certificate.serial_number != first.certificate.serial_number
    third = first.renew()
    assert third.client("sts").get_caller_identity(), "it did not hear of the second, and went on with the first"
    found = shown(keystead, first.arn)
    assert int(found["CertificateSerial"].replace(":", ""), 16) == third.certificate.serial_number
    fourth = third.renew()
    with pytest.raises(Refused) as caught:
        first.renew()
    assert "The certificate is not that of the agent" in caught.value.message
    assert fourth.renew()


def test_who_may_not_renew(server, home, name):
    agent, other = home.join(Name=name), home.join(Name=name + "2")
    csr, _ = authorities.request("ignored")
    for arn, region in [(other.arn, "us-east-1"), (agent.arn + "3", "us-east-1")]:
        with pytest.raises(Refused) as caught:
            agent.renew_agent_certificate(csr, arn=arn, region=region)
        assert caught.value.code == "AccessDeniedException", caught.value
    with pytest.raises(Refused) as caught:
        agent.renew_agent_certificate(csr, region="eu-west-1")
    assert caught.value.code == "ValidationException", caught.value
    stolen = Agent(server, agent.identity, authorities.new_key())
    with pytest.raises(Refused) as caught:
        stolen.renew()
    assert caught.value.code == "InvalidSignatureException", caught.value
    workload = home.workload(name=name)
    stranger = Agent(server, agent.identity, workload.key)
    stranger.identity = agent.identity | {"Certificate": workload.certificate.public_bytes(serialization.Encoding.PEM).decode()}
    with pytest.raises(Refused) as caught:
        stranger.renew()
    assert caught.value.code == "AccessDeniedException", "of the same authority, but no agent's"


def test_a_removed_agent_is_locked_out(home, keystead, name):
    agent = home.join(Name=name)
    keystead.delete_agent(AgentArn=agent.arn)
    assert shown(keystead, agent.arn) is None
    with pytest.raises(Refused) as caught:
        agent.client("sts")
    assert "revoked" in caught.value.message
    with pytest.raises(Refused):
        agent.renew()
    with refused("ResourceNotFoundException"):
        keystead.delete_agent(AgentArn=agent.arn)


def test_one_command_sets_up_all_that_agents_need(own_server, name):
    own_server.start()
    command = Command(own_server)
    iam = own_server.client("iam")
    role = iam.create_role(RoleName="web", AssumeRolePolicyDocument=trusting())["Role"]["Arn"]
    (token, _, way), made = command.token(role)
    assert made["Missing"] == []
    way = json.loads(base64.urlsafe_b64decode(way + "=="))
    assert way == {"endpoint": own_server.endpoint}
    agent = Agent.join(own_server, token, Name=name)
    assert agent.client("sts").get_caller_identity()["Arn"].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/web/")
    # Again, and for another role: what is there is used.
    other = iam.create_role(RoleName="db", AssumeRolePolicyDocument=trusting(actions=["sts:AssumeRole"]))["Role"]["Arn"]
    (token, _, _), again = command.token(other, "--name", "db-1", "--from", "127.0.0.1", "--certificate-valid", "2d")
    assert (again["TrustAnchorArn"], again["ProfileArn"]) == (made["TrustAnchorArn"], made["ProfileArn"])
    (missing,) = again["Missing"]
    assert f"{other} does not allow rolesanywhere.amazonaws.com sts:TagSession, sts:SetSourceIdentity" in missing
    second = Agent.join(own_server, token)
    assert second.certificate.not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc) < datetime.timedelta(days=2)
    (ca,) = own_server.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]
    assert ca["Status"] == "ACTIVE"
    assert ca["CertificateAuthorityConfiguration"]["Subject"] == {"CommonName": "Keystead agents"}
    said = command("agent", "token", "--role", other)
    assert "sts:TagSession" in said.stderr and said.stdout.startswith("keystead-join-1.")
    listed = command("agent", "list").stdout.splitlines()
    assert listed[0].split()[:2] == ["AGENT", "CONTACT"] and len(listed) == 3
    assert [line.split()[:2] for line in listed[1:]] == [[one, "yes"] for one in sorted([name, "db-1"])]
    assert command("agent", "remove", "db-1").stdout == f"removed {second.arn}\n"
    assert command("agent", "remove", "db-1", check=False).returncode == 1
    assert len(json.loads(command("agent", "list", "--json").stdout)["agents"]) == 1


def test_what_agents_share_is_made_anew_where_it_was_deleted(own_server, name):
    own_server.start()
    command = Command(own_server)
    role = own_server.client("iam").create_role(RoleName="web", AssumeRolePolicyDocument=trusting())["Role"]["Arn"]
    _, made = command.token(role)
    roles, pca = own_server.client("rolesanywhere"), own_server.client("acm-pca")
    anchor, profile = (made[kind].rsplit("/")[-1] for kind in ("TrustAnchorArn", "ProfileArn"))
    roles.disable_trust_anchor(trustAnchorId=anchor)
    said = command("agent", "token", "--role", role, check=False)
    assert said.returncode == 1 and "is not there, or not enabled" in said.stderr
    roles.delete_trust_anchor(trustAnchorId=anchor)
    roles.delete_profile(profileId=profile)
    (ca,) = pca.list_certificate_authorities()["CertificateAuthorities"]
    pca.update_certificate_authority(CertificateAuthorityArn=ca["Arn"], Status="DISABLED")
    pca.delete_certificate_authority(CertificateAuthorityArn=ca["Arn"])
    (token, _, _), again = command.token(role)
    assert again["TrustAnchorArn"] != made["TrustAnchorArn"] and again["ProfileArn"] != made["ProfileArn"]
    assert Agent.join(own_server, token, Name=name).client("sts").get_caller_identity()


def test_status_shows_who_serves_what(own_server):
    own_server.start()
    command = Command(own_server)
    home = Home(own_server, own_server.client("acm-pca"), "Web")
    agent = home.join(Name="web-1")
    resources = [{"Arn": home.ca, "Wanted": "01", "Placed": "01", "Proven": "01"}]
    report = {"Name": "shop", "State": "PROVEN", "Resources": resources, "NotAfter": "2126-01-02T03:04:05Z"}
    client = agent.client("keystead")
    client.report_placements(Placements=[report])
    said = command("status", check=False)
    assert said.returncode == 0, said.stdout
    heading, line = said.stdout.splitlines()[1:3]
    assert heading.split() == ["AGENT", "PLACEMENT", "STATE", "SINCE", "UNTIL", "WHAT", "WHY"]
    assert line.split()[:3] == ["web-1", "shop", "proven"] and "2126-01-02 03:04:05Z" in line
    assert home.ca.split(":", 5)[5] in line
    client.report_placements(Placements=[report | {"State": "FAILED", "Reason": "the port serves another"}])
    said = command("status", check=False)
    assert said.returncode == 1 and "failed" in said.stdout and said.stdout.rstrip().endswith("the port serves another")
    shown = json.loads(command("status", "--json", check=False).stdout)
    assert shown["placements"][0]["Status"] == "FAILED" and shown["agents"][0]["Name"] == "web-1"
