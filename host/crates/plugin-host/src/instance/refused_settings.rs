//! What a plugin says in `describe` of settings that it cannot use (`nexus_plugin_api::refused`): read, cut to size, and put
//! into one sentence for whoever sees only that the plugin does not run.

use crate::bindings::caps::types::Ext;
use crate::capabilities::Mask;
use crate::truncate;
use nexus_model::limits;
use nexus_model::plugin::Refusal;
use nexus_model::trouble::Trouble;
use nexus_plugin_api::refused::{REFUSED, Refused};

/// Reads what the plugin says. What is not written as it should be is none: no plugin is lost by its words alone.
pub(crate) fn read(ext: &[Ext], mask: &Mask) -> Vec<Refusal> {
    let said = ext.iter().find(|ext| ext.name == REFUSED);
    let refused: Vec<Refused> = said
        .and_then(|ext| serde_json::from_str(&ext.value).ok())
        .unwrap_or_default();
    let refusals = refused.into_iter().take(limits::LIST_ENTRIES).map(|refused| Refusal {
        key: refused.key.map(|key| truncate::literal(key, limits::TITLE_BYTES)),
        why: truncate::reason(mask.hide_in(refused.why)),
        hint: refused
            .hint
            .map(|hint| truncate::sentence(mask.hide_in(hint)))
            .filter(|hint| !hint.trim().is_empty()),
    });
    refusals.collect()
}

/// `trouble` is all of it as one.
pub(super) fn trouble(plugin: &str, refused: &[Refusal]) -> Trouble {
    let why: Vec<_> = refused.iter().map(|refusal| refusal.why.as_str()).collect();
    let mut hints: Vec<_> = refused.iter().filter_map(|refusal| refusal.hint.as_deref()).collect();
    hints.dedup();
    if hints.is_empty() {
        hints.push("run `nexus config check`, which shows the lines in the file");
    }
    Trouble::new(
        format!("plugin {plugin}"),
        truncate::sentence(why.join(" ")),
        truncate::sentence(hints.join("\n")),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn ext(value: &str) -> [Ext; 1] {
        [Ext {
            name: REFUSED.to_owned(),
            value: value.to_owned(),
        }]
    }

    #[test]
    fn each_refusal_is_kept_and_what_is_malformed_is_none() {
        let read = |value: &str| super::read(&ext(value), &Mask::default());
        assert!(super::read(&[], &Mask::default()).is_empty());
        for none in ["", "{}", "[]", r#"[{"key":"port"}]"#, r#""port""#] {
            assert!(read(none).is_empty(), "{none}");
        }
        let two = read(
            "[{\"why\":\"`port` is 0.\",\"key\":\"port\",\"hint\":\"Give 1.\"},{\"why\":\"\\u202eevil\",\"more\":1}]",
        );
        assert_eq!(two[0].hint.as_deref(), Some("Give 1."));
        assert!(!two[1].why.contains('\u{202e}'), "{two:?}");
        let one = trouble("x", &two);
        assert!(one.why.starts_with("`port` is 0. ") && one.fix.as_deref() == Some("Give 1."));
        let many = format!("[{}]", vec![r#"{"why":"w"}"#; 5_000].join(","));
        assert_eq!(read(&many).len(), limits::LIST_ENTRIES);
    }
}
