//! The end of an authority's certificate, told ahead of time: everything below it ends with it, and to replace it takes
//! longer than a leaf.

use jiff::{SignedDuration, Timestamp};

use super::authority::CertificateAuthority;
use super::state::Status;

/// What is to be told of an authority's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It ends in so many days; the last of them may have begun.
    EndsInDays(i64),
    /// It has ended.
    Ended,
}

impl CertificateAuthority {
    /// What is to be told at this instant. Nothing of an authority that is deleted.
    pub fn notice(&self, now: Timestamp) -> Option<Notice> {
        match self.status(now) {
            Status::Active | Status::Disabled => {}
            Status::Expired => return Some(Notice::Ended),
            Status::Creating | Status::PendingCertificate | Status::Deleted | Status::Failed => {
                return None;
            }
        }
        let left = self.installed.as_ref()?.not_after - now.as_second();
        let first = NOTICE_DAYS.first().copied().unwrap_or_default();
        (left <= first * DAY).then_some(Notice::EndsInDays((left.max(0) + DAY - 1) / DAY))
    }

    /// When there is next something to tell, after this instant.
    pub fn next_notice(&self, now: Timestamp) -> Option<Timestamp> {
        let not_after = self.installed.as_ref()?.not_after;
        let ahead = NOTICE_DAYS.iter().map(|days| not_after - days * DAY);
        let moments = ahead.chain([not_after.saturating_add(1)]);
        moments
            .filter_map(|second| Timestamp::from_second(second).ok())
            .find(|moment| *moment > now)
    }
}

/// Days ahead of the end. Ninety to plan a successor and to have everybody trust it, as long as the longest leaf that is
/// usual below it lives; thirty, the last month in which leaves of a month can be had; a week, as AWS Certificate Manager
/// and most pagers take for urgent; and the last day.
const NOTICE_DAYS: [i64; 4] = [90, 30, 7, 1];

const DAY: i64 = SignedDuration::from_hours(24).as_secs();

#[cfg(test)]
mod tests {
    use super::super::authority::tests::{at, in_status};
    use super::*;

    /// An authority whose certificate ends after this many days.
    fn ending(days: i64) -> CertificateAuthority {
        let mut authority = in_status(Status::Active);
        authority.installed.as_mut().unwrap().not_after = days * DAY;
        authority
    }

    #[test]
    fn notices_come_closer_to_the_end_and_stop_behind_it() {
        let authority = ending(400);
        let mut now = at(200);
        let mut told = Vec::new();
        assert_eq!(authority.notice(now), None);
        while let Some(next) = authority.next_notice(now) {
            now = next;
            told.push(authority.notice(now).unwrap());
        }
        assert_eq!(
            told,
            [
                Notice::EndsInDays(90),
                Notice::EndsInDays(30),
                Notice::EndsInDays(7),
                Notice::EndsInDays(1),
                Notice::Ended,
            ]
        );
    }

    #[test]
    fn what_is_past_is_not_told_again() {
        let authority = ending(20);
        assert_eq!(authority.next_notice(at(DAY)), Some(at(13 * DAY)));
        assert_eq!(authority.notice(at(DAY)), Some(Notice::EndsInDays(19)));
        // A server that was down for long tells what is so now.
        assert_eq!(
            authority.notice(at(15 * DAY + 1)),
            Some(Notice::EndsInDays(5))
        );
        assert_eq!(authority.next_notice(at(20 * DAY + 1)), None);
    }

    #[test]
    fn nothing_is_told_of_what_has_no_certificate_or_is_deleted() {
        for status in [Status::PendingCertificate, Status::Deleted, Status::Failed] {
            assert_eq!(in_status(status).notice(at(DAY * 999)), None, "{status:?}");
        }
        assert_eq!(
            in_status(Status::PendingCertificate).next_notice(at(0)),
            None
        );
        assert_eq!(
            in_status(Status::Expired).notice(at(100)),
            Some(Notice::Ended)
        );
        let for_ever = ending(253_402_300_799 / DAY);
        assert!(for_ever.next_notice(at(0)).is_some());
    }
}
