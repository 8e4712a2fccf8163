//! Grants: what a principal may do with a key without any policy saying so.
//!
//! Sources: API reference, CreateGrant, GrantConstraints; developer guide, "Grants in AWS KMS".

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EncryptionContext, GrantOperation, Key, KeyUsage};
use crate::{AccountId, Error, ErrorKind, Result};

/// Grants on one key (developer guide, "Resource quotas").
const MOST: u32 = 50_000;

/// Pairs of one constraint, and characters of a value (API reference, CreateGrant, `Constraints`).
const MOST_PAIRS: usize = 8;
const LONGEST_VALUE: usize = 384;

/// A grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its id.
    pub id: String,
    /// What the creator called it.
    pub name: Option<String>,
    /// Who may.
    pub grantee: Party,
    /// Who else may end it.
    pub retiring: Option<Party>,
    /// What.
    pub terms: Terms,
    /// The account that made it.
    pub issuing_account: AccountId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Somebody whom a grant names.
///
/// An identity is known by its unique id: who is renamed stays who he is, and who comes later under the name of one that was
/// deleted is somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Party {
    /// An account as a whole.
    Account(AccountId),
    /// A user, a role, a session of a role or a federated user.
    Identity {
        /// As it was named.
        arn: String,
        /// Its account.
        account: AccountId,
        /// The unique id of the user or role, or of the session (`AROA...:NAME`); `None` for a federated user.
        id: Option<String>,
    },
    /// A service, by its principal's name.
    Service(String),
}

/// What a grant allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The operations, each once.
    pub operations: Vec<GrantOperation>,
    /// What must be in the encryption context.
    pub context: Option<ContextConstraint>,
    /// The resource on whose behalf a request must be made.
    pub source_arn: Option<String>,
}

/// A constraint on the encryption context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContextConstraint {
    /// `EncryptionContextEquals`: these pairs and no others.
    Equals(EncryptionContext),
    /// `EncryptionContextSubset`: at least these pairs.
    Subset(EncryptionContext),
}

/// What somebody asks for under a grant.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The operation.
    pub operation: GrantOperation,
    /// The encryption context.
    pub context: Option<&'a EncryptionContext>,
    /// On whose behalf (`aws:SourceArn`).
    pub source_arn: Option<&'a str>,
    /// For CreateGrant, what the new grant allows.
    pub granting: Option<&'a Terms>,
}

impl Party {
    /// Tells it apart from everybody else: of two of the same key, one stands for the other.
    pub fn key(&self) -> String {
        match self {
            Self::Account(account) => format!("account {account}"),
            Self::Identity { arn, id, .. } => identity_key(arn, id.as_deref()),
            Self::Service(name) => format!("service {name}"),
        }
    }

    /// As AWS shows it.
    pub fn shown(&self) -> String {
        match self {
            Self::Account(account) => format!("arn:aws:iam::{account}:root"),
            Self::Identity { arn, .. } => arn.clone(),
            Self::Service(name) => name.clone(),
        }
    }

    /// Its account; a service has none.
    pub fn account(&self) -> Option<&AccountId> {
        match self {
            Self::Account(account) | Self::Identity { account, .. } => Some(account),
            Self::Service(_) => None,
        }
    }
}

/// Whether there can be one more grant on the key.
///
/// # Errors
/// [`ErrorKind::LimitExceeded`].
pub fn check_room(key: &Key) -> Result<()> {
    match key.grants < MOST {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::LimitExceeded,
            format!(
                "{} has {MOST} grants, the most that a key can have: retire or revoke those that are not used.",
                key.arn()
            ),
        )),
    }
}

/// [`Party::key`] of an identity; where it has no id, the ARN is all there is to tell it by. Partitions are worlds apart:
/// here there is one, whatever it is called.
pub fn identity_key(arn: &str, id: Option<&str>) -> String {
    match id {
        Some(id) => id.to_owned(),
        None => arn.splitn(3, ':').nth(2).unwrap_or_default().to_owned(),
    }
}

