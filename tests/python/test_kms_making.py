"""KMS: who may make keys and replicas and how they may be named; services' own keys; when a key was last used."""

import datetime
import json


import sessions
from kms_callers import account, fresh, key, policy, role, statement, user
from kms_helpers import make
from refusals import code_of, refused, words_of
from server import ACCOUNT, REGION
from waiting import until

OTHER = "eu-central-1"
TAGS = [{"TagKey": "team", "TagValue": "red"}]


def rights(*actions, resource="*", **condition):
    made = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return made | ({"Condition": condition} if condition else {})


def in_region(server, somebody, region=OTHER):
    return server.client("kms", region=region, **somebody.keys)


def test_a_key_is_described_by_every_name_that_it_has(kms):
    arn, alias = make(kms), f"alias/{fresh()}"
    kms.create_alias(AliasName=alias, TargetKeyId=arn)
    names = [arn, arn.split("/")[1], alias, f"arn:aws:kms:{REGION}:{ACCOUNT}:{alias}"]
    assert [kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] for name in names] == [arn] * 4
    elsewhere = arn.replace(REGION, OTHER)
    assert words_of(lambda: kms.describe_key(KeyId=elsewhere)) == ("NotFoundException", f"Invalid arn {OTHER}")
    for nonsense, code in {
        "nonsense": "NotFoundException",
        "alias/no-such-alias": "NotFoundException",
        arn.replace(":kms:", ":s3:"): "InvalidArnException",
        arn.replace(":key/", ":"): "InvalidArnException",
        f"arn:aws:kms:{REGION}": "InvalidArnException",
    }.items():
        assert code_of(lambda name=nonsense: kms.describe_key(KeyId=name)) == code, nonsense


def test_a_key_of_another_account_is_described_by_who_was_let_in_on_both_sides(server, kms):
    other = account(server)
    closed, opened = make(kms), key(server, statement("kms:DescribeKey", principal=other.arn))
    alias = f"alias/{fresh()}"
    kms.create_alias(AliasName=alias, TargetKeyId=opened)
    assert code_of(lambda: other.kms.describe_key(KeyId=closed)) == "AccessDeniedException"
    for name in (opened, f"arn:aws:kms:{REGION}:{ACCOUNT}:{alias}"):
        described = other.kms.describe_key(KeyId=name)["KeyMetadata"]
        assert (described["Arn"], described["AWSAccountId"]) == (opened, ACCOUNT)
    # An id is one of the caller's account.
    assert code_of(lambda: other.kms.describe_key(KeyId=opened.split("/")[1])) == "NotFoundException"


def test_who_makes_a_key_with_tags_may_tag_keys(server):
    maker = user(server, sessions.policy(rights("kms:CreateKey")))
    maker.kms.create_key()
    with refused("AccessDeniedException", "kms:TagResource"):
        maker.kms.create_key(Tags=TAGS)
    tagger = user(server, sessions.policy(rights("kms:CreateKey"), rights("kms:TagResource", resource=f"arn:aws:kms:*:{ACCOUNT}:key/*")))
    tagger.kms.create_key(Tags=TAGS)


def test_tags_of_a_new_key_are_tags(kms):
    twice = [{"TagKey": "a", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}]
    many = [{"TagKey": str(number), "TagValue": ""} for number in range(51)]
    for tags in (twice, many, [{"TagKey": "aws:a", "TagValue": ""}]):
        assert code_of(lambda tags=tags: kms.create_key(Tags=tags)) == "TagException"
        key = make(kms)
        assert code_of(lambda tags=tags, key=key: kms.tag_resource(KeyId=key, Tags=tags)) == "TagException"
        assert kms.list_resource_tags(KeyId=key)["Tags"] == []


def test_nobody_makes_a_key_that_he_could_not_change(server, kms):
    nobody = policy(statement("kms:Encrypt"))
    error = words_of(lambda: kms.create_key(Policy=nobody))
    words = "The new key policy will not allow you to update the key policy in the future."
    assert error == ("MalformedPolicyDocumentException", words)
    made = kms.create_key(Policy=nobody, BypassPolicyLockoutSafetyCheck=True)["KeyMetadata"]["Arn"]
    assert code_of(lambda: kms.describe_key(KeyId=made)) == "AccessDeniedException"
    assert code_of(lambda: kms.create_key(Policy="{}")) == "MalformedPolicyDocumentException"
    # A role that makes keys for itself.
    maker = role(server, sessions.policy(rights("kms:CreateKey")))
    own = policy(statement(principal=maker.role))
    made = maker.kms.create_key(Policy=own)["KeyMetadata"]["Arn"]
    assert json.loads(maker.kms.get_key_policy(KeyId=made)["Policy"]) == json.loads(own)


