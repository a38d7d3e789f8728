//! Nexus as a service: what the service manager hears, and the log that is kept.

use nexus_tests::browser::Browser;
use nexus_tests::nexus::{Start, binary};
use nexus_tests::tunnels::stop;
use nexus_tests::{processes, wait, write_with_mode};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

const ECHO: &str = "[chat.main]\nplugin = \"chat-echo\"\n";

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Ends with the test, however that ends.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A service manager, as far as it listens.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(wait::LONG)).unwrap();
        Self(socket)
    }

    fn hear(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).expect("the manager hears nothing");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// All that was said up to the first message with `word`, that one included.
    fn hear_until(&self, word: &str) -> Vec<String> {
        let mut heard = Vec::new();
        let hear = || {
            heard.push(self.hear());
            heard.last().unwrap().clone()
        };
        wait::seen(&format!("the manager hears {word}"), hear, |said| said.contains(word));
        heard
    }
}

#[test]
fn the_service_manager_hears_of_the_start_the_life_and_the_end_and_no_child_hears_of_it() {
    let start = Start::new();
    let socket = start.folder().join("notify.sock");
    let manager = Manager::at(&socket);
    // A backend that only writes down what it is started with.
    let (program, seen) = (start.folder().join("opencode"), start.folder().join("environment"));
    let version = nexus_tests::opencode::VERSION;
    let script = format!("#!/bin/sh\nenv >> {seen:?}\necho {version}\n");
    write_with_mode(&program, &script, 0o755);
    let start = start
        .config(format!(
            "[plugin.chat-opencode.grants.process.opencode]\npath = {program:?}\n"
        ))
        .env("NOTIFY_SOCKET", socket.to_str().unwrap())
        .env("WATCHDOG_USEC", "1000000")
        .env("LISTEN_FDS", "0")
        .env("EDITOR", "an-editor");
    let nexus = start.up();
    let ready = manager.hear_until("READY=1").pop().unwrap();
    assert!(ready.contains(&format!("STATUS=Listening on {}", nexus.url)), "{ready}");
    assert!(!ready.contains("setup"), "{ready}");
    // More than one watchdog's time: three signs of life.
    for _ in 0..3 {
        manager.hear_until("WATCHDOG=1");
    }
    // The chat's plugin is compiled first.
    let environment = || fs::read_to_string(&seen).unwrap_or_default();
    let environment = wait::seen("the program has its environment", environment, |all| {
        all.contains("EDITOR")
    });
    assert!(environment.contains("EDITOR=an-editor"), "{environment}");
    for hidden in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS"] {
        assert!(!environment.contains(hidden), "{environment}");
    }
    let exit = std::thread::spawn(move || stop(nexus));
    manager.hear_until("STOPPING=1");
    exit.join().unwrap();
}

#[test]
fn a_service_manager_that_is_not_there_keeps_nobody_from_starting() {
    let start = Start::new().config(ECHO).env("NOTIFY_SOCKET", "/nowhere/notify");
    stop(start.up());
    let said = stop(Start::new().config(ECHO).env("NOTIFY_SOCKET", "nonsense").up());
    assert!(said.contains("NOTIFY_SOCKET=nonsense"), "{said}");
}

