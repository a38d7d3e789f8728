//! Addresses in running text: `https://…`, `www.…`, `localhost:3000/…`, `name@host.example`. What ends a sentence, and a
//! bracket that was not opened within, is not of the address; neither are the letters of a script without blanks.

use super::cjk::is_cjk;
use nexus_model::limits::MARKDOWN_ADDRESS;
use std::ops::Range;

/// Tells whether a link leads out of the page. One that does not would lead to a page of Nexus that is not there.
pub(super) fn leads_somewhere(url: &str) -> bool {
    ["https://", "http://", "mailto:"]
        .iter()
        .any(|scheme| starts_with(url, scheme))
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len())
        .is_some_and(|found| found.eq_ignore_ascii_case(start))
}

fn in_word(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() && !is_cjk(c))
}

fn belongs(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | '`' | '|' | '\\');
    }
    c.is_alphanumeric() && !is_cjk(c)
}

/// `extent` is how many bytes of what begins here are of an address.
fn extent(text: &str) -> usize {
    let end = text
        .char_indices()
        .take(MARKDOWN_ADDRESS)
        .take_while(|(_, c)| belongs(*c))
        .last();
    let end = end.map_or(0, |(at, c)| at + c.len_utf8());
    let all = text.get(..end).unwrap_or_default();
    let count = |sign: char| all.matches(sign).count();
    let mut unopened =
        [(')', '('), (']', '['), ('}', '{')].map(|(close, open)| (close, count(close).saturating_sub(count(open))));
    let mut end = end;
    for c in all.chars().rev() {
        let stray = match unopened.iter_mut().find(|(close, n)| *close == c && *n > 0) {
            Some((_, n)) => {
                *n -= 1;
                true
            }
            None => matches!(
                c,
                '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '~' | '(' | '[' | '{'
            ),
        };
        if !stray {
            break;
        }
        end -= c.len_utf8();
    }
    end
}

/// `address` is how many bytes the address with a scheme has that begins here.
pub(super) fn address(text: &str, before: Option<char>) -> Option<usize> {
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|scheme| starts_with(text, scheme))?;
    if in_word(before) {
        return None;
    }
    // Before its extent is asked for, which costs something each time.
    let host = text.get(scheme.len()..)?.chars().next()?;
    (host.is_alphanumeric() || host == '[').then(|| extent(text))
}

/// `bare` is an address without a scheme.
fn bare(text: &str, before: Option<char>) -> Option<(usize, String)> {
    if in_word(before) || before.is_some_and(|c| matches!(c, '/' | '.' | '-' | '@' | ':' | '_')) {
        return None;
    }
    let (start, scheme) = ["localhost:", "127.0.0.1:", "[::1]:"]
        .into_iter()
        .map(|start| (start, "http://"))
        .chain([("www.", "https://")])
        .find(|(start, _)| starts_with(text, start))?;
    let rest = text.get(start.len()..)?;
    let length = if start == "www." {
        let host = |c: char| c.is_alphanumeric() && !is_cjk(c) || c == '.' || c == '-';
        let name = rest.split(|c| !host(c)).next()?.trim_end_matches('.');
        (name.contains('.') && name.starts_with(char::is_alphanumeric)).then(|| extent(text))?
    } else {
        let port = rest.bytes().take_while(u8::is_ascii_digit).count();
        let next = rest.get(port..)?.chars().next();
        if port == 0 || port > 5 || in_word(next) {
            return None;
        }
        let path = next.is_some_and(|c| matches!(c, '/' | '?' | '#'));
        if path { extent(text) } else { start.len() + port }
    };
    Some((length, format!("{scheme}{}", text.get(..length)?)))
}

/// `mail` is the address around the `@` at this place.
fn mail(text: &str, at: usize, from: usize) -> Option<Range<usize>> {
    let local = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-');
    let before = text.get(from..at)?;
    let name = before.trim_end_matches(local);
    let name = before.get(name.len()..)?.trim_start_matches('.');
    let after = text.get(at + 1..)?;
    let length = after
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-')
        .unwrap_or(after.len());
    let host = after.get(..length)?.trim_end_matches(['.', '-']);
    let (_, last) = host.rsplit_once('.')?;
    // `git@host:path` is no mail.
    let path =
        after.get(host.len()..)?.starts_with(':') && !after.get(host.len() + 1..)?.starts_with(char::is_whitespace);
    let proper =
        !name.is_empty() && !host.starts_with('.') && last.len() > 1 && last.bytes().all(|b| b.is_ascii_alphabetic());
    (proper && !path).then(|| at - name.len()..at + 1 + host.len())
}

/// Finds all of them, with where each leads.
pub(super) fn find(text: &str) -> Vec<(Range<usize>, String)> {
    let mut found: Vec<(Range<usize>, String)> = Vec::new();
    let mut before = None;
    let (mut at, mut from) = (0, 0);
    while let Some(rest) = text.get(at..)
        && let Some(c) = rest.chars().next()
    {
        let here = match c {
            'h' | 'H' | 'l' | 'L' | 'w' | 'W' | '1' | '[' => address(rest, before)
                .map(|length| (length, rest.get(..length).unwrap_or_default().to_owned()))
                .or_else(|| bare(rest, before))
                .map(|(length, url)| (at..at + length, url)),
            '@' => mail(text, at, from).map(|range| {
                let url = format!("mailto:{}", text.get(range.clone()).unwrap_or_default());
                (range, url)
            }),
            _ => None,
        };
        match here {
            Some((range, url)) => {
                at = range.end;
                from = at;
                before = text.get(..at).and_then(|text| text.chars().next_back());
                found.push((range, url));
            }
            None => {
                at += c.len_utf8();
                before = Some(c);
            }
        }
    }
    found
}
