"""Grants: whom they let do what, what constrains them, how they are handed on, listed and ended."""

import datetime

import pytest

import sessions
from kms_callers import EVERYTHING, ROOT, account, closed, fresh, key, role, statement, user
from refusals import code_of, refused, words_of
from server import ACCOUNT, REGION

CONTEXT = {"Department": "IT"}
SYMMETRIC = ["Encrypt", "Decrypt", "GenerateDataKey", "DescribeKey"]
DENIED = "AccessDeniedException"


@pytest.fixture(scope="module")
def bob(server):
    """A user whom no policy lets do anything."""
    return user(server)


@pytest.fixture
def made(server):
    return key(server)


def grant(kms, key, grantee, *operations, **more):
    """The answer of CreateGrant."""
    return kms.create_grant(KeyId=key, GranteePrincipal=grantee, Operations=list(operations or SYMMETRIC), **more)


def encrypt(caller, key, context=None, **more):
    if context is not None:
        more["EncryptionContext"] = context
    return caller.kms.encrypt(KeyId=key, Plaintext=b"x", **more)["CiphertextBlob"]


def listed(kms, key, **more):
    return kms.list_grants(KeyId=key, **more)["Grants"]


def test_a_grant_is_effective_at_once_and_for_what_it_names_alone(kms, bob, made):
    with refused(DENIED, "because no identity-based policy allows the kms:Encrypt action"):
        encrypt(bob, made)
    answer = grant(kms, made, bob.arn, "Encrypt")
    assert len(answer["GrantId"]) == 64 and answer["GrantToken"]
    encrypt(bob, made)
    for call in (
        lambda: bob.kms.describe_key(KeyId=made),
        lambda: bob.kms.generate_data_key(KeyId=made, KeySpec="AES_256"),
        lambda: bob.kms.list_grants(KeyId=made),
        lambda: grant(bob.kms, made, bob.arn, "Encrypt"),
        lambda: bob.kms.revoke_grant(KeyId=made, GrantId=answer["GrantId"]),
        lambda: bob.kms.retire_grant(KeyId=made, GrantId=answer["GrantId"]),
    ):
        assert code_of(call) == DENIED


def test_an_entry_of_the_listing_has_every_field(server, kms, bob, made):
    before = datetime.datetime.now(datetime.timezone.utc)
    retiring = role(server)
    answer = grant(
        kms,
        made,
        bob.arn,
        "Decrypt",
        "Encrypt",
        "Decrypt",
        RetiringPrincipal=retiring.role,
        Name="my-grant",
        Constraints={"EncryptionContextSubset": CONTEXT, "EncryptionContextEquals": {}},
    )
    [entry] = listed(kms, made)
    assert abs(entry.pop("CreationDate") - before) < datetime.timedelta(minutes=5)
    assert entry == {
        "KeyId": made,
        "GrantId": answer["GrantId"],
        "Name": "my-grant",
        "GranteePrincipal": bob.arn,
        "RetiringPrincipal": retiring.role,
        "IssuingAccount": ROOT,
        "Operations": ["Decrypt", "Encrypt"],
        "Constraints": {"EncryptionContextSubset": CONTEXT},
    }
    plain = grant(kms, made, bob.arn, "Encrypt")["GrantId"]
    [entry] = listed(kms, made, GrantId=plain)
    assert set(entry) == {"KeyId", "GrantId", "GranteePrincipal", "IssuingAccount", "Operations", "CreationDate"}


def test_a_grant_lets_in_past_a_key_policy_that_leaves_the_account_out(server, kms, bob):
    made = closed(server, statement(principal=user(server).arn), statement("kms:CreateGrant"))
    grant(kms, made, bob.arn, "DescribeKey")
    bob.kms.describe_key(KeyId=made)
    with refused(DENIED, "because no resource-based policy allows the kms:Encrypt action"):
        encrypt(bob, made)


def test_a_deny_goes_before_a_grant(server, kms, bob):
    made = key(server, statement("kms:Encrypt", principal=bob.arn, effect="Deny"))
    grant(kms, made, bob.arn)
    with refused(DENIED, "with an explicit deny in a resource-based policy"):
        encrypt(bob, made)
    bob.kms.describe_key(KeyId=made)
    denied = user(server, sessions.policy({"Effect": "Deny", "Action": "kms:*", "Resource": "*"}))
    grant(kms, made, denied.arn)
    with refused(DENIED, "with an explicit deny in an identity-based policy"):
        denied.kms.describe_key(KeyId=made)


