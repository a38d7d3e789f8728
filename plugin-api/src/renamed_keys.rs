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

/// Characters of a line that are shown.
const SHOWN: usize = 300;

/// A key that has a new name.
#[derive(Debug, Clone, Copy)]
pub struct Renamed {
    /// The table of the key, `*` for a name that the file's author chose: `tunnel.*`. Empty: the top of the file.
    pub table: &'static str,
    pub was: &'static str,
    pub now: &'static str,
    /// Strings that have another spelling under the new name: (before, now).
    pub values: &'static [(&'static str, &'static str)],
}

impl Renamed {
    /// A key whose values are spelled as before.
    pub const fn key(table: &'static str, was: &'static str, now: &'static str) -> Self {
        Self {
            table,
            was,
            now,
            values: &[],
        }
    }
}

/// An old name in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldKey {
    /// Starts at 1.
    pub line: usize,
    /// Where the key is in the file, in bytes.
    pub span: Range<usize>,
    pub was: &'static str,
    pub now: &'static str,
    /// The same table has the new name as well: which one is meant cannot be known.
    pub both: bool,
    /// The line with the new name.
    pub new_line: String,
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
            "the key `{was}` has been renamed to `{now}`; the old name is only read by this version. To fix: write \
             line {line} as: {}",
            self.new_line
        )
    }
}

/// A text with the new names of all keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current<'a> {
    pub text: Cow<'a, str>,
    /// In the order of the file.
    pub old: Vec<OldKey>,
}

/// `text` with the new names of all keys. What is no TOML is left as it is.
pub fn current<'a>(text: &'a str, renamed: &[Renamed]) -> Current<'a> {
    let (mut old, mut edits) = (Vec::new(), Vec::new());
    if let Ok(root) = DeTable::parse(text) {
        look(text, renamed, root.get_ref(), &mut Vec::new(), &mut old, &mut edits);
    }
    if old.is_empty() {
        return Current {
            text: Cow::Borrowed(text),
            old,
        };
    }
    let mut written = text.to_owned();
    edits.sort_by_key(|(span, _): &(Range<usize>, &str)| std::cmp::Reverse(span.start));
    for (span, now) in edits {
        written.replace_range(span, now);
    }
    old.sort_by_key(|key| key.span.start);
    for key in &mut old {
        let line = written.lines().nth(key.line - 1).unwrap_or_default().trim();
        let shown: String = line.chars().take(SHOWN).collect();
        let cut = if shown.len() < line.len() { "…" } else { "" };
        key.new_line = text::line(&shown).into_owned() + cut;
    }
    Current {
        text: Cow::Owned(written),
        old,
    }
}

fn look<'i>(
    text: &str,
    renamed: &[Renamed],
    table: &DeTable<'i>,
    path: &mut Vec<String>,
    old: &mut Vec<OldKey>,
    edits: &mut Vec<(Range<usize>, &'static str)>,
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
                new_line: String::new(),
            });
            // With both names the text would have one key twice.
            if !both {
                edits.push((name.span(), key.now));
                edits.extend(spelled(key, value));
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

/// The value as it is spelled under the new name, where that is another spelling.
fn spelled(key: &Renamed, value: &Spanned<DeValue<'_>>) -> Option<(Range<usize>, &'static str)> {
    let found = value.get_ref().as_str()?;
    let (_, now) = key.values.iter().find(|(was, _)| *was == found)?;
    // Within the quotation marks, of which a string that has such a value has one on each side.
    let span = value.span();
    Some((span.start + 1..span.end - 1, *now)).filter(|(inner, _)| inner.len() == found.len())
}

fn is(table: &str, path: &[String]) -> bool {
    let parts: Vec<&str> = table.split('.').filter(|part| !part.is_empty()).collect();
    parts.len() == path.len() && parts.iter().zip(path).all(|(part, name)| *part == "*" || part == name)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
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
        let lines: Vec<_> = found.old.iter().map(|key| (key.line, key.new_line.as_str())).collect();
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
            "the key `probe` has been renamed to `public_check`; the old name is only read by this version. To fix: \
             write line 3 as: public_check = \"on\""
        );
        assert_eq!(&text[found.old[1].span.clone()], "probe");
    }

    #[test]
    fn inline_tables_dotted_keys_and_quotes_are_read_too() {
        let text = "site.a.probe = 'public'\nsite.b = { \"probe\" = \"off\", x = 1 }\n";
        let found = current(text, RENAMED);
        assert_eq!(
            found.text,
            "site.a.public_check = 'on'\nsite.b = { public_check = \"off\", x = 1 }\n"
        );
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
