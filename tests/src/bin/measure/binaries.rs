//! Which Nexus is measured: the one under test, and another one beside it where `NEXUS_BEFORE` names it.

use nexus_tests::guests::guest;
use nexus_tests::nexus::{Start, binary};
use std::path::PathBuf;

/// A Nexus, and the plugins of the tests that it can load.
pub(crate) struct Binary {
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    /// Where its own are, if it speaks another contract than this repository.
    guests: Option<PathBuf>,
}

impl Binary {
    pub(crate) fn under_test() -> Self {
        Self {
            name: "now",
            path: binary(),
            guests: None,
        }
    }

    /// Those that take turns.
    pub(crate) fn all() -> Vec<Self> {
        let before = std::env::var_os("NEXUS_BEFORE").map(|path| Self {
            name: "before",
            path: path.into(),
            guests: std::env::var_os("NEXUS_BEFORE_GUESTS").map(PathBuf::from),
        });
        before.into_iter().chain([Self::under_test()]).collect()
    }

    pub(crate) fn start(&self) -> Start {
        Start::new().program(&self.path)
    }

    pub(crate) fn guest(&self, name: &str) -> PathBuf {
        match &self.guests {
            Some(folder) => folder.join(format!("{name}.wasm")),
            None => guest(name),
        }
    }
}
