//! A user changes the credential, who shows the present one.

use crate::account_name::Account;
use crate::client::Client;
use crate::devices::AttemptCounter;
use crate::error::AuthError;
use crate::form_token::{Opened, Purpose, Source, Thread};
use crate::service::AuthService;
use crate::steps::{Found, Page, Progress, context, denied, unfinished};
use nexus_model::activity::Severity;
use nexus_plugin_traits::auth::{Answer, Step};
use nexus_store::logins::{Login, Which};

impl AuthService {
    /// `change` is the first step of a change of the user's credential; `None`: the login plugin has none of it.
    ///
    /// # Errors
    /// [`AuthError::Denied`], [`AuthError::Unavailable`].
    pub async fn change(&self, login: &Login, client: &Client) -> Result<Option<Page>, AuthError> {
        if !self.provider.enrolls() {
            return Ok(None);
        }
        let plugin = self.provider.name();
        let Some(subject) = self.store.subject(login.user.id, plugin).await? else {
            return Ok(None);
        };
        let account = Account::parse(&login.user.account, "account")?;
        match self.provider.change(&subject, context(Some(&account), client)).await? {
            Step::Ask { ask, state } => {
                let thread = Thread {
                    purpose: Purpose::Change {
                        login: login.id.clone(),
                    },
                    source: Source::Manage,
                    account: Some(account.as_str().to_owned()),
                    number: 0,
                };
                Ok(Some(self.page(ask, &state, thread, client)?))
            }
            Step::Identity(_) => Err(unfinished(plugin, "changed a credential without any proof")),
            Step::Deny(refused) => Err(denied(refused)),
        }
    }

    /// After a change all other logins of the user end, and no other device of theirs is known any more.
    pub(super) async fn answer_change(
        &self,
        opened: Opened,
        answer: Answer,
        login: &Login,
        client: &Client,
    ) -> Result<Progress, AuthError> {
        let user = &login.user;
        let account = Account::parse(&user.account, "account")?;
        // Of its own, so that who found an open session can neither guess on nor lock the login page.
        let counter = AttemptCounter::of_known(format!("change:{}", user.id));
        match self.go_on(&opened, answer, Some(&account), &counter, client).await? {
            Found::Identity(identity) => {
                self.store.clear(&counter.key).await?;
                self.set_identity(user, &identity.subject).await?;
                self.store.checked_login(&login.id, self.clock.now()).await?;
                tracing::info!(target: "audit", event = "password_changed", account = user.account, place = client.place, peer = client.peer);
                self.store
                    .forget_devices(user.id, Which::AllBut(login.device.clone()))
                    .await?;
                self.revoke(login, Which::AllBut(login.id.clone())).await?;
                self.note(client, Severity::Ok, "the password was changed");
                Ok(Progress::Changed)
            }
            Found::Ask(ask, state) => {
                let thread = opened.step.thread(Some(account.as_str().to_owned()));
                Ok(Progress::Next(self.page(ask, &state, thread, client)?))
            }
        }
    }
}
