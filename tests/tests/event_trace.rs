//! `nexus trace`: where the time of events goes, asked of the real Nexus.

use crate::api::operator;
use nexus_tests::browser::Browser;
use nexus_tests::nexus::Start;
use nexus_tests::tunnels::stop;
use nexus_tests::wait;
use nexus_tests::world::{Conversation, World, ready_example};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Output;

/// Runs the command, and sends one prompt after the other to the chat until it has ended.
async fn traced(start: &Start, args: &'static [&str], chat: &mut Conversation, prompt: &str) -> Output {
    let start = start.clone();
    let command = tokio::task::spawn_blocking(move || start.run(&["trace"], args, ""));
    while !command.is_finished() {
        let before = chat.turns.len();
        chat.prompt(prompt).await;
        chat.until("it is answered", |c| {
            let since = &c.turns[before..];
            since.len() > 1 && since.last().is_some_and(|turn| turn == "idle")
        })
        .await;
    }
    command.await.unwrap()
}

fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Each event came by its hops in their order, within the time of the trace, which no word of a chat is in.
fn check(trace: &Value, first: &str) {
    let order = ["received", "lifted", "taken", "committed", "sent"];
    let begin = order.iter().position(|hop| *hop == first).unwrap();
    let events = trace["events"].as_array().unwrap();
    let hops = |event: &Value| -> Vec<String> {
        let stamps = event.as_array().unwrap().iter();
        stamps.map(|stamp| stamp["hop"].as_str().unwrap().to_owned()).collect()
    };
    let whole: Vec<&Value> = events.iter().filter(|event| hops(event) == order[begin..]).collect();
    assert!(whole.len() > 1, "{trace}");
    for event in whole {
        let stamps = event.as_array().unwrap();
        let numbers = |key: &str| -> Vec<Option<u64>> { stamps.iter().map(|stamp| stamp[key].as_u64()).collect() };
        let at = numbers("at_ns");
        assert!(at.is_sorted() && at[0].is_some(), "{event}");
        let took = at.last().unwrap().unwrap() - at[0].unwrap();
        assert!(took > 0 && took < 60_000_000_000, "{took} ns: {event}");
        assert!(numbers("thread").iter().all(|thread| *thread > Some(0)), "{event}");
        assert!(numbers("cpu_ns").iter().all(|ran| *ran > Some(0)), "{event}");
    }
    for (index, step) in trace["steps"].as_array().unwrap().iter().enumerate() {
        assert_eq!([&step["from"], &step["to"]], [order[index], order[index + 1]]);
        let (count, p50, max) = (
            step["events"].as_u64().unwrap(),
            step["time"]["p50_ns"].as_u64(),
            step["time"]["max_ns"].as_u64(),
        );
        assert_eq!(count > 0, index >= begin, "{step}");
        assert!(p50 <= max && p50.is_some() == (count > 0), "{step}");
    }
    let text = trace.to_string();
    assert!(!text.contains("heron"), "a word of the chat is in it: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_has_every_hop_of_an_answer_in_order() {
    let start = Start::new().config("[chat.main]\nplugin = \"chat-echo\"\n[plugin.chat-echo.config]\npause = 5\n");
    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    ready_example(&owner).await;
    let mut chat = Conversation::create(&owner, &nexus).await;
    let prompt = "seven grey herons at low tide";
    let output = traced(&start, &["--seconds", "2", "--json"], &mut chat, prompt).await;
    let trace = json_of(&output);
    check(&trace, "lifted");
    assert!(
        trace["duration_ms"].as_u64().unwrap() >= 2000,
        "{}",
        trace["duration_ms"]
    );
    assert_eq!(trace["dropped"], 0);

    let output = traced(&start, &["--seconds", "1"], &mut chat, prompt).await;
    let table = String::from_utf8(output.stdout).unwrap();
    for hop in ["lifted", "taken", "committed", "sent", "received to sent"] {
        assert!(
            table.lines().any(|line| line.starts_with(hop)),
            "{hop} is not in\n{table}"
        );
    }
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.contains("tracing for 1 s"), "{told}");
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_runs_at_a_time_for_the_operator_alone_and_ends_with_who_asked() {
    let start = Start::new().config("[chat.main]\nplugin = \"chat-echo\"\n");
    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    let data = start.data_dir();
    let ask = |body: &str| operator(&data, "POST", "/api/v1/trace", body);
    wait::seen(
        "Nexus is up",
        || operator(&data, "GET", "/api/v1/status", "").0,
        |status| *status == 200,
    );

    // A minute's trace, if there is none yet.
    let begin = || {
        let mut socket = UnixStream::connect(data.join("control.sock")).unwrap();
        let body = "{\"seconds\": 60}";
        let head = format!("host: nexus\r\nconnection: close\r\ncontent-length: {}", body.len());
        write!(socket, "POST /api/v1/trace HTTP/1.1\r\n{head}\r\n\r\n{body}").unwrap();
        socket
    };
    // Which of the two comes first is left to chance: one is refused, the other one runs.
    let one_of_two = || {
        let mut sockets = [begin(), begin()];
        for socket in &sockets {
            socket.set_nonblocking(true).unwrap();
        }
        let mut refused = None;
        wait::until("one of two is refused", || {
            refused = sockets.iter_mut().position(|socket| socket.read(&mut [0; 1]).is_ok());
            refused.is_some()
        });
        let [one, other] = sockets;
        let (mut refused, running) = if refused == Some(0) { (one, other) } else { (other, one) };
        refused.set_nonblocking(false).unwrap();
        running.set_nonblocking(false).unwrap();
        let mut answer = String::new();
        refused.read_to_string(&mut answer).unwrap();
        assert!(
            answer.contains("409") && answer.contains("Another trace is running"),
            "{answer}"
        );
        running
    };
    let first = one_of_two();
    let output = start.run(&["trace"], &["--seconds", "1"], "");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && told.contains("Another trace is running"),
        "{told}"
    );
    drop(first);
    let (_, empty) = wait::seen(
        "it has ended with its caller",
        || ask("{\"seconds\": 1}"),
        |(status, _)| *status == 200,
    );
    assert_eq!((&empty["events"], &empty["whole"]["time"]), (&json!([]), &Value::Null));

    for (body, words) in [
        ("{\"seconds\": 0}", "1 to 60"),
        ("{\"seconds\": 61}", "1 to 60"),
        ("{\"second\": 1}", "second"),
    ] {
        let (status, problem) = ask(body);
        assert!(
            status == 400 && problem["detail"].as_str().unwrap().contains(words),
            "{problem}"
        );
    }
    let usage = start.run(&["trace"], &["--seconds", "61"], "");
    assert_eq!(usage.status.code(), Some(2));
    // There it takes POST alone; at the pages there is no such thing, whoever is logged in.
    assert_eq!(operator(&data, "GET", "/api/v1/trace", "").0, 405);
    assert_eq!(owner.get("/api/v1/trace").await.status(), 404);

    // One that runs holds nothing up when Nexus stops, and is answered with what there is.
    let mut last = one_of_two();
    stop(nexus);
    let mut answer = String::new();
    last.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("\"duration_ms\""),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_trace_begins_with_the_bytes_of_the_real_opencode() {
    let world = World::up("").await;
    let mut chat = world.conversation().await;
    let prompt = "[[stamp n=20 rate=50]] seven grey herons";
    let output = traced(&world.start, &["--seconds", "8", "--json"], &mut chat, prompt).await;
    let trace = json_of(&output);
    check(&trace, "received");
    assert!(trace["whole"]["events"].as_u64().unwrap() > 1, "{}", trace["whole"]);
}
