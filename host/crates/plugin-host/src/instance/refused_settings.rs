//! What a plugin says in `describe` of settings that it cannot use: cut to size, and put into one sentence for whoever sees
//! only that the plugin does not run.

use crate::bindings::caps::types::RefusedSetting;
use crate::capabilities::Mask;
use crate::truncate;
use nexus_model::limits;
use nexus_model::plugin::Refusal;
use nexus_model::trouble::Trouble;

/// `read` is what the plugin says, within bounds.
pub(crate) fn read(refused: &[RefusedSetting], mask: &Mask) -> Vec<Refusal> {
    let refusals = refused.iter().take(limits::LIST_ENTRIES).map(|refused| Refusal {
        key: refused
            .key
            .clone()
            .map(|key| truncate::literal(key, limits::TITLE_BYTES)),
        cause: truncate::reason(mask.hide_in(refused.cause.clone())),
        fix: refused
            .fix
            .clone()
            .map(|fix| truncate::sentence(mask.hide_in(fix)))
            .filter(|fix| !fix.trim().is_empty()),
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

    #[test]
    fn each_refusal_is_kept_clean_and_within_bounds() {
        let refused = |cause: &str, fix: Option<&str>| RefusedSetting {
            key: Some("port".to_owned()),
            cause: cause.to_owned(),
            fix: fix.map(str::to_owned),
        };
        let read = |refused: &[RefusedSetting]| super::read(refused, &Mask::default());
        assert!(read(&[]).is_empty());
        let two = read(&[
            refused("`port` is 0.", Some("Give 1.")),
            refused("\u{202e}evil", Some(" ")),
        ]);
        assert_eq!(two[0].fix.as_deref(), Some("Give 1."));
        assert!(!two[1].cause.contains('\u{202e}') && two[1].fix.is_none(), "{two:?}");
        let one = trouble("x", &two);
        assert!(one.cause.starts_with("`port` is 0. ") && one.fix.as_deref() == Some("Give 1."));
        assert_eq!(
            read(&[refused("", None)])[0].cause,
            "the plugin did not report a reason"
        );
        assert_eq!(read(&vec![refused("w", None); 5_000]).len(), limits::LIST_ENTRIES);
    }
}
