//! What differs between two texts of the configuration, key by key.
//!
//! Compared is what was written, not what it means: so no key can be forgotten here, and what is shown is what the operator
//! will find in the file. Secrets are not among it: a file names where they are, never what.

use std::collections::BTreeMap;

/// `["tunnel", "main", "plugin"]`
pub type Key = Vec<String>;

/// Characters of a value that are shown.
const SHOWN: usize = 200;

/// Every key of a text that has a value. An empty table is one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values(BTreeMap<Key, toml::Value>);

/// One key whose value differs. None: it is not there.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub key: Key,
    pub was: Option<toml::Value>,
    pub now: Option<toml::Value>,
}

impl Values {
    /// A text that is no TOML has none.
    pub fn read(text: &str) -> Self {
        let mut values = BTreeMap::new();
        if let Ok(table) = text.parse::<toml::Table>() {
            leaves(Vec::new(), table, &mut values);
        }
        Self(values)
    }

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

    /// It counts from now on.
    pub fn take(&mut self, change: &Change) {
        match &change.now {
            Some(now) => self.0.insert(change.key.clone(), now.clone()),
            None => self.0.remove(&change.key),
        };
    }

    pub fn get(&self, key: &[&str]) -> Option<&toml::Value> {
        let key: Key = key.iter().map(|part| (*part).to_owned()).collect();
        self.0.get(&key)
    }

    /// Whether the table, or a part of it, is there.
    pub fn has(&self, table: &[&str]) -> bool {
        self.0
            .keys()
            .any(|key| key.len() >= table.len() && key.iter().zip(table).all(|(one, other)| one == other))
    }
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
    /// `tunnel.main.plugin`
    pub fn name(&self) -> String {
        let bare = |part: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            !part.is_empty() && part.chars().all(plain)
        };
        let parts = self.key.iter().map(|part| {
            if bare(part) {
                part.clone()
            } else {
                toml::Value::String(part.clone()).to_string()
            }
        });
        parts.collect::<Vec<_>>().join(".")
    }
}

/// As it would be written in the file; long ones are cut.
pub fn show(value: &toml::Value) -> String {
    let whole = value.to_string();
    match whole.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", whole.get(..end).unwrap_or_default()),
        None => whole,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn lines(before: &str, now: &str) -> Vec<String> {
        let changes = Values::read(before).changes(&Values::read(now));
        let shown = |value: &Option<toml::Value>| value.as_ref().map_or_else(|| "-".to_owned(), show);
        changes
            .iter()
            .map(|change| format!("{}: {} → {}", change.name(), shown(&change.was), shown(&change.now)))
            .collect()
    }

    #[test]
    fn each_key_that_differs_is_named_with_both_values() {
        let before = "config-version = 1\n[tunnel.main]\nplugin = \"tunnel-bore\"\nhosts = [\"a\"]\n[metrics]\n";
        let now = "config-version = 1\n# another line\n[tunnel.main]\nhosts = [\"a\", \"b\"]\nplugin = \"tunnel-ssh\"\n\
                   [plugin.\"x.y\".secrets]\ntoken = { file = \"t\" }\n";
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
    fn a_long_value_is_cut() {
        let text = format!("a = \"{}\"", "ä".repeat(1000));
        let cut = &lines("", &text)[0];
        assert!(cut.ends_with('…') && cut.chars().count() < 220, "{cut}");
    }
}
