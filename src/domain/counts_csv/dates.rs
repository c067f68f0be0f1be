//! The Date column: Unix seconds, floored to the UTC day; what other notations look like; and
//! whether the seconds are some other zone's midnights.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::super::agent_day::Day;
use super::number_hints::Explained;
use super::numbers;

const DAY_SECONDS: i64 = 86_400;
/// The year 5138: a number beyond counts something smaller than seconds.
const MOST_SECONDS: i64 = 100_000_000_000;
/// 2000-01-01: no experiment of this kind is older.
pub(super) const EARLIEST_PLAUSIBLE: Day = Day(10_957);

/// A moment, as its UTC day and the seconds since that day began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Moment {
    pub(super) day: Day,
    pub(super) second_of_day: u32,
}

/// Whole seconds since 1970, in a range and with a meaning that make it a date.
pub(super) fn parse(text: &[u8]) -> Option<Moment> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let seconds = if let Some(seconds) = numbers::short_digits(digits) {
        seconds
    } else {
        // `1710720000.0`, as a column of doubles is printed.
        let (whole, zeros) = digits.split_at(digits.iter().position(|byte| *byte == b'.')?);
        if zeros[1..].iter().any(|zero| *zero != b'0') {
            return None;
        }
        numbers::short_digits(whole)?
    };
    let seconds = i64::try_from(seconds).ok()?;
    let seconds = if negative { -seconds } else { seconds };
    if seconds.abs() >= MOST_SECONDS || other_count(seconds).is_some() {
        return None;
    }
    let second_of_day = u32::try_from(seconds.rem_euclid(DAY_SECONDS)).ok()?;
    Some(Moment {
        day: Day::from_unix_seconds(seconds)?,
        second_of_day,
    })
}

/// A date of the usual kind: after 1973 and of no other meaning.
#[inline]
pub(super) fn of_seconds(seconds: u64) -> Option<Moment> {
    const DAY: u64 = DAY_SECONDS.unsigned_abs();
    // Beyond every day that is written as YYYYMMDD.
    if !(100_000_000..MOST_SECONDS.unsigned_abs()).contains(&seconds) {
        return None;
    }
    Some(Moment {
        day: Day(i32::try_from(seconds / DAY).ok()?),
        second_of_day: u32::try_from(seconds % DAY).ok()?,
    })
}

/// Small numbers that as seconds would lie in 1970 and that are dates in another notation.
fn other_count(number: i64) -> Option<(&'static str, Date)> {
    if let Some(date) = year_month_day(number) {
        return Some(("a date written as digits, YYYYMMDD", date));
    }
    let day = i32::try_from(number).ok()?;
    match number {
        // 1982 to 2118.
        30_000..80_000 => Some(("a spreadsheet's day number", Day(day - 25_569).date()?)),
        // 2000 to 2052.
        10_957..30_000 => Some(("a number of days since 1970", Day(day).date()?)),
        _ => None,
    }
}

fn year_month_day(number: i64) -> Option<Date> {
    let year = i16::try_from(number / 10_000)
        .ok()
        .filter(|year| (1990..2200).contains(year))?;
    let month = i8::try_from(number / 100 % 100).ok()?;
    Date::new(year, month, i8::try_from(number % 100).ok()?).ok()
}

/// What is wrong with a Date, shown as `shown`.
pub(super) fn explain(shown: &str) -> Explained {
    if shown.is_empty() {
        return Explained {
            code: "EmptyDate",
            message: "the field is empty".into(),
            hint: "write the day as Unix seconds, such as 1710720000 for 2024-03-18".into(),
        };
    }
    Explained {
        code: "InvalidDate",
        message: format!("{shown:?} is not a date in Unix seconds"),
        hint: looks_like(shown),
    }
}

fn looks_like(shown: &str) -> String {
    let text = shown.trim();
    numeric(text, shown)
        .or_else(|| iso(text))
        .or_else(|| slashed(text))
        .unwrap_or_else(|| {
            "write the day as Unix seconds, such as 1710720000 for 2024-03-18".into()
        })
}

fn write_seconds(day: Day) -> String {
    format!("write {} for {day}", day.unix_seconds())
}

