//! A login by a form, with the core interface alone: an account and its code, in two steps. Subjects are `code:ACCOUNT`.

use nexus_plugin_api::auth::types::{Answer, Context, Denial, Denied, Field, FieldKind, Form, Identity, Step};
use nexus_plugin_api::auth::{Error, Facts, Guest, Method, MethodKind, Verdict};
use nexus_plugin_api::config;
use std::collections::BTreeMap;

#[derive(serde::Deserialize)]
struct Settings {
    #[serde(default)]
    codes: BTreeMap<String, String>,
}

pub struct Plugin;

fn form(name: &str, kind: FieldKind, title: &str, state: &[u8]) -> Step {
    Step::Form(Form {
        fields: vec![Field {
            name: name.to_owned(),
            kind,
            title: title.to_owned(),
            help: None,
        }],
        problem: None,
        state: state.to_vec(),
    })
}

impl Guest for Plugin {
    async fn describe() -> Vec<Method> {
        vec![Method {
            id: "code".to_owned(),
            kind: MethodKind::Form,
            title: "Code".to_owned(),
            headers: Vec::new(),
        }]
    }

    async fn begin(_method: String, _context: Context) -> Result<Step, Error> {
        Ok(form("name", FieldKind::Account, "Name", b"name"))
    }

    async fn proceed(state: Vec<u8>, answer: Answer, context: Context) -> Result<Step, Error> {
        let Answer::Form(input) = answer else {
            return Err(Error::Invalid("this plugin has forms only".to_owned()));
        };
        let value = input.first().map_or("", |value| &value.value);
        if state == b"name" {
            assert_eq!(
                context.account.as_deref(),
                Some(value),
                "the host tells the account from its answer on"
            );
            return Ok(form("code", FieldKind::Code, "Code", value.as_bytes()));
        }
        let account = String::from_utf8(state).map_err(|e| Error::Invalid(e.to_string()))?;
        let codes = config::<Settings>()?.codes;
        Ok(if codes.get(&account).is_some_and(|code| code == value) {
            Step::Identity(Identity {
                subject: format!("code:{account}"),
                display_name: Some(format!("The {account}")),
            })
        } else {
            Step::Deny(Denied {
                reason: Denial::BadCredential,
                message: Some("This code is wrong.".to_owned()),
            })
        })
    }

    async fn authenticate(_facts: Facts) -> Result<Verdict, Error> {
        Ok(Verdict::None)
    }
}

#[cfg(target_family = "wasm")]
nexus_plugin_api::export_auth!(Plugin);
