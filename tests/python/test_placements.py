"""What agents wait for, and what they report of their placements."""

import concurrent.futures
import datetime
import http.client
import json
import os
import pathlib
import resource
import secrets
import socket
import time
import urllib.request

import pytest

import authorities
from agents import Home
from refusals import refused
from server import ACCOUNT
from signing import Request, sign
from test_acm import issued
from test_audit import named
from waiting import until

DESCRIBE = ["acm:DescribeCertificate", "secretsmanager:DescribeSecret", "acm-pca:GetCertificateAuthorityCertificate"]
# Far longer than a change takes to be told, and what a call waits where nothing changes.
LONG = 40


@pytest.fixture(scope="module")
def home(server):
    # Made anew where tests of other files come between.
    made = Home(server, server.client("acm-pca"), f"Placements-{secrets.token_hex(4)}")
    made.may(*DESCRIBE)
    return made


@pytest.fixture(scope="module")
def issuer(server):
    pca = server.client("acm-pca")
    return authorities.grant(pca, authorities.root(pca, "Placed"))


@pytest.fixture
def agent(home, name):
    return home.join(Name=name)


@pytest.fixture
def certificate(acm, issuer):
    return issued(acm, issuer, KeyAlgorithm="EC_prime256v1")


def now(client, *arns):
    """The versions of these resources, by ARN."""
    answer = client.await_changes(Resources=[{"Arn": arn} for arn in arns], WaitSeconds=0)
    return {change["Arn"]: change for change in answer["Changes"]}


class Waiting:
    """A call that waits, in a thread of its own."""

    def __init__(self, client, versions, seconds=LONG):
        resources = [{"Arn": arn, "Version": change["Version"]} for arn, change in versions.items()]
        self.pool = concurrent.futures.ThreadPoolExecutor(1)
        self.began = time.monotonic()
        self.answer = self.pool.submit(client.await_changes, Resources=resources, WaitSeconds=seconds)

    def changes(self):
        changes = self.answer.result(60)["Changes"]
        self.took = time.monotonic() - self.began
        self.pool.shutdown()
        return changes


def waiting_calls(server):
    page = urllib.request.urlopen(server.endpoint + "/metrics", timeout=10).read().decode()
    values = [line.split()[1] for line in page.splitlines() if line.startswith("keystead_waiting_calls ")]
    return int(float(values[0])) if values else 0


def test_a_renewal_is_told_at_once(server, acm, agent, certificate, issuer):
    client = agent.client("keystead")
    before = now(client, certificate, issuer)
    assert {change["State"] for change in before.values()} == {"CURRENT"}
    client.report_placements(Placements=[proven("web", certificate)])
    waiting = Waiting(client, before)
    acm.renew_certificate(CertificateArn=certificate)
    (change,) = waiting.changes()
    assert waiting.took < LONG / 2
    assert change["Arn"] == certificate and change["Version"] != before[certificate]["Version"]
    assert now(client, certificate) == {certificate: change}


def test_a_new_value_of_a_secret_is_told(agent, sm, name):
    client = agent.client("keystead")
    arn = sm.create_secret(Name=name, SecretString="one")["ARN"]
    before = now(client, arn)
    waiting = Waiting(client, before)
    sm.tag_resource(SecretId=arn, Tags=[{"Key": "a", "Value": "b"}])
    new = sm.put_secret_value(SecretId=arn, SecretString="two")["VersionId"]
    (change,) = waiting.changes()
    assert change["Version"] == new and change["State"] == "CURRENT"


def test_new_trust_is_told(server, agent, pca, keystead_client, name):
    client = agent.client("keystead")
    old, new = (authorities.grant(pca, authorities.root(pca, f"{name} {which}")) for which in ("old", "new"))
    waiting = Waiting(client, now(client, old))
    over = keystead_client.start_trust_roll_over(
        Replacements=[{"OldAuthorityArn": old, "NewAuthorityArn": new}], SettleSeconds=0
    )["TrustRollOver"]
    (change,) = waiting.changes()
    assert change["Arn"] == old and change["State"] == "CURRENT"
    keystead_client.abort_trust_roll_over(TrustRollOverArn=over["TrustRollOverArn"])


@pytest.fixture
def keystead_client(server):
    return server.client("keystead")


