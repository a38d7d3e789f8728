//! Plugins in other languages, made from the contract alone: each is loaded, does its work, is stopped and started again, and
//! harms nobody when it fails.

use nexus_tests::browser::{ACCOUNT, Browser, PASSWORD};
use nexus_tests::languages::{c_tunnel, js_tunnel, python_tunnel};
use nexus_tests::nexus::{Nexus, Start};
use nexus_tests::tunnels::{action, stop, tunnel};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// One tunnel by this component; `config`: more lines of its plugin's settings.
fn start(plugin: &str, component: &Path, config: &str) -> Start {
    Start::new().config(format!(
        "[chat.main]\nplugin = \"chat-echo\"\n\
         [tunnel.front]\nplugin = \"{plugin}\"\nallow_plaintext = true\n\
         [plugin.{plugin}]\nsource = {component:?}\n[plugin.{plugin}.config]\n{config}\n"
    ))
}

async fn open(owner: &Browser) -> String {
    action(owner, "front", "start").await;
    let status = tunnel(owner, |t| t["state"] == "up" && !t["url"].is_null()).await;
    status["url"].as_str().unwrap().to_owned()
}

async fn close(owner: &Browser) {
    action(owner, "front", "stop").await;
    tunnel(owner, |t| t["state"] == "off" && t["url"].is_null()).await;
}

/// What is behind `mark` in each line that has it.
fn lines(nexus: &Nexus, mark: &str) -> Vec<String> {
    let output = nexus.output();
    let all = output.lines().filter_map(|line| line.split_once(mark));
    all.map(|(_, rest)| rest.to_owned()).collect()
}

/// Opens, serves, closes, opens again, and is there after a restart of Nexus. Gives what the plugin logged as random.
async fn a_tunnel_does_its_work(plugin: &str, component: &Path) -> Vec<String> {
    let start = start(plugin, component, "");
    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    let url = open(&owner).await;
    let through = Browser::new(&url);
    assert_eq!(through.get("/").await.headers()["location"], "/login");
    assert!(through.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());
    assert_eq!(through.get("/").await.status(), 200);
    close(&owner).await;
    nexus.line("the plugin has heard why", |line| {
        line.contains("closed: ").then_some(())
    });

    open(&owner).await;
    let mut random = lines(&nexus, "random: ");
    stop(nexus);

    let nexus = start.up();
    let owner = owner.at(&nexus.url);
    tunnel(&owner, |t| t["state"] == "up" && !t["url"].is_null()).await;
    random.extend(lines(&nexus, "random: "));
    stop(nexus);
    random
}

/// A tunnel that fails where it is opened fails alone. Gives its status once it has.
async fn a_failure_stays_with_the_plugin(plugin: &str, component: &Path, attempt: &str) -> (Nexus, Value) {
    let start = start(plugin, component, &format!("attempt = {attempt:?}"));
    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    action(&owner, "front", "start").await;
    let status = tunnel(&owner, |t| t["state"] == "failed" || t["state"] == "waiting").await;
    // The rest of Nexus is as it was.
    assert_eq!(owner.get("/").await.status(), 200);
    nexus_tests::tunnels::chats(&owner).await;
    (nexus, status)
}

fn all_differ(random: &[String]) -> bool {
    random.iter().collect::<BTreeSet<_>>().len() == random.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs componentize-py: ./tests/run"]
async fn a_tunnel_in_python_does_its_work() {
    let random = a_tunnel_does_its_work("python-tunnel", &python_tunnel()).await;
    // A seed that was frozen into the component would give the same numbers to the first run of each instance.
    assert!(random.len() == 3 && all_differ(&random), "{random:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs componentize-py: ./tests/run"]
async fn sockets_and_files_are_errors_of_python_and_nothing_of_them_happens() {
    let start = start("python-tunnel", &python_tunnel(), "attempt = \"outside\"");
    let mut nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    open(&owner).await;
    for what in ["connect", "listen", "resolve", "read", "write", "list"] {
        let found = nexus.line(what, |line| {
            let (_, rest) = line.split_once(&format!("{what}: "))?;
            Some(rest.to_owned())
        });
        println!("{what}: {found}");
        assert!(found.contains("Error: "), "{what}: {found}");
    }
    nexus.line("no variable", |line| {
        line.contains("environment: 0 variables").then_some(())
    });
    assert!(!Path::new("/tmp/python-tunnel").exists());
    assert_eq!(nexus.descendants(), Vec::<u32>::new());
    close(&owner).await;
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs componentize-py: ./tests/run"]
async fn an_exception_of_python_ends_its_plugin_alone_and_its_traceback_is_in_the_log() {
    let (nexus, status) = a_failure_stays_with_the_plugin("python-tunnel", &python_tunnel(), "raise").await;
    println!("{status}");
    let output = nexus.output();
    for words in [
        "Traceback (most recent call last)",
        "app.py",
        "ValueError: this tunnel is meant to fail",
    ] {
        assert!(output.contains(words), "{words} is not in\n{output}");
    }
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs clang with wasi-libc: ./tests/run"]
async fn a_tunnel_in_c_does_its_work() {
    a_tunnel_does_its_work("c-tunnel", &c_tunnel()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs clang with wasi-libc: ./tests/run"]
async fn a_file_is_an_error_of_c_and_an_abort_ends_its_plugin_alone() {
    let begin = start("c-tunnel", &c_tunnel(), "attempt = \"outside\"");
    let nexus = begin.up();
    let owner = Browser::set_up(&nexus).await;
    open(&owner).await;
    let found = nexus.line("what came of it", |line| Some(line.split_once("read: ")?.1.to_owned()));
    assert!(!found.contains("it worked"), "{found}");
    close(&owner).await;
    stop(nexus);

    let (nexus, status) = a_failure_stays_with_the_plugin("c-tunnel", &c_tunnel(), "trap").await;
    println!("{status}");
    assert!(
        nexus.output().contains("this tunnel is meant to fail"),
        "{}",
        nexus.output()
    );
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs componentize-qjs: ./tests/run"]
async fn a_tunnel_in_javascript_does_its_work() {
    let random = a_tunnel_does_its_work("js-tunnel", &js_tunnel()).await;
    assert!(random.len() == 3 && all_differ(&random), "{random:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs componentize-qjs: ./tests/run"]
async fn an_exception_of_javascript_ends_its_plugin_alone() {
    let (nexus, status) = a_failure_stays_with_the_plugin("js-tunnel", &js_tunnel(), "throw").await;
    println!("{status}");
    assert!(
        nexus.output().contains("this tunnel is meant to fail"),
        "{}",
        nexus.output()
    );
    stop(nexus);
}
