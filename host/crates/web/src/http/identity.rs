//! Who a request is from. Handlers take these extractors, so that none can forget a check: [`User`] cannot be had
//! without a valid login. Forms and their CSRF tokens: [`super::csrf_form`].

use super::listener::Place;
use crate::error::ApiError;
use crate::{Connection, SiteContext, WebState, pages};
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{Method, StatusCode};
use nexus_auth::{Client, NewLogin, Session};
use nexus_model::digest::sha256;
use nexus_model::limits::KNOWN_DEVICE;
use nexus_model::random::random_token;
use std::net::IpAddr;
use std::time::Duration;

/// The cookies. On TLS their names start with `__Host-`, so that no other host and no plain connection can set
/// them; on plain HTTP each place has names of its own, since such a cookie reaches every port of its host: two tunnels
/// of one provider, or two Nexus of one machine, must not take each other's. Nor does it help who catches one there: what a
/// login on loopback counts for, see [`held`].
#[derive(Clone, Copy)]
pub(crate) enum Cookie {
    Login,
    Device,
    Browser,
}

impl Cookie {
    fn name(self, site: &SiteContext) -> String {
        let base = match (&site.place, site.secure) {
            (_, true) => "__Host-nexus".to_owned(),
            (Place::Loopback, false) => {
                match site.origin.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()) {
                    Some(port) => format!("nexus-local-{port}"),
                    None => "nexus-local".to_owned(),
                }
            }
            (Place::Host(_), false) => "nexus-host".to_owned(),
            (Place::Tunnel(name), false) => format!("nexus-tunnel-{name}"),
        };
        match self {
            Self::Login => base,
            Self::Device => base + "-device",
            Self::Browser => base + "-browser",
        }
    }

    fn read(self, headers: &HeaderMap, site: &SiteContext) -> Option<String> {
        let name = self.name(site);
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(cookie::Cookie::split_parse)
            .flatten()
            .find(|cookie| cookie.name() == name)
            .map(|cookie| cookie.value().to_owned())
    }

    /// Sets the cookie. Without `max_age` it lasts until the browser closes; zero makes the browser forget it.
    fn set(self, site: &SiteContext, value: &str, max_age: Option<Duration>, headers: &mut HeaderMap) {
        let mut cookie = cookie::Cookie::new(self.name(site), value);
        cookie.set_path("/");
        cookie.set_http_only(true);
        cookie.set_same_site(cookie::SameSite::Strict);
        cookie.set_secure(site.secure);
        cookie.set_max_age(max_age.and_then(|age| age.try_into().ok()));
        match HeaderValue::from_str(&cookie.to_string()) {
            Ok(cookie) => {
                headers.append(SET_COOKIE, cookie);
            }
            Err(_) => tracing::error!("a cookie's value has characters that are not allowed in a header"),
        }
    }
}

/// Puts the tokens of a new login into cookies.
pub(crate) fn welcome(response: &mut Response, site: &SiteContext, login: &NewLogin, lifetime: Duration) {
    Cookie::Login.set(site, &login.token, Some(lifetime), response.headers_mut());
    Cookie::Device.set(site, &login.device, Some(KNOWN_DEVICE), response.headers_mut());
}

/// Takes the login's cookie away.
pub(crate) fn farewell(response: &mut Response, site: &SiteContext) {
    Cookie::Login.set(site, "", Some(Duration::ZERO), response.headers_mut());
}

/// `held` says whose program asks, where that can be told: on this machine's own loopback, where a login is good for
/// those alone. What Nexus runs itself is turned away, with whatever cookie: the agent does not answer its own
/// requests, and nobody types a password into a browser that the agent started.
async fn held(connection: &Connection, site: &SiteContext) -> Result<String, Response> {
    if site.place != Place::Loopback {
        return Ok(String::new());
    }
    let holder = connection.holder().await;
    if let Some(cause) = holder.ours {
        return Err(refused_agent(&cause));
    }
    Ok(holder.user.map_or_else(String::new, |user| format!("user {user}")))
}

