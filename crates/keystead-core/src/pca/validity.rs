//! From when until when a certificate is valid (ACM-PCA `Validity`).

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, civil};

use super::authority::UsageMode;
use crate::error::{Error, ErrorKind, Result};

/// ACM-PCA `Validity`: a number and how to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The number.
    pub value: i64,
    /// What the number means.
    pub unit: ValidityUnit,
}

/// ACM-PCA `ValidityPeriodType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidityUnit {
    /// The digits of a UTCTime (YYMMDDHHMMSS) or GeneralizedTime (YYYYMMDDHHMMSS).
    EndDate,
    /// Seconds since 1970.
    Absolute,
    /// Days from now.
    Days,
    /// Calendar months from now.
    Months,
    /// Calendar years from now.
    Years,
}

/// What limits a certificate's validity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The end of the issuer's certificate; `None` where the authority signs its own.
    pub issuer_not_after: Option<i64>,
    /// What kind of certificates the authority issues.
    pub usage: UsageMode,
}

/// First and last second of a certificate's validity (Unix time).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first.
    pub not_before: i64,
    /// The last.
    pub not_after: i64,
}

/// The validity of a certificate issued now. By default it starts an hour ago; the end counts from
/// now, whatever the start (model, `IssueCertificateRequest`).
///
/// Refuses with [`ErrorKind::Validation`], as AWS does: an end in the past, before the start,
/// beyond the issuer's own end, beyond the year 9999, or more than seven days away for an authority
/// of short-lived certificates.
pub fn window(
    end: Validity,
    start: Option<Validity>,
    within: Period,
    now: Timestamp,
) -> Result<Window> {
    let not_before = match start {
        None => now.as_second() - BACKDATING_SECONDS,
        Some(Validity {
            value,
            unit: ValidityUnit::Absolute,
        }) => value,
        Some(_) => {
            return refuse("ValidityNotBefore must be of type ABSOLUTE.");
        }
    };
    let not_after = end_second(end, now)?;
    if not_after > LAST_SECOND {
        return refuse("The validity ends after the year 9999, which no certificate can express.");
    }
    if not_after <= now.as_second() {
        return refuse("The certificate validity specified ends in the past.");
    }
    if not_after < not_before {
        return refuse("The certificate validity specified ends before ValidityNotBefore.");
    }
    if within
        .issuer_not_after
        .is_some_and(|limit| not_after > limit)
    {
        return refuse(
            "The certificate validity specified exceeds the certificate authority validity",
        );
    }
    let lasts = not_after - not_before.max(now.as_second());
    if within.usage == UsageMode::ShortLived && lasts > SHORT_LIVED_SECONDS {
        return refuse(
            "The certificate validity specified exceeds the seven days of a short-lived certificate.",
        );
    }
    Ok(Window {
        not_before,
        not_after,
    })
}

/// The last second that an end names.
fn end_second(end: Validity, now: Timestamp) -> Result<i64> {
    let too_far = || {
        Error::new(
            ErrorKind::Validation,
            "The validity ends after the year 9999, which no certificate can express.",
        )
    };
    let span = match end.unit {
        ValidityUnit::Absolute => return Ok(end.value),
        ValidityUnit::EndDate => return digits(end.value),
        ValidityUnit::Days => Span::new().try_days(end.value),
        ValidityUnit::Months => Span::new().try_months(end.value),
        ValidityUnit::Years => Span::new().try_years(end.value),
    };
    let today = now.to_zoned(TimeZone::UTC).datetime();
    let last = span
        .and_then(|span| today.checked_add(span))
        .map_err(|_| too_far())?;
    second_of(last).ok_or_else(too_far)
}

/// Up to twelve digits are a UTCTime (its leading zeros are lost in a number), fourteen are a
/// GeneralizedTime. RFC 5280 section 4.1.2.5.1: a year of 50 or more is of the last century.
fn digits(value: i64) -> Result<i64> {
    let wrong = || {
        Error::new(
            ErrorKind::Validation,
            format!(
                "The END_DATE {value} is not a date of the form YYMMDDHHMMSS or YYYYMMDDHHMMSS."
            ),
        )
    };
    let (year, rest) = match value {
        1..=999_999_999_999 => {
            let year = value / SHORT_YEAR;
            (
                if year >= 50 { 1900 + year } else { 2000 + year },
                value % SHORT_YEAR,
            )
        }
        10_000_000_000_000..=99_999_999_999_999 => (value / SHORT_YEAR, value % SHORT_YEAR),
        _ => return Err(wrong()),
    };
    let part = |divisor: i64| i8::try_from(rest / divisor % 100).map_err(|_| wrong());
    let date = civil::DateTime::new(
        i16::try_from(year).map_err(|_| wrong())?,
        part(100_000_000)?,
        part(1_000_000)?,
        part(10_000)?,
        part(100)?,
        part(1)?,
        0,
    );
    date.ok().and_then(second_of).ok_or_else(wrong)
}

/// Unix time of a date in UTC. jiff's timestamps end a day before the last second of 9999, which
/// RFC 5280 section 4.1.2.5 uses for "no end", so this counts by civil days.
fn second_of(date: civil::DateTime) -> Option<i64> {
    let epoch = civil::date(1970, 1, 1);
    let days = date.date().since((jiff::Unit::Day, epoch)).ok()?.get_days();
    let time = date.time();
    let seconds =
        i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    Some(i64::from(days) * 86_400 + seconds)
}

fn refuse<T>(message: &str) -> Result<T> {
    Err(Error::new(ErrorKind::Validation, message))
}

