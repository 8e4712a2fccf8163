"""The condition keys of KMS ("Condition keys for AWS KMS"), each where it holds and where it does not."""

import datetime

import pytest

import sessions
from kms_callers import fresh, key, policy, statement, user
from refusals import code_of, refused
from server import ACCOUNT, REGION


@pytest.fixture(scope="module")
def bob(server):
    """A user whom no IAM policy lets do anything."""
    return user(server)


def holds(test, caller, call, *, context, other=None):
    """Whether a condition on a key policy holds for a call: once where it should, once where another value is asked for."""
    made = test(statement("kms:*", principal=caller.arn, Condition=context))
    call(made)
    if other is not None:
        made = test(statement("kms:*", principal=caller.arn, Condition=other))
        with refused("AccessDeniedException"):
            call(made)


CONTEXT = {"Department": "IT", "Purpose": "Test"}
SYMMETRIC = [
    # What is asked for, and what would not hold.
    ({"StringEquals": {"kms:CallerAccount": ACCOUNT}}, {"StringEquals": {"kms:CallerAccount": "000000000001"}}),
    ({"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}}, {"StringEquals": {"kms:KeySpec": "RSA_2048"}}),
    ({"StringEquals": {"kms:CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"}}, {"StringEquals": {"kms:CustomerMasterKeySpec": "RSA_2048"}}),
    ({"StringEquals": {"kms:KeyUsage": "ENCRYPT_DECRYPT"}}, {"StringEquals": {"kms:KeyUsage": "SIGN_VERIFY"}}),
    ({"StringEquals": {"kms:KeyOrigin": "AWS_KMS"}}, {"StringEquals": {"kms:KeyOrigin": "EXTERNAL"}}),
    ({"Bool": {"kms:MultiRegion": "false"}}, {"Bool": {"kms:MultiRegion": "true"}}),
    ({"Null": {"kms:MultiRegionKeyType": "true"}}, {"StringEquals": {"kms:MultiRegionKeyType": "PRIMARY"}}),
    ({"StringEquals": {"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}}, {"StringEquals": {"kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}}),
    ({"StringEquals": {"kms:EncryptionContext:Department": "IT"}}, {"StringEquals": {"kms:EncryptionContext:Department": "HR"}}),
    ({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "Purpose"}}, {"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": "Purpose"}}),
    ({"Null": {"kms:ViaService": "true"}}, {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}),
    ({"Null": {"kms:RequestAlias": "true"}}, {"StringEquals": {"kms:RequestAlias": "alias/x"}}),
    ({"StringEquals": {"aws:ResourceTag/team": "red"}}, {"StringEquals": {"aws:ResourceTag/team": "blue"}}),
    ({"StringEquals": {"aws:RequestedRegion": REGION}}, {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}),
]


@pytest.mark.parametrize(("asked", "other"), SYMMETRIC)
def test_a_condition_on_encryption_holds_or_not(server, bob, asked, other):
    tags = [{"TagKey": "team", "TagValue": "red"}]
    test = lambda text: key(server, text, Tags=tags)  # noqa: E731
    call = lambda made: bob.kms.encrypt(KeyId=made, Plaintext=b"x", EncryptionContext=CONTEXT)  # noqa: E731
    holds(test, bob, call, context=asked, other=other)


def test_an_encryption_context_that_nobody_gave_is_not_there(server, bob):
    asked = {"Null": {"kms:EncryptionContextKeys": "false"}}
    made = key(server, statement("kms:Encrypt", principal=bob.arn, Condition=asked))
    bob.kms.encrypt(KeyId=made, Plaintext=b"x", EncryptionContext=CONTEXT)
    with refused("AccessDeniedException"):
        bob.kms.encrypt(KeyId=made, Plaintext=b"x")


def test_conditions_on_aliases(server, kms, bob):
    names = [f"alias/{fresh()}" for _ in range(2)]
    by_request = {"StringEquals": {"kms:RequestAlias": names[0]}}
    by_resource = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": names[1]}}
    made = key(
        server,
        statement("kms:Encrypt", principal=bob.arn, Condition=by_request),
        statement("kms:DescribeKey", principal=bob.arn, Condition=by_resource),
    )
    encrypt = lambda name: bob.kms.encrypt(KeyId=name, Plaintext=b"x")  # noqa: E731
    for name in names:
        assert code_of(lambda: bob.kms.describe_key(KeyId=made)) == "AccessDeniedException"
        kms.create_alias(AliasName=name, TargetKeyId=made)
    encrypt(names[0])
    encrypt(made.replace(made.split(":")[5], names[0]))
    for other in (names[1], made):
        with refused("AccessDeniedException"):
            encrypt(other)
    bob.kms.describe_key(KeyId=made)
    kms.delete_alias(AliasName=names[1])
    with refused("AccessDeniedException"):
        bob.kms.describe_key(KeyId=made)


