//! Why a component is not run.

/// Why a component is refused. Each is a sentence that says what was found, what was expected and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read {0}: {1}. Check the `source` of the plugin in the configuration.")]
    Unreadable(String, String),
    #[error("{0}")]
    NotComponent(String),
    #[error("{0}")]
    Manifest(String),
    #[error("{0}")]
    Api(String),
    #[error("{0}")]
    Unfit(String),
}
