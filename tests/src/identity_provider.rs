//! A small OpenID provider: the code flow with PKCE, and one page on which a person chooses who they are.

use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use data_encoding::BASE64URL_NOPAD;
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// What it calls Nexus.
const CLIENT: &str = "nexus";

/// A running provider, at a name of this machine that is another site than `127.0.0.1`.
pub struct IdentityProvider {
    pub issuer: String,
    shared: Arc<ProviderState>,
}

struct ProviderState {
    issuer: String,
    codes: Mutex<BTreeMap<String, Granted>>,
}

#[derive(Debug, Clone, Deserialize)]
struct AuthorizationRequest {
    client_id: String,
    redirect_uri: String,
    state: String,
    nonce: String,
    code_challenge: String,
}

struct Granted {
    asked: AuthorizationRequest,
    user: String,
}

impl IdentityProvider {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let shared = Arc::new(ProviderState {
            issuer: issuer.clone(),
            codes: Mutex::default(),
        });
        let app = Router::new()
            .route("/authorize", get(authorize))
            .route("/approve", get(approve))
            .route("/token", post(token))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { issuer, shared }
    }

    /// What a person does who chooses `user` on the page at `url`: where they are sent back to.
    pub fn sign_in(&self, url: &str, user: &str) -> String {
        let asked: Url = url.parse().unwrap();
        assert!(url.starts_with(&format!("{}/authorize?", self.issuer)), "{url}");
        let fields: BTreeMap<String, String> = asked.query_pairs().into_owned().collect();
        let asked = serde_json::from_value(json!(fields)).unwrap();
        self.shared.grant(asked, user)
    }

    /// The lines of the configuration that log in by it, with the component at `source`.
    pub fn config(&self, source: &std::path::Path) -> String {
        let issuer = &self.issuer;
        format!(
            "[auth]\nplugin = \"auth-redirect\"\n[plugin.auth-redirect]\nsource = {source:?}\n\
             config.issuer = {issuer:?}\ngrants.http = [{{ url = {issuer:?}, private = true }}]\n"
        )
    }
}

impl ProviderState {
    fn grant(&self, asked: AuthorizationRequest, user: &str) -> String {
        let mut codes = self.codes.lock().unwrap();
        let code = format!("code-{}", codes.len());
        let (callback, state) = (asked.redirect_uri.clone(), asked.state.clone());
        let user = user.to_owned();
        codes.insert(code.clone(), Granted { asked, user });
        let with = [("code", code.as_str()), ("state", state.as_str())];
        Url::parse_with_params(&callback, with).unwrap().into()
    }
}

async fn authorize(State(shared): State<Arc<ProviderState>>, Query(asked): Query<AuthorizationRequest>) -> Response {
    if asked.client_id != CLIENT || asked.code_challenge.len() != 43 {
        return (StatusCode::BAD_REQUEST, "This is no request of a known client.").into_response();
    }
    let hidden = [
        ("client_id", &asked.client_id),
        ("redirect_uri", &asked.redirect_uri),
        ("state", &asked.state),
        ("nonce", &asked.nonce),
        ("code_challenge", &asked.code_challenge),
    ]
    .map(|(name, value)| format!("<input type=hidden name={name} value=\"{value}\">"))
    .concat();
    let buttons =
        ["ada", "eve", "nobody"].map(|user| format!("<button name=user value={user}>Sign in as {user}</button>"));
    Html(format!(
        "<!doctype html><link rel=icon href=\"data:,\"><title>{}</title><form action=/approve>{hidden}{}</form>",
        shared.issuer,
        buttons.concat()
    ))
    .into_response()
}

#[derive(Deserialize)]
struct Approved {
    #[serde(flatten)]
    asked: AuthorizationRequest,
    user: String,
}

async fn approve(
    State(shared): State<Arc<ProviderState>>,
    Query(Approved { asked, user }): Query<Approved>,
) -> Redirect {
    if user == "nobody" {
        let with = [("error", "access_denied"), ("state", asked.state.as_str())];
        return Redirect::to(Url::parse_with_params(&asked.redirect_uri, with).unwrap().as_str());
    }
    Redirect::to(&shared.grant(asked, &user))
}

#[derive(Deserialize)]
struct Exchange {
    grant_type: String,
    code: String,
    redirect_uri: String,
    client_id: String,
    code_verifier: String,
}

async fn token(State(shared): State<Arc<ProviderState>>, Form(exchange): Form<Exchange>) -> Response {
    // A code is good once, whatever comes of it.
    let granted = shared.codes.lock().unwrap().remove(&exchange.code);
    let challenge = ring::digest::digest(&ring::digest::SHA256, exchange.code_verifier.as_bytes());
    let challenge = BASE64URL_NOPAD.encode(challenge.as_ref());
    let Some(Granted { asked, user }) = granted.filter(|granted| {
        exchange.grant_type == "authorization_code"
            && exchange.client_id == CLIENT
            && granted.asked.redirect_uri == exchange.redirect_uri
            && granted.asked.code_challenge == challenge
    }) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "iss": shared.issuer, "aud": CLIENT, "sub": format!("id-of-{user}"), "nonce": asked.nonce, "exp": now + 300,
        "name": user,
    });
    let part = |value: serde_json::Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let id_token = format!("{}.{}.", part(json!({"alg": "none"})), part(claims));
    Json(json!({"token_type": "Bearer", "access_token": "unused", "id_token": id_token})).into_response()
}
