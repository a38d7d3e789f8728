//! Gates for the tests of denials: of a plugin that asks for all that the tests want.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::gate::Gate;
use nexus_config::grants::{HttpGrant, ProcessGrant};
use nexus_config::resolved::{Config, Grants, Limits, Plugin, Source};
use nexus_plugin_api::error_text::cause_and_fix;
use nexus_plugin_api::manifest::Manifest;
use std::path::Path;
use std::time::Duration;
use url::Url;

pub(super) fn plugin(grants: Grants) -> Plugin {
    Plugin {
        name: "demo".into(),
        kind: nexus_model::plugin::Kind::Chat,
        source: Source::Builtin,
        digest: None,
        component: Default::default(),
        config: serde_json::Map::new(),
        grants,
        missing: Vec::new(),
        limits: Limits {
            memory: 1 << 20,
            cpu: Duration::from_secs(1),
            cpu_share: 100,
            call: Duration::from_secs(1),
            streams: 4,
            processes: 1,
            log_lines: 10,
        },
    }
}

/// A plugin that asks for all that the tests want.
const MANIFEST: &str = r#"
name = "demo"
kind = "chat"
version = "1.0.0"
api = "0.2"
description = "d"
license = "MIT"
[config.token]
type = "string"
secret = true
description = "d"
[capabilities.process.tool]
reason = "r"
inherit_env = true
env = ["TOOL_*"]
[[capabilities.http]]
url = "https://other.example:8443"
reason = "r"
[[capabilities.http]]
url = "https://*.example.org"
reason = "r"
[[capabilities.http]]
url = "http://127.0.0.1:8000"
reason = "r"
[capabilities.store]
quota = 4096
reason = "r"
"#;

pub(super) fn manifest() -> Manifest {
    Manifest::parse(MANIFEST).unwrap()
}

pub(super) fn gate(grants: Grants) -> Gate {
    Gate::new(&plugin(grants), &manifest(), Path::new("/nonexistent"))
}

pub(super) fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

pub(super) fn web(server: &str) -> Grants {
    Grants {
        http: vec![HttpGrant::parse(server).unwrap()],
        ..Grants::default()
    }
}

pub(super) fn program(grant: ProcessGrant) -> Grants {
    Grants {
        processes: [("tool".to_owned(), grant)].into(),
        ..Grants::default()
    }
}

pub(super) const PLAIN: ProcessGrant = ProcessGrant {
    path: None,
    inherit_env: false,
    cwd: None,
};

/// `lines` are the lines of TOML in the fix of a denial.
fn lines(denial: &str) -> &str {
    let (_, fix) = cause_and_fix(denial);
    fix.and_then(|fix| fix.split_once(":\n")).unwrap().1
}

/// What a refusal prints must be TOML that can be pasted.
pub(super) fn pasted(denial: &str) -> toml::Table {
    let text = lines(denial);
    toml::from_str(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

struct Demo;

impl nexus_config::PluginSource for Demo {
    fn manifest(&self, name: &str, _: &Source) -> Result<nexus_config::LoadedManifest, String> {
        let kind = name.split('-').next().unwrap_or_default();
        let text = match name {
            "demo" => MANIFEST.to_owned(),
            _ => format!(
                "name = \"{name}\"\nkind = \"{kind}\"\nversion = \"1.0.0\"\napi = \"0.2\"\ndescription = \"d\"\nlicense = \"MIT\""
            ),
        };
        let manifest = Manifest::parse(&text).map_err(|e| e.to_string())?;
        Ok(nexus_config::LoadedManifest { manifest, digest: None })
    }
    fn builtins(&self) -> Vec<String> {
        ["auth-local", "chat-opencode", "chat-echo"].map(str::to_owned).to_vec()
    }
}

/// A configuration with these lines about the plugin, which comes from a file.
pub(super) fn configuration(own: &str) -> Config {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("nexus.toml");
    std::fs::write(
        &file,
        format!("config_version = 1\n[plugin.demo]\nsource = \"demo.wasm\"\n{own}\n"),
    )
    .unwrap();
    let machine = nexus_config::HostEnvironment {
        cwd: dir.path().to_owned(),
        data_home: Some(dir.path().to_owned()),
        env: &|_| Some("s3cret".to_owned()),
        plugins: &Demo,
    };
    nexus_config::load(Some(&file), &nexus_config::Overrides::default(), &machine)
        .unwrap_or_else(|report| panic!("{report}"))
}

/// The gate that a configuration makes, with what a refusal printed pasted into it.
pub(super) fn configured(pasted: Option<&str>) -> Gate {
    let toml = pasted.map_or("", lines);
    Gate::new(
        &configuration(toml).plugins["demo"],
        &manifest(),
        Path::new("/nonexistent"),
    )
}
