//! What a component says of itself, out of its manifest.

use crate::grant_words;
use crate::resolved::Says;
use nexus_plugin_api::manifest::Manifest;

impl Says {
    /// `of` takes it from a manifest.
    pub fn of(manifest: &Manifest) -> Self {
        let asked = &manifest.capabilities;
        let runs = asked
            .process
            .iter()
            .map(|(name, request)| grant_words::run(name, None, request.inherit_env));
        let calls = asked.http.iter().map(|request| grant_words::request(&request.url));
        let keeps = asked.store.iter().map(|store| grant_words::store(store.quota));
        let reads = manifest.secrets().map(grant_words::secret);
        Self {
            name: manifest.name.to_string(),
            version: manifest.version.to_string(),
            api: manifest.api.to_string(),
            asks: runs.chain(calls).chain(keeps).chain(reads).collect(),
        }
    }
}
