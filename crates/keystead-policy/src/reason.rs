//! Decisions, and why, in AWS's words (IAM user guide, "Troubleshoot access denied error messages").

use std::fmt;

/// The outcome of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The request may go on.
    Allow(Ground),
    /// It may not.
    Deny(Reason),
}

impl Decision {
    /// Whether the request may go on.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow(_))
    }

    /// The decision as the policy simulator names it.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Allow(_) => Outcome::Allowed,
            Self::Deny(reason) => match reason.cause {
                Cause::Denied(_) => Outcome::ExplicitDeny,
                Cause::NotAllowed(_) => Outcome::ImplicitDeny,
            },
        }
    }
}

/// `PolicyEvaluationDecisionType` of the IAM API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `allowed`
    Allowed,
    /// `explicitDeny`: a statement denies.
    ExplicitDeny,
    /// `implicitDeny`: no statement allows.
    ImplicitDeny,
}

impl Outcome {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::ExplicitDeny => "explicitDeny",
            Self::ImplicitDeny => "implicitDeny",
        }
    }
}

/// What a request is allowed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ground {
    /// The caller is the root user of an account that has a say.
    Root,
    /// A grant of KMS, by its id.
    Grant(String),
    /// A statement; across accounts two, the caller's side first.
    Statements(Vec<Match>),
}

/// Why a request is denied. Displayed, it is the end of AWS's sentence "User: ... is not authorized to perform: ... on
/// resource: ...".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The action asked for, as the caller's service writes it.
    pub action: String,
    /// What decided.
    pub cause: Cause,
}

/// What denied a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A statement denies it.
    Denied(Match),
    /// No policy of this type allows it, and one would have to.
    NotAllowed(PolicyType),
}

/// The types of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicyType {
    /// Attached to a user, group or role.
    Identity,
    /// The permissions boundary of a user or role.
    Boundary,
    /// Given when a session was made.
    Session,
    /// Attached to the resource.
    Resource,
    /// A role's trust policy.
    Trust,
}

/// A statement that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The type of its policy.
    pub policy_type: PolicyType,
    /// What the policy is called.
    pub label: String,
    /// The statement's `Sid`.
    pub sid: Option<String>,
    /// The statement's number in the policy, from 0.
    pub index: usize,
}

impl PolicyType {
    /// The type's name with its article: "an identity-based policy".
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "an identity-based policy",
            Self::Boundary => "a permissions boundary",
            Self::Session => "a session policy",
            Self::Resource => "a resource-based policy",
            Self::Trust => "the role trust policy",
        }
    }
}

impl Reason {
    /// What would let the request through, as advice to whoever administers the policies.
    pub fn remedy(&self) -> String {
        let action = &self.action;
        match &self.cause {
            Cause::Denied(statement) => format!("remove or narrow {statement}"),
            Cause::NotAllowed(PolicyType::Trust | PolicyType::Resource) => {
                format!("allow {action} to this principal in the policy of the resource")
            }
            Cause::NotAllowed(policy_type) => {
                format!("allow {action} on this resource in {}", policy_type.name())
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = &self.action;
        match &self.cause {
            Cause::Denied(statement) => {
                write!(
                    f,
                    "with an explicit deny in {}",
                    statement.policy_type.name()
                )
            }
            // The user guide's own sentence lacks its "not".
            Cause::NotAllowed(PolicyType::Trust) => {
                write!(
                    f,
                    "because the role trust policy does not allow the {action} action"
                )
            }
            Cause::NotAllowed(policy_type) => {
                let name = policy_type.name();
                let name = name.split_once(' ').map_or(name, |(_, name)| name);
                write!(f, "because no {name} allows the {action} action")
            }
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sid {
            Some(sid) => write!(f, "statement {sid}")?,
            None => write!(f, "statement {}", self.index + 1)?,
        }
        write!(f, " of {} {}", self.policy_type.name(), self.label)
    }
}
