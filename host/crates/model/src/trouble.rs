//! What does not work: why, and what to do about it.

use crate::plugin::Availability;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `sentence` is a cause and the fix behind it, in the one form in which people read both.
pub fn sentence(why: &str, fix: Option<&str>) -> String {
    let why = why.trim_end();
    // Lines of a report are no sentence.
    let stop = if why.contains('\n') || why.ends_with(['.', '!', '?', '…', ':']) {
        ""
    } else {
        "."
    };
    match fix.map(str::trim).filter(|fix| !fix.is_empty()) {
        Some(fix) => format!("{why}{stop} To fix: {fix}"),
        None => format!("{why}{stop}"),
    }
}

/// `parted` undoes [`sentence`]: the cause, and the fix where the text has one.
pub fn parted(text: &str) -> (&str, Option<&str>) {
    match text.split_once("To fix: ") {
        Some((why, fix)) => (why.trim_end(), Some(fix.trim_end())),
        None => (text.trim_end(), None),
    }
}

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
    /// `why` is a sentence.
    pub why: String,
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
        // What the host says of a permission begins with the plugin.
        let denied = text.starts_with("The plugin ") && text.contains(" permission");
        let parts = match text.split_once(" To allow it, ") {
            Some((why, fix)) if denied => (why, Some(fix.trim_end())),
            None if denied => (text.trim_end(), Some("")),
            _ => parted(&text),
        };
        let (why, fix) = match parts {
            (found, Some(fix)) if denied => (found.to_owned(), fix),
            (found, Some(fix)) if missing && not_found(found).is_some() => (not_found(found).unwrap_or_default(), fix),
            (found, Some(fix)) if missing => (format!("{title} is not installed: {found}"), fix),
            (found, Some(fix)) => (found.to_owned(), fix),
            (fix, None) if missing => (format!("{title} is not installed."), fix),
            (fix, None) => (format!("This version of {title} cannot be used."), fix),
        };
        let fix = Some(fix.to_owned()).filter(|fix| !fix.is_empty());
        Some(Self { why, fix })
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
        f.write_str(&sentence(&self.why, self.fix.as_deref()))
    }
}

/// `Trouble` is a part of the host that does not work while the rest does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trouble {
    /// `part` is what does not work: `metrics`, `notify`, `plugin tunnel-mine`.
    #[schema(examples("metrics"))]
    pub part: String,
    /// `why` is a sentence.
    pub why: String,
    /// `fix` is what to do: a command, or lines for the configuration.
    #[schema(required)]
    pub fix: Option<String>,
}

impl Trouble {
    /// Makes one whose fix is known: a command, or lines for the configuration.
    pub fn new(part: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            part: part.into(),
            why: why.into(),
            fix: Some(fix.into()),
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A part of a part, as `tunnel home: plugin tunnel-mine`, does not work.
        let fails = match self.part.as_str() {
            part if part.starts_with("tunnel ") && !part.contains(": ") => "cannot open",
            "metrics" => "do not work",
            _ => "does not work",
        };
        write!(f, "{} {fails}: {}", self.part, sentence(&self.why, self.fix.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_ends_with_a_full_stop_and_the_fix_follows_it() {
        assert_eq!(sentence("bore has no TLS", None), "bore has no TLS.");
        assert_eq!(
            sentence("bore has no TLS.", Some("run this")),
            "bore has no TLS. To fix: run this"
        );
        assert_eq!(
            sentence("error: a\n 1 | b", Some("run this")),
            "error: a\n 1 | b To fix: run this"
        );
        let both = sentence("bore has no TLS", Some("run this"));
        assert_eq!(parted(&both), ("bore has no TLS.", Some("run this")));
        assert_eq!(parted("no more"), ("no more", None));
    }

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
            problem(Availability::Unsuitable(format!(
                "{denied} To allow it, add this:\n[x]\n"
            ))),
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
