//! Access: what Nexus starts does not act for its operator: neither on the command line nor at the control socket, however it hides
//! where it came from; and whoever tried is in the audit.
#![cfg(target_os = "linux")]

use nexus_tests::browser::{ACCOUNT, Browser, PASSWORD};
use nexus_tests::nexus::{Start, binary};
use nexus_tests::wait;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

const ECHO: &str = "[chat.main]\nplugin = \"chat-echo\"\n";

fn accounts(start: &Start) -> Vec<String> {
    let output = start.run(&["user"], &["list", "--json"], "");
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    list.as_array()
        .unwrap()
        .iter()
        .map(|a| a["account"].as_str().unwrap().to_owned())
        .collect()
}

/// Every way that the attackers of the review tried, and some more. Each writes its exit code when it is through.
fn script(folder: &Path) -> String {
    let nexus = binary();
    let (nexus, folder) = (nexus.display(), folder.display());
    format!(
        r#"#!/bin/sh
cd {folder}
cat > try <<'END'
N="{nexus}"
AT="--config {folder}/nexus.toml --data-dir {folder}/data"
try() {{
    name=$1; shift
    echo 'nine wet ravens on the weir' | "$@" > "out-$name" 2>&1
    echo "$name $?" >> results
}}
END
. ./try
try add $N user add $AT --password-stdin mate
try cleared env -i $N user add $AT --password-stdin mate2
try session setsid -w env -i $N user passwd $AT --password-stdin owner
try unlock env -u NEXUS_INSTANCE $N user unlock $AT owner
try remove env -i $N user remove $AT --force owner
try backup env -i $N backup $AT {folder}/stolen.tar.gz
try restore env -i $N restore $AT --force {folder}/stolen.tar.gz
try setup env -i $N setup $AT opencode
try elsewhere env -i $N user add --data-dir {folder}/another --password-stdin mate
try status env -i $N status $AT
try chat env -i $N chat $AT stop
cat > orphan <<'END'
# Until its parent is gone and it is the child of another.
while [ "$(cut -d' ' -f4 /proc/$$/stat)" = "$1" ]; do sleep 0.05; done
. ./try
try orphan env -i $N user add $AT --password-stdin mate3
echo end >> results
END
(setsid sh -c 'sh orphan $$ &' &)
# What outlives this program is ended by its shim.
while ! grep -q end results; do sleep 0.05; done
exit 0
"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nexus_starts_acts_for_nobody_and_is_in_the_audit() {
    let start = Start::new();
    let hook = start.folder().join("hook");
    fs::write(&hook, script(start.folder())).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o700)).unwrap();
    let start = start.config(format!(
        "{ECHO}[notify]\ncommand = [{hook:?}]\nevents = [\"login_locked\"]\n"
    ));
    let nexus = start.up();
    Browser::set_up(&nexus).await;
    // The command of `[notify]` is a program of Nexus like any other; a lock lets it run.
    let stranger = Browser::new(&nexus.url);
    for _ in 0..5 {
        stranger.log_in(ACCOUNT, "wrong").await;
    }
    let results = || fs::read_to_string(start.folder().join("results")).unwrap_or_default();
    let results = wait::seen("the tool has tried everything", results, |r| r.contains("end"));
    for line in results.lines().filter(|line| *line != "end") {
        let (name, code) = line.split_once(' ').unwrap();
        let said = fs::read_to_string(start.folder().join(format!("out-{name}"))).unwrap();
        assert_eq!(code, "1", "{name}: {said}");
        assert!(said.contains("for the operator"), "{name}: {said}");
    }
    assert_eq!(results.lines().count(), 13, "{results}");
    assert_eq!(accounts(&start), [ACCOUNT]);
    assert!(!start.folder().join("stolen.tar.gz").exists() && !start.folder().join("another").exists());
    // The owner's password holds.
    assert!(
        Browser::new(&nexus.url).log_in(ACCOUNT, PASSWORD).await.status() == 422,
        "locked here, as it was"
    );
    let output = start.run(&["user"], &["unlock", ACCOUNT], "");
    assert!(output.status.success());
    assert!(
        Browser::new(&nexus.url)
            .log_in(ACCOUNT, PASSWORD)
            .await
            .status()
            .is_redirection()
    );
    // Some of the refusals, and not a flood of them; and what the operator did.
    let audit = start.audit(|lines| lines.iter().any(|line| line["event"] == "account_unlocked"));
    let of = |event: &str| audit.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    let refused = of("refused");
    assert!(
        refused.iter().any(|line| line["what"] == "nexus user add"),
        "{audit:#?}"
    );
    assert!(
        refused.iter().any(|line| line["what"] == "control socket"),
        "{audit:#?}"
    );
    assert!(refused.len() <= 10, "{refused:#?}");
    assert_eq!(of("account_unlocked")[0]["by"], "command line");
    assert_eq!(of("login").last().unwrap()["account"], ACCOUNT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_removed_with_all_that_hangs_on_it_and_the_last_one_is_not() {
    let start = Start::new().config(ECHO);
    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    let user = |words: &[&str], input: &str| {
        let output = start.run(&["user"], words, input);
        let all = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(all).unwrap())
    };
    let (code, said) = user(&["remove", ACCOUNT], "");
    assert_eq!(code, 1);
    assert!(said.contains("last account") && said.contains("--force"), "{said}");
    assert_eq!(
        user(&["add", "guest", "--password-stdin"], "nine wet ravens on the weir\n").0,
        0
    );
    let guest = Browser::new(&nexus.url);
    assert!(
        guest
            .log_in("guest", "nine wet ravens on the weir")
            .await
            .status()
            .is_redirection()
    );
    let mut socket = guest.socket("/live").await.unwrap();
    let (code, said) = user(&["remove", "guest"], "");
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("1 login and 1 known device."), "{said}");
    // What is open with it closes, and the name is free again.
    socket.closed().await;
    assert_ne!(guest.get("/").await.status(), 200);
    assert_eq!(owner.get("/").await.status(), 200);
    assert_eq!(
        user(&["add", "guest", "--password-stdin"], "nine wet ravens on the weir\n").0,
        0
    );
    assert_eq!(user(&["remove", "nobody"], "").0, 1);
    let audit = start.audit(|lines| lines.iter().any(|line| line["event"] == "account_removed"));
    let events: Vec<_> = audit
        .iter()
        .map(|line| line["event"].as_str().unwrap().to_owned())
        .collect();
    for event in ["first_account_added", "account_added", "login", "account_removed"] {
        assert!(events.iter().any(|found| found == event), "{event}: {events:?}");
    }
}

