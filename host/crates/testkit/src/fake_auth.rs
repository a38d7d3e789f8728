//! An auth provider that keeps passwords in the open.

use futures::FutureExt as _;
use nexus_config::resolved;
use nexus_model::plugin::{self, PluginState, PluginStatus};
use nexus_plugin_traits::auth::{
    Answer, Ask, Context, Denial, Denied, Facts, Field, FieldKind, Identity, Input, Method, MethodKind, Problem, Route,
    Step, Verdict,
};
use nexus_plugin_traits::{AuthProvider, Call, CallError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Subjects are `sub-ACCOUNT`. An account with a code asks for it in a second step.
#[derive(Default, Clone)]
pub struct FakeAuth {
    /// `passwords` are by subject.
    pub passwords: Arc<Mutex<HashMap<String, String>>>,
    /// `codes` are by account: one that has one is asked for it in a second step.
    pub codes: Arc<Mutex<HashMap<String, String>>>,
    /// `contexts` are those that logins began with.
    pub contexts: Arc<Mutex<Vec<Context>>>,
    /// `hashed` is how often a password was looked at.
    pub hashed: Arc<AtomicU32>,
    /// `fails` is what it answers instead.
    pub fails: Arc<Mutex<Option<Result<Step, CallError>>>>,
    /// `begins` is what a login begins with instead of the form.
    pub begins: Arc<Mutex<Option<Step>>>,
    /// `silent`: it cannot check a request now.
    pub silent: Arc<Mutex<bool>>,
    /// `core_only`: it has no optional interface.
    pub core_only: Arc<AtomicBool>,
    /// `tokens` are subjects by token. With any, it has a method for programs.
    pub tokens: Arc<Mutex<HashMap<String, String>>>,
    /// `behind_proxy`: it takes the header `x-user` where a request comes by a configured name.
    pub behind_proxy: Arc<AtomicBool>,
    /// `seen` are the requests that it was asked about.
    pub seen: Arc<Mutex<Vec<Facts>>>,
}

fn field(name: &str, kind: FieldKind) -> Field {
    Field {
        name: name.into(),
        kind,
        title: name.into(),
        help: None,
    }
}

fn form(fields: Vec<Field>, state: &[u8]) -> Step {
    Step::Ask {
        ask: Ask::Form { fields, problem: None },
        state: state.to_vec(),
    }
}

fn identity(subject: &str) -> Identity {
    Identity {
        subject: subject.to_owned(),
        display_name: None,
    }
}

fn bad() -> Denied {
    Denied {
        reason: Denial::BadCredential,
        message: None,
    }
}

fn method(id: &str, kind: MethodKind, title: &str, headers: &[&str]) -> Method {
    Method {
        id: id.into(),
        kind,
        title: title.into(),
        headers: headers.iter().map(|h| (*h).to_owned()).collect(),
    }
}

/// What was typed.
fn typed(answer: Answer) -> Input {
    match answer {
        Answer::Form(input) => input,
        other => panic!("{other:?}"),
    }
}

impl FakeAuth {
    fn put(&self, subject: &str, input: &Input) -> Step {
        let password = input.0.get("password").cloned().unwrap_or_default();
        if password.len() < 8 {
            return Step::Ask {
                ask: Ask::Form {
                    fields: vec![field("password", FieldKind::NewPassword)],
                    problem: Some(Problem {
                        field: Some("password".into()),
                        message: "at least 8 characters".into(),
                    }),
                },
                state: format!("put:{subject}").into_bytes(),
            };
        }
        self.passwords.lock().unwrap().insert(subject.to_owned(), password);
        Step::Identity(identity(subject))
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
    fn enrolls(&self) -> bool {
        !self.core_only.load(Ordering::SeqCst)
    }
    fn methods(&self) -> Call<'_, Vec<Method>> {
        let mut methods = vec![method("password", MethodKind::Form, "Password", &[])];
        if self.behind_proxy.load(Ordering::SeqCst) {
            methods.push(method("proxy", MethodKind::Ambient, "Proxy", &["x-user"]));
        }
        if !self.tokens.lock().unwrap().is_empty() {
            methods.push(method("token", MethodKind::Bearer, "Token", &[]));
        }
        async { Ok(methods) }.boxed()
    }
    fn begin<'a>(&'a self, _method: &'a str, context: Context) -> Call<'a, Step> {
        self.contexts.lock().unwrap().push(context);
        let fields = vec![
            field("account", FieldKind::Account),
            field("password", FieldKind::Password),
        ];
        let first = self.begins.lock().unwrap().clone();
        async move { Ok(first.unwrap_or_else(|| form(fields, b"first"))) }.boxed()
    }
    fn proceed(&self, state: Vec<u8>, answer: Answer, _: Context) -> Call<'_, Step> {
        async move {
            self.hashed.fetch_add(1, Ordering::SeqCst);
            if let Some(answer) = self.fails.lock().unwrap().clone() {
                return answer;
            }
            let input = typed(answer);
            if let Some(account) = state.strip_prefix(b"second:") {
                let account = String::from_utf8(account.to_vec()).unwrap();
                let right = self.codes.lock().unwrap().get(&account) == input.0.get("code");
                return Ok(match right {
                    true => Step::Identity(identity(&format!("sub-{account}"))),
                    false => Step::Deny(bad()),
                });
            }
            assert_eq!(state, b"first");
            let account = &input.0["account"];
            let subject = format!("sub-{account}");
            if self.passwords.lock().unwrap().get(&subject) != input.0.get("password") {
                return Ok(Step::Deny(bad()));
            }
            if self.codes.lock().unwrap().contains_key(account) {
                let state = format!("second:{account}").into_bytes();
                return Ok(form(vec![field("code", FieldKind::Code)], &state));
            }
            Ok(Step::Identity(identity(&subject)))
        }
        .boxed()
    }
    fn authenticate(&self, facts: Facts) -> Call<'_, Verdict> {
        self.seen.lock().unwrap().push(facts.clone());
        let silent = *self.silent.lock().unwrap();
        async move {
            if silent {
                return Err(CallError::Other("it is not there".into()));
            }
            if let Some(token) = &facts.token {
                return Ok(match self.tokens.lock().unwrap().get(token) {
                    Some(subject) => Verdict::Identity(identity(subject)),
                    None => Verdict::Deny(bad()),
                });
            }
            let user = facts.headers.iter().find(|(name, _)| name == "x-user");
            Ok(match (&facts.route, user) {
                (Route::Name(_), Some((_, user))) => Verdict::Identity(identity(&format!("sub-{user}"))),
                _ => Verdict::None,
            })
        }
        .boxed()
    }
    fn enroll(&self, _: Context) -> Call<'_, Step> {
        async {
            if !self.enrolls() {
                return Err(CallError::Unsupported("enroll accounts"));
            }
            Ok(form(vec![field("password", FieldKind::NewPassword)], b"enroll"))
        }
        .boxed()
    }
    fn change<'a>(&'a self, subject: &'a str, _: Context) -> Call<'a, Step> {
        let fields = vec![
            field("current", FieldKind::Password),
            field("password", FieldKind::NewPassword),
        ];
        async move { Ok(form(fields, format!("change:{subject}").as_bytes())) }.boxed()
    }
    fn reset<'a>(&'a self, subject: &'a str, _: Context) -> Call<'a, Step> {
        let fields = vec![field("password", FieldKind::NewPassword)];
        async move { Ok(form(fields, format!("put:{subject}").as_bytes())) }.boxed()
    }
    fn proceed_managing(&self, state: Vec<u8>, answer: Answer, context: Context) -> Call<'_, Step> {
        async move {
            let (state, input) = (String::from_utf8(state).unwrap(), typed(answer));
            if let Some(subject) = state.strip_prefix("change:") {
                if self.passwords.lock().unwrap().get(subject) != input.0.get("current") {
                    return Ok(Step::Deny(bad()));
                }
                return Ok(self.put(subject, &input));
            }
            Ok(match state.strip_prefix("put:") {
                Some(subject) => self.put(subject, &input),
                None => self.put(&format!("sub-{}", context.account.unwrap()), &input),
            })
        }
        .boxed()
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
