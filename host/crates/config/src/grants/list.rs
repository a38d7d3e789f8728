//! What a plugin may do: the list of all capabilities that need a grant, and what is asked of all of them. A new one is its
//! file, which implements [`GrantKind`], a field in each of the two structs, and a line in each list here.

use super::grant_context::GrantContext;
use super::grant_kind::{GrantKind, GrantNotes, PluginTables};
use super::http::HttpGrants;
use super::lines::Lines;
use super::process::ProcessGrants;
use super::request::Request;
use super::secrets::SecretGrants;
use super::store::StoreGrant;
use crate::permission::Permission;
use crate::toml_reader::Findings;
use nexus_plugin_api::manifest::Manifest;

/// `Grants` are what a plugin may do.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    /// `processes` are the programs that it may run.
    pub processes: ProcessGrants,
    /// `http` are the servers that it may send requests to.
    pub http: HttpGrants,
    /// `store` is what it may keep.
    pub store: StoreGrant,
    /// `secrets` are those that it may read.
    pub secrets: SecretGrants,
}

/// `AuthoredGrants` are what the operator wrote of all of them.
#[derive(Debug, Default)]
pub(crate) struct AuthoredGrants {
    processes: <ProcessGrants as GrantKind>::Written,
    http: <HttpGrants as GrantKind>::Written,
    store: <StoreGrant as GrantKind>::Written,
    /// `secrets` are read from files and variables, which the configuration as a whole has to know.
    pub(crate) secrets: <SecretGrants as GrantKind>::Written,
}

impl AuthoredGrants {
    pub(crate) fn read(tables: &mut PluginTables<'_, '_, '_>, findings: &mut Findings) -> Self {
        Self {
            processes: ProcessGrants::read(tables, findings),
            http: HttpGrants::read(tables, findings),
            store: StoreGrant::read(tables, findings),
            secrets: SecretGrants::read(tables, findings),
        }
    }
}

impl Grants {
    /// `resolve` is the manifest ∩ the operator. What is missing is in the notes.
    pub(crate) fn resolve(written: &AuthoredGrants, asked: &GrantContext<'_>, notes: &mut GrantNotes<'_>) -> Self {
        Self {
            processes: GrantKind::resolve(&written.processes, asked, notes),
            http: GrantKind::resolve(&written.http, asked, notes),
            store: GrantKind::resolve(&written.store, asked, notes),
            secrets: GrantKind::resolve(&written.secrets, asked, notes),
        }
    }

    /// `permissions` are all that is granted: programs, servers, the store, secrets.
    pub fn permissions(&self) -> Vec<Permission> {
        [
            self.processes.permissions(),
            self.http.permissions(),
            self.store.permissions(),
            self.secrets.permissions(),
        ]
        .concat()
    }

    pub(super) fn lines(&self, lines: &mut Lines<'_>) {
        self.processes.lines(lines);
        self.http.lines(lines);
        self.store.lines(lines);
        self.secrets.lines(lines);
    }
}

impl Permission {
    /// `requested` are all that a manifest asks for: programs, servers, the store, secrets.
    pub fn requested(manifest: &Manifest) -> Vec<Request> {
        [
            ProcessGrants::requested(manifest),
            HttpGrants::requested(manifest),
            StoreGrant::requested(manifest),
            SecretGrants::requested(manifest),
        ]
        .concat()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::grants::{HttpGrant, ProcessGrant};
    use crate::secret::Secret;

    #[test]
    fn each_grant_has_one_wording() {
        let run = |path: Option<&str>, inherit_env| ProcessGrant {
            path: path.map(Into::into),
            inherit_env,
            cwd: None,
        };
        let http = |url: &str, private| HttpGrant::parse(url).unwrap().with_private(private);
        let grants = Grants {
            processes: [
                ("git".to_owned(), run(None, false)),
                ("node".to_owned(), run(Some("/usr/bin/node"), true)),
            ]
            .into(),
            http: vec![http("https://*.example.org", false), http("https://nas:8443", true)],
            store: StoreGrant {
                quota: 1536 << 10,
                ..StoreGrant::default()
            },
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
                "read the secret `token`"
            ]
        );
        assert_eq!(Permission::store(None).to_string(), "store data");
        assert!(Grants::default().permissions().is_empty());
    }

    #[test]
    fn each_request_has_its_reason() {
        let manifest = "name = \"chat-x\"\nkind = \"chat\"\nversion = \"0.1.0\"\napi = \"0.2\"\ndescription = \
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
                "read the secret `token`: the key of the account []",
            ]
        );
    }
}