CONSTRAINTS = [
    # The constraint, a context that it lets through, one that it does not.
    ({"EncryptionContextEquals": CONTEXT}, CONTEXT, {**CONTEXT, "more": "x"}),
    ({"EncryptionContextEquals": CONTEXT}, {"dePARTment": "IT"}, {"Department": "it"}),
    ({"EncryptionContextSubset": CONTEXT}, {**CONTEXT, "more": "x"}, {"more": "x"}),
    ({"EncryptionContextSubset": CONTEXT}, CONTEXT, {}),
    ({"EncryptionContextSubset": {**CONTEXT, "more": "x"}}, {**CONTEXT, "more": "x", "other": ""}, CONTEXT),
]


@pytest.mark.parametrize(("constraint", "good", "bad"), CONSTRAINTS)
def test_a_constraint_on_the_encryption_context(server, kms, made, constraint, good, bad):
    caller = user(server)
    grant(kms, made, caller.arn, "Encrypt", "Decrypt", "GenerateDataKey", "DescribeKey", Constraints=constraint)
    blob = encrypt(caller, made, good)
    assert caller.kms.decrypt(CiphertextBlob=blob, EncryptionContext=good)["Plaintext"] == b"x"
    caller.kms.generate_data_key(KeyId=made, KeySpec="AES_256", EncryptionContext=good)
    caller.kms.describe_key(KeyId=made)
    with refused(DENIED):
        encrypt(caller, made, bad)
    with refused(DENIED):
        encrypt(caller, made)
    with refused(DENIED):
        caller.kms.generate_data_key_without_plaintext(KeyId=made, KeySpec="AES_256", EncryptionContext=good)


def test_a_constraint_on_the_source_is_met_by_none_who_calls_for_himself(kms, bob, made):
    source = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:mine"
    grant(kms, made, bob.arn, "Encrypt", "DescribeKey", Constraints={"SourceArn": source})
    [entry] = listed(kms, made)
    assert entry["Constraints"] == {"SourceArn": source}
    with refused(DENIED):
        encrypt(bob, made)
    with refused(DENIED):
        bob.kms.describe_key(KeyId=made)


REFUSED = [
    ({"Operations": []}, "at least one operation"),
    ({"Operations": ["CreateGrant"]}, "Grants must not contain only the CreateGrant operation."),
    ({"Operations": ["Sign", "Decrypt"]}, "cannot allow Sign"),
    ({"Operations": ["GetPublicKey"]}, "cannot allow GetPublicKey"),
    ({"Operations": ["Shred"]}, "enum value set"),
    ({"Constraints": {"EncryptionContextEquals": CONTEXT, "EncryptionContextSubset": CONTEXT}}, "one constraint"),
    ({"Constraints": {"EncryptionContextEquals": {str(n): "v" for n in range(9)}}}, "8 at most"),
    ({"Constraints": {"EncryptionContextSubset": {"a": "v" * 385}}}, "384 characters"),
    ({"GranteeServicePrincipal": "rds.amazonaws.com"}, "either GranteePrincipal or GranteeServicePrincipal"),
    ({"GranteePrincipal": None}, "either GranteePrincipal or GranteeServicePrincipal"),
    ({"RetiringPrincipal": ROOT, "RetiringServicePrincipal": "rds.amazonaws.com"}, "but not both"),
    ({"GranteePrincipal": None, "GranteeServicePrincipal": "rds.amazonaws.com"}, "SourceArn"),
    ({"Name": "no blanks"}, "regular expression pattern"),
]


@pytest.mark.parametrize(("change", "text"), REFUSED)
def test_a_grant_that_cannot_be_is_refused(kms, bob, made, change, text):
    whole = {"KeyId": made, "GranteePrincipal": bob.arn, "Operations": ["Decrypt"]} | change
    with refused("ValidationException", text):
        kms.create_grant(**{name: value for name, value in whole.items() if value is not None})
    assert listed(kms, made) == []


KINDS = [
    ("RSA_2048", "ENCRYPT_DECRYPT", ["Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GetPublicKey"], "GenerateDataKey"),
    ("ECC_NIST_P256", "SIGN_VERIFY", ["Sign", "Verify", "GetPublicKey"], "Encrypt"),
    ("ECC_NIST_P256", "KEY_AGREEMENT", ["DeriveSharedSecret", "GetPublicKey"], "Sign"),
    ("HMAC_256", "GENERATE_VERIFY_MAC", ["GenerateMac", "VerifyMac"], "GetPublicKey"),
    ("ML_DSA_44", "SIGN_VERIFY", ["Sign", "Verify", "GetPublicKey"], "GenerateMac"),
    ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE", ["Encapsulate", "Decapsulate", "GetPublicKey"], "DeriveSharedSecret"),
]


