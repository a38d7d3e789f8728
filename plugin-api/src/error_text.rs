//! How an error text is built, in the host and in plugins alike: the cause, then [`TO_FIX`], then the fix.
//!
//! ```
//! use nexus_plugin_api::error_text::{cause_and_fix, sentence};
//!
//! let text = sentence("The port is in use", Some("choose another `port`"));
//! assert_eq!(text, "The port is in use. To fix: choose another `port`");
//! assert_eq!(cause_and_fix(&text), ("The port is in use.", Some("choose another `port`")));
//! ```

/// `TO_FIX` stands between the cause and the fix.
pub const TO_FIX: &str = "To fix: ";

/// `sentence` is a cause and the fix behind it, in the one form in which people read both.
pub fn sentence(why: &str, fix: Option<&str>) -> String {
    let why = why.trim_end();
    // Lines of a report are no sentence.
    let stop = if why.contains('\n') || why.ends_with(['.', '!', '?', '…', ':']) {
        ""
    } else {
        "."
    };
    match fix.map(str::trim).filter(|fix| !fix.is_empty()) {
        Some(fix) => format!("{why}{stop} {TO_FIX}{fix}"),
        None => format!("{why}{stop}"),
    }
}

/// `cause_and_fix` undoes [`sentence`]: the cause, and the fix where the text has one.
pub fn cause_and_fix(text: &str) -> (&str, Option<&str>) {
    match text.split_once(TO_FIX) {
        Some((why, fix)) => (why.trim_end(), Some(fix.trim_end())),
        None => (text.trim_end(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_ends_with_a_full_stop_and_the_fix_follows_it() {
        assert_eq!(sentence("bore has no TLS", None), "bore has no TLS.");
        assert_eq!(
            sentence("bore has no TLS.", Some("run this")),
            "bore has no TLS. To fix: run this"
        );
        assert_eq!(
            sentence("error: a\n 1 | b", Some("run this")),
            "error: a\n 1 | b To fix: run this"
        );
        let both = sentence("bore has no TLS", Some("run this"));
        assert_eq!(cause_and_fix(&both), ("bore has no TLS.", Some("run this")));
        assert_eq!(cause_and_fix("no more"), ("no more", None));
    }
}
