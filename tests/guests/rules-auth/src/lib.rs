//! A login that breaks a rule of the contract: the one that the method names, in `begin`; the password, in `proceed`; the token, in
//! `authenticate`; the configuration, where it manages credentials and in `describe`.

use nexus_plugin_api::auth::types::{
    Answer, Ceremony, Context, Denial, Denied, Field, FieldKind, Form, Identity, Problem, Redirect, Step, Webauthn,
};
use nexus_plugin_api::auth::{Error, Facts, Guest, Method, MethodKind, Verdict};
use nexus_plugin_api::{config, manage};

#[derive(serde::Deserialize)]
struct Settings {
    rule: String,
}

fn rule() -> String {
    config::<Settings>().unwrap().rule
}

struct Plugin;

fn field(name: &str, kind: FieldKind) -> Field {
    Field {
        name: name.to_owned(),
        kind,
        title: name.to_owned(),
        help: None,
    }
}

fn form(fields: Vec<Field>) -> Step {
    Step::Form(Form {
        fields,
        problem: None,
        state: Vec::new(),
    })
}

fn password() -> Step {
    form(vec![
        field("account", FieldKind::Account),
        field("password", FieldKind::Password),
    ])
}

fn identity(subject: &str) -> Step {
    Step::Identity(Identity {
        subject: subject.to_owned(),
        display_name: None,
    })
}

fn twins() -> Step {
    form(vec![field("twin", FieldKind::Text), field("twin", FieldKind::Password)])
}

fn deny(reason: Denial) -> Denied {
    let message = Some("Not you\u{202e}.".to_owned());
    Denied { reason, message }
}

fn webauthn(options: &str) -> Step {
    Step::Webauthn(Webauthn {
        ceremony: Ceremony::Get,
        options: options.to_owned(),
        state: Vec::new(),
    })
}

impl Guest for Plugin {
    async fn describe() -> Vec<Method> {
        let method = |id: &str, kind| Method {
            id: id.to_owned(),
            kind,
            title: id.to_owned(),
            headers: Vec::new(),
        };
        match rule().as_str() {
            "many methods" => {
                return (0..17).map(|n| method(&format!("m{n}"), MethodKind::Form)).collect();
            }
            "twin methods" => return vec![method("twin", MethodKind::Form), method("twin", MethodKind::Form)],
            "a method without an id" => return vec![method("No Id", MethodKind::Form)],
            "a cookie" => {
                return vec![Method {
                    headers: vec!["Cookie".to_owned()],
                    ..method("ambient", MethodKind::Ambient)
                }];
            }
            _ => {}
        }
        let mut all = vec![method("password", MethodKind::Form)];
        let begun = ["identity", "twins", "denied", "options", "unknown", "plain"];
        all.extend(begun.map(|id| method(id, MethodKind::Form)));
        all.push(method("token", MethodKind::Bearer));
        all
    }

    async fn begin(method: String, _: Context) -> Result<Step, Error> {
        Ok(match method.as_str() {
            "identity" => identity("anybody"),
            "twins" => twins(),
            "denied" => Step::Deny(deny(Denial::BadCredential)),
            "options" => webauthn("[1]"),
            "plain" => Step::Redirect(Redirect {
                url: "http://login.example/".to_owned(),
                state: Vec::new(),
            }),
            "unknown" => return Err(Error::Invalid("There is no such method\u{202e}.".to_owned())),
            _ => password(),
        })
    }

    async fn proceed(_: Vec<u8>, answer: Answer, _: Context) -> Result<Step, Error> {
        let Answer::Form(values) = answer else {
            return Err(Error::Invalid("It is no form.".to_owned()));
        };
        let typed = values.into_iter().find(|value| value.name == "password");
        Ok(match typed.map_or_else(String::new, |value| value.value).as_str() {
            "policy" => Step::Deny(deny(Denial::Policy)),
            "unavailable" => Step::Deny(deny(Denial::Unavailable)),
            "error" => return Err(Error::Other("It cannot tell\u{202e}.".to_owned())),
            "twins" => twins(),
            "options" => webauthn("[1]"),
            "problem" => Step::Form(Form {
                fields: vec![field("password", FieldKind::Password)],
                problem: Some(Problem {
                    field: Some("no field\u{202e}".to_owned()),
                    message: "Again\u{202e}.".to_owned(),
                }),
                state: Vec::new(),
            }),
            "hidden subject" => identity("some\u{202e}body"),
            "stranger" => identity("a-stranger"),
            _ => Step::Deny(deny(Denial::BadCredential)),
        })
    }

    async fn authenticate(facts: Facts) -> Result<Verdict, Error> {
        let of = |subject: String| {
            Verdict::Identity(Identity {
                subject,
                display_name: None,
            })
        };
        Ok(match facts.token.as_deref() {
            Some("giant") => of("s".repeat(513)),
            Some("empty") => of(String::new()),
            Some("stranger") => of("a-stranger".to_owned()),
            Some("policy") => Verdict::Deny(deny(Denial::Policy)),
            Some("error") => return Err(Error::Other("It cannot tell.".to_owned())),
            Some("none") => Verdict::None,
            _ => Verdict::Deny(deny(Denial::BadCredential)),
        })
    }
}

impl manage::Guest for Plugin {
    async fn enroll(_: Context) -> Result<Step, Error> {
        Ok(match rule().as_str() {
            "enroll by identity" => identity("anybody"),
            "enroll by webauthn" => webauthn("{}"),
            "enroll the account" => form(vec![field("account", FieldKind::Text)]),
            "enroll denied" => Step::Deny(deny(Denial::Policy)),
            _ => form(vec![field("password", FieldKind::NewPassword)]),
        })
    }

    async fn change(subject: String, _: Context) -> Result<Step, Error> {
        Ok(match rule().as_str() {
            "change by identity" => identity(&subject),
            "change of nobody" => return Err(Error::NotFound("There is no credential\u{202e}.".to_owned())),
            _ => form(vec![field("password", FieldKind::Password)]),
        })
    }

    async fn reset(subject: String, _: Context) -> Result<Step, Error> {
        Ok(match rule().as_str() {
            "reset by identity" => identity(&subject),
            "reset of nobody" => return Err(Error::NotFound("There is no credential\u{202e}.".to_owned())),
            _ => form(vec![field("password", FieldKind::NewPassword)]),
        })
    }

    /// What it answers is never an identity of whom it was asked for.
    async fn proceed(_: Vec<u8>, _: Answer, context: Context) -> Result<Step, Error> {
        Ok(match rule().as_str() {
            "change into another" => identity("another"),
            _ => identity(&context.account.unwrap_or_else(|| "owner".to_owned())),
        })
    }

    async fn remove(_: String) -> Result<(), Error> {
        match rule().as_str() {
            "remove nothing" => Err(Error::Other("It removes nothing\u{202e}.".to_owned())),
            _ => Ok(()),
        }
    }
}

nexus_plugin_api::export_auth!(Plugin with manage);
