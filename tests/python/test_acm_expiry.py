"""Notices of certificates that near their end, seen by moving the server's clock."""

import datetime
import json

import authorities
from refusals import refused
from waiting import until

DAY = datetime.timedelta(days=1)


def notices(server):
    """The service events in the audit journal."""
    lines = [line for file in sorted((server.data / "audit").glob("*.jsonl")) for line in file.read_text().splitlines()]
    events = [json.loads(line)["event"] for line in lines]
    return [event for event in events if event["eventType"] == "AwsServiceEvent"]


def test_a_notice_comes_as_many_days_ahead_as_the_account_wants(own_server):
    own_server.start()
    acm = own_server.client("acm")
    acm.put_account_configuration(ExpiryEvents={"DaysBeforeExpiry": 10}, IdempotencyToken="t1")
    key = authorities.new_key()
    pem = authorities.self_signed(key, "soon.example.internal", days=30)
    arn = acm.import_certificate(Certificate=pem, PrivateKey=authorities.key_pem(key))["CertificateArn"]
    own_server.kill()
    own_server.start(ahead=18 * DAY)
    assert own_server.client("acm").describe_certificate(CertificateArn=arn)
    assert notices(own_server) == [], "12 days are too many"
    own_server.kill()
    own_server.start(ahead=21 * DAY)
    (event,) = until("the notice", lambda: notices(own_server))
    assert event["eventName"] == "ACM Certificate Approaching Expiration"
    assert event["eventSource"] == "acm.amazonaws.com"
    told = event["serviceEventDetails"]
    assert told["detail-type"] == event["eventName"] and told["source"] == "aws.acm"
    assert told["resources"] == [arn]
    assert told["detail"] == {"DaysToExpiry": 8, "CommonName": "soon.example.internal"}
    account = arn.split(":")[4]
    assert (told["account"], told["region"], event["recipientAccountId"]) == (account, "us-east-1", account)
    own_server.kill()
    own_server.start(ahead=22 * DAY)
    days = until("the next day's", lambda: (lambda found: found if len(found) > 1 else None)(notices(own_server)))
    assert [event["serviceEventDetails"]["detail"]["DaysToExpiry"] for event in days] == [8, 7]


def test_the_days_have_bounds(server):
    acm = server.client("acm", "eu-expiry-1", parameter_validation=False)
    for days in (0, -1, 91):
        with refused("ValidationException"):
            acm.put_account_configuration(ExpiryEvents={"DaysBeforeExpiry": days}, IdempotencyToken=f"t{abs(days)}")
    for configuration in ({"ExpiryEvents": {}}, {}):
        with refused("ValidationException"):
            acm.put_account_configuration(IdempotencyToken="t2", **configuration)
    assert acm.get_account_configuration()["ExpiryEvents"]["DaysBeforeExpiry"] == 45
