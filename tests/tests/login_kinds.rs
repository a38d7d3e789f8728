//! Every kind of login of the contract, each with a small plugin of `tests/guests`, with the real binary; and what somebody
//! does who has no business there.

use nexus_tests::browser::{Browser, PASSWORD, Socket, fill, form};
use nexus_tests::guests::guest;
use nexus_tests::identity_provider::IdentityProvider;
use nexus_tests::nexus::{Nexus, Start};
use nexus_tests::{bore, script, tunnels};
use reqwest::{Response, StatusCode, Url};
use serde_json::{Value, json};

/// The chat plays no part here.
const ECHO: &str = "[chat.main]\nplugin = \"chat-echo\"\n";

fn start(config: &str) -> Start {
    Start::new().config(format!("{config}{ECHO}"))
}

/// The plugin as the login, with these lines in its table.
fn login(plugin: &str, more: &str) -> String {
    let source = guest(plugin);
    format!("[auth]\nplugin = {plugin:?}\n[plugin.{plugin}]\nsource = {source:?}\n{more}\n")
}

fn code() -> Start {
    start(&login("auth-form", "config.codes = { ada = \"1234\", eve = \"5678\" }"))
}

fn passkey() -> Start {
    start(&login("auth-webauthn", "grants.store_quota = \"1 MiB\""))
}

/// `nexus user …` beside whatever runs: whether it did it, and all it wrote.
fn user(start: &Start, words: &[&str]) -> (bool, String) {
    let output = start.run(&["user"], words, "");
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (output.status.success(), text.concat())
}

fn done(start: &Start, words: &[&str]) -> String {
    let (done, text) = user(start, words);
    assert!(done, "{words:?}: {text}");
    text
}

async fn inside(browser: &Browser) -> bool {
    browser.get("/status").await.status() == 200
}

async fn text(answer: Response) -> String {
    answer.text().await.unwrap()
}

/// Sends the form that a page holds.
async fn send(browser: &Browser, page: &str, values: &[(&str, &str)]) -> Response {
    let (action, inputs) = form(page, "/login").unwrap_or_else(|| panic!("no form:\n{page}"));
    browser.post(&action, &fill(inputs, values)).await
}

/// Waits until the audit has an event of that name, and gives all of it.
fn audit(start: &Start, event: &str) -> String {
    let lines = start.audit(|lines| lines.iter().any(|line| line["event"] == event));
    serde_json::to_string(&lines).unwrap()
}

// Forms, without the optional interface.

async fn by_code(browser: &Browser, name: &str, code: &str) -> Response {
    let second = browser.submit("/login", &[("name", name)]).await;
    let second = text(second).await;
    send(browser, &second, &[("code", code)]).await
}

/// The owner `boss` is whom the plugin calls `ada`.
async fn bound(nexus: &Nexus) -> Browser {
    let owner = Browser::new(&nexus.url);
    let page = text(owner.get("/setup").await).await;
    assert!(page.contains("Continue with Code"), "{page}");
    let token = nexus.setup_token();
    let begun = join(&owner, &token, "boss").await;
    let first = text(begun).await;
    let second = text(send(&owner, &first, &[("name", "ada")]).await).await;
    let answer = send(&owner, &second, &[("code", "1234")]).await;
    assert!(answer.status().is_redirection(), "{}", text(answer).await);
    owner
}

