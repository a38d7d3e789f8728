//! The router and the live socket against services that pretend.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod bounds;
#[path = "../../examples/web_preview/fake.rs"]
mod fake;
mod live;
mod login_form;
mod login_kinds;
mod operating;
mod refusals;

use axum::Router;
use axum::body::Body;
use fake::{Fakes, PASSWORD, Setting};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use nexus_model::time::SystemClock;
use nexus_model::tunnel::TunnelState;
use nexus_testkit::wait;
use nexus_tunnels::PublicName;
use nexus_web::{Connection, Ingress, WebState, router};
use std::sync::Arc;
use tokio::sync::watch;
use tower::ServiceExt as _;

const HOST: &str = "localhost:7860";
const SITE: &str = "http://localhost:7860";

const WITH_OWNER: Setting = Setting {
    owner: true,
    missing: false,
    pace: None,
};

struct Web {
    fakes: Fakes,
    app: Router,
    ingress: Ingress,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn cookies(&self) -> Vec<&str> {
        self.headers
            .get_all(header::SET_COOKIE)
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect()
    }
    /// What a browser sends back.
    fn jar(&self) -> String {
        self.cookies()
            .iter()
            .map(|cookie| cookie.split(';').next().unwrap())
            .collect::<Vec<_>>()
            .join("; ")
    }
    fn location(&self) -> &str {
        self.headers
            .get(header::LOCATION)
            .map_or("", |value| value.to_str().unwrap())
    }
    fn hidden(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        self.text
            .split(&start)
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned()
    }
}

fn local() -> Ingress {
    Ingress::Local {
        hosts: Vec::new(),
        public_url: None,
    }
}

fn tunnel() -> Ingress {
    let name = PublicName {
        host: "t.example".to_owned(),
        https: true,
    };
    Ingress::Tunnel {
        name: "main".into(),
        names: watch::channel(vec![name]).1,
        client_address_header: Some("x-client".into()),
        public_name_header: None,
        proof: nexus_tunnels::OriginSecret::random(),
        moved: watch::Sender::new(None).subscribe(),
        sockets: Arc::default(),
    }
}

impl Web {
    async fn new(owner: bool, ingress: Ingress) -> Self {
        Self::of(Setting { owner, ..WITH_OWNER }, ingress).await
    }
    async fn of(setting: Setting, ingress: Ingress) -> Self {
        let fakes = Fakes::new(setting).await;
        let app = router(WebState::new(fakes.services(), Arc::new(SystemClock)));
        Self { fakes, app, ingress }
    }
    async fn send(&self, mut request: Request<Body>) -> Answer {
        let peer = "127.0.0.1:50000".parse().unwrap();
        request
            .extensions_mut()
            .insert(Connection::new(self.ingress.clone(), peer));
        let (parts, body) = self.app.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
    async fn get(&self, path: &str, cookie: &str) -> Answer {
        self.send(
            Request::get(path)
                .header("host", HOST)
                .header("cookie", cookie)
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }
    async fn post(&self, path: &str, cookie: &str, body: String) -> Answer {
        let request = Request::post(path)
            .header("host", HOST)
            .header("origin", SITE)
            .header("cookie", cookie);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(body)).unwrap()).await
    }
    async fn cookie(&self) -> (String, nexus_auth::Session) {
        let (new, login) = self.fakes.world.login("").await;
        (format!("nexus-local-7860={}", new.token), login)
    }
}

#[tokio::test]
async fn other_host_names_are_refused_with_a_message() {
    let web = Web::new(true, local()).await;
    for host in ["evil.example", "127.0.0.1.evil.example:7860", "192.168.1.9:7860", ""] {
        let request = Request::get("/login").header("host", host).body(Body::empty()).unwrap();
        let answer = web.send(request).await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
        // There is nothing to add for no name.
        assert_eq!(answer.text.contains("nexus.toml"), !host.is_empty(), "{}", answer.text);
    }
    let through = Web::new(true, tunnel()).await;
    for (host, status) in [
        ("t.example", StatusCode::OK),
        ("localhost", StatusCode::MISDIRECTED_REQUEST),
    ] {
        let request = Request::get("/login").header("host", host).body(Body::empty()).unwrap();
        assert_eq!(through.send(request).await.status, status, "{host}");
    }
}

