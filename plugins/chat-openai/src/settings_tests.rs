#![allow(clippy::unwrap_used)]

use super::*;

pub(crate) fn authored(base_url: &str) -> Authored {
    Authored {
        base_url: base_url.to_owned(),
        model: None,
        system_prompt: String::new(),
        parameters: BTreeMap::new(),
        timeout: 300,
    }
}

fn with(parameters: &[(&str, &str)]) -> Result<Settings, Failure> {
    let parameters = parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Authored {
        parameters: parameters.collect(),
        ..authored("http://localhost:1/v1")
    }
    .try_into()
}

#[test]
fn an_address_is_read_with_its_host() {
    for (text, host, models) in [
        (
            "https://api.openai.com/v1",
            "api.openai.com",
            "https://api.openai.com/v1/models",
        ),
        (
            "http://127.0.0.1:11434/v1/",
            "127.0.0.1",
            "http://127.0.0.1:11434/v1/models",
        ),
        ("http://[::1]:8080", "[::1]", "http://[::1]:8080/models"),
        ("http://[::1]", "[::1]", "http://[::1]/models"),
        (
            "https://Openrouter.ai/api/v1",
            "openrouter.ai",
            "https://Openrouter.ai/api/v1/models",
        ),
    ] {
        let server = Server::parse(text).unwrap();
        assert_eq!(
            (server.host.as_str(), server.url("/models")),
            (host, models.to_owned()),
            "{text}"
        );
        let id = server.model_id("meta/llama");
        assert_eq!(id, format!("{host}/meta/llama"));
        assert_eq!(server.model_name(&id), "meta/llama");
        assert_eq!(server.model_name("meta/llama"), "meta/llama");
    }
}

#[test]
fn what_is_no_address_of_an_api_is_refused_with_a_fix() {
    for (text, why) in [
        ("", "does not begin"),
        ("127.0.0.1:11434", "does not begin"),
        ("ftp://a/v1", "does not begin"),
        ("http:///v1", "has no host"),
        ("http://:80/v1", "has no host"),
        ("http://a b/v1", "characters"),
        ("http://{config:x}/v1", "characters"),
        ("https://me:key@a.example/v1", "has a user name or a key"),
        ("https://a.example/v1?key=1", "has a query"),
        ("https://a.example/v1/chat/completions/", "one function"),
    ] {
        let failure = Server::parse(text).unwrap_err();
        assert!(
            failure.message.starts_with("`base_url` is") && failure.message.contains(why),
            "{text}: {}",
            failure.message
        );
        assert!(failure.hint.is_some());
    }
}

#[test]
fn parameters_are_json_or_text_and_the_plugins_own_are_refused() {
    let settings = with(&[
        ("temperature", "0.2"),
        ("stop", "[\"END\"]"),
        ("reasoning_effort", "low"),
    ])
    .unwrap();
    assert_eq!(
        Value::Object(settings.parameters),
        serde_json::json!({"reasoning_effort": "low", "stop": ["END"], "temperature": 0.2})
    );
    for (name, value, why) in [
        ("temperature", "warm", "not a number"),
        ("max_tokens", "\"4\"", "not a number"),
        ("stream", "false", "sets or leaves out itself"),
        ("model", "x", "sets or leaves out itself"),
    ] {
        let failure = with(&[(name, value)]).unwrap_err();
        assert!(
            failure.message.starts_with("`parameters` has") && failure.message.contains(why),
            "{}",
            failure.message
        );
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let wrong = Authored {
        model: Some(" ".to_owned()),
        timeout: 0,
        ..authored("nowhere")
    };
    assert_eq!(wrong.failures(true).len(), 3);
    assert!(authored("https://api.openai.com/v1").failures(true).is_empty());
    let missing = authored("https://api.openai.com/v1").failures(false);
    assert!(missing.first().unwrap().message.starts_with("`api_key` is not set"));
    assert!(authored("http://localhost:11434/v1").failures(false).is_empty());
    for seconds in [-1, 0, 86_401] {
        assert!(timeout(seconds).is_err(), "{seconds}");
    }
    assert_eq!(timeout(60).unwrap(), 60_000);
}
