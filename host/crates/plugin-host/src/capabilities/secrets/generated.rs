//! Secrets that the host makes.

use nexus_model::limits;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// `GeneratedSecrets` are made by the host on demand. They outlive every instance, so that an adopted process still
/// knows its own, and end with the host.
#[derive(Default)]
pub(crate) struct GeneratedSecrets(Mutex<BTreeMap<String, BTreeMap<String, String>>>);

impl GeneratedSecrets {
    /// `of` are those that were made for the plugin: names and values.
    pub(super) fn of(&self, plugin: &str) -> Vec<(String, String)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.get(plugin).into_iter().flatten();
        own.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// `get` is the secret of this name; it is made at the first call.
    ///
    /// # Errors
    /// A sentence for the operator: not a name, too many, no randomness.
    pub(crate) fn get(&self, plugin: &str, name: &str) -> Result<String, String> {
        if name.is_empty() || name.len() > 64 {
            return Err(format!(
                "the name of a generated secret must have 1 to 64 bytes, but this one has {}",
                name.len()
            ));
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.entry(plugin.to_owned()).or_default();
        if let Some(value) = own.get(name) {
            return Ok(value.clone());
        }
        if own.len() >= limits::GENERATED_SECRETS {
            return Err(format!(
                "the plugin {plugin} already has {} generated secrets; reuse their names",
                limits::GENERATED_SECRETS
            ));
        }
        let value = nexus_model::random::random_token()
            .map_err(|e| format!("the operating system provides no randomness: {e}"))?;
        own.insert(name.to_owned(), value.clone());
        Ok(value)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_secret_stays_and_is_the_plugins_own() {
        let secrets = GeneratedSecrets::default();
        let first = secrets.get("a", "password").unwrap();
        assert_eq!(first.len(), 43);
        assert_eq!(secrets.get("a", "password").unwrap(), first);
        assert_ne!(secrets.get("b", "password").unwrap(), first);
        assert_ne!(secrets.get("a", "other").unwrap(), first);
    }

    #[test]
    fn they_cannot_fill_the_memory() {
        let secrets = GeneratedSecrets::default();
        for n in 0..limits::GENERATED_SECRETS {
            secrets.get("a", &n.to_string()).unwrap();
        }
        assert!(secrets.get("a", "one more").unwrap_err().contains("reuse their names"));
        assert!(secrets.get("a", "0").is_ok());
        assert!(secrets.get("a", "").is_err());
    }
}
