//! Which operation a key's state allows: the table of the developer guide, "Key states of AWS KMS keys".

use serde::{Deserialize, Serialize};

use super::Fault;
use crate::{Error, ErrorKind, Result};

/// `KeyState`. Creating and Updating pass in no time here: a replica, and another primary, are one commit.
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
    /// CreateAlias, and UpdateAlias for the key that the alias is to stand for: one on its way out gets no new name.
    Name,
    /// CreateGrant.
    Grant,
    /// EnableKey, DisableKey.
    Switch,
    /// EnableKeyRotation, DisableKeyRotation, RotateKeyOnDemand.
    Rotate,
    /// GetParametersForImport.
    PrepareImport,
    /// ImportKeyMaterial.
    Import,
    /// DeleteImportedKeyMaterial.
    DeleteMaterial,
    /// ReplicateKey.
    Replicate,
    /// UpdatePrimaryRegion.
    MovePrimary,
    /// ScheduleKeyDeletion.
    ScheduleDeletion,
    /// CancelKeyDeletion.
    CancelDeletion,
}

impl Command {
    /// Whether a key in this state obeys. Where the table has N/A, because no key of the kind comes into the state, it does
    /// not.
    fn is_allowed(self, state: KeyState) -> bool {
        use KeyState as S;
        let leaving = matches!(state, S::PendingDeletion | S::PendingReplicaDeletion);
        match self {
            Self::Look => true,
            Self::Use | Self::Rotate | Self::MovePrimary => {
                matches!(state, S::Enabled | S::Updating)
            }
            Self::Grant => matches!(state, S::Enabled | S::Updating | S::Unavailable),
            Self::Describe | Self::Name => !leaving,
            // What is unavailable comes to its new state when it is available again.
            Self::Switch => matches!(state, S::Enabled | S::Disabled | S::Unavailable),
            Self::PrepareImport => matches!(state, S::Enabled | S::Disabled | S::PendingImport),
            Self::Import => matches!(
                state,
                S::Enabled | S::Disabled | S::PendingImport | S::Updating
            ),
            Self::DeleteMaterial => {
                leaving || matches!(state, S::Enabled | S::Disabled | S::PendingImport)
            }
            Self::Replicate => state == S::Enabled,
            Self::ScheduleDeletion => !leaving && state != S::Updating,
            Self::CancelDeletion => leaving,
        }
    }
}

/// Whether the key `arn` in this state may do this.
///
/// # Errors
/// [`Fault::Disabled`] or [`ErrorKind::InvalidState`], in AWS's words. A key that is pending deletion is either for AWS,
/// on use (notes 2 and 3); here it is the latter.
pub fn check(state: KeyState, command: Command, arn: &str) -> Result<()> {
    if command.is_allowed(state) {
        return Ok(());
    }
    if command == Command::CancelDeletion {
        let message = format!("{arn} is not pending deletion.");
        return Err(Error::new(ErrorKind::InvalidState, message));
    }
    let kind = match state {
        KeyState::Disabled => ErrorKind::Kms(Fault::Disabled),
        _ => ErrorKind::InvalidState,
    };
    Err(Error::new(kind, format!("{arn} is {}.", state.words())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table: what each state answers, in the order of [`KeyState::ALL`] without PendingReplicaDeletion, which
    /// shares a column with PendingDeletion. `+` goes well; the digits are AWS's notes; `.` is N/A; a question mark that
    /// asks for the kind of key is left to who knows the kind.
    ///
    /// Creating, Enabled, Disabled, PendingDeletion, PendingImport, Unavailable, Updating
    const TABLE: [(Command, &str); 14] = [
        (Command::Use, "14 + 1 3 5 11 +"),
        (Command::Look, "+ + + + + + +"),
        (Command::Describe, "+ + + 3 + + +"),
        (Command::Name, "+ + + 3 + + +"),
        (Command::Grant, "14 + 1 3 5 + +"),
        (Command::Switch, "14 + + 3 5 + 15"),
        (Command::Rotate, "14 + 1 3 5 11 +"),
        (Command::PrepareImport, "14 + + 3 + 11 15"),
        (Command::Import, "14 + + 3 + 11 +"),
        (Command::DeleteMaterial, "14 + + + + . 15"),
        (Command::Replicate, "14 + 1 3 5 . 15"),
        (Command::MovePrimary, "14 + 1 3 5 . +"),
        (Command::ScheduleDeletion, "+ + + 3 + + 15"),
        (Command::CancelDeletion, "4 4 4 + 4 4 4"),
    ];

    #[test]
    fn every_state_answers_every_command_as_the_table_says() {
        let invalid = ErrorKind::InvalidState;
        let mut columns: Vec<_> = KeyState::ALL.to_vec();
        columns.retain(|state| *state != KeyState::PendingReplicaDeletion);
        for (command, row) in TABLE {
            let notes: Vec<_> = row.split(' ').collect();
            assert_eq!(notes.len(), columns.len());
            for (state, note) in columns.iter().copied().zip(notes) {
                let expected = match note {
                    "+" => Ok(()),
                    "1" => Err((ErrorKind::Kms(Fault::Disabled), "K is disabled.")),
                    "3" => Err((invalid, "K is pending deletion.")),
                    "4" => Err((invalid, "K is not pending deletion.")),
                    "5" => Err((invalid, "K is pending import.")),
                    "11" | "." => Err((invalid, "K is unavailable.")),
                    "14" => Err((invalid, "K is creating.")),
                    "15" => Err((invalid, "K is updating.")),
                    other => panic!("no note {other}"),
                };
                let answer = check(state, command, "K");
                let answer = answer.map_err(|error| (error.kind, error.message));
                let expected = expected.map_err(|(kind, text)| (kind, text.to_owned()));
                assert_eq!(answer, expected, "{state:?} {command:?}");
            }
            let replicas = check(KeyState::PendingReplicaDeletion, command, "K");
            let deletion = check(KeyState::PendingDeletion, command, "K");
            assert_eq!(replicas.is_ok(), deletion.is_ok(), "{command:?}");
            if let Err(error) = replicas {
                assert_eq!(error.kind, invalid);
                assert_eq!(error.message, "K is pending replica deletion.");
            }
        }
    }
}
