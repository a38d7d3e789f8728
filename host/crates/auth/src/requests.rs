//! Requests that show by themselves whose they are: a page that is opened through a reverse proxy that says who it is, and
//! programs that send a token.
//!
//! Nothing is kept of a token but its digest, and that only to count its attempts by itself: so a stranger who guesses at
//! the same address does not lock a program out that was right before. Whether it is still right is asked each time.

use crate::client::Client;
use crate::devices::{AGENT, AttemptCounter};
use crate::error::AuthError;
use crate::service::AuthService;
use crate::sessions::{NewLogin, Session};
use crate::steps::denied;
use nexus_model::activity::Severity;
use nexus_model::digest::{hex, sha256};
use nexus_model::limits::{AMBIENT_BYTES, BEARER_BYTES};
use nexus_plugin_traits::auth::{Denial, Facts, Identity, Method, MethodKind, Route, Verdict};
use nexus_store::logins::Login;

/// `Headers` finds the values of a header by its name.
pub type Headers = Box<dyn Fn(&str) -> Vec<String> + Send + Sync>;

/// `Arrival` is how a request came in, as the web layer knows it of the socket.
pub struct Arrival {
    /// `route` is where.
    pub route: Route,
    /// `peer` is the address at the other end of the connection.
    pub peer: String,
    /// `peer_user` is the number of the user of this machine whose program is there.
    pub peer_user: Option<u32>,
    /// `header` has the values of a header, whose name is in lower case.
    pub header: Headers,
}

impl AuthService {
    async fn of_kind(&self, kind: MethodKind) -> Result<Vec<Method>, AuthError> {
        let methods = self.methods().await?.iter();
        Ok(methods.filter(|m| m.kind == kind).cloned().collect())
    }

