//! A folder for what a check writes.

use std::path::{Path, PathBuf};

/// `Scratch` is a private folder that is gone afterwards.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn make() -> anyhow::Result<Self> {
        use anyhow::Context as _;
        let path = std::env::temp_dir().join(format!("nexus-doctor-{}", nexus_model::random::random_token()?));
        nexus_files::private::make_new_dir(&path).with_context(|| shown(&path))?;
        Ok(Self(path))
    }
}

fn shown(path: &Path) -> String {
    format!("{} cannot be made", path.display())
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
