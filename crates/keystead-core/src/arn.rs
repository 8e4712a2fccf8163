//! Names of things: accounts, regions and Amazon Resource Names, exactly as AWS writes them
//! (IAM user guide, "Amazon Resource Names").

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// A resource name: `arn:partition:service:region:account:resource`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Arn {
    /// The partition, `aws` unless the caller wrote another.
    pub partition: String,
    /// The service, for instance `acm-pca`.
    pub service: String,
    /// The region; empty for global services.
    pub region: String,
    /// The account that owns the resource; empty for AWS's own templates.
    pub account: String,
    /// Everything after the fifth colon.
    pub resource: String,
}

impl Arn {
    /// A name in the region's partition.
    pub fn new(
        service: &str,
        region: &Region,
        account: &AccountId,
        resource: impl Into<String>,
    ) -> Self {
        Self {
            partition: region.partition().into(),
            service: service.into(),
            region: region.as_str().into(),
            account: account.as_str().into(),
            resource: resource.into(),
        }
    }

    /// Parses `text`; refuses with [`ErrorKind::InvalidArn`].
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next();
        match (next(), next(), next(), next(), next(), next()) {
            (
                Some("arn"),
                Some(partition),
                Some(service),
                Some(region),
                Some(account),
                Some(resource),
            ) if !partition.is_empty() && !service.is_empty() && !resource.is_empty() => Ok(Self {
                partition: partition.into(),
                service: service.into(),
                region: region.into(),
                account: account.into(),
                resource: resource.into(),
            }),
            _ => Err(Error::new(
                ErrorKind::InvalidArn,
                format!(
                    "The ARN '{text}' is not valid: expected arn:partition:service:region:account:resource."
                ),
            )),
        }
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "arn:{}:{}:{}:{}:{}",
            self.partition, self.service, self.region, self.account, self.resource
        )
    }
}

/// A twelve-digit AWS account number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountId(String);

impl AccountId {
    /// Accepts twelve digits.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(text.into()))
        } else {
            Err(Error::new(
                ErrorKind::InvalidParameter,
                format!("'{text}' is not an account: expected twelve digits"),
            ))
        }
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A region name. Any name is accepted; it is a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Region(String);

impl Region {
    /// Accepts 1 to 64 characters of `a-z`, `0-9` and `-` (so that it fits an ARN and a record key).
    pub fn parse(text: &str) -> Result<Self> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.into()))
        } else {
            Err(Error::new(
                ErrorKind::InvalidParameter,
                "a region is 1 to 64 characters of a-z, 0-9 and '-'",
            ))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The partition in which ARNs of this region lie (botocore `partitions.json`, by the beginning
    /// of the region's name); `aws` for every name that AWS does not use.
    pub fn partition(&self) -> &'static str {
        PARTITIONS
            .iter()
            .find(|(prefix, _)| self.0.starts_with(prefix))
            .map_or("aws", |(_, partition)| partition)
    }
}

/// How region names begin outside the partition `aws`.
const PARTITIONS: [(&str, &str); 7] = [
    ("cn-", "aws-cn"),
    ("eusc-", "aws-eusc"),
    ("us-gov-", "aws-us-gov"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
];

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_lie_in_their_regions_partition() {
        let account = AccountId::parse("000000000000").unwrap();
        for (region, partition) in [
            ("eu-west-1", "aws"),
            ("us-gov-east-1", "aws-us-gov"),
            ("eusc-de-east-1", "aws-eusc"),
            ("us-isob-east-1", "aws-iso-b"),
            ("my-own-region", "aws"),
        ] {
            let region = Region::parse(region).unwrap();
            let arn = Arn::new("acm-pca", &region, &account, "certificate-authority/x");
            assert_eq!(arn.partition, partition);
        }
    }
}
