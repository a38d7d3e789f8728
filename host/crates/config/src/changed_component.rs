//! Grants are settled for one component: another one in its place gets none.

use nexus_plugin_api::error_text::sentence;
use std::fmt;

/// `ChangedComponent`: the component of a plugin is another one than that for which its grants were settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedComponent {
    plugin: String,
}

impl ChangedComponent {
    /// Checks that a component is the one for which the grants of a plugin were settled. Both are digests; where `granted` is
    /// `None`, no component was read then.
    ///
    /// # Errors
    /// It is another one.
    pub fn check(plugin: &str, granted: Option<&str>, found: Option<&str>) -> Result<(), Self> {
        if granted.is_none() || granted == found {
            return Ok(());
        }
        Err(Self {
            plugin: plugin.to_owned(),
        })
    }
}

impl fmt::Display for ChangedComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = format!(
            "The component of {} has changed since the configuration was read, so its grants do not apply",
            self.plugin
        );
        let fix = "choose Apply on the status page, or restart Nexus";
        f.write_str(&sentence(&cause, Some(fix)))
    }
}

impl std::error::Error for ChangedComponent {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_component_gets_no_grants() {
        assert_eq!(ChangedComponent::check("x", None, Some("b")), Ok(()));
        assert_eq!(ChangedComponent::check("x", Some("a"), Some("a")), Ok(()));
        for found in [Some("b"), None] {
            let changed = ChangedComponent::check("x", Some("a"), found).map_err(|changed| changed.to_string());
            assert!(changed.is_err_and(|text| text.starts_with("The component of x has changed")));
        }
    }
}