fn numeric(text: &str, shown: &str) -> Option<String> {
    let whole = text.split('.').next().unwrap_or(text);
    if let Ok(number) = whole.parse::<i64>()
        && text.matches('.').count() < 2
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'))
    {
        if let Some((what, date)) = other_count(number) {
            return Some(format!("{what}: {}", write_seconds(Day::from_date(date)?)));
        }
        for (per_second, what) in [
            (1_000, "milliseconds"),
            (1_000_000, "microseconds"),
            (1_000_000_000, "nanoseconds"),
        ] {
            let seconds = number / per_second;
            if number.abs() >= MOST_SECONDS && seconds.abs() < MOST_SECONDS {
                return Some(format!("these are {what}: write seconds, {seconds}"));
            }
        }
        if text != shown {
            return Some(format!("write it without the space around it: {text}"));
        }
        if whole != text {
            return Some(format!("write whole seconds: {whole}"));
        }
    }
    if text.contains(['e', 'E'])
        && let Ok(number) = numbers::whole(text.as_bytes(), u128::from(u64::MAX))
    {
        return Some(format!(
            "scientific notation, which has often lost digits: write all of them, as {}",
            number.number
        ));
    }
    None
}

/// `2024-03-18`, with a time and a zone or without.
fn iso(text: &str) -> Option<String> {
    let bare = text.trim_end_matches(" UTC");
    let day = if let Ok(timestamp) = bare.parse::<Timestamp>() {
        Day::from_unix_seconds(timestamp.as_second())?
    } else if let Ok(zoned) = bare.parse::<Zoned>() {
        Day::from_unix_seconds(zoned.timestamp().as_second())?
    } else if let Ok(civil) = bare.parse::<DateTime>() {
        Day::from_unix_seconds(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())?
    } else {
        return None;
    };
    let what = if text.len() > 10 {
        "a date and time as text"
    } else {
        "a date as text"
    };
    // The moment's UTC day need not be the day that the text names.
    let named = text
        .get(..10)
        .and_then(|date| date.parse::<Date>().ok())
        .and_then(Day::from_date);
    Some(match named {
        Some(named) if named != day => {
            format!(
                "{what}: {}; in UTC the moment lies in {day}",
                write_seconds(named)
            )
        }
        _ => format!("{what}: {}", write_seconds(day)),
    })
}

/// `3/18/2024`, `18.03.2024`, `2024/03/18`: month or day first, where the numbers tell.
fn slashed(text: &str) -> Option<String> {
    let date = text.split([' ', 'T']).next()?;
    let parts: Vec<i16> = date
        .split(['/', '.', '-'])
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let &[first, second, third] = parts.as_slice() else {
        return None;
    };
    let day = |year: i16, month: i16, day: i16| {
        let year = if (0..100).contains(&year) {
            2000 + year
        } else {
            year
        };
        let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
        Day::from_date(date)
    };
    if first > 31 {
        return Some(format!(
            "a date as text: {}",
            write_seconds(day(first, second, third)?)
        ));
    }
    match (day(third, first, second), day(third, second, first)) {
        (Some(month_first), Some(day_first)) if month_first != day_first => Some(format!(
            "a date as text: {}, or {} where the day stands first",
            write_seconds(month_first),
            write_seconds(day_first).trim_start_matches("write ")
        )),
        (Some(only), _) | (None, Some(only)) => {
            Some(format!("a date as text: {}", write_seconds(only)))
        }
        (None, None) => None,
    }
}

/// Notices where all Dates are midnights of a zone east of Greenwich, which lie in the UTC day
/// before.
#[derive(Debug, Default)]
pub(super) struct Midnights {
    /// Seconds of the day that occur; more than two are of no interest.
    times: Vec<u32>,
    line: u64,
}

impl Midnights {
    #[inline]
    pub(super) fn see(&mut self, second_of_day: u32, line: u64) {
        if self.times.contains(&second_of_day) || self.times.len() > 2 {
            return;
        }
        if self.times.is_empty() {
            self.line = line;
        }
        self.times.push(second_of_day);
    }

    /// Adds what was seen further on in the file.
    pub(super) fn append(&mut self, later: &Self) {
        for time in &later.times {
            self.see(*time, later.line);
        }
    }

    /// The zone's offsets in seconds, the smaller one first, and the line of the first Date.
    pub(super) fn offsets(&self) -> Option<(Vec<u32>, u64)> {
        // Every offset in use is a whole number of quarter hours, and 13 hours at most.
        let plausible = |time: &u32| (11 * 3600..86_400).contains(time) && time.is_multiple_of(900);
        let an_hour_apart = match self.times[..] {
            [_] => true,
            [one, other] => one.abs_diff(other) == 3600,
            _ => false,
        };
        if !an_hour_apart || !self.times.iter().all(plausible) {
            return None;
        }
        let mut offsets: Vec<u32> = self.times.iter().map(|time| 86_400 - time).collect();
        offsets.sort_unstable();
        Some((offsets, self.line))
    }
}

