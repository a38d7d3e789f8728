//! What the running host says: which plugins serve in place of those that the configuration names, for doctor looks at what is used;
//! and what has failed in it, which a look from outside may not find.

use super::finding::Finding;
use crate::cli::control_client::request;
use nexus_config::resolved::Config;
use serde_json::Value;

/// Asks the running host, and puts what was swapped in into the configuration that is looked at. It finds nothing where the host
/// does not answer: that is another finding.
pub(super) fn look(config: &mut Config, findings: &mut Vec<Finding>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = runtime.map(|runtime| runtime.block_on(request(&config.data_dir, "/api/v1/status", None)));
    if let Ok(Ok(status)) = asked {
        findings.extend(applied(config, &status));
    }
}

/// Applies the status of the host, and says what that changes.
fn applied(config: &mut Config, status: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    let known: Vec<String> = config.plugins.keys().cloned().collect();
    let mut swap = |place: &str, named: &mut String, serving: Option<&str>| {
        let Some(serving) = serving.filter(|serving| serving != named && known.iter().any(|name| name == serving))
        else {
            return;
        };
        let found =
            format!("{serving} was swapped in for {named}, which the configuration names; {serving} is checked here");
        findings.push(Finding::ok(place, found));
        serving.clone_into(named);
    };
    let plugin = |of: &Value| of.get("plugin").and_then(Value::as_str).map(str::to_owned);
    // Where the configured one cannot be used, what serves is the fallback.
    let backend = status
        .get("backend")
        .filter(|backend| backend.get("missing").is_none_or(Value::is_null));
    let place = format!("chat.{}", config.chat.name);
    swap(&place, &mut config.chat.plugin, backend.and_then(plugin).as_deref());
    let mut failures: Vec<Finding> = status
        .get("backend")
        .and_then(|backend| failed(&place, backend))
        .into_iter()
        .collect();
    let tunnels = status.get("tunnels").and_then(Value::as_array).into_iter().flatten();
    for tunnel in tunnels {
        let name = tunnel.get("name").and_then(Value::as_str).unwrap_or_default();
        failures.extend(failed(&format!("tunnel.{name}"), tunnel));
        if let Some(configured) = config.tunnels.get_mut(name) {
            swap(
                &format!("tunnel.{name}"),
                &mut configured.plugin,
                plugin(tunnel).as_deref(),
            );
        }
    }
    findings.extend(failures);
    findings
}

/// `failed` is what the host says of a part that has failed.
fn failed(place: &str, of: &Value) -> Option<Finding> {
    let text = |key: &str| of.get(key).and_then(Value::as_str);
    let cause = (text("state")? == "failed").then(|| text("cause"))??;
    let again = "see `nexus status`";
    Some(Finding::fail(
        place,
        format!("it does not work: {cause}"),
        text("fix").unwrap_or(again),
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::super::finding::Level;
    use super::*;
    use nexus_config::{HostEnvironment, Overrides, load};
    use serde_json::json;

    fn config() -> Config {
        let plugins = crate::builtin::components();
        let machine = HostEnvironment {
            cwd: std::env::temp_dir(),
            data_home: Some("/data-home".into()),
            env: &|_| None,
            plugins: &plugins,
        };
        load(None, &Overrides::default(), &machine).unwrap()
    }

    fn after(backend: Value) -> (Config, Vec<String>) {
        let mut config = config();
        let status = json!({ "backend": backend, "tunnels": [{ "name": "absent", "plugin": "tunnel-ssh" }] });
        let findings = applied(&mut config, &status);
        (config, findings.into_iter().map(|finding| finding.found).collect())
    }

    #[test]
    fn what_was_swapped_in_is_looked_at_and_named() {
        let (config, found) = after(json!({ "plugin": "chat-echo", "missing": null }));
        assert_eq!(config.chat.plugin, "chat-echo");
        assert!(
            found.concat().starts_with("chat-echo was swapped in for chat-opencode"),
            "{found:?}"
        );
    }

    #[test]
    fn what_has_failed_in_the_host_is_a_failure_with_its_fix() {
        let mut config = config();
        let status = json!({
            "backend": { "plugin": "chat-opencode", "state": "failed", "cause": "a file is there.", "fix": "delete it" },
            "tunnels": [{ "name": "t", "plugin": "tunnel-ssh", "state": "failed", "cause": "no key." }, { "name": "u", "state": "up" }],
        });
        let findings = applied(&mut config, &status);
        let [chat, tunnel] = findings.as_slice() else {
            panic!("{findings:?}")
        };
        assert_eq!((chat.level, chat.fix.as_deref()), (Level::Fail, Some("delete it")));
        assert_eq!(chat.found, "it does not work: a file is there.");
        assert_eq!(
            (tunnel.check.as_str(), tunnel.fix.as_deref()),
            ("tunnel.t", Some("see `nexus status`"))
        );
    }

    #[test]
    fn a_fallback_an_unknown_plugin_and_the_named_one_are_no_swap() {
        for backend in [
            json!({ "plugin": "chat-echo", "missing": { "plugin": "chat-opencode" } }),
            json!({ "plugin": "chat-gone", "missing": null }),
            json!({ "plugin": "chat-opencode", "missing": null }),
            json!({}),
        ] {
            let (config, found) = after(backend.clone());
            assert_eq!(
                (config.chat.plugin.as_str(), found.len()),
                ("chat-opencode", 0),
                "{backend}"
            );
        }
    }
}
