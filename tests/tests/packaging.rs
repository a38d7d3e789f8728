//! The files of `examples/service`, as far as they can be tried without being root: their meaning, and what the tools of
//! this machine say of them.

use nexus_tests::nexus::binary;
use nexus_tests::part;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn service(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples/service")
        .join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(service(name)).unwrap()
}

/// The values of a key, in order.
fn values(unit: &str, key: &str) -> Vec<String> {
    let lines = unit.lines().filter_map(|l| l.split_once('='));
    lines.filter(|(k, _)| *k == key).map(|(_, v)| v.to_owned()).collect()
}

#[test]
fn the_units_fit_what_nexus_does() {
    for name in ["nexus.service", "nexus-user.service"] {
        let unit = text(name);
        let one = |key| {
            let found = values(&unit, key);
            assert_eq!(found.len(), 1, "{name}: {key}");
            found[0].clone()
        };
        assert_eq!(one("Type"), "notify");
        // Nexus stops its programs itself, in 25 seconds, and one more for what hangs.
        assert_eq!(one("KillMode"), "mixed");
        assert!(one("TimeoutStopSec").parse::<u64>().unwrap() > 26 + 5, "{name}");
        assert_eq!(one("RestartPreventExitStatus"), "2");
        assert!(one("WatchdogSec").parse::<u64>().unwrap() >= 10);
        assert_eq!(one("NoNewPrivileges"), "yes");
        // Compiled plugins and JavaScript would not run.
        assert!(values(&unit, "MemoryDenyWriteExecute").is_empty(), "{name}");
        // The command line is one that this Nexus knows.
        let start = one("ExecStart");
        let words = start.split(' ').skip(1).chain(["--help"]);
        let output = Command::new(binary()).args(words).output().unwrap();
        assert!(output.status.success(), "{start}: {output:?}");
    }
    // The agent's folder is not the one of the data.
    let unit = text("nexus.service");
    let start = values(&unit, "ExecStart").remove(0);
    let (_, data) = start.split_once("--data-dir ").unwrap();
    let work = values(&unit, "WorkingDirectory").remove(0);
    assert!(!data.starts_with(&work) && !work.starts_with(data), "{data} {work}");
}

#[test]
#[ignore = "needs systemd-analyze: ./tests/run"]
fn systemd_itself_finds_nothing_to_complain_about() {
    let analyze = part("NEXUS_TEST_SYSTEMD_ANALYZE");
    let dir = tempfile::tempdir().unwrap();
    for (name, more) in [("nexus.service", &[][..]), ("nexus-user.service", &["--user"])] {
        // It looks for the program, which is elsewhere here.
        let unit = text(name);
        let program = unit.lines().find_map(|l| l.strip_prefix("ExecStart=")).unwrap();
        let program = program.split(' ').next().unwrap();
        let unit = unit.replace(program, binary().canonicalize().unwrap().to_str().unwrap());
        let file = dir.path().join(name);
        fs::write(&file, unit).unwrap();
        let output = Command::new(&analyze)
            .arg("verify")
            .args(more)
            .arg(&file)
            .env("XDG_RUNTIME_DIR", dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Other units of the machine are none of ours.
        assert!(output.status.success() && !said.contains(name), "{said}");
    }
}

#[test]
#[ignore = "needs Python: ./tests/run"]
fn the_property_list_is_one() {
    let plist = "com.github.nexus-host.nexus.plist";
    assert!(
        !text(plist).contains("<key>StandardErrorPath"),
        "it would keep the set-up link"
    );
    let program = "import plistlib, sys; p = plistlib.load(open(sys.argv[1], 'rb')); \
                   print(p['Label'], p['ProgramArguments'][1:], p['KeepAlive'], p['ExitTimeOut'], oct(p['Umask']))";
    let output = Command::new(part("NEXUS_TEST_PYTHON"))
        .args(["-c", program])
        .arg(service(plist))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().trim(),
        "com.github.nexus-host.nexus ['up'] {'SuccessfulExit': False} 40 0o77"
    );
}

#[test]
fn the_container_is_not_root_holds_no_secret_and_starts_with_a_valid_configuration() {
    let file = text("Containerfile");
    let last = |word: &str| file.lines().rfind(|l| l.starts_with(word)).unwrap().to_owned();
    assert!(last("USER ").starts_with("USER 10001"), "{file}");
    assert!(
        !file.lines().any(|l| l.starts_with("ENV ") || l.starts_with("ARG ")),
        "{file}"
    );
    // What is copied from here is here.
    for line in file.lines().filter(|l| l.starts_with("COPY ") && !l.contains("--from")) {
        let from = line.split(' ').nth(1).unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(from);
        assert!(path.exists(), "{line}");
    }
    let data = tempfile::tempdir().unwrap();
    let output = Command::new(binary())
        .args(["config", "check"])
        .arg(service("container.toml"))
        .arg("--data-dir")
        .arg(data.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
