//! What does not work: why, and what to do about it.

use crate::plugin::{Availability, Unfit};
pub use nexus_plugin_api::error_text::{TO_FIX, cause_and_fix, sentence};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `uncapitalized` is a sentence that goes on behind other words: `error: `, say.
pub fn uncapitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// `capitalized` is a sentence that stands by itself.
pub fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// `Problem` is a cause, and what to do about it where something can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `cause` is a sentence.
    pub cause: String,
    /// `fix` is what follows "To fix: ": a command, or lines for the configuration.
    pub fix: Option<String>,
}

impl Problem {
    /// `of` is why the program of the provider `title` cannot be used; none where it can.
    pub fn of(availability: Availability, title: &str) -> Option<Self> {
        let (Unfit { cause, fix }, missing) = match availability {
            Availability::Ready(_) => return None,
            Availability::Missing(unfit) => (unfit, true),
            Availability::Unsuitable(unfit) => (unfit, false),
        };
        let said = !cause.trim().is_empty();
        let cause = match missing {
            true if said => not_found(&cause).unwrap_or_else(|| format!("{title} is not installed: {cause}")),
            true => format!("{title} is not installed."),
            false if said => cause,
            false => format!("This version of {title} cannot be used."),
        };
        Some(Self { cause, fix })
    }
}

/// What the host says of a program that it does not find, with the program's own name.
fn not_found(found: &str) -> Option<String> {
    let (program, rest) = found.strip_prefix('`')?.split_once('`')?;
    let rest = rest.strip_prefix(" was not found")?;
    Some(format!("{program} is not installed: it was not found{rest}"))
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&sentence(&self.cause, self.fix.as_deref()))
    }
}

/// `HostProblem` is a part of Nexus that does not work while the rest does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = HostProblem)]
pub struct Trouble {
    /// `subject` is the part that does not work: `metrics`, `notify`, `plugin tunnel-mine`.
    #[schema(examples("metrics"))]
    pub subject: String,
    /// `cause` says why it does not work.
    pub cause: String,
    /// `fix` says how to fix it: a command, or lines for the configuration. Null: no fix is known.
    #[schema(required)]
    pub fix: Option<String>,
}

impl Trouble {
    /// Makes one whose fix is known: a command, or lines for the configuration.
    pub fn new(subject: impl Into<String>, cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            cause: cause.into(),
            fix: Some(fix.into()),
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A part of a part, as `tunnel home: plugin tunnel-mine`, does not work.
        let fails = match self.subject.as_str() {
            part if part.starts_with("tunnel ") && !part.contains(": ") => "cannot open",
            "metrics" => "do not work",
            _ => "does not work",
        };
        write!(
            f,
            "{} {fails}: {}",
            self.subject,
            sentence(&self.cause, self.fix.as_deref())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_of_a_provider_is_not_installed_or_not_fit_and_the_fix_is_apart() {
        let problem = |availability| Problem::of(availability, "bore").map(|problem| problem.to_string());
        let unfit = |cause: &str, fix: Option<&str>| Unfit {
            cause: cause.to_owned(),
            fix: fix.map(str::to_owned),
        };
        assert_eq!(problem(Availability::ready("0.6.0")), None);
        assert_eq!(
            problem(Availability::missing("run `cargo install bore-cli`")).as_deref(),
            Some("bore is not installed. To fix: run `cargo install bore-cli`")
        );
        assert_eq!(
            problem(Availability::Missing(unfit(
                "`bore` was not found.",
                Some("install it")
            )))
            .as_deref(),
            Some("bore is not installed: it was not found. To fix: install it")
        );
        assert_eq!(
            problem(Availability::Missing(unfit("nothing is in /opt.", Some("install it")))).as_deref(),
            Some("bore is not installed: nothing is in /opt. To fix: install it")
        );
        assert_eq!(
            problem(Availability::Unsuitable(unfit(
                "bore 0.4.0 is too old.",
                Some("update it")
            )))
            .as_deref(),
            Some("bore 0.4.0 is too old. To fix: update it")
        );
        // A denial that no line of the configuration would undo.
        let never = "The plugin x has no permission to run bore. Its manifest does not request this permission, so it \
            cannot be granted.";
        assert_eq!(
            problem(Availability::Unsuitable(unfit(never, None))).as_deref(),
            Some(never)
        );
        // As a plugin of others may say it.
        assert_eq!(
            problem(Availability::Unsuitable(unfit("", Some("use 0.5.0")))).as_deref(),
            Some("This version of bore cannot be used. To fix: use 0.5.0")
        );
    }

    #[test]
    fn a_part_says_what_it_does_not_do() {
        let of = |part| Trouble::new(part, "bore has no TLS", "accept it").to_string();
        assert_eq!(
            of("tunnel home"),
            "tunnel home cannot open: bore has no TLS. To fix: accept it"
        );
        assert_eq!(of("metrics"), "metrics do not work: bore has no TLS. To fix: accept it");
    }
}