/// Asks for the status page with a cookie that it was given, as any program can: `bash -c ASK - PORT COOKIE`. The answer's
/// first line.
const ASK: &str = "exec 3<>/dev/tcp/127.0.0.1/$1; \
    printf 'GET /status HTTP/1.1\\r\\nHost: 127.0.0.1:%s\\r\\nCookie: %s\\r\\nConnection: close\\r\\n\\r\\n' \"$1\" \"$2\" >&3; \
    head -n 1 <&3";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cookie_that_a_browser_sends_to_other_ports_is_of_no_use_to_who_gets_it_there() {
    use std::os::unix::process::CommandExt as _;
    let start = Start::new();
    let folder = start.folder().to_owned();
    let hook = folder.join("hook");
    // One that hides where it came from, with a child that has the connection.
    let script = format!(
        "#!/bin/sh\ncd {}\nread -r port cookie < given\nsetsid -w env -i bash -c '{}' - \"$port\" \"$cookie\" > got.part 2>&1\n\
         mv got.part got\n",
        folder.display(),
        ASK.replace('\'', r"'\''")
    );
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o700)).unwrap();
    let start = start.config(format!(
        "{ECHO}[notify]\ncommand = [{hook:?}]\nevents = [\"login_locked\"]\n"
    ));
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    let (port, cookie) = (nexus.url.rsplit(':').next().unwrap(), browser.cookies());
    assert!(cookie.contains(&format!("nexus-local-{port}=")), "{cookie}");
    let ask = || {
        let mut ask = std::process::Command::new("bash");
        ask.args(["-c", ASK, "-", port, &cookie]);
        ask
    };
    let answer = |mut ask: std::process::Command| String::from_utf8(ask.output().unwrap().stdout).unwrap();
    // A program of this user that Nexus did not start is let in: so the cookie is good.
    assert!(answer(ask()).contains(" 200 "));
    // One of another user is not. Only root can try it.
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        let mut other = ask();
        other.uid(23_456);
        let answer = answer(other);
        assert!(answer.contains(" 303 "), "{answer}");
    }
    // Nor is what Nexus has started.
    fs::write(folder.join("given"), format!("{port} {cookie}\n")).unwrap();
    let stranger = Browser::new(&nexus.url);
    for _ in 0..5 {
        stranger.log_in(ACCOUNT, "wrong").await;
    }
    let got = folder.join("got");
    wait::until("the tool got an answer", || got.exists());
    let got = fs::read_to_string(got).unwrap();
    assert!(got.contains(" 403 "), "{got}");
    let refused = |line: &Value| line["event"] == "refused" && line["what"] == "page";
    let audit = start.audit(|lines| lines.iter().any(refused));
    let why = audit.iter().find(|line| refused(line)).unwrap()["cause"]
        .as_str()
        .unwrap();
    assert!(why.ends_with("was started by this Nexus"), "{why}");
    assert_eq!(browser.get("/status").await.status(), 200, "the owner notices nothing");
}
