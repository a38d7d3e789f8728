//! What an owner does on the status page and the page of the log.

use super::*;

#[tokio::test]
async fn changes_of_the_configuration_are_applied_with_a_fresh_login_alone() {
    let web = Web::new(true, local()).await;
    let (cookie, login) = web.cookie().await;
    web.fakes.world.edit_configuration().await;
    let shown = web.get("/status", &cookie).await;
    assert!(
        shown.text.contains("tunnel.main.plugin") && shown.text.contains("&#34;tunnel-cloudflared&#34;"),
        "{}",
        shown.text
    );
    let apply = |id: &str, csrf: &str| format!("csrf={csrf}&id={id}");
    let id = shown.hidden("id");

    web.fakes.world.clock.advance(nexus_model::limits::FRESH_LOGIN);
    let sent = web.post("/status/config/apply", &cookie, apply(&id, &login.csrf)).await;
    assert_eq!(sent.location(), "/login?again=1&next=/status");
    assert!(web.fakes.world.reload.pending().borrow().is_some());
    let form = web.get(sent.location(), &cookie).await;
    assert!(form.text.contains("<h1>Log in again</h1>"), "{}", form.text);
    let jar = format!("{cookie}; {}", form.jar());
    // A step is used once: the answer has the form of the next one.
    let body = |page: &Answer, password: &str| {
        format!(
            "csrf={}&state={}&next=/status&field-account=ada&field-password={}",
            form.hidden("csrf"),
            page.hidden("state"),
            password.replace(' ', "+")
        )
    };
    let wrong = web.post("/login", &jar, body(&form, "wrong")).await;
    assert!(wrong.text.contains("<h1>Log in again</h1>"));
    assert_eq!(web.get("/status", &cookie).await.status, 200, "the session stays");
    let done = web.post("/login", &jar, body(&wrong, PASSWORD)).await;
    assert_eq!(done.location(), "/status");
    assert_eq!(
        web.get("/status", &cookie).await.location(),
        "/login?next=/status",
        "the new login takes the place of the old one"
    );

    let fresh = done.jar();
    let csrf = web.get("/status", &fresh).await.hidden("csrf");
    let other = web.post("/status/config/apply", &fresh, apply("another", &csrf)).await;
    assert!(other.status == 409 && other.text.contains("has changed again"));
    let sent = web.post("/status/config/apply", &fresh, apply(&id, &csrf)).await;
    assert_eq!(sent.location(), "/status");
    let mut pending = web.fakes.world.reload.pending();
    wait::watched("the change is applied", &mut pending, Option::is_none).await;
    assert!(!web.get("/status", &fresh).await.text.contains("/status/config/apply"));
}

#[tokio::test]
async fn before_the_first_account_the_page_says_how_to_make_one() {
    let web = Web::new(false, local()).await;
    let shown = web.get("/", "").await;
    assert_eq!(shown.status, 200);
    let command =
        "nexus user add NAME --config /home/you/.config/nexus/nexus.toml --data-dir /home/you/.local/share/nexus";
    for text in [
        "<h1>Welcome to Nexus</h1>",
        &format!("<code>{command}</code>"),
        "href=\"/setup\"",
    ] {
        assert!(shown.text.contains(text), "{text} is not in {}", shown.text);
    }
    let web = Web::new(true, local()).await;
    let shown = web.get("/", "").await;
    assert!(!shown.text.contains("nexus user add"), "{}", shown.text);
    assert_eq!(shown.location(), "/login");
}

#[tokio::test]
async fn the_log_is_shown_to_who_is_logged_in_and_is_only_text() {
    let web = Web::new(true, local()).await;
    assert!(
        web.get("/log?plugin=chat-echo", "")
            .await
            .location()
            .starts_with("/login")
    );
    let (cookie, _) = web.cookie().await;
    let shown = web.get("/log?plugin=%3Cscript%3E", &cookie).await;
    assert_eq!(shown.status, 200);
    assert!(
        shown
            .text
            .contains("&#60;b&#62;written&#60;/b&#62; by plugin=&#60;script&#62;")
            && !shown.text.contains("<script>"),
        "{}",
        shown.text
    );
    assert!(shown.text.contains("<li class=\"warning\">"), "a warning is seen");
    let api = web.get("/api/v1/log?lines=many", &cookie).await;
    assert_eq!(api.status, 400, "{}", api.text);
    assert!(api.text.contains("\"detail\""));
}

