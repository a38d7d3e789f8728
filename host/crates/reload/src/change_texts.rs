//! The changes of the file, and what came of them, in words.

use crate::apply_plan::path;
use nexus_config::changes::{Change, Values, show};
use nexus_model::reload;
use nexus_model::trouble::cause_and_fix;
use std::path::Path;

const NOT_SHOWN: &str = "…";

/// The last part of the key under which the content of a secret is compared.
pub(super) const CONTENT: &str = "(content)";

/// What came of a confirmation, and whether some of it failed. `taken` of `all` changes are active.
pub(super) fn applied(taken: usize, all: usize) -> (String, bool) {
    let failed = all.saturating_sub(taken);
    let was = if taken == 1 { "was" } else { "were" };
    let result = match failed {
        0 if all == 1 => "the change was applied".to_owned(),
        0 => format!("all {all} changes were applied"),
        _ if all == 1 => "the change was not applied".to_owned(),
        failed => format!("{taken} of {all} changes {was} applied; {failed} failed"),
    };
    (result, failed > 0)
}

/// A change as it is shown. `file`: what is written now.
pub(super) fn shown(change: &Change, file: &Values, error: Option<String>) -> reload::Change {
    let hidden = match path(change).as_slice() {
        ["notify", key, ..] => *key != "events",
        [.., CONTENT] => true,
        _ => false,
    };
    let value = |value: &Option<toml::Value>| {
        let value = value.as_ref()?;
        let whole = show(value).filter(|_| !hidden);
        Some(whole.unwrap_or_else(|| NOT_SHOWN.to_owned()))
    };
    let name = change.name();
    let (cause, fix) = match error.as_deref().map(cause_and_fix) {
        Some((cause, fix)) => (Some(cause.to_owned()), fix.map(str::to_owned)),
        None => (None, None),
    };
    reload::Change {
        note: name.as_ref().and_then(|_| of_secret(change, file)),
        key: name.unwrap_or_else(|| NOT_SHOWN.to_owned()),
        old_value: value(&change.was),
        new_value: value(&change.now),
        cause,
        fix,
    }
}

/// The first of the mistakes of a report, with its place and what shows all of them.
pub(super) fn invalid(report: &str, file: Option<&Path>) -> String {
    let first = report.lines().next().unwrap_or_default();
    let first = first.trim_start_matches("error: ").trim_end_matches('.');
    let place = report.lines().find_map(|line| line.trim().strip_prefix("--> "));
    let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
    let check = match file {
        Some(file) => format!(
            "nexus config check {}",
            nexus_config::shell_word(&file.display().to_string())
        ),
        None => "nexus config check".to_owned(),
    };
    format!("{place}{first}. To fix: run `{check}`, which shows each mistake")
}

/// What changed, where it is the content of a secret.
fn of_secret(change: &Change, file: &Values) -> Option<String> {
    let ["plugin", plugin, "secrets", name, CONTENT] = path(change)[..] else {
        return None;
    };
    let written = file.get(&["plugin", plugin, "secrets", name, "file"]).and_then(show);
    let of = match written {
        Some(path) => format!(
            "The file of the secret `{name}` of {plugin} ({})",
            path.trim_matches('"')
        ),
        None => format!("The secret `{name}` of {plugin}"),
    };
    Some(match (&change.was, &change.now) {
        (None, _) => format!("{of} is new."),
        (_, None) => format!("{of} is removed."),
        (Some(_), Some(_)) => format!("{of} has new content."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_has_its_place_and_what_shows_it() {
        let report = "error: `webb` is not a known table or key\n  --> /etc/nexus.toml:2:2\n   |\n\n1 problem";
        assert_eq!(
            invalid(report, Some(Path::new("/etc/nexus.toml"))),
            "/etc/nexus.toml:2:2: `webb` is not a known table or key. To fix: run `nexus config check \
             /etc/nexus.toml`, which shows each mistake"
        );
    }

    #[test]
    fn a_confirmation_says_how_many_of_the_changes_were_applied() {
        for (taken, all, result) in [
            (1, 1, ("the change was applied", false)),
            (0, 1, ("the change was not applied", true)),
            (4, 4, ("all 4 changes were applied", false)),
            (1, 4, ("1 of 4 changes was applied; 3 failed", true)),
            (0, 4, ("0 of 4 changes were applied; 4 failed", true)),
        ] {
            assert_eq!(applied(taken, all), (result.0.to_owned(), result.1));
        }
    }

    #[test]
    fn the_new_content_of_a_secret_is_named_by_its_file_and_not_shown() {
        let digest = |text: &str| Some(toml::Value::String(text.to_owned()));
        let key = ["plugin", "tunnel-ssh", "secrets", "identity", CONTENT];
        let change = Change {
            key: key.map(str::to_owned).to_vec(),
            was: digest("1a2b"),
            now: digest("3c4d"),
        };
        let file = Values::read("[plugin.tunnel-ssh.secrets]\nidentity = { file = \"/k/id\" }");
        let of_file = shown(&change, &file, None);
        assert_eq!(
            of_file.note.as_deref(),
            Some("The file of the secret `identity` of tunnel-ssh (/k/id) has new content.")
        );
        assert_eq!(
            (of_file.old_value.as_deref(), of_file.new_value.as_deref()),
            (Some(NOT_SHOWN), Some(NOT_SHOWN))
        );
        let elsewhere = shown(&change, &Values::default(), None);
        assert_eq!(
            elsewhere.note.as_deref(),
            Some("The secret `identity` of tunnel-ssh has new content.")
        );
    }
}
