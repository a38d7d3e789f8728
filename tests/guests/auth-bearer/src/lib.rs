//! A login of programs: a token, of which the SHA-256 is in the configuration.

use nexus_plugin_api::auth::types::{Answer, Context, Denial, Denied, Identity, Step};
use nexus_plugin_api::auth::{Error, Facts, Guest, Method, MethodKind, Verdict};
use nexus_plugin_api::config;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

#[derive(serde::Deserialize)]
struct Settings {
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

pub struct Plugin;

impl Guest for Plugin {
    async fn describe() -> Vec<Method> {
        vec![Method {
            id: "token".to_owned(),
            kind: MethodKind::Bearer,
            title: "Token".to_owned(),
            headers: Vec::new(),
        }]
    }

    async fn begin(_method: String, _context: Context) -> Result<Step, Error> {
        Err(Error::Invalid("there is nothing to begin".to_owned()))
    }

    async fn proceed(_state: Vec<u8>, _answer: Answer, _context: Context) -> Result<Step, Error> {
        Err(Error::Invalid("there is nothing to go on with".to_owned()))
    }

    async fn authenticate(facts: Facts) -> Result<Verdict, Error> {
        let Some(token) = facts.token else {
            return Ok(Verdict::None);
        };
        // A hash of a token that nobody can guess: what its comparison takes tells nothing of it.
        let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(token.as_bytes()));
        let hashes = config::<Settings>()?.hashes;
        let found = hashes.into_iter().find(|(_, known)| *known == hash);
        Ok(match found {
            Some((subject, _)) => Verdict::Identity(Identity {
                subject,
                display_name: None,
            }),
            None => Verdict::Deny(Denied {
                reason: Denial::BadCredential,
                message: None,
            }),
        })
    }
}

#[cfg(target_family = "wasm")]
nexus_plugin_api::export_auth!(Plugin);
