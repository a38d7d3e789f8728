//! Set-up, lockout, logins and accounts, with the real binary.

use nexus_tests::browser::{ACCOUNT, Browser, PASSWORD, Socket, fill, form};
use nexus_tests::machine::Stopwatch;
use nexus_tests::nexus::{Nexus, Start};
use nexus_tests::wait;
use serde_json::{Value, json};
use std::time::Duration;

/// The chat plays no part here.
const ECHO: &str = "[chat.main]\nplugin = \"chat-echo\"\n";
const OTHER: &str = "nine wet ravens on the weir";

fn start() -> Start {
    Start::new().config(ECHO)
}

async fn up() -> (Start, Nexus, Browser) {
    let start = start();
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    (start, nexus, browser)
}

/// `nexus user …` beside whatever runs: its stdout.
fn user(start: &Start, words: &[&str], input: &str) -> String {
    let output = start.run(&["user"], words, input);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success(), "nexus user {words:?}: {out}{err}");
    out
}

fn listed(start: &Start) -> Value {
    serde_json::from_str(&user(start, &["list", "--json"], "")).unwrap()
}

async fn log_out(browser: &Browser) {
    let answer = browser.submit_on("/account", "/logout", &[]).await;
    assert!(answer.status().is_redirection(), "{}", answer.status());
    assert!(!inside(browser).await);
}

/// Whether this device is logged in.
async fn inside(browser: &Browser) -> bool {
    browser.get("/").await.status() == 200
}

async fn gets_in(browser: &Browser, password: &str) -> bool {
    let answer = browser.log_in(ACCOUNT, password).await;
    let redirected = answer.status().is_redirection();
    assert_eq!(redirected, inside(browser).await);
    redirected
}

/// A wrong password: the page's words.
async fn fails(browser: &Browser, password: &str) -> String {
    let answer = browser.log_in(ACCOUNT, password).await;
    assert!(!answer.status().is_redirection(), "got in with {password:?}");
    answer.text().await.unwrap()
}

/// Five wrong ones; the last locks, for the time that is said.
async fn lock(browser: &Browser) {
    for attempt in 1..5 {
        let page = fails(browser, "wrong").await;
        assert!(
            !page.contains("Too many wrong passwords"),
            "attempt {attempt} locked:\n{page}"
        );
    }
    let page = fails(browser, "wrong").await;
    assert!(
        page.contains("Too many wrong passwords"),
        "the fifth did not lock:\n{page}"
    );
    assert!(page.contains("for 30 minutes"), "{page}");
    assert!(page.contains("nexus user unlock"), "{page}");
}

async fn live(browser: &Browser) -> Socket {
    let mut socket = browser.socket("/live").await.unwrap();
    socket.send(&json!({"type": "hello", "protocol": 3})).await;
    socket.until(|frame| frame["type"] == "list").await;
    socket
}

