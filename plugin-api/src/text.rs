//! Text from outside, made safe to show.
//!
//! Problem: a terminal obeys control characters, and a reader trusts what is seen. A manifest, a program's output, a
//! file's name or an agent's command can hold characters that move a cursor, reorder a line (bidirectional controls),
//! take no room at all, or look like another character (Trojan Source, CVE-2021-42574).
//!
//! Mechanism: what would not be seen as what it is becomes a mark that is seen, `⟨U+202E⟩`. Text passes one of these
//! functions once, where it enters the host; what is stored, logged, printed and shown is the result.
//!
//! | function | for | lines | emoji | joiners of scripts | look-alikes |
//! | --- | --- | --- | --- | --- | --- |
//! | [`literal`] | commands, paths, patterns, addresses: what is meant to the letter | kept, each `\r` marked | kept | marked | marked |
//! | [`line()`] | names, titles, reasons, one line of a program | one | kept | kept | kept |
//! | [`prose`] | what an agent or a person writes | kept | kept | kept | kept |
//!
//! What comes in pieces passes [`Pieces`], which knows what a character at a piece's edge stands beside.
//!
//! Limits: whether a word in another script is a look-alike cannot be known; [`literal`] marks a word when each of its
//! letters could be read as ASCII, by Unicode's own table (UTS 39).
//!
//! Rejected: dropping such characters, which hides that somebody tried; and refusing the whole text, by which one
//! character costs the rest.

use std::borrow::Cow;
use unicode_normalization::char::is_combining_mark;

/// `ACCENTS` is how many accents and the like one letter may have. More of them reach into the lines above and below.
const ACCENTS: usize = 4;
/// `MARKS` is the same for the marks of scripts that write with several on a letter.
const MARKS: usize = 8;
/// `HELD` is how many bytes at the end of a piece may wait for the next one.
const HELD: usize = 64;
/// `SIGNS` is how many signs may be between one and the letter whose writing it belongs to.
const SIGNS: usize = 4;
/// `FLAGS` are what follows a black flag in the flags that Unicode recommends: of England, Scotland and Wales.
const FLAGS: [&str; 3] = [
    "\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
    "\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}",
];
const FLAG: char = '\u{1f3f4}';

/// `literal` is for what is meant to the letter: every character that is not seen as what it is becomes a mark.
/// Newlines and tabs stay.
pub fn literal(text: &str) -> Cow<'_, str> {
    if plain_ascii(text) {
        return Cow::Borrowed(text);
    }
    // A vowel of another script on a letter of ASCII is a letter that looks like another one.
    let foreign = |c: char, before: Option<char>| {
        before.is_some_and(|before| before.is_ascii()) && is_combining_mark(c) && !accent(c)
    };
    let bad = |c, before, after| (hidden(c) || foreign(c, before)) && !of_a_picture(c, before, after);
    let shown = marked(text, &mut Edge::default(), TextKind::Literal, bad);
    Cow::Owned(without_imitations(&shown))
}

/// `line` is for one line: line breaks and tabs become blanks, and what is hidden a mark.
pub fn line(text: &str) -> Cow<'_, str> {
    let shown = prose(text);
    if shown.bytes().any(|b| b == b'\n' || b == b'\t') {
        return Cow::Owned(shown.replace(['\n', '\t'], " "));
    }
    shown
}

/// `prose` is for running text: what reorders or controls becomes a mark; what joins emoji and the letters of a script
/// stays.
pub fn prose(text: &str) -> Cow<'_, str> {
    if plain_ascii(text) {
        return Cow::Borrowed(text);
    }
    marked(text, &mut Edge::default(), TextKind::Prose, bad_in_prose)
}

/// `Edge` is what stands before a text.
#[derive(Debug, Clone, Default)]
struct Edge {
    last: Option<char>,
    /// `accents` is how many accents and marks end it.
    accents: usize,
}

/// `Pieces` is for running text that comes in pieces, cut anywhere: together they are what [`prose`] makes of the
/// whole.
#[derive(Debug, Clone, Default)]
pub struct Pieces {
    edge: Edge,
    /// `held` is the end of the last piece, as far as the next one decides what it is.
    held: String,
}

