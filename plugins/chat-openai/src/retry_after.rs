//! When a server wants to be asked again: `retry-after-ms`, `retry-after` in seconds or as a date.

/// `pause` is the pause in milliseconds that the headers ask for; `now` is in milliseconds since 1970.
pub fn pause(milliseconds: Option<&str>, after: Option<&str>, now: u64) -> Option<u64> {
    if let Some(exact) = milliseconds.and_then(number) {
        return Some(exact);
    }
    let after = after?.trim();
    match after.parse::<f64>() {
        Ok(_) => number(after).map(|seconds| seconds.saturating_mul(1000)),
        Err(_) => Some(date(after)?.saturating_sub(now)),
    }
}

/// `number` is one that is not negative, rounded up.
fn number(text: &str) -> Option<u64> {
    let number: f64 = text.trim().parse().ok()?;
    // A cast of a float is bounded, and a number that is none is no pause.
    (number.is_finite() && number >= 0.0).then_some(number.ceil() as u64)
}

/// `date` is `Sun, 06 Nov 1994 08:49:37 GMT` in milliseconds since 1970.
fn date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let day: u64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut clock = words
        .next()?
        .split(':')
        .map(|part| part.parse::<u64>().ok().filter(|part| *part < 61));
    let (hours, minutes, seconds) = (clock.next()??, clock.next()??, clock.next()??);
    // Days since 1970, by years that begin in March.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_read_in_each_of_its_forms() {
        assert_eq!(pause(None, Some("7"), 0), Some(7_000));
        assert_eq!(pause(None, Some(" 1.5 "), 0), Some(2_000));
        assert_eq!(pause(Some("250"), Some("7"), 0), Some(250));
        assert_eq!(pause(Some("soon"), Some("7"), 0), Some(7_000));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(pause(None, Some(date), 784_111_770_000), Some(7_000));
        assert_eq!(pause(None, Some(date), 784_111_999_000), Some(0));
        assert_eq!(
            pause(None, Some("Thu, 29 Feb 2024 00:00:00 GMT"), 1_709_164_799_000),
            Some(1_000)
        );
        assert_eq!(pause(None, Some("Thu, 01 Jan 1970 00:00:01 GMT"), 0), Some(1_000));
    }

    #[test]
    fn what_is_no_pause_is_none() {
        for odd in [
            "",
            "-1",
            "soon",
            "NaN",
            "inf",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994",
            "x, 1 Jan 99999 0:0:0",
        ] {
            assert_eq!(pause(None, Some(odd), 0), None, "{odd}");
        }
        assert_eq!(pause(None, None, 0), None);
        assert_eq!(pause(None, Some("1e300"), 0), Some(u64::MAX));
    }
}