/// `UTC+05:30`.
pub(super) fn offset_name(seconds: u32) -> String {
    format!("UTC+{:02}:{:02}", seconds / 3600, seconds / 60 % 60)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn seconds_are_floored_to_the_utc_day() {
        for (text, day, second_of_day) in [
            ("0", 0, 0),
            ("1710720000", 19_800, 0),
            ("1710720000.0", 19_800, 0),
            ("1710806399", 19_800, 86_399),
            ("-1", -1, 86_399),
            ("4102444800", 47_482, 0),
        ] {
            let expected = Some(Moment {
                day: Day(day),
                second_of_day,
            });
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn other_notations_are_told_what_to_write() {
        let mut said = String::new();
        for text in [
            "1710720000000",
            "1710720000000000",
            "1710720000000000000",
            "1710720000.5",
            "1.71072e9",
            "2024-03-18",
            "2024-03-18T23:30:00-05:00",
            "2024-03-18 00:00:00",
            "2024-03-18 00:00:00 UTC",
            "2024-03-18T00:00:00Z",
            "20240318",
            "45369",
            "45369.5",
            "19800",
            "3/18/2024",
            "18.03.2024",
            "03/04/2024",
            "2024/03/18",
            " 1710720000",
            "March 18",
            "2024-02-30",
            "99999999999999999999",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
            writeln!(said, "{text}: {}", explain(text).hint).unwrap();
        }
        insta::assert_snapshot!(said, @r##"
    1710720000000: these are milliseconds: write seconds, 1710720000
    1710720000000000: these are microseconds: write seconds, 1710720000
    1710720000000000000: these are nanoseconds: write seconds, 1710720000
    1710720000.5: write whole seconds: 1710720000
    1.71072e9: scientific notation, which has often lost digits: write all of them, as 1710720000
    2024-03-18: a date as text: write 1710720000 for 2024-03-18
    2024-03-18T23:30:00-05:00: a date and time as text: write 1710720000 for 2024-03-18; in UTC the moment lies in 2024-03-19
    2024-03-18 00:00:00: a date and time as text: write 1710720000 for 2024-03-18
    2024-03-18 00:00:00 UTC: a date and time as text: write 1710720000 for 2024-03-18
    2024-03-18T00:00:00Z: a date and time as text: write 1710720000 for 2024-03-18
    20240318: a date written as digits, YYYYMMDD: write 1710720000 for 2024-03-18
    45369: a spreadsheet's day number: write 1710720000 for 2024-03-18
    45369.5: a spreadsheet's day number: write 1710720000 for 2024-03-18
    19800: a number of days since 1970: write 1710720000 for 2024-03-18
    3/18/2024: a date as text: write 1710720000 for 2024-03-18
    18.03.2024: a date as text: write 1710720000 for 2024-03-18
    03/04/2024: a date as text: write 1709510400 for 2024-03-04, or 1712102400 for 2024-04-03 where the day stands first
    2024/03/18: a date as text: write 1710720000 for 2024-03-18
     1710720000: write it without the space around it: 1710720000
    March 18: write the day as Unix seconds, such as 1710720000 for 2024-03-18
    2024-02-30: write the day as Unix seconds, such as 1710720000 for 2024-03-18
    99999999999999999999: write the day as Unix seconds, such as 1710720000 for 2024-03-18
    "##);
    }

    #[test]
    fn midnights_east_of_greenwich_are_noticed() {
        let hours = |times: &[u32]| {
            let mut midnights = Midnights::default();
            for time in times {
                midnights.see(*time, 2);
            }
            midnights.offsets().map(|(offsets, _)| {
                offsets
                    .into_iter()
                    .map(offset_name)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
        };
        for (times, expected) in [
            (&[][..], None),
            (&[0], None),
            (&[18_000], None),
            (&[82_800], Some("UTC+01:00")),
            (&[79_200, 82_800], Some("UTC+01:00 UTC+02:00")),
            (&[66_600], Some("UTC+05:30")),
            (&[39_600], Some("UTC+13:00")),
            (&[82_800, 0], None),
            (&[79_200, 82_800, 75_600], None),
            (&[79_201], None),
        ] {
            assert_eq!(hours(times).as_deref(), expected, "{times:?}");
        }
    }
}
