//! The list of all capabilities that need a grant, and what is asked of all of them. One more is its file, and a line here.

use super::asked::Asked;
use super::grantable::Grantable;
use super::request::Request;
use super::{http, process, secrets, store};
use crate::permission::Permission;
use crate::resolved::Grants;
use nexus_plugin_api::manifest::Manifest;

pub(super) const ALL: [Grantable; 4] = [process::PROCESS, http::HTTP, store::STORE, secrets::SECRETS];

/// What the plugin asks for and neither has nor was refused. A built-in plugin has what it asks for until the operator
/// names less, so nothing is missing there.
pub(crate) fn missing(
    asked: &Asked<'_>,
    config: &serde_json::Map<String, serde_json::Value>,
    grants: &Grants,
) -> Vec<Permission> {
    if asked.builtin {
        return Vec::new();
    }
    ALL.iter()
        .flat_map(|one| (one.missing)(asked, config, grants))
        .collect()
}

impl Permission {
    /// `requested` are all that a manifest asks for: programs, servers, the store, secrets.
    pub fn requested(manifest: &Manifest) -> Vec<Request> {
        ALL.iter().flat_map(|one| (one.requested)(manifest)).collect()
    }
}

impl Grants {
    /// `permissions` are all that is granted: programs, servers, the store, secrets.
    pub fn permissions(&self) -> Vec<Permission> {
        ALL.iter().flat_map(|one| (one.granted)(self)).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::resolved::{HttpGrant, ProcessGrant, Secret};

    #[test]
    fn each_grant_has_one_wording() {
        let run = |path: Option<&str>, inherit_env| ProcessGrant {
            path: path.map(Into::into),
            inherit_env,
            cwd: None,
        };
        let http = |host: &str, port, private| HttpGrant {
            scheme: "https".into(),
            host: host.into(),
            port,
            private,
        };
        let grants = Grants {
            processes: [
                ("git".to_owned(), run(None, false)),
                ("node".to_owned(), run(Some("/usr/bin/node"), true)),
            ]
            .into(),
            http: vec![http("*.example.org", None, false), http("nas", Some(8443), true)],
            store_quota: 1536 << 10,
            secrets: [("token".to_owned(), Secret::new("hush"))].into(),
        };
        let words: Vec<String> = grants.permissions().iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            [
                "run git",
                "run node (/usr/bin/node) with your environment",
                "send requests to https://*.example.org",
                "send requests to https://nas:8443, including private addresses",
                "store up to 1536 KiB",
                "read the secret token"
            ]
        );
        assert_eq!(Permission::Store { quota: None }.to_string(), "store data");
        assert!(Grants::default().permissions().is_empty());
    }

    #[test]
    fn each_request_has_its_reason() {
        let manifest = "name = \"chat-x\"\nkind = \"chat\"\nversion = \"0.1.0\"\napi = \"0.1\"\ndescription = \
                        \"d\"\nlicense = \"MIT\"\n[config.token]\ntype = \"string\"\nsecret = \
                        true\ndescription = \"the key of the account\"\n[config.port]\ntype = \
                        \"integer\"\ndescription = \"d\"\n[capabilities.process.node]\nreason = \"runs \
                        it\"\nenv = [\"X_*\"]\n[[capabilities.http]]\nurl = \
                        \"https://api.example.org\"\nreason = \"asks it\"\n[capabilities.store]\nquota = \
                        4096\nreason = \"keeps it\"\n";
        let requests = Permission::requested(&Manifest::parse(manifest).unwrap());
        let said: Vec<String> = requests
            .iter()
            .map(|request| format!("{}: {} {:?}", request.permission, request.reason, request.env))
            .collect();
        assert_eq!(
            said,
            [
                "run node: runs it [\"X_*\"]",
                "send requests to https://api.example.org: asks it []",
                "store up to 4 KiB: keeps it []",
                "read the secret token: the key of the account []",
            ]
        );
    }
}
