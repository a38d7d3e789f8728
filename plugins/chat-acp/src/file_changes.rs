//! The changes that a tool call makes to files, as unified diffs. An agent sends the text before and after.

use nexus_plugin_api::chat::types::{ChangeKind, FileChange};
use similar::{ChangeTag, TextDiff};
use std::time::Duration;

/// `COMPARED` is how many bytes of both texts together are compared.
const COMPARED: usize = 2 << 20;
/// `TIME` is how long a comparison may look for the smallest change; then it takes one that is larger.
const TIME: Duration = Duration::from_millis(200);

/// `change` is the change of one file. `old`: `None`, there was no file. `folder` is the workspace.
pub fn change(path: &str, old: Option<&str>, new: &str, folder: &str) -> FileChange {
    let name = relative_path(path, folder);
    let kind = if old.is_none() {
        ChangeKind::Added
    } else {
        ChangeKind::Modified
    };
    let before = old.unwrap_or_default();
    let mut change = FileChange {
        path: name.to_owned(),
        kind,
        diff: None,
        added_lines: 0,
        deleted_lines: 0,
    };
    if before.len() + new.len() > COMPARED {
        return change;
    }
    let diff = TextDiff::configure().timeout(TIME).diff_lines(before, new);
    for line in diff.iter_all_changes() {
        match line.tag() {
            ChangeTag::Insert => change.added_lines += 1,
            ChangeTag::Delete => change.deleted_lines += 1,
            ChangeTag::Equal => {}
        }
    }
    // A name with a line break in it would add lines to the headers.
    let header = name.replace(['\n', '\r'], "\u{fffd}");
    let from = if old.is_none() { "/dev/null" } else { header.as_str() };
    let hunks = diff.unified_diff().context_radius(3).to_string();
    change.diff = Some(format!("--- {from}\n+++ {header}\n{hunks}"));
    change
}

/// `of_diff` is the change of one file whose diff the agent made; `None`: it has no hunk.
pub fn of_diff(path: &str, diff: &str, folder: &str) -> Option<FileChange> {
    let hunks = diff.lines().skip_while(|line| !line.starts_with("@@ "));
    let (mut added_lines, mut deleted_lines, mut any) = (0, 0, false);
    for line in hunks {
        any = true;
        added_lines += u32::from(line.starts_with('+'));
        deleted_lines += u32::from(line.starts_with('-'));
    }
    let created = diff.lines().any(|line| line.starts_with("@@ -0,0 "));
    any.then(|| FileChange {
        path: relative_path(path, folder).to_owned(),
        kind: if created {
            ChangeKind::Added
        } else {
            ChangeKind::Modified
        },
        diff: Some(diff.to_owned()),
        added_lines,
        deleted_lines,
    })
}

/// `relative_path` is a path without the workspace, if it is inside.
fn relative_path<'a>(path: &'a str, folder: &str) -> &'a str {
    let inside = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
    inside
        .filter(|rest| !rest.is_empty() && !folder.is_empty())
        .unwrap_or(path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_change_has_its_hunks_and_its_lines() {
        let of = change("/w/a.txt", Some("one\ntwo\nthree\n"), "one\nzwei\ndrei\nthree\n", "/w");
        assert_eq!((of.path.as_str(), of.kind), ("a.txt", ChangeKind::Modified));
        assert_eq!((of.added_lines, of.deleted_lines), (2, 1));
        assert_eq!(
            of.diff.unwrap(),
            "--- a.txt\n+++ a.txt\n@@ -1,3 +1,4 @@\n one\n-two\n+zwei\n+drei\n three\n"
        );
        let new = change("/e/b", None, "x", "/w");
        assert_eq!(
            (new.path.as_str(), new.kind, new.added_lines),
            ("/e/b", ChangeKind::Added, 1)
        );
        assert_eq!(
            new.diff.unwrap(),
            "--- /dev/null\n+++ /e/b\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n"
        );
        assert_eq!(
            change("a", Some("x\n"), "x\n", "").diff.as_deref(),
            Some("--- a\n+++ a\n")
        );
    }

    #[test]
    fn a_change_that_is_too_large_has_no_diff_and_a_name_is_one_line() {
        let large = "x\n".repeat(COMPARED);
        assert_eq!(change("a", Some(""), &large, "").diff, None);
        let hostile = change("a\n+++ b", None, "x\n", "/w").diff.unwrap();
        assert_eq!(hostile.lines().count(), 4, "{hostile}");
    }

    #[test]
    fn a_diff_of_the_agent_is_a_change() {
        let diff = "Index: /w/a\n===\n--- /w/a\n+++ /w/a\n@@ -1,2 +1,2 @@\n one\n-two\n+zwei\n";
        let of = of_diff("/w/a", diff, "/w").unwrap();
        assert_eq!(
            (of.path.as_str(), of.kind, of.added_lines, of.deleted_lines),
            ("a", ChangeKind::Modified, 1, 1)
        );
        assert_eq!(of_diff("a", "@@ -0,0 +1 @@\n+x\n", "").unwrap().kind, ChangeKind::Added);
        assert_eq!(of_diff("a", "no diff", ""), None);
    }

    /// What shares no line with the other text is the worst of all.
    #[test]
    fn a_comparison_ends() {
        let text = |salt: u32| {
            (0..60_000)
                .map(|n| format!("{}\n", (n * 7_919 + salt) % 9_973))
                .collect::<String>()
        };
        let begun = std::time::Instant::now();
        assert!(change("a", Some(&text(1)), &text(5), "").diff.is_some());
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
