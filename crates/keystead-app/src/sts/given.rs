//! What is given to a session beside its principal: policies that limit it, tags, a source identity.

use std::sync::Arc;

use keystead_core::iam::tags;
use keystead_core::tags::Tags;
use keystead_core::{AccountId, Error, ErrorKind, Result};
use keystead_policy::{Kind, Policy, Source};
use keystead_store::Store;
use keystead_wire::sts as wire;
use serde::{Deserialize, Serialize};

use super::session::Session;
use super::tokens::pack;
use crate::iam::managed;

/// What is given to a session.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Given {
    /// A policy's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<String>,
    /// ARNs of managed policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) policy_arns: Vec<String>,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(super) tags: Tags,
    /// The keys of those tags that sessions made by this one inherit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) transitive: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source_identity: Option<String>,
}

impl Given {
    /// With these session policies. Refuses what is no policy, what the account can't see, and too much of it.
    pub(super) async fn limited(
        mut self,
        store: &Store,
        account: &AccountId,
        policy: Option<String>,
        arns: Option<Vec<wire::PolicyDescriptorType>>,
    ) -> Result<Self> {
        if let Some(text) = &policy {
            let length = text.chars().count();
            if length > PLAINTEXT_MOST {
                return Err(Error::new(
                    ErrorKind::Validation,
                    format!(
                        "1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must have length less than or equal to {PLAINTEXT_MOST}"
                    ),
                ));
            }
            Policy::parse(text, Kind::Identity).map_err(|fault| {
                Error::new(ErrorKind::InvalidPolicy, fault.message).at(fault.place)
            })?;
        }
        let arns: Vec<String> = arns
            .into_iter()
            .flatten()
            .filter_map(|descriptor| descriptor.arn)
            .collect();
        if arns.len() > POLICY_ARNS_MOST {
            return Err(Error::new(
                ErrorKind::Validation,
                format!(
                    "1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have length less than or equal to {POLICY_ARNS_MOST}"
                ),
            ));
        }
        for arn in &arns {
            if managed::find(store, account, arn).await?.is_none() {
                return Err(Error::new(
                    ErrorKind::InvalidPolicy,
                    format!("The policy {arn} does not exist or is not attachable."),
                ));
            }
        }
        self.policy = policy;
        self.policy_arns = arns;
        Ok(self)
    }

    /// With these tags, and those that the caller's own session passes on.
    ///
    /// Refuses with [`ErrorKind::InvalidTag`] a key twice, and one that was passed on ("you cannot override a
    /// transitive tag", IAM user guide, "Passing session tags").
    pub(super) fn tagged(
        mut self,
        caller: Option<&Session>,
        given: impl IntoIterator<Item = (String, String)>,
        transitive: Vec<String>,
    ) -> Result<Self> {
        let folded =
            |keys: &[String], key: &str| keys.iter().any(|known| known.eq_ignore_ascii_case(key));
        let inherited = caller.map_or(&[][..], |session| &session.transitive);
        tags::add(&mut self.tags, given)?;
        if self.tags.keys().any(|key| folded(inherited, key)) {
            return Err(Error::new(
                ErrorKind::InvalidTag,
                "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.",
            ));
        }
        for key in &transitive {
            if !self
                .tags
                .keys()
                .any(|known| known.eq_ignore_ascii_case(key))
            {
                return Err(Error::new(
                    ErrorKind::InvalidTag,
                    "The specified transitive tag key must be included in the requested tags.",
                ));
            }
        }
        self.transitive = transitive;
        for (key, value) in caller.into_iter().flat_map(|session| &session.tags) {
            if folded(inherited, key) {
                self.tags.insert(key.clone(), value.clone());
                self.transitive.push(key.clone());
            }
        }
        Ok(self)
    }

    /// With this source identity, or the one of the caller's own session: "after the source identity is set, the
    /// value cannot be changed" (API reference).
    pub(super) fn called(mut self, caller: Option<&Session>, name: Option<String>) -> Result<Self> {
        let inherited = caller.and_then(|session| session.source_identity.as_ref());
        if name.as_ref().is_some_and(|name| name.starts_with("aws:")) {
            return Err(Error::new(
                ErrorKind::Validation,
                "A source identity can't begin with the reserved prefix 'aws:'.",
            ));
        }
        self.source_identity = match (inherited, name) {
            (Some(set), Some(name)) if *set != name => {
                return Err(Error::new(
                    ErrorKind::AccessDenied,
                    "The source identity of the calling session can't be changed.",
                ));
            }
            (Some(set), _) => Some(set.clone()),
            (None, name) => name,
        };
        Ok(self)
    }

