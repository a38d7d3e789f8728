//! What the listeners say until there is a page: that Nexus starts, and what it does.
//!
//! The page's listener and the control socket are open from the first moment, so that nobody takes a Nexus that compiles a
//! plugin for one that hangs. Until the services are there, nothing of them is: no login, no set-up, no chat. What holds for
//! every request holds here as well ([`request_checks`]): the Host check, and the headers. What it does (which plugin is
//! compiled) is told to this machine alone.
//!
//! The page looks again by itself, by a header and not by a script.

use super::{assets, request_checks};
use crate::{Connection, SiteContext, WebState, pages};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tower::ServiceExt as _;

/// `RETRY_AFTER` is the number of seconds until somebody who was told so looks again.
const RETRY_AFTER: u16 = 1;

type StartupStatus = Box<dyn Fn() -> String + Send + Sync>;

/// `StartupSwitch` is what a listener serves: at first that Nexus starts, then what it is for.
#[derive(Clone)]
pub struct StartupSwitch(Arc<Inner>);

struct Inner {
    doing: Mutex<StartupStatus>,
    ready: OnceLock<Ready>,
}

struct Ready {
    page: Router,
    operator: Router,
}

impl Default for StartupSwitch {
    fn default() -> Self {
        Self(Arc::new(Inner {
            doing: Mutex::new(Box::new(|| "opening the database".to_owned())),
            ready: OnceLock::new(),
        }))
    }
}

impl StartupSwitch {
    /// Sets what says what takes the time from now on.
    pub fn doing(&self, doing: impl Fn() -> String + Send + Sync + 'static) {
        *self.0.doing.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(doing);
    }

    /// Serves the page from now on, on connections that are open too.
    pub fn ready(&self, state: WebState) {
        #[cfg(unix)]
        let operator = super::control_socket::router(state.clone());
        #[cfg(not(unix))]
        let operator = Router::new();
        let page = crate::router(state);
        let _ = self.0.ready.set(Ready { page, operator });
    }

    /// `page` is for the page's own listener.
    pub fn page(&self) -> Router {
        self.router(|ready| &ready.page)
    }

    /// `operator` is for the control socket.
    pub fn operator(&self) -> Router {
        self.router(|ready| &ready.operator)
    }

    fn router(&self, which: fn(&Ready) -> &Router) -> Router {
        let early = Router::new()
            .route("/assets/{digest}/{name}", get(assets::asset))
            .fallback(starting)
            .layer(axum::middleware::from_fn(request_checks::guard))
            .with_state(self.clone());
        let front = self.clone();
        Router::new().fallback(move |request: Request| {
            let app = front.0.ready.get().map_or(&early, which).clone();
            async move {
                app.oneshot(request)
                    .await
                    .unwrap_or_else(|never: Infallible| match never {})
            }
        })
    }

    /// `text` says what takes the time.
    pub fn text(&self) -> String {
        let doing = self.0.doing.lock().unwrap_or_else(PoisonError::into_inner);
        doing()
    }
}

async fn starting(
    State(front): State<StartupSwitch>,
    Extension(site): Extension<SiteContext>,
    Extension(connection): Extension<Connection>,
    request: Request,
) -> Response {
    let here = site.loopback || connection.is_operator();
    let what = here.then(|| front.text());
    let path = request.uri().path();
    let mut response = if path == "/healthz" {
        let mut body = json!({ "status": "starting" });
        if let (Some(what), Some(body)) = (what, body.as_object_mut()) {
            body.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
            body.insert("starting".to_owned(), what.into());
        }
        (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
    } else if path.starts_with("/api/") || path == "/live" || connection.is_operator() {
        crate::api::starting(what.as_deref())
    } else {
        pages::starting(what.as_deref())
    };
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, RETRY_AFTER.into());
    if !path.starts_with("/api/") {
        headers.insert(HeaderName::from_static("refresh"), HeaderValue::from(RETRY_AFTER));
    }
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Ingress;
    use axum::body::Body;
    use http_body_util::BodyExt as _;

    async fn ask(app: &Router, ingress: Ingress, host: &str, path: &str) -> (StatusCode, http::HeaderMap, String) {
        let peer = "127.0.0.1:50000".parse().unwrap();
        let request = Request::builder().uri(path).header("host", host);
        let request = request.extension(Connection::new(ingress, peer));
        let answer = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    fn local() -> Ingress {
        Ingress::Local {
            hosts: vec!["box.lan".to_owned()],
            public_url: None,
        }
    }

    #[tokio::test]
    async fn it_says_what_it_does_to_this_machine_alone_and_answers_to_no_other_name() {
        let front = StartupSwitch::default();
        front.doing(|| "compiling chat-mine (2 of 3)".to_owned());
        let app = front.page();
        for path in ["/", "/login", "/setup", "/status", "/s/x"] {
            let (status, headers, body) = ask(&app, local(), "localhost", path).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert!(body.contains("compiling chat-mine (2 of 3)"), "{body}");
            assert!(headers.contains_key("refresh") && headers.contains_key("retry-after"));
            assert!(headers.contains_key("content-security-policy"), "{headers:?}");
            assert!(!headers.contains_key("set-cookie"));
        }
        let (status, headers, body) = ask(&app, local(), "localhost", "/api/v1/status").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(headers.contains_key("retry-after"));
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["starting"], "compiling chat-mine (2 of 3)");
        let (status, _, body) = ask(&app, local(), "localhost", "/healthz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("\"starting\""), "{body}");
        // By a name of the network, nothing about plugins.
        for path in ["/", "/healthz", "/api/v1/status"] {
            let (status, _, body) = ask(&app, local(), "box.lan", path).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(body.contains("tarting") && !body.contains("chat-mine"), "{body}");
        }
        let (status, _, body) = ask(&app, local(), "evil.example", "/").await;
        assert_eq!(status, StatusCode::MISDIRECTED_REQUEST);
        assert!(!body.contains("chat-mine"));
        let (status, _, body) = ask(&front.operator(), Ingress::Control, "nexus", "/api/v1/status").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("compiling chat-mine"), "{body}");
    }
}