impl Pieces {
    /// Begins after `text`, which was shown already.
    pub fn after(text: &str) -> Self {
        Self {
            edge: Edge {
                last: text.chars().next_back(),
                accents: text
                    .chars()
                    .rev()
                    .take(MARKS)
                    .take_while(|c| is_combining_mark(*c))
                    .count(),
            },
            held: String::new(),
        }
    }

    /// Takes the next piece, and returns it less what has to wait at its end.
    pub fn next(&mut self, piece: impl Into<String>) -> String {
        let piece = piece.into();
        // As nearly all pieces are: nothing before it and nothing after it can change what it is.
        if self.held.is_empty()
            && plain_ascii(&piece)
            && let Some(last) = piece.chars().next_back()
        {
            self.edge = Edge {
                last: Some(last),
                accents: 0,
            };
            return piece;
        }
        let mut text = std::mem::take(&mut self.held);
        text.push_str(&piece);
        let mut end = text.trim_end_matches(waits).len();
        // The flag, and what of its tags is there.
        let flag = text.get(..end).and_then(|shown| shown.strip_suffix(FLAG));
        end = flag.map_or(end, str::len);
        if text.len() - end <= HELD {
            self.held = text.split_off(end);
        }
        self.show(&text)
    }

    /// Returns what still waits, at the end of the whole.
    pub fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.held);
        self.show(&rest)
    }

    fn show(&mut self, text: &str) -> String {
        marked(text, &mut self.edge, TextKind::Prose, bad_in_prose).into_owned()
    }
}

/// `mark` is what is in place of a character.
pub fn mark(c: char) -> String {
    format!("⟨U+{:04X}⟩", u32::from(c))
}

/// Tells whether it is plain, in blocks of one size, so that many bytes are looked at at once.
fn plain_ascii(text: &str) -> bool {
    let plain = |b: &u8| (*b >= b' ' && *b <= b'~') | (*b == b'\n') | (*b == b'\t');
    let (blocks, rest) = text.as_bytes().as_chunks::<16>();
    let block = |block: &[u8; 16]| block.iter().fold(true, |all, b| all & plain(b));
    blocks.iter().all(block) && rest.iter().all(plain)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TextKind {
    /// `Literal`: nothing of it vanishes; a shell takes `\r` before `
    /// ` for a part of the word.
    Literal,
    Prose,
}

fn marked<'a>(
    text: &'a str,
    edge: &mut Edge,
    kind: TextKind,
    bad: impl Fn(char, Option<char>, Option<char>) -> bool,
) -> Cow<'a, str> {
    let mut shown = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let after = chars.clone().next();
        edge.accents = if is_combining_mark(c) { edge.accents + 1 } else { 0 };
        let piled = edge.accents > MARKS || edge.accents > ACCENTS && accent(c);
        match c {
            // A line's end as Windows writes it.
            '\r' if kind == TextKind::Prose && after == Some('\n') => {}
            FLAG if kind == TextKind::Prose => {
                shown.push(c);
                if let Some(tags) = FLAGS.iter().find(|tags| chars.as_str().starts_with(**tags)) {
                    shown.push_str(tags);
                    chars = chars.as_str().get(tags.len()..).unwrap_or_default().chars();
                }
            }
            c if piled || bad(c, edge.last, after) => shown.push_str(&mark(c)),
            c => shown.push(c),
        }
        edge.last = Some(c);
    }
    if shown == text {
        return Cow::Borrowed(text);
    }
    Cow::Owned(shown)
}

/// Tells whether a character has no picture of its own: controls, formats, blanks that are not the blank, fillers,
/// variation selectors, tags, private use and what is no character at all.
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
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{16fe4}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{10ffff}')
        || matches!(u32::from(c) & 0xffff, 0xfffe | 0xffff)
        || matches!(c, '\u{fdd0}'..='\u{fdef}')
}

fn bad_in_prose(c: char, before: Option<char>, after: Option<char>) -> bool {
    hidden(c) && !belongs(c, before, after)
}

