//! Keys of TOML files that have a new name: for one version the old name is read as well, and the reader of the file is told
//! the line to write.
//!
//! [`current`] gives the text as it would be with the new names, on the same lines, so that no other reader has to know the
//! old ones.

use crate::text;
use std::borrow::Cow;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// `SHOWN` is how many characters of a line are shown.
const SHOWN: usize = 300;

/// `Renamed` is a key that has a new name.
#[derive(Debug, Clone, Copy)]
pub struct Renamed {
    /// `table` is the table of the key, with `*` for a name that the file's author chose: `tunnel.*`. Empty: the top of
    /// the file.
    pub table: &'static str,
    /// `was` is its old name.
    pub was: &'static str,
    /// `now` is its new name.
    pub now: &'static str,
    /// `values` are strings that have another spelling under the new name: (before, now).
    pub values: &'static [(&'static str, &'static str)],
}

impl Renamed {
    /// `key` is one whose values are spelled as before.
    pub const fn key(table: &'static str, was: &'static str, now: &'static str) -> Self {
        Self {
            table,
            was,
            now,
            values: &[],
        }
    }
}

/// `OldKey` is an old name in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldKey {
    /// `line` starts at 1.
    pub line: usize,
    /// `span` is where the key is in the file, in bytes.
    pub span: Range<usize>,
    /// `was` is the old name.
    pub was: &'static str,
    /// `now` is the new name.
    pub now: &'static str,
    /// `both`: the same table has the new name as well, so which one is meant cannot be known.
    pub both: bool,
    /// `new_line` is the line with the new name.
    pub new_line: NewLine,
}

impl std::fmt::Display for OldKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, was, now, .. } = self;
        if self.both {
            return write!(
                f,
                "`{was}` and `{now}` are the old and the new name of the same key, but both are set. To fix: delete \
                 `{was}` in line {line}"
            );
        }
        write!(
            f,
            "the key `{was}` has been renamed to `{now}`; this version still reads the old name; a later one will not. To \
             fix: write {}",
            self.new_line
        )
    }
}

/// `NewLine` is what to write in place of a line, or of the lines that one value is on. Its `Display`: `line 3 as: …`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewLine {
    /// `first` is the line where it begins, from 1 on.
    pub first: usize,
    /// `last` is the line where it ends.
    pub last: usize,
    /// `text` is the line, made safe to show.
    pub text: String,
}

impl std::fmt::Display for NewLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { first, last, text } = self;
        if first == last {
            write!(f, "line {first} as: {text}")
        } else {
            write!(f, "lines {first} to {last} as: {text}")
        }
    }
}

/// `Current` is a text with the new names of all keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current<'a> {
    /// `text` has the same lines as the one that was given.
    pub text: Cow<'a, str>,
    /// `old` is in the order of the file.
    pub old: Vec<OldKey>,
    /// `written` is the text that was given.
    pub written: &'a str,
    edits: Vec<Edit>,
}

impl Current<'_> {
    /// `span_written` is where in `written` a span of `text` was.
    pub fn span_written(&self, span: &Range<usize>) -> Range<usize> {
        let place = |at: usize, ends: bool| {
            let (mut added, mut removed) = (0, 0);
            for Edit { span, now, .. } in &self.edits {
                let start = span.start + added - removed;
                if at <= start {
                    break;
                }
                if at < start + now.len() {
                    return if ends { span.end } else { span.start };
                }
                added += now.len();
                removed += span.len();
            }
            at + removed - added
        };
        place(span.start, false)..place(span.end, true)
    }
}

/// An edit is a place of the written text and what is there in the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    span: Range<usize>,
    /// `now` has as many line breaks as what it replaces.
    now: String,
    /// `shown` is the same on one line.
    shown: String,
}

/// `current` is `text` with the new names of all keys. What is no TOML is left as it is.
pub fn current<'a>(text: &'a str, renamed: &[Renamed]) -> Current<'a> {
    let (mut old, mut edits) = (Vec::new(), Vec::new());
    if let Ok(root) = DeTable::parse(text) {
        look(text, renamed, root.get_ref(), &mut Vec::new(), &mut old, &mut edits);
    }
    edits.sort_by_key(|edit| edit.span.start);
    old.sort_by_key(|key| key.span.start);
    for key in &mut old {
        key.new_line = edited_line(text, key.span.start, &edits);
    }
    let now = if edits.is_empty() {
        Cow::Borrowed(text)
    } else {
        let edits = edits.iter().map(|edit| (&edit.span, edit.now.as_str()));
        Cow::Owned(edited(text, 0..text.len(), edits))
    };
    Current {
        text: now,
        old,
        written: text,
        edits,
    }
}

/// `new_line` is the line of `span` with `now` in its place.
pub fn new_line(text: &str, span: Range<usize>, now: &str) -> NewLine {
    let at = span.start;
    let (now, shown) = (String::new(), now.to_owned());
    edited_line(text, at, &[Edit { span, now, shown }])
}

