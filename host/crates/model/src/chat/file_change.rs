//! What happens to files: by a tool call, by what a permission would allow, in a session as a whole.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// `ChangeKind` says what happens to a file: `added`, `modified` or `deleted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// `Added`: there was no such file.
    Added,
    /// `Modified`: the file has another content.
    #[default]
    Modified,
    /// `Deleted`: there is no such file any more.
    Deleted,
}

/// `FileChange` is what happened, or would happen, to one file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct FileChange {
    /// `path` is the file as the agent named it: relative to the project folder, or absolute.
    pub path: String,
    /// `kind` says what happens to the file.
    pub kind: ChangeKind,
    /// `diff` is the change as a unified diff. Absent: it is not text, or not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub diff: Option<String>,
    /// `added_lines` is the number of lines that are added.
    pub added_lines: u32,
    /// `deleted_lines` is the number of lines that are deleted.
    pub deleted_lines: u32,
}

/// `EACH` is about what a change costs besides its texts, in memory and as JSON.
const EACH: usize = 128;

impl FileChange {
    /// `size` is about what it costs to hold, in bytes.
    pub fn size(&self) -> usize {
        EACH + self.path.len() + self.diff.as_ref().map_or(0, String::len)
    }

    /// `of_diff` is the change of one file that a unified diff describes.
    fn of_diff(diff: String) -> Self {
        let named = |mark: &str| diff.lines().find_map(|line| line.strip_prefix(mark));
        let path = named("+++ ").or_else(|| named("--- ")).unwrap_or_default().to_owned();
        let count = |sign: char, mark: &str| {
            let lines = diff
                .lines()
                .filter(|line| line.starts_with(sign) && !line.starts_with(mark));
            u32::try_from(lines.count()).unwrap_or(u32::MAX)
        };
        Self {
            path,
            kind: ChangeKind::Modified,
            added_lines: count('+', "+++ "),
            deleted_lines: count('-', "--- "),
            diff: Some(diff),
        }
    }
}

/// `size` is about what they cost to hold, in bytes.
pub(super) fn size(changes: &[FileChange]) -> usize {
    changes.iter().map(FileChange::size).sum()
}

/// Reads changes, and the one diff that 0.1 wrote in their place.
pub(super) fn changes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<FileChange>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Changes(Vec<FileChange>),
        Diff(String),
    }
    Ok(match Written::deserialize(from)? {
        Written::Changes(changes) => changes,
        Written::Diff(diff) => vec![FileChange::of_diff(diff)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::AgentRequest;

    #[test]
    fn the_diff_of_0_1_is_a_change() {
        let written = r#"{"id":"a","requested_by":"s","permission":true,"subject":"edit","detail":"d","always":[],"created_at":3,
            "change":"Index: /w/a.txt\n===\n--- /w/a.txt\n+++ /w/a.txt\n@@ -1,2 +1,1 @@\n-one\n-two\n+three\n"}"#;
        let read: Result<AgentRequest, _> = serde_json::from_str(written);
        let changes = read.map(|request| request.changes).unwrap_or_default();
        let shown: Vec<_> = changes
            .iter()
            .map(|change| (change.path.as_str(), change.added_lines, change.deleted_lines))
            .collect();
        assert_eq!(shown, [("/w/a.txt", 1, 2)]);
        let again = serde_json::to_string(&changes).unwrap_or_default();
        assert_eq!(serde_json::from_str::<Vec<FileChange>>(&again).ok(), Some(changes));
    }
}
