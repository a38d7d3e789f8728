//! Which environment variables a plugin may set for a program that it may run.
//!
//! A program does what its own code says, but its environment says where more code is, which file it reads first, what it
//! starts and through whom it speaks: with such a variable a grant for `git` is one for everything. A list of what is
//! forbidden always misses one (`GIT_SSH_COMMAND`, `OPENSSL_CONF`, …), so a plugin may set only what its manifest names, which
//! the operator reads before the grant. Of these, none of the two lists here:
//!
//! | | a manifest | a built-in plugin's manifest, by its whole name | the operator, in a table that the manifest names |
//! | --- | --- | --- | --- |
//! | [`LOADS`]: the program runs other code | no | no | no: a wrapper script can set it |
//! | [`LEADS`]: it reads, starts or asks something else | no | yes | yes |
//! | anything else | yes | yes | yes |

use nexus_plugin_api::manifest::Manifest;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// `Names` are names, and beginnings and ends of names, in capitals.
struct Names {
    whole: &'static [&'static str],
    begin: &'static [&'static str],
    end: &'static [&'static str],
}

impl Names {
    fn hold(&self, name: &str) -> bool {
        let name = name.to_ascii_uppercase();
        self.whole.contains(&name.as_str())
            || self.begin.iter().any(|start| name.starts_with(start))
            || self.end.iter().any(|end| name.ends_with(end))
    }
}

const LOADS: Names = Names {
    whole: &[
        "BASHOPTS",
        "BASH_ENV",
        "CLASSPATH",
        "ELECTRON_RUN_AS_NODE",
        "ENV",
        "FPATH",
        "GCONV_PATH",
        "IFS",
        "JDK_JAVA_OPTIONS",
        "LOCPATH",
        "NODE_OPTIONS",
        "NODE_PATH",
        "PHPRC",
        "PROMPT_COMMAND",
        "PS4",
        "SHELLOPTS",
        "ZDOTDIR",
        "_JAVA_OPTIONS",
    ],
    begin: &[
        "BASH_FUNC_",
        "BUN_",
        "CORECLR_",
        "COR_",
        "DENO_",
        "DOTNET_",
        "DYLD_",
        "ERL_",
        "GLIBC_",
        "GUILE_",
        "JAVA_",
        "LD_",
        "LUA_",
        "NEXUS_",
        "NODE_REPL_",
        "OPENSSL_",
        "PERL",
        "PHP_",
        "PYTHON",
        "RUBY",
        "R_PROFILE",
    ],
    end: &[],
};

const LEADS: Names = Names {
    whole: &[
        "BROWSER",
        "CURL_HOME",
        "EDITOR",
        "GNUPGHOME",
        "HOME",
        "HOSTALIASES",
        "KUBECONFIG",
        "LOCALDOMAIN",
        "MAKEFLAGS",
        "MANPAGER",
        "NODE_EXTRA_CA_CERTS",
        "PAGER",
        "PATH",
        "PATHEXT",
        "REQUESTS_CA_BUNDLE",
        "RES_OPTIONS",
        "SHELL",
        "SSLKEYLOGFILE",
        "SYSTEMROOT",
        "USERPROFILE",
        "VISUAL",
    ],
    begin: &[
        "CARGO_",
        "DBUS_",
        "DOCKER_",
        "GIO_",
        "GIT_",
        "GOFLAGS",
        "GTK_",
        "LESS",
        "MALLOC_",
        "NODE_TLS_",
        "NPM_CONFIG_",
        "QT_",
        "RUSTC",
        "SSH_",
        "SSL_",
        "TERMINFO",
        "XDG_",
    ],
    end: &["ASKPASS", "_CA_BUNDLE", "_PROXY"],
};

/// `Variables` are what one program may get from a plugin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Variables {
    names: BTreeSet<String>,
    beginnings: Vec<String>,
    /// `given` were written by the operator.
    given: BTreeSet<String>,
}

/// `RefusedVariable` says why a variable is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefusedVariable {
    Loads,
    Leads,
    NotNamed,
}

