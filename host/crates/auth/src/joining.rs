//! Who has a link gets an account. The owner's link is good only while no user *ever* existed, and only for who reads the
//! terminal: a token of 256 bits, of which only the hash is kept, for 15 minutes, for one use. The link of `nexus user add`
//! or `nexus user passwd` is for one account that it names, and is as good otherwise.
//!
//! A plugin that keeps credentials makes one (`manage`). With any other, the person logs in once by the plugin's own way, and
//! the subject that comes out is bound to the account.

use crate::account_name::Account;
use crate::client::Client;
use crate::devices::AttemptCounter;
use crate::error::AuthError;
use crate::form_token::{Opened, Purpose, Source, Thread};
use crate::invitation;
use crate::requests::Arrival;
use crate::run_to_end::run_to_end;
use crate::service::AuthService;
use crate::sessions::NewLogin;
use crate::steps::{Found, Page, Progress, account_of, context, denied, fitting, unfinished};
use nexus_model::activity::Severity;
use nexus_model::limits::SETUP_LINK;
use nexus_model::time::millis;
use nexus_plugin_traits::auth::{Answer, Ask, Identity, Input, MethodKind, Step};
use nexus_store::accounts::{NameTaken, User};
use nexus_store::logins::Which;
use std::sync::Arc;

/// `FirstAccount` says whether the first account was made, so that somebody can log in at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstAccount {
    /// `Present`: it was made, and set-up is over for ever.
    Present,
    /// `Missing`: no user ever existed.
    Missing {
        /// `link_open` says that a set-up link that was printed is still good.
        link_open: bool,
    },
}

/// `Joining` is what a set-up page asks, beside the token of the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joining {
    /// `Enroll`: the plugin makes a credential, and this is its first form.
    Enroll(Page),
    /// `Bind`: the person logs in by one of these methods (id, title); none: no page can do that.
    Bind(Vec<(String, String)>),
}

/// `Joiner` is how somebody with a link goes on.
pub enum Joiner<'a> {
    /// `Answer` is that to the plugin's first form.
    Answer {
        /// `state` is that of the form.
        state: &'a str,
        /// `input` is what was typed.
        input: Input,
    },
    /// `Method` is the id of the method to log in by.
    Method(&'a str, &'a Arrival),
}

/// `Invitation` is whom a link is for.
enum Invitation {
    Owner,
    Account(Account),
}

