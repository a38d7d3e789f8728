//! Behind reverse proxies of every kind: what is refused names its cure, and the cure works.

use super::*;
use nexus_config::resolved::Config;

/// The configuration that somebody has who pastes the lines into a file.
fn configured(lines: &str) -> Config {
    nexus_testkit::config(tempfile::tempdir().unwrap().path(), lines)
}

/// The lines to paste that a message holds: each block begins with its table.
fn cures(message: &str) -> Vec<String> {
    let blocks = message.split("\n\n").filter(|block| block.starts_with('['));
    blocks.map(|block| block.trim_end().to_owned() + "\n").collect()
}

async fn with(lines: &str) -> Web {
    let web = configured(lines).web;
    let ingress = Ingress::Local {
        hosts: web.hosts,
        public_url: web.public_url,
    };
    Web::new(true, ingress).await
}

/// The form of the page at `origin`, as the proxy in front hands it on.
async fn login(web: &Web, host: &str, origin: &str, site: Option<&str>) -> Answer {
    let form = page(web, host).await;
    let mut request = Request::post("/login")
        .header("host", host)
        .header("origin", origin)
        .header("cookie", form.jar());
    if let Some(site) = site {
        request = request.header("sec-fetch-site", site);
    }
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let fields = format!(
        "csrf={}&state={}&field-account=ada&field-password={}",
        form.hidden("csrf"),
        form.hidden("state"),
        PASSWORD.replace(' ', "+")
    );
    web.send(request.body(Body::from(fields)).unwrap()).await
}

async fn page(web: &Web, host: &str) -> Answer {
    web.send(Request::get("/login").header("host", host).body(Body::empty()).unwrap())
        .await
}

#[tokio::test]
async fn an_unknown_name_is_refused_with_the_setting_that_admits_it() {
    for (host, https) in [
        ("chat.example.test", "https://chat.example.test"),
        ("chat.example.test:46043", "https://chat.example.test:46043"),
        ("Chat.Example.Test.", "https://chat.example.test."),
        ("192.168.1.9:7860", "https://192.168.1.9:7860"),
        ("[fd00::1]:7860", "https://[fd00::1]:7860"),
    ] {
        let answer = page(&with("").await, host).await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
        let [public, names] = &cures(&answer.text)[..] else {
            panic!("{}", answer.text)
        };
        let web = with(public).await;
        assert_eq!(page(&web, host).await.status, StatusCode::OK, "{public}");
        let answer = login(&web, host, &https.to_ascii_lowercase(), None).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{public} {}", answer.text);
        let web = with(names).await;
        let http = https.to_ascii_lowercase().replace("https:", "http:");
        assert_eq!(
            login(&web, host, &http, None).await.status,
            StatusCode::SEE_OTHER,
            "{names}"
        );
    }
}

#[tokio::test]
async fn a_name_that_is_none_gets_no_line_to_paste() {
    for host in ["a\"]\n", "a:\"x", "a b", "", &"a".repeat(400)] {
        let Ok(value) = http::HeaderValue::from_str(host) else {
            continue;
        };
        let request = Request::get("/login")
            .header("host", value)
            .body(Body::empty())
            .unwrap();
        let answer = with("").await.send(request).await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
        assert_eq!(cures(&answer.text), Vec::<String>::new(), "{}", answer.text);
    }
}

#[tokio::test]
async fn through_a_tunnel_it_is_the_tunnels_own_key() {
    let through = Web::new(true, tunnel()).await;
    let answer = page(&through, "mine.example").await;
    let [lines] = &cures(&answer.text)[..] else {
        panic!("{}", answer.text)
    };
    let config = configured(&format!("{lines}plugin = \"tunnel-bore\"\nallow_plaintext = true\n"));
    assert_eq!(config.tunnels["main"].hosts, ["mine.example"]);
}

#[tokio::test]
async fn a_proxy_that_speaks_tls_needs_the_public_url() {
    let (host, origin) = ("chat.example.test", "https://chat.example.test");
    // The name was added, and the page is seen; the form is refused.
    let web = with("[web]\nhosts = [\"chat.example.test\"]\n").await;
    assert_eq!(page(&web, host).await.status, StatusCode::OK);
    for site in [None, Some("same-origin")] {
        let answer = login(&web, host, origin, site).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.text.contains("handles HTTPS"), "{}", answer.text);
        let [lines] = &cures(&answer.text)[..] else {
            panic!("{}", answer.text)
        };
        assert_eq!(
            login(&with(lines).await, host, origin, site).await.status,
            StatusCode::SEE_OTHER
        );
    }
}

#[tokio::test]
async fn a_proxy_that_changes_the_host_is_named() {
    for (origin, passed, site) in [
        ("https://chat.example.test", "chat.example.test", Some("same-origin")),
        (
            "https://chat.example.test:8443",
            "chat.example.test:8443",
            Some("same-origin"),
        ),
        // As `proxy_set_header Host $host` has it.
        (
            "https://chat.example.test:8443",
            "chat.example.test",
            Some("same-origin"),
        ),
        ("http://chat.example.test", "chat.example.test", None),
        ("https://chat.example.test", "chat.example.test", None),
    ] {
        let answer = login(&with("").await, "127.0.0.1:7860", origin, site).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.text.contains("$http_host"), "{}", answer.text);
        let [lines] = &cures(&answer.text)[..] else {
            panic!("{}", answer.text)
        };
        let cured = login(&with(lines).await, passed, origin, site).await;
        assert_eq!(cured.status, StatusCode::SEE_OTHER, "{lines}{}", cured.text);
    }
}

#[tokio::test]
async fn another_site_gets_no_cure() {
    for (origin, site) in [
        ("https://evil.example", Some("cross-site")),
        ("https://evil.localhost", Some("same-site")),
        ("null", None),
        ("null", Some("cross-site")),
        ("javascript:x", Some("same-origin")),
        ("https://a\"x", Some("same-origin")),
    ] {
        let answer = login(&with("").await, HOST, origin, site).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert_eq!(cures(&answer.text), Vec::<String>::new(), "{}", answer.text);
    }
}
