//! No text makes the reader panic, and what it refuses it refuses with a place.

use super::example::example;
use super::*;
use proptest::prelude::*;

/// Pieces of real files, in any order and cut anywhere: nearer to what people write than random bytes.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>().prop_map(|s| s.chars().take(12).collect()),
        proptest::sample::select(
            example()
                .lines()
                .map(|l| format!("{}\n", l.trim_start_matches('#')))
                .collect::<Vec<_>>()
        ),
        proptest::sample::select(BROKEN.iter().map(|(text, _)| format!("{text}\n")).collect::<Vec<_>>()),
        proptest::sample::select(vec![
            "[",
            "]",
            "{",
            "}",
            "=",
            "\"",
            "'''",
            "99999999999999999999",
            "0x",
            "\t",
            "\r\n",
            "ä"
        ])
        .prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn is_accepted_or_refused_with_places(text in pieces()) {
        let result = resolve(&text, None, &Overrides::default(), &machine(&no_env));
        if let Err(report) = result {
            prop_assert!(!report.diagnostics.is_empty());
            for d in &report.diagnostics {
                if let Place::At(span) = &d.place {
                    prop_assert!(span.start <= text.len(), "{:?} in {:?}", span, text);
                }
                prop_assert!(!d.problem.is_empty());
            }
            prop_assert!(report.to_string().contains("problem"));
        }
    }
}
