//! The ways to log in that are no form: what a request shows by itself, tokens of programs, and the way back from another
//! site.

use super::*;
use nexus_plugin_traits::auth::{Ask, Identity, Step};
use std::sync::atomic::Ordering;

const PROXIED: &str = "chat.example";

fn behind_proxy() -> Ingress {
    Ingress::Local {
        hosts: Vec::new(),
        public_url: Some(format!("https://{PROXIED}")),
    }
}

impl Web {
    /// A request with these headers beside its host.
    async fn ask(&self, method: Method, path: &str, host: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

#[tokio::test]
async fn a_proxys_header_logs_in_where_the_proxy_comes_in_and_nowhere_else() {
    let header = ("x-user", "ada");
    let web = Web::new(true, behind_proxy()).await;
    web.fakes.world.provider.behind_proxy.store(true, Ordering::SeqCst);
    let done = web.ask(Method::GET, "/login?next=/status", PROXIED, &[header]).await;
    assert_eq!(done.location(), "/status", "{}", done.text);
    let page = web
        .ask(Method::GET, "/status", PROXIED, &[("cookie", &done.jar())])
        .await;
    assert_eq!(page.status, StatusCode::OK);
    // Who has just logged out is not logged in again before a button is pressed.
    let shown = web.ask(Method::GET, "/login?out=1", PROXIED, &[header]).await;
    assert_eq!(shown.status, StatusCode::OK);
    assert!(
        shown.text.contains("/login?method=proxy&#38;next=/\""),
        "{}",
        shown.text
    );
    // Nor is who was led here by another site, or whose browser was made to load this as a picture.
    let led = [("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "document")];
    let picture = [("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "image")];
    for stated in [led, picture] {
        for path in ["/login", "/login?method=proxy"] {
            let shown = web
                .ask(Method::GET, path, PROXIED, &[header, stated[0], stated[1]])
                .await;
            assert_eq!(shown.status, StatusCode::OK);
            assert!(shown.text.contains("/login?method=proxy"), "{}", shown.text);
            assert!(shown.cookies().iter().all(|cookie| cookie.contains("-browser=")));
        }
    }
    let stated = [
        header,
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-dest", "document"),
    ];
    let pressed = web.ask(Method::GET, "/login?method=proxy", PROXIED, &stated).await;
    assert_eq!(pressed.location(), "/");
    // So it is with who is to show once more that it is them.
    let again = [header, ("cookie", &done.jar())];
    let shown = web.ask(Method::GET, "/login?again=1", PROXIED, &again).await;
    assert_eq!(shown.status, StatusCode::OK);
    let chosen = web
        .ask(Method::GET, "/login?method=proxy&out=1", PROXIED, &[header])
        .await;
    assert_eq!(chosen.location(), "/");
    let nobody = web.ask(Method::GET, "/login?method=proxy", PROXIED, &[]).await;
    assert!(nobody.text.contains("does not show who you are"), "{}", nobody.text);
    let unknown = web.ask(Method::GET, "/login", PROXIED, &[("x-user", "eve")]).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        unknown.text.contains("nexus user bind NAME --subject sub-eve"),
        "{}",
        unknown.text
    );
    // The same header by a loopback name is not the proxy's.
    let local = web.ask(Method::GET, "/login", HOST, &[header]).await;
    assert!(local.text.contains("field-password"), "{}", local.text);
    assert!(local.cookies().iter().all(|cookie| cookie.contains("-browser=")));

    let web = Web::new(true, tunnel()).await;
    web.fakes.world.provider.behind_proxy.store(true, Ordering::SeqCst);
    // Not even with the name of the proxy.
    for host in ["t.example", PROXIED] {
        let forged = web
            .ask(Method::GET, "/login", host, &[header, ("x-forwarded-host", PROXIED)])
            .await;
        assert!(
            forged.cookies().iter().all(|cookie| cookie.contains("-browser=")),
            "{host}"
        );
        assert_ne!(forged.status, StatusCode::SEE_OTHER);
    }
}

async fn with_token() -> Web {
    let web = Web::new(true, local()).await;
    let tokens = &web.fakes.world.provider.tokens;
    tokens.lock().unwrap().insert("right".to_owned(), "sub-ada".to_owned());
    web
}

const RIGHT: (&str, &str) = ("authorization", "Bearer right");
const WRONG: (&str, &str) = ("authorization", "Bearer wrong");

#[tokio::test]
async fn a_program_with_a_token_uses_the_api_without_a_cookie() {
    let web = with_token().await;
    let status = async |headers: &[(&str, &str)]| web.ask(Method::GET, "/api/v1/status", HOST, headers).await.status;
    assert_eq!(status(&[RIGHT]).await, StatusCode::OK);
    assert_eq!(status(&[("authorization", "bearer right")]).await, StatusCode::OK);
    for headers in [
        &[][..],
        &[WRONG],
        &[("authorization", "Basic right")],
        &[("authorization", "right")],
        &[RIGHT, RIGHT],
    ] {
        assert_eq!(status(headers).await, StatusCode::UNAUTHORIZED, "{headers:?}");
    }
    // A cookie does not help a wrong token.
    let (new, _) = web.fakes.world.login("").await;
    let cookie = format!("nexus-local-7860={}", new.token);
    assert_eq!(status(&[("cookie", &cookie)]).await, StatusCode::OK);
    assert_eq!(status(&[("cookie", &cookie), WRONG]).await, StatusCode::UNAUTHORIZED);
    // It changes things without an Origin; with that of another page it does not.
    let post = async |headers: &[(&str, &str)]| {
        let made = web.ask(Method::POST, "/api/v1/backend/stop", HOST, headers).await;
        made.status
    };
    assert_ne!(post(&[RIGHT]).await, StatusCode::FORBIDDEN);
    assert_eq!(
        post(&[RIGHT, ("origin", "https://evil.example")]).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        post(&[RIGHT, ("sec-fetch-site", "cross-site")]).await,
        StatusCode::FORBIDDEN
    );
    // It is no fresh login, and opens no page.
    let apply = web.ask(Method::POST, "/api/v1/config/apply", HOST, &[RIGHT]).await;
    assert!(
        matches!(apply.status, StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST),
        "{}",
        apply.text
    );
    assert_eq!(
        web.ask(Method::GET, "/status", HOST, &[RIGHT]).await.location(),
        "/login?next=/status"
    );
    assert_eq!(
        web.ask(Method::POST, "/logout", HOST, &[RIGHT]).await.status,
        StatusCode::FORBIDDEN
    );
    // Wrong ones lock.
    for _ in 0..5 {
        status(&[WRONG]).await;
    }
    let locked = web.ask(Method::GET, "/api/v1/status", HOST, &[WRONG]).await;
    assert_eq!(locked.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(locked.text.contains("Too many wrong tokens"), "{}", locked.text);
    assert_eq!(status(&[RIGHT]).await, StatusCode::OK, "it is known");
}

#[tokio::test]
async fn where_no_tokens_are_taken_one_opens_nothing_and_hides_no_cookie() {
    let web = Web::new(true, local()).await;
    let (new, _) = web.fakes.world.login("").await;
    let cookie = format!("nexus-local-7860={}", new.token);
    let with = [("cookie", cookie.as_str()), RIGHT];
    assert_eq!(
        web.ask(Method::GET, "/api/v1/status", HOST, &with).await.status,
        StatusCode::OK
    );
    // It was let through the check of the Origin for its token: its cookie does not count.
    let post = web.ask(Method::POST, "/api/v1/backend/stop", HOST, &with).await;
    assert_eq!(post.status, StatusCode::UNAUTHORIZED);
    let own = [with[0], with[1], ("origin", SITE)];
    let post = web.ask(Method::POST, "/api/v1/backend/stop", HOST, &own).await;
    assert_ne!(post.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_way_back_from_another_site_is_a_form_of_our_own() {
    let web = Web::new(true, local()).await;
    let provider = &web.fakes.world.provider;
    let form = web.get("/login", "").await;
    let jar = form.jar();
    let url = "https://login.example/authorize".to_owned();
    *provider.fails.lock().unwrap() = Some(Ok(Step::Ask {
        ask: Ask::Redirect { url },
        state: b"kept".to_vec(),
    }));
    let (csrf, state) = (form.hidden("csrf"), form.hidden("state"));
    let typed = format!("csrf={csrf}&state={state}&field-account=ada&field-password=x");
    let page = web.post("/login", &jar, typed).await;
    assert!(page.text.contains("Continue to login.example"), "{}", page.text);
    let state = page
        .text
        .split("state=")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    *provider.fails.lock().unwrap() = Some(Ok(Step::Identity(Identity {
        subject: "sub-ada".to_owned(),
        display_name: None,
    })));
    // What the other site says is shown as text, and sent by this page.
    let path = format!("/login/callback?code=%3Cscript%3E&state={state}");
    let back = web.get(&path, "").await;
    assert_eq!(back.status, StatusCode::OK);
    assert_eq!(back.hidden("state"), state);
    assert!(
        !back.text.contains("<script>") && back.text.contains("name=\"code\""),
        "{}",
        back.text
    );
    assert!(back.cookies().is_empty());
    let body = format!("code=c&state={state}");
    let stranger = web.post("/login/callback", &form_jar(&web).await, body.clone()).await;
    assert!(stranger.text.contains("has expired"), "{}", stranger.text);
    assert_eq!(
        web.post("/login/callback", "", body.clone()).await.status,
        StatusCode::BAD_REQUEST
    );
    let done = web
        .post("/login/callback?next=//evil.example", &jar, body.clone())
        .await;
    assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/"));
    let again = web.post("/login/callback", &jar, body.clone()).await;
    assert!(again.text.contains("has expired"), "{}", again.text);
    // Another site cannot send it itself.
    let foreign = Request::post("/login/callback")
        .header("host", HOST)
        .header("origin", "https://login.example")
        .header("cookie", &jar)
        .body(Body::from(body));
    assert_eq!(web.send(foreign.unwrap()).await.status, StatusCode::FORBIDDEN);
    // Without a begin there is nothing to go on with.
    for path in [
        "/login/callback",
        "/login/callback?code=c",
        "/login/callback?state=a&state=b",
    ] {
        assert_eq!(web.get(path, "").await.status, StatusCode::BAD_REQUEST, "{path}");
    }
}

/// The cookies of another browser.
async fn form_jar(web: &Web) -> String {
    web.get("/login", "").await.jar()
}

#[tokio::test]
async fn a_link_without_the_optional_interface_leads_to_the_plugins_own_login() {
    let web = Web::new(false, local()).await;
    let provider = &web.fakes.world.provider;
    provider.core_only.store(true, Ordering::SeqCst);
    provider
        .passwords
        .lock()
        .unwrap()
        .insert("sub-zoe".to_owned(), "zoe's own".to_owned());
    let token = web.fakes.world.setup_token.clone().unwrap();
    let page = web.get("/setup", "").await;
    let jar = page.jar();
    assert!(page.text.contains("Continue with Password"), "{}", page.text);
    let csrf = page.hidden("csrf");
    let sent = |token: &str| format!("csrf={csrf}&token={token}&method=password&field-account=ada");
    let guessed = web.post("/setup", &jar, sent("guess")).await;
    assert!(guessed.text.contains("is not valid"), "{}", guessed.text);
    let form = web.post("/setup", &jar, sent(&token)).await;
    let fields = format!(
        "csrf={}&state={}&field-account=zoe&field-password=zoe's+own",
        form.hidden("csrf"),
        form.hidden("state")
    );
    let done = web.post("/login", &jar, fields).await;
    assert_eq!(
        (done.status, done.location()),
        (StatusCode::SEE_OTHER, "/"),
        "{}",
        done.text
    );
    let accounts = web.fakes.world.auth.accounts().await.unwrap();
    assert_eq!(accounts[0].account, "ada");
}
