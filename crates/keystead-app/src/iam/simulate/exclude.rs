//! Policies that a simulation leaves out.

use keystead_core::{Arn, Result};
use keystead_policy::Source;
use keystead_wire::iam as wire;

use super::evaluate::Origin;
use super::input::invalid;
use crate::access::account_of;
use crate::iam::effective::Effective;

/// Which policies to leave out.
pub(super) struct Exclusion(Vec<Rule>);

enum Rule {
    /// All of a type.
    Type(wire::PolicyIdentifierPolicyType),
    /// Managed policies by their ARNs.
    Arn(Wild),
    /// An inline policy. The model's text lets the identity's name have wildcards, its pattern does not.
    Inline {
        policy: String,
        kind: &'static str,
        name: String,
    },
}

impl Exclusion {
    /// What the request says.
    pub(super) fn parse(list: Option<Vec<wire::PolicyIdentifier>>) -> Result<Self> {
        let list = list.unwrap_or_default().into_iter();
        list.map(Rule::parse).collect::<Result<_>>().map(Self)
    }

    /// Leaves them out.
    pub(super) fn apply(&self, effective: &mut Effective) {
        let keeps = |source: &Source, boundary| {
            let mut rules = self.0.iter();
            !rules.any(|rule| rule.names(&Origin::of(&source.label), boundary))
        };
        effective.identity.retain(|source| keeps(source, false));
        effective.boundary = effective
            .boundary
            .take()
            .filter(|source| keeps(source, true));
    }
}

impl Rule {
    fn parse(identifier: wire::PolicyIdentifier) -> Result<Self> {
        let wire::PolicyIdentifier {
            policy_type,
            policy_arn,
            inline_policy_identifier,
        } = identifier;
        match (policy_type, policy_arn, inline_policy_identifier) {
            (Some(policy_type), None, None) => Ok(Self::Type(policy_type)),
            (None, Some(arn), None) => {
                // A wildcard may stand in the resource alone.
                let named = Arn::parse(&arn).ok().filter(|parsed| {
                    let wild = [&parsed.partition, &parsed.account];
                    parsed.service == "iam"
                        && parsed.resource.starts_with("policy/")
                        && wild.iter().all(|part| !part.contains(['*', '?']))
                });
                match named {
                    Some(_) => Wild::parse(arn).map(Self::Arn),
                    None => Err(invalid(format!("Invalid policy ARN to exclude: {arn}"))),
                }
            }
            (None, None, Some(inline)) => Ok(Self::Inline {
                policy: inline.policy_name,
                kind: match inline.attachment_type {
                    wire::AttachmentType::User => "user",
                    wire::AttachmentType::Group => "group",
                    wire::AttachmentType::Role => "role",
                },
                name: inline.attachment_name,
            }),
            _ => Err(invalid(
                "A policy to exclude is identified in exactly one way: PolicyType, PolicyArn or InlinePolicyIdentifier.",
            )),
        }
    }

    /// Whether it names the policy, which is a permissions boundary or not.
    fn names(&self, origin: &Origin<'_>, boundary: bool) -> bool {
        use wire::PolicyIdentifierPolicyType as Type;
        match (self, origin) {
            (Self::Type(Type::PermissionBoundary), _) => boundary,
            (_, _) if boundary => false,
            (Self::Type(Type::Inline), Origin::Inline { .. }) => true,
            (Self::Type(Type::AwsManaged), Origin::Managed(arn)) => is_aws(arn),
            (Self::Type(Type::UserManaged), Origin::Managed(arn)) => !is_aws(arn),
            (Self::Arn(wanted), Origin::Managed(arn)) => wanted.matches(arn),
            (
                Self::Inline { policy, kind, name },
                Origin::Inline {
                    policy: its,
                    kind: of,
                    name: whose,
                },
            ) => policy == its && kind == of && name == whose,
            _ => false,
        }
    }
}

fn is_aws(arn: &str) -> bool {
    account_of(arn) == "aws"
}

/// A text with at most one `*` and any number of `?` (model, PolicyIdentifier).
struct Wild(String);

impl Wild {
    fn parse(text: String) -> Result<Self> {
        if text.matches('*').count() > 1 {
            return Err(invalid(format!(
                "At most one * is allowed in a policy to exclude: {text}"
            )));
        }
        Ok(Self(text))
    }

    fn matches(&self, text: &str) -> bool {
        let same = |pattern: &str, text: &str| {
            pattern.chars().count() == text.chars().count()
                && pattern
                    .chars()
                    .zip(text.chars())
                    .all(|(wanted, is)| wanted == '?' || wanted == is)
        };
        let Some((head, tail)) = self.0.split_once('*') else {
            return same(&self.0, text);
        };
        let (before, after) = (head.chars().count(), tail.chars().count());
        let count = text.chars().count();
        let first: String = text.chars().take(before).collect();
        let last: String = text.chars().skip(count.saturating_sub(after)).collect();
        before + after <= count && same(head, &first) && same(tail, &last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_stands_for_any_characters_and_question_marks_for_one_each() {
        for (pattern, text, expected) in [
            ("a*c", "abbc", true),
            ("a*c", "ac", true),
            ("ab*bc", "abc", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("?*", "", false),
            ("*é", "né", true),
        ] {
            let wild = Wild::parse(pattern.into()).unwrap();
            assert_eq!(wild.matches(text), expected, "{pattern} {text}");
        }
        assert!(Wild::parse("a*b*".into()).is_err());
    }
}
