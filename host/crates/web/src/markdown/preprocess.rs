//! Markdown as models and people write it, which is not always as CommonMark reads it.
//!
//! Problem: `**「重点」**内容` shows its asterisks, a bare address is no link, `\(a\)` loses its backslashes, an XML block
//! becomes one line, `[x](docs/a.md)` leads nowhere. Mechanism: before the parser, what it must not touch (mathematics,
//! addresses) is put aside behind a placeholder of private-use characters, and a private-use letter is put between CJK
//! punctuation and the asterisks beside it, which is what CommonMark's rule of flanking misses; after it, the events are
//! shaped: what was put aside comes back, addresses become links, lines stay lines. Limits: mathematics is shown as its
//! source; a link to a file is shown as its text and its path.
//!
//! Rejected: a second Markdown parser in the page, which would be 40 KB and one more that decides what is safe.

use super::cjk::is_cjk;
use super::links;
use nexus_model::limits::MARKDOWN_FORMULA;
use pulldown_cmark::{CowStr, Event, HeadingLevel, LinkType, Tag, TagEnd};
use std::borrow::Cow;

/// Stands beside asterisks; no letter of any script, and none that a text from outside can hold (`text::prose`).
const LETTER: char = '\u{e000}';
/// Around the number of what was put aside.
const OPEN: char = '\u{e001}';
const CLOSE: char = '\u{e002}';

/// What was put aside, by its number.
#[derive(Debug)]
pub(super) enum Aside {
    Math(String),
    Address(String),
}

/// A text that is ready for the parser, and what was taken out of it.
pub(super) fn prepare(text: &str) -> (Cow<'_, str>, Vec<Aside>) {
    let mut aside = Vec::new();
    let ours = |c: char| matches!(c, LETTER | OPEN | CLOSE);
    let text: Cow<'_, str> = if text.contains(ours) {
        Cow::Owned(text.replace(ours, ""))
    } else {
        Cow::Borrowed(text)
    };
    let text = if text.contains(['\\', '$', ':']) {
        Cow::Owned(put_aside(&text, &mut aside))
    } else {
        text
    };
    let text = if text.contains(['*', '~']) && text.chars().any(is_cjk) {
        Cow::Owned(beside_cjk(&text))
    } else {
        text
    };
    (text, aside)
}

/// The end of a piece that begins at a place: found once for all places before it.
struct Ends<'a> {
    text: &'a str,
    mark: &'static str,
    next: usize,
}

impl<'a> Ends<'a> {
    fn new(text: &'a str, mark: &'static str) -> Self {
        Self { text, mark, next: 0 }
    }
    fn after(&mut self, at: usize) -> Option<usize> {
        if self.next < at {
            let rest = self.text.get(at..)?;
            self.next = rest.find(self.mark).map_or(usize::MAX, |found| at + found);
        }
        (self.next != usize::MAX).then_some(self.next)
    }
}

