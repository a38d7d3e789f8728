//! The one gate: every capability asks here, and nowhere else is decided what a plugin may do.
//!
//! It knows the plugin's name, its grants and its limits, all fixed for the life of a loaded plugin, and does no I/O
//! but looking for a binary and a directory. A refusal says which TOML would allow it, ready to be pasted.

use super::environment::{Refused, Variables};
use super::{Allowance, Counters};
use nexus_config::resolved::{Grants, HttpGrant, Limits, Plugin, ProcessGrant, Secret, Source};
use nexus_config::{requested_http, show_duration, show_size};
use nexus_model::limits;
use nexus_plugin_api::host::caps::types::Error;
use nexus_plugin_api::manifest::{Manifest, ProcessRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// A refusal: a sentence for the operator, with what to write where it can be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial(pub String);

impl From<Denial> for Error {
    fn from(d: Denial) -> Self {
        Self::Denied(d.0)
    }
}

/// What the manifest asks for. Nothing else can be granted, so a refusal offers no TOML for anything else: the
/// configuration would refuse it.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    /// Binary → whether it asks for the operator's environment too.
    pub processes: BTreeMap<String, bool>,
    /// Binary → what it may set in its environment.
    pub variables: BTreeMap<String, Variables>,
    pub http: Vec<HttpGrant>,
    /// Bytes of the store.
    pub store: Option<u64>,
    pub secrets: BTreeSet<String>,
}

impl Requests {
    pub fn of(manifest: &Manifest, config: &serde_json::Map<String, serde_json::Value>) -> Self {
        let asked = &manifest.capabilities;
        let variables =
            |(name, request): (&String, &ProcessRequest)| (name.clone(), Variables::of(manifest, &request.env, config));
        Self {
            processes: asked.process.iter().map(|(n, r)| (n.clone(), r.inherit_env)).collect(),
            variables: asked.process.iter().map(variables).collect(),
            http: requested_http(manifest, config),
            store: asked.store.as_ref().map(|store| store.quota),
            secrets: manifest.secrets().map(str::to_owned).collect(),
        }
    }
}

pub struct Gate {
    plugin: String,
    requests: Requests,
    grants: Grants,
    limits: Limits,
    builtin: bool,
    /// Where the host itself installs programs.
    tools: PathBuf,
    counters: Arc<Counters>,
}

impl Gate {
    pub fn new(plugin: &Plugin, requests: Requests, data_dir: &Path) -> Self {
        Self {
            plugin: plugin.name.clone(),
            requests,
            grants: plugin.grants.clone(),
            limits: plugin.limits.clone(),
            builtin: plugin.source == Source::Builtin,
            tools: data_dir.join("tools"),
            counters: Arc::default(),
        }
    }

    /// What it refuses from now on counts there.
    #[must_use]
    pub fn counting(self, counters: Arc<Counters>) -> Self {
        Self { counters, ..self }
    }

    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The quota of the store in bytes.
    ///
    /// # Errors
    /// There is none.
    pub fn store(&self) -> Result<u64, Denial> {
        match self.grants.store_quota {
            0 => Err(self.deny_or(
                "may not keep data",
                self.requests
                    .store
                    .map(|quota| format!("[plugin.{}.grants]\nstore_quota = {quota}", self.plugin)),
            )),
            quota => Ok(quota),
        }
    }

    /// `full`: what the store says.
    pub fn store_full(&self, full: &str) -> Denial {
        self.refuse(match self.requests.store {
            Some(most) if most > self.grants.store_quota => format!(
                "{full}. To allow more:\n[plugin.{}.grants]\nstore_quota = {most}",
                self.plugin
            ),
            _ => format!("{full}. Its manifest asks for no more: it has to delete something."),
        })
    }

