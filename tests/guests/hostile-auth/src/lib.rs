//! A login that denies everybody, and misbehaves when the password names an attack; beside those of [`attack`] these:
//!
//! * `giant-message`, `giant-form`, `giant-state`, `giant-subject`, `no-subject`: answers that nobody can use.
//!
//! A login has no stream of events, so nothing here can stream or flood without an end. It has no life between two calls
//! either: every start is a call, and what crashes is one login.

#[path = "../../attack.rs"]
mod attack;

use nexus_plugin_api::auth::types::{Field, FieldKind, Value};
use nexus_plugin_api::auth::{Context, Denial, Denied, Error, Facts, Form, Guest, Method, MethodKind, Step, Verdict};
use nexus_plugin_api::config;
use nexus_plugin_api::manage::{self, Outcome};

#[derive(serde::Deserialize)]
struct Settings {
    start: String,
}

// The interface of a login has no stream that could be opened by its own means; what the runtime of each async guest is
// made of serves as well.
#[cfg(target_family = "wasm")]
#[link(wasm_import_module = "$root")]
unsafe extern "C" {
    #[link_name = "[waitable-set-new]"]
    fn waitable_set_new() -> u32;
}

fn open_stream() {
    #[cfg(target_family = "wasm")]
    // SAFETY: it takes nothing and gives a number.
    unsafe {
        waitable_set_new();
    }
}

pub struct Plugin;

fn field(name: &str, kind: FieldKind) -> Field {
    Field {
        name: name.to_owned(),
        kind,
        title: name.to_owned(),
        help: None,
    }
}

fn password(input: &[Value]) -> &str {
    input
        .iter()
        .find(|value| value.name == "password")
        .map_or("", |value| &value.value)
}

impl Guest for Plugin {
    async fn describe() -> Vec<Method> {
        let title = match config::<Settings>().unwrap().start.as_str() {
            "huge" => "h".repeat(100 << 20),
            "long" => "l".repeat(8 << 20),
            attack => {
                attack::perform(attack, open_stream).await;
                "Password".to_owned()
            }
        };
        vec![Method {
            id: "password".to_owned(),
            kind: MethodKind::Form,
            title,
        }]
    }

    async fn begin(_method: String, _context: Context) -> Result<Step, Error> {
        let fields = vec![
            field("account", FieldKind::Account),
            field("password", FieldKind::Password),
        ];
        Ok(Step::Form(Form {
            fields,
            state: Vec::new(),
        }))
    }

    async fn proceed(_state: Vec<u8>, input: Vec<Value>) -> Result<Step, Error> {
        let form = |count, state| {
            let fields = (0..count)
                .map(|n| field(&format!("field-{n}"), FieldKind::Text))
                .collect();
            Step::Form(Form { fields, state })
        };
        let deny = |reason, message| Step::Deny(Denied { reason, message });
        let attack = password(&input);
        Ok(match attack {
            "giant-message" => deny(Denial::Policy, Some("m".repeat(8 << 20))),
            "giant-form" => form(20_000, Vec::new()),
            "giant-state" => form(1, vec![1; 8 << 20]),
            "giant-subject" => Step::Identity("s".repeat(8 << 20)),
            "no-subject" => Step::Identity(String::new()),
            _ => match attack::perform(attack, open_stream).await {
                // Not the fault of whoever logs in: it must not lock them out.
                Some(words) => deny(Denial::Policy, Some(words)),
                None => deny(Denial::BadCredential, None),
            },
        })
    }

    async fn authenticate(_facts: Facts) -> Result<Verdict, Error> {
        Ok(Verdict::None)
    }
}

/// Enrolling works, so that a test gets past the set-up page.
impl manage::Guest for Plugin {
    async fn fields() -> Result<Vec<Field>, Error> {
        Ok(vec![field("password", FieldKind::Password)])
    }
    async fn enroll(account: String, input: Vec<Value>) -> Result<Outcome, Error> {
        attack::perform(password(&input), open_stream).await;
        Ok(Outcome::Done(account))
    }
    async fn change(subject: String, input: Vec<Value>) -> Result<Outcome, Error> {
        attack::perform(password(&input), open_stream).await;
        Ok(Outcome::Done(subject))
    }
    async fn reset(subject: String, input: Vec<Value>) -> Result<Outcome, Error> {
        attack::perform(password(&input), open_stream).await;
        Ok(Outcome::Done(subject))
    }
    async fn remove(_subject: String) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(target_family = "wasm")]
nexus_plugin_api::export_auth!(Plugin with manage);
