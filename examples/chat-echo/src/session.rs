//! A session, and what an echo answers. No I/O: everything here is tested natively.

use serde::{Deserialize, Serialize};

/// `Session` is what the store has about one session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub id: String,
    pub title: String,
    pub created_at: u64,
    pub updated_at: u64,
    pub turns: Vec<Turn>,
}

/// `Turn` is a prompt and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    pub client_id: String,
    pub prompt: String,
    pub asked_at: u64,
    pub answer: String,
    /// `answered_at` is `None` until the answer is complete, and for ever if the plugin was stopped before that.
    pub answered_at: Option<u64>,
}

impl Session {
    pub fn new(id: String, title: Option<String>, now: u64) -> Self {
        let title = title.unwrap_or_else(|| UNNAMED.to_owned());
        Self {
            id,
            title,
            created_at: now,
            updated_at: now,
            turns: Vec::new(),
        }
    }

    /// `false`: there is a prompt with this client id already.
    pub fn ask(&mut self, client_id: &str, prompt: &str, now: u64) -> bool {
        if self.turns.iter().any(|turn| turn.client_id == client_id) {
            return false;
        }
        if self.turns.is_empty() && self.title == UNNAMED {
            self.title = title(prompt);
        }
        let (client_id, prompt) = (client_id.to_owned(), prompt.to_owned());
        self.turns.push(Turn {
            client_id,
            prompt,
            asked_at: now,
            answer: String::new(),
            answered_at: None,
        });
        self.updated_at = now;
        true
    }
}

/// `UNNAMED` is the title until the first prompt.
const UNNAMED: &str = "Echo";

/// `title` is the beginning of the first prompt.
fn title(prompt: &str) -> String {
    let words = prompt.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut title: String = words.chars().take(TITLE).collect();
    if title.len() < words.len() {
        title.push('…');
    }
    if title.is_empty() { UNNAMED.to_owned() } else { title }
}

/// `TITLE` is how many characters of a prompt become the title.
const TITLE: usize = 60;

/// `answer` is the answer in pieces: each is a word and the space after it.
pub fn answer(prompt: &str) -> Vec<String> {
    let text = if prompt.trim().eq_ignore_ascii_case("markdown") {
        MARKDOWN
    } else {
        prompt
    };
    text.split_inclusive(char::is_whitespace).map(str::to_owned).collect()
}

const MARKDOWN: &str = "# What Markdown can do

Text can be **bold**, *slanted*, ~~struck~~ or `code`, and have [links](https://commonmark.org).

1. Lists
2. with numbers

| a | table |
| - | ----- |
| 1 | 2     |

```rust
fn main() {
    println!(\"Hello\");
}
```

> This text is part of the example; no model wrote it.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_an_answer_are_the_prompt() {
        for prompt in ["hello big  world", "", " é\n\tx ", "one"] {
            assert_eq!(answer(prompt).concat(), prompt);
        }
        assert_eq!(answer("a b"), ["a ", "b"]);
        assert_eq!(answer(" Markdown\n").concat(), MARKDOWN);
    }

    #[test]
    fn a_prompt_is_taken_once() {
        let mut session = Session::new("s".into(), None, 1);
        assert_eq!(session.title, UNNAMED);
        assert!(session.ask("c1", "hi", 2));
        assert!(!session.ask("c1", "hi", 3));
        assert!(session.ask("c2", "hi", 4));
        assert_eq!((session.turns.len(), session.updated_at), (2, 4));
        assert_eq!(session.title, "hi");
        let mut named = Session::new("s".into(), Some("Mine".into()), 1);
        assert!(named.ask("c1", "hi", 2) && named.title == "Mine");
        assert_eq!(title(&"é ".repeat(99)), format!("{}…", "é ".repeat(30)));
        assert_eq!(title(" \n"), UNNAMED);
    }
}
