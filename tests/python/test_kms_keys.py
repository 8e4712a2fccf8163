"""KMS: the life of a key. Made, described, listed, tagged, switched off, deleted after a time of waiting."""

import datetime

import pytest

from kms_helpers import make
from refusals import code_of, words_of
from waiting import until

SPECS = {
    "SYMMETRIC_DEFAULT": ["ENCRYPT_DECRYPT"],
    "RSA_2048": ["ENCRYPT_DECRYPT", "SIGN_VERIFY"],
    "ECC_NIST_P256": ["SIGN_VERIFY", "KEY_AGREEMENT"],
    "ECC_NIST_P384": ["SIGN_VERIFY", "KEY_AGREEMENT"],
    "ECC_NIST_P521": ["SIGN_VERIFY", "KEY_AGREEMENT"],
    "ECC_SECG_P256K1": ["SIGN_VERIFY"],
    "ECC_NIST_EDWARDS25519": ["SIGN_VERIFY"],
    "HMAC_224": ["GENERATE_VERIFY_MAC"],
    "HMAC_512": ["GENERATE_VERIFY_MAC"],
    "ML_DSA_65": ["SIGN_VERIFY"],
    "ML_KEM_768": ["ENCAPSULATE_DECAPSULATE"],
}
USAGES = sorted({usage for usages in SPECS.values() for usage in usages})
NEVER_MADE = "12345678-1234-1234-1234-123456789012"


def state(kms, key):
    return kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]


def test_a_key_is_what_was_asked_for(kms):
    made = kms.create_key(Description="for tests", Tags=[{"TagKey": "team", "TagValue": "web"}])["KeyMetadata"]
    assert made["Arn"].endswith(f":key/{made['KeyId']}")
    assert made == kms.describe_key(KeyId=made["KeyId"])["KeyMetadata"]
    expected = {
        "Description": "for tests",
        "Enabled": True,
        "KeyState": "Enabled",
        "KeyManager": "CUSTOMER",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "Origin": "AWS_KMS",
        "MultiRegion": False,
    }
    assert {name: made[name] for name in expected} == expected
    assert len(made["CurrentKeyMaterialId"]) == 64
    assert kms.list_resource_tags(KeyId=made["KeyId"])["Tags"] == [{"TagKey": "team", "TagValue": "web"}]


@pytest.mark.parametrize("spec", SPECS)
def test_every_spec_goes_with_its_usages_alone(kms, spec):
    for usage in USAGES:
        if usage in SPECS[spec]:
            made = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
            assert (made["KeySpec"], made["KeyUsage"]) == (spec, usage)
        else:
            error = words_of(lambda usage=usage: kms.create_key(KeySpec=spec, KeyUsage=usage))
            assert error == ("ValidationException", f"KeyUsage {usage} is not compatible with KeySpec {spec}")


def test_what_no_key_can_be(kms):
    assert code_of(lambda: kms.create_key(KeySpec="SM2", KeyUsage="SIGN_VERIFY")) == "UnsupportedOperationException"
    attempts = [
        {"KeySpec": "RSA_2048"},
        {"KeySpec": "RSA_2048", "CustomerMasterKeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"},
        {"KeySpec": "AES_256"},
        {"Origin": "AWS_CLOUDHSM"},
        {"Origin": "EXTERNAL_KEY_STORE", "CustomKeyStoreId": "cks-1234567890abcdef0"},
        {"CustomKeyStoreId": "cks-1234567890abcdef0"},
        {"XksKeyId": "a"},
    ]
    for attempt in attempts:
        assert code_of(lambda attempt=attempt: kms.create_key(**attempt)) == "ValidationException", attempt
    elsewhere = {"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": "cks-1234567890abcdef0"}
    assert code_of(lambda: kms.create_key(**elsewhere)) == "CustomKeyStoreNotFoundException"
    reserved = {"Tags": [{"TagKey": "aws:mine", "TagValue": "x"}]}
    assert code_of(lambda: kms.create_key(**reserved)) == "TagException"


def test_the_old_name_of_the_spec(kms):
    made = kms.create_key(CustomerMasterKeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    assert made["KeySpec"] == "ECC_NIST_P256" and made["SigningAlgorithms"] == ["ECDSA_SHA_256"]


def test_a_key_that_waits_for_its_material(kms):
    made = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]
    assert (made["KeyState"], made["Enabled"], made["Origin"]) == ("PendingImport", False, "EXTERNAL")
    error = words_of(lambda: kms.encrypt(KeyId=made["KeyId"], Plaintext=b"x"))
    assert error == ("KMSInvalidStateException", f"{made['Arn']} is pending import.")


