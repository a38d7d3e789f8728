//! Manifests of plugins that are as if built in, without their components: the first-party ones and two made-up tunnels.

use nexus_config::resolved::{Config, Source};
use nexus_config::{HostEnvironment, LoadedManifest, Overrides, PluginSource, Report, load};
use nexus_plugin_api::manifest::Manifest;
use std::path::Path;

/// `Builtins` are as the components inside the binary, with manifests that ask for nothing.
pub struct Builtins;

const NAMES: [&str; 9] = [
    "auth-local",
    "chat-acp",
    "chat-echo",
    "chat-opencode",
    "tunnel-bore",
    "tunnel-cloudflared",
    "tunnel-ssh",
    "tunnel-x",
    "tunnel-y",
];

impl PluginSource for Builtins {
    fn manifest(&self, name: &str, _: &Source) -> Result<LoadedManifest, String> {
        let kind = name.split('-').next().unwrap();
        let text = format!(
            "name = \"{name}\"\nkind = \"{kind}\"\nversion = \"0.1.0\"\napi = \"0.2\"\ndescription = \"d\"\nlicense = \"MIT\"\n"
        );
        let manifest = Manifest::parse(&text).unwrap();
        Ok(LoadedManifest { manifest, digest: None })
    }
    fn builtins(&self) -> Vec<String> {
        NAMES.map(str::to_owned).to_vec()
    }
}

/// `config` is the configuration that `text` is, without its first line, read from a file in `dir`, with [`Builtins`]'s
/// plugins and `dir` for the data.
pub fn config(dir: &Path, text: &str) -> Config {
    std::fs::write(dir.join("nexus.toml"), format!("config_version = 1\n{text}")).unwrap();
    read_config(dir).unwrap_or_else(|report| panic!("{report}\n{text}"))
}

/// Does as [`config`], with the file that is there.
///
/// # Errors
/// The problems of the file.
pub fn read_config(dir: &Path) -> Result<Config, Report> {
    let machine = HostEnvironment {
        cwd: dir.to_owned(),
        data_home: Some(dir.to_owned()),
        env: &|_| None,
        plugins: &Builtins,
    };
    load(Some(&dir.join("nexus.toml")), &Overrides::default(), &machine)
}
