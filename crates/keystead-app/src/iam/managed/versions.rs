//! The versions of managed policies: at most five, one of them in force.

use jiff::Timestamp;
use keystead_core::iam::quota;
use keystead_core::{Error, ErrorKind, Result};
use keystead_policy::Kind;
use keystead_store::Batch;
use keystead_wire::iam as wire;

use super::{Managed, ManagedPolicy, Version, changeable, load, version_id};
use crate::Ctx;
use crate::iam::account::Ledger;
use crate::iam::document;
use crate::iam::list::Listing;
use crate::iam::record::{retrying, save};
use crate::iam::shown;

impl ManagedPolicy {
    /// Adds a version, in force at once if `in_force`; answers its number.
    fn add(&mut self, document: String, in_force: bool, now: Timestamp) -> Result<u32> {
        if self.versions.len() >= quota::POLICY_VERSIONS.most {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!(
                    "A managed policy can have up to {} versions. Before you create a new version, you must delete an existing version.",
                    quota::POLICY_VERSIONS.most
                ),
            ));
        }
        self.last += 1;
        self.versions.push(Version {
            number: self.last,
            document,
            created: now,
        });
        self.updated = now;
        if in_force {
            self.default = self.last;
        }
        Ok(self.last)
    }

    /// Puts the version in force; answers whether the policy has it.
    fn put_in_force(&mut self, number: u32, now: Timestamp) -> bool {
        let known = self.version(number).is_some();
        if known {
            self.default = number;
            self.updated = now;
        }
        known
    }

    /// Removes a version that is not in force; answers whether the policy had it.
    fn remove(&mut self, number: u32, now: Timestamp) -> Result<bool> {
        if number == self.default {
            return Err(Error::new(
                ErrorKind::ResourceInUse,
                "Cannot delete the default version of a policy.",
            ));
        }
        let before = self.versions.len();
        self.versions.retain(|version| version.number != number);
        let known = self.versions.len() < before;
        if known {
            self.updated = now;
        }
        Ok(known)
    }
}

/// `iam:CreatePolicyVersion`.
pub(crate) async fn create_policy_version(
    ctx: &Ctx,
    input: wire::CreatePolicyVersionRequest,
) -> Result<wire::CreatePolicyVersionResponse> {
    let text = &input.policy_document;
    let in_force = input.set_as_default == Some(true);
    document::check(text, Kind::Identity, quota::POLICY_SIZE)?;
    let number = change(
        ctx,
        "iam:CreatePolicyVersion",
        &input.policy_arn,
        |policy| policy.add(text.clone(), in_force, ctx.now),
    )
    .await?;
    Ok(wire::CreatePolicyVersionResponse {
        policy_version: Some(wire::PolicyVersion {
            document: None,
            version_id: Some(version_id(number)),
            is_default_version: Some(in_force),
            create_date: Some(ctx.now),
        }),
    })
}

/// `iam:GetPolicyVersion`.
pub(crate) async fn get_policy_version(
    ctx: &Ctx,
    input: wire::GetPolicyVersionRequest,
) -> Result<wire::GetPolicyVersionResponse> {
    let policy = load(ctx, &input.policy_arn).await?;
    let mut versions = policy.versions().into_iter();
    let wanted = Some(&input.version_id);
    let version = versions.find(|version| version.version_id.as_ref() == wanted);
    let version = version.ok_or_else(|| missing(&input.policy_arn, &input.version_id))?;
    Ok(wire::GetPolicyVersionResponse {
        policy_version: Some(version),
    })
}

/// `iam:ListPolicyVersions`: the newest first, without their documents.
pub(crate) async fn list_policy_versions(
    ctx: &Ctx,
    input: wire::ListPolicyVersionsRequest,
) -> Result<wire::ListPolicyVersionsResponse> {
    let mut versions = load(ctx, &input.policy_arn).await?.versions();
    for version in &mut versions {
        version.document = None;
    }
    let scope = format!("ListPolicyVersions {}", input.policy_arn);
    let page = Listing::new(scope, input.marker, input.max_items).cut(ctx, versions)?;
    Ok(wire::ListPolicyVersionsResponse {
        is_truncated: page.is_truncated(),
        versions: Some(page.items),
        marker: page.marker,
    })
}

/// `iam:SetDefaultPolicyVersion`.
pub(crate) async fn set_default_policy_version(
    ctx: &Ctx,
    input: wire::SetDefaultPolicyVersionRequest,
) -> Result<wire::SetDefaultPolicyVersionResponse> {
    let (arn, id) = (&input.policy_arn, &input.version_id);
    change(ctx, "iam:SetDefaultPolicyVersion", arn, |policy| {
        let number = number(id).filter(|number| policy.put_in_force(*number, ctx.now));
        number.map(drop).ok_or_else(|| missing(arn, id))
    })
    .await?;
    Ok(wire::SetDefaultPolicyVersionResponse)
}