def test_a_listing_has_its_limits(kms):
    make(kms), make(kms)
    assert code_of(lambda: kms.list_keys(Limit=1001)) == "ValidationException"
    assert len(kms.list_keys(Limit=1)["Keys"]) == 1
    assert kms.list_keys(ResourceOwners=["SELF"], Limit=2)["Truncated"]
    shared = kms.list_keys(ResourceOwners=["OTHER_ACCOUNTS_VIA_RAM"])
    assert (shared["Keys"], shared["Truncated"]) == ([], False)
    marker = kms.list_keys(Limit=1)["NextMarker"]
    tagged = make(kms, Tags=TAGS)
    assert code_of(lambda: kms.list_resource_tags(KeyId=tagged, Marker=marker)) == "InvalidMarkerException"


def test_a_replica_is_made_by_who_may_make_keys_there(server, kms):
    made = key(server, MultiRegion=True)
    rights_here = rights("kms:ReplicateKey", "kms:DescribeKey")
    replicator = user(server, sessions.policy(rights_here))
    with refused("AccessDeniedException", "kms:CreateKey"):
        replicator.kms.replicate_key(KeyId=made, ReplicaRegion=OTHER)
    there = {"StringEquals": {"aws:RequestedRegion": OTHER}, "Bool": {"kms:MultiRegion": "true"}}
    replicator = user(server, sessions.policy(rights_here, rights("kms:CreateKey", **there)))
    with refused("AccessDeniedException", "kms:TagResource"):
        replicator.kms.replicate_key(KeyId=made, ReplicaRegion=OTHER, Tags=TAGS)
    assert code_of(lambda: replicator.kms.replicate_key(KeyId=made, ReplicaRegion="ap-south-1")) == "AccessDeniedException"
    answer = replicator.kms.replicate_key(KeyId=made, ReplicaRegion=OTHER)
    assert answer["ReplicaKeyMetadata"]["MultiRegionConfiguration"]["MultiRegionKeyType"] == "REPLICA"
    assert json.loads(answer["ReplicaPolicy"])["Statement"][0]["Sid"] == "Enable IAM User Permissions"
    only = {"StringEquals": {"kms:ReplicaRegion": "ap-south-1"}}
    limited = user(server, sessions.policy(rights("kms:ReplicateKey", **only), rights("kms:CreateKey")))
    assert code_of(lambda: limited.kms.replicate_key(KeyId=made, ReplicaRegion="eu-west-3")) == "AccessDeniedException"
    limited.kms.replicate_key(KeyId=made, ReplicaRegion="ap-south-1")


def test_a_replica_has_a_policy_of_its_own(server, kms):
    made = key(server, MultiRegion=True)
    nobody, own = policy(statement("kms:Encrypt")), policy(statement(), statement("kms:Decrypt"))
    replicate = lambda **more: kms.replicate_key(KeyId=made, ReplicaRegion=OTHER, **more)  # noqa: E731
    for broken in ("{}", nobody):
        assert code_of(lambda text=broken: replicate(Policy=text)) == "MalformedPolicyDocumentException"
    answer = replicate(Policy=own, Tags=TAGS, Description="there")
    assert json.loads(answer["ReplicaPolicy"]) == json.loads(own) and answer["ReplicaTags"] == TAGS
    away = server.client("kms", region=OTHER)
    assert json.loads(away.get_key_policy(KeyId=made.split("/")[1])["Policy"]) == json.loads(own)
    assert kms.list_resource_tags(KeyId=made)["Tags"] == []
    reserved = [{"TagKey": "aws:x", "TagValue": ""}]
    assert code_of(lambda: kms.replicate_key(KeyId=made, ReplicaRegion="eu-west-3", Tags=reserved)) == "TagException"
    china = "cn-north-1"
    assert code_of(lambda: kms.replicate_key(KeyId=made, ReplicaRegion=china)) == "UnsupportedOperationException"
    assert code_of(lambda: kms.replicate_key(KeyId=made, ReplicaRegion="nowhere")) == "ValidationException"
    locked = kms.replicate_key(
        KeyId=made, ReplicaRegion="eu-west-3", Policy=nobody, BypassPolicyLockoutSafetyCheck=True
    )["ReplicaKeyMetadata"]["KeyId"]
    there = server.client("kms", region="eu-west-3")
    assert code_of(lambda: there.describe_key(KeyId=locked)) == "AccessDeniedException"


