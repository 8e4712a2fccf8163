"""Secrets Manager: who may do what to a secret, and that its value is its KMS key's to give."""

import json
import uuid

import pytest
from botocore.exceptions import ClientError
from refusals import refused
from secrets_helpers import User, allow, on, policy, token
from server import ACCOUNT, REGION
from test_audit import events

VIA = f"secretsmanager.{REGION}.amazonaws.com"


@pytest.fixture
def key(kms):
    return kms.create_key()["KeyMetadata"]["Arn"]


def restrict(kms, key, *statements):
    everything = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
    kms.put_key_policy(KeyId=key, Policy=policy(everything, *statements))


def test_a_secret_is_sealed_under_its_own_key(server, sm, kms, key, name):
    made = sm.create_secret(Name=name, SecretString="v", KmsKeyId=key)
    assert sm.describe_secret(SecretId=name)["KmsKeyId"] == key
    assert sm.list_secret_version_ids(SecretId=name)["Versions"][0]["KmsKeyIds"] == [key]
    kms.disable_key(KeyId=key)
    with refused("DecryptionFailure", "is disabled"):
        sm.get_secret_value(SecretId=name)
    with refused("EncryptionFailure", "is disabled"):
        sm.put_secret_value(SecretId=name, SecretString="w")
    kms.enable_key(KeyId=key)
    assert sm.get_secret_value(SecretId=made["ARN"])["SecretString"] == "v"


def test_a_key_that_cannot_seal_is_refused(sm, kms, name):
    signing = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    for bad in (signing, "alias/there-is-none", str(uuid.uuid4())):
        for value in ({}, {"SecretString": "v"}):
            with refused("EncryptionFailure"):
                sm.create_secret(Name=name, KmsKeyId=bad, **value)
    with refused("ResourceNotFoundException"):
        sm.describe_secret(SecretId=name)


def test_an_alias_and_an_id_stand_for_the_key(sm, kms, key, name):
    kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=key)
    for number, known in enumerate((f"alias/{name}", key.rsplit("/")[-1], key)):
        sm.create_secret(Name=f"{name}{number}", SecretString="v", KmsKeyId=known)
        assert sm.describe_secret(SecretId=f"{name}{number}")["KmsKeyId"] == known
        assert sm.list_secret_version_ids(SecretId=f"{name}{number}")["Versions"][0]["KmsKeyIds"] == [key]
    for own in ("", "alias/aws/secretsmanager"):
        sm.update_secret(SecretId=f"{name}0", KmsKeyId=own)
        assert "KmsKeyId" not in sm.describe_secret(SecretId=f"{name}0")
        assert sm.get_secret_value(SecretId=f"{name}0")["SecretString"] == "v"


def test_what_the_caller_may_not_decrypt_is_not_given(server, sm, kms, key, name):
    made = sm.create_secret(Name=name, SecretString="v", KmsKeyId=key)
    user = User(server, on("secretsmanager:*"))
    mine = user.client("secretsmanager")
    for call in (
        lambda: mine.get_secret_value(SecretId=name),
        lambda: mine.put_secret_value(SecretId=name, SecretString="w"),
        lambda: mine.create_secret(Name=name + "x", SecretString="w", KmsKeyId=key),
    ):
        with refused("AccessDeniedException", "Access to KMS is not allowed"):
            call()
    version = {"kms:EncryptionContext:SecretARN": made["ARN"], "kms:EncryptionContext:SecretVersionId": made["VersionId"]}
    through = {"StringEquals": {"kms:ViaService": VIA, "kms:CallerAccount": ACCOUNT} | version}
    user.may(on("secretsmanager:*"), on("kms:Decrypt", resource=key, Condition=through))
    assert mine.get_secret_value(SecretId=name)["SecretString"] == "v"
    # Only through the service.
    with refused("AccessDeniedException"):
        user.client("kms").encrypt(KeyId=key, Plaintext=b"x")
    second = sm.put_secret_value(SecretId=name, SecretString="w")["VersionId"]
    with refused("AccessDeniedException", "Access to KMS is not allowed"):
        mine.get_secret_value(SecretId=name, VersionId=second)
    assert mine.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")["SecretString"] == "v"


def test_the_services_own_key_needs_no_permission(server, sm, name):
    sm.create_secret(Name=name, SecretString="v")
    mine = User(server, on("secretsmanager:*")).client("secretsmanager")
    assert mine.get_secret_value(SecretId=name)["SecretString"] == "v"
    mine.put_secret_value(SecretId=name, SecretString="w")
    mine.create_secret(Name=name + "x", SecretString="w")


