"""CreateSession of Roles Anywhere: a certificate that is trusted becomes a role, and no other does."""

import datetime
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

import authorities
from iam_helpers import document, trust
from refusals import refused as call_refused
from server import ACCOUNT
from signing import Request, sign
from test_audit import named
from test_rolesanywhere import bundle, certificate, revoking
from workloads import Refused, Workload

ALL = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]


def trusting(condition=None, actions=ALL, service="rolesanywhere.amazonaws.com"):
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": actions}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class World:
    """A private CA as trust anchor, a role that trusts Roles Anywhere, a profile that lists it."""

    def __init__(self, server, pca, name):
        self.server, self.pca, self.name = server, pca, name
        self.iam, self.roles = server.client("iam"), server.client("rolesanywhere")
        self.ca = authorities.root(pca, f"CA of {name}")
        source = {"sourceType": "AWS_ACM_PCA", "sourceData": {"acmPcaArn": self.ca}}
        self.anchor = self.roles.create_trust_anchor(name=name, source=source, enabled=True)["trustAnchor"]
        self.role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusting())["Role"]
        self.profile = self.roles.create_profile(name=name, roleArns=[self.role["Arn"]], enabled=True)["profile"]

    @property
    def where(self):
        return {
            "profileArn": self.profile["profileArn"],
            "roleArn": self.role["Arn"],
            "trustAnchorArn": self.anchor["trustAnchorArn"],
        }

    def workload(self, key="P-256", name="workload", ca=None, **more):
        csr, key = authorities.request(name, authorities.new_key(key))
        self.issued, answer = authorities.issue(self.pca, ca or self.ca, csr, **more)
        chain = [] if ca is None else authorities.bundle(answer["CertificateChain"])
        return Workload(self.server, authorities.parse(answer["Certificate"]), key, chain)

    def caller(self, credential):
        sts = self.server.client(
            "sts",
            key_id=credential["accessKeyId"],
            secret=credential["secretAccessKey"],
            token=credential["sessionToken"],
        )
        return sts.get_caller_identity()

    def trusts(self, text):
        self.iam.update_assume_role_policy(RoleName=self.name, PolicyDocument=text)


@pytest.fixture(scope="module")
def world(server):
    return World(server, server.client("acm-pca"), "RolesAnywhereSessions")


@pytest.fixture
def own(server, name):
    """A world that a test may spoil."""
    return World(server, server.client("acm-pca"), name)


def denied(call, *arguments, text, code="AccessDeniedException", status=403, **named):
    with pytest.raises(Refused) as caught:
        call(*arguments, **named)
    assert (caught.value.code, caught.value.status) == (code, status), caught.value
    assert text in caught.value.message, caught.value


@pytest.mark.parametrize("in_query", [True, False])
@pytest.mark.parametrize("key", ["P-256", "P-384", "RSA-2048"])
def test_a_certificate_becomes_a_role(world, key, in_query):
    workload = world.workload(key)
    answer = workload.create_session(world.where, in_query=in_query, durationSeconds=900)
    (granted,) = answer["credentialSet"]
    session = f"{workload.certificate.serial_number:x}"
    session = session.zfill(len(session) + len(session) % 2)
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{world.name}/{session}"
    assert granted["assumedRoleUser"] == {"arn": arn, "assumedRoleId": f"{world.role['RoleId']}:{session}"}
    assert granted["roleArn"] == world.role["Arn"] and granted["sourceIdentity"] == "CN=workload"
    assert 0 < granted["packedPolicySize"] <= 100
    expires = datetime.datetime.fromisoformat(granted["credentials"]["expiration"].replace("Z", "+00:00"))
    left = expires - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(minutes=13) < left <= datetime.timedelta(minutes=15)
    assert world.caller(granted["credentials"])["Arn"] == arn
    subject = world.roles.get_subject(subjectId=answer["subjectArn"].rsplit("/", 1)[1])["subject"]
    assert subject["x509Subject"] == "CN=workload" and subject["subjectArn"] == answer["subjectArn"]
    newest = subject["credentials"][0]
    assert newest["serialNumber"] == str(workload.certificate.serial_number) and newest["failed"] is False
    assert authorities.parse(newest["x509CertificateData"]) == workload.certificate
    assert subject["subjectId"] in [entry["subjectId"] for entry in world.roles.list_subjects()["subjects"]]


