//! Logging in, step by step. Lockout is checked and charged (`lockout.rs`) before the plugin sees a credential.

use crate::account_name::Account;
use crate::client::Client;
use crate::devices::AttemptCounter;
use crate::error::AuthError;
use crate::form_token::StepState;
use crate::service::AuthService;
use crate::sessions::NewLogin;
use nexus_model::activity::Severity;
use nexus_plugin_traits::auth::{Context, Denial, Field, Input, MethodKind, Step};

/// `Page` is what to show next. Each has a `state`, encrypted, that comes back with the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// `Form`: the user fills in these fields.
    Form {
        /// `fields` are in the order in which they are shown.
        fields: Vec<Field>,
        /// `state` is for [`AuthService::login`].
        state: String,
    },
    /// `Redirect`: the browser goes to another site and comes back with the state.
    Redirect {
        /// `url` is the address of that site.
        url: String,
        /// `state` is for [`AuthService::login`].
        state: String,
    },
    /// `Webauthn`: the browser asks the user's authenticator.
    Webauthn {
        /// `json` is the request for `navigator.credentials`.
        json: String,
        /// `state` is for [`AuthService::login`].
        state: String,
    },
}

/// `Progress` is what comes of one answer of a user who logs in.
#[derive(Debug)]
pub enum Progress {
    /// `Next`: the login plugin wants another step, such as a code.
    Next(Page),
    /// `Done`: the user is logged in.
    Done(NewLogin),
}

impl AuthService {
    /// Begins a login and returns its first page; without a `method`, that of the first one that a person can use.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`], [`AuthError::Denied`].
    pub async fn begin_login(&self, method: Option<&str>, client: &Client) -> Result<Page, AuthError> {
        let methods = self.provider.methods().await?;
        let shown = |kind| matches!(kind, MethodKind::Form | MethodKind::Redirect | MethodKind::Webauthn);
        let chosen = methods
            .iter()
            .find(|m| shown(m.kind) && method.is_none_or(|id| m.id == id))
            .ok_or_else(|| {
                AuthError::Unavailable(format!(
                    "the auth plugin {} does not have this login method",
                    self.provider.name()
                ))
            })?;
        let context = Context {
            account: None,
            origin: client.origin.clone(),
        };
        match self.provider.begin(&chosen.id, context).await? {
            Step::Identity { .. } => Err(AuthError::Unavailable(format!(
                "the auth plugin {} accepted a login without any proof; Nexus rejects it",
                self.provider.name()
            ))),
            Step::Deny { reason, message } => Err(denied(reason, message)),
            step => self.page(step, None, client),
        }
    }

    /// Takes the answer to a page. A step is used once, whatever comes of it: after an error the login begins again.
    ///
    /// # Errors
    /// All of [`AuthError`] but those of the set-up.
    pub async fn login(&self, state: &str, mut input: Input, client: &Client) -> Result<Progress, AuthError> {
        let opened = self
            .form_tokens
            .open(state, &client.browser, &client.place, self.clock.now())?;
        let step = &opened.step;
        if step.plugin != self.provider.name() {
            return Err(AuthError::Expired); // it was swapped in between
        }
        input
            .0
            .retain(|name, _| step.fields.is_empty() || step.fields.contains(name));
        let account = match (&step.account_field, &step.account) {
            (Some(field), _) => {
                let account = Account::parse(input.0.get(field).map_or("", String::as_str), field)?;
                input.0.insert(field.clone(), account.as_str().to_owned());
                Some(account)
            }
            (None, Some(account)) => Some(Account::parse(account, "account")?),
            (None, None) => None,
        };
        let counter = match &account {
            Some(account) => self.counter(account, client).await?,
            // A way that names nobody before it names a subject: its wrong attempts count for the address.
            None => AttemptCounter {
                key: format!("peer:{}:{}", client.place, client.peer),
                device: None,
            },
        };
        let name = account.as_ref().map_or("", Account::as_str);
        // Nothing is written for one who is locked or has to wait: that costs a read.
        let permit = self.admit(&counter.key, name, counter.device.is_some(), client).await?;
        self.form_tokens.use_up(&opened, &client.place, self.clock.now())?;
        let left = self.charge(&counter.key, name, client).await?;
        let answer = self.provider.proceed(step.state()?, input).await;
        drop(permit);
        match answer.map_err(AuthError::from) {
            Ok(Step::Identity { subject }) => self.let_in(&subject, counter, client).await.map(Progress::Done),
            Ok(Step::Deny {
                reason: Denial::BadCredential,
                message,
            }) => Err(match (self.wrong(&counter.key, left, name, client).await, message) {
                // The plugin knows what was wrong: a code is no password.
                (AuthError::BadCredential, Some(message)) => AuthError::Denied(message),
                (refused, _) => refused,
            }),
            Ok(Step::Deny { reason, message }) => {
                self.store.refund(&counter.key).await?;
                let account = self.named(name).await;
                tracing::info!(target: "audit", event = "login_denied", account, place = client.place, peer = client.peer, ?reason);
                Err(denied(reason, message))
            }
            Ok(next) => {
                self.store.refund(&counter.key).await?;
                Ok(Progress::Next(self.page(next, account, client)?))
            }
            Err(e) => {
                self.store.refund(&counter.key).await?;
                self.unchecked(&e, name, client).await;
                Err(e)
            }
        }
    }

    async fn let_in(&self, subject: &str, counter: AttemptCounter, client: &Client) -> Result<NewLogin, AuthError> {
        let Some(user) = self.store.user_by_identity(self.provider.name(), subject).await? else {
            self.store.refund(&counter.key).await?;
            tracing::info!(target: "audit", event = "login_unknown", subject, place = client.place, peer = client.peer);
            return Err(AuthError::Denied(
                "The login provider knows you, but you have no account here.".into(),
            ));
        };
        self.store.clear(&counter.key).await?;
        tracing::info!(target: "audit", event = "login", account = user.account, place = client.place, peer = client.peer);
        let made = self.new_login(user, counter.device, client).await?;
        self.note(client, Severity::Ok, &format!("{} logged in", made.login.user.account));
        Ok(made)
    }

    fn page(&self, step: Step, account: Option<Account>, client: &Client) -> Result<Page, AuthError> {
        let account = account.map(|account| account.as_str().to_owned());
        let token = |state: &[u8], fields: &[Field]| {
            let step = StepState::new(self.provider.name(), state, account.clone(), fields, self.clock.now());
            self.form_tokens.encrypt(step, &client.browser, &client.place)
        };
        match step {
            Step::Form { fields, state } => Ok(Page::Form {
                state: token(&state, &fields)?,
                fields,
            }),
            Step::Redirect { url, state } => Ok(Page::Redirect {
                url,
                state: token(&state, &[])?,
            }),
            Step::Webauthn { json, state } => Ok(Page::Webauthn {
                json,
                state: token(&state, &[])?,
            }),
            Step::Identity { .. } | Step::Deny { .. } => Err(AuthError::Expired),
        }
    }
}

fn denied(reason: Denial, message: Option<String>) -> AuthError {
    match reason {
        Denial::BadCredential => AuthError::BadCredential,
        Denial::Policy => AuthError::Denied(message.unwrap_or_else(|| "You may not log in here.".into())),
        Denial::Unavailable => AuthError::Unavailable(
            message.unwrap_or_else(|| "The login cannot be checked now. Try again later.".into()),
        ),
    }
}
