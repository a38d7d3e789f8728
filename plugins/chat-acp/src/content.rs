//! Content blocks of an agent as text, and as files that the owner can look at.

use crate::wire::{Block, Resource};
use data_encoding::BASE64;
use nexus_plugin_api::chat::types::{Attachment, FileContent};
use std::collections::VecDeque;

/// `KEPT` is how many bytes of the files of agents are kept, in the memory of this instance; the oldest go first.
const KEPT: usize = 24 << 20;
/// `FILE` is the largest file, in bytes: what `attachments.read` may give.
const FILE: usize = 8 << 20;

/// `Files` are what agents made: images, sounds.
#[derive(Debug, Default)]
pub struct Files {
    kept: VecDeque<(String, FileContent)>,
    bytes: usize,
    count: u64,
}

impl Files {
    /// Keeps a file that came as base64. `prefix` begins its id. One that cannot be read, or is too large, has no id.
    pub fn keep(&mut self, prefix: &str, mime: &str, base64: &str) -> Attachment {
        // With its padding, which is two bytes at most.
        let size = base64.len() / 4 * 3;
        let data = (size <= FILE + 2)
            .then(|| BASE64.decode(base64.as_bytes()).ok())
            .flatten();
        let data = data.filter(|data| data.len() <= FILE);
        let mut attachment = Attachment {
            id: None,
            mime: mime.to_owned(),
            name: None,
            size: u64::try_from(data.as_ref().map_or(size, Vec::len)).ok(),
        };
        let Some(data) = data else { return attachment };
        self.count += 1;
        let id = format!("{prefix}-{}", self.count);
        self.bytes += data.len();
        let mime = mime.to_owned();
        self.kept.push_back((id.clone(), FileContent { mime, data }));
        while self.bytes > KEPT
            && let Some((_, oldest)) = self.kept.pop_front()
        {
            self.bytes -= oldest.data.len();
        }
        attachment.id = Some(id);
        attachment
    }

    pub fn read(&self, id: &str) -> Option<FileContent> {
        self.kept
            .iter()
            .find(|(known, _)| known == id)
            .map(|(_, file)| file.clone())
    }
}

/// `Shown` is what a block is to its reader.
#[derive(Debug, PartialEq)]
pub enum Shown {
    Text(String),
    File {
        mime: String,
        base64: String,
    },
    /// `Nothing`: a kind that this plugin does not know.
    Nothing,
}

/// `shown` is a block as Markdown, or as a file.
pub fn shown(block: Block) -> Shown {
    match block {
        Block::Text { text } => Shown::Text(text),
        Block::Image { data, mime_type } | Block::Audio { data, mime_type } => Shown::File {
            mime: mime_type,
            base64: data,
        },
        // Not a link: where it leads is the agent's word, and mostly this machine.
        Block::ResourceLink { uri, name } => Shown::Text(format!("{name} ({uri})")),
        Block::Resource { resource } => resource_shown(resource),
        Block::Unknown => Shown::Nothing,
    }
}

fn resource_shown(resource: Resource) -> Shown {
    match (resource.text, resource.blob) {
        (Some(text), _) => Shown::Text(text),
        (None, Some(base64)) => Shown::File {
            mime: resource
                .mime_type
                .unwrap_or_else(|| "application/octet-stream".to_owned()),
            base64,
        },
        (None, None) => Shown::Text(resource.uri),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn block(value: Value) -> Shown {
        shown(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn blocks_are_text_or_files() {
        let text = |text: &str| Shown::Text(text.to_owned());
        assert_eq!(block(json!({"type": "text", "text": "a"})), text("a"));
        assert_eq!(
            block(json!({"type": "resource_link", "uri": "file:///a", "name": "A"})),
            text("A (file:///a)")
        );
        assert_eq!(
            block(json!({"type": "resource", "resource": {"uri": "u", "text": "t"}})),
            text("t")
        );
        let file = Shown::File {
            mime: "image/png".into(),
            base64: "AA==".into(),
        };
        assert_eq!(
            block(json!({"type": "image", "mimeType": "image/png", "data": "AA=="})),
            file
        );
        assert_eq!(block(json!({"type": "hologram"})), Shown::Nothing);
    }

    #[test]
    fn the_oldest_files_go_first_and_what_is_none_has_no_id() {
        let mut files = Files::default();
        let large = BASE64.encode(&vec![7; FILE]);
        let ids: Vec<_> = (0..4)
            .map(|_| files.keep("s", "image/png", &large).id.unwrap())
            .collect();
        assert!(files.bytes <= KEPT && files.read(&ids[0]).is_none());
        assert_eq!(files.read(&ids[3]).unwrap().data.len(), FILE);
        assert_eq!(files.keep("s", "image/png", "not base64!").id, None);
        assert_eq!(
            files.keep("s", "image/png", &BASE64.encode(&vec![7; FILE + 3])).id,
            None
        );
    }
}