@pytest.mark.parametrize(("spec", "usage", "fitting", "unfit"), KINDS)
def test_a_grant_allows_what_the_key_can_do(server, kms, bob, spec, usage, fitting, unfit):
    made = key(server, KeySpec=spec, KeyUsage=usage)
    grant(kms, made, bob.arn, *fitting, "DescribeKey", "CreateGrant", "RetireGrant")
    with refused("ValidationException", f"cannot allow {unfit}"):
        grant(kms, made, bob.arn, unfit, "DescribeKey")
    with refused("ValidationException", "no encryption context"):
        grant(kms, made, bob.arn, fitting[0], Constraints={"EncryptionContextSubset": CONTEXT})


def test_granted_operations_work(server, kms, bob):
    signing = key(server, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    sign = lambda: bob.kms.sign(KeyId=signing, Message=b"x", SigningAlgorithm="ECDSA_SHA_256")  # noqa: E731
    assert code_of(sign) == DENIED
    grant(kms, signing, bob.arn, "Sign", "GetPublicKey")
    sign()
    bob.kms.get_public_key(KeyId=signing)
    two = [key(server), key(server)]
    blob = kms.encrypt(KeyId=two[0], Plaintext=b"x")["CiphertextBlob"]
    move = lambda: bob.kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=two[1])  # noqa: E731
    grant(kms, two[0], bob.arn, "ReEncryptFrom")
    with refused(DENIED, "kms:ReEncryptTo"):
        move()
    grant(kms, two[1], bob.arn, "ReEncryptTo")
    move()


def test_only_who_is_there_can_be_named(server, kms, bob, made):
    for nobody in (
        f"arn:aws:iam::{ACCOUNT}:user/nobody-here",
        f"arn:aws:iam::{ACCOUNT}:role/nobody-here",
        f"arn:aws:iam::{ACCOUNT}:group/admins",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/nobody-here/s1",
        "arn:aws:iam::000000000001:root",
        "rds.amazonaws.com",
        "bob",
    ):
        message = f"ARN does not refer to a valid principal: {nobody}"
        assert words_of(lambda: grant(kms, made, nobody)) == ("InvalidArnException", message)
        call = lambda: grant(kms, made, bob.arn, RetiringPrincipal=nobody)  # noqa: E731
        assert words_of(call) == ("InvalidArnException", message)


def test_who_comes_later_under_the_same_name_is_somebody_else(server, kms, made):
    first = user(server)
    name = first.arn.split("/")[-1]
    grant(kms, made, first.arn, "Encrypt")
    encrypt(first, made)
    iam = server.client("iam")
    iam.delete_access_key(UserName=name, AccessKeyId=first.keys["key_id"])
    iam.delete_user(UserName=name)
    iam.create_user(UserName=name)
    given = iam.create_access_key(UserName=name)["AccessKey"]
    second = server.client("kms", key_id=given["AccessKeyId"], secret=given["SecretAccessKey"])
    with refused(DENIED):
        second.encrypt(KeyId=made, Plaintext=b"x")
    assert listed(kms, made, GranteePrincipal=first.arn) == []


