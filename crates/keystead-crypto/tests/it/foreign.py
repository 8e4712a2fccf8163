"""Judges the files of the current folder with Python's cryptography; the argument is the passphrase.

Written by interop.rs: root, sub and leaf certificates, csr, the leaf's key exported and in clear.
"""

import datetime
import os
import sys

from cryptography import x509
from cryptography.hazmat.primitives import serialization

PASSPHRASE = sys.argv[1].encode()


def read(name):
    with open(name, "rb") as file:
        return file.read()


def public_der(key):
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


root, sub, leaf = (
    x509.load_pem_x509_certificate(read(name + ".pem")) for name in ("root", "sub", "leaf")
)

# Signatures and names.
root.verify_directly_issued_by(root)
sub.verify_directly_issued_by(root)
leaf.verify_directly_issued_by(sub)
try:
    leaf.verify_directly_issued_by(root)
except Exception:
    pass
else:
    sys.exit("the leaf verifies under the wrong issuer")

# Contents.
utc = datetime.timezone.utc
assert leaf.version == x509.Version.v3
assert leaf.serial_number.bit_length() == 128
assert leaf.not_valid_before_utc == datetime.datetime(2026, 1, 1, tzinfo=utc)
assert leaf.not_valid_after_utc == datetime.datetime(2099, 12, 31, tzinfo=utc)
assert leaf.subject.rfc4514_string() == "CN=leaf.example,O=Tür & Söhne,C=DE"
extensions = {extension.oid.dotted_string: extension for extension in leaf.extensions}
names = extensions["2.5.29.17"].value
assert names.get_values_for_type(x509.DNSName) == ["leaf.example", "*.leaf.example"]
assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://example/leaf"]
assert names.get_values_for_type(x509.RFC822Name) == ["leaf@example.com"]
assert extensions["2.5.29.19"].value == x509.BasicConstraints(ca=False, path_length=None)
assert extensions["2.5.29.19"].critical
assert sub.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
assert extensions["2.5.29.14"].value == x509.SubjectKeyIdentifier.from_public_key(leaf.public_key())
assert (
    extensions["2.5.29.35"].value.key_identifier
    == sub.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
)
(point,) = extensions["2.5.29.31"].value
assert [name.value for name in point.full_name] == ["http://crl.example/a.crl"]
(access,) = extensions["1.3.6.1.5.5.7.1.1"].value
assert access.access_location.value == "http://ocsp.example"
(policy,) = extensions["2.5.29.32"].value
assert policy.policy_qualifiers == ["http://example/cps"]

# The request.
csr = x509.load_pem_x509_csr(read("csr.pem"))
assert csr.is_signature_valid
assert csr.subject == leaf.subject
assert csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == names

# The key, where there is one.
if not os.path.exists("exported.pem"):
    sys.exit(0)
expected = public_der(leaf.public_key())
assert public_der(serialization.load_pem_public_key(read("public.pem"))) == expected
exported = serialization.load_pem_private_key(read("exported.pem"), PASSPHRASE)
assert public_der(exported.public_key()) == expected
clear = serialization.load_pem_private_key(read("clear.pem"), None)
assert public_der(clear.public_key()) == expected
try:
    serialization.load_pem_private_key(read("exported.pem"), b"wrong")
except ValueError:
    pass
else:
    sys.exit("any passphrase opens the exported key")
