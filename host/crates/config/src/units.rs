//! Values that are written as people write them: `"30m"`, `"64 MiB"`.

use std::time::Duration;

/// Reads `"90s"`, `"30m"`, `"14d"`, `"1h30m"`. `None`: it is not a duration.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u32 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match rest.get(..end)? {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            "d" => Duration::from_secs(24 * 3600),
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(number)?)?;
        rest = rest.get(end..)?;
    }
    Some(total)
}

/// Reads `"512"`, `"64 KiB"`, `"1 MiB"`, `"2GiB"` in bytes. `None`: it is not a size.
pub(super) fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let unit = match text.get(digits..)?.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nexus_model::units::exact_duration;

    #[test]
    fn durations_and_sizes_are_read_as_written() {
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        for wrong in [
            "",
            "30",
            "m",
            "30 m",
            "-3s",
            "5y",
            "99999999999d",
            "1.5h",
            "4294967295d4294967295d9",
        ] {
            let read = duration(wrong);
            assert!(read.is_none(), "{wrong}: {read:?}");
        }
        for text in ["14d", "90s", "5h", "250ms"] {
            assert_eq!(exact_duration(duration(text).unwrap()), text);
        }
        assert_eq!(size("64 MiB"), Some(64 << 20));
        assert_eq!(size("12"), Some(12));
        assert_eq!(size("64 MB"), None);
        assert_eq!(size("99999999999 GiB"), None);
    }
}