/// Model: "sets the Not Before date to the issuance time minus 60 minutes".
const BACKDATING_SECONDS: i64 = 3600;

/// Model: "Short-lived certificate validity is limited to seven days."
const SHORT_LIVED_SECONDS: i64 = 7 * 86_400;

/// 9999-12-31T23:59:59Z, the last instant of a GeneralizedTime.
const LAST_SECOND: i64 = 253_402_300_799;

/// MMDDHHMMSS, below the digits of the year.
const SHORT_YEAR: i64 = 10_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Period = Period {
        issuer_not_after: None,
        usage: UsageMode::GeneralPurpose,
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn ends(value: i64, unit: ValidityUnit, now: &str) -> Result<i64> {
        window(Validity { value, unit }, None, FREE, at(now)).map(|window| window.not_after)
    }

    #[test]
    fn every_unit() {
        use ValidityUnit as U;
        let now = "2020-10-12T12:34:54Z";
        for (value, unit, expected) in [
            // Model, `Validity`: the sample values of END_DATE, ABSOLUTE and DAYS.
            (491_231_235_959, U::EndDate, "2049-12-31T23:59:59Z"),
            (2_524_608_000, U::Absolute, "2050-01-01T00:00:00Z"),
            (90, U::Days, "2021-01-10T12:34:54Z"),
            (20_500_101_000_000, U::EndDate, "2050-01-01T00:00:00Z"),
            (13, U::Months, "2021-11-12T12:34:54Z"),
            (10, U::Years, "2030-10-12T12:34:54Z"),
        ] {
            assert_eq!(
                ends(value, unit, now),
                Ok(at(expected).as_second()),
                "{value} {unit:?}"
            );
        }
    }

    #[test]
    fn months_and_years_end_within_the_month() {
        use ValidityUnit as U;
        let month = ends(1, U::Months, "2023-01-31T00:00:00Z");
        assert_eq!(month, Ok(at("2023-02-28T00:00:00Z").as_second()));
        let year = ends(1, U::Years, "2024-02-29T00:00:00Z");
        assert_eq!(year, Ok(at("2025-02-28T00:00:00Z").as_second()));
    }

    #[test]
    fn the_last_second_of_9999_can_be_said() {
        use ValidityUnit as U;
        let now = "2026-01-01T00:00:00Z";
        assert_eq!(ends(LAST_SECOND, U::Absolute, now), Ok(LAST_SECOND));
        assert_eq!(ends(99_991_231_235_959, U::EndDate, now), Ok(LAST_SECOND));
        for (value, unit) in [
            (LAST_SECOND + 1, U::Absolute),
            (8000, U::Years),
            (i64::MAX, U::Days),
            (i64::MAX, U::Months),
            (i64::MAX, U::Years),
            (i64::MAX, U::Absolute),
        ] {
            assert!(ends(value, unit, now).is_err(), "{value} {unit:?}");
        }
    }

    #[test]
    fn dates_that_are_none_are_refused() {
        for value in [
            260_230_000_000,
            20_261_301_000_000,
            20_260_101_240_000,
            1_000_000_000_000,
            0,
            -5,
            i64::MAX,
        ] {
            let verdict = ends(value, ValidityUnit::EndDate, "2026-01-01T00:00:00Z");
            assert_eq!(
                verdict.map_err(|error| error.kind),
                Err(ErrorKind::Validation),
                "{value}"
            );
        }
    }

    #[test]
    fn it_starts_an_hour_ago_or_where_asked() {
        let now = at("2026-01-01T00:00:00Z");
        let end = Validity {
            value: 1,
            unit: ValidityUnit::Days,
        };
        let default = window(end, None, FREE, now).unwrap();
        assert_eq!(default.not_before, now.as_second() - 3600);
        let start = |value, unit| window(end, Some(Validity { value, unit }), FREE, now);
        let asked = start(now.as_second() + 60, ValidityUnit::Absolute).unwrap();
        assert_eq!(asked.not_before, now.as_second() + 60);
        assert_eq!(asked.not_after, default.not_after);
        assert!(start(1, ValidityUnit::Days).is_err());
        assert!(start(default.not_after + 1, ValidityUnit::Absolute).is_err());
    }

    #[test]
    fn never_past_the_issuers_end() {
        let now = at("2026-01-01T00:00:00Z");
        let issuer_end = now.as_second() + 86_400;
        let within = Period {
            issuer_not_after: Some(issuer_end),
            ..FREE
        };
        let end = |value| {
            window(
                Validity {
                    value,
                    unit: ValidityUnit::Absolute,
                },
                None,
                within,
                now,
            )
        };
        assert!(end(issuer_end).is_ok());
        let refused = end(issuer_end + 1).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Validation);
        assert_eq!(
            refused.message,
            "The certificate validity specified exceeds the certificate authority validity"
        );
    }

    #[test]
    fn a_short_lived_certificate_lives_seven_days() {
        let now = at("2026-01-01T00:00:00Z");
        let within = Period {
            issuer_not_after: None,
            usage: UsageMode::ShortLived,
        };
        let days = |value| {
            window(
                Validity {
                    value,
                    unit: ValidityUnit::Days,
                },
                None,
                within,
                now,
            )
        };
        assert!(days(7).is_ok());
        assert!(days(8).is_err());
    }

    #[test]
    fn an_end_in_the_past_is_refused() {
        let now = at("2026-01-01T00:00:00Z");
        for value in [now.as_second(), 1] {
            assert!(ends(value, ValidityUnit::Absolute, "2026-01-01T00:00:00Z").is_err());
        }
    }
}