fn put_aside(text: &str, aside: &mut Vec<Aside>) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut round, mut square) = (Ends::new(text, "\\)"), Ends::new(text, "\\]"));
    let (mut double, mut single) = (Ends::new(text, "$$"), Ends::new(text, "$"));
    let mut at = 0;
    let mut before = None;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let until = |open: &str, ends: &mut Ends<'_>, close: usize| {
            let end = rest.starts_with(open).then(|| ends.after(at + open.len())).flatten()?;
            let inside = text.get(at + open.len()..end)?;
            let proper =
                end - at <= MARKDOWN_FORMULA && !inside.is_empty() && !inside.contains('`') && !inside.contains("\n\n");
            proper.then_some((inside, end + close))
        };
        let escaped = before == Some('\\');
        let math = if escaped {
            None
        } else {
            until("\\(", &mut round, 2)
                .or_else(|| until("\\[", &mut square, 2))
                .or_else(|| until("$$", &mut double, 2))
                .or_else(|| {
                    let (inside, end) = until("$", &mut single, 1)?;
                    let tight = !inside.starts_with(char::is_whitespace) && !inside.ends_with(char::is_whitespace);
                    (tight && !inside.contains('\n') && inside.contains(['\\', '_', '^', '*'])).then_some((inside, end))
                })
        };
        if let Some((_, end)) = math {
            out.push_str(&placeholder(aside.len()));
            aside.push(Aside::Math(text.get(at..end).unwrap_or_default().to_owned()));
            before = None;
            at = end;
            continue;
        }
        // `<…>` is a link already.
        if before != Some('<')
            && let Some(length) = links::address(rest, before)
            && let Some(address) = rest.get(..length)
        {
            if address.contains(['*', '_', '~', '&']) {
                out.push_str(&placeholder(aside.len()));
                aside.push(Aside::Address(address.to_owned()));
            } else {
                out.push_str(address);
            }
            before = address.chars().next_back();
            at += length;
            continue;
        }
        let Some(c) = rest.chars().next() else { break };
        out.push(c);
        // Two of them are one backslash.
        before = if c == '\\' && escaped { None } else { Some(c) };
        at += c.len_utf8();
    }
    out
}

fn placeholder(number: usize) -> String {
    format!("{OPEN}{number}{CLOSE}")
}

fn is_sign(c: char) -> bool {
    !c.is_alphanumeric() && !c.is_whitespace() && c != LETTER && c != OPEN && c != CLOSE
}

fn is_letter(c: char) -> bool {
    !is_sign(c) && !c.is_whitespace()
}

/// Between a sign and a letter, a run of asterisks opens or closes only one way. Beside CJK, where no blanks are, both are
/// meant: the sign is made to look like a letter.
fn beside_cjk(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut before: Option<char> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '*' && c != '~' {
            out.push(c);
            before = Some(c);
            continue;
        }
        let mut run = 1;
        while chars.next_if_eq(&c).is_some() {
            run += 1;
        }
        let (mut left, mut right) = (false, false);
        if let (Some(b), Some(&a)) = (before, chars.peek())
            && b != '\\'
            && (is_cjk(b) || is_cjk(a))
        {
            left = is_sign(b) && is_letter(a);
            right = is_sign(a) && is_letter(b);
        }
        if left {
            out.push(LETTER);
        }
        out.extend(std::iter::repeat_n(c, run));
        if right {
            out.push(LETTER);
        }
        before = Some(c);
    }
    out
}

/// Makes of the parser's events what the page shows.
pub(super) struct Shaper<'a> {
    aside: Vec<Aside>,
    out: Vec<Event<'a>>,
    /// Within a block of code.
    code: bool,
    /// The lines of a block of HTML, which is shown as its source.
    html: Option<String>,
    /// The links around: of one that leads nowhere, where it was to lead, and what it shows.
    links: Vec<Option<(String, String)>>,
    /// The levels of the headings above, as they were written.
    levels: Vec<HeadingLevel>,
    /// The name of a footnote whose text comes next.
    note: Option<String>,
}

impl<'a> Shaper<'a> {
    pub(super) fn new(aside: Vec<Aside>) -> Self {
        Self {
            aside,
            out: Vec::new(),
            code: false,
            html: None,
            links: Vec::new(),
            levels: Vec::new(),
            note: None,
        }
    }

