"""Revocation as relying parties see it: what certificates name, lists, OCSP, and every verifier at hand."""

import base64
import datetime
import secrets
import urllib.parse

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

import authorities
import revocation
from refusals import refused
from revocation import ask, asking, certificate_of, fetch, fetch_list, leaf, list_url, list_with, ocsp_url, publishing
from waiting import until

REASONS = {
    "UNSPECIFIED": x509.ReasonFlags.unspecified,
    "KEY_COMPROMISE": x509.ReasonFlags.key_compromise,
    "CERTIFICATE_AUTHORITY_COMPROMISE": x509.ReasonFlags.ca_compromise,
    "AFFILIATION_CHANGED": x509.ReasonFlags.affiliation_changed,
    "SUPERSEDED": x509.ReasonFlags.superseded,
    "CESSATION_OF_OPERATION": x509.ReasonFlags.cessation_of_operation,
    "PRIVILEGE_WITHDRAWN": x509.ReasonFlags.privilege_withdrawn,
    "A_A_COMPROMISE": x509.ReasonFlags.aa_compromise,
}


def now():
    return datetime.datetime.now(datetime.timezone.utc)


@pytest.fixture(scope="module")
def plain(server):
    return server.client("acm-pca")


@pytest.fixture(scope="module", params=["COMPLETE", "PARTITIONED"])
def published(plain, request):
    """A root of each kind, with a good leaf and a revoked one: (root, its certificate, good, bad)."""
    root = publishing(plain, f"Publishes {request.param}", kind=request.param)
    good, bad = leaf(plain, root), leaf(plain, root)
    revocation.revoke(plain, root, bad)
    return root, certificate_of(plain, root), good, bad


def test_certificates_name_what_is_served(server, published):
    root, _, good, bad = published
    assert list_url(good) == list_url(bad)
    assert list_url(good).startswith(server.endpoint + "/crl/")
    assert ocsp_url(good) == server.endpoint + "/ocsp"
    partitioned = not list_url(good).endswith(f"/{root.rpartition('/')[2]}.crl")
    found = list_with(list_url(bad), bad)
    points = [one for one in found.extensions if isinstance(one.value, x509.IssuingDistributionPoint)]
    if not partitioned:
        assert points == []
        return
    # RFC 5280 section 5.2.5: critical, and the very address that the certificate names.
    (point,) = points
    assert point.critical
    assert [name.value for name in point.value.full_name] == [list_url(good)]
    assert not point.value.only_contains_ca_certs and not point.value.indirect_crl


def test_a_list_is_signed_and_dated(published):
    _, issuer, good, bad = published
    found = list_with(list_url(bad), bad)
    assert found.is_signature_valid(issuer.public_key())
    assert found.issuer == issuer.subject
    assert found.next_update_utc - found.last_update_utc == datetime.timedelta(days=7)
    assert abs(found.last_update_utc - now()) < datetime.timedelta(minutes=5)
    key_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert found.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == key_id
    entry = found.get_revoked_certificate_by_serial_number(bad.serial_number)
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason == x509.ReasonFlags.key_compromise
    assert abs(entry.revocation_date_utc - now()) < datetime.timedelta(minutes=5)
    assert found.get_revoked_certificate_by_serial_number(good.serial_number) is None


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason(pca, reason):
    root = publishing(pca, f"For {reason}")
    bad = leaf(pca, root)
    revocation.revoke(pca, root, bad, reason)
    entry = list_with(list_url(bad), bad).get_revoked_certificate_by_serial_number(bad.serial_number)
    stated = [one.value.reason for one in entry.extensions if isinstance(one.value, x509.CRLReason)]
    # RFC 5280 section 5.3.1: unspecified is left out.
    assert stated == ([] if reason == "UNSPECIFIED" else [REASONS[reason]])
    answer = ask(ocsp_url(bad), asking(bad, certificate_of(pca, root)))
    assert answer.certificate_status == ocsp.OCSPCertStatus.REVOKED
    assert answer.revocation_reason == (None if reason == "UNSPECIFIED" else REASONS[reason])


