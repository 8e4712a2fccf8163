"""The commands by which AWS's App Mesh guides make a certificate, as a user types them.

Source of the commands: aws-app-mesh-examples, walkthrough "Configuring TLS with AWS Certificate Manager",
step 2 (Apache-2.0). Unquoted expansions included: they turn the newlines of a CSR and of a certificate
into blanks, and users do paste them.
"""

import base64
import json
import os
import pathlib
import stat
import subprocess

import pytest
from cryptography.x509.oid import NameOID

import authorities
from authorities import bundle, parse

NEW = pathlib.Path(os.environ["KEYSTEAD_TEST_VENV"]) / "bin"
OLD = pathlib.Path(os.environ["KEYSTEAD_TEST_VENV_OLD"]) / "bin"

COMMANDS = r"""
set -e
export SERVICES_DOMAIN="default.svc.cluster.local"

export ROOT_CA_ARN=`aws acm-pca create-certificate-authority \
    --certificate-authority-type ROOT \
    --certificate-authority-configuration \
    "KeyAlgorithm=RSA_2048,
    SigningAlgorithm=SHA256WITHRSA,
    Subject={
        Country=US,
        State=WA,
        Locality=Seattle,
        Organization=App Mesh Examples,
        OrganizationalUnit=TLS Example,
        CommonName=${SERVICES_DOMAIN}}" \
        --query CertificateAuthorityArn --output text`

ROOT_CA_CSR=`aws acm-pca get-certificate-authority-csr \
    --certificate-authority-arn ${ROOT_CA_ARN} \
    --query Csr --output text`

AWS_CLI_VERSION=$(aws --version 2>&1 | cut -d/ -f2 | cut -d. -f1)
if [[ ${AWS_CLI_VERSION} -gt 1 ]]; then ROOT_CA_CSR="$(echo ${ROOT_CA_CSR} | base64)"; fi

ROOT_CA_CERT_ARN=`aws acm-pca issue-certificate \
    --certificate-authority-arn ${ROOT_CA_ARN} \
    --template-arn arn:aws:acm-pca:::template/RootCACertificate/V1 \
    --signing-algorithm SHA256WITHRSA \
    --validity Value=10,Type=YEARS \
    --csr "${ROOT_CA_CSR}" \
    --query CertificateArn --output text`

ROOT_CA_CERT=`aws acm-pca get-certificate \
    --certificate-arn ${ROOT_CA_CERT_ARN} \
    --certificate-authority-arn ${ROOT_CA_ARN} \
    --query Certificate --output text`

if [[ ${AWS_CLI_VERSION} -gt 1 ]]; then ROOT_CA_CERT="$(echo ${ROOT_CA_CERT} | base64)"; fi

aws acm-pca import-certificate-authority-certificate \
    --certificate-authority-arn $ROOT_CA_ARN \
    --certificate "${ROOT_CA_CERT}"

aws acm-pca create-permission \
    --certificate-authority-arn $ROOT_CA_ARN \
    --actions IssueCertificate GetCertificate ListPermissions \
    --principal acm.amazonaws.com

export CERTIFICATE_ARN=`aws acm request-certificate \
    --domain-name "*.${SERVICES_DOMAIN}" \
    --certificate-authority-arn ${ROOT_CA_ARN} \
    --query CertificateArn --output text`

# Not of the guide: wait as its readers do, by looking again, and show the result.
for attempt in $(seq 60); do
    aws acm describe-certificate --certificate-arn $CERTIFICATE_ARN --output json >described.json
    if grep -q '"ISSUED"' described.json; then break; fi
done
aws acm get-certificate --certificate-arn $CERTIFICATE_ARN --output json >certificate.json
echo "$ROOT_CA_ARN" >root-arn
"""

CLEAN_UP = r"""
set -e
ROOT_CA_ARN=$(cat root-arn)
CERTIFICATE_ARN=$(python3 -c 'import json; print(json.load(open("described.json"))["Certificate"]["CertificateArn"])')
aws acm delete-certificate --certificate-arn $CERTIFICATE_ARN
aws acm-pca update-certificate-authority --certificate-authority-arn $ROOT_CA_ARN --status DISABLED
aws acm-pca delete-certificate-authority --certificate-authority-arn $ROOT_CA_ARN
"""

# Version 2 of the CLI is no Python package. What differs here is that it decodes base64 in a blob
# argument; this stand-in does that and hands the bytes to version 1 as a file.
VERSION_2 = r"""#!{python}
import base64, os, subprocess, sys, tempfile
arguments = sys.argv[1:]
if arguments == ["--version"]:
    print("aws-cli/2.27.0 Python/3.13.2 Linux/6.1 exe/x86_64")
    sys.exit()
for index, argument in enumerate(arguments):
    if argument in ("--csr", "--certificate"):
        blob = tempfile.NamedTemporaryFile(delete=False, dir=os.environ["HOME"])
        blob.write(base64.b64decode(arguments[index + 1]))
        blob.close()
        arguments[index + 1] = "fileb://" + blob.name
sys.exit(subprocess.run([{aws!r}, *arguments]).returncode)
"""


def bash(server, folder, path, commands):
    environment = server.shell_environment() | {"PATH": f"{path}:{os.environ['PATH']}"}
    ran = subprocess.run(
        ["bash", "-c", commands], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def check(folder):
    certificate = json.loads((folder / "described.json").read_text())["Certificate"]
    assert certificate["Status"] == "ISSUED"
    assert certificate["CertificateAuthorityArn"] == (folder / "root-arn").read_text().strip()
    # The organisation of the authority's subject, as for certificates of Amazon's own ("Amazon").
    assert certificate["Issuer"] == "App Mesh Examples"
    issued = json.loads((folder / "certificate.json").read_text())
    leaf, (root,) = parse(issued["Certificate"]), bundle(issued["CertificateChain"])
    assert leaf.issuer == root.subject
    (name,) = root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "default.svc.cluster.local"
    leaf.verify_directly_issued_by(root)


@pytest.mark.parametrize("clients", [NEW, OLD], ids=["newest", "older"])
def test_the_guide_as_it_is_printed(server, tmp_path, clients):
    bash(server, tmp_path, clients, COMMANDS)
    check(tmp_path)
    bash(server, tmp_path, clients, CLEAN_UP)


def test_the_guide_with_version_2(server, tmp_path):
    shims = tmp_path / "shims"
    shims.mkdir()
    shim = shims / "aws"
    shim.write_text(VERSION_2.format(python=NEW / "python", aws=str(NEW / "aws")))
    shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
    bash(server, tmp_path, shims, COMMANDS)
    check(tmp_path)


@pytest.mark.parametrize("wrap", [False, True], ids=["pem-with-blanks", "base64-of-that"])
def test_a_csr_whose_newlines_were_eaten(pca, tmp_path, wrap):
    arn = authorities.create(pca, "Blanks")
    csr = b" ".join(authorities.csr_of(pca, arn).split(b"\n"))
    csr = base64.encodebytes(csr) if wrap else csr
    _, answer = authorities.issue(pca, arn, csr, authorities.ROOT_TEMPLATE, ("YEARS", 1))
    pem = b" ".join(answer["Certificate"].encode().split(b"\n"))
    pca.import_certificate_authority_certificate(
        CertificateAuthorityArn=arn, Certificate=base64.encodebytes(pem) if wrap else pem
    )
    described = pca.describe_certificate_authority(CertificateAuthorityArn=arn)
    assert described["CertificateAuthority"]["Status"] == "ACTIVE"
