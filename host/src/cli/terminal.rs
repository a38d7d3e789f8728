//! What the subcommands write.

use nexus_model::trouble::uncapitalized;
use nexus_plugin_api::text;

/// A line for the person, on stdout. Text from outside was made safe where it entered; what slipped in otherwise (a path, a
/// system's words) does not reach a terminal either.
pub(super) fn say(line: &str) {
    print_raw(&text::prose(line));
}

/// JSON, for programs.
pub(super) fn print_raw(line: &str) {
    use std::io::Write as _;
    // Whoever closed stdout does not want to hear about it.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Why a command failed, on stderr: `error: ` and the text, which goes on in lower case.
pub(super) fn print_failure(text: &str) {
    const BEGIN: [&str; 9] = ["The", "This", "There", "That", "A", "An", "It", "No", "Nobody"];
    let begins = text.split_once(' ').is_some_and(|(word, _)| BEGIN.contains(&word));
    let text = if begins { uncapitalized(text) } else { text.to_owned() };
    print_error(&format!("error: {text}"));
}

/// A line for the person, on stderr.
pub(super) fn print_error(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{}", text::prose(line));
}