def test_numbers_rise(pca):
    root = publishing(pca, "Numbers")
    numbers = []
    for _ in range(3):
        bad = leaf(pca, root)
        revocation.revoke(pca, root, bad)
        found = list_with(list_url(bad), bad)
        numbers.append(found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)
    assert numbers == sorted(set(numbers))


def test_what_may_not_be_revoked(pca):
    root = publishing(pca, "Refuses")
    bad = leaf(pca, root)
    revoke = {
        "CertificateAuthorityArn": root,
        "CertificateSerial": f"{bad.serial_number:x}",
        "RevocationReason": "SUPERSEDED",
    }
    for serial in (secrets.token_hex(16), "01", "1" * 40, "ff:" * 19 + "ff"):
        with refused("ResourceNotFoundException"):
            pca.revoke_certificate(**(revoke | {"CertificateSerial": serial}))
    for serial in ("", ":", "0x12", "12 34", "-5", "12g4"):
        with refused("InvalidRequestException"):
            pca.revoke_certificate(**(revoke | {"CertificateSerial": serial}))
    own = certificate_of(pca, root)
    with refused("InvalidRequestException"):
        pca.revoke_certificate(**(revoke | {"CertificateSerial": f"{own.serial_number:x}"}))
    # A disabled authority still revokes; a deleted one does not (user guide, "CA status").
    pca.update_certificate_authority(CertificateAuthorityArn=root, Status="DISABLED")
    pca.revoke_certificate(**revoke)
    with refused("RequestAlreadyProcessedException"):
        pca.revoke_certificate(**revoke)
    list_with(list_url(bad), bad)
    pca.delete_certificate_authority(CertificateAuthorityArn=root)
    with refused("InvalidStateException"):
        pca.revoke_certificate(**revoke)
    # Whoever meets its certificates still learns of them.
    assert ask(ocsp_url(bad), asking(bad, own)).certificate_status == ocsp.OCSPCertStatus.REVOKED
    assert fetch_list(list_url(bad)).is_signature_valid(own.public_key())


def test_serial_numbers_are_taken_as_they_are_shown(pca):
    root = publishing(pca, "Spellings")
    for spell in (str.upper, str.lower, lambda text: ":".join(text[i : i + 2] for i in range(0, len(text), 2))):
        bad = leaf(pca, root)
        pca.revoke_certificate(
            CertificateAuthorityArn=root,
            CertificateSerial=spell(f"{bad.serial_number:x}"),
            RevocationReason="SUPERSEDED",
        )
        list_with(list_url(bad), bad)


def test_addresses_are_what_the_configuration_says(pca):
    for crl, expected in (
        ({"CustomCname": "lists.example.com"}, "http://lists.example.com/crl/{id}.crl"),
        ({"CustomCname": "lists.example.com", "CustomPath": "/"}, "http://lists.example.com/{id}.crl"),
        ({"CustomCname": "lists.example.com", "CustomPath": "a/b"}, "http://lists.example.com/a/b/{id}.crl"),
    ):
        root = publishing(pca, "Addresses", crl=crl, ocsp={"OcspCustomCname": "ocsp.example.com"})
        made = leaf(pca, root)
        assert list_url(made) == expected.format(id=root.rpartition("/")[2])
        assert ocsp_url(made) == "http://ocsp.example.com"
    root = publishing(pca, "Partitions", kind="PARTITIONED", crl={"CustomCname": "l.example.com", "CustomPath": "p"})
    folder, _, file = list_url(leaf(pca, root)).rpartition("/")
    assert folder == "http://l.example.com/p" and len(file) == len("01234567-89ab-4def-8123-456789abcdef.crl")
    omitted = {"CrlDistributionPointExtensionConfiguration": {"OmitExtension": True}}
    root = publishing(pca, "Omits", crl=omitted, ocsp={"Enabled": False})
    kinds = {type(one.value) for one in leaf(pca, root).extensions}
    assert not kinds & {x509.CRLDistributionPoints, x509.AuthorityInformationAccess}


