"""The resources of Roles Anywhere: trust anchors, profiles, revocation lists, attribute mappings, tags."""

import datetime
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

import authorities
import refusals
from iam_helpers import document, trust
from server import ACCOUNT, REGION

NOBODY = "00000000-0000-4000-8000-000000000000"
ARNS = f"arn:aws:rolesanywhere:{REGION}:{ACCOUNT}:"
STATUS = {"AccessDeniedException": 403, "ResourceNotFoundException": 404}


def refused(code, call, text=None, **arguments):
    with refusals.refused(code, text, STATUS.get(code, 400)):
        call(**arguments)


def certificate(key, name="A CA of our own", ca=True, signs=True):
    usage = x509.KeyUsage(True, False, False, False, False, signs, True, False, False)
    return authorities.self_signed(key, name, usages=[(x509.BasicConstraints(ca, None), True), (usage, True)]).decode()


def bundle(pem):
    return {"sourceType": "CERTIFICATE_BUNDLE", "sourceData": {"x509CertificateData": pem}}


def revoking(key, *serials, name="A CA of our own", signer=None):
    """A revocation list in PEM."""
    at = datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateRevocationListBuilder().issuer_name(subject).last_update(at)
    builder = builder.next_update(at + datetime.timedelta(days=1))
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
        builder = builder.add_revoked_certificate(revoked)
    return builder.sign(signer or key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def key():
    return authorities.new_key()


@pytest.fixture
def anchor(rolesanywhere, key, name):
    return rolesanywhere.create_trust_anchor(name=name, source=bundle(certificate(key)))["trustAnchor"]


@pytest.fixture
def profile(rolesanywhere, name):
    return rolesanywhere.create_profile(name=name, roleArns=[])["profile"]


def test_a_trust_anchor_of_a_bundle(rolesanywhere, key, name):
    pem = certificate(key)
    answer = rolesanywhere.create_trust_anchor(
        name=name, source=bundle(pem), enabled=True, tags=[{"key": "Team", "value": "blue"}]
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    made = answer["trustAnchor"]
    identifier = made["trustAnchorId"]
    assert made["trustAnchorArn"] == f"{ARNS}trust-anchor/{identifier}"
    assert made["name"] == name and made["enabled"] is True and made["source"] == bundle(pem)
    assert made["crlDpRevocationEnabled"] is False and made["createdAt"] == made["updatedAt"]
    for by in (identifier, made["trustAnchorArn"]):
        assert rolesanywhere.get_trust_anchor(trustAnchorId=by)["trustAnchor"] == made
    assert made in rolesanywhere.list_trust_anchors()["trustAnchors"]
    changed = rolesanywhere.update_trust_anchor(trustAnchorId=identifier, name="Another")["trustAnchor"]
    assert changed["name"] == "Another" and changed["source"] == bundle(pem)
    disabled = rolesanywhere.disable_trust_anchor(trustAnchorId=identifier)["trustAnchor"]
    assert disabled["enabled"] is False and disabled["updatedAt"] >= made["updatedAt"]
    assert rolesanywhere.enable_trust_anchor(trustAnchorId=identifier)["trustAnchor"]["enabled"] is True
    assert rolesanywhere.delete_trust_anchor(trustAnchorId=identifier)["trustAnchor"]["name"] == "Another"
    refused("ResourceNotFoundException", rolesanywhere.get_trust_anchor, trustAnchorId=identifier)


def test_a_trust_anchor_of_a_private_ca(rolesanywhere, root, name):
    source = {"sourceType": "AWS_ACM_PCA", "sourceData": {"acmPcaArn": root}}
    made = rolesanywhere.create_trust_anchor(name=name, source=source)["trustAnchor"]
    assert made["source"] == source and made["enabled"] is False


def test_sources_that_are_none(rolesanywhere, pending, key, name):
    three = "".join(certificate(key, f"CA {number}") for number in range(3))
    for source, text in [
        (bundle("nonsense"), "certificate data is not valid"),
        (bundle(certificate(key, ca=False)), "Incorrect basic constraints for CA certificate"),
        (bundle(certificate(key, signs=False)), "Incorrect key usage for CA certificate"),
        (bundle(three), "at most 2"),
        ({"sourceType": "AWS_ACM_PCA", "sourceData": {"acmPcaArn": authorities.NEVER_EXISTED}}, "Could not find"),
        ({"sourceType": "AWS_ACM_PCA", "sourceData": {"acmPcaArn": pending}}, None),
        ({"sourceType": "AWS_ACM_PCA", "sourceData": {"x509CertificateData": certificate(key)}}, "expected AWS_ACM_PCA"),
        ({"sourceType": "SELF_SIGNED_REPOSITORY"}, "is not served"),
        ({}, "The source is not valid"),
    ]:
        refused("ValidationException", rolesanywhere.create_trust_anchor, text, name=name, source=source)
    source = bundle(certificate(key))
    setting = {"enabled": True, "event": "CA_CERTIFICATE_EXPIRY", "threshold": 30}
    for more in ({"crlDpRevocationEnabled": True}, {"notificationSettings": [setting]}):
        refused("ValidationException", rolesanywhere.create_trust_anchor, name=name, source=source, **more)


def test_a_profile(rolesanywhere, iam, name):
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust())["Role"]["Arn"]
    made = rolesanywhere.create_profile(
        name=name, roleArns=[role], sessionPolicy=document(), managedPolicyArns=["arn:aws:iam::aws:policy/ReadOnlyAccess"]
    )["profile"]
    identifier = made["profileId"]
    assert made["profileArn"] == f"{ARNS}profile/{identifier}" and made["createdBy"] == ACCOUNT
    assert made["roleArns"] == [role] and made["sessionPolicy"] == document()
    assert made["durationSeconds"] == 3600 and made["enabled"] is False
    assert made["acceptRoleSessionName"] is False and made["requireInstanceProperties"] is False
    mapped = {entry["certificateField"]: {r["specifier"] for r in entry["mappingRules"]} for entry in made["attributeMappings"]}
    assert mapped == {"x509Subject": {"*"}, "x509Issuer": {"*"}, "x509SAN": {"DNS", "URI", "Name/*"}}
    assert rolesanywhere.get_profile(profileId=made["profileArn"])["profile"] == made
    assert made in rolesanywhere.list_profiles()["profiles"]
    changed = rolesanywhere.update_profile(profileId=identifier, durationSeconds=900, acceptRoleSessionName=True)["profile"]
    assert (changed["durationSeconds"], changed["acceptRoleSessionName"]) == (900, True)
    assert changed["roleArns"] == [role] and changed["sessionPolicy"] == document()
    assert rolesanywhere.enable_profile(profileId=identifier)["profile"]["enabled"] is True
    assert rolesanywhere.disable_profile(profileId=identifier)["profile"]["enabled"] is False
    rolesanywhere.delete_profile(profileId=identifier)
    refused("ResourceNotFoundException", rolesanywhere.delete_profile, profileId=identifier)


def test_profiles_that_are_none(server, rolesanywhere, name):
    foreign = "arn:aws:iam::210987654321:role/x"
    for more in ({"roleArns": [foreign]}, {"roleArns": [], "sessionPolicy": "{"}):
        refused("ValidationException", rolesanywhere.create_profile, name=name, **more)
    text = "Value '1' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"
    unchecked = server.client("rolesanywhere", parameter_validation=False)
    refused("ValidationException", unchecked.create_profile, text, name=name, roleArns=[], durationSeconds=1)


def test_attribute_mappings(rolesanywhere, profile):
    identifier = profile["profileId"]
    rules = [{"specifier": "CN"}, {"specifier": "1.2.3.4"}]
    put = rolesanywhere.put_attribute_mapping(profileId=identifier, certificateField="x509Subject", mappingRules=rules)
    mapped = {entry["certificateField"]: entry["mappingRules"] for entry in put["profile"]["attributeMappings"]}
    assert sorted(rule["specifier"] for rule in mapped["x509Subject"]) == ["1.2.3.4", "CN"] and len(mapped) == 3
    left = rolesanywhere.delete_attribute_mapping(profileId=identifier, certificateField="x509Subject", specifiers=["CN"])
    mapped = {entry["certificateField"]: entry["mappingRules"] for entry in left["profile"]["attributeMappings"]}
    assert mapped["x509Subject"] == [{"specifier": "1.2.3.4"}]
    left = rolesanywhere.delete_attribute_mapping(profileId=identifier, certificateField="x509Issuer")["profile"]
    assert {entry["certificateField"] for entry in left["attributeMappings"]} == {"x509Subject", "x509SAN"}
    call = rolesanywhere.delete_attribute_mapping
    refused("ResourceNotFoundException", call, profileId=identifier, certificateField="x509Subject", specifiers=["OU"])
    call = rolesanywhere.put_attribute_mapping
    rules = [{"specifier": "Nonsense"}]
    refused("ValidationException", call, profileId=identifier, certificateField="x509SAN", mappingRules=rules)


def test_revocation_lists(rolesanywhere, anchor, key, name):
    arn = anchor["trustAnchorArn"]
    data = revoking(key, 7)
    made = rolesanywhere.import_crl(name=name, crlData=data, trustAnchorArn=arn, enabled=True)["crl"]
    identifier = made["crlId"]
    assert made["crlArn"] == f"{ARNS}crl/{identifier}" and made["trustAnchorArn"] == arn
    assert made["crlData"] == data and made["enabled"] is True
    assert rolesanywhere.get_crl(crlId=identifier)["crl"] == made
    assert made in rolesanywhere.list_crls()["crls"]
    newer = revoking(key, 7, 8)
    assert rolesanywhere.update_crl(crlId=identifier, crlData=newer)["crl"]["crlData"] == newer
    assert rolesanywhere.disable_crl(crlId=identifier)["crl"]["enabled"] is False
    assert rolesanywhere.enable_crl(crlId=identifier)["crl"]["enabled"] is True
    stranger = authorities.new_key()
    for bad in (b"nonsense", revoking(key, 7, signer=stranger)):
        refused("ValidationException", rolesanywhere.update_crl, crlId=identifier, crlData=bad)
        refused("ValidationException", rolesanywhere.import_crl, name=name, crlData=bad, trustAnchorArn=arn)
    # Of an authority below the anchor's, which only a chain would show.
    below = revoking(stranger, 9, name="Another")
    rolesanywhere.import_crl(name=name, crlData=below, trustAnchorArn=arn)
    refused("ValidationException", rolesanywhere.import_crl, "quota", name=name, crlData=below, trustAnchorArn=arn)
    assert rolesanywhere.delete_crl(crlId=identifier)["crl"]["crlId"] == identifier
    refused("ResourceNotFoundException", rolesanywhere.get_crl, crlId=identifier)
    rolesanywhere.import_crl(name=name, crlData=below, trustAnchorArn=arn)
    gone = f"{ARNS}trust-anchor/{NOBODY}"
    refused("ResourceNotFoundException", rolesanywhere.import_crl, name=name, crlData=data, trustAnchorArn=gone)


def test_aliases(rolesanywhere, name):
    def make(alias):
        return rolesanywhere.create_profile(name=name, roleArns=[], aliasName=alias)["profile"]

    first, other = make(name), make(f"{name}/other")
    assert first["aliasName"] == name and first["aliasArn"] == f"{ARNS}alias/profile/{name}"
    assert rolesanywhere.get_profile(profileId=first["aliasArn"])["profile"] == first
    assert rolesanywhere.get_profile(profileId=other["aliasArn"])["profile"] == other
    refused("ValidationException", make, alias=name)
    refused("ValidationException", make, alias="aws/mine")
    refused("ValidationException", make, "regular expression", alias="two//slashes")
    call = rolesanywhere.update_profile
    refused("ValidationException", call, profileId=other["profileId"], aliasName=name)
    changed = call(profileId=first["profileId"], aliasName=f"{name}-2")["profile"]
    assert (changed["aliasName"], changed["previousAliasName"]) == (f"{name}-2", name)
    refused("ResourceNotFoundException", rolesanywhere.get_profile, profileId=first["aliasArn"])
    assert call(profileId=other["profileId"], aliasName=name)["profile"]["aliasName"] == name
    removed = call(profileId=first["profileId"], aliasName="")["profile"]
    assert "aliasName" not in removed and removed["previousAliasName"] == f"{name}-2"
    rolesanywhere.delete_profile(profileId=f"{ARNS}alias/profile/{name}")
    assert make(name)["aliasName"] == name


def test_tags(rolesanywhere, anchor, profile, key, name):
    crl = rolesanywhere.import_crl(name=name, crlData=revoking(key), trustAnchorArn=anchor["trustAnchorArn"])["crl"]
    for arn in (anchor["trustAnchorArn"], profile["profileArn"], crl["crlArn"]):
        tags = [{"key": "Team", "value": "blue"}, {"key": "Where", "value": "here"}]
        rolesanywhere.tag_resource(resourceArn=arn, tags=tags)
        assert rolesanywhere.list_tags_for_resource(resourceArn=arn)["tags"] == tags
        rolesanywhere.untag_resource(resourceArn=arn, tagKeys=["Where", "Never"])
        assert rolesanywhere.list_tags_for_resource(resourceArn=arn)["tags"] == tags[:1]
    many = [{"key": f"k{number}", "value": ""} for number in range(51)]
    refused("TooManyTagsException", rolesanywhere.tag_resource, resourceArn=arn, tags=many)
    missing = f"{ARNS}subject/{NOBODY}"
    refused("ResourceNotFoundException", rolesanywhere.list_tags_for_resource, resourceArn=missing)
    refused("ValidationException", rolesanywhere.list_tags_for_resource, resourceArn=f"{ARNS}nonsense/{NOBODY}")


def test_listings_page(rolesanywhere, name):
    made = {rolesanywhere.create_profile(name=name, roleArns=[])["profile"]["profileId"] for _ in range(3)}
    pages = list(rolesanywhere.get_paginator("list_profiles").paginate(pageSize=1))
    assert all(len(page["profiles"]) == 1 for page in pages)
    assert made <= {page["profiles"][0]["profileId"] for page in pages}
    refused("ValidationException", rolesanywhere.list_profiles, nextToken="made-up")
    refused("ValidationException", rolesanywhere.list_profiles, pageSize=0)


def test_policies_decide(server, iam, rolesanywhere, anchor, name):
    user = iam.create_user(UserName=name)["User"]
    keys = iam.create_access_key(UserName=name)["AccessKey"]
    theirs = server.client("rolesanywhere", key_id=keys["AccessKeyId"], secret=keys["SecretAccessKey"])
    arn = anchor["trustAnchorArn"]
    text = f"User: {user['Arn']} is not authorized to perform: rolesanywhere:GetTrustAnchor on resource: {arn}"
    refused("AccessDeniedException", theirs.get_trust_anchor, text, trustAnchorId=anchor["trustAnchorId"])
    missing = {"trustAnchorId": NOBODY}
    refused("AccessDeniedException", theirs.get_trust_anchor, **missing)
    condition = {"StringEquals": {"aws:RequestTag/Team": "blue"}}
    statements = [
        {"Effect": "Allow", "Action": "rolesanywhere:GetTrustAnchor", "Resource": arn},
        {"Effect": "Allow", "Action": "rolesanywhere:TagResource", "Resource": arn, "Condition": condition},
        {"Effect": "Allow", "Action": "rolesanywhere:CreateProfile", "Resource": "*"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy)
    assert theirs.get_trust_anchor(trustAnchorId=arn)["trustAnchor"] == anchor
    theirs.tag_resource(resourceArn=arn, tags=[{"key": "Team", "value": "blue"}])
    refused("AccessDeniedException", theirs.tag_resource, resourceArn=arn, tags=[{"key": "Team", "value": "red"}])
    theirs.create_profile(name=name, roleArns=[])
    role = f"arn:aws:iam::{ACCOUNT}:role/x"
    refused("AccessDeniedException", theirs.create_profile, "iam:PassRole", name=name, roleArns=[role])


def test_what_is_of_another_region_is_not_here(server, rolesanywhere, anchor):
    elsewhere = server.client("rolesanywhere", region="eu-west-1")
    for by in (anchor["trustAnchorId"], anchor["trustAnchorArn"]):
        refused("ResourceNotFoundException", elsewhere.get_trust_anchor, trustAnchorId=by)
    stranger = anchor["trustAnchorArn"].replace(ACCOUNT, "210987654321")
    refused("AccessDeniedException", rolesanywhere.get_trust_anchor, trustAnchorId=stranger)
    with refusals.refused("ResourceNotFoundException", status=404):
        rolesanywhere.get_subject(subjectId=NOBODY)
    assert isinstance(rolesanywhere.list_subjects()["subjects"], list)
