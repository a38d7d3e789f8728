//! Plugins that stay below every limit of a moment, and use too much over time or at once; and what is denied to all of them.

use super::common::{CHAT, answer, card, hostile_chat, pulse, status_page};
use nexus_tests::tunnels::stop;
use nexus_tests::wait;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_written_again_and_again_does_not_fill_the_disk() {
    let (nexus, browser) = hostile_chat("").await;
    let log = nexus.folder().join("data").join("nexus.db-wal");
    let bytes = || std::fs::metadata(&log).map_or(0, |file| file.len());
    let refused = answer(&nexus, &browser, "rewrite").await;
    println!("rewrite: {} bytes of log: {refused}", bytes());
    assert!(
        refused.contains("limited: The plugin hostile-chat writes more than 32 MiB a minute into its store")
            && refused.contains("[plugin.hostile-chat.limits]\nstore_writes = \"64 MiB\""),
        "{refused}"
    );
    assert!(bytes() <= 72 << 20, "{}", bytes());
    wait::seen("the log is cut", bytes, |bytes| *bytes <= 8 << 20);
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_without_an_end_makes_only_itself_slow() {
    let (nexus, browser) = hostile_chat("limits.cpu_share = 5\n").await;
    // On a machine that others keep busy, ten seconds of nothing but work may be less CPU than its share.
    let burn = async || {
        let (burnt, asked) = pulse(&browser, "/status", answer(&nexus, &browser, "burn")).await;
        assert_eq!(burnt.trim(), "burnt");
        asked.assert_within("burn: the status page", Duration::from_secs(2));
        card(&status_page(&browser).await, CHAT).to_owned()
    };
    let throttled = |card: &String| card.contains("Running") && card.contains("throttled for");
    wait::seen_async("it is throttled, and runs", burn, throttled).await;
    let output = nexus.output();
    assert!(output.contains("cpu_share = 10"), "{output}");
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_requests_too_much_is_refused_with_the_limit() {
    let (nexus, browser) = hostile_chat("").await;
    let refused = answer(&nexus, &browser, "greedy").await;
    let answers: Vec<&str> = refused.split("\n---\n").collect();
    for (answer, says) in answers.iter().zip([
        "a process can have at most 16 ports, but this one has 2000",
        "a process can have at most 256 arguments",
        "it can make the program run other code",
        "its manifest does not list it",
    ]) {
        assert!(answer.contains(says), "{answer}");
    }
    assert_eq!(answers.len(), 4, "{refused}");
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_list_of_keys_is_longer_than_a_list_may_be() {
    let (nexus, browser) = hostile_chat("").await;
    assert_eq!(answer(&nexus, &browser, "keys").await.trim(), "lists of [1000, 50]");
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_with_sockets_of_its_standard_library_loads_and_opens_none() {
    let (nexus, browser) = hostile_chat("").await;
    let answer = answer(&nexus, &browser, "sockets").await;
    for way in ["connect", "listen", "send"] {
        assert!(answer.contains(&format!("{way}: PermissionDenied")), "{answer}");
    }
    assert!(
        answer.contains("look up: ") && !answer.contains("let through"),
        "{answer}"
    );
    let output = nexus.output();
    assert!(
        output.contains("imports wasi:sockets") && output.contains("nexus:plugin/http"),
        "{output}"
    );
    stop(nexus);
}
