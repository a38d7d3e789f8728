//! The secrets of a plugin, and the mask that hides them.

use super::generated::GeneratedSecrets;
use super::mask::Mask;
use nexus_config::resolved::Plugin;
use std::sync::Arc;

/// `SecretsState` has the secrets that the host made, and what hides those of this plugin.
pub(crate) struct SecretsState {
    pub(in crate::capabilities) generated: Arc<GeneratedSecrets>,
    /// `mask` hides the plugin's secrets in what it answers; the log has the same one.
    pub(crate) mask: Arc<Mask>,
}

impl SecretsState {
    pub(in crate::capabilities) fn new(generated: &Arc<GeneratedSecrets>, plugin: &Plugin) -> Self {
        Self {
            generated: Arc::clone(generated),
            mask: Arc::new(Mask::of(&plugin.grants.secrets, generated, &plugin.name)),
        }
    }
}
