//! Validity (RFC 5280 section 4.1.2.5).

use super::facts::{Facts, Time};
use super::{Rule, der, require};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "rfc5280_4_1_2_5_time_form",
        check: form,
    },
    Rule {
        id: "rfc5280_4_1_2_5_utc_time_through_2049",
        check: utc_time_through_2049,
    },
    Rule {
        id: "rfc5280_4_1_2_5_order",
        check: order,
    },
    Rule {
        id: "keystead_validity_at_most_a_century",
        check: at_most_a_century,
    },
    Rule {
        id: "keystead_within_issuer_validity",
        check: within_issuer,
    },
];

/// RFC 5280 sections 4.1.2.5.1 and 4.1.2.5.2: Zulu time with seconds and without fractions.
fn form(facts: &Facts<'_>) -> Result<(), String> {
    let readable = unix(facts.not_before).is_some() && unix(facts.not_after).is_some();
    require(readable, || {
        "a date is not written as YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ".into()
    })
}

fn utc_time_through_2049(facts: &Facts<'_>) -> Result<(), String> {
    let wrong = |time: Time<'_>| {
        time.tag == der::GENERALIZED_TIME && unix(time).is_some_and(|seconds| seconds < YEAR_2050)
    };
    require(!wrong(facts.not_before) && !wrong(facts.not_after), || {
        "a date before 2050 is not written as UTCTime".into()
    })
}

fn order(facts: &Facts<'_>) -> Result<(), String> {
    let reversed = match (unix(facts.not_before), unix(facts.not_after)) {
        (Some(before), Some(after)) => after < before,
        _ => false,
    };
    require(!reversed, || "notAfter is before notBefore".into())
}

/// Absurd: no key and no algorithm is good for so long. What has no end says so (RFC 5280 section 4.1.2.5:
/// the last second of 9999).
fn at_most_a_century(facts: &Facts<'_>) -> Result<(), String> {
    let (before, after) = (unix(facts.not_before), unix(facts.not_after));
    let long = before
        .zip(after)
        .is_some_and(|(b, a)| a.saturating_sub(b) > CENTURY);
    require(!long || facts.not_after.text == b"99991231235959Z", || {
        "the certificate would be valid for more than a hundred years".into()
    })
}

/// Not demanded by RFC 5280, but what outlives its issuer stops working before it says so.
/// AWS refuses it too (IssueCertificate: "must not exceed the limit set on its parents").
fn within_issuer(facts: &Facts<'_>) -> Result<(), String> {
    let limit = facts.issuing.and_then(|issuer| issuer.not_after);
    let outlives = match (unix(facts.not_after), limit) {
        (Some(own), Some(issuers)) => own > issuers,
        _ => false,
    };
    require(!outlives, || {
        "the certificate would outlive the CA that issues it".into()
    })
}

/// Seconds since 1970, or `None` if the text is not a date in RFC 5280's form.
pub(super) fn unix(time: Time<'_>) -> Option<i64> {
    let digits = time.text.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (year, rest) = match (time.tag, digits.len()) {
        (der::UTC_TIME, 12) => {
            let year = number(digits.get(..2)?);
            // RFC 5280 section 4.1.2.5.1: 50 to 99 are of the last century.
            let century = if year >= 50 { 1900 } else { 2000 };
            (century + year, digits.get(2..)?)
        }
        (der::GENERALIZED_TIME, 14) => (number(digits.get(..4)?), digits.get(4..)?),
        _ => return None,
    };
    let mut parts = rest.chunks(2).map(number);
    let (month, day) = (parts.next()?, parts.next()?);
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let real = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 59;
    real.then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

fn number(digits: &[u8]) -> i64 {
    digits
        .iter()
        .fold(0, |value, digit| value * 10 + i64::from(digit - b'0'))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar, counting years from March so that the leap day
/// comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 0000-03-01 is 719,468 days before 1970-01-01.
    year * 365 + leap_days + day_of_year - 719_468
}

/// A hundred years with a day to spare for leap days that fall together.
const CENTURY: i64 = (100 * 365 + 26) * 86_400;

/// 2050-01-01T00:00:00Z.
const YEAR_2050: i64 = 2_524_608_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_agree_with_the_calendar() {
        for text in [
            "1970-01-01T00:00:00Z",
            "1999-12-31T23:59:59Z",
            "2000-02-29T12:00:00Z",
            "2024-02-29T01:02:03Z",
            "2049-12-31T23:59:59Z",
            "2050-01-01T00:00:00Z",
            "2100-03-01T00:00:00Z",
            "9999-12-30T00:00:00Z",
        ] {
            let expected: jiff::Timestamp = text.parse().unwrap();
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            let text = format!("{digits}Z");
            let time = Time {
                tag: der::GENERALIZED_TIME,
                text: text.as_bytes(),
            };
            assert_eq!(unix(time), Some(expected.as_second()), "{text}");
        }
    }

    #[test]
    fn the_century_turns_at_fifty() {
        let utc = |text: &'static str| {
            unix(Time {
                tag: der::UTC_TIME,
                text: text.as_bytes(),
            })
        };
        assert_eq!(utc("491231235959Z"), Some(YEAR_2050 - 1));
        assert_eq!(utc("700101000000Z"), Some(0));
        for wrong in [
            "230229000000Z",
            "2301010000Z",
            "230101000000+0000",
            "231301000000Z",
            "230101240000Z",
        ] {
            assert_eq!(utc(wrong), None, "{wrong}");
        }
    }
}
