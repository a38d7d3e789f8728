//! A login that denies everybody, and misbehaves when the password names an attack.

#[path = "../../attack.rs"]
mod attack;

use nexus_plugin_api::auth::types::{Field, FieldKind, Value};
use nexus_plugin_api::auth::{Context, Denial, Denied, Error, Facts, Form, Guest, Method, MethodKind, Step, Verdict};
use nexus_plugin_api::manage::{self, Outcome};

pub struct Plugin;

fn field(name: &str, kind: FieldKind) -> Field {
    Field {
        name: name.to_owned(),
        kind,
        title: name.to_owned(),
        help: None,
        ext: Vec::new(),
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
        vec![Method {
            id: "password".to_owned(),
            kind: MethodKind::Form,
            title: "Password".to_owned(),
            ext: Vec::new(),
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
        attack::perform(password(&input));
        Ok(Step::Deny(Denied {
            reason: Denial::BadCredential,
            message: None,
        }))
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
    async fn enrol(account: String, input: Vec<Value>) -> Result<Outcome, Error> {
        attack::perform(password(&input));
        Ok(Outcome::Done(account))
    }
    async fn change(subject: String, input: Vec<Value>) -> Result<Outcome, Error> {
        attack::perform(password(&input));
        Ok(Outcome::Done(subject))
    }
    async fn reset(subject: String, input: Vec<Value>) -> Result<Outcome, Error> {
        attack::perform(password(&input));
        Ok(Outcome::Done(subject))
    }
    async fn remove(_subject: String) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(target_family = "wasm")]
nexus_plugin_api::export_auth_with_manage!(Plugin);
