//! Logins, as the web wants them.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_auth::{AuthError, AuthService, Client, Lockout, NewLogin as Made, Page, Progress};
use nexus_config::resolved;
use nexus_model::activity::{Activity, Tone};
use nexus_model::limits;
use nexus_plugin_traits::auth::{Field, FieldKind, Input};
use nexus_store::logins::{Login as Stored, Which};
use nexus_web::port::{
    Access, ApiError, AuthApi, ChangeOutcome, End, Login, LoginForm, LoginOutcome, NewLogin, Owner, Reply,
    SetupOutcome, Visitor,
};
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

pub(super) struct AuthAdapter {
    auth: Arc<AuthService>,
    config: resolved::Auth,
    has_account: Arc<watch::Sender<bool>>,
    activity: Arc<dyn Activity>,
}

impl AuthAdapter {
    pub(super) fn new(
        auth: Arc<AuthService>,
        config: resolved::Auth,
        has_account: Arc<watch::Sender<bool>>,
        activity: Arc<dyn Activity>,
    ) -> Self {
        tokio::spawn(note_locks(auth.lockouts(), Arc::clone(&activity)));
        Self {
            auth,
            config,
            has_account,
            activity,
        }
    }

    /// What the owner wants to find on the page; the audit log has all of it.
    fn note(&self, visitor: &Visitor, tone: Tone, what: &str) {
        let text = format!("{what}, from {} ({})", visitor.address, visitor.place);
        self.activity.note("login", tone, &text);
    }

    fn made(&self, made: Made) -> NewLogin {
        NewLogin {
            token: made.token,
            device: Some(made.device),
            max_age: self.config.session_absolute,
        }
    }

    async fn stored(&self, login: &Login) -> Result<Stored, ApiError> {
        let found = self.auth.login_by_id(&login.id).await?;
        found.ok_or_else(|| ApiError::Refused("This login has ended. Log in again.".to_owned()))
    }

    async fn form(&self, page: Page) -> Result<LoginForm, ApiError> {
        let Page::Form { fields, state } = page else {
            // No page of ours can show it; said instead of a form that cannot work.
            return Err(ApiError::Unavailable(
                "The auth plugin asks for a way to log in that this version of Nexus cannot show yet (redirect or \
                 passkey). Select another one in [auth]."
                    .to_owned(),
            ));
        };
        let title = self
            .auth
            .methods()
            .await
            .ok()
            .and_then(|methods| methods.into_iter().next());
        Ok(LoginForm {
            title: title.map_or_else(|| "Log in".to_owned(), |method| method.title),
            fields,
            state,
        })
    }
}