/// `edited_line` is the line in which `at` is, with all its edits; it goes on to the end of the last one.
fn edited_line(text: &str, at: usize, edits: &[Edit]) -> NewLine {
    let before = |at: usize| text.get(..at).unwrap_or(text);
    let line_end = |at: usize| at + text.get(at..).map_or(0, |rest| rest.find('\n').unwrap_or(rest.len()));
    let number = |at: usize| 1 + before(at).matches('\n').count();
    let start = before(at).rfind('\n').map_or(0, |before| before + 1);
    let mut end = line_end(at);
    for edit in edits.iter().filter(|edit| edit.span.start >= start) {
        if edit.span.start < end {
            end = end.max(line_end(edit.span.end));
        }
    }
    let of_line = edits
        .iter()
        .filter(|edit| edit.span.start >= start && edit.span.end <= end);
    let line = edited(text, start..end, of_line.map(|edit| (&edit.span, edit.shown.as_str())));
    let line = line.trim();
    let shown: String = line.chars().take(SHOWN).collect();
    let cut = if shown.len() < line.len() { "…" } else { "" };
    NewLine {
        first: number(start),
        last: number(end),
        text: text::line(&shown).into_owned() + cut,
    }
}

/// `edited` is a part of a text with edits, which are in order.
fn edited<'e>(text: &str, part: Range<usize>, edits: impl Iterator<Item = (&'e Range<usize>, &'e str)>) -> String {
    let (mut out, mut at) = (String::new(), part.start);
    for (span, now) in edits {
        out.push_str(text.get(at..span.start).unwrap_or_default());
        out.push_str(now);
        at = span.end;
    }
    out.push_str(text.get(at..part.end).unwrap_or_default());
    out
}

fn look<'i>(
    text: &str,
    renamed: &[Renamed],
    table: &DeTable<'i>,
    path: &mut Vec<String>,
    old: &mut Vec<OldKey>,
    edits: &mut Vec<Edit>,
) {
    for (name, value) in table {
        let key = renamed
            .iter()
            .find(|key| key.was == name.get_ref() && is(key.table, path));
        if let Some(key) = key {
            let both = table.iter().any(|(other, _)| other.get_ref() == key.now);
            old.push(OldKey {
                line: 1 + text.get(..name.span().start).unwrap_or(text).matches('\n').count(),
                span: name.span(),
                was: key.was,
                now: key.now,
                both,
                new_line: NewLine::default(),
            });
            // With both names the text would have one key twice.
            if !both {
                edits.push(Edit {
                    span: name.span(),
                    now: key.now.to_owned(),
                    shown: key.now.to_owned(),
                });
                edits.extend(spelled(text, key, value));
            }
        }
        path.push(name.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(inner) => look(text, renamed, inner, path, old, edits),
            // `[[capabilities.http]]`
            DeValue::Array(items) => {
                for inner in items.iter().filter_map(|item| item.get_ref().as_table()) {
                    look(text, renamed, inner, path, old, edits);
                }
            }
            _ => {}
        }
        path.pop();
    }
}

/// `spelled` is the value as it is spelled under the new name, where that is another spelling.
fn spelled(text: &str, key: &Renamed, value: &Spanned<DeValue<'_>>) -> Option<Edit> {
    let found = value.get_ref().as_str()?;
    let (_, now) = key.values.iter().find(|(was, _)| *was == found)?;
    let span = value.span();
    let shown = toml::Value::String((*now).to_owned()).to_string();
    let now = match text.get(span.clone()).unwrap_or_default().matches('\n').count() {
        0 => shown.clone(),
        // A backslash at the end of a line takes all line breaks behind it out of the value.
        breaks => format!("\"\"\"\\{}{now}\"\"\"", "\n".repeat(breaks)),
    };
    Some(Edit { span, now, shown })
}

