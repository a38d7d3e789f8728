//! Sizes and times in words: exact, as the configuration takes them, for what was set; rounded, as people say them, for what
//! was measured.

use std::time::Duration;

/// `exact_size` is a number of bytes in the largest unit that divides it, as the configuration takes it.
pub fn exact_size(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{} {name}", bytes / unit);
        }
    }
    format!("{bytes} B")
}

/// `exact_duration` is a time in the largest unit that divides it, as the configuration takes it.
pub fn exact_duration(d: Duration) -> String {
    let ms = d.as_millis();
    for (unit, name) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")] {
        if ms >= unit && ms.is_multiple_of(unit) {
            return format!("{}{name}", ms / unit);
        }
    }
    format!("{ms}ms")
}

/// `about_size` is a number of bytes, rounded down: `64 MiB`, `3.5 GiB`.
pub fn about_size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes >> 20),
        _ => format!("{}.{} GiB", bytes >> 30, ((bytes & 0x3fff_ffff) * 10) >> 30),
    }
}

/// `about_time` is a span of milliseconds, rounded down: `1 d 3 h`, `4 min 5 s`, `120 ms`.
pub fn about_time(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_is_rounded_for_people() {
        let times = [0, 999, 59_999, 61_000, 3_660_000, 90_000_000].map(about_time);
        assert_eq!(times, ["0 ms", "999 ms", "59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
        let sizes = [1023, 1 << 10, 64 << 20, (3 << 30) + (1 << 29)].map(about_size);
        assert_eq!(sizes, ["1023 bytes", "1 KiB", "64 MiB", "3.5 GiB"]);
    }

    #[test]
    fn what_was_set_is_shown_as_it_is_written() {
        let sizes = [1023, 1 << 10, 1536 << 10, 64 << 20, 2 << 30].map(exact_size);
        assert_eq!(sizes, ["1023 B", "1 KiB", "1536 KiB", "64 MiB", "2 GiB"]);
        let times = [250, 90_000, 5_400_000, 86_400_000].map(|ms| exact_duration(Duration::from_millis(ms)));
        assert_eq!(times, ["250ms", "90s", "90m", "1d"]);
    }
}
