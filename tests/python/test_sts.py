"""STS: who am I, by header and by presigned URL."""

import datetime
import re
import urllib.error
import urllib.request

import pytest

from refusals import refused
from server import ACCOUNT


def test_the_root_key_is_the_account(sts):
    answer = sts.get_caller_identity()
    assert answer["Account"] == ACCOUNT
    assert answer["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert answer["UserId"] == ACCOUNT
    assert re.fullmatch("[0-9a-f-]{36}", answer["ResponseMetadata"]["RequestId"])


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "mars-north-7"])
def test_any_region_answers(server, region):
    assert server.client("sts", region).get_caller_identity()["Account"] == ACCOUNT


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_presigned_call_needs_no_header(sts):
    status, body = fetch(sts.generate_presigned_url("get_caller_identity", HttpMethod="GET"))
    assert status == 200, body
    assert f"<Account>{ACCOUNT}</Account>" in body


def test_a_presigned_call_that_was_changed_is_refused(sts):
    url = sts.generate_presigned_url("get_caller_identity", HttpMethod="GET")
    status, body = fetch(url.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200"))
    assert status == 403 and "<Code>SignatureDoesNotMatch</Code>" in body, body


def test_a_presigned_call_past_its_time_is_refused(own_server):
    own_server.start()
    url = own_server.client("sts").generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    assert fetch(url)[0] == 200
    own_server.kill()
    port = own_server.host.split(":")[1]
    own_server.start(ahead=datetime.timedelta(minutes=2), listen=f"127.0.0.1:{port}")
    status, body = fetch(url)
    assert status == 403, body
    assert "<Code>SignatureDoesNotMatch</Code>" in body or "<Code>ExpiredToken</Code>" in body, body


def test_an_operation_that_is_not_served_says_so(sts):
    with refused("InvalidAction", status=400):
        sts.assume_root(TargetPrincipal=ACCOUNT, TaskPolicyArn={"arn": "arn:aws:iam::aws:policy/root-task/X"})


def test_a_key_tells_whose_it_is(server, sts, iam, name):
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
    assert sts.get_access_key_info(AccessKeyId=key)["Account"] == ACCOUNT
    session = sts.get_session_token()["Credentials"]["AccessKeyId"]
    assert sts.get_access_key_info(AccessKeyId=session)["Account"] == ACCOUNT
    with refused("ValidationError", "does not exist"):
        sts.get_access_key_info(AccessKeyId="AKIAIOSFODNN7EXAMPLE")


def test_a_message_that_nobody_encoded(sts):
    with refused("InvalidAuthorizationMessageException"):
        sts.decode_authorization_message(EncodedMessage="bm90IG9uZQ")
