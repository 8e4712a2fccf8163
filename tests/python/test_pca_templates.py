"""ACM-PCA: every certificate template, and who decides what a certificate says.

The user guide ("template definitions") says of each what it fixes; the rest comes from the call where the template's
name has API in it, else from the request where it has CSR in it ("template order of operations").
"""

import base64
import dataclasses
import ipaddress

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from cryptography.x509.oid import ExtensionOID, NameOID, ObjectIdentifier

import authorities
from authorities import ROOT_TEMPLATE, TEMPLATES, csr_of, issue, parse, request
from refusals import refused

OURS = "1.3.6.1.4.1.55555"
FROM_CALL, FROM_REQUEST = ObjectIdentifier(f"{OURS}.2"), ObjectIdentifier(f"{OURS}.3")
UTF8 = b"\x0c\x02hi"
VARIETIES = ["", "_APIPassthrough", "_CSRPassthrough", "_APICSRPassthrough"]


@dataclasses.dataclass(frozen=True)
class Body:
    """What a template fixes; an empty tuple is left to others."""

    usage: tuple = ()
    purposes: tuple = ()
    ca: bool = False
    path_length: int | None = None
    constraints_critical: bool = False
    purposes_critical: bool = False


SIGNING, ISSUING = ("digital_signature",), ("digital_signature", "key_cert_sign", "crl_sign")


def authority(usage, path_length=None):
    return Body(usage, ca=True, path_length=path_length, constraints_critical=True)


END_ENTITIES = {
    "EndEntityCertificate": Body(SIGNING, (Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH)),
    "EndEntityClientAuthCertificate": Body(SIGNING, (Purpose.CLIENT_AUTH,)),
    "EndEntityServerAuthCertificate": Body(SIGNING, (Purpose.SERVER_AUTH,)),
    "CodeSigningCertificate": Body(SIGNING, (Purpose.CODE_SIGNING,), purposes_critical=True),
    "OCSPSigningCertificate": Body(SIGNING, (Purpose.OCSP_SIGNING,), purposes_critical=True),
}
SUBORDINATES = {f"SubordinateCACertificate_PathLen{n}": authority(ISSUING, n) for n in range(4)}
BLANK = {
    "BlankEndEntityCertificate": Body(),
    "BlankEndEntityCertificate_CriticalBasicConstraints": Body(constraints_critical=True),
    **{f"BlankSubordinateCACertificate_PathLen{n}": authority((), n) for n in range(4)},
}
ROOTS = {
    "RootCACertificate": authority(ISSUING),
    "RootCACertificate_APIPassthrough": authority(ISSUING),
    "BlankRootCACertificate_APIPassthrough": authority(()),
    **{f"BlankRootCACertificate_PathLen{n}_APIPassthrough": authority((), n) for n in range(4)},
}

ISSUED = [(name, body, variety) for name, body in (END_ENTITIES | SUBORDINATES).items() for variety in VARIETIES]
ISSUED += [(name, body, variety) for name, body in BLANK.items() for variety in VARIETIES[1:]]


def usage(*names):
    every = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
        "encipher_only decipher_only"
    )
    return x509.KeyUsage(**{name: name in names for name in every.split()})


def said_by_the_call(ca):
    """Every member of ApiPassthrough."""
    extensions = {
        "KeyUsage": {"DigitalSignature": True, "KeyCertSign" if ca else "NonRepudiation": True},
        "ExtendedKeyUsage": [
            {"ExtendedKeyUsageType": "EMAIL_PROTECTION"},
            {"ExtendedKeyUsageObjectIdentifier": f"{OURS}.1"},
        ],
        "SubjectAlternativeNames": [{"DnsName": "call.example.internal"}],
        "CertificatePolicies": [
            {
                "CertPolicyId": f"{OURS}.4",
                "PolicyQualifiers": [
                    {"PolicyQualifierId": "CPS", "Qualifier": {"CpsUri": "https://cps.example.internal/"}}
                ],
            },
            {"CertPolicyId": f"{OURS}.5"},
        ],
        "CustomExtensions": [
            {"ObjectIdentifier": FROM_CALL.dotted_string, "Value": base64.b64encode(UTF8).decode(), "Critical": False}
        ],
    }
    return {"Subject": {"CommonName": "From The Call", "Organization": "Caller"}, "Extensions": extensions}


def said_by_the_request(ca):
    bits = ("key_cert_sign", "crl_sign") if ca else ("digital_signature", "key_agreement")
    # That it wants to be the opposite of what the template makes of it changes nothing.
    constraints = x509.BasicConstraints(ca=not ca, path_length=None)
    return request(
        "from.request.internal",
        alternatives=["request.example.internal"],
        extensions=[
            (constraints, True),
            (usage(*bits), True),
            (x509.ExtendedKeyUsage([Purpose.IPSEC_IKE]), False),
            (x509.UnrecognizedExtension(FROM_REQUEST, UTF8), False),
        ],
    )[0]


