"""`keystead lint`: certificates in files, judged by the rules for issuing and, if asked, by those of the public web."""

import json

import pytest

import authorities


@pytest.fixture
def lint(server, tmp_path):
    def run(content, *options):
        path = tmp_path / "certificates"
        path.write_bytes(content)
        return path, server.run("lint", *options, str(path), check=False)

    return run


def test_what_keystead_issues_is_clean(pca, root, lint):
    csr, _ = authorities.request("server.internal", alternatives=["server.internal"])
    _, answer = authorities.issue(pca, root, csr)
    both = (answer["Certificate"] + "\n" + answer["CertificateChain"]).encode()
    path, ran = lint(both)
    assert ran.returncode == 0
    assert ran.stdout.splitlines() == [f"{path} ({n}): nothing found" for n in (1, 2)]
    # An internal name for half a month is what a private CA is for, and not for the web.
    _, ran = lint(answer["Certificate"].encode(), "--public", "--json")
    assert ran.returncode == 1
    (judged,) = json.loads(ran.stdout)
    rules = {finding["rule"] for finding in judged["findings"]}
    assert "cabf_br_4_2_2_no_internal_name" in rules and not any(rule.startswith("rfc") for rule in rules)


def test_what_others_made(lint):
    """DER is read too; each line names the rule."""
    bare = authorities.parse(authorities.self_signed(authorities.new_key(), "a_b.example"))
    der = bare.public_bytes(authorities.serialization.Encoding.DER)
    path, ran = lint(der)
    assert ran.returncode == 1
    lines = ran.stdout.splitlines()
    assert any("(rfc5280_4_2_1_6_dns_name)" in line for line in lines), lines
    assert all(line.startswith(f"{path} (1): ") for line in lines)


def test_what_is_no_certificate(lint):
    for content in (b"", b"nothing", b"\x30\x00"):
        path, ran = lint(content)
        assert ran.returncode == 1 and f"cannot read {path}: " in ran.stderr
