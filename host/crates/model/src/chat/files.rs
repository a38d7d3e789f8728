//! The files of a project folder, and those of messages.

use super::ext::Ext;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `Attachment` is a file that belongs to a message or to a tool call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Attachment {
    /// `id` is the id with which its content is read. Absent: its content cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub id: Option<String>,
    /// `mime` is the media type of the file.
    #[schema(examples("image/png"))]
    pub mime: String,
    /// `name` is the name of the file. Null: it has none.
    #[schema(required)]
    pub name: Option<String>,
    /// `size` is the size of the file in bytes. Absent: it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub size: Option<u64>,
}

impl Attachment {
    /// `with_id` is one of which nothing else is known yet.
    pub fn with_id(id: String) -> Self {
        Self {
            id: Some(id),
            ..Self::default()
        }
    }

    /// `text_bytes` is the number of bytes of text in it, nearly.
    pub fn text_bytes(&self) -> usize {
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.mime.len() + optional(&self.id) + optional(&self.name)
    }
}

/// `FileContent` is the content of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct FileContent {
    /// `mime` is its media type, as whoever gave it says.
    pub mime: String,
    /// `data` are its bytes.
    pub data: Vec<u8>,
}

impl std::fmt::Debug for FileContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes of {}", self.data.len(), self.mime)
    }
}

/// `NewAttachment` is a file that the user adds to a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttachment {
    /// `name` is the file's name, without a folder.
    pub name: String,
    /// `content` is its content.
    pub content: FileContent,
}

/// `FileEntry` is a file or folder of a project folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileEntry {
    /// `path` is relative to the project folder.
    #[schema(examples("src/main.rs"))]
    pub path: String,
    /// `folder` is true for a folder.
    pub folder: bool,
    /// `size` is the size of a file in bytes. Absent: it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub size: Option<u64>,
}

/// `FoundLine` is a line of a file in which a text was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundLine {
    /// `path` is relative to the project folder.
    pub path: String,
    /// `line` is the number of the line, counted from 1.
    pub line: u32,
    /// `text` is the line.
    pub text: String,
}

/// `Workspace` is a project folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Workspace {
    /// `path` is absolute.
    pub path: String,
    /// `title` is its name for people.
    pub title: String,
    /// `branch` is what is checked out in it. Absent: it is not known, or the folder is not under version control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub branch: Option<String>,
    /// `ext` has what the backend's plugin says of the folder beside all that.
    #[serde(default, skip_serializing_if = "Ext::is_empty")]
    pub ext: Ext,
}
