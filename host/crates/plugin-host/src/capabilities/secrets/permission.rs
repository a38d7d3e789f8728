//! Whether the operator gave a plugin a secret.

use crate::capabilities::gate::{Denial, Gate};
use nexus_config::Permission;
use nexus_config::resolved::Secret;

impl Gate {
    /// `secret` is the one of this name.
    ///
    /// # Errors
    /// The operator gave no secret of this name.
    pub(crate) fn secret(&self, name: &str) -> Result<&Secret, Denial> {
        self.grants().secrets.get(name).ok_or_else(|| {
            let what = format!("has no secret `{name}`");
            if !self.manifest().secrets().any(|secret| secret == name) {
                return self.deny_words(&what, None);
            }
            let fix = self.lines(&Permission::secret(name));
            // Looking for a secret that may be left out is no attempt at anything.
            self.explain(&what, Some(fix))
        })
    }

    /// Tells whether the operator gave the secret of this name.
    ///
    /// # Errors
    /// The manifest names no such secret: a bug of the plugin.
    pub(crate) fn has_secret(&self, name: &str) -> Result<bool, String> {
        if self.manifest().secrets().any(|secret| secret == name) {
            return Ok(self.grants().secrets.contains_key(name));
        }
        let shown = nexus_plugin_api::text::line(name).into_owned();
        Err(format!(
            "The manifest of the plugin {} names no secret `{shown}`.",
            self.plugin()
        ))
    }
}

#[cfg(test)]
#[path = "denial_tests.rs"]
mod tests;