    /// # Errors
    /// The operator gave no secret of this name.
    pub fn secret(&self, name: &str) -> Result<&Secret, Denial> {
        let key = key(name);
        let fix = format!(
            "[plugin.{}.secrets]\n{key} = {{ env = \"VARIABLE\" }}   # or {{ file = \"/path\" }}",
            self.plugin
        );
        self.grants.secrets.get(name).ok_or_else(|| {
            let what = format!("was given no secret `{name}`");
            match self.requests.secrets.contains(name) {
                // Looking for a secret that may be left out is no attempt at anything.
                true => self.explain(&what, Some(fix)),
                false => self.deny_or(&what, None),
            }
        })
    }

    /// The grant under which a request to this place may go out. Host in lower case.
    ///
    /// # Errors
    /// No grant names it.
    pub fn http(&self, scheme: &str, host: &str, port: Option<u16>) -> Result<&HttpGrant, Denial> {
        let granted = self.grants.http.iter().find(|grant| admits(grant, scheme, host, port));
        granted.ok_or_else(|| {
            let port_of = port;
            let port = port
                .filter(|p| Some(*p) != own_port(scheme))
                .map(|p| format!(":{p}"))
                .unwrap_or_default();
            let host = if host.contains(':') && !host.starts_with('[') {
                format!("[{host}]")
            } else {
                host.to_owned()
            };
            let new = toml_text(&format!("{scheme}://{host}{port}"));
            let asked = self
                .requests
                .http
                .iter()
                .any(|grant| admits(grant, scheme, &host, port_of));
            self.deny_or(
                &format!("may not send requests to {scheme}://{host}{port}"),
                asked.then(|| self.http_toml(None, Some(new))),
            )
        })
    }

    /// `refused`: why a granted host was refused all the same, as an address of this machine or its network.
    pub fn private(&self, refused: &str, grant: &HttpGrant) -> Denial {
        self.refuse(format!(
            "{refused}. To allow it:\n{}",
            self.http_toml(Some(grant), None)
        ))
    }

    /// The whole list, for it replaces the one that is written.
    fn http_toml(&self, private: Option<&HttpGrant>, new: Option<String>) -> String {
        let entry = |grant: &HttpGrant| {
            let url = toml_text(&written(grant));
            if grant.private || private == Some(grant) {
                format!("{{ url = {url}, private = true }}")
            } else {
                url
            }
        };
        let urls: Vec<String> = self.grants.http.iter().map(entry).chain(new).collect();
        format!("[plugin.{}.grants]\nhttp = [{}]", self.plugin, urls.join(", "))
    }

    fn process(&self, binary: &str) -> Result<&ProcessGrant, Denial> {
        self.grants.processes.get(binary).ok_or_else(|| {
            let fix = format!(
                "[plugin.{}.grants.process.{}]\npath = \"/absolute/path/of/the/binary\"",
                self.plugin,
                key(binary)
            );
            let asked = self.requests.processes.contains_key(binary);
            self.deny_or(&format!("may not run `{binary}`"), asked.then_some(fix))
        })
    }

    /// Whether a program may be run this way.
    ///
    /// # Errors
    /// No grant for the binary, or none for the operator's environment, or a variable that the plugin may not set: see
    /// [`super::environment`].
    pub fn run(&self, binary: &str, inherit_env: bool, env: &[(String, String)]) -> Result<(), Denial> {
        let grant = self.process(binary)?;
        if inherit_env && !grant.inherit_env {
            let fix = format!(
                "[plugin.{}.grants.process.{}]\ninherit_env = true",
                self.plugin,
                key(binary)
            );
            let asked = self.requests.processes.get(binary).copied().unwrap_or(false);
            return Err(self.deny_or(
                &format!("may not run `{binary}` with your environment"),
                asked.then_some(fix),
            ));
        }
        let none = Variables::default();
        let variables = self.requests.variables.get(binary).unwrap_or(&none);
        for (name, _) in env {
            let Err(refused) = variables.admit(name, self.builtin) else {
                continue;
            };
            let why = match refused {
                Refused::Loads => {
                    "it would run code that you did not allow. No grant allows this; a wrapper script of your own as the binary's \
                     `path` can set it."
                }
                Refused::Leads => {
                    "it would lead the program elsewhere. No grant allows this; a wrapper script of your own as the binary's \
                     `path` can set it."
                }
                Refused::NotNamed => {
                    "its manifest does not name it. The plugin's author has to add it to `env` in \
                     `[capabilities.process.NAME]` of plugin.toml."
                }
            };
            return Err(self.refuse(format!(
                "The plugin {} may not set {} for `{binary}`: {why}",
                self.plugin,
                clip(name)
            )));
        }
        Ok(())
    }