impl Terms {
    /// What a caller asked for, brought into its form: every operation once, a constraint without pairs as none.
    ///
    /// # Errors
    /// [`ErrorKind::Validation`] for two constraints on the encryption context, and for what is too long.
    pub fn new(
        operations: impl IntoIterator<Item = GrantOperation>,
        equals: Option<EncryptionContext>,
        subset: Option<EncryptionContext>,
        source_arn: Option<String>,
    ) -> Result<Self> {
        let mut once = Vec::new();
        for operation in operations {
            if !once.contains(&operation) {
                once.push(operation);
            }
        }
        let some = |pairs: &EncryptionContext| !pairs.is_empty();
        let context = match (equals.filter(some), subset.filter(some)) {
            (Some(_), Some(_)) => {
                return Err(invalid(
                    "A grant has one constraint on the encryption context: either EncryptionContextEquals or \
                     EncryptionContextSubset.",
                ));
            }
            (Some(pairs), None) => Some(ContextConstraint::Equals(pairs)),
            (None, Some(pairs)) => Some(ContextConstraint::Subset(pairs)),
            (None, None) => None,
        };
        if let Some(constraint) = &context {
            constraint.check()?;
        }
        Ok(Self {
            operations: once,
            context,
            source_arn,
        })
    }

    /// Whether a grant on this key can have these terms.
    ///
    /// # Errors
    /// [`ErrorKind::Validation`].
    pub fn check(&self, key: &Key) -> Result<()> {
        if self.operations.is_empty() {
            return Err(invalid("A grant allows at least one operation."));
        }
        if self.operations == [GrantOperation::CreateGrant] {
            return Err(invalid(
                "Grants must not contain only the CreateGrant operation.",
            ));
        }
        let unfit: Vec<_> = (self.operations.iter())
            .filter(|operation| !operation.fits(key))
            .map(|operation| operation.name())
            .collect();
        if !unfit.is_empty() {
            return Err(invalid(format!(
                "A grant on {}, whose KeySpec is {} and KeyUsage {}, cannot allow {}.",
                key.arn(),
                key.spec.name(),
                key.usage.name(),
                unfit.join(", ")
            )));
        }
        if self.context.is_some() && !takes_context(key) {
            return Err(invalid(format!(
                "Operations with {}, whose KeySpec is {}, have no encryption context, so that a grant on it cannot \
                 constrain one.",
                key.arn(),
                key.spec.name()
            )));
        }
        Ok(())
    }

    /// Whether they allow this.
    pub fn permit(&self, request: &Request<'_>) -> bool {
        use GrantOperation as O;
        if !self.operations.contains(&request.operation) {
            return false;
        }
        let source = self.source_arn.as_deref();
        if source.is_some() && source != request.source_arn && request.operation != O::RetireGrant {
            return false;
        }
        match (request.operation, &self.context) {
            (O::CreateGrant, _) => request.granting.is_some_and(|child| child.is_within(self)),
            (operation, Some(constraint)) if operation.has_context() => {
                constraint.holds(request.context)
            }
            _ => true,
        }
    }

    /// Whether a grant of these terms allows nothing that one of the terms `parent` does not: "the constraint requires
    /// that any grants created with the CreateGrant permission have an equally strict or stricter encryption context
    /// constraint", and no operation beside those of the parent (developer guide, "Granting CreateGrant permission").
    pub fn is_within(&self, parent: &Self) -> bool {
        use ContextConstraint as C;
        let operations = &self.operations;
        let allowed = operations.iter().all(|one| parent.operations.contains(one));
        let constrained = match (&parent.context, &self.context) {
            (None, _) => true,
            (Some(C::Equals(pairs)), Some(C::Equals(own))) => fold(pairs) == fold(own),
            (Some(C::Subset(pairs)), Some(C::Equals(own) | C::Subset(own))) => {
                holds_all(&fold(own), &fold(pairs))
            }
            (Some(_), _) => false,
        };
        let source = parent.source_arn.is_none() || parent.source_arn == self.source_arn;
        allowed && constrained && source
    }
}

