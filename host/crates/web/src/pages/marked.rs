//! Texts of the host on a page: what stands between backticks is code, and lines of TOML are a block to copy.

use askama::filters::{Escaper as _, Html, Safe};

/// `marked` is the HTML of a text. Everything in it is escaped first. Blocks do not fit into a `<p>`.
pub(crate) fn marked(text: &str) -> Safe<String> {
    let mut html = String::with_capacity(text.len());
    let mut toml = false;
    let lines = text.lines().map(|line| {
        // A value may go on over several lines, and a blank line may be between two tables.
        let goes_on = toml && (line.is_empty() || line.starts_with([' ', '\t', ']', '}']));
        toml = goes_on || is_toml(line);
        (toml, line)
    });
    let lines: Vec<(bool, &str)> = lines.collect();
    for block in lines.chunk_by(|(one, _), (next, _)| one == next) {
        let toml = block.iter().any(|(toml, _)| *toml);
        let text: Vec<&str> = block.iter().map(|(_, line)| *line).collect();
        let text = text.join("\n");
        if toml {
            html.push_str("<pre tabindex=\"0\"><code>");
            escape(text.trim_end(), &mut html);
            html.push_str("</code></pre>");
        } else {
            prose(&text, &mut html);
        }
    }
    Safe(html)
}

/// Tells whether a line is one of TOML: the header of a table, a key with its value, or a comment.
fn is_toml(line: &str) -> bool {
    let header = line.split(" #").next().unwrap_or_default().trim_end();
    let key = |key: &str| {
        let part = |c: char| c.is_ascii_alphanumeric() || "_-.\"".contains(c);
        !key.is_empty() && key.chars().all(part)
    };
    line.starts_with("# ")
        || header.starts_with('[') && header.ends_with(']')
        || line.split_once(" = ").is_some_and(|(name, _)| key(name))
}

fn prose(text: &str, html: &mut String) {
    let mut rest = text;
    while let Some((before, code, after)) = next_code(rest) {
        escape(before, html);
        html.push_str("<code>");
        escape(code, html);
        html.push_str("</code>");
        rest = after;
    }
    escape(rest, html);
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
    fn marked(text: &str) -> String {
        super::marked(text).0
    }

    #[test]
    fn backticks_are_code_and_all_else_is_escaped() {
        assert_eq!(
            marked("run `a <b>` & \"c\" or `d`"),
            "run <code>a &#60;b&#62;</code> &#38; &#34;c&#34; or <code>d</code>"
        );
        assert_eq!(marked("a ` b"), "a ` b");
        assert_eq!(marked("`<script>"), "`&#60;script&#62;");
    }

    #[test]
    fn lines_of_toml_are_a_block_between_the_sentences() {
        assert_eq!(
            marked(
                "add these lines to `n.toml`:\n[plugin.x.config]   # new\nhosts = [\n  \"<a>\",\n]\n\n[plugin.x.secrets]\n\
                 # token = { env = \"T\" }\n\nIt also has changes."
            ),
            "add these lines to <code>n.toml</code>:<pre tabindex=\"0\"><code>[plugin.x.config]   # new\nhosts = [\n  \
             &#34;&#60;a&#62;&#34;,\n]\n\n[plugin.x.secrets]\n# token = { env = &#34;T&#34; }</code></pre>It also has changes."
        );
        assert_eq!(
            marked("[tunnel.main]"),
            "<pre tabindex=\"0\"><code>[tunnel.main]</code></pre>"
        );
        for prose in ["exit 1:\nno such file", "[::1]:80 is in use", "a b = c"] {
            assert_eq!(marked(prose), prose);
        }
    }
}
