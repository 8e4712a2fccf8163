//! How a certificate changes. Each function takes the record from one stored state to the next, so
//! that a crash between any two leaves a state from which [`Certificate::next`] goes on.
//!
//! Issuance, first or renewed, is the same machine: a key is made and stored under a new version
//! number ([`Certificate::key_stored`]); the CA is asked for a certificate of that version, by a token
//! made of the version, so that it never makes two ([`Next::Issue`]); the answer is checked
//! (`acm::issuance`) and becomes current in one commit ([`Certificate::issued`]). Until then, and
//! whatever goes wrong, the version before is served: a valid old certificate beats an error.
//!
//! Whoever commits a change deletes, in the same commit, the keys of the versions that
//! [`Certificate::stored_versions`] no longer names.

use jiff::Timestamp;

use crate::acm::KeyAlgorithm;
use crate::acm::certificate::{
    Attempt, Certificate, Issued, Options, Origin, Renewal, RenewalStatus, State, Status,
};
use crate::acm::facts::Facts;
use crate::acm::failure::{Failure, FailureReason};
use crate::acm::schedule;
use crate::acm::tags::CertificateTags;
use crate::error::{Error, ErrorKind, Result};
use crate::pca::{Revocation, RevocationReason};

/// What to do for a certificate now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing before [`Certificate::wake`].
    Wait,
    /// [`Certificate::elapse`]: a wait is over.
    Elapse,
    /// Make and store a key, and record it by [`Certificate::key_stored`].
    MakeKey {
        /// The version that the key will have.
        version: u64,
    },
    /// Ask the CA for the certificate of this version.
    Issue {
        /// The version under way.
        version: u64,
    },
}

/// What a request asks for, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The name of the certificate.
    pub arn: String,
    /// The names, the domain name first (see `names::requested`).
    pub names: Vec<String>,
    /// The kind of key.
    pub key_algorithm: KeyAlgorithm,
    /// What was asked for beside.
    pub options: Options,
    /// Its tags.
    pub tags: CertificateTags,
}

impl Certificate {
    /// A new request. A private one begins with version 1, whose key the caller stores with it.
    pub fn requested(request: Request, origin: Origin, now: Timestamp) -> Self {
        let attempt = matches!(origin, Origin::Private { .. }).then(|| Attempt::begun(1, now));
        Self {
            arn: request.arn,
            origin,
            domain_name: request.names.first().cloned().unwrap_or_default(),
            names: request.names,
            key_algorithm: request.key_algorithm,
            options: request.options,
            tags: request.tags,
            created_at: now,
            state: State::Pending,
            current: None,
            previous: None,
            previous_certificate: None,
            last_version: u64::from(attempt.is_some()),
            attempt,
            renewal: None,
            exported_version: None,
            uses: 0,
            revoked: None,
        }
    }

    /// A certificate that its owner brings, whose key the caller stores with it as version 1.
    pub fn imported(arn: String, facts: Facts, tags: CertificateTags, now: Timestamp) -> Self {
        Self {
            arn,
            origin: Origin::Imported { at: now },
            domain_name: facts.domain_name().unwrap_or_default().into(),
            names: facts.all_names(),
            key_algorithm: facts.key_algorithm,
            options: Options {
                transparency_logging: false,
                export: false,
            },
            tags,
            created_at: now,
            state: State::Issued,
            current: Some(Issued {
                version: 1,
                facts,
                at: now,
                renew_at: None,
                authority_certificate: None,
            }),
            previous: None,
            previous_certificate: None,
            last_version: 1,
            attempt: None,
            renewal: None,
            exported_version: None,
            uses: 0,
            revoked: None,
        }
    }

    /// Replaces an imported certificate by one that its owner brings; `acm::import` has checked that
    /// it may. Answers the number of the new version, whose key the caller stores with it.
    pub fn reimported(&mut self, facts: Facts, now: Timestamp) -> Result<u64> {
        if !matches!(self.origin, Origin::Imported { .. }) {
            return Err(Error::new(
                ErrorKind::Validation,
                format!(
                    "Certificate {} was not imported; only an imported certificate can be replaced by an import.",
                    self.arn
                ),
            ));
        }
        let version = self.last_version.saturating_add(1);
        self.origin = Origin::Imported { at: now };
        self.domain_name = facts.domain_name().unwrap_or_default().into();
        self.names = facts.all_names();
        self.switch(Issued {
            version,
            facts,
            at: now,
            renew_at: None,
            authority_certificate: None,
        });
        Ok(version)
    }

    /// What to do for it now.
    pub fn next(&self, now: Timestamp) -> Next {
        match self.state {
            State::Pending => {
                if self.validation_deadline().is_some_and(|end| now >= end) {
                    return Next::Elapse;
                }
            }
            State::Issued if self.has_expired(now) => return Next::Elapse,
            State::Issued => {}
            State::Expired | State::Revoked | State::TimedOut | State::Failed(_) => {
                return Next::Wait;
            }
        }
        match &self.attempt {
            Some(attempt) if now < attempt.retry_at => Next::Wait,
            Some(Attempt {
                version: Some(version),
                ..
            }) => Next::Issue { version: *version },
            Some(_) => self.make_key(),
            None if self.renewal_is_due(now) => self.make_key(),
            None => Next::Wait,
        }
    }