impl AuthService {
    /// Tells whether the first account is still to be made.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn setup_open(&self) -> Result<bool, AuthError> {
        Ok(!self.store.any_user_ever().await?)
    }

    /// Makes a new token for the set-up link, in place of the one before; `None`: set-up is over, or the login plugin, which
    /// would make the account, cannot be used. The token belongs into the link's fragment, on the terminal, and nowhere
    /// else.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn setup_link_token(&self) -> Result<Option<String>, AuthError> {
        if self.provider.broken().is_some() || !self.setup_open().await? {
            return Ok(None);
        }
        let token = nexus_model::random::random_token()?;
        let expires = self.clock.now().saturating_add(millis(SETUP_LINK));
        self.setup_link.set(&token, expires);
        Ok(Some(token))
    }

    /// Makes the token of a link by which somebody becomes `account`, new or not, in place of the link before. Good once, for
    /// [`SETUP_LINK`]. Works beside the host that will take it.
    ///
    /// # Errors
    /// [`AuthError::Rejected`]: it is no name.
    pub async fn invite(&self, account: &str) -> Result<String, AuthError> {
        let account = Account::parse(account, "account")?;
        let token = nexus_model::random::random_token()?;
        let expires = self.clock.now().saturating_add(millis(SETUP_LINK));
        invitation::set(&self.store, &token, &account, expires).await?;
        tracing::info!(target: "audit", event = "account_invited", account = account.as_str(), by = "command line");
        Ok(token)
    }

    /// Tells whether a link of [`Self::invite`] is still good.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn invitation_open(&self) -> Result<bool, AuthError> {
        invitation::is_open(&self.store, self.clock.now()).await
    }

    /// Tells whether a set-up link that was printed is still good.
    pub fn setup_link_open(&self) -> bool {
        self.setup_link.is_open(self.clock.now())
    }

    /// Checks whether the link may be used now; using it is [`AuthService::join`].
    ///
    /// # Errors
    /// [`AuthError::SetUpClosed`], [`AuthError::SetUpWrong`], [`AuthError::SetUpExpired`].
    pub async fn setup_check(&self, token: &str) -> Result<(), AuthError> {
        self.invitation(token).await.map(drop)
    }

    async fn invitation(&self, token: &str) -> Result<Invitation, AuthError> {
        let now = self.clock.now();
        if let Some(account) = invitation::account(&self.store, token, now).await? {
            return Ok(Invitation::Account(account));
        }
        if !self.setup_open().await? {
            return Err(match invitation::is_open(&self.store, now).await? {
                true => AuthError::SetUpWrong,
                false => AuthError::SetUpClosed,
            });
        }
        self.setup_link.check(token, now)?;
        Ok(Invitation::Owner)
    }

    /// Tells whether the first account was made, and whether it can be.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn first_account(&self) -> Result<FirstAccount, AuthError> {
        Ok(if self.setup_open().await? {
            FirstAccount::Missing {
                link_open: self.setup_link_open(),
            }
        } else {
            FirstAccount::Present
        })
    }

    /// `joining` is what a set-up page asks.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn joining(&self, client: &Client) -> Result<Joining, AuthError> {
        if self.provider.enrolls() {
            let (ask, state) = first_form(self.provider.name(), self.provider.enroll(context(None, client)).await?)?;
            let thread = Thread {
                purpose: Purpose::Open,
                source: Source::Manage,
                account: None,
                number: 0,
            };
            return Ok(Joining::Enroll(self.page(ask, &state, thread, client)?));
        }
        let methods = self.methods().await?.iter();
        let methods = methods.filter(|m| m.kind != MethodKind::Bearer);
        Ok(Joining::Bind(
            methods.map(|m| (m.id.clone(), m.title.clone())).collect(),
        ))
    }

    /// Begins to make the account of a link. `account` is what was typed, and counts for the owner's link alone. The link
    /// stays good until an account was made with it. Runs to its end even if the browser goes away.
    ///
    /// # Errors
    /// As [`AuthService::setup_check`]; [`AuthError::Rejected`]; [`AuthError::Expired`] of the form.
    pub async fn join(
        self: &Arc<Self>,
        token: &str,
        account: &str,
        how: Joiner<'_>,
        client: &Client,
    ) -> Result<Progress, AuthError> {
        let invited = match self.invitation(token).await {
            Ok(invited) => invited,
            Err(error) => {
                tracing::warn!(target: "audit", event = "first_account_refused", place = client.place, peer = client.peer, %error);
                return Err(error);
            }
        };
        let account = match invited {
            Invitation::Owner => Account::parse(account, "account")?,
            Invitation::Account(account) => account,
        };
        let purpose = Purpose::Join {
            link: token.to_owned(),
            account: account.as_str().to_owned(),
        };
        match how {
            Joiner::Answer { state, input } => {
                let mut opened = self.open_step(state, client)?;
                if opened.step.purpose != Purpose::Open {
                    return Err(AuthError::Expired);
                }
                let answer = fitting(&opened.step, Answer::Form(input))?;
                opened.step.purpose = purpose;
                let (auth, client) = (Arc::clone(self), client.clone());
                run_to_end(async move { auth.answer_joining(opened, answer, true, &client).await }).await
            }
            Joiner::Method(method, arrival) => {
                let ambient = self.methods().await?.iter();
                let ambient = ambient
                    .filter(|m| m.kind == MethodKind::Ambient)
                    .find(|m| m.id == method);
                let Some(ambient) = ambient else {
                    let page = self.begin_steps(Some(method), purpose, client).await?;
                    return Ok(Progress::Next(page));
                };
                let identity = self.ambient_identity(ambient, arrival, client).await?;
                let identity = identity.ok_or_else(|| {
                    AuthError::Denied(format!("This request does not show who you are by {}.", ambient.title))
                })?;
                let (auth, client, token) = (Arc::clone(self), client.clone(), token.to_owned());
                run_to_end(async move { auth.joined(&token, &account, Source::Auth, identity, &client).await })
                    .await
                    .map(Progress::Done)
            }
        }
    }

    /// `of_link`: the step is the form of a set-up page, so that what was typed into it can be corrected there.
    pub(super) async fn answer_joining(
        &self,
        opened: Opened,
        mut answer: Answer,
        of_link: bool,
        client: &Client,
    ) -> Result<Progress, AuthError> {
        let step = &opened.step;
        let Purpose::Join { link, account } = &step.purpose else {
            return Err(AuthError::Expired);
        };
        let account = Account::parse(account, "account")?;
        // It may have been used, or replaced, since.
        self.setup_check(link).await?;
        // Who has the link has read the terminal. It is no way to guess without being counted.
        let mut counter = AttemptCounter::of_known(format!("join:{}", account.as_str()));
        // Who logs in to be bound has a name of their own there.
        let named = match step.source {
            Source::Manage => Some(account.clone()),
            Source::Auth => account_of(step, &mut answer)?,
        };
        // A link is no more guesses at somebody's password.
        if step.source == Source::Auth
            && let Some(named) = &named
        {
            counter.also = Some(self.counter(named, client).await?.key);
        }
        match self.go_on(&opened, answer, named.as_ref(), &counter, client).await? {
            Found::Identity(identity) => {
                self.store.clear(&counter.key).await?;
                if let Some(also) = &counter.also {
                    self.store.clear(also).await?;
                }
                let made = self.joined(link, &account, step.source, identity, client).await?;
                Ok(Progress::Done(made))
            }
            Found::Ask(ask, state) => {
                let mut thread = step.thread(named.map(|account| account.as_str().to_owned()));
                if of_link && matches!(ask, Ask::Form { problem: Some(_), .. }) {
                    thread.purpose = Purpose::Open;
                }
                Ok(Progress::Next(self.page(ask, &state, thread, client)?))
            }
        }
    }

    /// Binds what came out to the account of the link, and uses the link up.
    async fn joined(
        &self,
        link: &str,
        account: &Account,
        source: Source,
        identity: Identity,
        client: &Client,
    ) -> Result<NewLogin, AuthError> {
        let _one = self.enrollment.lock().await;
        let bound = match self.invitation(link).await {
            Ok(invited) => self.bind_invited(invited, account, &identity.subject, client).await,
            Err(error) => Err(error), // somebody else was first
        };
        let user = match bound {
            Ok(user) => user,
            Err(error) => {
                if source == Source::Manage {
                    self.take_back(&identity.subject).await;
                }
                return Err(error);
            }
        };
        self.has_account.send_replace(true);
        self.new_login(user, None, client).await
    }

    async fn bind_invited(
        &self,
        invited: Invitation,
        account: &Account,
        subject: &str,
        client: &Client,
    ) -> Result<User, AuthError> {
        let (place, peer) = (&client.place, &client.peer);
        let user = match invited {
            Invitation::Owner => {
                let user = self.add_user(account, subject, true).await?;
                self.setup_link.clear();
                tracing::info!(target: "audit", event = "first_account_added", account = account.as_str(), place, peer);
                self.note(client, Severity::Ok, "the owner account was created");
                user
            }
            Invitation::Account(account) => {
                let user = self.bind(&account, subject).await?;
                invitation::clear(&self.store).await?;
                tracing::info!(target: "audit", event = "account_added", account = account.as_str(), by = "link", place, peer);
                self.note(
                    client,
                    Severity::Ok,
                    &format!("{} used the link for the account", account.as_str()),
                );
                user
            }
        };
        Ok(user)
    }

    /// Makes the user, or gives one who exists this identity; then nothing of before is good any more.
    pub(super) async fn bind(&self, account: &Account, subject: &str) -> Result<User, AuthError> {
        let Some(user) = self.store.user_by_account(account.as_str()).await? else {
            return self.add_user(account, subject, false).await;
        };
        let before = self.store.subject(user.id, self.provider.name()).await?;
        self.set_identity(&user, subject).await?;
        if let Some(before) = before.filter(|before| before != subject && self.provider.enrolls()) {
            self.take_back(&before).await;
        }
        self.store.unlock(&user.account, self.clock.now()).await?;
        self.store.forget_devices(user.id, Which::All).await?;
        self.revoke_of(&user, Which::All).await?;
        Ok(user)
    }

    pub(super) async fn add_user(&self, account: &Account, subject: &str, first: bool) -> Result<User, AuthError> {
        let plugin = self.provider.name();
        let added = self
            .store
            .add_user(account.as_str(), plugin, subject, first, self.clock.now())
            .await?;
        added.map_err(|why| name_taken(why, account.as_str()))
    }

    /// Makes the subject the user's, in place of the one before.
    pub(super) async fn set_identity(&self, user: &User, subject: &str) -> Result<(), AuthError> {
        let set = self.store.set_identity(user.id, self.provider.name(), subject).await?;
        set.map_err(|why| name_taken(why, &user.account))
    }

    /// Takes a credential back that no user has: it opens nothing, and the next attempt finds its name free.
    pub(super) async fn take_back(&self, subject: &str) {
        let owner = self.store.user_by_identity(self.provider.name(), subject).await;
        if matches!(owner, Ok(None))
            && let Err(e) = self.provider.remove(subject).await
        {
            tracing::warn!(error = %e, "a credential without a user remains in the auth plugin's store");
        }
    }
}

