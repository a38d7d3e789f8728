//! JSON as JavaScript writes it, made readable for everybody else.
//!
//! Problem: a JavaScript string is a list of 16-bit units, and half of a surrogate pair is a legal one: whatever cuts a
//! text "after 100 characters" makes one of an emoji. `JSON.stringify` writes it as `"\ud83d"`, which is JSON by the
//! grammar and no Unicode text. `serde_json` refuses it, and with it all that is in the same document: an event, a frame, a
//! page of fifty messages.
//!
//! Mechanism: before a document from outside is parsed, each half that stands alone becomes `\ufffd`, and bytes that are
//! no UTF-8 become U+FFFD; everything else stays as it is. A document that is right already is not copied.
//!
//! Rejected: parsing first and repairing where that fails, which makes two paths of which one is seldom used.

use std::borrow::Cow;
use std::ops::Range;

/// `well_formed` is the document with U+FFFD in place of what is no Unicode text.
pub fn well_formed(document: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(document) {
        Cow::Borrowed(text) => well_formed_str(text),
        Cow::Owned(text) => match well_formed_str(&text) {
            Cow::Borrowed(_) => Cow::Owned(text),
            Cow::Owned(repaired) => Cow::Owned(repaired),
        },
    }
}

/// `well_formed_str` is the same for text.
pub fn well_formed_str(document: &str) -> Cow<'_, str> {
    let mut repaired = String::new();
    let mut taken = 0;
    let mut at = 0;
    while let Some(lone) = next_lone_surrogate(document.as_bytes(), &mut at) {
        repaired.push_str(document.get(taken..lone.start).unwrap_or_default());
        repaired.push_str("\\ufffd");
        taken = lone.end;
    }
    if taken == 0 {
        return Cow::Borrowed(document);
    }
    repaired.push_str(document.get(taken..).unwrap_or_default());
    Cow::Owned(repaired)
}

/// Finds the next escape of half a pair at or after `at`, which is set behind it.
fn next_lone_surrogate(document: &[u8], at: &mut usize) -> Option<Range<usize>> {
    loop {
        let rest = document.get(*at..)?;
        let start = *at + rest.iter().position(|byte| *byte == b'\\')?;
        let Some(unit) = utf16_unit(document, start) else {
            *at = start + 2; // an escape of another kind: `\\` must not be taken for the beginning of the next one
            continue;
        };
        *at = start + ESCAPE_BYTES;
        match unit {
            0xd800..=0xdbff if matches!(utf16_unit(document, *at), Some(0xdc00..=0xdfff)) => *at += ESCAPE_BYTES,
            0xd800..=0xdfff => return Some(start..*at),
            _ => {}
        }
    }
}

/// `ESCAPE_BYTES` is the number of bytes of `\ud83d`.
const ESCAPE_BYTES: usize = 6;

fn utf16_unit(document: &[u8], at: usize) -> Option<u16> {
    let digits = document.get(at..at + ESCAPE_BYTES)?.strip_prefix(b"\\u")?;
    // `from_str_radix` would take a sign.
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(document: &str) -> String {
        serde_json::from_str(&well_formed_str(document)).unwrap()
    }

    #[test]
    fn half_a_pair_alone_becomes_the_replacement_character() {
        assert_eq!(read(r#""cut emoji \ud83d""#), "cut emoji \u{fffd}");
        assert_eq!(read(r#""\ude00 end""#), "\u{fffd} end");
        assert_eq!(read(r#""\ude00\ud83d""#), "\u{fffd}\u{fffd}");
        assert_eq!(read(r#""\ud83d\ud83d\ude00""#), "\u{fffd}😀");
        assert_eq!(read(r#""\uD83D\n""#), "\u{fffd}\n");
        assert_eq!(read(r#""\ud83dx\ude00""#), "\u{fffd}x\u{fffd}");
    }

    #[test]
    fn what_is_right_is_not_touched() {
        for document in [
            r#""😀 \ud83d\ude00""#,
            // The letters of an escape, not one.
            r#""\\ud83d""#,
            r#""\\\\ud83d \"\\""#,
            r#"{"a":[1,null,"\u0000"]}"#,
            "",
            "\\",
            r"\ud8",
        ] {
            assert!(
                matches!(well_formed_str(document), Cow::Borrowed(same) if same == document),
                "{document}"
            );
        }
        assert_eq!(read(r#""\\\ud83d""#), "\\\u{fffd}");
    }

    #[test]
    fn bytes_that_are_no_text_spoil_nothing_else() {
        assert_eq!(
            well_formed(b"{\"a\":\"x\xff\xed\xa0\xbdy\"}").replace('\u{fffd}', ""),
            r#"{"a":"xy"}"#
        );
        assert!(matches!(well_formed("\"é😀\"".as_bytes()), Cow::Borrowed(_)));
        assert_eq!(well_formed(b"\"\xff\\ud83d\""), "\"\u{fffd}\\ufffd\"");
    }

    proptest! {
        /// Whatever units JavaScript has in a string: it is read, and as `toWellFormed` would have it.
        #[test]
        fn every_string_of_javascript_is_read(units in proptest::collection::vec(
            prop_oneof![0xd7f0u16..0xe010, 0x20u16..0x80, Just(0x5cu16), Just(0x22u16)], 0..40))
        {
            let document: String = units.iter().map(|unit| match unit {
                0x5c => "\\\\".to_owned(),
                0x22 => "\\\"".to_owned(),
                0x20..0x80 => char::from(*unit as u8).to_string(),
                _ => format!("\\u{unit:04x}"),
            }).collect();
            let expected = String::from_utf16_lossy(&units);
            prop_assert_eq!(read(&format!("\"{document}\"")), expected);
        }

        #[test]
        fn no_input_breaks_it(bytes in proptest::collection::vec(any::<u8>(), 0..60), text in "[\\\\ud83d0\"e ]{0,30}") {
            let _ = well_formed(&bytes);
            let once = well_formed_str(&text).into_owned();
            prop_assert_eq!(well_formed_str(&once), once.as_str());
        }
    }
}