#[tokio::test]
async fn who_can_come_in_is_listed_and_ended_with_a_fresh_login_alone() {
    let web = Web::new(true, local()).await;
    let world = &web.fakes.world;
    let (_, other) = world
        .login_at(&nexus_auth::Client {
            origin: "https://t.example".to_owned(),
            browser: "another browser's cookie".to_owned(),
            peer: "203.0.113.9".to_owned(),
            agent: "a phone\u{202e}".to_owned(),
            place: "tunnel home".to_owned(),
            ..nexus_auth::Client::default()
        })
        .await;
    // Long enough ago that the first one is no fresh login any more.
    let (old, stale) = world.login("").await;
    world.clock.advance(nexus_model::limits::FRESH_LOGIN);
    let (cookie, login) = web.cookie().await;
    assert!(web.get("/account", &cookie).await.text.contains("/account/access"));
    let page = web.get("/account/access", &cookie).await;
    assert_eq!(page.status, 200);
    for shown in [
        "this browser",
        "this machine",
        "tunnel home",
        "203.0.113.9",
        " UTC",
        "full owner rights",
        "<code>nexus user add NAME",
        "aria-label=\"Log out: ",
    ] {
        assert!(page.text.contains(shown), "{shown}: {}", page.text);
    }
    assert!(
        !page.text.contains('\u{202e}'),
        "what a browser calls itself is from outside"
    );
    let end = |cookie: String, kind: &str, id: &str, csrf: &str| {
        let body = format!("csrf={csrf}&kind={kind}&id={id}");
        let web = &web;
        async move { web.post("/account/access", &cookie, body).await }
    };
    let stale_cookie = format!("nexus-local-7860={}", old.token);
    let sent = end(stale_cookie, "login", other.id(), &stale.csrf).await;
    assert_eq!(sent.location(), "/login?again=1&next=/account/access");
    assert_eq!(end(cookie.clone(), "login", other.id(), "forged").await.status, 403);
    let ids = async || {
        let access = world.auth.access().await.unwrap();
        let logins: Vec<String> = access.logins.into_iter().map(|login| login.id).collect();
        let devices: Vec<String> = access.devices.into_iter().map(|device| device.id).collect();
        (logins, devices)
    };
    assert!(ids().await.0.contains(&other.login.id));
    assert_eq!(
        end(cookie.clone(), "login", other.id(), &login.csrf).await.location(),
        "/account/access?ended=1"
    );
    assert!(!ids().await.0.contains(&other.login.id));
    assert!(ids().await.1.contains(&other.login.device));
    assert_eq!(
        end(cookie.clone(), "device", &other.login.device, &login.csrf)
            .await
            .location(),
        "/account/access?ended=1"
    );
    assert!(!ids().await.1.contains(&other.login.device));
    let last = end(cookie.clone(), "account", fake::ACCOUNT, &login.csrf).await;
    assert!(
        last.status == 409 && last.text.contains("last account"),
        "{}",
        last.text
    );
    assert_eq!(end(cookie, "planet", "x", &login.csrf).await.status, 404);
    assert_eq!(
        web.get("/account/access", "").await.location(),
        "/login?next=/account/access"
    );
}

#[tokio::test]
async fn a_tunnel_with_tls_is_kept_to_it() {
    for (ingress, host, kept) in [(tunnel(), "t.example", true), (local(), HOST, false)] {
        let web = Web::new(true, ingress).await;
        let request = Request::get("/login").header("host", host).body(Body::empty()).unwrap();
        let answer = web.send(request).await;
        assert_eq!(
            answer.headers.contains_key(header::STRICT_TRANSPORT_SECURITY),
            kept,
            "{host}"
        );
    }
}

#[tokio::test]
async fn what_is_sent_to_the_api_has_an_end() {
    let web = Web::new(true, local()).await;
    web.fakes.chat.add("ses_1", "one").await;
    let (cookie, _) = web.cookie().await;
    let post = |text: String| {
        let request = Request::post("/api/v1/sessions/ses_1/prompts")
            .header("host", HOST)
            .header("origin", SITE)
            .header("cookie", &cookie)
            .header("content-type", "application/json");
        web.send(request.body(Body::from(format!(r#"{{"text":"{text}"}}"#))).unwrap())
    };
    let refused = post("x".repeat(nexus_model::limits::API_BODY_BYTES)).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", refused.text);
    assert_ne!(post("x".to_owned()).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn the_metrics_take_no_long_header() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let state = WebState::new(Fakes::new(WITH_OWNER).await.services(), Arc::new(SystemClock));
    tokio::spawn(nexus_web::metrics::serve(listener, state, Default::default()));
    for (length, status) in [
        (10, "HTTP/1.1 200 "),
        (nexus_model::limits::METRICS_HEADER_BYTES, "HTTP/1.1 431 "),
    ] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\nConnection: close\r\n\r\n",
            "x".repeat(length)
        );
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(status), "{answer}");
    }
}
