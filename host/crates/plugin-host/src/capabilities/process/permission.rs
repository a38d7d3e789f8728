//! Which programs a plugin may run, how, where, and how many.

use super::environment::{RefusedVariable, Variables};
use super::find_binary::find_binary;
use crate::capabilities::gate::{Denial, Gate, LimitReached};
use nexus_config::grants::ProcessGrant;
use nexus_config::resolved::Workspaces;
use nexus_config::{Permission, toml_text};
use nexus_model::limits;
use nexus_model::token_bucket::TokenBucket;
use nexus_plugin_api::manifest::ProcessRequest;
use std::path::{Component, Path, PathBuf};

fn requested<'a>(gate: &'a Gate, binary: &str) -> Option<&'a ProcessRequest> {
    gate.manifest().capabilities.process.get(binary)
}

impl Gate {
    fn process(&self, binary: &str, inherit_env: bool) -> Result<&ProcessGrant, Denial> {
        let grant = self.grants().processes.get(binary);
        grant.filter(|grant| grant.inherit_env || !inherit_env).ok_or_else(|| {
            let asked = requested(self, binary).is_some_and(|request| request.inherit_env || !inherit_env);
            self.deny(&Permission::run(binary, inherit_env), asked)
        })
    }

    /// Checks that a program may be run this way.
    ///
    /// # Errors
    /// No grant for the binary, or none for the operator's environment, or a variable that the plugin may not set: see
    /// [`super::environment`].
    pub(crate) fn run(&self, binary: &str, inherit_env: bool, env: &[(String, String)]) -> Result<(), Denial> {
        self.process(binary, inherit_env)?;
        let variables = requested(self, binary)
            .map(|request| Variables::of(self.manifest(), &request.env, self.config()))
            .unwrap_or_default();
        for (name, _) in env {
            let Err(refused) = variables.admit(name, self.is_builtin()) else {
                continue;
            };
            let cause = match refused {
                RefusedVariable::Loads => {
                    "it can make the program run other code. No grant allows this; to set it anyway, use a wrapper \
                     script of your own as the binary's `path`."
                }
                RefusedVariable::Leads => {
                    "it can redirect the program to other files or servers. No grant allows this; to set it anyway, \
                     use a wrapper script of your own as the binary's `path`."
                }
                RefusedVariable::NotNamed => {
                    "its manifest does not list it. The plugin's author must add it to `env` in \
                     `[capabilities.process.NAME]` of plugin.toml."
                }
            };
            return Err(self.refuse(format!(
                "The plugin {} may not set {} for `{binary}`: {cause}",
                self.plugin(),
                shown_name(name)
            )));
        }
        Ok(())
    }

    /// `directory` is the one for a process. `wanted` must be one of the workspaces or lie in it.
    ///
    /// # Errors
    /// It is another directory, or a project folder is not what it was.
    pub(crate) fn directory(
        &self,
        binary: &str,
        wanted: Option<&str>,
        workspaces: Option<&Workspaces>,
    ) -> Result<Option<PathBuf>, Denial> {
        let home = self.process(binary, false)?.cwd.as_deref();
        if let Some(cause) = workspaces.and_then(moved) {
            return Err(self.refuse(format!("The plugin {} may not run `{binary}`: {cause}", self.plugin())));
        }
        let home = home.or(workspaces.map(|workspaces| workspaces.first.as_path()));
        let Some(wanted) = wanted else {
            return Ok(home.map(Path::to_path_buf));
        };
        let path = Path::new(wanted);
        let plain = !path.components().any(|c| matches!(c, Component::ParentDir));
        let others = workspaces.iter().flat_map(|workspaces| &workspaces.others);
        let mut homes = home.into_iter().chain(others.map(PathBuf::as_path));
        let within = homes.find(|home| path.is_absolute() && plain && path.starts_with(home));
        match within.or(home) {
            Some(home) if within.is_some() => match real(path, home) {
                Ok(real) => Ok(Some(real)),
                Err(cause) => Err(self.refuse(format!(
                    "The plugin {} may not run `{binary}` in {wanted}: {cause}.",
                    self.plugin()
                ))),
            },
            Some(home) => Err(self.deny_words(
                &format!("may not run `{binary}` in {wanted}, only in {}", home.display()),
                (path.is_absolute() && plain)
                    .then(|| format!("[chat.main]\nworkspace = {}", toml_text::string(wanted))),
            )),
            None => Err(self.deny_words(
                &format!("may not run `{binary}` in {wanted}, only in its private directory"),
                None,
            )),
        }
    }

