#!/bin/sh
# An application's backend certificate, and the role of the machines that may have its key.
#   sh setup.sh NAME CA_ARN
set -eu
app=$1 ca=$2

certificate=$(aws acm request-certificate --domain-name "backend.$app.internal" --certificate-authority-arn "$ca" \
    --key-algorithm EC_prime256v1 --tags "Key=application,Value=$app" "Key=keystead:keep-key,Value=yes" \
    --query CertificateArn --output text)

# Lets ACM renew it; repeated, it changes nothing.
aws acm-pca create-permission --certificate-authority-arn "$ca" --principal acm.amazonaws.com \
    --actions IssueCertificate GetCertificate ListPermissions 2>/dev/null ||
    aws acm-pca list-permissions --certificate-authority-arn "$ca" --output text | grep -q acm.amazonaws.com

role=$(aws iam create-role --role-name "backend-$app" --query Role.Arn --output text --assume-role-policy-document '{
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow",
        "Principal": { "Service": "rolesanywhere.amazonaws.com" },
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    }]
}')

# This certificate, and no other.
aws iam put-role-policy --role-name "backend-$app" --policy-name certificate --policy-document '{
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow",
        "Action": ["acm:DescribeCertificate", "acm:ExportCertificate"],
        "Resource": "'"$certificate"'"
    }]
}'

echo "$certificate"
echo "$role"
