//! What not every backend has: it is done where it is there, and refused in words where it is not.

use super::*;
use nexus_model::chat::{CommandCall, Feature, PromptOptions};

fn refused<T: std::fmt::Debug>(result: Result<T, ChatError>) -> String {
    match result {
        Err(ChatError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_fork_is_a_session_of_its_own_and_is_read() {
    let mut rig = rig();
    let _backend = rig.up().await;
    let made = rig.service.fork("s", Some("m2")).await.unwrap();
    assert_eq!(made.id, "s-fork");
    assert!(rig.service.knows("s-fork"));
    assert!(rig.backend.reads.lock().unwrap().contains(&"s-fork".to_owned()));
    assert_eq!(rig.backend.calls.lock().unwrap().last().unwrap(), "fork s m2");
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_back_is_no_longer_shown_and_comes_back() {
    let mut rig = rig();
    let _backend = rig.up().await;
    let message = |id: &str| {
        let message = Message {
            completed_at: Some(1),
            ..Message::new(id.to_owned(), Role::User, 1)
        };
        (message, Vec::new())
    };
    let has = |messages: Vec<(Message, Vec<Part>)>| {
        let mut snapshots = rig.backend.snapshots.lock().unwrap();
        snapshots.get_mut("s").unwrap().messages = messages;
    };
    has(vec![message("m1"), message("m2")]);
    rig.service.restore("s").await.unwrap();
    assert_eq!(rig.message_ids(), ["m1", "m2"]);
    has(vec![message("m1")]);
    let info = rig.service.revert("s", "m2").await.unwrap();
    assert_eq!(info.reverted.as_deref(), Some("m2"));
    assert_eq!(rig.message_ids(), ["m1"]);
    assert_eq!(rig.journal.now("s").info.unwrap().reverted.as_deref(), Some("m2"));
    has(vec![message("m1"), message("m2")]);
    assert_eq!(rig.service.restore("s").await.unwrap().reverted, None);
    assert_eq!(rig.message_ids(), ["m1", "m2"]);
}

#[tokio::test(start_paused = true)]
async fn an_archive_is_the_backends_or_the_hosts_and_never_nobodys() {
    let mut rig = rig();
    let _backend = rig.up().await;
    let archived = || rig.service.sessions().borrow()[0].info.archived;
    rig.service.set_archived("s", true).await.unwrap();
    assert!(archived());
    assert_eq!(rig.backend.calls.lock().unwrap().last().unwrap(), "archive s true");
    let without = |which: &[Feature]| {
        let mut features = rig.backend.features.lock().unwrap();
        features.retain(|known| !which.contains(known));
    };
    // Its own list would undo it.
    without(&[Feature::Archive]);
    refused(rig.service.set_archived("s", false).await);
    assert!(archived());
    without(&[Feature::Sessions]);
    rig.service.set_archived("s", false).await.unwrap();
    assert!(!archived());
}

#[tokio::test(start_paused = true)]
async fn what_a_backend_does_not_have_is_refused_and_not_lost() {
    let mut rig = rig();
    let _backend = rig.up().await;
    *rig.backend.features.lock().unwrap() = [Feature::Sessions, Feature::History].into();
    refused(rig.service.models(None).await);
    refused(rig.service.agents(None).await);
    refused(rig.service.commands(None).await);
    refused(rig.service.workspaces().await);
    refused(rig.service.search_files(None, "a", 5).await);
    refused(rig.service.list_folder(None, "").await);
    refused(rig.service.read_file(None, "a").await);
    refused(rig.service.find_lines(None, "a", 5).await);
    refused(rig.service.providers().await);
    refused(rig.service.sign_out("acme").await);
    refused(rig.service.fork("s", None).await);
    refused(rig.service.revert("s", "m").await);
    refused(rig.service.compact("s", None).await);
    refused(rig.service.attachment("s", "prt").await);
    let command = CommandCall {
        name: "review".to_owned(),
        arguments: String::new(),
    };
    let options = |options: PromptOptions| Prompt { options, ..prompt("c") };
    for lost in [
        options(PromptOptions {
            command: Some(command),
            ..PromptOptions::default()
        }),
        options(PromptOptions {
            files: vec!["src".to_owned()],
            ..PromptOptions::default()
        }),
        options(PromptOptions {
            model: Some("p/m".to_owned()),
            ..PromptOptions::default()
        }),
        options(PromptOptions {
            variant: Some("high".to_owned()),
            ..PromptOptions::default()
        }),
        options(PromptOptions {
            agent: Some("plan".to_owned()),
            ..PromptOptions::default()
        }),
    ] {
        refused(rig.service.prompt("s", lost, false).await);
    }
    assert!(rig.message_ids().is_empty() && rig.backend.prompts.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_command_is_shown_as_it_is_written_and_is_sent_as_one() {
    let mut rig = rig();
    let _backend = rig.up().await;
    let mut sent = prompt("c1");
    sent.text = String::new();
    sent.options.command = Some(CommandCall {
        name: "review".to_owned(),
        arguments: "HEAD~1".to_owned(),
    });
    assert_eq!(
        rig.service.prompt("s", sent.clone(), false).await,
        Ok(Admission::Admitted)
    );
    assert_eq!(rig.backend.prompts.lock().unwrap().clone(), [sent]);
    let state = rig.journal.now("s");
    let shown = state.messages[0].parts[0].content.clone();
    let text = "/review HEAD~1".to_owned();
    assert_eq!(shown, Content::Text { text });
}

#[tokio::test(start_paused = true)]
async fn only_a_folder_that_the_backend_lists_reaches_it() {
    let mut rig = rig();
    let _backend = rig.up().await;
    rig.service.models(None).await.unwrap();
    rig.service.models(Some("/other".to_owned())).await.unwrap();
    refused(rig.service.models(Some("/etc".to_owned())).await);
    let made = rig.service.create(Some("/other".to_owned()), None, None).await.unwrap();
    assert_eq!(made.workspace, "/other");
    refused(rig.service.create(Some("/etc".to_owned()), None, None).await);
    let calls = rig.backend.calls.lock().unwrap().clone();
    assert!(
        calls.contains(&"models /other".to_owned()) && !calls.iter().any(|call| call.contains("/etc")),
        "{calls:?}"
    );
    rig.backend.features.lock().unwrap().remove(&Feature::Workspaces);
    refused(rig.service.models(Some("/other".to_owned())).await);
}

#[tokio::test(start_paused = true)]
async fn what_the_backend_never_had_is_not_taken_back() {
    let mut rig = rig();
    let _backend = rig.running().await;
    let admitted = rig.service.prompt("s", prompt("waits"), false).await;
    assert_eq!(admitted, Ok(Admission::Admitted));
    let first = Event::Message {
        message: Message::new("m1".to_owned(), Role::User, 1),
    };
    rig.journal.journal.append("s", vec![first]).await.unwrap();
    rig.service.revert("s", "m1").await.unwrap();
    assert_eq!(rig.message_ids(), [pending_prompts::message_id("waits")]);
}

#[tokio::test(start_paused = true)]
async fn a_reading_from_before_a_change_is_done_again() {
    let mut rig = rig();
    let _backend = rig.up().await;
    let has = |messages: &[&str]| {
        let message = |id: &&str| {
            let message = Message {
                completed_at: Some(1),
                ..Message::new((*id).to_owned(), Role::User, 1)
            };
            (message, Vec::new())
        };
        let mut snapshots = rig.backend.snapshots.lock().unwrap();
        snapshots.get_mut("s").unwrap().messages = messages.iter().map(message).collect();
    };
    // A reading is on its way, and has the messages already.
    let held = rig.backend.gate.forget_permits(usize::MAX);
    has(&["m1"]);
    let before = rig.backend.reads.lock().unwrap().len();
    tokio::time::advance(limits::READ_AGAIN * 2).await;
    let reading = tokio::spawn(rig.service.opened("s"));
    settle().await;
    has(&["m1", "m2"]);
    let restored = tokio::spawn({
        let service = Arc::clone(&rig.service);
        async move { service.restore("s").await }
    });
    settle().await;
    rig.backend.gate.add_permits(held);
    restored.await.unwrap().unwrap();
    reading.await.unwrap();
    assert_eq!(rig.backend.reads.lock().unwrap().len(), before + 2);
    assert_eq!(rig.message_ids(), ["m1", "m2"]);
}

#[tokio::test(start_paused = true)]
async fn who_was_interrupted_goes_on() {
    let mut rig = rig();
    let backend = rig.running().await;
    let message = Message {
        agent: Some("plan".to_owned()),
        model: Some("acme/one".to_owned()),
        ..Message::new("m".to_owned(), Role::Assistant, 1)
    };
    backend.send(event("s", Event::Message { message })).await.unwrap();
    backend
        .send(event(
            "s",
            Event::Turn {
                turn: Turn::Interrupted,
            },
        ))
        .await
        .unwrap();
    settle().await;
    rig.service.continue_interrupted("s").await.unwrap();
    let sent = rig.backend.prompts.lock().unwrap().last().cloned().unwrap();
    assert_eq!(
        (sent.options.agent.as_deref(), sent.options.model.as_deref()),
        (Some("plan"), Some("acme/one"))
    );
}
