//! A login that denies everybody, and misbehaves when the password names an attack; beside those of [`attack`] these:
//!
//! * `giant-message`, `giant-form`, `giant-state`, `giant-subject`, `no-subject`: answers that nobody can use;
//! * `script-url`, `plain-url`, `own-state`: addresses to which no browser may be sent;
//! * `endless`: another form after each.
//!
//! A login has no stream of events, so nothing here can stream or flood without an end. It has no life between two calls
//! either: every start is a call, and what crashes is one login.

#[path = "../../attack.rs"]
mod attack;

use nexus_plugin_api::auth::types::{
    Answer, Context, Denial, Denied, Field, FieldKind, Form, Identity, Redirect, Step,
};
use nexus_plugin_api::auth::{Error, Facts, Guest, Method, MethodKind, Verdict};
use nexus_plugin_api::{config, manage};

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

fn password(answer: &Answer) -> &str {
    let Answer::Form(input) = answer else { return "" };
    input
        .iter()
        .find(|value| value.name == "password")
        .map_or("", |value| &value.value)
}

fn form(fields: Vec<Field>, state: &[u8]) -> Step {
    Step::Form(Form {
        fields,
        problem: None,
        state: state.to_vec(),
    })
}

fn identity(subject: String) -> Step {
    Step::Identity(Identity {
        subject,
        display_name: None,
    })
}

fn redirect(url: &str) -> Step {
    Step::Redirect(Redirect {
        url: url.to_owned(),
        state: Vec::new(),
    })
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
            headers: Vec::new(),
        }]
    }

    async fn begin(_method: String, _context: Context) -> Result<Step, Error> {
        let fields = vec![
            field("account", FieldKind::Account),
            field("password", FieldKind::Password),
        ];
        Ok(form(fields, &[]))
    }

    async fn proceed(_state: Vec<u8>, answer: Answer, _context: Context) -> Result<Step, Error> {
        let many = |count, state: &[u8]| {
            let fields = (0..count).map(|n| field(&format!("field-{n}"), FieldKind::Text));
            form(fields.collect(), state)
        };
        let deny = |reason, message| Step::Deny(Denied { reason, message });
        let attack = password(&answer);
        Ok(match attack {
            "giant-message" => deny(Denial::Policy, Some("m".repeat(8 << 20))),
            "giant-form" => many(20_000, &[]),
            "giant-state" => many(1, &vec![1; 8 << 20]),
            "giant-subject" => identity("s".repeat(8 << 20)),
            "no-subject" => identity(String::new()),
            "script-url" => redirect("javascript:alert(1)"),
            "plain-url" => redirect("http://login.example/"),
            "own-state" => redirect("https://login.example/?state=mine"),
            "endless" => form(vec![field("password", FieldKind::Password)], &[]),
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
    async fn enroll(_context: Context) -> Result<Step, Error> {
        Ok(form(vec![field("password", FieldKind::NewPassword)], b"enroll"))
    }
    async fn change(subject: String, _context: Context) -> Result<Step, Error> {
        Ok(form(
            vec![field("password", FieldKind::NewPassword)],
            subject.as_bytes(),
        ))
    }
    async fn reset(subject: String, _context: Context) -> Result<Step, Error> {
        Ok(form(
            vec![field("password", FieldKind::NewPassword)],
            subject.as_bytes(),
        ))
    }
    async fn proceed(state: Vec<u8>, answer: Answer, context: Context) -> Result<Step, Error> {
        attack::perform(password(&answer), open_stream).await;
        Ok(identity(match state.as_slice() {
            b"enroll" => context.account.unwrap_or_default(),
            subject => String::from_utf8_lossy(subject).into_owned(),
        }))
    }
    async fn remove(_subject: String) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(target_family = "wasm")]
nexus_plugin_api::export_auth!(Plugin with manage);
