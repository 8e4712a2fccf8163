//! When a secret is rotated: AWS's rules, from their text to the next window.
//!
//! Source: `RotationRulesType` of the API reference; user guide, "Rotation schedules". A window opens on the hour, UTC. A
//! rate in hours opens at midnight of the day on which it was set and every so many hours from there, for an hour; a rate in
//! days opens at midnight, so many days behind the day of the last rotation, for that day. `Duration` says otherwise how long
//! a window is open; it may reach neither into the next window nor into the next day.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::cron::{Cron, SHORTEST_HOURS};

/// The rules, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    every: Every,
    /// How long a window is open, in hours; `None` for as long as such a window is by itself.
    hours: Option<i8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Every {
    Hours(i64),
    Days(i64),
    Cron(Cron),
}

/// A time within which a secret is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Not before.
    pub opens: Timestamp,
    /// By then: `NextRotationDate`.
    pub closes: Timestamp,
}

impl Schedule {
    /// Understands `AutomaticallyAfterDays`, `Duration` and `ScheduleExpression`, or says what is wrong with them. `None` where
    /// they say nothing.
    pub fn parse(
        after_days: Option<i64>,
        duration: Option<&str>,
        expression: Option<&str>,
    ) -> Result<Option<Self>, String> {
        let every = match (after_days, expression) {
            (Some(_), Some(_)) => {
                return Err(
                    "You can specify either AutomaticallyAfterDays or ScheduleExpression, but not both."
                        .into(),
                );
            }
            (None, None) if duration.is_some() => {
                return Err(
                    "A Duration needs a ScheduleExpression or AutomaticallyAfterDays.".into(),
                );
            }
            (None, None) => return Ok(None),
            (Some(days), None) => Every::Days(days),
            (None, Some(text)) => every(text).map_err(|cause| {
                format!("The schedule expression '{text}' is not valid: {cause}.")
            })?,
        };
        let hours = duration.map(|text| window(text, &every)).transpose()?;
        Ok(Some(Self { every, hours }))
    }

    /// The first window that opens behind `last`, when the secret was rotated last or rotation was turned on; `since` is when
    /// the schedule was set. `None` at the end of the calendar.
    pub fn next(&self, last: Timestamp, since: Timestamp) -> Option<Window> {
        let last_hour = last.to_zoned(TimeZone::UTC).datetime();
        let (day, hour) = match &self.every {
            Every::Days(days) => (after_days(last_hour.date(), *days)?, 0),
            Every::Hours(hours) => {
                let anchor = midnight(since.to_zoned(TimeZone::UTC).date())?;
                let step = hours.checked_mul(SECS_PER_HOUR)?;
                let passed = last.duration_since(anchor).as_secs().max(0) / step;
                let secs = step.checked_mul(passed.checked_add(1)?)?;
                let opens = anchor.checked_add(SignedDuration::from_secs(secs)).ok()?;
                return self.window(opens, opens.to_zoned(TimeZone::UTC).date());
            }
            Every::Cron(cron) => match last_hour.hour() {
                23 => cron.next(last_hour.date().tomorrow().ok()?, 0)?,
                hour => cron.next(last_hour.date(), hour + 1)?,
            },
        };
        let opens = midnight(day)?;
        let opens = opens.checked_add(SignedDuration::from_hours(hour.into()));
        self.window(opens.ok()?, day)
    }

    /// Days from one rotation to the next, as `AutomaticallyAfterDays` shows them: whole ones, at least one; the distance of
    /// the next two windows for a cron expression.
    pub fn days(&self, now: Timestamp) -> Option<i64> {
        match &self.every {
            Every::Days(days) => Some(*days),
            Every::Hours(hours) => Some((hours / 24).max(1)),
            Every::Cron(_) => {
                let one = self.next(now, now)?;
                let two = self.next(one.opens, now)?;
                let hours = two.opens.duration_since(one.opens).as_hours();
                Some((hours / 24).max(1))
            }
        }
    }

    fn window(&self, opens: Timestamp, day: Date) -> Option<Window> {
        let hourly = match &self.every {
            Every::Hours(_) => true,
            Every::Days(_) => false,
            Every::Cron(cron) => cron.is_hourly(),
        };
        let end = match self.hours {
            Some(hours) => opens.checked_add(SignedDuration::from_hours(hours.into())),
            None if hourly => opens.checked_add(SignedDuration::from_hours(1)),
            None => Ok(midnight(day.tomorrow().ok()?)?),
        };
        // The last second of it, as AWS shows it: 23:59:59.
        let closes = end.and_then(|end| end.checked_sub(SignedDuration::from_secs(1)));
        Some(Window {
            opens,
            closes: closes.ok()?,
        })
    }
}

impl Window {
    /// When to begin within the window: not for all secrets at once. `random` spreads over its first half, so that the
    /// second is left for what goes wrong; at most over an hour.
    pub fn begin(&self, random: u64) -> Timestamp {
        let open = self.closes.duration_since(self.opens).as_secs().max(0);
        let spread = (open / 2).min(LONGEST_SPREAD_SECS);
        let share = u64::try_from(spread).unwrap_or(0).saturating_add(1);
        let secs = i64::try_from(random % share).unwrap_or(0);
        let begin = self.opens.checked_add(SignedDuration::from_secs(secs));
        begin.unwrap_or(self.opens)
    }
}

