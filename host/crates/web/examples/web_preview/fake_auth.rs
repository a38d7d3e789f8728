//! Logins that pretend.

use super::{PASSWORD, TOKEN, now};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_auth::{Device, Listed, Login as Stored};
use nexus_plugin_traits::auth::{Field, FieldKind, Input};
use nexus_store::accounts::User;
use nexus_web::port::{
    Access, ApiError, AuthApi, ChangeOutcome, End, Login, LoginForm, LoginOutcome, NewLogin, Owner, Reply,
    SetupOutcome, Visitor,
};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::watch;

pub struct FakeAuth {
    owner: Mutex<bool>,
    failures: Mutex<u32>,
    logins: watch::Sender<HashMap<String, Login>>,
    pub visitors: Mutex<Vec<Visitor>>,
    /// The credential was shown long ago.
    pub stale: Mutex<bool>,
    pub ended: Mutex<Vec<End>>,
}

fn field(name: &str, kind: FieldKind, title: &str, help: Option<&str>) -> Field {
    Field {
        name: name.into(),
        kind,
        title: title.into(),
        help: help.map(Into::into),
    }
}

impl FakeAuth {
    pub(super) fn new(owner: bool) -> Self {
        Self {
            owner: Mutex::new(owner),
            failures: Mutex::default(),
            logins: watch::Sender::new(HashMap::new()),
            visitors: Mutex::default(),
            stale: Mutex::default(),
            ended: Mutex::default(),
        }
    }
    /// A login without a form: its cookie's token and its id.
    pub fn login(&self) -> (NewLogin, Login) {
        let token = nexus_model::time::random_token().unwrap();
        let login = Login {
            id: format!("login-{}", self.logins.borrow().len()),
            user: "1".into(),
            account: "ada".into(),
            csrf: nexus_model::time::random_token().unwrap(),
        };
        self.logins.send_modify(|logins| {
            logins.insert(token.clone(), login.clone());
        });
        (
            NewLogin {
                token,
                device: Some("device".into()),
                max_age: Duration::from_secs(3600),
            },
            login,
        )
    }
    pub fn revoke(&self, id: &str) {
        self.logins
            .send_modify(|logins| logins.retain(|_, login| login.id != id));
    }
}