def test_a_new_key_seals_what_rotation_works_with_anew(server, sm, kms, key, name):
    old = kms.create_key()["KeyMetadata"]["Arn"]
    sm.create_secret(Name=name, SecretString="0", KmsKeyId=old)
    for number, stages in ((1, ["AWSCURRENT"]), (2, ["AWSCURRENT"]), (3, ["AWSPENDING"]), (4, ["mine"])):
        sm.put_secret_value(SecretId=name, SecretString=str(number), VersionStages=stages)
    sm.update_secret(SecretId=name, KmsKeyId=key)
    listed = sm.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
    keys = {tuple(each.get("VersionStages", ())): each["KmsKeyIds"] for each in listed}
    assert keys == {(): [old], ("AWSPREVIOUS",): [key], ("AWSCURRENT",): [key], ("AWSPENDING",): [key], ("mine",): [old]}
    kms.disable_key(KeyId=old)
    for stage, expected in (("AWSPREVIOUS", "1"), ("AWSCURRENT", "2"), ("AWSPENDING", "3")):
        assert sm.get_secret_value(SecretId=name, VersionStage=stage)["SecretString"] == expected
    with refused("DecryptionFailure"):
        sm.get_secret_value(SecretId=name, VersionStage="mine")


def test_the_uses_of_the_key_are_in_the_journal(own_server):
    own_server.start()
    sm, kms = own_server.client("secretsmanager"), own_server.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    made = sm.create_secret(Name="s", SecretString="planted value", KmsKeyId=key)
    sm.get_secret_value(SecretId="s")
    sm.batch_get_secret_value(SecretIdList=["s", "none"])
    kms.disable_key(KeyId=key)
    with refused("DecryptionFailure"):
        sm.get_secret_value(SecretId="s")
    own_server.stop()
    seen = [event for event in events(own_server) if event["eventSource"] in ("kms.amazonaws.com", "secretsmanager.amazonaws.com")]
    told = [(event["eventName"], event.get("errorCode")) for event in seen]
    assert told == [
        ("CreateKey", None),
        # Whether the key can be used both ways, then its use, then the call.
        ("GenerateDataKey", None),
        ("Decrypt", None),
        ("GenerateDataKey", None),
        ("CreateSecret", None),
        ("Decrypt", None),
        ("GetSecretValue", None),
        # Each secret of a batch is told of.
        ("Decrypt", None),
        ("GetSecretValue", None),
        ("GetSecretValue", "ResourceNotFoundException"),
        ("BatchGetSecretValue", None),
        ("DisableKey", None),
        ("Decrypt", "DisabledException"),
        ("GetSecretValue", "DecryptionFailure"),
    ]
    used = seen[5]
    assert used["sourceIPAddress"] == used["userIdentity"]["invokedBy"] == "secretsmanager.amazonaws.com"
    context = {"SecretARN": made["ARN"], "SecretVersionId": made["VersionId"]}
    assert used["requestParameters"]["encryptionContext"] == context
    assert used["requestID"] == seen[6]["requestID"] and used["eventID"] != seen[6]["eventID"]
    assert seen[1]["requestParameters"]["encryptionContext"]["SecretVersionId"] == "RequestToValidateKeyAccess"
    assert seen[4]["requestParameters"]["secretString"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    assert "planted value" not in json.dumps(seen)


def test_another_account_needs_both_policies_and_a_customers_key(server, sm, kms, key, name):
    account = f"{uuid.uuid4().int % 10**12:012}"
    made = server.client("keystead").create_account(AccountId=account)
    theirs = server.client("secretsmanager", key_id=made["AccessKeyId"], secret=made["SecretAccessKey"])
    root = f"arn:aws:iam::{account}:root"
    secret = sm.create_secret(Name=name, SecretString="v", KmsKeyId=key)["ARN"]
    with refused("AccessDeniedException", "secretsmanager:GetSecretValue"):
        theirs.get_secret_value(SecretId=secret)
    sm.put_resource_policy(SecretId=name, ResourcePolicy=policy(allow("secretsmanager:*", principal=root)))
    with refused("AccessDeniedException", "Access to KMS is not allowed"):
        theirs.get_secret_value(SecretId=secret)
    restrict(kms, key, {"Effect": "Allow", "Principal": {"AWS": root}, "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": "*"})
    assert theirs.get_secret_value(SecretId=secret)["SecretString"] == "v"
    theirs.put_secret_value(SecretId=secret, SecretString="theirs")
    assert sm.get_secret_value(SecretId=name)["SecretString"] == "theirs"
    # Its name means nothing elsewhere, and the service's own key is for its own account.
    with refused("ResourceNotFoundException"):
        theirs.get_secret_value(SecretId=name)
    own = sm.create_secret(Name=name + "own", SecretString="v")["ARN"]
    sm.put_resource_policy(SecretId=own, ResourcePolicy=policy(allow("secretsmanager:*", principal=root)))
    with refused("AccessDeniedException", "Access to KMS is not allowed"):
        theirs.get_secret_value(SecretId=own)


def test_conditions_on_what_a_call_says(server, sm, name):
    made = sm.create_secret(Name=name, SecretString="1", Tags=[{"Key": "team", "Value": "blue"}])
    first = made["VersionId"]
    sm.put_secret_value(SecretId=name, SecretString="2")
    user = User(server)
    mine = user.client("secretsmanager")
    read = mine.get_secret_value
    for condition, parameters, allowed in (
        ({"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}, {}, True),
        ({"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}, {"VersionStage": "AWSPREVIOUS"}, False),
        ({"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}, {"VersionId": first}, False),
        ({"StringEquals": {"secretsmanager:VersionId": first}}, {"VersionId": first}, True),
        ({"StringEquals": {"secretsmanager:VersionId": first}}, {}, False),
        ({"ArnLike": {"secretsmanager:SecretId": made["ARN"]}}, {}, True),
        ({"ArnLike": {"secretsmanager:SecretId": made["ARN"] + "x"}}, {}, False),
        ({"StringEquals": {"secretsmanager:ResourceTag/team": "blue"}}, {}, True),
        ({"StringEquals": {"aws:ResourceTag/team": "red"}}, {}, False),
        ({"StringEquals": {"secretsmanager:SecretPrimaryRegion": REGION}}, {}, True),
        ({"Null": {"secretsmanager:resource/AllowRotationLambdaArn": "true"}}, {}, True),
    ):
        user.may(on("secretsmanager:GetSecretValue", Condition=condition))
        if allowed:
            read(SecretId=name, **parameters)
            continue
        with refused("AccessDeniedException"):
            read(SecretId=name, **parameters)


def test_conditions_on_what_is_made_and_deleted(server, sm, name):
    user = User(server)
    mine = user.client("secretsmanager")
    for number, (condition, parameters, allowed) in enumerate((
        ({"StringLike": {"secretsmanager:Name": f"{name}*"}}, {}, True),
        ({"StringLike": {"secretsmanager:Name": "other*"}}, {}, False),
        ({"StringEquals": {"secretsmanager:Description": "d"}}, {"Description": "d"}, True),
        ({"StringEquals": {"secretsmanager:Description": "d"}}, {}, False),
        ({"Null": {"secretsmanager:KmsKeyId": "true"}}, {}, True),
        ({"StringEquals": {"aws:RequestTag/team": "blue"}}, {"Tags": [{"Key": "team", "Value": "blue"}]}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}, {"Tags": [{"Key": "x", "Value": ""}]}, False),
    )):  # fmt: skip
        user.may(on("secretsmanager:CreateSecret", "secretsmanager:TagResource", Condition=condition))
        if allowed:
            mine.create_secret(Name=f"{name}{number}", **parameters)
            continue
        with refused("AccessDeniedException"):
            mine.create_secret(Name=f"{name}{number}", **parameters)
    user.may(on("secretsmanager:CreateSecret"))
    with refused("AccessDeniedException", "secretsmanager:TagResource"):
        mine.create_secret(Name=f"{name}t", Tags=[{"Key": "team", "Value": "blue"}])
    for condition, parameters, allowed in (
        ({"NumericGreaterThanEquals": {"secretsmanager:RecoveryWindowInDays": 14}}, {"RecoveryWindowInDays": 7}, False),
        ({"Bool": {"secretsmanager:ForceDeleteWithoutRecovery": "false"}}, {"ForceDeleteWithoutRecovery": True}, False),
        ({"Bool": {"secretsmanager:ForceDeleteWithoutRecovery": "false"}}, {"RecoveryWindowInDays": 7}, True),
    ):
        secret = sm.create_secret(Name=f"{name}{token()}")["ARN"]
        user.may(on("secretsmanager:DeleteSecret", Condition=condition))
        if allowed:
            mine.delete_secret(SecretId=secret, **parameters)
            continue
        with refused("AccessDeniedException"):
            mine.delete_secret(SecretId=secret, **parameters)
    secret = sm.create_secret(Name=f"{name}d")["ARN"]
    # Thirty days are what nobody wrote down.
    user.may(on("secretsmanager:DeleteSecret", Condition={"NumericGreaterThanEquals": {"secretsmanager:RecoveryWindowInDays": 30}}))
    mine.delete_secret(SecretId=secret)


def test_a_batch_reads_what_the_caller_may_read(server, sm, name):
    mine = sm.create_secret(Name=f"{name}mine", SecretString="v")["ARN"]
    sm.create_secret(Name=f"{name}not", SecretString="v")
    user = User(server, on("secretsmanager:BatchGetSecretValue"), on("secretsmanager:GetSecretValue", resource=mine))
    client = user.client("secretsmanager")
    answer = client.batch_get_secret_value(SecretIdList=[f"{name}mine", f"{name}not"])
    assert [each["ARN"] for each in answer["SecretValues"]] == [mine]
    assert [each["ErrorCode"] for each in answer["Errors"]] == ["AccessDeniedException"]
    filters = {"Filters": [{"Key": "name", "Values": [name]}]}
    with refused("AccessDeniedException", "secretsmanager:ListSecrets"):
        client.batch_get_secret_value(**filters)
    user.may(on("secretsmanager:BatchGetSecretValue", "secretsmanager:ListSecrets"), on("secretsmanager:GetSecretValue", resource=mine))
    assert [each["ARN"] for each in client.batch_get_secret_value(**filters)["SecretValues"]] == [mine]


def test_who_may_validate_must_be_able_to_put(server, sm, name):
    sm.create_secret(Name=name)
    mine = User(server, on("secretsmanager:ValidateResourcePolicy")).client("secretsmanager")
    text = policy(allow("secretsmanager:GetSecretValue"))
    for secret in ({}, {"SecretId": name}):
        with refused("AccessDeniedException", "secretsmanager:PutResourcePolicy"):
            mine.validate_resource_policy(ResourcePolicy=text, **secret)


def test_policies_ask_for_the_key_however_it_is_named(server, sm, kms, key, name):
    kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=key)
    other = kms.create_key()["KeyMetadata"]["Arn"]
    by_key = {"StringEquals": {"secretsmanager:KmsKeyArn": key}}
    actions = ("secretsmanager:CreateSecret", "secretsmanager:UpdateSecret")
    caller = User(server, on(*actions, Condition=by_key), on("kms:*")).client("secretsmanager")
    for number, named in enumerate((key, key.rsplit("/")[-1], f"alias/{name}")):
        caller.create_secret(Name=f"{name}{number}", KmsKeyId=named)
        caller.update_secret(SecretId=f"{name}{number}", KmsKeyId=named)
    for more in ({}, {"KmsKeyId": other}, {"KmsKeyId": "alias/there-is-none"}):
        with refused("AccessDeniedException"):
            caller.create_secret(Name=f"{name}-other", **more)
        with refused("AccessDeniedException"):
            caller.update_secret(SecretId=f"{name}0", **more)


def test_policies_ask_what_a_rotation_changes(server, sm, name):
    sm.create_secret(Name=name, SecretString="{}")
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:none"
    rules = {"RotationRules": {"AutomaticallyAfterDays": 1}}
    for condition, may, may_not in [
        ({"Bool": {"secretsmanager:ModifyRotationRules": "false"}}, {}, rules),
        ({"Bool": {"secretsmanager:ModifyRotationRules": "true"}}, rules, {}),
        ({"Bool": {"secretsmanager:RotateImmediately": "true"}}, {}, {"RotateImmediately": False}),
        ({"StringEquals": {"secretsmanager:RotationLambdaARN": function}}, {"RotationLambdaARN": function}, {"RotationLambdaARN": function + "2"}),
    ]:
        caller = User(server, on("secretsmanager:RotateSecret", Condition=condition)).client("secretsmanager")
        with refused("AccessDeniedException", "is not authorized to perform"):
            caller.rotate_secret(SecretId=name, **may_not)
        # Past the policies, there is nothing that could rotate it.
        with pytest.raises(ClientError) as asked:
            caller.rotate_secret(SecretId=name, **may)
        assert "is not authorized to perform" not in str(asked.value)
