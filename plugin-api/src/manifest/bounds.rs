//! How much a manifest may hold, and what its texts may have in them.

use crate::text;

/// `MANIFEST_BYTES` bounds the whole text.
pub const MANIFEST_BYTES: usize = 64 * 1024;
/// `MANIFEST_SENTENCE` bounds a description, and a reason, in bytes.
pub const MANIFEST_SENTENCE: usize = 1024;
/// `MANIFEST_WORD` bounds a name, a version, a license, an author, and an address, in bytes.
pub const MANIFEST_WORD: usize = 256;
/// `MANIFEST_ENTRIES` bounds each list and table: authors, keys, their values, binaries, addresses.
pub const MANIFEST_ENTRIES: usize = 64;
/// `MANIFEST_MEMORY` is what a component of 32 bits can address, in bytes.
pub const MANIFEST_MEMORY: u64 = 4 << 30;

/// `excerpt` is some of it, for a message: in one line, each character seen.
pub(crate) fn excerpt(found: &str) -> String {
    let cut: String = found.chars().take(80).collect();
    let cut = if cut.len() < found.len() { cut + "…" } else { cut };
    text::line(&cut).into_owned()
}

/// Tells whether it is one line, and has nothing in it that is taken for something else.
pub(crate) fn is_visible(value: &str) -> bool {
    !value.contains(['\n', '\t']) && text::literal(value) == value
}

/// Refuses a list or a table with too many entries.
pub(crate) fn check_count(what: &str, count: usize) -> Result<(), String> {
    if count > MANIFEST_ENTRIES {
        return Err(format!("{what} has {count} entries; the limit is {MANIFEST_ENTRIES}"));
    }
    Ok(())
}

/// Refuses a name, a version, or an address that is too long.
pub(crate) fn check_length<'a>(what: &str, value: &'a str) -> Result<&'a str, String> {
    if value.len() > MANIFEST_WORD {
        return Err(format!(
            "{what} has {} bytes; the limit is {MANIFEST_WORD}",
            value.len()
        ));
    }
    Ok(value)
}

/// Refuses a text of more than `most` bytes, and makes one line of it, in which a run of blanks is one blank: enough of them
/// would push the rest to the beginning of the next line of a screen.
pub(crate) fn clean_line(value: &mut String, what: &str, most: usize) -> Result<(), String> {
    if value.len() > most {
        return Err(format!("{what} has {} bytes; the limit is {most}", value.len()));
    }
    // Those that Unicode counts as letters and signs take room as well.
    let blank = |c: char| c.is_whitespace() || matches!(c, '\u{2800}' | '\u{115f}' | '\u{1160}' | '\u{3164}');
    let mut clean = text::line(value).into_owned();
    let mut before = false;
    clean.retain(|c| {
        let again = before && blank(c);
        before = blank(c);
        !again
    });
    *value = clean;
    Ok(())
}
