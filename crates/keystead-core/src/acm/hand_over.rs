//! From one private CA to another: the certificate keeps its name, its users and its place, and is issued
//! anew. What is served until then is the old one's.

use jiff::Timestamp;

use crate::acm::certificate::{Attempt, Certificate, Origin, State};

impl Certificate {
    /// Has another private CA issue it from now on, the next version at once; answers whether anything
    /// changed. Whether it is in use does not matter: what it says of its issuer must not outlive that.
    pub fn hand_over(&mut self, authority: &str, now: Timestamp) -> bool {
        let alive = match self.state {
            State::Issued => !self.has_expired(now),
            State::Pending => true,
            State::Expired | State::Revoked | State::TimedOut | State::Failed(_) => false,
        };
        let Origin::Private { authority: present } = &mut self.origin else {
            return false;
        };
        if !alive || present == authority {
            return false;
        }
        authority.clone_into(present);
        match &mut self.attempt {
            // A version under way goes to the new one with its key: it is asked under another token.
            Some(attempt) => {
                attempt.authority = None;
                attempt.retry_at = attempt.retry_at.min(now);
            }
            None => {
                self.attempt = Some(Attempt {
                    version: None,
                    begun_at: now,
                    updated_at: now,
                    retry_at: now,
                    tries: 0,
                    reason: None,
                    authority: None,
                });
            }
        }
        true
    }

    /// The private CA that it is asked of, if it is.
    pub fn private_authority(&self) -> Option<&str> {
        match &self.origin {
            Origin::Private { authority } => Some(authority),
            Origin::Imported { .. } | Origin::Public { .. } => None,
        }
    }

    /// The private CA that issues it, and whether the version that is served comes from there; `None` for
    /// a certificate that nothing will issue again.
    pub fn issuer(&self, now: Timestamp) -> Option<(&str, bool)> {
        let authority = self.private_authority()?;
        let current = self.current.as_ref()?;
        if self.state != State::Issued || self.has_expired(now) {
            return None;
        }
        let issued = current.authority_certificate.as_deref();
        let theirs = issued
            .and_then(|certificate| certificate.strip_prefix(authority))
            .is_some_and(|rest| rest.starts_with('/'));
        Some((authority, theirs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acm::certificate::{Options, Status};
    use crate::acm::machine::{Next, Request};
    use crate::acm::{KeyAlgorithm, tags};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn requested() -> Certificate {
        let request = Request {
            arn: "arn".into(),
            names: vec!["a.example".into()],
            key_algorithm: KeyAlgorithm::EcP256,
            options: Options {
                transparency_logging: false,
                export: false,
            },
            tags: tags::CertificateTags::default(),
        };
        let origin = Origin::Private {
            authority: "old".into(),
        };
        Certificate::requested(request, origin, NOW)
    }

    #[test]
    fn a_request_under_way_goes_to_the_other() {
        let mut certificate = requested();
        assert!(certificate.hand_over("new", NOW));
        assert!(!certificate.hand_over("new", NOW), "it is there already");
        assert_eq!(
            certificate.origin,
            Origin::Private {
                authority: "new".into()
            }
        );
        assert_eq!(certificate.next(NOW), Next::Issue { version: 1 });
        assert_eq!(certificate.issuer(NOW), None, "nothing is served yet");
    }

    #[test]
    fn what_failed_or_was_brought_stays_as_it_is() {
        let mut failed = requested();
        failed.state = State::Failed(crate::acm::FailureReason::Other);
        assert!(!failed.hand_over("new", NOW));
        assert_eq!(failed.status(NOW), Status::Failed);
        let mut imported = requested();
        imported.origin = Origin::Imported { at: NOW };
        assert!(!imported.hand_over("new", NOW));
    }
}
