use super::*;
use crate::capabilities::Mask;

fn model(id: &str) -> wit_models::Model {
    wit_models::Model {
        id: id.to_owned(),
        title: "A\u{202e}".to_owned(),
        provider: "P\n".to_owned(),
        variants: vec!["high".to_owned(), String::new()],
        reads: None,
        context_tokens: Some(u64::MAX),
        input_price: Some(f64::NAN),
        output_price: Some(3.0),
        ext: Vec::new(),
    }
}

#[test]
fn what_is_offered_is_cleaned_and_bounded_and_what_cannot_be_given_back_is_left_out() {
    let mask = Mask::default();
    let by = Speaker::new("chat-test", &mask);
    let mut all: Vec<_> = (0..3_000).map(|n| model(&format!("p/{n}"))).collect();
    all.insert(1, model("p/\u{1b}"));
    let list = wit_models::ModelList {
        models: all,
        default: Some(String::new()),
    };
    let read = models(list, &by);
    assert_eq!(read.models.len(), limits::MODELS - 1);
    assert_eq!(read.default, None);
    let left_out = by.left_out();
    let [models, variants] = left_out.as_slice() else {
        panic!("{left_out:?}");
    };
    assert!(models.starts_with("1 models: "), "{models}");
    assert!(
        variants.starts_with(&format!("{} variants of a model: ", limits::MODELS - 1)),
        "{variants}"
    );
    let first = &read.models[0];
    assert_eq!((first.title.as_str(), first.provider.as_str()), ("A⟨U+202E⟩", "P "));
    assert_eq!(first.variants, ["high"]);
    assert_eq!(first.context_tokens, Some(1 << 53));
    assert_eq!((first.input_price, first.output_price), (None, Some(3.0)));
}

#[test]
fn every_list_has_an_end() {
    let mask = Mask::default();
    let by = Speaker::new("chat-test", &mask);
    let n = 20_000;
    let agent = wit_agents::Agent {
        id: "build".to_owned(),
        title: String::new(),
        description: String::new(),
        model: None,
        ext: Vec::new(),
    };
    let list = wit_agents::AgentList {
        agents: vec![agent; n],
        default: None,
    };
    assert_eq!(agents(list, &by).agents.len(), limits::AGENTS);
    let command = wit_commands::Command {
        name: "init".to_owned(),
        description: String::new(),
        arguments: None,
        ext: Vec::new(),
    };
    assert_eq!(commands(vec![command; n], &by).len(), limits::COMMANDS);
    let workspace = wit_workspaces::Workspace {
        path: "/w".to_owned(),
        title: String::new(),
        branch: None,
        ext: Vec::new(),
    };
    assert_eq!(workspaces(vec![workspace; n], &by).len(), limits::WORKSPACES);
    let entry = wit_files::Entry {
        path: "a".to_owned(),
        folder: false,
        size: None,
    };
    assert_eq!(
        entries(vec![entry.clone(); n], limits::FOLDER_ENTRIES).len(),
        limits::FOLDER_ENTRIES
    );
    assert_eq!(
        entries(vec![entry; n], limits::SEARCHED_FILES).len(),
        limits::SEARCHED_FILES
    );
    let found = wit_files::FoundLine {
        path: "a".to_owned(),
        line: 1,
        text: "t".repeat(1 << 20),
    };
    let found = found_lines(vec![found; 2_000], limits::FOUND_LINES);
    assert_eq!(found.len(), limits::FOUND_LINES);
    assert!(found[0].text.len() <= limits::CHANGED_PATH_BYTES);
    let field = wit_providers::Field {
        name: "key".to_owned(),
        title: String::new(),
        placeholder: None,
        secret: true,
        choices: Vec::new(),
    };
    let way = wit_providers::SignInMethod {
        id: "0".to_owned(),
        kind: wit_providers::SignInKind::Key,
        title: String::new(),
        fields: vec![field; 100],
    };
    let provider = wit_providers::Provider {
        id: "p".to_owned(),
        title: String::new(),
        signed_in: false,
        removable: false,
        methods: vec![way; 100],
    };
    let read = providers(vec![provider; 1_000], &by);
    assert_eq!(read.len(), limits::PROVIDERS);
    assert_eq!(read[0].methods.len(), limits::SIGN_IN_FIELDS);
    assert_eq!(read[0].methods[0].fields.len(), limits::SIGN_IN_FIELDS);
}

#[test]
fn a_folder_that_is_no_absolute_path_is_none_and_a_hidden_name_is_no_entry() {
    let mask = Mask::default();
    let by = Speaker::new("chat-test", &mask);
    let workspace = |path: &str| wit_workspaces::Workspace {
        path: path.to_owned(),
        title: String::new(),
        branch: None,
        ext: Vec::new(),
    };
    let read = workspaces(vec![workspace("w"), workspace("/a\u{1b}"), workspace("/w")], &by);
    assert_eq!(read.iter().map(|w| w.path.as_str()).collect::<Vec<_>>(), ["/w"]);
    let entry = |path: &str| wit_files::Entry {
        path: path.to_owned(),
        folder: false,
        size: None,
    };
    let read = entries(vec![entry(""), entry("a\u{202e}b"), entry("src/main.rs")], 10);
    assert_eq!(
        read.iter().map(|e| e.path.as_str()).collect::<Vec<_>>(),
        ["src/main.rs"]
    );
}

#[test]
fn a_file_that_is_larger_than_one_may_be_is_not_held() {
    let content = |bytes: usize| wit::FileContent {
        mime: "image/png\n".to_owned(),
        data: vec![0; bytes],
    };
    assert_eq!(file(content(3)).map(|f| f.mime), Some("image/png ".to_owned()));
    assert_eq!(file(content(limits::FILE_BYTES + 1)), None);
}

#[test]
fn a_browser_is_sent_to_a_page_of_the_web_or_of_this_machine_alone() {
    let at = |url: &str| {
        page(wit_providers::BrowserSignIn {
            url: url.to_owned(),
            instructions: "Type 1234\u{1b}".to_owned(),
            gives_code: false,
        })
    };
    for good in [
        "https://github.com/login/device",
        "http://localhost:1455/x",
        "http://[::1]/",
    ] {
        assert_eq!(
            at(good).map(|page| page.instructions),
            Ok("Type 1234⟨U+001B⟩".to_owned()),
            "{good}"
        );
    }
    for bad in [
        "javascript:alert(1)",
        "http://example.com/",
        "data:text/html,x",
        "https://user:pass@example.com/",
        "file:///etc/passwd",
        "",
    ] {
        assert!(at(bad).is_err(), "{bad}");
    }
}
