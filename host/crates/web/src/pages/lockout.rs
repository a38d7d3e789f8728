//! How long something lasts, in words.

use nexus_model::plural;
use nexus_model::time::Millis;

/// `45 seconds`, `12 minutes`.
fn in_words(milliseconds: Millis) -> String {
    match milliseconds.div_ceil(1000) {
        seconds @ 0..=90 => plural::of(seconds, "second", "seconds"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}

/// `in 12 minutes`, for restarts.
pub(in crate::pages) fn until(at: Millis, now: Millis) -> String {
    match at.saturating_sub(now) {
        0 => "now".to_owned(),
        left => format!("in {}", in_words(left)),
    }
}

pub(in crate::pages) fn locked(at: Millis, now: Millis) -> String {
    format!(
        "Too many wrong passwords. You cannot log in to this account from this browser for {}. To unlock the account now, \
         run `nexus user unlock ACCOUNT` on the machine that runs Nexus.",
        in_words(at.saturating_sub(now))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_says_how_long_it_still_lasts() {
        assert!(locked(1_800_000, 0).contains("from this browser for 30 minutes."));
        assert!(locked(1_800_000, 1_755_000).contains("from this browser for 45 seconds."));
        assert_eq!(
            [until(1, 1), until(1_001, 1), until(200_000, 0)],
            ["now", "in 1 second", "in 4 minutes"]
        );
    }
}
