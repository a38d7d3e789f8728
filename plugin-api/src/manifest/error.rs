//! Why a text is not a manifest.

use super::unknown_key::UnknownKey;
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

impl ManifestError {
    /// `explained_by` names the key that was perhaps written in place of one that is missing.
    pub(super) fn explained_by(self, unknown: &[UnknownKey]) -> Self {
        let missing = |key: &&UnknownKey| {
            key.near
                .is_some_and(|near| self.message.contains(&format!("missing field `{near}`")))
        };
        let Some(UnknownKey { line, key, near }) = unknown.iter().find(missing) else {
            return self;
        };
        Self {
            line: Some(*line),
            message: format!(
                "{}, but there is `{key}`. To fix: write `{}`",
                self.message,
                near.unwrap_or_default()
            ),
        }
    }
}

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