def test_who_is_renamed_keeps_what_he_was_granted(server, kms, made):
    caller = user(server)
    granted = grant(kms, made, caller.arn, "Encrypt")["GrantId"]
    name = fresh()
    server.client("iam").update_user(UserName=caller.arn.split("/")[-1], NewUserName=name)
    encrypt(caller, made)
    [entry] = listed(kms, made, GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:user/{name}")
    assert entry["GrantId"] == granted


def test_every_kind_of_principal_can_be_the_grantee(server, kms, made):
    session = role(server)
    grant(kms, made, session.role, "Encrypt")
    encrypt(session, made)
    narrowed = role(server, Policy=sessions.allow("kms:DescribeKey"))
    grant(kms, made, narrowed.role, "Encrypt", "DescribeKey")
    narrowed.kms.describe_key(KeyId=made)
    with refused(DENIED, "because no session policy allows"):
        encrypt(narrowed, made)
    one = role(server)
    grant(kms, made, one.arn, "Encrypt")
    encrypt(one, made)
    grant(kms, made, ROOT, "DescribeKey")


def test_a_session_is_meant_by_its_own_name(server, kms, made):
    one = role(server, session="one")
    keys = user(server, sessions.allow("sts:*")).keys
    answer = server.client("sts", **keys).assume_role(RoleArn=one.role, RoleSessionName="two")
    two = server.client("kms", **sessions.keys(answer))
    grant(kms, made, one.arn, "Encrypt")
    encrypt(one, made)
    with refused(DENIED):
        two.encrypt(KeyId=made, Plaintext=b"x")


def test_a_grant_to_an_account_is_handed_on_by_its_policies(server, kms):
    made = closed(server, statement(principal=user(server).arn), statement("kms:CreateGrant", "kms:ListGrants"))
    other = account(server)
    willing = user(server, sessions.allow("kms:Encrypt"), iam=other.iam)
    unwilling = user(server, iam=other.iam)
    with refused(DENIED):
        encrypt(willing, made)
    grant(kms, made, other.arn, "Encrypt")
    encrypt(other, made)
    encrypt(willing, made)
    with refused(DENIED, "because no identity-based policy allows the kms:Encrypt action"):
        encrypt(unwilling, made)
    grant(kms, made, other.number, "Encrypt", "DescribeKey")
    other.kms.describe_key(KeyId=made)
    assert {entry["GranteePrincipal"] for entry in listed(kms, made)} == {other.arn}


def test_a_grantee_in_another_account_needs_no_policy_there(server, kms, made):
    friend = user(server, iam=account(server).iam)
    with refused(DENIED):
        encrypt(friend, made)
    grant(kms, made, friend.arn, "Encrypt")
    encrypt(friend, made)
    with refused(DENIED):
        friend.kms.describe_key(KeyId=made)


def test_the_same_name_and_parameters_are_the_same_grant(server, kms, bob, made):
    whole = {"Constraints": {"EncryptionContextSubset": CONTEXT}, "RetiringPrincipal": ROOT, "Name": "one"}
    first = grant(kms, made, bob.arn, "Decrypt", "Encrypt", **whole)
    again = grant(kms, made, bob.arn, "Encrypt", "Decrypt", **whole)
    assert again["GrantId"] == first["GrantId"] and again["GrantToken"] != first["GrantToken"]
    assert len(listed(kms, made)) == 1
    others = [
        grant(kms, made, bob.arn, "Encrypt", **whole),
        grant(kms, made, bob.arn, "Decrypt", "Encrypt", **{**whole, "Name": "two"}),
        grant(kms, made, bob.arn, "Decrypt", "Encrypt", **{**whole, "RetiringPrincipal": bob.arn}),
        grant(kms, made, bob.arn, "Decrypt", "Encrypt", **{**whole, "Constraints": {"EncryptionContextEquals": CONTEXT}}),
        grant(kms, made, user(server).arn, "Decrypt", "Encrypt", **whole),
    ]
    ids = {first["GrantId"]} | {other["GrantId"] for other in others}
    assert len(ids) == 6 and {entry["GrantId"] for entry in listed(kms, made)} == ids
    nameless = [grant(kms, made, bob.arn)["GrantId"] for _ in range(2)]
    assert nameless[0] != nameless[1]
    # What has ended is not taken up again.
    kms.revoke_grant(KeyId=made, GrantId=first["GrantId"])
    assert grant(kms, made, bob.arn, "Decrypt", "Encrypt", **whole)["GrantId"] not in ids


def test_a_grant_token_is_checked_and_gives_nobody_more(server, kms, bob, made):
    token = grant(kms, made, bob.arn, "Encrypt", "DescribeKey")["GrantToken"]
    encrypt(bob, made, GrantTokens=[token])
    bob.kms.describe_key(KeyId=made, GrantTokens=[token])
    thief = user(server)
    with refused(DENIED):
        encrypt(thief, made, GrantTokens=[token])
    altered = ("B" if token[10] != "B" else "C").join([token[:10], token[11:]])
    for wrong in ("nonsense", altered, token[:-4]):
        with refused("InvalidGrantTokenException"):
            encrypt(bob, made, GrantTokens=[wrong])
        with refused("InvalidGrantTokenException"):
            kms.create_grant(KeyId=made, GranteePrincipal=bob.arn, Operations=["Encrypt"], GrantTokens=[wrong])
        with refused("InvalidGrantTokenException"):
            kms.retire_grant(GrantToken=wrong)


def test_a_grantee_hands_on_no_more_than_it_has(server, kms, bob, made):
    keeper, constraint = user(server), {"EncryptionContextSubset": CONTEXT}
    grant(kms, made, keeper.arn, "Encrypt", "Decrypt", "CreateGrant", Constraints=constraint)
    for operations, limits in (
        (["Encrypt"], None),
        (["DescribeKey"], constraint),
        (["Encrypt", "GenerateDataKey"], constraint),
        (["Encrypt"], {"EncryptionContextSubset": {"Other": "x"}}),
        (["Encrypt"], {"EncryptionContextEquals": {"Other": "x"}}),
    ):
        with refused(DENIED, "because no identity-based policy allows the kms:CreateGrant action"):
            grant(keeper.kms, made, bob.arn, *operations, **({"Constraints": limits} if limits else {}))
    narrower = {"EncryptionContextEquals": {**CONTEXT, "Purpose": "Test"}}
    grant(keeper.kms, made, bob.arn, "Encrypt", "CreateGrant", Constraints=narrower)
    encrypt(bob, made, narrower["EncryptionContextEquals"])
    with refused(DENIED):
        encrypt(bob, made, CONTEXT)
    # And so on, down to whom that one hands it.
    third = user(server)
    with refused(DENIED):
        grant(bob.kms, made, third.arn, "Encrypt", Constraints=constraint)
    grant(bob.kms, made, third.arn, "Encrypt", Constraints=narrower)
    encrypt(third, made, narrower["EncryptionContextEquals"])


def test_who_may_by_policy_hands_on_whatever_the_policy_lets(server, kms, bob):
    conditions = {
        "ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt", "Decrypt"]},
        "StringEquals": {"kms:GranteePrincipal": bob.arn},
    }
    giver = user(server)
    made = key(server, statement("kms:CreateGrant", principal=giver.arn, Condition=conditions))
    grant(giver.kms, made, bob.arn, "Encrypt")
    with refused(DENIED):
        grant(giver.kms, made, bob.arn, "Encrypt", "DescribeKey")
    with refused(DENIED):
        grant(giver.kms, made, giver.arn, "Encrypt")


