//! Texts as they are written, and what the page has to show.
#![allow(clippy::unwrap_used)]

use crate::markdown::render;

/// What is written, and what the page has to show; `A…A` stands for the start of a link with all its attributes.
const TEXTS: [(&str, &str); 53] = [
    // Emphasis beside the signs of scripts without blanks.
    ("含**「重点」**内容", "<p>含<strong>「重点」</strong>内容</p>"),
    ("**注意：**正文", "<p><strong>注意：</strong>正文</p>"),
    ("**注意：**Text", "<p><strong>注意：</strong>Text</p>"),
    (
        "内容**“引用”**和*（斜体）*字",
        "<p>内容<strong>“引用”</strong>和<em>（斜体）</em>字</p>",
    ),
    ("**\"강조\"**는 그대로", "<p><strong>\"강조\"</strong>는 그대로</p>"),
    ("~~「旧」~~新", "<p><del>「旧」</del>新</p>"),
    ("これは**太字。**次", "<p>これは<strong>太字。</strong>次</p>"),
    (
        "**甲。**乙。**丙**丁",
        "<p><strong>甲。</strong>乙。<strong>丙</strong>丁</p>",
    ),
    ("文\\*「内」\\*容", "<p>文*「内」*容</p>"),
    ("`含**「重点」**内容`", "<p><code>含**「重点」**内容</code></p>"),
    ("a **b** c *d*", "<p>a <strong>b</strong> c <em>d</em></p>"),
    ("2 * 3 * 4", "<p>2 * 3 * 4</p>"),
    // Addresses.
    (
        "https://example.org/pr/42",
        "<p><a https://example.org/pr/42>https://example.org/pr/42</a></p>",
    ),
    (
        "See https://example.org/a_b/_d_/e.",
        "<p>See <a https://example.org/a_b/_d_/e>https://example.org/a_b/_d_/e</a>.</p>",
    ),
    (
        "(http://localhost:3000/x?y=1&z=2)",
        "<p>(<a http://localhost:3000/x?y=1&amp;z=2>http://localhost:3000/x?y=1&amp;z=2</a>)</p>",
    ),
    (
        "localhost:5173 or localhost:3000/a",
        "<p><a http://localhost:5173>localhost:5173</a> or <a http://localhost:3000/a>localhost:3000/a</a></p>",
    ),
    (
        "www.example.org/x, www.",
        "<p><a https://www.example.org/x>www.example.org/x</a>, www.</p>",
    ),
    (
        "mail ada@example.org.",
        "<p>mail <a mailto:ada@example.org>ada@example.org</a>.</p>",
    ),
    ("git@example.org:a/b.git", "<p>git@example.org:a/b.git</p>"),
    (
        "请看https://example.org/pr/42。谢谢",
        "<p>请看<a https://example.org/pr/42>https://example.org/pr/42</a>。谢谢</p>",
    ),
    (
        "https://example.org/a(b)",
        "<p><a https://example.org/a(b)>https://example.org/a(b)</a></p>",
    ),
    (
        "**https://example.org/a_b**",
        "<p><strong><a https://example.org/a_b>https://example.org/a_b</a></strong></p>",
    ),
    (
        "[here](https://example.org/a_b)",
        "<p><a https://example.org/a_b>here</a></p>",
    ),
    (
        "[https://example.org](https://example.org)",
        "<p><a https://example.org>https://example.org</a></p>",
    ),
    (
        "<https://example.org/a_b>",
        "<p><a https://example.org/a_b>https://example.org/a_b</a></p>",
    ),
    (
        "`https://example.org/a_b`",
        "<p><code>https://example.org/a_b</code></p>",
    ),
    (
        "```\nhttps://example.org/a_b\n```",
        "<pre><code>https://example.org/a_b\n</code></pre>",
    ),
    ("src/main.rs a.b", "<p>src/main.rs a.b</p>"),
    // Links that lead to no page.
    ("[rel](docs/a.md)", "<p>rel (<code>docs/a.md</code>)</p>"),
    ("[docs/a.md](docs/a.md)", "<p>docs/a.md</p>"),
    ("[`a.md`](a.md)", "<p><code>a.md</code></p>"),
    ("[top](#top)", "<p>top</p>"),
    ("![shot](shot.png)", "<p>shot (<code>shot.png</code>)</p>"),
    (
        "[![x](https://e.org/i.png)](https://e.org)",
        "<p><a https://e.org>x</a></p>",
    ),
    // Lines.
    ("one\ntwo\nthree", "<p>one<br>two<br>three</p>"),
    ("one\n\ntwo", "<p>one</p><p>two</p>"),
    (
        "<plan>\n  <step>a</step>\n</plan>",
        "<p>&lt;plan&gt;<br>&nbsp;&nbsp;&lt;step&gt;a&lt;/step&gt;<br>&lt;/plan&gt;</p>",
    ),
    ("a <b>c</b>", "<p>a &lt;b&gt;c&lt;/b&gt;</p>"),
    (
        "|a|\n|-|\n|x<br>y<BR/>z|",
        "<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>x<br>y<br>z</td></tr></tbody></table>",
    ),
    // Mathematics.
    ("\\(a_1\\)", "<p>\\(a_1\\)</p>"),
    ("\\(a*b*c\\) and \\(x\\)", "<p>\\(a*b*c\\) and \\(x\\)</p>"),
    ("\\[\na \\\\ b\n\\]", "<p>\\[<br>a \\\\ b<br>\\]</p>"),
    ("$$\na^*b^*\n$$", "<p>$$<br>a^*b^*<br>$$</p>"),
    ("$\\alpha_1 * \\beta_2$", "<p>$\\alpha_1 * \\beta_2$</p>"),
    ("it costs $5 and $10 *now*", "<p>it costs $5 and $10 <em>now</em></p>"),
    ("`\\(`, then `\\)`", "<p><code>\\(</code>, then <code>\\)</code></p>"),
    ("```\n\\(a\\)\n```", "<pre><code>\\(a\\)\n</code></pre>"),
    ("\\\\(a\\\\)", "<p>\\(a\\)</p>"),
    // Footnotes, headings.
    (
        "a[^1]\n\n[^1]: The *note*.",
        "<p>a<sup>[1]</sup> </p><p><sup>[1]</sup> The <em>note</em>.</p>",
    ),
    ("a[^1]", "<p>a[^1]</p>"),
    ("## A\n#### B\n## C", "<h3>A</h3><h4>B</h4><h3>C</h3>"),
    (
        "# A\n## B\n### C\n#### D\n##### E",
        "<h3>A</h3><h4>B</h4><h5>C</h5><h6>D</h6><h6>E</h6>",
    ),
    ("\u{e000}\u{e001}0\u{e002}", "<p>0</p>"),
];

