//! Times as Signature Version 4 writes them: ISO 8601 basic format, UTC, whole seconds.

use std::borrow::Cow;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{AuthError, CLOCK_SKEW_SECONDS};

/// Writes `20150830T123600Z`.
pub(super) fn format(time: Timestamp) -> String {
    let at = TimeZone::UTC.to_datetime(time);
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// Reads `20150830T123600Z`, and nothing else.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    if text.len() != 16 || text.get(8..9) != Some("T") || text.get(15..) != Some("Z") {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        let all = digits.bytes().all(|byte| byte.is_ascii_digit());
        if all {
            digits.parse::<i16>().ok()
        } else {
            None
        }
    };
    let small = |from: usize, to: usize| number(from, to).and_then(|n| i8::try_from(n).ok());
    let civil = DateTime::new(
        number(0, 4)?,
        small(4, 6)?,
        small(6, 8)?,
        small(9, 11)?,
        small(11, 13)?,
        small(13, 15)?,
        0,
    )
    .ok()?;
    TimeZone::UTC.to_timestamp(civil).ok()
}

/// Reads the `Date` header, which some signers send instead: basic format, or RFC 5322's.
pub(super) fn parse_date_header(text: &str) -> Option<Timestamp> {
    parse(text).or_else(|| {
        jiff::fmt::rfc2822::parse(text)
            .ok()
            .map(|at| at.timestamp())
    })
}

/// What [`parse_date_header`] reads, in basic format.
pub(super) fn basic(text: &str) -> Cow<'_, str> {
    match parse(text) {
        Some(_) => Cow::Borrowed(text),
        None => Cow::Owned(parse_date_header(text).map(format).unwrap_or_default()),
    }
}

/// Whether a request signed at `signed` is current at `now`. A presigned one lives for `expires`
/// seconds, any other for the clock skew.
pub(super) fn check(
    signed: Timestamp,
    now: Timestamp,
    expires: Option<i64>,
) -> Result<(), AuthError> {
    let skew = SignedDuration::from_secs(CLOCK_SKEW_SECONDS);
    let lifetime = expires.map_or(skew, SignedDuration::from_secs);
    let earliest = now.checked_sub(lifetime).unwrap_or(Timestamp::MIN);
    let latest = now.checked_add(skew).unwrap_or(Timestamp::MAX);
    if signed < earliest {
        return Err(AuthError::Invalid(format!(
            "Signature expired: {} is now earlier than {} ({} - {}.)",
            format(signed),
            format(earliest),
            format(now),
            lifetime_text(lifetime.as_secs()),
        )));
    }
    if signed > latest {
        return Err(AuthError::Invalid(format!(
            "Signature not yet current: {} is still later than {} ({} + {}.)",
            format(signed),
            format(latest),
            format(now),
            lifetime_text(CLOCK_SKEW_SECONDS),
        )));
    }
    Ok(())
}

fn lifetime_text(seconds: i64) -> String {
    match seconds % 60 {
        0 => format!("{} min", seconds / 60),
        _ => format!("{seconds} sec"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        parse(text).unwrap()
    }

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        assert_eq!(format(at("20150830T123600Z")), "20150830T123600Z");
        for wrong in [
            "",
            "2015",
            "20150830",
            "20150830T123600",
            "2015-08-30T12:36:00Z",
            "20150830T123600+",
            "20150832T123600Z",
            "20150830T246000Z",
            "20150830t123600Z",
            "+0150830T123600Z",
            "20150830T123600Zx",
            "2015083éT12360Z",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_date_header_comes_in_two_forms() {
        let expected = Some(at("20150830T123600Z"));
        assert_eq!(parse_date_header("20150830T123600Z"), expected);
        assert_eq!(parse_date_header("Sun, 30 Aug 2015 12:36:00 GMT"), expected);
        assert_eq!(parse_date_header("yesterday"), None);
    }

    #[test]
    fn five_minutes_either_way_and_aws_words_beyond() {
        let now = at("20181002T165812Z");
        for current in ["20181002T165312Z", "20181002T165812Z", "20181002T170312Z"] {
            assert_eq!(check(at(current), now, None), Ok(()));
        }
        let late = check(at("20181002T170313Z"), now, None).unwrap_err();
        assert_eq!(
            late.to_string(),
            "Signature not yet current: 20181002T170313Z is still later than 20181002T170312Z \
             (20181002T165812Z + 5 min.)"
        );
        let early = check(at("20181002T165311Z"), now, None).unwrap_err();
        assert_eq!(
            early.to_string(),
            "Signature expired: 20181002T165311Z is now earlier than 20181002T165312Z \
             (20181002T165812Z - 5 min.)"
        );
    }

    #[test]
    fn a_presigned_request_lives_as_long_as_it_says() {
        let now = at("20181002T165812Z");
        assert_eq!(check(at("20181002T155812Z"), now, Some(3600)), Ok(()));
        let over = check(at("20181002T155811Z"), now, Some(3600)).unwrap_err();
        assert!(over.to_string().ends_with("(20181002T165812Z - 60 min.)"));
        let odd = check(at("20181002T155811Z"), now, Some(61)).unwrap_err();
        assert!(odd.to_string().ends_with("(20181002T165812Z - 61 sec.)"));
    }
}