    /// How much of their room policies and tags take, in per cent; `None` without any.
    ///
    /// Refuses with [`ErrorKind::LimitExceeded`] what does not fit.
    pub(super) fn packed_percent(&self) -> Result<Option<i32>> {
        if self.policy.is_none() && self.policy_arns.is_empty() && self.tags.is_empty() {
            return Ok(None);
        }
        let size = pack(&(&self.policy, &self.policy_arns, &self.tags))?.len();
        let percent = size.saturating_mul(100).div_ceil(PACKED_MOST);
        let plaintext = self.policy.iter().chain(&self.policy_arns);
        let plaintext: usize = plaintext.map(|text| text.chars().count()).sum();
        if percent > 100 && !self.tags.is_empty() {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("Packed size of session tags consumes {percent}% of allotted space."),
            ));
        }
        if percent > 100 || plaintext > PLAINTEXT_MOST {
            let percent = percent.max(plaintext.saturating_mul(100).div_ceil(PLAINTEXT_MOST));
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!(
                    "Packed policy consumes {percent}% of allotted space, please use smaller policy."
                ),
            ));
        }
        Ok(i32::try_from(percent).ok())
    }

    /// The session policies, ready to be asked. A managed policy that is gone allows nothing.
    pub(super) async fn compiled(
        &self,
        store: &Store,
        account: &AccountId,
    ) -> Result<Option<Vec<Source>>> {
        if self.policy.is_none() && self.policy_arns.is_empty() {
            return Ok(None);
        }
        let mut sources = Vec::with_capacity(self.policy_arns.len().saturating_add(1));
        if let Some(text) = &self.policy {
            let label = "the session policy".to_owned();
            let policy = Arc::new(managed::compile(&label, text)?);
            sources.push(Source { label, policy });
        }
        for arn in &self.policy_arns {
            if let Some(found) = managed::find(store, account, arn).await? {
                let (label, policy) = (arn.clone(), found.compiled()?);
                sources.push(Source { label, policy });
            }
        }
        Ok(Some(sources))
    }
}

/// Tags as pairs.
pub(super) fn pairs(tags: Option<Vec<wire::Tag>>) -> impl Iterator<Item = (String, String)> {
    tags.into_iter().flatten().map(|tag| (tag.key, tag.value))
}

/// "The plaintext that you use for both inline and managed session policies can't exceed 2,048 characters" (API
/// reference).
const PLAINTEXT_MOST: usize = 2048;

/// "You can provide up to 10 managed policy ARNs" (API reference).
const POLICY_ARNS_MOST: usize = 10;

/// Bytes of policies and tags, compressed. AWS does not publish its limit; this one leaves a token, which is a
/// third longer than what it says, as much room again for everything else.
const PACKED_MOST: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    fn session(tags: &[(&str, &str)], transitive: &[&str]) -> Session {
        Session {
            issued: jiff::Timestamp::UNIX_EPOCH,
            policies: None,
            tags: tags
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
            transitive: transitive.iter().map(|key| (*key).into()).collect(),
            source_identity: Some("alice".into()),
            web_identity: None,
        }
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    #[test]
    fn only_transitive_tags_are_passed_on_and_none_of_them_is_changed() {
        let caller = session(&[("Team", "red"), ("Own", "x")], &["team"]);
        let given = Given::default()
            .tagged(Some(&caller), [pair("new", "1")], vec!["NEW".into()])
            .unwrap();
        assert_eq!(
            given.tags,
            Tags::from([pair("Team", "red"), pair("new", "1")])
        );
        assert_eq!(given.transitive, ["NEW", "Team"]);
        for (tags, transitive) in [
            (vec![pair("TEAM", "blue")], vec![]),
            (vec![pair("a", "1"), pair("A", "2")], vec![]),
            (vec![pair("a", "1")], vec!["b".into()]),
        ] {
            let refused = Given::default().tagged(Some(&caller), tags, transitive);
            assert_eq!(
                refused.err().map(|error| error.kind),
                Some(ErrorKind::InvalidTag)
            );
        }
    }

    #[test]
    fn a_source_identity_stays() {
        let caller = session(&[], &[]);
        let called = |name: Option<&str>| {
            let given = Given::default().called(Some(&caller), name.map(Into::into));
            given.map(|given| given.source_identity)
        };
        assert_eq!(called(None), Ok(Some("alice".into())));
        assert_eq!(called(Some("alice")), Ok(Some("alice".into())));
        assert!(called(Some("bob")).is_err());
        assert!(Given::default().called(None, Some("aws:x".into())).is_err());
    }

    #[test]
    fn what_does_not_compress_does_not_fit() {
        let text = |seed: u32| -> String {
            let mut state = seed.wrapping_mul(2_654_435_761) | 1;
            let mut letter = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from(b'!' + (state >> 24) as u8 % 94)
            };
            (0..120).map(|_| letter()).collect()
        };
        let mut given = Given::default();
        assert_eq!(given.packed_percent(), Ok(None));
        given.tags = (0..5).map(|at| (text(at), text(at + 100))).collect();
        let some = given.packed_percent().unwrap().unwrap();
        assert!((1..=100).contains(&some), "{some}");
        given.tags = (0..50).map(|at| (text(at), text(at + 100))).collect();
        let refused = given.packed_percent().unwrap_err();
        assert_eq!(refused.kind, ErrorKind::LimitExceeded);
        assert!(
            refused
                .message
                .starts_with("Packed size of session tags consumes ")
        );
    }
}
