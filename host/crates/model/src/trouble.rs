//! What does not work: why, and what to do about it.

use crate::plugin::Availability;
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
        let (text, missing) = match availability {
            Availability::Ready(_) => return None,
            Availability::Missing(text) => (text, true),
            Availability::Unsuitable(text) => (text, false),
        };
        // A denial is a cause by itself, also where no line of the configuration would allow it.
        let denied = text.starts_with("The plugin ") && text.contains(" permission");
        let (cause, fix) = match cause_and_fix(&text) {
            (cause, fix) if denied => (cause.to_owned(), fix),
            (cause, fix @ Some(_)) if missing => {
                let missing = || format!("{title} is not installed: {cause}");
                (not_found(cause).unwrap_or_else(missing), fix)
            }
            (cause, fix @ Some(_)) => (cause.to_owned(), fix),
            (fix, None) if missing => (format!("{title} is not installed."), Some(fix)),
            (fix, None) => (format!("This version of {title} cannot be used."), Some(fix)),
        };
        let fix = fix.map(str::to_owned);
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
        assert_eq!(problem(Availability::Ready("0.6.0".to_owned())), None);
        assert_eq!(
            problem(Availability::Missing("run `cargo install bore-cli`".to_owned())).as_deref(),
            Some("bore is not installed. To fix: run `cargo install bore-cli`")
        );
        assert_eq!(
            problem(Availability::Missing(
                "`bore` was not found. To fix: install it".to_owned()
            ))
            .as_deref(),
            Some("bore is not installed: it was not found. To fix: install it")
        );
        assert_eq!(
            problem(Availability::Unsuitable(
                "bore 0.4.0 is too old. To fix: update it".to_owned()
            ))
            .as_deref(),
            Some("bore 0.4.0 is too old. To fix: update it")
        );
        let denied = "The plugin x has no permission to run bore.";
        assert_eq!(
            problem(Availability::Unsuitable(format!("{denied} To fix: add this:\n[x]\n"))),
            Some(format!("{denied} To fix: add this:\n[x]"))
        );
        let never = format!("{denied} Its manifest does not request this permission, so it cannot be granted.");
        assert_eq!(problem(Availability::Unsuitable(never.clone())), Some(never));
        // As a plugin of others may say it.
        assert_eq!(
            problem(Availability::Unsuitable("use 0.5.0".to_owned())).as_deref(),
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
