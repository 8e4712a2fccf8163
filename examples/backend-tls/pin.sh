#!/bin/sh
# What Envoy's verify_certificate_spki takes: SHA-256 of the DER of a certificate's public key, in base64.
#   sh pin.sh CERTIFICATE_ARN
set -eu
aws acm get-certificate --certificate-arn "$1" --query Certificate --output text |
    openssl x509 -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | openssl base64 -A
echo
