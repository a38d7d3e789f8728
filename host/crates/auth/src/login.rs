//! Logging in, step by step. Lockout is checked and charged (`lockout.rs`) before the plugin sees a credential.

use crate::client::Client;
use crate::devices::AttemptCounter;
use crate::error::AuthError;
use crate::form_token::{Opened, Purpose, Source, Thread};
use crate::service::AuthService;
use crate::sessions::NewLogin;
use crate::steps::{Found, Page, Progress, account_of, context, denied, unfinished};
use nexus_model::activity::Severity;
use nexus_plugin_traits::auth::{Answer, Identity, Method, MethodKind, Step};

impl AuthService {
    /// `interactive` are the ways to log in that begin on a page: those of the kinds form, redirect and webauthn.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn interactive(&self) -> Result<Vec<Method>, AuthError> {
        let of_a_page = |m: &&Method| matches!(m.kind, MethodKind::Form | MethodKind::Redirect | MethodKind::Webauthn);
        Ok(self.methods().await?.iter().filter(of_a_page).cloned().collect())
    }

    /// Begins a login and returns its first page; without a `method`, that of the first one that a person can use.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`], [`AuthError::Denied`].
    pub async fn begin_login(&self, method: Option<&str>, client: &Client) -> Result<Page, AuthError> {
        self.begin_steps(method, Purpose::LogIn, client).await
    }

    /// Begins the steps of a login, for whatever purpose.
    pub(super) async fn begin_steps(
        &self,
        method: Option<&str>,
        purpose: Purpose,
        client: &Client,
    ) -> Result<Page, AuthError> {
        let methods = self.interactive().await?;
        let chosen = methods.iter().find(|m| method.is_none_or(|id| m.id == id));
        let chosen = chosen.ok_or_else(|| {
            AuthError::Unavailable(format!(
                "the auth plugin {} does not have this login method",
                self.provider.name()
            ))
        })?;
        match self.provider.begin(&chosen.id, context(None, client)).await? {
            Step::Ask { ask, state } => {
                let thread = Thread {
                    purpose,
                    source: Source::Auth,
                    account: None,
                    number: 0,
                };
                self.page(ask, &state, thread, client)
            }
            Step::Identity(_) => Err(unfinished(self.provider.name(), "accepted a login without any proof")),
            Step::Deny(refused) => Err(denied(refused)),
        }
    }

    pub(super) async fn answer_login(
        &self,
        opened: Opened,
        mut answer: Answer,
        client: &Client,
    ) -> Result<Progress, AuthError> {
        let step = &opened.step;
        let account = account_of(step, &mut answer)?;
        let counter = match &account {
            Some(account) => self.counter(account, client).await?,
            None => self.unnamed("peer", client).await?,
        };
        match self.go_on(&opened, answer, account.as_ref(), &counter, client).await? {
            Found::Identity(identity) => self.let_in(&identity, counter, client).await.map(Progress::Done),
            Found::Ask(ask, state) => {
                let thread = step.thread(account.map(|account| account.as_str().to_owned()));
                Ok(Progress::Next(self.page(ask, &state, thread, client)?))
            }
        }
    }

    async fn let_in(
        &self,
        identity: &Identity,
        counter: AttemptCounter,
        client: &Client,
    ) -> Result<NewLogin, AuthError> {
        let Some(user) = self
            .store
            .user_by_identity(self.provider.name(), &identity.subject)
            .await?
        else {
            self.store.refund(&counter.key).await?;
            return Err(self.unknown(identity, client));
        };
        self.store.clear(&counter.key).await?;
        tracing::info!(target: "audit", event = "login", account = user.account, place = client.place, peer = client.peer);
        let device = self.known_device(&user, client).await?;
        let made = self.new_login(user, device, client).await?;
        self.note(client, Severity::Ok, &format!("{} logged in", made.login.user.account));
        Ok(made)
    }

    /// `unknown` is the refusal of somebody whom the plugin knows and who has no account: what the owner would have to do.
    pub(super) fn unknown(&self, identity: &Identity, client: &Client) -> AuthError {
        let Identity { subject, display_name } = identity;
        let name = display_name.as_deref().unwrap_or_default();
        tracing::info!(target: "audit", event = "login_unknown", subject, name, place = client.place, peer = client.peer);
        let called = match name {
            "" => String::new(),
            name => format!(" as {name}"),
        };
        AuthError::Denied(format!(
            "The login plugin knows you{called}, but you have no account here. To fix: the owner of this Nexus has to run on \
             its machine: `nexus user bind NAME --subject {}`",
            quoted(subject)
        ))
    }
}

/// `quoted` is a subject as a shell reads it.
fn quoted(subject: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:@/".contains(c);
    if subject.chars().all(plain) && !subject.starts_with('-') {
        subject.to_owned()
    } else {
        format!("'{}'", subject.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_subject_is_quoted_for_a_shell() {
        for (subject, shell) in [
            ("google:1234@x.example", "google:1234@x.example"),
            ("a b", "'a b'"),
            ("a'; rm -rf /; '", r"'a'\''; rm -rf /; '\'''"),
            ("$(x)", "'$(x)'"),
            ("-x", "'-x'"),
        ] {
            assert_eq!(super::quoted(subject), shell);
        }
    }
}
