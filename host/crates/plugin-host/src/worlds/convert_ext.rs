//! What a plugin says that the contract has no word for (`ext`, `other`): JSON, clean and within bounds, under the plugin's name.

use crate::bindings::caps::types;
use crate::capabilities::Mask;
use nexus_model::chat::Ext;
use nexus_model::limits;
use nexus_plugin_api::text;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// `values` are those of one record, which may cost `most` bytes to hold. What is not as the contract says is left out, and what
/// was wrong with it is reported.
pub(crate) fn values(
    (plugin, mask): (&str, &Mask),
    ext: Vec<types::Ext>,
    most: usize,
    left_out: &mut dyn FnMut(String),
) -> Ext {
    let (mut kept, mut names) = (Ext::default(), BTreeSet::new());
    let more = ext.len().saturating_sub(limits::EXT_VALUES);
    if more > 0 {
        left_out(format!(
            "{more} values of a list `ext`: it has more than {}",
            limits::EXT_VALUES
        ));
    }
    for ext in ext.into_iter().take(limits::EXT_VALUES) {
        match value(ext, mask) {
            Ok((name, value)) => {
                let one = Ext::of(plugin, BTreeMap::from([(name.clone(), value)]));
                if !names.insert(name.clone()) {
                    left_out(format!("a second value `{name}` of a list `ext`"));
                } else if kept.size().saturating_add(one.size()) > most {
                    left_out(format!("the value `{name}`: together they cost more than {most} bytes"));
                } else {
                    kept.put(&one);
                }
            }
            Err(cause) => left_out(cause),
        }
    }
    kept
}

/// `value` is one of them by its name.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn value(ext: types::Ext, mask: &Mask) -> Result<(String, Value), String> {
    let types::Ext { name, value } = ext;
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    if !(1..=limits::EXT_NAME_BYTES).contains(&name.len()) || !name.bytes().all(known) {
        return Err(format!(
            "a value whose name is not 1 to {} of a-z, 0-9, dot, _ and -",
            limits::EXT_NAME_BYTES
        ));
    }
    if value.len() > limits::EXT_VALUE_BYTES {
        return Err(format!(
            "the value `{name}`: it has {} bytes, more than {}",
            value.len(),
            limits::EXT_VALUE_BYTES
        ));
    }
    match serde_json::from_str(&value) {
        Ok(value) if depth(&value) > limits::EXT_DEPTH => Err(format!(
            "the value `{name}`: it is nested more than {} deep",
            limits::EXT_DEPTH
        )),
        Ok(value) => Ok((name, clean(value, mask))),
        Err(e) => Err(format!("the value `{name}`: it is not JSON ({e})")),
    }
}

/// `depth` is how many lists and objects lie in each other. It goes as deep as the parser did, which has an end.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(all) => 1 + all.iter().map(depth).max().unwrap_or_default(),
        Value::Object(all) => 1 + all.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

/// `clean` is the value without secrets of the plugin and without what acts or hides, as all text of a plugin: whoever shows it
/// need not think of that.
fn clean(value: Value, mask: &Mask) -> Value {
    let shown = |t: String| text::prose(&mask.hide_in(t)).into_owned();
    match value {
        Value::String(t) => Value::String(shown(t)),
        Value::Array(all) => all.into_iter().map(|value| clean(value, mask)).collect(),
        Value::Object(all) => {
            let all = all.into_iter().map(|(name, value)| (shown(name), clean(value, mask)));
            Value::Object(all.collect())
        }
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ext(name: &str, value: &str) -> types::Ext {
        types::Ext {
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }

    fn read(all: Vec<types::Ext>) -> (Ext, Vec<String>) {
        let mut left_out = Vec::new();
        let by = ("acme", &Mask::default());
        let kept = values(by, all, limits::EXT_BYTES, &mut |cause| left_out.push(cause));
        (kept, left_out)
    }

    #[test]
    fn values_of_a_plugins_own_are_json_and_have_bounds() {
        let json_of = |kept: Ext| serde_json::to_value(kept).unwrap_or_default();
        let (kept, left_out) = read(vec![]);
        assert_eq!((json_of(kept), left_out), (json!({}), vec![]));
        let (kept, left_out) = read(vec![
            ext("acme.cost", "{\"usd\": 0.5}"),
            ext("acme.broken", "{"),
            ext("Acme", "1"),
            ext("", "1"),
            ext(&"x".repeat(limits::EXT_NAME_BYTES + 1), "1"),
            ext("acme.long", &format!("{:?}", "x".repeat(limits::EXT_VALUE_BYTES))),
            ext("acme.deep", &("[".repeat(5_000) + &"]".repeat(5_000))),
        ]);
        assert_eq!(json_of(kept), json!({"acme": {"acme.cost": {"usd": 0.5}}}));
        assert_eq!(left_out.len(), 6, "{left_out:?}");
        assert!(
            left_out
                .iter()
                .any(|cause| cause.starts_with("the value `acme.broken`: it is not JSON"))
        );
        // Of two with one name the first is kept.
        let (kept, left_out) = read(vec![ext("acme.twice", "1"), ext("acme.twice", "2")]);
        assert_eq!(json_of(kept), json!({"acme": {"acme.twice": 1}}));
        assert_eq!(left_out, ["a second value `acme.twice` of a list `ext`"]);
        let nested = |depth| ext("acme.nested", &("[".repeat(depth) + &"]".repeat(depth)));
        for (depth, left_out) in [(limits::EXT_DEPTH, 0), (limits::EXT_DEPTH + 1, 1), (127, 1), (128, 1)] {
            assert_eq!(read(vec![nested(depth)]).1.len(), left_out, "{depth}");
        }
        let (kept, left_out) = read((0..100).map(|n| ext(&format!("n{n}"), "null")).collect());
        assert_eq!((kept.count(), left_out.len()), (limits::EXT_VALUES, 1));
    }

    #[test]
    fn what_the_values_of_one_record_cost_has_an_end() {
        // Short to write and long to hold.
        let nested = format!("[{}]", vec!["[]"; 5_000].join(","));
        assert!(nested.len() < limits::EXT_VALUE_BYTES);
        let (kept, left_out) = read((0..16).map(|n| ext(&format!("n{n}"), &nested)).collect());
        assert!(kept.size() <= limits::EXT_BYTES, "{}", kept.size());
        assert_eq!(left_out.len(), 16);
        let text = format!("{:?}", "x".repeat(1_000));
        let by = ("acme", &Mask::default());
        let all = (0..16).map(|n| ext(&format!("n{n}"), &text)).collect();
        let few = values(by, all, limits::SESSION_EXT_BYTES, &mut |_| ());
        assert!(
            few.count() == 3 && few.size() <= limits::SESSION_EXT_BYTES,
            "{}",
            few.size()
        );
    }

    #[test]
    fn a_value_has_no_secret_and_nothing_that_acts_or_hides() {
        use nexus_config::resolved::Secret;
        let given = BTreeMap::from([("key".to_owned(), Secret::new("s3cr3t-value"))]);
        let mask = Mask::of(&given, &std::sync::Arc::default(), "p");
        let said = ext("acme.x", "{\"a\\u202e\": [\"s3cr3t-value\", \"\\u001b[2J\"]}");
        let shown = value(said, &mask)
            .map(|(_, value)| value.to_string())
            .unwrap_or_default();
        assert!(shown.contains("⟨U+202E⟩") && shown.contains("⟨U+001B⟩"), "{shown}");
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}
