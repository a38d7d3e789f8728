//! What opencode says of changes to files, in the metadata of calls and requests, as changes of the contract.

use crate::wire::{self, text_of};
use nexus_plugin_api::chat::types::{ChangeKind, FileChange};
use serde_json::Value;

/// `File` is one of the files of a patch.
pub struct File {
    /// `kind` is `add`, `update`, `delete` or `move`.
    pub kind: String,
    pub path: String,
    /// `target` is where a file is moved to.
    pub target: Option<String>,
    patch: String,
    /// `counted`: opencode says that lines are added or deleted.
    counted: bool,
}

/// `files` are the files of a patch; none for a change of another tool.
pub fn files(metadata: &Value) -> Vec<File> {
    let files = metadata.get("files").and_then(Value::as_array).into_iter().flatten();
    let counts = |file: &Value, key: &str| file.get(key).and_then(Value::as_f64).is_some_and(|lines| lines > 0.0);
    files
        .map(|file| File {
            kind: text_of(file, "type").unwrap_or_else(|| "changes".to_owned()),
            path: text_of(file, "filePath")
                .or_else(|| text_of(file, "relativePath"))
                .unwrap_or_default(),
            target: text_of(file, "movePath"),
            patch: text_of(file, "patch")
                .or_else(|| text_of(file, "diff"))
                .unwrap_or_default(),
            counted: counts(file, "additions") || counts(file, "deletions"),
        })
        .collect()
}

impl File {
    /// `change` has the file under its name after the change. opencode puts the same name into both headers of a diff, even
    /// if a file is added, moved or deleted.
    fn change(&self, folder: &str) -> FileChange {
        let path = relative_path(&self.path, folder);
        let target = self.target.as_deref().map_or(path, |to| relative_path(to, folder));
        let (kind, old, new) = match self.kind.as_str() {
            "add" => (ChangeKind::Added, "/dev/null", path),
            "delete" => (ChangeKind::Deleted, path, "/dev/null"),
            _ => (ChangeKind::Modified, path, target),
        };
        let hunks = hunks(&self.patch).or_else(|| self.changes_no_line().then_some(""));
        of_diff(
            target,
            kind,
            hunks.map(|hunks| format!("--- {old}\n+++ {new}\n{hunks}")),
        )
    }

    /// `changes_no_line` tells whether a patch without a hunk says all: an empty file is added or deleted, or a file is
    /// only moved. Of an empty file that is deleted opencode counts a line.
    fn changes_no_line(&self) -> bool {
        let whole = match self.kind.as_str() {
            "delete" => true,
            "add" | "move" => !self.counted,
            _ => false,
        };
        whole && !self.patch.trim().is_empty()
    }
}

/// `hunks` is a diff from its first hunk on; `None`: it has none. A file's name may have `@@` in it, and no line of the
/// headers begins with that.
fn hunks(diff: &str) -> Option<&str> {
    if diff.starts_with(HUNK) {
        return Some(diff);
    }
    let (headers, _) = diff.split_once(&format!("\n{HUNK}"))?;
    diff.get(headers.len() + 1..)
}

/// `HUNK` begins the line before the lines of a hunk.
const HUNK: &str = "@@ ";

/// `of_metadata` are the changes that a call made, or would make. `path` is the file of a call that changes only one. A
/// change without a diff is one of which opencode does not say what it is.
pub fn of_metadata(metadata: &Value, path: &str, folder: &str) -> Vec<FileChange> {
    let files = files(metadata);
    if !files.is_empty() {
        return files.iter().map(|file| file.change(folder)).collect();
    }
    let diff = text_of(metadata, "diff").filter(|diff| !diff.trim().is_empty());
    diff.into_iter()
        .map(|diff| {
            let created = diff.lines().any(|line| line.starts_with("@@ -0,0 "));
            let kind = if created {
                ChangeKind::Added
            } else {
                ChangeKind::Modified
            };
            let shown = hunks(&diff).is_some().then_some(diff);
            of_diff(relative_path(path, folder), kind, shown)
        })
        .collect()
}

