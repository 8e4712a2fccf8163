//! The policies that come from AWS and concern what Keystead serves, written by us to what AWS documents
//! of each ("AWS managed policies" in the guides of the services). Nobody can change them.
//!
//! Names, paths, dates and version numbers are AWS's; of the versions only the one in force is here. A
//! service that Keystead does not serve is named where the policy is one that write-ups attach beside ours.
//! `ReadOnlyAccess`, `ViewOnlyAccess` and `SecurityAudit` speak of what Keystead serves or will serve.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use keystead_core::iam::id;
use keystead_crypto::digest;
use keystead_policy::{Kind, Policy};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A policy of AWS.
#[derive(Debug)]
pub(crate) struct AwsPolicy {
    /// The name.
    pub(crate) name: String,
    /// The path.
    pub(crate) path: String,
    /// The unique id.
    pub(crate) id: String,
    /// What it is for.
    pub(crate) description: String,
    /// The number of the version in force.
    pub(crate) version: u32,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When the version in force was.
    pub(crate) updated: Timestamp,
    /// The document.
    pub(crate) document: String,
    /// The same, compiled.
    pub(crate) compiled: Arc<Policy>,
}

impl AwsPolicy {
    /// The ARN, in this partition.
    pub(crate) fn arn(&self, partition: &str) -> String {
        format!("arn:{partition}:iam::aws:policy{}{}", self.path, self.name)
    }
}

/// The policy with this path and name.
pub(crate) fn find(path_and_name: &str) -> Option<&'static AwsPolicy> {
    let name = path_and_name.rsplit('/').next()?;
    ALL.get(name)
        .filter(|policy| path_and_name.strip_suffix(name) == Some(&policy.path))
}

/// Those after this name, by name.
pub(crate) fn after(name: Option<&str>) -> impl Iterator<Item = &'static AwsPolicy> {
    let from = name.map_or(Bound::Unbounded, Bound::Excluded);
    ALL.range::<str, _>((from, Bound::Unbounded))
        .map(|(_, policy)| policy)
}

/// A file of the folder `aws`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct File {
    path: String,
    description: String,
    default_version: u32,
    create_date: Timestamp,
    update_date: Timestamp,
    document: Box<RawValue>,
}

static ALL: LazyLock<BTreeMap<&str, AwsPolicy>> = LazyLock::new(|| {
    let files = FILES.iter();
    // A test reads every file, so none is lost here.
    let read = files.filter_map(|(name, text)| Some((*name, read(name, text).ok()?)));
    read.collect()
});

fn read(name: &str, text: &str) -> Result<AwsPolicy, String> {
    let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let document = file.document.get();
    let compiled = Policy::parse(document, Kind::Identity).map_err(|fault| fault.to_string())?;
    Ok(AwsPolicy {
        name: name.to_owned(),
        path: file.path,
        id: id(name),
        description: file.description,
        version: file.default_version,
        created: file.create_date,
        updated: file.update_date,
        document: document.to_owned(),
        compiled: Arc::new(compiled),
    })
}

/// AWS publishes no unique ids of its policies; these are made of the name, and so never change.
fn id(name: &str) -> String {
    let hash = digest::sha256(name.as_bytes());
    let mut letters = [0; 17];
    for (letter, octet) in letters.iter_mut().zip(hash) {
        *letter = octet;
    }
    id::unique(id::Prefix::Policy, letters)
}

macro_rules! files {
    ($($name:literal,)*) => {
        const FILES: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("aws/", $name, ".json"))),)*
        ];
    };
}

files! {
    "AWSAppMeshEnvoyAccess",
    "AWSAppMeshPreviewEnvoyAccess",
    "AWSCertificateManagerFullAccess",
    "AWSCertificateManagerPrivateCAAuditor",
    "AWSCertificateManagerPrivateCAFullAccess",
    "AWSCertificateManagerPrivateCAPrivilegedUser",
    "AWSCertificateManagerPrivateCAReadOnly",
    "AWSCertificateManagerPrivateCAUser",
    "AWSCertificateManagerReadOnly",
    "AWSCloudTrail_ReadOnlyAccess",
    "AWSDenyAll",
    "AWSKeyManagementServiceCustomKeyStoresServiceRolePolicy",
    "AWSKeyManagementServiceMultiRegionKeysServiceRolePolicy",
    "AWSKeyManagementServicePowerUser",
    "AWSLambdaBasicExecutionRole",
    "AWSPrivateCAAuditor",
    "AWSPrivateCAConnectorForKubernetesPolicy",
    "AWSPrivateCAFullAccess",
    "AWSPrivateCAPrivilegedUser",
    "AWSPrivateCAReadOnly",
    "AWSPrivateCAUser",
    "AWSRolesAnywhereFullAccess",
    "AWSRolesAnywhereReadOnly",
    "AWSRolesAnywhereServicePolicy",
    "AWSSecretsManagerClientReadOnlyAccess",
    "AWSXRayDaemonWriteAccess",
    "AdministratorAccess",
    "AmazonECSTaskExecutionRolePolicy",
    "CertificateManagerServiceRolePolicy",
    "CloudWatchFullAccess",
    "IAMFullAccess",
    "IAMReadOnlyAccess",
    "IAMUserChangePassword",
    "PowerUserAccess",
    "ReadOnlyAccess",
    "SecretsManagerReadWrite",
    "SecurityAudit",
    "ViewOnlyAccess",
}

