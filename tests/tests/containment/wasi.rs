//! A plugin that sends its requests by `wasi:http` and reads the clocks of WASI: the same permissions, bounds and counts as with
//! the capabilities of the contract.

use super::common::{health, resident, until_card};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use nexus_tests::browser::Browser;
use nexus_tests::guests::guest;
use nexus_tests::nexus::{Nexus, Start};
use nexus_tests::tunnels::{action, tunnel};
use std::sync::{Arc, Mutex};

const PLUGIN: &str = "wasi-tunnel";
const TOKEN: &str = "Bearer correct-horse-battery-staple";

/// A server that says what it was asked, and remembers it: method, path, headers and the body's length.
struct Server {
    port: u16,
    asked: Asked,
}

type Asked = Arc<Mutex<Vec<String>>>;

impl Server {
    async fn start() -> Self {
        let asked = Asked::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let app = axum::Router::new()
            .fallback(answer)
            .with_state((Arc::clone(&asked), port));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(State((asked, port)): State<(Asked, u16)>, request: Request) -> axum::response::Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let headers: Vec<String> = head
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    let body = axum::body::to_bytes(body, usize::MAX)
        .await
        .map_or(0, |body| body.len());
    let line = format!("{} {path} {body} bytes, {}", head.method, headers.join(", "));
    asked.lock().unwrap().push(line);
    let to = |url: String| (StatusCode::FOUND, [("location", url)]).into_response();
    match path.as_str() {
        // A name that is granted, and leads to this machine; and an address of a cloud's own services.
        "/to-private" => to(format!("http://localhost:{port}/secret")),
        "/to-other" => to("http://169.254.169.254/latest/meta-data".to_owned()),
        _ => format!("{} {path}: {body} bytes", head.method).into_response(),
    }
}

/// What was done until the end of the tunnel, which fails for good with it: its cause, and the Nexus.
async fn attempt(attempt: &str, server: &Server, grants: &str, more: &str) -> (Nexus, Browser, String) {
    let port = server.port;
    let start = Start::new().env("WASI_TOKEN", TOKEN).config(format!(
        "[tunnel.hostile]\nplugin = \"{PLUGIN}\"\nallow_plaintext = true\n\
         [plugin.{PLUGIN}]\nsource = {:?}\nconfig.attempt = \"{attempt}\"\n\
         config.url = \"http://127.0.0.1:{port}\"\nconfig.other = \"http://localhost:{port}\"\n\
         grants.http = [{grants}]\nsecrets.token = {{ env = \"WASI_TOKEN\" }}\n{more}",
        guest(PLUGIN)
    ));
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    action(&browser, "hostile", "start").await;
    let status = tunnel(&browser, |t| t["state"] == "failed").await;
    println!("{attempt}: {status}");
    let cause = status["cause"].as_str().unwrap().to_owned();
    (nexus, browser, cause)
}

/// The grant of the server's own address.
fn granted(server: &Server) -> String {
    format!("{{ url = \"http://127.0.0.1:{}\", private = true }}", server.port)
}

fn has(cause: &str, words: &[&str]) {
    for words in words {
        assert!(cause.contains(words), "{words} is not in {cause}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_wasi_goes_where_it_is_granted_and_its_secret_is_in_no_log() {
    let server = Server::start().await;
    let (nexus, _browser, cause) = attempt("granted", &server, &granted(&server), "").await;
    has(&cause, &["200 GET /: 0 bytes"]);
    let asked = server.asked().concat();
    has(
        &asked,
        &["authorization:", "correct-horse-battery-staple", "host: \"127.0.0.1:"],
    );
    assert!(!nexus.output().contains("correct-horse"), "{}", nexus.output());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_wasi_that_is_not_granted_is_denied_with_the_lines_that_would_allow_it() {
    let server = Server::start().await;
    let url = format!("http://127.0.0.1:{}", server.port);
    for (grants, lines) in [
        (
            String::new(),
            vec![format!("has no permission to send requests to {url}"), url.clone()],
        ),
        (
            format!("\"{url}\""),
            vec![format!("{{ url = \"{url}\", private = true }}")],
        ),
    ] {
        let (nexus, browser, cause) = attempt("granted", &server, &grants, "").await;
        has(&cause, &["HttpRequestDenied"]);
        assert_eq!(server.asked(), Vec::<String>::new());
        let output = nexus.output();
        for line in lines {
            has(&output, &[&line, "[plugin.wasi-tunnel.grants]"]);
        }
        // An answer, and no trap; counted as the capability's own.
        until_card(&browser, PLUGIN, &["1 denied call"]).await;
        assert_eq!(health(&nexus.url, PLUGIN).await["restarts"], 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_wasi_0_3_are_those_of_0_2() {
    let server = Server::start().await;
    let (nexus, _browser, cause) = attempt("by-0-3", &server, &granted(&server), "").await;
    has(
        &cause,
        &["200 GET /: 0 bytes", "200 POST /: 100000 bytes", "HttpRequestDenied"],
    );
    has(&server.asked().concat(), &["correct-horse-battery-staple"]);
    has(
        &nexus.output(),
        &["has no permission to send requests to http://other.example"],
    );
    assert_eq!(health(&nexus.url, PLUGIN).await["restarts"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_random_numbers_and_output_of_both_versions_of_wasi_work_and_sockets_and_files_do_not() {
    let server = Server::start().await;
    let (nexus, _browser, cause) = attempt("interfaces", &server, &granted(&server), "").await;
    has(
        &cause,
        &[
            "waited by 0.3: true",
            "waited by 0.2: true",
            "not early: true",
            "one time: true",
            "written: Ok(())",
            "other numbers: true",
            "bytes: 32",
            "insecure: true",
            "arguments: 0",
        ],
    );
    has(&nexus.output(), &["by standard output of 0.3"]);
    let (_nexus, _browser, cause) = attempt("outside", &server, &granted(&server), "").await;
    has(
        &cause,
        &[
            "tcp: Some(ErrorCode::AccessDenied",
            "udp: Some(ErrorCode::AccessDenied",
            "resolve: Some(ErrorCode::AccessDenied",
            "folders: 0",
            "connect by 0.2: Err(PermissionDenied)",
            "environment: 0",
        ],
    );
    assert!(!cause.contains("read by 0.2: Ok"), "{cause}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_method_scheme_or_user_name_gets_past_the_permission() {
    let server = Server::start().await;
    let (nexus, _browser, cause) = attempt("methods", &server, &granted(&server), "").await;
    has(
        &cause,
        &[
            "HttpRequestMethodInvalid",
            "200 DELETE /: 0 bytes",
            "HttpProtocolError",
            "HttpRequestUriInvalid",
        ],
    );
    let asked = server.asked();
    assert!(asked.len() == 1 && asked[0].starts_with("DELETE "), "{asked:?}");
    assert!(!nexus.output().contains("user:password"), "{}", nexus.output());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_of_wasi_have_an_end() {
    let server = Server::start().await;
    let (_nexus, _browser, cause) = attempt("headers", &server, &granted(&server), "").await;
    has(
        &cause,
        &[
            "x-line: HeaderError::InvalidSyntax",
            "x-line\\r\\nx-other: HeaderError::InvalidSyntax",
            "host: HeaderError::Forbidden",
            "transfer-encoding: HeaderError::Forbidden",
            "connection: HeaderError::Forbidden",
            "te: HeaderError::Forbidden",
            "content-length: HeaderError::InvalidSyntax",
            "content-length: ErrorCode::HttpRequestBodySize",
            "many: ErrorCode::HttpRequestHeaderSectionSize",
        ],
    );
    let (_nexus, _browser, cause) = attempt("large-headers", &server, &granted(&server), "").await;
    has(&cause, &["it made headers of more than 16384 bytes with wasi:http"]);
    assert_eq!(server.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_leads_to_no_private_address() {
    let server = Server::start().await;
    let grants = format!("{}, \"http://localhost:{}\"", granted(&server), server.port);
    let (nexus, _browser, cause) = attempt("redirect", &server, &grants, "").await;
    has(
        &cause,
        &[
            "/to-private: ErrorCode::HttpRequestDenied",
            "/to-other: ErrorCode::HttpRequestDenied",
        ],
    );
    let asked = server.asked();
    assert!(asked.len() == 2 && !asked.concat().contains("/secret"), "{asked:?}");
    has(
        &nexus.output(),
        &["localhost", "private = true", "http://169.254.169.254"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_wasi_have_an_end_together() {
    let server = Server::start().await;
    let (_nexus, _browser, cause) = attempt("upload", &server, &granted(&server), "").await;
    has(&cause, &["200 POST /: 300000 bytes, written 16384 at once"]);

    let (nexus, _browser, cause) = attempt("endless", &server, &granted(&server), "limits.memory = \"16 MiB\"\n").await;
    has(&cause, &["HttpRequestBodySize"]);
    has(&nexus.output(), &["sends bodies of more than 16777216 bytes at once"]);
    assert_eq!(server.asked().len(), 1, "of the endless one nothing is sent");
    assert_eq!(health(&nexus.url, PLUGIN).await["restarts"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_requests_of_wasi_is_refused_beyond_the_limit() {
    let server = Server::start().await;
    let (nexus, _browser, cause) = attempt("flood", &server, &granted(&server), "limits.streams = 8\n").await;
    has(&cause, &["ErrorCode::ConnectionLimitReached × "]);
    has(
        &nexus.output(),
        &["waits for 8 streams at once, its limit", "streams = 16"],
    );
    assert!(server.asked().len() < 200, "{}", server.asked().len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plugin_hoards_of_wasi_ends_it() {
    let server = Server::start().await;
    let port = server.port;
    let start = Start::new().config(format!(
        "[tunnel.hostile]\nplugin = \"{PLUGIN}\"\nallow_plaintext = true\n\
         [plugin.{PLUGIN}]\nsource = {:?}\nconfig.attempt = \"hoard\"\nconfig.url = \"http://127.0.0.1:{port}\"\n",
        guest(PLUGIN)
    ));
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    let before = resident(nexus.pid());
    action(&browser, "hostile", "start").await;
    nexus.line("it has ended, and why", |line| {
        line.contains("holds too many streams, requests and bodies of WASI at once: more than 1280")
            .then_some(())
    });
    let after = resident(nexus.pid());
    assert!(after < before + 64 * 1024, "{before} KiB before, {after} KiB after");
}
