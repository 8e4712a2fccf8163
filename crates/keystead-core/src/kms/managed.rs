//! Services' own keys (AWS managed keys): one a service, account and region, named `alias/aws/NAME`, made on first use.
//!
//! Their policies let everybody in the account use them through the service, and look at them; nobody changes them. Sources:
//! developer guide, "AWS managed keys"; the policies of Secrets Manager's ("Secret encryption and decryption") and
//! Certificate Manager's ("Data protection") as those guides show them.

use serde_json::{Value, json};

use super::alias::RESERVED;
use super::{KeyKind, KeySpec, KeyUsage, Origin};
use crate::arn::{AccountId, Region};

/// A service with a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// How its alias ends.
    name: &'static str,
    /// How `kms:ViaService` begins.
    via: &'static str,
    /// How people call it.
    title: &'static str,
    /// What the key protects.
    protects: &'static str,
}

/// What such a key is.
pub const KIND: KeyKind = KeyKind {
    spec: KeySpec::SymmetricDefault,
    usage: KeyUsage::EncryptDecrypt,
    origin: Origin::AwsKms,
    multi_region: false,
};

impl Service {
    /// The service whose key goes by this alias.
    pub fn of_alias(alias: &str) -> Option<&'static Self> {
        let name = alias.strip_prefix(RESERVED)?;
        SERVICES.iter().find(|service| service.name == name)
    }

    /// The alias.
    pub fn alias(&self) -> String {
        format!("{RESERVED}{}", self.name)
    }

    /// `Description`.
    pub fn description(&self) -> String {
        format!(
            "Default key that protects my {} when no other key is defined",
            self.protects
        )
    }

    /// The key policy.
    pub fn policy(&self, account: &AccountId, region: &Region) -> String {
        let through = json!({
            "kms:CallerAccount": account.as_str(),
            "kms:ViaService": format!("{}.{region}.amazonaws.com", self.via),
        });
        let owner = format!("arn:{}:iam::{account}:root", region.partition());
        let statements = match self.name {
            "acm" => of_certificates(&through, &owner),
            "secretsmanager" => self.of_secrets(&through, account, &owner),
            _ => self.usual(&through, &owner),
        };
        json!({
            "Version": "2012-10-17",
            "Id": format!("auto-{}-1", self.name),
            "Statement": statements,
        })
        .to_string()
    }

    fn usual(&self, through: &Value, owner: &str) -> Value {
        json!([
            {
                "Sid": self.through_it(),
                "Effect": "Allow",
                "Principal": { "AWS": "*" },
                "Action": [
                    "kms:Encrypt",
                    "kms:Decrypt",
                    "kms:ReEncrypt*",
                    "kms:GenerateDataKey*",
                    "kms:CreateGrant",
                    "kms:DescribeKey",
                ],
                "Resource": "*",
                "Condition": { "StringEquals": through },
            },
            metadata(owner),
        ])
    }

    /// Data keys of secrets that are replicated are made for another region.
    fn of_secrets(&self, through: &Value, account: &AccountId, owner: &str) -> Value {
        json!([
            {
                "Sid": self.through_it(),
                "Effect": "Allow",
                "Principal": { "AWS": "*" },
                "Action": [
                    "kms:Encrypt",
                    "kms:Decrypt",
                    "kms:ReEncrypt*",
                    "kms:CreateGrant",
                    "kms:DescribeKey",
                ],
                "Resource": "*",
                "Condition": { "StringEquals": through },
            },
            {
                "Sid": self.through_it(),
                "Effect": "Allow",
                "Principal": { "AWS": "*" },
                "Action": "kms:GenerateDataKey*",
                "Resource": "*",
                "Condition": {
                    "StringEquals": { "kms:CallerAccount": account.as_str() },
                    "StringLike": { "kms:ViaService": "secretsmanager.*.amazonaws.com" },
                },
            },
            metadata(owner),
        ])
    }

    fn through_it(&self) -> String {
        format!(
            "Allow access through {title} for all principals in the account that are authorized to use {title}",
            title = self.title
        )
    }
}

