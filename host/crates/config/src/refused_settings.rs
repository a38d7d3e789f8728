//! Where in the file the settings stand that a plugin itself refuses. The schema in its manifest says types and choices; what
//! a name must look like, and what goes together, only the plugin knows.

use crate::authored::Authored;
use crate::diagnostic::{Diagnostic, Place, Report};
use crate::resolved::Config;
use crate::toml_reader::Findings;
use nexus_model::plugin::Refusal;

/// `refused` reports them as mistakes that the reader of the file finds itself. `refusals` has at least one.
pub fn refused(config: &Config, plugin: &str, refusals: &[Refusal]) -> Report {
    // What is wrong with the file itself was told when it was read.
    let authored = Authored::read(&config.text, &mut Findings::default());
    let table = authored.plugins.iter().find(|(name, _)| name.value == plugin);
    let diagnostics = refusals.iter().map(|refusal| {
        let written = refusal.key.as_ref().zip(table).and_then(|(key, (_, table))| {
            let value = table.config.iter().find(|(name, _)| name.value == *key);
            let secret = table.grants.secrets.iter().find(|(name, _)| name == key);
            value
                .map(|(_, value)| (Place::At(value.span.clone()), value.key.clone()))
                .or_else(|| secret.map(|(_, source)| (Place::At(source.span.clone()), source.key.clone())))
        });
        let (place, key) = written.unwrap_or_else(|| {
            let key = refusal
                .key
                .as_ref()
                .map_or_else(String::new, |key| format!(".config.{key}"));
            let place = table.map_or(Place::Default, |(name, _)| Place::At(name.span.clone()));
            (place, format!("plugin.{plugin}{key}"))
        });
        let problem = format!(
            "the plugin `{plugin}` cannot use this setting: {}",
            refusal.cause.trim_end_matches('.')
        );
        let told = Diagnostic::new(place, key, problem);
        match &refusal.fix {
            Some(fix) => told.fix(fix),
            None => told,
        }
    });
    let mut diagnostics: Vec<_> = diagnostics.collect();
    diagnostics.dedup();
    Report::new(config.file.clone(), config.text.clone(), diagnostics)
}