    /// `ambient_methods` are the ways to log in by which a request itself shows who it is.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn ambient_methods(&self) -> Result<Vec<Method>, AuthError> {
        self.of_kind(MethodKind::Ambient).await
    }

    /// Tells whether programs can log in with a token.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn takes_tokens(&self) -> Result<bool, AuthError> {
        Ok(!self.of_kind(MethodKind::Bearer).await?.is_empty())
    }

    /// Logs in whoever the request shows, by this one of [`Self::ambient_methods`]. `None`: it shows nobody.
    ///
    /// # Errors
    /// All of [`AuthError`] but those of the set-up.
    pub async fn ambient(
        &self,
        method: &Method,
        arrival: &Arrival,
        client: &Client,
    ) -> Result<Option<NewLogin>, AuthError> {
        let Some(identity) = self.ambient_identity(method, arrival, client).await? else {
            return Ok(None);
        };
        let user = self
            .store
            .user_by_identity(self.provider.name(), &identity.subject)
            .await?;
        let Some(user) = user else {
            return Err(self.unknown(&identity, client));
        };
        tracing::info!(target: "audit", event = "login", account = user.account, place = client.place, peer = client.peer);
        let device = self.known_device(&user, client).await?;
        let made = self.new_login(user, device, client).await?;
        self.note(client, Severity::Ok, &format!("{} logged in", made.login.user.account));
        Ok(Some(made))
    }

    pub(super) async fn ambient_identity(
        &self,
        method: &Method,
        arrival: &Arrival,
        client: &Client,
    ) -> Result<Option<Identity>, AuthError> {
        let headers = method.headers.iter();
        let headers: Vec<_> = headers
            .flat_map(|name| (arrival.header)(name).into_iter().map(|value| (name.clone(), value)))
            .collect();
        if headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>()
            > AMBIENT_BYTES
        {
            return Ok(None);
        }
        let counter = self.unnamed("ambient", client).await?;
        let facts = facts(method, arrival, client, headers, None);
        self.authenticated(facts, &counter, client).await
    }

    /// `bearer` is the login of a request that carries this token; `None`: it is nobody's. It is not stored, and never a
    /// login of just now.
    ///
    /// # Errors
    /// All of [`AuthError`] but those of the set-up.
    pub async fn bearer(&self, token: &str, arrival: &Arrival, client: &Client) -> Result<Option<Session>, AuthError> {
        let digest = sha256(&[token.as_bytes()]);
        let counter = if self.known_tokens.has(&digest) {
            AttemptCounter::of_known(format!("token:{}", hex(&digest)))
        } else {
            AttemptCounter::of_network("bearer", client)
        };
        let visible = !token.is_empty() && token.len() <= BEARER_BYTES && token.bytes().all(|b| b.is_ascii_graphic());
        let methods = if visible {
            self.of_kind(MethodKind::Bearer).await?
        } else {
            Vec::new()
        };
        for method in &methods {
            let facts = facts(method, arrival, client, Vec::new(), Some(token.to_owned()));
            let identity = match self.authenticated(facts, &counter, client).await {
                Ok(Some(identity)) => identity,
                Ok(None) => continue,
                Err(error) => {
                    if !matches!(error, AuthError::Unavailable(_) | AuthError::Busy) {
                        self.known_tokens.forget(&digest);
                    }
                    return Err(error);
                }
            };
            let plugin = self.provider.name();
            let Some(user) = self.store.user_by_identity(plugin, &identity.subject).await? else {
                return Err(self.unknown(&identity, client));
            };
            if self.known_tokens.add(digest) {
                tracing::info!(target: "audit", event = "login_token", account = user.account, place = client.place, peer = client.peer);
            }
            let now = self.clock.now();
            let login = Login {
                id: "bearer".to_owned(),
                user,
                created_at: now,
                used_at: now,
                checked_at: 0,
                peer: client.peer.clone(),
                agent: client.agent.chars().take(AGENT).collect(),
                place: client.place.clone(),
                device: String::new(),
            };
            return Ok(Some(Session {
                csrf: self.csrf_token(&login),
                login,
            }));
        }
        // Who knows nothing of a token says that it is wrong.
        Err(self.guessed(&counter, client).await?)
    }

    /// Counts a wrong credential that was found after it was checked: of what is asked for with each request, a right one
    /// must cost no write. What is checked at once is bounded, so no more than that many guesses go beyond the limit.
    async fn guessed(&self, counter: &AttemptCounter, client: &Client) -> Result<AuthError, AuthError> {
        let left = self.charge(&counter.key, "", client).await?;
        Ok(self.wrong(&counter.key, left, "", client).await)
    }

    async fn authenticated(
        &self,
        facts: Facts,
        counter: &AttemptCounter,
        client: &Client,
    ) -> Result<Option<Identity>, AuthError> {
        let permit = self.admit(&counter.key, "", counter.known, client).await?;
        let verdict = self.provider.authenticate(facts).await;
        drop(permit);
        match verdict.map_err(AuthError::from) {
            Ok(Verdict::Identity(identity)) => Ok(Some(identity)),
            Ok(Verdict::None) => Ok(None),
            Ok(Verdict::Deny(refused)) if refused.reason == Denial::BadCredential => {
                Err(match self.guessed(counter, client).await? {
                    AuthError::BadCredential => denied(refused),
                    locked => locked,
                })
            }
            Ok(Verdict::Deny(refused)) => {
                let account = self.named("").await;
                tracing::info!(target: "audit", event = "login_denied", account, place = client.place, peer = client.peer, reason = ?refused.reason);
                Err(denied(refused))
            }
            Err(e) => {
                self.unchecked(&e, "", client).await;
                Err(e)
            }
        }
    }
}

fn facts(
    method: &Method,
    arrival: &Arrival,
    client: &Client,
    headers: Vec<(String, String)>,
    token: Option<String>,
) -> Facts {
    Facts {
        method: method.id.clone(),
        route: arrival.route.clone(),
        origin: client.origin.clone(),
        headers,
        token,
        address: client.peer.clone(),
        peer: arrival.peer.clone(),
        peer_user: arrival.peer_user,
    }
}
