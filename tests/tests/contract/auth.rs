//! `auth` and `manage`: what is answered to a login, an enrollment and a request.

use super::marked;
use nexus_tests::browser::{Browser, PASSWORD, form};
use nexus_tests::guests::guest;
use nexus_tests::nexus::Start;
use serde_json::Value;

fn start(rule: &str) -> Start {
    let source = guest("rules-auth");
    Start::new().config(format!(
        "[chat.main]\nplugin = \"chat-echo\"\n[auth]\nplugin = \"rules-auth\"\n[plugin.rules-auth]\nsource = {source:?}\nconfig.rule \
         = {rule:?}\n"
    ))
}

async fn text(answer: reqwest::Response) -> String {
    answer.text().await.unwrap()
}

async fn inside(browser: &Browser) -> bool {
    browser.get("/status").await.status() == 200
}

/// `nexus user …` beside the host: all that it wrote.
fn user(start: &Start, words: &[&str], input: &str) -> (bool, String) {
    let output = start.run(&["user"], words, input);
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (output.status.success(), text.concat())
}

const BUG: &str = "This is a bug of the plugin";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_begins_with_a_question_that_can_be_shown() {
    let start = start("none");
    let nexus = start.up();
    Browser::set_up(&nexus).await;
    for (method, says, bug) in [
        ("identity", "accepted a login without any proof", true),
        ("twins", "a form with two fields with the name", true),
        ("options", "a request to the browser that is no JSON object", true),
        ("plain", "an address to which no browser is sent", true),
        ("denied", "Not you⟨U+202E⟩.", false),
        ("unknown", "There is no such method⟨U+202E⟩.", false),
        ("none-such", "does not have this login method", false),
    ] {
        let stranger = Browser::new(&nexus.url);
        let page = text(stranger.get(&format!("/login?method={method}")).await).await;
        assert!(page.contains(says), "{method}: {page}");
        assert!(!page.contains('\u{202e}'), "{method}: {page}");
        assert_eq!(page.contains(BUG), bug, "{method}: {page}");
        assert!(!inside(&stranger).await, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_a_login_without_a_wrong_credential_is_not_counted() {
    let start = start("none");
    let nexus = start.up();
    Browser::set_up(&nexus).await;
    let stranger = Browser::new(&nexus.url);
    for (password, says) in [
        ("policy", "Not you⟨U+202E⟩."),
        ("unavailable", "Not you⟨U+202E⟩."),
        ("error", "It cannot tell⟨U+202E⟩."),
        ("twins", "a form with two fields with the name"),
        ("options", "a request to the browser that is no JSON object"),
        ("hidden subject", "a subject with invisible characters"),
        ("stranger", "nexus user bind NAME --subject a-stranger"),
    ] {
        // More often than a wrong one may be tried.
        for _ in 0..6 {
            let page = text(stranger.log_in("owner", password).await).await;
            assert!(page.contains(says), "{password}: {page}");
            assert!(!page.contains('\u{202e}'), "{password}: {page}");
        }
        assert!(!inside(&stranger).await, "{password}");
    }
    // A form again, with a problem of a field that there is not.
    let page = text(stranger.log_in("owner", "problem").await).await;
    assert!(marked(&page) && page.contains("Again⟨U+202E⟩."), "{page}");
    assert!(form(&page, "/login").is_some(), "{page}");
    // A wrong one is.
    for _ in 0..5 {
        stranger.log_in("owner", "wrong").await;
    }
    let page = text(stranger.log_in("owner", "wrong").await).await;
    assert!(page.contains("for 30 minutes") || page.contains("locked"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ways_to_log_in_that_are_none_leave_nobody_in() {
    for (rule, says) in [
        ("many methods", "17 login methods, but at most 16 are allowed"),
        ("twin methods", "two login methods with the id twin"),
        ("a method without an id", "a login method whose id is not of [a-z0-9-]"),
        ("a cookie", "the header cookie, which no plugin is given"),
    ] {
        let nexus = start(rule).up();
        Browser::set_up(&nexus).await;
        let page = text(Browser::new(&nexus.url).get("/login").await).await;
        assert!(page.contains(says) && page.contains(BUG), "{rule}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enrollment_begins_with_a_form_of_the_plugins_own_fields() {
    for (rule, says) in [
        ("enroll by identity", "began an enrollment with no form"),
        ("enroll by webauthn", "began an enrollment with no form"),
        (
            "enroll the account",
            "asked for a field <code>account</code>, which is the host&#39;s own",
        ),
        ("enroll denied", "Not you⟨U+202E⟩."),
    ] {
        let nexus = start(rule).up();
        let page = text(Browser::new(&nexus.url).get("/setup").await).await;
        assert!(page.contains(says), "{rule}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_is_changed_by_who_shows_the_present_one() {
    for (rule, says) in [
        ("change by identity", "changed a credential without any proof"),
        ("change of nobody", "There is no credential⟨U+202E⟩."),
    ] {
        let nexus = start(rule).up();
        let owner = Browser::set_up(&nexus).await;
        let page = text(owner.get("/account").await).await;
        assert!(page.contains(says), "{rule}: {page}");
        assert!(!page.contains('\u{202e}'), "{rule}");
    }
    for (rule, says) in [
        ("reset by identity", "form"),
        ("reset of nobody", "here is no credential⟨U+202E⟩."),
    ] {
        let start = start(rule);
        let nexus = start.up();
        Browser::set_up(&nexus).await;
        let (done, said) = user(&start, &["passwd", "owner"], &format!("{PASSWORD}\n{PASSWORD}\n"));
        assert!(!done && said.contains(says), "{rule}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_removed_though_the_plugin_removes_nothing() {
    let start = start("remove nothing");
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    let (done, said) = user(&start, &["remove", "owner", "--force"], "");
    assert!(done, "{said}");
    assert!(!said.contains('\u{202e}'), "{said}");
    assert!(!inside(&browser).await, "its logins have ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_of_nobody_until_a_plugin_names_a_subject_that_has_an_account() {
    let start = start("none");
    let nexus = start.up();
    Browser::set_up(&nexus).await;
    for (token, status) in [
        ("giant", 503),
        ("empty", 503),
        ("error", 503),
        ("stranger", 401),
        ("policy", 401),
    ] {
        for _ in 0..6 {
            let program = Browser::sending(&nexus.url, "authorization", &format!("Bearer {token}"));
            let (found, answer) = program.ask("GET", "/api/v1/status", Value::Null).await;
            assert_eq!(found, status, "{token}: {answer}");
            assert!(!answer.to_string().contains('\u{202e}'), "{token}: {answer}");
        }
    }
    // A wrong one is counted, and so is one that nobody knows; then the plugin is not asked.
    let ask = async |token: &str| {
        let program = Browser::sending(&nexus.url, "authorization", &format!("Bearer {token}"));
        program.ask("GET", "/api/v1/status", Value::Null).await.0
    };
    assert_eq!(ask("none").await, 401);
    for _ in 0..4 {
        assert!(matches!(ask("wrong").await, 401 | 429));
    }
    assert_eq!(ask("giant").await, 429);
}
