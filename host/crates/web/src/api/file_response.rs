//! The content of a file as an answer: shown where it can do nothing, and otherwise only to be kept.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use nexus_model::chat::FileContent;

/// `PICTURES` are the media types that a browser shows and that run nothing.
const PICTURES: [&str; 6] = [
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/avif",
    "image/bmp",
];

/// `FileResponse` is the content of a file that a backend or a user gave.
pub(super) struct FileResponse(pub(super) FileContent);

impl IntoResponse for FileResponse {
    fn into_response(self) -> Response {
        let FileContent { mime, data } = self.0;
        let named = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let picture = PICTURES.iter().find(|known| **known == named);
        let text = picture.is_none() && named.starts_with("text/") && std::str::from_utf8(&data).is_ok();
        // What a page could run is shown as the text that it is.
        let kind = match picture {
            Some(picture) => picture,
            None if text => "text/plain; charset=utf-8",
            None => "application/octet-stream",
        };
        let place = if picture.is_some() || text {
            "inline"
        } else {
            "attachment"
        };
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
            (header::CONTENT_DISPOSITION, HeaderValue::from_static(place)),
        ];
        (headers, data).into_response()
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_page_could_run_is_sent_as_what_it_is() {
        let sent = |mime: &str, data: &[u8]| {
            let answer = FileResponse(FileContent {
                mime: mime.to_owned(),
                data: data.to_vec(),
            })
            .into_response();
            let header = |name: header::HeaderName| answer.headers()[name].to_str().unwrap_or_default().to_owned();
            (header(header::CONTENT_TYPE), header(header::CONTENT_DISPOSITION))
        };
        let text = ("text/plain; charset=utf-8".to_owned(), "inline".to_owned());
        let kept = ("application/octet-stream".to_owned(), "attachment".to_owned());
        assert_eq!(
            sent("image/PNG; x=1", &[1]),
            ("image/png".to_owned(), "inline".to_owned())
        );
        assert_eq!(sent("text/html", b"<script>"), text);
        assert_eq!(sent("text/plain", &[0xff, 0xfe]), kept);
        for active in [
            "image/svg+xml",
            "application/pdf",
            "application/xhtml+xml",
            "",
            "text\r\nx: y",
        ] {
            assert_eq!(sent(active, b"x"), kept, "{active}");
        }
    }
}