fn metadata(owner: &str) -> Value {
    json!({
        "Sid": "Allow direct access to key metadata to the account",
        "Effect": "Allow",
        "Principal": { "AWS": owner },
        "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
        "Resource": "*",
    })
}

/// Certificate Manager gives grants away and uses the key by them; a private key leaves it for no other KMS key.
fn of_certificates(through: &Value, owner: &str) -> Value {
    let grant = |sid: &str, operations: Value| {
        json!({
            "Sid": sid,
            "Effect": "Allow",
            "Principal": { "AWS": "*" },
            "Action": "kms:CreateGrant",
            "Resource": "*",
            "Condition": {
                "StringEquals": through,
                "ForAllValues:StringEquals": { "kms:GrantOperations": operations },
                "Bool": { "kms:GrantIsForAWSResource": "true" },
            },
        })
    };
    json!([
        grant("Allow creation of decryption grants", json!("Decrypt")),
        grant(
            "Allow creation of encryption grant",
            json!(["Encrypt", "ReEncryptFrom", "ReEncryptTo"]),
        ),
        {
            "Sid": "Allowed operations for the key owner",
            "Effect": "Allow",
            "Principal": { "AWS": owner },
            "Action": ["kms:DescribeKey", "kms:ListGrants", "kms:RevokeGrant", "kms:GetKeyPolicy"],
            "Resource": "*",
        },
        {
            "Sid": "Deny re-encryption to any other key",
            "Effect": "Deny",
            "Principal": { "AWS": "*" },
            "Action": "kms:ReEncrypt*",
            "Resource": "*",
            "Condition": { "Null": { "kms:ReEncryptOnSameKey": "true" } },
        },
        {
            "Sid": "Allow re-encryption to same key",
            "Effect": "Allow",
            "Principal": { "AWS": "*" },
            "Action": "kms:ReEncrypt*",
            "Resource": "*",
            "Condition": { "Bool": { "kms:ReEncryptOnSameKey": "true" } },
        },
    ])
}

const fn service(
    name: &'static str,
    via: &'static str,
    title: &'static str,
    protects: &'static str,
) -> Service {
    Service {
        name,
        via,
        title,
        protects,
    }
}

/// Those whose aliases tools ask for, served here or not: a key is there for who wants to encrypt under it by its policy.
const SERVICES: &[Service] = &[
    service("acm", "acm", "AWS Certificate Manager", "ACM private keys"),
    service("dynamodb", "dynamodb", "Amazon DynamoDB", "DynamoDB data"),
    service("ebs", "ec2", "EBS", "EBS volumes"),
    service("lambda", "lambda", "AWS Lambda", "Lambda functions"),
    service("rds", "rds", "RDS", "RDS database volumes"),
    service("s3", "s3", "S3", "S3 objects"),
    service(
        "secretsmanager",
        "secretsmanager",
        "AWS Secrets Manager",
        "Secrets Manager data",
    ),
    service("sns", "sns", "Amazon SNS", "SNS data"),
    service("sqs", "sqs", "Amazon SQS", "SQS messages"),
    service("ssm", "ssm", "Parameter Store", "SSM parameters"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_of_a_service_leads_to_it_and_others_to_none() {
        for service in SERVICES {
            assert_eq!(Service::of_alias(&service.alias()), Some(service));
        }
        for other in ["alias/acm", "alias/aws/", "alias/aws/nothing", "acm"] {
            assert_eq!(Service::of_alias(other), None);
        }
    }

    #[test]
    fn every_policy_is_for_its_service_account_and_region() {
        let account = AccountId::parse("111122223333").unwrap();
        let region = Region::parse("eu-west-1").unwrap();
        for service in SERVICES {
            let policy = service.policy(&account, &region);
            let policy: Value = serde_json::from_str(&policy).unwrap();
            let first = &policy["Statement"][0]["Condition"]["StringEquals"];
            assert_eq!(first["kms:CallerAccount"], "111122223333");
            let via = format!("{}.eu-west-1.amazonaws.com", service.via);
            assert_eq!(first["kms:ViaService"], via);
            assert!(
                policy
                    .to_string()
                    .contains("arn:aws:iam::111122223333:root")
            );
        }
    }
}
