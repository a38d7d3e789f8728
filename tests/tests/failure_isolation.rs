//! A failure stays where it is: what one plugin, tunnel, file, port or row has, the rest does not. And while Nexus starts, it
//! says so.

use nexus_tests::browser::Browser;
use nexus_tests::guests::builtin;
use nexus_tests::machine::Stopwatch;
use nexus_tests::nexus::Start;
use nexus_tests::port::Port;
use nexus_tests::tunnels::stop;
use nexus_tests::wait;
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

const ECHO: &str = "[chat.main]\nplugin = \"chat-echo\"\n";
const BOUND: Duration = Duration::from_secs(25);

/// Another subcommand on the same data: (exit code, all it wrote).
fn run(start: &Start, words: &[&str]) -> (Option<i32>, String) {
    let output = start.run(words, &[], "");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

/// The output of a subcommand, once `takes` it.
fn output_once(start: &Start, words: &[&str], takes: impl Fn(&str) -> bool) -> String {
    wait::seen(
        &format!("nexus {words:?} reports it"),
        || run(start, words).1,
        |said| takes(said),
    )
}

/// Every `from` replaced; both are of one length, so that the component stays one.
fn altered(component: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = component.to_vec();
    let mut found = 0;
    for at in 0..bytes.len().saturating_sub(from.len()) {
        if bytes[at..].starts_with(from.as_bytes()) {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "{from} is not in the component");
    bytes
}

fn leb(mut n: usize, out: &mut Vec<u8>) {
    loop {
        let byte = u8::try_from(n & 0x7f).unwrap();
        n >>= 7;
        out.push(if n == 0 { byte } else { byte | 0x80 });
        if n == 0 {
            return;
        }
    }
}

fn section(id: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(id);
    leb(content.len(), out);
    out.extend_from_slice(content);
}

/// The component, with a core module in it that nobody uses and that takes long to compile: as one that brings an
/// interpreter along.
fn large(component: &[u8], functions: usize) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    // One type: (i32) -> i32.
    section(1, &[1, 0x60, 1, 0x7f, 1, 0x7f], &mut module);
    let mut declared = Vec::new();
    leb(functions, &mut declared);
    declared.extend(std::iter::repeat_n(0, functions));
    section(3, &declared, &mut module);
    let mut code = Vec::new();
    leb(functions, &mut code);
    let mut body = vec![0, 0x20, 0];
    for n in 0..400_u32 {
        // x = x * n + x; x = rotl(x, k) ^ x: nothing of it folds away.
        let (n, k) = (u8::try_from(n % 60).unwrap() + 1, u8::try_from(n % 30).unwrap() + 1);
        body.extend([
            0x20, 0, 0x41, n, 0x6c, 0x6a, 0x22, 0, 0x41, k, 0x77, 0x20, 0, 0x73, 0x22, 0,
        ]);
    }
    body.push(0x0b);
    for _ in 0..functions {
        leb(body.len(), &mut code);
        code.extend_from_slice(&body);
    }
    section(10, &code, &mut module);
    let mut bytes = component.to_vec();
    section(1, &module, &mut bytes);
    bytes
}

/// What keeps a tunnel's plugin from being loaded: (its name, the bytes of the component, what is said).
fn broken_components() -> Vec<(&'static str, Option<Vec<u8>>, &'static str)> {
    let good = fs::read(builtin("tunnel-cloudflared")).unwrap();
    vec![
        ("t-gone", None, "No such file"),
        ("t-garbage", Some(b"\x7fELF\x02 no component".to_vec()), "damaged"),
        ("t-half", Some(good[..good.len() / 2].to_vec()), "damaged"),
        (
            "t-manifest",
            Some(altered(&good, "kind = \"tunnel\"", "kind = \"tunnal\"")),
            "manifest",
        ),
        (
            "t-contract",
            Some(altered(&good, "api = \"0.2\"", "api = \"0.9\"")),
            "was written for nexus:plugin",
        ),
        (
            "t-import",
            Some(altered(&good, "nexus:plugin/clock@0.2.0", "nexus:plugin/cluck@0.2.0")),
            "nexus:plugin/cluck",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_tunnel_whose_plugin_cannot_be_loaded_fails_alone_and_says_why_everywhere() {
    let start = Start::new();
    let broken = broken_components();
    let mut config = ECHO.to_owned();
    for (name, bytes, _) in &broken {
        let file = start.folder().join(format!("{name}.wasm"));
        if let Some(bytes) = bytes {
            fs::write(&file, bytes).unwrap();
        }
        config += &format!("[tunnel.{name}]\nplugin = \"{name}\"\n[plugin.{name}]\nsource = {file:?}\n");
    }
    let secret = start.folder().join("no.secret");
    config += &format!(
        "[tunnel.t-secret]\nplugin = \"tunnel-bore\"\nallow_plaintext = true\n[plugin.tunnel-bore.secrets]\n\
         secret = {{ file = {secret:?} }}\n"
    );
    let start = start.config(config);
    // `config check` names each, as the start will find it.
    let (code, said_by_check) = run(&start, &["config", "check"]);
    assert_eq!(code, Some(2), "{said_by_check}");
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    let expected: Vec<_> = broken.iter().map(|(name, _, why)| (*name, *why)).collect();
    let expected: Vec<_> = expected.into_iter().chain([("t-secret", "no.secret")]).collect();
    let status = output_once(&start, &["status"], |said| {
        expected
            .iter()
            .all(|(name, _)| said.contains(&format!("\n  {name} by")))
            && !said.contains(", closed")
    });
    let page = browser.get("/status").await.text().await.unwrap();
    let (_, doctor) = run(&start, &["doctor"]);
    for (name, why) in &expected {
        for (who, said) in [
            ("status", &status),
            ("check", &said_by_check),
            ("doctor", &doctor),
            ("page", &page),
        ] {
            assert!(said.contains(why), "{who} does not say {why:?} of {name}:\n{said}");
        }
        let line = status
            .lines()
            .find(|line| line.starts_with(&format!("  {name} by")))
            .unwrap();
        assert!(line.contains("failed: "), "{line}\n{status}");
    }
    assert!(status.matches("To fix: ").count() >= expected.len(), "{status}");
    assert!(page.contains("To fix: ") && page.contains("Failed"), "{page}");
    assert!(nexus.output().contains("To fix: "), "{}", nexus.output());
    // The rest is there.
    nexus_tests::world::ready_example(&browser).await;
    // What was not there at all is loaded by the command that is named, once it is.
    for name in ["t-gone", "t-garbage"] {
        fs::copy(
            builtin("tunnel-cloudflared"),
            start.folder().join(format!("{name}.wasm")),
        )
        .unwrap();
        run(&start, &["tunnel", "start", name, "--no-wait"]);
        let begin = format!("  {name} by");
        output_once(&start, &["status"], |status| {
            let line = status.lines().find(|line| line.starts_with(&begin)).unwrap();
            !line.contains("damaged") && !line.contains("No such file") && !line.contains("opening")
        });
        run(&start, &["tunnel", "stop", name]);
    }
    // One whose component was known may not become another one by a command: that is confirmed on the page.
    fs::copy(builtin("tunnel-cloudflared"), start.folder().join("t-contract.wasm")).unwrap();
    run(&start, &["tunnel", "start", "t-contract", "--no-wait"]);
    output_once(&start, &["status"], |status| {
        status.contains("has changed since the configuration was read")
            && status.contains("on the status page, or restart Nexus")
    });
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_whose_plugin_cannot_be_loaded_says_why_and_is_started_once_it_can() {
    let start = Start::new();
    let file = start.folder().join("mine.wasm");
    fs::write(&file, "nothing").unwrap();
    let start = start.config(format!(
        "[chat.main]\nplugin = \"chat-mine\"\n[plugin.chat-mine]\nsource = {file:?}\n"
    ));
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    let status = output_once(&start, &["status"], |said| said.contains("not running: "));
    assert!(
        status.contains("damaged") && status.contains("nexus chat start"),
        "{status}"
    );
    let page = browser.get("/").await.text().await.unwrap();
    assert!(page.contains("damaged") && page.contains("nexus chat start"), "{page}");
    // The command does not wait for a long time to say it again, whichever it is.
    for command in ["start", "restart"] {
        let watch = Stopwatch::start();
        let (code, said) = run(&start, &["chat", command]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("damaged"), "{said}");
        watch.stop().assert_within(command, BOUND);
    }
    fs::copy(builtin("chat-echo"), &file).unwrap();
    let (code, said) = run(&start, &["chat", "start"]);
    assert_eq!(code, Some(0), "{said}\n{}", nexus.output());
    nexus_tests::world::ready_example(&browser).await;
    stop(nexus);
}

/// It says its version, and ends as soon as it is to serve.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_returns_with_the_reason_while_the_backend_crashes_at_its_start() {
    let start = Start::new();
    let program = start.folder().join("opencode");
    nexus_tests::write_with_mode(
        &program,
        "#!/bin/sh\ncase $1 in --version) echo 1.18.33;; *) echo out of order >&2; exit 3;; esac\n",
        0o755,
    );
    let start = start.config(format!(
        "[plugin.chat-opencode.grants.process.opencode]\npath = {program:?}\n"
    ));
    let nexus = start.up();
    for command in ["restart", "start"] {
        let watch = Stopwatch::start();
        let (code, said) = run(&start, &["chat", command]);
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains("out of order") || said.contains("3"),
            "{command} does not say why: {said}"
        );
        watch.stop().assert_within(command, Duration::from_secs(45));
    }
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_workspace_fails_the_chat_alone() {
    let start = Start::new();
    let work = start.folder().join("project");
    let start = start.config(format!("{ECHO}workspace = {work:?}\n"));
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    let status = output_once(&start, &["status"], |said| said.contains("not running: "));
    assert!(status.contains("mkdir -p"), "{status}");
    fs::create_dir(&work).unwrap();
    let (code, said) = run(&start, &["chat", "start"]);
    assert_eq!(code, Some(0), "{said}");
    nexus_tests::world::ready_example(&browser).await;
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_login_plugin_nobody_logs_in_no_tunnel_opens_and_the_rest_works() {
    let start = Start::new();
    let file = start.folder().join("mine.wasm");
    fs::copy(builtin("auth-local"), &file).unwrap();
    let start = start.config(format!(
        "{ECHO}[auth]\nplugin = \"auth-mine\"\n[plugin.auth-mine]\nsource = {file:?}\n[plugin.auth-mine.grants]\n\
         store_quota = \"1 MiB\"\n[tunnel.main]\nplugin = \"tunnel-bore\"\nautostart = true\nallow_plaintext = true\n"
    ));
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    stop(nexus);
    fs::write(&file, "nothing").unwrap();
    let nexus = start.up();
    for path in ["/login"] {
        let answer = Browser::new(&nexus.url).get(path).await;
        assert_eq!(answer.status().as_u16(), 503, "{path}");
        let text = answer.text().await.unwrap();
        assert!(text.contains("Nobody can log in now"), "{text}");
        // Not for strangers.
        assert!(!text.contains("auth-mine") && !text.contains("damaged"), "{text}");
    }
    let status = output_once(&start, &["status"], |said| said.contains("main by tunnel-bore, failed"));
    assert!(status.contains("auth-mine") && status.contains("damaged"), "{status}");
    assert!(status.contains("nobody can log in"), "{status}");
    // Whoever was logged in still is, and reads why.
    let browser = browser.at(&nexus.url);
    let page = browser.get("/status").await.text().await.unwrap();
    assert!(page.contains("auth-mine") && page.contains("damaged"), "{page}");
    let (code, said) = run(&start, &["tunnel", "start", "main"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("nobody can log in"), "{said}");
    stop(nexus);
}

/// The answer of a listener at an address that is known before.
async fn answer(url: &str) -> Option<(u16, Option<String>, String)> {
    let answer = nexus_tests::http().build().unwrap().get(url).send().await.ok()?;
    let again = answer
        .headers()
        .get("retry-after")
        .map(|value| value.to_str().unwrap().to_owned());
    Some((answer.status().as_u16(), again, answer.text().await.ok()?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_login_plugin_compiles_everything_answers_and_says_so() {
    let start = Start::new();
    let file = start.folder().join("mine.wasm");
    fs::write(&file, large(&fs::read(builtin("auth-local")).unwrap(), 1_200)).unwrap();
    let port = Port::reserve();
    let address = format!("127.0.0.1:{}", port.number);
    let start = start.cold().arg("--listen").arg(&address).config(format!(
        "{ECHO}[auth]\nplugin = \"auth-mine\"\n[plugin.auth-mine]\nsource = {file:?}\n[plugin.auth-mine.grants]\n\
         store_quota = \"1 MiB\"\n"
    ));
    let nexus = start.spawn();
    let line = nexus.line("what is compiled", |line| {
        line.contains("compiling auth-mine").then(|| line.to_owned())
    });
    assert!(line.contains("about"), "{line}");
    let (status, again, page) = answer(&format!("http://{address}/login")).await.unwrap();
    assert_eq!(status, 503, "{page}");
    assert!(again.is_some());
    assert!(
        page.contains("Nexus is starting") && page.contains("compiling auth-mine (1 of 2)"),
        "{page}"
    );
    let (status, again, health) = answer(&format!("http://{address}/healthz")).await.unwrap();
    assert_eq!((status, again.is_some()), (503, true), "{health}");
    assert_eq!(serde_json::from_str::<Value>(&health).unwrap()["status"], "starting");
    let (status, _, api) = answer(&format!("http://{address}/api/v1/status")).await.unwrap();
    assert_eq!(status, 503, "{api}");
    let (code, said) = run(&start, &["status"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("starting: compiling auth-mine"), "{said}");
    let (code, said) = run(&start, &["chat", "restart"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is starting") && !said.contains("kill"), "{said}");
    // It was still at it: what was seen is what is seen meanwhile.
    assert!(nexus.stdout().is_empty(), "{:?}", nexus.stdout());
    nexus.line("the readiness line", |line| {
        line.starts_with("nexus listening on").then_some(())
    });
    let (status, _, page) = answer(&format!("http://{address}/setup")).await.unwrap();
    assert_eq!(status, 200, "{page}");
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_chat_plugin_compiles_the_page_is_there_and_says_so() {
    let start = Start::new();
    let file = start.folder().join("mine.wasm");
    fs::write(&file, large(&fs::read(builtin("chat-echo")).unwrap(), 1_200)).unwrap();
    let start = start.cold().config(format!(
        "[chat.main]\nplugin = \"chat-mine\"\n[plugin.chat-mine]\nsource = {file:?}\n"
    ));
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    let status = output_once(&start, &["status", "--json"], |said| {
        said.contains("Compiling chat-mine")
    });
    let status: Value = serde_json::from_str(&status).unwrap();
    assert!(
        status["starting"].as_str().unwrap().contains("compiling chat-mine"),
        "{status:#}"
    );
    assert_eq!(status["backend"]["state"], "starting", "{status:#}");
    let page = browser.get("/status").await.text().await.unwrap();
    assert!(page.contains("Starting: compiling chat-mine"), "{page}");
    output_once(&start, &["status", "--json"], |said| said.contains("\"state\": \"up\""));
    nexus_tests::world::ready_example(&browser).await;
    // From the cache there is nothing to say.
    let said = stop(nexus);
    assert!(said.contains("compiling chat-mine"), "{said}");
    let said = stop(start.up());
    assert!(!said.contains("compiling"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_port_program_and_secret_fail_metrics_and_notices_alone() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let start = Start::new().config(format!(
        "{ECHO}[metrics]\nlisten = \"{address}\"\n[notify]\ncommand = [\"/none/such\"]\nwebhook = {{ env = \"NONE_SUCH\" }}\n"
    ));
    let (code, check) = run(&start, &["config", "check"]);
    assert_eq!(code, Some(2), "{check}");
    assert!(
        check.contains("notify does not work") && check.contains("/none/such"),
        "{check}"
    );
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    let status = output_once(&start, &["status"], |said| said.contains("metrics do not work"));
    assert!(
        status.contains("notify does not work") && status.contains("NONE_SUCH"),
        "{status}"
    );
    let page = browser.get("/status").await.text().await.unwrap();
    assert!(
        page.contains(">Problems<") && page.contains(&address.to_string()),
        "{page}"
    );
    // They come by themselves once the port is free.
    drop(taken);
    output_once(&start, &["status"], |said| !said.contains("metrics do not work"));
    let (code, _, _) = answer(&format!("http://{address}/metrics")).await.unwrap();
    assert_eq!(code, 200);
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_and_a_cache_that_cannot_be_written_stop_nothing_else() {
    let start = Start::new();
    fs::create_dir_all(start.data_dir()).unwrap();
    fs::write(start.data_dir().join("cache"), "a file").unwrap();
    let log = start.folder().join("a-folder");
    fs::create_dir(&log).unwrap();
    let start = start.config(format!("{ECHO}[log]\nfile = {log:?}\n"));
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    nexus_tests::world::ready_example(&browser).await;
    let said = stop(nexus);
    assert!(said.contains("the log is written to stderr only"), "{said}");
    assert!(said.contains("cannot cache compiled code"), "{said}");
}

/// A database of a person's own making: rows that say nothing, between others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_read_fails_alone() {
    let start = Start::new().config(format!(
        "{ECHO}[tunnel.main]\nplugin = \"tunnel-bore\"\nallow_plaintext = true\n"
    ));
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    nexus_tests::world::ready_example(&browser).await;
    let mut kept = nexus_tests::world::Conversation::create(&browser, &nexus).await;
    kept.prompt("one").await;
    let lost = nexus_tests::world::Conversation::create(&browser, &nexus).await;
    stop(nexus);
    spoil(&start.data_dir().join("nexus.db"), &lost.session);
    let nexus = start.up();
    let browser = browser.at(&nexus.url);
    nexus_tests::world::ready_example(&browser).await;
    let sessions: Value = browser.get("/api/v1/sessions").await.json().await.unwrap();
    let sessions = sessions.to_string();
    assert!(sessions.contains(&kept.session), "{sessions}");
    // Listed it can be opened, or deleted.
    assert!(sessions.contains(&lost.session), "{sessions}");
    let said = stop(nexus);
    assert!(said.contains("cannot read the entry of a chat"), "{said}");
}

/// By the sqlite3 of Python, which every machine of the tests has: the product's own code writes no such rows.
fn spoil(database: &Path, session: &str) {
    let script = r#"
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("UPDATE session SET turn = ? WHERE id = ?", ('{"type":"of the future"}', sys.argv[2]))
for name, value in [('tunnel.main.wanted', b'maybe'), ('chat.main.plugin', b'{'), ('auth.key', b'')]:
    db.execute("INSERT OR REPLACE INTO setting(name, value) VALUES (?, ?)", (name, value))
db.execute("UPDATE activity SET severity = 'of the future' WHERE id = (SELECT max(id) FROM activity)")
db.commit()
"#;
    let done = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(database)
        .arg(session)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_to_an_example_asks_first_and_the_plugins_are_listed_once_each() {
    let start = Start::new();
    let file = start.folder().join("mine.wasm");
    fs::copy(builtin("chat-echo"), &file).unwrap();
    let start = start.config(format!(
        "[chat.main]\nplugin = \"chat-mine\"\nfallback = \"chat-echo\"\n[plugin.chat-mine]\nsource = {file:?}\n"
    ));
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    nexus_tests::world::ready_example(&browser).await;
    let path = "/status/backend/swap";
    let asked = browser.submit_on("/status", path, &[("plugin", "chat-echo")]).await;
    let asked = asked.text().await.unwrap();
    assert!(
        asked.contains("without a model") && asked.contains("Replace with chat-echo"),
        "{asked}"
    );
    let (_, status) = run(&start, &["status", "--json"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(
        status["backend"]["plugin"], "chat-mine",
        "nothing was done before the answer"
    );
    let (action, inputs) = nexus_tests::browser::form(&asked, path).unwrap();
    let done = browser.post(&action, &nexus_tests::browser::fill(inputs, &[])).await;
    assert!(
        done.status().is_redirection() || done.status().is_success(),
        "{}",
        done.status()
    );
    for (swapped, other) in [
        ("chat-echo", "chat-mine"),
        ("chat-mine", "chat-echo"),
        ("chat-echo", "chat-mine"),
    ] {
        if swapped == "chat-mine" || other == "chat-mine" {
            let (code, said) = run(&start, &["chat", "swap", swapped]);
            assert!(code == Some(0) || said.contains("already"), "{said}");
        }
        let (_, status) = run(&start, &["status", "--json"]);
        let status: Value = serde_json::from_str(&status).unwrap();
        let mut listed: Vec<_> = status["plugins"]
            .as_array()
            .unwrap()
            .iter()
            .map(|plugin| {
                (
                    plugin["name"].as_str().unwrap().to_owned(),
                    plugin["state"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        listed.retain(|(name, _)| name.starts_with("chat-"));
        listed.sort();
        let mut expected = vec![
            (swapped.to_owned(), "running".to_owned()),
            (other.to_owned(), "stopped".to_owned()),
        ];
        expected.sort();
        assert_eq!(listed, expected, "{status:#}");
    }
    stop(nexus);
}
