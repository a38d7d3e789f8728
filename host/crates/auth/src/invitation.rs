//! The link by which somebody gets an account: of its token only the hash is kept, in the database, since the command that
//! makes it is another process than the host that takes it. There is one at a time; a newer one takes its place.

use crate::account_name::Account;
use crate::error::AuthError;
use data_encoding::HEXLOWER;
use nexus_model::digest::sha256;
use nexus_model::time::Millis;
use nexus_store::Store;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

const SETTING: &str = "auth.invitation";

#[derive(Serialize, Deserialize)]
struct Kept {
    hash: String,
    account: String,
    expires: Millis,
}

async fn read(store: &Store) -> Result<Option<Kept>, AuthError> {
    let kept = store.setting(SETTING).await?;
    // An empty one was used; one that cannot be read is none.
    Ok(kept.and_then(|kept| serde_json::from_slice(&kept).ok()))
}

/// Keeps the invitation of `account`, good until `expires`.
pub(super) async fn set(store: &Store, token: &str, account: &Account, expires: Millis) -> Result<(), AuthError> {
    let kept = Kept {
        hash: HEXLOWER.encode(&sha256(&[token.as_bytes()])),
        account: account.as_str().to_owned(),
        expires,
    };
    let kept = serde_json::to_vec(&kept).map_err(|e| AuthError::Unavailable(e.to_string()))?;
    Ok(store.set_setting(SETTING, kept).await?)
}

/// Tells whether there is one that is good at this time.
pub(super) async fn is_open(store: &Store, now: Millis) -> Result<bool, AuthError> {
    Ok(read(store).await?.is_some_and(|kept| kept.expires > now))
}

/// `account` is whom the invitation with this token is for; `None`: there is no such one.
///
/// # Errors
/// [`AuthError::SetUpExpired`].
pub(super) async fn account(store: &Store, token: &str, now: Millis) -> Result<Option<Account>, AuthError> {
    let Some(kept) = read(store).await? else {
        return Ok(None);
    };
    let hash = HEXLOWER.encode(&sha256(&[token.as_bytes()]));
    if !bool::from(kept.hash.as_bytes().ct_eq(hash.as_bytes())) {
        return Ok(None);
    }
    if kept.expires <= now {
        return Err(AuthError::SetUpExpired);
    }
    Account::parse(&kept.account, "account").map(Some)
}

/// Ends the invitation of this account, if there is one: a link from before must not undo what the operator decides now.
pub(super) async fn clear_for(store: &Store, account: &str) -> Result<(), AuthError> {
    match read(store).await? {
        Some(kept) if kept.account == account => clear(store).await,
        _ => Ok(()),
    }
}

pub(super) async fn clear(store: &Store) -> Result<(), AuthError> {
    Ok(store.set_setting(SETTING, Vec::new()).await?)
}