GRANTING = [
    ({"StringEquals": {"kms:GrantConstraintType": "EncryptionContextSubset"}}, {"EncryptionContextSubset": CONTEXT}, {"EncryptionContextEquals": CONTEXT}),
    ({"StringEquals": {"kms:EncryptionContext:Department": "IT"}}, {"EncryptionContextSubset": CONTEXT}, {"EncryptionContextSubset": {"Department": "HR"}}),
    ({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "Department"}}, {"EncryptionContextEquals": CONTEXT}, {}),
    ({"Null": {"kms:GrantConstraintType": "true"}}, {}, {"EncryptionContextEquals": CONTEXT}),
    ({"ArnLike": {"kms:GrantConstraintSourceArn": f"arn:aws:rds:*:{ACCOUNT}:db:m*"}}, {"SourceArn": f"arn:aws:rds:{REGION}:{ACCOUNT}:db:mine"}, {"SourceArn": f"arn:aws:rds:{REGION}:{ACCOUNT}:db:yours"}),
]


@pytest.mark.parametrize(("condition", "good", "bad"), GRANTING)
def test_conditions_on_what_a_grant_asks(server, bob, condition, good, bad):
    made = key(server, statement("kms:CreateGrant", principal=bob.arn, Condition=condition))
    grant(bob.kms, made, bob.arn, "Encrypt", Constraints=good)
    with refused(DENIED):
        grant(bob.kms, made, bob.arn, "Encrypt", Constraints=bad)


def test_conditions_on_who_retires_and_on_behalf_of_whom(server, bob):
    retired = {"StringEquals": {"kms:RetiringPrincipal": ROOT}}
    made = key(server, statement("kms:CreateGrant", principal=bob.arn, Condition=retired))
    grant(bob.kms, made, bob.arn, "Encrypt", RetiringPrincipal=ROOT)
    with refused(DENIED):
        grant(bob.kms, made, bob.arn, "Encrypt")
    for_services = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    actions = ("kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant")
    made = key(server, statement(*actions, principal=bob.arn, Condition=for_services))
    for call in (
        lambda: grant(bob.kms, made, bob.arn, "Encrypt"),
        lambda: bob.kms.list_grants(KeyId=made),
        lambda: bob.kms.revoke_grant(KeyId=made, GrantId="0" * 64),
    ):
        assert code_of(call) == DENIED
    service = {"StringEquals": {"kms:GranteeServicePrincipal": "rds.amazonaws.com", "kms:RetiringServicePrincipal": "rds.amazonaws.com"}}
    made = key(server, statement("kms:CreateGrant", principal=bob.arn, Condition=service))
    with refused(DENIED):
        grant(bob.kms, made, bob.arn, "Encrypt")
    for_service(bob.kms, made)


def for_service(kms, made):
    """The id of a grant to a service."""
    answer = kms.create_grant(
        KeyId=made,
        GranteeServicePrincipal="rds.amazonaws.com",
        RetiringServicePrincipal="rds.amazonaws.com",
        Operations=["Encrypt"],
        Constraints={"SourceArn": f"arn:aws:rds:{REGION}:{ACCOUNT}:db:mine"},
    )
    return answer["GrantId"]


