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
            | Self::Limited(text)
            | Self::Invalid(text)
            | Self::NotFound(text)
            | Self::Timeout(text)
            | Self::Unavailable(text)
            | Self::Cancelled(text)
            | Self::Other(text) => text,
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
    fn what_the_host_says_is_parted_into_a_cause_and_a_fix() {
        use crate::guest::{job::permanent_from_text, process::program_not_found};
        let denied = permanent_from_text(
            "It has no permission to store data. To fix: add these lines:\n[x]\n",
            "report it",
        );
        assert_eq!(
            (denied.message.as_str(), denied.hint.as_deref()),
            ("It has no permission to store data.", Some("add these lines:\n[x]"))
        );
        let full = permanent_from_text(
            "It waits for 64 streams at once, its limit. To fix: add these lines:\n[y]",
            "report it",
        );
        assert_eq!(
            (full.message.as_str(), full.hint.as_deref()),
            (
                "It waits for 64 streams at once, its limit.",
                Some("add these lines:\n[y]")
            )
        );
        let other = permanent_from_text("It asks for nothing.\n", "report it");
        assert_eq!(
            (other.message.as_str(), other.hint.as_deref()),
            ("It asks for nothing.", Some("report it"))
        );
        assert_eq!(
            program_not_found("`x` was not found. To fix: if it is elsewhere, say so\n", "install it"),
            "`x` was not found. To fix: install it. Or if it is elsewhere, say so"
        );
        assert_eq!(program_not_found("no x\n", "install it"), "no x. To fix: install it");
    }

    #[test]
    fn an_error_is_its_sentence() {
        let text = "The plugin x has no permission to store data. To fix: add these lines to the configuration:\n\
                    [plugin.x.grants]";
        assert_eq!(Error::Denied(text.to_owned()).text(), text);
        let stopped = "The plugin is being stopped.";
        assert_eq!(String::from(Error::Cancelled(stopped.to_owned())), stopped);
    }
}