/// `refused_agent` is the answer to what this Nexus has started itself.
pub(super) fn refused_agent(cause: &str) -> Response {
    tracing::warn!(target: "audit", event = "refused", what = "page", cause);
    let text = format!(
        "This page is not available to the agent. The connection comes from a process that Nexus started: {cause}. \
         To fix: open the page in a browser that you started yourself."
    );
    pages::message(StatusCode::FORBIDDEN, "Access denied", &text)
}

/// `client_address` is the address that the request is from.
pub(super) fn client_address(parts: &Parts) -> Result<IpAddr, StatusCode> {
    let connection = parts.extensions.get::<Connection>();
    let connection = connection.ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(connection.client_address(&parts.headers))
}

fn site(parts: &Parts) -> Result<SiteContext, StatusCode> {
    let site = parts.extensions.get::<SiteContext>();
    site.cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// `MaybeLogin` is the login of this request, if it has a valid one.
pub(crate) struct MaybeLogin {
    pub login: Option<Session>,
    pub site: SiteContext,
    pub peer: IpAddr,
}

impl FromRequestParts<WebState> for MaybeLogin {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Response> {
        let site = site(parts).map_err(IntoResponse::into_response)?;
        let Some(connection) = parts.extensions.get::<Connection>() else {
            return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        };
        let peer = connection.client_address(&parts.headers);
        let place = site.place.to_string();
        let login = match Cookie::Login.read(&parts.headers, &site) {
            Some(token) if !token.is_empty() => state
                .services
                .auth
                .session(&place, &held(connection, &site).await?, &token)
                .await
                .map_err(|error| pages::failure(&error.into()))?,
            _ => None,
        };
        Ok(Self { login, site, peer })
    }
}

/// `RequestOrigin` did something, for the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestOrigin {
    pub account: String,
    pub place: String,
    pub peer: String,
}

impl RequestOrigin {
    fn of(login: &Session, site: &SiteContext, peer: IpAddr) -> Self {
        Self {
            account: login.account().to_owned(),
            place: site.place.to_string(),
            peer: peer.to_string(),
        }
    }
    /// `operator` came by the control socket: whoever can open it, and is not of the agent.
    pub(crate) fn operator() -> Self {
        Self {
            account: "(operator)".to_owned(),
            place: "control socket".to_owned(),
            peer: String::new(),
        }
    }
    /// Writes a command that changes the host itself into the audit.
    pub(crate) fn note_command(&self, what: &str, plugin: &str, result: &str) {
        tracing::info!(target: "audit", event = "command", account = self.account, what, plugin, place = self.place, peer = self.peer, result);
    }
}

impl MaybeLogin {
    pub(crate) fn who(&self) -> Option<RequestOrigin> {
        self.login
            .as_ref()
            .map(|login| RequestOrigin::of(login, &self.site, self.peer))
    }
}

/// `User` is the user of a valid login. Anybody else is sent to the login page (or, before any account exists, to the
/// first page).
pub(crate) struct User {
    pub login: Session,
    pub site: SiteContext,
    pub peer: IpAddr,
}

impl User {
    pub(crate) fn who(&self) -> RequestOrigin {
        RequestOrigin::of(&self.login, &self.site, self.peer)
    }
}

impl FromRequestParts<WebState> for User {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Response> {
        let MaybeLogin { login, site, peer } = MaybeLogin::from_request_parts(parts, state).await?;
        match login {
            Some(login) => Ok(Self { login, site, peer }),
            None if parts.method == Method::GET => Err(pages::redirect::redirect_to(parts.uri.path())),
            None => Err(Redirect::to("/login").into_response()),
        }
    }
}

/// `Anonymous` is whoever uses the browser, login or not, as the auth service wants to know them.
pub(crate) struct Anonymous {
    pub client: Client,
    pub site: SiteContext,
    /// `fresh`: the browser had no cookie yet, so the answer must set it.
    pub(super) fresh: bool,
}

