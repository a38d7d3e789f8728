//! Text from outside, made safe to show.
//!
//! Problem: a terminal obeys control characters, and a reader trusts what is seen. A manifest, a program's output, a
//! file's name or an agent's command can hold characters that move a cursor, reorder a line (bidirectional controls),
//! take no room at all, or look like another character (Trojan Source, CVE-2021-42574).
//!
//! Mechanism: what would not be seen as what it is becomes a mark that is seen, `⟨U+202E⟩`. Text passes one of these
//! functions once, where it enters the host; what is stored, logged, printed and shown is the result.
//!
//! | function | for | lines | joiners of emoji and scripts | look-alikes |
//! | --- | --- | --- | --- | --- |
//! | [`literal`] | commands, paths, patterns, addresses: what is meant to the letter | kept | marked | marked |
//! | [`line`] | names, titles, reasons, one line of a program | one | kept | kept |
//! | [`prose`] | what an agent or a person writes | kept | kept | kept |
//!
//! Limits: whether a word in another script is a look-alike cannot be known; [`literal`] marks a word when each of its
//! letters could be read as ASCII, by Unicode's own table (UTS 39).
//!
//! Rejected: dropping such characters, which hides that somebody tried; and refusing the whole text, by which one
//! character costs the rest.

use std::borrow::Cow;

/// What is meant to the letter: every character that is not seen as what it is becomes a mark. Newlines and tabs stay.
pub fn literal(text: &str) -> Cow<'_, str> {
    if plain_ascii(text) {
        return Cow::Borrowed(text);
    }
    let shown = marked(text, |c, _, _| hidden(c));
    Cow::Owned(without_imitations(&shown))
}

/// One line: line breaks and tabs become blanks, and what is hidden a mark.
pub fn line(text: &str) -> Cow<'_, str> {
    let shown = prose(text);
    if shown.bytes().any(|b| b == b'\n' || b == b'\t') {
        return Cow::Owned(shown.replace(['\n', '\t'], " "));
    }
    shown
}

/// Running text: what reorders or controls becomes a mark; what joins emoji and the letters of a script stays.
pub fn prose(text: &str) -> Cow<'_, str> {
    if plain_ascii(text) {
        return Cow::Borrowed(text);
    }
    marked(text, |c, before, after| hidden(c) && !belongs(c, before, after))
}

/// The mark in place of a character.
pub fn mark(c: char) -> String {
    format!("⟨U+{:04X}⟩", u32::from(c))
}

fn plain_ascii(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'\n' | b'\t' | b' '..=b'~'))
}

fn marked(text: &str, bad: impl Fn(char, Option<char>, Option<char>) -> bool) -> Cow<'_, str> {
    let mut shown = String::with_capacity(text.len());
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let after = chars.peek().copied();
        match c {
            // A line's end as Windows writes it.
            '\r' if after == Some('\n') => {}
            c if bad(c, before, after) => shown.push_str(&mark(c)),
            c => shown.push(c),
        }
        before = Some(c);
    }
    if shown == text {
        return Cow::Borrowed(text);
    }
    Cow::Owned(shown)
}

