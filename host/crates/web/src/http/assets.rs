//! Style sheet, script and icon: inside the binary, under a path that names their content, so that a browser may
//! keep them for ever and never mixes two versions. One digest over all files, not one each: the modules import
//! each other by relative path.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use nexus_model::digest::{hex, sha256};
use std::sync::LazyLock;

struct Asset {
    name: &'static str,
    mime: &'static str,
    body: &'static str,
}

const JS: &str = "text/javascript; charset=utf-8";
const FILES: [Asset; 14] = [
    Asset {
        name: "nexus.css",
        mime: "text/css; charset=utf-8",
        body: include_str!("../assets/nexus.css"),
    },
    Asset {
        name: "nexus.js",
        mime: JS,
        body: include_str!("../assets/nexus.js"),
    },
    Asset {
        name: "live.js",
        mime: JS,
        body: include_str!("../assets/live.js"),
    },
    Asset {
        name: "prompts.js",
        mime: JS,
        body: include_str!("../assets/prompts.js"),
    },
    Asset {
        name: "chat.js",
        mime: JS,
        body: include_str!("../assets/chat.js"),
    },
    Asset {
        name: "requests.js",
        mime: JS,
        body: include_str!("../assets/requests.js"),
    },
    Asset {
        name: "change.js",
        mime: JS,
        body: include_str!("../assets/change.js"),
    },
    Asset {
        name: "draw.js",
        mime: JS,
        body: include_str!("../assets/draw.js"),
    },
    Asset {
        name: "guard.js",
        mime: JS,
        body: include_str!("../assets/guard.js"),
    },
    Asset {
        name: "dom.js",
        mime: JS,
        body: include_str!("../assets/dom.js"),
    },
    Asset {
        name: "outbox.js",
        mime: JS,
        body: include_str!("../assets/outbox.js"),
    },
    Asset {
        name: "side.js",
        mime: JS,
        body: include_str!("../assets/side.js"),
    },
    Asset {
        name: "webauthn.js",
        mime: JS,
        body: include_str!("../assets/webauthn.js"),
    },
    Asset {
        name: "icon.svg",
        mime: "image/svg+xml",
        body: include_str!("../assets/icon.svg"),
    },
];

static DIGEST: LazyLock<String> = LazyLock::new(|| {
    let all: Vec<&[u8]> = FILES
        .iter()
        .flat_map(|file| [file.name.as_bytes(), file.body.as_bytes()])
        .collect();
    let mut digest = hex(&sha256(&all));
    digest.truncate(16);
    digest
});

/// `base` is the folder of this build's assets: `/assets/0123456789abcdef`.
pub(crate) fn base() -> String {
    format!("/assets/{}", *DIGEST)
}

pub(crate) async fn asset(Path((digest, name)): Path<(String, String)>) -> Response {
    match FILES.iter().find(|file| file.name == name) {
        Some(file) if digest == *DIGEST => (
            [
                (header::CONTENT_TYPE, file.mime),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ],
            file.body,
        )
            .into_response(),
        _ => (StatusCode::NOT_FOUND, "No such file. Reload the page.\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::FILES;

    #[test]
    fn every_module_that_a_script_imports_is_served() {
        let mut imports = 0;
        for file in &FILES {
            for line in file.body.lines().filter(|line| line.starts_with("import ")) {
                let name = line.rsplit("'./").next().and_then(|rest| rest.split('\'').next());
                assert!(
                    FILES.iter().any(|file| Some(file.name) == name),
                    "{}: {line}",
                    file.name
                );
                imports += 1;
            }
        }
        assert!(imports > 10, "the imports were not found");
    }
}