def test_what_may_not_be_seen_and_what_is_not_there(server, acm, home, name, issuer, sm):
    own = Home(server, server.client("acm-pca"), name)
    certificate, other = (issued(acm, issuer, KeyAlgorithm="EC_prime256v1") for _ in range(2))
    own.may("acm:DescribeCertificate", resource=certificate)
    client = own.join(Name=name).client("keystead")
    never = f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/00000000-0000-4000-8000-000000000000"
    secret = sm.create_secret(Name=name)["ARN"]
    found = now(client, certificate, other, secret)
    assert found[certificate]["State"] == "CURRENT"
    assert found[other]["State"] == found[secret]["State"] == "REFUSED"
    assert "is not authorized to perform: acm:DescribeCertificate" in found[other]["Reason"]
    own.may(*DESCRIBE)
    found = now(client, never, secret)
    assert found[never]["State"] == found[secret]["State"] == "ABSENT"
    waiting = Waiting(client, found)
    sm.put_secret_value(SecretId=secret, SecretString="now")
    (change,) = waiting.changes()
    assert change["Arn"] == secret and change["State"] == "CURRENT"
    # A state is a version: what is refused is told once.
    own.may("acm:DescribeCertificate", resource=certificate)
    refused_now = now(client, other)
    resources = [{"Arn": other, "Version": refused_now[other]["Version"]}]
    assert client.await_changes(Resources=resources, WaitSeconds=0)["Changes"] == []


def test_new_permissions_are_asked_for_at_once(server, acm, name, issuer):
    own = Home(server, server.client("acm-pca"), name)
    certificate = issued(acm, issuer, KeyAlgorithm="EC_prime256v1")
    client = own.join(Name=name).client("keystead")
    found = now(client, certificate)
    assert found[certificate]["State"] == "REFUSED"
    before = waiting_calls(server)
    waiting = Waiting(client, found)
    until("the call waits", lambda: waiting_calls(server) > before)
    own.may(*DESCRIBE)
    assert waiting.changes() == [], "it is to ask anew"
    assert waiting.took < LONG / 2
    assert now(client, certificate)[certificate]["State"] == "CURRENT"


def test_a_call_that_waits_in_vain_leaves_no_event_and_ends(server, agent, certificate):
    client = agent.client("keystead")
    waiting = Waiting(client, now(client, certificate), seconds=1)
    assert waiting.changes() == []
    assert 1 <= waiting.took < LONG / 2
    events = [event for event in named(server, "AwaitChanges") if certificate in str(event["requestParameters"])]
    assert len(events) == 1, "the one that was answered"


def test_what_cannot_be_waited_for(agent):
    client = agent.client("keystead")
    for arn in [f"arn:aws:kms:us-east-1:{ACCOUNT}:key/x", f"arn:aws:acm:us-east-1:{ACCOUNT}:account/x"]:
        with refused("InvalidArnException"):
            client.await_changes(Resources=[{"Arn": arn}], WaitSeconds=0)


def test_who_waits_is_answered_when_the_server_stops(own_server, name):
    own_server.start()
    pca = own_server.client("acm-pca")
    home = Home(own_server, pca, name)
    home.may(*DESCRIBE)
    client = home.join(Name=name).client("keystead")
    waiting = Waiting(client, now(client, home.ca))
    until("the call waits", lambda: waiting_calls(own_server) == 1)
    assert own_server.stop() == 0
    assert waiting.changes() == []
    assert waiting.took < LONG / 2


def proven(name, *arns, version="01", **more):
    resources = [{"Arn": arn, "Wanted": version, "Placed": version, "Proven": version} for arn in arns]
    return {"Name": name, "State": "PROVEN", "Resources": resources} | more


def listed(keystead, agent):
    return {one["Name"]: one for one in keystead.list_placements(AgentArn=agent.arn)["Placements"]}


def test_a_placement_is_shown_and_keeps_its_certificate(acm, keystead_client, agent, certificate, sm, name):
    client = agent.client("keystead")
    secret = sm.create_secret(Name=name, SecretString="x")["ARN"]
    at = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    address = {"Address": "127.0.0.1:443", "Proven": True, "Served": "01"}
    web = proven("web", certificate, secret, Addresses=[address], Since=at, WantedAt=at, Reason="all is well")
    client.report_placements(Placements=[web, proven("mail", certificate)])
    found = listed(keystead_client, agent)
    assert list(found) == ["mail", "web"]
    assert found["web"]["PlacementArn"] == f"arn:aws:keystead:us-east-1:{ACCOUNT}:placement/{name}/web"
    for key, value in web.items():
        assert found["web"][key] == value
    assert found["web"]["Status"] == "PROVEN" and found["web"]["AgentArn"] == agent.arn
    in_use = acm.describe_certificate(CertificateArn=certificate)["Certificate"]["InUseBy"]
    assert in_use == [found["mail"]["PlacementArn"], found["web"]["PlacementArn"]]
    with refused("ResourceInUseException"):
        acm.delete_certificate(CertificateArn=certificate)
    client.report_placements(Placements=[proven("web", secret)])
    client.report_placements(Placements=[], AllNames=["web"])
    assert list(listed(keystead_client, agent)) == ["web"]
    assert acm.describe_certificate(CertificateArn=certificate)["Certificate"]["InUseBy"] == []
    acm.delete_certificate(CertificateArn=certificate)


