//! The page in a real Chromium: the scripts of `tests/browser` do what a person does, here is the world they do it in.

use nexus_tests::bore::Server;
use nexus_tests::nexus::Nexus;
use nexus_tests::{llm::Llm, part, processes, world};
use serde_json::json;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where opencode is not, until the script asks for it.
fn absent(folder: &Path) -> PathBuf {
    folder.join("absent/opencode")
}

/// Runs `tests/browser/NAME.mjs` to its end. It asks for a kill with a line `@kill TEXT`, and for what was missing with
/// `@opencode appears`.
fn run(name: &str, nexus: &mut Nexus) {
    let own = tempfile::tempdir().unwrap();
    let shots = std::env::var_os("NEXUS_TEST_SCREENSHOTS").map_or_else(|| own.path().to_owned(), PathBuf::from);
    let world = json!({
        "name": name, "url": nexus.url, "setup": format!("{}/setup#{}", nexus.url, nexus.setup_token()),
        "shots": shots, "chromium": part("NEXUS_TEST_CHROMIUM"),
    });
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("browser/{name}.mjs"));
    let mut child = Command::new(part("NEXUS_TEST_NODE"))
        .arg(script)
        .env("NEXUS_BROWSER_TEST", world.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        match line.strip_prefix("@kill ") {
            Some(text) => {
                let pid = nexus.find_process(text).unwrap_or_else(|| panic!("no process {text}"));
                assert!(processes::signal(pid, libc::SIGKILL));
            }
            None if line == "@opencode appears" => {
                let absent = absent(nexus.folder());
                std::fs::create_dir_all(absent.parent().unwrap()).unwrap();
                std::os::unix::fs::symlink(part("NEXUS_TEST_OPENCODE"), absent).unwrap();
            }
            None => println!("{line}"),
        }
    }
    assert!(child.wait().unwrap().success(), "{name}.mjs failed; see above");
}

async fn with_everything(name: &'static str) {
    let llm = Llm::start().await;
    let bore = Server::start(None);
    let (start, _opencode) = world::start(&llm, &bore.tunnel(""));
    let nexus = start.up();
    in_thread(name, nexus).await;
}

/// Off the runtime's threads, because the model's stand-in runs there.
async fn in_thread(name: &'static str, mut nexus: Nexus) {
    let done = tokio::task::spawn_blocking(move || run(name, &mut nexus)).await;
    if let Err(error) = done {
        std::panic::resume_unwind(error.into_panic());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs chromium, the real opencode and bore: ./tests/run"]
async fn a_person_does_the_first_use() {
    with_everything("first-use").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs chromium, the real opencode and bore: ./tests/run"]
async fn the_first_use_needs_no_mouse() {
    with_everything("keyboard").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs chromium and the real opencode: ./tests/run"]
async fn what_is_approved_is_what_was_read() {
    let llm = Llm::start().await;
    let (start, _opencode) = world::start(&llm, "");
    in_thread("requests", start.up()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs chromium and the real opencode: ./tests/run"]
async fn each_thing_in_a_conversation_has_its_picture() {
    let llm = Llm::start().await;
    let (start, _opencode) = world::start(&llm, "");
    in_thread("drawing", start.up()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs chromium and the real opencode: ./tests/run"]
async fn without_opencode_the_page_shows_an_example_and_says_so() {
    let llm = Llm::start().await;
    let (start, opencode) = world::start(&llm, "");
    let absent = absent(start.folder());
    let config = format!(
        "[chat.main]\nplugin = \"chat-opencode\"\nworkspace = {:?}\n\
         [plugin.chat-opencode.grants.process.opencode]\npath = {absent:?}\ninherit_env = true\n",
        opencode.project
    );
    in_thread("missing", start.config(config).up()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs chromium and the real opencode: ./tests/run"]
async fn nothing_goes_to_a_hosted_model_before_the_owner_agrees() {
    let llm = Llm::start().await;
    let (start, opencode) = world::start(&llm, "");
    // As it is after its installation: no model of one's own.
    std::fs::write(start.folder().join("opencode.json"), "{}").unwrap();
    assert!(
        opencode
            .env
            .iter()
            .any(|(name, value)| name == "OPENCODE_CONFIG" && value.ends_with("/opencode.json"))
    );
    in_thread("consent", start.up()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs chromium and the real opencode: ./tests/run"]
async fn a_prompt_is_never_lost_and_says_what_it_waits_for() {
    let llm = Llm::start().await;
    let (start, _opencode) = world::start(&llm, "");
    in_thread("prompts", start.up()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs chromium and the real opencode: ./tests/run"]
async fn each_state_of_a_message_has_its_picture() {
    let llm = Llm::start().await;
    let (start, _opencode) = world::start(&llm, "");
    in_thread("states", start.up()).await;
}
