//! Account name and password, kept on this machine as Argon2id hashes.
//!
//! The host owns users, sessions and lockout; this plugin turns a name and a password into a subject, and keeps the
//! hash. It has no configuration: the cost of a hash is a constant ([`password_hash::CURRENT_PARAMS`]), raised by a new version
//! of the plugin, and each hash follows when its owner logs in.

mod accounts;
mod password_hash;
mod password_rules;

use accounts::{ACCOUNT, Accounts, CURRENT, Outcome, PASSWORD, REPEAT, Store, field_value};
use nexus_plugin_api::auth::types::{
    Answer, Context, Denial, Denied, Field, FieldKind, Form, Identity, Problem, Step, Value,
};
use nexus_plugin_api::auth::{Error, Facts, Guest, Method, MethodKind, Verdict};
use nexus_plugin_api::caps::store;
use nexus_plugin_api::{log, manage};

const METHOD: &str = "password";
/// `STATE` is the state of the form of a login. It has a number, so that a later version can have another form.
const STATE: &[u8] = b"password/1";
/// `ENROLL` is the state of the form of a new account; `CHANGE` and `RESET` come before the subject.
const ENROLL: &[u8] = b"enroll/1";
const CHANGE: &[u8] = b"change/1/";
const RESET: &[u8] = b"reset/1/";

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

fn form(fields: Vec<Field>, problem: Option<Problem>, state: Vec<u8>) -> Step {
    Step::Form(Form { fields, problem, state })
}

/// `chosen` are the fields of a new password, which is called `title`.
fn chosen(title: &str) -> Vec<Field> {
    let help = format!(
        "At least {} characters. A few random words make a good password.",
        password_rules::MIN_CHARS
    );
    vec![
        field(PASSWORD, FieldKind::NewPassword, title, Some(&help)),
        field(REPEAT, FieldKind::NewPassword, "Repeat password", None),
    ]
}

/// `of_change` are the fields of a change: the present password first.
fn of_change() -> Vec<Field> {
    let mut fields = vec![field(CURRENT, FieldKind::Password, "Current password", None)];
    fields.extend(chosen("New password"));
    fields
}

fn identity(subject: String) -> Step {
    Step::Identity(Identity {
        subject,
        display_name: None,
    })
}

fn wrong() -> Step {
    Step::Deny(Denied {
        reason: Denial::BadCredential,
        message: None,
    })
}

fn typed(answer: Answer) -> Result<Vec<Value>, Error> {
    match answer {
        Answer::Form(input) => Ok(input),
        Answer::Redirect(_) | Answer::Webauthn(_) => Err(Error::Invalid("this plugin has forms only".to_owned())),
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
            headers: Vec::new(),
        }]
    }

    async fn begin(method: String, _context: Context) -> Result<Step, Error> {
        if method != METHOD {
            return Err(Error::Invalid(format!(
                "there is no method `{method}`, only `{METHOD}`"
            )));
        }
        let fields = vec![
            field(ACCOUNT, FieldKind::Account, "Account", None),
            field(PASSWORD, FieldKind::Password, "Password", None),
        ];
        Ok(form(fields, None, STATE.to_vec()))
    }

    async fn proceed(state: Vec<u8>, answer: Answer, _context: Context) -> Result<Step, Error> {
        if state != STATE {
            return Err(Error::Invalid("the state is not from this plugin".to_owned()));
        }
        let input = typed(answer)?;
        let account = field_value(&input, ACCOUNT).unwrap_or_default();
        let password = field_value(&input, PASSWORD).unwrap_or_default();
        Ok(accounts().login(account, password).await?.map_or_else(wrong, identity))
    }

    async fn authenticate(_facts: Facts) -> Result<Verdict, Error> {
        Ok(Verdict::None)
    }
}

impl manage::Guest for Plugin {
    async fn enroll(_context: Context) -> Result<Step, Error> {
        Ok(form(chosen("Password"), None, ENROLL.to_vec()))
    }

    async fn change(subject: String, _context: Context) -> Result<Step, Error> {
        Ok(form(of_change(), None, [CHANGE, subject.as_bytes()].concat()))
    }

    async fn reset(subject: String, _context: Context) -> Result<Step, Error> {
        Ok(form(chosen("Password"), None, [RESET, subject.as_bytes()].concat()))
    }

    async fn proceed(state: Vec<u8>, answer: Answer, context: Context) -> Result<Step, Error> {
        let (input, accounts) = (typed(answer)?, accounts());
        let subject = |of: &[u8]| {
            let rest = state.strip_prefix(of)?;
            String::from_utf8(rest.to_vec()).ok()
        };
        let (fields, outcome) = if let Some(subject) = subject(CHANGE) {
            (of_change(), accounts.change(&subject, &input).await?)
        } else if let Some(subject) = subject(RESET) {
            (chosen("Password"), accounts.reset(&subject, &input).await?)
        } else if state == ENROLL {
            let account = context.account.unwrap_or_default();
            (chosen("Password"), accounts.enroll(&account, &input).await?)
        } else {
            return Err(Error::Invalid("the state is not from this plugin".to_owned()));
        };
        Ok(match outcome {
            Outcome::Done(subject) => identity(subject),
            Outcome::BadCredential => wrong(),
            Outcome::Rejected(field, message) => {
                let problem = Problem {
                    field: Some(field.to_owned()),
                    message,
                };
                form(fields, Some(problem), state)
            }
        })
    }

    async fn remove(subject: String) -> Result<(), Error> {
        accounts().remove(&subject).await
    }
}

// A native linker does not know names like `nexus:plugin/auth#begin`.
#[cfg(target_family = "wasm")]
nexus_plugin_api::export_auth!(Plugin with manage);