def names_of(certificate):
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)


def common_name(certificate):
    return certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def value(certificate, oid):
    """What the extension says; None where it is not there."""
    try:
        return certificate.extensions.get_extension_for_oid(oid).value
    except x509.ExtensionNotFound:
        return None


def check_body(certificate, body):
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical is body.constraints_critical
    assert (constraints.value.ca, constraints.value.path_length) == (body.ca, body.path_length)
    assert value(certificate, ExtensionOID.SUBJECT_KEY_IDENTIFIER) is not None
    assert value(certificate, ExtensionOID.AUTHORITY_KEY_IDENTIFIER) is not None
    if body.usage:
        found = certificate.extensions.get_extension_for_class(x509.KeyUsage)
        assert found.critical and found.value == usage(*body.usage)
    if body.purposes:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        assert found.critical is body.purposes_critical
        assert tuple(found.value) == body.purposes


def check_sources(certificate, body, api, csr):
    """That what the template leaves open comes from the call before the request, and from nowhere else."""
    assert common_name(certificate) == ("From The Call" if api else "from.request.internal")
    assert names_of(certificate) == ["call.example.internal" if api else "request.example.internal"]
    if not body.usage:
        by_call = usage("digital_signature", "key_cert_sign" if body.ca else "content_commitment")
        by_request = usage(*(("key_cert_sign", "crl_sign") if body.ca else ("digital_signature", "key_agreement")))
        assert value(certificate, ExtensionOID.KEY_USAGE) == (by_call if api else by_request if csr else None)
    if not body.purposes:
        by_call = [Purpose.EMAIL_PROTECTION, ObjectIdentifier(f"{OURS}.1")]
        expected = by_call if api else [Purpose.IPSEC_IKE] if csr else None
        found = value(certificate, ExtensionOID.EXTENDED_KEY_USAGE)
        assert (found and list(found)) == expected
    policies = value(certificate, ExtensionOID.CERTIFICATE_POLICIES)
    expected = [(f"{OURS}.4", ["https://cps.example.internal/"]), (f"{OURS}.5", None)] if api else None
    assert (policies and [(p.policy_identifier.dotted_string, p.policy_qualifiers) for p in policies]) == expected
    for oid, wanted in ((FROM_CALL, api), (FROM_REQUEST, csr)):
        found = value(certificate, oid)
        assert (found and found.value) == (UTF8 if wanted else None)


@pytest.mark.parametrize(("name", "body", "variety"), ISSUED, ids=[n + v for n, _, v in ISSUED])
def test_a_template_decides_before_the_call_and_the_call_before_the_request(pca, root, name, body, variety):
    api, csr = "API" in variety, "CSR" in variety
    _, answer = issue(
        pca,
        root,
        said_by_the_request(body.ca),
        f"{TEMPLATES}{name}{variety}/V1",
        ApiPassthrough=said_by_the_call(body.ca),
    )
    certificate = parse(answer["Certificate"])
    check_body(certificate, body)
    check_sources(certificate, body, api, csr)
    certificate.verify_directly_issued_by(parse(answer["CertificateChain"]))


@pytest.mark.parametrize("name", ROOTS)
def test_a_root_signs_itself_by_each_root_template(pca, name):
    body = ROOTS[name]
    arn = authorities.create(pca, "From Creation")
    api = "API" in name
    more = {"ApiPassthrough": said_by_the_call(ca=True)} if api else {}
    _, answer = issue(pca, arn, csr_of(pca, arn), f"{TEMPLATES}{name}/V1", **more)
    assert "CertificateChain" not in answer
    certificate = parse(answer["Certificate"])
    check_body(certificate, body)
    certificate.verify_directly_issued_by(certificate)
    assert common_name(certificate) == ("From The Call" if api else "From Creation")
    pca.import_certificate_authority_certificate(
        CertificateAuthorityArn=arn, Certificate=answer["Certificate"].encode()
    )
    described = pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]
    assert described["Status"] == "ACTIVE"


@pytest.mark.parametrize(
    "name",
    [
        "BlankEndEntityCertificate",
        "BlankSubordinateCACertificate_PathLen0",
        "BlankRootCACertificate",
        "BlankRootCACertificate_CSRPassthrough",
        "BlankRootCACertificate_APICSRPassthrough",
        "RootCACertificate_CSRPassthrough",
        "RootCACertificate_APICSRPassthrough",
        "SubordinateCACertificate_PathLen4",
        "SubordinateCACertificate",
    ],
)
def test_there_are_no_other_templates(pca, root, name):
    with refused("InvalidArgsException", "template"):
        issue(pca, root, request()[0], f"{TEMPLATES}{name}/V1")