def test_a_service_can_be_named_by_its_principal(kms, made):
    granted = for_service(kms, made)
    [entry] = listed(kms, made)
    assert entry["GrantId"] == granted
    assert entry["GranteeServicePrincipal"] == entry["RetiringServicePrincipal"] == "rds.amazonaws.com"
    assert "GranteePrincipal" not in entry and "RetiringPrincipal" not in entry
    with refused(DENIED, "only an AWS service"):
        kms.list_grants(KeyId=made, GranteeServicePrincipal="rds.amazonaws.com")
    with refused(DENIED, "only an AWS service"):
        kms.list_retirable_grants(RetiringServicePrincipal="rds.amazonaws.com")


def test_listings_page_and_filter(server, kms, made):
    callers = [user(server) for _ in range(3)]
    ids = {caller.arn: [grant(kms, made, caller.arn)["GrantId"] for _ in range(4)] for caller in callers}
    everything = sorted(sum(ids.values(), []))

    def pages(**more):
        found, marker, sizes = [], {}, []
        while True:
            answer = kms.list_grants(KeyId=made, **more, **marker)
            found += [entry["GrantId"] for entry in answer["Grants"]]
            sizes.append(len(answer["Grants"]))
            if not answer["Truncated"]:
                assert "NextMarker" not in answer
                return sorted(found), sizes
            marker = {"Marker": answer["NextMarker"]}

    assert pages() == (everything, [12])
    assert pages(Limit=5) == (everything, [5, 5, 2])
    assert pages(Limit=12) == (everything, [12])
    assert pages(Limit=1000) == (everything, [12])
    for arn, own in ids.items():
        assert pages(GranteePrincipal=arn, Limit=3) == (sorted(own), [3, 1])
    mine, other = (ids[caller.arn][0] for caller in callers[:2])
    assert [entry["GrantId"] for entry in listed(kms, made, GrantId=mine)] == [mine]
    assert listed(kms, made, GrantId=other, GranteePrincipal=callers[0].arn) == []
    assert listed(kms, made, GrantId="0" * 64) == []
    marker = kms.list_grants(KeyId=made, Limit=5)["NextMarker"]
    for wrong in (
        {"Marker": "nonsense"},
        {"Marker": marker, "GranteePrincipal": callers[0].arn},
        {"Marker": marker, "KeyId": key(server)},
    ):
        with refused("InvalidMarkerException"):
            kms.list_grants(**{"KeyId": made, **wrong})
    with refused("InvalidGrantIdException"):
        kms.list_grants(KeyId=made, GrantId="not hexadecimal")
    with refused("InvalidArnException"):
        kms.list_grants(KeyId=made, GranteePrincipal="nobody")
    with refused("ValidationException"):
        kms.list_grants(KeyId=made, Limit=1001)


def test_retirable_grants_are_listed_by_principal_over_all_keys(server, kms, bob):
    retiring = user(server, sessions.allow("kms:ListRetirableGrants"))
    keys = [key(server) for _ in range(2)]
    ids = {grant(kms, made, bob.arn, RetiringPrincipal=retiring.arn)["GrantId"]: made for made in keys * 3}
    grant(kms, keys[0], bob.arn, RetiringPrincipal=bob.arn)
    elsewhere = account(server)
    theirs = key(server, kms=elsewhere.kms)
    foreign = grant(elsewhere.kms, theirs, bob.arn, RetiringPrincipal=retiring.arn)["GrantId"]
    ids[foreign] = theirs
    found, marker = {}, {}
    while True:
        answer = retiring.kms.list_retirable_grants(RetiringPrincipal=retiring.arn, Limit=3, **marker)
        assert len(answer["Grants"]) <= 3
        found |= {entry["GrantId"]: entry["KeyId"] for entry in answer["Grants"]}
        if not answer["Truncated"]:
            break
        marker = {"Marker": answer["NextMarker"]}
    assert found == ids
    retiring.kms.retire_grant(KeyId=theirs, GrantId=foreign)
    left = retiring.kms.list_retirable_grants(RetiringPrincipal=retiring.arn)["Grants"]
    assert len(left) == 6 and foreign not in {entry["GrantId"] for entry in left}
    with refused(DENIED, "because no identity-based policy allows the kms:ListRetirableGrants action"):
        bob.kms.list_retirable_grants(RetiringPrincipal=bob.arn)
    with refused(DENIED, "kms:ListRetirableGrants"):
        elsewhere.kms.list_retirable_grants(RetiringPrincipal=retiring.arn)
    with refused("InvalidMarkerException"):
        retiring.kms.list_retirable_grants(RetiringPrincipal=retiring.arn, Marker="nonsense")
    with refused("InvalidArnException"):
        kms.list_retirable_grants(RetiringPrincipal=f"arn:aws:iam::{ACCOUNT}:user/nobody-here")
    with refused("ValidationException", "either RetiringPrincipal or RetiringServicePrincipal"):
        kms.list_retirable_grants()


