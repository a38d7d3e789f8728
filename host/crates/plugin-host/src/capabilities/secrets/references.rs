//! What references to secrets stand for.

use super::generated::GeneratedSecrets;
use crate::capabilities::gate::Gate;
use nexus_process::References;
use std::sync::Arc;

/// `PluginReferences` says what references stand for, for one plugin.
pub(in crate::capabilities) struct PluginReferences {
    pub(in crate::capabilities) gate: Arc<Gate>,
    pub(in crate::capabilities) generated: Arc<GeneratedSecrets>,
}

impl References for PluginReferences {
    fn secret(&self, name: &str) -> Result<String, String> {
        Ok(self.gate.secret(name).map_err(|d| d.0)?.reveal().to_owned())
    }
    fn generated(&self, name: &str) -> Result<String, String> {
        self.generated.get(self.gate.plugin(), name)
    }
}
