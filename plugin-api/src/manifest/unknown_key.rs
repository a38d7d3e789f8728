//! A key of a manifest that this version does not know.

/// `UnknownKey` is something that this version does not know, and goes without. Its `Display` is the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    /// `line` starts at 1.
    pub line: usize,
    /// `key` is the whole key, made safe to show: `config.server.maximum`.
    pub key: String,
    /// `near` is a known name that was perhaps meant.
    pub near: Option<&'static str>,
}

impl std::fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`", self.key)?;
        match self.near {
            Some(near) => write!(f, " (did you mean `{near}`?)"),
            None => Ok(()),
        }
    }
}