/// `ACCOUNT` is the name of the field in which a set-up page asks for the account's name.
const ACCOUNT: &str = "account";

/// `first_form` is the form that an enrollment begins with.
///
/// # Errors
/// It begins with something else.
pub(super) fn first_form(plugin: &str, step: Step) -> Result<(Ask, Vec<u8>), AuthError> {
    match step {
        Step::Ask {
            ask: ask @ Ask::Form { .. },
            state,
        } => match &ask {
            Ask::Form { fields, .. } if fields.iter().any(|field| field.name == ACCOUNT) => Err(unfinished(
                plugin,
                "asked for a field `account`, which is the host's own",
            )),
            _ => Ok((ask, state)),
        },
        Step::Deny(refused) => Err(denied(refused)),
        Step::Ask { .. } | Step::Identity(_) => Err(unfinished(plugin, "began an enrollment with no form")),
    }
}

fn name_taken(why: NameTaken, account: &str) -> AuthError {
    match why {
        NameTaken::SetUp => AuthError::SetUpClosed,
        NameTaken::Account => taken(account),
        NameTaken::Subject => AuthError::Rejected {
            field: "account".into(),
            cause:
                "This login already belongs to another account. To fix: log in as another person, or remove the other \
                    account first with `nexus user remove NAME`"
                    .into(),
        },
    }
}

