//! The environment a child starts with.

use crate::host_variables::is_our_own;
use crate::shim_arguments::INSTANCE_VARIABLE;
use crate::types::EnvironmentBase;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// `CLEAN` is what a clean environment has besides TMPDIR.
const CLEAN: [&str; 3] = ["PATH", "HOME", "LANG"];

pub(super) struct Environment<'a> {
    pub(super) base: EnvironmentBase,
    /// `hidden` names the variables of the host that hold its secrets.
    pub(super) hidden: &'a [String],
    pub(super) instance_id: &'a str,
    pub(super) tmp: &'a Path,
}

impl Environment<'_> {
    /// `of` is the child's whole environment. Later entries win: the base, then TMPDIR, then the specification's, then
    /// the instance id, which nobody overrides.
    pub(super) fn of(
        &self,
        host: impl IntoIterator<Item = (OsString, OsString)>,
        given: impl IntoIterator<Item = (String, String)>,
    ) -> Vec<(OsString, OsString)> {
        let mut all: Vec<(OsString, OsString)> = host.into_iter().filter(|(name, _)| self.passes(name)).collect();
        all.push(("TMPDIR".into(), self.tmp.into()));
        all.extend(given.into_iter().map(|(name, value)| (name.into(), value.into())));
        all.push((INSTANCE_VARIABLE.into(), self.instance_id.into()));
        all
    }

    fn passes(&self, name: &OsStr) -> bool {
        let shown = name.to_string_lossy();
        match self.base {
            EnvironmentBase::Clean => CLEAN.contains(&&*shown),
            EnvironmentBase::Inherit => !is_our_own(&shown) && !self.hidden.iter().any(|h| h.as_str() == shown),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(base: EnvironmentBase) -> Vec<String> {
        let environment = Environment {
            base,
            hidden: &["OPENAI_KEY".into()],
            instance_id: "m",
            tmp: Path::new("/t"),
        };
        let host = [
            "PATH",
            "HOME",
            "LANG",
            "EDITOR",
            "NEXUS_DATA_DIR",
            "NEXUS_INSTANCE",
            "TUNNEL_TOKEN",
            "OPENAI_KEY",
            "NEXUSES",
            "NOTIFY_SOCKET",
            "WATCHDOG_USEC",
            "WATCHDOG_PID",
            "LISTEN_FDS",
            "CREDENTIALS_DIRECTORY",
        ];
        let host = host.map(|n| (n.into(), "v".into()));
        let all = environment.of(
            host,
            [("A".into(), "b".into()), ("NEXUS_INSTANCE".into(), "forged".into())],
        );
        assert_eq!(all.last().unwrap(), &(INSTANCE_VARIABLE.into(), "m".into()));
        all.iter().map(|(n, _)| n.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn clean_holds_four_and_the_given() {
        assert_eq!(
            names(EnvironmentBase::Clean),
            [
                "PATH",
                "HOME",
                "LANG",
                "TMPDIR",
                "A",
                INSTANCE_VARIABLE,
                INSTANCE_VARIABLE
            ]
        );
    }

    #[test]
    fn what_is_the_hosts_is_not_inherited() {
        let expected = [
            "PATH",
            "HOME",
            "LANG",
            "EDITOR",
            "NEXUSES",
            "TMPDIR",
            "A",
            INSTANCE_VARIABLE,
            INSTANCE_VARIABLE,
        ];
        assert_eq!(names(EnvironmentBase::Inherit), expected);
    }
}