def test_the_event_names_who_and_no_secret(world):
    workload = world.workload(name="audited")
    granted = workload.create_session(world.where)["credentialSet"][0]["credentials"]
    event = named(world.server, "CreateSession")[-1]
    assert event["eventSource"] == "rolesanywhere.amazonaws.com" and event["recipientAccountId"] == ACCOUNT
    identity = event["userIdentity"]
    assert identity["principalId"] == "CN=audited" and identity["identityProvider"] == world.anchor["trustAnchorArn"]
    assert granted["secretAccessKey"] not in json.dumps(event) and granted["sessionToken"] not in json.dumps(event)
    assert granted["accessKeyId"] in json.dumps(event)


def test_a_subordinates_certificate_comes_with_its_chain(own):
    below = authorities.subordinate(own.pca, own.ca, "Below")
    workload = own.workload(ca=below)
    assert workload.create_session(own.where)["credentialSet"]
    workload.chain = []
    denied(workload.create_session, own.where, text="Untrusted signing certificate")


def test_the_profile_says_who_names_sessions(own):
    workload = own.workload()
    denied(workload.create_session, own.where, text="Not authorized to set roleSessionName", roleSessionName="mine")
    own.roles.update_profile(profileId=own.profile["profileId"], acceptRoleSessionName=True)
    (granted,) = workload.create_session(own.where, roleSessionName="mine")["credentialSet"]
    assert granted["assumedRoleUser"]["arn"].endswith(f"assumed-role/{own.name}/mine")
    more = {"code": "ValidationException", "status": 400, "text": "at 'roleSessionName'"}
    denied(workload.create_session, own.where, roleSessionName="no blanks", **more)


def test_sessions_last_no_longer_than_profile_and_role_allow(own):
    workload = own.workload()
    granted = workload.create_session(own.where, durationSeconds=43200)["credentialSet"][0]["credentials"]
    expires = datetime.datetime.fromisoformat(granted["expiration"].replace("Z", "+00:00"))
    assert expires - datetime.datetime.now(datetime.timezone.utc) <= datetime.timedelta(hours=1)
    own.roles.update_profile(profileId=own.profile["profileId"], durationSeconds=7200)
    text = "exceeds the MaxSessionDuration"
    denied(workload.create_session, own.where, text=text, code="ValidationException", status=400)
    text = "Value '899' at 'durationSeconds'"
    more = {"code": "ValidationException", "status": 400}
    denied(workload.create_session, own.where, text=text, durationSeconds=899, **more)


def test_who_signed_is_verified(world):
    workload = world.workload()
    mismatch = {"text": "signature", "code": "InvalidSignatureException"}

    def with_body(path, headers, body):
        return path, headers, body + b" "

    def with_role(path, headers, body):
        return path.replace("role%2F", "role%2FX"), headers, body

    def with_flipped_signature(path, headers, body):
        start, digit = headers["authorization"][:-1], headers["authorization"][-1]
        return path, headers | {"authorization": start + ("0" if digit != "0" else "1")}, body

    for spoil in (with_body, with_role, with_flipped_signature):
        denied(workload.create_session, world.where, spoil=spoil, **mismatch)
    stranger = Workload(world.server, workload.certificate, authorities.new_key())
    denied(stranger.create_session, world.where, **mismatch)
    rsa = Workload(world.server, workload.certificate, authorities.new_key("RSA-2048"))
    denied(rsa.create_session, world.where, **mismatch)
    serial = {"text": "serial number", "code": "InvalidSignatureException"}
    denied(workload.create_session, world.where, serial=7, **serial)
    header = {"text": "'x-amz-x509' must be a 'SignedHeader'", "code": "InvalidSignatureException"}
    denied(workload.create_session, world.where, leave_out=["x-amz-x509"], **header)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_date_too_far_off(world, minutes):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    text = "Signature expired" if minutes < 0 else "Signature not yet current"
    denied(world.workload().create_session, world.where, at=at, text=text, code="InvalidSignatureException")