def test_conditions_on_signing(server, bob):
    test = lambda text: key(server, text, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")  # noqa: E731
    sign = lambda made, **more: bob.kms.sign(KeyId=made, Message=b"x" * 32, SigningAlgorithm="ECDSA_SHA_256", **more)  # noqa: E731
    raw = {"StringEquals": {"kms:MessageType": "RAW"}}
    digest = {"StringEquals": {"kms:MessageType": "DIGEST"}}
    holds(test, bob, sign, context=raw, other=digest)
    holds(test, bob, lambda made: sign(made, MessageType="DIGEST"), context=digest, other=raw)
    asked = lambda name: {"StringEquals": {"kms:SigningAlgorithm": name}}  # noqa: E731
    holds(test, bob, sign, context=asked("ECDSA_SHA_256"), other=asked("ECDSA_SHA_384"))


def test_conditions_on_management(server, bob):
    test = lambda text: key(server, text)  # noqa: E731
    window = lambda days: {"NumericGreaterThanEquals": {"kms:ScheduleKeyDeletionPendingWindowInDays": str(days)}}  # noqa: E731
    call = lambda made: bob.kms.schedule_key_deletion(KeyId=made, PendingWindowInDays=7)  # noqa: E731
    holds(test, bob, call, context=window(7), other=window(8))
    holds(test, bob, lambda made: bob.kms.schedule_key_deletion(KeyId=made), context=window(30), other=window(31))
    safely = {"Bool": {"kms:BypassPolicyLockoutSafetyCheck": "false"}}
    made = test(statement(principal=bob.arn, Condition=safely))
    whole = policy(statement(), statement(principal=bob.arn, Condition=safely))
    bob.kms.put_key_policy(KeyId=made, Policy=whole)
    with refused("AccessDeniedException"):
        bob.kms.put_key_policy(KeyId=made, Policy=whole, BypassPolicyLockoutSafetyCheck=True)
    tagging = {"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}, "StringEquals": {"aws:RequestTag/team": "red"}}
    tag = lambda made, value: bob.kms.tag_resource(KeyId=made, Tags=[{"TagKey": "team", "TagValue": value}])  # noqa: E731
    made = test(statement("kms:TagResource", principal=bob.arn, Condition=tagging))
    tag(made, "red")
    with refused("AccessDeniedException"):
        tag(made, "blue")


def reaches(call):
    """Whether a call gets past the decision, however it ends."""
    try:
        call()
    except Exception as error:  # noqa: BLE001
        return error.response["Error"]["Code"] != "AccessDeniedException"
    return True


def import_material(caller, made, **more):
    """An import that fails for its token, if it is let through."""
    return caller.kms.import_key_material(KeyId=made, ImportToken=b"x", EncryptedKeyMaterial=b"x", **more)


NEXT_YEAR = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=365)
THIS_MONTH = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=20)
BOUND = str(int((NEXT_YEAR - datetime.timedelta(days=100)).timestamp()))
CALLS = {
    "parameters": lambda caller, made, **more: caller.kms.get_parameters_for_import(
        KeyId=made, **{"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048", **more}
    ),
    "import": import_material,
    "rotate": lambda caller, made, **more: caller.kms.enable_key_rotation(KeyId=made, **more),
    "pair": lambda caller, made, **more: caller.kms.generate_data_key_pair_without_plaintext(KeyId=made, **more),
    "mac": lambda caller, made, **more: caller.kms.generate_mac(KeyId=made, Message=b"x", **more),
    "agree": lambda caller, made, **more: caller.kms.derive_shared_secret(KeyId=made, PublicKey=b"x", **more),
    "rsa": lambda caller, made, **more: caller.kms.encrypt(KeyId=made, Plaintext=b"x", **more),
}
EXTERNAL = {"Origin": "EXTERNAL"}
OTHERS = [
    # What is called on which key, the condition, parameters with which it holds, and others with which it does not.
    ("parameters", EXTERNAL, {"StringEquals": {"kms:WrappingAlgorithm": "RSAES_OAEP_SHA_256"}}, {}, {"WrappingAlgorithm": "RSAES_OAEP_SHA_1"}),
    ("parameters", EXTERNAL, {"StringEquals": {"kms:WrappingKeySpec": "RSA_2048"}}, {}, {"WrappingKeySpec": "RSA_3072"}),
    ("parameters", EXTERNAL, {"StringEquals": {"kms:KeyOrigin": "EXTERNAL"}}, {}, None),
    ("import", EXTERNAL, {"StringEquals": {"kms:ExpirationModel": "KEY_MATERIAL_EXPIRES"}}, {"ValidTo": NEXT_YEAR}, {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}),
    ("import", EXTERNAL, {"NumericLessThan": {"kms:ValidTo": BOUND}}, {"ValidTo": THIS_MONTH}, {"ValidTo": NEXT_YEAR}),
    ("import", EXTERNAL, {"DateLessThan": {"kms:ValidTo": BOUND}}, {"ValidTo": THIS_MONTH}, {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}),
    ("rotate", {}, {"NumericLessThanEquals": {"kms:RotationPeriodInDays": "365"}}, {}, {"RotationPeriodInDays": 366}),
    ("pair", {}, {"StringLike": {"kms:DataKeyPairSpec": "ECC_*"}}, {"KeyPairSpec": "ECC_NIST_P256"}, {"KeyPairSpec": "RSA_2048"}),
    ("mac", {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}, {"StringEquals": {"kms:MacAlgorithm": "HMAC_SHA_256"}}, {"MacAlgorithm": "HMAC_SHA_256"}, {"MacAlgorithm": "HMAC_SHA_512"}),
    ("agree", {"KeySpec": "ECC_NIST_P256", "KeyUsage": "KEY_AGREEMENT"}, {"StringEquals": {"kms:KeyAgreementAlgorithm": "ECDH"}}, {"KeyAgreementAlgorithm": "ECDH"}, None),
    ("rsa", {"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"}, {"StringEquals": {"kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}}, {"EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}, {"EncryptionAlgorithm": "RSAES_OAEP_SHA_1"}),
]


@pytest.mark.parametrize(("call", "kind", "condition", "good", "bad"), OTHERS)
def test_a_condition_on_what_is_asked_of_a_key(server, bob, call, kind, condition, good, bad):
    made = key(server, statement(principal=bob.arn, Condition=condition), **kind)
    assert reaches(lambda: CALLS[call](bob, made, **good))
    if bad is not None:
        assert not reaches(lambda: CALLS[call](bob, made, **bad))


def test_a_condition_on_encrypting_anew_under_the_same_key(server, kms, bob):
    same = {"Bool": {"kms:ReEncryptOnSameKey": "true"}}
    first, second = (key(server, statement("kms:ReEncrypt*", principal=bob.arn, Condition=same)) for _ in range(2))
    blob = kms.encrypt(KeyId=first, Plaintext=b"x")["CiphertextBlob"]
    bob.kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=first)
    with refused("AccessDeniedException", "kms:ReEncryptFrom"):
        bob.kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=second)


