//! A permission in words, for the configuration's messages, the status page and the command line alike.
//!
//! The words follow "may" and "asks to": `run ssh with your environment`, `send requests to https://api.example.org`.

use crate::resolved::{Grants, HttpGrant};
use crate::units::show_size;

/// `run` is the permission to run a program. `place` is its file, where it is known.
pub fn run(program: &str, place: Option<&str>, inherit_env: bool) -> String {
    let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
    let environment = if inherit_env { " with your environment" } else { "" };
    format!("run {program}{place}{environment}")
}

/// `address` is what a grant for requests allows, as it stands in a configuration.
pub fn address(grant: &HttpGrant) -> String {
    let port = grant.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", grant.scheme, grant.host)
}

/// `request` is the permission to send requests to an address.
pub fn request(address: &str) -> String {
    format!("send requests to {address}")
}

/// `http` is the permission of a grant for requests.
pub fn http(grant: &HttpGrant) -> String {
    let private = if grant.private {
        ", including private addresses"
    } else {
        ""
    };
    format!("{}{private}", request(&address(grant)))
}

/// `store` is the permission to store up to `quota` bytes.
pub fn store(quota: u64) -> String {
    format!("store up to {}", show_size(quota))
}

/// `secret` is the permission to read a secret.
pub fn secret(name: &str) -> String {
    format!("read the secret {name}")
}

/// `all` has a line for each permission of a plugin. `place` knows the file of a program by its name.
pub fn all(grants: &Grants, place: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let runs = grants
        .processes
        .iter()
        .map(|(name, grant)| run(name, place(name).as_deref(), grant.inherit_env));
    let requests = grants.http.iter().map(http);
    let stores = (grants.store_quota > 0).then(|| store(grants.store_quota));
    let secrets = grants.secrets.keys().map(|name| secret(name));
    runs.chain(requests).chain(stores).chain(secrets).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_configuration() {
        let grant = |host: &str, port, private| HttpGrant {
            scheme: "https".into(),
            host: host.into(),
            port,
            private,
        };
        assert_eq!(
            http(&grant("*.example.org", None, false)),
            "send requests to https://*.example.org"
        );
        assert_eq!(
            http(&grant("nas", Some(8443), true)),
            "send requests to https://nas:8443, including private addresses"
        );
        assert_eq!(
            run("ssh", Some("/usr/bin/ssh"), true),
            "run ssh (/usr/bin/ssh) with your environment"
        );
        assert_eq!(store(64 << 20), "store up to 64 MiB");
        assert_eq!(all(&Grants::default(), &|_| None), Vec::<String>::new());
    }
}
