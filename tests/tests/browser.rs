//! The page in a real Chromium: the scripts of `tests/browser` do what a person does, here is the world they do it in.

use nexus_tests::bore::Server;
use nexus_tests::nexus::Nexus;
use nexus_tests::{llm::Llm, part, processes, script, world};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Where opencode is not, until the script asks for it.
fn absent(folder: &Path) -> PathBuf {
    folder.join("absent/opencode")
}

/// Runs a script to its end. It asks for a kill with a line `@kill TEXT`, and for what was missing with
/// `@opencode appears`.
fn run(name: &str, nexus: &mut Nexus) {
    let world = json!({"url": nexus.url, "setup": format!("{}/setup#{}", nexus.url, nexus.setup_token())});
    script::run(name, world, |asked| match asked.strip_prefix("kill ") {
        Some(text) => {
            let pid = nexus.find_process(text).unwrap_or_else(|| panic!("no process {text}"));
            assert!(processes::signal(pid, libc::SIGKILL));
        }
        None => {
            assert_eq!(asked, "opencode appears");
            let absent = absent(nexus.folder());
            std::fs::create_dir_all(absent.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(part("NEXUS_TEST_OPENCODE"), absent).unwrap();
        }
    });
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
