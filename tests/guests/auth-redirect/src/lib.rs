//! A login at an OpenID provider: the code flow with PKCE and a nonce. Subjects are those of the provider.
//!
//! The ID token comes from the provider itself, not from the browser, so its signature is not looked at (OpenID Connect
//! Core, 3.1.3.7); its claims are.

use data_encoding::BASE64URL_NOPAD;
use nexus_plugin_api::auth::types::{Answer, Context, Denial, Denied, Identity, Redirect, Step};
use nexus_plugin_api::auth::{Error, Facts, Guest, Method, MethodKind, Verdict};
use nexus_plugin_api::caps::clock;
use nexus_plugin_api::config;
use nexus_plugin_api::http::{Request, encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

#[derive(Deserialize)]
struct Settings {
    issuer: String,
    client: String,
}

/// What has to be known when the browser is back.
#[derive(Serialize, Deserialize)]
struct Begun {
    verifier: String,
    nonce: String,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    nonce: String,
    /// Seconds.
    exp: u64,
    name: Option<String>,
}

pub struct Plugin;

fn random() -> Result<String, Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| Error::Unavailable(e.to_string()))?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

fn refused(reason: Denial, message: &str) -> Step {
    Step::Deny(Denied {
        reason,
        message: Some(message.to_owned()),
    })
}

impl Guest for Plugin {
    async fn describe() -> Vec<Method> {
        vec![Method {
            id: "provider".to_owned(),
            kind: MethodKind::Redirect,
            title: "the provider".to_owned(),
            headers: Vec::new(),
        }]
    }

    async fn begin(_method: String, context: Context) -> Result<Step, Error> {
        let Settings { issuer, client } = config()?;
        let begun = Begun {
            verifier: random()?,
            nonce: random()?,
        };
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(begun.verifier.as_bytes()));
        let url = format!(
            "{issuer}/authorize?response_type=code&scope=openid&client_id={}&redirect_uri={}&nonce={}&code_challenge={challenge}\
             &code_challenge_method=S256",
            encode(&client),
            encode(&context.callback),
            begun.nonce
        );
        let state = serde_json::to_vec(&begun).map_err(|e| Error::Other(e.to_string()))?;
        Ok(Step::Redirect(Redirect { url, state }))
    }

    async fn proceed(state: Vec<u8>, answer: Answer, context: Context) -> Result<Step, Error> {
        let Answer::Redirect(parameters) = answer else {
            return Err(Error::Invalid("this plugin has redirects only".to_owned()));
        };
        let begun: Begun = serde_json::from_slice(&state).map_err(|e| Error::Invalid(e.to_string()))?;
        let parameter = |name: &str| {
            let mut all = parameters.iter().filter(|parameter| parameter.name == name);
            let (one, other) = (all.next(), all.next());
            one.filter(|_| other.is_none()).map(|one| one.value.as_str())
        };
        if parameter("error").is_some() {
            return Ok(refused(Denial::Policy, "The provider did not let you in."));
        }
        let Some(code) = parameter("code") else {
            return Ok(refused(Denial::BadCredential, "The provider sent no code."));
        };
        let Settings { issuer, client } = config()?;
        let answer = Request::post(format!("{issuer}/token"))
            .form(&[
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", &context.callback),
                ("client_id", &client),
                ("code_verifier", &begun.verifier),
            ])
            .send()
            .await?;
        if answer.status != 200 {
            return Ok(refused(Denial::BadCredential, "The provider does not know this code."));
        }
        let tokens: Tokens = answer.json(64 * 1024).await?;
        let payload = tokens.id_token.split('.').nth(1).unwrap_or_default();
        let claims = BASE64URL_NOPAD
            .decode(payload.as_bytes())
            .map_err(|e| Error::Other(e.to_string()))?;
        let claims: Claims = serde_json::from_slice(&claims).map_err(|e| Error::Other(e.to_string()))?;
        let good = claims.iss == issuer
            && claims.aud == client
            && claims.nonce == begun.nonce
            && claims.exp * 1000 > clock::now();
        if !good {
            return Ok(refused(
                Denial::BadCredential,
                "The provider's answer is for another login.",
            ));
        }
        Ok(Step::Identity(Identity {
            subject: claims.sub,
            display_name: claims.name,
        }))
    }

    async fn authenticate(_facts: Facts) -> Result<Verdict, Error> {
        Ok(Verdict::None)
    }
}

#[cfg(target_family = "wasm")]
nexus_plugin_api::export_auth!(Plugin);