/// The server closes it, and soon.
async fn is_closed(mut socket: Socket, limit: Duration) {
    let watch = Stopwatch::start();
    socket.closed().await;
    watch.stop().assert_within("closing the live socket", limit);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_set_up_link_works_once_and_only_while_nobody_has_an_account() {
    let start = start();
    let mut nexus = start.up();
    let (owner, stranger) = (Browser::new(&nexus.url), Browser::new(&nexus.url));
    let token = nexus.setup_token();
    // A wrong code is refused, and the right one stays good.
    let guess = stranger
        .submit(
            "/setup",
            &[("token", "guessed"), ("account", "eve"), ("password", OTHER)],
        )
        .await;
    assert_eq!(guess.status(), 422);
    // Both have the page open before the first one sends it.
    let page = stranger.get("/setup").await.text().await.unwrap();
    let values = [("token", token.as_str()), ("account", ACCOUNT), ("password", PASSWORD)];
    let done = owner.submit("/setup", &values).await;
    assert!(done.status().is_redirection(), "{}", done.text().await.unwrap());
    let (action, inputs) = form(&page, "/setup").unwrap();
    let again = fill(inputs, &[("token", &token), ("account", "eve"), ("password", OTHER)]);
    let answer = stranger.post(&action, &again).await;
    assert!(
        answer
            .headers()
            .get("set-cookie")
            .is_none_or(|c| !c.to_str().unwrap().contains("session"))
    );
    assert!(!inside(&stranger).await);
    assert_eq!(listed(&start).as_array().unwrap().len(), 1);
    // No link any more, now and after a restart.
    assert_eq!(stranger.get("/setup").await.headers()["location"], "/login");
    assert!(nexus.terminate(Duration::from_secs(25)).unwrap().success());
    assert!(nexus.survivors().is_empty());
    let again = start.up();
    assert!(!again.output().contains("/setup#"), "{}", again.output());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_wrong_passwords_lock_a_stranger_out_and_not_the_owners_device() {
    let (start, mut nexus, owner) = up().await;
    log_out(&owner).await;
    let stranger = Browser::new(&nexus.url);
    lock(&stranger).await;
    // The right password does not help where it is locked, on any unknown device.
    assert!(fails(&stranger, PASSWORD).await.contains("Too many wrong passwords"));
    assert!(
        fails(&Browser::new(&nexus.url), PASSWORD)
            .await
            .contains("Too many wrong passwords")
    );
    assert!(listed(&start)[0]["locked_until"].is_number());
    // The known device has a counter of its own.
    assert!(gets_in(&owner, PASSWORD).await);
    // It survives kill -9 and a restart.
    nexus.kill();
    assert!(nexus.survivors().is_empty());
    let nexus = start.up();
    let stranger = stranger.at(&nexus.url);
    assert!(fails(&stranger, PASSWORD).await.contains("Too many wrong passwords"));
    // The operator opens it beside the running host.
    assert!(user(&start, &["unlock", ACCOUNT], "").contains("Unlocked"));
    assert!(listed(&start)[0]["locked_until"].is_null());
    assert!(gets_in(&stranger, PASSWORD).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_device_that_locks_itself_locks_nobody_else() {
    let (start, nexus, owner) = up().await;
    log_out(&owner).await;
    lock(&owner).await;
    assert!(fails(&owner, PASSWORD).await.contains("Too many wrong passwords"));
    assert!(gets_in(&Browser::new(&nexus.url), PASSWORD).await);
    assert!(user(&start, &["unlock", ACCOUNT], "").contains("Unlocked"));
    assert!(gets_in(&owner, PASSWORD).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lockout_is_as_the_configuration_says_and_ends_by_itself() {
    let start = Start::new().config(format!("[auth]\nlockout_failures = 2\nlockout = \"3s\"\n{ECHO}"));
    let nexus = start.up();
    Browser::set_up(&nexus).await;
    let stranger = Browser::new(&nexus.url);
    assert!(!fails(&stranger, "wrong").await.contains("Too many wrong passwords"));
    let watch = Stopwatch::start();
    assert!(fails(&stranger, "wrong").await.contains("Too many wrong passwords"));
    assert!(fails(&stranger, PASSWORD).await.contains("Too many wrong passwords"));
    let log_in = async || stranger.log_in(ACCOUNT, PASSWORD).await.status();
    wait::seen_async("the lockout ends", log_in, reqwest::StatusCode::is_redirection).await;
    let lap = watch.stop();
    assert!(lap.took >= Duration::from_secs(2), "{:?}", lap.took);
    lap.assert_within("a lockout of 3 s", Duration::from_secs(15));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_survive_a_restart_and_end_with_a_log_out() {
    let (start, mut nexus, owner) = up().await;
    nexus.kill();
    assert!(nexus.survivors().is_empty());
    let nexus = start.up();
    let owner = owner.at(&nexus.url);
    assert!(inside(&owner).await);
    let other = Browser::new(&nexus.url);
    assert!(gets_in(&other, PASSWORD).await);
    let (mine, theirs) = (live(&owner).await, live(&other).await);
    log_out(&owner).await;
    is_closed(mine, Duration::from_secs(2)).await;
    assert!(owner.socket("/live").await.is_err());
    // The other device is none the wiser.
    assert!(inside(&other).await);
    drop(theirs);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_password_ends_every_other_login_at_once() {
    let (_start, nexus, owner) = up().await;
    let other = Browser::new(&nexus.url);
    assert!(gets_in(&other, PASSWORD).await);
    let (mut mine, theirs) = (live(&owner).await, live(&other).await);
    let wrong = owner
        .submit("/account", &[("current", "wrong"), ("password", OTHER)])
        .await;
    assert_eq!(wrong.status(), 422);
    assert!(inside(&other).await);
    let done = owner
        .submit("/account", &[("current", PASSWORD), ("password", OTHER)])
        .await;
    assert!(done.status().is_redirection(), "{}", done.text().await.unwrap());
    is_closed(theirs, Duration::from_secs(2)).await;
    assert!(!inside(&other).await);
    assert!(inside(&owner).await);
    mine.send(&json!({"type": "ping"})).await;
    mine.until(|frame| frame["type"] == "pong").await;
    fails(&other, PASSWORD).await;
    assert!(gets_in(&other, OTHER).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_makes_accounts_and_passwords_beside_the_running_host() {
    let (start, nexus, owner) = up().await;
    user(&start, &["add", "ann", "--password-stdin"], &format!("{OTHER}\n"));
    let ann = Browser::new(&nexus.url);
    assert!(ann.log_in("ann", OTHER).await.status().is_redirection());
    let accounts = listed(&start);
    let names: Vec<_> = accounts
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["account"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 2);
    assert!(names.contains(&ACCOUNT) && names.contains(&"ann"), "{names:?}");
    // A new password ends the account's logins, and the live sockets too.
    let socket = live(&owner).await;
    user(&start, &["passwd", ACCOUNT, "--password-stdin"], &format!("{OTHER}\n"));
    assert!(!inside(&owner).await);
    is_closed(socket, Duration::from_secs(5)).await;
    assert!(inside(&ann).await);
    fails(&owner, PASSWORD).await;
    assert!(gets_in(&owner, OTHER).await);
    // What cannot be done is said, with exit code 1.
    for (words, input, said) in [
        (
            &["add", "ann", "--password-stdin"][..],
            format!("{OTHER}\n"),
            "already exists",
        ),
        (&["add", "bob", "--password-stdin"], "short\n".to_owned(), "password"),
        (
            &["passwd", "nobody", "--password-stdin"],
            format!("{OTHER}\n"),
            "no account nobody",
        ),
        (&["unlock", "nobody"], String::new(), "no account nobody"),
    ] {
        let output = start.run(&["user"], words, &input);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {err}");
        assert!(err.contains(said), "{words:?}: {err}");
    }
}

/// Runs `nexus user add NAME` in a terminal, types each answer once it is asked for, and asks the terminal at the end what it
/// is set to. All that the terminal showed.
fn in_a_terminal(start: &Start, name: &str, answers: &[(&str, &str)]) -> String {
    use std::io::{Read as _, Write as _};
    let command = format!(
        "{} user add {name} --config {} --data-dir {}; stty -a",
        nexus_tests::nexus::binary().display(),
        start.folder().join("nexus.toml").display(),
        start.data_dir().display()
    );
    // It writes the configuration, too.
    assert!(start.run(&["config"], &["check"], "").status.success());
    let mut script = std::process::Command::new("script")
        .args(["-qc", &command, "/dev/null"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let (mut keyboard, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
    let (mut shown, mut byte) = (Vec::new(), [0]);
    for (asked, answer) in answers {
        while !shown.ends_with(asked.as_bytes()) {
            let read = screen.read(&mut byte).unwrap();
            assert_eq!(read, 1, "{asked} was not asked: {}", String::from_utf8_lossy(&shown));
            shown.extend(byte);
        }
        nexus_tests::wait::until("the terminal's echo is off", || echo_is_off(script.id()));
        keyboard.write_all(answer.as_bytes()).unwrap();
    }
    screen.read_to_end(&mut shown).unwrap();
    script.wait().unwrap();
    String::from_utf8(shown).unwrap()
}

/// Of the terminal that a child of `script` reads from.
fn echo_is_off(script: u32) -> bool {
    let terminal = nexus_tests::processes::descendants(script)
        .into_iter()
        .filter_map(|pid| std::fs::read_link(format!("/proc/{pid}/fd/0")).ok())
        .find(|input| input.starts_with("/dev/pts"));
    terminal.is_some_and(|terminal| {
        let stty = std::process::Command::new("stty")
            .arg("-F")
            .arg(terminal)
            .arg("-a")
            .output();
        String::from_utf8_lossy(&stty.unwrap().stdout).contains(" -echo ")
    })
}

#[test]
fn a_password_that_is_typed_is_not_shown_and_the_terminal_is_left_as_it_was() {
    let start = start();
    let (password, again) = (format!("{OTHER}\r"), format!("x\u{15}{OTHER}!\u{7f}\r"));
    let shown = in_a_terminal(
        &start,
        "ann",
        &[("Password: ", &password), ("Repeat password: ", &again)],
    );
    assert!(shown.contains("The account ann can log in now."), "{shown}");
    assert!(!shown.contains("ravens"), "{shown}");
    assert!(shown.contains(" echo ") && shown.contains(" icanon "), "{shown}");
    // Ctrl-C.
    let shown = in_a_terminal(&start, "bob", &[("Password: ", "nine wet\u{3}")]);
    assert!(!shown.contains("wet"), "{shown}");
    assert!(shown.contains(" echo ") && shown.contains(" icanon "), "{shown}");
}