impl ContextConstraint {
    /// Its pairs.
    pub fn pairs(&self) -> &EncryptionContext {
        let (Self::Equals(pairs) | Self::Subset(pairs)) = self;
        pairs
    }

    /// The member of `GrantConstraints` that it is (`kms:GrantConstraintType`).
    pub fn name(&self) -> &'static str {
        match self {
            Self::Equals(_) => "EncryptionContextEquals",
            Self::Subset(_) => "EncryptionContextSubset",
        }
    }

    /// Whether a request with this encryption context is within it.
    pub fn holds(&self, context: Option<&EncryptionContext>) -> bool {
        let given = context.map(fold).unwrap_or_default();
        match self {
            Self::Equals(pairs) => fold(pairs) == given,
            Self::Subset(pairs) => holds_all(&given, &fold(pairs)),
        }
    }

    fn check(&self) -> Result<()> {
        let pairs = self.pairs();
        if pairs.len() > MOST_PAIRS {
            return Err(invalid(format!(
                "{self} has {} pairs: a constraint has {MOST_PAIRS} at most.",
                pairs.len()
            )));
        }
        let long = |value: &&String| value.chars().count() > LONGEST_VALUE;
        match pairs.values().find(long) {
            None => Ok(()),
            Some(_) => Err(invalid(format!(
                "A value of {self} is too long: it has {LONGEST_VALUE} characters at most."
            ))),
        }
    }
}

impl fmt::Display for ContextConstraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl GrantOperation {
    /// Whether it exists for such a key (developer guide, "Grant operations").
    fn fits(self, key: &Key) -> bool {
        use GrantOperation as O;
        use KeyUsage as U;
        match self {
            O::CreateGrant | O::RetireGrant | O::DescribeKey => true,
            O::GetPublicKey => key.spec.is_asymmetric(),
            O::Decrypt | O::Encrypt | O::ReEncryptFrom | O::ReEncryptTo => {
                key.usage == U::EncryptDecrypt
            }
            O::GenerateDataKey
            | O::GenerateDataKeyWithoutPlaintext
            | O::GenerateDataKeyPair
            | O::GenerateDataKeyPairWithoutPlaintext => takes_context(key),
            O::Sign | O::Verify => key.usage == U::SignVerify,
            O::GenerateMac | O::VerifyMac => key.usage == U::GenerateVerifyMac,
            O::DeriveSharedSecret => key.usage == U::KeyAgreement,
            O::Encapsulate | O::Decapsulate => key.usage == U::EncapsulateDecapsulate,
        }
    }

    /// Whether its requests have an encryption context.
    pub fn has_context(self) -> bool {
        use GrantOperation as O;
        matches!(
            self,
            O::Decrypt
                | O::Encrypt
                | O::ReEncryptFrom
                | O::ReEncryptTo
                | O::GenerateDataKey
                | O::GenerateDataKeyWithoutPlaintext
                | O::GenerateDataKeyPair
                | O::GenerateDataKeyPairWithoutPlaintext
        )
    }
}

/// An encryption context as constraints compare it: "the key in each key-value pair is not case sensitive, but the value is"
/// (API reference, GrantConstraints). Two contexts are the same for every Equals constraint if and only if this is.
pub fn fold(context: &EncryptionContext) -> Vec<(String, String)> {
    let pairs = context.iter();
    let mut folded: Vec<_> = pairs
        .map(|(name, value)| (name.to_lowercase(), value.clone()))
        .collect();
    folded.sort_unstable();
    folded
}

fn holds_all(all: &[(String, String)], some: &[(String, String)]) -> bool {
    some.iter().all(|pair| all.contains(pair))
}

/// Only symmetric encryption keys bind to a context and make data keys.
fn takes_context(key: &Key) -> bool {
    key.usage == KeyUsage::EncryptDecrypt && !key.spec.is_asymmetric()
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Validation, message)
}