def test_what_a_removed_agent_used_is_free(acm, keystead_client, agent, certificate):
    agent.client("keystead").report_placements(Placements=[proven(f"p{n}", certificate) for n in range(3)])
    with refused("ResourceInUseException"):
        acm.delete_certificate(CertificateArn=certificate)
    keystead_client.delete_agent(AgentArn=agent.arn)
    assert listed(keystead_client, agent) == {}
    acm.delete_certificate(CertificateArn=certificate)


def test_a_certificate_that_the_role_may_not_see_is_not_kept_for_it(server, acm, issuer, name, keystead_client):
    own = Home(server, server.client("acm-pca"), name)
    agent = own.join(Name=name)
    certificate = issued(acm, issuer, KeyAlgorithm="EC_prime256v1")
    failed = proven("web", certificate) | {"State": "FAILED", "Reason": "AccessDeniedException: no"}
    agent.client("keystead").report_placements(Placements=[failed])
    found = listed(keystead_client, agent)["web"]
    assert found["Status"] == "FAILED" and found["Reason"] == failed["Reason"]
    assert acm.describe_certificate(CertificateArn=certificate)["Certificate"]["InUseBy"] == []


def test_who_is_no_agent_reports_nothing(server, agent, home, keystead_client):
    with refused("AccessDeniedException", "The caller is no agent"):
        keystead_client.report_placements(Placements=[])
    with refused("AccessDeniedException", "The caller is no agent"):
        agent.client("keystead", "eu-west-1").report_placements(Placements=[])
    client = agent.client("keystead")
    keystead_client.delete_agent(AgentArn=agent.arn)
    with refused("AccessDeniedException", "join again"):
        client.report_placements(Placements=[])


def test_alarms_come_by_the_clock(own_server, name):
    """Failed at once, late after ten minutes, expiring a sixth of the lifetime before the end; and back again."""
    own_server.start()
    pca = own_server.client("acm-pca")
    home = Home(own_server, pca, name)
    home.may(*DESCRIBE)
    agent = home.join(Name=name)
    begin = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    day = datetime.timedelta(days=1)
    ends = {"NotBefore": begin, "NotAfter": begin + 6 * day}
    agent.client("keystead").report_placements(
        Placements=[
            proven("good", home.ca),
            proven("ends", home.ca, **ends),
            proven("slow", home.ca) | {"State": "PENDING", "WantedAt": begin},
            proven("bad", home.ca) | {"State": "FAILED", "Reason": "the port keeps the old one"},
        ]
    )

    def seen():
        return {one["Name"]: one["Status"] for one in own_server.client("keystead").list_placements()["Placements"]}

    def told():
        events = [event for kind in ("Late", "Failed", "Expiring", "Recovered") for event in named(own_server, "Placement" + kind)]
        return sorted((event["eventName"], event["resources"][0]["ARN"].rsplit("/")[-1]) for event in events)

    assert seen() == {"good": "PROVEN", "ends": "PROVEN", "slow": "PENDING", "bad": "FAILED"}
    assert told() == [("PlacementFailed", "bad")]
    (event,) = named(own_server, "PlacementFailed")
    assert event["serviceEventDetails"]["reason"] == "the port keeps the old one"
    own_server.stop()
    own_server.start(ahead=datetime.timedelta(minutes=11))
    until("it is late", lambda: len(told()) == 2)
    assert told() == [("PlacementFailed", "bad"), ("PlacementLate", "slow")]
    assert seen() == {"good": "PROVEN", "ends": "PROVEN", "slow": "LATE", "bad": "FAILED"}
    own_server.stop()
    own_server.start(ahead=5 * day + datetime.timedelta(minutes=1))
    until("it nears its end", lambda: len(told()) == 3)
    assert seen()["ends"] == "EXPIRING"
    late = agent.client("keystead")
    late.report_placements(Placements=[proven("ends", home.ca), proven("slow", home.ca), proven("bad", home.ca)])
    assert set(seen().values()) == {"PROVEN"}
    assert [kind for kind, _ in told()].count("PlacementRecovered") == 3


def test_an_agent_that_nobody_could_hear_is_not_lost(own_server, name):
    own_server.start()
    home = Home(own_server, own_server.client("acm-pca"), name)
    home.may(*DESCRIBE)
    agent = home.join(Name=name)
    agent.client("keystead").report_placements(Placements=[proven("web", home.ca)])
    own_server.stop()
    # What nobody could hear does not count: the server was not there.
    own_server.start(ahead=datetime.timedelta(hours=1))
    keystead = own_server.client("keystead")
    assert keystead.list_agents()["Agents"][0]["InContact"] is True
    assert keystead.list_placements()["Placements"][0]["Status"] == "PROVEN"
    assert named(own_server, "AgentLost") == []
    agent.client("keystead").await_changes(Resources=[{"Arn": home.ca}], WaitSeconds=0)
    assert named(own_server, "AgentBack") == []