/// Tells whether a character without a picture does its ordinary work here: it joins emoji, chooses their picture,
/// steers the letters of a script, or is a blank that is wider or does not break.
fn belongs(c: char, before: Option<char>, after: Option<char>) -> bool {
    // And seen: what is hidden is no reason to hide more.
    let beyond_ascii = |c: Option<char>| c.is_some_and(|c| !c.is_ascii() && (!hidden(c) || c == '\u{fe0f}'));
    match c {
        '\u{a0}' | '\u{202f}' | '\u{2000}'..='\u{200a}' | '\u{205f}' | '\u{3000}' | '\u{2800}' => true,
        // Joiners, and the place where Thai and Khmer may break a line: between letters or pictures that are not ASCII.
        '\u{200b}'..='\u{200d}' => beyond_ascii(before) && beyond_ascii(after),
        // Where a word may be divided.
        '\u{ad}' => before.is_some_and(char::is_alphabetic) && after.is_some_and(char::is_alphabetic),
        '\u{fe0e}' | '\u{fe0f}' => beyond_ascii(before) || of_a_picture(c, before, after),
        // The marks of direction that Arabic and Hebrew are typed with: they reorder nothing but themselves.
        '\u{200e}' | '\u{200f}' | '\u{61c}' => beyond_ascii(before) || beyond_ascii(after),
        '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{180b}'..='\u{180f}' | '\u{115f}' | '\u{1160}' => true,
        _ => false,
    }
}

/// Tells whether it may wait for its neighbor: at the end of a piece it is not known what it does.
fn waits(c: char) -> bool {
    c == '\r'
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{fe0e}' | '\u{fe0f}' | '\u{e0020}'..='\u{e007f}')
}

/// Tells whether it joins two pictures, or chooses how one looks: nothing is hidden by it.
fn of_a_picture(c: char, before: Option<char>, after: Option<char>) -> bool {
    match c {
        '\u{200d}' => before.is_some_and(|b| picture(b) || b == '\u{fe0f}') && after.is_some_and(picture),
        // A keycap is an ASCII digit with a selector and a cap.
        '\u{fe0e}' | '\u{fe0f}' => {
            before.is_some_and(picture)
                || after == Some('\u{20e3}') && before.is_some_and(|b| b.is_ascii_digit() || b == '#' || b == '*')
        }
        _ => false,
    }
}

fn picture(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}'
        | '\u{24c2}' | '\u{25a0}'..='\u{27bf}' | '\u{2900}'..='\u{297f}' | '\u{2b00}'..='\u{2bff}' | '\u{3030}' | '\u{303d}'
        | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

/// Tells whether it stands above, below or through the letter before it, of no script in particular; and so do the
/// vowels and tones of Thai, which can be piled up as well.
fn accent(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Marks words, and single signs, that are not ASCII and would be read as ASCII.
fn without_imitations(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut word = String::new();
    // The letter before, and the signs since.
    let mut near = (false, 0);
    let mut chars = text.chars();
    let mut joined = false;
    while let Some(c) = chars.next() {
        let joins = |c: char| c == '\u{200d}' || c == '\u{fe0f}';
        // `™` and `ℹ` as emoji, which are no letters.
        let emoji = picture(c) && (joined || chars.clone().next().is_some_and(joins));
        joined = c == '\u{200d}';
        if !emoji && (c.is_alphanumeric() || c == '_' || accent(c)) {
            word.push(c);
            continue;
        }
        if let Some(last) = word.chars().next_back() {
            near = (cjk(last), 0);
        }
        push_word(&mut shown, &mut word);
        if c.is_ascii() || c == '⟨' || c == '⟩' {
            // The marks' own brackets are not ASCII's.
            shown.push(c);
            near = (false, 0);
            continue;
        }
        if cjk_sign(c) {
            near.1 += 1;
            let after = chars.clone().take(SIGNS).find(|c| !cjk_sign(*c));
            if near.0 && near.1 <= SIGNS || after.is_some_and(cjk) {
                shown.push(c);
                continue;
            }
        }
        near = (false, 0);
        // What is hidden was judged before.
        if hidden(c) || emoji {
            shown.push(c);
            continue;
        }
        word.push(c);
        push_word(&mut shown, &mut word);
    }
    push_word(&mut shown, &mut word);
    shown
}

fn push_word(shown: &mut String, word: &mut String) {
    // Most of what is not ASCII needs no look at the table.
    let plain = word.is_ascii()
        || word
            .chars()
            .any(|c| matches!(c, '\u{3041}'..='\u{3096}' | '\u{4e40}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'));
    let imitates = !plain && !word.chars().all(digit) && as_ascii(word);
    for c in word.drain(..) {
        if imitates && !c.is_ascii() {
            shown.push_str(&mark(c));
        } else {
            shown.push(c);
        }
    }
}

/// Tells whether each character of it is ASCII's, or could be taken for one.
fn as_ascii(word: &str) -> bool {
    // The table does not have all letters of full width.
    let narrow: String = word
        .chars()
        .map(|c| match c {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
            c => c,
        })
        .collect();
    unicode_security::skeleton(&narrow).all(|c| c.is_ascii())
}

/// Tells whether it is a digit of the scripts that have digits of their own, which the table takes for Latin letters.
fn digit(c: char) -> bool {
    c.is_numeric() && matches!(c, '\u{660}'..='\u{1a99}' | '\u{a8d0}'..='\u{abf9}')
}

/// Tells whether it is a letter of Chinese, Japanese or Korean that nobody takes for ASCII (as `ノ` for a slash).
fn cjk(c: char) -> bool {
    let letter = matches!(c,
        '\u{1100}'..='\u{11ff}' | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}'
        | '\u{30fc}'..='\u{30ff}' | '\u{3131}'..='\u{318e}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3134f}');
    letter && !as_ascii(c.encode_utf8(&mut [0; 4]))
}

