//! Backups of the real binary: taken while it runs, put back elsewhere.

use nexus_tests::browser::{ACCOUNT, Browser, PASSWORD};
use nexus_tests::nexus::{Nexus, Start};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::time::Duration;

const ECHO: &str = "[chat.main]\nplugin = \"chat-echo\"\n";
const BOUND: Duration = Duration::from_secs(30);

fn stop(mut nexus: Nexus) {
    let exit = nexus.terminate(BOUND);
    assert_eq!(exit.and_then(|e| e.code()), Some(0), "{}", nexus.output());
    assert!(nexus.survivors().is_empty());
}

/// (exit code, both streams)
fn outcome(output: &Output) -> (Option<i32>, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_running_nexus_comes_back_elsewhere_with_its_accounts_and_without_its_logins() {
    let start = Start::new().config(ECHO);
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    assert_eq!(browser.get("/").await.status(), 200);
    let file = start.folder().join("b.tar.gz");
    let name = file.to_str().unwrap();
    let (code, output) = outcome(&start.run(&["backup"], &[name], ""));
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("It does not contain the configuration"), "{output}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let (code, output) = outcome(&start.run(&["backup"], &[name], ""));
    assert_eq!((code, output.contains("already exists")), (Some(1), true), "{output}");
    // Not under a Nexus that runs, and not over data.
    for force in [&[name][..], &[name, "--force"]] {
        let (code, output) = outcome(&start.run(&["restore"], force, ""));
        assert_eq!(code, Some(1), "{output}");
        assert!(
            output.contains(&nexus.url),
            "it does not name the running one: {output}"
        );
    }
    let health: serde_json::Value = browser.get("/healthz").await.json().await.unwrap();
    assert_eq!(health["status"], "ok");
    stop(nexus);
    let (code, output) = outcome(&start.run(&["restore"], &[name], ""));
    assert_eq!((code, output.contains("--force")), (Some(1), true), "{output}");

    let elsewhere = Start::new().config(ECHO);
    let (code, output) = outcome(&elsewhere.run(&["restore"], &[name], ""));
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("log in again"), "{output}");
    let restored = elsewhere.up();
    assert!(
        !restored.output().contains("/setup#"),
        "the owner is there: {}",
        restored.output()
    );
    // The cookie from before the backup opens nothing; the password does.
    let old = browser.at(&restored.url);
    assert!(old.get("/").await.status().is_redirection(), "a login came back");
    let new = Browser::new(&restored.url);
    assert!(!new.log_in(ACCOUNT, "another password").await.status().is_redirection());
    assert!(new.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());
    assert_eq!(new.get("/").await.status(), 200);
    stop(restored);

    // Over data, which is kept, and is a whole data folder's database itself.
    let (code, output) = outcome(&elsewhere.run(&["restore"], &[name, "--force"], ""));
    assert_eq!(code, Some(0), "{output}");
    let before = fs::read_dir(elsewhere.data_dir()).unwrap().flatten();
    let before: Vec<_> = before
        .filter(|e| e.file_name().to_string_lossy().starts_with("before-restore-"))
        .collect();
    assert_eq!(before.len(), 1);
    assert!(before[0].path().join("nexus.db").exists());
    stop(elsewhere.up());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_constant_writes_ends_and_is_whole() {
    let start = Start::new().config(ECHO);
    let nexus = start.up();
    Browser::set_up(&nexus).await;
    let url = nexus.url.clone();
    let (enough, stopped) = tokio::sync::oneshot::channel::<()>();
    // A wrong password is a write each.
    let writes = tokio::spawn(async move {
        let mut stopped = stopped;
        let mut count = 0;
        while stopped.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty) {
            Browser::new(&url).log_in(&format!("nobody{count}"), "wrong").await;
            count += 1;
        }
        count
    });
    let mut files = Vec::new();
    for number in 0..5 {
        let file = start.folder().join(format!("{number}.tar.gz"));
        let (code, output) = outcome(&start.run(&["backup"], &[file.to_str().unwrap()], ""));
        assert_eq!(code, Some(0), "{output}");
        files.push(file);
    }
    enough.send(()).unwrap();
    assert!(writes.await.unwrap() > 0);
    stop(nexus);
    for file in files {
        let place = Start::new().config(ECHO);
        let (code, output) = outcome(&place.run(&["restore"], &[file.to_str().unwrap()], ""));
        assert_eq!(code, Some(0), "{output}");
        let (code, output) = outcome(&place.run(&["user"], &["list"], ""));
        assert_eq!((code, output.contains(ACCOUNT)), (Some(0), true), "{output}");
    }
}
