//! `cron()` in the dialect of Secrets Manager: on which days and at which hours a rotation window opens, in UTC.
//!
//! Source: Secrets Manager user guide, "Rotation schedules": six fields, of which the minutes are `0` and the year is `*`;
//! `L`, `W` and `#` as elsewhere at AWS (EventBridge user guide, "Cron expressions"); one of the two fields of days is
//! `?`. Names of months and days are taken in any case.

use jiff::civil::{Date, Weekday};

/// A parsed expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    /// Bit n: a window opens at n o'clock.
    hours: u32,
    /// Bit n: in month n.
    months: u16,
    days: Days,
}

/// Which days of a month.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Days {
    /// By their number: the second field of days is `?`.
    OfMonth {
        /// Bit n: on the nth.
        numbers: u32,
        /// `L`.
        last: bool,
        /// `nW`: the weekday nearest to the nth, within its month.
        near: Vec<i8>,
    },
    /// By their name: the first field of days is `?`.
    OfWeek {
        /// Bit n: on day n of the week, which begins with Sunday as day 1.
        names: u8,
        /// `n#k`: the kth day n of the month.
        nth: Vec<(i8, i8)>,
        /// `nL`: the last day n of the month.
        last: Vec<i8>,
    },
}

impl Cron {
    /// Parses what stands between the parentheses. The refusal says what is wrong, for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, of_month, month, of_week, year] = fields.as_slice() else {
            return Err(format!(
                "a cron expression has 6 fields (minutes, hours, day of month, month, day of week, year), not {}",
                fields.len()
            ));
        };
        if *minutes != "0" {
            return Err("the minutes must be 0: rotation windows open on the hour".into());
        }
        if *year != "*" {
            return Err("the year must be *".into());
        }
        let bits = numbers(hours, &HOURS)?;
        let cron = Self {
            hours: u32::try_from(bits).unwrap_or_default(),
            months: u16::try_from(numbers(month, &MONTHS)?).unwrap_or_default(),
            days: days(of_month, of_week)?,
        };
        if cron.closest_hours() < SHORTEST_HOURS {
            return Err(format!(
                "a secret can't be rotated more often than every {SHORTEST_HOURS} hours"
            ));
        }
        Ok(cron)
    }

    /// The first opening behind `day` at `hour`, itself included; `None` where there is none within eight years, which is
    /// the longest that a 29th of February can be away.
    pub fn next(&self, day: Date, hour: i8) -> Option<(Date, i8)> {
        let mut today = day;
        let mut from = hour;
        for _ in 0..FARTHEST_DAYS {
            let found = self.opens_on(today).then(|| self.hour_from(from)).flatten();
            if let Some(hour) = found {
                return Some((today, hour));
            }
            today = today.tomorrow().ok()?;
            from = 0;
        }
        None
    }

    /// Whether it opens more than once on a day: a schedule in hours.
    pub fn is_hourly(&self) -> bool {
        self.hours.count_ones() > 1
    }

    /// The hours at which it opens, in their order.
    pub fn hours(&self) -> impl Iterator<Item = i8> {
        (0..24).filter(|hour| self.hours & (1 << hour) != 0)
    }

    /// The least hours between two openings.
    pub fn closest_hours(&self) -> i8 {
        let hours: Vec<i8> = self.hours().collect();
        let within = hours.iter().zip(hours.iter().skip(1));
        let within = within.map(|(one, next)| next - one).min();
        let (first, last) = (hours.first(), hours.last());
        let across = first
            .zip(last)
            .map_or(24, |(first, last)| 24 + first - last);
        match within {
            // Only where days follow one another do midnights lie between two openings.
            None => across,
            Some(within) if across >= within || !self.opens_on_successive_days() => within,
            Some(_) => across,
        }
    }

    fn opens_on_successive_days(&self) -> bool {
        let mut day = SOME_DAY;
        let mut before = false;
        for _ in 0..FARTHEST_DAYS {
            let opens = self.opens_on(day);
            if opens && before {
                return true;
            }
            before = opens;
            match day.tomorrow() {
                Ok(next) => day = next,
                Err(_) => return false,
            }
        }
        false
    }

    fn hour_from(&self, from: i8) -> Option<i8> {
        self.hours().find(|hour| *hour >= from)
    }

    fn opens_on(&self, day: Date) -> bool {
        self.months & (1 << day.month()) != 0 && self.days.contain(day)
    }
}

impl Days {
    fn contain(&self, day: Date) -> bool {
        let length = day.days_in_month();
        match self {
            Self::OfMonth {
                numbers,
                last,
                near,
            } => {
                numbers & (1 << day.day()) != 0
                    || (*last && day.day() == length)
                    || near
                        .iter()
                        .any(|wanted| nearest_weekday(day, *wanted) == Some(day))
            }
            Self::OfWeek { names, nth, last } => {
                let name = of_week(day.weekday());
                names & (1 << name) != 0
                    || nth.contains(&(name, (day.day() - 1) / 7 + 1))
                    || (last.contains(&name) && day.day() + 7 > length)
            }
        }
    }
}