/// `iam:DeletePolicyVersion`.
pub(crate) async fn delete_policy_version(
    ctx: &Ctx,
    input: wire::DeletePolicyVersionRequest,
) -> Result<wire::DeletePolicyVersionResponse> {
    let (arn, id) = (&input.policy_arn, &input.version_id);
    change(ctx, "iam:DeletePolicyVersion", arn, |policy| {
        match number(id) {
            Some(number) if policy.remove(number, ctx.now)? => Ok(()),
            _ => Err(missing(arn, id)),
        }
    })
    .await?;
    Ok(wire::DeletePolicyVersionResponse)
}

impl Managed {
    /// Its versions, the newest first.
    pub(crate) fn versions(&self) -> Vec<wire::PolicyVersion> {
        let version = |number, text: &str, created, in_force| wire::PolicyVersion {
            document: Some(shown::document(text)),
            version_id: Some(version_id(number)),
            is_default_version: Some(in_force),
            create_date: Some(created),
        };
        match self {
            Self::Aws(policy) => {
                vec![version(
                    policy.version,
                    &policy.document,
                    policy.updated,
                    true,
                )]
            }
            Self::Own(stored) => {
                let policy = &stored.value;
                let versions = policy.versions.iter().rev();
                let shown = |of: &Version| {
                    let in_force = of.number == policy.default;
                    version(of.number, &of.document, of.created, in_force)
                };
                versions.map(shown).collect()
            }
        }
    }
}

/// Changes the policy as `decide` says, and counts its versions.
async fn change<T>(
    ctx: &Ctx,
    action: &str,
    arn: &str,
    decide: impl Fn(&mut ManagedPolicy) -> Result<T>,
) -> Result<T> {
    let decide = &decide;
    retrying(|| async move {
        let mut stored = changeable(ctx, action, arn).await?;
        let before = stored.value.versions.len();
        let outcome = decide(&mut stored.value)?;
        let after = stored.value.versions.len();
        let mut batch = Batch::new();
        if before != after {
            let mut ledger = Ledger::load(ctx).await?;
            let count = &mut ledger.account.policy_versions;
            *count = (*count + after).saturating_sub(before);
            ledger.save(&mut batch);
        }
        save(&mut batch, &stored);
        ctx.app.store.commit(batch).await?;
        Ok(outcome)
    })
    .await
}

/// The number in `v1`.
fn number(id: &str) -> Option<u32> {
    id.strip_prefix('v')?.parse().ok()
}

fn missing(arn: &str, id: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("Policy {arn} version {id} does not exist or is not attachable."),
    )
}

#[cfg(test)]
mod tests {
    use keystead_core::tags::Tags;

    use super::*;

    fn policy() -> ManagedPolicy {
        ManagedPolicy {
            name: "P".into(),
            path: "/".into(),
            id: "ANPA".into(),
            description: None,
            created: Timestamp::UNIX_EPOCH,
            updated: Timestamp::UNIX_EPOCH,
            tags: Tags::new(),
            versions: vec![Version {
                number: 1,
                document: "one".into(),
                created: Timestamp::UNIX_EPOCH,
            }],
            default: 1,
            last: 1,
        }
    }

    #[test]
    fn numbers_are_never_given_again() {
        let (mut policy, now) = (policy(), Timestamp::UNIX_EPOCH);
        assert_eq!(policy.add("two".into(), false, now), Ok(2));
        assert_eq!(policy.remove(2, now), Ok(true));
        assert_eq!(policy.add("three".into(), true, now), Ok(3));
        assert_eq!((policy.default, policy.document()), (3, Ok("three")));
        assert_eq!(policy.remove(2, now), Ok(false));
    }

    #[test]
    fn the_version_in_force_stays_and_a_sixth_is_refused() {
        let (mut policy, now) = (policy(), Timestamp::UNIX_EPOCH);
        let kind = |refused: Result<_>| refused.map_err(|error| error.kind);
        assert_eq!(kind(policy.remove(1, now)), Err(ErrorKind::ResourceInUse));
        for number in 2..=5 {
            assert_eq!(policy.add(String::new(), false, now), Ok(number));
        }
        let sixth = policy.add(String::new(), false, now);
        assert_eq!(
            sixth.map_err(|error| error.kind),
            Err(ErrorKind::LimitExceeded)
        );
        assert!(policy.put_in_force(5, now) && !policy.put_in_force(6, now));
        assert_eq!(policy.remove(1, now), Ok(true));
    }
}
