//! Numbers, dates and networks, as conditions write them.

use std::net::IpAddr;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// Digits after the point that a number keeps.
const SCALE: u32 = 9;

/// An integer or decimal number, in units of 10^-9; nothing for other text or for more digits than are kept.
pub(crate) fn number(text: &str) -> Option<i128> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let places = u32::try_from(fraction.len()).ok()?;
    let parse = |text: &str| match text {
        "" => Some(0),
        text => text.parse::<i128>().ok(),
    };
    let missing = SCALE.checked_sub(places)?;
    let value = parse(whole)?
        .checked_mul(10_i128.pow(SCALE))?
        .checked_add(parse(fraction)?.checked_mul(10_i128.pow(missing))?)?;
    Some(if negative { -value } else { value })
}

/// A date as IAM accepts it, and the moment that it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Nanoseconds since 1970, if the calendar reaches that far (years -9999 to 9999).
    pub(crate) nanoseconds: Option<i128>,
}

/// Reads seconds since 1970, or ISO 8601 in any of the lengths of W3C's note on dates: the year alone, with month,
/// day, time, fraction and zone. Without a zone it is UTC. Years reach as far as IAM lets them, -292275054 to
/// 292278993; nothing for text that IAM refuses ("The policy failed legacy parsing").
pub(crate) fn date(text: &str) -> Option<Moment> {
    if !text.contains(['-', 't', 'T']) {
        let seconds: i64 = text.parse().ok().filter(|seconds| *seconds >= 0)?;
        return Some(Moment {
            nanoseconds: Some(i128::from(seconds) * 1_000_000_000),
        });
    }
    let lower = text.to_ascii_lowercase();
    let (date, time) = lower.split_once('t').unwrap_or((&lower, ""));
    let (negative, date) = match date.strip_prefix('-') {
        Some(date) => (true, date),
        None => (false, date),
    };
    let mut fields = date.split('-');
    let year: i64 = fields.next()?.parse().ok()?;
    let year = if negative { -year } else { year };
    if !(-292_275_054..=292_278_993).contains(&year) {
        return None;
    }
    let month = field(fields.next(), 1..=12, 1)?;
    let day = field(fields.next(), 1..=31, 1)?;
    if fields.next().is_some() {
        return None;
    }
    let time = clock(time)?;
    Some(Moment {
        nanoseconds: moment(year, month, day, time),
    })
}

/// Hour, minute, second, nanosecond and the zone's distance from UTC in seconds.
type Clock = (i8, i8, i8, i32, i32);

fn clock(text: &str) -> Option<Clock> {
    if text.is_empty() {
        return Some((0, 0, 0, 0, 0));
    }
    let (text, zone) = zone(text)?;
    let mut fields = text.splitn(3, ':');
    let hour = field(fields.next(), 0..=23, 0)?;
    let minute = field(fields.next(), 0..=59, 0)?;
    let (second, fraction) = match fields.next() {
        None => (0, ""),
        Some(text) => {
            let (second, fraction) = text.split_once('.').unwrap_or((text, ""));
            (field(Some(second), 0..=59, 0)?, fraction)
        }
    };
    let digits = fraction.len() <= 9 && fraction.bytes().all(|b| b.is_ascii_digit());
    let nanosecond = format!("{fraction:0<9}").parse().ok().filter(|_| digits)?;
    Some((hour, minute, second, nanosecond, zone))
}

/// Takes the zone off a time: `z`, `+01`, `-01:30`, or none.
fn zone(text: &str) -> Option<(&str, i32)> {
    if let Some(time) = text.strip_suffix('z') {
        return Some((time, 0));
    }
    let Some(sign) = text.find(['+', '-']) else {
        return Some((text, 0));
    };
    let (time, zone) = text.split_at_checked(sign)?;
    let west = zone.starts_with('-');
    let zone = zone.strip_prefix(['+', '-'])?;
    let (hours, minutes) = zone.split_once(':').unwrap_or((zone, "00"));
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let hours = i32::from(field(Some(hours), 0..=23, 0)?);
    let minutes = i32::from(field(Some(minutes), 0..=59, 0)?);
    let seconds = hours * 3600 + minutes * 60;
    Some((time, if west { -seconds } else { seconds }))
}

