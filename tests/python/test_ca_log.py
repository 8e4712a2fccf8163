"""The log of all that was issued: proofs checked by an implementation of our own, and by `keystead audit verify`."""

import datetime
import hashlib
import json
import sqlite3

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import authorities
from authorities import parse
from refusals import refused
from waiting import until


@pytest.fixture
def keystead(server):
    return server.client("keystead")


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def leaf_hash(pem):
    return hashlib.sha256(b"\0" + parse(pem).public_bytes(serialization.Encoding.DER)).digest()


def included(leaf, index, size, path, root):
    """RFC 9162, 2.1.3.2."""
    if index >= size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def consistent(first, first_root, second, second_root, path):
    """RFC 9162, 2.1.4.2."""
    if first == second:
        return not path and first_root == second_root
    path = list(path)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == first_root and sr == second_root


def head_of(answer):
    """(size, root) of a head whose signature and signed bytes are as RFC 9162, 4.10 has them."""
    head = answer["Head"]
    root = bytes.fromhex(head["RootHash"])
    key = serialization.load_pem_public_key(head["PublicKey"].encode())
    key.verify(head["Signature"], head["SignedBytes"], ec.ECDSA(hashes.SHA256()))
    milliseconds = int.from_bytes(head["SignedBytes"][:8], "big")
    assert abs(head["SignedAt"].timestamp() * 1000 - milliseconds) < 2
    assert head["SignedBytes"][8:] == head["Size"].to_bytes(8, "big") + b"\x20" + root + b"\0\0"
    return head["Size"], root


def hashes_of(texts):
    return [bytes.fromhex(text) for text in texts]


def test_what_is_issued_is_in_it_at_once(server, keystead, root):
    pca = server.client("acm-pca")
    heads = []
    issued = []
    for _ in range(5):
        issued.append(authorities.issue(pca, root, authorities.request()[0]))
        heads.append(head_of(keystead.get_certificate_log_head()))
    assert all(one[0] < other[0] for one, other in zip(heads, heads[1:]))
    for arn, answer in issued:
        proof = keystead.get_certificate_log_proof(CertificateArn=arn)
        size, newest = head_of(proof)
        leaf = leaf_hash(answer["Certificate"])
        assert proof["LeafHash"] == leaf.hex()
        assert included(leaf, proof["LeafIndex"], size, hashes_of(proof["InclusionProof"]), newest)
    for first, before in heads:
        answer = keystead.get_certificate_log_head(FirstSize=first)
        size, newest = head_of(answer)
        assert consistent(first, before, size, newest, hashes_of(answer["ConsistencyProof"]))


def test_what_cannot_be_proven_is_refused(server, keystead, root):
    keystead.get_certificate_log_head()
    for size in (0, -1, 10**9):
        with refused("ValidationException", "FirstSize can be 1"):
            keystead.get_certificate_log_head(FirstSize=size)
    with refused("ResourceNotFoundException"):
        keystead.get_certificate_log_proof(CertificateArn=f"{root}/certificate/{'0' * 31}a")
    with refused("InvalidArnException"):
        keystead.get_certificate_log_proof(CertificateArn=root)


def test_the_command_proves_it(server, root):
    pca = server.client("acm-pca")

    def log(*arguments, check=True):
        return server.run("ca", "log", *arguments, "--data-dir", str(server.data), check=check)

    arn, _ = authorities.issue(pca, root, authorities.request()[0])
    kept = log("head").stdout.splitlines()[0]
    assert "is number" in log("prove", arn).stdout
    authorities.issue(pca, root, authorities.request()[0])
    assert "begins with the" in log("head", "--after", kept).stdout
    size, digest = kept.split(":")
    other = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    failed = log("head", "--after", f"{size}:{other}", check=False)
    assert failed.returncode == 1 and "does NOT begin" in failed.stderr
    assert json.loads(log("head", "--json").stdout)["Head"]["Size"] > int(size)