def blank(pca, issuer, extensions, subject=None, template="BlankEndEntityCertificate_APIPassthrough"):
    """A certificate with what the call says alone."""
    passthrough = {"Extensions": extensions} | ({"Subject": subject} if subject else {})
    _, answer = issue(pca, issuer, request()[0], f"{TEMPLATES}{template}/V1", ApiPassthrough=passthrough)
    return parse(answer["Certificate"])


NAMES = {
    "Rfc822Name": ("who@example.internal", x509.RFC822Name("who@example.internal")),
    "DnsName": ("*.example.internal", x509.DNSName("*.example.internal")),
    "UniformResourceIdentifier": ("spiffe://example.internal/who", None),
    "IpAddress": ("192.0.2.7", x509.IPAddress(ipaddress.ip_address("192.0.2.7"))),
    "IpAddress of version 6": ("2001:db8::7", x509.IPAddress(ipaddress.ip_address("2001:db8::7"))),
    "RegisteredId": (f"{OURS}.6", x509.RegisteredID(ObjectIdentifier(f"{OURS}.6"))),
    "DirectoryName": (
        {"Country": "NL", "CommonName": "who"},
        x509.DirectoryName(
            x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "NL"), x509.NameAttribute(NameOID.COMMON_NAME, "who")])
        ),
    ),
    # Microsoft's user principal name: a UTF8String.
    "OtherName": (
        {"TypeId": "1.3.6.1.4.1.311.20.2.3", "Value": "who@example.internal"},
        x509.OtherName(ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x14who@example.internal"),
    ),
}


@pytest.mark.parametrize("kind", NAMES)
def test_every_kind_of_alternative_name(pca, root, kind):
    given, expected = NAMES[kind]
    expected = expected or x509.UniformResourceIdentifier(given)
    certificate = blank(pca, root, {"SubjectAlternativeNames": [{kind.split(" ")[0]: given}]})
    assert list(value(certificate, ExtensionOID.SUBJECT_ALTERNATIVE_NAME)) == [expected]


def test_an_edi_party_is_a_name_too(pca, root):
    # Python's cryptography reads none; RFC 5280 appendix A.2 has the bytes.
    party = {"NameAssigner": "who", "PartyName": "what"}
    passthrough = {"Extensions": {"SubjectAlternativeNames": [{"EdiPartyName": party}, {"DnsName": "a.internal"}]}}
    _, answer = issue(
        pca,
        root,
        request()[0],
        f"{TEMPLATES}EndEntityCertificate_APIPassthrough/V1",
        ApiPassthrough=passthrough,
    )
    der = base64.b64decode("".join(answer["Certificate"].split("\n")[1:-1]))
    assert b"\xa5\x0f\xa0\x05\x0c\x03who\xa1\x06\x0c\x04what\x82\x0aa.internal" in der


@pytest.mark.parametrize(
    "name",
    [
        {},
        {"DnsName": "a.internal", "IpAddress": "192.0.2.7"},
        {"IpAddress": "192.0.2.300"},
        {"EdiPartyName": {"PartyName": ""}},
        {"DnsName": "under_score.internal"},
        {"UniformResourceIdentifier": "no-scheme"},
        {"RegisteredId": f"1.2.{2**70}"},
    ],
)
def test_a_name_that_is_none_or_two_is_refused(pca, root, name):
    with refused("InvalidArgsException"):
        blank(pca, root, {"SubjectAlternativeNames": [name]})


def test_a_purpose_is_named_in_one_way(pca, root):
    for purpose in ({}, {"ExtendedKeyUsageType": "CLIENT_AUTH", "ExtendedKeyUsageObjectIdentifier": f"{OURS}.1"}):
        with refused("InvalidArgsException"):
            blank(pca, root, {"ExtendedKeyUsage": [purpose]})