/// `of_call` are the changes that a finished call made. Of a file that was written as a whole opencode says whether it was
/// there before, and not what was in it.
pub fn of_call(state: &wire::ToolState, folder: &str) -> Vec<FileChange> {
    let metadata = &state.metadata;
    let edited = metadata.get("filediff").and_then(|diff| text_of(diff, "file"));
    let path = edited
        .or_else(|| text_of(metadata, "filepath"))
        .or_else(|| text_of(&state.input, "filePath"))
        .unwrap_or_default();
    let changes = of_metadata(metadata, &path, folder);
    let existed = metadata.get("exists").and_then(Value::as_bool);
    let written = state.input.get("content").and_then(Value::as_str);
    match (existed, written) {
        (Some(existed), Some(content)) if changes.is_empty() => vec![FileChange {
            path: relative_path(&path, folder).to_owned(),
            kind: if existed {
                ChangeKind::Modified
            } else {
                ChangeKind::Added
            },
            diff: None,
            added_lines: if existed { 0 } else { count(content.lines()) },
            deleted_lines: 0,
        }],
        _ => changes,
    }
}

fn of_diff(path: &str, kind: ChangeKind, diff: Option<String>) -> FileChange {
    let (added_lines, deleted_lines) = diff.as_deref().map(count_lines).unwrap_or_default();
    FileChange {
        path: path.to_owned(),
        kind,
        diff,
        added_lines,
        deleted_lines,
    }
}

/// `count_lines` are the lines that a diff adds and deletes. Before its hunks, `+++` and `---` are headers.
fn count_lines(diff: &str) -> (u32, u32) {
    let (mut added, mut deleted, mut in_hunk) = (0, 0, false);
    for line in diff.lines() {
        match line.bytes().next() {
            Some(b'@') => in_hunk = true,
            Some(b'+') if in_hunk => added += 1,
            Some(b'-') if in_hunk => deleted += 1,
            Some(b'+' | b'-' | b' ' | b'\\') | None => {}
            Some(_) => in_hunk = false,
        }
    }
    (added, deleted)
}

fn count(lines: std::str::Lines<'_>) -> u32 {
    u32::try_from(lines.count()).unwrap_or(u32::MAX)
}