def test_conditions_on_multi_region_keys(server, bob):
    primary = {"StringEquals": {"kms:MultiRegionKeyType": "PRIMARY"}, "Bool": {"kms:MultiRegion": "true"}}
    made = key(server, statement("kms:DescribeKey", principal=bob.arn, Condition=primary), MultiRegion=True)
    bob.kms.describe_key(KeyId=made)
    replica = {"StringEquals": {"kms:MultiRegionKeyType": "REPLICA"}}
    made = key(server, statement("kms:DescribeKey", principal=bob.arn, Condition=replica), MultiRegion=True)
    assert not reaches(lambda: bob.kms.describe_key(KeyId=made))
    maker = user(server, sessions.allow("kms:CreateKey", **primary))
    maker.kms.create_key(MultiRegion=True)
    assert not reaches(lambda: maker.kms.create_key())


MAKING = [
    ({"StringEquals": {"kms:KeySpec": "ECC_NIST_P256"}}, {"StringEquals": {"kms:KeySpec": "RSA_2048"}}),
    ({"StringEquals": {"kms:KeyUsage": "SIGN_VERIFY"}}, {"StringEquals": {"kms:KeyUsage": "KEY_AGREEMENT"}}),
    ({"StringEquals": {"kms:KeyOrigin": "AWS_KMS"}}, {"StringEquals": {"kms:KeyOrigin": "EXTERNAL"}}),
    ({"StringEquals": {"kms:CallerAccount": ACCOUNT}}, {"StringEquals": {"kms:CallerAccount": "000000000001"}}),
    ({"Bool": {"kms:MultiRegion": "false"}}, {"Bool": {"kms:MultiRegion": "true"}}),
    ({"Bool": {"kms:BypassPolicyLockoutSafetyCheck": "false"}}, {"Bool": {"kms:BypassPolicyLockoutSafetyCheck": "true"}}),
    ({"StringEquals": {"aws:RequestTag/team": "red"}}, {"StringEquals": {"aws:RequestTag/team": "blue"}}),
]


@pytest.mark.parametrize(("asked", "other"), MAKING)
def test_conditions_on_making_a_key(server, asked, other):
    tags = [{"TagKey": "team", "TagValue": "red"}]
    for condition, allowed in ((asked, True), (other, False)):
        rights = [
            {"Effect": "Allow", "Action": "kms:CreateKey", "Resource": "*", "Condition": condition},
            {"Effect": "Allow", "Action": "kms:TagResource", "Resource": "*"},
        ]
        maker = user(server, sessions.policy(*rights))
        make = lambda: maker.kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY", Tags=tags)  # noqa: E731, B023
        if allowed:
            make()
        else:
            assert code_of(make) == "AccessDeniedException"
