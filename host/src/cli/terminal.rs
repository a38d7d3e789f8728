//! What the subcommands write.

use nexus_plugin_api::text;

/// A line for the person, on stdout. Text from outside was made safe where it entered; what slipped in otherwise (a path, a
/// system's words) does not reach a terminal either.
pub(super) fn say(line: &str) {
    as_it_is(&text::prose(line));
}

/// JSON, for programs.
pub(super) fn as_it_is(line: &str) {
    use std::io::Write as _;
    // Whoever closed stdout does not want to hear about it.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// A line for the person, on stderr.
pub(super) fn complain(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{}", text::prose(line));
}