impl Variables {
    pub(super) fn of(manifest: &Manifest, asked: &[String], config: &Map<String, Value>) -> Self {
        let mut variables = Self::default();
        for entry in asked {
            if let Some(key) = entry.strip_prefix("{config:").and_then(|rest| rest.strip_suffix('}')) {
                // A default would be the manifest's word, not the operator's.
                let written = manifest.config.get(key).is_some_and(|key| key.default.is_none());
                let table = config.get(key).filter(|_| written).and_then(Value::as_object);
                variables.given.extend(table.into_iter().flat_map(Map::keys).cloned());
            } else if let Some(beginning) = entry.strip_suffix('*') {
                // `*` alone would name everything.
                if beginning.len() > 2 && is_name(beginning) {
                    variables.beginnings.push(beginning.to_owned());
                }
            } else if is_name(entry) {
                variables.names.insert(entry.clone());
            }
        }
        variables
    }

    /// Checks that the plugin may set a variable of this name.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn admit(&self, name: &str, builtin: bool) -> Result<(), RefusedVariable> {
        let named = self.names.contains(name);
        if LOADS.hold(name) {
            return Err(RefusedVariable::Loads);
        }
        if self.given.contains(name) {
            return Ok(());
        }
        if LEADS.hold(name) && !(builtin && named) {
            return Err(RefusedVariable::Leads);
        }
        if named || self.beginnings.iter().any(|beginning| name.starts_with(beginning)) {
            return Ok(());
        }
        Err(RefusedVariable::NotNamed)
    }
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
name = "demo"
kind = "chat"
version = "1.0.0"
api = "0.2"
description = "d"
license = "MIT"
[config.extra]
type = "table"
description = "d"
[config.own]
type = "table"
default = { DEFAULTED = "x" }
description = "d"
[capabilities.process.tool]
reason = "r"
env = ["LC_ALL", "TOOL_*", "*", "A*", "SSH_ASKPASS", "LD_PRELOAD", "GIT_*", "{config:extra}", "{config:own}", "{config:none}"]
"#;

    fn variables() -> Variables {
        let manifest = Manifest::parse(MANIFEST).unwrap();
        let config = serde_json::json!({
            "extra": { "MINE": "1", "HTTPS_PROXY": "x", "XDG_CONFIG_HOME": "/x", "LD_PRELOAD": "/x" },
            "own": { "DEFAULTED": "x" },
        });
        let config = config.as_object().unwrap();
        Variables::of(&manifest, &manifest.capabilities.process["tool"].env, config)
    }

    #[test]
    fn what_the_manifest_names_and_the_operator_wrote_may_be_set() {
        let variables = variables();
        for name in ["LC_ALL", "TOOL_", "TOOL_X", "MINE", "HTTPS_PROXY", "XDG_CONFIG_HOME"] {
            assert_eq!(variables.admit(name, false), Ok(()), "{name}");
        }
        for name in ["OTHER", "tool_x", "TOOL", "DEFAULTED", "AB", "lc_all"] {
            assert_eq!(variables.admit(name, true), Err(RefusedVariable::NotNamed), "{name}");
        }
    }

    #[test]
    fn what_brings_other_code_may_nobody_set() {
        for name in [
            "LD_PRELOAD",
            "ld_audit",
            "DYLD_INSERT_LIBRARIES",
            "NODE_OPTIONS",
            "NEXUS_INSTANCE",
            "BASH_ENV",
            "BASH_FUNC_ls%%",
            "OPENSSL_CONF",
            "GLIBC_TUNABLES",
            "PYTHONHOME",
            "PERL5DB",
            "RUBYLIB",
            "JAVA_TOOL_OPTIONS",
            "_JAVA_OPTIONS",
            "IFS",
            "ENV",
            "BUN_OPTIONS",
            "DOTNET_STARTUP_HOOKS",
        ] {
            assert_eq!(variables().admit(name, true), Err(RefusedVariable::Loads), "{name}");
        }
    }

    #[test]
    fn what_leads_elsewhere_is_for_the_operator_and_for_what_was_reviewed() {
        for name in [
            "PATH",
            "HOME",
            "SHELL",
            "XDG_DATA_HOME",
            "GIT_SSH_COMMAND",
            "GIT_X",
            "SSH_ASKPASS",
            "ALL_PROXY",
            "http_proxy",
            "SSL_CERT_FILE",
            "npm_config_prefix",
            "GIT_ASKPASS",
            "DOCKER_HOST",
        ] {
            assert_eq!(variables().admit(name, false), Err(RefusedVariable::Leads), "{name}");
        }
        assert_eq!(variables().admit("SSH_ASKPASS", true), Ok(()), "by its whole name");
        assert_eq!(
            variables().admit("GIT_X", true),
            Err(RefusedVariable::Leads),
            "not by a pattern"
        );
    }
}