/// Presses the button of the only method of a set-up page.
async fn join(browser: &Browser, token: &str, account: &str) -> Response {
    let page = text(browser.get("/setup").await).await;
    let method = page
        .split("name=\"method\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let (action, inputs) = form(&page, "/setup").unwrap();
    let mut fields = fill(inputs, &[("token", token), ("account", account)]);
    fields.push(("method".to_owned(), method.to_owned()));
    browser.post(&action, &fields).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_with_the_core_interface_alone_has_accounts_all_the_same() {
    let start = code();
    let nexus = start.up();
    let stranger = Browser::new(&nexus.url);
    assert_eq!(join(&stranger, "guessed", "eve").await.status(), 422);
    let owner = bound(&nexus).await;
    assert!(inside(&owner).await);
    // The link is used up.
    assert_eq!(stranger.get("/setup").await.headers()["location"], "/login");
    // Whom the plugin knows and the host does not is told what to do, and no account is made.
    let unknown = text(by_code(&stranger, "eve", "5678").await).await;
    assert!(unknown.contains("knows you as The eve"), "{unknown}");
    assert!(unknown.contains("nexus user bind NAME --subject code:eve"), "{unknown}");
    assert!(!inside(&stranger).await);
    let kept = audit(&start, "login_unknown");
    assert!(kept.contains("code:eve"), "{kept}");
    // The owner does it.
    assert!(done(&start, &["bind", "guest", "--subject", "code:eve"]).contains("guest belongs to code:eve"));
    assert!(by_code(&stranger, "eve", "5678").await.status().is_redirection());
    assert!(inside(&stranger).await);
    let (taken, why) = user(&start, &["bind", "other", "--subject", "code:ada"]);
    assert!(!taken && why.contains("belongs to another account"), "{why}");
    // A link does as well; it names the account, and ends what was good before.
    let link = done(&start, &["passwd", "guest"]);
    let token = link.split("/setup#").nth(1).unwrap().trim();
    let page = text(owner.get("/setup").await).await;
    assert!(
        page.contains("Join this Nexus") && !page.contains("Account name"),
        "{page}"
    );
    let first = text(join(&stranger, token, "ignored").await).await;
    let second = text(send(&stranger, &first, &[("name", "eve")]).await).await;
    assert!(
        send(&stranger, &second, &[("code", "5678")])
            .await
            .status()
            .is_redirection()
    );
    assert!(inside(&stranger).await);
    assert_eq!(stranger.get("/setup").await.headers()["location"], "/login");
    // There is no password to change here.
    let account = text(owner.get("/account").await).await;
    assert!(account.contains("does not support changing credentials"), "{account}");
    // Five wrong codes lock, as five wrong passwords do.
    let other = Browser::new(&nexus.url);
    for _ in 0..4 {
        assert!(
            text(by_code(&other, "ada", "0000").await)
                .await
                .contains("This code is wrong.")
        );
    }
    assert!(
        text(by_code(&other, "ada", "0000").await)
            .await
            .contains("for 30 minutes")
    );
}

// Another site.

/// Begins at the login page: the address that the browser is sent to.
async fn begin(browser: &Browser) -> String {
    let sent = browser.get("/login?method=provider").await;
    assert_eq!(sent.status(), StatusCode::SEE_OTHER);
    sent.headers()["location"].to_str().unwrap().to_owned()
}

/// Opens the address that leads back, and sends the form of that page.
async fn come_back(browser: &Browser, url: &str) -> Response {
    let url: Url = url.parse().unwrap();
    let path = format!("{}?{}", url.path(), url.query().unwrap());
    let page = browser.get(&path).await;
    if page.status() != 200 {
        return page;
    }
    let page = text(page).await;
    let (action, inputs) = form(&page, "/login/callback").unwrap();
    browser.post(&action, &fill(inputs, &[])).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_another_site_is_good_once_for_the_browser_that_asked() {
    let provider = IdentityProvider::start().await;
    let start = start(&provider.config(&guest("auth-redirect")));
    let nexus = start.up();
    done(&start, &["bind", "boss", "--subject", "id-of-ada"]);
    let (owner, victim) = (Browser::new(&nexus.url), Browser::new(&nexus.url));
    let page = text(owner.get("/login").await).await;
    assert!(page.contains("Log in with the provider"), "{page}");
    // Somebody else's answer, brought by a link, logs nobody in.
    let theirs = provider.sign_in(&begin(&owner).await, "ada");
    begin(&victim).await;
    let refused = text(come_back(&victim, &theirs).await).await;
    assert!(refused.contains("has expired"), "{refused}");
    assert!(!inside(&victim).await);
    let answer = come_back(&owner, &theirs).await;
    assert!(answer.status().is_redirection(), "{}", text(answer).await);
    assert!(inside(&owner).await);
    // The same once more, in the same browser.
    let again = Browser::new(&nexus.url);
    let back = provider.sign_in(&begin(&again).await, "ada");
    assert!(come_back(&again, &back).await.status().is_redirection());
    assert!(text(come_back(&again, &back).await).await.contains("has expired"));
    // A state of one's own, and none.
    let made_up = format!("{}/login/callback?code=c&state=AAAA", nexus.url);
    assert!(text(come_back(&victim, &made_up).await).await.contains("has expired"));
    let without = format!("{}/login/callback?code=c", nexus.url);
    assert_eq!(come_back(&victim, &without).await.status(), StatusCode::BAD_REQUEST);
    // A code of another login: the provider finds that the verifier is another one's.
    let (one, other) = (begin(&victim).await, begin(&victim).await);
    let (one, other) = (provider.sign_in(&one, "ada"), provider.sign_in(&other, "ada"));
    let state = |url: &str| url.split("&state=").nth(1).unwrap().to_owned();
    let mixed = one.replace(&state(&one), &state(&other));
    let refused = text(come_back(&victim, &mixed).await).await;
    assert!(refused.contains("does not know this code"), "{refused}");
    // Wrong codes are counted for the address.
    for _ in 0..4 {
        let asked: Url = begin(&victim).await.parse().unwrap();
        let state = asked
            .query_pairs()
            .find(|(name, _)| name == "state")
            .unwrap()
            .1
            .into_owned();
        come_back(
            &victim,
            &format!("{}/login/callback?code=guess&state={state}", nexus.url),
        )
        .await;
    }
    let back = provider.sign_in(&begin(&victim).await, "ada");
    assert!(text(come_back(&victim, &back).await).await.contains("for 30 minutes"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs chromium: ./tests/run"]
async fn a_person_logs_in_at_another_site() {
    let provider = IdentityProvider::start().await;
    in_browser(
        "redirect",
        start(&provider.config(&guest("auth-redirect"))),
        Value::Null,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs chromium: ./tests/run"]
async fn a_person_logs_in_by_a_form_of_another_plugin() {
    in_browser("code", code(), Value::Null).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs chromium: ./tests/run"]
async fn a_person_logs_in_with_a_passkey() {
    let start = passkey();
    let link = done(&start, &["add", "ann"]);
    let invitation = link.split("/setup#").nth(1).unwrap().trim().to_owned();
    in_browser("passkey", start, json!({ "invitation": invitation })).await;
}

/// Runs a script with this Nexus, off the runtime's threads, because what it logs in by may run there.
async fn in_browser(name: &'static str, start: Start, more: Value) {
    let run = move || {
        let nexus = start.up();
        // No browser makes a passkey for a number, and this is another site than the provider.
        let site = if name == "passkey" { "localhost" } else { "127.0.0.1" };
        let url = nexus.url.replace("127.0.0.1", site);
        let mut world = json!({"url": url, "setup": format!("{url}/setup#{}", nexus.setup_token())});
        let more = more.as_object().cloned().unwrap_or_default();
        world.as_object_mut().unwrap().extend(more);
        script::run(name, world, |asked| panic!("it asks for {asked}"));
    };
    if let Err(error) = tokio::task::spawn_blocking(run).await {
        std::panic::resume_unwind(error.into_panic());
    }
}

// A header of a proxy.

// SAFETY: it takes nothing and cannot fail.
#[allow(unsafe_code)]
fn own_user() -> u32 {
    unsafe { libc::getuid() }
}

fn ambient(route: &str, user: u32, more: &str) -> Start {
    let login = login(
        "auth-ambient",
        &format!("config = {{ route = {route:?}, user = {user} }}"),
    );
    Start::new().config(format!("{login}{more}{ECHO}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxys_header_logs_in_without_a_form() {
    let start = ambient("loopback", own_user(), "");
    let nexus = start.up();
    let proxied = Browser::sending(&nexus.url, "x-remote-user", "ada");
    // The owner's link, by the plugin's own way.
    let made = join(&proxied, &nexus.setup_token(), "boss").await;
    assert!(made.status().is_redirection(), "{}", text(made).await);
    assert!(inside(&proxied).await);
    let again = Browser::sending(&nexus.url, "x-remote-user", "ada");
    let login = again.get("/login?next=/status").await;
    assert_eq!(login.headers()["location"], "/status");
    assert!(inside(&again).await);
    // The login is the host's: it ends as any other does, and then nobody is logged in by a reload.
    let out = again.submit_on("/account", "/logout", &[]).await;
    assert_eq!(out.headers()["location"], "/login?out=1");
    assert!(
        text(again.get("/login?out=1").await)
            .await
            .contains("Log in with the proxy")
    );
    assert!(!inside(&again).await);
    let unknown = Browser::sending(&nexus.url, "x-remote-user", "eve");
    let page = text(unknown.get("/login").await).await;
    assert!(page.contains("nexus user bind NAME --subject proxy:eve"), "{page}");
    // Without the header nobody is anybody.
    let plain = Browser::new(&nexus.url);
    let page = text(plain.get("/login").await).await;
    assert!(
        page.contains("Log in with the proxy") && !page.contains("<form"),
        "{page}"
    );
    let pressed = text(plain.get("/login?method=proxy").await).await;
    assert!(pressed.contains("does not show who you are"), "{pressed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_of_another_users_program_or_another_route_counts_for_nothing() {
    let config = "[web]\nhosts = [\"chat.example\"]\n";
    for (route, who) in [("loopback", own_user() + 1), ("name", own_user())] {
        let start = ambient(route, who, config);
        let nexus = start.up();
        done(&start, &["bind", "boss", "--subject", "proxy:ada"]);
        let forged = Browser::sending(&nexus.url, "x-remote-user", "ada");
        assert_eq!(forged.get("/login").await.status(), 200, "{route}");
        assert!(!inside(&forged).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs bore: ./tests/run"]
async fn a_header_through_a_tunnel_counts_for_nothing() {
    let bore = bore::Server::start(None);
    let start = ambient("loopback", own_user(), &bore.tunnel("autostart = true"));
    let nexus = start.up();
    done(&start, &["bind", "boss", "--subject", "proxy:ada"]);
    let proxied = Browser::sending(&nexus.url, "x-remote-user", "ada");
    assert!(proxied.get("/login").await.status().is_redirection());
    let open = tunnels::tunnel(&proxied, |t| t["state"] == "up").await;
    let forged = Browser::sending(open["url"].as_str().unwrap(), "x-remote-user", "ada");
    let page = forged.get("/login").await;
    assert_eq!(page.status(), 200);
    assert!(text(page).await.contains("Log in with the proxy"));
    assert!(!inside(&forged).await);
    let out = forged.get("/login?method=proxy").await;
    assert!(text(out).await.contains("does not show who you are"));
}

// Tokens.

const TOKEN: &str = "a-token-that-nobody-guesses";

fn tokens() -> Start {
    let hash = ring::digest::digest(&ring::digest::SHA256, TOKEN.as_bytes());
    let hash = data_encoding::HEXLOWER.encode(hash.as_ref());
    start(&login("auth-bearer", &format!("config.hashes = {{ ci = {hash:?} }}")))
}

async fn api(nexus: &Nexus, token: &str) -> Response {
    let program = Browser::sending(&nexus.url, "authorization", &format!("Bearer {token}"));
    program.get("/api/v1/status").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_uses_the_api_and_the_live_socket_with_a_token() {
    let start = tokens();
    let mut nexus = start.up();
    assert_eq!(
        api(&nexus, TOKEN).await.status(),
        StatusCode::UNAUTHORIZED,
        "it has no account"
    );
    let page = text(Browser::new(&nexus.url).get("/setup").await).await;
    assert!(page.contains("nexus user bind NAME --subject SUBJECT"), "{page}");
    done(&start, &["bind", "bot", "--subject", "ci"]);
    let status: Value = api(&nexus, TOKEN).await.json().await.unwrap();
    assert!(status["version"].is_string(), "{status}");
    let program = Browser::sending(&nexus.url, "authorization", &format!("Bearer {TOKEN}"));
    // No page, no cookie; and nothing that needs a login of just now.
    let page = program.get("/status").await;
    assert_eq!(page.headers()["location"], "/login?next=/status");
    assert_eq!(program.get("/login").await.status(), StatusCode::CONFLICT);
    assert!(!inside(&program).await);
    let mut socket = Socket::of_program(&nexus.url, TOKEN).await.unwrap();
    socket.send(&json!({"type": "hello", "protocol": 3})).await;
    socket.until(|frame| frame["type"] == "list").await;
    assert!(Socket::of_program(&nexus.url, "wrong").await.is_err());
    // Wrong ones lock the address; the token that was right is counted by itself.
    for _ in 0..4 {
        api(&nexus, "wrong").await;
    }
    assert_eq!(api(&nexus, "wrong").await.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(api(&nexus, TOKEN).await.status(), StatusCode::OK);
    // Without its account it is nobody's at once.
    done(&start, &["remove", "bot", "--force"]);
    assert_eq!(api(&nexus, TOKEN).await.status(), StatusCode::UNAUTHORIZED);
    assert!(nexus.terminate(std::time::Duration::from_secs(25)).unwrap().success());
    let kept = audit(&start, "login_token");
    let logs = std::fs::read_to_string(start.data_dir().join("logs/nexus.log")).unwrap();
    for text in [kept, logs, nexus.output()] {
        assert!(!text.contains(TOKEN), "{text}");
    }
}

// What a plugin must not do.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plugin_must_not_answer_ends_the_login_and_nothing_else() {
    let start = start(&login("hostile-auth", ""));
    let nexus = start.up();
    Browser::set_up(&nexus).await;
    for (attack, said) in [
        ("giant-subject", "a subject of 8388608 bytes"),
        ("giant-state", "a state of 8388608 bytes"),
        ("script-url", "an address to which no browser is sent"),
        ("plain-url", "an address to which no browser is sent"),
        ("own-state", "an address with a parameter"),
    ] {
        let browser = Browser::new(&nexus.url);
        let page = text(browser.log_in("owner", attack).await).await;
        assert!(page.contains(said), "{attack}: {page}");
        assert!(!page.contains("javascript:"), "{page}");
        assert!(!inside(&browser).await, "{attack}");
    }
    let browser = Browser::new(&nexus.url);
    let mut page = text(browser.get("/login").await).await;
    let mut steps = 0;
    while !page.contains("more than 16 steps") {
        page = text(send(&browser, &page, &[("account", "owner"), ("password", "endless")]).await).await;
        steps += 1;
        assert!(steps <= 16, "{page}");
    }
    assert_eq!(steps, 16);
    // None of it was a wrong password.
    let page = text(Browser::new(&nexus.url).log_in("owner", PASSWORD).await).await;
    assert!(!page.contains("for 30 minutes"), "{page}");
}