/// The weekday nearest to that day of the month, without leaving the month.
fn nearest_weekday(within: Date, wanted: i8) -> Option<Date> {
    let at = |day: i8| Date::new(within.year(), within.month(), day).ok();
    let day = at(wanted)?;
    let moved = match day.weekday() {
        Weekday::Saturday if wanted == 1 => 3,
        Weekday::Saturday => wanted - 1,
        Weekday::Sunday if wanted == day.days_in_month() => wanted - 2,
        Weekday::Sunday => wanted + 1,
        _ => wanted,
    };
    at(moved)
}

/// 1 for Sunday up to 7 for Saturday.
fn of_week(day: Weekday) -> i8 {
    day.to_sunday_one_offset()
}

/// What numbers and names a field takes.
struct Field {
    what: &'static str,
    least: u8,
    most: u8,
    /// The names of the numbers from `least` on.
    names: &'static [&'static str],
}

const HOURS: Field = Field {
    what: "hours",
    least: 0,
    most: 23,
    names: &[],
};
const DAYS_OF_MONTH: Field = Field {
    what: "day of month",
    least: 1,
    most: 31,
    names: &[],
};
const MONTHS: Field = Field {
    what: "month",
    least: 1,
    most: 12,
    names: &[
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ],
};
const DAYS_OF_WEEK: Field = Field {
    what: "day of week",
    least: 1,
    most: 7,
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
};

impl Field {
    fn number(&self, text: &str) -> Result<u8, String> {
        let by_name = self.names.iter().zip(self.least..);
        let by_name = by_name
            .filter(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, number)| number);
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let by_digits = digits.then(|| text.parse().ok()).flatten();
        by_name
            .last()
            .or(by_digits)
            .filter(|number| (self.least..=self.most).contains(number))
            .ok_or_else(|| self.refuses(text))
    }

    fn refuses(&self, text: &str) -> String {
        format!(
            "'{text}' is not allowed in the field {}: expected {} to {}",
            self.what, self.least, self.most
        )
    }

    /// `*`, `n`, `n-m`, and either of the three followed by `/step`.
    fn part(&self, text: &str) -> Result<u64, String> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (text, None),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (self.number(from)?, self.number(to)?),
            None if range == "*" => (self.least, self.most),
            None => {
                let from = self.number(range)?;
                (from, if step.is_some() { self.most } else { from })
            }
        };
        let step = match step {
            None => 1,
            Some(step) => match step.parse::<u8>() {
                Ok(step) if step > 0 => step,
                _ => return Err(self.refuses(text)),
            },
        };
        let run = |from: u8, to: u8| {
            (from..=to)
                .step_by(step.into())
                .fold(0, |bits, bit| bits | 1_u64 << bit)
        };
        match from <= to {
            true => Ok(run(from, to)),
            // Friday to Monday, November to February: around the end.
            false if step == 1 => Ok(run(from, self.most) | run(self.least, to)),
            false => Err(self.refuses(text)),
        }
    }
}

/// Bit n for every number n of a list.
fn numbers(text: &str, field: &Field) -> Result<u64, String> {
    let mut bits = 0;
    for part in text.split(',') {
        bits |= field.part(part)?;
    }
    Ok(bits)
}

fn days(of_month: &str, of_week: &str) -> Result<Days, String> {
    match (of_month, of_week) {
        ("?", "?") | (_, "?") if of_month != "?" => days_of_month(of_month),
        ("?", _) if of_week != "?" => days_of_week(of_week),
        _ => Err("exactly one of day of month and day of week must be ?".into()),
    }
}

fn days_of_month(text: &str) -> Result<Days, String> {
    let field = &DAYS_OF_MONTH;
    let (mut numbers, mut last, mut near) = (0, false, Vec::new());
    for part in text.split(',') {
        if part == "L" {
            last = true;
        } else if let Some(day) = part.strip_suffix('W') {
            near.push(field.number(day)?.cast_signed());
        } else {
            numbers |= u32::try_from(field.part(part)?).unwrap_or_default();
        }
    }
    Ok(Days::OfMonth {
        numbers,
        last,
        near,
    })
}

fn days_of_week(text: &str) -> Result<Days, String> {
    let field = &DAYS_OF_WEEK;
    let (mut names, mut nth, mut last) = (0, Vec::new(), Vec::new());
    for part in text.split(',') {
        if part == "L" {
            // The last day of the week.
            names |= 1 << field.most;
        } else if let Some(day) = part.strip_suffix('L') {
            last.push(field.number(day)?.cast_signed());
        } else if let Some((day, which)) = part.split_once('#') {
            let which = which.parse().ok().filter(|which| (1..=5).contains(which));
            let which = which.ok_or_else(|| field.refuses(part))?;
            nth.push((field.number(day)?.cast_signed(), which));
        } else {
            names |= u8::try_from(field.part(part)?).unwrap_or_default();
        }
    }
    Ok(Days::OfWeek { names, nth, last })
}

/// User guide, "Rotation schedules": as often as every four hours.
pub(super) const SHORTEST_HOURS: i8 = 4;

/// Eight years: between two leap days around a year like 2100.
const FARTHEST_DAYS: usize = 8 * 366;

/// Any day: the pattern of days repeats itself within what is looked at from it.
const SOME_DAY: Date = Date::constant(2024, 1, 1);

#[cfg(test)]
#[path = "cron_tests.rs"]
mod tests;
