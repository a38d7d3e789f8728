//! Account name and password, kept on this machine as Argon2id hashes.
//!
//! The host owns users, sessions and lockout; this plugin turns a name and a password into a subject, and keeps the
//! hash. It has no configuration: the cost of a hash is a constant ([`password_hash::CURRENT_PARAMS`]), raised by a new version
//! of the plugin, and each hash follows when its owner logs in.

mod accounts;
mod password_hash;
mod password_rules;

use accounts::{ACCOUNT, Accounts, PASSWORD, REPEAT, Store, field_value};
use nexus_plugin_api::auth::types::{Field, FieldKind, Value};
use nexus_plugin_api::auth::{Context, Denial, Denied, Error, Facts, Form, Guest, Method, MethodKind, Step, Verdict};
use nexus_plugin_api::caps::store;
use nexus_plugin_api::{log, manage};

const METHOD: &str = "password";
/// `STATE` is the state of the only form. It has a number, so that a later version can have another form.
const STATE: &[u8] = b"password/1";

/// `HostStore` is the host's store of this plugin.
struct HostStore;

impl Store for HostStore {
    async fn get(&self, key: String) -> Result<Option<Vec<u8>>, Error> {
        store::get(key).await
    }
    async fn set(&self, key: String, value: Vec<u8>) -> Result<(), Error> {
        store::set(key, value).await
    }
    async fn delete(&self, key: String) -> Result<(), Error> {
        store::delete(key).await
    }
    async fn compare_and_set(&self, key: String, expected: Option<Vec<u8>>, value: Vec<u8>) -> Result<bool, Error> {
        store::compare_and_set(key, expected, value).await
    }
}

fn accounts() -> Accounts<HostStore> {
    log::panics();
    Accounts::new(HostStore, password_hash::CURRENT_PARAMS)
}

fn field(name: &str, kind: FieldKind, title: &str, help: Option<&str>) -> Field {
    Field {
        name: name.to_owned(),
        kind,
        title: title.to_owned(),
        help: help.map(str::to_owned),
    }
}

/// `Plugin` is the plugin. It is public so that a native build, which exports nothing, uses it.
pub struct Plugin;

impl Guest for Plugin {
    async fn describe() -> Vec<Method> {
        vec![Method {
            id: METHOD.to_owned(),
            kind: MethodKind::Form,
            title: "Password".to_owned(),
        }]
    }

    async fn begin(method: String, _context: Context) -> Result<Step, Error> {
        if method != METHOD {
            return Err(Error::Invalid(format!(
                "there is no method `{method}`, only `{METHOD}`"
            )));
        }
        Ok(Step::Form(Form {
            fields: vec![
                field(ACCOUNT, FieldKind::Account, "Account", None),
                field(PASSWORD, FieldKind::Password, "Password", None),
            ],
            state: STATE.to_vec(),
        }))
    }

    async fn proceed(state: Vec<u8>, input: Vec<Value>) -> Result<Step, Error> {
        if state != STATE {
            return Err(Error::Invalid("the state is not from this plugin".to_owned()));
        }
        let account = field_value(&input, ACCOUNT).unwrap_or_default();
        let password = field_value(&input, PASSWORD).unwrap_or_default();
        Ok(match accounts().login(account, password).await? {
            Some(subject) => Step::Identity(subject),
            None => Step::Deny(Denied {
                reason: Denial::BadCredential,
                message: None,
            }),
        })
    }

    async fn authenticate(_facts: Facts) -> Result<Verdict, Error> {
        Ok(Verdict::None)
    }
}

impl manage::Guest for Plugin {
    async fn fields() -> Result<Vec<Field>, Error> {
        let help = format!(
            "At least {} characters. A few random words make a good password.",
            password_rules::MIN_CHARS
        );
        Ok(vec![
            field(PASSWORD, FieldKind::Password, "Password", Some(&help)),
            field(REPEAT, FieldKind::Password, "Repeat password", None),
        ])
    }

    async fn enroll(account: String, input: Vec<Value>) -> Result<manage::Outcome, Error> {
        accounts().enroll(&account, &input).await
    }

    /// `change` takes the field `current`, and the fields of an enrollment.
    async fn change(subject: String, input: Vec<Value>) -> Result<manage::Outcome, Error> {
        accounts().change(&subject, &input).await
    }

    async fn reset(subject: String, input: Vec<Value>) -> Result<manage::Outcome, Error> {
        accounts().reset(&subject, &input).await
    }

    async fn remove(subject: String) -> Result<(), Error> {
        accounts().remove(&subject).await
    }
}

// A native linker does not know names like `nexus:plugin/auth#begin`.
#[cfg(target_family = "wasm")]
nexus_plugin_api::export_auth!(Plugin with manage);
