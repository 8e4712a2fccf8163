//! The dialect by its cases.

use jiff::civil::date;

use super::*;

/// The first three openings from the beginning of 2026 on, which is a Thursday.
fn openings(text: &str) -> Vec<String> {
    let cron = Cron::parse(text).unwrap_or_else(|cause| panic!("{text}: {cause}"));
    let mut from = (date(2026, 1, 1), 0);
    let mut found = Vec::new();
    for _ in 0..3 {
        let (day, hour) = cron.next(from.0, from.1).expect("an opening");
        found.push(format!("{day} {hour}"));
        from = (day, hour + 1);
    }
    found
}

#[test]
fn the_expressions_of_the_user_guide_open_when_it_says() {
    let cases: &[(&str, [&str; 3])] = &[
        (
            "0 */8 * * ? *",
            ["2026-01-01 0", "2026-01-01 8", "2026-01-01 16"],
        ),
        (
            "0 8/8 * * ? *",
            ["2026-01-01 8", "2026-01-01 16", "2026-01-02 8"],
        ),
        (
            "0 4/12 * * ? *",
            ["2026-01-01 4", "2026-01-01 16", "2026-01-02 4"],
        ),
        (
            "0 2/10 * * ? *",
            ["2026-01-01 2", "2026-01-01 12", "2026-01-01 22"],
        ),
        (
            "0 10 * * ? *",
            ["2026-01-01 10", "2026-01-02 10", "2026-01-03 10"],
        ),
        (
            "0 18 ? * SAT *",
            ["2026-01-03 18", "2026-01-10 18", "2026-01-17 18"],
        ),
        (
            "0 8 1 * ? *",
            ["2026-01-01 8", "2026-02-01 8", "2026-03-01 8"],
        ),
        (
            "0 1 ? 1/3 SUN#1 *",
            ["2026-01-04 1", "2026-04-05 1", "2026-07-05 1"],
        ),
        (
            "0 17 L * ? *",
            ["2026-01-31 17", "2026-02-28 17", "2026-03-31 17"],
        ),
        (
            "0 8 ? * MON-FRI *",
            ["2026-01-01 8", "2026-01-02 8", "2026-01-05 8"],
        ),
        (
            "0 16 1,15 * ? *",
            ["2026-01-01 16", "2026-01-15 16", "2026-02-01 16"],
        ),
        (
            "0 0 ? * SUN#1 *",
            ["2026-01-04 0", "2026-02-01 0", "2026-03-01 0"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(openings(text), expected, "{text}");
    }
}

#[test]
fn every_wildcard_means_what_it_means() {
    let cases: &[(&str, [&str; 3])] = &[
        // The 3rd is a Saturday, the 1st of February a Sunday, the 1st of August a Saturday.
        (
            "0 0 3W * ? *",
            ["2026-01-02 0", "2026-02-03 0", "2026-03-03 0"],
        ),
        (
            "0 0 1W 2,8 ? *",
            ["2026-02-02 0", "2026-08-03 0", "2027-02-01 0"],
        ),
        // The 31st of May is a Sunday: the nearest weekday of its month is the Friday before.
        (
            "0 0 31W 5 ? *",
            ["2026-05-29 0", "2027-05-31 0", "2028-05-31 0"],
        ),
        (
            "0 0 ? * L *",
            ["2026-01-03 0", "2026-01-10 0", "2026-01-17 0"],
        ),
        (
            "0 0 ? * 6L *",
            ["2026-01-30 0", "2026-02-27 0", "2026-03-27 0"],
        ),
        (
            "0 0 ? * fril *",
            ["2026-01-30 0", "2026-02-27 0", "2026-03-27 0"],
        ),
        (
            "0 0 ? * 2#5 *",
            ["2026-03-30 0", "2026-06-29 0", "2026-08-31 0"],
        ),
        (
            "0 5 ? NOV-FEB FRI-SUN *",
            ["2026-01-02 5", "2026-01-03 5", "2026-01-04 5"],
        ),
        (
            "0 5 10-20/5 DEC ? *",
            ["2026-12-10 5", "2026-12-15 5", "2026-12-20 5"],
        ),
        (
            "0 0 29 2 ? *",
            ["2028-02-29 0", "2032-02-29 0", "2036-02-29 0"],
        ),
        (
            "0 23,3 1 * ? *",
            ["2026-01-01 3", "2026-01-01 23", "2026-02-01 3"],
        ),
    ];
    for (text, expected) in cases {
        let text = text.replace("fril", "friL");
        assert_eq!(openings(&text), expected, "{text}");
    }
}

#[test]
fn what_breaks_the_rules_is_refused_with_the_reason() {
    let cases = [
        ("", "6 fields"),
        ("0 0 * * ?", "6 fields"),
        ("0 0 * * ? * *", "6 fields"),
        ("30 0 * * ? *", "minutes must be 0"),
        ("* 0 * * ? *", "minutes must be 0"),
        ("0 0 * * ? 2027", "year must be *"),
        ("0 24 * * ? *", "'24' is not allowed in the field hours"),
        ("0 L * * ? *", "'L' is not allowed in the field hours"),
        ("0 -1 * * ? *", "field hours"),
        ("0 +1 * * ? *", "field hours"),
        ("0 1,,2 * * ? *", "field hours"),
        ("0 */0 * * ? *", "'*/0' is not allowed"),
        ("0 0 0 * ? *", "field day of month"),
        ("0 0 32W * ? *", "field day of month"),
        ("0 0 1 13 ? *", "field month"),
        ("0 0 1 FOO ? *", "field month"),
        ("0 0 ? * 8 *", "field day of week"),
        ("0 0 ? * MON#6 *", "field day of week"),
        ("0 0 * * * *", "exactly one"),
        ("0 0 ? * ? *", "exactly one"),
        ("0 0 1 * MON *", "exactly one"),
        ("0 */3 * * ? *", "every 4 hours"),
        ("0 * * * ? *", "every 4 hours"),
        ("0 0,21 * * ? *", "every 4 hours"),
        ("0 1,23 ? * SAT,SUN *", "every 4 hours"),
    ];
    for (text, cause) in cases {
        let refusal = Cron::parse(text).expect_err(text);
        assert!(refusal.contains(cause), "{text}: {refusal}");
    }
}

#[test]
fn a_day_that_never_comes_has_no_opening() {
    let cron = Cron::parse("0 0 31 2 ? *").expect("well formed");
    assert_eq!(cron.next(date(2026, 1, 1), 0), None);
    let end = Cron::parse("0 0 1 1 ? *").expect("well formed");
    assert_eq!(end.next(Date::MAX, 5), None);
}
