"""Key policies: what they may be, and whom they let in."""

import json

import pytest

import sessions
from kms_callers import EVERYTHING, ROOT, account, closed, fresh, key, policy, role, statement, user
from refusals import code_of, refused, words_of
from server import ACCOUNT, REGION

NO_POLICY = "because no resource-based policy allows the {} action"
LOCKED_OUT = "The new key policy will not allow you to update the key policy in the future."
NOBODY = "Policy contains a statement with one or more invalid principals."


@pytest.fixture(scope="module")
def bob(server):
    """A user whom no IAM policy lets do anything."""
    return user(server)


@pytest.fixture(scope="module")
def admin(server):
    """A user whom IAM lets do everything."""
    return user(server, EVERYTHING)


def put(kms, key, *statements, **more):
    return kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy(*statements), **more)


def test_a_key_made_without_a_policy_has_the_default_one(server, kms):
    made = key(server)
    answer = kms.get_key_policy(KeyId=made)
    assert answer["PolicyName"] == "default"
    assert json.loads(answer["Policy"]) == {
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [
            {
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": {"AWS": ROOT},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
    listed = kms.list_key_policies(KeyId=made)
    assert (listed["PolicyNames"], listed["Truncated"]) == (["default"], False)
    assert "NextMarker" not in listed
    with refused("InvalidMarkerException"):
        kms.list_key_policies(KeyId=made, Marker="next")


@pytest.mark.parametrize("named", ["arn", "id"])
def test_a_policy_comes_back_as_it_was_put(server, kms, named):
    made = key(server)
    name = made if named == "arn" else made.split("/")[1]
    text = '{ "Version":"2012-10-17",\n\t"Statement":[' + json.dumps(statement(Sid="ü, mine")) + "]}"
    kms.put_key_policy(KeyId=name, PolicyName="default", Policy=text)
    assert kms.get_key_policy(KeyId=name, PolicyName="default")["Policy"] == text
    put(kms, name, statement(), statement("kms:Encrypt", principal="*"))
    assert "kms:Encrypt" in kms.get_key_policy(KeyId=name)["Policy"]


def test_there_is_no_policy_of_another_name(server, kms):
    made = key(server)
    with refused("NotFoundException", "No such policy exists"):
        kms.get_key_policy(KeyId=made, PolicyName="other")
    with refused("UnsupportedOperationException"):
        kms.put_key_policy(KeyId=made, PolicyName="other", Policy=policy())


def test_keys_are_named_by_id_or_arn_alone(server, kms):
    made, name = key(server), f"alias/{fresh()}"
    kms.create_alias(AliasName=name, TargetKeyId=made)
    arn = made.replace(made.split(":")[5], name)
    calls = {
        "get": lambda named: kms.get_key_policy(KeyId=named),
        "put": lambda named: kms.put_key_policy(KeyId=named, Policy=policy()),
        "list": lambda named: kms.list_key_policies(KeyId=named),
    }
    for call in calls.values():
        assert words_of(lambda: call(name)) == ("NotFoundException", f"Invalid keyId {name}")
        assert words_of(lambda: call("nonsense")) == ("NotFoundException", "Invalid keyId 'nonsense'")
        assert code_of(lambda: call(arn)) == "InvalidArnException"
        assert code_of(lambda: call("arn:aws:s3:::bucket")) == "InvalidArnException"
        gone = made[:-12] + "0" * 12
        assert words_of(lambda: call(gone)) == ("NotFoundException", f"Key '{gone}' does not exist")
        assert words_of(lambda: call(made.replace(REGION, "eu-west-1"))) == ("NotFoundException", "Invalid arn eu-west-1")


MALFORMED = [
    ("not json", None),
    ("[]", None),
    ("{}", None),
    ('{"Version":"2012-10-17"}', None),
    (policy({**statement(), "Effect": "allow"}), None),
    (policy({k: v for k, v in statement().items() if k != "Principal"}), "Policy contains a statement with no principal."),
    (policy({**statement(), "Principal": {}}), "Policy contains a statement with no principal."),
    (policy({**statement(), "Action": "Encrypt"}), None),
    (policy({**statement(), "Condition": {"Strange": {"a": "b"}}}), None),
    (policy(statement(principal="bob")), NOBODY),
    (policy(statement(principal=f"arn:aws:iam::{ACCOUNT}:user/*")), NOBODY),
    (policy(statement(principal=f"arn:aws:iam::{ACCOUNT}:group/admins")), NOBODY),
    (policy(statement(), statement(principal=f"arn:aws:iam::{ACCOUNT}:user/nobody-here")), NOBODY),
    (policy(statement(), statement(principal=f"arn:aws:iam::{ACCOUNT}:role/nobody-here")), NOBODY),
    (policy(statement(), statement(principal=f"arn:aws:sts::{ACCOUNT}:assumed-role/nobody-here/s")), NOBODY),
    (policy(statement(), statement(principal="000000000001")), NOBODY),
    (policy(statement(), statement(principal="arn:aws:iam::000000000001:root")), NOBODY),
    (policy(statement(), statement(principal=[ROOT, "arn:aws:iam::000000000001:user/bob"], effect="Deny")), NOBODY),
]


@pytest.mark.parametrize(("text", "message"), MALFORMED)
def test_what_is_no_key_policy_is_refused(server, kms, text, message):
    made = key(server)
    for bypass in (False, True):
        with refused("MalformedPolicyDocumentException", message):
            kms.put_key_policy(KeyId=made, Policy=text, BypassPolicyLockoutSafetyCheck=bypass)
    with refused("MalformedPolicyDocumentException", message):
        kms.create_key(Policy=text)
    assert "key-default-1" in kms.get_key_policy(KeyId=made)["Policy"]


def test_everybody_who_is_there_can_be_named(server, kms, bob):
    made, session, other = key(server), role(server), account(server)
    principals = [
        ROOT,
        ACCOUNT,
        bob.arn,
        session.role,
        session.arn,
        f"arn:aws:sts::{ACCOUNT}:federated-user/anybody",
        other.arn,
        other.number,
        "*",
    ]
    put(kms, made, statement(principal=principals))
    service = {**statement(), "Principal": {"Service": "logs.us-east-1.amazonaws.com"}}
    put(kms, made, statement(), service)


def test_a_policy_has_thirty_two_kilobytes_at_most(server, kms):
    made = key(server)
    text = policy()
    longest = text + " " * (32_768 - len(text))
    kms.put_key_policy(KeyId=made, Policy=longest)
    with refused("LimitExceededException", "32768"):
        kms.put_key_policy(KeyId=made, Policy=longest + " ")
    with refused("LimitExceededException"):
        kms.create_key(Policy=longest + " ")
    with refused("ValidationException"):
        kms.put_key_policy(KeyId=made, Policy=text + " " * 131_072)


def test_nobody_locks_himself_out_unless_he_says_so(server, kms, bob):
    made = key(server)
    for text in (policy(statement(principal=bob.arn)), policy(statement("kms:Describe*", "kms:Get*")), policy(statement(effect="Deny"))):
        with refused("MalformedPolicyDocumentException", LOCKED_OUT):
            kms.put_key_policy(KeyId=made, Policy=text)
        with refused("MalformedPolicyDocumentException", LOCKED_OUT):
            kms.create_key(Policy=text)
    put(kms, made, statement(principal=bob.arn), BypassPolicyLockoutSafetyCheck=True)
    with refused("AccessDeniedException", NO_POLICY.format("kms:PutKeyPolicy")):
        put(kms, made)
    # Whom the policy names can hand the key back, and is locked out himself only if he says so.
    with refused("MalformedPolicyDocumentException", LOCKED_OUT):
        put(bob.kms, made)
    put(bob.kms, made, BypassPolicyLockoutSafetyCheck=True)
    assert kms.get_key_policy(KeyId=made)["Policy"] == policy()


def test_the_policies_of_the_caller_count_for_the_lockout_too(server):
    maker = user(server, sessions.allow("kms:CreateKey", "kms:PutKeyPolicy"))
    made = key(server, kms=maker.kms)
    put(maker.kms, made)
    lesser = user(server, sessions.allow("kms:CreateKey"))
    key(server, kms=lesser.kms)
    with refused("MalformedPolicyDocumentException", LOCKED_OUT):
        lesser.kms.create_key(Policy=policy())
    lesser.kms.create_key(Policy=policy(), BypassPolicyLockoutSafetyCheck=True)
    lesser.kms.create_key(Policy=policy(statement(principal=lesser.arn)))


def test_no_iam_policy_reaches_a_key_whose_policy_leaves_the_account_out(server, kms, bob, admin):
    made = closed(server, statement("kms:DescribeKey", principal=bob.arn))
    bob.kms.describe_key(KeyId=made)
    for caller in (admin.kms, kms):
        with refused("AccessDeniedException", NO_POLICY.format("kms:DescribeKey")) as refusal:
            caller.describe_key(KeyId=made)
    assert refusal.message.startswith(f"User: {ROOT} is not authorized to perform: kms:DescribeKey on resource: {made} ")
    with refused("AccessDeniedException", NO_POLICY.format("kms:Encrypt")):
        bob.kms.encrypt(KeyId=made, Plaintext=b"x")


def test_a_user_whom_the_key_names_needs_no_iam_policy_and_others_do(server, bob, admin):
    made = key(server, statement("kms:Encrypt", principal=bob.arn))
    bob.kms.encrypt(KeyId=made, Plaintext=b"x")
    with refused("AccessDeniedException", "because no identity-based policy allows the kms:Decrypt action"):
        bob.kms.decrypt(KeyId=made, CiphertextBlob=b"x")
    admin.kms.encrypt(KeyId=made, Plaintext=b"x")


def test_a_role_that_the_key_names_lets_its_sessions_in_within_their_policies(server):
    plain = role(server)
    made = key(server, statement("kms:*", principal=plain.role))
    plain.kms.describe_key(KeyId=made)
    narrowed = role(server, Policy=sessions.allow("kms:Encrypt"))
    made = key(server, statement("kms:*", principal=narrowed.role))
    narrowed.kms.encrypt(KeyId=made, Plaintext=b"x")
    with refused("AccessDeniedException", "because no session policy allows the kms:DescribeKey action"):
        narrowed.kms.describe_key(KeyId=made)


def test_a_deny_has_the_last_word_wherever_it_stands(server, kms, admin):
    made = key(server, statement("kms:Encrypt", principal=admin.arn, effect="Deny"))
    admin.kms.describe_key(KeyId=made)
    with refused("AccessDeniedException", "with an explicit deny in a resource-based policy"):
        admin.kms.encrypt(KeyId=made, Plaintext=b"x")
    denied = user(server, sessions.policy({"Effect": "Deny", "Action": "kms:Encrypt", "Resource": "*"}))
    made = key(server, statement(principal=denied.arn))
    denied.kms.describe_key(KeyId=made)
    with refused("AccessDeniedException", "with an explicit deny in an identity-based policy"):
        denied.kms.encrypt(KeyId=made, Plaintext=b"x")


@pytest.mark.parametrize("lacking", ["Resource", "Action"])
def test_a_statement_that_lacks_an_element_is_taken_and_says_nothing(server, bob, lacking):
    whole = statement("kms:DescribeKey", principal=bob.arn)
    made = key(server, {name: value for name, value in whole.items() if name != lacking})
    with refused("AccessDeniedException", "because no identity-based policy allows"):
        bob.kms.describe_key(KeyId=made)


def test_an_account_that_the_key_names_leaves_it_to_its_own_policies(server, kms):
    other = account(server)
    friend = user(server, sessions.allow("kms:Encrypt", "kms:DisableKey"), iam=other.iam)
    made = key(server, statement("kms:Encrypt", "kms:DescribeKey", "kms:DisableKey", principal=other.arn))
    friend.kms.encrypt(KeyId=made, Plaintext=b"x")
    with refused("AccessDeniedException", "because no identity-based policy allows the kms:DescribeKey action"):
        friend.kms.describe_key(KeyId=made)
    other.kms.describe_key(KeyId=made)
    with refused("AccessDeniedException", NO_POLICY.format("kms:Decrypt")):
        other.kms.decrypt(KeyId=made, CiphertextBlob=b"x")
    # By its id alone the key would be the other account's.
    with refused("NotFoundException", f":{other.number}:key/"):
        other.kms.describe_key(KeyId=made.split("/")[1])


def test_what_is_for_the_owner_alone_no_policy_gives_to_another_account(server, kms):
    other = account(server)
    made = key(server, statement(principal=other.arn))
    calls = {
        "kms:GetKeyPolicy": lambda: other.kms.get_key_policy(KeyId=made),
        "kms:PutKeyPolicy": lambda: other.kms.put_key_policy(KeyId=made, Policy=policy()),
        "kms:ListKeyPolicies": lambda: other.kms.list_key_policies(KeyId=made),
        "kms:DisableKey": lambda: other.kms.disable_key(KeyId=made),
        "kms:ScheduleKeyDeletion": lambda: other.kms.schedule_key_deletion(KeyId=made),
        "kms:TagResource": lambda: other.kms.tag_resource(KeyId=made, Tags=[{"TagKey": "a", "TagValue": "b"}]),
        "kms:CreateAlias": lambda: other.kms.create_alias(AliasName=f"alias/{fresh()}", TargetKeyId=made),
    }
    for action, call in calls.items():
        code, text = words_of(call)
        assert code == "AccessDeniedException" and NO_POLICY.format(action) in text, text
    other.kms.describe_key(KeyId=made)
    other.kms.list_grants(KeyId=made)


def test_a_user_of_another_account_needs_both_sides(server):
    other = account(server)
    named = user(server, iam=other.iam)
    made = key(server, statement("kms:DescribeKey", principal=named.arn))
    with refused("AccessDeniedException", "because no identity-based policy allows"):
        named.kms.describe_key(KeyId=made)
    willing = user(server, sessions.allow("kms:DescribeKey"), iam=other.iam)
    with refused("AccessDeniedException", "because no resource-based policy allows"):
        willing.kms.describe_key(KeyId=made)


def test_a_policy_can_be_read_and_put_in_every_state(server, kms):
    made = key(server)
    kms.disable_key(KeyId=made)
    put(kms, made)
    kms.get_key_policy(KeyId=made)
    kms.enable_key(KeyId=made)
    kms.schedule_key_deletion(KeyId=made)
    put(kms, made)
    kms.get_key_policy(KeyId=made)
