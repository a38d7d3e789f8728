//! What differs between two texts of the configuration, key by key.
//!
//! Compared is what was written, not what it means: so no key can be forgotten here, and what is shown is what the operator
//! will find in the file. What is not in the text, a component or a secret that a file names, is added by who compares.

use nexus_plugin_api::text;
use std::collections::BTreeMap;

/// `Key` is a key with the tables it is in: `["tunnel", "main", "plugin"]`.
pub type Key = Vec<String>;

/// `SHOWN` is how many characters of a value, and of a key, can be shown.
const SHOWN: usize = 500;

/// `Values` has every key of a text that has a value. An empty table is one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values(BTreeMap<Key, toml::Value>);

/// `Change` is one key whose value differs; a value that is `None` is not there.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// `key` is the key with its tables.
    pub key: Key,
    /// `was` is its value in the older text.
    pub was: Option<toml::Value>,
    /// `now` is its value in the newer text.
    pub now: Option<toml::Value>,
}

impl Values {
    /// Reads the values of a text; one that is no TOML has none.
    pub fn read(text: &str) -> Self {
        let mut values = BTreeMap::new();
        if let Ok(table) = text.parse::<toml::Table>() {
            leaves(Vec::new(), table, &mut values);
        }
        Self(values)
    }

    /// `changes` are the keys whose values differ between this text and a newer one, in order.
    pub fn changes(&self, now: &Self) -> Vec<Change> {
        let gone = self.0.iter().filter(|(key, _)| !now.0.contains_key(*key));
        let gone = gone.map(|(key, was)| Change {
            key: key.clone(),
            was: Some(was.clone()),
            now: None,
        });
        let new = now.0.iter().filter_map(|(key, value)| {
            let was = self.0.get(key);
            (was != Some(value)).then(|| Change {
                key: key.clone(),
                was: was.cloned(),
                now: Some(value.clone()),
            })
        });
        let mut all: Vec<_> = gone.chain(new).collect();
        all.sort_by(|one, other| one.key.cmp(&other.key));
        all
    }

    /// Takes one change in: it is active from now on.
    pub fn take(&mut self, change: &Change) {
        match &change.now {
            Some(now) => self.0.insert(change.key.clone(), now.clone()),
            None => self.0.remove(&change.key),
        };
    }

    /// Adds what is not in the text and belongs to it.
    pub fn add(&mut self, key: &[&str], value: String) {
        self.0.insert(owned(key), toml::Value::String(value));
    }

    /// `get` is the value of a key.
    pub fn get(&self, key: &[&str]) -> Option<&toml::Value> {
        self.0.get(&owned(key))
    }

    /// Tells whether the table, or a part of it, is there.
    pub fn has(&self, table: &[&str]) -> bool {
        self.0
            .keys()
            .any(|key| key.len() >= table.len() && key.iter().zip(table).all(|(one, other)| one == other))
    }
}

fn owned(key: &[&str]) -> Key {
    key.iter().map(|part| (*part).to_owned()).collect()
}

fn leaves(path: Key, table: toml::Table, values: &mut BTreeMap<Key, toml::Value>) {
    for (name, value) in table {
        let mut key = path.clone();
        key.push(name);
        match value {
            toml::Value::Table(inner) if !inner.is_empty() => leaves(key, inner, values),
            leaf => {
                values.insert(key, leaf);
            }
        }
    }
}

impl Change {
    /// `name` is the key as a reader writes it, `tunnel.main.plugin`; `None`: it cannot be shown whole.
    pub fn name(&self) -> Option<String> {
        let bare = |part: &str| {
            // `(component)` is not in the text.
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_()".contains(c);
            !part.is_empty() && part.chars().all(plain)
        };
        let parts = self.key.iter().map(|part| {
            if bare(part) {
                part.clone()
            } else {
                toml::Value::String(part.clone()).to_string()
            }
        });
        whole(&parts.collect::<Vec<_>>().join("."))
    }
}

/// `show` is the value as it would be written in the file, in one line. `None`: it cannot be shown whole, and who saw
/// only a part of it could not tell it from another.
pub fn show(value: &toml::Value) -> Option<String> {
    whole(&value.to_string())
}

fn whole(text: &str) -> Option<String> {
    // To the letter: what is confirmed must be what is read.
    let shown = text::literal(text)
        .replace('\n', &text::mark('\n'))
        .replace('\t', &text::mark('\t'));
    (shown.chars().count() <= SHOWN).then_some(shown)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn lines(before: &str, now: &str) -> Vec<String> {
        let changes = Values::read(before).changes(&Values::read(now));
        let shown = |value: &Option<toml::Value>| value.as_ref().map_or_else(|| "-".to_owned(), |v| show(v).unwrap());
        changes
            .iter()
            .map(|change| {
                format!(
                    "{}: {} → {}",
                    change.name().unwrap(),
                    shown(&change.was),
                    shown(&change.now)
                )
            })
            .collect()
    }

    #[test]
    fn each_key_that_differs_is_named_with_both_values() {
        let before = "config_version = 1\n[tunnel.main]\nplugin = \"tunnel-bore\"\nhosts = [\"a\"]\n[metrics]\n";
        let now = "config_version = 1\n# another line\n[tunnel.main]\nhosts = [\"a\", \"b\"]\nplugin = \
                   \"tunnel-ssh\"\n[plugin.\"x.y\".secrets]\ntoken = { file = \"t\" }\n";
        assert_eq!(
            lines(before, now),
            [
                "metrics: {} → -",
                "plugin.\"x.y\".secrets.token.file: - → \"t\"",
                "tunnel.main.hosts: [\"a\"] → [\"a\", \"b\"]",
                "tunnel.main.plugin: \"tunnel-bore\" → \"tunnel-ssh\"",
            ]
        );
    }

    #[test]
    fn comments_order_and_notation_are_no_change() {
        let one = "[log]\nfilter = \"info\"\n[web]\nlisten = \"127.0.0.1:1\"\n";
        let other = "web.listen = '127.0.0.1:1' # here\nlog = { filter = \"info\" }\n";
        assert_eq!(lines(one, other), Vec::<String>::new());
    }

    #[test]
    fn what_is_taken_differs_no_more() {
        let (mut counts, file) = (Values::read("a = 1\nb = 2\n"), Values::read("b = 3\nc = 4\n"));
        for change in counts.changes(&file) {
            counts.take(&change);
        }
        assert_eq!(counts, file);
    }

    #[test]
    fn what_cannot_be_shown_whole_is_not_shown_and_nothing_forges_a_line() {
        let value = |text: &str| toml::Value::String(text.to_owned());
        assert_eq!(show(&value(&"ä".repeat(SHOWN))), None);
        let shown = show(&value("a\nfrom the next start on:\u{202e}x")).unwrap();
        assert!(!shown.contains('\n') && !shown.contains('\u{202e}'), "{shown}");
        let key = |key: String| Change {
            key: vec!["plugin".to_owned(), key],
            was: None,
            now: None,
        };
        assert_eq!(key("x".repeat(SHOWN)).name(), None);
        assert!(!key("x\ny".to_owned()).name().unwrap().contains('\n'));
    }
}