/// `nexus logs …`: stdout.
fn logs(start: &Start, words: &[&str]) -> String {
    let output = start.run(&["logs"], words, "");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_kept_in_a_private_file_that_holds_no_set_up_link() {
    let start = Start::new().config(ECHO);
    let none = start.run(&["logs"], &[], "");
    assert_eq!(none.status.code(), Some(1));
    let said = String::from_utf8(none.stderr).unwrap();
    assert!(said.contains("nexus.log") && said.contains("nexus up"), "{said}");
    let nexus = start.up();
    let token = nexus.setup_token();
    Browser::set_up(&nexus).await;
    let output = stop(nexus);
    let file = start.data_dir().join("logs/nexus.log");
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains(&token) && !text.contains("/setup#"), "{text}");
    assert!(!text.contains(nexus_tests::browser::PASSWORD));
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string() && line["fields"].is_object(), "{line}");
    }
    let listening = text.lines().filter(|line| line.contains("listening on http://"));
    assert_eq!(listening.count(), 1, "{text}");
    // What stands on stderr is in the file.
    let shown = logs(&start, &["--lines", "all"]);
    assert!(
        output.contains("shutting down") && shown.contains("shutting down"),
        "{shown}"
    );
    assert_eq!(logs(&start, &["-n", "all", "--json"]), text);
    assert_eq!(logs(&start, &["-n", "1"]).lines().count(), 1);
    assert!(logs(&start, &["--level", "error"]).is_empty(), "{shown}");
    assert!(logs(&start, &["--plugin", "nobody"]).is_empty());
    let wrong = start.run(&["logs"], &["--level", "loud"], "");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("warn"));
    // The next start goes on in the same file.
    stop(start.up());
    assert!(fs::read_to_string(&file).unwrap().starts_with(&text));
}

#[test]
fn a_log_that_is_followed_goes_on_through_rotations_and_restarts() {
    let start = Start::new().config(format!(
        "{ECHO}[log]\nfile = \"own/n.log\"\nmax_size = \"64 KiB\"\nmax_files = 50\n"
    ));
    let file = start.folder().join("own/n.log");
    // Writes nexus.toml, too.
    stop(start.up());
    let follow = Command::new(binary())
        .args(["logs", "--follow", "--json", "-n", "all", "--config"])
        .arg(start.folder().join("nexus.toml"))
        .arg("--data-dir")
        .arg(start.data_dir())
        .stdout(Stdio::piped())
        .spawn();
    let mut follow = Killed(follow.unwrap());
    let (sender, lines) = mpsc::channel();
    let stdout = BufReader::new(follow.0.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let lines = stdout.lines().map_while(Result::ok);
        lines.map_while(|line| sender.send(line).ok()).for_each(drop);
    });
    // As if it had run for weeks: the next line does not fit any more.
    let mut number = 0;
    let mut fill = || {
        let mut log = fs::OpenOptions::new().append(true).open(&file).unwrap();
        while log.metadata().unwrap().len() < 65_400 {
            number += 1;
            let fields = json!({ "message": format!("line {number}") });
            let line = json!({ "timestamp": "2026-01-01T00:00:00Z", "level": "INFO", "fields": fields, "target": "t" });
            log.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
    };
    for _ in 0..3 {
        fill();
        let inode = fs::metadata(&file).unwrap().ino();
        stop(start.up());
        assert_ne!(fs::metadata(&file).unwrap().ino(), inode, "no new file was begun");
    }
    let mut expected = String::new();
    for number in (0..=3).rev() {
        let name = match number {
            0 => file.clone(),
            older => file.with_extension(format!("log.{older}")),
        };
        assert_eq!(mode(&name), 0o600);
        expected += &fs::read_to_string(name).unwrap();
    }
    let expected: Vec<_> = expected.lines().collect();
    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        seen.push(lines.recv_timeout(wait::LONG).expect("a line is missing"));
    }
    drop(follow);
    reader.join().unwrap();
    assert_eq!(seen, expected);
}

#[test]
fn a_log_that_cannot_be_written_is_reported_and_none_is_kept_where_none_is_wanted() {
    let start = Start::new();
    fs::write(start.folder().join("in-the-way"), "").unwrap();
    let start = start.config(format!("{ECHO}[log]\nfile = \"in-the-way/nexus.log\"\n"));
    let said = stop(start.up());
    assert!(
        said.contains("in-the-way/nexus.log") && said.contains("[log] file"),
        "{said}"
    );
    let start = Start::new().config(format!("{ECHO}[log]\nfile = \"\"\n"));
    stop(start.up());
    assert!(!start.data_dir().join("logs").exists());
    let none = start.run(&["logs"], &[], "");
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8(none.stderr).unwrap().contains("[log] file = \"\""));
}