    /// The directory for a process. `wanted` must be the workspace or lie in it.
    ///
    /// # Errors
    /// It is another directory.
    pub fn directory(
        &self,
        binary: &str,
        wanted: Option<&str>,
        workspace: Option<&Path>,
    ) -> Result<Option<PathBuf>, Denial> {
        let home = self.process(binary)?.cwd.as_deref().or(workspace);
        let Some(wanted) = wanted else {
            return Ok(home.map(Path::to_path_buf));
        };
        let path = Path::new(wanted);
        let plain = !path.components().any(|c| matches!(c, Component::ParentDir));
        match home {
            Some(home) if path.is_absolute() && plain && path.starts_with(home) => match real(path, home) {
                Ok(real) => Ok(Some(real)),
                Err(why) => Err(self.refuse(format!(
                    "The plugin {} may not run `{binary}` in {wanted}: {why}.",
                    self.plugin
                ))),
            },
            Some(home) => Err(self.deny_or(
                &format!("may not run `{binary}` in {wanted}; it may in {}", home.display()),
                (path.is_absolute() && plain).then(|| format!("[chat.main]\nworkspace = {}", toml_text(wanted))),
            )),
            None => Err(self.deny_or(
                &format!("may not run `{binary}` in {wanted}; it may in its private directory"),
                None,
            )),
        }
    }

    /// Where the binary is: the granted path, else the host's own tools, else the PATH of the host, else where programs
    /// are installed on this system. Always absolute.
    ///
    /// # Errors
    /// `Ok(Err(sentence))`: granted, but not there; says where it was looked for.
    pub fn find(&self, binary: &str) -> Result<Result<PathBuf, String>, Denial> {
        self.find_on(binary, std::env::var_os("PATH").as_deref(), &installed(binary))
    }

