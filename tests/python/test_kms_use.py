"""KMS: what keys do. Encryption, data keys, signatures, codes, agreed and encapsulated secrets, and their refusals.

What comes out is checked by Python's cryptography and hashlib, which know nothing of Keystead.
"""

import base64
import hashlib
import hmac
import os

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kms_helpers import CURVES, MACS, RSA, SIGNERS, digest, make, public_key, verifies
from refusals import code_of, words_of

CONTEXT = {"purpose": "test", "tenant": "ü"}


@pytest.fixture(scope="module")
def symmetric(kms):
    return make(kms)


@pytest.fixture(scope="module")
def signer(kms):
    return make(kms, "ECC_NIST_P256")


def sealed(kms, key, text=b"hello", **more):
    return kms.encrypt(KeyId=key, Plaintext=text, **more)["CiphertextBlob"]


def test_what_is_encrypted_decrypts_without_naming_the_key(kms, symmetric):
    answer = kms.encrypt(KeyId=symmetric, Plaintext=b"hello", EncryptionContext=CONTEXT)
    assert answer["KeyId"] == symmetric and answer["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    opened = kms.decrypt(CiphertextBlob=answer["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == b"hello" and opened["KeyId"] == symmetric
    described = kms.describe_key(KeyId=symmetric)["KeyMetadata"]
    assert opened["KeyMaterialId"] == described["CurrentKeyMaterialId"]


@pytest.mark.parametrize("length", [1, 15, 16, 17, 4096])
def test_every_length_that_the_model_allows(kms, symmetric, length):
    text = os.urandom(length)
    blob = sealed(kms, symmetric, text)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == text
    assert blob != sealed(kms, symmetric, text), "the same text encrypts differently each time"


def test_no_bit_of_a_ciphertext_may_change(kms, symmetric):
    blob = sealed(kms, symmetric)
    for at in range(len(blob)):
        altered = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
        code = code_of(lambda altered=altered: kms.decrypt(CiphertextBlob=altered))
        # A ciphertext that names another account, key or region's key refers to one that does not exist.
        expected = {"AccessDeniedException"} if 2 <= at < 24 else {"InvalidCiphertextException"}
        assert code in expected | {"InvalidCiphertextException"}, at
        assert code_of(lambda altered=altered: kms.decrypt(CiphertextBlob=altered, KeyId=symmetric)) in (
            "InvalidCiphertextException",
            "IncorrectKeyException",
        )
    for cut in range(0, len(blob) - 1, 7):
        with pytest.raises(kms.exceptions.InvalidCiphertextException):
            kms.decrypt(CiphertextBlob=blob[: cut + 1])


@pytest.mark.parametrize(
    "context", [None, {}, {"purpose": "test"}, {**CONTEXT, "more": "1"}, {"purpose": "other", "tenant": "ü"}]
)
def test_another_encryption_context_opens_nothing(kms, symmetric, context):
    blob = sealed(kms, symmetric, EncryptionContext=CONTEXT)
    given = {} if context is None else {"EncryptionContext": context}
    with pytest.raises(kms.exceptions.InvalidCiphertextException):
        kms.decrypt(CiphertextBlob=blob, **given)


def test_an_empty_context_is_none(kms, symmetric):
    blob = sealed(kms, symmetric, EncryptionContext={})
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"hello"


def test_a_context_may_be_only_so_large(kms, symmetric):
    large = {f"name{number}": "v" * 1000 for number in range(9)}
    assert code_of(lambda: sealed(kms, symmetric, EncryptionContext=large)) == "ValidationException"


def test_another_key_is_the_incorrect_key(kms, symmetric):
    blob = sealed(kms, symmetric)
    with pytest.raises(kms.exceptions.IncorrectKeyException):
        kms.decrypt(CiphertextBlob=blob, KeyId=make(kms))


@pytest.mark.parametrize("spec", RSA)
@pytest.mark.parametrize(("algorithm", "chosen"), [("RSAES_OAEP_SHA_1", hashes.SHA1), ("RSAES_OAEP_SHA_256", hashes.SHA256)])
def test_rsa_decrypts_what_others_encrypted(kms, spec, algorithm, chosen):
    key = make(kms, spec)
    oaep = padding.OAEP(mgf=padding.MGF1(chosen()), algorithm=chosen(), label=None)
    blob = public_key(kms, key).encrypt(b"from outside", oaep)
    opened = kms.decrypt(KeyId=key, CiphertextBlob=blob, EncryptionAlgorithm=algorithm)
    assert opened["Plaintext"] == b"from outside" and opened["EncryptionAlgorithm"] == algorithm
    most = int(spec[-4:]) // 8 - 2 * chosen.digest_size - 2
    text = os.urandom(most)
    blob = sealed(kms, key, text, EncryptionAlgorithm=algorithm)
    assert kms.decrypt(KeyId=key, CiphertextBlob=blob, EncryptionAlgorithm=algorithm)["Plaintext"] == text
    error = words_of(lambda: sealed(kms, key, text + b"x", EncryptionAlgorithm=algorithm))
    assert error == (
        "ValidationException",
        f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {most} bytes.",
    )
    altered = blob[:-1] + bytes([blob[-1] ^ 1])
    with pytest.raises(kms.exceptions.InvalidCiphertextException):
        kms.decrypt(KeyId=key, CiphertextBlob=altered, EncryptionAlgorithm=algorithm)


def test_an_asymmetric_ciphertext_needs_its_key_and_algorithm_named(kms):
    key = make(kms, "RSA_2048")
    blob = sealed(kms, key, EncryptionAlgorithm="RSAES_OAEP_SHA_256")
    assert code_of(lambda: kms.decrypt(CiphertextBlob=blob)) == "InvalidCiphertextException"
    assert code_of(lambda: kms.decrypt(CiphertextBlob=blob, KeyId=key)) == "InvalidKeyUsageException"
    by = {"EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    assert code_of(lambda: kms.decrypt(CiphertextBlob=blob, **by)) == "ValidationException"
    context = {"EncryptionContext": CONTEXT, **by}
    assert code_of(lambda: kms.encrypt(KeyId=key, Plaintext=b"x", **context)) == "ValidationException"


def test_re_encryption_changes_key_and_context(kms, symmetric):
    other = make(kms)
    blob = sealed(kms, symmetric, EncryptionContext=CONTEXT)
    answer = kms.re_encrypt(
        CiphertextBlob=blob,
        SourceEncryptionContext=CONTEXT,
        DestinationKeyId=other,
        DestinationEncryptionContext={"now": "another"},
    )
    assert answer["SourceKeyId"] == symmetric and answer["KeyId"] == other
    assert answer["SourceKeyMaterialId"] != answer["DestinationKeyMaterialId"]
    opened = kms.decrypt(CiphertextBlob=answer["CiphertextBlob"], EncryptionContext={"now": "another"})
    assert opened["Plaintext"] == b"hello" and opened["KeyId"] == other
    with pytest.raises(kms.exceptions.InvalidCiphertextException):
        kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=other)


def test_re_encryption_into_an_asymmetric_key(kms, symmetric):
    rsa = make(kms, "RSA_2048")
    blob = sealed(kms, symmetric, b"x" * 190)
    by = {"DestinationKeyId": rsa, "DestinationEncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    answer = kms.re_encrypt(CiphertextBlob=blob, **by)
    opened = kms.decrypt(
        KeyId=rsa, CiphertextBlob=answer["CiphertextBlob"], EncryptionAlgorithm="RSAES_OAEP_SHA_256"
    )
    assert opened["Plaintext"] == b"x" * 190
    too_long = sealed(kms, symmetric, b"x" * 191)
    assert code_of(lambda: kms.re_encrypt(CiphertextBlob=too_long, **by)) == "ValidationException"


@pytest.mark.parametrize(
    ("asked", "length"), [({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 1024}, 1024)]
)
def test_a_data_key_works_outside_and_comes_back(kms, symmetric, asked, length):
    answer = kms.generate_data_key(KeyId=symmetric, EncryptionContext=CONTEXT, **asked)
    assert len(answer["Plaintext"]) == length
    opened = kms.decrypt(CiphertextBlob=answer["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == answer["Plaintext"]
    if length <= 32:
        nonce = os.urandom(12)
        box = AESGCM(answer["Plaintext"]).encrypt(nonce, b"data", None)
        assert AESGCM(opened["Plaintext"]).decrypt(nonce, box, None) == b"data"
    alone = kms.generate_data_key_without_plaintext(KeyId=symmetric, **asked)
    assert "Plaintext" not in alone and alone["KeyId"] == symmetric
    assert len(kms.decrypt(CiphertextBlob=alone["CiphertextBlob"])["Plaintext"]) == length


@pytest.mark.parametrize("asked", [{}, {"KeySpec": "AES_256", "NumberOfBytes": 32}])
def test_a_data_key_has_one_length(kms, symmetric, asked):
    error = words_of(lambda: kms.generate_data_key(KeyId=symmetric, **asked))
    assert error == ("ValidationException", "Please specify either number of bytes or key spec.")


@pytest.mark.parametrize("spec", [*RSA[:2], *CURVES, "ECC_NIST_EDWARDS25519"])
def test_data_key_pairs_belong_together(kms, symmetric, spec):
    answer = kms.generate_data_key_pair(KeyId=symmetric, KeyPairSpec=spec)
    private = serialization.load_der_private_key(answer["PrivateKeyPlaintext"], None)
    public = serialization.load_der_public_key(answer["PublicKey"])
    assert private.public_key() == public and answer["KeyPairSpec"] == spec
    opened = kms.decrypt(CiphertextBlob=answer["PrivateKeyCiphertextBlob"])
    assert opened["Plaintext"] == answer["PrivateKeyPlaintext"]
    alone = kms.generate_data_key_pair_without_plaintext(KeyId=symmetric, KeyPairSpec=spec)
    assert "PrivateKeyPlaintext" not in alone
    private = serialization.load_der_private_key(
        kms.decrypt(CiphertextBlob=alone["PrivateKeyCiphertextBlob"])["Plaintext"], None
    )
    assert private.public_key() == serialization.load_der_public_key(alone["PublicKey"])


def test_random_bytes(kms):
    answers = {kms.generate_random(NumberOfBytes=32)["Plaintext"] for _ in range(8)}
    assert len(answers) == 8 and {len(answer) for answer in answers} == {32}
    assert code_of(lambda: kms.generate_random()) == "ValidationException"
    assert code_of(lambda: kms.generate_random(NumberOfBytes=1025)) == "ValidationException"
    elsewhere = {"NumberOfBytes": 8, "CustomKeyStoreId": "cks-1234567890abcdef0"}
    assert code_of(lambda: kms.generate_random(**elsewhere)) == "CustomKeyStoreNotFoundException"


@pytest.mark.parametrize("spec", SIGNERS)
def test_signatures_verify_elsewhere_and_here(kms, spec):
    key = make(kms, spec, "SIGN_VERIFY")
    public = public_key(kms, key)
    assert set(kms.get_public_key(KeyId=key)["SigningAlgorithms"]) >= set(SIGNERS[spec])
    for algorithm in SIGNERS[spec]:
        message = b"a message"
        forms = [("RAW", message)]
        if algorithm != "ED25519_SHA_512":
            forms.append(("DIGEST", digest(message, algorithm)))
        for kind, given in forms:
            by = {"KeyId": key, "SigningAlgorithm": algorithm, "MessageType": kind}
            answer = kms.sign(Message=given, **by)
            assert answer["KeyId"] == key and answer["SigningAlgorithm"] == algorithm
            signature = answer["Signature"]
            assert verifies(public, algorithm, message, signature)
            assert not verifies(public, algorithm, b"another", signature)
            assert kms.verify(Message=given, Signature=signature, **by)["SignatureValid"] is True
            broken = signature[:-1] + bytes([signature[-1] ^ 1])
            with pytest.raises(kms.exceptions.KMSInvalidSignatureException):
                kms.verify(Message=given, Signature=broken, **by)
            if kind == "DIGEST":
                error = words_of(lambda by=by: kms.sign(Message=b"short", **by))
                assert error == ("ValidationException", f"Digest is invalid length for algorithm {algorithm}.")


def test_ed25519ph_signs_digests_alone(kms):
    key = make(kms, "ECC_NIST_EDWARDS25519")
    by = {"KeyId": key, "SigningAlgorithm": "ED25519_PH_SHA_512"}
    hashed = hashlib.sha512(b"a message").digest()
    signature = kms.sign(Message=hashed, MessageType="DIGEST", **by)["Signature"]
    assert kms.verify(Message=hashed, MessageType="DIGEST", Signature=signature, **by)["SignatureValid"]
    # RFC 8032 section 5.1: the two variants are apart.
    assert not verifies(public_key(kms, key), "ED25519_SHA_512", hashed, signature)
    assert code_of(lambda: kms.sign(Message=b"a message", **by)) == "ValidationException"


@pytest.mark.parametrize("spec", ["ML_DSA_44", "ML_DSA_65", "ML_DSA_87"])
def test_ml_dsa_signs_the_message_or_its_representative(kms, spec):
    key = make(kms, spec)
    by = {"KeyId": key, "SigningAlgorithm": "ML_DSA_SHAKE_256"}
    signature = kms.sign(Message=b"a message", **by)["Signature"]
    assert kms.verify(Message=b"a message", Signature=signature, **by)["SignatureValid"]
    # FIPS 204 section 5.2 and algorithm 7: mu = H(H(pk) || 0 || 0 || M), with an empty context.
    raw = public_key(kms, key).public_bytes_raw()
    tr = hashlib.shake_256(raw).digest(64)
    mu = hashlib.shake_256(tr + b"\x00\x00" + b"a message").digest(64)
    assert kms.verify(Message=mu, MessageType="EXTERNAL_MU", Signature=signature, **by)["SignatureValid"]
    external = kms.sign(Message=mu, MessageType="EXTERNAL_MU", **by)["Signature"]
    public_key(kms, key).verify(external, b"a message")
    assert code_of(lambda: kms.sign(Message=mu, MessageType="DIGEST", **by)) == "ValidationException"
    assert code_of(lambda: kms.sign(Message=b"short", MessageType="EXTERNAL_MU", **by)) == "ValidationException"


@pytest.mark.parametrize("spec", MACS)
def test_codes_verify(kms, spec):
    key = make(kms, spec)
    by = {"KeyId": key, "MacAlgorithm": f"HMAC_SHA_{spec[-3:]}", "Message": b"a message"}
    answer = kms.generate_mac(**by)
    assert len(answer["Mac"]) == hmac.new(b"", b"", MACS[spec]).digest_size
    assert kms.verify_mac(Mac=answer["Mac"], **by)["MacValid"] is True
    with pytest.raises(kms.exceptions.KMSInvalidMacException):
        kms.verify_mac(Mac=answer["Mac"][:-1] + b"x", **by)
    other = {**by, "MacAlgorithm": "HMAC_SHA_512" if spec != "HMAC_512" else "HMAC_SHA_256"}
    assert code_of(lambda: kms.generate_mac(**other)) == "InvalidKeyUsageException"


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"])
def test_both_sides_agree_on_the_same_secret(kms, spec):
    key = make(kms, spec, "KEY_AGREEMENT")
    own = ec.generate_private_key(CURVES[spec]())
    der = own.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    by = {"KeyId": key, "KeyAgreementAlgorithm": "ECDH"}
    answer = kms.derive_shared_secret(PublicKey=der, **by)
    assert answer["SharedSecret"] == own.exchange(ec.ECDH(), public_key(kms, key))
    assert answer["KeyOrigin"] == "AWS_KMS"
    wrong = ec.generate_private_key(ec.SECP256K1()).public_key()
    other = wrong.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    for bad in (other, b"nonsense", der[:-1] + bytes([der[-1] ^ 1])):
        assert code_of(lambda bad=bad: kms.derive_shared_secret(PublicKey=bad, **by)) == "ValidationException"


@pytest.mark.parametrize(("spec", "kind"), [("ML_KEM_768", mlkem.MLKEM768PublicKey), ("ML_KEM_1024", mlkem.MLKEM1024PublicKey)])
def test_what_others_encapsulated_comes_out(kms, spec, kind):
    key = make(kms, spec)
    public = public_key(kms, key)
    assert isinstance(public, kind)
    secret, blob = public.encapsulate()
    by = {"KeyId": key, "EncapsulationAlgorithm": "ML_KEM"}
    assert kms.decapsulate(SharedSecretCiphertextBlob=blob, **by)["SharedSecret"] == secret
    answer = kms.encapsulate(**by)
    opened = kms.decapsulate(SharedSecretCiphertextBlob=answer["SharedSecretCiphertextBlob"], **by)
    assert opened["SharedSecret"] == answer["SharedSecret"] and len(answer["SharedSecret"]) == 32
    altered = blob[:-1] + bytes([blob[-1] ^ 1])
    assert kms.decapsulate(SharedSecretCiphertextBlob=altered, **by)["SharedSecret"] != secret
    error = code_of(lambda: kms.decapsulate(SharedSecretCiphertextBlob=blob[:-1], **by))
    assert error == "InvalidCiphertextException"


def test_ml_kem_512_round_trip(kms):
    by = {"KeyId": make(kms, "ML_KEM_512"), "EncapsulationAlgorithm": "ML_KEM"}
    answer = kms.encapsulate(**by)
    opened = kms.decapsulate(SharedSecretCiphertextBlob=answer["SharedSecretCiphertextBlob"], **by)
    assert opened["SharedSecret"] == answer["SharedSecret"]


def test_a_key_does_only_what_it_is_for(kms, symmetric, signer):
    mac = make(kms, "HMAC_256")
    rsa = make(kms, "RSA_2048")
    agreement = make(kms, "ECC_NIST_P256", "KEY_AGREEMENT")
    attempts = [
        lambda: kms.encrypt(KeyId=signer, Plaintext=b"x"),
        lambda: kms.encrypt(KeyId=mac, Plaintext=b"x"),
        lambda: kms.encrypt(KeyId=rsa, Plaintext=b"x"),
        lambda: kms.encrypt(KeyId=symmetric, Plaintext=b"x", EncryptionAlgorithm="RSAES_OAEP_SHA_256"),
        lambda: kms.generate_data_key(KeyId=rsa, KeySpec="AES_256"),
        lambda: kms.generate_data_key_without_plaintext(KeyId=mac, KeySpec="AES_256"),
        lambda: kms.generate_data_key_pair(KeyId=signer, KeyPairSpec="ECC_NIST_P256"),
        lambda: kms.sign(KeyId=symmetric, Message=b"x", SigningAlgorithm="ECDSA_SHA_256"),
        lambda: kms.sign(KeyId=signer, Message=b"x", SigningAlgorithm="ECDSA_SHA_384"),
        lambda: kms.sign(KeyId=rsa, Message=b"x", SigningAlgorithm="RSASSA_PSS_SHA_256"),
        lambda: kms.verify(KeyId=rsa, Message=b"x", Signature=b"x", SigningAlgorithm="RSASSA_PSS_SHA_256"),
        lambda: kms.generate_mac(KeyId=symmetric, Message=b"x", MacAlgorithm="HMAC_SHA_256"),
        lambda: kms.verify_mac(KeyId=signer, Message=b"x", Mac=b"x", MacAlgorithm="HMAC_SHA_256"),
        lambda: kms.derive_shared_secret(KeyId=signer, KeyAgreementAlgorithm="ECDH", PublicKey=b"x"),
        lambda: kms.encapsulate(KeyId=agreement, EncapsulationAlgorithm="ML_KEM"),
        lambda: kms.re_encrypt(CiphertextBlob=sealed(kms, symmetric), DestinationKeyId=mac),
    ]
    for number, attempt in enumerate(attempts):
        assert code_of(attempt) == "InvalidKeyUsageException", number
    assert code_of(lambda: kms.get_public_key(KeyId=symmetric)) == "UnsupportedOperationException"


def test_a_trial_says_so_and_does_nothing(kms, symmetric, signer):
    blob = sealed(kms, symmetric)
    mac = make(kms, "HMAC_256")
    by = {"KeyId": signer, "SigningAlgorithm": "ECDSA_SHA_256", "Message": b"x"}
    trials = [
        lambda: kms.encrypt(KeyId=symmetric, Plaintext=b"x", DryRun=True),
        lambda: kms.decrypt(CiphertextBlob=blob, DryRun=True),
        lambda: kms.decrypt(KeyId=symmetric, DryRun=True, DryRunModifiers=["IGNORE_CIPHERTEXT"]),
        lambda: kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=symmetric, DryRun=True),
        lambda: kms.generate_data_key(KeyId=symmetric, KeySpec="AES_256", DryRun=True),
        lambda: kms.generate_data_key_pair(KeyId=symmetric, KeyPairSpec="RSA_2048", DryRun=True),
        lambda: kms.sign(DryRun=True, **by),
        lambda: kms.verify(DryRun=True, Signature=b"x", **by),
        lambda: kms.generate_mac(KeyId=mac, Message=b"x", MacAlgorithm="HMAC_SHA_256", DryRun=True),
    ]
    for number, trial in enumerate(trials):
        assert code_of(trial) == "DryRunOperationException", number
    with pytest.raises(kms.exceptions.InvalidCiphertextException):
        kms.decrypt(CiphertextBlob=b"nonsense", DryRun=True)
    assert code_of(lambda: kms.decrypt(KeyId=symmetric)) == "ValidationException"


def test_there_are_no_enclaves_here(kms, symmetric):
    recipient = {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": b"document"}
    error = code_of(lambda: kms.generate_data_key(KeyId=symmetric, KeySpec="AES_256", Recipient=recipient))
    assert error == "UnsupportedOperationException"


def test_a_key_goes_by_all_its_names(kms, symmetric, name):
    kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=symmetric)
    account, identifier = symmetric.split(":")[4], symmetric.rpartition("/")[2]
    region = symmetric.split(":")[3]
    for named in (identifier, symmetric, f"alias/{name}", f"arn:aws:kms:{region}:{account}:alias/{name}"):
        blob = sealed(kms, named)
        assert kms.decrypt(CiphertextBlob=blob, KeyId=named)["KeyId"] == symmetric


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ("nonsense", "NotFoundException"),
        ("alias/nobody-has-this", "NotFoundException"),
        ("12345678-1234-1234-1234-123456789012", "NotFoundException"),
        ("arn:aws:kms:eu-north-1:123456789012:key/12345678-1234-1234-1234-123456789012", "NotFoundException"),
        ("arn:aws:acm:us-east-1:123456789012:certificate/x", "InvalidArnException"),
        ("arn:nonsense", "InvalidArnException"),
    ],
)
def test_names_that_stand_for_no_key(kms, named, code):
    assert code_of(lambda: kms.encrypt(KeyId=named, Plaintext=b"x")) == code


def test_no_plaintext_stays_in_the_journal(kms, symmetric, server):
    planted = base64.b64encode(os.urandom(24))
    blob = sealed(kms, symmetric, planted)
    kms.decrypt(CiphertextBlob=blob)
    for file in server.data.rglob("*"):
        if file.is_file():
            assert planted not in file.read_bytes(), file
