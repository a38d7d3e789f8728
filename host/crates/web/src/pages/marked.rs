//! Texts of the host on a page: what stands between backticks is code.

use askama::filters::{Escaper as _, Html};

/// `marked` is the HTML of a text. Everything in it is escaped first.
pub(crate) fn marked(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, code, after)) = next_code(rest) {
        escape(before, &mut html);
        html.push_str("<code>");
        escape(code, &mut html);
        html.push_str("</code>");
        rest = after;
    }
    escape(rest, &mut html);
    html
}

/// The first code of a text, with what is before and behind it. A backtick that nothing closes is shown as it is.
fn next_code(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('`')?;
    let (code, after) = rest.split_once('`')?;
    Some((before, code, after))
}

/// Escapes as the templates do. Writing into a `String` does not fail.
fn escape(text: &str, html: &mut String) {
    let _ = Html.write_escaped_str(html, text);
}

#[cfg(test)]
mod tests {
    use super::marked;

    #[test]
    fn backticks_are_code_and_all_else_is_escaped() {
        assert_eq!(
            marked("run `a <b>` & \"c\" or `d`"),
            "run <code>a &#60;b&#62;</code> &#38; &#34;c&#34; or <code>d</code>"
        );
        assert_eq!(marked("a ` b"), "a ` b");
        assert_eq!(marked("`<script>"), "`&#60;script&#62;");
    }
}