/// Tells whether it is what those languages set between words: commas, stops, brackets and quotes of full width.
fn cjk_sign(c: char) -> bool {
    matches!(c,
        '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{301f}' | '\u{30fb}' | '\u{fe30}'..='\u{fe4f}' | '\u{ff01}'..='\u{ff0f}'
        | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}' | '\u{ff5b}'..='\u{ff65}' | '“' | '”' | '‘' | '’' | '…' | '—' | '·')
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
        assert_eq!(line("A\n\nlicense\tMIT\u{1b}[8m"), "A  license MIT⟨U+001B⟩[8m");
        assert_eq!(
            literal("cd x\r\ntwo\rthree\r"),
            "cd x⟨U+000D⟩\ntwo⟨U+000D⟩three⟨U+000D⟩"
        );
        assert_eq!(prose("one\r\ntwo\rthree"), "one\ntwo⟨U+000D⟩three");
        assert_eq!(
            literal("🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}")
                .matches('⟨')
                .count(),
            6
        );
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
            "👩\u{200d}💻 ❤\u{fe0f} 1\u{fe0f}\u{20e3} 👍🏽 🏳\u{fe0f}\u{200d}🌈 🇩🇪",
            "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}!",
            "क्\u{200d}ष श्रीमान्\u{200c}को",
            "ភាសា\u{200b}ខ្មែរ",
            "Donau\u{ad}dampf",
            "tiếng Việt, Tie\u{302}\u{301}ng, ที่นี่",
            "10\u{202f}000 km",
        ] {
            assert_eq!(prose(text), text);
            assert_eq!(line(text), text);
        }
        for text in [
            "cat 'привет мир.txt'",
            "touch 日本語.md",
            "echo café",
            "git commit -m '修复：登录（测试）。《说明》“引号”'",
            "echo 「こんにちは、世界！」",
            "echo ١٥ ७८",
            "git commit -m '✨\u{fe0f} 👩\u{200d}💻 ✅'",
        ] {
            assert_eq!(literal(text), text);
        }
    }

    #[test]
    fn nothing_is_smuggled_in_an_emoji_or_piled_upon_a_letter() {
        assert_eq!(literal("rm\u{fe0f} \u{200d}x"), "rm⟨U+FE0F⟩ ⟨U+200D⟩x");
        assert_eq!(prose("🏴\u{e0072}\u{e006d}"), "🏴⟨U+E0072⟩⟨U+E006D⟩");
        assert_eq!(prose("👍\u{fe0f}\u{e0100}\u{e0101}"), "👍\u{fe0f}⟨U+E0100⟩⟨U+E0101⟩");
        let piled = format!("a{}", "\u{301}".repeat(6));
        for shown in [literal(&piled), prose(&piled)] {
            assert_eq!(shown, format!("a{}⟨U+0301⟩⟨U+0301⟩", "\u{301}".repeat(4)));
        }
        // Of any script, upon its own letters; and upon a letter that has none of them, one is enough.
        for (letter, mark) in [
            ('\u{628}', '\u{64b}'),
            ('\u{5d0}', '\u{5b0}'),
            ('\u{e81}', '\u{ec8}'),
            ('\u{f40}', '\u{f39}'),
        ] {
            let most = format!("{letter}{}", mark.to_string().repeat(8));
            assert_eq!(literal(&most), most);
            let piled = format!("{most}{mark}");
            for shown in [literal(&piled), prose(&piled)] {
                assert_eq!(shown, format!("{most}{}", super::mark(mark)));
            }
            assert_eq!(literal(&format!("rm{mark}")), format!("rm{}", super::mark(mark)));
            assert_eq!(prose(&format!("rm{mark}")), format!("rm{mark}"));
        }
    }

    #[test]
    fn signs_of_full_width_are_seen_where_no_word_is_theirs() {
        assert_eq!(literal("ls ； rm -rf ／"), "ls ⟨U+FF1B⟩ rm -rf ⟨U+FF0F⟩");
        assert_eq!(literal("ls ノetc"), "ls ⟨U+30CE⟩etc");
        assert_eq!(literal("echo “x”"), "echo ⟨U+201C⟩x⟨U+201D⟩");
    }

    #[test]
    fn pieces_are_what_the_whole_is() {
        let flag = "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}";
        for whole in [
            "one\r\ntwo\rthree\r",
            "👩\u{200d}💻 a\u{200d}b \u{200f}مرحبا a\u{200f} می\u{200c}خواهم",
            "a\u{200b}b ស\u{200b}ខ Donau\u{ad}dampf 1\u{fe0f}\u{20e3} 1\u{fe0f}",
            flag,
            "\u{202e}x\u{e0041}",
        ] {
            let (mut pieces, mut shown) = (Pieces::default(), String::new());
            for c in whole.chars() {
                shown += &pieces.next(c.to_string());
            }
            shown += &pieces.finish();
            assert_eq!(shown, prose(whole));
        }
        let mut pieces = Pieces::after("👩");
        assert_eq!(pieces.next("\u{200d}"), "");
        assert_eq!(pieces.next("💻"), "\u{200d}💻");
        let hostile = "\u{200d}".repeat(1000);
        assert!(pieces.next(&hostile).len() > hostile.len(), "nothing waits for ever");
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
        fn nothing_of_a_literal_vanishes(text in any::<String>(), lines in "[a-z\r\n\t \u{202e}\u{200b}]{0,20}") {
            for text in [text, lines] {
                let mut shown: &str = &literal(&text);
                for c in text.chars() {
                    let rest = shown.strip_prefix(c).or_else(|| shown.strip_prefix(mark(c).as_str()));
                    prop_assert!(rest.is_some(), "{c:?} of {text:?}");
                    shown = rest.unwrap_or_default();
                }
                prop_assert_eq!(shown, "");
            }
        }

        #[test]
        fn what_was_made_safe_stays_as_it_is(text in any::<String>()) {
            let once = literal(&text).into_owned();
            prop_assert_eq!(literal(&once).into_owned(), once);
            let once = prose(&text).into_owned();
            prop_assert_eq!(prose(&once).into_owned(), once);
        }

        #[test]
        fn where_a_text_is_cut_does_not_matter(text in "[ab\r\n👩❤مक\u{200b}-\u{200f}\u{fe0f}\u{20e3}\u{202e}]{0,20}", at in 0usize..80) {
            let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let (one, two) = text.split_at(at);
            let mut pieces = Pieces::default();
            let shown = [pieces.next(one), pieces.next(two), pieces.finish()].concat();
            prop_assert_eq!(shown, prose(&text).into_owned());
        }
    }
}