    fn find_on(
        &self,
        binary: &str,
        path: Option<&std::ffi::OsStr>,
        installed: &[PathBuf],
    ) -> Result<Result<PathBuf, String>, Denial> {
        let grant = self.process(binary)?;
        if let Some(path) = &grant.path {
            return Ok(if executable(path) {
                Ok(path.clone())
            } else {
                Err(format!(
                    "{} is not a file that can be executed. It is the `path` in [plugin.{}.grants.process.{}]; correct it, \
                     or leave it out to look on the PATH.",
                    path.display(),
                    self.plugin,
                    key(binary)
                ))
            });
        }
        // A name is granted, not a path: `../x` must not lead out of the places below.
        let plain = Path::new(binary).components().collect::<Vec<_>>();
        if !matches!(plain.as_slice(), [Component::Normal(_)]) {
            return Ok(Err(format!("`{binary}` is not a plain file name")));
        }
        let file = format!("{binary}{}", std::env::consts::EXE_SUFFIX);
        let mut tools: Vec<PathBuf> = std::fs::read_dir(&self.tools)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.is_dir())
            .collect();
        tools.sort();
        let tools = tools
            .into_iter()
            .flat_map(|d| [d.join("node_modules").join(".bin"), d.join("bin"), d]);
        let on_path = path.into_iter().flat_map(std::env::split_paths);
        // A relative entry of the PATH means the directory the host was started in: somebody else's files.
        let found = tools
            .chain(on_path)
            .chain(installed.iter().cloned())
            .filter(|d| d.is_absolute())
            .map(|d| d.join(&file))
            .find(|p| executable(p));
        Ok(found.ok_or_else(|| {
            format!(
                "`{binary}` was not found in {}, on the PATH of nexus, or where this system installs programs. If it is \
                 elsewhere, say where:\n\
                 [plugin.{}.grants.process.{}]\npath = \"/absolute/path/of/{binary}\"\n",
                self.tools.display(),
                self.plugin,
                key(binary)
            )
        }))
    }

    pub fn too_many_streams(&self) -> Denial {
        self.limit("waits for", "streams", self.limits.streams, limits::PLUGIN_STREAMS_MOST)
    }

    /// For what the plugin does by itself, where no call can be refused: the cause of its fall. `most`: what follows from the
    /// limit of streams.
    pub fn too_many_own(&self, what: &str, most: usize) -> Denial {
        let more = self
            .limit("waits for", "streams", self.limits.streams, limits::PLUGIN_STREAMS_MOST)
            .0;
        let fix = more.split_once("To allow more:").map_or("", |(_, toml)| toml);
        let name = &self.plugin;
        let what = format!("The plugin {name} {what} at once: more than {most}, its limit.");
        Denial(match fix {
            "" => what,
            toml => format!("{what} To allow more:{toml}"),
        })
    }

    /// `running`: the plugin's other processes, those it waits for among them.
    ///
    /// # Errors
    /// The limit is reached.
    pub fn another_process(&self, running: usize) -> Result<(), Denial> {
        if running < self.limits.processes as usize {
            return Ok(());
        }
        Err(self.limit(
            "runs",
            "processes",
            self.limits.processes,
            limits::PLUGIN_PROCESSES_MOST,
        ))
    }

    /// What to write where its memory is not enough; with the blank before it.
    pub(crate) fn more_memory(&self) -> String {
        let more = show_size(self.limits.memory.saturating_mul(2));
        format!(" To allow more:\n[plugin.{}.limits]\nmemory = \"{more}\"", self.plugin)
    }

    /// What to write where a turn of it takes too long.
    pub(crate) fn more_cpu(&self) -> String {
        let more = show_duration(self.limits.cpu.saturating_mul(2));
        format!(" To allow more:\n[plugin.{}.limits]\ncpu = \"{more}\"", self.plugin)
    }

    /// What to write where its answers take too long.
    pub(crate) fn more_time(&self) -> String {
        let more = show_duration(self.limits.call.saturating_mul(2));
        format!(" To allow more:\n[plugin.{}.limits]\ncall = \"{more}\"", self.plugin)
    }

    /// # Errors
    /// It started so many in the last minute that it has to wait.
    pub(crate) fn another_start(&self, started: &Allowance) -> Result<(), Denial> {
        let Some(wait) = started.wait(1.0) else { return Ok(()) };
        let (name, most) = (&self.plugin, limits::PROCESS_STARTS);
        Err(self.refuse(format!(
            "The plugin {name} started more than {most} processes within {} s, and no configuration can allow more. It can go \
             on in {} s.",
            limits::PROCESS_STARTS_WINDOW.as_secs(),
            wait.as_secs() + 1
        )))
    }

    /// `bytes`: of a key and its value.
    ///
    /// # Errors
    /// It wrote so much in the last minute that it has to wait.
    pub(crate) fn write(&self, writes: &Allowance, bytes: usize) -> Result<(), Denial> {
        let cost = bytes.saturating_add(limits::STORE_WRITE_COST);
        let Err(wait) = writes.take(cost as f64) else {
            return Ok(());
        };
        let (name, most) = (&self.plugin, self.limits.store_writes);
        let more = most.max(cost as u64).saturating_mul(2);
        Err(self.refuse(format!(
            "The plugin {name} writes more than {} a minute into its store, its limit. It can go on in {} s. To allow \
             more:\n[plugin.{name}.limits]\nstore_writes = \"{}\"",
            show_size(most),
            wait.as_secs().saturating_add(1),
            show_size(more)
        )))
    }

    fn limit(&self, verb: &str, what: &str, most: u32, ceiling: u32) -> Denial {
        let name = &self.plugin;
        if most >= ceiling {
            return self.refuse(format!(
                "The plugin {name} {verb} {most} {what} at once, and no configuration can allow more."
            ));
        }
        let more = most.saturating_mul(2).clamp(1, ceiling);
        self.refuse(format!(
            "The plugin {name} {verb} {most} {what} at once, its limit. To allow more:\n[plugin.{name}.limits]\n{what} = {more}"
        ))
    }

    /// `toml`: what would allow it; none where nothing would.
    fn deny_or(&self, what: &str, toml: Option<String>) -> Denial {
        self.counters.denied();
        self.explain(what, toml)
    }

    fn explain(&self, what: &str, toml: Option<String>) -> Denial {
        let plugin = &self.plugin;
        Denial(match toml {
            Some(toml) => format!("The plugin {plugin} {what}. To allow it:\n{toml}"),
            None => format!("The plugin {plugin} {what}. Its manifest does not ask for that, so nothing can allow it."),
        })
    }

    fn refuse(&self, why: String) -> Denial {
        self.counters.denied();
        Denial(why)
    }
}

