//! Multi-Region keys: the same key in several regions, of which one is the primary.
//!
//! What all brothers share, they have in records of their own: id, key material, spec, usage, origin and automatic
//! rotation. Policy, tags, description, aliases, grants and state are each one's own ("Multi-Region keys", "Shared
//! properties"). Sources: developer guide, "Multi-Region keys"; API reference, ReplicateKey and UpdatePrimaryRegion.

use jiff::Timestamp;

use super::{Command, Fault, Import, Key, MaterialState, MultiRegion, Origin, Stage};
use crate::arn::{Arn, Region};
use crate::error::{Error, ErrorKind, Result};
use crate::tags::Tags;

/// What a replica has of its own from the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Own {
    /// `Description`.
    pub description: String,
    /// Its key policy.
    pub policy: String,
    /// `Tags`.
    pub tags: Tags,
}

impl Key {
    /// Makes a replica in this region; the primary, and through [`Key::gain`] every other brother, knows of it from then
    /// on.
    ///
    /// # Errors
    /// [`Fault::UnsupportedOperation`] for what is no primary or lies in another partition;
    /// [`ErrorKind::AlreadyExists`] where a brother is there; as [`Key::check`].
    pub fn replicate(&mut self, to: &Region, own: Own, now: Timestamp) -> Result<Self> {
        self.check_is_primary()?;
        if to.partition() != self.region.partition() {
            return Err(Fault::UnsupportedOperation.error(format!(
                "{to} is not in the partition {} of {}.",
                self.region.partition(),
                self.arn()
            )));
        }
        if *to == self.region || self.has_replica(to) {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("{} already exists.", self.arn_in(to)),
            ));
        }
        self.check(Command::Replicate)?;
        self.gain(to);
        let mut replica = Self {
            region: to.clone(),
            description: own.description,
            policy: own.policy,
            tags: own.tags,
            created_at: now,
            aliases: Vec::new(),
            grants: 0,
            ..self.clone()
        };
        if self.origin == Origin::External {
            // "AWS KMS doesn't replicate the imported key material" (ReplicateKey); it is known which one is awaited.
            replica.stage = Stage::PendingImport;
            for material in &mut replica.materials {
                material.import = Some(Import::default());
                if material.is_pending() {
                    material.state = MaterialState::PendingRotation;
                }
            }
        }
        Ok(replica)
    }

    /// Learns of a new brother.
    pub fn gain(&mut self, replica: &Region) {
        if let Some(multi) = &mut self.multi_region {
            multi.replicas.push(replica.clone());
            multi.replicas.sort_unstable();
        }
    }

    /// Whether this primary can hand its place over to its replica in this region; where that is, is the other key's to
    /// say: [`Key::check_successor`].
    ///
    /// # Errors
    /// [`Fault::UnsupportedOperation`] for what is no primary; [`ErrorKind::Validation`] for its own region;
    /// [`ErrorKind::NotFound`] where no replica is there; as [`Key::check`].
    pub fn check_hand_over(&self, to: &Region) -> Result<()> {
        self.check_is_primary()?;
        if *to == self.region {
            return Err(Error::new(
                ErrorKind::Validation,
                format!("{to} is the primary Region of {} already.", self.arn()),
            ));
        }
        if !self.has_replica(to) {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("Key '{}' does not exist", self.arn_in(to)),
            ));
        }
        self.check(Command::MovePrimary)
    }

    /// Whether this replica can become the primary: both "must be in the Enabled key state" ("Change the primary key").
    ///
    /// # Errors
    /// As [`Key::check`].
    pub fn check_successor(&self) -> Result<()> {
        self.check(Command::MovePrimary)
    }

    /// The primary is in this region from now on; the former one is a replica.
    pub fn hand_over(&mut self, to: &Region) {
        if let Some(MultiRegion { primary, replicas }) = &mut self.multi_region {
            replicas.retain(|replica| replica != to);
            let former = std::mem::replace(primary, to.clone());
            replicas.push(former);
            replicas.sort_unstable();
        }
        // Whether all have it is the primary's to say.
        if !self.is_primary() {
            for material in self.materials.iter_mut().filter(|one| one.is_pending()) {
                material.state = MaterialState::PendingRotation;
            }
        }
    }

    fn check_is_primary(&self) -> Result<()> {
        if self.is_primary() {
            return Ok(());
        }
        let what = match &self.multi_region {
            None => "a single-Region key".to_owned(),
            Some(multi) => format!("a replica of the primary key in {}", multi.primary),
        };
        Err(Fault::UnsupportedOperation.error(format!(
            "{} is {what}, which is not valid for this operation: it takes a multi-Region primary key.",
            self.arn()
        )))
    }

    /// Whether it knows of a replica in this region.
    pub fn has_replica(&self, region: &Region) -> bool {
        let multi = self.multi_region.as_ref();
        multi.is_some_and(|multi| multi.replicas.contains(region))
    }

    fn arn_in(&self, region: &Region) -> String {
        Arn::new("kms", region, &self.account, format!("key/{}", self.id)).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::kms::{KeyState, Rotation};

    const UNSUPPORTED: ErrorKind = ErrorKind::Kms(Fault::UnsupportedOperation);

    fn own() -> Own {
        Own {
            description: "there".into(),
            policy: "{}".into(),
            tags: Tags::from([("a".into(), "b".into())]),
        }
    }

    fn kind<T>(result: Result<T>) -> ErrorKind {
        result.err().unwrap().kind
    }

    #[test]
    fn a_replica_shares_what_is_shared_and_no_more() {
        let (mut primary, _) = replicated(made(), &["us-west-2"]);
        primary.description = "here".into();
        primary.policy = "of the primary".into();
        primary.tags.insert("c".into(), "d".into());
        primary.aliases.push("alias/a".into());
        primary.grants = 3;
        primary.rotation = Some(Rotation {
            period_days: 90,
            next: days(90),
        });
        let there = region("eu-west-1");
        let replica = primary.replicate(&there, own(), at(7)).unwrap();
        let regions = vec![region("eu-west-1"), region("us-west-2")];
        assert_eq!(primary.multi_region.as_ref().unwrap().replicas, regions);
        let expected = Key {
            region: there,
            description: "there".into(),
            policy: "{}".into(),
            tags: own().tags,
            created_at: at(7),
            aliases: Vec::new(),
            grants: 0,
            ..primary.clone()
        };
        assert_eq!(replica, expected);
        assert!(replica.is_replica());
        assert_eq!(
            replica.arn(),
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab"
        );
    }

    #[test]
    fn imported_key_material_is_imported_into_each_replica() {
        let (mut primary, _) = replicated(imported(), &[]);
        let replica = primary.replicate(&region("eu-west-1"), own(), at(7));
        let mut replica = replica.unwrap();
        assert_eq!(replica.state(), KeyState::PendingImport);
        assert_eq!(replica.current().unwrap().id, id(1));
        assert!(!replica.holds(&id(1)));
        replica.import(id(1), &Default::default(), at(8)).unwrap();
        assert_eq!(replica.state(), KeyState::Enabled);
        assert_eq!(replica.materials[0].state, MaterialState::Current);
    }

    #[test]
    fn only_an_enabled_primary_is_replicated_and_once_into_a_region() {
        let there = region("eu-west-1");
        assert_eq!(kind(made().replicate(&there, own(), at(0))), UNSUPPORTED);
        let (primary, mut replicas) = replicated(made(), &["us-west-2"]);
        assert_eq!(
            kind(replicas[0].replicate(&there, own(), at(0))),
            UNSUPPORTED
        );
        for taken in ["us-west-2", "us-east-1"] {
            let refused = primary.clone().replicate(&region(taken), own(), at(0));
            assert_eq!(kind(refused), ErrorKind::AlreadyExists);
        }
        let elsewhere = primary
            .clone()
            .replicate(&region("cn-north-1"), own(), at(0));
        assert_eq!(kind(elsewhere), UNSUPPORTED);
        for stage in stages() {
            let mut key = Key {
                stage,
                ..primary.clone()
            };
            let before = key.clone();
            let made = key.replicate(&there, own(), at(0));
            assert_eq!(made.is_ok(), stage == Stage::Enabled, "{stage:?}");
            if made.is_err() {
                assert_eq!(key, before);
            }
        }
    }

    #[test]
    fn the_primarys_place_is_handed_over_between_enabled_keys() {
        let (primary, replicas) = replicated(made(), &["eu-west-1", "us-west-2"]);
        let to = region("us-west-2");
        primary.check_hand_over(&to).unwrap();
        replicas[1].check_successor().unwrap();
        for stage in stages() {
            let key = Key {
                stage,
                ..primary.clone()
            };
            assert_eq!(key.check_hand_over(&to).is_ok(), stage == Stage::Enabled);
            let key = Key {
                stage,
                ..replicas[1].clone()
            };
            assert_eq!(key.check_successor().is_ok(), stage == Stage::Enabled);
        }
        assert_eq!(kind(replicas[0].check_hand_over(&to)), UNSUPPORTED);
        assert_eq!(kind(made().check_hand_over(&to)), UNSUPPORTED);
        let own = primary.check_hand_over(&region("us-east-1"));
        assert_eq!(kind(own), ErrorKind::Validation);
        let nowhere = primary.check_hand_over(&region("eu-central-1"));
        assert_eq!(kind(nowhere), ErrorKind::NotFound);
    }

    #[test]
    fn all_brothers_agree_on_who_is_the_primary() {
        let (primary, replicas) = replicated(made(), &["eu-west-1", "us-west-2"]);
        let to = region("us-west-2");
        let expected = MultiRegion {
            primary: to.clone(),
            replicas: vec![region("eu-west-1"), region("us-east-1")],
        };
        for mut key in std::iter::once(primary).chain(replicas) {
            key.hand_over(&to);
            assert_eq!(key.multi_region.as_ref(), Some(&expected));
            assert_eq!(key.is_primary(), key.region == to);
        }
    }
}
