//! When ACM acts by itself: renewals, retries, the ends of waits. Times come in, times go out; whoever
//! calls brings the randomness that keeps a thousand certificates from acting in the same second.

use jiff::{SignedDuration, Timestamp};

/// When the renewal of a certificate with this validity begins: 60 days before its end, or at two
/// thirds of its life if that is later, spread over a sixtieth of the time left then (a day, for 60
/// days) by `random`.
pub fn renewal_due(not_before: Timestamp, not_after: Timestamp, random: u64) -> Timestamp {
    let life = not_after.duration_since(not_before).as_secs().max(0);
    let lead = RENEW_BEFORE.as_secs().min(life / 3);
    let spread = share(lead / 60, random);
    before(not_after, lead.saturating_sub(spread))
}

/// When to try again after `tries` failures (at least one): half a minute, doubling up to six hours, but
/// never more than a quarter of what is left until `deadline`, and spread by a fifth either way.
pub fn retry_at(now: Timestamp, tries: u32, deadline: Timestamp, random: u64) -> Timestamp {
    let left = deadline.duration_since(now).as_secs().max(0);
    let doubled = FIRST_RETRY_SECS.saturating_mul(1 << tries.saturating_sub(1).min(MAX_DOUBLINGS));
    let wait = doubled
        .min(LONGEST_RETRY_SECS)
        .min(left / 4)
        .max(FIRST_RETRY_SECS);
    let fifth = wait / 5;
    let wait = wait
        .saturating_sub(fifth)
        .saturating_add(share(fifth.saturating_mul(2), random));
    after(now, SignedDuration::from_secs(wait))
}

/// `time` plus `wait`, standing still at the end of the calendar.
pub fn after(time: Timestamp, wait: SignedDuration) -> Timestamp {
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}

fn before(time: Timestamp, secs: i64) -> Timestamp {
    time.checked_sub(SignedDuration::from_secs(secs))
        .unwrap_or(Timestamp::MIN)
}

/// A whole number from zero up to `whole`, as `random` says.
fn share(whole: i64, random: u64) -> i64 {
    let whole = u64::try_from(whole).unwrap_or(0);
    i64::try_from(random % whole.saturating_add(1)).unwrap_or(0)
}

/// ACM user guide, "Private certificate renewal": attempted when the end is 60 days away.
pub const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(60 * 24);

/// ACM user guide, "Private certificates": each is valid for 13 months (395 days).
pub const PRIVATE_VALIDITY_DAYS: i64 = 395;

/// ACM user guide, "Certificate request times out": what isn't validated in 72 hours times out.
pub const VALIDATION_WINDOW: SignedDuration = SignedDuration::from_hours(72);

/// How long a private request is retried while its CA cannot be reached, before it fails. AWS promises
/// "several seconds"; an hour outlasts any restart, and the caller who waits learns the outcome.
pub const ISSUANCE_WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// API reference, RequestCertificate: idempotency tokens time out after one hour.
pub const TOKEN_WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// Short enough that a CA that was just put right is noticed while its owner still watches.
const FIRST_RETRY_SECS: i64 = 30;

/// Four attempts a day: a renewal has 60 days, so that over 200 attempts remain at this pace.
const LONGEST_RETRY_SECS: i64 = 6 * 60 * 60;

/// 30 s doubled ten times is beyond the longest wait; more would only overflow.
const MAX_DOUBLINGS: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(secs).expect("in range")
    }

    #[test]
    fn thirteen_months_are_renewed_sixty_days_early_give_or_take_a_day() {
        for random in [0, 1, 12_345, u64::MAX] {
            let due = renewal_due(at(0), at(395 * DAY), random).as_second();
            assert!((335 * DAY..=336 * DAY).contains(&due), "{due}");
        }
    }

    #[test]
    fn every_life_is_renewed_in_its_last_third_or_its_last_sixty_days() {
        const HOUR: i64 = 60 * 60;
        for (life, earliest, latest) in [
            (HOUR, HOUR * 2 / 3, HOUR * 2 / 3 + 20),
            (6 * HOUR, 4 * HOUR, 4 * HOUR + 120),
            (DAY, 16 * HOUR, 16 * HOUR + 480),
            (7 * DAY, 14 * DAY / 3, 14 * DAY / 3 + 3360),
            (90 * DAY, 60 * DAY, 60 * DAY + DAY / 2),
            (180 * DAY, 120 * DAY, 121 * DAY),
            (395 * DAY, 335 * DAY, 336 * DAY),
            (3650 * DAY, 3590 * DAY, 3591 * DAY),
        ] {
            for random in [0, 1, 59, 86_400, u64::MAX] {
                let due = renewal_due(at(0), at(life), random).as_second();
                assert!((earliest..=latest).contains(&due), "{life}: {due}");
            }
        }
    }

    #[test]
    fn a_short_life_is_renewed_at_two_thirds() {
        let due = renewal_due(at(0), at(3 * DAY), 0).as_second();
        assert_eq!(due, 2 * DAY);
        let latest = (0..5000)
            .map(|random| renewal_due(at(0), at(3 * DAY), random).as_second())
            .max();
        assert_eq!(latest, Some(2 * DAY + DAY / 60));
        assert_eq!(renewal_due(at(100), at(100), 7), at(100));
        assert_eq!(renewal_due(at(100), at(50), 7), at(50));
    }

    #[test]
    fn retries_back_off_and_hurry_as_the_deadline_nears() {
        let wait = |tries, left| retry_at(at(0), tries, at(left), 0).as_second();
        assert_eq!(wait(1, 60 * DAY), 24);
        assert_eq!(wait(2, 60 * DAY), 48);
        assert_eq!(wait(40, 60 * DAY), LONGEST_RETRY_SECS / 5 * 4);
        assert_eq!(wait(u32::MAX, 60 * DAY), LONGEST_RETRY_SECS / 5 * 4);
        assert_eq!(wait(40, 4 * 60 * 60), 60 * 60 / 5 * 4);
        assert_eq!(wait(40, -5), 24);
    }

    #[test]
    fn the_spread_stays_within_a_fifth() {
        for random in 0..100 {
            let wait = retry_at(at(0), 1, at(DAY), random).as_second();
            assert!((24..=36).contains(&wait), "{wait}");
        }
    }

    #[test]
    fn the_end_of_the_calendar_is_the_end() {
        assert_eq!(after(Timestamp::MAX, VALIDATION_WINDOW), Timestamp::MAX);
        assert_eq!(
            retry_at(Timestamp::MAX, 3, Timestamp::MAX, 5),
            Timestamp::MAX
        );
    }
}