/// Once for each lock, and not for each attempt while it lasts.
async fn note_locks(mut lockouts: broadcast::Receiver<Lockout>, activity: Arc<dyn Activity>) {
    loop {
        match lockouts.recv().await {
            Ok(Lockout { place, peer, .. }) => {
                let text = format!("logins are locked after too many wrong passwords, from {peer} ({place})");
                activity.note("login", Tone::Bad, &text);
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

fn client(visitor: &Visitor) -> Client {
    Client {
        browser: visitor.browser.clone(),
        device: visitor.device.clone(),
        peer: visitor.address.to_string(),
        place: visitor.place.clone(),
        holder: visitor.holder.clone(),
        agent: visitor.agent.clone(),
    }
}

/// Runs to its end even if the browser goes away: the plugin's credential and the host's users are changed together.
async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, AuthError>> + Send + 'static,
) -> Result<T, AuthError> {
    let ended = tokio::spawn(work).await;
    ended.unwrap_or_else(|_| Err(AuthError::Unavailable("Nexus is stopping.".to_owned())))
}

impl AuthApi for AuthAdapter {
    fn owner(&self) -> Reply<'_, Owner> {
        async move {
            Ok(if self.auth.setup_open().await? {
                Owner::Missing {
                    link_open: self.auth.setup_link_open(),
                }
            } else {
                Owner::Present
            })
        }
        .boxed()
    }

    fn setup_fields(&self) -> Reply<'_, Vec<Field>> {
        async move { Ok(self.auth.enrol_fields().await?) }.boxed()
    }

    fn setup<'a>(
        &'a self,
        visitor: &'a Visitor,
        token: &'a str,
        account: &'a str,
        input: Input,
    ) -> Reply<'a, SetupOutcome> {
        async move {
            let (auth, client) = (Arc::clone(&self.auth), client(visitor));
            let (token, account) = (token.to_owned(), account.to_owned());
            match whole(async move { auth.setup(&token, &account, input, &client).await }).await {
                Ok(made) => {
                    self.has_account.send_replace(true);
                    self.note(visitor, Tone::Good, "the owner's account was made");
                    Ok(SetupOutcome::Done(self.made(made)))
                }
                Err(AuthError::SetUpWrong | AuthError::SetUpExpired) => Ok(SetupOutcome::BadToken),
                Err(AuthError::SetUpClosed) => Ok(SetupOutcome::Closed),
                Err(AuthError::Rejected { field, why }) => Ok(SetupOutcome::Rejected { field, why }),
                Err(error) => Err(error.into()),
            }
        }
        .boxed()
    }

    fn begin<'a>(&'a self, visitor: &'a Visitor) -> Reply<'a, LoginForm> {
        async move {
            let page = self.auth.begin_login(None, &visitor.origin, &client(visitor)).await?;
            self.form(page).await
        }
        .boxed()
    }

    fn proceed<'a>(&'a self, visitor: &'a Visitor, state: &'a str, input: Input) -> Reply<'a, LoginOutcome> {
        async move {
            match self.auth.login(state, input, &client(visitor)).await {
                Ok(Progress::Done(made)) => {
                    self.note(visitor, Tone::Good, &format!("{} logged in", made.login.user.account));
                    Ok(LoginOutcome::LoggedIn(self.made(made)))
                }
                Ok(Progress::Next(page)) => Ok(LoginOutcome::Form(self.form(page).await?)),
                Err(AuthError::Locked { until }) => Ok(LoginOutcome::Locked { until }),
                Err(AuthError::Expired) => Ok(LoginOutcome::Expired),
                Err(error @ (AuthError::BadCredential | AuthError::Denied(_) | AuthError::Rejected { .. })) => {
                    Ok(LoginOutcome::Denied(error.to_string()))
                }
                Err(error) => Err(error.into()),
            }
        }
        .boxed()
    }

    fn lookup<'a>(&'a self, place: &'a str, holder: &'a str, token: &'a str) -> Reply<'a, Option<Login>> {
        async move {
            let Some(stored) = self.auth.authenticate(place, holder, token).await? else {
                return Ok(None);
            };
            Ok(Some(Login {
                csrf: self.auth.csrf_token(&stored),
                id: stored.id,
                user: stored.user.id.to_string(),
                account: stored.user.account,
            }))
        }
        .boxed()
    }

    fn fresh<'a>(&'a self, login: &'a Login) -> Reply<'a, bool> {
        async move { Ok(self.auth.is_fresh(&self.stored(login).await?, limits::FRESH_LOGIN)) }.boxed()
    }
    fn logout<'a>(&'a self, login: &'a Login) -> Reply<'a, ()> {
        async move { Ok(self.auth.logout(&self.stored(login).await?).await?) }.boxed()
    }

    fn logout_others<'a>(&'a self, login: &'a Login) -> Reply<'a, usize> {
        async move {
            let stored = self.stored(login).await?;
            let others = self.auth.logins(&stored).await?.len().saturating_sub(1);
            self.auth.revoke(&stored, Which::AllBut(stored.id.clone())).await?;
            Ok(others)
        }
        .boxed()
    }

    fn change_fields(&self) -> Reply<'_, Vec<Field>> {
        async move {
            let mut fields = vec![Field {
                name: "current".to_owned(),
                kind: FieldKind::Password,
                title: "Present password".to_owned(),
                help: None,
            }];
            fields.extend(self.auth.enrol_fields().await?);
            Ok(fields)
        }
        .boxed()
    }

    fn change<'a>(&'a self, visitor: &'a Visitor, login: &'a Login, input: Input) -> Reply<'a, ChangeOutcome> {
        async move {
            let stored = self.stored(login).await?;
            let (auth, client) = (Arc::clone(&self.auth), client(visitor));
            match whole(async move { auth.change_password(&stored, input, &client).await }).await {
                Ok(()) => {
                    self.note(visitor, Tone::Good, "the password was changed");
                    Ok(ChangeOutcome::Done)
                }
                Err(AuthError::Rejected { field, why }) => Ok(ChangeOutcome::Rejected { field, why }),
                Err(AuthError::BadCredential) => Ok(ChangeOutcome::WrongPresent),
                Err(AuthError::Locked { until }) => Ok(ChangeOutcome::Locked { until }),
                Err(error) => Err(error.into()),
            }
        }
        .boxed()
    }

    fn access(&self) -> Reply<'_, Access> {
        async move { Ok(self.auth.access().await?) }.boxed()
    }

    fn end<'a>(&'a self, visitor: &'a Visitor, login: &'a Login, what: &'a End) -> Reply<'a, ()> {
        async move {
            let stored = self.stored(login).await?;
            if !self.auth.is_fresh(&stored, limits::FRESH_LOGIN) {
                return Err(ApiError::Refused(
                    "This needs a login of the last five minutes. Log in again.".to_owned(),
                ));
            }
            let (auth, client, what) = (Arc::clone(&self.auth), client(visitor), what.clone());
            let said = match &what {
                End::Login(_) => "a login was ended".to_owned(),
                End::Device(_) => "a known device was forgotten".to_owned(),
                End::Account(account) => format!("the account {account} was removed"),
            };
            whole(async move { auth.end(&stored, &client, &what).await })
                .await
                .map_err(|error| match error {
                    AuthError::Rejected { why, .. } => ApiError::Refused(why),
                    other => other.into(),
                })?;
            self.note(visitor, Tone::Good, &said);
            Ok(())
        }
        .boxed()
    }

    fn revoked(&self, login: &str) -> BoxFuture<'static, ()> {
        let (auth, id) = (Arc::clone(&self.auth), login.to_owned());
        async move { auth.revoked(&id).await }.boxed()
    }
}