def test_a_grant_is_revoked_by_who_may(server, kms, bob, made):
    granted = grant(kms, made, bob.arn)["GrantId"]
    encrypt(bob, made)
    with refused("DryRunOperationException"):
        kms.revoke_grant(KeyId=made, GrantId=granted, DryRun=True)
    encrypt(bob, made)
    kms.revoke_grant(KeyId=made, GrantId=granted.upper())
    with refused(DENIED):
        encrypt(bob, made)
    with refused("NotFoundException", f"Grant ID {granted} not found"):
        kms.revoke_grant(KeyId=made, GrantId=granted)
    with refused("NotFoundException"):
        kms.revoke_grant(KeyId=made, GrantId="0" * 64)
    with refused("InvalidGrantIdException"):
        kms.revoke_grant(KeyId=made, GrantId="not hexadecimal")
    assert listed(kms, made) == []


def test_a_grant_is_retired_by_those_whom_it_names(server, kms, bob, made):
    retiring, grantee, session = user(server), user(server), role(server)
    whole = {"RetiringPrincipal": retiring.arn}
    make = lambda *operations, **more: grant(kms, made, grantee.arn, *operations, **(whole | more))  # noqa: E731
    by_token, by_id = make("Encrypt"), make("Encrypt")
    for caller in (bob, grantee):
        with refused(DENIED, "because no identity-based policy allows the kms:RetireGrant action"):
            caller.kms.retire_grant(KeyId=made, GrantId=by_id["GrantId"])
        with refused(DENIED):
            caller.kms.retire_grant(GrantToken=by_token["GrantToken"])
    with refused("DryRunOperationException"):
        retiring.kms.retire_grant(GrantToken=by_token["GrantToken"], DryRun=True)
    retiring.kms.retire_grant(GrantToken=by_token["GrantToken"])
    retiring.kms.retire_grant(KeyId=made, GrantId=by_id["GrantId"])
    assert listed(kms, made) == []
    # Whom it named is known no more, now that it is gone.
    with refused(DENIED):
        retiring.kms.retire_grant(GrantToken=by_token["GrantToken"])
    with refused("NotFoundException", "not found"):
        kms.retire_grant(GrantToken=by_token["GrantToken"])
    own = make("Encrypt", "RetireGrant", Constraints={"EncryptionContextSubset": CONTEXT})
    grantee.kms.retire_grant(KeyId=made, GrantId=own["GrantId"])
    by_session = make("Encrypt", RetiringPrincipal=session.role)
    session.kms.retire_grant(GrantToken=by_session["GrantToken"])


def test_a_grant_is_retired_by_the_accounts_that_have_a_say(server, kms, made):
    other = account(server)
    grantee = user(server, iam=other.iam)
    delegate, denied = user(server, sessions.allow("kms:RetireGrant")), user(server, EVERYTHING)
    server.client("iam").put_user_policy(
        UserName=denied.arn.split("/")[1],
        PolicyName="deny",
        PolicyDocument=sessions.policy({"Effect": "Deny", "Action": "kms:RetireGrant", "Resource": "*"}),
    )
    make = lambda **more: grant(kms, made, grantee.arn, "Encrypt", **more)["GrantId"]  # noqa: E731
    retire = lambda caller, granted: caller.kms.retire_grant(KeyId=made, GrantId=granted)  # noqa: E731
    kms.retire_grant(KeyId=made, GrantId=make())
    retire(delegate, make())
    plain = make()
    with refused(DENIED, "explicit deny"):
        retire(denied, plain)
    # An account that the grant does not name has no say, whatever its policies are.
    with refused(DENIED, "because no resource-based policy allows the kms:RetireGrant action"):
        retire(other, plain)
    theirs = user(server, sessions.allow("kms:RetireGrant"), iam=other.iam)
    retire(theirs, make(RetiringPrincipal=other.arn))
    retire(other, make(RetiringPrincipal=other.arn))
    with refused(DENIED, "because no identity-based policy allows the kms:RetireGrant action"):
        retire(grantee, make(RetiringPrincipal=other.arn))


def test_a_key_policy_has_no_say_on_retiring(server, kms, bob):
    made = key(server, statement("kms:RetireGrant", principal=bob.arn))
    granted = grant(kms, made, user(server).arn)["GrantId"]
    with refused(DENIED):
        bob.kms.retire_grant(KeyId=made, GrantId=granted)
    made = closed(server, statement("kms:CreateGrant"))
    granted = grant(kms, made, bob.arn)["GrantId"]
    kms.retire_grant(KeyId=made, GrantId=granted)