    /// Records that the key of the version that [`Next::MakeKey`] named is stored with this commit.
    pub fn key_stored(&mut self, version: u64, now: Timestamp) {
        self.last_version = self.last_version.max(version);
        match &mut self.attempt {
            Some(attempt) => {
                attempt.version = Some(version);
                attempt.updated_at = now;
            }
            None => self.attempt = Some(Attempt::begun(version, now)),
        }
    }

    /// Records that the version under way has its certificate, checked and stored with this commit.
    /// From here it is served.
    pub fn issued(
        &mut self,
        facts: Facts,
        authority_certificate: String,
        now: Timestamp,
        random: u64,
    ) -> Result<()> {
        let version = self.attempt.as_ref().and_then(|attempt| attempt.version);
        let (State::Pending | State::Issued, Some(version)) = (self.state, version) else {
            return Err(Error::new(
                ErrorKind::InvalidState,
                format!("Certificate {} has no version under way.", self.arn),
            ));
        };
        if self.state == State::Issued {
            self.renewal = Some(Renewal {
                status: RenewalStatus::Success,
                reason: None,
                updated_at: now,
            });
        }
        self.state = State::Issued;
        if let Some(authority) = self.attempt.take().and_then(|attempt| attempt.authority) {
            self.origin = Origin::Private { authority };
        }
        let renew_at = schedule::renewal_due(facts.not_before, facts.not_after, random);
        self.switch(Issued {
            version,
            facts,
            at: now,
            renew_at: Some(renew_at),
            authority_certificate: Some(authority_certificate),
        });
        Ok(())
    }

    /// Records that the CA refused the version under way. A first request that can't succeed by itself
    /// fails; a renewal is tried again until the certificate's end.
    pub fn refused(&mut self, failure: Failure, now: Timestamp, random: u64) {
        let deadline = self.attempt_deadline();
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        attempt.tries = attempt.tries.saturating_add(1);
        attempt.reason = Some(failure.reason);
        attempt.updated_at = now;
        attempt.retry_at = schedule::retry_at(now, attempt.tries, deadline, random);
        if self.state == State::Pending && (failure.lasting || now >= deadline) {
            self.state = State::Failed(failure.reason);
            self.attempt = None;
        }
    }

    /// Records that what the CA answered is not what was asked for. That version is never served, and
    /// the next attempt begins with a fresh key.
    pub fn rejected(&mut self, now: Timestamp, random: u64) {
        if let Some(attempt) = &mut self.attempt {
            attempt.version = None;
        }
        let failure = Failure {
            reason: FailureReason::Other,
            lasting: true,
        };
        self.refused(failure, now, random);
    }

    /// Ends the wait that is over at `now`, if one is; answers whether anything changed.
    pub fn elapse(&mut self, now: Timestamp) -> bool {
        let ended = match (self.state, self.status(now)) {
            (State::Pending, Status::ValidationTimedOut) => State::TimedOut,
            (State::Issued, Status::Expired) => State::Expired,
            _ => return false,
        };
        self.state = ended;
        self.end_attempt(now);
        true
    }

    /// Begins a renewal at its owner's wish, or hurries the one under way (RenewCertificate).
    pub fn renew(&mut self, now: Timestamp) -> Result<()> {
        if self.status(now) == Status::PendingValidation {
            return Err(self.in_progress());
        }
        if let Err(why) = self.eligibility(now) {
            return Err(Error::new(
                ErrorKind::Validation,
                format!(
                    "Certificate {} is not eligible for renewal: {}.",
                    self.arn,
                    why.as_str()
                ),
            ));
        }
        self.hurry(now);
        Ok(())
    }

    /// Begins to replace the current version by one that `authority` issues, whether or not the
    /// certificate would be renewed; refuses what no private CA issued, and what is not issued now.
    pub fn reissue(&mut self, authority: &str, now: Timestamp) -> Result<()> {
        let private = matches!(self.origin, Origin::Private { .. });
        if !private || self.status(now) != Status::Issued {
            return Err(Error::new(
                ErrorKind::InvalidState,
                format!(
                    "Certificate {} is none that a private CA can issue anew.",
                    self.arn
                ),
            ));
        }
        self.hurry(now);
        if let Some(attempt) = &mut self.attempt {
            attempt.authority = Some(authority.into());
        }
        Ok(())
    }

    /// Begins a renewal, or makes the next attempt of the one under way now.
    fn hurry(&mut self, now: Timestamp) {
        match &mut self.attempt {
            Some(attempt) => attempt.retry_at = attempt.retry_at.min(now),
            None => {
                self.attempt = Some(Attempt {
                    version: None,
                    ..Attempt::begun(0, now)
                });
            }
        }
    }