def test_nothing_is_named_where_nothing_is_published(pca, root):
    kinds = {type(one.value) for one in leaf(pca, root).extensions}
    assert not kinds & {x509.CRLDistributionPoints, x509.AuthorityInformationAccess}
    own = certificate_of(pca, publishing(pca, "A root is in no list"))
    assert not {type(one.value) for one in own.extensions} & {x509.CRLDistributionPoints}


def test_what_a_request_names_goes_before(pca):
    """Template order of operations: passthrough before the configuration of the authority."""
    point = x509.DistributionPoint([x509.UniformResourceIdentifier("http://mine.example.com/x.crl")], None, None, None)
    csr, _ = authorities.request(extensions=[(x509.CRLDistributionPoints([point]), False)])
    root = publishing(pca, "Passthrough")
    template = authorities.TEMPLATES + "BlankEndEntityCertificate_CSRPassthrough/V1"
    _, answer = authorities.issue(pca, root, csr, template)
    assert list_url(authorities.parse(answer["Certificate"])) == "http://mine.example.com/x.crl"


def test_a_change_of_name_leaves_old_partitions_alone(pca, server):
    root = publishing(pca, "Moves", kind="PARTITIONED")
    old = leaf(pca, root)
    moved = revocation.configuration("PARTITIONED", crl={"CustomCname": "moved.example.com"})
    pca.update_certificate_authority(CertificateAuthorityArn=root, RevocationConfiguration=moved)
    new = leaf(pca, root)
    assert list_url(new).startswith("http://moved.example.com/crl/")
    off = {"CrlConfiguration": {"Enabled": False}, "OcspConfiguration": {"Enabled": False}}
    pca.update_certificate_authority(CertificateAuthorityArn=root, RevocationConfiguration=off)
    # Certificates that are out there name both: they are kept up.
    revocation.revoke(pca, root, old)
    list_with(list_url(old), old)
    revocation.revoke(pca, root, new)
    path = urllib.parse.urlsplit(list_url(new)).path
    list_with(server.endpoint + path, new)


# Lists over HTTP.


def test_who_has_a_list_is_told_so(published):
    _, _, _, bad = published
    list_with(list_url(bad), bad)
    status, headers, body = fetch(list_url(bad))
    assert status == 200 and body
    assert "max-age=" in headers["cache-control"] and "public" in headers["cache-control"]
    assert headers["expires"] and headers["last-modified"]
    for sent in ({"If-None-Match": headers["etag"]}, {"If-Modified-Since": headers["last-modified"]}):
        status, again, body = fetch(list_url(bad), headers=sent)
        assert (status, body, again["etag"]) == (304, b"", headers["etag"])
    assert fetch(list_url(bad), headers={"If-None-Match": '"another"'})[0] == 200
    status, head, body = fetch(list_url(bad), "HEAD")
    assert (status, body, head["etag"]) == (200, b"", headers["etag"])


def test_other_methods_and_lists_that_are_none(server, published):
    _, _, good, _ = published
    status, headers, _ = fetch(list_url(good), "POST", b"x")
    assert status == 405 and headers["allow"] == "GET, HEAD"
    for path in ("00000000-0000-4000-8000-000000000000.crl", "x.crl", "..%2f.crl", ".crl", "A" * 5000 + ".crl"):
        assert fetch(f"{server.endpoint}/crl/{path}")[0] == 404


