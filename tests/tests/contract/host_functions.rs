//! What the host answers where a plugin asks against the rules of `config`, `log`, `clock`, `store`, `secrets`, `http`, `process` and
//! `transcript`.

use super::{broken, connected, health};

const RULES: &str = "rules-chat";

/// (what is asked of, its answers)
const ASKED: [(&str, &str); 7] = [
    (
        "store",
        "get without a key: invalid
get of a long key: invalid
set of a long key: invalid
set of a long value: invalid
delete of nothing: ()
swap of nothing for something: false
swap of nothing: true
swap again: false
get: Some([1])
keys after all: []
set: ()
set: ()
set: ()
set beyond the quota: limited",
    ),
    (
        "secrets",
        "get of none given: not-found
get of none asked for: not-found
has of none given: false
has of none asked for: invalid
generated without a name: invalid
generated twice: true",
    ),
    (
        "http",
        "a method in lower case: invalid
a method of its own: invalid
no address: invalid
another scheme: invalid
no grant: denied
a process that is none: unavailable",
    ),
    (
        "process",
        "find of none asked for: denied
exited of none: not-found
lines of none: not-found
output of none: not-found
write to none: not-found
stop of none: not-found
run of none asked for: denied
ensure of none asked for: denied",
    ),
    (
        "config",
        "{\"start\":\"none\"} twice: true
folders: 1 absolute: true twice: true",
    ),
    ("clock", "slept: true\nthis century: true"),
    (
        "transcript",
        "none: []
the last: Some(\"host transcript\")
of nobody: not-found
without a session: not-found
before nothing: not-found
file of nobody: not-found
no such file: not-found",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_against_the_rules_is_refused_by_name() {
    let (nexus, browser) = connected(RULES, "grants.store_quota = \"4 MiB\"").await;
    for (what, answers) in ASKED {
        let chat = broken(&nexus, &browser, &format!("host {what}")).await;
        assert_eq!(chat.answer(), format!("done\n{answers}"), "{what}");
    }
    // A line of the log has an end.
    let output = nexus.output();
    let line = output.lines().find(|line| line.contains("long lll")).unwrap();
    assert!(line.len() < 9 << 10, "{} bytes", line.len());
    // Another's session is none of its.
    let seen = health(&nexus, RULES).await;
    assert_eq!(seen["restarts"], 0, "{seen}");
}
