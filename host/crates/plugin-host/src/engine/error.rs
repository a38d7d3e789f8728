//! Why a component is not run.

/// `LoadError` says why a component is refused. Each is a sentence that says what was found, what was expected and what
/// to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// `Unreadable` has the file, and why it cannot be read.
    #[error("cannot read {0}: {1}. To fix: check the `source` of the plugin in the configuration")]
    Unreadable(String, String),
    /// `NotComponent`: the bytes are no component, or damaged.
    #[error("{0}")]
    NotComponent(String),
    /// `Manifest`: there is no manifest in it, there are several, or it is not valid.
    #[error("{0}")]
    Manifest(String),
    /// `Api`: it was written for a version of the contract that this host does not speak.
    #[error("{0}")]
    Api(String),
    /// `Unsupported`: it wants, offers or needs what this host, or its limits, cannot give.
    #[error("{0}")]
    Unsupported(String),
    /// `Changed`: it is another one than that which got the grants.
    #[error(transparent)]
    Changed(#[from] nexus_config::ChangedComponent),
}

impl LoadError {
    /// `about` names what is refused, a path or a plugin, where the sentence begins with "The component".
    #[must_use]
    pub fn about(self, subject: &str) -> Self {
        let name = |text: String| match text.strip_prefix("The component ") {
            Some(rest) => format!("{subject} {rest}"),
            None => text,
        };
        match self {
            Self::NotComponent(text) => Self::NotComponent(name(text)),
            Self::Manifest(text) => Self::Manifest(name(text)),
            Self::Api(text) => Self::Api(name(text)),
            Self::Unsupported(text) => Self::Unsupported(name(text)),
            other => other,
        }
    }
}