def test_the_primary_moves_by_who_may_do_it_in_both_regions(server, kms):
    made = key(server, MultiRegion=True)
    kms.replicate_key(KeyId=made, ReplicaRegion=OTHER)
    here = rights("kms:UpdatePrimaryRegion", resource=made)
    mover = user(server, sessions.policy(here))
    with refused("AccessDeniedException", OTHER):
        mover.kms.update_primary_region(KeyId=made, PrimaryRegion=OTHER)
    there = rights("kms:UpdatePrimaryRegion", resource=made.replace(REGION, OTHER))
    mover = user(server, sessions.policy(here, there))
    mover.kms.update_primary_region(KeyId=made, PrimaryRegion=OTHER)
    assert code_of(lambda: mover.kms.update_primary_region(KeyId=made, PrimaryRegion=OTHER)) == "UnsupportedOperationException"
    back = in_region(server, mover)
    back.update_primary_region(KeyId=made.split("/")[1], PrimaryRegion=REGION)
    assert code_of(lambda: kms.update_primary_region(KeyId=made, PrimaryRegion=REGION)) == "ValidationException"
    alone = make(kms)
    assert code_of(lambda: kms.update_primary_region(KeyId=alone, PrimaryRegion=OTHER)) == "UnsupportedOperationException"
    away = server.client("kms", region=OTHER)
    away.disable_key(KeyId=made.split("/")[1])
    error = words_of(lambda: kms.update_primary_region(KeyId=made, PrimaryRegion=OTHER))
    assert error == ("DisabledException", f"{made.replace(REGION, OTHER)} is disabled.")


def test_a_service_has_a_key_of_its_own_from_its_first_use(server):
    kms = server.client("kms", region="eu-managed-1")
    alias = "alias/aws/secretsmanager"
    looker = user(server, sessions.policy(rights("kms:ListKeys")))
    assert code_of(lambda: in_region(server, looker, "eu-managed-1").describe_key(KeyId=alias)) == "NotFoundException"
    assert kms.list_keys()["Keys"] == [], "who may not use it has none made"
    made = kms.describe_key(KeyId=alias)["KeyMetadata"]
    assert (made["KeyManager"], made["KeyState"]) == ("AWS", "Enabled")
    assert made["Description"] == "Default key that protects my Secrets Manager data when no other key is defined"
    assert kms.describe_key(KeyId=alias)["KeyMetadata"] == made
    (told,) = kms.list_aliases()["Aliases"]
    assert (told["AliasName"], told["TargetKeyId"]) == (alias, made["KeyId"])
    assert kms.get_key_rotation_status(KeyId=made["KeyId"])["KeyRotationEnabled"]
    written = json.loads(kms.get_key_policy(KeyId=made["KeyId"])["Policy"])
    through = written["Statement"][0]["Condition"]["StringEquals"]
    assert through == {"kms:CallerAccount": ACCOUNT, "kms:ViaService": "secretsmanager.eu-managed-1.amazonaws.com"}
    for call in (
        lambda: kms.encrypt(KeyId=alias, Plaintext=b"x"),
        lambda: kms.disable_key(KeyId=made["KeyId"]),
        lambda: kms.schedule_key_deletion(KeyId=made["KeyId"]),
        lambda: kms.tag_resource(KeyId=made["KeyId"], Tags=TAGS),
        lambda: kms.put_key_policy(KeyId=made["KeyId"], Policy=policy()),
    ):
        assert code_of(call) == "AccessDeniedException"
    assert code_of(lambda: kms.describe_key(KeyId="alias/aws/unheard-of")) == "NotFoundException"


def events(server):
    shown = server.run("audit", "show", "--json", "--data-dir", str(server.data)).stdout
    return [json.loads(line) for line in shown.splitlines()]


def test_the_last_use_names_its_audit_event_and_outlives_a_restart(own_server):
    own_server.start()
    kms = own_server.client("kms")
    used = make(kms)
    answer = kms.encrypt(KeyId=used, Plaintext=b"x")
    before = kms.get_key_last_usage(KeyId=used)
    last = before["KeyLastUsage"]
    (event,) = [event for event in events(own_server) if event["eventName"] == "Encrypt"]
    assert last["CloudTrailEventId"] == event["eventID"]
    assert last["KmsRequestId"] == event["requestID"] == answer["ResponseMetadata"]["RequestId"]
    assert before["KeyCreationDate"] <= last["Timestamp"]
    kms.disable_key(KeyId=used)
    assert code_of(lambda: kms.encrypt(KeyId=used, Plaintext=b"x")) == "DisabledException"
    own_server.stop()
    own_server.start()
    assert own_server.client("kms").get_key_last_usage(KeyId=used)["KeyLastUsage"] == last


def test_a_deleted_keys_last_use_is_forgotten_with_it(own_server):
    own_server.start()
    kms = own_server.client("kms")
    used = make(kms)
    kms.encrypt(KeyId=used, Plaintext=b"x")
    kms.schedule_key_deletion(KeyId=used, PendingWindowInDays=7)
    own_server.stop()
    own_server.start(ahead=datetime.timedelta(days=8))
    kms = own_server.client("kms")
    until("the key to be deleted", lambda: kms.list_keys()["Keys"] == [])
    assert code_of(lambda: kms.get_key_last_usage(KeyId=used)) == "NotFoundException"