    /// `find` says where the binary of a granted program is: see [`find_binary`].
    ///
    /// # Errors
    /// No grant for the binary. `Ok(Err(sentence))`: granted, but not there; says where it was looked for.
    pub(crate) fn find(&self, binary: &str) -> Result<Result<PathBuf, String>, Denial> {
        let grant = self.process(binary, false)?;
        Ok(find_binary(
            self.plugin(),
            binary,
            grant.path.as_deref(),
            self.data_dir(),
        ))
    }

    /// `located` is a granted permission with the place of its program on this machine.
    pub(super) fn located(&self, granted: Permission) -> Permission {
        // Only granted names are looked for here, so nothing is refused and counted.
        let place = match self.find(&granted.target) {
            Ok(Ok(path)) => path.display().to_string(),
            Ok(Err(_)) | Err(_) => "not found on this machine".to_owned(),
        };
        Permission::run_at(&granted.target, Some(&place), granted.extended)
    }

    /// Checks that there may be one more process. `running` counts the plugin's other processes, those it waits for
    /// among them.
    ///
    /// # Errors
    /// The limit is reached.
    pub(crate) fn another_process(&self, running: usize) -> Result<(), LimitReached> {
        if running < self.limits().processes as usize {
            return Ok(());
        }
        Err(self.limit(
            "runs",
            "processes",
            self.limits().processes,
            limits::PLUGIN_PROCESSES_MOST,
        ))
    }

    /// Checks that it may start one more process now.
    ///
    /// # Errors
    /// It started so many in the last minute that it has to wait.
    pub(crate) fn another_start(&self, started: &TokenBucket) -> Result<(), LimitReached> {
        let Some(wait) = started.wait(1.0) else { return Ok(()) };
        let (name, most) = (self.plugin(), limits::PROCESS_STARTS);
        Err(self.used_up(format!(
            "The plugin {name} started more than {most} processes within {} s, the fixed limit. It can start more in \
             {} s.",
            limits::PROCESS_STARTS_WINDOW.as_secs(),
            wait.as_secs() + 1
        )))
    }
}

/// `shown_name` is a name that a plugin made up, fit to be shown.
fn shown_name(name: &str) -> String {
    let short: String = name.chars().take(80).collect();
    nexus_plugin_api::text::literal(&short).replace(['\n', '\t'], " ")
}

/// `moved` says which of the other project folders leads elsewhere by now. Whoever takes one's name for a folder goes where it leads, and an
/// agent can make a link.
fn moved(workspaces: &Workspaces) -> Option<String> {
    workspaces.others.iter().find_map(|folder| {
        let shown = folder.display();
        match folder.canonicalize() {
            Ok(real) if real == *folder => None,
            Ok(real) => Some(format!(
                "the project folder {shown} is a link by now and leads to {}. To fix: make {shown} a folder again, or name \
                 the other one in `workspaces` of [chat.main]",
                real.display()
            )),
            Err(e) => Some(format!(
                "the project folder {shown} cannot be opened ({e}). To fix: make it again, or take it out of `workspaces` in \
                 [chat.main]"
            )),
        }
    })
}

/// `real` is the directory itself: a symbolic link below `home` leads nowhere else.
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

#[cfg(test)]
#[path = "denial_tests.rs"]
mod tests;
