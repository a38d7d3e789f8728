//! The files of a prompt, as the model gets them: images as data URLs, text with its name. What a file is, its content says: the
//! media type is the browser's guess.

use data_encoding::BASE64;
use serde_json::{Value, json};

/// `TEXT_BYTES` is how much text a file may have.
pub const TEXT_BYTES: usize = 1024 * 1024;
/// `REQUEST_BYTES` bounds all files of a request: a later prompt sends those of earlier ones again, the newest first.
pub const REQUEST_BYTES: u64 = 8 * 1024 * 1024;
/// `IMAGES` are the media types of the images that models read, and how such a file begins.
const IMAGES: [(&str, &[u8]); 4] = [
    ("image/png", b"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", b"\xff\xd8\xff"),
    ("image/gif", b"GIF8"),
    ("image/webp", b"RIFF"),
];

/// `File` is a file that a model can be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum File {
    Image {
        mime: &'static str,
        data: Vec<u8>,
    },
    Text {
        name: String,
        text: String,
    },
    /// `Missing`: it is not sent, and the model is told.
    Missing {
        name: String,
        why: &'static str,
    },
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// It is nothing that can be sent, in words.
    pub fn read(name: &str, data: Vec<u8>) -> Result<Self, String> {
        let name = plain(name);
        if let Some(mime) = image(&data) {
            return Ok(Self::Image { mime, data });
        }
        match String::from_utf8(data) {
            Ok(text) if text.len() > TEXT_BYTES => Err(format!(
                "The file {name} has {} bytes of text, but this backend sends at most {TEXT_BYTES} of a text file. To fix: send a \
                 part of it.",
                text.len()
            )),
            Ok(text) if !text.contains('\0') => Ok(Self::Text { name, text }),
            _ => Err(format!(
                "The file {name} is neither an image (PNG, JPEG, GIF, WebP) nor text, and this backend can send no other files. To \
                 fix: send what is in it as text or as an image."
            )),
        }
    }

    /// `content` is the file as a part of a message's content.
    pub fn content(&self) -> Value {
        match self {
            Self::Image { mime, data } => {
                json!({"type": "image_url", "image_url": {"url": format!("data:{mime};base64,{}", BASE64.encode(data))}})
            }
            Self::Text { name, text } => {
                // A fence that the text cannot end.
                let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
                let fence = "`".repeat(longest.max(2) + 1);
                let end = if text.ends_with('\n') { "" } else { "\n" };
                json!({"type": "text", "text": format!("The file {name}:\n{fence}\n{text}{end}{fence}")})
            }
            Self::Missing { name, why } => {
                json!({"type": "text", "text": format!("[The file {name} is not sent: {why}]")})
            }
        }
    }
}

fn image(data: &[u8]) -> Option<&'static str> {
    let found = IMAGES.iter().find(|(_, begin)| data.starts_with(begin))?;
    // A RIFF may be a sound.
    let other = found.0 == "image/webp" && data.get(8..12) != Some(b"WEBP");
    (!other).then_some(found.0)
}

/// `plain` is a name on one line, that ends no sentence of ours.
pub fn plain(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect();
    match name.trim() {
        "" => "without a name".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_by_its_content() {
        let webp = b"RIFF\0\0\0\0WEBPVP8 ";
        for (data, mime) in [
            (&b"\x89PNG\r\n\x1a\nrest"[..], "image/png"),
            (&b"\xff\xd8\xff\xe0"[..], "image/jpeg"),
            (&b"GIF89a"[..], "image/gif"),
            (&webp[..], "image/webp"),
        ] {
            let file = File::read("holiday.txt", data.to_vec()).unwrap();
            let url = file.content()["image_url"]["url"].as_str().unwrap().to_owned();
            let encoded = url.strip_prefix(&format!("data:{mime};base64,")).unwrap();
            assert_eq!(BASE64.decode(encoded.as_bytes()).unwrap(), data);
        }
    }

    #[test]
    fn text_is_given_with_its_name_behind_a_fence_that_it_cannot_end() {
        let file = File::read("a\nb.md", b"x\n````\ny".to_vec()).unwrap();
        let text = file.content()["text"].as_str().unwrap().to_owned();
        assert_eq!(text, "The file a b.md:\n`````\nx\n````\ny\n`````");
        let plain = File::read("", b"x\n".to_vec()).unwrap();
        assert_eq!(plain.content()["text"], "The file without a name:\n```\nx\n```");
    }

    #[test]
    fn other_files_are_refused_in_words() {
        for data in [
            b"%PDF-1.7\n\xff\xfe".to_vec(),
            b"a\0b".to_vec(),
            b"RIFF\0\0\0\0WAVE\xff".to_vec(),
        ] {
            let why = File::read("x.bin", data).unwrap_err();
            assert!(
                why.contains("x.bin is neither an image") && why.contains("To fix: "),
                "{why}"
            );
        }
        let long = File::read("x.log", vec![b'x'; TEXT_BYTES + 1]).unwrap_err();
        assert!(long.contains("1048577 bytes"), "{long}");
        assert!(File::read("x.log", vec![b'x'; TEXT_BYTES]).is_ok());
    }
}
