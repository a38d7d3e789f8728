//! `tunnel`: what a provider says of itself, what it reports, and how a run ends.

use super::{health, marked};
use nexus_tests::browser::Browser;
use nexus_tests::guests::guest;
use nexus_tests::nexus::{Nexus, Start};
use nexus_tests::wait;
use serde_json::Value;
use std::time::Duration;

/// A tunnel for each rule, each with a plugin of its own; all of them open.
/// `more` is in the tunnels' tables.
fn start(rules: &[&str], more: &str) -> Start {
    start_at(rules, more, "http://unused.example")
}

fn start_at(rules: &[&str], more: &str, address: &str) -> Start {
    let source = guest("rules-tunnel");
    let mut config = "[chat.main]\nplugin = \"chat-echo\"\n".to_owned();
    for rule in rules {
        let name = rule.replace(' ', "-");
        config += &format!(
            "[tunnel.{name}]\nplugin = {name:?}\nautostart = true\n{more}\n[plugin.{name}]\nsource = {source:?}\nconfig.rule = {rule:?}\nconfig.address = {address:?}\n"
        );
    }
    Start::new().config(config)
}

async fn up(rules: &[&str], more: &str) -> (Nexus, Browser) {
    let nexus = start(rules, more).up();
    let browser = Browser::set_up(&nexus).await;
    (nexus, browser)
}

async fn until(browser: &Browser, rule: &str, done: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/api/v1/tunnels/{}", rule.replace(' ', "-"));
    wait::seen_async(rule, async || browser.ask("GET", &path, Value::Null).await.1, done).await
}

