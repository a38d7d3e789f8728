//! Programs that send a token with each request: `Authorization: Bearer …`, at the API and the live socket.
//!
//! No page of another site can have a browser send that header without asking first, and this host agrees to nothing of that
//! kind. So a request that carries it need not show where it comes from; but then it stands on the token alone, and on no
//! cookie.

use super::arrival::Arrived;
use super::identity::{Anonymous, MaybeLogin, client_address};
use crate::WebState;
use axum::extract::{FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap, ORIGIN};
use http::request::Parts;
use nexus_auth::{Arrival, AuthError, AuthService, Client, Session};
use nexus_model::limits::{BEARER_RECHECK, BEARER_UNANSWERED};
use nexus_store::UserId;
use tokio::time::Instant;

/// `ByToken` marks a request that was let through for its token: no cookie of it is read.
#[derive(Clone, Copy)]
pub(super) struct ByToken;

/// `carries_token` tells whether a request that is sent by no page of a browser has a token, where tokens count.
pub(super) fn carries_token(request: &Request) -> bool {
    let path = request.uri().path();
    let headers = request.headers();
    (path.starts_with("/api/") || path == "/live")
        && token(headers).is_some()
        && !headers.contains_key(ORIGIN)
        && !headers.contains_key("sec-fetch-site")
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// `Token` is one that was right when the request came.
pub(crate) struct Token {
    token: String,
    arrival: Arrival,
    client: Client,
    /// `user` is whose it was.
    user: Option<UserId>,
}

impl Token {
    async fn session(&self, auth: &AuthService) -> Result<Option<Session>, AuthError> {
        auth.bearer(&self.token, &self.arrival, &self.client).await
    }

    /// Waits until the token is not right any more, or is somebody else's, or nobody could tell for [`BEARER_UNANSWERED`].
    pub(crate) async fn ended(&self, auth: &AuthService) {
        let mut told = Instant::now();
        loop {
            tokio::time::sleep(BEARER_RECHECK).await;
            match self.session(auth).await {
                // What cannot be asked now decides nothing about a connection that was let in.
                Err(AuthError::Unavailable(_) | AuthError::Busy) if told.elapsed() < BEARER_UNANSWERED => {}
                Ok(Some(session)) if Some(session.login.user.id) == self.user => told = Instant::now(),
                Ok(_) | Err(_) => return,
            }
        }
    }
}

/// `Caller` is who sends a request to the API or opens a live socket.
pub(crate) struct Caller {
    pub known: MaybeLogin,
    /// `token` is the one that it showed.
    pub token: Option<Token>,
}

/// `NoCaller` says why that was not found out.
pub(crate) enum NoCaller {
    /// `Page` is said as a page.
    Page(Box<Response>),
    /// `Token`: the token is not right.
    Token(AuthError),
}

impl IntoResponse for NoCaller {
    fn into_response(self) -> Response {
        match self {
            Self::Page(page) => *page,
            Self::Token(error) => (status_of(&error), format!("{error}\n")).into_response(),
        }
    }
}

impl FromRequestParts<WebState> for Caller {
    type Rejection = NoCaller;
    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, NoCaller> {
        let auth = &state.services.auth;
        let by_token = parts.extensions.get::<ByToken>().is_some();
        let token = token(&parts.headers).map(str::to_owned);
        if let Some(token) = token
            && auth.takes_tokens().await.map_err(NoCaller::Token)?
        {
            let Anonymous { client, site, .. } = page(Anonymous::from_request_parts(parts, state).await)?;
            let arrived = Arrived::from_request_parts(parts, state).await;
            let arrived = page(arrived.map_err(IntoResponse::into_response))?;
            let arrival = page(arrived.arrival().await)?;
            let peer = page(client_address(parts).map_err(IntoResponse::into_response))?;
            let mut token = Token {
                token,
                arrival,
                client,
                user: None,
            };
            let login = token.session(auth).await.map_err(NoCaller::Token)?;
            token.user = login.as_ref().map(|session| session.login.user.id);
            let known = MaybeLogin { login, site, peer };
            return Ok(Self {
                known,
                token: Some(token),
            });
        }
        let mut known = page(MaybeLogin::from_request_parts(parts, state).await)?;
        if by_token {
            known.login = None;
        }
        Ok(Self { known, token: None })
    }
}

/// `status_of` is the status of the answer to a token that is not right.
pub(crate) fn status_of(error: &AuthError) -> StatusCode {
    match error {
        AuthError::Locked { .. } => StatusCode::TOO_MANY_REQUESTS,
        AuthError::Unavailable(_) | AuthError::Busy => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::UNAUTHORIZED,
    }
}

fn page<T>(found: Result<T, Response>) -> Result<T, NoCaller> {
    found.map_err(|page| NoCaller::Page(Box::new(page)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nexus_model::time::SystemClock;
    use nexus_plugin_traits::auth::Route;
    use nexus_store::Store;
    use nexus_store::activity_log::ActivityLog;
    use nexus_testkit::{FakeAuth, auth_config};
    use std::sync::Arc;
    use tokio::time::{Instant, timeout};

    async fn of_ada() -> (FakeAuth, AuthService, Token) {
        let clock = Arc::new(SystemClock);
        let provider = FakeAuth::default();
        provider
            .tokens
            .lock()
            .unwrap()
            .insert("right".to_owned(), "sub-ada".to_owned());
        let auth = AuthService::open(
            Arc::new(provider.clone()),
            Store::in_memory().unwrap(),
            clock.clone(),
            auth_config(),
            Arc::new(ActivityLog::unkept(clock)),
        );
        let auth = auth.await.unwrap();
        auth.bind_subject("ada", "sub-ada").await.unwrap();
        let mut token = Token {
            token: "right".to_owned(),
            arrival: Arrival {
                route: Route::Loopback,
                peer: String::new(),
                peer_user: None,
                header: Box::new(|_| Vec::new()),
            },
            client: Client::default(),
            user: None,
        };
        let session = token.session(&auth).await.unwrap().unwrap();
        token.user = Some(session.login.user.id);
        (provider, auth, token)
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_live_socket_of_a_token_ends_with_it() {
        let (provider, auth, token) = of_ada().await;
        let tokens = Arc::clone(&provider.tokens);
        let long = 5 * BEARER_RECHECK;
        assert!(
            timeout(long, token.ended(&auth)).await.is_err(),
            "it is right all the time"
        );
        tokens.lock().unwrap().clear();
        tokens
            .lock()
            .unwrap()
            .insert("another".to_owned(), "sub-ada".to_owned());
        let before = Instant::now();
        timeout(long, token.ended(&auth)).await.unwrap();
        assert!(before.elapsed() < 2 * BEARER_RECHECK);
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_live_socket_of_a_token_ends_where_it_is_somebody_elses() {
        let (_, auth, token) = of_ada().await;
        let long = 5 * BEARER_RECHECK;
        auth.bind_subject("bob", "sub-bob").await.unwrap();
        auth.bind_subject("ada", "sub-other").await.unwrap();
        auth.bind_subject("bob", "sub-ada").await.unwrap();
        let whose = token.session(&auth).await.unwrap().unwrap();
        assert_eq!(whose.account(), "bob");
        timeout(long, token.ended(&auth)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_live_socket_whose_token_nobody_can_check_ends() {
        let (provider, auth, token) = of_ada().await;
        *provider.silent.lock().unwrap() = true;
        let before = Instant::now();
        timeout(2 * BEARER_UNANSWERED, token.ended(&auth)).await.unwrap();
        assert!(before.elapsed() >= BEARER_UNANSWERED);
    }
}