fn field(text: Option<&str>, range: std::ops::RangeInclusive<i8>, absent: i8) -> Option<i8> {
    match text {
        None => Some(absent),
        Some(text) => text.parse().ok().filter(|value| range.contains(value)),
    }
}

fn moment(year: i64, month: i8, day: i8, clock: Clock) -> Option<i128> {
    let (hour, minute, second, nanosecond, zone) = clock;
    let year = i16::try_from(year).ok()?;
    let local = DateTime::new(year, month, day, hour, minute, second, nanosecond).ok()?;
    let zone = TimeZone::fixed(Offset::from_seconds(zone).ok()?);
    let timestamp = local.to_zoned(zone).ok()?.timestamp();
    Some(timestamp.as_nanosecond())
}

/// A range of addresses (IAM user guide, "IP address condition operators"): one address is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `203.0.113.0/24`, `2001:db8::/32` or a single address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            None => (text, None),
            Some((address, bits)) => (address, Some(bits)),
        };
        let address: IpAddr = address.trim().parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.trim().parse().ok().filter(|bits| *bits <= most)?,
        };
        Some(Self { address, bits })
    }

    /// Whether the range is one that an organization may have: at least 8 bits of IPv4, 32 of IPv6 (Amazon S3 user
    /// guide, "The meaning of 'public'").
    pub(crate) fn is_narrow(&self) -> bool {
        self.bits >= if self.address.is_ipv4() { 8 } else { 32 }
    }

    /// Whether the address lies in the range. Addresses of the other family never do.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let (ours, theirs, width) = match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (u128::from(a.to_bits()), u128::from(b.to_bits()), 32)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        let ignored = u32::from(width - self.bits);
        (ours ^ theirs).checked_shr(ignored).unwrap_or(0) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        assert_eq!(number("10"), number("10.000"));
        assert_eq!(number("-0.5"), Some(-500_000_000));
        assert!(number("9007199254740993") > number("9007199254740992"));
        for bad in ["", "-", ".", "1e3", "0x1", "1.0000000001", "1.2.3", "ten"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_have_every_documented_length() {
        let at = |text: &str| date(text).and_then(|moment| moment.nanoseconds);
        let noon = at("2020-01-01T12:00:00Z");
        assert_eq!(noon, at("1577880000"));
        for same in [
            "2020-01-01T12:00Z",
            "2020-01-01t12:00:00.000",
            "2020-01-01T13:30:00+01:30",
            "2020-01-01T10:00:00-02",
        ] {
            assert_eq!(at(same), noon, "{same}");
        }
        assert_eq!(at("2020T"), at("2020-01-01"));
        assert_eq!(date("-292275054").and_then(|d| d.nanoseconds), None);
        for bad in [
            "",
            "soon",
            "234-13",
            "2016-12-13t2:00:00.593194+1",
            "2016-12-13t2:00:00.1999999999+10:59",
            "9223372036854775808",
            "2020-01-01-01",
            "2020-01-01T24",
        ] {
            assert_eq!(date(bad), None, "{bad}");
        }
    }

    #[test]
    fn networks_hold_their_addresses() {
        let holds = |network: &str, address: &str| {
            Network::parse(network)
                .unwrap()
                .contains(address.parse().unwrap())
        };
        assert!(holds("203.0.113.0/24", "203.0.113.255"));
        assert!(!holds("203.0.113.0/24", "203.0.114.0"));
        assert!(holds("0.0.0.0/0", "8.8.8.8"));
        assert!(holds("::/0", "2001:db8::1"));
        assert!(holds("2001:DB8:1234:5678::/64", "2001:db8:1234:5678::9"));
        assert!(!holds("0.0.0.0/0", "::1"));
        assert!(holds("192.0.2.1", "192.0.2.1") && !holds("192.0.2.1", "192.0.2.2"));
        for bad in ["203.0.113.0/33", "::/129", "x", "1.2.3", "1.2.3.4/"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}
