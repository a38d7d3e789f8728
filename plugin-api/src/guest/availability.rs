//! Whether a program is fit, from the texts that a plugin has of it.

use super::caps::types::{Availability, Fit, Unfit};
use crate::error_text::cause_and_fix;

impl Availability {
    /// `ready` is a program that is fit to run, with the version as it states it.
    pub fn ready(version: impl Into<String>) -> Self {
        let version = version.into();
        Self::Ready(Fit { version, note: None })
    }

    /// `missing` is a program that is not installed: an error text, of the host or the plugin, with its fix.
    pub fn missing(text: &str) -> Self {
        Self::Missing(unfit(text))
    }

    /// `unsuitable` is a program that is installed and not usable: an error text, of the host or the plugin, with its fix.
    pub fn unsuitable(text: &str) -> Self {
        Self::Unsuitable(unfit(text))
    }
}

fn unfit(text: &str) -> Unfit {
    let (cause, fix) = cause_and_fix(text);
    Unfit {
        cause: cause.to_owned(),
        fix: fix.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_parted_into_the_cause_and_the_fix() {
        let unfit = |cause: &str, fix: Option<&str>| Unfit {
            cause: cause.to_owned(),
            fix: fix.map(str::to_owned),
        };
        assert_eq!(
            Availability::missing("`x` was not found. To fix: install it"),
            Availability::Missing(unfit("`x` was not found.", Some("install it")))
        );
        assert_eq!(
            Availability::unsuitable("It is broken.\n"),
            Availability::Unsuitable(unfit("It is broken.", None))
        );
    }
}