/// Without the line breaks between blocks, and with no attribute of a link but where it leads.
fn plain(html: &str) -> String {
    let mut out = String::new();
    for (n, piece) in html.split("<a href=\"").enumerate() {
        match piece.split_once('"').filter(|_| n > 0) {
            Some((url, rest)) => {
                out.push_str(&format!("<a {url}>{}", rest.split_once('>').unwrap().1));
            }
            None => out.push_str(piece),
        }
    }
    let mut shown = String::new();
    for (n, piece) in out.split("<pre>").enumerate() {
        let (code, rest) = if n > 0 {
            piece.split_once("</pre>").unwrap()
        } else {
            ("", piece)
        };
        if n > 0 {
            shown.push_str(&format!("<pre>{code}</pre>"));
        }
        shown.push_str(&rest.replace('\n', ""));
    }
    shown
}

#[test]
fn text_is_shown_as_people_mean_it() {
    let wrong: Vec<_> = TEXTS
        .iter()
        .map(|(text, right)| (text, right, plain(&render(text).unwrap())))
        .filter(|(_, right, shown)| *right != shown)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn hostile_texts_take_little_time() {
    // On any machine, and beside whatever else it does: against a plain text of the same length.
    let cost = |text: &str| {
        let begun = std::time::Instant::now();
        let _ = render(text);
        begun.elapsed()
    };
    let plain = cost(&"word ".repeat(50_000));
    for piece in [
        "https://-",
        "https://a)",
        "\\(",
        "\\[",
        "$a_",
        "$$",
        "a@",
        "@a.bc",
        "文**「",
        "www.a",
        "www.a?",
        "localhost:1,",
        "https://a.",
        "[x](a)",
        "[^1]",
        "<br>",
        "<a",
        "\u{e001}1\u{e002}",
        "\\(x\\)",
        "https://a_b ",
    ] {
        let took = cost(&piece.repeat(250_000 / piece.len()));
        assert!(
            took < 100 * plain,
            "{piece}: {took:?}, and a plain text takes {plain:?}"
        );
    }
}