impl AuthApi for FakeAuth {
    fn owner(&self) -> Reply<'_, Owner> {
        let owner = if *self.owner.lock().unwrap() {
            Owner::Present
        } else {
            Owner::Missing { link_open: true }
        };
        async move { Ok(owner) }.boxed()
    }
    fn setup_fields(&self) -> Reply<'_, Vec<Field>> {
        let help = Some("At least 12 characters. A few words that do not belong together work well.");
        async move { Ok(vec![field("password", FieldKind::Password, "Password", help)]) }.boxed()
    }
    fn setup<'a>(
        &'a self,
        visitor: &'a Visitor,
        token: &'a str,
        account: &'a str,
        input: Input,
    ) -> Reply<'a, SetupOutcome> {
        self.visitors.lock().unwrap().push(visitor.clone());
        let password = input.0.get("password").cloned().unwrap_or_default();
        let mut owner = self.owner.lock().unwrap();
        let outcome = match (*owner, token == TOKEN) {
            (true, _) => SetupOutcome::Closed,
            (_, false) => SetupOutcome::BadToken,
            _ if account.is_empty() => SetupOutcome::Rejected {
                field: "account".into(),
                why: "Choose a name.".into(),
            },
            _ if password.len() < 12 => SetupOutcome::Rejected {
                field: "password".into(),
                why: format!("This has {} characters; at least 12 are needed.", password.len()),
            },
            _ => {
                *owner = true;
                SetupOutcome::Done(self.login().0)
            }
        };
        async move { Ok(outcome) }.boxed()
    }
    fn begin<'a>(&'a self, _: &'a Visitor) -> Reply<'a, LoginForm> {
        async move {
            Ok(LoginForm {
                title: "Password".into(),
                fields: vec![
                    field("account", FieldKind::Account, "Account name", None),
                    field("password", FieldKind::Password, "Password", None),
                ],
                state: "sealed".into(),
            })
        }
        .boxed()
    }
    fn proceed<'a>(&'a self, visitor: &'a Visitor, state: &'a str, input: Input) -> Reply<'a, LoginOutcome> {
        self.visitors.lock().unwrap().push(visitor.clone());
        let mut failures = self.failures.lock().unwrap();
        let outcome = if state != "sealed" {
            LoginOutcome::Expired
        } else if *failures >= 5 {
            LoginOutcome::Locked {
                until: now() + 30 * 60 * 1000,
            }
        } else if input.0.get("password").is_some_and(|password| password == PASSWORD) {
            *failures = 0;
            LoginOutcome::LoggedIn(self.login().0)
        } else {
            *failures += 1;
            LoginOutcome::Denied("The account name or the password is wrong.".into())
        };
        async move { Ok(outcome) }.boxed()
    }
    fn lookup<'a>(&'a self, _: &'a str, _: &'a str, token: &'a str) -> Reply<'a, Option<Login>> {
        let login = self.logins.borrow().get(token).cloned();
        async move { Ok(login) }.boxed()
    }
    fn fresh<'a>(&'a self, _: &'a Login) -> Reply<'a, bool> {
        let fresh = !*self.stale.lock().unwrap();
        async move { Ok(fresh) }.boxed()
    }
    fn logout<'a>(&'a self, login: &'a Login) -> Reply<'a, ()> {
        self.revoke(&login.id);
        async move { Ok(()) }.boxed()
    }
    fn logout_others<'a>(&'a self, login: &'a Login) -> Reply<'a, usize> {
        let before = self.logins.borrow().len();
        self.logins
            .send_modify(|logins| logins.retain(|_, other| other.id == login.id));
        let count = before - self.logins.borrow().len();
        async move { Ok(count) }.boxed()
    }
    fn change_fields(&self) -> Reply<'_, Vec<Field>> {
        let fields = vec![
            field("current", FieldKind::Password, "Present password", None),
            field(
                "password",
                FieldKind::Password,
                "New password",
                Some("At least 12 characters."),
            ),
        ];
        async move { Ok(fields) }.boxed()
    }
    fn change<'a>(&'a self, _: &'a Visitor, _: &'a Login, input: Input) -> Reply<'a, ChangeOutcome> {
        let right = input.0.get("current").is_some_and(|password| password == PASSWORD);
        let long = input.0.get("password").is_some_and(|password| password.len() >= 12);
        let outcome = match (right, long) {
            (false, _) => ChangeOutcome::WrongPresent,
            (_, false) => ChangeOutcome::Rejected {
                field: "password".into(),
                why: "At least 12 characters.".into(),
            },
            _ => ChangeOutcome::Done,
        };
        async move { Ok(outcome) }.boxed()
    }
    fn access(&self) -> Reply<'_, Access> {
        let own = self.logins.borrow().values().next().map(|login| login.id.clone());
        async move { Ok(access(&own.unwrap_or_default())) }.boxed()
    }
    fn end<'a>(&'a self, _: &'a Visitor, _: &'a Login, what: &'a End) -> Reply<'a, ()> {
        let result = match what {
            End::Account(_) => Err(ApiError::Refused("me is the last account.".to_owned())),
            other => {
                self.ended.lock().unwrap().push(other.clone());
                Ok(())
            }
        };
        async move { result }.boxed()
    }
    fn revoked(&self, login: &str) -> BoxFuture<'static, ()> {
        let (mut logins, login) = (self.logins.subscribe(), login.to_owned());
        async move {
            let _ = logins
                .wait_for(|logins| logins.values().all(|other| other.id != login))
                .await;
        }
        .boxed()
    }
}

fn access(own: &str) -> Access {
    let user = User {
        id: 1,
        account: "me".into(),
        created_at: 1_760_000_000_000,
    };
    let login = |id: &str, place: &str, agent: &str| Stored {
        id: id.into(),
        user: user.clone(),
        created_at: 1_760_000_000_000,
        used_at: 1_767_225_600_000,
        checked_at: 1_760_000_000_000,
        peer: "203.0.113.9".into(),
        agent: agent.into(),
        place: place.into(),
        device: format!("device-{id}"),
    };
    let logins = vec![
        login(own, "loopback", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
        login("other", "tunnel home", "a phone\u{202e}"),
    ];
    let devices = logins.iter().map(|login| Device {
        id: login.device.clone(),
        user: user.clone(),
        created_at: login.created_at,
        used_at: login.used_at,
        place: login.place.clone(),
        peer: login.peer.clone(),
        agent: login.agent.clone(),
    });
    Access {
        devices: devices.collect(),
        accounts: vec![Listed {
            account: user.account.clone(),
            created_at: user.created_at,
            last_used_at: Some(1_767_225_600_000),
            logins: 2,
            locked_until: None,
        }],
        logins,
    }
}
