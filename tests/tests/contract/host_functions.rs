//! What the host answers where a plugin asks against the rules of `config`, `log`, `clock`, `store`, `secrets`, `http`, `process` and
//! `transcript`.

use super::{broken, chat, connected, health};
use nexus_tests::browser::Browser;
use nexus_tests::world::ready;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

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

/// A server that answers nothing at `/silent`, half at `/half` and all elsewhere.
fn waits() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        // Those that wait are kept open.
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                let read = stream.read(&mut buffer).unwrap_or(0);
                if read == 0 {
                    break;
                }
                head.extend_from_slice(&buffer[..read]);
            }
            let answer = match String::from_utf8_lossy(&head).split(' ').nth(1) {
                Some("/silent") => "",
                Some("/half") => "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf",
                _ => "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nall",
            };
            let _ = stream.write_all(answer.as_bytes());
            open.push(stream);
        }
    });
    format!("http://{address}")
}

/// A server whose queue is full: a connection to it is neither taken nor refused. It is full for as long as what is given lives.
async fn unreachable() -> (SocketAddr, tokio::net::TcpListener, Vec<TcpStream>) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
        queue.push(stream);
        assert!(queue.len() < 1_000, "the queue has no end");
    }
    (address, listener, queue)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_ends_in_time_whatever_time_a_plugin_gives_it() {
    let server = waits();
    let (address, _listener, _queue) = unreachable().await;
    let unreachable = format!("http://{address}");
    let more = format!(
        "config.server = {server:?}\nconfig.unreachable = {unreachable:?}\n\
         grants.http = [{{ url = {server:?}, private = true }}, {{ url = {unreachable:?}, private = true }}]"
    );
    let (nexus, browser) = connected(RULES, &more).await;
    let mut asking = nexus_tests::world::Conversation::create(&browser, &nexus).await;
    asking.prompt("host timeouts").await;
    // The host goes on meanwhile.
    asking.until("its turn runs", |c| c.turn == "running").await;
    assert_eq!(super::backend(&browser).await["state"], "up");
    asking
        .until("all of them have ended", |c| {
            c.turn == "idle" && c.answer().contains("done")
        })
        .await;
    assert_eq!(
        asking.answer(),
        "done
headers in no time: timeout
headers in 200 ms: timeout
a byte in no time: timeout
a byte in 200 ms: timeout
all in no time for its bytes: 3
all in the longest time: 3
connected in 200 ms: timeout
connected in the longest time: timeout
all of half in 500 ms: None"
    );
    assert_eq!(broken(&nexus, &browser, "hello").await.answer(), "done");
    assert_eq!(health(&nexus, RULES).await["restarts"], 0);
}

/// What is asked for, and what is answered, where `own/loaded.js`, `own.json` and, in another project, `there/loaded.js` are.
const PRESENT: [(&str, &str); 15] = [
    ("nothing", "Some(0)"),
    ("a folder", "other, /own/loaded.js exists."),
    ("a folder of another project", "other, /there/loaded.js exists."),
    ("a key", "other, /own.json"),
    ("another key", "Some(0)"),
    ("no key", "Some(0)"),
    ("a way out", "invalid"),
    ("an absolute path", "invalid"),
    ("three names", "invalid"),
    ("an empty name", "invalid"),
    ("a long name", "invalid"),
    ("a key that is none", "invalid"),
    ("an empty key", "invalid"),
    ("too many names", "invalid"),
    ("a long way out of it", "invalid"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_is_not_run_beside_what_it_must_not_find() {
    let start = chat(RULES, "grants.process.sleep = {}");
    let (project, other) = (start.folder().join("project"), start.folder().join("other"));
    for folder in [project.join("own"), other.join("there")] {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("loaded.js"), "").unwrap();
    }
    fs::write(project.join("own.json"), "{\"plugin\": []}").unwrap();
    let source = nexus_tests::guests::guest(RULES);
    let nexus = start
        .config(format!(
            "[chat.main]\nplugin = {RULES:?}\nfallback = \"\"\nworkspace = {project:?}\nworkspaces = [{other:?}]\n\
             [plugin.{RULES}]\nsource = {source:?}\ngrants.process.sleep = {{}}\n"
        ))
        .up();
    let browser = Browser::set_up(&nexus).await;
    ready(&browser).await;
    let asked = broken(&nexus, &browser, "host unless present").await.answer();
    let answers: Vec<_> = asked.lines().skip(1).collect();
    assert_eq!(answers.len(), PRESENT.len(), "{asked}");
    for ((what, wanted), answer) in PRESENT.into_iter().zip(answers) {
        let answer = answer
            .strip_prefix(&format!("{what}: "))
            .unwrap_or_else(|| panic!("{what}: {asked}"));
        match wanted.split_once(", ") {
            Some((kind, named)) => assert!(
                answer.starts_with(kind) && answer.contains(named) && answer.contains("To fix: "),
                "{what}: {answer}"
            ),
            None => assert_eq!(answer, wanted, "{what}"),
        }
    }

    // One that runs goes on, though its plugin is told.
    let late = async || broken(&nexus, &browser, "host unless late").await.answer();
    assert_eq!(late().await, "done\nensure: false\nit runs: true");
    assert_eq!(late().await, "done\nensure: true\nit runs: true");
    fs::create_dir_all(project.join("late")).unwrap();
    fs::write(project.join("late/loaded.js"), "").unwrap();
    let told = late().await;
    assert!(
        told.contains("/late/loaded.js exists.") && told.contains(", or look away"),
        "{told}"
    );
    assert!(told.ends_with("it runs: true"), "{told}");
    assert_eq!(broken(&nexus, &browser, "hello").await.answer(), "done");
    assert_eq!(health(&nexus, RULES).await["restarts"], 0);
}