    /// The version to answer with where a certificate is read out (GetCertificate, delivery).
    pub fn served(&self, now: Timestamp) -> Result<&Issued> {
        match (&self.current, self.status(now)) {
            (Some(current), _) => Ok(current),
            (None, Status::PendingValidation) => Err(self.in_progress()),
            (None, status) => Err(Error::new(
                ErrorKind::NotFound,
                format!(
                    "Certificate {} was never issued: its status is {}.",
                    self.arn,
                    status.as_str()
                ),
            )),
        }
    }

    /// Records that the current version leaves with its key (ExportCertificate); refuses where it may not.
    pub fn export(&mut self, now: Timestamp) -> Result<u64> {
        let exportable = match self.origin {
            Origin::Private { .. } => true,
            Origin::Public { .. } => self.options.export,
            Origin::Imported { .. } => false,
        };
        if self.state == State::Revoked {
            return Err(Error::new(
                ErrorKind::Validation,
                format!("Certificate {} was revoked.", self.arn),
            ));
        }
        if !exportable {
            return Err(Error::new(
                ErrorKind::Validation,
                format!("Certificate ARN: {} is not a private certificate", self.arn),
            ));
        }
        let version = self.served(now)?.version;
        self.exported_version = Some(version);
        Ok(version)
    }

    /// Records that it is revoked, with every version whose key is kept; refuses where it may not be.
    /// (API reference, RevokeCertificate: what was exported before, and for ever.)
    pub fn revoke(
        &mut self,
        reason: RevocationReason,
        account: &str,
        now: Timestamp,
    ) -> Result<()> {
        let refuse = |why: &str| {
            Err(Error::new(
                ErrorKind::Validation,
                format!("Certificate {} can't be revoked: {why}.", self.arn),
            ))
        };
        match (&self.origin, self.status(now)) {
            (Origin::Imported { .. }, _) => return refuse("it was imported; ask who issued it"),
            (_, Status::Revoked) => return refuse("it is revoked already"),
            (_, Status::Issued | Status::Expired) => {}
            (_, status) => {
                return refuse(&format!("its status is {}", status.as_str()));
            }
        }
        if self.exported_version.is_none() {
            return refuse("only certificates that were exported can; delete it instead");
        }
        self.may_be_deleted(account)?;
        self.state = State::Revoked;
        self.revoked = Some(Revocation { at: now, reason });
        self.end_attempt(now);
        Ok(())
    }

    /// Records that one more uses it; refuses what nobody may use any more.
    pub fn associate(&mut self) -> Result<()> {
        if self.state == State::Revoked {
            return Err(Error::new(
                ErrorKind::InvalidState,
                format!("Certificate {} was revoked; request a new one.", self.arn),
            ));
        }
        self.uses = self.uses.saturating_add(1);
        Ok(())
    }

    /// Refuses while anything is associated (DeleteCertificate).
    pub fn may_be_deleted(&self, account: &str) -> Result<()> {
        if self.uses > 0 {
            return Err(Error::new(
                ErrorKind::ResourceInUse,
                format!("Certificate {} in account {account} is in use.", self.arn),
            ));
        }
        Ok(())
    }

    /// A renewal under way comes to no good end.
    fn end_attempt(&mut self, now: Timestamp) {
        if let Some(attempt) = self.attempt.take() {
            self.renewal = Some(Renewal {
                status: RenewalStatus::Failed,
                reason: attempt.reason,
                updated_at: now,
            });
        }
    }

    fn switch(&mut self, issued: Issued) {
        self.last_version = self.last_version.max(issued.version);
        self.state = State::Issued;
        let replaced = self.current.replace(issued);
        self.previous = replaced.as_ref().map(|replaced| replaced.version);
        self.previous_certificate = replaced.and_then(|replaced| replaced.authority_certificate);
    }

    fn make_key(&self) -> Next {
        Next::MakeKey {
            version: self.last_version.saturating_add(1),
        }
    }

    fn renewal_is_due(&self, now: Timestamp) -> bool {
        self.current
            .as_ref()
            .and_then(|current| current.renew_at)
            .is_some_and(|due| now >= due)
            && self.eligibility(now).is_ok()
    }

    fn attempt_deadline(&self) -> Timestamp {
        self.current.as_ref().map_or_else(
            || schedule::after(self.created_at, schedule::ISSUANCE_WINDOW),
            |current| current.facts.not_after,
        )
    }

    fn in_progress(&self) -> Error {
        Error::new(
            ErrorKind::RequestInProgress,
            format!(
                "The request of certificate {} is in progress: it has not been issued yet.",
                self.arn
            ),
        )
    }
}

impl Attempt {
    fn begun(version: u64, now: Timestamp) -> Self {
        Self {
            version: Some(version),
            begun_at: now,
            updated_at: now,
            retry_at: now,
            tries: 0,
            reason: None,
            authority: None,
        }
    }
}