pub(super) fn taken(account: &str) -> AuthError {
    AuthError::Rejected {
        field: "account".into(),
        cause: format!(
            "The account {account} already exists. To fix: choose another name, or set a new password with \
             `nexus user passwd {account}`"
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nexus_plugin_traits::auth::{Field, FieldKind};

    #[test]
    fn an_enrollment_begins_with_a_form_and_leaves_the_name_to_the_host() {
        let form = |names: &[&str]| Step::Ask {
            ask: Ask::Form {
                fields: names
                    .iter()
                    .map(|name| Field {
                        name: (*name).to_owned(),
                        kind: FieldKind::Text,
                        title: String::new(),
                        help: None,
                    })
                    .collect(),
                problem: None,
            },
            state: Vec::new(),
        };
        assert!(first_form("p", form(&[])).is_ok() && first_form("p", form(&["password"])).is_ok());
        let url = "https://login.example/".to_owned();
        let redirect = Step::Ask {
            ask: Ask::Redirect { url },
            state: Vec::new(),
        };
        let identity = Step::Identity(Identity {
            subject: "s".into(),
            display_name: None,
        });
        for step in [form(&["account"]), redirect, identity] {
            let refused = first_form("p", step).err().unwrap().to_string();
            assert!(refused.contains("This is a bug of the plugin"), "{refused}");
        }
    }
}
