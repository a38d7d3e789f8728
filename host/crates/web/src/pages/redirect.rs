//! To the login and back.

use axum::response::{IntoResponse, Redirect, Response};

/// `safe` leads only to our own pages, so that a link to the login cannot lead elsewhere.
pub(super) fn safe(next: &str) -> &str {
    let plain = next
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~%".contains(&byte));
    if plain && next.starts_with('/') && !next.starts_with("//") {
        next
    } else {
        "/"
    }
}

pub(crate) fn redirect_to(path: &str) -> Response {
    match safe(path) {
        "/" => Redirect::to("/login").into_response(),
        path => Redirect::to(&format!("/login?next={path}")).into_response(),
    }
}

/// `again` is for what needs a credential that was shown just now.
pub(crate) fn again(path: &str) -> Response {
    Redirect::to(&format!("/login?again=1&next={}", safe(path))).into_response()
}

#[cfg(test)]
mod tests {
    #[test]
    fn next_stays_on_this_site() {
        for bad in [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "",
            "x",
            "/a?b",
            "/\r\nx: y",
        ] {
            assert_eq!(super::safe(bad), "/", "{bad}");
        }
        assert_eq!(super::safe("/s/ses_1"), "/s/ses_1");
    }
}