def test_an_access_key_makes_no_session(world):
    request = Request("POST", "/sessions", {"content-type": "application/json"}, json.dumps(world.where).encode())
    signed = sign(request, "rolesanywhere", world.server.host, world.server.key_id, world.server.secret)
    status, headers, _ = signed.send(world.server.host)
    assert (status, headers["x-amzn-errortype"]) == (403, "IncompleteSignatureException")
    status, headers, _ = request.send(world.server.host)
    assert (status, headers["x-amzn-errortype"]) == (403, "MissingAuthenticationTokenException")


def test_certificates_that_are_not_trusted(own, world):
    untrusted = "Untrusted signing certificate"
    denied(world.workload().create_session, own.where, text=untrusted)
    template = authorities.TEMPLATES + "SubordinateCACertificate_PathLen0/V1"
    denied(own.workload(template=template).create_session, own.where, text="certificate of an authority")


def test_trust_anchors_and_profiles_must_be_enabled(own):
    workload = own.workload()
    own.roles.disable_profile(profileId=own.profile["profileId"])
    denied(workload.create_session, own.where, text="not enabled")
    own.roles.enable_profile(profileId=own.profile["profileId"])
    own.roles.disable_trust_anchor(trustAnchorId=own.anchor["trustAnchorId"])
    denied(workload.create_session, own.where, text="not enabled")
    own.roles.enable_trust_anchor(trustAnchorId=own.anchor["trustAnchorId"])
    assert workload.create_session(own.where)["credentialSet"]
    denied(workload.create_session, own.where, region="eu-west-1", text="is not there")
    own.roles.delete_trust_anchor(trustAnchorId=own.anchor["trustAnchorId"])
    denied(workload.create_session, own.where, text="is not there")


def test_the_profile_must_list_the_role(own):
    other = own.iam.create_role(RoleName=own.name + "-other", AssumeRolePolicyDocument=trusting())["Role"]
    workload = own.workload()
    denied(workload.create_session, own.where | {"roleArn": other["Arn"]}, text="does not list the role")
    foreign = {"roleArn": "arn:aws:iam::210987654321:role/x"}
    more = {"text": "not of one account", "code": "ValidationException", "status": 400}
    denied(workload.create_session, own.where | foreign, **more)


def test_revoked_certificates(own):
    first, second = own.workload(), own.workload()
    serial = first.certificate.serial_number
    own.pca.revoke_certificate(
        CertificateAuthorityArn=own.ca, CertificateSerial=f"{serial:x}", RevocationReason="KEY_COMPROMISE"
    )
    denied(first.create_session, own.where, text="Certificate revoked")
    assert second.create_session(own.where)["credentialSet"]


def test_imported_revocation_lists(server, world, name):
    key = authorities.new_key()
    pem = certificate(key)
    anchor = world.roles.create_trust_anchor(name=name, source=bundle(pem), enabled=True)["trustAnchor"]
    where = world.where | {"trustAnchorArn": anchor["trustAnchorArn"]}
    workload = Workload(server, *issued_by(pem, key))
    assert workload.create_session(where)["credentialSet"]
    data = revoking(key, workload.certificate.serial_number)
    arn = anchor["trustAnchorArn"]
    crl = world.roles.import_crl(name=name, crlData=data, trustAnchorArn=arn, enabled=True)["crl"]
    denied(workload.create_session, where, text="Certificate revoked")
    world.roles.disable_crl(crlId=crl["crlId"])
    assert workload.create_session(where)["credentialSet"]
    world.roles.enable_crl(crlId=crl["crlId"])
    world.roles.update_crl(crlId=crl["crlId"], crlData=revoking(key, 7))
    assert workload.create_session(where)["credentialSet"]