impl Anonymous {
    /// `is_fresh` tells whether the browser had no cookie yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh
    }
    /// `csrf` is for a hidden field. It is bound to a cookie that no other page can read or set.
    pub(crate) fn csrf(&self) -> String {
        let digest = sha256(&[b"nexus form\0", self.client.browser.as_bytes()]);
        data_encoding::BASE64URL_NOPAD.encode(digest.as_ref())
    }
    /// Sets the browser's cookie where it is new.
    pub(crate) fn remember(&self, mut response: Response) -> Response {
        if self.fresh {
            Cookie::Browser.set(&self.site, &self.client.browser, None, response.headers_mut());
        }
        response
    }
}

impl FromRequestParts<WebState> for Anonymous {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, _: &WebState) -> Result<Self, Response> {
        let site = site(parts).map_err(IntoResponse::into_response)?;
        let Some(connection) = parts.extensions.get::<Connection>() else {
            return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        };
        let known = Cookie::Browser
            .read(&parts.headers, &site)
            .filter(|value| (16..=128).contains(&value.len()));
        let fresh = known.is_none();
        let browser = match known {
            Some(browser) => browser,
            None => random_token().map_err(|error| pages::failure(&ApiError::Unavailable(error.to_string())))?,
        };
        let client = Client {
            origin: site.origin.clone(),
            peer: connection.client_address(&parts.headers).to_string(),
            place: site.place.to_string(),
            holder: held(connection, &site).await?,
            browser,
            device: Cookie::Device.read(&parts.headers, &site),
            agent: parts
                .headers
                .get(USER_AGENT)
                .and_then(|agent| agent.to_str().ok())
                .map_or(String::new(), |agent| agent.chars().take(200).collect()),
        };
        Ok(Self { client, site, fresh })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_of_the_other_kind_is_not_read() {
        let mut headers = HeaderMap::new();
        headers.insert(
            COOKIE,
            "a=b; nexus-local=old; nexus-local-7861=other; nexus-local-7860=plain; nexus-tunnel-a=one; __Host-nexus=tls"
                .parse()
                .unwrap(),
        );
        let site = |secure, place| SiteContext {
            origin: "http://127.0.0.1:7860".to_owned(),
            secure,
            loopback: false,
            place,
        };
        let tunnel = |name: &str| Place::Tunnel(name.to_owned());
        assert_eq!(Cookie::Login.read(&headers, &site(true, tunnel("a"))).unwrap(), "tls");
        assert_eq!(
            Cookie::Login.read(&headers, &site(false, Place::Loopback)).unwrap(),
            "plain"
        );
        assert_eq!(Cookie::Login.read(&headers, &site(false, tunnel("a"))).unwrap(), "one");
        assert_eq!(Cookie::Login.read(&headers, &site(false, tunnel("b"))), None);
        assert_eq!(Cookie::Device.read(&headers, &site(false, Place::Loopback)), None);
    }

    #[test]
    fn a_cookie_that_is_none_hides_no_other() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_bytes(b"__Host-nexus=\xff").unwrap());
        headers.append(
            COOKIE,
            "; =x; nexus; __Host-nexus-device = a=b ;;__Host-nexus=first; __Host-nexus=second"
                .parse()
                .unwrap(),
        );
        let site = SiteContext {
            origin: "https://a.example".to_owned(),
            secure: true,
            loopback: false,
            place: Place::Tunnel("a".to_owned()),
        };
        assert_eq!(Cookie::Login.read(&headers, &site).unwrap(), "first");
        assert_eq!(Cookie::Device.read(&headers, &site).unwrap(), "a=b");
        Cookie::Login.set(&site, "token", Some(Duration::from_secs(60)), &mut headers);
        assert_eq!(
            headers.get(SET_COOKIE).unwrap(),
            "__Host-nexus=token; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=60"
        );
    }
}