fn is(table: &str, path: &[String]) -> bool {
    let parts: Vec<&str> = table.split('.').filter(|part| !part.is_empty()).collect();
    parts.len() == path.len() && parts.iter().zip(path).all(|(part, name)| *part == "*" || part == name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const RENAMED: &[Renamed] = &[
        Renamed::key("", "file-version", "file_version"),
        Renamed {
            values: &[("public", "on")],
            ..Renamed::key("site.*", "probe", "public_check")
        },
    ];

    #[test]
    fn an_old_name_is_read_as_the_new_one_and_the_line_to_write_is_shown() {
        let text =
            "file-version = 1 # old\n[site.a]\nprobe = \"public\"\n[site.b]\nprobe = \"off\"\n[wall.a]\nprobe = 1\n";
        let found = current(text, RENAMED);
        assert_eq!(
            found.text,
            "file_version = 1 # old\n[site.a]\npublic_check = \"on\"\n[site.b]\npublic_check = \
             \"off\"\n[wall.a]\nprobe = 1\n"
        );
        let lines: Vec<_> = found
            .old
            .iter()
            .map(|key| (key.line, key.new_line.text.as_str()))
            .collect();
        assert_eq!(
            lines,
            [
                (1, "file_version = 1 # old"),
                (3, "public_check = \"on\""),
                (5, "public_check = \"off\"")
            ]
        );
        assert_eq!(
            found.old[1].to_string(),
            "the key `probe` has been renamed to `public_check`; this version still reads the old name; a later one will \
             not. To fix: write line 3 as: public_check = \"on\""
        );
        assert_eq!(&text[found.old[1].span.clone()], "probe");
    }

    #[test]
    fn inline_tables_dotted_keys_and_quotes_are_read_too() {
        let text = "site.a.probe = 'public'\nsite.b = { \"probe\" = \"off\", x = 1 }\n";
        let found = current(text, RENAMED);
        assert_eq!(
            found.text,
            "site.a.public_check = \"on\"\nsite.b = { public_check = \"off\", x = 1 }\n"
        );
    }

    #[test]
    fn a_value_on_several_lines_keeps_them_and_is_shown_on_one() {
        let text = "[site.a]\nprobe = \"\"\"\npub\\\n  lic\"\"\" # c\nlast = 1\n";
        let found = current(text, RENAMED);
        assert_eq!(
            found.text,
            "[site.a]\npublic_check = \"\"\"\\\n\non\"\"\" # c\nlast = 1\n"
        );
        assert_eq!(
            found.old[0].new_line.to_string(),
            "lines 2 to 4 as: public_check = \"on\" # c"
        );
    }

    #[test]
    fn a_place_in_the_new_text_is_found_in_the_written_one() {
        let text = "file-version = 1\nsite.a = { probe = \"public\", x = 1 }\n";
        let found = current(text, RENAMED);
        for (now, was) in [
            ("file_version", "file-version"),
            ("public_check", "probe"),
            ("\"on\"", "\"public\""),
            ("x = 1 }", "x = 1 }"),
            ("public_check = \"on\", x", "probe = \"public\", x"),
            // Within what was replaced is all of it.
            ("check", "probe"),
        ] {
            let at = found.text.find(now).unwrap();
            assert_eq!(&text[found.span_written(&(at..at + now.len()))], was, "{now}");
        }
        assert_eq!(found.span_written(&(0..found.text.len())), 0..text.len());
    }

    mod any_spelling {
        use super::*;
        use proptest::prelude::*;

        /// A string of TOML in each of its four forms, with escapes and line breaks where the form has them.
        fn spelling(value: &'static str) -> impl Strategy<Value = String> {
            let letters = proptest::collection::vec(0..4_u8, value.len());
            (letters, 0..4_u8, any::<bool>(), any::<bool>()).prop_map(move |(letters, form, first_break, crlf)| {
                let end = if crlf { "\r\n" } else { "\n" };
                let escaped: String = value
                    .chars()
                    .zip(&letters)
                    .map(|(c, how)| match how {
                        1 => format!("\\u{:04x}", u32::from(c)),
                        2 => format!("\\U{:08X}", u32::from(c)),
                        3 if form == 1 => format!("\\{end}   {end}{c}"),
                        _ => c.to_string(),
                    })
                    .collect();
                let begin = if first_break { end } else { "" };
                match form {
                    0 => format!("\"{escaped}\""),
                    1 => format!("\"\"\"{begin}{escaped}\"\"\""),
                    2 => format!("'{value}'"),
                    _ => format!("'''{begin}{value}'''"),
                }
            })
        }

        proptest! {
            #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
            #[test]
            fn of_an_old_value_is_read_as_the_new_one(written in spelling("public"), key in spelling("probe")) {
                let key = if key.contains('\n') || key.starts_with("\"\"\"") || key.starts_with("'''") {
                    "probe".to_owned()
                } else {
                    key
                };
                let text = format!("[site.a]\n{key} = {written} # c\nlast = true\n[site.b]\nprobe = \"off\"\n");
                let found = current(&text, RENAMED);
                let table: toml::Table = found.text.parse().unwrap();
                prop_assert_eq!(table["site"]["a"]["public_check"].as_str(), Some("on"));
                prop_assert_eq!(table["site"]["b"]["public_check"].as_str(), Some("off"));
                prop_assert_eq!(found.text.matches('\n').count(), text.matches('\n').count());
                prop_assert_eq!(&found.old[0].new_line.text, "public_check = \"on\" # c");
                let at = found.text.find("last").unwrap();
                prop_assert_eq!(&text[found.span_written(&(at..at + 4))], "last");
            }
        }
    }

    #[test]
    fn both_names_at_once_are_found_and_left_as_they_are() {
        let text = "file-version = 1\nfile_version = 1\n";
        let found = current(text, RENAMED);
        assert_eq!(found.text, text);
        assert!(found.old[0].both);
        assert_eq!(
            found.old[0].to_string(),
            "`file-version` and `file_version` are the old and the new name of the same key, but both are set. To \
             fix: delete `file-version` in line 1"
        );
    }

    #[test]
    fn a_text_with_new_names_or_without_toml_is_left_as_it_is() {
        for text in ["file_version = 1\n", "file-version = \n[["] {
            let found = current(text, RENAMED);
            assert!(matches!(found.text, Cow::Borrowed(_)) && found.old.is_empty(), "{text}");
        }
    }
}