#[tokio::test]
async fn only_our_own_pages_may_change_something() {
    let web = Web::new(true, local()).await;
    let (cookie, login) = web.cookie().await;
    let post = |origin: Option<&str>, site: Option<&str>| {
        let mut request = Request::post("/status/tunnel/main/stop")
            .header("host", HOST)
            .header("cookie", &cookie);
        request = request.header("content-type", "application/x-www-form-urlencoded");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        request.body(Body::from(format!("csrf={}", login.csrf))).unwrap()
    };
    let bad = [
        (None, None),
        (Some("null"), None),
        (Some("https://evil.example"), None),
        (Some("https://localhost:7860"), None),
        (Some("http://localhost:7861"), None),
        (Some("null"), Some("same-origin")),
        (None, Some("same-site")),
        (None, Some("cross-site")),
    ];
    for (origin, site) in bad {
        assert_eq!(
            web.send(post(origin, site)).await.status,
            StatusCode::FORBIDDEN,
            "{origin:?} {site:?}"
        );
    }
    for (origin, site) in [(Some(SITE), None), (None, Some("same-origin"))] {
        assert_eq!(
            web.send(post(origin, site)).await.status,
            StatusCode::SEE_OTHER,
            "{origin:?} {site:?}"
        );
    }
    let request = Request::get("/live")
        .header("host", HOST)
        .header("origin", "https://evil.example");
    let request = request
        .header("upgrade", "websocket")
        .header("cookie", &cookie)
        .body(Body::empty())
        .unwrap();
    assert_eq!(web.send(request).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_form_without_its_token_does_nothing() {
    let web = Web::new(true, local()).await;
    let (cookie, login) = web.cookie().await;
    for path in [
        "/status/tunnel/main/stop",
        "/logout",
        "/account",
        "/account/logout-others",
        "/install",
    ] {
        for body in ["", "csrf=", "csrf=wrong"] {
            assert_eq!(
                web.post(path, &cookie, body.into()).await.status,
                StatusCode::FORBIDDEN,
                "{path} {body}"
            );
        }
    }
    let mut tunnels = web.fakes.world.tunnels.statuses();
    let mut becomes = async |state: TunnelState| {
        wait::watched("the tunnel changes its state", &mut tunnels, |all| {
            all[0].state == state
        })
        .await;
    };
    becomes(TunnelState::Up { connections: 1 }).await;
    let answer = web
        .post("/status/tunnel/main/stop", &cookie, format!("csrf={}", login.csrf))
        .await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/status"));
    becomes(TunnelState::Off).await;
    let gone = web
        .post("/status/tunnel/none/stop", &cookie, format!("csrf={}", login.csrf))
        .await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nobody_gets_in_without_a_login() {
    let web = Web::new(true, local()).await;
    for cookie in ["", "nexus-local-7860=wrong", "nexus-local-7860=", "__Host-nexus=x"] {
        assert_eq!(web.get("/", cookie).await.location(), "/login");
        assert_eq!(web.get("/s/ses_1", cookie).await.location(), "/login?next=/s/ses_1");
        assert_eq!(web.get("/status", cookie).await.location(), "/login?next=/status");
        let answer = web.post("/status/tunnel/main/stop", cookie, "csrf=x".into()).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/login"));
    }
    let (cookie, login) = web.cookie().await;
    assert_eq!(web.get("/account", &cookie).await.status, StatusCode::OK);
    web.fakes.world.auth.logout(&login.login).await.unwrap();
    assert_eq!(web.get("/account", &cookie).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn set_up_and_log_in_with_cookies_that_stay_here() {
    let web = Web::new(false, local()).await;
    assert!(web.get("/", "").await.text.contains("set-up link"));
    assert_eq!(web.get("/login", "").await.location(), "/");
    let page = web.get("/setup", "").await;
    let jar = page.jar();
    let csrf = page.hidden("csrf");
    let token = web.fakes.world.setup_token.clone().unwrap();
    let state = page.hidden("state");
    let form = |token: &str, password: &str, state: &str| {
        format!("csrf={csrf}&state={state}&token={token}&field-account=ada&field-password={password}")
    };
    let stranger = web
        .post(
            "/setup",
            "nexus-local-7860-browser=another-browser-1",
            form(&token, "long+enough+pw", &state),
        )
        .await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN);
    let wrong = web.post("/setup", &jar, form("wrong", "long+enough+pw", &state)).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("This set-up link is not valid") && !wrong.text.contains("long enough pw"));
    let short = web
        .post("/setup", &jar, form(&token, "short", &wrong.hidden("state")))
        .await;
    assert!(
        short.text.contains("aria-invalid=\"true\"") && short.text.contains("value=\"ada\""),
        "{}",
        short.text
    );
    let done = web
        .post("/setup", &jar, form(&token, "long+enough+pw", &short.hidden("state")))
        .await;
    assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/"));
    for cookie in done.cookies() {
        assert!(
            cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"),
            "{cookie}"
        );
        assert!(
            cookie.starts_with("nexus-local-7860") && !cookie.contains("Secure"),
            "{cookie}"
        );
    }
    assert!(web.get("/", &done.jar()).await.text.contains("id=\"app\""));
    assert_eq!(web.get("/setup", "").await.location(), "/login");
}

#[tokio::test]
async fn login_over_tls_uses_host_cookies_and_the_tunnels_address() {
    let web = Web::new(true, tunnel()).await;
    let page = || {
        let request = Request::get("/login").header("host", "t.example");
        web.send(request.body(Body::empty()).unwrap())
    };
    // A step is used once, so each attempt has a form of its own.
    let attempt = async |password: &str| {
        let page = page().await;
        let body = format!(
            "csrf={}&state={}&next=//evil.example&field-account=ada&field-password={}",
            page.hidden("csrf"),
            page.hidden("state"),
            password.replace(' ', "+")
        );
        let request = Request::post("/login")
            .header("host", "t.example")
            .header("origin", "https://t.example")
            .header("x-client", "203.0.113.7")
            .header("x-forwarded-for", "198.51.100.1")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", page.jar());
        web.send(request.body(Body::from(body)).unwrap()).await
    };
    let wrong = attempt("wrong").await;
    assert!(wrong.text.contains("role=\"alert\"") && wrong.text.contains("password is wrong"));
    let done = attempt(PASSWORD).await;
    assert_eq!(done.location(), "/");
    for cookie in done.cookies() {
        assert!(
            cookie.starts_with("__Host-nexus") && cookie.contains("; Secure"),
            "{cookie}"
        );
        assert!(cookie.contains("Path=/;") && !cookie.contains("Domain"), "{cookie}");
    }
    let access = web.fakes.world.auth.access().await.unwrap();
    assert_eq!(
        (access.logins[0].peer.as_str(), access.logins[0].place.as_str()),
        ("203.0.113.7", "tunnel main")
    );
    assert_eq!(
        web.fakes.world.provider.contexts.lock().unwrap().last().unwrap().origin,
        "https://t.example"
    );
    for _ in 0..5 {
        attempt("wrong").await;
    }
    assert!(attempt("wrong").await.text.contains("for 30 minutes"));
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let web = Web::new(true, local()).await;
    let (cookie, _) = web.cookie().await;
    for path in ["/", "/login", "/status", "/account", "/nothing", "/healthz", "/s/x"] {
        let answer = web.get(path, &cookie).await;
        let get = |name: &str| answer.headers.get(name).map_or("", |value| value.to_str().unwrap());
        let csp = get("content-security-policy");
        assert!(
            csp.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
            "{path}"
        );
        assert!(
            !csp.contains("unsafe") && csp.contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert_eq!(
            (get("x-content-type-options"), get("cache-control")),
            ("nosniff", "no-store"),
            "{path}"
        );
        assert_eq!(get("cross-origin-opener-policy"), "same-origin", "{path}");
        for inline in ["<style", "style=\"", "onclick", "<script>", "javascript:"] {
            assert!(!answer.text.contains(inline), "{path} {inline}");
        }
    }
}

#[tokio::test]
async fn assets_are_kept_for_ever_and_named_by_their_content() {
    let web = Web::new(true, local()).await;
    let page = web.get("/login", "").await.text;
    let path = page
        .split("href=\"")
        .find(|text| text.contains("nexus.css"))
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let request = Request::get(path)
        .header("host", "localhost")
        .header("accept-encoding", "gzip");
    let answer = web.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.headers["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(
        (answer.headers["content-encoding"].as_bytes(), answer.status),
        (b"gzip".as_slice(), StatusCode::OK)
    );
    assert_eq!(
        web.get("/assets/0000000000000000/nexus.css", "").await.status,
        StatusCode::NOT_FOUND
    );
    for script in ["nexus.js", "guard.js", "webauthn.js"] {
        let body = web.get(&path.replace("nexus.css", script), "").await.text;
        assert!(!body.is_empty(), "{script}");
        assert!(
            !body.contains("innerHTML"),
            "no script of a page that the server draws makes HTML: {script}"
        );
    }
    for app in ["main.js", "base.js", "main.css"] {
        let body = web.get(&path.replace("nexus.css", app), "").await;
        assert_eq!((body.status, body.text.is_empty()), (StatusCode::OK, false), "{app}");
    }
}

#[tokio::test]
async fn details_of_health_stay_on_this_machine() {
    let web = Web::new(true, local()).await;
    let here: serde_json::Value = serde_json::from_str(&web.get("/healthz", "").await.text).unwrap();
    assert_eq!(
        (here["status"].as_str(), here["version"].as_str()),
        (Some("ok"), Some("0.1.0"))
    );
    let expected = serde_json::json!({"name": "chat-opencode", "kind": "chat", "version": "0.1.0", "state": "running", "restarts": 1});
    assert_eq!(here["plugins"][1], expected);
    let through = Web::new(true, tunnel()).await;
    let request = Request::get("/healthz")
        .header("host", "t.example")
        .body(Body::empty())
        .unwrap();
    assert_eq!(through.send(request).await.text, r#"{"status":"ok"}"#);
}

#[tokio::test]
async fn an_example_says_so_on_every_page() {
    let missing = Setting {
        missing: true,
        ..WITH_OWNER
    };
    let web = Web::of(missing, local()).await;
    let (cookie, login) = web.cookie().await;
    for path in ["/", "/status", "/account", "/s/x"] {
        let text = web.get(path, &cookie).await.text;
        assert!(text.contains("This is an example backend without a model."), "{path}");
        assert!(
            text.contains("npm install -g") && text.contains("Install opencode 1.18.33"),
            "{path}"
        );
    }
    assert_eq!(
        web.post("/install", &cookie, format!("csrf={}", login.csrf))
            .await
            .location(),
        "/install"
    );
    // The page that one is led to looks again by itself, without a script; the others say it too.
    let mut backend = web.fakes.chat.service.backend();
    wait::watched("npm is started", &mut backend, |backend| {
        let install = backend.missing.as_ref().map(|missing| &missing.install);
        matches!(install, Some(nexus_chat::Install::Running { progress }) if progress.starts_with("installing opencode"))
    })
    .await;
    let installing = web.get("/install", &cookie).await;
    assert!(installing.text.contains("installing opencode"), "{}", installing.text);
    assert!(installing.headers.contains_key("refresh"));
    assert!(web.get("/status", &cookie).await.text.contains("installing opencode"));
}

#[tokio::test]
async fn what_a_session_is_called_is_only_text() {
    let web = Web::new(true, local()).await;
    let (cookie, login) = web.cookie().await;
    let title = "<script>alert(1)</script>\" onload=\"";
    web.fakes.chat.add("a\"><script>", title).await;
    for path in ["/", "/s/a%22%3E%3Cscript%3E"] {
        let text = web.get(path, &cookie).await.text;
        assert!(!text.contains("alert(1)") && !text.contains("onload"), "{text}");
    }
    let huge = format!("csrf={}&title={}", login.csrf, "x".repeat(100_000));
    assert_eq!(
        web.post("/logout", &cookie, huge).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let request = Request::builder()
        .method(Method::PUT)
        .uri("/login")
        .header("host", "localhost");
    let answer = web
        .send(
            request
                .header("origin", "http://localhost")
                .body(Body::empty())
                .unwrap(),
        )
        .await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_tunnel_that_was_replaced_sends_pages_to_its_new_address_and_nothing_else() {
    let moved = watch::Sender::new(None);
    let ingress = match tunnel() {
        Ingress::Tunnel {
            name,
            names,
            client_address_header,
            public_name_header,
            proof,
            sockets,
            ..
        } => Ingress::Tunnel {
            moved: moved.subscribe(),
            name,
            names,
            client_address_header,
            public_name_header,
            proof,
            sockets,
        },
        other => other,
    };
    let web = Web::new(true, ingress).await;
    let get = |path: &str| {
        let request = Request::get(path)
            .header("host", "t.example")
            .body(Body::empty())
            .unwrap();
        web.send(request)
    };
    assert_eq!(get("/login").await.status, 200);
    moved.send_replace(Some(nexus_tunnels::Relocation {
        url: Some("https://new.example/".to_owned()),
    }));
    for path in ["/login", "/s/some?x=1"] {
        let answer = get(path).await;
        assert_eq!(answer.status, 307, "{path}");
        assert_eq!(answer.headers["location"], format!("https://new.example{path}"));
    }
    for path in ["/healthz", "/api/v1/status", "/public-check/x", "/assets/x/nexus.css"] {
        assert_ne!(get(path).await.status, 307, "{path}");
    }
}

#[tokio::test]
async fn a_stranger_gets_nothing_of_the_public_check() {
    let ingress = tunnel();
    let proof = match &ingress {
        Ingress::Tunnel { proof, .. } => proof.clone(),
        _ => panic!(),
    };
    let web = Web::new(true, ingress).await;
    let get = |path: String| {
        let request = Request::get(path)
            .header("host", "t.example")
            .body(Body::empty())
            .unwrap();
        web.send(request)
    };
    let nonce = proof.nonce().unwrap();
    let right = get(format!("/public-check/{nonce}")).await;
    assert_eq!((right.status, Some(right.text)), (StatusCode::OK, proof.answer(&nonce)));
    for foreign in ["x".to_owned(), nonce[1..].to_owned(), "y".repeat(5_000)] {
        assert_eq!(get(format!("/public-check/{foreign}")).await.status, 404, "{foreign}");
    }
}
