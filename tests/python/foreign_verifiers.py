"""Programs that are not ours look at certificates that Keystead issued. Each verifier takes cases and yields what
it finds, as (case, complaint); what it can't judge at all it passes over, and says so in `KNOWS`."""

import base64
import concurrent.futures
import datetime
import functools
import json
import os
import pathlib
import subprocess
import sys
import time

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification
from pkilint import document, loader, pkix
from pkilint.pkix import algorithm, certificate, extension, key, name
from pkilint.pkix.certificate import certificate_extension, certificate_key
from pkilint.validation import ValidationFindingSeverity, ValidatorContainer
from pyasn1_alt_modules import rfc5280

ROOT = pathlib.Path(__file__).parents[2]
# Compilers on a busy machine.
BUILD_SECONDS = 900
RUN_SECONDS = 300

# What the keys of a chain may be for some verifiers: Debian's OpenSSL 3.0 and GnuTLS 3.7 have no ML-DSA, and Python's
# cryptography verifies chains of RSA and elliptic curves. pkilint lints all; Go and rustls-webpki verify all.
CLASSIC = ("RSA", "EC")
PURPOSES = {"server": "1.3.6.1.5.5.7.3.1", "client": "1.3.6.1.5.5.7.3.2"}


class Case:
    """One certificate, the authorities above it, and what it is for."""

    def __init__(self, folder, number, leaf, chain, said, dns=None, ca=False):
        self.leaf, self.chain = x509.load_pem_x509_certificate(leaf), x509.load_pem_x509_certificates(chain)
        self.path = folder / f"{number}.pem"
        self.path.write_bytes(leaf.rstrip() + b"\n" + chain)
        self.number, self.said, self.ca = number, said, ca
        self.keys = said["authorities"]
        self.purposes = purposes(self.leaf)
        self.purpose = next((name for name in ("server", "client") if PURPOSES[name] in self.purposes), "any")
        self.dns = dns if self.purpose == "server" else None

    def classic(self):
        return all(key.startswith(CLASSIC) for key in self.keys) and not self.said["key"].startswith("ML")

    def der(self):
        return [c.public_bytes(Encoding.DER) for c in [self.leaf, *self.chain]]

    def __repr__(self):
        return f"case {self.number}: {json.dumps(self.said, default=repr, ensure_ascii=False)}"


def purposes(leaf):
    """The purposes of extKeyUsage, dotted; none where it is not there."""
    try:
        return [p.dotted_string for p in leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value]
    except x509.ExtensionNotFound:
        return []


# --- pkilint


@functools.cache
def _pkix():
    decoders = certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS)
    parts = [
        certificate.create_issuer_validator_container([]),
        certificate.create_validity_validator_container(),
        certificate.create_subject_validator_container([]),
        certificate.create_extensions_validator_container([]),
        certificate.create_spki_validator_container([]),
    ]
    return certificate.create_pkix_certificate_validator_container(decoders, parts)


@functools.cache
def _pair():
    """pkilint's judgement of an issuer and what it signed: (of each, of the issuer, of the subject)."""
    decoders = [
        pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
        pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        pkix.create_signature_algorithm_identifier_decoder(
            algorithm.SIGNATURE_ALGORITHM_IDENTIFIER_MAPPINGS, path="certificate.tbsCertificate.signature"
        ),
        certificate.create_spki_decoder(
            key.SUBJECT_PUBLIC_KEY_ALGORITHM_IDENTIFIER_MAPPINGS,
            key.SUBJECT_KEY_PARAMETER_ALGORITHM_IDENTIFIER_MAPPINGS,
        ),
    ]
    of_issuer = [
        name.IssuerSubjectNameBinaryEqualValidator(
            path="certificate.tbsCertificate.subject",
            subject_document_issuer_dn_path="subject:certificate.tbsCertificate.issuer",
        ),
        extension.IssuerSubjectKeyIdentifierBinaryEqualValidator(
            subject_auth_key_id_retriever=lambda node: document.get_document_by_name(
                node, "subject"
            ).get_extension_by_oid(rfc5280.id_ce_authorityKeyIdentifier)
        ),
        certificate_extension.IssuerSubjectPolicyChainValidator(),
    ]
    of_subject = certificate_key.SubjectSignatureVerificationValidator(
        tbs_node_retriever=lambda node: node.navigate("^.tbsCertificate"), path="certificate.signature"
    )
    return (
        ValidatorContainer(validators=decoders, path="certificate"),
        ValidatorContainer(validators=of_issuer),
        ValidatorContainer(validators=[of_subject]),
    )


def pkilint(cases):
    """Every finding from NOTICE up: of each certificate alone, and of it beside its issuer."""
    read = loader.RFC5280CertificateDocumentLoader()
    for case in cases:
        ders = case.der()
        results = _pkix().validate(read.load_der_document(ders[0], "leaf", "leaf").root)
        both = {}
        issuer = both["issuer"] = read.load_der_document(ders[1], "issuer", "issuer", both)
        subject = both["subject"] = read.load_der_document(ders[0], "subject", "subject", both)
        each, of_issuer, of_subject = _pair()
        each.validate(issuer.root), each.validate(subject.root)
        results += of_issuer.validate(issuer.root) + of_subject.validate(subject.root)
        for result in results:
            for found in result.finding_descriptions:
                if found.finding.severity <= ValidationFindingSeverity.NOTICE:
                    yield case, f"{found.finding.code} {found.message or ''} at {result.node.path}"