def test_every_purpose_and_every_usage(pca, root):
    purposes = {
        "SERVER_AUTH": "1.3.6.1.5.5.7.3.1",
        "CLIENT_AUTH": "1.3.6.1.5.5.7.3.2",
        "CODE_SIGNING": "1.3.6.1.5.5.7.3.3",
        "EMAIL_PROTECTION": "1.3.6.1.5.5.7.3.4",
        "TIME_STAMPING": "1.3.6.1.5.5.7.3.8",
        "OCSP_SIGNING": "1.3.6.1.5.5.7.3.9",
        "SMART_CARD_LOGIN": "1.3.6.1.4.1.311.20.2.2",
        "DOCUMENT_SIGNING": "1.3.6.1.4.1.311.10.3.12",
        "CERTIFICATE_TRANSPARENCY": "1.3.6.1.4.1.11129.2.4.4",
    }
    for name, dotted in purposes.items():
        certificate = blank(pca, root, {"ExtendedKeyUsage": [{"ExtendedKeyUsageType": name}]})
        found = list(value(certificate, ExtensionOID.EXTENDED_KEY_USAGE))
        assert [oid.dotted_string for oid in found] == [dotted], name
    agreeing = {"DigitalSignature": True, "NonRepudiation": True, "KeyAgreement": True, "DecipherOnly": True}
    certificate = blank(pca, root, {"KeyUsage": agreeing})
    expected = usage("digital_signature", "content_commitment", "key_agreement", "decipher_only")
    assert value(certificate, ExtensionOID.KEY_USAGE) == expected


def test_a_subject_of_custom_attributes_in_their_order(pca, root):
    attributes = [
        (NameOID.DOMAIN_COMPONENT, "internal"),
        (NameOID.COMMON_NAME, "Bücher"),
        (ObjectIdentifier(f"{OURS}.7"), "ours"),
        (NameOID.USER_ID, "u1"),
    ]
    custom = [{"ObjectIdentifier": oid.dotted_string, "Value": text} for oid, text in attributes]
    certificate = blank(pca, root, {}, {"CustomAttributes": custom})
    assert [(a.oid, a.value) for a in certificate.subject] == attributes
    with refused("InvalidArgsException"):
        blank(pca, root, {}, {"CustomAttributes": custom, "CommonName": "x"})


def test_name_constraints_limit_a_subordinate(pca, root):
    """The user guide's example of a custom extension: a subordinate that may name one domain alone."""
    constraints = x509.NameConstraints([x509.DNSName("example.internal")], [x509.DNSName("not.example.internal")])
    custom = {
        "ObjectIdentifier": "2.5.29.30",
        "Value": base64.b64encode(constraints.public_bytes()).decode(),
        "Critical": True,
    }
    arn = authorities.create(pca, "Constrained", kind="SUBORDINATE")
    _, answer = issue(
        pca,
        root,
        csr_of(pca, arn),
        f"{TEMPLATES}SubordinateCACertificate_PathLen0_APIPassthrough/V1",
        ApiPassthrough={"Extensions": {"CustomExtensions": [custom]}},
    )
    found = parse(answer["Certificate"]).extensions.get_extension_for_class(x509.NameConstraints)
    assert found.critical and found.value == constraints
    pca.import_certificate_authority_certificate(
        CertificateAuthorityArn=arn,
        Certificate=answer["Certificate"].encode(),
        CertificateChain=answer["CertificateChain"].encode(),
    )
    issue(pca, arn, request()[0], validity=("DAYS", 7))


def test_a_custom_extension_must_be_base64(pca, root):
    for value in ("!", "AAA"):
        custom = {"ObjectIdentifier": FROM_CALL.dotted_string, "Value": value}
        with refused("ValidationException", "customExtensions.1.member.value"):
            blank(pca, root, {"CustomExtensions": [custom]})


def test_what_is_passed_through_without_such_a_template_is_ignored(pca, root):
    """IssueCertificate, "ApiPassthrough": "... or else this parameter is ignored"."""
    _, answer = issue(pca, root, request("as.requested.internal")[0], ApiPassthrough=said_by_the_call(ca=False))
    assert common_name(parse(answer["Certificate"])) == "as.requested.internal"


def test_a_request_without_any_name_is_refused(pca, root):
    key = authorities.new_key()
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    nameless = csr.sign(key, authorities.hashes.SHA256()).public_bytes(authorities.serialization.Encoding.PEM)
    with refused("MalformedCSRException"):
        issue(pca, root, nameless)
    template = f"{TEMPLATES}EndEntityCertificate_APIPassthrough/V1"
    passthrough = {"Extensions": {"SubjectAlternativeNames": [{"DnsName": "only.example.internal"}]}}
    _, answer = issue(pca, root, nameless, template, ApiPassthrough=passthrough)
    names = parse(answer["Certificate"]).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    # RFC 5280 section 4.2.1.6: critical where no subject names the holder.
    assert names.critical


def test_a_root_template_signs_for_nobody_else(pca, root):
    for template in (ROOT_TEMPLATE, f"{TEMPLATES}BlankRootCACertificate_APIPassthrough/V1"):
        with refused("InvalidArgsException"):
            issue(pca, root, request()[0], template)