/// A name that a plugin made up, fit to be shown.
fn clip(name: &str) -> String {
    let short: String = name.chars().take(80).collect();
    nexus_plugin_api::text::literal(&short).replace(['\n', '\t'], " ")
}

/// The directory itself: a symbolic link below `home` leads nowhere else.
fn real(path: &Path, home: &Path) -> Result<PathBuf, String> {
    let found = |path: &Path| path.canonicalize().map_err(|e| format!("{}: {e}", path.display()));
    let (path, home) = (found(path)?, found(home)?);
    if path.starts_with(&home) {
        return Ok(path);
    }
    Err(format!(
        "it is a link to {}, outside of {}",
        path.display(),
        home.display()
    ))
}

/// Where programs are installed: a service manager's PATH often lacks these. Nobody but an administrator writes there,
/// save Homebrew's own folder, which belongs to whoever installed it.
fn installed(binary: &str) -> Vec<PathBuf> {
    if cfg!(windows) {
        ["C:\\Program Files", "C:\\Program Files (x86)"]
            .map(|programs| Path::new(programs).join(binary))
            .into()
    } else if cfg!(target_os = "macos") {
        ["/opt/homebrew/bin", "/usr/local/bin", "/usr/bin"]
            .map(PathBuf::from)
            .into()
    } else {
        ["/usr/local/bin", "/usr/bin"].map(PathBuf::from).into()
    }
}

fn own_port(scheme: &str) -> Option<u16> {
    match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    }
}

fn admits(grant: &HttpGrant, scheme: &str, host: &str, port: Option<u16>) -> bool {
    let bare = |h: &str| h.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port_of = |p: Option<u16>| p.or_else(|| own_port(scheme));
    let host = bare(host);
    let hosts = match grant.host.strip_prefix("*.") {
        // `*.example.org` is what lies below it, not `example.org` and not `badexample.org`.
        Some(domain) => host
            .strip_suffix(domain)
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => bare(&grant.host) == host,
    };
    hosts && grant.scheme == scheme && port_of(grant.port) == port_of(port)
}

fn written(grant: &HttpGrant) -> String {
    let port = grant.port.map(|p| format!(":{p}")).unwrap_or_default();
    format!("{}://{}{port}", grant.scheme, grant.host)
}

/// As a basic string of TOML, on one line: it must fit a key too.
fn toml_text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// As a key of TOML: bare where that is possible.
fn key(name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare { name.to_owned() } else { toml_text(name) }
}

#[cfg(unix)]
fn executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.is_absolute() && std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn executable(path: &Path) -> bool {
    path.is_absolute() && path.is_file()
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
