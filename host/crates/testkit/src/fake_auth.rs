//! An auth provider that keeps passwords in the open.

use futures::FutureExt as _;
use nexus_config::resolved;
use nexus_model::plugin::{self, PluginState, PluginStatus};
use nexus_plugin_traits::auth::{Context, Denial, Field, FieldKind, Input, Method, MethodKind, Outcome, Step};
use nexus_plugin_traits::{AuthProvider, Call, CallError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Subjects are `sub-ACCOUNT`. An account with a code asks for it in a second step.
#[derive(Default, Clone)]
pub struct FakeAuth {
    /// `passwords` are by subject.
    pub passwords: Arc<Mutex<HashMap<String, String>>>,
    /// `codes` are by account: one that has one is asked for it in a second step.
    pub codes: Arc<Mutex<HashMap<String, String>>>,
    /// `origins` are the addresses of the pages that logins began at.
    pub origins: Arc<Mutex<Vec<String>>>,
    /// `hashed` is how often a password was looked at.
    pub hashed: Arc<AtomicU32>,
    /// `fails` is what it answers instead.
    pub fails: Arc<Mutex<Option<Result<Step, CallError>>>>,
}

fn field(name: &str, kind: FieldKind) -> Field {
    Field {
        name: name.into(),
        kind,
        title: name.into(),
        help: None,
    }
}

fn rules(input: &Input) -> Result<String, Outcome> {
    let password = input.0.get("password").cloned().unwrap_or_default();
    if password.len() < 8 {
        return Err(Outcome::Rejected {
            field: "password".into(),
            cause: "at least 8 characters".into(),
        });
    }
    Ok(password)
}

impl FakeAuth {
    fn put(&self, subject: &str, input: &Input) -> Outcome {
        match rules(input) {
            Ok(password) => {
                self.passwords.lock().unwrap().insert(subject.to_owned(), password);
                Outcome::Done {
                    subject: subject.to_owned(),
                }
            }
            Err(no) => no,
        }
    }
}

impl AuthProvider for FakeAuth {
    fn name(&self) -> &str {
        "fake"
    }
    fn status(&self) -> PluginStatus {
        PluginStatus {
            name: "fake".into(),
            kind: plugin::Kind::Auth,
            version: "0.1.0".into(),
            state: PluginState::Running,
            restarts: 0,
            last_failure: None,
            tunnel: None,
        }
    }
    fn methods(&self) -> Call<'_, Vec<Method>> {
        async {
            Ok(vec![Method {
                id: "password".into(),
                kind: MethodKind::Form,
                title: "Password".into(),
            }])
        }
        .boxed()
    }
    fn begin<'a>(&'a self, _method: &'a str, context: Context) -> Call<'a, Step> {
        self.origins.lock().unwrap().push(context.origin);
        let fields = vec![
            field("account", FieldKind::Account),
            field("password", FieldKind::Password),
        ];
        async {
            Ok(Step::Form {
                fields,
                state: b"first".to_vec(),
            })
        }
        .boxed()
    }
    fn proceed(&self, state: Vec<u8>, input: Input) -> Call<'_, Step> {
        async move {
            self.hashed.fetch_add(1, Ordering::SeqCst);
            if let Some(answer) = self.fails.lock().unwrap().clone() {
                return answer;
            }
            let bad = Step::Deny {
                reason: Denial::BadCredential,
                message: None,
            };
            if let Some(account) = state.strip_prefix(b"second:") {
                let account = String::from_utf8(account.to_vec()).unwrap();
                let right = self.codes.lock().unwrap().get(&account) == input.0.get("code");
                return Ok(if right {
                    Step::Identity {
                        subject: format!("sub-{account}"),
                    }
                } else {
                    bad
                });
            }
            assert_eq!(state, b"first");
            let account = &input.0["account"];
            let subject = format!("sub-{account}");
            if self.passwords.lock().unwrap().get(&subject) != input.0.get("password") {
                return Ok(bad);
            }
            if self.codes.lock().unwrap().contains_key(account) {
                let state = format!("second:{account}").into_bytes();
                return Ok(Step::Form {
                    fields: vec![field("code", FieldKind::Code)],
                    state,
                });
            }
            Ok(Step::Identity { subject })
        }
        .boxed()
    }
    fn enroll_fields(&self) -> Call<'_, Vec<Field>> {
        async { Ok(vec![field("password", FieldKind::Password)]) }.boxed()
    }
    fn enroll<'a>(&'a self, account: &'a str, input: Input) -> Call<'a, Outcome> {
        async move { Ok(self.put(&format!("sub-{account}"), &input)) }.boxed()
    }
    fn change<'a>(&'a self, subject: &'a str, input: Input) -> Call<'a, Outcome> {
        async move {
            if self.passwords.lock().unwrap().get(subject) != input.0.get("current") {
                return Ok(Outcome::BadCredential);
            }
            Ok(self.put(subject, &input))
        }
        .boxed()
    }
    fn reset<'a>(&'a self, subject: &'a str, input: Input) -> Call<'a, Outcome> {
        async move { Ok(self.put(subject, &input)) }.boxed()
    }
    fn remove<'a>(&'a self, subject: &'a str) -> Call<'a, ()> {
        async move {
            self.passwords.lock().unwrap().remove(subject);
            Ok(())
        }
        .boxed()
    }
}

/// `[auth]` with its defaults, for [`FakeAuth`].
pub fn auth_config() -> resolved::Auth {
    resolved::Auth {
        plugin: "fake".into(),
        lockout_failures: 5,
        lockout: Duration::from_secs(30 * 60),
        session_idle: Duration::from_secs(14 * 24 * 3600),
        session_absolute: Duration::from_secs(90 * 24 * 3600),
    }
}