def test_a_disabled_key_does_nothing_until_it_is_enabled(kms):
    key = make(kms)
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=key)
    assert state(kms, key) == "Disabled"
    for use in (
        lambda: kms.encrypt(KeyId=key, Plaintext=b"x"),
        lambda: kms.decrypt(CiphertextBlob=blob),
        lambda: kms.generate_data_key(KeyId=key, KeySpec="AES_256"),
        lambda: kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key),
    ):
        assert words_of(use) == ("DisabledException", f"{key} is disabled.")
    kms.disable_key(KeyId=key)
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_a_deletion_can_be_called_off(kms):
    key = make(kms)
    answer = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert (answer["KeyId"], answer["KeyState"], answer["PendingWindowInDays"]) == (key, "PendingDeletion", 7)
    described = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert described["DeletionDate"] == answer["DeletionDate"]
    assert described["DeletionDate"] - described["CreationDate"] >= datetime.timedelta(days=7)
    refused = [
        lambda: kms.encrypt(KeyId=key, Plaintext=b"x"),
        lambda: kms.enable_key(KeyId=key),
        lambda: kms.disable_key(KeyId=key),
        lambda: kms.schedule_key_deletion(KeyId=key),
        lambda: kms.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": "b"}]),
        lambda: kms.update_key_description(KeyId=key, Description="x"),
    ]
    for number, call in enumerate(refused):
        assert words_of(call) == ("KMSInvalidStateException", f"{key} is pending deletion."), number
    assert kms.cancel_key_deletion(KeyId=key)["KeyId"] == key
    assert state(kms, key) == "Disabled"
    error = words_of(lambda: kms.cancel_key_deletion(KeyId=key))
    assert error == ("KMSInvalidStateException", f"{key} is not pending deletion.")


@pytest.mark.parametrize("days", [6, 31])
def test_a_deletion_waits_for_a_week_to_a_month(kms, days):
    key = make(kms)
    assert code_of(lambda: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=days)) == "ValidationException"
    assert state(kms, key) == "Enabled"


def test_a_key_whose_time_is_over_is_gone_with_all_that_is_its(own_server, name):
    own_server.start()
    kms = own_server.client("kms")
    key, kept = make(kms), make(kms)
    kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=key)
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    own_server.stop()
    own_server.start(ahead=datetime.timedelta(days=6))
    kms = own_server.client("kms")
    assert state(kms, key) == "PendingDeletion"
    own_server.stop()
    own_server.start(ahead=datetime.timedelta(days=8))
    kms = own_server.client("kms")

    def gone():
        return words_of(lambda: kms.describe_key(KeyId=key)) == ("NotFoundException", f"Key '{key}' does not exist")

    until("the key to be deleted", gone)
    assert [entry["KeyArn"] for entry in kms.list_keys()["Keys"]] == [kept]
    assert code_of(lambda: kms.decrypt(CiphertextBlob=blob)) == "AccessDeniedException"
    assert code_of(lambda: kms.describe_key(KeyId=f"alias/{name}")) == "NotFoundException"
    kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=kept)


def test_listing_pages_through_every_key(own_server):
    own_server.start()
    kms = own_server.client("kms")
    made = {make(kms) for _ in range(7)}
    pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["Keys"]) for page in pages] == [3, 3, 1]
    assert {entry["KeyArn"] for page in pages for entry in page["Keys"]} == made
    assert [page["Truncated"] for page in pages] == [True, True, False]
    assert code_of(lambda: kms.list_keys(Marker="nonsense")) == "InvalidMarkerException"


def test_descriptions_and_tags_change(kms):
    key = make(kms, Tags=[{"TagKey": "a", "TagValue": "1"}])
    kms.update_key_description(KeyId=key, Description="new")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] == "new"
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": "2"}, {"TagKey": "b", "TagValue": ""}])
    kms.untag_resource(KeyId=key, TagKeys=["c"])
    page = kms.list_resource_tags(KeyId=key, Limit=1)
    assert (page["Tags"], page["Truncated"]) == ([{"TagKey": "a", "TagValue": "2"}], True)
    rest = kms.list_resource_tags(KeyId=key, Limit=1, Marker=page["NextMarker"])
    assert (rest["Tags"], rest["Truncated"]) == ([{"TagKey": "b", "TagValue": ""}], False)
    kms.untag_resource(KeyId=key, TagKeys=["a"])
    assert [tag["TagKey"] for tag in kms.list_resource_tags(KeyId=key)["Tags"]] == ["b"]
    many = [{"TagKey": str(number), "TagValue": "x"} for number in range(50)]
    assert code_of(lambda: kms.tag_resource(KeyId=key, Tags=many)) == "TagException"


def test_the_last_use_is_known(kms):
    key = make(kms)
    unused = kms.get_key_last_usage(KeyId=key)
    assert unused["KeyId"] == key and "KeyLastUsage" not in unused
    answer = kms.encrypt(KeyId=key, Plaintext=b"x")
    used = kms.get_key_last_usage(KeyId=key)["KeyLastUsage"]
    assert used["Operation"] == "Encrypt"
    assert used["KmsRequestId"] == answer["ResponseMetadata"]["RequestId"]
    kms.decrypt(CiphertextBlob=answer["CiphertextBlob"])
    assert kms.get_key_last_usage(KeyId=key)["KeyLastUsage"]["Operation"] == "Decrypt"


def test_what_changes_a_key_takes_no_alias(kms, name):
    key = make(kms)
    alias = f"alias/{name}"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    for call in (
        lambda: kms.disable_key(KeyId=alias),
        lambda: kms.schedule_key_deletion(KeyId=alias),
        lambda: kms.update_key_description(KeyId=alias, Description="x"),
        lambda: kms.tag_resource(KeyId=alias, Tags=[]),
    ):
        assert code_of(call) in ("NotFoundException", "InvalidArnException")
    for call in (
        lambda: kms.enable_key(KeyId=NEVER_MADE),
        lambda: kms.cancel_key_deletion(KeyId=NEVER_MADE),
        lambda: kms.get_key_last_usage(KeyId=NEVER_MADE),
        lambda: kms.list_resource_tags(KeyId=NEVER_MADE),
    ):
        assert code_of(call) == "NotFoundException"
