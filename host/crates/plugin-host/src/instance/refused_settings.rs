//! What a plugin says in `describe` of settings that it cannot use (`nexus_plugin_api::refused`): read, cut to size, and put
//! into one sentence for whoever sees only that the plugin does not run.

use crate::bindings::caps::types::Ext;
use crate::capabilities::Mask;
use crate::truncate;
use nexus_model::limits;
use nexus_model::plugin::Refusal;
use nexus_model::trouble::Trouble;
use nexus_plugin_api::refused_settings::{REFUSED_SETTINGS, RefusedSetting};

/// Reads what the plugin says. What is not written as it should be is none: no plugin is lost by its words alone.
pub(crate) fn read(ext: &[Ext], mask: &Mask) -> Vec<Refusal> {
    let said = ext.iter().find(|ext| ext.name == REFUSED_SETTINGS);
    let refused: Vec<RefusedSetting> = said
        .and_then(|ext| serde_json::from_str(&ext.value).ok())
        .unwrap_or_default();
    let refusals = refused.into_iter().take(limits::LIST_ENTRIES).map(|refused| Refusal {
        key: refused.key.map(|key| truncate::literal(key, limits::TITLE_BYTES)),
        cause: truncate::reason(mask.hide_in(refused.why)),
        fix: refused
            .hint
            .map(|hint| truncate::sentence(mask.hide_in(hint)))
            .filter(|hint| !hint.trim().is_empty()),
    });
    refusals.collect()
}

/// `trouble` is all of it as one.
pub(super) fn trouble(plugin: &str, refused: &[Refusal]) -> Trouble {
    let causes: Vec<_> = refused.iter().map(|refusal| refusal.cause.as_str()).collect();
    let mut fixes: Vec<_> = refused.iter().filter_map(|refusal| refusal.fix.as_deref()).collect();
    fixes.dedup();
    if fixes.is_empty() {
        fixes.push("run `nexus config check`, which shows the lines in the file");
    }
    Trouble::new(
        format!("plugin {plugin}"),
        truncate::sentence(causes.join(" ")),
        truncate::sentence(fixes.join("\n")),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn ext(value: &str) -> [Ext; 1] {
        [Ext {
            name: REFUSED_SETTINGS.to_owned(),
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
        assert_eq!(two[0].fix.as_deref(), Some("Give 1."));
        assert!(!two[1].cause.contains('\u{202e}'), "{two:?}");
        let one = trouble("x", &two);
        assert!(one.cause.starts_with("`port` is 0. ") && one.fix.as_deref() == Some("Give 1."));
        let many = format!("[{}]", vec![r#"{"why":"w"}"#; 5_000].join(","));
        assert_eq!(read(&many).len(), limits::LIST_ENTRIES);
    }
}