# --- programs


def _run(*command, text=None):
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=RUN_SECONDS)


def openssl(cases):
    """All leaves of one authority and purpose in one go, strictly."""
    groups = {}
    for case in cases:
        if case.classic():
            group = (case.chain[-1], tuple(case.chain[:-1]), case.purpose)
            groups.setdefault(group, {})[str(case.path)] = case
    for (root, between, purpose), group in groups.items():
        folder = next(iter(group.values())).path.parent
        (folder / "root").write_bytes(root.public_bytes(Encoding.PEM))
        (folder / "between").write_bytes(b"".join(c.public_bytes(Encoding.PEM) for c in between))
        command = ["openssl", "verify", "-x509_strict", "-check_ss_sig", "-CAfile", folder / "root"]
        if between:
            command += ["-untrusted", folder / "between"]
        if purpose != "any":
            command += ["-purpose", f"ssl{purpose}"]
        ran = _run(*command, *group)
        for path, case in group.items():
            if f"{path}: OK\n" not in ran.stdout:
                lines = (ran.stdout + ran.stderr).splitlines()
                yield case, " ".join(line for line in lines if path in line or line.startswith("error"))


def gnutls(cases):
    def judge(case):
        root = case.path.with_suffix(".root")
        root.write_bytes(case.chain[-1].public_bytes(Encoding.PEM))
        command = ["certtool", "--verify", "--infile", case.path, "--load-ca-certificate", root]
        if case.purpose in PURPOSES:
            command += ["--verify-purpose", PURPOSES[case.purpose]]
        if case.dns:
            command += ["--verify-hostname", case.dns]
        ran = _run(*command)
        good = ran.returncode == 0 and "Chain verification output: Verified." in ran.stdout
        return None if good else ran.stdout[-400:] + ran.stderr[-400:]

    able = [case for case in cases if case.classic()]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for case, complaint in zip(able, pool.map(judge, able)):
            if complaint:
                yield case, complaint


def python(cases):
    """Python's cryptography: servers by its rules for the public web, everything else by RFC 5280's alone."""
    for case in cases:
        if not case.classic() or case.ca:
            continue
        moment = case.leaf.not_valid_before_utc + datetime.timedelta(seconds=1)
        store = verification.Store([case.chain[-1]])
        policy = verification.PolicyBuilder().store(store).time(moment)
        try:
            if case.purpose == "server" and case.dns:
                policy.build_server_verifier(x509.DNSName(case.dns)).verify(case.leaf, case.chain[:-1])
            else:
                of_ca = verification.ExtensionPolicy.webpki_defaults_ca()
                of_leaf = verification.ExtensionPolicy.permit_all()
                policy = policy.extension_policies(ca_policy=of_ca, ee_policy=of_leaf)
                policy.build_client_verifier().verify(case.leaf, case.chain[:-1])
        except (verification.VerificationError, ValueError) as error:
            yield case, str(error)


def _lines(cases):
    for case in cases:
        leaf, *between, root = (base64.b64encode(der).decode() for der in case.der())
        asked = {"root": root, "intermediates": between, "leaf": leaf, "purpose": case.purpose, "name": case.dns or ""}
        yield json.dumps(asked | {"at": int(time.time())})


def _verdicts(program, cases):
    cases = list(cases)
    ran = _run(program, text="\n".join(_lines(cases)) + "\n")
    verdicts = ran.stdout.splitlines()
    assert ran.returncode == 0 and len(verdicts) == len(cases), ran.stderr
    yield from ((case, verdict) for case, verdict in zip(cases, verdicts) if verdict != "ok")


@functools.cache
def _go_program():
    """Built once for every run of these tests; Go's standard library is all that it needs."""
    folder = ROOT / "target" / "go"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "verify"
    compiler = pathlib.Path(sys.executable).with_name("go")
    environment = os.environ | {
        "GOCACHE": str(folder / "cache"), "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0",
        "GOPROXY": "off",
    }  # fmt: skip
    command = [compiler, "build", "-C", ROOT / "tests" / "go" / "verify", "-o", program, "."]
    built = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=BUILD_SECONDS)
    assert built.returncode == 0, built.stderr
    return program


def go(cases):
    """Go's crypto/x509. It knows four kinds of alternative names, and takes an extension with none of them for unknown,
    which matters where it is critical because there is no subject."""
    known = (x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier, x509.IPAddress)

    def is_able(case):
        for found in case.leaf.extensions:
            if found.critical and isinstance(found.value, x509.SubjectAlternativeName):
                return any(isinstance(one, known) for one in found.value)
        return True

    yield from _verdicts(_go_program(), filter(is_able, cases))


@functools.cache
def _webpki_program():
    binary = pathlib.Path(os.environ["KEYSTEAD_BIN"]).parent / "examples" / "webpki"
    command = ["cargo", "build", "--quiet", "--locked", "--package", "keystead-crypto", "--example", "webpki"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BUILD_SECONDS)
    assert built.returncode == 0, built.stderr
    return binary


def webpki(cases):
    """rustls-webpki, which is for the leaves of TLS alone."""
    able = [case for case in cases if not case.ca and (case.purpose != "any" or not case.purposes)]
    yield from _verdicts(_webpki_program(), able)


ALL = {f.__name__: f for f in (pkilint, openssl, gnutls, python, go, webpki)}