/// Characters that have no picture of their own: controls, formats, blanks that are not the blank, fillers, variation
/// selectors, tags, private use and what is no character at all.
fn hidden(c: char) -> bool {
    if c == '\n' || c == '\t' {
        return false;
    }
    c.is_control()
        || matches!(c,
            '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{1680}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{2800}' | '\u{3000}' | '\u{3164}'
            | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{10ffff}')
        || matches!(u32::from(c) & 0xffff, 0xfffe | 0xffff)
        || matches!(c, '\u{fdd0}'..='\u{fdef}')
}

/// Whether a character without a picture does its ordinary work here: it joins emoji, chooses their picture, steers the
/// letters of a script, or is a blank that is wider or does not break.
fn belongs(c: char, before: Option<char>, after: Option<char>) -> bool {
    // The pieces of a stream end anywhere: at an edge the neighbour may still come.
    let beyond_ascii = |c: Option<char>| c.is_none_or(|c| !c.is_ascii());
    match c {
        '\u{a0}' | '\u{202f}' | '\u{2000}'..='\u{200a}' | '\u{205f}' | '\u{3000}' => true,
        // Joiners, between letters or pictures that are not ASCII.
        '\u{200c}' | '\u{200d}' => beyond_ascii(before) && beyond_ascii(after),
        // Keycaps are an ASCII digit with a selector.
        '\u{fe0e}' | '\u{fe0f}' => before.is_none_or(|b| !b.is_ascii() || b.is_ascii_digit() || b == '#' || b == '*'),
        // The marks of direction that Arabic and Hebrew are typed with: they reorder nothing but themselves.
        '\u{200e}' | '\u{200f}' | '\u{61c}' => beyond_ascii(before) || beyond_ascii(after),
        '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{180b}'..='\u{180f}' | '\u{115f}' | '\u{1160}' => true,
        _ => false,
    }
}

/// Words, and single signs, that are not ASCII and would be read as ASCII are marked.
fn without_imitations(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        push_word(&mut shown, &mut word);
        word.push(c);
        // The marks' own brackets are not ASCII's.
        if c == '⟨' || c == '⟩' {
            shown.push(c);
            word.clear();
        } else {
            push_word(&mut shown, &mut word);
        }
    }
    push_word(&mut shown, &mut word);
    shown
}

fn push_word(shown: &mut String, word: &mut String) {
    let imitates = !word.is_ascii() && unicode_security::skeleton(word).all(|c| c.is_ascii());
    for c in word.drain(..) {
        if imitates && !c.is_ascii() {
            shown.push_str(&mark(c));
        } else {
            shown.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_reorders_or_hides_is_seen() {
        assert_eq!(literal("ls \u{202e}#; fr- mr"), "ls ⟨U+202E⟩#; fr- mr");
        assert_eq!(literal("a\u{200b}b\u{a0}c"), "a⟨U+200B⟩b⟨U+00A0⟩c");
        assert_eq!(prose("a\u{1b}[2J\u{7}\u{9b}"), "a⟨U+001B⟩[2J⟨U+0007⟩⟨U+009B⟩");
        assert_eq!(prose("x\u{2066}y\u{2069}"), "x⟨U+2066⟩y⟨U+2069⟩");
        assert_eq!(prose("x\u{e0041}"), "x⟨U+E0041⟩");
        assert_eq!(line("A\n\nlicence\tMIT\u{1b}[8m"), "A  licence MIT⟨U+001B⟩[8m");
        assert_eq!(literal("one\r\ntwo\rthree"), "one\ntwo⟨U+000D⟩three");
    }

    #[test]
    fn what_imitates_is_seen_where_it_is_meant_to_the_letter() {
        assert_eq!(literal("\u{440}ass"), "⟨U+0440⟩ass");
        assert_eq!(literal("\u{ff52}\u{ff4d} -rf"), "⟨U+FF52⟩⟨U+FF4D⟩ -rf");
        assert_eq!(literal("echo \u{2010}n"), "echo ⟨U+2010⟩n");
    }

    #[test]
    fn ordinary_text_of_any_language_stays_as_it_is() {
        for text in [
            "café, naïve — “quoted” it’s",
            "привет мир",
            "日本語のファイル　です",
            "مرحبا\u{200f} بالعالم",
            "می\u{200c}خواهم",
            "👩\u{200d}💻 ❤\u{fe0f} 1\u{fe0f}\u{20e3}",
            "10\u{202f}000 km",
        ] {
            assert_eq!(prose(text), text);
            assert_eq!(line(text), text);
        }
        for text in ["cat 'привет мир.txt'", "touch 日本語.md", "echo café"] {
            assert_eq!(literal(text), text);
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_terminal_obeys_is_left(text in any::<String>()) {
            for shown in [literal(&text), prose(&text), line(&text)] {
                prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
                let reorders = shown.contains(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
                prop_assert!(!reorders);
            }
            prop_assert!(!line(&text).contains(['\n', '\t']));
        }

        #[test]
        fn what_was_made_safe_stays_as_it_is(text in any::<String>()) {
            let once = literal(&text).into_owned();
            prop_assert_eq!(literal(&once).into_owned(), once);
        }
    }
}