def test_who_made_a_grant_in_another_account_may_retire_it(server, kms, bob):
    other = account(server)
    made = key(server, statement("kms:CreateGrant", principal=other.arn))
    granted = grant(other.kms, made, bob.arn, "Encrypt")
    [entry] = listed(kms, made)
    assert entry["IssuingAccount"] == other.arn
    encrypt(bob, made)
    other.kms.retire_grant(GrantToken=granted["GrantToken"])
    with refused(DENIED):
        encrypt(bob, made)


def test_a_grant_to_retire_is_named_in_one_way(server, kms, bob, made):
    answer = grant(kms, made, bob.arn)
    for wrong in (
        {},
        {"KeyId": made},
        {"GrantId": answer["GrantId"]},
        {"GrantToken": answer["GrantToken"], "KeyId": made, "GrantId": answer["GrantId"]},
    ):
        with refused("ValidationException", "either by its GrantToken or by KeyId and GrantId"):
            kms.retire_grant(**wrong)
    with refused("NotFoundException"):
        kms.retire_grant(KeyId=made, GrantId="0" * 64)
    with refused("InvalidGrantIdException"):
        kms.retire_grant(KeyId=made, GrantId="not hexadecimal")
    with refused("NotFoundException"):
        kms.retire_grant(KeyId=made[:-12] + "0" * 12, GrantId="0" * 64)
    elsewhere = server.client("kms", region="eu-west-1")
    with refused("InvalidGrantTokenException"):
        elsewhere.retire_grant(GrantToken=answer["GrantToken"])


def test_a_dry_run_makes_no_grant(kms, bob, made):
    with refused("DryRunOperationException"):
        grant(kms, made, bob.arn, DryRun=True)
    with refused("ValidationException"):
        grant(kms, made, bob.arn, "Sign", DryRun=True)
    with refused(DENIED):
        grant(bob.kms, made, bob.arn, DryRun=True)
    assert listed(kms, made) == []


def test_a_key_that_is_off_or_on_its_way_out_gets_no_grant_and_loses_those_it_has(kms, bob, made):
    ids = [grant(kms, made, bob.arn)["GrantId"] for _ in range(3)]
    kms.disable_key(KeyId=made)
    with refused("DisabledException", f"{made} is disabled."):
        grant(kms, made, bob.arn)
    kms.revoke_grant(KeyId=made, GrantId=ids[0])
    kms.enable_key(KeyId=made)
    kms.schedule_key_deletion(KeyId=made)
    with refused("KMSInvalidStateException", f"{made} is pending deletion."):
        grant(kms, made, bob.arn)
    kms.retire_grant(KeyId=made, GrantId=ids[1])
    assert [entry["GrantId"] for entry in listed(kms, made)] == ids[2:]


def test_a_grantee_with_more_grants_than_are_kept_at_hand_finds_each(server, kms, made):
    caller = user(server)
    for number in range(70):
        context = {"EncryptionContextEquals": {"volume": str(number)}}
        grant(kms, made, caller.arn, "Encrypt", Constraints=context)
    grant(kms, made, caller.arn, "DescribeKey", "Encrypt", Constraints={"EncryptionContextSubset": {"disk": "1"}})
    for number in range(70):
        encrypt(caller, made, {"Volume": str(number)})
    encrypt(caller, made, {"disk": "1", "more": "x"})
    caller.kms.describe_key(KeyId=made)
    for context in ({"volume": "70"}, {}, {"volume": "1", "more": "x"}):
        with refused(DENIED):
            encrypt(caller, made, context)
    assert len(listed(kms, made, Limit=100)) == 71


def test_only_keys_that_are_there_get_grants(kms, bob, made):
    gone = made[:-12] + "0" * 12
    for call in (
        lambda: grant(kms, gone, bob.arn),
        lambda: kms.list_grants(KeyId=gone),
        lambda: kms.revoke_grant(KeyId=gone, GrantId="0" * 64),
    ):
        assert words_of(call) == ("NotFoundException", f"Key '{gone}' does not exist")
    for call in (
        lambda: grant(kms, "arn:aws:s3:::bucket", bob.arn),
        lambda: kms.list_grants(KeyId="arn:aws:s3:::bucket"),
        lambda: kms.revoke_grant(KeyId="arn:aws:s3:::bucket", GrantId="0" * 64),
        lambda: kms.retire_grant(KeyId="arn:aws:s3:::bucket", GrantId="0" * 64),
    ):
        assert code_of(call) == "InvalidArnException"
    name = f"alias/{fresh()}"
    kms.create_alias(AliasName=name, TargetKeyId=made)
    assert words_of(lambda: grant(kms, name, bob.arn)) == ("NotFoundException", f"Invalid keyId {name}")
