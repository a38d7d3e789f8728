#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

fn utterance(message: &str, client_id: Option<&str>, sizes: &[u64]) -> Utterance {
    let file = |(at, size): (usize, &u64)| Attachment {
        id: Some(format!("{message}-{at}")),
        mime: "image/png".to_owned(),
        name: None,
        size: Some(*size),
    };
    Utterance {
        message: message.to_owned(),
        role: if client_id.is_some() {
            Role::User
        } else {
            Role::Assistant
        },
        client_id: client_id.map(str::to_owned),
        text: message.to_owned(),
        attachments: sizes.iter().enumerate().map(file).collect(),
        created_at: 0,
    }
}

fn spoken(role: Role, text: &str, files: Vec<File>) -> Spoken {
    Spoken {
        role,
        text: text.to_owned(),
        files,
    }
}

fn settings(system_prompt: &str) -> Settings {
    let mut authored = crate::settings::tests::authored("http://localhost/v1");
    authored.system_prompt = system_prompt.to_owned();
    authored.parameters = [("temperature".to_owned(), "0".to_owned())].into();
    authored.try_into().unwrap()
}

#[test]
fn what_came_after_the_prompt_is_not_part_of_its_turn() {
    let all = || {
        vec![
            utterance("u1", Some("c1"), &[]),
            utterance("a1", None, &[]),
            utterance("u2", Some("c2"), &[]),
            utterance("half", None, &[]),
        ]
    };
    let names = |all: Vec<Utterance>| all.into_iter().map(|u| u.message).collect::<Vec<_>>();
    assert_eq!(names(until(all(), "c2")), ["u1", "a1", "u2"]);
    assert_eq!(names(until(all(), "c1")), ["u1"]);
    assert_eq!(names(until(all(), "gone")).len(), 4);
}

#[test]
fn of_many_files_the_newest_are_read() {
    let all = [
        utterance("u1", Some("c1"), &[5]),
        utterance("u2", Some("c2"), &[4, 9, 3]),
    ];
    assert_eq!(wanted(&all, 7), [(1, 0), (1, 2)]);
    assert_eq!(wanted(&all, 100), [(1, 0), (1, 1), (1, 2), (0, 0)]);
    assert_eq!(wanted(&all, 0), []);
}

#[test]
fn a_chat_is_a_list_of_messages_with_the_system_prompt_first() {
    let chat = [
        spoken(Role::User, "one", Vec::new()),
        spoken(Role::User, "two", Vec::new()),
        spoken(Role::Assistant, "three", Vec::new()),
        spoken(Role::User, "four", Vec::new()),
    ];
    let body = body(&settings(" be short "), "m", &chat, true);
    assert_eq!(
        body,
        json!({
            "model": "m", "stream": true, "stream_options": {"include_usage": true}, "temperature": 0,
            "messages": [
                {"role": "system", "content": "be short"},
                {"role": "user", "content": "one\n\ntwo"},
                {"role": "assistant", "content": "three"},
                {"role": "user", "content": "four"},
            ],
        })
    );
    let plain = super::body(&settings(""), "m", &chat, false);
    assert_eq!(
        (plain["messages"].as_array().unwrap().len(), plain.get("stream_options")),
        (3, None)
    );
}

#[test]
fn files_stand_before_the_text_and_only_an_image_makes_parts() {
    let text = File::Text {
        name: "a.txt".to_owned(),
        text: "x".to_owned(),
    };
    let image = File::Image {
        mime: "image/png",
        data: vec![1],
    };
    let content = |files: Vec<File>| messages("", &[spoken(Role::User, "look", files)])[0]["content"].clone();
    assert_eq!(content(vec![text.clone()]), "The file a.txt:\n```\nx\n```\n\nlook");
    let parts = content(vec![image, text]);
    assert_eq!(parts[0]["image_url"]["url"], "data:image/png;base64,AQ==");
    assert_eq!(
        (parts[1]["type"].as_str(), parts[2]["text"].as_str()),
        (Some("text"), Some("look"))
    );
    let file = utterance("u", Some("c"), &[1]).attachments.remove(0);
    let gone = content(vec![missing(&file, "it is too old")]);
    assert_eq!(gone, "[The file without a name is not sent: it is too old]\n\nlook");
}
