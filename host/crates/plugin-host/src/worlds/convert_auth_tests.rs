use super::*;

fn converted(s: types::Step) -> Result<port::Step, String> {
    step(s, &Mask::default()).map_err(|e| e.to_string())
}

fn identity_of(subject: String) -> types::Step {
    types::Step::Identity(types::Identity {
        subject,
        display_name: None,
    })
}

fn redirect(url: &str, state: usize) -> Result<port::Step, String> {
    converted(types::Step::Redirect(types::Redirect {
        url: url.to_owned(),
        state: vec![0; state],
    }))
}

#[test]
fn a_login_that_says_too_much_fails() {
    let form = |length: usize| {
        converted(types::Step::Form(types::Form {
            fields: Vec::new(),
            problem: None,
            state: vec![0; length],
        }))
    };
    assert!(form(limits::LOGIN_STATE_BYTES).is_ok());
    let refused = form(limits::LOGIN_STATE_BYTES + 1).err().unwrap();
    assert!(
        refused.contains("a state of 16385 bytes, but at most 16384"),
        "{refused}"
    );
    assert!(redirect("https://a.example/x", limits::REDIRECT_STATE_BYTES).is_ok());
    let refused = redirect("https://a.example/x", limits::REDIRECT_STATE_BYTES + 1)
        .err()
        .unwrap();
    assert!(refused.contains("a state of 1025 bytes"), "{refused}");
    assert!(converted(identity_of("s".repeat(limits::ID_BYTES))).is_ok());
    let refused = converted(identity_of("s".repeat(limits::ID_BYTES + 1))).err().unwrap();
    assert!(refused.contains("a subject of 513 bytes"), "{refused}");
    assert!(converted(identity_of("a\u{202e}b".to_owned())).is_err());
    let webauthn = |options: String| {
        converted(types::Step::Webauthn(types::Webauthn {
            ceremony: types::Ceremony::Get,
            options,
            state: Vec::new(),
        }))
    };
    assert!(webauthn(r#"{"challenge":"AA"}"#.to_owned()).is_ok());
    for odd in ["", "[]", "{", "\"x\""] {
        assert!(webauthn(odd.to_owned()).is_err(), "{odd}");
    }
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(limits::WEBAUTHN_OPTIONS));
    assert!(webauthn(long).err().unwrap().contains("a request to the browser of"));
}

#[test]
fn a_browser_is_sent_to_tls_or_to_this_machine_and_nowhere_else() {
    for url in [
        "https://login.example/authorize?client_id=x",
        "http://127.0.0.1:9000/authorize",
        "http://localhost:9000/",
        "http://[::1]:9000/",
    ] {
        assert!(redirect(url, 0).is_ok(), "{url}");
    }
    for url in [
        "http://login.example/",
        "http://127.0.0.1.evil.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "/status",
        "",
        "https://owner:secret@login.example/",
        "https://login.example/#token",
        "https://login.example/?state=mine",
        "https://login.example/?st%61te=mine",
        "intent://x",
    ] {
        assert!(redirect(url, 0).is_err(), "{url}");
    }
    let long = format!("https://login.example/{}", "x".repeat(limits::URL_BYTES));
    assert!(redirect(&long, 0).is_err());
    // What a browser would read otherwise is written as it will be read.
    assert_eq!(
        redirect("https://LOGIN.example/a b", 0).unwrap(),
        port::Step::Ask {
            ask: port::Ask::Redirect {
                url: "https://login.example/a%20b".to_owned()
            },
            state: Vec::new()
        }
    );
}

#[test]
fn methods_are_few_have_ids_and_ask_for_no_header_of_the_host() {
    let method = |id: &str, kind, headers: &[&str]| wit::Method {
        id: id.to_owned(),
        kind,
        title: "T".to_owned(),
        headers: headers.iter().map(|h| (*h).to_owned()).collect(),
    };
    let ambient = |headers: &[&str]| methods(vec![method("proxy", wit::MethodKind::Ambient, headers)]);
    assert_eq!(ambient(&["X-Remote-User"]).unwrap()[0].headers, ["x-remote-user"]);
    for header in HOST_HEADERS {
        assert!(ambient(&[header]).is_err(), "{header}");
    }
    assert!(ambient(&["Cookie"]).is_err() && ambient(&["a b"]).is_err() && ambient(&[""]).is_err());
    assert!(ambient(&["x-a"; limits::METHOD_HEADERS]).is_ok());
    assert!(ambient(&["x-a"; limits::METHOD_HEADERS + 1]).is_err());
    assert!(methods(vec![method("form", wit::MethodKind::Form, &["x-a"])]).is_err());
    for id in ["", "A", "a b", "a/b", &"x".repeat(65)] {
        assert!(methods(vec![method(id, wit::MethodKind::Form, &[])]).is_err(), "{id}");
    }
    let many = |n: usize| {
        let all = (0..n).map(|n| method(&format!("m{n}"), wit::MethodKind::Form, &[]));
        methods(all.collect())
    };
    assert!(many(limits::LOGIN_METHODS).is_ok() && many(limits::LOGIN_METHODS + 1).is_err());
    let twice = vec![
        method("a", wit::MethodKind::Form, &[]),
        method("a", wit::MethodKind::Bearer, &[]),
    ];
    assert!(methods(twice).is_err());
}
