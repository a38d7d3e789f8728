//! Logging in, step by step. Lockout is checked and charged before the plugin sees a credential.

use crate::account_name::Account;
use crate::client::Client;
use crate::devices::Counter;
use crate::error::AuthError;
use crate::form_token::StepState;
use crate::hash_queue::{Permit, Who};
use crate::service::{AuthService, Lockout};
use crate::sessions::NewLogin;
use nexus_logging::audit;
use nexus_model::activity::Tone;
use nexus_model::plural;
use nexus_model::time::Millis;
use nexus_plugin_traits::auth::{Context, Denial, Field, Input, MethodKind, Step};
use nexus_store::lockout::Charge;

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
            None => Counter {
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
                tracing::info!(target: "audit", event = "login-denied", account, place = client.place, peer = client.peer, ?reason);
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

    /// Tells whether a credential of this counter may be checked, and waits for the turn to do it.
    pub(super) async fn admit(
        &self,
        key: &str,
        account: &str,
        known: bool,
        client: &Client,
    ) -> Result<Permit, AuthError> {
        if let Some(until) = self.store.counter_locked(key, self.clock.now()).await? {
            return Err(self.locked(until, account, client).await);
        }
        let who = Who {
            place: client.place.clone(),
            network: audit::network(&client.peer),
            known,
        };
        match self.hashing.permit(who).await {
            Ok(permit) => Ok(permit),
            Err(busy) => {
                self.unchecked(&busy, account, client).await;
                Err(busy)
            }
        }
    }

    async fn locked(&self, until: Millis, account: &str, client: &Client) -> AuthError {
        let account = self.named(account).await;
        tracing::warn!(target: "audit", event = "login-locked", account, place = client.place, peer = client.peer, until = audit::time(until));
        AuthError::Locked { until }
    }

    /// Writes into the audit that nothing was checked; a flood of these is folded there.
    async fn unchecked(&self, error: &AuthError, account: &str, client: &Client) {
        let account = self.named(account).await;
        tracing::warn!(target: "audit", event = "login-unchecked", account, place = client.place, peer = client.peer, %error);
    }

    /// `named` is the account as the audit has it: what was typed may be a password, where there is no such account.
    async fn named<'a>(&self, account: &'a str) -> &'a str {
        match self.store.user_by_account(account).await {
            Ok(None) => "(no such account)",
            _ => account,
        }
    }

    /// Counts an attempt as wrong until it is known better. Returns how many are left after it.
    pub(super) async fn charge(&self, key: &str, account: &str, client: &Client) -> Result<u32, AuthError> {
        match self
            .store
            .charge(key, account, self.lockout(), self.clock.now())
            .await?
        {
            Charge::Allowed { left } => Ok(left),
            Charge::LockedUntil(until) => Err(self.locked(until, account, client).await),
        }
    }

    /// Makes the error of a wrong credential; the last one that was allowed says that it locked.
    pub(super) async fn wrong(&self, key: &str, left: u32, account: &str, client: &Client) -> AuthError {
        let named = self.named(account).await;
        tracing::info!(target: "audit", event = "login-failed", account = named, place = client.place, peer = client.peer, attempts_left = left);
        if left > 0 {
            return AuthError::BadCredential;
        }
        // One that was refunded at the same time may have opened it again.
        let Ok(Some(until)) = self.store.counter_locked(key, self.clock.now()).await else {
            return AuthError::BadCredential;
        };
        // The owner hears of their own account alone: names at random would fill every list.
        if account.is_empty() || named == account {
            self.note(
                client,
                Tone::Bad,
                &locked_for(account, until.saturating_sub(self.clock.now())),
            );
            // Nobody may listen.
            let _ = self.lockouts.send(Lockout {
                place: client.place.clone(),
                peer: client.peer.clone(),
                until,
            });
        }
        AuthError::Locked { until }
    }

    async fn let_in(&self, subject: &str, counter: Counter, client: &Client) -> Result<NewLogin, AuthError> {
        let Some(user) = self.store.user_by_identity(self.provider.name(), subject).await? else {
            self.store.refund(&counter.key).await?;
            tracing::info!(target: "audit", event = "login-unknown", subject, place = client.place, peer = client.peer);
            return Err(AuthError::Denied(
                "The login provider knows you, but you have no account here.".into(),
            ));
        };
        self.store.clear(&counter.key).await?;
        tracing::info!(target: "audit", event = "login", account = user.account, place = client.place, peer = client.peer);
        let made = self.new_login(user, counter.device, client).await?;
        self.note(client, Tone::Good, &format!("{} logged in", made.login.user.account));
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

/// What the owner reads of a lock.
fn locked_for(account: &str, left: Millis) -> String {
    let who = if account.is_empty() {
        "an account".to_owned()
    } else {
        format!("the account {account}")
    };
    let minutes = plural::of(left.div_ceil(60_000), "minute", "minutes");
    format!("{who} is locked for {minutes} after too many wrong passwords")
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
