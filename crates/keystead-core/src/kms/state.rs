//! Which operation a key's state allows: the table of the developer guide, "Key states of AWS KMS keys".

use serde::{Deserialize, Serialize};

use super::Fault;
use crate::{Error, ErrorKind, Result};

/// `KeyState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are AWS's")]
pub enum KeyState {
    Creating,
    Enabled,
    Disabled,
    PendingDeletion,
    PendingImport,
    PendingReplicaDeletion,
    Unavailable,
    Updating,
}

impl KeyState {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Creating,
        Self::Enabled,
        Self::Disabled,
        Self::PendingDeletion,
        Self::PendingImport,
        Self::PendingReplicaDeletion,
        Self::Unavailable,
        Self::Updating,
    ];

    /// The value as AWS writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDeletion => "PendingDeletion",
            Self::PendingImport => "PendingImport",
            Self::PendingReplicaDeletion => "PendingReplicaDeletion",
            Self::Unavailable => "Unavailable",
            Self::Updating => "Updating",
        }
    }

    /// The state in the middle of a sentence.
    fn words(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::PendingDeletion => "pending deletion",
            Self::PendingImport => "pending import",
            Self::PendingReplicaDeletion => "pending replica deletion",
            Self::Unavailable => "unavailable",
            Self::Updating => "updating",
        }
    }
}

/// What is asked of a key, as far as its state decides it: the rows of the table that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Every use of the key itself: Encrypt, Decrypt, Sign, GenerateDataKey, ReEncrypt, GenerateMac, GetPublicKey, ...
    Use,
    /// What reads the record or takes access away, in any state: DescribeKey, GetKeyPolicy, PutKeyPolicy, ListGrants,
    /// GetKeyRotationStatus, ListKeyRotations, RetireGrant, RevokeGrant, DeleteAlias, ListResourceTags, ...
    Look,
    /// TagResource, UntagResource, UpdateKeyDescription: what is on its way out is left alone.
    Describe,
    /// CreateAlias, UpdateAlias: a key that is on its way out gets no new name.
    Name,
    /// CreateGrant.
    Grant,
    /// EnableKey, DisableKey.
    Switch,
    /// EnableKeyRotation, DisableKeyRotation, RotateKeyOnDemand.
    Rotate,
    /// GetParametersForImport, ImportKeyMaterial.
    Import,
    /// DeleteImportedKeyMaterial.
    DeleteMaterial,
    /// ReplicateKey, UpdatePrimaryRegion.
    Replicate,
    /// ScheduleKeyDeletion.
    ScheduleDeletion,
    /// CancelKeyDeletion.
    CancelDeletion,
}

impl Command {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Use,
        Self::Look,
        Self::Describe,
        Self::Name,
        Self::Grant,
        Self::Switch,
        Self::Rotate,
        Self::Import,
        Self::DeleteMaterial,
        Self::Replicate,
        Self::ScheduleDeletion,
        Self::CancelDeletion,
    ];
}

/// Whether the key `arn` in this state may do this.
///
/// # Errors
/// [`Fault::Disabled`], [`Fault::KeyUnavailable`] (for use) or [`ErrorKind::InvalidState`], in AWS's words.
pub fn check(state: KeyState, command: Command, arn: &str) -> Result<()> {
    use KeyState as S;
    let allowed = match command {
        Command::Look => true,
        Command::Use => matches!(state, S::Enabled | S::Updating),
        Command::Grant => matches!(state, S::Enabled | S::Updating | S::Unavailable),
        Command::Describe | Command::Name => !matches!(
            state,
            S::Creating | S::PendingDeletion | S::PendingReplicaDeletion
        ),
        Command::Switch => matches!(state, S::Enabled | S::Disabled | S::Unavailable),
        Command::Rotate => matches!(state, S::Enabled),
        Command::Import | Command::DeleteMaterial => {
            matches!(state, S::Enabled | S::Disabled | S::PendingImport)
                || (command == Command::DeleteMaterial && state == S::PendingDeletion)
        }
        Command::Replicate => matches!(state, S::Enabled),
        Command::ScheduleDeletion => {
            matches!(
                state,
                S::Enabled | S::Disabled | S::PendingImport | S::Unavailable
            )
        }
        Command::CancelDeletion => {
            if matches!(state, S::PendingDeletion | S::PendingReplicaDeletion) {
                return Ok(());
            }
            return Err(Error::new(
                ErrorKind::InvalidState,
                format!("{arn} is not pending deletion."),
            ));
        }
    };
    if allowed {
        return Ok(());
    }
    let words = state.words();
    let kind = match (state, command) {
        (S::Disabled, _) => ErrorKind::Kms(Fault::Disabled),
        (S::Unavailable, Command::Use) => ErrorKind::Kms(Fault::KeyUnavailable),
        _ => ErrorKind::InvalidState,
    };
    Err(Error::new(kind, format!("{arn} is {words}.")))
}