fn every(text: &str) -> Result<Every, String> {
    let inner = |name: &str| {
        let rest = text.strip_prefix(name)?.strip_prefix('(')?;
        rest.strip_suffix(')')
    };
    if let Some(fields) = inner("cron") {
        let cron = Cron::parse(fields)?;
        return match cron.next(SOME_DAY, 0) {
            Some(_) => Ok(Every::Cron(cron)),
            None => Err("there is no such day".into()),
        };
    }
    let rate = inner("rate").ok_or("expected rate(...) or cron(...)")?;
    let (value, unit) = rate
        .split_once(' ')
        .ok_or("expected a number and a unit, for instance rate(10 days)")?;
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let value = digits.then(|| value.parse::<i64>().ok()).flatten();
    let value = value.filter(|value| *value > 0);
    let value = value.ok_or("the value must be a positive whole number")?;
    let (days, every) = match unit {
        "hour" | "hours" => (value / 24, Every::Hours(value)),
        "day" | "days" => (value, Every::Days(value)),
        _ => return Err("the unit must be hour, hours, day or days".into()),
    };
    if matches!(every, Every::Hours(hours) if hours < SHORTEST_HOURS.into()) {
        return Err(format!(
            "a secret can't be rotated more often than every {SHORTEST_HOURS} hours"
        ));
    }
    match days > MOST_DAYS {
        true => Err(format!("the longest period is {MOST_DAYS} days")),
        false => Ok(every),
    }
}

/// `Duration`, which must fit between two windows and into a day.
fn window(text: &str, every: &Every) -> Result<i8, String> {
    let refused = |cause: &str| format!("The Duration '{text}' is not valid: {cause}.");
    let digits = text
        .strip_suffix('h')
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let hours = digits.and_then(|digits| digits.parse::<i8>().ok());
    let hours = hours
        .filter(|hours| (1..=24).contains(hours))
        .ok_or_else(|| refused("expected 1h to 24h"))?;
    let (distance, latest) = match every {
        Every::Hours(distance) => (i8::try_from(*distance).unwrap_or(i8::MAX), 0),
        Every::Days(_) => (24, 0),
        Every::Cron(cron) => (cron.closest_hours(), cron.hours().last().unwrap_or(0)),
    };
    if hours > distance {
        return Err(refused(
            "the rotation window must not reach into the next one",
        ));
    }
    match latest + hours > 24 {
        true => Err(refused(
            "the rotation window must not reach into the next UTC day",
        )),
        false => Ok(hours),
    }
}

fn midnight(day: Date) -> Option<Timestamp> {
    let zoned = day.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp())
}

fn after_days(day: Date, days: i64) -> Option<Date> {
    let hours = days.checked_mul(24)?;
    day.checked_add(SignedDuration::from_hours(hours)).ok()
}

/// User guide, "Rotation schedules": the maximum rotation period is 999 days.
const MOST_DAYS: i64 = 999;

/// Ten thousand rotations that are due in one night come at under three a second, and none waits for long.
const LONGEST_SPREAD_SECS: i64 = 60 * 60;

const SECS_PER_HOUR: i64 = 60 * 60;

