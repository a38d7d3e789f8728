//! The examples of `docs/api.md`, run as they are written there.

use crate::optional_interfaces::PNG;
use nexus_tests::llm::Llm;
use nexus_tests::nexus::Start;
use nexus_tests::tunnels::stop;
use nexus_tests::wait;
use nexus_tests::world::{self, World};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The shell blocks between two headings of the document, one after the other.
fn examples(from: &str, to: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
    let text = fs::read_to_string(file).unwrap();
    let (_, rest) = text.split_once(&format!("\n## {from}\n")).unwrap();
    let (part, _) = rest.split_once(&format!("\n## {to}\n")).unwrap();
    let blocks = part.split("```sh\n").skip(1);
    blocks.map(|rest| rest.split_once("```").unwrap().0).collect()
}

/// Runs a script in the data folder: what it printed. Its first failing command ends it.
fn shell(data: &Path, script: &str) -> String {
    let output = Command::new("sh")
        .args(["-euc", script])
        .current_dir(data)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{script}\n--\n{said}\n--\n{errors}");
    said
}

#[test]
#[ignore = "needs curl and jq: ./tests/run"]
fn the_script_gets_an_answer_from_the_example() {
    let start = Start::new().config("[chat.main]\nplugin = \"chat-echo\"\n[plugin.chat-echo.config]\npause = 1\n");
    let nexus = start.up();
    let up = || start.run(&["status"], &[], "").stdout;
    wait::seen("the backend is up", up, |said| {
        String::from_utf8_lossy(said).contains("running")
    });
    let script = examples("A prompt from a script", "Sending more than a text");
    let said = shell(&start.data_dir(), &script);
    assert_eq!(said.matches("Which tests fail?").count(), 1, "{said}");
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode, curl and jq: ./tests/run"]
async fn each_example_works_with_opencode_and_what_it_asks_for_is_rejected() {
    let llm = Llm::start().await;
    let (start, opencode) = world::start(&llm, "");
    let (data, project) = (start.data_dir(), &opencode.project);
    fs::create_dir(project.join("src")).unwrap();
    fs::write(project.join("src/main.rs"), "fn main() {}\n").unwrap();
    let world = World::of(llm, start, opencode).await;
    fs::write(data.join("shot.png"), PNG).unwrap();
    let asks = r#"[[tool name=bash args={"command":"touch ran","description":"x"}]]"#;
    let script = examples("A prompt from a script", "From elsewhere")
        .replace("Which tests fail?", &asks.replace('"', "\\\""))
        .replace("PROVIDER/MODEL", "stand-in/stand-in-2");
    let said = tokio::task::spawn_blocking(move || shell(&data, &script))
        .await
        .unwrap();
    for line in [
        "stand-in/stand-in-2 ",
        "plan",
        "review",
        "src/main.rs",
        "fn main() {}",
        "src/main.rs:1",
    ] {
        assert!(said.lines().any(|found| found.starts_with(line)), "{line}:\n{said}");
    }
    assert!(!world.opencode.project.join("ran").exists());
    // They wait for each other.
    let asked = || world.llm.seen.requests.lock().unwrap().clone();
    let all = wait::seen_async(
        "the last prompt has arrived",
        async || asked(),
        |all| {
            all.iter()
                .any(|request| request.to_string().contains("What is wrong here?"))
        },
    )
    .await;
    let all = serde_json::Value::from(all).to_string();
    for words in [
        "Nobody is here to ask.",
        "What does this do?",
        "the last commit",
        "fn main() {}",
    ] {
        assert!(all.contains(words), "{words}");
    }
}