/// `relative_path` is a path without the workspace, if it is inside.
pub fn relative_path<'a>(path: &'a str, folder: &str) -> &'a str {
    let inside = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
    inside
        .filter(|rest| !rest.is_empty() && !folder.is_empty())
        .unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(input: Value, metadata: Value) -> Vec<FileChange> {
        let state = wire::ToolState {
            input,
            metadata,
            ..wire::ToolState::default()
        };
        of_call(&state, "/w")
    }

    fn change(path: &str, kind: ChangeKind, diff: Option<&str>, lines: (u32, u32)) -> FileChange {
        FileChange {
            path: path.to_owned(),
            kind,
            diff: diff.map(str::to_owned),
            added_lines: lines.0,
            deleted_lines: lines.1,
        }
    }

    #[test]
    fn lines_are_counted_in_hunks_alone() {
        let one =
            "Index: a\n===\n--- a\n+++ a\n@@ -1,3 +1,4 @@\n one\n-two\n--- x\n+zwei\n+++ y\n\n three\n\\ No newline";
        assert_eq!(count_lines(one), (2, 2));
        let two = format!("{one}\nIndex: b\n--- b\n+++ b\n@@ -1 +0,0 @@\n-m\n");
        assert_eq!(count_lines(&two), (2, 3));
        assert_eq!(count_lines("+x\n"), (0, 0));
    }

    /// The metadata is that of opencode 1.18.33.
    #[test]
    fn an_edit_and_a_written_file_are_changes() {
        let diff = "Index: /w/a\n===\n--- /w/a\n+++ /w/a\n@@ -1,1 +1,2 @@\n-two\n+zwei\n+drei\n";
        let edited = json!({"diagnostics": {}, "diff": diff, "filediff": {"file": "/w/a", "patch": diff, "additions": 2, "deletions": 1}});
        assert_eq!(
            call(json!({"filePath": "/w/a"}), edited),
            [change("a", ChangeKind::Modified, Some(diff), (2, 1))]
        );
        let write = |exists: bool| {
            let input = json!({"filePath": "/w/n", "content": "x\ny\n"});
            call(input, json!({"diagnostics": {}, "filepath": "/w/n", "exists": exists}))
        };
        assert_eq!(write(false), [change("n", ChangeKind::Added, None, (2, 0))]);
        assert_eq!(write(true), [change("n", ChangeKind::Modified, None, (0, 0))]);
        assert_eq!(call(json!({"command": "ls"}), json!({"output": "a", "exit": 0})), []);
        assert_eq!(call(json!({"filePath": "/w/a"}), Value::Null), []);
    }

    #[test]
    fn a_diff_of_a_file_that_was_not_there_adds_it() {
        let diff = "--- /e/n\n+++ /e/n\n@@ -0,0 +1,1 @@\n+x\n";
        let changes = of_metadata(&json!({"filepath": "/e/n", "diff": diff}), "/e/n", "/w");
        assert_eq!(changes, [change("/e/n", ChangeKind::Added, Some(diff), (1, 0))]);
        assert_eq!(of_metadata(&json!({"diff": " \n"}), "/e/n", "/w"), []);
        // Lines that differ in how they end alone.
        let headers = json!({"diff": "Index: /w/a\n===\n--- /w/a\n+++ /w/a\n"});
        let unknown = change("a", ChangeKind::Modified, None, (0, 0));
        assert_eq!(of_metadata(&headers, "/w/a", "/w"), [unknown]);
    }

    /// `patched` is a file of a patch as opencode 1.18.33 writes it, with the hunks after its headers.
    fn patched(kind: &str, path: &str, hunks: &str, lines: (u32, u32)) -> Value {
        let patch = format!("Index: {path}\n===\n--- {path}\n+++ {path}\n{hunks}");
        json!({"type": kind, "filePath": path, "patch": patch, "additions": lines.0, "deletions": lines.1})
    }

    #[test]
    fn a_name_is_not_taken_for_a_hunk() {
        let hunk = "@@ -1 +1 @@\n-a\n+b\n";
        for (folder, path, name) in [
            ("/w", "/w/a@@b.sh", "a@@b.sh"),
            ("/w", "/w/@@ -1 +1 @@/b.sh", "@@ -1 +1 @@/b.sh"),
            ("/w@@ x", "/w@@ x/b.sh", "b.sh"),
            ("/w", "@@ b.sh", "@@ b.sh"),
        ] {
            let metadata = json!({"files": [patched("update", path, hunk, (1, 1))]});
            let diff = format!("--- {name}\n+++ {name}\n{hunk}");
            let whole = change(name, ChangeKind::Modified, Some(&diff), (1, 1));
            assert_eq!(of_metadata(&metadata, "", folder), [whole], "{path}");
        }
        assert_eq!(hunks(hunk), Some(hunk));
        assert_eq!(hunks("Index: a@@b\n@@\n"), None);
    }

    #[test]
    fn a_patch_without_a_hunk_is_a_diff_only_where_no_line_changes() {
        let of = |file: Value| {
            let changes = of_metadata(&json!({"files": [file]}), "", "/w");
            changes.into_iter().next().and_then(|change| change.diff)
        };
        let added = of(patched("add", "/w/a", "", (0, 0)));
        assert_eq!(added.as_deref(), Some("--- /dev/null\n+++ a\n"));
        let deleted = of(patched("delete", "/w/a", "", (0, 1)));
        assert_eq!(deleted.as_deref(), Some("--- a\n+++ /dev/null\n"));
        let mut moved = patched("move", "/w/a", "", (0, 0));
        moved["movePath"] = json!("/w/b");
        assert_eq!(of(moved.clone()).as_deref(), Some("--- a\n+++ b\n"));
        moved["additions"] = json!(1);
        for unknown in [
            moved,
            patched("add", "/w/a", "", (1, 0)),
            patched("update", "/w/a", "", (0, 0)),
            json!({"type": "delete", "filePath": "/w/a"}),
            json!({"filePath": "/w/a", "patch": "-a\n+b\n"}),
        ] {
            assert_eq!(of(unknown.clone()), None, "{unknown}");
        }
    }
}
