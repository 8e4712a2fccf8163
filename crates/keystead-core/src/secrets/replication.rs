//! Replicas in other regions ("Replicate AWS Secrets Manager secrets across Regions").

use serde::{Deserialize, Serialize};

use super::secret::Secret;
use super::tie::Tie;
use crate::arn::Region;
use crate::error::{Error, ErrorKind, Result};

/// Where else a secret is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Replication {
    /// Nowhere.
    #[default]
    None,
    /// In these regions, which follow this one.
    Primary(Vec<Replica>),
    /// In its primary's region, which this one follows.
    Replica {
        /// That region.
        primary: Region,
    },
}

/// What a primary knows of a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Where it is.
    pub region: Region,
    /// Its KMS key, as the owner named it; `None` for the service's own.
    pub kms_key: Option<String>,
    /// Whether it is as the primary is.
    pub status: Status,
    /// Why it is not.
    pub message: Option<String>,
}

/// How a replica stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It is as the primary is.
    InSync,
    /// It is not there, or as the primary was earlier.
    Failed,
    /// It is being made.
    InProgress,
    /// It was made and is not followed by anything yet.
    Pending,
    /// It follows no longer.
    Detached,
}

impl Secret {
    /// The region of the primary, where there are replicas.
    pub fn primary_region(&self) -> Option<&str> {
        match &self.replication {
            Replication::None => None,
            Replication::Primary(_) => Some(self.region.as_str()),
            Replication::Replica { primary } => Some(primary.as_str()),
        }
    }

    /// What is known of the replicas.
    pub fn replicas(&self) -> &[Replica] {
        match &self.replication {
            Replication::Primary(replicas) => replicas,
            _ => &[],
        }
    }

    /// Has another region follow this one; one that failed begins anew.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] where one follows there already.
    pub fn add_replica(&mut self, replica: Replica) -> Result<()> {
        let mut replicas = self.replicas().to_vec();
        let same = |known: &Replica| known.region == replica.region;
        if replicas
            .iter()
            .any(|known| same(known) && known.status == Status::InSync)
        {
            return Err(Error::new(
                ErrorKind::InvalidParameter,
                format!(
                    "Secret {} is already replicated to region {}.",
                    self.arn(),
                    replica.region
                ),
            ));
        }
        replicas.retain(|known| !same(known));
        replicas.push(replica);
        self.replication = Replication::Primary(replicas);
        Ok(())
    }

    /// The region no longer follows this one.
    pub fn lose_replica(&mut self, region: &Region) {
        if let Replication::Primary(replicas) = &mut self.replication {
            replicas.retain(|replica| replica.region != *region);
            if replicas.is_empty() {
                self.replication = Replication::None;
            }
        }
    }

    /// Whether that one is a replica of this one, and not another secret of its name.
    pub fn is_followed_by(&self, other: &Self) -> bool {
        let follows = matches!(&other.replication, Replication::Replica { primary } if *primary == self.region);
        let same = (&self.account, &self.name, &self.suffix)
            == (&other.account, &other.name, &other.suffix);
        follows && same
    }

    /// What it is in a region that follows it: everything but the key and what was read there, and of the versions those
    /// that have labels. `before` is what was there.
    pub fn replica_in(&self, replica: &Replica, before: Option<&Self>) -> Self {
        let mut other = self.clone();
        other.region = replica.region.clone();
        other.kms_key.clone_from(&replica.kms_key);
        other.replication = Replication::Replica {
            primary: self.region.clone(),
        };
        other.tie = Tie::None;
        other.accessed_on = before.and_then(|before| before.accessed_on);
        other.versions.retain(|version| !version.labels.is_empty());
        for version in &mut other.versions {
            let known = before.and_then(|before| before.version(&version.id));
            version.kms_key = None;
            version.accessed_on = known.and_then(|known| known.accessed_on);
        }
        other
    }

    /// Refuses to whoever wants to delete a secret that others follow.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`].
    pub fn check_alone(&self) -> Result<()> {
        let regions: Vec<&str> = self
            .replicas()
            .iter()
            .map(|one| one.region.as_str())
            .collect();
        if regions.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidParameter,
            format!(
                "You can't delete secret {} that still has replica regions [{}]",
                self.arn(),
                regions.join(", ")
            ),
        ))
    }

    /// Refuses to whoever wants to change a replica.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`], in AWS's words.
    pub fn check_primary(&self) -> Result<()> {
        match self.replication {
            Replication::Replica { .. } => Err(Error::new(
                ErrorKind::InvalidParameter,
                "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
            )),
            _ => Ok(()),
        }
    }
}
