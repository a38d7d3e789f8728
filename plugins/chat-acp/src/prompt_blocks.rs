//! A prompt as content blocks.
//!
//! A plugin sees no files, so it cannot offer those of the workspace: the owner points at one by writing `@` before its path,
//! and the agent is given a link to it besides the text.

use crate::wire::PromptCapabilities;
use data_encoding::BASE64;
use nexus_plugin_api::chat::{Input, NewAttachment};
use nexus_plugin_api::http::encode;
use serde_json::{Value, json};

/// `LINKS` is how many files that are named in a text are linked.
const LINKS: usize = 16;

/// `blocks` are the parts of a prompt. `folder` is where its session works.
///
/// # Errors
/// Why the agent cannot be given it: a sentence.
pub fn blocks(parts: Vec<Input>, can: PromptCapabilities, folder: &str) -> Result<Vec<Value>, String> {
    let mut blocks = Vec::new();
    for part in parts {
        match part {
            Input::Text(text) => {
                let links: Vec<Value> = mentions(&text).take(LINKS).map(|path| link(folder, path)).collect();
                blocks.push(json!({"type": "text", "text": text}));
                blocks.extend(links);
            }
            Input::Attachment(attachment) => blocks.push(attached(&attachment, can)?),
            Input::File(path) => blocks.push(link(folder, &path)),
            Input::Command(call) => {
                let text = format!("/{} {}", call.name, call.arguments);
                blocks.push(json!({"type": "text", "text": text.trim_end()}));
            }
            Input::Other(ext) => return Err(format!("An ACP agent cannot be given {:?}.", ext.name)),
        }
    }
    Ok(blocks)
}

fn link(folder: &str, path: &str) -> Value {
    let whole = format!("{folder}/{path}");
    let segments: Vec<String> = whole.split('/').map(encode).collect();
    json!({"type": "resource_link", "uri": format!("file://{}", segments.join("/")), "name": path})
}

fn attached(attachment: &NewAttachment, can: PromptCapabilities) -> Result<Value, String> {
    let (mime, data) = (attachment.content.mime.as_str(), attachment.content.data.as_slice());
    if mime.starts_with("image/") && can.image {
        return Ok(json!({"type": "image", "mimeType": mime, "data": BASE64.encode(data)}));
    }
    if mime.starts_with("audio/") && can.audio {
        return Ok(json!({"type": "audio", "mimeType": mime, "data": BASE64.encode(data)}));
    }
    let media = mime.starts_with("image/") || mime.starts_with("audio/");
    if !can.embedded_context || media {
        let what = match mime.split_once('/') {
            Some(("image", _)) => "images",
            Some(("audio", _)) => "sounds",
            _ => "files",
        };
        return Err(format!(
            "This agent takes no {what} with a prompt, so {:?} cannot be sent. To fix: put it into the project folder, and \
             name its path.",
            attachment.name
        ));
    }
    let uri = format!("attachment:///{}", encode(&attachment.name));
    let resource = match std::str::from_utf8(data) {
        Ok(text) => json!({"uri": uri, "mimeType": mime, "text": text}),
        Err(_) => json!({"uri": uri, "mimeType": mime, "blob": BASE64.encode(data)}),
    };
    Ok(json!({"type": "resource", "resource": resource}))
}

/// `mentions` are the paths after an `@` in a text that look like files of the workspace: the last name has an ending, or it is
/// a folder. `@types/node` is none.
fn mentions(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().filter_map(|word| {
        let path = word
            .strip_prefix('@')?
            .trim_end_matches([',', ';', ':', '!', '?', ')', '.']);
        let name = path.rsplit('/').next()?;
        let inside = !path.starts_with(['/', '~']) && path.split('/').all(|name| name != "..");
        let has_ending = name.rsplit_once('.').is_some_and(|(_, ending)| !ending.is_empty());
        let folder = name.is_empty() && path.len() > 1;
        (inside && (has_ending || folder)).then_some(path)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nexus_plugin_api::chat::CommandCall;
    use nexus_plugin_api::chat::types::{Ext, FileContent};

    const ALL: PromptCapabilities = PromptCapabilities {
        image: true,
        audio: true,
        embedded_context: true,
    };

    fn file(name: &str, mime: &str, data: &[u8]) -> Input {
        Input::Attachment(NewAttachment {
            name: name.to_owned(),
            content: FileContent {
                mime: mime.to_owned(),
                data: data.to_vec(),
            },
        })
    }

    #[test]
    fn files_that_a_text_names_are_linked() {
        let found: Vec<_> =
            mentions("see @src/main.rs, @docs/ (not @types/node @ada @/etc/passwd @../x.rs a@b.c) and @.env.")
                .collect();
        assert_eq!(found, ["src/main.rs", "docs/", ".env"]);
        let blocks = blocks(
            vec![Input::Text("@a b/ü.md @a/ü.md".into())],
            PromptCapabilities::default(),
            "/w x",
        )
        .unwrap();
        assert_eq!(
            blocks,
            [
                json!({"type": "text", "text": "@a b/ü.md @a/ü.md"}),
                json!({"type": "resource_link", "uri": "file:///w%20x/a/%C3%BC.md", "name": "a/ü.md"}),
            ]
        );
    }

    #[test]
    fn attachments_are_blocks_of_their_kind_where_the_agent_takes_them() {
        let one = |part: Input, can| blocks(vec![part], can, "/w").map(|blocks| blocks.into_iter().next().unwrap());
        assert_eq!(
            one(file("a.png", "image/png", &[0]), ALL).unwrap(),
            json!({"type": "image", "mimeType": "image/png", "data": "AA=="})
        );
        let text = one(file("a b.md", "text/markdown", b"hi"), ALL).unwrap();
        assert_eq!(
            text,
            json!({"type": "resource", "resource": {"uri": "attachment:///a%20b.md", "mimeType": "text/markdown", "text": "hi"}})
        );
        assert_eq!(
            one(file("a.bin", "application/x", &[255]), ALL).unwrap()["resource"]["blob"],
            "/w=="
        );
        let none = PromptCapabilities::default();
        assert!(
            one(file("a.png", "image/png", &[0]), none)
                .unwrap_err()
                .contains("no images")
        );
        assert!(
            one(file("a.txt", "text/plain", &[0]), none)
                .unwrap_err()
                .contains("no files")
        );
        let embedded = PromptCapabilities { image: false, ..ALL };
        assert!(one(file("a.png", "image/png", &[0]), embedded).is_err());
        assert!(
            one(
                Input::Other(Ext {
                    name: "x".into(),
                    value: "1".into()
                }),
                ALL
            )
            .is_err()
        );
    }

    #[test]
    fn a_command_is_its_text() {
        let call = |arguments: &str| {
            let call = CommandCall {
                name: "init".into(),
                arguments: arguments.into(),
            };
            blocks(vec![Input::Command(call)], ALL, "/w").unwrap()
        };
        assert_eq!(call(""), [json!({"type": "text", "text": "/init"})]);
        assert_eq!(call("a @b.c"), [json!({"type": "text", "text": "/init a @b.c"})]);
        let file = blocks(vec![Input::File("a b".into())], ALL, "/w").unwrap();
        assert_eq!(
            file,
            [json!({"type": "resource_link", "uri": "file:///w/a%20b", "name": "a b"})]
        );
    }
}