# OCSP.


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256()], ids=["SHA-1", "SHA-256"])
def test_what_the_responder_says(published, algorithm):
    _, issuer, good, bad = published
    for certificate, status in ((good, ocsp.OCSPCertStatus.GOOD), (bad, ocsp.OCSPCertStatus.REVOKED)):
        answer = ask(ocsp_url(certificate), asking(certificate, issuer, hash_algorithm=algorithm))
        assert answer.response_status == ocsp.OCSPResponseStatus.SUCCESSFUL
        assert (answer.certificate_status, answer.serial_number) == (status, certificate.serial_number)
        assert isinstance(answer.hash_algorithm, type(algorithm))
        assert answer.this_update_utc <= answer.produced_at_utc
        assert answer.next_update_utc - answer.this_update_utc <= datetime.timedelta(hours=1)
        (signer,) = answer.certificates
        signer.verify_directly_issued_by(issuer)
        signer.public_key().verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(hashes.SHA256()))
        assert signer.extensions.get_extension_for_class(x509.OCSPNoCheck)
        purposes = list(signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        assert purposes == [x509.oid.ExtendedKeyUsageOID.OCSP_SIGNING]
        assert signer.not_valid_after_utc - signer.not_valid_before_utc <= datetime.timedelta(days=31)


def test_a_revocation_shows_at_once(pca):
    root = publishing(pca, "At once")
    issuer = certificate_of(pca, root)
    for _ in range(5):
        one = leaf(pca, root)
        request = asking(one, issuer)
        assert ask(ocsp_url(one), request).certificate_status == ocsp.OCSPCertStatus.GOOD
        revocation.revoke(pca, root, one)
        assert ask(ocsp_url(one), request).certificate_status == ocsp.OCSPCertStatus.REVOKED


def test_a_nonce_comes_back_and_nothing_is_kept(published):
    _, issuer, good, _ = published
    for nonce in (b"1", secrets.token_bytes(16), secrets.token_bytes(32), secrets.token_bytes(128)):
        request = asking(good, issuer, nonce)
        status, headers, body = fetch(
            ocsp_url(good), "POST", request, {"Content-Type": "application/ocsp-request"}
        )
        answer = ocsp.load_der_ocsp_response(body)
        assert answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce
        assert (status, headers["cache-control"]) == (200, "no-store")


def test_an_answer_in_a_path_may_be_kept(published):
    _, issuer, good, bad = published
    for certificate in (good, bad):
        text = urllib.parse.quote(base64.b64encode(asking(certificate, issuer)), safe="")
        status, headers, body = fetch(f"{ocsp_url(certificate)}/{text}")
        assert status == 200
        assert ocsp.load_der_ocsp_response(body).serial_number == certificate.serial_number
        assert "max-age=" in headers["cache-control"] and headers["last-modified"] and headers["expires"]
        again = fetch(f"{ocsp_url(certificate)}/{text}", headers={"If-None-Match": headers["etag"]})
        assert (again[0], again[2]) == (304, b"")


def test_what_was_never_issued_is_unknown(pca, published):
    _, issuer, good, _ = published
    stranger = authorities.new_key()
    made = (
        x509.CertificateBuilder()
        .subject_name(good.subject).issuer_name(issuer.subject).public_key(stranger.public_key())
        .serial_number(secrets.randbits(120)).not_valid_before(now()).not_valid_after(now() + datetime.timedelta(days=1))
        .sign(stranger, hashes.SHA256())
    )  # fmt: skip
    answer = ask(ocsp_url(good), asking(made, issuer))
    assert answer.certificate_status == ocsp.OCSPCertStatus.UNKNOWN


def test_what_is_refused(server, pca, published):
    _, issuer, good, _ = published
    silent = authorities.root(pca, "Has no responder")
    other = leaf(pca, silent)
    url = ocsp_url(good)

    def code(request):
        return ask(url, request).response_status

    assert code(asking(other, certificate_of(pca, silent))) == ocsp.OCSPResponseStatus.UNAUTHORIZED
    assert code(asking(good, issuer, hash_algorithm=hashes.SHA512())) == ocsp.OCSPResponseStatus.UNAUTHORIZED
    whole = asking(good, issuer)
    for malformed in (b"", b"nonsense", whole[:-1], whole + b"\0", b"\x30\x00"):
        assert code(malformed) == ocsp.OCSPResponseStatus.MALFORMED_REQUEST
    status, headers, _ = fetch(url, "PUT", whole)
    assert status == 405 and headers["allow"] == "GET, HEAD, POST"
    assert fetch(url, "POST", b"\x30" * 20_000, {"Content-Type": "application/ocsp-request"})[0] == 413
    # A server that refuses is one that lives.
    assert ask(url, whole).certificate_status == ocsp.OCSPCertStatus.GOOD


@pytest.mark.parametrize("key", ["RSA_2048", "EC_secp384r1", "ML_DSA_65"])
def test_authorities_of_every_kind(pca, key):
    root = publishing(pca, f"Publishes with {key}", key, kind="PARTITIONED")
    bad = leaf(pca, root)
    revocation.revoke(pca, root, bad)
    found = list_with(list_url(bad), bad)
    issuer = certificate_of(pca, root)
    assert found.signature_algorithm_oid == issuer.signature_algorithm_oid
    if not key.startswith("ML"):
        assert found.is_signature_valid(issuer.public_key())
    answer = ask(ocsp_url(bad), asking(bad, issuer))
    assert answer.certificate_status == ocsp.OCSPCertStatus.REVOKED


def test_a_list_is_made_anew_and_answers_go_on(own_server):
    """60 days later, without a revocation in between: the list is fresh, and somebody signs answers."""
    own_server.start()
    pca = own_server.client("acm-pca")
    root = publishing(pca, "Sixty days")
    issuer, bad = certificate_of(pca, root), leaf(pca, root, validity=("DAYS", 365))
    revocation.revoke(pca, root, bad)
    list_with(list_url(bad), bad)
    port = own_server.host.rpartition(":")[2]
    own_server.stop()
    own_server.start(listen=f"127.0.0.1:{port}", ahead=datetime.timedelta(days=60))
    soon = now() + datetime.timedelta(days=59)
    until("a fresh list", lambda: fetch_list(list_url(bad)).last_update_utc > soon, deadline=revocation.PATIENCE)
    # The signer's certificate had ended while the server was away; another is on its way.
    request, done = asking(bad, issuer), ocsp.OCSPResponseStatus.SUCCESSFUL
    until("an answer", lambda: ask(ocsp_url(bad), request).response_status == done, deadline=revocation.PATIENCE)
    answer = ask(ocsp_url(bad), request)
    assert answer.certificate_status == ocsp.OCSPCertStatus.REVOKED
    assert answer.certificates[0].not_valid_after_utc > now() + datetime.timedelta(days=70)


def test_a_listener_for_everybody_serves_nothing_else(own_server, tmp_path):
    config = tmp_path / "keystead.toml"
    config.write_text('[public]\nlisten = "0.0.0.0:0"\n')
    own_server.start("--config", str(config))
    pca = own_server.client("acm-pca")
    root = publishing(pca, "Apart", kind="PARTITIONED")
    issuer, bad = certificate_of(pca, root), leaf(pca, root)
    url = ocsp_url(bad)
    assert not url.startswith(own_server.endpoint)
    revocation.revoke(pca, root, bad)
    list_with(list_url(bad), bad)
    assert ask(url, asking(bad, issuer)).certificate_status == ocsp.OCSPCertStatus.REVOKED
    base = url.removesuffix("/ocsp")
    text = base64.b64encode(asking(bad, issuer)).decode()
    # As under a name of the operator's own: no folder.
    status, _, body = fetch(f"{base}/{urllib.parse.quote(text, safe='')}")
    assert status == 200 and ocsp.load_der_ocsp_response(body).serial_number == bad.serial_number
    for method, path in (("GET", "/health"), ("GET", "/metrics"), ("GET", "/")):
        assert fetch(base + path, method)[0] == 404
    assert fetch(base + "/", "POST", b"Action=GetCallerIdentity&Version=2011-06-15")[0] == 405


# Verifiers: a revoked leaf is refused by all, a good one is accepted.


@pytest.fixture(scope="module")
def files(published, tmp_path_factory):
    """PEM files of the certificates, and the list in both forms."""
    _, issuer, good, bad = published
    folder = tmp_path_factory.mktemp("verified")
    found = list_with(list_url(bad), bad)
    (folder / "issuer.pem").write_bytes(revocation.pem(issuer))
    (folder / "good.pem").write_bytes(revocation.pem(good))
    (folder / "bad.pem").write_bytes(revocation.pem(bad))
    (folder / "list.pem").write_bytes(found.public_bytes(serialization.Encoding.PEM))
    (folder / "list.der").write_bytes(found.public_bytes(serialization.Encoding.DER))
    (folder / "ocsp").write_text(ocsp_url(good))
    return folder


def test_openssl_with_a_list(files):
    for name, code in (("good", 0), ("bad", 2)):
        ran = revocation.run(
            "openssl", "verify", "-x509_strict", "-crl_check", "-CAfile", files / "issuer.pem",
            "-CRLfile", files / "list.pem", files / f"{name}.pem",
        )  # fmt: skip
        assert ran.returncode == code, ran.stdout + ran.stderr
        assert ("certificate revoked" in ran.stderr) == (code != 0)


def test_openssl_with_ocsp(files):
    for name, said in (("good", "good"), ("bad", "revoked")):
        for more in ([], ["-no_nonce"], ["-sha256"]):
            ran = revocation.run(
                "openssl", "ocsp", *more, "-issuer", files / "issuer.pem", "-cert", files / f"{name}.pem",
                "-CAfile", files / "issuer.pem", "-url", (files / "ocsp").read_text(),
            )  # fmt: skip
            assert "Response verify OK" in ran.stderr, ran.stdout + ran.stderr
            assert f"{name}.pem: {said}" in ran.stdout
            assert "no nonce in response" not in ran.stderr


def test_openssl_with_several_at_once(files):
    ran = revocation.run(
        "openssl", "ocsp", "-issuer", files / "issuer.pem", "-cert", files / "good.pem", "-cert", files / "bad.pem",
        "-CAfile", files / "issuer.pem", "-url", (files / "ocsp").read_text(),
    )  # fmt: skip
    assert "Response verify OK" in ran.stderr, ran.stdout + ran.stderr
    assert "good.pem: good" in ran.stdout and "bad.pem: revoked" in ran.stdout


def test_gnutls_with_a_list(files):
    for name in ("good", "bad"):
        both = files / f"{name}-chain.pem"
        both.write_bytes((files / f"{name}.pem").read_bytes() + (files / "issuer.pem").read_bytes())
        ran = revocation.run(
            "certtool", "--verify", "--infile", both, "--load-ca-certificate", files / "issuer.pem",
            "--load-crl", files / "list.pem",
        )  # fmt: skip
        said = ran.stdout + ran.stderr
        assert (ran.returncode == 0) == (name == "good"), said
        assert ("revoked" in said.lower()) == (name == "bad"), said
    ran = revocation.run("certtool", "--verify-crl", "--infile", files / "list.pem", "--load-ca-certificate", files / "issuer.pem")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_gnutls_with_ocsp(files):
    for name, said in (("good", "good"), ("bad", "revoked")):
        ran = revocation.run(
            "ocsptool", "--ask=" + (files / "ocsp").read_text(), "--load-cert", files / f"{name}.pem",
            "--load-issuer", files / "issuer.pem", "--load-trust", files / "issuer.pem",
        )  # fmt: skip
        text = ran.stdout + ran.stderr
        assert "Verifying OCSP Response: Success" in text, text
        assert f"Certificate Status: {said}" in text, text
