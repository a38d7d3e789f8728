//! What it asks of the host against the rules of the host's functions: a line for each, with the kind of the error.

use crate::{programs, requests};
use nexus_plugin_api::caps::process::{self, EnvironmentBase, OutputMode, OutputStream, Spec};
use nexus_plugin_api::caps::types::Error;
use nexus_plugin_api::caps::{clock, config, http, log, secrets, store};
use nexus_plugin_api::chat::transcript;
use std::fmt::Debug;

#[derive(Default)]
pub struct Answers(Vec<String>);

impl Answers {
    pub fn note<T: Debug>(&mut self, what: &str, answer: Result<T, Error>) {
        let answer = match answer {
            Ok(value) => format!("{value:?}"),
            Err(error) => kind(&error).to_owned(),
        };
        self.line(format!("{what}: {answer}"));
    }

    pub fn line(&mut self, line: String) {
        self.0.push(line);
    }
}

pub fn kind(error: &Error) -> &'static str {
    match error {
        Error::Denied(_) => "denied",
        Error::Limited(_) => "limited",
        Error::Invalid(_) => "invalid",
        Error::NotFound(_) => "not-found",
        Error::Timeout(_) => "timeout",
        Error::Unavailable(_) => "unavailable",
        Error::Cancelled(_) => "cancelled",
        Error::Other(_) => "other",
    }
}

pub async fn ask(what: &str, session: &str) -> String {
    let mut answers = Answers::default();
    match what {
        "store" => of_store(&mut answers).await,
        "secrets" => of_secrets(&mut answers).await,
        "http" => of_http(&mut answers).await,
        "process" => of_process(&mut answers).await,
        "clock" => of_clock(&mut answers).await,
        "config" => of_config(&mut answers),
        "timeouts" => requests::with_timeouts(&mut answers).await,
        "unless present" => programs::unless_present(&mut answers).await,
        "unless late" => programs::unless_late(&mut answers).await,
        "transcript" => of_transcript(&mut answers, session).await,
        other => answers.0.push(other.to_owned()),
    }
    answers.0.join("\n")
}

async fn of_store(answers: &mut Answers) {
    let key = |length| "k".repeat(length);
    answers.note("get without a key", store::get(String::new()).await);
    answers.note("get of a long key", store::get(key(257)).await);
    answers.note("set of a long key", store::set(key(257), vec![1]).await);
    answers.note("set of a long value", store::set(key(1), vec![1; (1 << 20) + 1]).await);
    answers.note("delete of nothing", store::delete("nothing".to_owned()).await);
    let swap = async |expected, value| store::compare_and_set("swap".to_owned(), expected, vec![value]).await;
    answers.note("swap of nothing for something", swap(Some(vec![9]), 1).await);
    answers.note("swap of nothing", swap(None, 1).await);
    answers.note("swap again", swap(None, 2).await);
    answers.note("get", store::get("swap".to_owned()).await);
    answers.note(
        "keys after all",
        store::keys("swap".to_owned(), Some("swap".to_owned())).await,
    );
    answers.note("set", store::set("a".to_owned(), vec![0; 1 << 20]).await);
    answers.note("set", store::set("b".to_owned(), vec![0; 1 << 20]).await);
    answers.note("set", store::set("c".to_owned(), vec![0; 1 << 20]).await);
    answers.note(
        "set beyond the quota",
        store::set("d".to_owned(), vec![0; 1 << 20]).await,
    );
}

async fn of_secrets(answers: &mut Answers) {
    answers.note("get of none given", secrets::get("token".to_owned()).await);
    answers.note("get of none asked for", secrets::get("unasked".to_owned()).await);
    answers.note("has of none given", secrets::has("token".to_owned()).await);
    answers.note("has of none asked for", secrets::has("unasked".to_owned()).await);
    let generated = async |name: &str| secrets::generated(name.to_owned()).await;
    answers.note("generated without a name", generated("").await);
    let same = (generated("one").await.ok(), generated("one").await.ok());
    answers
        .0
        .push(format!("generated twice: {}", same.0.is_some() && same.0 == same.1));
}

