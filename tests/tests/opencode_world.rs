//! The world that the tests lay out for the real opencode keeps it on this machine and lets it answer.

use nexus_tests::llm::Llm;
use nexus_tests::opencode::{Opencode, VERSION};
use nexus_tests::wait;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn the_real_opencode_answers_from_the_stand_in() {
    let llm = Llm::start().await;
    let dir = tempfile::tempdir().unwrap();
    let world = Opencode::prepare(dir.path(), &llm.url());
    let run = |args: &[&str]| {
        let mut command = Command::new(&world.binary);
        command
            .args(args)
            .current_dir(&world.project)
            .envs(world.env.iter().map(|(n, v)| (n, v)));
        command.stdin(std::process::Stdio::null()).kill_on_drop(true);
        async move { wait::within("opencode ends", command.output()).await.unwrap() }
    };
    let version = run(&["--version"]).await;
    assert_eq!(String::from_utf8_lossy(&version.stdout).trim(), VERSION);
    let said = run(&["run", "[[say the stand-in spoke]]"]).await;
    let out = String::from_utf8_lossy(&said.stdout);
    assert!(
        out.contains("the stand-in spoke"),
        "{out}\n{}",
        String::from_utf8_lossy(&said.stderr)
    );
    assert!(llm.requests() >= 1);
}