/// From where it is looked whether there is such a day at all.
const SOME_DAY: Date = Date::constant(2024, 1, 1);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn schedule(expression: &str, duration: Option<&str>) -> Schedule {
        let parsed = Schedule::parse(None, duration, Some(expression));
        parsed.expect("valid").expect("a schedule")
    }

    #[test]
    fn the_next_window_follows_the_last_rotation() {
        let cases: &[(&str, Option<&str>, &str, &str, &str)] = &[
            // Rates in days: midnight, for the day.
            (
                "rate(1 day)",
                None,
                "2026-01-01T10:30:00Z",
                "2026-01-02T00:00:00Z",
                "2026-01-02T23:59:59Z",
            ),
            (
                "rate(10 days)",
                None,
                "2026-01-01T00:00:00Z",
                "2026-01-11T00:00:00Z",
                "2026-01-11T23:59:59Z",
            ),
            (
                "rate(10 days)",
                Some("3h"),
                "2026-01-01T23:59:59Z",
                "2026-01-11T00:00:00Z",
                "2026-01-11T02:59:59Z",
            ),
            // Rates in hours: from midnight of the day on which it was set (the 1st), for an hour.
            (
                "rate(4 hours)",
                None,
                "2026-01-01T10:30:00Z",
                "2026-01-01T12:00:00Z",
                "2026-01-01T12:59:59Z",
            ),
            (
                "rate(4 hours)",
                Some("4h"),
                "2026-01-01T12:00:00Z",
                "2026-01-01T16:00:00Z",
                "2026-01-01T19:59:59Z",
            ),
            (
                "rate(10 hours)",
                None,
                "2026-01-01T20:10:00Z",
                "2026-01-02T06:00:00Z",
                "2026-01-02T06:59:59Z",
            ),
            (
                "rate(48 hours)",
                None,
                "2026-01-01T20:10:00Z",
                "2026-01-03T00:00:00Z",
                "2026-01-03T00:59:59Z",
            ),
            // Cron: an opening in the hour that runs is over.
            (
                "cron(0 10 * * ? *)",
                None,
                "2026-01-01T09:59:59Z",
                "2026-01-01T10:00:00Z",
                "2026-01-01T23:59:59Z",
            ),
            (
                "cron(0 10 * * ? *)",
                Some("2h"),
                "2026-01-01T10:00:00Z",
                "2026-01-02T10:00:00Z",
                "2026-01-02T11:59:59Z",
            ),
            (
                "cron(0 */8 * * ? *)",
                None,
                "2026-01-01T23:30:00Z",
                "2026-01-02T00:00:00Z",
                "2026-01-02T00:59:59Z",
            ),
            (
                "cron(0 16/4 L * ? *)",
                Some("4h"),
                "2026-02-01T23:30:00Z",
                "2026-02-28T16:00:00Z",
                "2026-02-28T19:59:59Z",
            ),
        ];
        for (expression, duration, last, opens, closes) in cases {
            let window = schedule(expression, *duration)
                .next(at(last), at("2026-01-01T08:00:00Z"))
                .expect("a window");
            assert_eq!(
                window,
                Window {
                    opens: at(opens),
                    closes: at(closes)
                },
                "{expression} {duration:?} after {last}"
            );
        }
    }

    #[test]
    fn days_count_from_the_last_rotation() {
        let parsed = Schedule::parse(Some(30), None, None);
        let schedule = parsed.expect("valid").expect("a schedule");
        let window = schedule.next(at("2026-01-01T10:30:00Z"), at("2025-01-01T00:00:00Z"));
        let window = window.expect("a window");
        assert_eq!(window.opens, at("2026-01-31T00:00:00Z"));
        assert_eq!(window.closes, at("2026-01-31T23:59:59Z"));
        assert_eq!(schedule.next(Timestamp::MAX, Timestamp::MAX), None);
    }

    #[test]
    fn what_breaks_the_rules_is_refused_with_the_reason() {
        let cases: &[(&str, Option<&str>, &str)] = &[
            ("rate(3 hours)", None, "every 4 hours"),
            ("rate(0 days)", None, "positive whole number"),
            ("rate(-1 days)", None, "positive whole number"),
            (
                "rate(99999999999999999999 days)",
                None,
                "positive whole number",
            ),
            ("rate(1.5 days)", None, "positive whole number"),
            ("rate(1000 days)", None, "999 days"),
            ("rate(24000 hours)", None, "999 days"),
            ("rate(1 minute)", None, "unit must be"),
            ("rate(1  day)", None, "unit must be"),
            ("rate(10)", None, "a number and a unit"),
            ("every 10 days", None, "rate(...) or cron(...)"),
            ("rate(1 day", None, "rate(...) or cron(...)"),
            ("cron(0 0 31 2 ? *)", None, "no such day"),
            ("rate(4 hours)", Some("5h"), "into the next one"),
            ("rate(1 day)", Some("25h"), "1h to 24h"),
            ("rate(1 day)", Some("0h"), "1h to 24h"),
            ("rate(1 day)", Some("h"), "1h to 24h"),
            ("cron(0 22 * * ? *)", Some("3h"), "next UTC day"),
            ("cron(0 0,8 * * ? *)", Some("9h"), "into the next one"),
        ];
        for (expression, duration, cause) in cases {
            let refusal = Schedule::parse(None, *duration, Some(expression));
            let refusal = refusal.expect_err(expression);
            assert!(refusal.contains(cause), "{expression}: {refusal}");
        }
        assert!(Schedule::parse(Some(1), None, Some("rate(1 day)")).is_err());
        assert!(Schedule::parse(None, Some("2h"), None).is_err());
        assert_eq!(Schedule::parse(None, None, None), Ok(None));
    }

    #[test]
    fn a_schedule_shows_its_days() {
        let now = at("2026-01-01T08:00:00Z");
        for (expression, days) in [
            ("rate(4 hours)", 1),
            ("rate(48 hours)", 2),
            ("rate(10 days)", 10),
            ("cron(0 18 ? * SAT *)", 7),
            ("cron(0 */8 * * ? *)", 1),
        ] {
            assert_eq!(
                schedule(expression, None).days(now),
                Some(days),
                "{expression}"
            );
        }
    }

    #[test]
    fn a_rotation_begins_in_the_first_half_of_its_window() {
        let hour = schedule("rate(4 hours)", None)
            .next(at("2026-01-01T08:00:00Z"), at("2026-01-01T08:00:00Z"));
        let day = schedule("rate(1 day)", None)
            .next(at("2026-01-01T08:00:00Z"), at("2026-01-01T08:00:00Z"));
        for (window, most) in [(hour, 1799), (day, 3600)] {
            let window = window.expect("a window");
            for random in [0, 1, 1799, 3600, 86_399, u64::MAX] {
                let waited = window.begin(random).duration_since(window.opens).as_secs();
                assert!((0..=most).contains(&waited), "{waited}");
            }
        }
    }
}