def issued_by(pem, key, hours=(-1, 1), usage=True, critical=False, subject="leaf"):
    """A certificate of an authority of one's own, with its key."""
    authority, own_key = authorities.parse(pem), authorities.new_key()
    now = datetime.datetime.now(datetime.timezone.utc)
    common = [x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)] if subject else []
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(common))
        .issuer_name(authority.subject)
        .public_key(own_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(hours=hours[0]))
        .not_valid_after(now + datetime.timedelta(hours=hours[1]))
    )
    if usage:
        builder = builder.add_extension(x509.KeyUsage(True, *[False] * 8), True)
    if critical:
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)
    return builder.sign(key, hashes.SHA256()), own_key


def test_what_a_certificate_must_say(server, world, name):
    key = authorities.new_key()
    pem = certificate(key)
    anchor = world.roles.create_trust_anchor(name=name, source=bundle(pem), enabled=True)["trustAnchor"]
    where = world.where | {"trustAnchorArn": anchor["trustAnchorArn"]}
    for shape, text in [
        ({"hours": (-2, -1)}, "Untrusted signing certificate"),
        ({"hours": (1, 2)}, "Untrusted signing certificate"),
        ({"usage": False}, "digitalSignature"),
        ({"critical": True}, "The extension 1.2.3.4 is not served"),
        ({"subject": None}, "subject is empty"),
        ({"subject": "John (1)"}, "Some attributes failed to be mapped into session tags"),
    ]:
        denied(Workload(server, *issued_by(pem, key, **shape)).create_session, where, text=text)


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        (trusting({"StringEquals": {"aws:PrincipalTag/x509Subject/CN": "workload"}}), True),
        (trusting({"StringEquals": {"aws:PrincipalTag/x509Subject/CN": "another"}}), False),
        (trusting({"StringEquals": {"sts:SourceIdentity": "CN=workload"}}), True),
        (trusting({"StringEquals": {"aws:SourceAccount": ACCOUNT}}), True),
        (trusting({"ArnEquals": {"aws:SourceArn": "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/x"}}), False),
        (trusting({"ArnLike": {"aws:SourceArn": "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/*"}}), True),
        (trusting({"StringLike": {"aws:PrincipalTag/x509Issuer/CN": "CA of *"}}), True),
        (trusting(actions=["sts:AssumeRole"]), False),
        (trusting(actions=["sts:AssumeRole", "sts:SetSourceIdentity"]), False),
        (trust(), False),
        (trusting(service="ec2.amazonaws.com"), False),
    ],
)
def test_the_roles_trust_decides(own, policy, allowed):
    own.trusts(policy)
    workload = own.workload()
    if allowed:
        assert workload.create_session(own.where)["credentialSet"]
    else:
        denied(workload.create_session, own.where, text=f"Unable to assume role for {own.role['Arn']}")


def test_what_limits_a_session(own):
    own.iam.put_role_policy(RoleName=own.name, PolicyName="p", PolicyDocument=document(["iam:ListUsers", "iam:ListRoles"]))
    limit = document(["iam:ListUsers"])
    own.roles.update_profile(profileId=own.profile["profileId"], sessionPolicy=limit)
    granted = own.workload().create_session(own.where)["credentialSet"][0]["credentials"]
    keys = {"key_id": granted["accessKeyId"], "secret": granted["secretAccessKey"], "token": granted["sessionToken"]}
    theirs = own.server.client("iam", **keys)
    theirs.list_users()
    with call_refused("AccessDenied", "session policy", 403):
        theirs.list_roles()
