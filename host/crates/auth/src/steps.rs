//! The steps of a login or an enrollment, whatever they are for: what the browser is asked, and who goes on with its answer.
//!
//! A state that belongs to another browser, another place, another plugin, another user or an answer of another kind has
//! expired, and nothing is said about which of these it was.

use crate::account_name::Account;
use crate::client::Client;
use crate::devices::AttemptCounter;
use crate::error::AuthError;
use crate::form_token::{Asked, Opened, Purpose, Source, StepState, Thread};
use crate::run_to_end::run_to_end;
use crate::service::AuthService;
use crate::sessions::NewLogin;
use nexus_model::limits::{LOGIN_STEPS, WEBAUTHN_ANSWER};
use nexus_plugin_traits::CallError;
use nexus_plugin_traits::auth::{Answer, Ask, Context, Denial, Denied, Identity, Step};
use nexus_store::logins::Login;
use std::sync::Arc;

/// `CALLBACK` is the path to which another site leads back.
pub const CALLBACK: &str = "/login/callback";

/// `Page` is what to ask the browser next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// `ask` is the question. The address of a redirect has the state in it.
    pub ask: Ask,
    /// `state` is encrypted, and comes back with the answer.
    pub state: String,
    /// `of_link`: it is a form of a set-up page, sent with the token of the link to [`AuthService::join`].
    pub of_link: bool,
}

/// `Progress` is what comes of one answer.
#[derive(Debug)]
pub enum Progress {
    /// `Next`: the login plugin wants another step, such as a code.
    Next(Page),
    /// `Done`: the user is logged in.
    Done(NewLogin),
    /// `Changed`: the credential of the user who is logged in was changed.
    Changed,
}

impl AuthService {
    /// Takes the answer to a page, whatever that was for. A step is used once, whatever comes of it: after an error the
    /// login begins again. `login` is that of the browser, if it has one.
    ///
    /// # Errors
    /// All of [`AuthError`].
    pub async fn proceed(
        self: &Arc<Self>,
        state: &str,
        answer: Answer,
        client: &Client,
        login: Option<&Login>,
    ) -> Result<Progress, AuthError> {
        let opened = self.open_step(state, client)?;
        let answer = fitting(&opened.step, answer)?;
        match &opened.step.purpose {
            // Who goes away ends this work.
            Purpose::LogIn => self.answer_login(opened, answer, client).await,
            Purpose::Join { .. } => {
                let (auth, client) = (Arc::clone(self), client.clone());
                run_to_end(async move { auth.answer_joining(opened, answer, false, &client).await }).await
            }
            Purpose::Change { login: id } => {
                let login = login.filter(|login| login.id == *id).ok_or(AuthError::Expired)?;
                let (auth, login, client) = (Arc::clone(self), login.clone(), client.clone());
                run_to_end(async move { auth.answer_change(opened, answer, &login, &client).await }).await
            }
            // It is sent with the token of a link, or not at all.
            Purpose::Open => Err(AuthError::Expired),
        }
    }

    /// Takes the answer to a page of [`Self::change`] as [`Self::proceed`] does, and to no other. Returns the next page; `None`: it
    /// is changed.
    ///
    /// # Errors
    /// All of [`AuthError`].
    pub async fn proceed_changing(
        self: &Arc<Self>,
        state: &str,
        answer: Answer,
        client: &Client,
        login: &Login,
    ) -> Result<Option<Page>, AuthError> {
        let purpose = self.open_step(state, client)?.step.purpose;
        if !matches!(purpose, Purpose::Change { .. }) {
            return Err(AuthError::Expired);
        }
        match self.proceed(state, answer, client, Some(login)).await? {
            Progress::Next(page) => Ok(Some(page)),
            Progress::Changed | Progress::Done(_) => Ok(None),
        }
    }

    pub(super) fn open_step(&self, state: &str, client: &Client) -> Result<Opened, AuthError> {
        let now = self.clock.now();
        let opened = self.form_tokens.open(state, &client.browser, &client.place, now)?;
        if opened.step.plugin != self.provider.name() {
            return Err(AuthError::Expired); // it was swapped in between
        }
        Ok(opened)
    }

