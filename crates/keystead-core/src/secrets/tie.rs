//! A replica in another account ("Cross-account replication"): the owner of each side ties its own end.
//!
//! The replica is made first, by its owner, and names its primary; then the primary's owner associates it, and from then on
//! values and labels follow. Either owner can end it.

use serde::{Deserialize, Serialize};

use super::replication::Status;
use super::secret::Secret;
use crate::error::{Error, ErrorKind, Result};

/// What ties a secret to one of another account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tie {
    /// Nothing.
    #[default]
    None,
    /// It is followed by these.
    Primary(Vec<Tied>),
    /// It follows this one.
    Replica(Tied),
}

/// The other end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tied {
    /// The other secret's ARN.
    pub arn: String,
    /// How the replica stands.
    pub status: Status,
    /// Why it is not as its primary is.
    pub message: Option<String>,
}

/// "A primary secret can have at most one cross-account replica" (API reference, AssociateCrossAccountReplica).
const MAX_REPLICAS: usize = 1;

impl Secret {
    /// The primary in another account that this one was made to follow.
    pub fn tied_primary(&self) -> Option<&Tied> {
        match &self.tie {
            Tie::Replica(primary) => Some(primary),
            _ => None,
        }
    }

    /// The replicas in other accounts.
    pub fn tied_replicas(&self) -> &[Tied] {
        match &self.tie {
            Tie::Primary(replicas) => replicas,
            _ => &[],
        }
    }

