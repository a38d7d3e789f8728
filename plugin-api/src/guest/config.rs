//! The plugin's configuration as a type of the plugin.

use super::caps::types::Error;
use serde::de::DeserializeOwned;

/// Reads the plugin's `[plugin.NAME.config]`, checked by the host against the manifest and with the defaults filled in.
///
/// # Errors
/// `Error::Invalid` when the type asks for something else than the manifest declares.
pub fn config<T: DeserializeOwned>() -> Result<T, Error> {
    parse(&super::caps::config::get())
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|e| {
        Error::Invalid(format!(
            "the configuration does not match the plugin's own type: {e}. The plugin's manifest and code disagree"
        ))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    struct Sample {
        server: String,
    }

    #[test]
    fn a_value_of_another_type_is_named() {
        let e = parse::<Sample>(r#"{"server": 3}"#).unwrap_err();
        assert!(
            matches!(&e, Error::Invalid(m) if m.contains("expected a string")),
            "{e:?}"
        );
        assert_eq!(parse::<Sample>(r#"{"server": "a"}"#).unwrap().server, "a");
    }
}