    /// Has the plugin go on with a step, once; the attempt is counted as wrong before, and what it was is found after. The
    /// result is an identity, whose counter is still charged, or another question.
    ///
    /// # Errors
    /// [`AuthError::Locked`], [`AuthError::Busy`]: nothing was checked, and the step is as it was. Else as
    /// [`Self::proceed`].
    pub(super) async fn go_on(
        &self,
        opened: &Opened,
        answer: Answer,
        account: Option<&Account>,
        counter: &AttemptCounter,
        client: &Client,
    ) -> Result<Found, AuthError> {
        let (step, key) = (&opened.step, counter.key.as_str());
        let name = account.map_or("", Account::as_str);
        let (state, context) = (step.state()?, context(account, client));
        // Nothing is written for one who is locked or has to wait: that costs a read.
        let permit = self.admit(key, name, counter.known, client).await?;
        if let Some(also) = &counter.also
            && let Some(until) = self.store.counter_locked(also, self.clock.now()).await?
        {
            return Err(self.locked(until, name, client).await);
        }
        self.form_tokens.use_up(opened, &client.place, self.clock.now())?;
        let (key, left) = self.charge_all(counter, name, client).await?;
        let next = match step.source {
            Source::Auth => self.provider.proceed(state, answer, context).await,
            Source::Manage => self.provider.proceed_managing(state, answer, context).await,
        };
        drop(permit);
        match next.map_err(AuthError::from) {
            Ok(Step::Identity(identity)) => Ok(Found::Identity(identity)),
            Ok(Step::Ask { ask, state }) => {
                self.refund_all(counter).await?;
                Ok(Found::Ask(ask, state))
            }
            Ok(Step::Deny(refused)) if refused.reason == Denial::BadCredential => {
                Err(match self.wrong(key, left, name, client).await {
                    AuthError::BadCredential => denied(refused),
                    locked => locked,
                })
            }
            Ok(Step::Deny(refused)) => {
                self.refund_all(counter).await?;
                let account = self.named(name).await;
                tracing::info!(target: "audit", event = "login_denied", account, place = client.place, peer = client.peer, reason = ?refused.reason);
                Err(denied(refused))
            }
            Err(e) => {
                self.refund_all(counter).await?;
                self.unchecked(&e, name, client).await;
                Err(e)
            }
        }
    }

    /// `page` is what the browser is asked, with the plugin's state encrypted.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`]: it has no end.
    pub(super) fn page(&self, ask: Ask, state: &[u8], thread: Thread, client: &Client) -> Result<Page, AuthError> {
        if thread.number >= LOGIN_STEPS {
            return Err(AuthError::Unavailable(format!(
                "the auth plugin {} asked for more than {LOGIN_STEPS} steps. This is a bug of the plugin",
                self.provider.name()
            )));
        }
        let of_link = thread.purpose == Purpose::Open;
        let step = StepState::new(self.provider.name(), thread, state, &ask, self.clock.now());
        let state = self.form_tokens.encrypt(step, &client.browser, &client.place)?;
        let ask = match ask {
            Ask::Redirect { url } => {
                let more = if url.contains('?') { '&' } else { '?' };
                // Of the letters of base64url, so nothing in it has to be written otherwise.
                Ask::Redirect {
                    url: format!("{url}{more}state={state}"),
                }
            }
            ask => ask,
        };
        Ok(Page { ask, state, of_link })
    }
}

/// `Found` is what a step led to, where it was not refused.
pub(super) enum Found {
    Identity(Identity),
    Ask(Ask, Vec<u8>),
}

/// `fitting` is an answer to this step, without what nobody asked for.
///
/// # Errors
/// [`AuthError::Expired`]: it answers something else.
pub(super) fn fitting(step: &StepState, answer: Answer) -> Result<Answer, AuthError> {
    match (step.asked, answer) {
        (Asked::Form, Answer::Form(mut input)) => {
            input.0.retain(|name, _| step.fields.contains(name));
            Ok(Answer::Form(input))
        }
        (Asked::Redirect, answer @ Answer::Redirect(_)) => Ok(answer),
        (Asked::Webauthn, Answer::Webauthn(credential)) if credential.len() <= WEBAUTHN_ANSWER => {
            Ok(Answer::Webauthn(credential))
        }
        _ => Err(AuthError::Expired),
    }
}

/// `named` is the account that a step is about by now: the one in this answer, or of an earlier one. In the answer it is
/// made canonical.
///
/// # Errors
/// [`AuthError::Rejected`]: it is no name.
pub(super) fn account_of(step: &StepState, answer: &mut Answer) -> Result<Option<Account>, AuthError> {
    match (&step.account_field, &step.account, answer) {
        (Some(field), _, Answer::Form(input)) => {
            let account = Account::parse(input.0.get(field).map_or("", String::as_str), field)?;
            input.0.insert(field.clone(), account.as_str().to_owned());
            Ok(Some(account))
        }
        (_, Some(account), _) => Account::parse(account, "account").map(Some),
        _ => Ok(None),
    }
}

pub(super) fn context(account: Option<&Account>, client: &Client) -> Context {
    Context {
        account: account.map(|account| account.as_str().to_owned()),
        origin: client.origin.clone(),
        callback: format!("{}{CALLBACK}", client.origin),
    }
}

pub(super) fn denied(denied: Denied) -> AuthError {
    let Denied { reason, message } = denied;
    match reason {
        // The plugin knows what was wrong: a code is no password.
        Denial::BadCredential => message.map_or(AuthError::BadCredential, AuthError::Denied),
        Denial::Policy => AuthError::Denied(message.unwrap_or_else(|| "You may not log in here.".into())),
        Denial::Unavailable => AuthError::Unavailable(
            message.unwrap_or_else(|| "The login cannot be checked now. Try again later.".into()),
        ),
    }
}

/// `unfinished` is a plugin that ends where it has to ask.
pub(super) fn unfinished(plugin: &str, what: &str) -> AuthError {
    AuthError::from(CallError::Other(format!(
        "the auth plugin {plugin} {what}. This is a bug of the plugin"
    )))
}