    pub(super) fn finish(self) -> Vec<Event<'a>> {
        self.out
    }

    /// With what was put aside back in its place.
    fn back(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        self.pieces(text, |piece| match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Aside(Aside::Math(text) | Aside::Address(text)) => out.push_str(text),
        });
        out
    }

    fn pieces<'b>(&'b self, text: &'b str, mut each: impl FnMut(Piece<'b>)) {
        for (n, rest) in text.split(OPEN).enumerate() {
            let found = rest.split_once(CLOSE).filter(|_| n > 0);
            let known = found.and_then(|(number, rest)| Some((self.aside.get(number.parse::<usize>().ok()?)?, rest)));
            let rest = match known {
                Some((aside, rest)) => {
                    each(Piece::Aside(aside));
                    rest
                }
                None => rest,
            };
            for text in rest.split(LETTER).filter(|text| !text.is_empty()) {
                each(Piece::Text(text));
            }
        }
    }

    fn text(&mut self, text: String) {
        if let Some(Some((_, shown))) = self.links.last_mut() {
            shown.push_str(&text);
        }
        self.out.push(Event::Text(text.into()));
    }

    fn lines(&mut self, text: &str) {
        for (n, line) in text.split('\n').enumerate() {
            if n > 0 {
                self.out.push(Event::HardBreak);
            }
            let bare = line.trim_start_matches([' ', '\t']);
            let indent: usize = line
                .chars()
                .take(line.len() - bare.len())
                .map(|c| if c == '\t' { 4 } else { 1 })
                .sum();
            self.text("\u{a0}".repeat(indent.min(80)) + bare);
        }
    }

    /// Running text: with its addresses as links, outside of links.
    fn running(&mut self, text: &str) {
        let mut todo = Vec::new();
        // Pieces of text that belong together may have been parted by a letter of ours.
        self.pieces(text, |piece| match (piece, todo.last_mut()) {
            (Piece::Text(more), Some((true, text))) => String::push_str(text, more),
            (Piece::Aside(Aside::Address(more)), Some((true, text))) => text.push_str(more),
            (Piece::Text(text), _) => todo.push((true, text.to_owned())),
            (Piece::Aside(Aside::Address(text)), _) => todo.push((true, text.clone())),
            (Piece::Aside(Aside::Math(text)), _) => todo.push((false, text.clone())),
        });
        for (prose, text) in todo {
            if !prose {
                self.lines(&text);
                continue;
            }
            if !self.links.is_empty() {
                self.text(text);
                continue;
            }
            let mut at = 0;
            for (range, url) in links::find(&text) {
                self.text(text.get(at..range.start).unwrap_or_default().to_owned());
                let link = Tag::Link {
                    link_type: LinkType::Inline,
                    dest_url: url.into(),
                    title: CowStr::Borrowed(""),
                    id: CowStr::Borrowed(""),
                };
                self.out.push(Event::Start(link));
                self.text(text.get(range.clone()).unwrap_or_default().to_owned());
                self.out.push(Event::End(TagEnd::Link));
                at = range.end;
            }
            self.text(text.get(at..).unwrap_or_default().to_owned());
        }
    }

    fn link(&mut self, tag: Tag<'a>) {
        let (Tag::Link {
            link_type,
            dest_url,
            title,
            id,
        }
        | Tag::Image {
            link_type,
            dest_url,
            title,
            id,
        }) = tag
        else {
            return;
        };
        let url = self.back(&dest_url);
        if link_type != LinkType::Email && !links::leads_somewhere(&url) {
            self.links.push(Some((url, String::new())));
            return;
        }
        self.links.push(None);
        // No image is loaded; and a link within a link is none.
        if self.links.len() == 1 {
            let title = self.back(&title).into();
            self.out.push(Event::Start(Tag::Link {
                link_type,
                dest_url: url.into(),
                title,
                id,
            }));
        }
    }

    fn link_ends(&mut self) {
        match self.links.pop() {
            Some(Some((to, shown))) => {
                let told = !to.is_empty() && !to.starts_with('#') && !to.starts_with("data:") && to != shown;
                if told {
                    self.text(" (".to_owned());
                    self.out.push(Event::Code(to.into()));
                    self.text(")".to_owned());
                }
            }
            Some(None) if self.links.is_empty() => self.out.push(Event::End(TagEnd::Link)),
            _ => {}
        }
    }

    fn named(&mut self, name: &str) {
        self.out.push(Event::InlineHtml("<sup>".into()));
        self.text(format!("[{name}]"));
        self.out.push(Event::InlineHtml("</sup> ".into()));
    }

    /// The level in the page: one below the heading that it stands under.
    fn level(&mut self, level: HeadingLevel) -> HeadingLevel {
        while self.levels.last().is_some_and(|above| *above >= level) {
            self.levels.pop();
        }
        self.levels.push(level);
        self.depth()
    }

    /// The page has a level 1 and 2 of its own, and none is left out.
    fn depth(&self) -> HeadingLevel {
        match self.levels.len() {
            0 | 1 => HeadingLevel::H3,
            2 => HeadingLevel::H4,
            3 => HeadingLevel::H5,
            _ => HeadingLevel::H6,
        }
    }

    pub(super) fn push(&mut self, event: Event<'a>) {
        match event {
            Event::Text(text) if self.code => {
                let text = self.back(&text);
                self.out.push(Event::Text(text.into()));
            }
            Event::Text(text) => self.running(&text),
            Event::Code(text) => {
                let text = self.back(&text);
                if let Some(Some((_, shown))) = self.links.last_mut() {
                    shown.push_str(&text);
                }
                self.out.push(Event::Code(text.into()));
            }
            Event::SoftBreak => self.out.push(Event::HardBreak),
            Event::Html(raw) => {
                let raw = self.back(&raw);
                self.html.get_or_insert_default().push_str(&raw);
            }
            Event::Start(Tag::HtmlBlock) => self.html = Some(String::new()),
            Event::End(TagEnd::HtmlBlock) => {
                let html = self.html.take().unwrap_or_default();
                let html = html.trim_end();
                if !is_break(html) {
                    self.out.push(Event::Start(Tag::Paragraph));
                    self.lines(html);
                    self.out.push(Event::End(TagEnd::Paragraph));
                }
            }
            Event::InlineHtml(raw) if is_break(&raw) => self.out.push(Event::HardBreak),
            Event::InlineHtml(raw) => {
                let raw = self.back(&raw);
                self.text(raw);
            }
            Event::TaskListMarker(done) => self.text(if done { "☑ " } else { "☐ " }.to_owned()),
            Event::FootnoteReference(name) => {
                let name = self.back(&name);
                self.named(&name);
            }
            Event::Start(Tag::FootnoteDefinition(name)) => self.note = Some(self.back(&name)),
            Event::End(TagEnd::FootnoteDefinition) => {
                if let Some(name) = self.note.take() {
                    self.out.push(Event::Start(Tag::Paragraph));
                    self.named(&name);
                    self.out.push(Event::End(TagEnd::Paragraph));
                }
            }
            Event::Start(Tag::Paragraph) => {
                self.out.push(Event::Start(Tag::Paragraph));
                if let Some(name) = self.note.take() {
                    self.named(&name);
                }
            }
            Event::Start(tag @ (Tag::Link { .. } | Tag::Image { .. })) => self.link(tag),
            Event::End(TagEnd::Link | TagEnd::Image) => self.link_ends(),
            Event::Start(Tag::Heading { level, .. }) => {
                let level = self.level(level);
                self.out.push(Event::Start(Tag::Heading {
                    level,
                    id: None,
                    classes: Vec::new(),
                    attrs: Vec::new(),
                }));
            }
            Event::End(TagEnd::Heading(_)) => {
                let level = self.depth();
                self.out.push(Event::End(TagEnd::Heading(level)));
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                self.code = true;
                self.out.push(Event::Start(Tag::CodeBlock(kind)));
            }
            Event::End(TagEnd::CodeBlock) => {
                self.code = false;
                self.out.push(Event::End(TagEnd::CodeBlock));
            }
            other => self.out.push(other),
        }
    }
}

enum Piece<'a> {
    Text(&'a str),
    Aside(&'a Aside),
}

fn is_break(html: &str) -> bool {
    let tag = html.trim().strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    tag.is_some_and(|tag| tag.trim_end_matches('/').trim().eq_ignore_ascii_case("br"))
}

#[cfg(test)]
#[path = "preprocess_tests.rs"]
mod tests;