def test_lists_are_paged(server, home, name):
    agent = home.join(Name=name)
    keystead = server.client("keystead")
    agent.client("keystead").report_placements(Placements=[proven(f"p{n}", home.ca) for n in range(5)])
    seen, more = [], {}
    while True:
        page = keystead.list_placements(AgentArn=agent.arn, MaxResults=2, **more)
        assert len(page["Placements"]) <= 2
        seen += [one["Name"] for one in page["Placements"]]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert seen == [f"p{n}" for n in range(5)]
    if more:
        with refused("ValidationException"):
            keystead.list_placements(**more)


class Crowd:
    """Many calls that wait, each on a connection of its own, with as little around them as can be."""

    def __init__(self, server, client, resources):
        self.server, self.client, self.resources = server, client, resources
        self.sockets = []

    def come(self, count):
        credentials = self.client._request_signer._credentials
        body = json.dumps({"Resources": self.resources, "WaitSeconds": 50}).encode()
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "Keystead_20261101.AwaitChanges",
        }
        request = sign(
            Request("POST", "/", headers, body),
            "keystead",
            self.server.host,
            credentials.access_key,
            credentials.secret_key,
            token=credentials.token,
        )
        lines = [f"{name}: {value}" for name, value in request.headers.items()]
        head = "\r\n".join(["POST / HTTP/1.1", f"Host: {self.server.host}", f"Content-Length: {len(body)}", *lines])
        text = (head + "\r\n\r\n").encode() + body
        address = self.server.host.split(":")
        for _ in range(count):
            connection = socket.create_connection((address[0], int(address[1])), timeout=60)
            connection.sendall(text)
            self.sockets.append(connection)

    def answers(self):
        """The answers, and how long the last took to come."""
        began = time.monotonic()
        answers = []
        for connection in self.sockets:
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            answers.append((answer.status, json.loads(answer.read())))
            connection.close()
        return answers, time.monotonic() - began


def resident(server):
    """Bytes of memory that the server has."""
    text = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


# KEYSTEAD_TEST_WAITING_CALLS=10000 is the size of one server that is spoken of; fewer show the same for each.
CROWD = int(os.environ.get("KEYSTEAD_TEST_WAITING_CALLS", "400"))


def test_many_wait_for_little_memory_and_are_told_at_once(own_server, name):
    own_server.start()
    home = Home(own_server, own_server.client("acm-pca"), name)
    home.may(*DESCRIBE)
    client = home.join(Name=name).client("keystead")
    sm = own_server.client("secretsmanager")
    arn = sm.create_secret(Name=name, SecretString="one")["ARN"]
    resources = [{"Arn": arn, "Version": change["Version"]} for arn, change in now(client, arn).items()]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, CROWD + 1000)), hard))
    crowd = Crowd(own_server, client, resources)
    crowd.come(50)
    until("the first wait", lambda: waiting_calls(own_server) == 50, 60)
    before = resident(own_server)
    crowd.come(CROWD)
    until("all wait", lambda: waiting_calls(own_server) == CROWD + 50, 120)
    each = (resident(own_server) - before) / CROWD
    new = sm.put_secret_value(SecretId=arn, SecretString="two")["VersionId"]
    answers, took = crowd.answers()
    print(f"{CROWD} waiting calls: {each / 1024:.1f} KiB each, all told within {took:.2f} s")
    assert len(answers) == CROWD + 50
    assert all((status, answer["Changes"][0]["Version"]) == (200, new) for status, answer in answers)
    assert each < 64 * 1024
    until("nobody waits", lambda: waiting_calls(own_server) == 0)


def test_metrics_tell_how_long_placements_take(own_server, name):
    own_server.start()
    home = Home(own_server, own_server.client("acm-pca"), name)
    client = home.join(Name=name).client("keystead")
    at = datetime.datetime.now(datetime.timezone.utc)
    took = {"WantedAt": at - datetime.timedelta(seconds=5), "Since": at}
    failed = proven("web", home.ca) | {"State": "FAILED"}
    client.report_placements(Placements=[failed])
    client.report_placements(Placements=[proven("web", home.ca, **took)])
    page = urllib.request.urlopen(own_server.endpoint + "/metrics", timeout=10).read().decode()
    assert 'keystead_placement_alarms_total{event="PlacementFailed"} 1' in page
    assert 'keystead_placement_alarms_total{event="PlacementRecovered"} 1' in page
    assert "keystead_placement_seconds_count 1" in page
    (total,) = [line.split()[1] for line in page.splitlines() if line.startswith("keystead_placement_seconds_sum ")]
    assert 4.9 < float(total) < 5.1
