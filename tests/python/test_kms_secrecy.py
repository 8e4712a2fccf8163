"""No key in clear outside the process: planted keys and texts are looked for in all that a server leaves behind.

A key that is imported is known to this test, and so is a text that is encrypted; both are looked for as they are, in
hexadecimal and in base64, in the data directory, its write-ahead log and journal, the logs, and where a core file would be.
"""

import base64
import pathlib
import resource
import secrets
import signal

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding


def forms(secret):
    return [secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret).rstrip(b"=")[:-1]]


def imported(kms, material, spec="SYMMETRIC_DEFAULT", usage="ENCRYPT_DECRYPT"):
    """A key with this material."""
    key = kms.create_key(KeySpec=spec, KeyUsage=usage, Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    by = {"WrappingAlgorithm": "RSA_AES_KEY_WRAP_SHA_256", "WrappingKeySpec": "RSA_3072"}
    if spec == "SYMMETRIC_DEFAULT":
        by["WrappingAlgorithm"] = "RSAES_OAEP_SHA_256"
    given = kms.get_parameters_for_import(KeyId=key, **by)
    public = serialization.load_der_public_key(given["PublicKey"])
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    if spec == "SYMMETRIC_DEFAULT":
        wrapped = public.encrypt(material, oaep)
    else:
        ephemeral = secrets.token_bytes(32)
        wrapped = public.encrypt(ephemeral, oaep) + aes_key_wrap_with_padding(ephemeral, material)
    kms.import_key_material(
        KeyId=key,
        ImportToken=given["ImportToken"],
        EncryptedKeyMaterial=wrapped,
        ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
    )
    return key


def left_behind(*folders):
    for folder in folders:
        for path in pathlib.Path(folder).rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield path, path.read_bytes()


def test_no_planted_secret_is_left_behind(own_server, tmp_path, monkeypatch):
    working = tmp_path / "working"
    working.mkdir()
    monkeypatch.chdir(working)  # where a core file would be written
    monkeypatch.setenv("KEYSTEAD_LOG", "trace")
    own_server.preexec = lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
    own_server.start()
    kms = own_server.client("kms")
    planted = {"symmetric key": secrets.token_bytes(32), "text": secrets.token_bytes(48)}
    private = ec.generate_private_key(ec.SECP256R1())
    planted["private scalar"] = private.private_numbers().private_value.to_bytes(32, "big")
    pkcs8 = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key = imported(kms, planted["symmetric key"])
    signer = imported(kms, pkcs8, "ECC_NIST_P256", "SIGN_VERIFY")
    blob = kms.encrypt(KeyId=key, Plaintext=planted["text"], EncryptionContext={"shown": "yes"})["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext={"shown": "yes"})["Plaintext"] == planted["text"]
    signed = kms.sign(KeyId=signer, Message=planted["text"], SigningAlgorithm="ECDSA_SHA_256")["Signature"]
    private.public_key().verify(signed, planted["text"], ec.ECDSA(hashes.SHA256()))
    data_key = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    planted["data key"] = data_key["Plaintext"]
    process = own_server.process
    process.send_signal(signal.SIGABRT)
    assert process.wait(30) == -signal.SIGABRT
    said = "".join(own_server.said).encode()
    for name, secret in planted.items():
        for form in forms(secret):
            assert form not in said, f"{name} is in the log"
            for path, content in left_behind(own_server.data, working):
                assert form not in content, f"{name} is in {path}"
    own_server.process = None
    # The journal tells what was done all the same.
    own_server.start()
    shown = own_server.run("audit", "show", "--data-dir", str(own_server.data)).stdout
    assert "GenerateDataKey" in shown and "ImportKeyMaterial" in shown


def test_memory_is_not_for_others(own_server):
    own_server.start()
    pid = own_server.process.pid
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    locked = int(next(line for line in status.splitlines() if line.startswith("VmLck")).split()[1])
    unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1] == resource.RLIM_INFINITY
    said = "".join(own_server.said)
    assert locked > 0 or "memory is not locked" in said
    if unlimited:
        assert locked > 0
    # Who is nobody in particular reads neither the environment, where the root access key stands, nor the memory.
    for file in ("environ", "mem"):
        owner = pathlib.Path(f"/proc/{pid}/{file}").stat().st_uid
        assert owner == 0