/// (the rule, the state of the tunnel then, what the owner reads of it)
const RULES: [(&str, &str, &str); 11] = [
    ("mixed", "failed", "addresses with and without TLS for one tunnel"),
    ("path", "failed", "as the public address"),
    // It is reached by none then.
    ("no addresses", "up", "\"addresses\":[]"),
    (
        "client header",
        "failed",
        "in the header `Cookie`, which has another meaning",
    ),
    (
        "name header",
        "failed",
        "in the header `no header`, which is not a header name",
    ),
    ("refused", "failed", "`rule` is refused⟨U+202E⟩."),
    ("missing", "waiting", "It is not there⟨U+202E⟩"),
    ("unsuitable", "waiting", "It is not there⟨U+202E⟩"),
    ("end later", "waiting", "It ended⟨U+202E⟩."),
    ("end for good", "failed", "It ended⟨U+202E⟩."),
    ("login", "login_needed", "⟨javascript:alert(1)⟩"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_provider_must_not_say_is_shown_and_opens_nothing() {
    let rules: Vec<_> = RULES.iter().map(|(rule, ..)| *rule).collect();
    let (nexus, browser) = up(&rules, "allow_plaintext = true").await;
    for (rule, state, says) in RULES {
        let settled = ["up", "failed", "waiting", "login_needed"];
        let now = until(&browser, rule, |t| settled.iter().any(|state| t["state"] == *state)).await;
        let text = now.to_string();
        assert_eq!(now["state"], state, "{text}");
        assert!(text.contains(says), "{rule}: {text}");
        assert!(!text.contains('\u{202e}') && text.len() < 20_000, "{rule}: {text}");
        assert!(now["url"].is_null(), "{rule}: {text}");
    }
    let output = nexus.output();
    for rule in ["missing", "unsuitable", "refused", "client header", "name header"] {
        assert!(!output.contains(&format!("asked to run, {rule}")), "{rule}: {output}");
    }
    let page = browser.get("/status").await.text().await.unwrap();
    assert!(marked(&page) && !page.contains("href=\"javascript"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_owners_word_no_tunnel_without_tls_is_opened() {
    let rules = ["good", "plain address"];
    let (nexus, browser) = up(&rules, "").await;
    for rule in rules {
        let now = until(&browser, rule, |t| t["state"] == "failed").await;
        assert!(now.to_string().contains("allow_plaintext = true"), "{rule}: {now}");
        assert!(now["url"].is_null(), "{rule}: {now}");
    }
    // The one that says that it has no TLS is not asked; the other one says that it has.
    assert!(!nexus.output().contains("asked to run, good"), "{}", nexus.output());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_too_early_too_much_or_too_often_is_taken_within_bounds() {
    let rules = ["ready first", "many", "measured", "good"];
    let (mut nexus, browser) = up(&rules, "allow_plaintext = true").await;
    for rule in rules {
        let now = until(&browser, rule, |t| t["state"] == "up" && !t["url"].is_null()).await;
        assert!(now.to_string().len() < 100_000, "{rule}: {now}");
        assert_eq!(
            now["title"],
            rule.replace(' ', "-"),
            "one without a title is called by its name: {now}"
        );
    }
    let many = until(&browser, "many", |t| t["state"] == "up").await;
    assert_eq!(many["url"], "http://name-0.example", "the first one: {many}");
    let named = many.to_string();
    assert!(
        named.contains("name-15.example") && !named.contains("name-16.example"),
        "{named}"
    );
    let measured = until(&browser, "measured", |t| t.to_string().contains("fra⟨U+202E⟩")).await;
    assert!(measured.to_string().matches("fra").count() <= 64, "{measured}");

    // It hears why it is cancelled.
    let stop = async |rule: &str| {
        browser
            .ask("POST", &format!("/api/v1/tunnels/{rule}/stop"), Value::Null)
            .await
    };
    assert_eq!(stop("good").await.0, 200);
    until(&browser, "good", |t| t["state"] == "off").await;
    wait::until("it hears it", || {
        nexus.output().contains("cancelled, good: Some(CancelReason::Stop)")
    });
    assert!(nexus.terminate(Duration::from_secs(30)).unwrap().success());
    let output = nexus.output();
    assert!(
        output.contains("cancelled, many: Some(CancelReason::HostEnds)"),
        "{output}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_ends_by_itself_is_tried_again_and_one_without_an_outcome_is_a_crash() {
    let rules = ["end ok", "end retry", "end without an outcome"];
    let (nexus, browser) = up(&rules, "allow_plaintext = true").await;
    for rule in ["end ok", "end retry"] {
        let runs = || nexus.output().matches(&format!("asked to run, {rule}")).count();
        wait::until("it is tried again", || runs() >= 3);
        assert_eq!(health(&nexus, &rule.replace(' ', "-")).await["restarts"], 0);
    }
    let now = until(&browser, "end ok", |t| t["state"] == "waiting").await;
    assert!(
        now.to_string().contains("ended the tunnel without reporting a reason"),
        "{now}"
    );
    let restarts = async || {
        health(&nexus, "end-without-an-outcome").await["restarts"]
            .as_u64()
            .unwrap()
    };
    wait::until_async("it is restarted", async || restarts().await >= 1).await;
    wait::until("it runs again", || {
        nexus.output().matches("asked to run, end without an outcome").count() >= 2
    });
    let page = browser.get("/status").await.text().await.unwrap();
    assert!(
        page.contains("it stopped reporting on the tunnel and gave no outcome within 20 s"),
        "{page}"
    );
}

const UNWATCHED: &str = "nobody notices when the connection of this tunnel is dead";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_notices_a_dead_connection_the_owner_is_told() {
    for (checked, rules, unwatched) in [
        (
            "off",
            ["good", "unknown", "unknown and private"],
            vec!["unknown", "unknown-and-private"],
        ),
        (
            "on",
            ["good", "unknown", "unknown and private"],
            vec!["unknown-and-private"],
        ),
    ] {
        let more = format!("allow_plaintext = true\npublic_check = {checked:?}");
        let (nexus, browser) = up(&rules, &more).await;
        for rule in rules {
            until(&browser, rule, |t| t["state"] == "up").await;
            let name = rule.replace(' ', "-");
            wait::until("it is logged as open", || {
                let output = nexus.output();
                let mut lines = output.lines().filter(|line| line.contains("the tunnel is open"));
                lines.any(|line| line.contains(&format!("{name:?}")) || line.contains(&format!("tunnel={name} ")))
            });
        }
        let output = nexus.output();
        let told: Vec<_> = output.lines().filter(|line| line.contains(UNWATCHED)).collect();
        assert_eq!(told.len(), unwatched.len(), "{checked}: {output}");
        for name in unwatched {
            let one = |line: &&str| line.contains(&format!("{name:?}")) || line.contains(&format!("tunnel={name} "));
            assert!(told.iter().any(one), "{checked}, {name}: {told:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_does_not_answer_in_time_is_told_and_holds_nobody_up() {
    // Whoever connects is left waiting.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let rules = ["unknown elsewhere", "unknown and lost", "good"];
    let nexus = start_at(&rules, "allow_plaintext = true", &address).up();
    let browser = Browser::set_up(&nexus).await;
    until(&browser, "good", |t| t["public_check"]["state"] == "passed").await;
    // What a plugin reports that need report nothing is shown all the same.
    let lost = until(&browser, "unknown and lost", |t| t["state"] == "reconnecting").await;
    assert!(marked(&lost.to_string()), "{lost}");
    let late = until(&browser, "unknown elsewhere", |t| {
        t["public_check"]["state"] == "failed"
    })
    .await;
    assert_eq!(late["state"], "up", "once proves nothing: {late}");
    assert!(late.to_string().contains("within 10 s"), "{late}");
    let good = until(&browser, "good", |t| t["state"] == "up").await;
    assert_eq!(good["public_check"]["state"], "passed", "{good}");
    assert_eq!(nexus.output().matches("asked to run, unknown elsewhere").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_hears_that_it_is_replaced_and_one_that_does_not_listen_is_ended() {
    let rules = ["good", "deaf", "many"];
    let (nexus, browser) = up(&rules, "allow_plaintext = true").await;
    for rule in rules {
        until(&browser, rule, |t| t["state"] == "up").await;
    }
    // Each goes over to the plugin of the other.
    for (tunnel, plugin) in [("good", "deaf"), ("deaf", "good")] {
        let path = format!("/api/v1/tunnels/{tunnel}/swap");
        let (status, answer) = browser
            .ask("POST", &path, serde_json::json!({ "plugin": plugin }))
            .await;
        assert_eq!(status, 200, "{tunnel}: {answer}");
        let now = until(&browser, tunnel, |t| t["plugin"] == plugin && t["state"] == "up").await;
        assert!(!now["url"].is_null(), "{tunnel}: {now}");
    }
    wait::until("it hears it", || {
        nexus.output().contains("cancelled, good: Some(CancelReason::Replace)")
    });
    assert!(!nexus.output().contains("cancelled, deaf"), "{}", nexus.output());
    assert_eq!(until(&browser, "many", |t| t["state"] == "up").await["state"], "up");
}
