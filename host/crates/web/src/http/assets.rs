//! Style sheets, scripts and icons: inside the binary, under a path that names their content, so that a browser may
//! keep them for ever and never mixes two versions. One digest over all files, not one each: the modules import
//! each other by relative path.
//!
//! The app's files are built from `app/src` and checked in (`app/dist`), so that cargo needs no npm. A debug build reads
//! them from there when it is asked for one.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use nexus_model::digest::{hex, sha256};
use rust_embed::Embed;
use std::borrow::Cow;
use std::sync::LazyLock;

#[derive(Embed)]
#[folder = "app/dist"]
struct App;

/// `Pages` are what the pages need that the server draws.
#[derive(Embed)]
#[folder = "src/assets"]
struct Pages;

fn names() -> Vec<Cow<'static, str>> {
    let mut names: Vec<_> = App::iter().chain(Pages::iter()).collect();
    names.sort();
    names
}

fn file(name: &str) -> Option<Cow<'static, [u8]>> {
    App::get(name).or_else(|| Pages::get(name)).map(|file| file.data)
}

fn mime(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

static DIGEST: LazyLock<String> = LazyLock::new(|| {
    let files: Vec<_> = names()
        .into_iter()
        .filter_map(|name| Some((file(&name)?, name)))
        .collect();
    let all: Vec<&[u8]> = files.iter().flat_map(|(body, name)| [name.as_bytes(), body]).collect();
    let mut digest = hex(&sha256(&all));
    digest.truncate(16);
    digest
});

/// `base` is the folder of this build's assets: `/assets/0123456789abcdef`.
pub(crate) fn base() -> String {
    format!("/assets/{}", *DIGEST)
}

pub(crate) async fn asset(Path((digest, name)): Path<(String, String)>) -> Response {
    match file(&name) {
        Some(body) if digest == *DIGEST => (
            [
                (header::CONTENT_TYPE, mime(&name)),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ],
            body,
        )
            .into_response(),
        _ => (StatusCode::NOT_FOUND, "No such file. Reload the page.\n").into_response(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{App, Pages, file, mime, names};

    #[test]
    fn every_module_that_a_script_of_the_pages_imports_is_served() {
        let mut imports = 0;
        for name in Pages::iter().filter(|name| name.ends_with(".js")) {
            let body = file(&name).unwrap();
            for line in std::str::from_utf8(&body)
                .unwrap()
                .lines()
                .filter(|line| line.starts_with("import "))
            {
                let imported = line
                    .rsplit("'./")
                    .next()
                    .and_then(|rest| rest.split('\'').next())
                    .unwrap();
                assert!(file(imported).is_some(), "{name}: {line}");
                imports += 1;
            }
        }
        assert!(imports > 0, "the imports were not found");
    }

    #[test]
    fn every_file_has_a_name_of_its_own_and_a_type() {
        let names = names();
        assert_eq!(names.len(), App::iter().count() + Pages::iter().count());
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        for name in ["main.js", "main.css", "nexus.css", "nexus.js", "icon.svg"] {
            assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
        }
        for name in names {
            assert_ne!(mime(&name), "application/octet-stream", "{name}");
        }
    }
}
