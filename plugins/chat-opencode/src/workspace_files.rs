//! The files of the workspace, as opencode shows them: it shows none outside, nor through a link that leads there. It leaves out the
//! white space around a text, and finds ten lines at most.

use crate::attachments::{self, MAX_BYTES};
use crate::client::{self, RequestError};
use data_encoding::BASE64;
use nexus_plugin_api::caps::types::Error;
use nexus_plugin_api::chat::types::FileContent;
use nexus_plugin_api::files::{Entry, FoundLine};
use nexus_plugin_api::http::encode;
use serde::Deserialize;
use serde_json::{Value, json};

/// `SEARCHED` is how many files opencode gives at most; more it refuses.
const SEARCHED: u32 = 200;

#[derive(Deserialize)]
struct Node {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Text {
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct Match {
    path: Text,
    lines: Text,
    line_number: u32,
}

#[derive(Deserialize)]
struct Content {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    content: String,
    #[serde(default, rename = "mimeType")]
    mime: Option<String>,
    #[serde(default)]
    encoding: Option<String>,
}

fn entry(path: &str, folder: bool) -> Entry {
    Entry {
        path: path.trim_end_matches('/').to_owned(),
        folder,
        size: None,
    }
}

/// `relative` is a path below the workspace, or why it is none.
fn relative(path: &str) -> Result<&str, Error> {
    let path = path.trim_end_matches('/');
    // A parser of URLs takes `\\` for `/`, and leaves controls out.
    let acts = |c: char| c == '\\' || c.is_control();
    let outside = path.starts_with(['/', '~']) || path.contains(acts) || path.split('/').any(|name| name == "..");
    if outside {
        return Err(Error::NotFound(format!("{path:?} is not in the workspace.")));
    }
    Ok(path)
}

pub async fn search(workspace: &str, query: &str, limit: u32) -> Result<Vec<Entry>, Error> {
    let path = format!(
        "/find/file?query={}&dirs=true&limit={}",
        encode(query),
        limit.clamp(1, SEARCHED)
    );
    let found: Vec<String> = client::list(&path, workspace).await?;
    Ok(found.iter().map(|path| entry(path, path.ends_with('/'))).collect())
}

pub async fn list(workspace: &str, folder: &str) -> Result<Vec<Entry>, Error> {
    let folder = relative(folder)?;
    let asked = if folder.is_empty() { "." } else { folder };
    let found: Vec<Node> = match client::list(&format!("/file?path={}", encode(asked)), workspace).await {
        Ok(found) => found,
        Err(error) => return Err(not_shown(error, folder)),
    };
    Ok(found
        .iter()
        .map(|node| entry(&node.path, node.kind == "directory"))
        .collect())
}

pub async fn read(workspace: &str, path: &str) -> Result<FileContent, Error> {
    let path = relative(path)?;
    let url = format!("/file/content?path={}", encode(path));
    let content: Content = match client::get(&url, workspace).await {
        Ok(content) => content,
        Err(error) => return Err(not_shown(error, path)),
    };
    // opencode gives an empty text for what is not there.
    if content.content.is_empty() && !exists(workspace, path).await? {
        return Err(not_there(path));
    }
    let binary = content.kind == "binary" || content.encoding.as_deref() == Some("base64");
    let data = if binary {
        BASE64
            .decode(content.content.as_bytes())
            .map_err(|_| Error::Other("opencode gave a file that cannot be read.".to_owned()))?
    } else {
        content.content.into_bytes()
    };
    if data.len() > MAX_BYTES {
        return Err(attachments::too_large());
    }
    let mime = match content.mime {
        Some(mime) => mime,
        None if binary => "application/octet-stream".to_owned(),
        None => "text/plain".to_owned(),
    };
    Ok(FileContent { mime, data })
}

pub async fn find(workspace: &str, text: &str, limit: u32) -> Result<Vec<FoundLine>, Error> {
    let path = format!("/find?pattern={}", encode(text));
    let found: Vec<Match> = client::list(&path, workspace).await?;
    let most = usize::try_from(limit.min(1_000)).unwrap_or(1_000);
    Ok(found
        .into_iter()
        .take(most)
        .map(|found| FoundLine {
            path: found.path.text,
            line: found.line_number,
            text: found.lines.text.trim_end_matches(['\r', '\n']).to_owned(),
        })
        .collect())
}

/// `part` is the part of a prompt for a file or folder that the owner points at.
///
/// # Errors
/// `not-found`: opencode does not show it.
pub async fn part(workspace: &str, folder: &str, path: &str) -> Result<Value, Error> {
    let path = relative(path)?;
    let mime = match read(workspace, path).await {
        Ok(_) | Err(Error::Limited(_)) => "text/plain",
        Err(_) => {
            list(workspace, path).await?;
            if !exists(workspace, path).await? {
                return Err(not_there(path));
            }
            "application/x-directory"
        }
    };
    Ok(json!({ "type": "file", "mime": mime, "filename": path, "url": file_url(folder, path) }))
}

/// `file_url` is the address of a file, each name of its path encoded.
fn file_url(folder: &str, path: &str) -> String {
    let names: Vec<String> = folder.split('/').chain(path.split('/')).map(encode).collect();
    format!("file://{}", names.join("/"))
}

/// `leads_outside` tells whether a path leads out of the workspace: by itself, or by a link on its way. What is not there leads
/// nowhere: opencode gives an empty text for it, and an error for what it does not show and for a folder.
pub async fn leads_outside(workspace: &str, path: &str) -> Result<bool, Error> {
    let Ok(path) = relative(path) else {
        return Ok(true);
    };
    let url = format!("/file/content?path={}", encode(path));
    match client::get::<Content>(&url, workspace).await {
        Ok(_) => return Ok(false),
        Err(RequestError::Refused { status: 400.., .. }) => {}
        Err(other) => return Err(other.into()),
    }
    match list(workspace, path).await {
        Ok(_) => Ok(false),
        Err(Error::NotFound(_)) => Ok(true),
        Err(other) => Err(other),
    }
}

/// `exists` tells whether the folder of a path has it.
async fn exists(workspace: &str, path: &str) -> Result<bool, Error> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    Ok(list(workspace, folder).await?.iter().any(|entry| entry.path == path))
}

fn not_there(path: &str) -> Error {
    Error::NotFound(format!("There is no {path:?} in the workspace."))
}

/// opencode answers with an error of its own to what is not there and to what it does not show.
fn not_shown(error: RequestError, path: &str) -> Error {
    match error {
        RequestError::Refused { status: 400.., .. } => Error::NotFound(format!(
            "opencode does not show {path:?}: it is not there, not of this kind, or leads out of the workspace."
        )),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_the_workspace() {
        assert_eq!(relative("src/main.rs"), Ok("src/main.rs"));
        assert_eq!(relative("src/"), Ok("src"));
        assert_eq!(relative(""), Ok(""));
        for outside in [
            "/etc/passwd",
            "..",
            "src/../../x",
            "a\0b",
            "~/x",
            "..\\..\\etc\\passwd",
            "a\tb",
        ] {
            assert!(matches!(relative(outside), Err(Error::NotFound(_))), "{outside:?}");
        }
    }

    #[test]
    fn a_name_stays_the_name_of_a_file_in_a_url() {
        assert_eq!(file_url("/w x", "a#b/c?d%e"), "file:///w%20x/a%23b/c%3Fd%25e");
    }
}