async fn of_http(answers: &mut Answers) {
    let request = |method: &str, url: &str| http::Request {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout: None,
        idle_timeout: None,
    };
    for (what, request) in [
        ("a method in lower case", request("get", "https://denied.example/")),
        ("a method of its own", request("BREW", "https://denied.example/")),
        ("no address", request("GET", "no address")),
        ("another scheme", request("GET", "ftp://denied.example/")),
        ("no grant", request("GET", "https://denied.example/")),
        ("a process that is none", request("GET", "process://nobody:main/")),
    ] {
        answers.note(what, http::fetch(request).await.map(|(response, ..)| response.status));
    }
}

async fn of_process(answers: &mut Answers) {
    let name = || "never-started".to_owned();
    answers.note("find of none asked for", process::find("unasked".to_owned()).await);
    answers.note("exited of none", process::exited(name()).await.map(|_| ()));
    answers.note("lines of none", process::lines(name()).await.map(|_| ()));
    answers.note(
        "output of none",
        process::output(name(), OutputStream::Stdout).await.map(|_| ()),
    );
    answers.note("write to none", process::write(name(), vec![1]).await);
    answers.note("stop of none", process::stop(name()).await.map(|_| ()));
    let spec = || Spec {
        binary: "unasked".to_owned(),
        args: Vec::new(),
        base: EnvironmentBase::Clean,
        env: Vec::new(),
        ports: Vec::new(),
        files: Vec::new(),
        cwd: None,
        stdin: false,
        stdout: OutputMode::Log,
        stderr: OutputMode::Log,
        stop: Vec::new(),
        unless_present: None,
    };
    answers.note("run of none asked for", process::run(spec(), 1_000).await.map(|_| ()));
    answers.note(
        "ensure of none asked for",
        process::ensure(name(), spec()).await.map(|_| ()),
    );
}

async fn of_clock(answers: &mut Answers) {
    let (now, before) = (clock::now(), clock::elapsed());
    clock::sleep(50).await;
    let passed = clock::elapsed() - before;
    answers.0.push(format!("slept: {}", (50..60_000).contains(&passed)));
    answers.0.push(format!("this century: {}", now > 1_700_000_000_000));
    log::write(log::Level::Warn, &format!("long {}", "l".repeat(1 << 20)));
}

/// A secret that the manifest names is no key of its own.
fn of_config(answers: &mut Answers) {
    let (once, again) = (config::get(), config::get());
    answers.0.push(format!("{once} twice: {}", once == again));
    let (folders, again) = (config::workspaces(), config::workspaces());
    let absolute = folders.iter().all(|folder| folder.starts_with('/'));
    answers.0.push(format!(
        "folders: {} absolute: {absolute} twice: {}",
        folders.len(),
        folders == again
    ));
}

async fn of_transcript(answers: &mut Answers, session: &str) {
    let read = async |session: &str, before: Option<&str>, limit| {
        let read = transcript::read(session.to_owned(), before.map(str::to_owned), limit).await;
        read.map(|all| all.iter().map(|one| one.text.clone()).collect::<Vec<_>>())
    };
    answers.note("none", read(session, None, 0).await);
    let all = read(session, None, u32::MAX).await;
    answers.note("the last", all.map(|all| all.last().cloned()));
    answers.note("of nobody", read("nobody", None, 1).await);
    answers.note("without a session", read("", None, 1).await);
    answers.note("before nothing", read(session, Some("nothing"), 1).await);
    let file = async |session: &str, id: &str| {
        let read = transcript::read_attachment(session.to_owned(), id.to_owned()).await;
        read.map(|content| content.data.len())
    };
    answers.note("file of nobody", file("nobody", "upload-1").await);
    answers.note("no such file", file(session, "upload-1").await);
}
