//! Why a text is not a manifest.

use crate::text;

/// `ManifestError` says why a text is not a manifest: where, what was found, what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError {
    /// `line` starts at 1; `None` where the problem is no line's.
    pub line: Option<usize>,
    /// `message` is a sentence without its place.
    pub message: String,
}

impl std::fmt::Display for ManifestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "plugin.toml, line {line}: {}", self.message),
            None => write!(f, "plugin.toml: {}", self.message),
        }
    }
}

impl std::error::Error for ManifestError {}

/// `with_suggestion` is what the reader of TOML says, with the key that was probably meant.
pub(super) fn with_suggestion(message: &str) -> String {
    let message = text::line(message);
    let Some(rest) = message.strip_prefix("unknown field `") else {
        return message.into_owned();
    };
    let mut names = rest.split('`').step_by(2);
    let found = names.next().unwrap_or_default();
    let near = names
        .map(|name| (strsim::damerau_levenshtein(found, name), name))
        .filter(|(distance, _)| *distance <= 2)
        .min();
    match near {
        Some((_, near)) => format!("{message}. Did you mean `{near}`?"),
        None => message.into_owned(),
    }
}
