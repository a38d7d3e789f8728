//! What the running host says of its plugins' CPU. Doctor starts plugins of its own, which have not used any.

use super::finding::Finding;
use crate::cli::control_client::request;
use nexus_config::resolved::Config;
use nexus_model::limits::{CPU_WINDOW, PLUGIN_CPU_SHARE_MOST};
use nexus_model::plugin::Details;

/// Asks the running host. It finds nothing where the host does not answer: that is another finding.
pub(super) fn look(config: &Config, findings: &mut Vec<Finding>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = runtime.map(|runtime| runtime.block_on(request(&config.data_dir, "/api/v1/plugins/details", None)));
    let details: Option<Vec<Details>> = asked
        .ok()
        .and_then(Result::ok)
        .and_then(|details| serde_json::from_value(details).ok());
    let share = |name: &str| config.plugins.get(name).map(|plugin| plugin.limits.cpu_share);
    findings.extend(slowed(&details.unwrap_or_default(), share));
}

fn slowed(details: &[Details], share: impl Fn(&str) -> Option<u32>) -> Vec<Finding> {
    let paused = details.iter().filter(|plugin| plugin.statistics.cpu_paused_ms > 0);
    let finding = |plugin: &Details| {
        let name = &plugin.name;
        let (check, seconds) = match &plugin.tunnel {
            Some(tunnel) => (
                format!("cpu.{name}.{tunnel}"),
                plugin.statistics.cpu_paused_ms.div_ceil(1000),
            ),
            None => (format!("cpu.{name}"), plugin.statistics.cpu_paused_ms.div_ceil(1000)),
        };
        let share = share(name).unwrap_or_default();
        let found = format!(
            "the plugin {name} used more than its share of CPU, {share} % of a core over {} s, and was throttled for \
             {seconds} s in total since Nexus started",
            CPU_WINDOW.as_secs()
        );
        let more = share.saturating_mul(2).clamp(1, PLUGIN_CPU_SHARE_MOST);
        let fix = if share < PLUGIN_CPU_SHARE_MOST {
            format!("[plugin.{name}.limits]\ncpu_share = {more}   # if this load is intended")
        } else {
            format!("run `nexus logs --plugin {name}`, which shows what it is doing")
        };
        Finding::warn(check, found, fix)
    };
    paused.map(finding).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Level;
    use serde_json::json;

    fn details(name: &str, tunnel: Option<&str>, paused: u64) -> Details {
        let details = json!({
            "name": name, "kind": "tunnel", "tunnel": tunnel, "processes": [],
            "facts": {
                "digest": "", "description": "", "authors": [], "license": "", "source": {"type": "builtin"},
                "grants": [], "missing_permissions": [], "limits": [],
            },
            "statistics": {
                "at": 1, "calls": 0, "errors": 0, "crashes": 0, "events": 0, "memory_peak_bytes": 0, "cpu_ms": 90_000,
                "cpu_paused_ms": paused, "denied": 0, "log_dropped": 0,
            },
        });
        serde_json::from_value(details).unwrap()
    }

    #[test]
    fn who_is_slowed_down_is_named_with_what_would_allow_it() {
        let all = [
            details("a", None, 0),
            details("b", Some("home"), 1_500),
            details("c", None, 1),
        ];
        let found = slowed(&all, |name| Some(if name == "c" { 400 } else { 50 }));
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].check.as_str(), found[0].level), ("cpu.b.home", Level::Warn));
        assert!(found[0].found.contains("50 % of a core over 60 s") && found[0].found.contains("for 2 s"));
        let fix: toml::Table = toml::from_str(found[0].fix.as_ref().unwrap()).unwrap();
        assert_eq!(fix["plugin"]["b"]["limits"]["cpu_share"].as_integer(), Some(100));
        assert!(
            found[1].fix.as_ref().unwrap().starts_with("run `nexus logs"),
            "there is no more to give"
        );
    }
}
