//! What the capabilities keep for one plugin, over all of its instances: a line for each that keeps something.

use super::config::state::ConfigState;
use super::host_services::HostServices;
use super::http::state::HttpState;
use super::process::state::ProcessState;
use super::secrets::generated::GeneratedSecrets;
use super::secrets::state::SecretsState;
use super::store::state::StoreState;
use super::transcript::state::TranscriptState;
use nexus_config::resolved::Plugin;
use std::sync::Arc;

/// `States` are what the capabilities keep for one plugin.
pub(crate) struct States {
    pub(super) config: ConfigState,
    pub(super) process: ProcessState,
    pub(super) http: HttpState,
    pub(super) store: StoreState,
    pub(crate) secrets: SecretsState,
    pub(super) transcript: TranscriptState,
}

impl States {
    /// `generated` are the secrets that the host made for plugins.
    pub(crate) fn new(services: &HostServices, generated: &Arc<GeneratedSecrets>, plugin: &Plugin) -> Self {
        Self {
            config: ConfigState::new(plugin),
            process: ProcessState::new(services),
            http: HttpState::new(services),
            store: StoreState::new(services, plugin),
            secrets: SecretsState::new(generated, plugin),
            transcript: TranscriptState::new(services),
        }
    }
}
