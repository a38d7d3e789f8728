//! The files of messages and of tool calls: what is said of them, and their content, which opencode keeps in `data:` URLs.

use crate::client;
use crate::wire::{self, text_of};
use data_encoding::{BASE64, BASE64_NOPAD};
use nexus_plugin_api::caps::types::Error;
use nexus_plugin_api::chat::NewAttachment;
use nexus_plugin_api::chat::types::{Attachment, FileContent, SessionRef};
use serde_json::{Value, json};

/// `MAX_BYTES` is how many bytes the contract has for the content of a file.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// `MAX_OF_CALL` is how many files the contract has for a tool call.
const MAX_OF_CALL: usize = 64;

/// `id` is what the host gives back to read the content: of a part, or of a file in the output of its tool call.
pub fn id(message: &str, part: &str, output: Option<usize>) -> String {
    match output {
        Some(at) => format!("{message}:{part}:{at}"),
        None => format!("{message}:{part}"),
    }
}

/// `of_call` are the files of a tool call's output.
pub fn of_call(part: &wire::Part) -> Vec<Attachment> {
    let all = part.state.iter().flat_map(|state| &state.attachments);
    let attachment = |(at, file): (usize, &Value)| {
        let url = text_of(file, "url").unwrap_or_default();
        Attachment {
            id: url.starts_with("data:").then(|| id(&part.message, &part.id, Some(at))),
            mime: text_of(file, "mime").unwrap_or_default(),
            name: text_of(file, "filename"),
            size: data_size(&url),
        }
    };
    all.take(MAX_OF_CALL).enumerate().map(attachment).collect()
}

/// `read` reads the content of an attachment.
pub async fn read(session: &SessionRef, id: &str) -> Result<FileContent, Error> {
    let gone = || Error::NotFound("The file is not there any more.".to_owned());
    let mut names = id.split(':');
    let (Some(message), Some(part)) = (names.next(), names.next()) else {
        return Err(gone());
    };
    let output: Option<usize> = names.next().and_then(|at| at.parse().ok());
    let found = client::message(&session.id, message, &session.workspace).await?;
    let found = found.and_then(|m| m.parts.into_iter().find(|p| p.id == part));
    let (mime, url) = match (found, output) {
        (Some(part), None) => (part.mime, part.url),
        (Some(part), Some(at)) => {
            let state = part.state.unwrap_or_default();
            let file = state.attachments.get(at).ok_or_else(gone)?;
            let text = |key| text_of(file, key).unwrap_or_default();
            (text("mime"), text("url"))
        }
        (None, _) => return Err(gone()),
    };
    if data_size(&url).is_some_and(|size| usize::try_from(size).is_ok_and(|size| size > MAX_BYTES)) {
        return Err(too_large());
    }
    let data = decode(&url).ok_or_else(gone)?;
    Ok(FileContent { mime, data })
}

pub fn too_large() -> Error {
    Error::Limited(format!(
        "The file is larger than {} MiB, so it is not shown.",
        MAX_BYTES / 1024 / 1024
    ))
}

/// `data_size` is how many bytes a `data:` URL holds; another URL does not say.
pub fn data_size(url: &str) -> Option<u64> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let size = if head.ends_with(";base64") {
        data.bytes()
            .filter(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte))
            .count()
            * 3
            / 4
    } else {
        data.len() - 2 * data.bytes().filter(|byte| *byte == b'%').count().min(data.len() / 3)
    };
    u64::try_from(size).ok()
}

/// `decode` is the content of a `data:` URL in base64; opencode makes no other ones.
fn decode(url: &str) -> Option<Vec<u8>> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    if !head.ends_with(";base64") {
        return None;
    }
    BASE64_NOPAD.decode(data.trim_end_matches('=').as_bytes()).ok()
}

/// `READ` begin the media types that opencode passes on as they are; of anything else it takes texts.
const READ: [&str; 4] = ["image/", "audio/", "video/", "application/pdf"];

/// `part` is the part of a prompt for a file that the owner adds. A text is sent as `text/plain` whatever it is: of other types
/// opencode makes a file for the model, with this and every later prompt of the session, and providers refuse it.
///
/// # Errors
/// What of it opencode cannot send.
pub fn part(attachment: &NewAttachment) -> Result<Value, String> {
    let given = attachment.content.mime.split(';').next().unwrap_or_default();
    let given = given.trim().to_ascii_lowercase();
    let passed = given != "image/svg+xml" && READ.iter().any(|kind| given.starts_with(kind));
    let mime = if passed {
        given.as_str()
    } else if std::str::from_utf8(&attachment.content.data).is_ok() {
        "text/plain"
    } else {
        return Err(format!(
            "opencode cannot send {:?} to a model: it takes texts, pictures, sound, films and PDF files.",
            attachment.name
        ));
    };
    let mut url = format!("data:{mime};base64,");
    BASE64.encode_append(&attachment.content.data, &mut url);
    Ok(json!({ "type": "file", "mime": mime, "filename": attachment.name, "url": url }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_back_as_it_was_sent() {
        let data: Vec<u8> = (0..=255).collect();
        let sent = part(&NewAttachment {
            name: "all bytes.bin".to_owned(),
            content: FileContent {
                mime: "image/png; charset=x".to_owned(),
                data: data.clone(),
            },
        })
        .unwrap();
        assert_eq!((&sent["type"], &sent["mime"]), (&json!("file"), &json!("image/png")));
        assert_eq!(decode(sent["url"].as_str().unwrap()), Some(data));
        assert_eq!(decode("data:text/plain,a"), None);
        assert_eq!(decode("file:///etc/passwd"), None);
    }

    #[test]
    fn a_text_is_sent_as_one_and_what_no_model_takes_is_not() {
        let mime = |mime: &str, data: &[u8]| {
            let sent = part(&NewAttachment {
                name: "a".to_owned(),
                content: FileContent {
                    mime: mime.to_owned(),
                    data: data.to_vec(),
                },
            });
            sent.map(|sent| sent["mime"].as_str().unwrap().to_owned())
        };
        for text in [
            "application/json",
            "text/markdown",
            "image/svg+xml",
            "",
            "application/x-sh",
        ] {
            assert_eq!(mime(text, b"{}").as_deref(), Ok("text/plain"), "{text}");
        }
        assert_eq!(mime("application/pdf", &[0xff]).as_deref(), Ok("application/pdf"));
        assert!(mime("application/zip", &[0xff, 0xfe]).is_err());
    }

    #[test]
    fn the_files_of_a_tool_call_can_be_asked_for_where_opencode_has_them() {
        let call = serde_json::from_value::<wire::Part>(json!({
            "id": "prt_1", "sessionID": "s", "messageID": "msg_1", "type": "tool", "tool": "read",
            "state": {"status": "completed", "attachments": [
                {"type": "file", "mime": "image/png", "url": "data:image/png;base64,AAAA"},
                {"type": "file", "mime": "text/plain", "filename": "a.txt", "url": "file:///a.txt"},
            ]},
        }))
        .unwrap();
        let files = of_call(&call);
        assert_eq!(files[0].id.as_deref(), Some("msg_1:prt_1:0"));
        assert_eq!(files[0].size, Some(3));
        assert_eq!(
            (files[1].id.as_deref(), files[1].name.as_deref()),
            (None, Some("a.txt"))
        );
    }
}
