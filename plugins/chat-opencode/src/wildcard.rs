//! The wildcards of opencode's permission rules, as `Wildcard.match` of opencode 1.18.33 reads them on Linux and macOS: `*`
//! is any text, `?` is one UTF-16 unit, a backslash is a slash, ` *` at the end of a pattern also matches nothing, and case
//! matters.
//!
//! Rejected: the crate `wildmatch`, which has neither the optional end nor the slashes; and a regular expression, which is
//! what opencode makes of it, because its crate is larger than this plugin.

const STAR: u16 = b'*' as u16;
const ANY: u16 = b'?' as u16;

/// Tells whether the whole `text` matches `pattern`. The time is at most the product of their lengths, whatever the pattern
/// is: it may come from a configuration that the agent wrote.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let units = |text: &str| -> Vec<u16> { text.replace('\\', "/").encode_utf16().collect() };
    let (pattern, text) = (units(pattern), units(text));
    let optional = pattern.strip_suffix(&[u16::from(b' '), STAR]);
    glob(&pattern, &text) || optional.is_some_and(|pattern| glob(pattern, &text))
}

/// Tells whether `text` matches `pattern`, where only `*` and `?` are special. After a mismatch the last `*` takes one more
/// unit; an earlier one never has to, since the last one can take whatever the earlier one would.
fn glob(pattern: &[u16], text: &[u16]) -> bool {
    let (mut p, mut t) = (0, 0);
    // The place after the last `*`, and the end of what it has taken.
    let mut star = None;
    while let Some(unit) = text.get(t) {
        match pattern.get(p) {
            Some(&STAR) => {
                p += 1;
                star = Some((p, t));
            }
            Some(wanted) if *wanted == ANY || wanted == unit => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after, taken)) = star else { return false };
                star = Some((after, taken + 1));
                (p, t) = (after, taken + 1);
            }
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|unit| *unit == STAR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `defined` is the definition of `*` and `?`.
    fn defined(pattern: &[u16], text: &[u16]) -> bool {
        match (pattern, text) {
            ([], text) => text.is_empty(),
            ([STAR, rest @ ..], text) => (0..=text.len()).any(|n| defined(rest, text.get(n..).unwrap_or_default())),
            ([wanted, pattern @ ..], [unit, text @ ..]) => (*wanted == ANY || wanted == unit) && defined(pattern, text),
            (_, []) => false,
        }
    }

    /// The results are those of `Wildcard.match` of opencode 1.18.33, run in Node.js.
    #[test]
    fn patterns_match_as_in_opencode() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "a\nb", true),
            ("", "", true),
            ("", "a", false),
            ("bash", "Bash", false),
            ("bas?", "bash", true),
            ("bas?", "bas", false),
            ("git *", "git", true),
            ("git *", "git status", true),
            ("git *", "gits", false),
            ("git*", "gits", true),
            (" *", "", true),
            ("git  *", "git", false),
            ("git * *", "git", false),
            ("git * *", "git x", true),
            ("a\\b", "a/b", true),
            ("a/b", "a\\b", true),
            ("*/b", "x/y/b", true),
            ("a.b", "axb", false),
            ("[a]", "a", false),
            ("?", "é", true),
            ("?", "💡", false),
            ("??", "💡", true),
            ("*.env", "a/.env", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        let started = std::time::Instant::now();
        let (pattern, text) = ("a*".repeat(2_000) + "b", "a".repeat(4_000));
        assert!(!matches(&pattern, &text));
        assert!(!matches(&("*?".repeat(2_000) + "b *"), &text));
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    }

    proptest! {
        #[test]
        fn the_loop_matches_what_is_defined(pattern in "[ab/ *?]{0,9}", text in "[ab/ ]{0,9}") {
            let units = |text: &str| -> Vec<u16> { text.encode_utf16().collect() };
            prop_assert_eq!(glob(&units(&pattern), &units(&text)), defined(&units(&pattern), &units(&text)));
        }

        #[test]
        fn a_text_is_matched_by_the_pattern_it_was_made_of(parts in proptest::collection::vec("[a-c💡]{0,4}", 1..6)) {
            prop_assert!(matches(&parts.join("*"), &parts.join("x y")));
        }
    }
}