#[cfg(test)]
mod tests {
    use keystead_policy::{Caller, CallerKind, Context, Policies, Request, Rule, Source, decide};

    use super::*;

    fn allows(name: &str, action: &str, context: &[(&'static str, &str)]) -> bool {
        let identity = [Source {
            label: name.to_owned(),
            policy: Arc::clone(&ALL.get(name).unwrap().compiled),
        }];
        let mut given = Context::new();
        for (key, value) in context {
            given.set(*key, *value);
        }
        let account = "123456789012";
        let resource = match action.split_once(':').unwrap().0 {
            "acm-pca" => "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/1",
            "secretsmanager" => "arn:aws:secretsmanager:us-east-1:123456789012:secret:s",
            "kms" => "arn:aws:kms:us-east-1:123456789012:key/1",
            _ => "*",
        };
        let request = Request {
            action,
            resource,
            caller: Caller {
                account,
                arn: "arn:aws:iam::123456789012:user/Bob",
                kind: CallerKind::User,
            },
            context: &given,
        };
        let policies = Policies {
            identity: &identity,
            boundary: None,
            session: None,
            resource: None,
            resource_account: account,
            rule: Rule::Usual,
            grant: None,
        };
        decide(&request, &policies).is_allowed()
    }

    #[test]
    fn they_allow_what_aws_documents_and_no_more() {
        const TEMPLATE: &str = "acm-pca:TemplateArn";
        let end_entity = "arn:aws:acm-pca:::template/EndEntityCertificate/V1";
        let ca = "arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen0/V1";
        let (end_entity, ca) = ([(TEMPLATE, end_entity)], [(TEMPLATE, ca)]);
        let via = [
            ("kms:ViaService", "secretsmanager.us-east-1.amazonaws.com"),
            (
                "kms:EncryptionContext:SecretARN",
                "arn:aws:secretsmanager:us-east-1:123456789012:secret:s",
            ),
        ];
        for (name, action, context, expected) in [
            (
                "AWSPrivateCAUser",
                "acm-pca:IssueCertificate",
                &end_entity[..],
                true,
            ),
            ("AWSPrivateCAUser", "acm-pca:IssueCertificate", &ca, false),
            (
                "AWSPrivateCAPrivilegedUser",
                "acm-pca:IssueCertificate",
                &ca,
                true,
            ),
            (
                "AWSPrivateCAPrivilegedUser",
                "acm-pca:IssueCertificate",
                &end_entity,
                false,
            ),
            ("AWSPrivateCAAuditor", "acm-pca:GetCertificate", &[], true),
            (
                "AWSPrivateCAAuditor",
                "acm-pca:IssueCertificate",
                &[],
                false,
            ),
            (
                "SecretsManagerReadWrite",
                "secretsmanager:PutSecretValue",
                &[],
                true,
            ),
            ("SecretsManagerReadWrite", "kms:Decrypt", &[], false),
            (
                "AWSSecretsManagerClientReadOnlyAccess",
                "kms:Decrypt",
                &[],
                false,
            ),
            (
                "AWSSecretsManagerClientReadOnlyAccess",
                "kms:Decrypt",
                &via,
                true,
            ),
            (
                "AWSKeyManagementServicePowerUser",
                "kms:CreateKey",
                &[],
                true,
            ),
            (
                "AWSKeyManagementServicePowerUser",
                "kms:Decrypt",
                &[],
                false,
            ),
            (
                "AWSCertificateManagerReadOnly",
                "acm:ExportCertificate",
                &[],
                false,
            ),
            (
                "AWSCertificateManagerFullAccess",
                "acm:ExportCertificate",
                &[],
                true,
            ),
            ("ReadOnlyAccess", "secretsmanager:DescribeSecret", &[], true),
            (
                "ReadOnlyAccess",
                "secretsmanager:GetSecretValue",
                &[],
                false,
            ),
            ("ReadOnlyAccess", "kms:Decrypt", &[], false),
            ("PowerUserAccess", "kms:Decrypt", &[], true),
            ("PowerUserAccess", "iam:CreateUser", &[], false),
            ("AWSDenyAll", "iam:ListUsers", &[], false),
        ] {
            assert_eq!(allows(name, action, context), expected, "{name} {action}");
        }
    }

    #[test]
    fn every_file_is_a_policy_found_by_its_arn() {
        for (name, text) in FILES {
            let policy = read(name, text).unwrap_or_else(|error| panic!("{name}: {error}"));
            let found = find(&format!("{}{name}", policy.path));
            assert_eq!(found.map(|found| &found.id), Some(&policy.id));
            assert!(
                policy.path.starts_with('/') && policy.path.ends_with('/'),
                "{name}"
            );
            assert!(policy.id.starts_with("ANPA"), "{name}: {}", policy.id);
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/iam/managed/aws");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), FILES.len());
    }

    #[test]
    fn a_policy_is_found_under_its_own_path_alone() {
        assert!(find("/AdministratorAccess").is_some());
        assert!(find("/x/AdministratorAccess").is_none());
        assert!(find("AdministratorAccess").is_none());
    }
}
