//! The host's errors as what they are: sentences.

use super::caps::types::Error;

impl Error {
    /// `text` is the sentence, fit to be shown to the operator as it is, with the lines to paste where a grant is
    /// missing.
    ///
    /// `to_string` of this type is generated, and writes it as Rust would.
    pub fn text(&self) -> &str {
        match self {
            Self::Denied(text)
            | Self::Invalid(text)
            | Self::NotFound(text)
            | Self::Timeout(text)
            | Self::Unavailable(text)
            | Self::Other(text) => text,
            Self::Cancelled => "The plugin is being stopped.",
        }
    }
}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.text().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_its_sentence() {
        let denied = Error::Denied("The plugin x may not store data. To allow it:\n[plugin.x.grants]".to_owned());
        assert!(denied.text().ends_with("To allow it:\n[plugin.x.grants]"));
        assert_eq!(String::from(Error::Cancelled), "The plugin is being stopped.");
    }
}
