//! UTCTime and GeneralizedTime in the forms of RFC 5280 section 4.1.2.5.
//!
//! The calendar is computed here because the last second of the year 9999, which section 4.1.2.5
//! gives the meaning "does not expire", is outside what the time library represents.

use super::reader::bad;
use super::{Element, tag};
use crate::CryptoError;

const SECONDS_A_DAY: i64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;
/// Days in 400 years, after which the calendar repeats.
const DAYS_AN_ERA: i64 = 146_097;

/// The tag and contents octets of a time, or `None` before 1950 and after 9999.
pub(super) fn encode(unix_seconds: i64) -> Option<(u8, Vec<u8>)> {
    let days = unix_seconds.div_euclid(SECONDS_A_DAY);
    let second = unix_seconds.rem_euclid(SECONDS_A_DAY);
    let (year, month, day) = date(days);
    let mut digits = Vec::with_capacity(15);
    let mut pair = |value: i64| {
        for digit in [value / 10 % 10, value % 10] {
            digits.push(b'0' + digit as u8);
        }
    };
    let tag = match year {
        1950..=2049 => tag::UTC_TIME,
        2050..=9999 => {
            pair(year / 100);
            tag::GENERALIZED_TIME
        }
        _ => return None,
    };
    for part in [
        year % 100,
        month,
        day,
        second / 3600,
        second / 60 % 60,
        second % 60,
    ] {
        pair(part);
    }
    digits.push(b'Z');
    Some((tag, digits))
}

/// Unix seconds of a UTCTime or GeneralizedTime.
pub(crate) fn time(element: &Element<'_>) -> Result<i64, CryptoError> {
    let malformed = || bad("a time is not of the form YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ");
    let expected = match element.tag {
        tag::UTC_TIME => 12,
        tag::GENERALIZED_TIME => 14,
        _ => return Err(malformed()),
    };
    let Some((b'Z', digits)) = element.content.split_last() else {
        return Err(malformed());
    };
    if digits.len() != expected || !digits.iter().all(u8::is_ascii_digit) {
        return Err(malformed());
    }
    let mut pairs = digits.chunks_exact(2).map(|pair| {
        pair.iter()
            .fold(0, |value, digit| value * 10 + i64::from(digit - b'0'))
    });
    let mut next = || pairs.next().ok_or_else(malformed);
    let year = match (element.tag, next()?) {
        // Section 4.1.2.5.1: 50 to 99 are of the last century.
        (tag::UTC_TIME, year @ 50..) => 1900 + year,
        (tag::UTC_TIME, year) => 2000 + year,
        (_, century) => century * 100 + next()?,
    };
    let (month, day, hour, minute, second) = (next()?, next()?, next()?, next()?, next()?);
    let days = days(year, month, day);
    if date(days) != (year, month, day) || hour > 23 || minute > 59 || second > 59 {
        return Err(bad("a time is not in the calendar"));
    }
    Ok(days * SECONDS_A_DAY + hour * 3600 + minute * 60 + second)
}

/// Days from 1970-01-01 to a date. Years are counted from March, so that the leap day is the last
/// of its year and months have a regular length: five of them 153 days.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_AN_ERA + day_of_era - DAYS_TO_1970
}

/// Year, month and day: the inverse of `days`.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(DAYS_TO_1970);
    let era = days.div_euclid(DAYS_AN_ERA);
    let day_of_era = days.rem_euclid(DAYS_AN_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::der::{Reader, Writer};

    fn read(tag: u8, text: &str) -> Result<i64, CryptoError> {
        let mut writer = Writer::new();
        writer.tlv(tag, text.as_bytes());
        let bytes = writer.finish();
        time(&Reader::new(&bytes).element().unwrap())
    }

    /// Seconds from `date -u -d ... +%s`.
    const KNOWN: [(u8, &str, i64); 7] = [
        (tag::UTC_TIME, "700101000000Z", 0),
        (tag::UTC_TIME, "000229123456Z", 951_827_696),
        (tag::UTC_TIME, "491231235959Z", 2_524_607_999),
        (tag::UTC_TIME, "500101000000Z", -631_152_000),
        (tag::GENERALIZED_TIME, "20500101000000Z", 2_524_608_000),
        (tag::GENERALIZED_TIME, "21000301000000Z", 4_107_542_400),
        (tag::GENERALIZED_TIME, "99991231235959Z", 253_402_300_799),
    ];

    #[test]
    fn known_times_both_ways() {
        for (tag, text, seconds) in KNOWN {
            assert_eq!(read(tag, text).unwrap(), seconds, "{text}");
            assert_eq!(encode(seconds).unwrap(), (tag, text.into()));
        }
    }

    #[test]
    fn other_forms_and_impossible_dates_are_refused() {
        for (tag, text) in [
            (tag::UTC_TIME, "7001010000Z"),
            (tag::UTC_TIME, "700101000000+0000"),
            (tag::UTC_TIME, "700101000000"),
            (tag::UTC_TIME, "701301000000Z"),
            (tag::UTC_TIME, "700001000000Z"),
            (tag::UTC_TIME, "700100000000Z"),
            (tag::UTC_TIME, "700230000000Z"),
            (tag::UTC_TIME, "700101240000Z"),
            (tag::UTC_TIME, "700101006000Z"),
            (tag::UTC_TIME, "700101000060Z"),
            (tag::GENERALIZED_TIME, "21000229000000Z"),
            (tag::GENERALIZED_TIME, "20500101000000.5Z"),
            (tag::GENERALIZED_TIME, "500101000000Z"),
            (tag::OCTET_STRING, "700101000000Z"),
        ] {
            assert!(read(tag, text).is_err(), "{text}");
        }
        for seconds in [-631_152_001, 253_402_300_800, i64::MAX, i64::MIN] {
            assert_eq!(encode(seconds), None);
        }
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        let mut previous = date(-DAYS_TO_1970 - 1);
        for day in -DAYS_TO_1970..DAYS_AN_ERA * 5 - DAYS_TO_1970 {
            let (year, month, of_month) = date(day);
            assert!((year, month, of_month) > previous);
            assert_eq!(days(year, month, of_month), day);
            previous = (year, month, of_month);
        }
    }
}
