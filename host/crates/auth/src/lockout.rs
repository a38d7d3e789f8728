//! Lockout: who guesses passwords is made to wait, by account and device, whatever the login plugin does. Each attempt is counted
//! as wrong before a credential is checked, and refunded where it was not: to break a connection off saves nobody an attempt.

use crate::client::Client;
use crate::devices::AttemptCounter;
use crate::error::AuthError;
use crate::hash_queue::{Applicant, Permit};
use crate::service::{AuthService, Lockout};
use nexus_logging::audit;
use nexus_model::activity::Severity;
use nexus_model::plural;
use nexus_model::time::Millis;
use nexus_store::lockout::Charge;

impl AuthService {
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
        let who = Applicant {
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

    pub(super) async fn locked(&self, until: Millis, account: &str, client: &Client) -> AuthError {
        let account = self.named(account).await;
        tracing::warn!(target: "audit", event = "login_locked", account, place = client.place, peer = client.peer, until = audit::time(until));
        AuthError::Locked { until }
    }

    /// Writes into the audit that nothing was checked; a flood of these is folded there.
    pub(super) async fn unchecked(&self, error: &AuthError, account: &str, client: &Client) {
        let account = self.named(account).await;
        tracing::warn!(target: "audit", event = "login_unchecked", account, place = client.place, peer = client.peer, %error);
    }

    /// `named` is the account as the audit has it: what was typed may be a password, where there is no such account.
    pub(super) async fn named<'a>(&self, account: &'a str) -> &'a str {
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

    /// Counts an attempt as [`Self::charge`] does, on all that it is for. Returns the key of which the fewest are left, and how
    /// many those are.
    pub(super) async fn charge_all<'a>(
        &self,
        counter: &'a AttemptCounter,
        account: &str,
        client: &Client,
    ) -> Result<(&'a str, u32), AuthError> {
        let left = self.charge(&counter.key, account, client).await?;
        let Some(also) = &counter.also else {
            return Ok((&counter.key, left));
        };
        match self.charge(also, account, client).await {
            Ok(fewer) if fewer < left => Ok((also, fewer)),
            Ok(_) => Ok((&counter.key, left)),
            Err(locked) => {
                self.store.refund(&counter.key).await?;
                Err(locked)
            }
        }
    }

    /// Takes back what [`Self::charge_all`] counted: it was no wrong credential.
    pub(super) async fn refund_all(&self, counter: &AttemptCounter) -> Result<(), AuthError> {
        self.store.refund(&counter.key).await?;
        if let Some(also) = &counter.also {
            self.store.refund(also).await?;
        }
        Ok(())
    }

    /// Makes the error of a wrong credential; the last one that was allowed says that it locked.
    pub(super) async fn wrong(&self, key: &str, left: u32, account: &str, client: &Client) -> AuthError {
        let named = self.named(account).await;
        tracing::info!(target: "audit", event = "login_failed", account = named, place = client.place, peer = client.peer, attempts_left = left);
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
                Severity::Error,
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
