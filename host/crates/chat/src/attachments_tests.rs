use super::*;
use crate::fakes::{rig, settle};
use nexus_model::chat::{Admission, Content, Event, Feature, Turn};
use nexus_plugin_traits::{TranscriptError, Transcripts as _};
use nexus_testkit::fake_chat::event;

fn picture(bytes: usize) -> FileContent {
    FileContent {
        mime: "image/png".to_owned(),
        data: vec![7; bytes],
    }
}

fn prompt(client_id: &str, attachments: Vec<Attachment>) -> Prompt {
    Prompt {
        client_id: client_id.to_owned(),
        text: "Look".to_owned(),
        attachments,
        ..Prompt::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_is_kept_shown_and_handed_over_with_its_prompt() {
    let mut rig = rig();
    let _backend = rig.up().await;
    let kept = rig.service.upload("s", "a.png", picture(3)).await.unwrap();
    let id = kept.id.clone().unwrap();
    assert_eq!((kept.name.as_deref(), kept.size), (Some("a.png"), Some(3)));
    let named = vec![Attachment::with_id(id.clone())];
    let admitted = rig.service.prompt("s", prompt("c1", named), false).await;
    assert_eq!(admitted, Ok(Admission::Admitted));
    let handed = rig.backend.attachments.lock().unwrap().clone();
    assert_eq!(handed.len(), 1);
    assert_eq!((handed[0].name.as_str(), &handed[0].content), ("a.png", &picture(3)));
    let state = rig.service.state("s").await.unwrap();
    let shown = state.messages[0]
        .parts
        .iter()
        .any(|part| part.content == Content::Attachment(kept.clone()));
    assert!(shown, "{state:?}");
    assert_eq!(rig.service.attachment("s", &id).await, Ok(picture(3)));
    // The backend that keeps no history has it again, and no other one.
    let (journal, plugin) = (&rig.journal.journal, rig.service.plugin());
    let utterances = journal.read(&plugin, "s", None, 1).await.unwrap();
    assert_eq!(utterances[0].attachments, std::slice::from_ref(&kept));
    assert_eq!(utterances[0].client_id.as_deref(), Some("c1"));
    assert_eq!(journal.attachment(&plugin, "s", &id).await, Ok(picture(3)));
    for (plugin, session, id) in [
        ("another", "s", id.as_str()),
        (&plugin, "t", &id),
        (&plugin, "s", "upload-0"),
    ] {
        let none = journal.attachment(plugin, session, id).await;
        assert!(matches!(none, Err(TranscriptError::NotFound(_))), "{none:?}");
    }
    // Of another session it is not there, and it goes with its own.
    rig.backend
        .has(nexus_testkit::fake_chat::session_snapshot("t", Turn::Idle));
    assert!(matches!(
        rig.service.attachment("t", &id).await,
        Err(ChatError::NotFound(_))
    ));
    rig.service.delete("s").await.unwrap();
    assert!(matches!(
        rig.service.attachment("s", &id).await,
        Err(ChatError::NotFound(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_waits_keeps_its_files_and_options_for_its_owner() {
    let mut rig = rig();
    let backend = rig.running().await;
    let kept = rig.service.upload("s", "a.png", picture(3)).await.unwrap();
    let mut waits = prompt("c1", vec![kept]);
    waits.options.model = Some("p/m".to_owned());
    waits.options.files = vec!["src".to_owned()];
    assert_eq!(
        rig.service.prompt("s", waits.clone(), false).await,
        Ok(Admission::Admitted)
    );
    assert!(rig.backend.prompts.lock().unwrap().is_empty());
    // It becomes its owner's, whose client sends no more than the id.
    rig.service.cancel("s").await.unwrap();
    backend
        .send(event("s", Event::Turn { turn: Turn::Idle }))
        .await
        .unwrap();
    settle().await;
    let again = Prompt {
        client_id: "c1".to_owned(),
        text: "Look".to_owned(),
        ..Prompt::default()
    };
    assert_eq!(rig.service.prompt("s", again, true).await, Ok(Admission::Admitted));
    assert_eq!(rig.backend.prompts.lock().unwrap().clone(), [waits]);
    assert_eq!(rig.backend.attachments.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn files_have_bounds() {
    let mut rig = rig();
    let _backend = rig.up().await;
    let most = limits::PROMPT_ATTACHMENTS_BYTES;
    assert!(matches!(
        rig.service.upload("s", "a", picture(most + 1)).await,
        Err(ChatError::Refused(_))
    ));
    let half = rig.service.upload("s", "a", picture(most / 2 + 1)).await.unwrap();
    let other = rig.service.upload("s", "b", picture(most / 2 + 1)).await.unwrap();
    let sent = async |attachments| rig.service.prompt("s", prompt("c1", attachments), false).await;
    assert!(matches!(
        sent(vec![half.clone(), other]).await,
        Err(ChatError::Refused(_))
    ));
    let many = vec![half.clone(); limits::PROMPT_ATTACHMENTS + 1];
    assert!(matches!(sent(many).await, Err(ChatError::Refused(_))));
    let gone = sent(vec![Attachment::with_id("upload-0".to_owned())]).await;
    assert!(matches!(gone, Err(ChatError::NotFound(_))));
    assert!(rig.message_ids().is_empty());
    assert_eq!(sent(vec![half]).await, Ok(Admission::Admitted));
    // A backend that takes none.
    rig.backend.features.lock().unwrap().remove(&Feature::Attachments);
    assert!(matches!(
        rig.service.upload("s", "a", picture(1)).await,
        Err(ChatError::Refused(_))
    ));
}

#[tokio::test]
async fn the_oldest_files_go_where_all_take_too_much() {
    let rig = rig();
    let store = rig.journal.journal.store().clone();
    let each = limits::ATTACHMENTS_BYTES / 2;
    let file = |n: u64| Attachment {
        id: Some(format!("upload-{n}")),
        mime: "text/plain".to_owned(),
        name: Some("a".to_owned()),
        // The size that is stored decides: no test writes half a gigabyte.
        size: Some(each),
    };
    for n in 1..=3 {
        add(&store, "s", &file(n), vec![1], n).await.unwrap();
    }
    let mut left = Vec::new();
    for n in 1..=3 {
        left.push(described(&store, "s", &format!("upload-{n}")).await.unwrap().is_some());
    }
    assert_eq!(left, [false, true, true]);
}