def verified(server, check=True):
    ran = server.run("audit", "verify", "--json", "--data-dir", str(server.data), check=check)
    return json.loads(ran.stdout)["log"]


def test_verify_computes_it_anew_and_finds_what_is_missing(own_server):
    own_server.start()
    pca = own_server.client("acm-pca")
    assert verified(own_server)["size"] == 0
    root = authorities.root(pca, "Root")
    for _ in range(300):
        pca.issue_certificate(
            CertificateAuthorityArn=root, Csr=authorities.request()[0], SigningAlgorithm="SHA256WITHECDSA",
            Validity={"Type": "DAYS", "Value": 30},
        )  # fmt: skip
    size, newest = head_of(own_server.client("keystead").get_certificate_log_head())
    assert size == 301
    # Beside the running server.
    log = verified(own_server)
    assert (log["whole"], log["size"], log["root"], log["logged"]) == (True, 301, newest.hex(), 301)
    own_server.kill()
    store = sqlite3.connect(own_server.data / "store.db")
    with store:
        store.execute("DELETE FROM record WHERE rowid = (SELECT min(rowid) FROM record WHERE collection = 'log.place')")
    log = verified(own_server, check=False)
    assert not log["whole"] and log["logged"] == 300 and "is not in the log" in log["named_problems"][0]
    with store:
        store.execute("DELETE FROM record WHERE collection = 'log.tile' AND key LIKE '00/%1'")
    problems = verified(own_server, check=False)["named_problems"]
    assert any("is missing, or too short" in problem for problem in problems), problems
    store.close()


def test_a_kill_loses_none(own_server):
    own_server.start()
    pca = own_server.client("acm-pca")
    root = authorities.root(pca, "Root")
    for round in range(3):
        for _ in range(20):
            authorities.issue(pca, root, authorities.request()[0])
        own_server.kill()
        own_server.start()
        pca = own_server.client("acm-pca")
        size, _ = head_of(own_server.client("keystead").get_certificate_log_head())
        assert size == 1 + 20 * (round + 1)
    assert verified(own_server)["whole"]


def test_expired_certificates_are_kept_for_as_long_as_is_said(own_server):
    settings = own_server.folder / "keystead.toml"
    settings.write_text("[pca]\nkeep_expired_days = 10\n")
    own_server.arguments = ["--config", str(settings)]
    own_server.start()
    pca = own_server.client("acm-pca")
    root = authorities.root(pca, "Root")
    short, _ = authorities.issue(pca, root, authorities.request()[0], validity=("DAYS", 1))
    long, _ = authorities.issue(pca, root, authorities.request()[0], validity=("DAYS", 300))
    size, _ = head_of(own_server.client("keystead").get_certificate_log_head())
    own_server.stop()

    def there(days):
        own_server.start(ahead=datetime.timedelta(days=days))
        pca = own_server.client("acm-pca")
        found = []
        for arn in (short, long):
            try:
                pca.get_certificate(CertificateAuthorityArn=root, CertificateArn=arn)
                found.append(arn)
            except pca.exceptions.ResourceNotFoundException:
                pass
        return found

    assert there(days=5) == [short, long]
    own_server.stop()
    assert there(days=13) in ([short, long], [long])
    until("the expired one to go", lambda: gone(own_server, root, short), deadline=60)
    log = verified(own_server)
    assert log["whole"] and log["size"] == size and log["logged"] == size - 1
    own_server.stop()
    settings.write_text("[pca]\nkeep_expired_days = 0\n")
    failed = own_server.run("up", "--config", str(settings), "--data-dir", str(own_server.data), check=False)
    assert failed.returncode == 1 and "for a day at least" in failed.stderr


def gone(server, root, arn):
    pca = server.client("acm-pca")
    try:
        pca.get_certificate(CertificateAuthorityArn=root, CertificateArn=arn)
    except pca.exceptions.ResourceNotFoundException:
        return True
    return False
