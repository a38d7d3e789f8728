#![allow(clippy::unwrap_used)]

use super::*;

/// Everything that a text of a plugin might try.
const HOSTILE: &str = "a\u{1b}]0;t\u{7}\u{9b}2J\u{202e}b\u{200b}\nc";

#[test]
fn whether_a_program_is_fit_is_said_cleanly_and_an_empty_fix_is_none() {
    let unfit = |cause: &str, fix: Option<&str>| types::Unfit {
        cause: cause.to_owned(),
        fix: fix.map(str::to_owned),
    };
    let mask = &Mask::default();
    let missing = availability(types::Availability::Missing(unfit(HOSTILE, Some(HOSTILE))), mask);
    let failed = types::Failure {
        kind: types::FailureKind::Permanent,
        message: HOSTILE.to_owned(),
        hint: Some(HOSTILE.to_owned()),
    };
    let said = format!("{missing:?}{:?}", failure(failed, mask));
    // `Debug` escapes what is left.
    assert!(!said.contains("\\u{") && said.contains("⟨U+202E⟩"), "{said}");
    let blank = availability(types::Availability::Unsuitable(unfit("old", Some(" "))), mask);
    assert_eq!(
        blank,
        Availability::Unsuitable(Unfit {
            cause: "old".to_owned(),
            fix: None
        })
    );
    let ready = types::Availability::Ready(types::Fit {
        version: "1.2.3".to_owned(),
        note: Some("asks first".to_owned()),
    });
    assert_eq!(
        availability(ready, mask),
        Availability::Ready(Fit {
            version: "1.2.3".to_owned(),
            note: Some("asks first".to_owned())
        })
    );
}
