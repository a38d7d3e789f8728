//! A tunnel and a login that misbehave while another plugin streams. Both attack at the same time.
//!
//! A login has no stream of events and no life between two calls: what floods or streams without an end there is the
//! log, and what it opens ends with its call.

use super::common::{
    AUTH, CHAT, LATE, LOGIN, MAIN, TUNNEL, WAY, health, hostile, memory_comes_back, status_page, stream, until_card,
};
use nexus_tests::browser::{ACCOUNT, Browser};
use nexus_tests::nexus::Nexus;
use nexus_tests::tunnels::action;
use nexus_tests::world::ready;

/// What an attack leaves: in the tunnel's card and that of its plugin, in the answer to a login, in the card of its plugin.
struct Traces<'a> {
    tunnel: &'a [&'a str],
    tunnel_plugin: &'a [&'a str],
    login: &'a [&'a str],
    login_plugin: &'a [&'a str],
}

const NOTHING: &[&str] = &[];

async fn others_do_not_notice(tunnel: &str, password: &str, traces: Traces<'_>) -> (Nexus, Browser) {
    // A busy machine needs longer for so many lines; what hangs is to be ended soon.
    let call = if password == "log-flood" { "60s" } else { "2s" };
    let call = format!("limits.call = \"{call}\"\n");
    let attack = format!("config.attack = \"{tunnel}\"\n{call}");
    let nexus = hostile(
        &[(CHAT, ""), (TUNNEL, &attack), (AUTH, &call)],
        &format!("{LOGIN}{MAIN}{WAY}"),
    )
    .up();
    let browser = Browser::set_up(&nexus).await;
    ready(&browser).await;

    // What is made once, for the first chat, is no trace of an attack.
    stream(&nexus, &browser, 10).await;
    let logins = async {
        let stranger = Browser::new(&nexus.url);
        for _ in 0..2 {
            let answer = stranger.log_in(ACCOUNT, password).await;
            assert!(!answer.status().is_redirection(), "{}", answer.status());
            let text = answer.text().await.unwrap();
            assert!(text.len() < 100_000, "a page of {} bytes", text.len());
            for words in traces.login {
                assert!(text.contains(words), "{words} is not in {text}");
            }
        }
    };
    let work = async {
        tokio::join!(
            stream(&nexus, &browser, 200),
            action(&browser, "hostile", "start"),
            logins
        )
        .0
    };
    let busy = memory_comes_back(&nexus, tunnel, work).await;
    busy.assert_within(&format!("{tunnel}: an event"), LATE);

    until_card(&browser, "hostile", traces.tunnel).await;
    until_card(&browser, TUNNEL, traces.tunnel_plugin).await;
    until_card(&browser, AUTH, traces.login_plugin).await;
    let page = status_page(&browser).await;
    assert!(page.len() < 200_000, "a page of {} bytes", page.len());
    let chat = health(&nexus.url, CHAT).await;
    assert_eq!((&chat["state"], &chat["restarts"]), (&"running".into(), &0.into()));
    (nexus, browser)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_streams_at_once() {
    let fell = ["holds too many streams, futures and calls at once: more than 4608"];
    others_do_not_notice(
        "streams",
        "streams",
        Traces {
            tunnel: &["Failed"],
            tunnel_plugin: &[fell[0], "[plugin.hostile-tunnel.limits]\nstreams = 128", "Failed"],
            login: NOTHING,
            login_plugin: &[fell[0], "[plugin.hostile-auth.limits]\nstreams = 128", "Running"],
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_sleeping_tasks_at_once() {
    let fell = ["has too many sleeping tasks at once: more than 1024"];
    others_do_not_notice(
        "sleeps",
        "sleeps",
        Traces {
            tunnel: &["Failed"],
            tunnel_plugin: &[fell[0], "Failed"],
            login: NOTHING,
            login_plugin: &[fell[0], "Running"],
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_calls_at_once_are_refused_and_nothing_crashes() {
    let (nexus, _browser) = others_do_not_notice(
        "calls",
        "calls",
        Traces {
            tunnel: &[
                "Failed",
                "of 10000: limited: The plugin hostile-tunnel waits for 64 streams at once, its limit.",
                "[plugin.hostile-tunnel.limits]\nstreams = 128",
            ],
            tunnel_plugin: &["Running"],
            login: &["of 10000: limited: The plugin hostile-auth waits for 64 streams at once, its limit."],
            login_plugin: &["Running"],
        },
    )
    .await;
    for plugin in [TUNNEL, AUTH] {
        assert_eq!(health(&nexus.url, plugin).await["restarts"], 0, "{plugin}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_log_lines_from_a_tunnel_and_a_login() {
    let (nexus, _browser) = others_do_not_notice(
        "log-flood",
        "log-flood",
        Traces {
            tunnel: &["logged"],
            tunnel_plugin: &["Running"],
            login: &["logged"],
            login_plugin: &["Running"],
        },
    )
    .await;
    let output = nexus.output();
    let lines = output.lines().filter(|l| l.contains("flood ")).count();
    println!("log-flood: {lines} lines of 120,000 came through");
    assert!((1..3_000).contains(&lines), "{lines} lines of 120,000");
    assert!(output.contains("log lines of this plugin: more than 100 lines a second"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_that_floods_with_events_and_can_be_stopped() {
    let (_nexus, browser) = others_do_not_notice(
        "flood",
        "spin",
        Traces {
            tunnel: &["Opening"],
            tunnel_plugin: &["Running"],
            login: NOTHING,
            login_plugin: &["500 ms of CPU"],
        },
    )
    .await;
    // It does not listen when it is told to close, and is ended from outside.
    action(&browser, "hostile", "stop").await;
    until_card(&browser, "hostile", &["Closed"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_never_return() {
    others_do_not_notice(
        "call-hang",
        "hang",
        Traces {
            tunnel: &["it did not start to open the tunnel", "Failed"],
            tunnel_plugin: &["it did not start to open the tunnel", "Failed"],
            login: &["did not answer within 2000 ms"],
            login_plugin: &["Running"],
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_over_its_quota() {
    let full = "its quota is 1048576";
    let (nexus, _browser) = others_do_not_notice(
        "store",
        "store",
        Traces {
            tunnel: &["after 3: limited: the store of plugin hostile-tunnel would have", full],
            tunnel_plugin: &["Running"],
            login: &["after 3: limited: the store of plugin hostile-auth would have", full],
            login_plugin: &["Running"],
        },
    )
    .await;
    for plugin in [TUNNEL, AUTH] {
        assert_eq!(health(&nexus.url, plugin).await["restarts"], 0, "{plugin}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_of_a_tunnel_and_a_login_is_reported_with_what_would_allow_it() {
    let words = |plugin: &str| {
        [
            format!("[plugin.{plugin}.grants]\nhttp = [&#34;https://denied.example&#34;]"),
            format!("[plugin.{plugin}.grants.process.denied-tool]\n# path = "),
            format!("[plugin.{plugin}.secrets]\ntoken = {{ env = &#34;VARIABLE&#34; }}"),
            "https://unasked.example. Its manifest does not request this permission, so it cannot be granted."
                .to_owned(),
        ]
    };
    let (tunnel, login) = (words(TUNNEL), words(AUTH));
    let (nexus, _browser) = others_do_not_notice(
        "denied",
        "denied",
        Traces {
            tunnel: &tunnel.each_ref().map(String::as_str),
            tunnel_plugin: &["Running"],
            login: &login.each_ref().map(String::as_str),
            login_plugin: &["Running"],
        },
    )
    .await;
    for plugin in [TUNNEL, AUTH] {
        assert_eq!(health(&nexus.url, plugin).await["restarts"], 0, "{plugin}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn giant_words_and_addresses() {
    others_do_not_notice(
        "giant",
        "giant-message",
        Traces {
            tunnel: &[
                "Failed",
                "uuu…</code> as the public address, but expected http://… or https://…",
            ],
            tunnel_plugin: &["Running"],
            login: &["mmm…"],
            login_plugin: &["Running"],
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_none_and_a_state_that_nobody_can_carry() {
    others_do_not_notice(
        "no-url",
        "giant-state",
        Traces {
            tunnel: &[
                "Failed",
                "the provider reported <code>no address at all</code> as the public address",
            ],
            tunnel_plugin: &["Running"],
            login: &["returned a state of 8388608 bytes, but at most 16384 are allowed"],
            login_plugin: &["Running"],
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_a_script_and_a_subject_that_nobody_has() {
    let (_nexus, browser) = others_do_not_notice(
        "script-url",
        "giant-subject",
        Traces {
            tunnel: &["Failed", "the provider reported <code>javascript:alert(1)</code>"],
            tunnel_plugin: &["Running"],
            login: &["returned a subject of 8388608 bytes"],
            login_plugin: &["Running"],
        },
    )
    .await;
    assert!(!status_page(&browser).await.contains("href=\"javascript"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_of_twenty_thousand_fields() {
    others_do_not_notice(
        "none",
        "giant-form",
        Traces {
            tunnel: &["Open"],
            tunnel_plugin: &["Running"],
            login: &["field-63"],
            login_plugin: &["Running"],
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subject_that_is_empty_lets_nobody_in() {
    others_do_not_notice(
        "none",
        "no-subject",
        Traces {
            tunnel: &["Open"],
            tunnel_plugin: &["Running"],
            login: &["returned an empty subject"],
            login_plugin: &["Running"],
        },
    )
    .await;
}