    /// Ties that replica to this one; again, to repair it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] where that one was not made to follow this one, [`ErrorKind::LimitExceeded`].
    pub fn associate(&mut self, replica: &mut Self) -> Result<()> {
        let (own, other) = (self.arn(), replica.arn());
        let leads = |tied: &&mut Tied| tied.arn == own;
        let tied = match &mut replica.tie {
            Tie::Replica(primary) => Some(primary).filter(leads),
            _ => None,
        };
        let tied = tied.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidRequest,
                format!("Secret {other} was not created as a cross-account replica of {own}."),
            )
        })?;
        if matches!(self.tie, Tie::Replica(_)) {
            return Err(Error::new(
                ErrorKind::InvalidRequest,
                format!("Secret {own} is itself a cross-account replica."),
            ));
        }
        let mut replicas = self.tied_replicas().to_vec();
        replicas.retain(|known| known.arn != other);
        if replicas.len() >= MAX_REPLICAS {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("A secret can have at most {MAX_REPLICAS} cross-account replica."),
            ));
        }
        replicas.push(Tied {
            arn: other,
            status: Status::InSync,
            message: None,
        });
        self.tie = Tie::Primary(replicas);
        tied.status = Status::InSync;
        tied.message = None;
        Ok(())
    }

    /// The replica of this ARN no longer follows; whether one did.
    pub fn lose_tied(&mut self, arn: &str) -> bool {
        let Tie::Primary(replicas) = &mut self.tie else {
            return false;
        };
        let before = replicas.len();
        replicas.retain(|replica| replica.arn != arn);
        let lost = replicas.len() < before;
        if replicas.is_empty() {
            self.tie = Tie::None;
        }
        lost
    }

    /// The other end of the tie to this ARN was untied.
    pub fn untied_from(&mut self, arn: &str) {
        let ends: &mut [Tied] = match &mut self.tie {
            Tie::None => &mut [],
            Tie::Primary(replicas) => replicas,
            Tie::Replica(primary) => std::slice::from_mut(primary),
        };
        for end in ends.iter_mut().filter(|end| end.arn == arn) {
            end.status = Status::Detached;
            end.message = None;
        }
    }

    /// What that replica of this one is to be: with its values and labels, and all else as it is.
    pub fn tied_replica_from(&self, before: &Self) -> Self {
        let mut other = before.clone();
        other.versions.clone_from(&self.versions);
        other.versions.retain(|version| !version.labels.is_empty());
        for version in &mut other.versions {
            let known = before.version(&version.id);
            version.kms_key = None;
            version.accessed_on = known.and_then(|known| known.accessed_on);
        }
        other.changed_at = self.changed_at;
        other
    }

    /// Refuses to whoever wants to change the values of a replica of another account's secret.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`].
    pub fn check_untied(&self) -> Result<()> {
        match self.tied_primary() {
            None => Ok(()),
            Some(primary) => Err(Error::new(
                ErrorKind::InvalidRequest,
                format!(
                    "Operation not permitted on a cross-account replica of {}. Call StopReplicationToReplica first.",
                    primary.arn
                ),
            )),
        }
    }

    /// Refuses to whoever wants to delete a secret that one of another account follows.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`].
    pub fn check_not_followed(&self) -> Result<()> {
        let follows = |replica: &&Tied| replica.status != Status::Detached;
        match self.tied_replicas().iter().find(follows) {
            None => Ok(()),
            Some(replica) => Err(Error::new(
                ErrorKind::InvalidRequest,
                format!(
                    "You can't delete secret {} while it is associated with cross-account replica {}. Call DisassociateCrossAccountReplica first.",
                    self.arn(),
                    replica.arn
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, secret};
    use super::*;
    use crate::arn::AccountId;

    fn pair() -> (Secret, Secret) {
        let primary = secret();
        let replica = Secret {
            account: AccountId::parse("210987654321").unwrap(),
            name: "r".into(),
            tie: Tie::Replica(Tied {
                arn: primary.arn(),
                status: Status::Pending,
                message: None,
            }),
            ..secret()
        };
        (primary, replica)
    }

    fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
        result.unwrap_err().kind
    }

    #[test]
    fn both_ends_are_tied_and_untied() {
        let (mut primary, mut replica) = pair();
        for _ in 0..2 {
            primary.associate(&mut replica).unwrap();
            assert_eq!(primary.tied_replicas().len(), 1);
            assert_eq!(replica.tied_primary().unwrap().status, Status::InSync);
        }
        assert_eq!(
            kind(primary.check_not_followed()),
            ErrorKind::InvalidRequest
        );
        assert_eq!(kind(replica.check_untied()), ErrorKind::InvalidRequest);
        primary.untied_from(&replica.arn());
        primary.check_not_followed().unwrap();
        assert!(primary.lose_tied(&replica.arn()));
        assert!(!primary.lose_tied(&replica.arn()));
        assert_eq!(primary.tie, Tie::None);
        replica.untied_from(&primary.arn());
        assert_eq!(replica.tied_primary().unwrap().status, Status::Detached);
    }

    #[test]
    fn only_what_was_made_for_it_can_be_tied() {
        let (mut primary, mut replica) = pair();
        let mut other = secret();
        assert_eq!(
            kind(primary.associate(&mut other)),
            ErrorKind::InvalidRequest
        );
        let mut elsewhere = Secret {
            name: "elsewhere".into(),
            ..secret()
        };
        assert_eq!(
            kind(elsewhere.associate(&mut replica)),
            ErrorKind::InvalidRequest
        );
        primary.associate(&mut replica).unwrap();
        let (_, mut second) = pair();
        second.name = "second".into();
        assert_eq!(
            kind(primary.associate(&mut second)),
            ErrorKind::LimitExceeded
        );
    }

    #[test]
    fn a_replica_takes_values_and_labels_alone() {
        let (mut primary, mut replica) = pair();
        let id = "11111111-1111-4111-8111-111111111111";
        primary.put(id, Some("key".into()), None, at(5)).unwrap();
        primary.description = Some("theirs".into());
        replica.policy = Some("mine".into());
        let after = primary.tied_replica_from(&replica);
        assert_eq!(after.version(id).unwrap().labels, ["AWSCURRENT"]);
        assert_eq!(after.version(id).unwrap().kms_key, None);
        assert_eq!(
            (after.description, after.policy),
            (None, Some("mine".into()))
        );
        assert_eq!(after.tie, replica.tie);
    }
}
