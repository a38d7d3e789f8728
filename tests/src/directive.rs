//! What the stand-in shall do, written into the prompt: `[[verb key=value …]]`.
//!
//! | directive | what happens |
//! | --- | --- |
//! | `[[text n=200 rate=50 size=6]]` | n chunks of `size` characters, `rate` a second (0: as fast as it goes) |
//! | `[[stamp n=50 rate=50]]` | each chunk is the time of its sending, `<unix ms>\n`, to measure latency |
//! | `[[say hello world]]` | exactly this text, a chunk for each word |
//! | `[[markdown]]` | a document with headings, a list, a table, code and things that must be sanitised |
//! | `[[reason n=20 rate=50]]` | n chunks of reasoning, then a short text |
//! | `[[tool name=bash args={"command":"ls"}]]` | a tool call; with its result in the history, what follows, or `[tool done]` |
//! | `[[error status=429 retry_after=1 times=2 message=too_busy]]` | an HTTP error, for the first `times` requests with this text |
//! | `[[cut after=20 how=chunk]]` | n chunks, then `chunk`: a body cut short, `eof`: a clean end without a finish, `rst`: a reset; `times=1`: only the first time |
//! | `[[hang after=5 secs=30]]` | n chunks, then silence on an open connection |
//! | `[[garbage after=5]]`, `[[errmid after=5]]` | n chunks, then a line that is not JSON, or an error event |
//! | `[[delay secs=2]]` | a pause; before the first byte where it stands first |
//! | `[[length]]`, `[[finish reason=content_filter]]` | the finish reason is `length`, or any other |
//!
//! Several run in sequence within one answer.

use serde_json::Value;
use std::collections::BTreeMap;

/// One directive.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub verb: String,
    pub keys: BTreeMap<String, String>,
    /// `args=…`
    pub args: Option<Value>,
    /// What stands behind the verb.
    pub rest: String,
}

impl Step {
    pub fn say(text: impl Into<String>) -> Self {
        Self {
            verb: "say".to_owned(),
            keys: BTreeMap::new(),
            args: None,
            rest: text.into(),
        }
    }

    /// The number `key`, or `default` where it is absent or no number.
    pub fn number(&self, key: &str, default: f64) -> f64 {
        self.keys.get(key).and_then(|v| v.parse().ok()).unwrap_or(default)
    }

    /// The same as a count.
    pub fn count(&self, key: &str, default: usize) -> usize {
        self.keys.get(key).and_then(|v| v.parse().ok()).unwrap_or(default)
    }
}

/// Every directive of a text, in order.
pub fn parse(text: &str) -> Vec<Step> {
    pieces(text).into_iter().filter_map(|piece| piece.ok()).collect()
}

/// The text without its directives.
pub fn strip(text: &str) -> String {
    pieces(text).into_iter().filter_map(|piece| piece.err()).collect()
}

fn pieces(text: &str) -> Vec<Result<Step, &str>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, inner, after)) = cut_out(rest) {
        found.push(Err(before));
        found.extend(step(inner).map(Ok));
        rest = after;
    }
    found.push(Err(rest));
    found
}

/// (before `[[`, between, after `]]`). The closing pair is the last of a run of brackets: `args={"a":[[1]]}]]`.
fn cut_out(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("[[")?;
    let mut from = 0;
    loop {
        let at = from + rest[from..].find("]]")?;
        let json_is_open =
            rest[..at].contains("args=") && rest[..at].matches('{').count() > rest[..at].matches('}').count();
        if !json_is_open && !rest[at + 2..].starts_with(']') {
            return Some((before, &rest[..at], &rest[at + 2..]));
        }
        from = at + 1;
    }
}

fn step(inner: &str) -> Option<Step> {
    let inner = inner.trim();
    let (verb, rest) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
    if verb.is_empty() || !verb.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let (plain, args) = match rest.split_once("args=") {
        // A shell's or a program's own quoting may have escaped the quotation marks.
        Some((plain, json)) => (
            plain,
            serde_json::from_str(json)
                .or_else(|_| serde_json::from_str(&json.replace("\\\"", "\"")))
                .ok(),
        ),
        None => (rest, None),
    };
    let keys = plain
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    Some(Step {
        verb: verb.to_owned(),
        keys,
        args,
        rest: rest.trim().to_owned(),
    })
}

/// The text of an OpenAI `content`: a string, or a list of parts.
pub fn content(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|p| p["text"].as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    }
}

/// What a chat asks for now: the steps of its last user message, less those that tool results have answered.
pub fn plan(messages: &[Value]) -> Vec<Step> {
    let last = messages.iter().rposition(|m| m["role"] == "user");
    let text = last.map(|at| content(&messages[at]["content"])).unwrap_or_default();
    let results: Vec<_> = messages
        .iter()
        .skip(last.map_or(0, |at| at + 1))
        .filter(|m| m["role"] == "tool")
        .collect();
    let mut steps = parse(&text);
    if steps.is_empty() && results.is_empty() {
        return vec![Step::say(format!(
            "You said: {}",
            text.trim().chars().take(200).collect::<String>()
        ))];
    }
    for _ in &results {
        match steps.iter().position(|s| s.verb == "tool") {
            Some(tool) => drop(steps.drain(..=tool)),
            None => break,
        }
    }
    if steps.is_empty() {
        let result = results.last().map(|r| content(&r["content"])).unwrap_or_default();
        return vec![Step::say(format!(
            "[tool done] {}",
            result.chars().take(80).collect::<String>()
        ))];
    }
    // A tool call ends an answer.
    if let Some(tool) = steps.iter().position(|s| s.verb == "tool") {
        steps.truncate(tool + 1);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn user(text: &str) -> Value {
        json!({"role": "user", "content": [{"type": "text", "text": text}]})
    }

    #[test]
    fn directives_are_found_among_text() {
        let steps =
            parse("a [[delay secs=0.5]] b [[tool name=bash args={\"command\":\"ls\",\"x\":[[1]]}]] [[say hi there]]");
        assert_eq!(
            steps.iter().map(|s| s.verb.as_str()).collect::<Vec<_>>(),
            ["delay", "tool", "say"]
        );
        assert_eq!(steps[1].args, Some(json!({"command": "ls", "x": [[1]]})));
        assert_eq!(
            (steps[1].keys["name"].as_str(), steps[2].rest.as_str()),
            ("bash", "hi there")
        );
        assert!((steps[0].number("secs", 1.0) - 0.5).abs() < 1e-9);
        assert_eq!(strip("hello [[text n=2]]there"), "hello there");
        assert!(parse("[[").is_empty() && parse("[[]] ]] x").is_empty());
    }

    #[test]
    fn each_result_answers_one_tool_call() {
        let asked = user("[[say first]] [[tool name=a]] [[say then]] [[tool name=b]] [[say last]]");
        let verbs = |messages: &[Value]| {
            plan(messages)
                .into_iter()
                .map(|s| s.verb + ":" + &s.rest)
                .collect::<Vec<_>>()
        };
        let result = json!({"role": "tool", "content": "r"});
        assert_eq!(verbs(std::slice::from_ref(&asked)), ["say:first", "tool:name=a"]);
        assert_eq!(verbs(&[asked.clone(), result.clone()]), ["say:then", "tool:name=b"]);
        assert_eq!(verbs(&[asked, result.clone(), result.clone()]), ["say:last"]);
        assert_eq!(verbs(&[user("[[tool name=a]]"), result]), ["say:[tool done] r"]);
        assert_eq!(verbs(&[user("hello")]), ["say:You said: hello"]);
    }
}