#[test]
fn two_nexus_never_share_a_log() {
    let first = Start::new();
    let shared = first.folder().join("shared.log");
    let config = format!("{ECHO}[log]\nfile = {shared:?}\n");
    let first = first.config(&config);
    let second = Start::new().config(&config);
    let one = first.up();
    let two = second.up();
    two.line("who writes the log", |l| {
        l.contains("another Nexus is writing to it").then_some(())
    });
    stop(two);
    stop(one);
}

#[test]
fn the_set_up_link_is_not_written_where_the_journal_keeps_it() {
    let start = Start::new().config(ECHO);
    // Writes nexus.toml.
    start.run(&["config", "check"], &[], "");
    let journal = start.folder().join("journal");
    let stderr = fs::File::create(&journal).unwrap();
    let meta = stderr.metadata().unwrap();
    for (stream, kept) in [
        (format!("{}:{}", meta.dev(), meta.ino()), true),
        ("1:1".to_owned(), false),
    ] {
        let mut nexus = Command::new(binary())
            .args(["up", "--listen", "127.0.0.1:0", "--config"])
            .arg(start.folder().join("nexus.toml"))
            .arg("--data-dir")
            .arg(start.data_dir())
            .env("JOURNAL_STREAM", stream)
            .stdout(Stdio::null())
            .stderr(stderr.try_clone().unwrap())
            .spawn()
            .unwrap();
        let said = || fs::read_to_string(&journal).unwrap();
        wait::seen("it says that nobody has an account", said, |said| {
            said.contains("There is no account yet")
        });
        assert_eq!(said().contains("/setup#"), !kept, "{}", said());
        assert_eq!(said().contains("nexus user add NAME"), kept, "{}", said());
        processes::signal(nexus.id(), 15);
        nexus.wait().unwrap();
        fs::write(&journal, "").unwrap();
    }
}

/// A terminal that was stopped, or a pipe whose reader sleeps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_stderr_that_takes_nothing() {
    let start = Start::new().config(ECHO);
    let made = start.run(
        &["user"],
        &["add", "owner", "--password-stdin"],
        "seven grey herons at low tide\n",
    );
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let (mut reader, mut full) = std::io::pipe().unwrap();
    // What a pipe of Linux holds: from here on a write to it waits.
    full.write_all(&[b'.'; 64 * 1024]).unwrap();
    let mut nexus = Command::new(binary())
        .args(["up", "--listen", "127.0.0.1:0", "--config"])
        .arg(start.folder().join("nexus.toml"))
        .arg("--data-dir")
        .arg(start.data_dir())
        .stdout(Stdio::piped())
        .stderr(full)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(nexus.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let url = line.trim().rsplit(' ').next().unwrap().to_owned();
    let mut nexus = Killed(nexus);
    // A line of the log each, of more people at once than there are threads.
    let tries = (0..6).map(|n| {
        let url = url.clone();
        async move { Browser::new(&url).log_in(&format!("nobody{n}"), "wrong").await.status() }
    });
    let tries = futures::future::join_all(tries);
    let answers = wait::within("no login waits for the terminal", tries).await;
    assert_eq!(answers, [422; 6]);
    let health = Browser::new(&url).get("/healthz").await;
    assert_eq!(health.status(), 200);
    start.audit(|lines| lines.iter().any(|line| line["event"] == "login_failed"));
    processes::signal(nexus.0.id(), 15);
    wait::until("no signal waits for the terminal", || {
        nexus.0.try_wait().unwrap().is_some()
    });
    assert_eq!(nexus.0.wait().unwrap().code(), Some(0));
    let mut told = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut told).unwrap();
    assert_eq!(told.len(), 64 * 1024, "nothing was taken before the end");
}
