//! `nexus doctor`: what it finds, and that it finds it beside a Nexus that runs.

use nexus_tests::browser::Browser;
use nexus_tests::nexus::Start;
use nexus_tests::tunnels::stop;
use nexus_tests::{wait, write_with_mode};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const ECHO: &str = "[web]\nlisten = \"127.0.0.1:0\"\n[chat.main]\nplugin = \"chat-echo\"\n";

/// (exit code, the report)
fn doctor(start: &Start) -> (i32, Value) {
    let output = start.run(&["doctor"], &["--json"], "");
    let text = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(report["ok"], output.status.success(), "{report:#}");
    for finding in report["findings"].as_array().unwrap() {
        let level = finding["level"].as_str().unwrap();
        assert_eq!(
            level == "ok",
            finding["fix"].is_null(),
            "no fix, or one too many: {finding}"
        );
    }
    (output.status.code().unwrap(), report)
}

/// "level: found | fix" of a check.
fn of(report: &Value, check: &str) -> String {
    let all = report["findings"].as_array().unwrap();
    let found = all.iter().find(|f| f["check"] == check);
    let f = found.unwrap_or_else(|| panic!("no {check} in {report:#}"));
    format!(
        "{}: {} | {}",
        f["level"].as_str().unwrap(),
        f["found"].as_str().unwrap(),
        f["fix"].as_str().unwrap_or("-")
    )
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn all_is_well_before_a_start_while_it_runs_and_after_and_nothing_is_changed() {
    let start = Start::new().config(ECHO);
    let (code, report) = doctor(&start);
    assert_eq!(code, 0, "{report:#}");
    assert!(!start.data_dir().exists(), "looking made a data folder");
    let nexus = start.up();
    let (code, report) = doctor(&start);
    assert_eq!(code, 0, "{report:#}");
    let running = of(&report, "running");
    assert!(
        running.starts_with("ok") && running.contains(&nexus.url) && running.contains(&nexus.pid().to_string()),
        "{running}"
    );
    assert!(of(&report, "database").contains("intact"), "{report:#}");
    assert!(of(&report, "plugin.auth-local").starts_with("ok"), "{report:#}");
    assert!(of(&report, "cache").contains("compiled plugins"), "{report:#}");
    stop(nexus);
    let (code, report) = doctor(&start);
    assert_eq!(
        (code, of(&report, "running").contains("Nexus is not running")),
        (0, true),
        "{report:#}"
    );
    let people = start.run(&["doctor"], &[], "");
    let text = String::from_utf8(people.stdout).unwrap();
    assert!(text.lines().all(|l| l.starts_with("ok  ")), "{text}");
}

#[test]
fn what_is_wrong_is_found_with_its_fix() {
    let start = Start::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let old = start.folder().join("opencode");
    write_with_mode(&old, "#!/bin/sh\necho 1.0.0\n", 0o755);
    let start = start.config(format!(
        "[web]\nlisten = \"{address}\"\n[plugin.chat-opencode.grants.process.opencode]\npath = {old:?}\n\
         [tunnel.home]\nplugin = \"tunnel-bore\"\nallow_plaintext = true\n\
         [plugin.tunnel-bore.grants.process.bore]\npath = \"/nowhere/bore\"\n"
    ));
    fs::create_dir_all(start.data_dir()).unwrap();
    chmod(&start.data_dir(), 0o755);
    fs::write(start.data_dir().join("nexus.db"), "a letter".repeat(200)).unwrap();
    fs::write(start.data_dir().join("logs"), "in the way").unwrap();
    // It is made by the first run.
    doctor(&start);
    chmod(&start.folder().join("nexus.toml"), 0o666);
    let cache = start.data_dir().join("cache/wasm");
    let file = fs::read_dir(&cache).unwrap().flatten().next().unwrap().path();
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let (code, report) = doctor(&start);
    assert_eq!(code, 1);
    for (check, level, words) in [
        ("listen", "fail", &[address.to_string().as_str(), "[web]"][..]),
        ("data", "warn", &["755", "chmod 700"]),
        ("config.mode", "fail", &["chmod go-w", "nexus.toml"]),
        ("database", "fail", &["damaged", "nexus restore"]),
        ("log", "warn", &["logs", "[log]"]),
        ("cache", "warn", &["damaged", "rm -r"]),
        ("plugin.chat-opencode", "warn", &["1.0.0 is too old", "opencode-ai"]),
        (
            "plugin.tunnel-bore",
            "fail",
            &["/nowhere/bore", "[plugin.tunnel-bore.grants.process.bore]"],
        ),
    ] {
        let finding = of(&report, check);
        assert!(finding.starts_with(level), "{finding}");
        for word in words {
            assert!(finding.contains(word), "{word:?} is missing: {finding}");
        }
    }
}

#[test]
fn a_broken_configuration_is_found_and_the_rest_is_looked_at_all_the_same() {
    let start = Start::new().config("[web]\nlistn = 1\n");
    let (code, report) = doctor(&start);
    assert_eq!(code, 1);
    let config = of(&report, "config");
    assert!(
        config.starts_with("fail") && config.contains("nexus.toml:3"),
        "{config}"
    );
    of(&report, "disk");
    of(&report, "plugin.chat-opencode");
}

#[test]
fn a_port_of_another_nexus_is_distinguished_from_one_of_another_program() {
    let first = Start::new().config(ECHO);
    let nexus = first.up();
    let address = nexus.url.strip_prefix("http://").unwrap();
    let second = Start::new().config(format!(
        "[web]\nlisten = \"{address}\"\n[chat.main]\nplugin = \"chat-echo\"\n"
    ));
    let (code, report) = doctor(&second);
    let listen = of(&report, "listen");
    assert_eq!(
        (code, listen.contains("with another data folder")),
        (1, true),
        "{listen}"
    );
    stop(nexus);
}

/// Types and choices are the manifest's; what a plugin itself cannot use is told by the plugin, before and at the start.
const REFUSED: &str = r#"
[plugin.chat-opencode.config]
permission = { bash = "maybe", foo = "ask" }
[tunnel.home]
plugin = "tunnel-bore"
[plugin.tunnel-bore.config]
server = "https://bore.example.org"
port = 99999999
[tunnel.away]
plugin = "tunnel-ssh"
[plugin.tunnel-ssh.config]
host = "example.org"
identity_file = "/nowhere/key"
remote_bind = "foo"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_a_plugin_cannot_use_are_reported_by_check_doctor_page_status_and_log() {
    let start = Start::new().config(format!("[web]\nlisten = \"127.0.0.1:0\"\n{REFUSED}"));
    let check = start.run(&["config", "check"], &[], "");
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert_eq!(check.status.code(), Some(2), "{said}");
    let fine = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(fine.contains("can be read, but these parts would not start"), "{fine}");
    for words in [
        // The lines of the file, and all that is wrong in each.
        "permission = { bash = \"maybe\", foo = \"ask\" }",
        "bash = \"maybe\": expected \"ask\", \"allow\" or \"deny\"",
        "the unknown key \"foo\"; known keys are mcp, bash",
        "server = \"https://bore.example.org\"",
        "use only the name, such as `bore.example.org`",
        "port = 99999999",
        "use 1 to 65535",
        "remote_bind = \"foo\"",
    ] {
        assert!(said.contains(words), "{words:?} is missing: {said}");
    }
    assert!(said.contains("nexus.toml:"), "{said}");
    let (code, report) = doctor(&start);
    assert_eq!(code, 1);
    for (check, words) in [
        ("plugin.chat-opencode", "\"foo\""),
        ("plugin.tunnel-bore", "port = 99999999"),
        ("plugin.tunnel-ssh", "remote_bind = \"foo\""),
    ] {
        let finding = of(&report, check);
        assert!(finding.starts_with("fail") && finding.contains(words), "{finding}");
    }

    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    let look = async || owner.get("/status").await.text().await.unwrap();
    let page = wait::seen_async("the page says what does not run", look, |page| {
        page.contains("Not running")
    })
    .await;
    assert!(page.contains("foo") && page.contains("To fix:"), "{page}");
    let chat = owner.get("/").await.text().await.unwrap();
    assert!(
        chat.contains("is not running") && chat.contains("foo") && !chat.contains("action=\"/install\""),
        "to install it helps nobody: {chat}"
    );
    let run = |args: &[&str]| {
        let output = start.run(args, &[], "");
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    };
    let status = run(&["status"]);
    assert!(status.contains("not running") && status.contains("foo"), "{status}");
    let log = run(&["logs", "--level", "error"]);
    assert!(log.contains("cannot use its settings") && log.contains("foo"), "{log}");
    let opened = run(&["tunnel", "start", "home"]);
    assert!(opened.contains("`port` is 99999999"), "{opened}");
    stop(nexus);
}

#[test]
fn a_tunnel_without_tls_that_nobody_allowed_is_reported_before_it_is_opened() {
    let start = Start::new().config(format!(
        "{ECHO}[tunnel.home]\nplugin = \"tunnel-bore\"\n[tunnel.open]\nplugin = \"tunnel-bore\"\nallow_plaintext = true\n"
    ));
    let check = start.run(&["config", "check"], &[], "");
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert_eq!(check.status.code(), Some(2), "{said}");
    assert!(
        said.contains("set `allow_plaintext = true` in the existing table [tunnel.home] in ")
            && !said.contains("[tunnel.open]"),
        "{said}"
    );
    let finding = of(&doctor(&start).1, "tunnel.home");
    assert!(
        finding.starts_with("fail") && finding.contains("has no TLS"),
        "{finding}"
    );
}

/// An example is in: whoever looks only at the terminal learns so too, and what to do.
#[test]
fn a_missing_backend_is_reported_by_status_and_log() {
    let start = Start::new().config(
        "[web]\nlisten = \"127.0.0.1:0\"\n[plugin.chat-opencode.grants.process.opencode]\npath = \"/nowhere/opencode\"\n",
    );
    let nexus = start.up();
    let said = |args: &[&str]| String::from_utf8_lossy(&start.run(args, &[], "").stdout).into_owned();
    wait::seen(
        "the status says what is missing",
        || said(&["status"]),
        |status| {
            let told = status.contains("opencode is not installed") && status.contains("nexus setup opencode");
            told && status.contains("/nowhere/opencode") && status.contains("an example")
        },
    );
    let log = said(&["logs"]);
    assert!(
        log.contains("opencode is not installed")
            && log.contains("/nowhere/opencode")
            && log.contains("nexus setup opencode"),
        "{log}"
    );
    stop(nexus);
}

#[test]
#[ignore = "needs the real opencode: ./tests/run"]
fn the_real_opencode_is_found_with_its_version() {
    let opencode = nexus_tests::part("NEXUS_TEST_OPENCODE");
    let start = Start::new().config(format!(
        "[web]\nlisten = \"127.0.0.1:0\"\n[plugin.chat-opencode.grants.process.opencode]\npath = {opencode:?}\n"
    ));
    let (code, report) = doctor(&start);
    let found = of(&report, "plugin.chat-opencode");
    assert_eq!(code, 0, "{report:#}");
    assert!(
        found.starts_with("ok") && found.contains(nexus_tests::opencode::VERSION) && found.contains("node_modules"),
        "{found}"
    );
}

/// By a wrong `rm`, say, of a person or of the agent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_removed_while_nexus_runs_is_reported_until_it_is_back() {
    let start = Start::new().config(ECHO);
    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    let data = start.data_dir();
    let (here, away) = (data.join("nexus.db"), start.folder().join("away.db"));
    fs::rename(&here, &away).unwrap();
    let banner = async |wanted: bool| {
        let what = format!("that the database was moved away is on the page: {wanted}");
        let page = async || owner.get("/status").await.text().await.unwrap();
        wait::seen_async(&what, page, |page| {
            page.contains("was deleted or moved while Nexus is running") == wanted
        })
        .await;
    };
    banner(true).await;
    let (_, report) = doctor(&start);
    let finding = of(&report, "database");
    assert!(
        finding.starts_with("fail") && finding.contains("move nexus.db back"),
        "{finding}"
    );
    let status = start.run(&["status"], &[], "");
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(said.contains("changes are not being saved"), "{said}");
    fs::rename(&away, &here).unwrap();
    banner(false).await;
    assert_eq!(of(&doctor(&start).1, "database").split(':').next(), Some("ok"));

    fs::remove_file(data.join("control.sock")).unwrap();
    let status = start.run(&["status"], &[], "");
    let why = String::from_utf8_lossy(&status.stderr).into_owned();
    assert!(
        why.contains(&format!("as process {}", nexus.pid())) && why.contains("control socket"),
        "{why}"
    );
    let finding = of(&doctor(&start).1, "control");
    assert!(
        finding.starts_with("fail") && finding.contains(&nexus.pid().to_string()),
        "{finding}"
    );
    stop(nexus);
}
